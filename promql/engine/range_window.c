#include "promql/engine/range_window.h"

#include "promql/engine/profile.h"
#include "promql/engine/samples.h"
#include "promql/engine/split.h"

/* A call: what is the same for all series. */
typedef struct RangeRun {
    SeriesReader reader;
    Eval *ev;
    RangeInput in;
    RangeKernel kernel;
    Sink *out;
    Scope scope;
    const Selection *selection;
    bool detect_resets, keep_starts;
    int64_t after, upto;    /* samples in (after, upto] are read */
    const Grid *child_grid; /* of a subquery */
    DupCheck dup;
    bool check_dup, drop_name;
} RangeRun;

/* What a thread keeps from series to series. */
typedef struct RangeLane {
    const RangeRun *run;
    Eval *ev;
    Scope *scope;
    RangeInput in;
    SampleBuf buf;
    SampleIter *it;
    uint32_t *windows[4];
    uint64_t scratch_cap;
    StatsFrame *stats; /* of the query, not of a subquery in it */
} RangeLane;

/* What annotations point at. */
static const Node *first_argument(const RangeInput *in) {
    return in->call->kind == NODE_CALL ? in->call->call.args[0] : in->call;
}

void annotate_mixed(Eval *ev, const RangeInput *in) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_quoted(&b, labels_metric_name(in->labels));
    annotate(ev, ANNOTATION_WARNING, first_argument(in),
             "encountered a mix of histograms and floats for metric name %.*s", SA(buf_str(&b)));
}

void annotate_ignored_histograms(Eval *ev, const RangeInput *in) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_quoted(&b, labels_metric_name(in->labels));
    annotate(ev, ANNOTATION_INFO, first_argument(in),
             "ignored histograms in a range containing both floats and histograms for metric name "
             "%.*s",
             SA(buf_str(&b)));
}

void annotate_start_overlap(Eval *ev, const RangeInput *in) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b,
                 "sample has start time that overlaps with previous sample timestamp for metric ");
    buf_add_quoted(&b, labels_metric_name(in->labels));
    annotations_add_counted(&ev->annotations, ANNOTATION_WARNING, first_argument(in)->start,
                            buf_str(&b));
}

/* The first index from `at` on whose time is past x. Steps and scrapes are regular, so it is mostly
 * as far away as it was the last time. */
static inline size_t advance(const int64_t *t, size_t n, size_t at, size_t stride, int64_t x) {
    size_t guess = at + stride;
    if (stride && guess < n && t[guess - 1] <= x)
        at = guess;
    while (at < n && t[at] <= x)
        at++;
    return at;
}

/* Returns the size of the largest; `total` is the sum of all. */
static uint64_t fill_windows(const RangeInput *in, const int64_t *t, size_t n, int64_t before,
                             int64_t behind, uint32_t *lo, uint32_t *hi, uint64_t *total) {
    size_t l = 0, h = 0, l_stride = 0, h_stride = 0;
    uint64_t most = 0, sum = 0;
    int64_t ref = range_ref(in, 0);
    for (size_t i = 0; i < in->grid.n; i++, ref += in->ref_step) {
        size_t h_was = h, l_was = l;
        h = advance(t, n, h, h_stride, ref + behind);
        l = advance(t, h, l, l_stride, ref - before);
        h_stride = h - h_was;
        l_stride = l - l_was;
        lo[i] = (uint32_t)l;
        hi[i] = (uint32_t)h;
        most = MAX(most, h - l);
        sum += h - l;
    }
    *total = sum;
    return most;
}

static void count_windows(RangeLane *l, uint64_t floats) {
    const RangeInput *in = &l->in;
    StatsFrame *s = l->stats;
    s->total += floats;
    for (size_t i = 0; (in->hlo || s->per_step) && i < in->grid.n; i++) {
        uint64_t n = 0;
        for (uint32_t k = 0; k < range_histograms(in, i); k++)
            n += histogram_weight(in->histograms[in->hlo[i] + k]);
        s->total += n;
        if (s->per_step)
            s->per_step[i] += n + in->hi[i] - in->lo[i];
    }
    if (!l->run->child_grid)
        s->read += in->n_floats + in->n_histograms;
}

static int histogram_windows(RangeLane *l, int64_t before, int64_t behind, uint64_t *held) {
    RangeInput *in = &l->in;
    for (int k = 2; k < 4; k++)
        if (!l->windows[k] && !(l->windows[k] = SCOPE_ARRAY(l->scope, uint32_t, in->grid.n)))
            return -EINVAL;
    uint64_t number; /* they count by weight */
    *held += fill_windows(in, l->buf.ht.v, l->buf.ht.n, before, behind, l->windows[2],
                          l->windows[3], &number);
    in->hlo = l->windows[2];
    in->hhi = l->windows[3];
    return 0;
}

