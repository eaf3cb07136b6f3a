/*
 * Two hash tables, open addressing with linear probing, doubled at 3/4. One thread at a time.
 * StrMap: Str -> void *. Keys are borrowed and must outlive their entry.
 * U64Map: uint64_t -> uint64_t.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct StrMapEntry {
    Str key; /* key.p == NULL: free slot */
    void *value;
    uint64_t hash;
} StrMapEntry;

typedef struct StrMap {
    StrMapEntry *slots;
    size_t cap, n;
} StrMap;

void str_map_deinit(StrMap *m);
void str_map_clear(StrMap *m);
/* NULL when absent. */
void *str_map_get(const StrMap *m, Str key);
/* Where the value of key lies, made (as NULL) if absent; valid until the next put or del. */
void **str_map_put(StrMap *m, Str key, bool *ret_new);
/* The removed value, or NULL. */
void *str_map_del(StrMap *m, Str key);
/* for (size_t i = 0; (e = str_map_next(m, &i));) */
StrMapEntry *str_map_next(const StrMap *m, size_t *at);

typedef struct U64Map {
    struct U64Slot *slots;
    size_t cap, n;
} U64Map;

void u64_map_deinit(U64Map *m);
bool u64_map_get(const U64Map *m, uint64_t key, uint64_t *ret_value);
void u64_map_put(U64Map *m, uint64_t key, uint64_t value);
bool u64_map_del(U64Map *m, uint64_t key);
/* for (size_t i = 0; u64_map_next(m, &i, &key, &value);) in no particular order */
bool u64_map_next(const U64Map *m, size_t *at, uint64_t *ret_key, uint64_t *ret_value);
