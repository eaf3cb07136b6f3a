#include "promql/engine/share.h"

#include "base/mem.h"
#include "promql/engine/profile.h"

#define SHARE_BYTES_MAX ((uint64_t)16 << 20)
/* Longer ones are not looked for: a query may nest a long text a thousand times. */
#define SHARE_TEXT_MAX 4096

/* A text that stands in the query several times. */
typedef struct Share {
    unsigned uses; /* still to come */
    unsigned of;   /* in all */
    Node *first;   /* not marked yet: it has been seen once */
    bool given_up, kept;
    Grid grid;
    Scope scope;
    VEC(Column *) columns;
    uint64_t total, read; /* samples counted */
} Share;

struct Shares {
    Eval *ev;
    Arena arena;
    StrMap by_text;
    VEC(Share *) list; /* Node.shared - 1 */
};

/* ---- finding them */

static bool is_candidate(const Node *n) {
    if (n->kind == NODE_VECTOR_SELECTOR || n->kind == NODE_AGGREGATE)
        return true;
    for (size_t i = 0; n->kind == NODE_CALL && i < n->call.n_args; i++)
        if (n->call.args[i]->type == PROMQL_MATRIX)
            return true;
    return false;
}

/* False: its text was there before, so what is below is not looked at. */
static bool is_first(Shares *s, Node *n) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(SHARE_TEXT_MAX);
    promql_print(n, &text);
    if (n->kind == NODE_VECTOR_SELECTOR && n->vector.detect_resets)
        buf_add_char(&text, '!');
    if (text.failed)
        return true;
    Share *x = str_map_get(&s->by_text, buf_str(&text));
    if (!x) {
        bool is_new;
        x = ARENA_NEW(&s->arena, Share);
        x->first = n;
        *str_map_put(&s->by_text, arena_str(&s->arena, buf_str(&text)), &is_new) = x;
        return true;
    }
    if (!x->uses) {
        vec_push(&s->list, x);
        scope_init(&x->scope, s->ev);
        x->first->shared = (uint32_t)s->list.n;
        x->uses = 1;
    }
    n->shared = x->first->shared;
    x->of = ++x->uses;
    return false;
}

static void look(Shares *s, Node *n);

static void look_at_call(Shares *s, Node *n) {
    FunctionId id = n->call.function->id;
    size_t args = id == FN_INFO ? 1 : n->call.n_args;
    for (size_t i = 0; i < args; i++) {
        const Node *a = node_unwrap(n->call.args[i]);
        /* Of those times are asked for, not samples. */
        bool times = id == FN_TIMESTAMP || id == FN_START_TIMESTAMP;
        if (!(times && a->kind == NODE_VECTOR_SELECTOR))
            look(s, n->call.args[i]);
    }
}

static void look(Shares *s, Node *n) {
    if (is_candidate(n) && !is_first(s, n))
        return;
    switch (n->kind) {
    case NODE_PAREN:
    case NODE_STEP_INVARIANT: look(s, n->paren.expr); break;
    case NODE_SUBQUERY: look(s, n->subquery.expr); break;
    case NODE_UNARY: look(s, n->unary.expr); break;
    case NODE_BINARY:
        look(s, n->binary.lhs);
        look(s, n->binary.rhs);
        break;
    case NODE_AGGREGATE:
        if (n->aggregate.param)
            look(s, n->aggregate.param);
        look(s, n->aggregate.expr);
        break;
    case NODE_CALL: look_at_call(s, n); break;
    default: break;
    }
}

Shares *shares_find(Eval *ev, Node *root) {
    Shares *s = NEW(Shares);
    s->ev = ev;
    if (!ev->stats->per_step)
        look(s, root);
    if (s->list.n)
        return s;
    shares_free(s);
    return NULL;
}

static void share_drop(Share *x) {
    vec_free(&x->columns);
    scope_deinit(&x->scope);
    x->kept = false;
}

void shares_free(Shares *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->list.n; i++)
        share_drop(s->list.v[i]);
    vec_free(&s->list);
    str_map_deinit(&s->by_text);
    arena_deinit(&s->arena);
    mem_free(s);
}

/* ---- evaluating them */

typedef struct TeeSink {
    Sink sink;
    Share *share;
    Sink *next;
} TeeSink;

static void give_up(Share *x) {
    share_drop(x);
    x->given_up = true;
}

static int tee_push(Sink *sink, Column *c) {
    TeeSink *t = (TeeSink *)sink;
    Share *x = t->share;
    if (!x->given_up) {
        Column *copy = column_copy(&x->scope, c);
        if (!copy)
            return -EINVAL;
        vec_push(&x->columns, copy);
        if (x->scope.arena.used > SHARE_BYTES_MAX)
            give_up(x);
    }
    return t->next->push(t->next, c);
}

static int eval_first(Eval *ev, Share *x, const Node *n, const Grid *g, Sink *out,
                      int (*evaluate)(Eval *, const Node *, const Grid *, Sink *)) {
    TeeSink tee = {{tee_push}, x, out};
    const StatsFrame before = *ev->stats;
    uint64_t texts = ev->annotations.added;
    int r = evaluate(ev, n, g, &tee.sink);
    if (ev->annotations.added != texts)
        give_up(x);
    x->grid = *g;
    x->kept = !x->given_up;
    x->total = ev->stats->total - before.total;
    x->read = ev->stats->read - before.read;
    return r;
}

static int eval_again(Eval *ev, Share *x, Sink *out) {
    Scope scope;
    scope_init(&scope, ev);
    int r = 0;
    for (size_t i = 0; i < x->columns.n && r == 0; i++) {
        scope_reset(&scope);
        Column *copy = column_copy(&scope, x->columns.v[i]);
        r = copy ? out->push(out, copy) : -EINVAL;
    }
    ev->stats->total += x->total;
    ev->stats->read += x->read;
    scope_deinit(&scope);
    return r;
}

static void note(Eval *ev, const Node *n, const Share *x) {
    NodeProfile *p = profile_of(ev, n);
    if (p)
        p->evaluations_shared = x->of;
}

int shares_eval(Eval *ev, const Node *n, const Grid *g, Sink *out,
                int (*evaluate)(Eval *ev, const Node *n, const Grid *g, Sink *out)) {
    Share *x = ev->shares->list.v[n->shared - 1];
    bool same =
        x->kept && x->grid.start == g->start && x->grid.step == g->step && x->grid.n == g->n;
    x->uses -= x->uses > 0;
    if (!x->kept && !x->given_up && x->uses)
        return eval_first(ev, x, n, g, out, evaluate);
    if (!same)
        return evaluate(ev, n, g, out);
    note(ev, n, x);
    int r = eval_again(ev, x, out);
    if (!x->uses)
        give_up(x); /* nobody else will ask */
    return r;
}
