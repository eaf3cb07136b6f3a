#include "promql/engine/range_window.h"

/* Samples of one series, in growing arrays that are used again for the next. */
typedef struct SampleBuf {
    VEC(int64_t) t;
    VEC(double) v;
    VEC(int64_t) ht;
    VEC(const FloatHistogram *) h;
} SampleBuf;

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
    StatsFrame *stats;   /* of the query, not of a subquery in it */
    uint64_t bytes_held; /* by the sample arrays, counted in the query's budget */
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

int fail_no_histograms(Eval *ev, const RangeInput *in) {
    return eval_fail(ev, PROMQL_EXECUTION, "native histograms are not evaluated yet in %s()",
                     in->call->call.function->name);
}

/* The arrays are the heap's, so what they hold is counted here. */
static int charge(RangeRun *run) {
    SampleBuf *b = &run->buf;
    uint64_t now = 8 * ((uint64_t)b->t.cap + b->v.cap + b->ht.cap + b->h.cap);
    Eval *ev = run->ev;
    ev->bytes_used += now - run->bytes_held;
    run->bytes_held = now;
    if (ev->bytes_used <= ev->bytes_max)
        return 0;
    return scope_alloc(&run->scope, 1, ev->bytes_max) ? 0 : -EINVAL; /* says what is exceeded */
}

static size_t first_after(const int64_t *t, size_t n, int64_t x) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid] <= x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void add_floats(SampleBuf *b, const SampleRun *r, size_t from, size_t to) {
    size_t n = to - from, k = b->t.n;
    vec_reserve(&b->t, k + n);
    vec_reserve(&b->v, k + n);
    uint64_t stale = 0;
    for (size_t i = from; i < to; i++)
        stale |= is_stale_nan(r->f[i]);
    if (!stale) {
        memcpy(b->t.v + k, r->t + from, n * sizeof(*r->t));
        memcpy(b->v.v + k, r->f + from, n * sizeof(*r->f));
        k += n;
    } else {
        for (size_t i = from; i < to; i++) {
            if (is_stale_nan(r->f[i]))
                continue;
            b->t.v[k] = r->t[i];
            b->v.v[k++] = r->f[i];
        }
    }
    b->t.n = b->v.n = k;
}

static int add_histograms(RangeRun *run, const SampleRun *r, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        bool fh = r->kind == SAMPLE_FLOAT_HISTOGRAM;
        if (is_stale_nan(fh ? r->fh[i]->sum : r->h[i]->sum))
            continue;
        FloatHistogram *h = fh ? scope_histogram(&run->per_series, r->fh[i])
                               : scope_histogram_float(&run->per_series, r->h[i]);
        if (!h)
            return -EINVAL;
        vec_push(&run->buf.ht, r->t[i]);
        vec_push(&run->buf.h, h);
    }
    return 0;
}

static void buf_empty(SampleBuf *b) { b->t.n = b->v.n = b->ht.n = b->h.n = 0; }

/* Reads what lies in (after, upto]. */
static int read_samples(RangeRun *run, SampleIter *it, int64_t after, int64_t upto) {
    SampleRun r;
    int e;
    buf_empty(&run->buf);
    sample_iter_seek(it, after + 1);
    while ((e = sample_iter_next(it, &r)) > 0) {
        size_t from = r.t[0] > after ? 0 : first_after(r.t, r.n, after);
        size_t to = r.t[r.n - 1] <= upto ? r.n : first_after(r.t, r.n, upto);
        if (from < to) {
            if (r.kind == SAMPLE_FLOAT)
                add_floats(&run->buf, &r, from, to);
            else if (add_histograms(run, &r, from, to) < 0)
                return -EINVAL;
            if (charge(run) < 0)
                return -EINVAL;
        }
        if (to < r.n)
            break;
    }
    if (e < 0)
        return eval_fail(run->ev, e == -ECANCELED ? PROMQL_CANCELED : PROMQL_INTERNAL,
                         "expanding series: %s", strerror(-e));
    return 0;
}

