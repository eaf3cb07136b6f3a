/*
 * Which values a block being written has already: many chunks of a target repeat another (bytes
 * received and sent on a loopback, a histogram's count and its largest bucket), and one link of
 * some bytes replaces them. Values are known again by 128 bits of their hash with a random seed, so
 * that nobody can make two that meet. Memory: 40 bytes a chunk, 40 MB at most: then old ones are
 * forgotten. One thread.
 */
#pragma once

#include "tsdb/codec/chunk.h"

typedef struct SamePlace {
    ChunkLink link;
    uint8_t depth; /* links from there on */
} SamePlace;

typedef struct SameKey {
    uint64_t low, high;
} SameKey;

typedef struct SameTable {
    struct SameSlot *slots;
    size_t n, cap;
    uint64_t seed;
} SameTable;

void same_table_init(SameTable *t);
void same_table_deinit(SameTable *t);
SameKey same_table_key(const SameTable *t, const double *v, uint32_t n);
const SamePlace *same_table_find(const SameTable *t, SameKey key);
void same_table_add(SameTable *t, SameKey key, SamePlace place);
