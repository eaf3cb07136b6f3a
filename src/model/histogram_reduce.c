/* Coarser buckets: each step down of the schema joins two neighbours. */
#include "model/histogram.h"

#include <math.h>

#include "base/mem.h"

/* The index that bucket i of schema `from` has in schema `to`: bounds are inclusive above. */
static int64_t coarser(int64_t i, int from, int to) { return ((i - 1) >> (from - to)) + 1; }

/* Walks spans and appends buckets of the coarser schema. */
typedef struct Joined {
    BucketSpan *spans;
    uint32_t n_spans, n;
    int64_t end; /* index behind the last bucket */
} Joined;

/* True: a new bucket was begun at out->n - 1. */
static bool join(Joined *out, int64_t at) {
    if (out->n > 0 && at < out->end) {
        return false;
    }
    if (out->n > 0 && at == out->end) {
        out->spans[out->n_spans - 1].length++;
    } else {
        int64_t gap = out->n > 0 ? at - out->end : at;
        out->spans[out->n_spans++] = (BucketSpan){(int32_t)gap, 1};
    }
    out->end = at + 1;
    out->n++;
    return true;
}

/* Absolute counts of one side, in place of its deltas. */
#define JOIN_SIDE(T, a, spans_in, n_spans_in, in, is_delta, from, to, out, counts)                 \
    do {                                                                                           \
        uint32_t buckets_ = 0;                                                                     \
        for (uint32_t i_ = 0; i_ < (n_spans_in); i_++)                                             \
            buckets_ += (spans_in)[i_].length;                                                     \
        (out)->spans = ARENA_ARRAY(a, BucketSpan, buckets_);                                       \
        (counts) = ARENA_ARRAY(a, T, buckets_);                                                    \
        int64_t at_ = 0;                                                                           \
        uint32_t k_ = 0;                                                                           \
        T v_ = 0;                                                                                  \
        for (uint32_t i_ = 0; !(a)->failed && i_ < (n_spans_in); i_++) {                           \
            at_ += (spans_in)[i_].offset;                                                          \
            for (uint32_t j_ = 0; j_ < (spans_in)[i_].length; j_++, at_++, k_++) {                 \
                v_ = (is_delta) ? v_ + (in)[k_] : (in)[k_];                                        \
                if (join(out, coarser(at_, from, to)))                                             \
                    (counts)[(out)->n - 1] = v_;                                                   \
                else                                                                               \
                    (counts)[(out)->n - 1] += v_;                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void to_deltas(int64_t *v, uint32_t n) {
    for (uint32_t i = n; i > 1; i--) {
        v[i - 1] -= v[i - 2];
    }
}

Histogram *histogram_reduce(Arena *a, const Histogram *h, int32_t schema) {
    Histogram *ret = arena_dup(a, h, sizeof(*h));
    Joined positive = {0}, negative = {0};
    int64_t *up, *down;
    JOIN_SIDE(int64_t, a, h->positive_spans, h->n_positive_spans, h->positive, true, h->schema,
              schema, &positive, up);
    JOIN_SIDE(int64_t, a, h->negative_spans, h->n_negative_spans, h->negative, true, h->schema,
              schema, &negative, down);
    if (a->failed) {
        return NULL;
    }
    to_deltas(up, positive.n);
    to_deltas(down, negative.n);
    ret->schema = schema;
    ret->positive_spans = positive.spans;
    ret->n_positive_spans = positive.n_spans;
    ret->positive = up;
    ret->n_positive = positive.n;
    ret->negative_spans = negative.spans;
    ret->n_negative_spans = negative.n_spans;
    ret->negative = down;
    ret->n_negative = negative.n;
    return ret;
}

FloatHistogram *float_histogram_reduce(Arena *a, const FloatHistogram *h, int32_t schema) {
    FloatHistogram *ret = arena_dup(a, h, sizeof(*h));
    Joined positive = {0}, negative = {0};
    double *up, *down;
    JOIN_SIDE(double, a, h->positive_spans, h->n_positive_spans, h->positive, false, h->schema,
              schema, &positive, up);
    JOIN_SIDE(double, a, h->negative_spans, h->n_negative_spans, h->negative, false, h->schema,
              schema, &negative, down);
    if (a->failed) {
        return NULL;
    }
    ret->schema = schema;
    ret->positive_spans = positive.spans;
    ret->n_positive_spans = positive.n_spans;
    ret->positive = up;
    ret->n_positive = positive.n;
    ret->negative_spans = negative.spans;
    ret->n_negative_spans = negative.n_spans;
    ret->negative = down;
    ret->n_negative = negative.n;
    return ret;
}

/* Prometheus' words: a factor of the next bound to the one before, at least so large. */
int32_t histogram_schema_for(double factor) {
    if (factor <= 1) {
        factor = 1.00271;
    }
    double floored = floor(log2(log2(factor)));
    if (floored <= -HISTOGRAM_SCHEMA_MAX) {
        return HISTOGRAM_SCHEMA_MAX;
    }
    return floored >= -HISTOGRAM_SCHEMA_MIN ? HISTOGRAM_SCHEMA_MIN : -(int32_t)floored;
}
