/*
 * Operators between two values. Series are matched once, by a key made of their matching labels;
 * then whole columns meet. The "one" side of a match is held, the "many" side streams past it.
 */
#include "promql/engine/binary.h"

bool op_is_comparison(BinaryOp op) { return op >= OP_EQ && op <= OP_GE; }

static bool op_is_trim(BinaryOp op) { return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER; }

bool op_drops_name(BinaryOp op) { return op <= OP_ATAN2; }

static bool compare(BinaryOp op, double l, double r) {
    switch (op) {
    case OP_EQ: return l == r;
    case OP_NE: return l != r;
    case OP_LT: return l < r;
    case OP_LE: return l <= r;
    case OP_GT: return l > r;
    default: return l >= r;
    }
}

#define EACH(expr)                                                                                 \
    for (size_t i = 0; i < n; i++) {                                                               \
        double x = l[i], y = r[i];                                                                 \
        ret[i] = (expr);                                                                           \
    }                                                                                              \
    break

static void arithmetic(BinaryOp op, const double *l, const double *r, double *ret, size_t n) {
    switch (op) {
    case OP_ADD: EACH(x + y);
    case OP_SUB: EACH(x - y);
    case OP_MUL: EACH(x * y);
    case OP_DIV: EACH(x / y);
    case OP_MOD: EACH(fmod(x, y));
    case OP_POW: EACH(pow(x, y));
    case OP_ATAN2: EACH(atan2(x, y));
    default: break;
    }
}

static void truth(BinaryOp op, const double *l, const double *r, double *ret, size_t n) {
    switch (op) {
    case OP_EQ: EACH(x == y);
    case OP_NE: EACH(x != y);
    case OP_LT: EACH(x < y);
    case OP_LE: EACH(x <= y);
    case OP_GT: EACH(x > y);
    case OP_GE: EACH(x >= y);
    default: break;
    }
}

void binary_scalars(BinaryOp op, const double *l, const double *r, double *ret, size_t n) {
    if (op_is_comparison(op))
        truth(op, l, r, ret, n);
    else
        arithmetic(op, l, r, ret, n);
}

static BinaryValue value_at(const Column *c, size_t i) {
    return (BinaryValue){c->kind[i], c->v[i], c->kind[i] == CELL_HISTOGRAM ? c->h[i] : NULL};
}

static bool pair_floats(BinaryOp op, bool return_bool, bool keep_right, BinaryValue *l,
                        const BinaryValue *r) {
    double x = 0;
    if (!op_is_comparison(op)) {
        arithmetic(op, &l->v, &r->v, &x, 1);
        l->v = x;
        return true;
    }
    bool is = compare(op, l->v, r->v);
    l->v = return_bool ? is : keep_right ? r->v : l->v;
    return is || return_bool;
}

/* Cell by cell: there are histograms, or the operator wants them. */
static int mixed_cells(const BinaryCells *b, const Column *l, const Column *r, Column *out) {
    BinaryOp op = b->node->binary.op;
    bool trim = op_is_trim(op);
    const FloatHistogram **h = SCOPE_ZARRAY(b->scope, const FloatHistogram *, out->n);
    if (!h)
        return -EINVAL;
    for (size_t i = 0; i < out->n; i++) {
        BinaryValue x = value_at(l, i), y = value_at(r, i), v = {0};
        if (x.kind == CELL_FLOAT && y.kind == CELL_FLOAT && !trim) {
            if (pair_floats(op, b->node->binary.return_bool, b->keep_right, &x, &y))
                v = x;
        } else if (x.kind && y.kind && native_pair(b, &x, &y, &v) < 0) {
            return -EINVAL;
        }
        out->kind[i] = v.kind;
        out->v[i] = v.v;
        h[i] = v.h;
    }
    out->h = h;
    return 0;
}

int binary_cells(const BinaryCells *b, const Column *l, const Column *r, Column *out) {
    BinaryOp op = b->node->binary.op;
    if (l->h || r->h || op_is_trim(op))
        return mixed_cells(b, l, r, out);
    size_t n = out->n;
    for (size_t i = 0; i < n; i++)
        out->kind[i] = l->kind[i] & r->kind[i];
    if (!op_is_comparison(op)) {
        arithmetic(op, l->v, r->v, out->v, n);
    } else if (b->node->binary.return_bool) {
        truth(op, l->v, r->v, out->v, n);
    } else {
        const double *kept = b->keep_right ? r->v : l->v;
        for (size_t i = 0; i < n; i++) {
            out->kind[i] = out->kind[i] & (uint8_t)compare(op, l->v[i], r->v[i]);
            out->v[i] = kept[i];
        }
    }
    return 0;
}

/* ---- vector and scalar */

typedef struct ScalarSide {
    Sink sink;
    BinaryCells cells;
    Column scalar;
    Scope per_series;
    bool scalar_left, check_dup, drop_name;
    DupCheck dup;
    Sink *next;
} ScalarSide;

