/*
 * Arithmetic and comparison between vectors. The "one" side (the right, or the left for
 * group_right) is held in groups by matching key. Each column of the "many" side then meets the
 * columns of its group. Duplicates are errors only where both sides have something at a step, so
 * conflicts on the one side are noted per step and judged at the end.
 */
#include "promql/engine/binary.h"

typedef struct JoinGroup {
    VEC(Column *) ones;
    uint8_t *occupied; /* per step: one of ones has a cell */
    uint8_t *matched;  /* per step: a column of the many side was here */
    uint64_t id;
} JoinGroup;

typedef struct Join {
    Sink many_sink, one_sink;
    BinaryCells cells;
    Eval *ev;
    const Node *node;
    const VectorMatching *m;
    size_t n;
    bool swapped; /* the many side is the right one */
    bool drop_name, check_clash, check_labels;
    Scope scope, per_pair;
    StrMap groups;
    VEC(JoinGroup *) list;
    VEC(Column *) ones;
    Buf key;
    uint8_t *conflict, *any_many; /* per step */
    bool has_conflict;
    DupCheck clashes, labels;
    Column *out, *fill_column;
    Sink *next;
} Join;

/* As in Prometheus, "left" of fill is the many side even for group_right. */
static bool has_fill_many(const Join *j) { return j->m->has_fill_lhs; }
static bool has_fill_one(const Join *j) { return j->m->has_fill_rhs; }

static JoinGroup *group_of(Join *j, Labels l, bool make) {
    buf_reset(&j->key);
    labels_key(&j->key, l, j->m->labels, j->m->n_labels, j->m->on);
    Str key = buf_str(&j->key);
    JoinGroup *g = str_map_get(&j->groups, key);
    if (g || !make)
        return g;
    key = scope_str(&j->scope, key);
    g = key.p ? SCOPE_NEW(&j->scope, JoinGroup) : NULL;
    if (!g || !(g->occupied = SCOPE_ZARRAY(&j->scope, uint8_t, j->n)))
        return NULL;
    g->id = j->list.n;
    bool is_new;
    *str_map_put(&j->groups, key, &is_new) = g;
    vec_push(&j->list, g);
    return g;
}

static void note_conflicts(Join *j, JoinGroup *g, const Column *c) {
    for (size_t i = 0; i < j->n; i++) {
        if (g->occupied[i] && c->kind[i])
            j->conflict[i] = j->has_conflict = true;
        g->occupied[i] |= c->kind[i];
    }
}

static int one_push(Sink *s, Column *c) {
    Join *j = CONTAINER_OF(s, Join, one_sink);
    JoinGroup *g = group_of(j, c->labels, true);
    Column *copy = g ? column_copy(&j->scope, c) : NULL;
    if (!copy)
        return -EINVAL;
    note_conflicts(j, g, c);
    vec_push(&g->ones, copy);
    vec_push(&j->ones, copy);
    return 0;
}

/* The first step where both sides have something and a group has two. */
static int judge_conflicts(Join *j) {
    size_t at = 0;
    bool fill = j->m->has_fill_lhs || j->m->has_fill_rhs;
    while (at < j->n && !(j->conflict[at] && (j->any_many[at] || fill)))
        at++;
    if (at == j->n)
        return 0;
    for (size_t k = 0; k < j->ones.n; k++) {
        const Column *c = j->ones.v[k], *first = NULL;
        JoinGroup *g = group_of(j, c->labels, false);
        for (size_t q = 0; q < g->ones.n && g->ones.v[q] != c; q++)
            if (g->ones.v[q]->kind[at])
                first = g->ones.v[q];
        if (!first || !c->kind[at])
            continue;
        CLEANUP(buf_deinit) Buf a = BUF_INIT(0), b = BUF_INIT(0), group = BUF_INIT(0);
        Labels match;
        if (labels_match(&j->ev->scope, c->labels, j->m->labels, j->m->n_labels, j->m->on, &match) <
            0)
            return -EINVAL;
        labels_format(match, &group);
        labels_format(first->labels, &a);
        labels_format(c->labels, &b);
        bool turn = str_cmp(buf_str(&a), buf_str(&b)) > 0;
        Str x = buf_str(turn ? &b : &a), y = buf_str(turn ? &a : &b);
        return eval_fail(j->ev, PROMQL_EXECUTION,
                         "found duplicate series for the match group %.*s on the %s hand-side of "
                         "the operation: [%.*s, %.*s];many-to-many matching not allowed: matching "
                         "labels must be unique on one side",
                         SA(buf_str(&group)), j->swapped ? "left" : "right", SA(x), SA(y));
    }
    return 0;
}

