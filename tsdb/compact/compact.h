/*
 * Which blocks become which, and the making of them. Blocks of the smallest range (2 h) are merged
 * by three into larger ranges aligned to multiples of their length, as long as these are at most
 * range_max; and blocks that overlap are merged at once. The plan is pure arithmetic over metas;
 * the merge is a streaming k-way merge by labels with fixed buffers.
 */
#pragma once

#include <stdatomic.h>

#include "tsdb/block/block.h"
#include "tsdb/delete/tombstones.h"

typedef struct CompactOptions {
    int64_t range_ms;     /* of blocks cut from the head */
    int64_t range_max_ms; /* no merged block is longer */
    /* Blocks that will be written in a coarser resolution at an age are at most half that age long,
     * so that they do not get there late. NULL = none. */
    const TsdbPolicies *policies;
} CompactOptions;

typedef struct CompactSource {
    Block *block;
    const Tombstones *tombstones;
} CompactSource;

/* Ranges of the levels, rising by a factor of three from range_ms up to range_max_ms; returns how
 * many (at most `max`). */
size_t compact_ranges(const CompactOptions *o, int64_t *ret, size_t max);

/*
 * Chooses the next blocks to merge out of metas sorted by min_time: their indices into ret_idx
 * (room for n), and the number of them; 0 = nothing to do. The newest block is left alone, as more
 * may come to its range. Call again after each merge.
 */
size_t compact_plan(const CompactOptions *o, const BlockMeta *const *metas, size_t n,
                    size_t *ret_idx);

/* Blocks of different resolution are never merged with each other. */

/* The same for one block from which enough was deleted that it is worth writing anew: all of its
 * series or more than a twentieth of them. The newest is left alone. `deleted`: series with
 * tombstones, a block each. Its index, or n. */
size_t compact_plan_deleted(const BlockMeta *const *metas, const size_t *deleted, size_t n);

typedef struct CompactJob {
    const char *dir;
    const CompactSource *v;
    size_t n;
    const atomic_bool *cancel;      /* may be NULL */
    atomic_uint_fast64_t *progress; /* goes up by the samples that were read; may be NULL */
    /* The oldest time that is kept of a series; NULL = all is. */
    int64_t (*kept_from)(void *arg, Labels l);
    void *arg;
} CompactJob;

/*
 * Merges n >= 1 blocks into one new block, parents = those; its level is one above the highest, or
 * the same when there is one. On equal times of a series the block named first wins; what is
 * deleted is left out. 0 and the new id, BLOCK_EMPTY when no sample is left, -ECANCELED (nothing is
 * left behind). The caller opens the new one, publishes it, and then deletes the old ones.
 */
int compact_blocks(const CompactJob *job, char ret_id[BLOCK_ID_SIZE]);

typedef struct RetentionLimits {
    int64_t age_ms;       /* 0 = for ever; against the newest max_time */
    uint64_t bytes;       /* 0 = no limit; counts other_bytes too */
    uint64_t other_bytes; /* journal and head files */
} RetentionLimits;

/* Which of the blocks (sorted by min_time) are to be dropped, oldest first: indices into ret_idx;
 * returns how many. Prometheus' rules: by age when max_time is older than the newest block's minus
 * age; by size from the newest back. */
size_t compact_retention(const RetentionLimits *l, const BlockMeta *const *metas, size_t n,
                         size_t *ret_idx);
