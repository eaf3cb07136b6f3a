/*
 * From the parsed tree to the one that is evaluated: calls that are constants of the query become
 * numbers, duration expressions become milliseconds, start() and end() of @ become times, and what
 * does not change from step to step is wrapped so that it is evaluated once.
 */
#include "promql/engine/eval.h"

#include "base/clock.h"

typedef struct Planner {
    Eval *ev;
    Arena *arena;
    double step_s, range_s;
    int depth;
    /* What stands around: a function that needs no buckets; something that does. */
    bool counts_only, needs_buckets;
} Planner;

static void make_number(Node *n, double value) {
    n->kind = NODE_NUMBER;
    n->number.value = value;
    n->number.folded = true;
    n->number.duration_text = false;
}

static bool fold_call(Planner *p, Node *n) {
    Eval *ev = p->ev;
    switch (n->call.function->id) {
    case FN_START: make_number(n, (double)ev->grid.start / 1000); return true;
    case FN_END: make_number(n, (double)ev->end_ms / 1000); return true;
    case FN_RANGE: make_number(n, p->range_s); return true;
    case FN_STEP: make_number(n, ev->grid.start == ev->end_ms ? 0 : p->step_s); return true;
    default: return false;
    }
}

static int duration_fail(Planner *p, const DurExpr *d, const char *what) {
    return eval_fail(p->ev, PROMQL_BAD_DATA, "%u:%u: %s", d->start, d->end, what);
}

static int duration_value(Planner *p, const DurExpr *d, double *ret) {
    double l = 0, r = 0;
    int e;
    if (d->lhs && (e = duration_value(p, d->lhs, &l)) < 0)
        return e;
    if (d->rhs && (e = duration_value(p, d->rhs, &r)) < 0)
        return e;
    /* Unary forms keep their operand on whichever side the parser put it. */
    double only = d->rhs ? r : l;
    switch (d->kind) {
    case DUR_NUMBER: *ret = d->number; break;
    case DUR_ADD: *ret = l + r; break;
    case DUR_SUB: *ret = l - r; break;
    case DUR_MUL: *ret = l * r; break;
    case DUR_DIV:
        if (r == 0)
            return duration_fail(p, d, "division by zero");
        *ret = l / r;
        break;
    case DUR_MOD:
        if (r == 0)
            return duration_fail(p, d, "modulo by zero");
        *ret = fmod(l, r);
        break;
    case DUR_POW: *ret = pow(l, r); break;
    case DUR_NEG: *ret = -only; break;
    case DUR_PAREN: *ret = only; break;
    case DUR_STEP: *ret = p->step_s; break;
    case DUR_RANGE: *ret = p->range_s; break;
    case DUR_MIN_OF: *ret = go_min(l, r); break;
    case DUR_MAX_OF: *ret = go_max(l, r); break;
    }
    return 0;
}

static int resolve_duration(Planner *p, const DurExpr *d, bool negative, int64_t *ret_ms) {
    double s = 0;
    if (!d)
        return 0;
    int r = duration_value(p, d, &s);
    if (r < 0)
        return r;
    if (!isfinite(s))
        return duration_fail(p, d, "duration is NaN or infinite");
    if (s <= 0 && !negative)
        return duration_fail(p, d, "duration must be greater than 0");
    const double limit_s = 0x1p63 / 1e9; /* nanoseconds in 64 bits */
    if (s > limit_s || s < -limit_s)
        return duration_fail(p, d, "duration is out of range");
    *ret_ms = (int64_t)(s * 1000);
    return 0;
}

static int resolve_shift(Planner *p, TimeShift *t) {
    if (t->at == AT_START)
        t->at_ms = p->ev->grid.start;
    else if (t->at == AT_END)
        t->at_ms = p->ev->end_ms;
    if (t->at != AT_NONE)
        t->at = AT_TIME;
    /* No sample lies beyond, and ranges may be subtracted without thinking of the ends of int64. */
    t->at_ms = MAX(TIME_MIN_MS, MIN(TIME_MAX_MS, t->at_ms));
    return resolve_duration(p, t->offset_expr, true, &t->offset_ms);
}

