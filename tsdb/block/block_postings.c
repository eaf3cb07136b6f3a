/* The postings of a block as a PostingsSource. */
#include "base/err.h"
#include "tsdb/block/block_index.h"
#include "tsdb/index/postings_pack.h"

/* A value of the table postings, met on the way through a label's values. */
typedef struct Packed {
    Str key, value;
} Packed;

static int unpack(Block *b, Str key, Str value, Ids *ret) {
    Str packed;
    int r = block_checked_value(b, TABLE_POSTINGS, key, value, &packed);
    if (r == 0 && postings_unpack(packed, (uint32_t)b->meta.series, ret) < 0) {
        r = block_damaged(b, TABLE_POSTINGS, "a list of series does not decode");
    }
    return r;
}

/* A string that the block does not have has no postings: positive outcomes end here. */
static int block_pair(PostingsSource *s, Str name, Str value, Ids *ret) {
    BlockPostings *p = CONTAINER_OF(s, BlockPostings, source);
    uint32_t n, v;
    int r = block_symbol_find(p->block, name, &n);
    if (r == 0) {
        r = block_symbol_find(p->block, value, &v);
    }
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    char buf[8];
    Str key = block_pair_key(n, v, buf), found;
    r = lmdb_get(p->txn, p->block->tables[TABLE_POSTINGS], key, &found);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    return unpack(p->block, key, found, ret);
}

static int walk(BlockPostings *p, LmdbCursor *c, uint32_t name, uint32_t first, Str prefix,
                PostingsValueFn fn, void *arg) {
    char buf[8];
    Packed at;
    int r = lmdb_cursor_seek(c, block_pair_key(name, first, buf), &at.key, &at.value);
    while (r == 0) {
        if (at.key.n != 8) {
            return block_damaged(p->block, TABLE_POSTINGS, "a key of %zu bytes", at.key.n);
        }
        if (block_read_be32(at.key.p) != name) {
            return 0;
        }
        Str value;
        r = block_symbol(p->block, block_read_be32(at.key.p + 4), &value);
        if (r == 0 && prefix.n && !str_starts(value, prefix)) {
            return 0;
        }
        if (r == 0) {
            r = fn(arg, value, (uint64_t)(uintptr_t)&at);
        }
        if (r == 0) {
            r = lmdb_cursor_next(c, &at.key, &at.value);
        }
    }
    return r == LMDB_NOT_FOUND ? 0 : r;
}

static int block_values(PostingsSource *s, Str name, Str prefix, PostingsValueFn fn, void *arg) {
    BlockPostings *p = CONTAINER_OF(s, BlockPostings, source);
    uint32_t n, first = 0;
    int r = block_symbol_find(p->block, name, &n);
    if (r == 0 && prefix.n) {
        r = block_symbol_at(p->block, prefix, &first);
    }
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    LmdbCursor *c;
    r = lmdb_cursor(p->txn, p->block->tables[TABLE_POSTINGS], &c);
    if (r < 0) {
        return r;
    }
    r = walk(p, c, n, first, prefix, fn, arg);
    lmdb_cursor_free(c);
    return r;
}

static int block_list(PostingsSource *s, uint64_t token, Ids *ret) {
    BlockPostings *p = CONTAINER_OF(s, BlockPostings, source);
    const Packed *at = (const Packed *)(uintptr_t)token;
    return unpack(p->block, at->key, at->value, ret);
}

static int block_all(PostingsSource *s, Ids *ret) {
    vec_reserve(ret, ret->n + s->limit);
    for (uint32_t i = 0; i < s->limit; i++) {
        ret->v[ret->n++] = i;
    }
    return 0;
}

static int block_value(PostingsSource *s, uint32_t id, Str name, Str *ret) {
    BlockPostings *p = CONTAINER_OF(s, BlockPostings, source);
    SeriesRecord rec;
    uint32_t n, name_at, value_at;
    int r = block_series_record(p->block, id, &rec);
    if (r == 0) {
        r = series_record_labels(&rec, &n);
    }
    *ret = STR("");
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        Str at;
        r = series_record_pair(&rec, &name_at, &value_at);
        if (r == 0) {
            r = block_symbol(p->block, name_at, &at);
        }
        if (r == 0 && str_eq(at, name)) {
            return block_symbol(p->block, value_at, ret);
        }
    }
    return r;
}

static const PostingsSourceOps block_postings_ops = {block_pair, block_values, block_list,
                                                     block_all, block_value};

int block_postings_init(BlockPostings *p, Block *b) {
    *p = (BlockPostings){{&block_postings_ops, (uint32_t)b->meta.series}, b, NULL};
    return lmdb_begin(b->env, false, &p->txn);
}

void block_postings_deinit(BlockPostings *p) { lmdb_abort(p->txn); }
