/* Layouts and predictors of histogram chunks, and the questions about single histograms. */
#include "tsdb/codec/histogram_state.h"

static bool same_bytes(const void *a, size_t n_a, const void *b, size_t n_b, size_t size) {
    return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * size) == 0);
}

#define SAME_LIST(a, b, list, count)                                                               \
    same_bytes((a)->list, (a)->count, (b)->list, (b)->count, sizeof(*(a)->list))

/* Floats by their bits: NaN is itself, and -0 is not 0. */
#define SAME_FIELD(a, b, field) (memcmp(&(a)->field, &(b)->field, sizeof((a)->field)) == 0)

#define SAME_HISTOGRAM(a, b)                                                                       \
    (SAME_FIELD(a, b, schema) && SAME_FIELD(a, b, count) && SAME_FIELD(a, b, zero_count) &&        \
     SAME_FIELD(a, b, sum) && SAME_FIELD(a, b, zero_threshold) &&                                  \
     SAME_LIST(a, b, positive_spans, n_positive_spans) &&                                          \
     SAME_LIST(a, b, negative_spans, n_negative_spans) && SAME_LIST(a, b, positive, n_positive) && \
     SAME_LIST(a, b, negative, n_negative) && SAME_LIST(a, b, custom_values, n_custom))

bool histogram_sample_is_stale(const HistogramSample *s) {
    return is_stale_nan(s->h ? s->h->sum : s->fh->sum);
}

bool histogram_sample_same(const HistogramSample *a, const HistogramSample *b) {
    if (!a->h != !b->h) {
        return false;
    }
    if (histogram_sample_is_stale(a) && histogram_sample_is_stale(b)) {
        return true;
    }
    return a->h ? SAME_HISTOGRAM(a->h, b->h) : SAME_HISTOGRAM(a->fh, b->fh);
}

#define HOLDS(x)                                                                                   \
    ((uint64_t)(x)->n_positive + (x)->n_negative <= HISTOGRAM_BUCKETS_MAX &&                       \
     (uint64_t)(x)->n_positive_spans + (x)->n_negative_spans <= HISTOGRAM_BUCKETS_MAX &&           \
     (x)->n_custom <= HISTOGRAM_BUCKETS_MAX)

bool histogram_chunk_holds(const HistogramSample *s) { return s->h ? HOLDS(s->h) : HOLDS(s->fh); }

static void layout_free(HistogramLayout *l) {
    vec_free(&l->positive_spans);
    vec_free(&l->negative_spans);
    vec_free(&l->custom_values);
}

void histogram_state_reset(HistogramState *s) {
    HistogramLayout *l = &s->layout;
    l->schema = 0;
    l->zero_threshold = 0;
    l->n_positive = l->n_negative = 0;
    l->positive_spans.n = l->negative_spans.n = l->custom_values.n = 0;
    vec_reserve(&s->numbers, NUMBERS_FIXED);
    s->numbers.n = NUMBERS_FIXED;
    memset(s->numbers.v, 0, NUMBERS_FIXED * sizeof(*s->numbers.v));
}

void histogram_state_deinit(HistogramState *s) {
    layout_free(&s->layout);
    vec_free(&s->numbers);
    vec_free(&s->scratch);
}

/* Walks the bucket indices of a list of spans. */
typedef struct SpanWalk {
    const BucketSpan *v;
    size_t n, at;
    uint32_t in_span;
    int64_t index;
} SpanWalk;

static bool walk_settle(SpanWalk *w) {
    while (w->at < w->n && w->in_span >= w->v[w->at].length) {
        w->in_span = 0;
        if (++w->at < w->n) {
            w->index += w->v[w->at].offset;
        }
    }
    return w->at < w->n;
}

static SpanWalk walk_start(const BucketSpan *v, size_t n) {
    SpanWalk w = {.v = v, .n = n, .index = n ? v[0].offset : 0};
    (void)walk_settle(&w); /* an empty list is seen when it is used */
    return w;
}

static bool walk_next(SpanWalk *w) {
    w->in_span++;
    w->index++;
    return walk_settle(w);
}

static void carry_side(SpanWalk old, const HistogramNumber *from, SpanWalk fresh,
                       HistogramNumber *to) {
    bool more = fresh.at < fresh.n, has_old = old.at < old.n;
    for (size_t i = 0, k = 0; more; more = walk_next(&fresh), i++) {
        while (has_old && old.index < fresh.index) {
            has_old = walk_next(&old);
            k++;
        }
        to[i] = has_old && old.index == fresh.index ? from[k] : (HistogramNumber){0};
    }
}

void histogram_state_relayout(HistogramState *s, HistogramLayout *fresh) {
    HistogramLayout *old = &s->layout;
    size_t n = NUMBERS_FIXED + (size_t)fresh->n_positive + fresh->n_negative;
    vec_reserve(&s->scratch, n);
    HistogramNumber *to = s->scratch.v;
    s->scratch.n = n;
    memset(to, 0, n * sizeof(*to));
    memcpy(to, s->numbers.v, NUMBERS_FIXED * sizeof(*to));
    if (old->schema == fresh->schema) {
        const HistogramNumber *from = s->numbers.v + NUMBERS_FIXED;
        carry_side(walk_start(old->positive_spans.v, old->positive_spans.n), from,
                   walk_start(fresh->positive_spans.v, fresh->positive_spans.n),
                   to + NUMBERS_FIXED);
        carry_side(walk_start(old->negative_spans.v, old->negative_spans.n), from + old->n_positive,
                   walk_start(fresh->negative_spans.v, fresh->negative_spans.n),
                   to + NUMBERS_FIXED + fresh->n_positive);
    }
    HistogramState before = *s;
    s->numbers.v = before.scratch.v;
    s->numbers.n = before.scratch.n;
    s->numbers.cap = before.scratch.cap;
    s->scratch.v = before.numbers.v;
    s->scratch.n = before.numbers.n;
    s->scratch.cap = before.numbers.cap;
    s->layout = *fresh;
    *fresh = before.layout;
}
