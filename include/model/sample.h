/* The words every layer uses for values in time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "model/histogram.h"

/* Smallest and largest timestamp (ms) anything may carry; the text forms of the API's "all of
 * time". */
#define TIME_MIN_MS (INT64_MIN / 1000 + 1)
#define TIME_MAX_MS (INT64_MAX / 1000 - 1)

typedef enum SampleKind {
    SAMPLE_NONE,
    SAMPLE_FLOAT,
    SAMPLE_HISTOGRAM,       /* integer counts */
    SAMPLE_FLOAT_HISTOGRAM, /* float counts */
} SampleKind;

/* What a metric family says it is. */
typedef enum MetricType {
    METRIC_UNKNOWN,
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_GAUGE_HISTOGRAM,
    METRIC_SUMMARY,
    METRIC_INFO,
    METRIC_STATESET,
} MetricType;

/* A series that ended carries this NaN; any other NaN is an ordinary value. */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline uint64_t double_bits(double v) {
    uint64_t u;
    memcpy(&u, &v, sizeof(u));
    return u;
}
static inline double double_of_bits(uint64_t u) {
    double v;
    memcpy(&v, &u, sizeof(v));
    return v;
}
static inline double stale_nan(void) { return double_of_bits(STALE_NAN_BITS); }
static inline double normal_nan(void) { return double_of_bits(NORMAL_NAN_BITS); }
static inline bool is_stale_nan(double v) { return double_bits(v) == STALE_NAN_BITS; }
