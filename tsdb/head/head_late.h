/*
 * Samples that came out of order: older than the newest of their series, or than what the head
 * takes in order. They lie beside the head in a store of their own, by slot; a series that has none
 * costs nothing. Up to 32 samples of a series are a sorted array, a full one becomes a chunk; the
 * chunks of a series may overlap, a reader merges them.
 *
 * Life. Commits add to the current store. At a cut the store is frozen: what is older than the cut
 * goes to blocks, the rest moves to a new store (and into the journal again), and when the blocks
 * are published the frozen one is dropped. Marks in the journal tell replay of both moments.
 *
 * Threads. A store has a lock for its content; which stores there are changes only while the commit
 * lock is held alone. Readers hold references.
 */
#pragma once

#include "tsdb/head/head.h"

/* Adds; the commit lock is held shared (or replay is the only user). What is there already at the
 * same time stays. Returns how many were new. */
size_t head_late_add(Head *h, const JournalSample *v, size_t n);
/* The series has another slot now. Replay only. */
void head_late_move(Head *h, uint32_t from, uint32_t to);
/* The newest of a series; INT64_MIN when it has none. */
int64_t head_late_end(Head *h, uint32_t slot);
/* Times of what is there; TIME_MAX_MS, TIME_MIN_MS when there is nothing. */
void head_late_range(Head *h, int64_t *ret_min, int64_t *ret_max);
uint64_t head_late_samples(Head *h);
/* All late samples of the head as a querier; *ret NULL when there is none in the range. */
int head_late_querier(Head *h, int64_t mint, int64_t maxt, Querier **ret);

/* ---- towards blocks; one thread */

/* Sets apart what is older than bound. */
int head_late_freeze(Head *h, int64_t bound);
/* What was set apart, as a querier; *ret NULL when there is nothing. */
int head_late_frozen_querier(Head *h, Querier **ret);
/* It is in published blocks: forgets it, also for the next replay. */
int head_late_drop(Head *h);
/* It could not be written: back to the others. */
void head_late_unfreeze(Head *h);
/* The marks, as replay meets them; at its end head_late_unfreeze(). */
void head_late_replay_mark(Head *h, bool cut_done);

void head_late_init(Head *h);
void head_late_deinit(Head *h);

/* ---- for head_late_query.c */

typedef struct LatePoint {
    int64_t t;
    double v;
} LatePoint;
typedef VEC(LatePoint) LatePoints;

/* References; either may be NULL. */
void head_late_stores(Head *h, LateStore **ret_frozen, LateStore **ret_current);
void late_store_unref(LateStore *s);
/* Slots of series with samples in the range, in no order, each once; appended. */
void late_store_slots(LateStore *s, int64_t mint, int64_t maxt, Ids *ret);
/* Those samples of a series, in no order, the first of equal times first; appended. */
int late_store_read(LateStore *s, uint32_t slot, int64_t mint, int64_t maxt, LatePoints *ret);
