/* Values by number, then those that only LMDB finds. */
#include "tsdb/block/block_scrub.h"

#include <string.h>

#include "base/mem.h"
#include "tsdb/block/block_index.h"
#include "tsdb/block/block_seal.h"

typedef enum Part { PART_SYMBOLS, PART_SERIES, PART_TIMES, PART_CHUNKS, PART_REST, PART_END } Part;

static NumberedValues *values_of(Block *b, Part part) {
    switch (part) {
    case PART_SYMBOLS: return &b->symbols;
    case PART_SERIES: return &b->series;
    case PART_TIMES: return &b->times;
    default: return &b->bundles;
    }
}

static void spend(uint64_t *budget, uint64_t bytes) { *budget -= MIN(*budget, bytes); }

static bool is_cancelled(const atomic_bool *cancel) {
    return cancel && atomic_load_explicit(cancel, memory_order_relaxed);
}

static int scrub_numbered(Block *b, BlockScrub *s, uint64_t *budget, const atomic_bool *cancel) {
    NumberedValues *values = values_of(b, s->part);
    while (s->next<values->n && * budget> 0) {
        char key[4];
        Str payload, value = values->v[s->next];
        if (is_cancelled(cancel)) {
            return -ECANCELED;
        }
        int r =
            block_checked_value(b, values->table, block_number_key(s->next, key), value, &payload);
        if (r < 0) {
            return r;
        }
        spend(budget, value.n);
        s->next++;
    }
    return s->next < values->n ? 0 : SCRUB_DONE;
}

/* Postings and statistics, in one go: they are a small part of a block. */
static int scrub_table(Block *b, LmdbTxn *txn, int table, uint64_t *budget) {
    LmdbCursor *c;
    Str key, value, payload;
    int r = lmdb_cursor(txn, b->tables[table], &c);
    if (r < 0) {
        return r;
    }
    r = lmdb_cursor_seek(c, STR_NULL, &key, &value);
    while (r == 0) {
        r = block_checked_value(b, table, key, value, &payload);
        spend(budget, value.n);
        if (r == 0) {
            r = lmdb_cursor_next(c, &key, &value);
        }
    }
    lmdb_cursor_free(c);
    return r == LMDB_NOT_FOUND ? SCRUB_DONE : r;
}

/* The pages that LMDB believes, as when the block was opened. */
static int scrub_tree(Block *b) {
    Problem p = {0};
    uint64_t bytes;
    char *file = mem_printf("%s/%s", b->path, BLOCK_FILE);
    int r = block_seal_check(file, &bytes, &p);
    mem_free(file);
    return r == -EBADMSG ? block_damaged(b, TABLE_META, "%s", p.text) : r;
}

static int scrub_rest(Block *b, uint64_t *budget) {
    static const int tables[] = {TABLE_META, TABLE_POSTINGS, TABLE_STATS};
    LmdbTxn *txn;
    int r = scrub_tree(b);
    if (r == 0) {
        r = lmdb_begin(b->env, false, &txn);
    }
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(tables); i++) {
        r = scrub_table(b, txn, tables[i], budget);
    }
    lmdb_abort(txn);
    return r;
}

int block_scrub(Block *b, BlockScrub *s, uint64_t *budget, const atomic_bool *cancel) {
    if (strcmp(s->id, b->meta.id) != 0) {
        *s = (BlockScrub){0};
        memcpy(s->id, b->meta.id, sizeof(s->id));
    }
    int r = SCRUB_DONE;
    while (r == SCRUB_DONE && s->part<PART_END && * budget> 0) {
        r = s->part == PART_REST ? scrub_rest(b, budget) : scrub_numbered(b, s, budget, cancel);
        if (r == SCRUB_DONE) {
            s->part++;
            s->next = 0;
        }
    }
    int damage = block_check_map(b);
    if (r < 0 || damage < 0) {
        return r < 0 ? r : damage;
    }
    return s->part == PART_END ? SCRUB_DONE : 0;
}
