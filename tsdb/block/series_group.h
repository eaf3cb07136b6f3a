/*
 * Series of a block being written whose chunks may refer to each other, held until the last of them
 * is there: the buckets of a target's histograms, which differ in their label `le` alone. Any other
 * series is a group of its own. Within a group each bucket is written as what it differs from the
 * next larger one, a few buckets deep; and values that were written before, anywhere in the block,
 * as a link to them.
 *
 * Memory: the samples of the open group, 8 MB at most. One thread.
 */
#pragma once

#include "tsdb/block/index_writer.h"
#include "tsdb/block/same_table.h"

typedef struct GroupPiece {
    ChunkEntry entry; /* placed once the group is flushed */
    double *values;   /* of a chunk to be encoded; else the bytes: */
    uint8_t *bytes;
    SamePlace place;
} GroupPiece;

typedef struct GroupSeries {
    VEC(PairKey) pairs;
    VEC(GroupPiece) pieces;
} GroupSeries;

typedef struct SeriesGroup {
    VEC(GroupSeries) series; /* n: in use; those behind keep their memory */
    size_t n_values;
    size_t le_at; /* which of a series' pairs is `le`; SIZE_MAX: none */
    uint32_t le;  /* the symbol; UINT32_MAX: no series has it */
    ChunkEncoder *encoder;
    SameTable same;
    VEC(uint32_t) order;
    VEC(ChunkEntry) entries;
    uint64_t n_samples, n_chunks; /* flushed */
} SeriesGroup;

void series_group_init(SeriesGroup *g);
void series_group_deinit(SeriesGroup *g);
/* Whether a series with these pairs must wait for the group to be flushed. */
bool series_group_is_foreign(const SeriesGroup *g, const PairKey *pairs, size_t n);
void series_group_begin(SeriesGroup *g, const PairKey *pairs, size_t n);
/* A chunk of the series begun last: its values, its times being a column of the table. */
void series_group_values(SeriesGroup *g, const ChunkTimes *times, int64_t min_time,
                         int64_t max_time, const double *v);
/* The same, encoded already and with its own times. */
void series_group_chunk(SeriesGroup *g, const Chunk *c);
/* Writes chunks and index records of all series of the group, and empties it. */
int series_group_flush(SeriesGroup *g, IndexWriter *index, BundleWriter *out);
