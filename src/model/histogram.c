#include "model/histogram.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/sample.h"

/* ---- copies */

static void *copy_part(char **at, const void *p, size_t size) {
    void *dst = *at;
    if (size) {
        memcpy(dst, p, size);
    }
    *at += size;
    return dst;
}

/* The spans and custom bounds both kinds have. 8-byte things first, so that all stays aligned. */
#define COPY_INTO(copy, h, at)                                                                     \
    do {                                                                                           \
        *(copy) = *(h);                                                                            \
        (copy)->positive = copy_part(&(at), (h)->positive, (h)->n_positive * 8u);                  \
        (copy)->negative = copy_part(&(at), (h)->negative, (h)->n_negative * 8u);                  \
        (copy)->custom_values = copy_part(&(at), (h)->custom_values, (h)->n_custom * 8u);          \
        (copy)->positive_spans =                                                                   \
            copy_part(&(at), (h)->positive_spans, (h)->n_positive_spans * sizeof(BucketSpan));     \
        (copy)->negative_spans =                                                                   \
            copy_part(&(at), (h)->negative_spans, (h)->n_negative_spans * sizeof(BucketSpan));     \
    } while (0)

static size_t parts_size(uint32_t numbers_a, uint32_t numbers_b, uint32_t numbers_c,
                         uint32_t spans_a, uint32_t spans_b) {
    return ((size_t)numbers_a + numbers_b + numbers_c) * 8 +
           ((size_t)spans_a + spans_b) * sizeof(BucketSpan);
}

Histogram *histogram_dup(const Histogram *h) {
    Histogram *copy =
        mem_alloc(sizeof(*copy) + parts_size(h->n_positive, h->n_negative, h->n_custom,
                                             h->n_positive_spans, h->n_negative_spans));
    char *at = (char *)(copy + 1);
    COPY_INTO(copy, h, at);
    return copy;
}

FloatHistogram *float_histogram_dup(const FloatHistogram *h) {
    FloatHistogram *copy =
        mem_alloc(sizeof(*copy) + parts_size(h->n_positive, h->n_negative, h->n_custom,
                                             h->n_positive_spans, h->n_negative_spans));
    char *at = (char *)(copy + 1);
    COPY_INTO(copy, h, at);
    return copy;
}

Histogram *histogram_arena_dup(Arena *a, const Histogram *h) {
    Histogram *copy =
        arena_alloc(a, sizeof(*copy) + parts_size(h->n_positive, h->n_negative, h->n_custom,
                                                  h->n_positive_spans, h->n_negative_spans));
    if (copy) {
        char *at = (char *)(copy + 1);
        COPY_INTO(copy, h, at);
    }
    return copy;
}

FloatHistogram *float_histogram_arena_dup(Arena *a, const FloatHistogram *h) {
    FloatHistogram *copy =
        arena_alloc(a, sizeof(*copy) + parts_size(h->n_positive, h->n_negative, h->n_custom,
                                                  h->n_positive_spans, h->n_negative_spans));
    if (copy) {
        char *at = (char *)(copy + 1);
        COPY_INTO(copy, h, at);
    }
    return copy;
}

/* ---- one side of a histogram, of either kind */

typedef struct Side {
    const BucketSpan *spans;
    uint32_t n_spans, n;
    const int64_t *deltas; /* or */
    const double *counts;
} Side;

typedef struct Cursor {
    const Side *side;
    uint32_t span, in_span, bucket;
    int64_t index;
    int64_t count_int;
    double count;
    bool valid;
} Cursor;

static void cursor_load(Cursor *c) {
    const Side *s = c->side;
    while (c->span < s->n_spans && c->in_span >= s->spans[c->span].length) {
        if (++c->span < s->n_spans) {
            c->index += s->spans[c->span].offset;
        }
        c->in_span = 0;
    }
    c->valid = c->span < s->n_spans && c->bucket < s->n;
    if (!c->valid) {
        return;
    }
    if (s->deltas) {
        c->count_int = (int64_t)((uint64_t)c->count_int + (uint64_t)s->deltas[c->bucket]);
        c->count = (double)c->count_int;
    } else {
        c->count = s->counts[c->bucket];
    }
}

static Cursor cursor_at_start(const Side *s) {
    Cursor c = {.side = s};
    c.index = s->n_spans ? s->spans[0].offset : 0;
    cursor_load(&c);
    return c;
}

static void cursor_next(Cursor *c) {
    c->in_span++;
    c->bucket++;
    c->index++;
    cursor_load(c);
}

