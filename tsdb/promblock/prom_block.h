/*
 * A block of Prometheus' own format, opened for reading: for importing and for checking what was
 * exported. The format is tsdb/docs/format/ of that project; index versions 1 and 2. One thread at
 * a time; nothing is kept of the block but two mappings and the offsets of its symbols.
 */
#pragma once

#include "base/err.h"
#include "model/labels.h"
#include "tsdb/block/block_id.h"

typedef struct PromBlockMeta {
    char id[BLOCK_ID_SIZE];
    int64_t min_time, max_time; /* max_time exclusive */
    uint64_t samples, series, chunks;
    int level;
} PromBlockMeta;

/* The part of a block that a query would see of a chunk, and how it is to be read. */
typedef struct PromChunk {
    uint8_t encoding; /* PROM_XOR ... */
    const uint8_t *data;
    size_t size;
} PromChunk;

typedef struct PromChunkMeta {
    int64_t min_time, max_time;
    uint64_t ref; /* segment << 32 | offset */
} PromChunkMeta;

typedef struct PromDeleted {
    uint64_t series;            /* its reference in the index */
    int64_t min_time, max_time; /* closed */
} PromDeleted;

typedef struct PromSeries {
    Labels labels;               /* until the next call; the strings until the block is closed */
    const PromChunkMeta *chunks; /* in time order; until the next call */
    size_t n;
    const PromDeleted *deleted; /* ranges that tombstones take away */
    size_t n_deleted;
} PromSeries;

typedef struct PromBlock PromBlock;

/* path is the folder with meta.json. Negative and a Problem that names the file. */
int prom_block_open(const char *path, PromBlock **ret, Problem *problem);
void prom_block_close(PromBlock *b); /* NULL is fine */
const PromBlockMeta *prom_block_meta(const PromBlock *b);
/* Strings of the index in byte order. */
size_t prom_block_symbols(const PromBlock *b);
int prom_block_symbol(const PromBlock *b, size_t i, Str *ret);
/* 1 and the next series in label order, 0 at the end (then again from the first), -EBADMSG and a
 * Problem. */
int prom_block_next(PromBlock *b, PromSeries *ret, Problem *problem);
/* The bytes of a chunk, checked. */
int prom_block_chunk(PromBlock *b, uint64_t ref, PromChunk *ret, Problem *problem);
