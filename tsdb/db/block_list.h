/*
 * The blocks of the database: immutable lists, sorted by time, replaced as a whole. Who reads takes
 * a reference to the list and so to its blocks. Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "tsdb/block/block.h"

typedef struct BlockList {
    atomic_uint refs;
    size_t n;
    Block *v[];
} BlockList;

/* Takes the references in v. Sorts. */
BlockList *block_list_new(Block **v, size_t n);
BlockList *block_list_ref(BlockList *l);
void block_list_unref(BlockList *l);
/* A new list: without the n_drop blocks, with `add` (its reference is taken) unless NULL. */
BlockList *block_list_change(const BlockList *l, Block *const *drop, size_t n_drop, Block *add);
/* Their metas, in the list's order; caller frees the array. */
const BlockMeta **block_list_metas(const BlockList *l);
uint64_t block_list_bytes(const BlockList *l);
/*
 * Opens all blocks of a folder; one that does not open is left where it is and told once. Blocks
 * that others name as their parents are deleted: a crash came between.
 */
int block_list_open(const char *dir, BlockList **ret, size_t *ret_bad);