static int scalar_side_push(Sink *s, Column *c) {
    ScalarSide *k = (ScalarSide *)s;
    scope_reset(&k->per_series);
    int r = k->scalar_left ? binary_cells(&k->cells, &k->scalar, c, c)
                           : binary_cells(&k->cells, c, &k->scalar, c);
    if (r < 0 || !column_count(c))
        return r;
    if (k->drop_name && column_drop_name(k->cells.ev, c) < 0)
        return -EINVAL;
    if (k->check_dup && dup_check_add(&k->dup, c, 0, false, SAME_LABELSET) < 0)
        return -EINVAL;
    return k->next->push(k->next, c);
}

static int vector_scalar(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    bool left = n->binary.lhs->type == PROMQL_SCALAR;
    const Node *vector = left ? n->binary.rhs : n->binary.lhs;
    Scope scope;
    scope_init(&scope, ev);
    ScalarSide k = {.sink = {scalar_side_push},
                    .cells = {.ev = ev, .node = n, .scope = &k.per_series, .keep_right = left},
                    .scalar_left = left,
                    .next = out};
    k.drop_name = op_drops_name(n->binary.op) || n->binary.return_bool;
    k.check_dup = k.drop_name && !ev->o->delayed_name_removal && !name_is_pinned(ev, vector);
    scope_init(&k.per_series, ev);
    Column *scalar = column_new(&scope, g->n);
    int r = scalar ? eval_scalar(ev, left ? n->binary.lhs : n->binary.rhs, g, scalar->v) : -EINVAL;
    if (r == 0) {
        memset(scalar->kind, CELL_FLOAT, g->n);
        k.scalar = *scalar;
    }
    dup_check_init(&k.dup, &scope);
    if (r == 0)
        r = eval_vector(ev, vector, g, &k.sink);
    dup_check_deinit(&k.dup);
    scope_deinit(&k.per_series);
    scope_deinit(&scope);
    return r;
}

/* ---- and, or, unless */

typedef struct SetSide {
    Sink sink;
    Eval *ev;
    const VectorMatching *m;
    Scope scope;
    StrMap present; /* key -> a byte a step */
    Buf key;
    size_t n;
    bool record, mask_when; /* record presence; pass cells only where presence == mask_when */
    bool mask;
    Sink *next;
} SetSide;

static uint8_t *set_presence(SetSide *k, Labels l, bool make) {
    buf_reset(&k->key);
    labels_key(&k->key, l, k->m->labels, k->m->n_labels, k->m->on);
    Str key = buf_str(&k->key);
    uint8_t *p = str_map_get(&k->present, key);
    if (p || !make)
        return p;
    key = scope_str(&k->scope, key);
    p = key.p ? SCOPE_ZARRAY(&k->scope, uint8_t, k->n) : NULL;
    bool is_new;
    if (p)
        *str_map_put(&k->present, key, &is_new) = p;
    return p;
}

static int set_push(Sink *s, Column *c) {
    SetSide *k = (SetSide *)s;
    uint8_t *p = set_presence(k, c->labels, k->record);
    if (k->record) {
        if (!p)
            return -EINVAL;
        for (size_t i = 0; i < c->n; i++)
            p[i] |= c->kind[i];
    }
    if (k->mask) {
        if (!p && k->mask_when)
            return 0;
        for (size_t i = 0; p && i < c->n; i++)
            if ((p[i] != 0) != k->mask_when)
                c->kind[i] = CELL_NONE;
        if (!column_count(c))
            return 0;
    }
    return k->next ? k->next->push(k->next, c) : 0;
}

static int set_operator(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    BinaryOp op = n->binary.op;
    SetSide k = {
        .sink = {set_push}, .ev = ev, .m = n->binary.matching, .n = g->n, .key = BUF_INIT(0)};
    scope_init(&k.scope, ev);
    const Node *first = op == OP_OR ? n->binary.lhs : n->binary.rhs;
    const Node *second = op == OP_OR ? n->binary.rhs : n->binary.lhs;
    k.record = true;
    k.next = op == OP_OR ? out : NULL;
    int r = eval_vector(ev, first, g, &k.sink);
    k.record = false;
    k.mask = true;
    k.mask_when = op == OP_AND;
    k.next = out;
    if (r == 0)
        r = eval_vector(ev, second, g, &k.sink);
    str_map_deinit(&k.present);
    buf_deinit(&k.key);
    scope_deinit(&k.scope);
    return r;
}

int eval_binary(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    if (n->binary.lhs->type == PROMQL_SCALAR || n->binary.rhs->type == PROMQL_SCALAR)
        return vector_scalar(ev, n, g, out);
    if (n->binary.op == OP_AND || n->binary.op == OP_OR || n->binary.op == OP_UNLESS)
        return set_operator(ev, n, g, out);
    return eval_join(ev, n, g, out);
}
