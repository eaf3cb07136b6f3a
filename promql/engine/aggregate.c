/*
 * Foldings: each column goes into its group's running values as it arrives, in the order the
 * storage gives series, which is the order Prometheus adds them in.
 */
#include "promql/engine/aggregate.h"

#include <float.h>

#include "promql/engine/binary.h"

#include "promql/engine/fn_native.h"

void grouping_init(Grouping *g, Eval *ev, const Node *node, Scope *scope) {
    *g = (Grouping){.ev = ev, .node = node, .scope = scope, .key = BUF_INIT(0)};
}

void grouping_deinit(Grouping *g) {
    str_map_deinit(&g->map);
    buf_deinit(&g->key);
}

int grouping_index(Grouping *g, Labels l, size_t *ret, bool *ret_new) {
    const Node *n = g->node;
    buf_reset(&g->key);
    labels_key(&g->key, l, n->aggregate.grouping, n->aggregate.n_grouping, !n->aggregate.without);
    Str key = buf_str(&g->key);
    if (!key.p)
        key = STR("");
    uintptr_t at = (uintptr_t)str_map_get(&g->map, key);
    *ret_new = !at;
    if (!at) {
        key = scope_str(g->scope, key);
        if (!key.p)
            return -EINVAL;
        bool is_new;
        at = ++g->n;
        *str_map_put(&g->map, key, &is_new) = (void *)at;
    }
    *ret = at - 1;
    return 0;
}

int grouping_labels(Grouping *g, Labels l, Labels *ret) {
    const Node *n = g->node;
    return labels_match(&g->ev->scope, l, n->aggregate.grouping, n->aggregate.n_grouping,
                        !n->aggregate.without, ret);
}

void annotate_ignored_in(Eval *ev, const Node *at, AggregateOp op) {
    annotate(ev, ANNOTATION_INFO, at, "ignored histogram in %s aggregation", aggregate_op_text(op));
}

/* Running values of one group, an array over steps each; which are used depends on the operator. */
typedef struct Group {
    Labels labels;
    Labels first; /* of its series the first by labels, when they come in any order */
    bool drop_name;
    uint8_t *kind;    /* kinds met, or'ed */
    uint8_t *running; /* avg: the sum would have overflown, mean is running */
    double *value, *c, *count;
    VEC(Column *) columns; /* quantile */
    NativeSum **native;    /* sum, avg: per step with histograms */
} Group;

typedef struct Fold {
    Sink sink;
    Eval *ev;
    const Node *node;
    AggregateOp op;
    bool any_order;
    size_t n;
    Scope scope;
    Grouping grouping;
    VEC(Group *) groups;
    double *scratch;
} Fold;

static double *filled_array(Scope *s, size_t n, double v) {
    double *a = SCOPE_ARRAY(s, double, n);
    for (size_t i = 0; a && i < n; i++)
        a[i] = v;
    return a;
}

static Group *group_new(Fold *f, Labels l) {
    Scope *s = &f->scope;
    Group *g = SCOPE_NEW(s, Group);
    if (!g || grouping_labels(&f->grouping, l, &g->labels) < 0 ||
        !(g->kind = SCOPE_ZARRAY(s, uint8_t, f->n)))
        return NULL;
    bool ok = true;
    switch (f->op) {
    case AGG_AVG:
        ok = (g->running = SCOPE_ZARRAY(s, uint8_t, f->n)) && (g->count = filled_array(s, f->n, 0));
        /* fallthrough */
    case AGG_SUM: /* -0 is what any first value, -0 too, can be added to and stays itself */
        ok = ok && (g->value = filled_array(s, f->n, -0.0)) && (g->c = filled_array(s, f->n, 0));
        break;
    case AGG_MIN:
    case AGG_MAX: ok = (g->value = filled_array(s, f->n, normal_nan())) != NULL; break;
    case AGG_COUNT:
    case AGG_GROUP: ok = (g->count = filled_array(s, f->n, 0)) != NULL; break;
    case AGG_STDDEV:
    case AGG_STDVAR:
        ok = (g->value = filled_array(s, f->n, 0)) && (g->c = filled_array(s, f->n, 0)) &&
             (g->count = filled_array(s, f->n, 0));
        break;
    default: break;
    }
    vec_push(&f->groups, g);
    return ok ? g : NULL;
}

