/*
 * The walk over the planned tree. Each node's columns pass a meter on their way out, which counts
 * samples against the budget and asks whether to go on; when a node is done what its children held
 * is released.
 */
#include "promql/engine/eval.h"

#include "promql/engine/native.h"
#include "promql/engine/profile.h"
#include "promql/engine/range_window.h"
#include "promql/engine/share.h"

#define DEPTH_MAX 2000

typedef struct Meter {
    Sink sink;
    Eval *ev;
    Sink *next;
    uint64_t held;
    NodeProfile *profile, *outer; /* of the node, of who asked */
} Meter;

static int meter_push(Sink *s, Column *c) {
    Meter *m = (Meter *)s;
    uint64_t n = column_weight(c);
    if (!n)
        return 0;
    m->held += n;
    int r = eval_samples_add(m->ev, n);
    if (r < 0 || (r = eval_check(m->ev)) < 0)
        return r;
    if (LIKELY(!m->ev->profile))
        return m->next->push(m->next, c);
    if (m->profile)
        m->profile->series++;
    NodeProfile *from = profile_give(m->ev, m->outer);
    r = m->next->push(m->next, c);
    profile_leave(m->ev, from);
    return r;
}

const Node *node_unwrap(const Node *n) {
    while (n->kind == NODE_PAREN || n->kind == NODE_STEP_INVARIANT)
        n = n->paren.expr;
    return n;
}

Str node_string(const Node *n) {
    n = node_unwrap(n);
    return n->kind == NODE_STRING ? n->string.value : STR_NULL;
}

void annotate(Eval *ev, AnnotationKind kind, const Node *at, const char *fmt, ...) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    annotations_add(&ev->annotations, kind, at->start, buf_str(&b));
}

/* ---- what is the same at every step */

typedef struct RepeatSink {
    Sink sink;
    Column *wide;
    Sink *next;
    Scope *scope;
} RepeatSink;

static int repeat_push(Sink *s, Column *c) {
    RepeatSink *r = (RepeatSink *)s;
    Column *w = r->wide;
    w->labels = c->labels;
    w->drop_name = c->drop_name;
    w->h = NULL;
    memset(w->kind, c->kind[0], w->n);
    if (c->kind[0] == CELL_HISTOGRAM) {
        if (column_need_histograms(r->scope, w) < 0)
            return -EINVAL;
        for (size_t i = 0; i < w->n; i++)
            w->h[i] = c->h[0];
    }
    for (size_t i = 0; i < w->n; i++)
        w->v[i] = c->v[0];
    return r->next->push(r->next, w);
}

/* Its samples count at every step. */
static void repeat_stats(Eval *ev, const StatsFrame *inner, size_t n) {
    StatsFrame *s = ev->stats;
    s->total += inner->total * n;
    for (size_t i = 0; s->per_step && i < n; i++)
        s->per_step[i] += inner->total;
    s->read += inner->read;
}

static int eval_invariant(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    Grid once = {g->start, g->step, 1};
    if (g->n == 1)
        return eval_vector(ev, n->invariant.expr, g, out);
    Scope scope;
    scope_init(&scope, ev);
    RepeatSink sink = {{repeat_push}, column_new(&scope, g->n), out, &scope};
    StatsFrame inner = {0}, *outer = ev->stats;
    ev->stats = &inner;
    int r = sink.wide ? eval_vector(ev, n->invariant.expr, &once, &sink.sink) : -EINVAL;
    ev->stats = outer;
    repeat_stats(ev, &inner, g->n);
    scope_deinit(&scope);
    return r;
}

static int invariant_scalar(Eval *ev, const Node *n, const Grid *g, double *ret) {
    Grid once = {g->start, g->step, 1};
    StatsFrame inner = {0}, *outer = ev->stats;
    ev->stats = &inner;
    int r = eval_scalar(ev, n->invariant.expr, &once, ret);
    ev->stats = outer;
    repeat_stats(ev, &inner, g->n);
    for (size_t i = 1; i < g->n; i++)
        ret[i] = ret[0];
    return r;
}

/* ---- unary minus */

typedef struct NegateSink {
    Sink sink;
    Eval *ev;
    Sink *next;
    Scope per_series; /* for histograms */
    DupCheck dup;
    bool check_dup;
} NegateSink;

