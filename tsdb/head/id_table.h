/*
 * A hash table from 32-bit hashes to ids whose keys lie elsewhere: the caller compares candidates.
 * 8 bytes a slot, linear probing, doubled at 3/4. The owner locks.
 *
 *     for (uint32_t at = id_table_start(t, hash), id; id_table_next(t, hash, &at, &id);)
 *         if (same(id, key)) return id;
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct IdSlot {
    uint32_t hash, id; /* id + 1; 0 = free */
} IdSlot;

typedef struct IdTable {
    IdSlot *v;
    uint32_t cap, n;
} IdTable;

void id_table_deinit(IdTable *t);
void id_table_add(IdTable *t, uint32_t hash, uint32_t id);
bool id_table_del(IdTable *t, uint32_t hash, uint32_t id);

static inline uint32_t id_table_start(const IdTable *t, uint32_t hash) {
    return t->cap ? hash & (t->cap - 1) : 0;
}
static inline bool id_table_next(const IdTable *t, uint32_t hash, uint32_t *at, uint32_t *ret_id) {
    while (t->cap) {
        IdSlot s = t->v[*at];
        if (!s.id) {
            return false;
        }
        *at = (*at + 1) & (t->cap - 1);
        if (s.hash == hash) {
            *ret_id = s.id - 1;
            return true;
        }
    }
    return false;
}
