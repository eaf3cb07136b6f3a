/*
 * A loop over the series of a selection that several threads share. Each thread that takes part
 * has a lane: an Eval of its own and what the reader keeps from series to series. Lanes read series
 * in batches and fill their columns ahead; the query's own thread gives the columns on in the order
 * of the series, and fills columns itself while it waits. So what comes behind (sums, groups,
 * warnings, limits) sees the same columns in the same order as with one thread, and the answer is
 * the same to the last bit.
 *
 *     series   0 1 2 | 3 4 5 | 6 7 8 | 9 ..      claimed a batch at a time
 *     lane     own     helper  own     helper    into a ring of batches
 *     given    0 1 2   3 4 5   ...               by the own thread
 *
 * Little work, or no helper to spare: one lane and batches of one series.
 */
#pragma once

#include "promql/engine/eval.h"

typedef struct SeriesReader SeriesReader;
struct SeriesReader {
    /* A lane's own state, in `scope`, which lives as long. NULL = failed. */
    void *(*open)(SeriesReader *r, Eval *lane, Scope *scope);
    void (*close)(void *state);
    /* Fills the column of series k, which comes without cells; histograms from `scope`. `held`: how
     * many samples are in memory for it at once. */
    int (*read)(void *state, size_t k, Scope *scope, Column *c, uint64_t *held);
    /* On the query's thread, in order, for columns with cells. */
    int (*give)(SeriesReader *r, size_t k, Column *c);
    const Node *selector;
    size_t n_series;
    uint64_t samples_each; /* about, of one series */
};

/* A guess at what lies in a stretch of time, scrapes being some seconds apart. */
static inline uint64_t samples_between(int64_t after, int64_t upto) {
    return upto > after ? (uint64_t)(upto - after) / 15000 + 1 : 0;
}

int split_series(Eval *ev, SeriesReader *r, size_t n_steps);
