/*
 * topk and bottomk, limitk and limit_ratio: series keep their labels, each step keeps some of them.
 * topk holds, per group and step, a heap of k values with the number of their series; series are
 * put together from the heaps at the end.
 */
#include "promql/engine/aggregate.h"

#include "base/hash.h"

typedef struct Candidate {
    double v;
    uint32_t series;
} Candidate;

typedef struct Heap {
    Candidate *v;
    uint32_t n, cap;
} Heap;

typedef struct SeriesId {
    Labels labels;
    bool drop_name;
} SeriesId;

typedef struct Select {
    Sink sink;
    Eval *ev;
    const Node *node;
    size_t n;
    Scope scope;
    Grouping grouping;
    VEC(Heap *) heaps; /* of each group, one a step */
    VEC(SeriesId) series;
    const double *k;
    bool top;
} Select;

/* Whether a belongs nearer the root: the root is the first to be thrown out. NaN goes first. */
static bool before(const Select *s, double a, double b) {
    if (isnan(a))
        return true;
    return s->top ? a < b : a > b;
}

static void swap(Candidate *a, Candidate *b) {
    Candidate t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(const Select *s, Heap *h, uint32_t j) {
    while (j > 0) {
        uint32_t i = (j - 1) / 2;
        if (!before(s, h->v[j].v, h->v[i].v))
            break;
        swap(&h->v[i], &h->v[j]);
        j = i;
    }
}

static void sift_down(const Select *s, Heap *h) {
    uint32_t i = 0;
    for (;;) {
        uint32_t j = 2 * i + 1;
        if (j >= h->n)
            return;
        if (j + 1 < h->n && before(s, h->v[j + 1].v, h->v[j].v))
            j++;
        if (!before(s, h->v[j].v, h->v[i].v))
            return;
        swap(&h->v[i], &h->v[j]);
        i = j;
    }
}

static int heap_offer(Select *s, Heap *h, double k, Candidate c) {
    if (k < 1)
        return 0;
    if ((double)(h->n + 1) <= k) {
        if (h->n == h->cap) {
            uint32_t cap = h->cap ? h->cap * 2 : (uint32_t)MIN(k, 8.0);
            Candidate *v = SCOPE_ARRAY(&s->scope, Candidate, cap);
            if (!v)
                return -EINVAL;
            if (h->n)
                memcpy(v, h->v, h->n * sizeof(*v));
            h->v = v;
            h->cap = cap;
        }
        h->v[h->n] = c;
        sift_up(s, h, h->n++);
        return 0;
    }
    double root = h->v[0].v;
    if ((s->top ? root < c.v : root > c.v) || (isnan(root) && !isnan(c.v))) {
        h->v[0] = c;
        sift_down(s, h);
    }
    return 0;
}

static int select_push(Sink *sink, Column *c) {
    Select *s = (Select *)sink;
    size_t at;
    bool is_new;
    if (c->h) {
        annotate_ignored_in(s->ev, s->node, s->node->aggregate.op);
        column_drop_histograms(c);
    }
    if (grouping_index(&s->grouping, c->labels, &at, &is_new) < 0)
        return -EINVAL;
    if (is_new) {
        Heap *h = SCOPE_ZARRAY(&s->scope, Heap, s->n);
        if (!h)
            return -EINVAL;
        vec_push(&s->heaps, h);
    }
    uint32_t id = (uint32_t)s->series.n;
    vec_push(&s->series, (SeriesId){c->labels, c->drop_name});
    Heap *heaps = s->heaps.v[at];
    for (size_t i = 0; i < c->n; i++)
        if (c->kind[i] == CELL_FLOAT &&
            heap_offer(s, &heaps[i], trunc(s->k[i]), (Candidate){c->v[i], id}) < 0)
            return -EINVAL;
    return 0;
}

/* ---- results */

static int top_cmp(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (isnan(x->v) || isnan(y->v))
        return isnan(x->v) - isnan(y->v);
    return x->v != y->v ? (x->v < y->v ? 1 : -1)
                        : (x->series > y->series) - (x->series < y->series);
}
static int bottom_cmp(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (isnan(x->v) || isnan(y->v))
        return isnan(x->v) - isnan(y->v);
    return x->v != y->v ? (x->v < y->v ? -1 : 1)
                        : (x->series > y->series) - (x->series < y->series);
}

static int push_sorted(Select *s, Column *c, Sink *out) {
    int r = 0;
    for (size_t q = 0; q < s->heaps.n && r == 0; q++) {
        Heap *h = &s->heaps.v[q][0];
        if (h->n)
            qsort(h->v, h->n, sizeof(*h->v), s->top ? top_cmp : bottom_cmp);
        for (uint32_t i = 0; i < h->n && r == 0; i++) {
            const SeriesId *id = &s->series.v[h->v[i].series];
            c->labels = id->labels;
            c->drop_name = id->drop_name;
            c->kind[0] = CELL_FLOAT;
            c->v[0] = h->v[i].v;
            c->h = NULL;
            r = out->push(out, c);
        }
    }
    return r;
}

typedef struct Placed {
    uint32_t step;
    double v;
} Placed;

/* All candidates by series, then one column after the other. */
static int push_by_series(Select *s, Column *c, Sink *out) {
    size_t n_series = s->series.n, total = 0;
    uint64_t *start = SCOPE_ZARRAY(&s->scope, uint64_t, n_series + 2);
    if (!start)
        return -EINVAL;
    for (size_t q = 0; q < s->heaps.n; q++)
        for (size_t i = 0; i < s->n; i++)
            for (uint32_t k = 0; k < s->heaps.v[q][i].n; k++, total++)
                start[s->heaps.v[q][i].v[k].series + 2]++;
    for (size_t i = 2; i < n_series + 2; i++)
        start[i] += start[i - 1];
    Placed *all = SCOPE_ARRAY(&s->scope, Placed, total + 1);
    if (!all)
        return -EINVAL;
    for (size_t q = 0; q < s->heaps.n; q++)
        for (size_t i = 0; i < s->n; i++)
            for (uint32_t k = 0; k < s->heaps.v[q][i].n; k++) {
                const Candidate *x = &s->heaps.v[q][i].v[k];
                all[start[x->series + 1]++] = (Placed){(uint32_t)i, x->v};
            }
    int r = 0;
    for (size_t i = 0; i < n_series && r == 0; i++) {
        if (start[i] == start[i + 1])
            continue;
        column_clear(c);
        c->labels = s->series.v[i].labels;
        c->drop_name = s->series.v[i].drop_name;
        for (uint64_t k = start[i]; k < start[i + 1]; k++) {
            c->kind[all[k].step] = CELL_FLOAT;
            c->v[all[k].step] = all[k].v;
        }
        r = out->push(out, c);
    }
    return r;
}

/* What is evaluated only to be said to be wrong. */
static int drop_push(Sink *sink, Column *c) { return 0; }

/* No step keeps anything: the operand is evaluated all the same, for its errors and annotations. */
static int select_nothing(Eval *ev, const Node *n, const Grid *g) {
    Sink drop = {drop_push};
    return eval_vector(ev, n->aggregate.expr, g, &drop);
}

/* 1: no k reaches 1. */
static int check_k(Eval *ev, const double *k, size_t n) {
    double max = -INFINITY, min = INFINITY;
    bool nan = false;
    for (size_t i = 0; i < n; i++) {
        nan |= isnan(k[i]);
        max = k[i] > max ? k[i] : max;
        min = k[i] < min ? k[i] : min;
    }
    if (!nan && max < 1)
        return 1;
    if (nan)
        return eval_fail(ev, PROMQL_EXECUTION, "Parameter value is NaN");
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    bool under = min <= -0x1p63, over = max >= 0x1p63;
    if (!under && !over)
        return 0;
    number_format_g(&b, under ? min : max);
    return eval_fail(ev, PROMQL_EXECUTION, "Scalar value %.*s %s int64", SA(buf_str(&b)),
                     under ? "underflows" : "overflows");
}

int eval_aggregate_select(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    Select s = {.sink = {select_push}, .ev = ev, .node = n, .n = g->n};
    s.top = n->aggregate.op == AGG_TOPK;
    scope_init(&s.scope, ev);
    grouping_init(&s.grouping, ev, n, &s.scope);
    s.k = eval_scalar_column(ev, &s.scope, n->aggregate.param, g);
    Column *c = column_new(&s.scope, g->n);
    int r = s.k && c ? check_k(ev, s.k, g->n) : -EINVAL;
    bool none = r == 1;
    if (none)
        r = select_nothing(ev, n, g);
    else if (r == 0)
        r = eval_vector(ev, n->aggregate.expr, g, &s.sink);
    if (r == 0 && !none)
        r = g->n == 1 ? push_sorted(&s, c, out) : push_by_series(&s, c, out);
    vec_free(&s.heaps);
    vec_free(&s.series);
    grouping_deinit(&s.grouping);
    scope_deinit(&s.scope);
    return r < 0 ? r : 0;
}

/* ---- limitk, limit_ratio: decided as columns come */

typedef struct Limit {
    Sink sink;
    Eval *ev;
    const Node *node;
    size_t n;
    Scope scope;
    Grouping grouping;
    VEC(uint64_t *) taken; /* of each group, a number a step */
    const double *param;
    Sink *next;
} Limit;

static int limitk_push(Sink *sink, Column *c) {
    Limit *l = (Limit *)sink;
    size_t at;
    bool is_new;
    if (grouping_index(&l->grouping, c->labels, &at, &is_new) < 0)
        return -EINVAL;
    if (is_new) {
        uint64_t *t = SCOPE_ZARRAY(&l->scope, uint64_t, l->n);
        if (!t)
            return -EINVAL;
        vec_push(&l->taken, t);
    }
    uint64_t *taken = l->taken.v[at];
    for (size_t i = 0; i < c->n; i++) {
        if (!c->kind[i])
            continue;
        if ((double)(taken[i] + 1) <= trunc(l->param[i]))
            taken[i]++;
        else
            c->kind[i] = CELL_NONE;
    }
    return column_count(c) ? l->next->push(l->next, c) : 0;
}

static void add_sized(Buf *b, Str s) {
    if (s.n < 255) {
        buf_add_char(b, (char)s.n);
    } else {
        char size[4] = {(char)255, (char)s.n, (char)(s.n >> 8), (char)(s.n >> 16)};
        buf_add(b, size, sizeof(size));
    }
    buf_add_str(b, s);
}

/* The hash that Prometheus' builds have for labels (XXH64 of names and values, each behind its
 * size), so that limit_ratio keeps the same series. */
static uint64_t sampling_hash(Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (size_t i = 0; i < l.n; i++) {
        add_sized(&b, l.v[i].name);
        add_sized(&b, l.v[i].value);
    }
    return hash_xxh64(b.p, b.n);
}

static int ratio_push(Sink *sink, Column *c) {
    Limit *l = (Limit *)sink;
    double offset = (double)sampling_hash(c->labels) / (double)UINT64_MAX;
    for (size_t i = 0; i < c->n; i++) {
        double r = MAX(-1.0, MIN(1.0, l->param[i]));
        bool keep = r > 0 ? offset < r : r < 0 && offset >= 1.0 + r;
        if (!keep)
            c->kind[i] = CELL_NONE;
    }
    return column_count(c) ? l->next->push(l->next, c) : 0;
}

static void annotate_ratio(Eval *ev, const Node *at, double r, double to) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "ratio value should be between -1 and 1, got ");
    number_format_g(&b, r);
    buf_add_cstr(&b, ", capping to ");
    number_format_g(&b, to);
    annotate(ev, ANNOTATION_WARNING, at, "%.*s", SA(buf_str(&b)));
}

