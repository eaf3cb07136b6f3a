/*
 * A block: an immutable folder of samples and their index, opened for reading. Shared by counting:
 * who lists blocks holds a reference, and so does each querier; the last one unmaps it. So a
 * block's folder may be deleted (block_delete()) while queriers read on.
 *
 * Any thread. Opening reads and checks the tree pages of the file (about 0.1 % of it); values are
 * checked by their CRC32C when they are first read. What does not check is -EBADMSG, logged once
 * with block and key, and block_is_bad() stays true: the owner then sets the block aside.
 *
 * Reads touch mapped pages and may block: call them on workers.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "storage/storage.h"
#include "tsdb/block/block_id.h"
#include "tsdb/codec/chunk.h"
#include "tsdb/tsdb.h"

typedef struct BlockMeta {
    char id[BLOCK_ID_SIZE];
    int64_t min_time, max_time; /* max_time exclusive */
    uint64_t samples, series, chunks, symbols, pairs;
    uint64_t bytes; /* of the file */
    int level;
    int64_t resolution_ms; /* of a downsampled block (tsdb/policy/downsample.h); 0 = raw */
    const char (*parents)[BLOCK_ID_SIZE];
    size_t n_parents;
} BlockMeta;

typedef struct Block Block;

/* path is the block's folder (…/<id>). -EBADMSG (or another error) with a Problem that names it. */
int block_open(const char *path, Block **ret, Problem *problem);
Block *block_ref(Block *b);
void block_unref(Block *b); /* NULL is fine */
const BlockMeta *block_meta(const Block *b);
const char *block_path(const Block *b);
bool block_is_bad(const Block *b);
void block_info(const Block *b, TsdbBlockInfo *ret);

/*
 * Holds a reference until it is closed. Series come sorted by labels. What a damaged block is asked
 * is answered empty, with a warning; only damage that shows while an answer is being read makes
 * that one fail with -EBADMSG.
 */
int block_querier(Block *b, int64_t min_time, int64_t max_time, Querier **ret);

/* Renames to <path>.tmp-for-deletion and removes; readers that have it open are not disturbed. */
int block_delete(const char *path);

/* Reads everything and holds it against its checksums and its index. -EBADMSG and a Problem with
 * the key. */
int block_verify(Block *b, const atomic_bool *cancel, Problem *problem);

/* Counts kept by the block itself: as tsdb_cardinality() gives them for the head. */
int block_cardinality(Block *b, size_t limit, Arena *a, TsdbCardinality *ret);

/* ---- for compaction: everything in order, without a query ---- */

typedef struct BlockSeries {
    Labels labels;  /* valid until the next call; strings live in the block's mapping */
    uint32_t id;    /* rank in label order, from 0 */
    uint32_t n;     /* chunks */
    const Chunk *v; /* in time order; metas always, data set by block_series_chunk() */
} BlockSeries;

typedef struct BlockCursor BlockCursor;
BlockCursor *block_cursor_new(Block *b); /* borrows b */
void block_cursor_free(BlockCursor *c);
/* 1 and a series, 0 at the end, negative error. */
int block_cursor_next(BlockCursor *c, BlockSeries *ret);
/* The i-th chunk of the series last given, ready for chunk_decode(): its bytes (checked, borrowed
 * from the mapping), and its times and base as far as they lie elsewhere, until the next call. */
int block_cursor_chunk(BlockCursor *c, uint32_t i, Chunk *ret);
/* Symbol i of block_meta()->symbols, in byte order. */
int block_symbol(Block *b, uint32_t i, Str *ret);
