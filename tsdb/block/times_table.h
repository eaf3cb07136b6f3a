/*
 * The times of a block being written, each column once: all series of a target were scraped at the
 * same moments, so their chunks share a column, or a part of one when a series came later, went
 * earlier or was missed now and then. Columns are found again by the target (its labels job and
 * instance) and, for targets that were given the same times, by their hash.
 *
 * Memory: the packed columns (some bytes each when scrapes are regular, else about half a byte a
 * scrape), and one of them unpacked. One thread.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "tsdb/block/bundle_writer.h"
#include "tsdb/codec/times.h"

/* A chunk may leave out so many times of its column, and at most one in so many. */
#define TIMES_MISSES_MAX 64
#define TIMES_MISSES_SHARE 16

/* The times of a chunk. */
typedef struct ChunkTimes {
    uint32_t column;
    uint32_t first;  /* of the column's times the first one */
    uint32_t n;      /* times of the chunk */
    uint32_t misses; /* of the column that the chunk lacks, between its first and its last */
    bool whole;      /* all times of the column */
    /* Their positions in the column, counted from first. */
    uint16_t missed[TIMES_MISSES_MAX];
} ChunkTimes;

typedef struct TimesColumn {
    Times times;
    uint64_t hash;
    uint32_t earlier; /* of the same target, + 1; 0 = none */
} TimesColumn;

typedef struct TimesTable {
    VEC(TimesColumn) columns;
    U64Map newest;  /* target -> its last column */
    U64Map by_hash; /* -> column */
    Arena bytes;
    uint32_t unpacked; /* which column is in `t`, + 1 */
    int64_t t[CHUNK_SAMPLES_MAX];
    int64_t numbers[CHUNK_SAMPLES_MAX];
    uint8_t packed[INTS_ROOM(CHUNK_SAMPLES_MAX)];
} TimesTable;

void times_table_deinit(TimesTable *w);
/*
 * Finds times for a chunk of the first ret->n of t[0..n), n > 0: those that a column of the target
 * has, else as a new column of the first `usual` (at most n).
 */
void times_table_place(TimesTable *w, uint64_t target, const int64_t *t, uint32_t n, uint32_t usual,
                       ChunkTimes *ret);
/* Writes the table `times`. */
int times_table_finish(TimesTable *w, BundleWriter *out, int64_t min_time, Buf *value);
