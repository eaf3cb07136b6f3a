/*
 * Operators between two values. Series are matched once, by a key made of their matching labels;
 * then whole columns meet. The "one" side of a match is held, the "many" side streams past it.
 */
#include "promql/engine/binary.h"

bool op_is_comparison(BinaryOp op) { return op >= OP_EQ && op <= OP_GE; }

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

/* One pair that has a histogram in it. */
static int histogram_pair(const BinaryCells *b, uint8_t lk, uint8_t rk) {
    Eval *ev = b->ev;
    BinaryOp op = b->node->binary.op;
    bool lh = lk == CELL_HISTOGRAM, rh = rk == CELL_HISTOGRAM;
    bool known = lh && rh ? op == OP_ADD || op == OP_SUB || op == OP_EQ || op == OP_NE
                 : lh ? op == OP_MUL || op == OP_DIV || op == OP_TRIM_UPPER || op == OP_TRIM_LOWER
                      : op == OP_MUL;
    const char *text = binary_op_text(op);
    if (known)
        return eval_fail(ev, PROMQL_EXECUTION,
                         "native histograms are not evaluated yet in operator %s", text);
    annotate(ev, ANNOTATION_INFO, b->node,
             "incompatible sample types encountered for binary operator \"%s\": %s %s %s", text,
             lh ? "histogram" : "float", text, rh ? "histogram" : "float");
    return 0;
}

/* Cells that are floats on both sides; the others are dealt with one by one. kind may be one of the
 * sides'. */
static int pair_kinds(const BinaryCells *b, const uint8_t *lk, const uint8_t *rk, uint8_t *kind) {
    uint8_t any = 0;
    for (size_t i = 0; i < b->n; i++)
        any |= lk[i] | rk[i];
    BinaryOp op = b->node->binary.op;
    bool trim = op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
    bool plain = !(any & CELL_HISTOGRAM) && !trim;
    for (size_t i = 0; i < b->n && !plain; i++) {
        uint8_t l = lk[i], r = rk[i];
        bool floats = l == CELL_FLOAT && r == CELL_FLOAT && !trim;
        if (l && r && !floats && histogram_pair(b, l, r) < 0)
            return -EINVAL;
        kind[i] = floats ? CELL_FLOAT : CELL_NONE;
    }
    for (size_t i = 0; i < b->n && plain; i++)
        kind[i] = lk[i] & rk[i];
    return 0;
}

int binary_cells(const BinaryCells *b, const uint8_t *lk, const double *l, const uint8_t *rk,
                 const double *r, Column *out) {
    BinaryOp op = b->node->binary.op;
    if (pair_kinds(b, lk, rk, out->kind) < 0)
        return -EINVAL;
    if (!op_is_comparison(op)) {
        arithmetic(op, l, r, out->v, b->n);
    } else if (b->node->binary.return_bool) {
        truth(op, l, r, out->v, b->n);
    } else {
        const double *kept = b->keep_right ? r : l;
        for (size_t i = 0; i < b->n; i++) {
            out->kind[i] = out->kind[i] & (uint8_t)compare(op, l[i], r[i]);
            out->v[i] = kept[i];
        }
    }
    return 0;
}

/* ---- vector and scalar */

typedef struct ScalarSide {
    Sink sink;
    BinaryCells cells;
    const double *scalar;
    uint8_t *scalar_kind;
    bool scalar_left, check_dup, drop_name;
    DupCheck dup;
    Sink *next;
} ScalarSide;

static int scalar_side_push(Sink *s, Column *c) {
    ScalarSide *k = (ScalarSide *)s;
    int r = k->scalar_left ? binary_cells(&k->cells, k->scalar_kind, k->scalar, c->kind, c->v, c)
                           : binary_cells(&k->cells, c->kind, c->v, k->scalar_kind, k->scalar, c);
    c->h = NULL;
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
                    .cells = {.ev = ev, .node = n, .n = g->n, .keep_right = left},
                    .scalar_left = left,
                    .next = out};
    k.drop_name = op_drops_name(n->binary.op) || n->binary.return_bool;
    k.check_dup = k.drop_name && !ev->o->delayed_name_removal && !name_is_pinned(ev, vector);
    k.scalar = eval_scalar_column(ev, &scope, left ? n->binary.lhs : n->binary.rhs, g);
    k.scalar_kind = SCOPE_ARRAY(&scope, uint8_t, g->n);
    int r = k.scalar && k.scalar_kind ? 0 : -EINVAL;
    if (r == 0)
        memset(k.scalar_kind, CELL_FLOAT, g->n);
    dup_check_init(&k.dup, &scope);
    if (r == 0)
        r = eval_vector(ev, vector, g, &k.sink);
    dup_check_deinit(&k.dup);
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
