/*
 * Reading a block now and then, a part at a time, only to see that its bytes are still those that
 * were written: a disk that forgets is noticed before a query needs what it forgot. One thread.
 */
#pragma once

#include "tsdb/block/block.h"

typedef struct BlockScrub {
    char id[BLOCK_ID_SIZE]; /* of the block under way; empty: none */
    int part;               /* which of its parts */
    uint32_t next;          /* value of the part */
} BlockScrub;

enum { SCRUB_DONE = 1 };

/*
 * Goes on with b, or begins with it when s is about another block, until about `budget` bytes were
 * read, which go down from *budget. 0: there is more; SCRUB_DONE: all of it was good; -EBADMSG:
 * damage (logged, the block is marked); -ECANCELED.
 */
int block_scrub(Block *b, BlockScrub *s, uint64_t *budget, const atomic_bool *cancel);
