/*
 * Values in their frame and chunks in their bundles: how bytes reach LMDB while a block is written.
 * Commits every few MB, so that memory stays small. One thread.
 */
#pragma once

#include "base/buf.h"
#include "storage/lmdb.h"
#include "tsdb/block/block_format.h"
#include "tsdb/codec/chunk.h"

typedef struct BundleWriter {
    LmdbEnv *env;
    LmdbTxn *txn;
    LmdbTable tables[TABLE_COUNT];
    size_t pending; /* bytes since the last commit */
    Buf bundle;     /* frame and chunks of the open bundle */
    uint32_t number;
} BundleWriter;

/* Where a chunk lies. */
typedef struct ChunkPlace {
    uint32_t bundle, offset; /* offset behind the bundle's header */
} ChunkPlace;

int bundle_writer_init(BundleWriter *w, const char *file);
void bundle_writer_deinit(BundleWriter *w);
/* value: a Buf begun by value_begin(); its checksum is filled in. Keys rise within a table. */
int bundle_writer_value(BundleWriter *w, int table, Str key, Buf *value);
int bundle_writer_chunk(BundleWriter *w, const Chunk *c, ChunkPlace *ret);
/* Flushes the open bundle, commits, syncs and closes; ret_bytes: LMDB's part of the file. */
int bundle_writer_finish(BundleWriter *w, uint64_t *ret_bytes);

/* Empties b and leaves room for the checksum. */
static inline void value_begin(Buf *b) {
    buf_reset(b);
    buf_add_u32(b, 0);
}
