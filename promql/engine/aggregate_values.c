/*
 * count_values: how often each value stands in a group. What was seen is kept as (result, step)
 * pairs, so many rare values cost what they hold and not a column each.
 */
#include "promql/engine/aggregate.h"
#include "promql/engine/native.h"

typedef struct Seen {
    uint32_t result, step;
} Seen;

typedef struct Values {
    Sink sink;
    Eval *ev;
    const Node *node;
    Str label;
    size_t n;
    Scope scope;
    StrMap results; /* group key and value text -> index + 1 */
    Buf key, text;
    VEC(Labels) labels;
    VEC(Seen) seen;
    uint64_t bytes_held;
} Values;

static int charge(Values *k) {
    uint64_t now = k->seen.cap * sizeof(Seen) + k->labels.cap * sizeof(Labels);
    Budget *bytes = k->ev->bytes;
    budget_count(bytes, k->bytes_held, now);
    k->bytes_held = now;
    if (budget_used(bytes) <= bytes->max)
        return 0;
    return scope_alloc(&k->scope, 1, bytes->max) ? 0 : -EINVAL;
}

/* The labels with the value in them are grouped, so that by(value label) and without() work. */
static int group_labels(Values *k, Labels l, Labels *ret) {
    const Node *n = k->node;
    Labels with;
    Str text = scope_str(&k->ev->scope, buf_str(&k->text));
    if (!text.p || labels_with(&k->scope, l, k->label, text, &with) < 0)
        return -EINVAL;
    if (n->aggregate.without)
        return labels_match(&k->ev->scope, with, n->aggregate.grouping, n->aggregate.n_grouping,
                            false, ret);
    if (labels_match(&k->scope, l, n->aggregate.grouping, n->aggregate.n_grouping, true, ret) < 0)
        return -EINVAL;
    return labels_with(&k->ev->scope, *ret, k->label, text, ret);
}

static void group_key(Values *k, Labels l) {
    const Node *n = k->node;
    buf_reset(&k->key);
    bool by_label = false;
    for (size_t i = 0; i < n->aggregate.n_grouping; i++)
        by_label |= str_eq(n->aggregate.grouping[i], k->label);
    if (!n->aggregate.without || !by_label)
        buf_add_str(&k->key, buf_str(&k->text));
    buf_add_char(&k->key, 0);
    /* Its own value of the label is overwritten before grouping. */
    for (size_t i = 0; i < l.n; i++) {
        Labels one = {&l.v[i], 1};
        if (!str_eq(l.v[i].name, k->label))
            labels_key(&k->key, one, n->aggregate.grouping, n->aggregate.n_grouping,
                       !n->aggregate.without);
    }
}

static int result_of(Values *k, const Column *c, uint32_t *ret) {
    group_key(k, c->labels);
    Str key = buf_str(&k->key);
    uintptr_t at = (uintptr_t)str_map_get(&k->results, key);
    if (!at) {
        Labels l;
        key = scope_str(&k->scope, key);
        if (!key.p || group_labels(k, c->labels, &l) < 0)
            return -EINVAL;
        bool is_new;
        vec_push(&k->labels, l);
        at = k->labels.n;
        *str_map_put(&k->results, key, &is_new) = (void *)at;
    }
    *ret = (uint32_t)(at - 1);
    return 0;
}

static int print_histogram(Values *k, const FloatHistogram *h) {
    Scope scope;
    Native n;
    size_t count;
    scope_init(&scope, k->ev);
    NativeBucket *b = native_of(&scope, h, &n) < 0 ? NULL : native_buckets(&scope, &n, &count);
    if (b)
        native_print(&n, b, count, &k->text);
    scope_deinit(&scope);
    return b ? 0 : -EINVAL;
}

static int values_push(Sink *s, Column *c) {
    Values *k = (Values *)s;
    uint64_t last = 0;
    uint32_t result = UINT32_MAX;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->kind[i])
            continue;
        bool histogram = c->kind[i] == CELL_HISTOGRAM;
        if (histogram || result == UINT32_MAX || double_bits(c->v[i]) != last) {
            buf_reset(&k->text);
            if (!histogram)
                number_format_plain(&k->text, c->v[i]);
            else if (print_histogram(k, c->h[i]) < 0)
                return -EINVAL;
            if (result_of(k, c, &result) < 0)
                return -EINVAL;
            last = double_bits(c->v[i]);
            if (histogram) /* its text is not what c->v says */
                last = ~last;
        }
        vec_push(&k->seen, (Seen){result, (uint32_t)i});
    }
    return charge(k);
}

static int push_results(Values *k, Sink *out) {
    uint64_t *start = SCOPE_ZARRAY(&k->scope, uint64_t, k->labels.n + 2);
    uint32_t *steps = SCOPE_ARRAY(&k->scope, uint32_t, k->seen.n + 1);
    Column *c = column_new(&k->scope, k->n);
    if (!start || !steps || !c)
        return -EINVAL;
    for (size_t i = 0; i < k->seen.n; i++)
        start[k->seen.v[i].result + 2]++;
    for (size_t i = 2; i < k->labels.n + 2; i++)
        start[i] += start[i - 1];
    for (size_t i = 0; i < k->seen.n; i++)
        steps[start[k->seen.v[i].result + 1]++] = k->seen.v[i].step;
    int r = 0;
    for (size_t q = 0; q < k->labels.n && r == 0; q++) {
        column_clear(c);
        c->labels = k->labels.v[q];
        for (uint64_t i = start[q]; i < start[q + 1]; i++) {
            c->v[steps[i]] = c->kind[steps[i]] ? c->v[steps[i]] + 1 : 1;
            c->kind[steps[i]] = CELL_FLOAT;
        }
        r = out->push(out, c);
    }
    return r;
}

int eval_count_values(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    Str label = node_string(n->aggregate.param);
    if (!label_name_valid_utf8(label)) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        buf_add_quoted(&b, label);
        return eval_fail(ev, PROMQL_EXECUTION, "invalid label name %.*s", SA(buf_str(&b)));
    }
    Values k = {.sink = {values_push},
                .ev = ev,
                .node = n,
                .label = label,
                .n = g->n,
                .key = BUF_INIT(0),
                .text = BUF_INIT(0)};
    scope_init(&k.scope, ev);
    int r = eval_vector(ev, n->aggregate.expr, g, &k.sink);
    if (r == 0)
        r = push_results(&k, out);
    budget_count(ev->bytes, k.bytes_held, 0);
    vec_free(&k.labels);
    vec_free(&k.seen);
    str_map_deinit(&k.results);
    buf_deinit(&k.key);
    buf_deinit(&k.text);
    scope_deinit(&k.scope);
    return r;
}