static void unwrap(Node **n) {
    while (*n && (*n)->kind == NODE_PAREN)
        *n = (*n)->paren.expr;
}

static int wrap(Planner *p, Node **n) {
    Node *w = ARENA_NEW(p->arena, Node);
    if (!w)
        return eval_fail(p->ev, PROMQL_EXECUTION, "query is too large");
    *w = (Node){.kind = NODE_STEP_INVARIANT,
                .type = (*n)->type,
                .start = (*n)->start,
                .end = (*n)->end,
                .invariant = {*n}};
    *n = w;
    return 0;
}

/* What a part of the tree is: the same at every step, and worth wrapping then. */
typedef struct Constancy {
    bool invariant, wrap;
} Constancy;

static int plan(Planner *p, Node *n, Constancy *ret);

static bool uses_evaluation_time(FunctionId id) {
    switch (id) {
    case FN_DAYS_IN_MONTH:
    case FN_DAY_OF_MONTH:
    case FN_DAY_OF_WEEK:
    case FN_DAY_OF_YEAR:
    case FN_HOUR:
    case FN_MINUTE:
    case FN_MONTH:
    case FN_YEAR:
    case FN_PREDICT_LINEAR:
    case FN_TIME:
    case FN_TIMESTAMP: return true;
    default: return false;
    }
}

static int plan_call(Planner *p, Node *n, Constancy *ret) {
    Constancy all[32] = {0}, *c = all;
    if (n->call.n_args > ARRAY_LEN(all)) {
        c = ARENA_ARRAY(p->arena, Constancy, n->call.n_args);
        if (!c)
            return eval_fail(p->ev, PROMQL_EXECUTION, "query is too large");
    }
    FunctionId id = n->call.function->id;
    bool invariant = !uses_evaluation_time(id), timestamp_of_selector = id == FN_TIMESTAMP;
    for (size_t i = 0; i < n->call.n_args; i++) {
        unwrap(&n->call.args[i]);
        int r = plan(p, n->call.args[i], &c[i]);
        if (r < 0)
            return r;
        invariant &= c[i].invariant;
        timestamp_of_selector &= c[i].invariant && n->call.args[i]->kind == NODE_VECTOR_SELECTOR;
    }
    *ret = (Constancy){true, true};
    if (invariant || timestamp_of_selector)
        return 0;
    for (size_t i = 0; i < n->call.n_args; i++)
        if (c[i].wrap && wrap(p, &n->call.args[i]) < 0)
            return -EINVAL;
    *ret = (Constancy){false, false};
    return 0;
}

static int plan_binary(Planner *p, Node *n, Constancy *ret) {
    Constancy l, r;
    int e = plan(p, n->binary.lhs, &l);
    if (e < 0 || (e = plan(p, n->binary.rhs, &r)) < 0)
        return e;
    if (l.invariant && r.invariant) {
        *ret = (Constancy){true, true};
        return 0;
    }
    if (l.wrap && (e = wrap(p, &n->binary.lhs)) < 0)
        return e;
    if (r.wrap && (e = wrap(p, &n->binary.rhs)) < 0)
        return e;
    *ret = (Constancy){false, false};
    return 0;
}

static int plan_subquery(Planner *p, Node *n, Constancy *ret) {
    Constancy inner;
    int r = resolve_shift(p, &n->subquery.shift);
    if (r < 0 ||
        (r = resolve_duration(p, n->subquery.range_expr, false, &n->subquery.range_ms)) < 0 ||
        (r = resolve_duration(p, n->subquery.step_expr, false, &n->subquery.step_ms)) < 0 ||
        (r = plan(p, n->subquery.expr, &inner)) < 0)
        return r;
    if (inner.invariant && (r = wrap(p, &n->subquery.expr)) < 0)
        return r;
    *ret = (Constancy){n->subquery.shift.at != AT_NONE, false};
    return 0;
}