static int negate_push(Sink *s, Column *c) {
    NegateSink *k = (NegateSink *)s;
    scope_reset(&k->per_series);
    for (size_t i = 0; c->h && i < c->n; i++) {
        Native n;
        if (c->kind[i] != CELL_HISTOGRAM)
            continue;
        if (native_of(&k->per_series, c->h[i], &n) < 0)
            return -EINVAL;
        native_mul(&n, -1);
        if (!(c->h[i] = native_to_histogram(&k->per_series, &n)))
            return -EINVAL;
    }
    for (size_t i = 0; i < c->n; i++)
        c->v[i] = -c->v[i];
    if (column_drop_name(k->ev, c) < 0 ||
        (k->check_dup && dup_check_add(&k->dup, c, 0, false, SAME_LABELSET) < 0))
        return -EINVAL;
    return k->next->push(k->next, c);
}

static int eval_unary(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    if (!n->unary.minus)
        return eval_vector(ev, n->unary.expr, g, out);
    Scope scope;
    scope_init(&scope, ev);
    NegateSink k = {.sink = {negate_push}, .ev = ev, .next = out};
    k.check_dup = !ev->o->delayed_name_removal && !name_is_pinned(ev, n->unary.expr);
    scope_init(&k.per_series, ev);
    dup_check_init(&k.dup, &scope);
    int r = eval_vector(ev, n->unary.expr, g, &k.sink);
    dup_check_deinit(&k.dup);
    scope_deinit(&k.per_series);
    scope_deinit(&scope);
    return r;
}

/* ---- dispatch */

static int eval_node(Eval *ev, const Node *n, const Grid *g, Sink *out);

static int eval_kind(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    switch (n->kind) {
    case NODE_VECTOR_SELECTOR: return eval_vector_selector(ev, n, g, out);
    case NODE_PAREN: return eval_node(ev, n->paren.expr, g, out);
    case NODE_STEP_INVARIANT: return eval_invariant(ev, n, g, out);
    case NODE_UNARY: return eval_unary(ev, n, g, out);
    case NODE_BINARY: return eval_binary(ev, n, g, out);
    case NODE_AGGREGATE: return eval_aggregate(ev, n, g, out);
    case NODE_CALL: return eval_call(ev, n, g, out);
    default:
        return eval_fail(ev, PROMQL_INTERNAL, "%s cannot be evaluated as a vector",
                         promql_type_text(n->type));
    }
}

static int eval_node(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    if (UNLIKELY(n->shared))
        return shares_eval(ev, n, g, out, eval_kind);
    return eval_kind(ev, n, g, out);
}

static int enter(Eval *ev) {
    if (++ev->depth > DEPTH_MAX)
        return eval_fail(ev, PROMQL_EXECUTION, "query is nested too deeply");
    return eval_check(ev);
}

/* What counts a node's columns: for one that is wrapped the evaluation of what is inside does. */
static NodeProfile *counts_for(Eval *ev, const Node *n) {
    while (n->kind == NODE_PAREN)
        n = n->paren.expr;
    bool counted = n->kind == NODE_STEP_INVARIANT || n->kind == NODE_VECTOR_SELECTOR;
    return counted ? NULL : profile_of(ev, n);
}

int eval_vector(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    Meter m = {.sink = {meter_push}, .ev = ev, .next = out};
    uint64_t held = ev->samples_current;
    if (ev->profile) {
        m.profile = counts_for(ev, n);
        m.outer = profile_enter(ev, n);
    }
    int r = enter(ev);
    if (r == 0 && g->n)
        r = eval_node(ev, n, g, &m.sink);
    profile_leave(ev, m.outer);
    ev->samples_current = held + m.held;
    ev->depth--;
    return r;
}

static int scalar_binary(Eval *ev, const Node *n, const Grid *g, double *ret) {
    Scope scope;
    scope_init(&scope, ev);
    double *rhs = SCOPE_ARRAY(&scope, double, g->n);
    int r = rhs ? eval_scalar(ev, n->binary.lhs, g, ret) : -EINVAL;
    if (r == 0 && (r = eval_scalar(ev, n->binary.rhs, g, rhs)) == 0)
        binary_scalars(n->binary.op, ret, rhs, ret, g->n);
    scope_deinit(&scope);
    return r;
}

