/* Opening, counting and naming of blocks; docs/formats/block.md is the format. */
#include "tsdb/block/block.h"

#include <inttypes.h>

#include "base/map_guard.h"
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/block/block_index.h"
#include "tsdb/block/block_seal.h"

static const char *const table_names[TABLE_COUNT] = BLOCK_TABLES;

/* Fixed part of the value "!block". */
#define META_ID_BYTES (BLOCK_ID_SIZE - 1)
#define META_BYTES (META_ID_BYTES + 8 + 8 + 4 + 5 * 8)

static uint64_t get_le64(const char **p) {
    uint64_t v;
    memcpy(&v, *p, sizeof(v));
    *p += sizeof(v);
    return le64toh(v);
}

static int refuse(Problem *p, const char *what) {
    (void)problem_set(p, 0, 0, "damaged block: %s", what);
    return -EBADMSG;
}

static int read_block_meta(Block *b, Str v, Problem *p) {
    if (v.n < META_BYTES) {
        return refuse(p, "its description is too short");
    }
    BlockMeta *m = &b->meta;
    const char *at = v.p + META_ID_BYTES;
    memcpy(m->id, v.p, META_ID_BYTES);
    m->min_time = (int64_t)get_le64(&at);
    m->max_time = (int64_t)get_le64(&at);
    m->level = (int)block_read_le32(at);
    at += 4;
    m->samples = get_le64(&at);
    m->series = get_le64(&at);
    m->chunks = get_le64(&at);
    m->symbols = get_le64(&at);
    m->pairs = get_le64(&at);
    if (!block_id_valid(m->id) || m->min_time >= m->max_time || m->series >= UINT32_MAX ||
        m->symbols >= UINT32_MAX) {
        return refuse(p, "its description makes no sense");
    }
    return 0;
}

static int read_parents(Block *b, Str v, Problem *p) {
    if (v.n % META_ID_BYTES != 0) {
        return refuse(p, "its list of parents is cut off");
    }
    size_t n = v.n / META_ID_BYTES;
    b->parents = mem_calloc(n + 1, BLOCK_ID_SIZE);
    for (size_t i = 0; i < n; i++) {
        memcpy(b->parents[i], v.p + i * META_ID_BYTES, META_ID_BYTES);
    }
    b->meta.parents = (const char(*)[BLOCK_ID_SIZE])b->parents;
    b->meta.n_parents = n;
    return 0;
}

/* Each encoding of the block's chunks must be known. */
static int read_encodings(Str v, Problem *p) {
    for (size_t i = 0; i < v.n; i++) {
        if (!chunk_encoding_name((uint8_t)v.p[i])) {
            (void)problem_set(p, 0, 0,
                              "block has chunks of encoding %u, which this program does not know",
                              (unsigned)(uint8_t)v.p[i]);
            return -EPROTONOSUPPORT;
        }
    }
    return 0;
}

static int read_meta_value(Block *b, Str key, Str value, Problem *p, bool *found) {
    if (value.n < VALUE_CRC_BYTES ||
        block_read_le32(value.p) !=
            block_value_crc(key, value.p + VALUE_CRC_BYTES, value.n - VALUE_CRC_BYTES)) {
        return refuse(p, "wrong checksum in table meta");
    }
    Str payload = str_from(value, VALUE_CRC_BYTES);
    if (str_eq(key, META_BLOCK)) {
        *found = true;
        return read_block_meta(b, payload, p);
    }
    if (str_eq(key, META_PARENTS)) {
        return read_parents(b, payload, p);
    }
    if (str_eq(key, META_RESOLUTION) && payload.n == 8) {
        const char *at = payload.p;
        b->meta.resolution_ms = (int64_t)get_le64(&at);
        return b->meta.resolution_ms > 0 ? 0 : refuse(p, "its resolution makes no sense");
    }
    if (str_eq(key, META_ENCODINGS)) {
        return read_encodings(payload, p);
    }
    if (str_eq(key, META_RECORDS)) {
        b->records_form = payload.n ? (uint8_t)payload.p[0] : 0;
        if (b->records_form != RECORDS_FORM) {
            (void)problem_set(p, 0, 0,
                              "block has series records of form %u, which this program does not "
                              "know",
                              (unsigned)b->records_form);
            return -EPROTONOSUPPORT;
        }
        return 0;
    }
    if (key.p[0] == META_REQUIRED) {
        (void)problem_set(p, 0, 0, "block needs \"%.*s\", which this program does not know",
                          SA(key));
        return -EPROTONOSUPPORT;
    }
    return 0;
}

static int read_meta(Block *b, LmdbTxn *txn, Problem *p) {
    LmdbCursor *c;
    int r = lmdb_cursor(txn, b->tables[TABLE_META], &c);
    if (r < 0) {
        return r;
    }
    Str key, value;
    bool found = false;
    r = lmdb_cursor_seek(c, STR_NULL, &key, &value);
    while (r == 0) {
        r = read_meta_value(b, key, value, p, &found);
        if (r == 0) {
            r = lmdb_cursor_next(c, &key, &value);
        }
    }
    lmdb_cursor_free(c);
    if (r == LMDB_NOT_FOUND) {
        r = found ? 0 : refuse(p, "it has no description");
    }
    return r;
}

