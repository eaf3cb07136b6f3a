/*
 * What the writer and the reader of histogram chunks both keep while they go through one: the
 * layout in force and a predictor for each number. Inside of tsdb/codec.
 */
#pragma once

#include "base/vec.h"
#include "model/sample.h"
#include "tsdb/codec/bits.h"
#include "tsdb/codec/histogram_chunk.h"

#define HISTOGRAM_FLAG_GAUGE 1
#define HISTOGRAM_FLAG_ST 2

/* How a sample begins, in unary: `0`, `10`, `110`, `111`. */
enum { SAMPLE_REPEATED, SAMPLE_SAME_LAYOUT, SAMPLE_NEW_LAYOUT, SAMPLE_STALE, SAMPLE_FORMS = 3 };

typedef struct HistogramLayout {
    int32_t schema;
    double zero_threshold;
    VEC(BucketSpan) positive_spans;
    VEC(BucketSpan) negative_spans;
    VEC(double) custom_values;
    uint32_t n_positive, n_negative; /* buckets */
} HistogramLayout;

/* A number and what is expected of the next. */
typedef struct HistogramNumber {
    uint64_t v;             /* count, or bits of a float */
    uint64_t avg;           /* mean growth times 8 */
    uint32_t mag;           /* mean distance from it, times 8 */
    uint8_t seen;           /* 0, 1, 2 = more */
    uint8_t leading, width; /* of floats: the window stated last; width 0 = none */
} HistogramNumber;

/* The numbers that every histogram has, before the positive and the negative buckets. */
enum { NUMBER_COUNT, NUMBER_ZERO, NUMBER_SUM, NUMBERS_FIXED };

typedef struct HistogramState {
    HistogramLayout layout;
    VEC(HistogramNumber) numbers; /* NUMBERS_FIXED + n_positive + n_negative */
    VEC(HistogramNumber) scratch;
} HistogramState;

void histogram_state_reset(HistogramState *s);
void histogram_state_deinit(HistogramState *s);
/* The new layout takes the old one's place; buckets that both have keep their predictors. */
void histogram_state_relayout(HistogramState *s, HistogramLayout *fresh);

/* ---- predictors: how a number is coded and what it teaches */

#define RICE_ONES_MAX 12 /* so many, and the number follows behind its length */

static inline uint64_t number_expected(const HistogramNumber *n) {
    return n->v + (uint64_t)((int64_t)n->avg >> 3);
}

static inline unsigned number_rice_bits(const HistogramNumber *n) {
    uint32_t mean = n->mag >> 3;
    return mean <= 1 ? 0 : 32 - (unsigned)__builtin_clz(mean - 1);
}

static inline void number_learn(HistogramNumber *n, uint64_t v, uint64_t distance) {
    uint64_t growth = v - n->v;
    uint32_t near = distance < (1u << 26) ? (uint32_t)distance : 1u << 26;
    if (n->seen == 2) {
        n->avg += growth - (uint64_t)((int64_t)n->avg >> 3);
        n->mag += near - (n->mag >> 3);
    } else if (n->seen == 1) {
        n->avg = growth * 8;
        n->mag = near / 2 * 8;
    }
    n->seen += n->seen < 2;
    n->v = v;
}