/* kahan_add() without branches, so that it runs several steps at once. */
static inline double kahan_next(double sum, double inc, double *c) {
    double t = sum + inc;
    bool swap = fabs(sum) < fabs(inc) || isnan(sum) || isnan(inc);
    double big = swap ? inc : sum, small = swap ? sum : inc;
    double next = *c + ((big - t) + small);
    *c = fabs(t) > __DBL_MAX__ ? 0 : next;
    return t;
}

static void fold_sum(Group *g, const Column *c) {
    double *restrict sum = g->value, *restrict comp = g->c;
    const double *restrict v = c->v;
    if (column_all_float(c)) {
        for (size_t i = 0; i < c->n; i++)
            sum[i] = kahan_next(sum[i], v[i], &comp[i]);
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->kind[i] == CELL_FLOAT)
            sum[i] = kahan_next(sum[i], v[i], &comp[i]);
}

static void fold_avg(Group *g, const Column *c) {
    for (size_t i = 0; i < c->n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        double n = ++g->count[i], v = c->v[i];
        if (n == 1) {
            g->value[i] = v;
            continue;
        }
        if (!g->running[i]) {
            double sum = g->value[i], comp = g->c[i];
            kahan_add(v, &sum, &comp);
            if (!isinf(sum)) {
                g->value[i] = sum;
                g->c[i] = comp;
                continue;
            }
            g->running[i] = true;
            g->value[i] /= n - 1;
            g->c[i] /= n - 1;
        }
        double q = (n - 1) / n;
        g->value[i] *= q;
        g->c[i] *= q;
        kahan_add(v / n, &g->value[i], &g->c[i]);
    }
}

static void fold_min_max(Group *g, const Column *c, bool max) {
    double *restrict best = g->value;
    for (size_t i = 0; i < c->n; i++) {
        double v = c->v[i], b = best[i];
        bool better = (max ? b < v : b > v) || isnan(b);
        best[i] = better && c->kind[i] == CELL_FLOAT ? v : b;
    }
}

static void fold_count(Group *g, const Column *c) {
    for (size_t i = 0; i < c->n; i++)
        g->count[i] += c->kind[i] != CELL_NONE;
}

/* Welford's running variance. */
static void fold_variance(Group *g, const Column *c) {
    for (size_t i = 0; i < c->n; i++) {
        if (c->kind[i] != CELL_FLOAT)
            continue;
        double v = c->v[i];
        if (++g->count[i] == 1) {
            g->c[i] = v;
            g->value[i] = isfinite(v) ? 0 : normal_nan();
            continue;
        }
        double delta = v - g->c[i];
        g->c[i] += delta / g->count[i];
        g->value[i] += delta * (v - g->c[i]);
    }
}

static bool takes_histograms(AggregateOp op) {
    return op == AGG_SUM || op == AGG_AVG || op == AGG_COUNT || op == AGG_GROUP;
}

/* Histograms of a column go into sums of their own; a mix with floats is judged at the end. */
static int fold_native(Fold *f, Group *g, const Column *c) {
    Scope *s = &f->scope;
    if (!g->native && !(g->native = SCOPE_ZARRAY(s, NativeSum *, f->n)))
        return -EINVAL;
    for (size_t i = 0; i < c->n; i++) {
        if (c->kind[i] != CELL_HISTOGRAM)
            continue;
        NativeSum *sum = g->native[i];
        if (!sum) {
            if (!(sum = g->native[i] = SCOPE_NEW(s, NativeSum)))
                return -EINVAL;
            sum->mean = f->op == AGG_AVG;
        }
        bool before = sum->notes.incompatible;
        if (native_sum_add(s, sum, c->h[i]) < 0 || eval_tick(f->ev, 64) < 0)
            return -EINVAL;
        if (sum->notes.incompatible && !before)
            annotate_mixed_buckets(f->ev, f->node->aggregate.expr, c->labels);
    }
    return 0;
}