/* Finds all values of a numbered table; they must be 0, 1, ... want-1 (want < 0: any number). */
static int find_values(Block *b, LmdbTxn *txn, int table, int64_t want, NumberedValues *ret,
                       Problem *p) {
    uint64_t n;
    LmdbCursor *c;
    int r = lmdb_count(txn, b->tables[table], &n);
    if (r < 0 || (want >= 0 && n != (uint64_t)want) || n >= UINT32_MAX) {
        return r < 0 ? r : refuse(p, "a table has not as many values as it should");
    }
    *ret = (NumberedValues){table, (uint32_t)n, NEW_ARRAY(Str, n + 1), mem_calloc(n + 1, 1)};
    r = lmdb_cursor(txn, b->tables[table], &c);
    if (r < 0) {
        return r;
    }
    Str key;
    for (uint32_t i = 0; i < n && r == 0; i++) {
        r = i ? lmdb_cursor_next(c, &key, &ret->v[i])
              : lmdb_cursor_seek(c, STR_NULL, &key, &ret->v[i]);
        if (r == 0 &&
            (key.n != 4 || block_read_be32(key.p) != i || ret->v[i].n < VALUE_CRC_BYTES)) {
            r = refuse(p, "a table lacks a value");
        }
    }
    lmdb_cursor_free(c);
    return r > 0 ? refuse(p, "a table ends early") : r;
}

static uint64_t pages_of(uint64_t n, uint64_t per_page) { return (n + per_page - 1) / per_page; }

static int read_tables(Block *b, LmdbTxn *txn, Problem *p) {
    int r = 0;
    for (int i = 0; i < TABLE_COUNT && r == 0; i++) {
        r = lmdb_table(txn, table_names[i], false, &b->tables[i]);
        if (r == LMDB_NOT_FOUND && i == TABLE_TIMES) {
            r = 0; /* of before there was one */
            b->tables[i] = b->tables[TABLE_TOMBSTONES];
        }
    }
    if (r == 0) {
        r = read_meta(b, txn, p);
    }
    uint64_t tombstones = 0;
    if (r == 0) {
        r = lmdb_count(txn, b->tables[TABLE_TOMBSTONES], &tombstones);
    }
    if (r == 0 && tombstones > 0) {
        (void)problem_set(p, 0, 0, "block has tombstones, which this program does not know");
        r = -EPROTONOSUPPORT;
    }
    const BlockMeta *m = &b->meta;
    if (r == 0) {
        r = find_values(b, txn, TABLE_SYMBOLS, (int64_t)pages_of(m->symbols, SYMBOLS_PER_PAGE),
                        &b->symbols, p);
    }
    if (r == 0) {
        r = find_values(b, txn, TABLE_SERIES, (int64_t)pages_of(m->series, SERIES_PER_PAGE),
                        &b->series, p);
    }
    if (r == 0) {
        r = find_values(b, txn, TABLE_CHUNKS, -1, &b->bundles, p);
    }
    if (r == 0) {
        r = find_values(b, txn, TABLE_TIMES, -1, &b->times, p);
    }
    return r == LMDB_NOT_FOUND ? refuse(p, "a table is missing") : r;
}

static int guard_map(Block *b, LmdbTxn *txn) {
    size_t size;
    int r = lmdb_map(txn, &b->map, &size);
    if (r == 0) {
        map_guard_add(b->map, size, &b->lost);
    }
    return r > 0 ? -EBADMSG : r;
}

static int open_env(Block *b, const char *file, Problem *p) {
    int r = lmdb_open(&(LmdbOptions){.path = file, .mode = LMDB_IMMUTABLE}, &b->env);
    LmdbTxn *txn = NULL;
    if (r == 0) {
        r = lmdb_begin(b->env, false, &txn);
    }
    if (r == 0) {
        r = guard_map(b, txn);
    }
    if (r == 0) {
        r = read_tables(b, txn, p);
    }
    if (r == 0 && atomic_load(&b->lost)) {
        r = refuse(p, "the file cannot be read to its end");
    }
    if (r == 0) {
        return lmdb_commit(txn); /* so that the handles of the tables stay */
    }
    lmdb_abort(txn);
    return r;
}

static void block_free(Block *b) {
    map_guard_remove(b->map);
    lmdb_close(b->env);
    NumberedValues *all[] = {&b->symbols, &b->series, &b->bundles, &b->times};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        mem_free(all[i]->v);
        mem_free((void *)(uintptr_t)all[i]->good);
    }
    mem_free(b->parents);
    mem_free(b->path);
    mem_free(b);
}

int block_open(const char *path, Block **ret, Problem *problem) {
    Problem unused = {0};
    Problem *p = problem ? problem : &unused;
    Block *b = NEW(Block);
    atomic_init(&b->refs, 1);
    b->path = mem_strdup(path);
    b->records_form = 1;
    char *file = mem_printf("%s/%s", path, BLOCK_FILE);
    p->text[0] = '\0';
    int r = block_seal_check(file, &b->meta.bytes, p);
    if (r == 0) {
        r = open_env(b, file, p);
    }
    if (r < 0 && p->text[0] == '\0') {
        (void)problem_set(p, 0, 0, "cannot read block: %s", strerror(-r));
    }
    mem_free(file);
    if (r < 0) {
        block_free(b);
        return err_trace(r);
    }
    *ret = b;
    return 0;
}

Block *block_ref(Block *b) {
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void block_unref(Block *b) {
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
        block_free(b);
    }
}

const BlockMeta *block_meta(const Block *b) { return &b->meta; }
const char *block_path(const Block *b) { return b->path; }
bool block_is_bad(const Block *b) {
    return atomic_load_explicit(&b->bad, memory_order_relaxed) ||
           atomic_load_explicit(&b->lost, memory_order_relaxed);
}

void block_info(const Block *b, TsdbBlockInfo *ret) {
    const BlockMeta *m = &b->meta;
    *ret = (TsdbBlockInfo){.min_time = m->min_time,
                           .max_time = m->max_time,
                           .samples = m->samples,
                           .series = m->series,
                           .chunks = m->chunks,
                           .bytes = m->bytes,
                           .level = m->level,
                           .resolution_ms = m->resolution_ms};
    memcpy(ret->id, m->id, sizeof(ret->id));
}
