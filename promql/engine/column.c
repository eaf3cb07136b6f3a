#include "promql/engine/eval.h"

#include "base/hash.h"

Column *column_new(Scope *s, size_t n) {
    Column *c = SCOPE_NEW(s, Column);
    if (!c)
        return NULL;
    c->n = n;
    c->v = SCOPE_ZARRAY(s, double, n);
    c->kind = SCOPE_ZARRAY(s, uint8_t, n);
    return c->v && c->kind ? c : NULL;
}

int column_need_histograms(Scope *s, Column *c) {
    if (!c->h)
        c->h = SCOPE_ZARRAY(s, const FloatHistogram *, c->n);
    return c->h ? 0 : -EINVAL;
}

void column_clear(Column *c) {
    memset(c->kind, CELL_NONE, c->n);
    c->h = NULL;
}

Column *column_copy(Scope *s, const Column *from) {
    Column *c = SCOPE_NEW(s, Column);
    if (!c)
        return NULL;
    *c = *from;
    c->h = NULL;
    c->v = SCOPE_ARRAY(s, double, c->n);
    c->kind = SCOPE_ARRAY(s, uint8_t, c->n);
    if (!c->v || !c->kind)
        return NULL;
    memcpy(c->v, from->v, c->n * sizeof(*c->v));
    memcpy(c->kind, from->kind, c->n);
    if (!from->h)
        return c;
    if (column_need_histograms(s, c) < 0)
        return NULL;
    /* Equal neighbours are one histogram: constant parts come as many steps of it. */
    const FloatHistogram *last = NULL, *last_copy = NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (c->kind[i] != CELL_HISTOGRAM)
            continue;
        if (from->h[i] != last) {
            last = from->h[i];
            last_copy = scope_histogram(s, last);
            if (!last_copy)
                return NULL;
        }
        c->h[i] = last_copy;
    }
    return c;
}

size_t column_count(const Column *c) {
    size_t n = 0;
    for (size_t from = 0; from < c->n; from += UINT8_MAX) {
        uint8_t few = 0; /* so that many are added at once */
        size_t to = MIN(from + UINT8_MAX, c->n);
        for (size_t i = from; i < to; i++)
            few = (uint8_t)(few + (c->kind[i] != CELL_NONE));
        n += few;
    }
    return n;
}

bool column_all_float(const Column *c) {
    uint8_t all = CELL_FLOAT;
    for (size_t i = 0; i < c->n; i++)
        all &= c->kind[i];
    return all == CELL_FLOAT;
}

void column_drop_histograms(Column *c) {
    if (!c->h)
        return;
    for (size_t i = 0; i < c->n; i++)
        c->kind[i] &= CELL_FLOAT;
    c->h = NULL;
}

uint64_t histogram_weight(const FloatHistogram *h) {
    uint64_t bytes = 168 + 8 * ((uint64_t)h->n_positive_spans + h->n_negative_spans +
                                h->n_positive + h->n_negative + h->n_custom);
    return (bytes + 8) / 16;
}

uint64_t column_weight(const Column *c) {
    uint64_t n = column_count(c);
    if (c->h)
        for (size_t i = 0; i < c->n; i++)
            if (c->kind[i] == CELL_HISTOGRAM)
                n += histogram_weight(c->h[i]) - 1;
    return n;
}

static const void *dup_array(Scope *s, const void *p, size_t n, size_t size, bool *ok) {
    if (!n)
        return NULL;
    void *to = scope_alloc(s, n, size);
    if (!to) {
        *ok = false;
        return NULL;
    }
    return memcpy(to, p, n * size);
}

FloatHistogram *scope_histogram(Scope *s, const FloatHistogram *h) {
    FloatHistogram *c = SCOPE_NEW(s, FloatHistogram);
    if (!c)
        return NULL;
    bool ok = true;
    *c = *h;
    c->positive_spans =
        dup_array(s, h->positive_spans, h->n_positive_spans, sizeof(BucketSpan), &ok);
    c->negative_spans =
        dup_array(s, h->negative_spans, h->n_negative_spans, sizeof(BucketSpan), &ok);
    c->positive = dup_array(s, h->positive, h->n_positive, sizeof(double), &ok);
    c->negative = dup_array(s, h->negative, h->n_negative, sizeof(double), &ok);
    c->custom_values = dup_array(s, h->custom_values, h->n_custom, sizeof(double), &ok);
    return ok ? c : NULL;
}