static int plan_aggregate(Planner *p, Node *n, Constancy *ret) {
    unwrap(&n->aggregate.expr);
    unwrap(&n->aggregate.param);
    Constancy param = {true, false}, inner;
    int r = n->aggregate.param ? plan(p, n->aggregate.param, &param) : 0;
    if (r < 0 || (r = plan(p, n->aggregate.expr, &inner)) < 0)
        return r;
    /* As in Prometheus, the parameter has no say: it is evaluated as often as the vector. */
    *ret = inner;
    return 0;
}

/*
 * Where only counts and sums are asked for, Prometheus reads histograms without buckets, and so
 * that resets stay known looks for them as it reads. The hints it finds are seen in warnings about
 * conflicting ones.
 */
static void look_around(Planner *p, const Node *n) {
    if (n->kind == NODE_SUBQUERY)
        p->needs_buckets = true;
    if (n->kind == NODE_BINARY)
        p->needs_buckets |= n->binary.op == OP_TRIM_UPPER || n->binary.op == OP_TRIM_LOWER;
    if (n->kind != NODE_CALL)
        return;
    switch (n->call.function->id) {
    case FN_HISTOGRAM_COUNT:
    case FN_HISTOGRAM_SUM:
    case FN_HISTOGRAM_AVG: p->counts_only = true; break;
    case FN_HISTOGRAM_QUANTILE:
    case FN_HISTOGRAM_QUANTILES:
    case FN_HISTOGRAM_FRACTION: p->needs_buckets = true; break;
    default: break;
    }
}

static int plan_node(Planner *p, Node *n, Constancy *ret) {
    int r;
    if (n->kind == NODE_CALL && fold_call(p, n)) {
        *ret = (Constancy){true, false};
        return 0;
    }
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: *ret = (Constancy){true, false}; return 0;
    case NODE_VECTOR_SELECTOR:
        n->vector.detect_resets = p->counts_only && !p->needs_buckets;
        r = resolve_shift(p, &n->vector.shift);
        *ret = (Constancy){n->vector.shift.at != AT_NONE, n->vector.shift.at != AT_NONE};
        return r;
    case NODE_MATRIX_SELECTOR:
        r = plan(p, n->matrix.vector, ret);
        ret->wrap = false;
        return r < 0 ? r : resolve_duration(p, n->matrix.range_expr, false, &n->matrix.range_ms);
    case NODE_SUBQUERY: return plan_subquery(p, n, ret);
    case NODE_PAREN: return plan(p, n->paren.expr, ret);
    case NODE_UNARY: return plan(p, n->unary.expr, ret);
    case NODE_BINARY: return plan_binary(p, n, ret);
    case NODE_AGGREGATE: return plan_aggregate(p, n, ret);
    case NODE_CALL: return plan_call(p, n, ret);
    case NODE_STEP_INVARIANT: *ret = (Constancy){true, false}; return 0;
    }
    return eval_fail(p->ev, PROMQL_INTERNAL, "unknown kind of node %d", n->kind);
}

static int plan(Planner *p, Node *n, Constancy *ret) {
    bool counts_only = p->counts_only, needs_buckets = p->needs_buckets;
    look_around(p, n);
    int r = plan_node(p, n, ret);
    p->counts_only = counts_only;
    p->needs_buckets = needs_buckets;
    return r;
}

int plan_tree(Eval *ev, Arena *a, Node **root) {
    Planner p = {.ev = ev,
                 .arena = a,
                 .step_s = ev->instant ? 0 : (double)ev->grid.step / 1000,
                 .range_s = (double)(ev->end_ms - ev->grid.start) / 1000};
    Constancy c = {false, false};
    int r = plan(&p, *root, &c);
    return r < 0 || !c.wrap ? r : wrap(&p, root);
}
