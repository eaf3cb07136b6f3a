/*
 * What the query reads. All selectors are opened before evaluation with the range of time they can
 * need; selectors that ask the same share one selection. An instant selector's column takes, at
 * each step, the last sample in (t - lookback, t].
 */
#include "promql/engine/eval.h"

#include "promql/engine/aggregate.h"
#include "promql/engine/native.h"
#include "promql/engine/profile.h"
#include "promql/engine/range_window.h"
#include "promql/engine/split.h"

/* The range of evaluation times of a part of the tree, and what stands around it. */
typedef struct Around {
    int64_t first, last, step_ms;
    Str func;
    const Node *aggregate;
    bool any_order; /* of series gives the same answer */
} Around;

static void shift_times(const TimeShift *s, Around *a) {
    if (s->at == AT_TIME)
        a->first = a->last = s->at_ms;
    a->first -= s->offset_ms;
    a->last -= s->offset_ms;
}

static bool same_matchers(const Matcher *a, size_t na, const Matcher *b, size_t nb) {
    if (na != nb)
        return false;
    for (size_t i = 0; i < na; i++)
        if (a[i].type != b[i].type || !str_eq(a[i].name, b[i].name) ||
            !str_eq(a[i].value, b[i].value))
            return false;
    return true;
}

static int add_use(Eval *ev, const Node *n, const SelectHints *h) {
    Selection *s = NULL;
    for (size_t i = 0; i < ev->selections.n && !s; i++) {
        Selection *x = ev->selections.v[i];
        /* Old samples may be kept in a coarser form, of which each takes what it reads. */
        bool alike = x->hints.range_ms == h->range_ms &&
                     select_hints_reading(&x->hints) == select_hints_reading(h);
        if (alike && x->hints.mint == h->mint && x->hints.maxt == h->maxt &&
            same_matchers(x->matchers, x->n_matchers, n->vector.matchers, n->vector.n_matchers)) {
            s = x;
            s->hints.sorted |= h->sorted;
        }
    }
    if (!s) {
        s = SCOPE_NEW(&ev->scope, Selection);
        if (!s)
            return -EINVAL;
        s->matchers = n->vector.matchers;
        s->n_matchers = n->vector.n_matchers;
        s->hints = *h;
        vec_push(&ev->selections, s);
    }
    s->used++;
    vec_push(&ev->uses, (struct SelectorUse){n, s});
    return 0;
}

static int add_selector(Eval *ev, const Node *n, const Around *around, int64_t range_ms) {
    Around a = *around;
    shift_times(&n->vector.shift, &a);
    int64_t before = range_ms ? range_ms : ev->lookback_ms;
    if (range_ms && (n->vector.anchored || n->vector.smoothed))
        before += ev->lookback_ms;
    SelectHints h = {.mint = a.first - before + 1,
                     .maxt = a.last + (n->vector.smoothed ? ev->lookback_ms : 0),
                     .step_ms = a.step_ms,
                     .range_ms = range_ms,
                     .lookback_ms = ev->lookback_ms,
                     .func = a.func,
                     .sorted = !around->any_order,
                     .cancel = ev->cancel};
    if (a.aggregate) {
        h.grouping = a.aggregate->aggregate.grouping;
        h.n_grouping = a.aggregate->aggregate.n_grouping;
        h.by = !a.aggregate->aggregate.without;
    }
    return add_use(ev, n, &h);
}

static int add_selectors(Eval *ev, const Node *n, const Around *around, int64_t range_ms);

/* info() selects when it knows the series to meet; its second argument is no selection. */
static int add_info(Eval *ev, const Node *n, const Around *a) {
    int64_t at = INT64_MIN, offset = 0;
    (void)info_reference(n->call.args[0], &at, &offset);
    int64_t first = at != INT64_MIN ? at : a->first, last = at != INT64_MIN ? at : a->last;
    ev->info_mint = MIN(ev->info_mint, first - offset - ev->lookback_ms + 1);
    ev->info_maxt = MAX(ev->info_maxt, last - offset);
    return add_selectors(ev, n->call.args[0], a, 0);
}