/* 1: every ratio is 0. */
static int check_ratio(Eval *ev, const Node *n, const double *p, size_t steps) {
    double max = -INFINITY, min = INFINITY;
    for (size_t i = 0; i < steps; i++) {
        if (isnan(p[i]))
            return eval_fail(ev, PROMQL_EXECUTION, "Ratio value is NaN");
        max = MAX(max, p[i]);
        min = MIN(min, p[i]);
    }
    if (max == 0 && min == 0)
        return 1;
    if (max > 1)
        annotate_ratio(ev, n->aggregate.param, max, 1);
    if (min < -1)
        annotate_ratio(ev, n->aggregate.param, min, -1);
    return 0;
}

int eval_limit(Eval *ev, const Node *n, const Grid *g, Sink *out) {
    bool ratio = n->aggregate.op == AGG_LIMIT_RATIO;
    Limit l = {
        .sink = {ratio ? ratio_push : limitk_push}, .ev = ev, .node = n, .n = g->n, .next = out};
    scope_init(&l.scope, ev);
    grouping_init(&l.grouping, ev, n, &l.scope);
    l.param = eval_scalar_column(ev, &l.scope, n->aggregate.param, g);
    int r = !l.param ? -EINVAL
            : ratio  ? check_ratio(ev, n, l.param, g->n)
                     : check_k(ev, l.param, g->n);
    if (r >= 0)
        r = r == 1 ? select_nothing(ev, n, g) : eval_vector(ev, n->aggregate.expr, g, &l.sink);
    vec_free(&l.taken);
    grouping_deinit(&l.grouping);
    scope_deinit(&l.scope);
    return r < 0 ? r : 0;
}