static int scalar_node(Eval *ev, const Node *n, const Grid *g, double *ret) {
    int r;
    switch (n->kind) {
    case NODE_NUMBER:
        for (size_t i = 0; i < g->n; i++)
            ret[i] = n->number.value;
        return 0;
    case NODE_PAREN: return scalar_node(ev, n->paren.expr, g, ret);
    case NODE_STEP_INVARIANT: return invariant_scalar(ev, n, g, ret);
    case NODE_UNARY:
        r = eval_scalar(ev, n->unary.expr, g, ret);
        for (size_t i = 0; r == 0 && n->unary.minus && i < g->n; i++)
            ret[i] = -ret[i];
        return r;
    case NODE_BINARY: return scalar_binary(ev, n, g, ret);
    case NODE_CALL: return eval_call_scalar(ev, n, g, ret);
    default:
        return eval_fail(ev, PROMQL_INTERNAL, "%s cannot be evaluated as a scalar",
                         promql_type_text(n->type));
    }
}

int eval_scalar(Eval *ev, const Node *n, const Grid *g, double *ret) {
    uint64_t held = ev->samples_current;
    NodeProfile *outer = profile_enter(ev, n);
    int r = enter(ev);
    if (r == 0)
        r = scalar_node(ev, n, g, ret);
    profile_leave(ev, outer);
    ev->samples_current = held;
    ev->depth--;
    return r < 0 ? r : eval_samples_add(ev, g->n);
}

const double *eval_scalar_column(Eval *ev, Scope *s, const Node *n, const Grid *g) {
    double *v = SCOPE_ARRAY(s, double, g->n);
    return v && eval_scalar(ev, n, g, v) == 0 ? v : NULL;
}

/* ---- parts of series put together */

static bool may_split(const Node *n) {
    switch (n->kind) {
    case NODE_PAREN:
    case NODE_STEP_INVARIANT: return may_split(n->paren.expr);
    case NODE_UNARY: return true;
    case NODE_BINARY:
        return n->binary.lhs->type != PROMQL_SCALAR || n->binary.rhs->type != PROMQL_SCALAR;
    case NODE_AGGREGATE: {
        AggregateOp op = n->aggregate.op;
        bool keeps =
            op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_LIMITK || op == AGG_LIMIT_RATIO;
        return keeps && may_split(n->aggregate.expr);
    }
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++)
            if (n->call.args[i]->type == PROMQL_MATRIX)
                return false; /* two equal label sets are an error there */
        return n->call.n_args > 0;
    default: return false;
    }
}

static int merge_into(Eval *ev, Scope *s, Column *to, const Column *from) {
    if (from->h && column_need_histograms(s, to) < 0)
        return -EINVAL;
    for (size_t i = 0; i < to->n; i++) {
        if (!from->kind[i])
            continue;
        if (to->kind[i])
            return eval_fail(ev, PROMQL_EXECUTION, SAME_LABELSET);
        to->kind[i] = from->kind[i];
        to->v[i] = from->v[i];
        if (from->kind[i] == CELL_HISTOGRAM)
            to->h[i] = from->h[i];
    }
    to->drop_name |= from->drop_name;
    return 0;
}

int columns_merge(Eval *ev, Scope *s, Column **v, size_t *n) {
    StrMap map = {0};
    CLEANUP(buf_deinit) Buf key = BUF_INIT(0);
    size_t kept = 0;
    int r = 0;
    for (size_t i = 0; i < *n && r == 0; i++) {
        buf_reset(&key);
        labels_key_all(&key, v[i]->labels);
        Str k = buf_str(&key);
        Column *first = str_map_get(&map, k);
        if (first) {
            r = merge_into(ev, s, first, v[i]);
            continue;
        }
        bool is_new;
        k = scope_str(s, k);
        if (!k.p)
            r = -EINVAL;
        else
            *str_map_put(&map, k, &is_new) = v[kept++] = v[i];
    }
    *n = kept;
    str_map_deinit(&map);
    return r;
}

int eval_vector_whole(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    if (!may_split(n))
        return eval_vector(ev, n, g, out);
    Scope scope;
    scope_init(&scope, ev);
    Collector all;
    collector_init(&all, &scope);
    int r = eval_vector(ev, n, g, &all.sink);
    if (r == 0)
        r = columns_merge(ev, &scope, all.columns.v, &all.columns.n);
    for (size_t i = 0; i < all.columns.n && r == 0; i++)
        r = out->push(out, all.columns.v[i]);
    collector_deinit(&all);
    scope_deinit(&scope);
    return r;
}