static int add_selectors(Eval *ev, const Node *n, const Around *around, int64_t range_ms) {
    Around a = *around;
    a.aggregate = NULL;
    a.any_order = false;
    int r = 0;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: return 0;
    case NODE_VECTOR_SELECTOR: return add_selector(ev, n, around, range_ms);
    case NODE_MATRIX_SELECTOR: return add_selectors(ev, n->matrix.vector, &a, n->matrix.range_ms);
    case NODE_SUBQUERY:
        shift_times(&n->subquery.shift, &a);
        a.first -= n->subquery.range_ms;
        a.step_ms = n->subquery.step_ms ? n->subquery.step_ms : ev->subquery_step_ms;
        return add_selectors(ev, n->subquery.expr, &a, 0);
    case NODE_PAREN:
    case NODE_STEP_INVARIANT: return add_selectors(ev, n->paren.expr, around, 0);
    case NODE_UNARY: return add_selectors(ev, n->unary.expr, &a, 0);
    case NODE_BINARY:
        a.func = STR_NULL;
        a.any_order = around->any_order;
        r = add_selectors(ev, n->binary.lhs, &a, 0);
        return r < 0 ? r : add_selectors(ev, n->binary.rhs, &a, 0);
    case NODE_AGGREGATE:
        a.func = str_of(aggregate_op_text(n->aggregate.op));
        a.aggregate = n;
        a.any_order = aggregate_takes_any_order(n);
        if (n->aggregate.param && (r = add_selectors(ev, n->aggregate.param, &a, 0)) < 0)
            return r;
        return add_selectors(ev, n->aggregate.expr, &a, 0);
    case NODE_CALL:
        a.func = str_of(n->call.function->name);
        if (n->call.function->id == FN_INFO)
            return add_info(ev, n, &a);
        for (size_t i = 0; i < n->call.n_args && r == 0; i++)
            r = add_selectors(ev, n->call.args[i], &a, 0);
        return r;
    }
    return 0;
}

static int storage_fail(Eval *ev, int r) {
    if (r == -ECANCELED)
        return eval_check(ev) < 0
                   ? -EINVAL
                   : eval_fail(ev, PROMQL_CANCELED, "query was canceled in expression evaluation");
    if (r == -EAGAIN)
        return eval_fail(ev, PROMQL_UNAVAILABLE,
                         "the server is starting: the newest samples are still being read from the "
                         "journal");
    return eval_fail(ev, PROMQL_INTERNAL, "expanding series: %s", strerror(-r));
}

int selections_open(Eval *ev, Node *root) {
    Around a = {.first = ev->grid.start, .last = ev->end_ms, .step_ms = ev->grid.step};
    if (ev->instant)
        a.step_ms = 0;
    ev->info_mint = INT64_MAX;
    ev->info_maxt = INT64_MIN;
    int r = add_selectors(ev, root, &a, 0);
    if (r < 0)
        return r;
    int64_t mint = ev->info_mint, maxt = ev->info_maxt;
    for (size_t i = 0; i < ev->selections.n; i++) {
        mint = MIN(mint, ev->selections.v[i]->hints.mint);
        maxt = MAX(maxt, ev->selections.v[i]->hints.maxt);
    }
    if (!ev->selections.n)
        mint = ev->grid.start - ev->lookback_ms, maxt = ev->end_ms;
    r = storage_querier(ev->storage, mint, maxt, &ev->querier);
    return r < 0 ? storage_fail(ev, r) : 0;
}

void selection_keep(Eval *ev, const Selection *s) {
    if (!s->set)
        return;
    Selection *kept = SCOPE_NEW(&ev->scope, Selection);
    if (kept) {
        *kept = *s;
        vec_push(&ev->selections, kept);
    } else { /* the query has failed: nothing refers to it any more */
        series_set_free(s->set);
        mem_free(s->series);
    }
}

void selections_close(Eval *ev) {
    for (size_t i = 0; i < ev->selections.n; i++) {
        series_set_free(ev->selections.v[i]->set);
        mem_free(ev->selections.v[i]->series);
    }
    vec_free(&ev->selections);
    vec_free(&ev->uses);
    querier_close(ev->querier);
}

int selection_expand(Eval *ev, Selection *s) {
    VEC(Series) list = {0};
    Series one;
    int r =
        querier_select(ev->querier, s->matchers, s->n_matchers, &s->hints, &ev->warnings, &s->set);
    if (r < 0)
        return storage_fail(ev, r);
    while ((r = series_set_next(s->set, &one)) > 0) {
        vec_push(&list, one);
        s->metadata_varies |=
            labels_has(one.labels, STR("__type__")) || labels_has(one.labels, STR("__unit__"));
        if (list.n % 1024 == 0 && eval_check(ev) < 0)
            break;
    }
    s->series = list.v;
    s->n = list.n;
    s->expanded = true;
    if (r < 0)
        return storage_fail(ev, r);
    return ev->error ? -EINVAL : 0;
}