/* A used bucket of before that is gone or counts less now. */
static bool side_reset(Side before, Side now) {
    Cursor a = cursor_at_start(&before), b = cursor_at_start(&now);
    while (a.valid) {
        if (b.valid && b.index < a.index) {
            cursor_next(&b);
            continue;
        }
        bool same = b.valid && b.index == a.index;
        if (same ? b.count < a.count : a.count != 0) {
            return true;
        }
        cursor_next(&a);
        if (same) {
            cursor_next(&b);
        }
    }
    return false;
}

static bool same_bounds(const double *a, uint32_t n_a, const double *b, uint32_t n_b) {
    for (uint32_t i = 0; n_a == n_b && i < n_a; i++) {
        if (double_bits(a[i]) != double_bits(b[i])) {
            return false;
        }
    }
    return n_a == n_b;
}

/* The order of the questions is Prometheus': the first that has an answer decides. */
#define RESET_HINT(prev, cur, positive_prev, positive_cur, negative_prev, negative_cur)            \
    do {                                                                                           \
        if ((cur)->reset_hint == RESET_GAUGE || (cur)->reset_hint == RESET_YES)                    \
            return (cur)->reset_hint;                                                              \
        if (!(prev) || (prev)->reset_hint == RESET_GAUGE)                                          \
            return RESET_UNKNOWN;                                                                  \
        if (is_stale_nan((cur)->sum))                                                              \
            return RESET_NO;                                                                       \
        if (is_stale_nan((prev)->sum))                                                             \
            return RESET_UNKNOWN;                                                                  \
        if ((cur)->count < (prev)->count)                                                          \
            return RESET_YES;                                                                      \
        if ((cur)->schema != (prev)->schema || (cur)->zero_threshold != (prev)->zero_threshold)    \
            return RESET_UNKNOWN;                                                                  \
        bool custom = (cur)->schema == HISTOGRAM_SCHEMA_CUSTOM;                                    \
        if (custom && !same_bounds((prev)->custom_values, (prev)->n_custom, (cur)->custom_values,  \
                                   (cur)->n_custom))                                               \
            return RESET_YES;                                                                      \
        if ((cur)->zero_count < (prev)->zero_count || side_reset(positive_prev, positive_cur) ||   \
            side_reset(negative_prev, negative_cur))                                               \
            return RESET_YES;                                                                      \
        return RESET_NO;                                                                           \
    } while (0)

static Side positive_of(const Histogram *h) {
    return (Side){h->positive_spans, h->n_positive_spans, h->n_positive, h->positive, NULL};
}
static Side negative_of(const Histogram *h) {
    return (Side){h->negative_spans, h->n_negative_spans, h->n_negative, h->negative, NULL};
}
static Side positive_of_float(const FloatHistogram *h) {
    return (Side){h->positive_spans, h->n_positive_spans, h->n_positive, NULL, h->positive};
}
static Side negative_of_float(const FloatHistogram *h) {
    return (Side){h->negative_spans, h->n_negative_spans, h->n_negative, NULL, h->negative};
}

CounterResetHint histogram_reset_hint(const Histogram *prev, const Histogram *cur) {
    RESET_HINT(prev, cur, positive_of(prev), positive_of(cur), negative_of(prev), negative_of(cur));
}

CounterResetHint float_histogram_reset_hint(const FloatHistogram *prev, const FloatHistogram *cur) {
    RESET_HINT(prev, cur, positive_of_float(prev), positive_of_float(cur), negative_of_float(prev),
               negative_of_float(cur));
}

/* ---- validation */

static bool refuse(Problem *p, const char *text) {
    problem_set(p, 0, 0, "%s", text);
    return false;
}

static bool check_spans(Side s, const char *where, Problem *p) {
    uint64_t need = 0;
    for (uint32_t i = 0; i < s.n_spans; i++) {
        if (i > 0 && s.spans[i].offset < 0) {
            problem_set(p, 0, 0,
                        "%s side: span number %u with offset %d: histogram has a span whose offset "
                        "is negative",
                        where, i + 1, s.spans[i].offset);
            return false;
        }
        need += s.spans[i].length;
    }
    if (need != s.n) {
        problem_set(p, 0, 0,
                    "%s side: spans need %llu buckets, have %u buckets: histogram spans specify "
                    "different number of buckets than provided",
                    where, (unsigned long long)need, s.n);
        return false;
    }
    return true;
}

static bool check_buckets(Side s, const char *where, uint64_t *ret_sum, Problem *p) {
    int64_t count = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        bool negative;
        if (s.deltas) {
            count = (int64_t)((uint64_t)count + (uint64_t)s.deltas[i]);
            *ret_sum += (uint64_t)count;
            negative = count < 0;
        } else {
            negative = s.counts[i] < 0;
        }
        if (negative) {
            problem_set(p, 0, 0,
                        "%s side: bucket number %u has observation count of %g: histogram has a "
                        "bucket whose observation count is negative",
                        where, i + 1, s.deltas ? (double)count : s.counts[i]);
            return false;
        }
    }
    return true;
}

