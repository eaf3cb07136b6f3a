/* Finding the column of a chunk's times; docs/formats/block.md, "Table times", draws the values. */
#include "tsdb/block/times_table.h"

#include <assert.h>

#include "base/err.h"
#include "base/hash.h"

/* Of a target so many columns are looked at, the newest ones. */
#define COLUMNS_TRIED 6

void times_table_deinit(TimesTable *w) {
    vec_free(&w->columns);
    u64_map_deinit(&w->newest);
    u64_map_deinit(&w->by_hash);
    arena_deinit(&w->bytes);
}

static const int64_t *unpack(TimesTable *w, uint32_t column) {
    if (w->unpacked != column + 1) {
        int r = times_read(&w->columns.v[column].times, w->t);
        assert(r == 0); /* it was written here */
        (void)r;
        w->unpacked = column + 1;
    }
    return w->t;
}

static uint32_t position_of(const int64_t *t, uint32_t n, int64_t at) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t[middle] < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Takes the times of t up to the column's end; false when the column lacks one of them. */
static bool take_from(TimesTable *w, uint32_t column, const int64_t *t, uint32_t n,
                      ChunkTimes *ret) {
    const Times *c = &w->columns.v[column].times;
    if (t[0] < c->min_time || t[0] > c->max_time) {
        return false;
    }
    const int64_t *have = unpack(w, column);
    uint32_t at = position_of(have, c->n, t[0]), taken = 0, misses = 0;
    uint32_t first = at;
    for (; taken < n && at < c->n; taken++, at++) {
        while (have[at] < t[taken]) {
            if (misses == TIMES_MISSES_MAX) {
                return false;
            }
            ret->missed[misses++] = (uint16_t)(at++ - first);
            if (at == c->n) {
                return false;
            }
        }
        if (have[at] != t[taken]) {
            return false;
        }
    }
    if (taken < n && t[taken] <= c->max_time) {
        return false;
    }
    if (misses > taken / TIMES_MISSES_SHARE) {
        return false;
    }
    ret->column = column;
    ret->first = first;
    ret->n = taken;
    ret->misses = misses;
    ret->whole = taken == c->n;
    return true;
}

static bool find_same(TimesTable *w, uint64_t hash, const int64_t *t, uint32_t n, uint32_t *ret) {
    uint64_t found;
    if (!u64_map_get(&w->by_hash, hash, &found)) {
        return false;
    }
    const Times *c = &w->columns.v[found].times;
    *ret = (uint32_t)found;
    return c->n == n && c->min_time == t[0] && c->max_time == t[n - 1] &&
           memcmp(unpack(w, *ret), t, n * sizeof(*t)) == 0;
}

static uint32_t add_column(TimesTable *w, uint64_t target, const int64_t *t, uint32_t n) {
    uint64_t hash = hash_xxh3(t, n * sizeof(*t)), newest = 0;
    uint32_t same;
    if (find_same(w, hash, t, n, &same)) {
        u64_map_put(&w->newest, target, same + 1);
        return same;
    }
    (void)u64_map_get(&w->newest, target, &newest);
    TimesColumn c = {.times = {.min_time = t[0], .max_time = t[n - 1], .n = n},
                     .hash = hash,
                     .earlier = (uint32_t)newest};
    size_t size = times_write(w->packed, t, n, w->numbers, &c.times.way);
    uint8_t *copy = size ? arena_alloc(&w->bytes, size) : NULL;
    if (size) {
        memcpy(copy, w->packed, size);
        c.times.p = copy;
        c.times.end = copy + size;
    }
    uint32_t column = (uint32_t)w->columns.n;
    vec_push(&w->columns, c);
    u64_map_put(&w->newest, target, column + 1);
    u64_map_put(&w->by_hash, hash, column);
    return column;
}

void times_table_place(TimesTable *w, uint64_t target, const int64_t *t, uint32_t n, uint32_t usual,
                       ChunkTimes *ret) {
    uint64_t column = 0;
    (void)u64_map_get(&w->newest, target, &column);
    for (unsigned i = 0; i < COLUMNS_TRIED && column > 0; i++) {
        if (take_from(w, (uint32_t)column - 1, t, n, ret)) {
            return;
        }
        column = w->columns.v[column - 1].earlier;
    }
    ret->column = add_column(w, target, t, usual);
    ret->first = 0;
    ret->n = usual;
    ret->misses = 0;
    ret->whole = true;
}

/* A page: number of columns, the end of each, then their bytes. */
static void build_page(const TimesTable *w, size_t first, size_t n, int64_t min_time, Buf *value) {
    Buf bytes = BUF_INIT(0);
    value_begin(value);
    buf_add_u32(value, (uint32_t)n);
    for (size_t i = first; i < first + n; i++) {
        const Times *c = &w->columns.v[i].times;
        buf_add_char(&bytes, (char)c->way);
        buf_add_uvarint(&bytes, c->n);
        buf_add_uvarint(&bytes, (uint64_t)c->min_time - (uint64_t)min_time);
        buf_add_uvarint(&bytes, (uint64_t)c->max_time - (uint64_t)c->min_time);
        if (c->p) {
            buf_add(&bytes, c->p, (size_t)(c->end - c->p));
        }
        buf_add_u32(value, (uint32_t)bytes.n);
    }
    buf_add_str(value, buf_str(&bytes));
    buf_deinit(&bytes);
}

int times_table_finish(TimesTable *w, BundleWriter *out, int64_t min_time, Buf *value) {
    for (size_t i = 0; i < w->columns.n; i += TIMES_PER_PAGE) {
        char key[4];
        size_t n = MIN(w->columns.n - i, (size_t)TIMES_PER_PAGE);
        build_page(w, i, n, min_time, value);
        int r = bundle_writer_value(out, TABLE_TIMES,
                                    block_number_key((uint32_t)(i / TIMES_PER_PAGE), key), value);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
