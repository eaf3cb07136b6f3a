#include "promql/engine/range_window.h"

#include "promql/engine/samples.h"

typedef struct RangeRun {
    Eval *ev;
    RangeInput in;
    RangeKernel kernel;
    Sink *out;
    Scope scope, per_series;
    SampleBuf buf;
    uint32_t *windows[4];
    Column *column;
    const Grid *child_grid; /* of a subquery */
    DupCheck dup;
    bool check_dup, drop_name;
    uint64_t scratch_cap;
    StatsFrame *stats; /* of the query, not of a subquery in it */
} RangeRun;

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

static uint64_t fill_windows(const RangeInput *in, const int64_t *t, size_t n, int64_t before,
                             int64_t behind, uint32_t *lo, uint32_t *hi) {
    size_t l = 0, h = 0, l_stride = 0, h_stride = 0;
    uint64_t most = 0;
    for (size_t i = 0; i < in->grid.n; i++) {
        int64_t ref = range_ref(in, i);
        size_t h_was = h, l_was = l;
        h = advance(t, n, h, h_stride, ref + behind);
        l = advance(t, h, l, l_stride, ref - before);
        h_stride = h - h_was;
        l_stride = l - l_was;
        lo[i] = (uint32_t)l;
        hi[i] = (uint32_t)h;
        most = MAX(most, h - l);
    }
    return most;
}

static int count_windows(RangeRun *run) {
    Eval *ev = run->ev;
    const RangeInput *in = &run->in;
    StatsFrame *frame = ev->stats;
    ev->stats = run->stats;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint64_t n = in->hi[i] - in->lo[i];
        for (uint32_t k = 0; k < range_histograms(in, i); k++)
            n += histogram_weight(in->histograms[in->hlo[i] + k]);
        stats_add(ev, i, n);
    }
    if (!run->child_grid)
        ev->stats->read += in->n_floats + in->n_histograms;
    ev->stats = frame;
    return 0;
}

static int make_windows(RangeRun *run) {
    RangeInput *in = &run->in;
    SampleBuf *b = &run->buf;
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
    uint64_t most =
        fill_windows(in, b->t.v, b->t.n, before, behind, run->windows[0], run->windows[1]);
    in->lo = run->windows[0];
    in->hi = run->windows[1];
    in->hlo = in->hhi = NULL;
    if (b->ht.n) {
        for (int k = 2; k < 4; k++)
            if (!run->windows[k] &&
                !(run->windows[k] = SCOPE_ARRAY(&run->scope, uint32_t, in->grid.n)))
                return -EINVAL;
        most +=
            fill_windows(in, b->ht.v, b->ht.n, before, behind, run->windows[2], run->windows[3]);
        in->hlo = run->windows[2];
        in->hhi = run->windows[3];
    }
    if (b->t.n > run->scratch_cap) {
        run->scratch_cap = b->t.cap;
        in->scratch = SCOPE_ARRAY(&run->scope, double, run->scratch_cap);
        if (!in->scratch)
            return -EINVAL;
    }
    uint64_t held = run->ev->samples_current;
    if (eval_samples_add(run->ev, most) < 0)
        return -EINVAL;
    run->ev->samples_current = held;
    return count_windows(run);
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

/* One series is in the buffer: its column, if it has cells. */
static int finish_series(RangeRun *run, Labels labels, bool drop_name) {
    Eval *ev = run->ev;
    RangeInput *in = &run->in;
    in->labels = labels;
    if (!run->buf.t.n && !run->buf.ht.n)
        return 0;
    if (make_windows(run) < 0)
        return -EINVAL;
    Column *c = run->column;
    column_clear(c);
    c->labels = labels;
    c->drop_name = drop_name;
    if (run->kernel(ev, in, c) < 0)
        return -EINVAL;
    if (!column_count(c))
        return 0;
    bool floats = false;
    for (size_t i = 0; i < c->n && !floats; i++)
        floats = c->kind[i] == CELL_FLOAT;
    if (floats && (in->id == FN_RATE || in->id == FN_INCREASE))
        annotate_non_counter(ev, in);
    if (run->drop_name && column_drop_name(ev, c) < 0)
        return -EINVAL;
    if (run->check_dup && dup_check_add(&run->dup, c, 0, true, SAME_LABELSET) < 0)
        return -EINVAL;
    return run->out->push(run->out, c);
}

static bool uses_starts(FunctionId id) {
    return id == FN_RATE || id == FN_INCREASE || id == FN_IRATE || id == FN_RESETS;
}

static int each_series(RangeRun *run, const Node *selector) {
    Selection *sel;
    int r = selection_of(run->ev, selector, &sel);
    const RangeInput *in = &run->in;
    bool wide = in->anchored || in->smoothed;
    run->buf.detect_resets = selector->vector.detect_resets;
    run->buf.keep_starts = run->ev->o->start_timestamps && uses_starts(in->id);
    int64_t after = in->ref - in->range_ms - (wide ? in->lookback_ms : 0);
    int64_t upto = range_ref(in, in->grid.n - 1) + (in->smoothed ? in->lookback_ms : 0);
    SampleIter *it = NULL;
    for (size_t k = 0; r == 0 && k < sel->n; k++) {
        scope_reset(&run->per_series);
        it = series_set_iter(sel->set, &sel->series[k], it);
        samples_clear(&run->buf);
        r = samples_read(&run->buf, it, after, upto);
        if (r == 0)
            r = finish_series(run, sel->series[k].labels, false);
        if (r == 0 && (k & 15) == 15)
            r = eval_check(run->ev);
    }
    sample_iter_free(it);
    return r;
}

/* Columns of a subquery are the samples of a range. */
typedef struct SubquerySink {
    Sink sink;
    RangeRun *run;
} SubquerySink;

static int subquery_push(Sink *sink, Column *c) {
    RangeRun *run = ((SubquerySink *)sink)->run;
    scope_reset(&run->per_series);
    samples_clear(&run->buf);
    if (samples_add_column(&run->buf, run->child_grid, c) < 0)
        return -EINVAL;
    return finish_series(run, c->labels, c->drop_name);
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
    ev->stats = &inner;
    uint64_t held = ev->samples_current;
    SubquerySink sink = {{subquery_push}, run};
    int r = eval_vector_whole(ev, n->subquery.expr, &child, &sink.sink);
    ev->stats = outer;
    ev->stats->read += inner.read;
    ev->samples_current = held;
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

static int run_buffers(RangeRun *run, const Grid *g) {
    run->column = column_new(&run->scope, g->n);
    run->windows[0] = SCOPE_ARRAY(&run->scope, uint32_t, g->n);
    run->windows[1] = SCOPE_ARRAY(&run->scope, uint32_t, g->n);
    return run->column && run->windows[0] && run->windows[1] ? 0 : -EINVAL;
}

static void run_init(RangeRun *run) {
    run->in.scope = &run->per_series;
    run->in.lookback_ms = run->ev->lookback_ms;
    run->stats = run->ev->stats;
    scope_init(&run->scope, run->ev);
    scope_init(&run->per_series, run->ev);
    samples_init(&run->buf, run->ev, &run->per_series);
    dup_check_init(&run->dup, &run->scope);
}

static void run_deinit(RangeRun *run) {
    dup_check_deinit(&run->dup);
    samples_deinit(&run->buf);
    scope_deinit(&run->per_series);
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
    if (run_buffers(run, g) < 0)
        return -EINVAL;
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
    int r = run_buffers(&run, g);
    if (r == 0)
        r = each_series(&run, n);
    run_deinit(&run);
    return r;
}
