/* Hashing to collect, sorting to number. */
#include "tsdb/block/symbol_table.h"

#include <stdlib.h>

#include "base/hash.h"

#define SLOTS_MIN 1024

void symbol_table_deinit(SymbolTable *t) {
    vec_free(&t->strings);
    arena_deinit(&t->bytes);
    mem_free(t->slots);
    *t = (SymbolTable){0};
}

/* The slot of s, or the free one where it would go. */
static uint32_t *slot_of(const SymbolTable *t, Str s) {
    size_t mask = t->n_slots - 1;
    for (size_t at = hash_str(s) & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &t->slots[at];
        if (*slot == 0 || str_eq(t->strings.v[*slot - 1], s)) {
            return slot;
        }
    }
}

static void fill_slots(SymbolTable *t) {
    memset(t->slots, 0, t->n_slots * sizeof(*t->slots));
    for (size_t i = 0; i < t->strings.n; i++) {
        *slot_of(t, t->strings.v[i]) = (uint32_t)i + 1;
    }
}

static void grow(SymbolTable *t) {
    t->n_slots = t->n_slots ? t->n_slots * 2 : SLOTS_MIN;
    t->slots = mem_recalloc(t->slots, t->n_slots, sizeof(*t->slots));
    fill_slots(t);
}

void symbol_table_add(SymbolTable *t, Str s) {
    if (t->strings.n >= t->n_slots / 2) {
        grow(t);
    }
    uint32_t *slot = slot_of(t, s);
    if (*slot == 0) {
        vec_push(&t->strings, arena_str(&t->bytes, s));
        *slot = (uint32_t)t->strings.n;
    }
}

void symbol_table_sort(SymbolTable *t) {
    if (t->strings.n) {
        qsort(t->strings.v, t->strings.n, sizeof(Str), str_qsort_cmp);
        fill_slots(t);
    }
}

bool symbol_table_find(const SymbolTable *t, Str s, uint32_t *ret) {
    uint32_t slot = t->n_slots ? *slot_of(t, s) : 0;
    if (slot == 0) {
        return false;
    }
    *ret = slot - 1;
    return true;
}