static int fold_column(Fold *f, Group *g, Column *c) {
    if (c->h && (f->op == AGG_SUM || f->op == AGG_AVG) && fold_native(f, g, c) < 0)
        return -EINVAL;
    switch (f->op) {
    case AGG_SUM: fold_sum(g, c); return 0;
    case AGG_AVG: fold_avg(g, c); return 0;
    case AGG_MIN: fold_min_max(g, c, false); return 0;
    case AGG_MAX: fold_min_max(g, c, true); return 0;
    case AGG_COUNT: fold_count(g, c); return 0;
    case AGG_STDDEV:
    case AGG_STDVAR: fold_variance(g, c); return 0;
    case AGG_QUANTILE: {
        Column *copy = column_copy(&f->scope, c);
        if (!copy)
            return -EINVAL;
        vec_push(&g->columns, copy);
        return 0;
    }
    default: return 0;
    }
}

static int fold_push(Sink *s, Column *c) {
    Fold *f = (Fold *)s;
    size_t at;
    bool is_new;
    if (c->h && !takes_histograms(f->op)) {
        annotate_ignored_in(f->ev, f->node->aggregate.expr, f->op);
        column_drop_histograms(c);
    }
    if (grouping_index(&f->grouping, c->labels, &at, &is_new) < 0)
        return -EINVAL;
    Group *g = is_new ? group_new(f, c->labels) : f->groups.v[at];
    if (!g)
        return -EINVAL;
    g->drop_name |= c->drop_name;
    if (f->any_order && (is_new || labels_cmp(c->labels, g->first) < 0))
        g->first = c->labels;
    for (size_t i = 0; i < c->n; i++)
        g->kind[i] |= c->kind[i];
    return fold_column(f, g, c);
}

/* ---- results */

static double quantile_at(Fold *f, const Group *g, size_t i, double phi) {
    size_t n = 0;
    for (size_t k = 0; k < g->columns.n; k++)
        if (g->columns.v[k]->kind[i] == CELL_FLOAT)
            f->scratch[n++] = g->columns.v[k]->v[i];
    return quantile_of(phi, f->scratch, n);
}

static double result_at(Fold *f, const Group *g, size_t i, const double *param) {
    switch (f->op) {
    case AGG_SUM: return g->value[i] + g->c[i];
    case AGG_AVG:
        if (g->running[i])
            return g->value[i] + g->c[i];
        return g->value[i] / g->count[i] + g->c[i] / g->count[i];
    case AGG_COUNT: return g->count[i];
    case AGG_GROUP: return 1;
    case AGG_STDVAR: return g->value[i] / g->count[i];
    case AGG_STDDEV: return sqrt(g->value[i] / g->count[i]);
    case AGG_QUANTILE: return quantile_at(f, g, i, param[i]);
    default: return g->value[i];
    }
}

/* Sums and averages of histograms, and of a mix, which gives nothing. */
static int native_result(Fold *f, Column *out, const Group *g, size_t i) {
    const Node *at = f->node->aggregate.expr;
    NativeSum *sum = g->native[i];
    out->kind[i] = CELL_NONE;
    if (g->kind[i] != CELL_HISTOGRAM) {
        annotate(f->ev, ANNOTATION_WARNING, at,
                 "encountered a mix of histograms and floats for aggregation");
        return 0;
    }
    if (sum->notes.incompatible)
        return 0;
    sum->notes.reset_conflict = sum->saw_reset && sum->saw_no_reset;
    annotate_notes(f->ev, at, &sum->notes, "aggregation");
    native_sum_finish(sum);
    if (column_need_histograms(&f->scope, out) < 0)
        return -EINVAL;
    out->kind[i] = CELL_HISTOGRAM;
    out->h[i] = native_to_histogram(&f->scope, &sum->value);
    return out->h[i] ? 0 : -EINVAL;
}

static int push_group(Fold *f, Group *g, Column *out, const double *param, Sink *next) {
    out->labels = g->labels;
    out->drop_name = g->drop_name;
    out->h = NULL;
    for (size_t i = 0; i < f->n; i++) {
        out->kind[i] = g->kind[i] ? CELL_FLOAT : CELL_NONE;
        if (!g->kind[i])
            continue;
        if (eval_tick(f->ev, g->columns.n) < 0)
            return -EINVAL;
        if (g->native && g->native[i]) {
            if (native_result(f, out, g, i) < 0)
                return -EINVAL;
        } else {
            out->v[i] = result_at(f, g, i, param);
        }
    }
    return column_count(out) ? next->push(next, out) : 0;
}