int selection_of(Eval *ev, const Node *n, Selection **ret) {
    for (size_t i = 0; i < ev->uses.n; i++) {
        if (ev->uses.v[i].node != n)
            continue;
        *ret = ev->uses.v[i].selection;
        NodeProfile *profile = profile_of(ev, n);
        if (profile)
            profile->sharing = (*ret)->used;
        if ((*ret)->expanded)
            return 0;
        NodeProfile *outer = profile_enter(ev, n);
        int r = selection_expand(ev, *ret);
        profile_leave(ev, outer);
        return r;
    }
    return eval_fail(ev, PROMQL_INTERNAL, "selector was not planned");
}

static bool selector_is_pinned(Eval *ev, const Node *n) {
    Selection *s;
    if (selection_of(ev, n, &s) < 0 || s->metadata_varies)
        return false;
    for (size_t i = 0; i < s->n_matchers; i++)
        if (s->matchers[i].type == MATCH_EQ && str_eq(s->matchers[i].name, LABEL_NAME))
            return true;
    return s->n <= 1;
}

bool name_is_pinned(Eval *ev, const Node *n) {
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: return true;
    case NODE_VECTOR_SELECTOR: return selector_is_pinned(ev, n);
    case NODE_MATRIX_SELECTOR: return selector_is_pinned(ev, n->matrix.vector);
    case NODE_SUBQUERY: return name_is_pinned(ev, n->subquery.expr);
    case NODE_PAREN:
    case NODE_STEP_INVARIANT: return name_is_pinned(ev, n->paren.expr);
    case NODE_UNARY: return name_is_pinned(ev, n->unary.expr);
    case NODE_BINARY:
    case NODE_AGGREGATE: return false;
    case NODE_CALL:
        switch (n->call.function->id) {
        case FN_LABEL_REPLACE:
        case FN_LABEL_JOIN:
        case FN_INFO:
        case FN_LAST_OVER_TIME:
        case FN_FIRST_OVER_TIME:
        case FN_HISTOGRAM_QUANTILES: return false;
        case FN_SORT:
        case FN_SORT_DESC:
        case FN_SORT_BY_LABEL:
        case FN_SORT_BY_LABEL_DESC: return name_is_pinned(ev, n->call.args[0]);
        case FN_HISTOGRAM_QUANTILE:
        case FN_HISTOGRAM_FRACTION: return true;
        default:
            /* Names are gone after it, and what it let pass was checked there. */
            return !ev->o->delayed_name_removal;
        }
    }
    return false;
}

/* The state of one series' walk through samples and steps. */
typedef struct InstantWalk {
    int64_t ref, ref_step, lookback;
    size_t i, n; /* next step, number of steps */
    int64_t last_t, last_st;
    double last_v;
    const FloatHistogram *last_h;
    const FloatHistogram *before; /* the last of the runs before, when resets are looked for */
    bool detect_resets;
    int64_t *times; /* of the samples taken, or NULL */
    bool starts;    /* their start times instead */
} InstantWalk;

static void emit(InstantWalk *w, Column *c) {
    if (w->last_t > w->ref - w->lookback) {
        if (w->last_h) {
            c->kind[w->i] = CELL_HISTOGRAM;
            c->h[w->i] = w->last_h;
        } else if (!is_stale_nan(w->last_v)) {
            c->kind[w->i] = CELL_FLOAT;
            c->v[w->i] = w->last_v;
        }
        if (w->times)
            w->times[w->i] = w->starts ? w->last_st : w->last_t;
    }
    w->i++;
    w->ref += w->ref_step;
}