static int make_windows(RangeLane *l, uint64_t *held) {
    RangeInput *in = &l->in;
    const SampleBuf *b = &l->buf;
    in->n_floats = b->t.n;
    in->float_t = b->t.v;
    in->float_v = b->v.v;
    in->n_histograms = b->ht.n;
    in->histogram_t = b->ht.v;
    in->histograms = b->h.v;
    in->float_st = b->st.n ? b->st.v : NULL;
    in->histogram_st = b->hst.n ? b->hst.v : NULL;
    int64_t before = in->range_ms + (in->anchored || in->smoothed ? in->lookback_ms : 0);
    int64_t behind = in->smoothed ? in->lookback_ms : 0;
    uint64_t floats;
    *held = fill_windows(in, b->t.v, b->t.n, before, behind, l->windows[0], l->windows[1], &floats);
    in->lo = l->windows[0];
    in->hi = l->windows[1];
    in->hlo = in->hhi = NULL;
    if (b->ht.n && histogram_windows(l, before, behind, held) < 0)
        return -EINVAL;
    if (b->t.n > l->scratch_cap) {
        l->scratch_cap = b->t.cap;
        in->scratch = SCOPE_ARRAY(l->scope, double, l->scratch_cap);
        if (!in->scratch)
            return -EINVAL;
    }
    count_windows(l, floats);
    return 0;
}

static bool keeps_name(FunctionId id) {
    return id == FN_LAST_OVER_TIME || id == FN_FIRST_OVER_TIME;
}

static void annotate_non_counter(Eval *ev, const RangeInput *in) {
    static const Str ends[] = {{"_total", 6}, {"_sum", 4}, {"_count", 6}, {"_bucket", 7}};
    Str name = labels_metric_name(in->labels);
    if (!name.n)
        return;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    if (ev->o->type_and_unit_labels) {
        Str type = labels_get(in->labels, STR("__type__"));
        if (str_eqc(type, "counter") || str_eqc(type, "histogram"))
            return;
        buf_add_cstr(&b, "__type__ label is not set to \"counter\" or \"histogram\", got ");
        buf_add_quoted(&b, type);
        buf_add_cstr(&b, ": ");
    } else {
        for (size_t i = 0; i < ARRAY_LEN(ends); i++)
            if (str_ends(name, ends[i]))
                return;
        buf_add_cstr(&b, "name does not end in _total/_sum/_count/_bucket: ");
    }
    buf_add_quoted(&b, name);
    annotate(ev, ANNOTATION_INFO, in->arg, "metric might not be a counter, %.*s", SA(buf_str(&b)));
}

/* One series is in the buffer: its column. */
static int fill_column(RangeLane *l, Labels labels, Column *c, uint64_t *held) {
    l->in.labels = c->labels = labels;
    if (!l->buf.t.n && !l->buf.ht.n)
        return 0;
    return make_windows(l, held) < 0 ? -EINVAL : l->run->kernel(l->ev, &l->in, c);
}

static int give_column(RangeRun *run, Column *c) {
    Eval *ev = run->ev;
    const RangeInput *in = &run->in;
    if (in->id == FN_RATE || in->id == FN_INCREASE) {
        RangeInput named = *in;
        named.labels = c->labels;
        if (memchr(c->kind, CELL_FLOAT, c->n))
            annotate_non_counter(ev, &named);
    }
    if (run->drop_name && column_drop_name(ev, c) < 0)
        return -EINVAL;
    if (run->check_dup && dup_check_add(&run->dup, c, 0, true, SAME_LABELSET) < 0)
        return -EINVAL;
    return run->out->push(run->out, c);
}

static void lane_deinit(RangeLane *l) {
    sample_iter_free(l->it);
    samples_deinit(&l->buf);
}

static int lane_init(RangeLane *l, const RangeRun *run, Eval *ev, Scope *scope) {
    *l = (RangeLane){.run = run, .ev = ev, .scope = scope, .in = run->in, .stats = ev->stats};
    samples_init(&l->buf, ev, scope);
    l->buf.detect_resets = run->detect_resets;
    l->buf.keep_starts = run->keep_starts;
    l->windows[0] = SCOPE_ARRAY(scope, uint32_t, run->in.grid.n);
    l->windows[1] = SCOPE_ARRAY(scope, uint32_t, run->in.grid.n);
    return l->windows[0] && l->windows[1] ? 0 : -EINVAL;
}

static bool uses_starts(FunctionId id) {
    return id == FN_RATE || id == FN_INCREASE || id == FN_IRATE || id == FN_RESETS;
}

/* ---- series of a selection */

static void *lane_open(SeriesReader *r, Eval *ev, Scope *scope) {
    RangeLane *l = SCOPE_NEW(scope, RangeLane);
    return l && lane_init(l, (RangeRun *)r, ev, scope) == 0 ? l : NULL;
}

