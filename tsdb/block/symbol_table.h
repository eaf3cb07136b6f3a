/*
 * All distinct strings of a block being written: collected in any order, then sorted and numbered
 * by their order, so that comparing numbers compares strings. About 30 bytes a string beside its
 * bytes. One thread.
 */
#pragma once

#include "base/arena.h"
#include "base/vec.h"

typedef struct SymbolTable {
    VEC(Str) strings; /* in order of arrival; sorted once sealed */
    Arena bytes;
    uint32_t *slots; /* open addressing: index + 1 */
    size_t n_slots;  /* a power of two */
} SymbolTable;

void symbol_table_deinit(SymbolTable *t);
/* Copies s unless it is there already. Not after sorting. */
void symbol_table_add(SymbolTable *t, Str s);
void symbol_table_sort(SymbolTable *t);
/* The number of s after sorting; false when it was never added. */
bool symbol_table_find(const SymbolTable *t, Str s, uint32_t *ret);