static void walk_floats(InstantWalk *w, const SampleRun *run, Column *c) {
    uint32_t j = 0, stride = 0;
    while (w->i < w->n) {
        int64_t ref = w->ref;
        uint32_t was = j;
        /* Regular times: mostly as far as for the last step. */
        if (stride && j + stride < run->n && run->t[j + stride - 1] <= ref)
            j += stride;
        while (j < run->n && run->t[j] <= ref)
            j++;
        stride = j - was;
        if (j > 0) {
            w->last_t = run->t[j - 1];
            w->last_v = run->f[j - 1];
            w->last_h = NULL;
            w->last_st = run->st ? run->st[j - 1] : 0;
        }
        if (j == run->n) /* a later run may be nearer */
            return;
        emit(w, c);
    }
}

static bool run_is_stale(const SampleRun *run, uint32_t j) {
    return is_stale_nan(run->kind == SAMPLE_FLOAT_HISTOGRAM ? run->fh[j]->sum : run->h[j]->sum);
}

static FloatHistogram *run_histogram(Scope *s, const SampleRun *run, uint32_t j) {
    return run->kind == SAMPLE_FLOAT_HISTOGRAM ? scope_histogram(s, run->fh[j])
                                               : scope_histogram_float(s, run->h[j]);
}

/* The last histogram before number j of the run, which is no stale marker. */
static int before_histogram(InstantWalk *w, const SampleRun *run, uint32_t j, Scope *s,
                            const FloatHistogram **ret) {
    *ret = w->before;
    while (j > 0 && run_is_stale(run, j - 1))
        j--;
    if (j > 0)
        *ret = run_histogram(s, run, j - 1);
    return j > 0 && !*ret ? -EINVAL : 0;
}

static int take_histogram(InstantWalk *w, const SampleRun *run, uint32_t j, Scope *s) {
    const FloatHistogram *before;
    FloatHistogram *h = run_histogram(s, run, j);
    if (!h)
        return -EINVAL;
    if (w->detect_resets && h->reset_hint == RESET_UNKNOWN &&
        (before_histogram(w, run, j, s, &before) < 0 ||
         (before && native_find_reset(s, before, h) < 0)))
        return -EINVAL;
    w->last_h = h;
    return 0;
}

static int walk_histograms(InstantWalk *w, const SampleRun *run, Column *c, Scope *s) {
    if (column_need_histograms(s, c) < 0)
        return -EINVAL;
    for (uint32_t j = 0; j < run->n; j++) {
        while (w->i < w->n && run->t[j] > w->ref)
            emit(w, c);
        if (w->i == w->n)
            return 0;
        bool wanted = j + 1 == run->n || run->t[j + 1] > w->ref;
        w->last_t = run->t[j];
        w->last_st = run->st ? run->st[j] : 0;
        w->last_h = NULL;
        w->last_v = stale_nan();
        if (wanted && !run_is_stale(run, j) && take_histogram(w, run, j, s) < 0)
            return -EINVAL;
    }
    return w->detect_resets ? before_histogram(w, run, run->n, s, &w->before) : 0;
}

static int instant_column(InstantWalk *w, SampleIter *it, Column *c, Scope *s) {
    SampleRun run;
    int r;
    sample_iter_seek(it, w->ref - w->lookback + 1);
    while (w->i < w->n && (r = sample_iter_next(it, &run)) != 0) {
        if (r < 0)
            return storage_fail(s->ev, r);
        if (run.kind == SAMPLE_FLOAT)
            walk_floats(w, &run, c);
        else if (walk_histograms(w, &run, c, s) < 0)
            return -EINVAL;
    }
    while (w->i < w->n)
        emit(w, c);
    return 0;
}

/* With @ all steps look at one time. */
static void repeat_first(Column *c, int64_t *times) {
    for (size_t i = 1; i < c->n; i++) {
        c->kind[i] = c->kind[0];
        c->v[i] = c->v[0];
        if (c->h)
            c->h[i] = c->h[0];
        if (times)
            times[i] = times[0];
    }
}

static void count_stats(Eval *ev, const Column *c) {
    uint64_t before = ev->stats->total;
    if (!c->h && !ev->stats->per_step)
        ev->stats->total += column_count(c);
    for (size_t i = 0; (c->h || ev->stats->per_step) && i < c->n; i++)
        if (c->kind[i])
            stats_add(ev, i, c->kind[i] == CELL_HISTOGRAM ? histogram_weight(c->h[i]) : 1);
    ev->stats->read += ev->stats->total - before;
}

