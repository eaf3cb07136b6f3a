/*
 * Native histograms. Buckets are sparse: spans (gap, length) over an index, and one count a covered
 * index. schema -4..8: boundaries at base 2^(2^-schema); schema -53: custom upper bounds in
 * custom_values, counts in the positive spans. Source: Prometheus' native histogram specification.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define HISTOGRAM_SCHEMA_MIN (-4)
#define HISTOGRAM_SCHEMA_MAX 8
#define HISTOGRAM_SCHEMA_CUSTOM (-53)

typedef enum CounterResetHint { RESET_UNKNOWN, RESET_YES, RESET_NO, RESET_GAUGE } CounterResetHint;

typedef struct BucketSpan {
    int32_t offset; /* gap to the end of the span before; the first: its starting index */
    uint32_t length;
} BucketSpan;

/* Integer counts; buckets are deltas to the bucket before. Borrowed arrays. */
typedef struct Histogram {
    CounterResetHint reset_hint;
    int32_t schema;
    double zero_threshold, sum;
    uint64_t zero_count, count;
    uint32_t n_positive_spans, n_negative_spans, n_positive, n_negative, n_custom;
    const BucketSpan *positive_spans, *negative_spans;
    const int64_t *positive, *negative;
    const double *custom_values;
} Histogram;

/* Float counts; buckets are absolute counts. Borrowed arrays. */
typedef struct FloatHistogram {
    CounterResetHint reset_hint;
    int32_t schema;
    double zero_threshold, sum, zero_count, count;
    uint32_t n_positive_spans, n_negative_spans, n_positive, n_negative, n_custom;
    const BucketSpan *positive_spans, *negative_spans;
    const double *positive, *negative;
    const double *custom_values;
} FloatHistogram;

/* A copy in one block of its own; caller frees with mem_free(). */
Histogram *histogram_dup(const Histogram *h) NODISCARD;
FloatHistogram *float_histogram_dup(const FloatHistogram *h) NODISCARD;
/* The same in an arena; NULL when its ceiling refuses. */
Histogram *histogram_arena_dup(Arena *a, const Histogram *h) NODISCARD;
FloatHistogram *float_histogram_arena_dup(Arena *a, const FloatHistogram *h) NODISCARD;

/* The same observations in the wider buckets of a lower schema (both not custom); NULL when the
 * arena refuses. */
Histogram *histogram_reduce(Arena *a, const Histogram *h, int32_t schema) NODISCARD;
FloatHistogram *float_histogram_reduce(Arena *a, const FloatHistogram *h, int32_t schema) NODISCARD;
/* The highest schema whose bounds are at least this factor apart. */
int32_t histogram_schema_for(double factor);

/*
 * What cur's hint is when it follows prev in one series: RESET_GAUGE and RESET_YES as cur says
 * itself; RESET_YES when a count fell or a used bucket is gone; RESET_NO when none did;
 * RESET_UNKNOWN without prev, after a gauge or a stale marker, or over a change of schema or zero
 * threshold. As Prometheus' histogram chunks find it.
 */
CounterResetHint histogram_reset_hint(const Histogram *prev, const Histogram *cur);
CounterResetHint float_histogram_reset_hint(const FloatHistogram *prev, const FloatHistogram *cur);

/* Prometheus' rules for what may be stored; the Problem says which one is broken. */
bool histogram_validate(const Histogram *h, Problem *problem);
bool float_histogram_validate(const FloatHistogram *h, Problem *problem);
