/* Vectors and scalars into each other, what is absent, order. */
#include "promql/engine/call.h"

/* ---- scalars */

typedef struct ScalarSink {
    Sink sink;
    double *ret;
    uint8_t *seen; /* floats met, at most 2 */
} ScalarSink;

static int scalar_push(Sink *s, Column *c) {
    ScalarSink *k = (ScalarSink *)s;
    for (size_t i = 0; i < c->n; i++) {
        if (c->kind[i] != CELL_FLOAT || k->seen[i] == 2)
            continue;
        k->ret[i] = k->seen[i]++ ? normal_nan() : c->v[i];
    }
    return 0;
}

int scalar_scalar(Eval *ev, const Node *call, const Grid *g, double *ret) {
    Scope scope;
    scope_init(&scope, ev);
    ScalarSink k = {{scalar_push}, ret, SCOPE_ZARRAY(&scope, uint8_t, g->n)};
    for (size_t i = 0; i < g->n; i++)
        ret[i] = normal_nan();
    int r = k.seen ? eval_vector(ev, call->call.args[0], g, &k.sink) : -EINVAL;
    scope_deinit(&scope);
    return r;
}

int scalar_time(Eval *ev, const Node *call, const Grid *g, double *ret) {
    (void)ev;
    (void)call;
    for (size_t i = 0; i < g->n; i++)
        ret[i] = (double)grid_time(g, i) / 1000;
    return 0;
}

int scalar_pi(Eval *ev, const Node *call, const Grid *g, double *ret) {
    (void)ev;
    (void)call;
    for (size_t i = 0; i < g->n; i++)
        ret[i] = M_PI;
    return 0;
}

int scalar_extreme(Eval *ev, const Node *call, const Grid *g, double *ret) {
    Scope scope;
    scope_init(&scope, ev);
    const double *b = eval_scalar_column(ev, &scope, call->call.args[1], g);
    int r = b ? eval_scalar(ev, call->call.args[0], g, ret) : -EINVAL;
    bool max = call->call.function->id == FN_MAX_OF;
    for (size_t i = 0; i < g->n && r == 0; i++)
        ret[i] = max ? go_max(ret[i], b[i]) : go_min(ret[i], b[i]);
    scope_deinit(&scope);
    return r;
}

int call_vector(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    Column *c = column_new(&scope, g->n);
    int r = c ? eval_scalar(ev, call->call.args[0], g, c->v) : -EINVAL;
    if (r == 0) {
        memset(c->kind, CELL_FLOAT, c->n);
        r = out->push(out, c);
    }
    scope_deinit(&scope);
    return r;
}

/* ---- absent */

typedef struct PresenceSink {
    Sink sink;
    uint8_t *kind;
} PresenceSink;

static int presence_push(Sink *s, Column *c) {
    PresenceSink *p = (PresenceSink *)s;
    for (size_t i = 0; i < c->n; i++)
        p->kind[i] |= c->kind[i];
    return 0;
}

/* A matcher that only takes series away. Prometheus' storage puts these behind the others. */
static bool is_subtracting(const Node *selector, const Matcher *m) {
    bool must_be_set = false;
    for (size_t i = 0; i < selector->vector.n_matchers; i++) {
        const Matcher *other = &selector->vector.matchers[i];
        must_be_set |= str_eq(other->name, m->name) && !matcher_matches(other, STR(""));
    }
    bool negative = m->type == MATCH_NE || m->type == MATCH_NRE;
    return !must_be_set || (negative && matcher_matches(m, STR("")));
}

/* Labels that the selector pins: "=" matchers, unless another of that name follows. */
static void pin_labels(const Node *selector, LabelsBuilder *b) {
    const Matcher *m = selector->vector.matchers;
    StrVec seen = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < selector->vector.n_matchers; i++) {
            if (str_eq(m[i].name, LABEL_NAME) || is_subtracting(selector, &m[i]) != (pass == 1))
                continue;
            bool before = false;
            for (size_t k = 0; k < seen.n; k++)
                before |= str_eq(seen.v[k], m[i].name);
            if (m[i].type == MATCH_EQ && !before) {
                labels_builder_set(b, m[i].name, m[i].value);
                vec_push(&seen, m[i].name);
            } else {
                labels_builder_del(b, m[i].name);
            }
        }
    }
    vec_free(&seen);
}

static int absent_labels(Eval *ev, const Node *arg, Labels *ret) {
    arg = node_unwrap(arg);
    if (arg->kind == NODE_MATRIX_SELECTOR)
        arg = arg->matrix.vector;
    *ret = LABELS_EMPTY;
    if (arg->kind != NODE_VECTOR_SELECTOR)
        return 0;
    CLEANUP(labels_builder_deinit) LabelsBuilder b = {0};
    pin_labels(arg, &b);
    Labels l = labels_builder_view(&b);
    Label *v = SCOPE_ARRAY(&ev->scope, Label, l.n + 1);
    if (!v)
        return -EINVAL;
    if (l.n)
        memcpy(v, l.v, l.n * sizeof(*v));
    *ret = (Labels){v, l.n};
    return 0;
}

