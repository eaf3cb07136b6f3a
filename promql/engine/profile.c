#include "promql/engine/profile.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- measuring */

static NodeProfile *add(Profile *p, const Node *n, NodeProfile *shared) {
    const Node **key = arena_dup(&p->arena, &n, sizeof(n));
    NodeProfile *x = shared ? shared : ARENA_NEW(&p->arena, NodeProfile);
    bool is_new;
    *str_map_put(&p->nodes, str_n((const char *)key, sizeof(n)), &is_new) = x;
    return x;
}

static const Node *skip_wraps(const Node *n, bool *ret_invariant) {
    while (n->kind == NODE_PAREN || n->kind == NODE_STEP_INVARIANT) {
        *ret_invariant |= n->kind == NODE_STEP_INVARIANT;
        n = n->paren.expr;
    }
    return n;
}

/* The nodes below, without parentheses and wrapping. */
static size_t children(const Node *n, const Node **ret, size_t max) {
    size_t k = 0;
    switch (n->kind) {
    case NODE_SUBQUERY: ret[k++] = n->subquery.expr; break;
    case NODE_UNARY: ret[k++] = n->unary.expr; break;
    case NODE_BINARY:
        ret[k++] = n->binary.lhs;
        ret[k++] = n->binary.rhs;
        break;
    case NODE_AGGREGATE:
        if (n->aggregate.param)
            ret[k++] = n->aggregate.param;
        ret[k++] = n->aggregate.expr;
        break;
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args && k < max; i++)
            ret[k++] = n->call.args[i];
        break;
    default: break;
    }
    return k;
}

/* Calls may have any number of arguments; more than these are not shown. */
#define CHILDREN_MAX 64

static void add_tree(Profile *p, const Node *n) {
    const Node *below[CHILDREN_MAX];
    bool invariant = false;
    n = skip_wraps(n, &invariant);
    NodeProfile *x = add(p, n, NULL);
    if (n->kind == NODE_MATRIX_SELECTOR)
        add(p, n->matrix.vector, x);
    size_t k = children(n, below, CHILDREN_MAX);
    for (size_t i = 0; i < k; i++)
        add_tree(p, below[i]);
}

Profile *profile_new(const Node *root) {
    Profile *p = NEW(Profile);
    p->since_ns = clock_mono_ns();
    add_tree(p, root);
    return p;
}

void profile_free(Profile *p) {
    if (!p)
        return;
    str_map_deinit(&p->nodes);
    arena_deinit(&p->arena);
    mem_free(p);
}

static NodeProfile *find(const Profile *p, const Node *n) {
    return str_map_get(&p->nodes, str_n((const char *)&n, sizeof(n)));
}

NodeProfile *profile_of(Eval *ev, const Node *n) {
    bool invariant = false;
    return ev->profile ? find(ev->profile, skip_wraps(n, &invariant)) : NULL;
}

NodeProfile *profile_hand(Eval *ev, NodeProfile *to) {
    Profile *p = ev->profile;
    NodeProfile *from = p->current;
    int64_t now = clock_mono_ns();
    if (from)
        from->self_ns += now - p->since_ns;
    p->current = to;
    p->since_ns = now;
    return from;
}

/* ---- the plan */

typedef struct PlanMaker {
    const Profile *profile;
    Str query;
    Arena *arena;
} PlanMaker;

static const char *op_of(const Node *n) {
    switch (n->kind) {
    case NODE_NUMBER: return "number";
    case NODE_STRING: return "string";
    case NODE_VECTOR_SELECTOR:
    case NODE_MATRIX_SELECTOR: return "selector";
    case NODE_SUBQUERY: return "subquery";
    case NODE_UNARY: return "unary";
    case NODE_BINARY: return "binary";
    case NODE_AGGREGATE: return "aggregation";
    default: return "call";
    }
}

static Str label_of(PlanMaker *m, const Node *n) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT((size_t)64 << 10);
    promql_print_label(n, &b);
    return arena_str(m->arena, str_trim(buf_str(&b)));
}

static void note(PlanMaker *m, PromqlPlanNode *p, Str text) {
    ((Str *)p->notes)[p->n_notes++] = arena_str(m->arena, text);
}

#define NOTES_MAX 5

static void add_notes(PlanMaker *m, PromqlPlanNode *p, const Node *n, const NodeProfile *x,
                      bool invariant) {
    char text[64];
    p->notes = ARENA_ARRAY(m->arena, Str, NOTES_MAX);
    if (!p->notes)
        return;
    if (n->kind == NODE_NUMBER && n->number.folded)
        note(m, p, STR("folded constant"));
    if (invariant && n->kind != NODE_NUMBER && n->kind != NODE_STRING)
        note(m, p, STR("the same at every step: evaluated once"));
    if (x->sharing > 1) {
        snprintf(text, sizeof(text), "selected once, used %u times", x->sharing);
        note(m, p, str_of(text));
    }
    if (x->evaluations_shared) {
        snprintf(text, sizeof(text), "read once, used %u times", x->evaluations_shared);
        note(m, p, str_of(text));
    }
    if (x->threads > 1) {
        snprintf(text, sizeof(text), "%u threads", x->threads);
        note(m, p, str_of(text));
    }
}

static const PromqlPlanNode *make(PlanMaker *m, const Node *n) {
    const Node *below[CHILDREN_MAX];
    bool invariant = false;
    n = skip_wraps(n, &invariant);
    const NodeProfile *x = find(m->profile, n);
    PromqlPlanNode *p = ARENA_NEW(m->arena, PromqlPlanNode);
    size_t k = children(n, below, CHILDREN_MAX);
    const PromqlPlanNode **list = ARENA_ARRAY(m->arena, const PromqlPlanNode *, k + 1);
    if (!p || !list)
        return NULL;
    uint32_t end = MIN(n->end, (uint32_t)m->query.n);
    *p = (PromqlPlanNode){.op = op_of(n),
                          .start = n->start,
                          .end = end,
                          .series = x->series,
                          .samples = x->samples,
                          .children = list,
                          .n_children = k};
    p->label = label_of(m, n);
    p->expr =
        arena_str(m->arena, str_n(m->query.p + n->start, end > n->start ? end - n->start : 0));
    p->self_ms = p->time_ms = (double)x->self_ns / 1e6;
    add_notes(m, p, n, x, invariant);
    for (size_t i = 0; i < k; i++) {
        list[i] = make(m, below[i]);
        p->time_ms += list[i] ? list[i]->time_ms : 0;
    }
    return p;
}

const PromqlPlanNode *profile_plan(const Profile *p, const Node *root, Str query, Arena *a) {
    PlanMaker m = {p, query, a};
    const PromqlPlanNode *plan = make(&m, root);
    return a->failed ? NULL : plan;
}