/* Labels of what a pair gives: the many side's, less what does not survive, plus what group_x
 * takes. one may be LABELS_EMPTY for a filled side. */
static int result_labels(Join *j, Labels many, Labels one, Labels *ret) {
    const VectorMatching *m = j->m;
    if (op_drops_name(j->node->binary.op) || j->drop_name)
        if (labels_drop_metadata(&j->ev->scope, many, &many) < 0)
            return -EINVAL;
    if (m->card == CARD_ONE_TO_ONE) {
        Label *v = SCOPE_ARRAY(&j->ev->scope, Label, many.n + 1);
        size_t k = 0;
        if (!v)
            return -EINVAL;
        for (size_t i = 0; i < many.n; i++) {
            bool listed = false;
            for (size_t q = 0; q < m->n_labels; q++)
                listed |= str_eq(m->labels[q], many.v[i].name);
            if (listed == m->on)
                v[k++] = many.v[i];
        }
        many = (Labels){v, k};
    }
    for (size_t i = 0; i < m->n_include; i++)
        if (labels_with(&j->ev->scope, many, m->include[i], labels_get(one, m->include[i]), &many) <
            0)
            return -EINVAL;
    *ret = many;
    return 0;
}

/* Pairs of this step were made before: one-to-one allows none, many-to-one not the same labels. */
static int check_matched(Join *j, JoinGroup *g, const Column *pairs) {
    if (j->m->card != CARD_ONE_TO_ONE)
        return dup_check_add(
            &j->clashes, pairs, g->id, false,
            "multiple matches for labels: grouping labels must ensure unique matches");
    if (!g->matched && !(g->matched = SCOPE_ZARRAY(&j->scope, uint8_t, j->n)))
        return -EINVAL;
    uint8_t twice = 0;
    for (size_t i = 0; i < j->n; i++) {
        twice |= g->matched[i] & (pairs->kind[i] != 0);
        g->matched[i] |= pairs->kind[i] != 0;
    }
    return twice ? eval_fail(j->ev, PROMQL_EXECUTION,
                             "multiple matches for labels: many-to-one matching must be explicit "
                             "(group_left/group_right)")
                 : 0;
}

/* Many-to-one keeps, for a filled many side, where something matched. */
static int note_matched(Join *j, JoinGroup *g, const Column *many, const uint8_t *one_kind) {
    if (!has_fill_many(j) || j->m->card == CARD_ONE_TO_ONE)
        return 0;
    if (!g->matched && !(g->matched = SCOPE_ZARRAY(&j->scope, uint8_t, j->n)))
        return -EINVAL;
    for (size_t i = 0; i < j->n; i++)
        g->matched[i] |= many->kind[i] && one_kind[i];
    return 0;
}

static int push_pair(Join *j, JoinGroup *g, const Column *many, const Column *one) {
    Column *out = j->out;
    scope_reset(&j->per_pair);
    column_clear(out);
    if (eval_tick(j->ev, j->n + 256) < 0)
        return -EINVAL;
    const Column *l = j->swapped ? one : many, *r = j->swapped ? many : one;
    if (result_labels(j, many->labels, one->labels, &out->labels) < 0)
        return -EINVAL;
    out->drop_name = j->node->binary.return_bool && j->ev->o->delayed_name_removal;
    if (j->check_clash) {
        for (size_t i = 0; i < j->n; i++) /* before any filter, as a pair counts even if dropped */
            out->kind[i] = many->kind[i] && one->kind[i] ? CELL_FLOAT : CELL_NONE;
        if (column_count(out) && check_matched(j, g, out) < 0)
            return -EINVAL;
    }
    if (note_matched(j, g, many, one->kind) < 0 || binary_cells(&j->cells, l, r, out) < 0)
        return -EINVAL;
    if (!column_count(out))
        return 0;
    if (j->check_labels && dup_check_add(&j->labels, out, 0, false, SAME_LABELSET) < 0)
        return -EINVAL;
    return j->next->push(j->next, out);
}

