/*
 * Which series the head has, by labels: symbols (each string once), label pairs (two symbols, the
 * postings of the series that have it), names, and the table from label sets to slots. A series
 * holds its labels as a list of pair ids; strings stay where they are while a series refers to
 * them. Guarded by the head's index lock (shared for reading).
 *
 * Cost a series of 10 labels that shares all but one of them: 48 B label list, 60 B postings, 11 B
 * table, and the new pair: 32 B + 11 B table, its value 24 B + 11 B + the string.
 */
#pragma once

#include <string.h>

#include "base/map.h"
#include "model/labels.h"
#include "tsdb/head/byte_pool.h"
#include "tsdb/head/id_table.h"
#include "tsdb/index/postings_select.h"

/* Borrowed by the series that owns it. */
typedef struct HeadLabels {
    uint32_t n;
    uint32_t pair[]; /* sorted by name */
} HeadLabels;

typedef struct HeadSymbol {
    char *p;
    uint32_t n, refs;
    uint32_t hash;
    uint32_t next_free; /* + 1 */
} HeadSymbol;

typedef struct HeadPair {
    uint32_t name, value; /* symbols; name: next free pair + 1 when refs is 0 */
    uint32_t refs;        /* series that hold it, also those that have left the postings */
    /* The journal's number for it, good in one epoch of its encoder; the journal's writer's. */
    uint32_t journal_epoch, journal_number;
    Postings postings;
} HeadPair;

typedef struct HeadName {
    uint32_t symbol;
    VEC(uint32_t) pairs;
} HeadName;

typedef struct HeadIndex {
    BytePool *pool; /* borrowed */
    VEC(HeadSymbol) symbols;
    VEC(HeadPair) pairs;
    VEC(HeadName) names;
    uint32_t free_symbol, free_pair; /* + 1 */
    size_t n_pairs;                  /* that live */
    IdTable symbol_table, pair_table, series_table;
    U64Map name_of_symbol; /* symbol -> names index */
} HeadIndex;

void head_index_init(HeadIndex *x, BytePool *pool);
void head_index_deinit(HeadIndex *x);

static inline Str head_symbol(const HeadIndex *x, uint32_t id) {
    return str_n(x->symbols.v[id].p, x->symbols.v[id].n);
}
static inline Label head_pair(const HeadIndex *x, uint32_t id) {
    return (Label){head_symbol(x, x->pairs.v[id].name), head_symbol(x, x->pairs.v[id].value)};
}
/* By ids of pairs. */
static inline bool head_index_same_pairs(const HeadLabels *have, const uint32_t *pair, size_t n) {
    return have->n == n && memcmp(have->pair, pair, n * sizeof(*pair)) == 0;
}
bool head_index_same(const HeadIndex *x, const HeadLabels *have, Labels want);
/* Fills dst[0..have->n). */
Labels head_index_labels(const HeadIndex *x, const HeadLabels *have, Label *dst);

/* Puts a new series in; the label list is from the pool and goes to the caller. */
HeadLabels *head_index_add(HeadIndex *x, uint32_t slot, uint32_t hash, Labels l);
/* The same with pairs that are there. */
HeadLabels *head_index_add_pairs(HeadIndex *x, uint32_t slot, uint32_t hash, const uint32_t *pair,
                                 size_t n);
/* Makes a pair and keeps it until it is let go, even without a series (replay). */
uint32_t head_index_hold_pair(HeadIndex *x, Label l);
void head_index_let_go(HeadIndex *x, uint32_t pair);
/* Takes slots out of postings and table: nobody finds them any more, strings stay. `dead` are
 * sorted. */
typedef struct HeadDead {
    uint32_t slot, hash;
    const HeadLabels *labels;
} HeadDead;
void head_index_remove(HeadIndex *x, const HeadDead *dead, size_t n);
/* Gives up a removed series' labels, and the strings that nobody else has. */
void head_index_release(HeadIndex *x, HeadLabels *l);
/* Drops pairs and names that became empty from the lists of names; after a round of releases. */
void head_index_tidy(HeadIndex *x);

/* NULL when no series ever had it. */
const HeadName *head_index_name(const HeadIndex *x, Str name);
bool head_index_pair(const HeadIndex *x, Str name, Str value, uint32_t *ret);