static int push_absent(Eval *ev, const Node *call, Column *c, Sink *out) {
    for (size_t i = 0; i < c->n; i++) {
        c->kind[i] = c->kind[i] ? CELL_NONE : CELL_FLOAT;
        c->v[i] = 1;
    }
    c->drop_name = ev->o->delayed_name_removal && call->call.function->id == FN_ABSENT_OVER_TIME;
    int r = absent_labels(ev, call->call.args[0], &c->labels);
    return r < 0 || !column_count(c) ? r : out->push(out, c);
}

int call_absent(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    Column *c = column_new(&scope, g->n);
    PresenceSink p = {{presence_push}, c ? c->kind : NULL};
    int r = c ? eval_vector(ev, call->call.args[0], g, &p.sink) : -EINVAL;
    if (r == 0)
        r = push_absent(ev, call, c, out);
    scope_deinit(&scope);
    return r;
}

int call_absent_over_time(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    Column *c = column_new(&scope, g->n);
    PresenceSink p = {{presence_push}, c ? c->kind : NULL};
    int r = c ? eval_range_call(ev, call, g, kernel_present, &p.sink) : -EINVAL;
    if (r == 0)
        r = push_absent(ev, call, c, out);
    scope_deinit(&scope);
    return r;
}

/* ---- order: only of an instant query's answer */

static int warn_sort(Eval *ev, const Node *call, const Grid *g) {
    if (g->n > 1)
        annotate(ev, ANNOTATION_WARNING, call,
                 "sort is ineffective for range queries since results are always ordered by "
                 "labels");
    return 0;
}

typedef struct SortKey {
    Column *column;
    const Node *call;
    size_t at;
} SortKey;

/* NaN last either way; equal ones stay as they came. */
static int value_cmp(const void *a, const void *b) {
    const SortKey *x = a, *y = b;
    double l = x->column->v[0], r = y->column->v[0];
    bool desc = x->call->call.function->id == FN_SORT_DESC;
    if (isnan(l) || isnan(r))
        return isnan(l) - isnan(r) ? isnan(l) - isnan(r) : (x->at > y->at) - (x->at < y->at);
    if (l != r)
        return (l < r) == desc ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Length of the run at the start that is all digits or has none. */
static size_t chunk_length(Str s) {
    size_t n = 1;
    while (n < s.n && is_digit(s.p[n]) == is_digit(s.p[0]))
        n++;
    return n;
}

static int digits_cmp(Str a, Str b) {
    while (a.n && *a.p == '0')
        a = str_from(a, 1);
    while (b.n && *b.p == '0')
        b = str_from(b, 1);
    return a.n != b.n ? (a.n < b.n ? -1 : 1) : str_cmp(a, b);
}

/* Runs of digits by their number, the rest by bytes: node2 before node10. */
static int natural_cmp(Str a, Str b) {
    while (a.n && b.n) {
        Str x = str_upto(a, chunk_length(a)), y = str_upto(b, chunk_length(b));
        int r = is_digit(x.p[0]) && is_digit(y.p[0]) ? digits_cmp(x, y) : str_cmp(x, y);
        if (r)
            return r;
        a = str_from(a, x.n);
        b = str_from(b, y.n);
    }
    return (a.n > 0) - (b.n > 0);
}

static int label_order_cmp(const void *a, const void *b) {
    const SortKey *x = a, *y = b;
    const Node *call = x->call;
    int sign = call->call.function->id == FN_SORT_BY_LABEL_DESC ? -1 : 1;
    for (size_t i = 1; i < call->call.n_args; i++) {
        Str name = node_string(call->call.args[i]);
        Str l = labels_get(x->column->labels, name), r = labels_get(y->column->labels, name);
        if (str_eq(l, r))
            continue;
        int c = natural_cmp(l, r);
        return sign * (c ? c : str_cmp(l, r));
    }
    return sign * labels_cmp(x->column->labels, y->column->labels);
}

static int sorted(Eval *ev, const Node *call, const Grid *g, Sink *out, bool floats,
                  int (*cmp)(const void *, const void *)) {
    warn_sort(ev, call, g);
    if (g->n > 1 && !floats)
        return eval_vector(ev, call->call.args[0], g, out);
    Scope scope;
    scope_init(&scope, ev);
    Collector all;
    collector_init(&all, &scope);
    int r = eval_vector(ev, call->call.args[0], g, &all.sink);
    size_t n = 0;
    SortKey *keys = SCOPE_ARRAY(&scope, SortKey, all.columns.n + 1);
    r = r == 0 && !keys ? -EINVAL : r;
    for (size_t i = 0; i < all.columns.n && r == 0; i++) {
        if (floats)
            column_drop_histograms(all.columns.v[i]);
        if (column_count(all.columns.v[i]))
            keys[n++] = (SortKey){all.columns.v[i], call, i};
    }
    if (r == 0 && g->n == 1)
        qsort(keys, n, sizeof(*keys), cmp);
    for (size_t i = 0; i < n && r == 0; i++)
        r = out->push(out, keys[i].column);
    collector_deinit(&all);
    scope_deinit(&scope);
    return r;
}

int call_sort(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    return sorted(ev, call, g, out, true, value_cmp);
}

int call_sort_by_label(Eval *ev, const Node *call, const Grid *g, Sink *out) {
    return sorted(ev, call, g, out, false, label_order_cmp);
}
