/* Values, symbols and series records of an open block, checked. */
#include "tsdb/block/block_index.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/varint.h"

static const char *const table_names[TABLE_COUNT] = BLOCK_TABLES;

int block_damaged(Block *b, int table, const char *fmt, ...) {
    if (!atomic_exchange(&b->bad, true)) {
        char key[128];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(key, sizeof(key), fmt, ap);
        va_end(ap);
        log_error("tsdb", "Block is damaged", L_CSTR("block", b->meta.id), L_CSTR("path", b->path),
                  L_CSTR("table", table_names[table]), L_CSTR("key", key));
    }
    return -EBADMSG;
}

int block_check_map(Block *b) {
    if (LIKELY(!atomic_load_explicit(&b->lost, memory_order_relaxed))) {
        return 0;
    }
    return block_damaged(b, TABLE_META, "a page of the file cannot be read");
}

static bool value_is_good(Str key, Str value) {
    return value.n >= VALUE_CRC_BYTES &&
           block_read_le32(value.p) ==
               block_value_crc(key, value.p + VALUE_CRC_BYTES, value.n - VALUE_CRC_BYTES);
}

int block_checked_value(Block *b, int table, Str key, Str value, Str *ret) {
    if (!value_is_good(key, value)) {
        char hex[2 * 16 + 1] = "";
        for (size_t i = 0; i < key.n && i < 16; i++) {
            snprintf(hex + 2 * i, 3, "%02x", (unsigned char)key.p[i]);
        }
        return block_damaged(b, table, "0x%s", hex);
    }
    *ret = str_from(value, VALUE_CRC_BYTES);
    return 0;
}

int block_numbered(Block *b, NumberedValues *values, uint32_t i, Str *ret) {
    if (i >= values->n) {
        return block_damaged(b, values->table, "%u is missing", i);
    }
    if (!atomic_load_explicit(&values->good[i], memory_order_relaxed)) {
        char key[4];
        if (!value_is_good(block_number_key(i, key), values->v[i])) {
            return block_damaged(b, values->table, "%u", i);
        }
        atomic_store_explicit(&values->good[i], 1, memory_order_relaxed);
    }
    *ret = str_from(values->v[i], VALUE_CRC_BYTES);
    return 0;
}

/* ---- symbols ---- */

int block_symbol(Block *b, uint32_t i, Str *ret) {
    if (i >= b->meta.symbols) {
        return block_damaged(b, TABLE_SYMBOLS, "%u is missing", i);
    }
    uint32_t page = i / SYMBOLS_PER_PAGE, at = i % SYMBOLS_PER_PAGE;
    Str v;
    int r = block_numbered(b, &b->symbols, page, &v);
    if (r < 0) {
        return r;
    }
    size_t n = MIN(b->meta.symbols - (uint64_t)page * SYMBOLS_PER_PAGE, (uint64_t)SYMBOLS_PER_PAGE);
    if (v.n < n * 4) {
        return block_damaged(b, TABLE_SYMBOLS, "%u is too short", page);
    }
    uint32_t start = at ? block_read_le32(v.p + (size_t)(at - 1) * 4) : 0;
    uint32_t end = block_read_le32(v.p + (size_t)at * 4);
    if (start > end || end > v.n - n * 4) {
        return block_damaged(b, TABLE_SYMBOLS, "%u", page);
    }
    *ret = str_n(v.p + n * 4 + start, end - start);
    return 0;
}