/* A NaN among them makes the smallest and the largest NaN too, which are then not told of. */
static void annotate_phi(Eval *ev, const Node *n, const double *phi, size_t steps) {
    const Node *at = n->aggregate.param;
    double max = -DBL_MAX, min = DBL_MAX;
    bool nan = false;
    for (size_t i = 0; i < steps; i++) {
        nan |= isnan(phi[i]);
        max = go_max(max, phi[i]);
        min = go_min(min, phi[i]);
    }
    if (nan)
        annotate_quantile(ev, at, normal_nan());
    if (max > 1)
        annotate_quantile(ev, at, max);
    if (min < 0)
        annotate_quantile(ev, at, min);
}

bool aggregate_takes_any_order(const Node *n) {
    if (n->aggregate.op != AGG_COUNT && n->aggregate.op != AGG_GROUP)
        return false;
    const Node *x = node_unwrap(n->aggregate.expr);
    while (x->kind == NODE_BINARY && op_is_comparison(x->binary.op)) {
        bool scalar_left = x->binary.lhs->type == PROMQL_SCALAR;
        if (!scalar_left && x->binary.rhs->type != PROMQL_SCALAR)
            return false;
        x = node_unwrap(scalar_left ? x->binary.rhs : x->binary.lhs);
    }
    return x->kind == NODE_VECTOR_SELECTOR && !x->vector.smoothed;
}

static int cmp_groups(const void *a, const void *b) {
    return labels_cmp((*(Group *const *)a)->first, (*(Group *const *)b)->first);
}

static int push_groups(Fold *f, const Grid *g, const double *param, Sink *out) {
    Column *c = column_new(&f->scope, g->n);
    size_t most = 0;
    for (size_t i = 0; i < f->groups.n; i++)
        most = MAX(most, f->groups.v[i]->columns.n);
    f->scratch = SCOPE_ARRAY(&f->scope, double, most + 1);
    int r = c && f->scratch ? 0 : -EINVAL;
    if (f->any_order && f->groups.n > 1) /* as if series had come sorted */
        qsort(f->groups.v, f->groups.n, sizeof(*f->groups.v), cmp_groups);
    for (size_t i = 0; i < f->groups.n && r == 0; i++)
        r = push_group(f, f->groups.v[i], c, param, out);
    return r;
}

static int eval_fold(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    Fold f = {.sink = {fold_push}, .ev = ev, .node = n, .op = n->aggregate.op, .n = g->n};
    f.any_order = aggregate_takes_any_order(n);
    scope_init(&f.scope, ev);
    grouping_init(&f.grouping, ev, n, &f.scope);
    const double *param = NULL;
    int r = 0;
    if (f.op == AGG_QUANTILE) {
        param = eval_scalar_column(ev, &f.scope, n->aggregate.param, g);
        r = param ? 0 : -EINVAL;
    }
    if (r == 0)
        r = eval_vector(ev, n->aggregate.expr, g, &f.sink);
    if (r == 0 && param)
        annotate_phi(ev, n, param, g->n);
    if (r == 0)
        r = push_groups(&f, g, param, out);
    for (size_t i = 0; i < f.groups.n; i++)
        vec_free(&f.groups.v[i]->columns);
    vec_free(&f.groups);
    grouping_deinit(&f.grouping);
    scope_deinit(&f.scope);
    return r;
}

int eval_aggregate(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    switch (n->aggregate.op) {
    case AGG_TOPK:
    case AGG_BOTTOMK: return eval_aggregate_select(ev, n, g, out);
    case AGG_LIMITK:
    case AGG_LIMIT_RATIO: return eval_limit(ev, n, g, out);
    case AGG_COUNT_VALUES: return eval_count_values(ev, n, g, out);
    default: return eval_fold(ev, n, g, out);
    }
}
