/*
 * Inside of an open block, for the files of this folder: values by number, symbols, series records,
 * postings. Every byte is checked before it is believed: by checksum when a value is first read,
 * and by bounds when it is decoded. Any thread, but a BlockPostings has one.
 */
#pragma once

#include <stdatomic.h>

#include "storage/lmdb.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_format.h"
#include "tsdb/block/bundle_writer.h"
#include "tsdb/block/decoded_cache.h"
#include "tsdb/codec/times.h"
#include "tsdb/index/postings_select.h"

/* The values of a table that is keyed by number, found once at opening: reads need no search in
 * LMDB's tree afterwards, and so no transaction. */
typedef struct NumberedValues {
    int table;
    uint32_t n;
    Str *v;                /* whole values, in the mapping */
    _Atomic uint8_t *good; /* 1 = its checksum was found right */
} NumberedValues;

struct Block {
    atomic_uint refs;
    atomic_bool bad;
    atomic_bool lost; /* a page of the mapping could not be read: base/map_guard.h */
    const void *map;
    BlockMeta meta;
    uint8_t records_form;
    char *path;
    char (*parents)[BLOCK_ID_SIZE];
    LmdbEnv *env;
    LmdbTable tables[TABLE_COUNT];
    NumberedValues symbols, series, bundles, times;
};

/* Logs the first damage with the block and the key, marks the block, returns -EBADMSG. */
int block_damaged(Block *b, int table, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* 0, or as block_damaged() when a page that was read meanwhile could not be. After each use of what
 * lies in the mapping, before it is believed. */
int block_check_map(Block *b);

/* What follows the checksum of value i. */
int block_numbered(Block *b, NumberedValues *values, uint32_t i, Str *ret);
/* The same for a value just read under its key. */
int block_checked_value(Block *b, int table, Str key, Str value, Str *ret);

/* The number of the first symbol not below s; the number of symbols when there is none. */
int block_symbol_at(Block *b, Str s, uint32_t *ret);
/* 0 and the number, or 1: the block has no such string. */
int block_symbol_find(Block *b, Str s, uint32_t *ret);

/* A series record being read. */
typedef struct SeriesRecord {
    const uint8_t *p, *end;
    Block *block;
    uint32_t id;
    /* The first record of its stride, from which labels may be taken: those whose bit is not set.
     */
    const uint8_t *first, *first_end;
    bool shared;
    uint64_t changed;
    uint32_t label; /* the next one */
} SeriesRecord;

typedef struct ChunkScan {
    SeriesRecord r;
    uint64_t left; /* chunks still to come */
    int64_t before;
    uint32_t bundle, offset;
} ChunkScan;

/* A chunk as the index has it, without its bytes. */
typedef struct ChunkScanEntry {
    Chunk chunk;
    ChunkPlace place;
    /* Its times: `shared` = those of a column from number `first` on, without the missed ones. */
    bool shared;
    uint32_t column, first, misses;
    const uint8_t *missed, *missed_end;
} ChunkScanEntry;

int block_series_record(Block *b, uint32_t id, SeriesRecord *ret);
/* Number of labels, to be followed by that many calls of series_record_pair(), then by
 * series_record_chunks(). */
int series_record_labels(SeriesRecord *r, uint32_t *ret_n);
int series_record_pair(SeriesRecord *r, uint32_t *ret_name, uint32_t *ret_value);
int series_record_chunks(SeriesRecord *r, ChunkScan *ret);
/* Reads the labels of a record, up to its chunks; the list is the arena's, the bytes the block's.
 */
int block_record_labels(SeriesRecord *r, Arena *a, Labels *ret);
/* 1 and the next chunk; 0 at the end. */
int chunk_scan_next(ChunkScan *s, ChunkScanEntry *ret);
/* Finds the bytes of a chunk that chunk_scan_next() gave. */
int block_chunk_data(Block *b, uint32_t bundle, uint32_t offset, Chunk *c);

/* A column of the table times, not unpacked. */
int block_times(Block *b, uint32_t column, Times *ret);

/* What a chunk was decoded into: room of its own, and times that are held. */
typedef struct ChunkReader {
    Decoded *times;
    VEC(int64_t) t;
    VEC(double) v;
} ChunkReader;

/* Samples of a chunk: numbers first..first+n-1. */
typedef struct ChunkPart {
    const int64_t *t;
    const double *v;
    uint32_t first, n;
} ChunkPart;

void chunk_reader_deinit(ChunkReader *r);
/* At least the samples of a float chunk with from <= t <= to, if there are any. They stay until the
 * reader's next use. */
int block_read_chunk(Block *b, DecodedCache *cache, const ChunkScanEntry *e, int64_t from,
                     int64_t to, ChunkReader *r, ChunkPart *ret);
/* Finds the bytes of a chunk, and its times and its base as far as they lie elsewhere. */
int block_resolve_chunk(Block *b, DecodedCache *cache, const ChunkScanEntry *e, ChunkReader *r,
                        Chunk *c);

/* The block as an index to select from. */
typedef struct BlockPostings {
    PostingsSource source;
    Block *block;
    LmdbTxn *txn;
} BlockPostings;

int block_postings_init(BlockPostings *p, Block *b);
void block_postings_deinit(BlockPostings *p);
