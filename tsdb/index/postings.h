/*
 * Postings: sorted sets of series ids (u32), each once. Three forms:
 *   Ids       a plain growing array, the form of answers and of set operations;
 *   Postings  16 bytes, up to two ids inside itself, else an array: what the head keeps a label
 *             pair;
 *   packed    bytes in a block (postings_pack.h).
 * Nothing here locks; the owner does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

typedef VEC(uint32_t) Ids;

#define POSTINGS_INLINE 2

typedef struct Postings {
    uint32_t n, cap; /* cap 0: the ids are in `in` */
    union {
        uint32_t in[POSTINGS_INLINE];
        uint32_t *v;
    };
} Postings;

void postings_deinit(Postings *p);
/* Cheap when id is greater than all (the usual case), else moves what follows. False: it was there.
 */
bool postings_add(Postings *p, uint32_t id);
/* False: it was not there. */
bool postings_del(Postings *p, uint32_t id);
/* Keeps the ids for which keep() says so; for dropping many at once. Returns how many went. */
uint32_t postings_filter(Postings *p, bool (*keep)(void *arg, uint32_t id), void *arg);
static inline const uint32_t *postings_ids(const Postings *p) { return p->cap ? p->v : p->in; }
size_t postings_heap_bytes(const Postings *p);

/* a becomes its intersection with / difference to b[0..n). Galloping when one side is much longer.
 */
void ids_intersect(Ids *a, const uint32_t *b, size_t n);
void ids_subtract(Ids *a, const uint32_t *b, size_t n);
/* Appends b behind what a has; sorted only if that keeps it so: see ids_sort_unique(). */
void ids_append(Ids *a, const uint32_t *b, size_t n);
/* Sorts and drops doubles; all ids are < limit (0: unknown). With many ids it goes over a bitmap,
 * O(n + limit / 64). */
void ids_sort_unique(Ids *a, uint32_t limit);
bool ids_has(const uint32_t *v, size_t n, uint32_t id);
