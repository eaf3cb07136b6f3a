/*
 * The index of a block being written: symbols, series records, postings, statistics. Fed by
 * BlockWriter; sends finished values through the BundleWriter. One thread.
 */
#pragma once

#include "base/map.h"
#include "tsdb/block/bundle_writer.h"
#include "tsdb/block/symbol_table.h"
#include "tsdb/block/times_table.h"
#include "tsdb/index/postings_pack.h"

/* A pair of label name and value, as symbol numbers: (name << 32 | value). */
typedef uint64_t PairKey;

typedef struct ChunkEntry {
    Chunk chunk; /* data unused */
    ChunkPlace place;
    bool has_times; /* its times are these of the table, else the chunk's own */
    ChunkTimes times;
} ChunkEntry;

typedef struct IndexWriter {
    SymbolTable symbols;
    int64_t min_time; /* of the block: the first chunk's time is kept relative to it */
    uint32_t n_series;
    Buf page, value; /* records of the open page; scratch for a value */
    uint32_t page_offsets[SERIES_PER_PAGE / SERIES_STRIDE];
    VEC(PairKey) first; /* labels of the stride's first series */
    U64Map pair_at;     /* PairKey -> position in the two lists */
    VEC(PairKey) pairs; /* in order of first appearance */
    VEC(PostingsPacker) packers;
    VEC(uint32_t) last_at; /* positions of the pairs of the series before, label by label */
} IndexWriter;

void index_writer_init(IndexWriter *w, int64_t min_time);
void index_writer_deinit(IndexWriter *w);
/* After all symbols were added, before the first series. */
int index_writer_symbols(IndexWriter *w, BundleWriter *out);
/* The next series in label order, pairs sorted by name. */
int index_writer_series(IndexWriter *w, BundleWriter *out, const PairKey *pairs, size_t n,
                        const ChunkEntry *chunks, size_t n_chunks);
/* The last page of series, the postings and the statistics. */
int index_writer_finish(IndexWriter *w, BundleWriter *out);
