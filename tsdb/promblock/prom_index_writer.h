/* The index file of a block in Prometheus' format, version 2; used by the block's writer only. */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "model/labels.h"
#include "tsdb/promblock/prom_block.h"
#include "tsdb/promblock/prom_file.h"

typedef struct PromPair {
    uint32_t name, value; /* symbols */
    uint32_t series;      /* reference */
} PromPair;

typedef struct PromIndexWriter {
    PromFile file;
    Arena arena;         /* strings of the symbols */
    StrMap known;        /* -> their number + 1 */
    VEC(Str) symbols;    /* sorted by prom_index_begin() */
    VEC(PromPair) pairs; /* one each label of each series */
    VEC(uint32_t) all;   /* references of all series */
    uint64_t toc[6];
    uint64_t series;
    Buf scratch;
} PromIndexWriter;

int prom_index_open(PromIndexWriter *w, const char *path);
void prom_index_deinit(PromIndexWriter *w);
void prom_index_symbol(PromIndexWriter *w, Str s);
/* After the last symbol: writes them. */
void prom_index_begin(PromIndexWriter *w);
/* -ERANGE when the index is too large for its 32-bit references, -EINVAL for a symbol not told. */
int prom_index_series(PromIndexWriter *w, Labels l, const PromChunkMeta *chunks, size_t n);
/* Postings and the table of contents; then the file is closed, its size added to *bytes. */
int prom_index_finish(PromIndexWriter *w, uint64_t *bytes);