/* The column of a side that fills: a value where nothing is (there may be NULL). */
static Column *filled(Join *j, const Column *other, const uint8_t *there, double v) {
    Column *f = j->fill_column;
    for (size_t i = 0; i < j->n; i++) {
        f->kind[i] = there && there[i] ? CELL_NONE : CELL_FLOAT;
        f->v[i] = v;
    }
    return labels_match(&j->ev->scope, other->labels, j->m->labels, j->m->n_labels, j->m->on,
                        &f->labels) < 0
               ? NULL
               : f;
}

static int many_push(Sink *s, Column *c) {
    Join *j = CONTAINER_OF(s, Join, many_sink);
    bool fill = has_fill_one(j);
    for (size_t i = 0; j->has_conflict && i < j->n; i++) {
        j->any_many[i] |= c->kind[i];
        if (j->conflict[i]) /* judged at the end */
            c->kind[i] = CELL_NONE;
    }
    if (!column_count(c))
        return 0;
    JoinGroup *g = group_of(j, c->labels, fill);
    if (!g)
        return fill ? -EINVAL : 0;
    for (size_t k = 0; k < g->ones.n; k++)
        if (push_pair(j, g, c, g->ones.v[k]) < 0)
            return -EINVAL;
    if (!fill)
        return 0;
    Column *f = filled(j, c, g->occupied, j->m->fill_rhs);
    return f ? push_pair(j, g, c, f) : -EINVAL;
}

/* What the one side has and nothing met. */
static int push_unmatched(Join *j) {
    double v = j->m->fill_lhs;
    for (size_t q = 0; q < j->ones.n; q++) {
        Column *one = j->ones.v[q];
        JoinGroup *g = group_of(j, one->labels, false);
        Column *f = filled(j, one, g->matched, v);
        if (!f)
            return -EINVAL;
        if (column_count(f) && push_pair(j, g, f, one) < 0)
            return -EINVAL;
    }
    return 0;
}

/* Result labels are the matching key unless names or shared labels come into it. */
static bool labels_may_clash(const Join *j) {
    const VectorMatching *m = j->m;
    if (m->card != CARD_ONE_TO_ONE || j->ev->o->type_and_unit_labels)
        return true;
    for (size_t i = 0; i < m->n_labels; i++)
        if (is_metadata_label(m->labels[i]))
            return true;
    for (size_t i = 0; i < j->ev->selections.n; i++)
        if (j->ev->selections.v[i]->metadata_varies)
            return true;
    return false;
}

static int join_run(Join *j, const Grid *g) {
    const Node *n = j->node;
    const Node *one = j->swapped ? n->binary.lhs : n->binary.rhs;
    const Node *many = j->swapped ? n->binary.rhs : n->binary.lhs;
    j->conflict = SCOPE_ZARRAY(&j->scope, uint8_t, g->n);
    j->any_many = SCOPE_ZARRAY(&j->scope, uint8_t, g->n);
    j->out = column_new(&j->scope, g->n);
    j->fill_column = column_new(&j->scope, g->n);
    if (!j->conflict || !j->any_many || !j->out || !j->fill_column)
        return -EINVAL;
    int r = eval_vector(j->ev, one, g, &j->one_sink);
    j->check_labels = labels_may_clash(j);
    if (r == 0)
        r = eval_vector(j->ev, many, g, &j->many_sink);
    if (r == 0 && has_fill_many(j))
        r = push_unmatched(j);
    return r == 0 && j->has_conflict ? judge_conflicts(j) : r;
}

int eval_join(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    const VectorMatching *m = n->binary.matching;
    Join j = {.many_sink = {many_push},
              .one_sink = {one_push},
              .cells = {.ev = ev, .node = n, .scope = &j.per_pair},
              .ev = ev,
              .node = n,
              .m = m,
              .n = g->n,
              .swapped = m->card == CARD_ONE_TO_MANY,
              .drop_name = n->binary.return_bool && !ev->o->delayed_name_removal,
              .check_clash = true,
              .key = BUF_INIT(0),
              .next = out};
    scope_init(&j.scope, ev);
    scope_init(&j.per_pair, ev);
    dup_check_init(&j.clashes, &j.scope);
    dup_check_init(&j.labels, &j.scope);
    int r = join_run(&j, g);
    for (size_t i = 0; i < j.list.n; i++)
        vec_free(&j.list.v[i]->ones);
    vec_free(&j.list);
    vec_free(&j.ones);
    str_map_deinit(&j.groups);
    buf_deinit(&j.key);
    dup_check_deinit(&j.clashes);
    dup_check_deinit(&j.labels);
    scope_deinit(&j.per_pair);
    scope_deinit(&j.scope);
    return r;
}