int block_symbol_at(Block *b, Str s, uint32_t *ret) {
    uint32_t low = 0, high = (uint32_t)b->meta.symbols;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        Str at;
        int r = block_symbol(b, mid, &at);
        if (r < 0) {
            return r;
        }
        if (str_cmp(at, s) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *ret = low;
    return 0;
}

int block_symbol_find(Block *b, Str s, uint32_t *ret) {
    uint32_t at;
    Str found;
    int r = block_symbol_at(b, s, &at);
    if (r < 0 || at >= b->meta.symbols) {
        return r < 0 ? r : 1;
    }
    r = block_symbol(b, at, &found);
    if (r == 0 && !str_eq(found, s)) {
        return 1;
    }
    *ret = at;
    return r;
}

/* ---- series records ---- */

static int damaged_record(const SeriesRecord *r) {
    return block_damaged(r->block, TABLE_SERIES, "series %u", r->id);
}

static bool get_u32(SeriesRecord *r, uint32_t *ret) {
    uint64_t v;
    if (!uvarint_get(&r->p, r->end, &v) || v > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

int block_series_record(Block *b, uint32_t id, SeriesRecord *ret) {
    SeriesRecord r = {.block = b, .id = id};
    uint32_t page = id / SERIES_PER_PAGE, at = id % SERIES_PER_PAGE;
    Str v;
    int err = block_numbered(b, &b->series, page, &v);
    if (err < 0) {
        return err;
    }
    uint64_t n = MIN(b->meta.series - (uint64_t)page * SERIES_PER_PAGE, (uint64_t)SERIES_PER_PAGE);
    size_t head = (n + SERIES_STRIDE - 1) / SERIES_STRIDE * 4;
    if (id >= b->meta.series || v.n < head) {
        return damaged_record(&r);
    }
    uint32_t start = block_read_le32(v.p + (size_t)(at / SERIES_STRIDE) * 4);
    if (start > v.n - head) {
        return damaged_record(&r);
    }
    r.p = (const uint8_t *)v.p + head + start;
    const uint8_t *page_end = (const uint8_t *)v.p + v.n;
    for (uint32_t left = at % SERIES_STRIDE;; left--) {
        uint64_t size;
        if (!uvarint_get(&r.p, page_end, &size) || size > (uint64_t)(page_end - r.p)) {
            return damaged_record(&r);
        }
        r.end = r.p + size;
        if (!r.first && at % SERIES_STRIDE != 0) {
            r.first = r.p;
            r.first_end = r.end;
        }
        if (left == 0) {
            *ret = r;
            return 0;
        }
        r.p = r.end;
    }
}

/* How many labels the first record of the stride has; it has them all. */
static bool open_first(SeriesRecord *r, uint32_t n) {
    uint64_t head;
    return r->first && n <= RECORD_SHARED_LABELS_MAX &&
           uvarint_get(&r->first, r->first_end, &head) && head == (uint64_t)n << 1 &&
           uvarint_get(&r->p, r->end, &r->changed);
}

int series_record_labels(SeriesRecord *r, uint32_t *ret_n) {
    uint32_t head;
    if (!get_u32(r, &head)) {
        return damaged_record(r);
    }
    r->label = 0;
    r->shared = r->block->records_form > 1 && (head & 1);
    *ret_n = r->block->records_form > 1 ? head >> 1 : head;
    if (r->shared) {
        return open_first(r, *ret_n) ? 0 : damaged_record(r);
    }
    /* Each takes two bytes at least, so that no one can ask for more memory than the record. */
    return *ret_n <= (uint64_t)(r->end - r->p) / 2 ? 0 : damaged_record(r);
}

static bool first_u32(SeriesRecord *r, uint32_t *ret) {
    uint64_t v;
    if (!uvarint_get(&r->first, r->first_end, &v) || v > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

int series_record_pair(SeriesRecord *r, uint32_t *ret_name, uint32_t *ret_value) {
    bool good;
    if (r->shared) {
        good = first_u32(r, ret_name) && first_u32(r, ret_value) &&
               (!(r->changed >> r->label++ & 1) || get_u32(r, ret_value));
    } else {
        good = get_u32(r, ret_name) && get_u32(r, ret_value);
    }
    return good ? 0 : damaged_record(r);
}

int block_record_labels(SeriesRecord *r, Arena *a, Labels *ret) {
    uint32_t n, name, value;
    int err = series_record_labels(r, &n);
    if (err < 0) {
        return err;
    }
    Label *l = ARENA_ARRAY(a, Label, n + 1);
    if (!l) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        err = series_record_pair(r, &name, &value);
        if (err == 0) {
            err = block_symbol(r->block, name, &l[i].name);
        }
        if (err == 0) {
            err = block_symbol(r->block, value, &l[i].value);
        }
        if (err < 0) {
            return err;
        }
    }
    *ret = (Labels){l, n};
    return 0;
}

int series_record_chunks(SeriesRecord *r, ChunkScan *ret) {
    ChunkScan s = {.before = r->block->meta.min_time};
    if (!uvarint_get(&r->p, r->end, &s.left) || s.left > (uint64_t)(r->end - r->p)) {
        return damaged_record(r);
    }
    if (s.left && (!get_u32(r, &s.bundle) || !get_u32(r, &s.offset))) {
        return damaged_record(r);
    }
    s.r = *r;
    *ret = s;
    return 0;
}

/* Times of a chunk that its own entry states. */
static bool read_own_times(ChunkScan *s, Chunk *c) {
    uint64_t gap, length;
    SeriesRecord *r = &s->r;
    if (!uvarint_get(&r->p, r->end, &gap) || !uvarint_get(&r->p, r->end, &length) ||
        !get_u32(r, &c->n)) {
        return false;
    }
    c->min_time = (int64_t)((uint64_t)s->before + gap);
    c->max_time = (int64_t)((uint64_t)c->min_time + length);
    return true;
}

/* Which of a column's times a chunk has; n is known. */
static bool read_part(SeriesRecord *r, uint32_t n_column, ChunkScanEntry *e) {
    uint64_t at = 0, gap;
    if (!get_u32(r, &e->first) || !get_u32(r, &e->misses) || e->chunk.n > n_column ||
        e->misses > n_column - e->chunk.n || e->first > n_column - e->chunk.n - e->misses) {
        return false;
    }
    e->missed = r->p;
    for (uint32_t i = 0; i < e->misses; i++) {
        if (!uvarint_get(&r->p, r->end, &gap) || (i > 0 && gap == 0) ||
            gap >= e->chunk.n + e->misses - at) {
            return false;
        }
        at += gap;
    }
    e->missed_end = r->p;
    return true;
}

/* The times of a chunk are a column, or a part of one. */
static int read_shared_times(ChunkScan *s, ChunkScanEntry *e) {
    SeriesRecord *r = &s->r;
    uint64_t column;
    Times times;
    if (!uvarint_get(&r->p, r->end, &column) || column >> 1 > UINT32_MAX) {
        return damaged_record(r);
    }
    e->shared = true;
    e->column = (uint32_t)(column >> 1);
    int err = block_times(r->block, e->column, &times);
    if (err < 0) {
        return err;
    }
    if (!(column & 1)) {
        e->chunk.n = times.n;
        e->chunk.min_time = times.min_time;
        e->chunk.max_time = times.max_time;
        return 0;
    }
    return read_own_times(s, &e->chunk) && read_part(r, times.n, e) ? 0 : damaged_record(r);
}

int chunk_scan_next(ChunkScan *s, ChunkScanEntry *ret) {
    SeriesRecord *r = &s->r;
    ChunkScanEntry e = {0};
    if (s->left == 0) {
        return r->p == r->end ? 0 : damaged_record(r);
    }
    if (r->p == r->end) {
        return damaged_record(r);
    }
    uint8_t head = *r->p++;
    e.chunk.encoding = head & CHUNK_ENCODING;
    if (head & CHUNK_SHARED_TIMES) {
        int err = read_shared_times(s, &e);
        if (err < 0) {
            return err;
        }
    } else if (!read_own_times(s, &e.chunk)) {
        return damaged_record(r);
    }
    Chunk *c = &e.chunk;
    if (!get_u32(r, &c->size)) {
        return damaged_record(r);
    }
    if (head & CHUNK_NEXT_BUNDLE) {
        s->bundle++;
        s->offset = 0;
    }
    if (c->min_time < s->before || c->max_time < c->min_time || c->n == 0 ||
        c->n > CHUNK_SAMPLES_MAX || c->size > UINT32_MAX - s->offset) {
        return damaged_record(r);
    }
    e.place = (ChunkPlace){s->bundle, s->offset};
    s->offset += c->size;
    s->before = c->max_time;
    s->left--;
    *ret = e;
    return 1;
}

int block_chunk_data(Block *b, uint32_t bundle, uint32_t offset, Chunk *c) {
    Str v;
    int r = block_numbered(b, &b->bundles, bundle, &v);
    if (r < 0) {
        return r;
    }
    if (v.n < 1 || v.p[0] != BUNDLE_PLAIN || offset > v.n - 1 || c->size > v.n - 1 - offset) {
        return block_damaged(b, TABLE_CHUNKS, "%u, chunk at %u", bundle, offset);
    }
    c->data = (const uint8_t *)v.p + 1 + offset;
    return 0;
}
