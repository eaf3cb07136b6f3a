/*
 * The samples of one series in a stretch of time: growing arrays that are used again for the next
 * series. Stale markers are left out, histograms are copied into a scope as floats. The arrays are
 * the heap's but count in the query's byte budget.
 */
#pragma once

#include "promql/engine/eval.h"

typedef VEC(int64_t) TimeVec;

typedef struct SampleBuf {
    Eval *ev;
    Scope *scope; /* for histograms; whoever owns it resets it between series */
    VEC(int64_t) t;
    VEC(double) v;
    VEC(int64_t) ht;
    VEC(const FloatHistogram *) h;
    /* Start times of floats and of histograms, when they are kept: empty, or as many as samples. */
    TimeVec st, hst;
    bool keep_starts;
    bool detect_resets; /* fill in the hints the storage left unknown */
    uint64_t bytes_held;
} SampleBuf;

void samples_init(SampleBuf *b, Eval *ev, Scope *scope);
void samples_deinit(SampleBuf *b);
void samples_clear(SampleBuf *b);
/* Adds what lies in (after, upto]. */
int samples_read(SampleBuf *b, SampleIter *it, int64_t after, int64_t upto);
/* Adds the cells of a column over a grid. */
int samples_add_column(SampleBuf *b, const Grid *g, const Column *c);
/* Counts the arrays' memory; to be called after growing them from outside. */
int samples_charge(SampleBuf *b);