static bool check_bounds(const double *bounds, uint32_t n, Problem *p) {
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(bounds[i])) {
            return refuse(p, "custom buckets: histogram custom bounds must not be NaN");
        }
        if (i > 0 && bounds[i] <= bounds[i - 1]) {
            problem_set(p, 0, 0,
                        "custom buckets: previous bound is %f and current is %f: histogram custom "
                        "bounds must be in strictly increasing order",
                        bounds[i - 1], bounds[i]);
            return false;
        }
    }
    if (n > 0 && bounds[n - 1] == INFINITY) {
        return refuse(p,
                      "custom buckets: last +Inf bound must not be explicitly defined: histogram "
                      "custom bounds must be finite");
    }
    return true;
}

static bool check_custom(const double *bounds, uint32_t n, Side positive, Problem *p) {
    int64_t covered = 0;
    if (!check_bounds(bounds, n, p)) {
        return false;
    }
    for (uint32_t i = 0; i < positive.n_spans; i++) {
        if (positive.spans[i].offset < 0) {
            problem_set(p, 0, 0,
                        "custom buckets: span number %u with offset %d: histogram has a span whose "
                        "offset is negative",
                        i + 1, positive.spans[i].offset);
            return false;
        }
        covered += (int64_t)positive.spans[i].length + positive.spans[i].offset;
    }
    if (!check_spans(positive, "positive", p)) {
        return false;
    }
    if ((int64_t)n + 1 < covered) {
        problem_set(p, 0, 0,
                    "custom buckets: only %u custom bounds defined which is insufficient to cover "
                    "total span length of %lld: histogram custom bounds are too few",
                    n, (long long)covered);
        return false;
    }
    return true;
}

/* What both kinds have in common. */
static bool check_layout(int32_t schema, Side positive, Side negative, const double *bounds,
                         uint32_t n_bounds, bool zero_empty, double zero_threshold, Problem *p) {
    if (schema == HISTOGRAM_SCHEMA_CUSTOM) {
        if (!check_custom(bounds, n_bounds, positive, p)) {
            return false;
        }
        if (!zero_empty) {
            return refuse(p, "custom buckets: must have zero count of 0");
        }
        if (zero_threshold != 0) {
            return refuse(p, "custom buckets: must have zero threshold of 0");
        }
        if (negative.n_spans > 0) {
            return refuse(p, "custom buckets: must not have negative spans");
        }
        return negative.n == 0 || refuse(p, "custom buckets: must not have negative buckets");
    }
    if (schema < HISTOGRAM_SCHEMA_MIN || schema > HISTOGRAM_SCHEMA_MAX) {
        problem_set(p, 0, 0,
                    "histogram has an invalid schema, which must be between %d and %d for "
                    "exponential buckets, or %d for custom buckets, got schema %d",
                    HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM, schema);
        return false;
    }
    if (!check_spans(positive, "positive", p) || !check_spans(negative, "negative", p)) {
        return false;
    }
    return n_bounds == 0 ||
           refuse(p, "histogram with exponential schema must not have custom bounds");
}

bool histogram_validate(const Histogram *h, Problem *problem) {
    Side positive = positive_of(h), negative = negative_of(h);
    uint64_t sum = h->zero_count;
    if (!check_layout(h->schema, positive, negative, h->custom_values, h->n_custom,
                      h->zero_count == 0, h->zero_threshold, problem) ||
        !check_buckets(negative, "negative", &sum, problem) ||
        !check_buckets(positive, "positive", &sum, problem)) {
        return false;
    }
    if (isnan(h->sum) ? sum > h->count : sum != h->count) {
        problem_set(problem, 0, 0,
                    "%llu observations found in buckets, but the Count field is %llu: histogram's "
                    "observation count should %s the number of observations found in the buckets%s",
                    (unsigned long long)sum, (unsigned long long)h->count,
                    isnan(h->sum) ? "be at least" : "equal",
                    isnan(h->sum) ? "" : " (in absence of NaN)");
        return false;
    }
    return true;
}

bool float_histogram_validate(const FloatHistogram *h, Problem *problem) {
    Side positive = positive_of_float(h), negative = negative_of_float(h);
    uint64_t sum = 0;
    if (!check_layout(h->schema, positive, negative, h->custom_values, h->n_custom,
                      h->zero_count == 0, h->zero_threshold, problem) ||
        !check_buckets(negative, "negative", &sum, problem)) {
        return false;
    }
    if (h->zero_count < 0) {
        return refuse(problem, "zero bucket has a negative observation count: histogram has a "
                               "bucket whose observation count is negative");
    }
    if (h->count < 0) {
        return refuse(problem, "histogram's observation count is negative");
    }
    return check_buckets(positive, "positive", &sum, problem);
}