/* For timestamp() and start_timestamp(): in seconds. */
static void cells_to_times(Column *c, const int64_t *times) {
    for (size_t i = 0; i < c->n; i++) {
        if (!c->kind[i])
            continue;
        c->kind[i] = CELL_FLOAT;
        c->v[i] = (double)times[i] / 1000;
    }
    c->h = NULL;
}

/* ---- series of a selection */

typedef struct InstantRun {
    SeriesReader reader;
    const Node *node;
    const Grid *grid;
    const Selection *selection;
    SelectorCells what;
    int64_t first; /* evaluation time, shifted */
    Sink *out;
} InstantRun;

typedef struct InstantLane {
    const InstantRun *run;
    Eval *ev;
    SampleIter *it;
    int64_t *times;
} InstantLane;

static void *lane_open(SeriesReader *r, Eval *ev, Scope *scope) {
    InstantLane *l = SCOPE_NEW(scope, InstantLane);
    if (!l)
        return NULL;
    l->run = (InstantRun *)r;
    l->ev = ev;
    if (l->run->what == SELECTOR_SAMPLES)
        return l;
    l->times = SCOPE_ARRAY(scope, int64_t, l->run->grid->n);
    return l->times ? l : NULL;
}

static void lane_close(void *state) { sample_iter_free(((InstantLane *)state)->it); }

static int lane_read(void *state, size_t k, Scope *scope, Column *c, uint64_t *held) {
    InstantLane *l = state;
    const InstantRun *run = l->run;
    const Series *s = &run->selection->series[k];
    bool fixed = run->node->vector.shift.at == AT_TIME;
    InstantWalk w = {.ref = run->first,
                     .ref_step = run->grid->step,
                     .lookback = l->ev->lookback_ms,
                     .n = fixed ? 1 : run->grid->n,
                     .last_t = INT64_MIN,
                     .detect_resets = run->node->vector.detect_resets,
                     .times = l->times,
                     .starts = run->what == SELECTOR_STARTS};
    (void)held;
    c->labels = s->labels;
    c->drop_name = false;
    l->it = series_set_iter(run->selection->set, s, l->it);
    if (instant_column(&w, l->it, c, scope) < 0)
        return -EINVAL;
    if (fixed)
        repeat_first(c, l->times);
    if (l->times)
        cells_to_times(c, l->times);
    count_stats(l->ev, c);
    return 0;
}

static int lane_give(SeriesReader *r, size_t k, Column *c) {
    (void)k;
    InstantRun *run = (InstantRun *)r;
    return run->out->push(run->out, c);
}

int selector_columns(Eval *ev, const Node *n, const Grid *g, SelectorCells what, Sink *out) {
    Selection *sel;
    int r = selection_of(ev, n, &sel);
    if (r < 0)
        return r;
    const TimeShift *shift = &n->vector.shift;
    int64_t first = (shift->at == AT_TIME ? shift->at_ms : g->start) - shift->offset_ms;
    int64_t last = shift->at == AT_TIME ? first : first + (int64_t)(g->n - 1) * g->step;
    InstantRun run = {
        .reader = {.open = lane_open,
                   .close = lane_close,
                   .read = lane_read,
                   .give = lane_give,
                   .selector = n,
                   .n_series = sel->n,
                   .samples_each = samples_between(first - ev->lookback_ms, last)},
        .node = n,
        .grid = g,
        .selection = sel,
        .what = what,
        .first = first,
        .out = out,
    };
    return split_series(ev, &run.reader, g->n);
}

int sample_times(Eval *ev, const Selection *s, size_t k, const Grid *g, int64_t offset,
                 int64_t *times) {
    Scope scope;
    scope_init(&scope, ev);
    Column *c = column_new(&scope, g->n);
    InstantWalk w = {.ref = g->start - offset,
                     .ref_step = g->step,
                     .lookback = ev->lookback_ms,
                     .n = g->n,
                     .last_t = INT64_MIN,
                     .times = times};
    SampleIter *it = c ? series_set_iter(s->set, &s->series[k], NULL) : NULL;
    int r = c ? instant_column(&w, it, c, &scope) : -EINVAL;
    for (size_t i = 0; i < g->n && r == 0; i++) {
        if (!c->kind[i])
            times[i] = INT64_MIN;
        else if (c->kind[i] == CELL_HISTOGRAM)
            r = eval_fail(ev, PROMQL_EXECUTION, "info sample should be float");
    }
    sample_iter_free(it);
    scope_deinit(&scope);
    return r;
}