static void lane_close(void *state) { lane_deinit(state); }

static int lane_read(void *state, size_t k, Scope *scope, Column *c, uint64_t *held) {
    RangeLane *l = state;
    const RangeRun *run = l->run;
    const Series *s = &run->selection->series[k];
    l->in.scope = l->buf.scope = scope;
    l->it = series_set_iter(run->selection->set, s, l->it);
    samples_clear(&l->buf);
    c->drop_name = false;
    if (samples_read(&l->buf, l->it, run->after, run->upto) < 0)
        return -EINVAL;
    return fill_column(l, s->labels, c, held);
}

static int lane_give(SeriesReader *r, size_t k, Column *c) {
    (void)k;
    return give_column((RangeRun *)r, c);
}

static int each_series(RangeRun *run, const Node *selector) {
    Selection *sel;
    if (selection_of(run->ev, selector, &sel) < 0)
        return -EINVAL;
    const RangeInput *in = &run->in;
    bool wide = in->anchored || in->smoothed;
    run->selection = sel;
    run->detect_resets = selector->vector.detect_resets;
    run->keep_starts = run->ev->o->start_timestamps && uses_starts(in->id);
    run->after = in->ref - in->range_ms - (wide ? in->lookback_ms : 0);
    run->upto = range_ref(in, in->grid.n - 1) + (in->smoothed ? in->lookback_ms : 0);
    run->reader = (SeriesReader){.open = lane_open,
                                 .close = lane_close,
                                 .read = lane_read,
                                 .give = lane_give,
                                 .selector = selector,
                                 .n_series = sel->n,
                                 .samples_each = samples_between(run->after, run->upto)};
    return split_series(run->ev, &run->reader, in->grid.n);
}

/* ---- columns of a subquery, which are the samples of a range */

typedef struct SubquerySink {
    Sink sink;
    RangeRun *run;
    RangeLane lane;
    Scope per_series;
    Column *column;
    NodeProfile *profile, *outer; /* of the subquery, of the call */
} SubquerySink;

static int subquery_push(Sink *sink, Column *c) {
    SubquerySink *k = (SubquerySink *)sink;
    Eval *ev = k->run->ev;
    uint64_t window = 0, held = ev->samples_current;
    NodeProfile *from = profile_give(ev, k->outer);
    if (k->profile)
        k->profile->series++;
    scope_reset(&k->per_series);
    samples_clear(&k->lane.buf);
    column_clear(k->column);
    k->column->drop_name = c->drop_name;
    if (samples_add_column(&k->lane.buf, k->run->child_grid, c) < 0 ||
        fill_column(&k->lane, c->labels, k->column, &window) < 0 ||
        eval_samples_add(ev, window) < 0)
        return -EINVAL;
    ev->samples_current = held;
    int r = column_count(k->column) ? give_column(k->run, k->column) : 0;
    profile_leave(ev, from);
    return r;
}

int subquery_grid(Eval *ev, const Node *n, const Grid *g, Grid *ret) {
    const TimeShift *s = &n->subquery.shift;
    int64_t first = (s->at == AT_TIME ? s->at_ms : g->start) - s->offset_ms;
    int64_t last = (s->at == AT_TIME ? s->at_ms : grid_time(g, g->n - 1)) - s->offset_ms;
    int64_t step = n->subquery.step_ms ? n->subquery.step_ms : ev->subquery_step_ms;
    int64_t from = first - n->subquery.range_ms, start = from / step * step;
    if (start <= from)
        start += step;
    *ret = (Grid){start, step, last < start ? 0 : (size_t)((last - start) / step) + 1};
    /* A column so long takes seconds to fill, whatever is in it. */
    if (ret->n > MAX(ev->samples_max, UINT64_C(1) << 24))
        return eval_samples_add(ev, ret->n);
    return 0;
}

static int each_subquery_series(RangeRun *run, const Node *n) {
    Eval *ev = run->ev;
    Grid child;
    if (subquery_grid(ev, n, &run->in.grid, &child) < 0)
        return -EINVAL;
    if (!child.n)
        return 0;
    run->child_grid = &child;
    StatsFrame inner = {0}, *outer = ev->stats;
    SubquerySink sink = {.sink = {subquery_push}, .run = run};
    scope_init(&sink.per_series, ev);
    sink.column = column_new(&run->scope, run->in.grid.n);
    uint64_t held = ev->samples_current;
    int r = lane_init(&sink.lane, run, ev, &run->scope);
    sink.lane.in.scope = sink.lane.buf.scope = &sink.per_series;
    ev->stats = &inner;
    sink.profile = profile_of(ev, n);
    sink.outer = profile_enter(ev, n);
    r = r < 0 || !sink.column ? -EINVAL
                              : eval_vector_whole(ev, n->subquery.expr, &child, &sink.sink);
    profile_leave(ev, sink.outer);
    ev->stats = outer;
    ev->stats->read += inner.read;
    ev->samples_current = held;
    lane_deinit(&sink.lane);
    scope_deinit(&sink.per_series);
    run->child_grid = NULL;
    return r;
}

