#include "promql/engine/call.h"

typedef struct FunctionImpl {
    VectorFunction vector;
    ScalarFunction scalar;
    MapFunction map;
    RangeKernel range;
} FunctionImpl;

/* ORDER FUNCTIONS: one row for each of functions.def that is not folded into a number by the plan.
 */
static const FunctionImpl functions[FN_COUNT] = {
#define X(id, name) [FN_##id] = {.map = map_##name},
    MATH_FUNCTIONS(X)
#undef X
        [FN_ROUND] = {.vector = call_round},
    [FN_CLAMP] = {.vector = call_clamp},
    [FN_CLAMP_MIN] = {.vector = call_clamp},
    [FN_CLAMP_MAX] = {.vector = call_clamp},
    [FN_ABSENT] = {.vector = call_absent},
    [FN_ABSENT_OVER_TIME] = {.vector = call_absent_over_time},
    [FN_SCALAR] = {.scalar = scalar_scalar},
    [FN_VECTOR] = {.vector = call_vector},
    [FN_TIME] = {.scalar = scalar_time},
    [FN_PI] = {.scalar = scalar_pi},
    [FN_TIMESTAMP] = {.vector = call_timestamp},
    [FN_START_TIMESTAMP] = {.vector = call_start_timestamp},
    [FN_YEAR] = {.vector = call_date},
    [FN_MONTH] = {.vector = call_date},
    [FN_DAY_OF_MONTH] = {.vector = call_date},
    [FN_DAY_OF_WEEK] = {.vector = call_date},
    [FN_DAY_OF_YEAR] = {.vector = call_date},
    [FN_DAYS_IN_MONTH] = {.vector = call_date},
    [FN_HOUR] = {.vector = call_date},
    [FN_MINUTE] = {.vector = call_date},
    [FN_RATE] = {.range = kernel_rate},
    [FN_INCREASE] = {.range = kernel_rate},
    [FN_DELTA] = {.range = kernel_rate},
    [FN_IRATE] = {.range = kernel_irate},
    [FN_IDELTA] = {.range = kernel_irate},
    [FN_RESETS] = {.range = kernel_resets},
    [FN_CHANGES] = {.range = kernel_changes},
    [FN_DERIV] = {.range = kernel_deriv},
    [FN_PREDICT_LINEAR] = {.range = kernel_predict_linear},
    [FN_AVG_OVER_TIME] = {.range = kernel_avg},
    [FN_SUM_OVER_TIME] = {.range = kernel_sum},
    [FN_MIN_OVER_TIME] = {.range = kernel_min_max},
    [FN_MAX_OVER_TIME] = {.range = kernel_min_max},
    [FN_STDDEV_OVER_TIME] = {.range = kernel_variance},
    [FN_STDVAR_OVER_TIME] = {.range = kernel_variance},
    [FN_QUANTILE_OVER_TIME] = {.range = kernel_quantile},
    [FN_COUNT_OVER_TIME] = {.range = kernel_count},
    [FN_PRESENT_OVER_TIME] = {.range = kernel_present},
    [FN_LAST_OVER_TIME] = {.range = kernel_first_last},
    [FN_FIRST_OVER_TIME] = {.range = kernel_first_last},
    [FN_HISTOGRAM_COUNT] = {.vector = call_histogram_value},
    [FN_HISTOGRAM_SUM] = {.vector = call_histogram_value},
    [FN_HISTOGRAM_AVG] = {.vector = call_histogram_value},
    [FN_HISTOGRAM_STDDEV] = {.vector = call_histogram_value},
    [FN_HISTOGRAM_STDVAR] = {.vector = call_histogram_value},
    [FN_HISTOGRAM_QUANTILE] = {.vector = call_histogram_quantile},
    [FN_HISTOGRAM_FRACTION] = {.vector = call_histogram_fraction},
    [FN_HISTOGRAM_QUANTILES] = {.vector = call_histogram_quantiles},
    [FN_LABEL_REPLACE] = {.vector = call_label_replace},
    [FN_LABEL_JOIN] = {.vector = call_label_join},
    [FN_SORT] = {.vector = call_sort},
    [FN_SORT_DESC] = {.vector = call_sort},
    [FN_SORT_BY_LABEL] = {.vector = call_sort_by_label},
    [FN_SORT_BY_LABEL_DESC] = {.vector = call_sort_by_label},
    [FN_INFO] = {.vector = call_info},
    [FN_DOUBLE_EXPONENTIAL_SMOOTHING] = {.range = kernel_smoothing},
    [FN_MAD_OVER_TIME] = {.range = kernel_mad},
    [FN_TS_OF_MIN_OVER_TIME] = {.range = kernel_ts_of_min_max},
    [FN_TS_OF_MAX_OVER_TIME] = {.range = kernel_ts_of_min_max},
    [FN_TS_OF_FIRST_OVER_TIME] = {.range = kernel_ts_of_first_last},
    [FN_TS_OF_LAST_OVER_TIME] = {.range = kernel_ts_of_first_last},
    [FN_MAX_OF] = {.scalar = scalar_extreme},
    [FN_MIN_OF] = {.scalar = scalar_extreme},
};

static int map_push(Sink *s, Column *c) {
    MapSink *m = (MapSink *)s;
    column_drop_histograms(c);
    m->change(m, c);
    if (!column_count(c))
        return 0;
    if (column_drop_name(m->ev, c) < 0 ||
        (m->check_dup && dup_check_add(&m->dup, c, 0, false, SAME_LABELSET) < 0))
        return -EINVAL;
    return m->next->push(m->next, c);
}

int eval_map(MapSink *m, const Node *vector, const Grid *g) {
    Scope scope;
    scope_init(&scope, m->ev);
    m->sink.push = map_push;
    m->check_dup = !m->ev->o->delayed_name_removal && !name_is_pinned(m->ev, vector);
    dup_check_init(&m->dup, &scope);
    int r = eval_vector(m->ev, vector, g, &m->sink);
    dup_check_deinit(&m->dup);
    scope_deinit(&scope);
    return r;
}

static void change_by_map(MapSink *m, Column *c) { m->map(c->v, c->n); }

static int not_evaluated(Eval *ev, const Node *call) {
    return eval_fail(ev, PROMQL_EXECUTION, "function %s() is not evaluated yet",
                     call->call.function->name);
}

int eval_call(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    const FunctionImpl *f = &functions[n->call.function->id];
    if (f->vector)
        return f->vector(ev, n, g, out);
    if (f->range)
        return eval_range_call(ev, n, g, f->range, out);
    if (!f->map)
        return not_evaluated(ev, n);
    MapSink m = {.ev = ev, .call = n, .next = out, .change = change_by_map, .map = f->map};
    return eval_map(&m, n->call.args[0], g);
}

int eval_call_scalar(Eval *ev, const Node *n, const Grid *g, double *ret) {
    const FunctionImpl *f = &functions[n->call.function->id];
    return f->scalar ? f->scalar(ev, n, g, ret) : not_evaluated(ev, n);
}

int eval_vector_selector(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    if (n->vector.smoothed)
        return smoothed_columns(ev, n, g, out);
    return selector_columns(ev, n, g, SELECTOR_SAMPLES, out);
}
