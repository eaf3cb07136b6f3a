/*
 * The blocks of the database, with what was deleted from each and from the head: immutable lists,
 * sorted by time, replaced as a whole. Who reads takes a reference to the list and so to its blocks
 * and tombstones. Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "tsdb/block/block.h"
#include "tsdb/delete/tombstones.h"

typedef struct BlockEntry {
    Block *block;
    Tombstones *tombstones;
} BlockEntry;

typedef struct BlockList {
    atomic_uint refs;
    size_t n;
    Tombstones *head; /* deleted from the head */
    BlockEntry v[];
} BlockList;

/* Takes the references in v and `head`. Sorts. */
BlockList *block_list_new(const BlockEntry *v, size_t n, Tombstones *head);
BlockList *block_list_ref(BlockList *l);
void block_list_unref(BlockList *l);
/* A new list: without the n_drop blocks, with `add` (its references are taken) unless NULL. */
BlockList *block_list_change(const BlockList *l, Block *const *drop, size_t n_drop,
                             const BlockEntry *add);
/* A new list with other tombstones: one for each block, and the head's; their references are taken.
 */
BlockList *block_list_delete(const BlockList *l, Tombstones *const *tombstones, Tombstones *head);
BlockList *block_list_delete_head(const BlockList *l, Tombstones *head);
/* The entry of a block, NULL when it has left. */
const BlockEntry *block_list_find(const BlockList *l, const Block *b);
/* Their metas, in the list's order; caller frees the array. */
const BlockMeta **block_list_metas(const BlockList *l);
uint64_t block_list_bytes(const BlockList *l);
/* A block without what is deleted; a downsampled one as if it were raw, or with its columns as they
 * are. */
int block_entry_querier(const BlockEntry *e, int64_t mint, int64_t maxt, Querier **ret);
int block_entry_columns(const BlockEntry *e, int64_t mint, int64_t maxt, Querier **ret);
/* Where its tombstones lie; caller frees. */
char *block_tombstones_path(const Block *b);
/*
 * Opens all blocks of a folder; one that does not open, or whose tombstones do not, is left where
 * it is and told once. Blocks that others name as their parents are deleted: a crash came between.
 * What was deleted from them is deleted from their child, and what `head` (taken) says of the time
 * of a block is deleted from it.
 */
int block_list_open(const char *dir, Tombstones *head, BlockList **ret, size_t *ret_bad);
