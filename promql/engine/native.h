/*
 * Arithmetic of native histograms. A Native is a histogram taken apart: a list of used buckets on
 * each side of zero, by index, with a compensation term per count where sums are compensated. All
 * memory is a scope's. Source of the rules: Prometheus' native histogram specification.
 */
#pragma once

#include "promql/engine/eval.h"

typedef struct NativeCells {
    int32_t *at; /* rising */
    double *v, *c;
    uint32_t n;
} NativeCells;

typedef struct Native {
    CounterResetHint hint;
    int32_t schema;
    double zero_threshold, zero, zero_c, count, count_c, sum, sum_c;
    NativeCells positive, negative;
    const double *custom;
    uint32_t n_custom;
} Native;

typedef struct NativeBucket {
    double lower, upper, count;
} NativeBucket;

/* What an addition met on its way. */
typedef struct NativeNotes {
    bool incompatible; /* exponential against custom buckets: nothing was added */
    bool reset_conflict, bounds_reconciled;
} NativeNotes;

int native_of(Scope *s, const FloatHistogram *h, Native *ret);
/* Without empty buckets. */
FloatHistogram *native_to_histogram(Scope *s, const Native *n);
static inline bool native_is_custom(int32_t schema) { return schema == HISTOGRAM_SCHEMA_CUSTOM; }

void native_mul(Native *n, double by);
void native_div(Native *n, double by);
/* a += sign * b; b is used up. Notes are set, not cleared. */
int native_add(Scope *s, Native *a, Native *b, double sign, NativeNotes *notes);
/* The same compensated; native_settle() adds the compensation in. */
int native_kahan_add(Scope *s, Native *a, Native *b, NativeNotes *notes);
int native_dup(Scope *s, const Native *from, Native *ret);
void native_reduce(Native *n, int32_t schema);
void native_settle(Native *n);
bool native_overflown(const Native *n);
/* Does cur, coming after prev, say that the counter began anew? */
int native_is_reset(Scope *s, const FloatHistogram *prev, const FloatHistogram *cur, bool *ret);
/* Puts the answer into a hint that is unknown. */
int native_find_reset(Scope *s, const FloatHistogram *prev, FloatHistogram *cur);
bool native_equal(const FloatHistogram *a, const FloatHistogram *b);
/* The upper end of a bucket on the positive side. */
double native_bound(const Native *n, int64_t at);
/* Buckets that are used, lowest first, in fresh memory: NULL = failed. */
NativeBucket *native_buckets(Scope *s, const Native *n, size_t *ret_n);
/* The same for estimates: a bucket that reaches into the zero bucket begins where that ends. */
NativeBucket *native_clipped_buckets(Scope *s, const Native *n, size_t *ret_n);
double native_variance(const Native *n, const NativeBucket *b, size_t count);
void native_print(const Native *n, const NativeBucket *b, size_t count, Buf *out);

/* How a window's or group's histograms are added up: compensated, as a sum or a mean that turns
 * into a running one before it would overflow. */
typedef struct NativeSum {
    Native value;
    double count;
    bool mean, running, saw_reset, saw_no_reset;
    NativeNotes notes;
} NativeSum;
int native_sum_add(Scope *s, NativeSum *a, const FloatHistogram *h);
void native_sum_finish(NativeSum *a);

typedef enum NativeNaN { NATIVE_NAN_NONE, NATIVE_NAN_RESULT, NATIVE_NAN_SKEW } NativeNaN;
double native_quantile(double phi, const Native *n, const NativeBucket *b, size_t count,
                       NativeNaN *ret);
/* The share of observations between two values; *ret_nan: there are NaN observations, in none. */
double native_fraction(double lower, double upper, const Native *n, const NativeBucket *b,
                       size_t count, bool *ret_nan);
/* The share of a bucket's observations below v, which lies in it. */
double native_share_below(const NativeBucket *b, double v, bool linear);

/* native_trim.c: keeps the observations below `at` (upper) or above it (lower). */
void native_trim(Native *n, double at, bool upper);