static const double *undelta(Scope *s, const int64_t *deltas, uint32_t n) {
    double *v = SCOPE_ARRAY(s, double, n + !n);
    if (!v)
        return NULL;
    int64_t at = 0;
    for (uint32_t i = 0; i < n; i++)
        v[i] = (double)(at += deltas[i]);
    return v;
}

FloatHistogram *scope_histogram_float(Scope *s, const Histogram *h) {
    FloatHistogram *c = SCOPE_NEW(s, FloatHistogram);
    if (!c)
        return NULL;
    bool ok = true;
    *c = (FloatHistogram){
        .reset_hint = h->reset_hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .sum = h->sum,
        .zero_count = (double)h->zero_count,
        .count = (double)h->count,
        .n_positive_spans = h->n_positive_spans,
        .n_negative_spans = h->n_negative_spans,
        .n_positive = h->n_positive,
        .n_negative = h->n_negative,
        .n_custom = h->n_custom,
        .positive_spans =
            dup_array(s, h->positive_spans, h->n_positive_spans, sizeof(BucketSpan), &ok),
        .negative_spans =
            dup_array(s, h->negative_spans, h->n_negative_spans, sizeof(BucketSpan), &ok),
        .custom_values = dup_array(s, h->custom_values, h->n_custom, sizeof(double), &ok),
    };
    c->positive = undelta(s, h->positive, h->n_positive);
    c->negative = undelta(s, h->negative, h->n_negative);
    return ok && c->positive && c->negative ? c : NULL;
}

static int collect(Sink *sink, Column *c) {
    Collector *k = (Collector *)sink;
    Column *copy = column_copy(k->scope, c);
    if (!copy)
        return -EINVAL;
    vec_push(&k->columns, copy);
    return 0;
}

void collector_init(Collector *c, Scope *s) { *c = (Collector){.sink = {collect}, .scope = s}; }
void collector_deinit(Collector *c) { vec_free(&c->columns); }

void dup_check_init(DupCheck *d, Scope *s) { *d = (DupCheck){.scope = s, .key = BUF_INIT(0)}; }
void dup_check_deinit(DupCheck *d) {
    str_map_deinit(&d->map);
    buf_deinit(&d->key);
}

/* Sets the bits of the cells; true when one was set before. */
static bool mark_cells(uint64_t *bits, const Column *c) {
    uint64_t hit = 0;
    for (size_t w = 0; w < (c->n + 63) / 64; w++) {
        uint64_t now = 0;
        size_t end = MIN(c->n, w * 64 + 64);
        for (size_t i = w * 64; i < end; i++)
            now |= (uint64_t)(c->kind[i] != CELL_NONE) << (i & 63);
        hit |= bits[w] & now;
        bits[w] |= now;
    }
    return hit != 0;
}

int dup_check_add(DupCheck *d, const Column *c, uint64_t extra, bool strict, const char *text) {
    buf_reset(&d->key);
    buf_add_u64(&d->key, extra);
    labels_key_all(&d->key, c->labels);
    Str key = buf_str(&d->key);
    uint64_t *bits = str_map_get(&d->map, key);
    if (bits) {
        if (strict || mark_cells(bits, c))
            return eval_fail(d->scope->ev, PROMQL_EXECUTION, "%s", text);
        return 0;
    }
    key = scope_str(d->scope, key);
    bits = key.p ? SCOPE_ZARRAY(d->scope, uint64_t, (c->n + 63) / 64) : NULL;
    if (!bits)
        return -EINVAL;
    bool is_new;
    *str_map_put(&d->map, key, &is_new) = bits;
    (void)mark_cells(bits, c); /* the first cannot overlap */
    return 0;
}