static uint64_t fill_windows(const RangeInput *in, const int64_t *t, size_t n, int64_t before,
                             int64_t behind, uint32_t *lo, uint32_t *hi) {
    size_t l = 0, h = 0;
    uint64_t most = 0;
    for (size_t i = 0; i < in->grid.n; i++) {
        int64_t ref = range_ref(in, i);
        while (h < n && t[h] <= ref + behind)
            h++;
        while (l < h && t[l] <= ref - before)
            l++;
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

static int each_series(RangeRun *run, const Node *selector) {
    Selection *sel;
    int r = selection_of(run->ev, selector, &sel);
    const RangeInput *in = &run->in;
    bool wide = in->anchored || in->smoothed;
    int64_t after = in->ref - in->range_ms - (wide ? in->lookback_ms : 0);
    int64_t upto = range_ref(in, in->grid.n - 1) + (in->smoothed ? in->lookback_ms : 0);
    SampleIter *it = NULL;
    for (size_t k = 0; r == 0 && k < sel->n; k++) {
        scope_reset(&run->per_series);
        it = series_set_iter(sel->set, &sel->series[k], it);
        r = read_samples(run, it, after, upto);
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

static int column_to_samples(RangeRun *run, const Column *c) {
    SampleBuf *b = &run->buf;
    for (size_t i = 0; i < c->n; i++) {
        int64_t t = grid_time(run->child_grid, i);
        if (c->kind[i] == CELL_FLOAT) {
            vec_push(&b->t, t);
            vec_push(&b->v, c->v[i]);
        } else if (c->kind[i] == CELL_HISTOGRAM) {
            FloatHistogram *h = scope_histogram(&run->per_series, c->h[i]);
            if (!h)
                return -EINVAL;
            if (h->reset_hint != RESET_GAUGE)
                h->reset_hint = RESET_UNKNOWN;
            vec_push(&b->ht, t);
            vec_push(&b->h, h);
        }
    }
    return charge(run);
}

static int subquery_push(Sink *sink, Column *c) {
    RangeRun *run = ((SubquerySink *)sink)->run;
    scope_reset(&run->per_series);
    buf_empty(&run->buf);
    if (column_to_samples(run, c) < 0)
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
    dup_check_init(&run->dup, &run->scope);
}

static void run_deinit(RangeRun *run) {
    dup_check_deinit(&run->dup);
    run->ev->bytes_used -= run->bytes_held;
    vec_free(&run->buf.t);
    vec_free(&run->buf.v);
    vec_free(&run->buf.ht);
    vec_free(&run->buf.h);
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

static int matrix_series(RangeRun *run, Scope *s, PromqlSeries *ret) {
    SampleBuf *b = &run->buf;
    int64_t *t = SCOPE_ARRAY(s, int64_t, b->t.n + 1), *ht = SCOPE_ARRAY(s, int64_t, b->ht.n + 1);
    double *v = SCOPE_ARRAY(s, double, b->t.n + 1);
    const FloatHistogram **h = SCOPE_ARRAY(s, const FloatHistogram *, b->ht.n + 1);
    if (!t || !ht || !v || !h)
        return -EINVAL;
    if (b->t.n) {
        memcpy(t, b->t.v, b->t.n * sizeof(*t));
        memcpy(v, b->v.v, b->t.n * sizeof(*v));
    }
    for (size_t i = 0; i < b->ht.n; i++) {
        ht[i] = b->ht.v[i];
        if (!(h[i] = scope_histogram(s, b->h.v[i])))
            return -EINVAL;
    }
    ret->n_floats = b->t.n;
    ret->float_t = t;
    ret->floats = v;
    ret->n_histograms = b->ht.n;
    ret->histogram_t = ht;
    ret->histograms = h;
    return 0;
}

/* The samples with the edges put in: what an anchored or smoothed range selector shows. */
static int extend_floats(RangeRun *run) {
    SampleBuf *b = &run->buf;
    const RangeInput *in = &run->in;
    int64_t from = in->ref - in->range_ms, to = in->ref;
    ExtendedWindow w;
    if (!b->t.n || !extended_window(&w, b->t.v, b->v.v, b->t.n, from, to, in->smoothed, false)) {
        buf_empty(b);
        return 0;
    }
    size_t n = w.inner_hi > w.inner_lo ? w.inner_hi - w.inner_lo : 0;
    vec_reserve(&b->t, n + 2);
    vec_reserve(&b->v, n + 2);
    memmove(b->t.v + 1, b->t.v + w.inner_lo, n * sizeof(*b->t.v));
    memmove(b->v.v + 1, b->v.v + w.inner_lo, n * sizeof(*b->v.v));
    b->t.v[0] = from;
    b->v.v[0] = w.left;
    b->t.v[n + 1] = to;
    b->v.v[n + 1] = w.right;
    b->t.n = b->v.n = n + 2;
    return charge(run);
}

/* Collects the samples of each series instead of computing from them. */
typedef struct MatrixResult {
    Scope *scope;
    VEC(PromqlSeries) list;
} MatrixResult;

static int matrix_add(RangeRun *run, MatrixResult *m, Labels labels) {
    if (!run->buf.t.n && !run->buf.ht.n)
        return 0;
    PromqlSeries s = {.labels = labels};
    if (run->in.anchored || run->in.smoothed) {
        if (run->buf.ht.n)
            return eval_fail(run->ev, PROMQL_EXECUTION,
                             "%s modifier is not supported with histograms",
                             run->in.anchored ? "anchored" : "smoothed");
        if (extend_floats(run) < 0)
            return -EINVAL;
        if (!run->buf.t.n)
            return 0;
    }
    if (matrix_series(run, m->scope, &s) < 0)
        return -EINVAL;
    uint64_t n = s.n_floats;
    for (size_t i = 0; i < s.n_histograms; i++)
        n += histogram_weight(s.histograms[i]);
    stats_add(run->ev, 0, n);
    run->ev->stats->read += n;
    vec_push(&m->list, s);
    return eval_samples_add(run->ev, n);
}

static int matrix_of_selector(RangeRun *run, const Node *n, MatrixResult *m) {
    Selection *sel;
    const Node *v = n->matrix.vector;
    RangeInput *in = &run->in;
    in->anchored = v->vector.anchored;
    in->smoothed = v->vector.smoothed;
    in->range_ms = n->matrix.range_ms;
    const TimeShift *s = &v->vector.shift;
    in->ref = (s->at == AT_TIME ? s->at_ms : in->grid.start) - s->offset_ms;
    int64_t wide = in->anchored || in->smoothed ? in->lookback_ms : 0;
    int r = selection_of(run->ev, v, &sel);
    SampleIter *it = NULL;
    for (size_t k = 0; r == 0 && k < sel->n; k++) {
        scope_reset(&run->per_series);
        it = series_set_iter(sel->set, &sel->series[k], it);
        r = read_samples(run, it, in->ref - in->range_ms - wide,
                         in->ref + (in->smoothed ? wide : 0));
        if (r == 0)
            r = matrix_add(run, m, sel->series[k].labels);
        if (r == 0)
            r = eval_check(run->ev);
    }
    sample_iter_free(it);
    return r;
}

typedef struct MatrixSink {
    Sink sink;
    RangeRun *run;
    MatrixResult *result;
} MatrixSink;

static int matrix_push(Sink *sink, Column *c) {
    MatrixSink *m = (MatrixSink *)sink;
    scope_reset(&m->run->per_series);
    buf_empty(&m->run->buf);
    int r = column_to_samples(m->run, c);
    Labels labels = c->labels;
    if (r == 0 && c->drop_name)
        r = labels_drop_metadata(&m->run->ev->scope, labels, &labels);
    return r < 0 ? r : matrix_add(m->run, m->result, labels);
}

static int matrix_of_subquery(RangeRun *run, const Node *n, MatrixResult *m) {
    Grid child;
    if (subquery_grid(run->ev, n, &run->in.grid, &child) < 0)
        return -EINVAL;
    if (!child.n)
        return 0;
    run->child_grid = &child;
    MatrixSink sink = {{matrix_push}, run, m};
    StatsFrame inner = {0}, *outer = run->ev->stats;
    run->ev->stats = &inner;
    int r = eval_vector_whole(run->ev, n->subquery.expr, &child, &sink.sink);
    run->ev->stats = outer;
    return r;
}

int eval_matrix(Eval *ev, const Node *n, Scope *s, PromqlSeries **ret, size_t *ret_n) {
    RangeRun run = {.ev = ev, .in = {.call = n, .arg = n, .grid = ev->grid}};
    MatrixResult m = {.scope = s};
    const Node *arg = node_unwrap(n);
    run_init(&run);
    int r = arg->kind == NODE_SUBQUERY ? matrix_of_subquery(&run, arg, &m)
                                       : matrix_of_selector(&run, arg, &m);
    *ret = SCOPE_ARRAY(s, PromqlSeries, m.list.n + 1);
    if (*ret && m.list.n)
        memcpy(*ret, m.list.v, m.list.n * sizeof(**ret));
    *ret_n = m.list.n;
    r = r == 0 && !*ret ? -EINVAL : r;
    vec_free(&m.list);
    run_deinit(&run);
    return r;
}