static int scalar_args(RangeRun *run, const Node *call) {
    size_t k = 0;
    for (size_t i = 0; i < call->call.n_args; i++) {
        const Node *a = call->call.args[i];
        if (a == run->in.arg || k == ARRAY_LEN(run->in.args))
            continue;
        run->in.args[k] = eval_scalar_column(run->ev, &run->scope, a, &run->in.grid);
        if (!run->in.args[k++])
            return -EINVAL;
    }
    return 0;
}

static int check_modifiers(Eval *ev, const RangeInput *in) {
    FunctionId id = in->id;
    bool rate = id == FN_RATE || id == FN_INCREASE || id == FN_DELTA;
    if (in->anchored && !rate && id != FN_RESETS && id != FN_CHANGES)
        return eval_fail(ev, PROMQL_EXECUTION,
                         "anchored modifier can only be used with: changes, delta, increase, "
                         "rate, resets - not with %s",
                         in->call->call.function->name);
    if (in->smoothed && !rate)
        return eval_fail(ev, PROMQL_EXECUTION,
                         "smoothed modifier can only be used with: delta, increase, rate - not "
                         "with %s",
                         in->call->call.function->name);
    return 0;
}

static const Node *range_argument(const Node *call) {
    for (size_t i = 0; i < call->call.n_args; i++) {
        const Node *a = node_unwrap(call->call.args[i]);
        if (a->kind == NODE_MATRIX_SELECTOR || a->kind == NODE_SUBQUERY)
            return call->call.args[i];
    }
    return NULL;
}

static void run_init(RangeRun *run) {
    run->in.lookback_ms = run->ev->lookback_ms;
    scope_init(&run->scope, run->ev);
    dup_check_init(&run->dup, &run->scope);
}

static void run_deinit(RangeRun *run) {
    dup_check_deinit(&run->dup);
    scope_deinit(&run->scope);
}

static int run_over(RangeRun *run, const Node *call, const Grid *g) {
    Eval *ev = run->ev;
    RangeInput *in = &run->in;
    const Node *arg = node_unwrap(in->arg);
    bool selector = arg->kind == NODE_MATRIX_SELECTOR;
    const TimeShift *s = selector ? &arg->matrix.vector->vector.shift : &arg->subquery.shift;
    in->range_ms = selector ? arg->matrix.range_ms : arg->subquery.range_ms;
    in->ref = (s->at == AT_TIME ? s->at_ms : g->start) - s->offset_ms;
    in->ref_step = s->at == AT_TIME ? 0 : g->step;
    if (selector) {
        in->anchored = arg->matrix.vector->vector.anchored;
        in->smoothed = arg->matrix.vector->vector.smoothed;
    }
    if (check_modifiers(ev, in) < 0 || scalar_args(run, call) < 0)
        return -EINVAL;
    if (in->anchored || in->smoothed)
        if (in->id != FN_RESETS && in->id != FN_CHANGES)
            run->kernel = kernel_extended_rate;
    run->drop_name = !keeps_name(in->id);
    run->check_dup = !ev->o->delayed_name_removal && in->id != FN_ABSENT_OVER_TIME &&
                     (run->drop_name ? !name_is_pinned(ev, arg) : !selector);
    return selector ? each_series(run, arg->matrix.vector) : each_subquery_series(run, arg);
}

int eval_range_call(Eval *ev, const Node *call, const Grid *g, RangeKernel kernel, Sink *out) {
    RangeRun run = {
        .ev = ev,
        .kernel = kernel,
        .out = out,
        .in = {
            .call = call, .arg = range_argument(call), .id = call->call.function->id, .grid = *g}};
    run_init(&run);
    int r = run_over(&run, call, g);
    run_deinit(&run);
    return r;
}

int smoothed_columns(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    const TimeShift *s = &n->vector.shift;
    RangeRun run = {.ev = ev,
                    .kernel = kernel_smoothed_instant,
                    .out = out,
                    .in = {.call = n,
                           .arg = n,
                           .id = FN_COUNT,
                           .grid = *g,
                           .ref = (s->at == AT_TIME ? s->at_ms : g->start) - s->offset_ms,
                           .ref_step = s->at == AT_TIME ? 0 : g->step,
                           .smoothed = true}};
    run_init(&run);
    int r = each_series(&run, n);
    run_deinit(&run);
    return r;
}
