/* Columns of times, and chunks whose times or values lie elsewhere in the block. */
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/block/block_index.h"

/* ---- columns ---- */

int block_times(Block *b, uint32_t column, Times *ret) {
    Str v;
    uint32_t page = column / TIMES_PER_PAGE, at = column % TIMES_PER_PAGE;
    int r = block_numbered(b, &b->times, page, &v);
    if (r < 0) {
        return r;
    }
    uint32_t n = v.n >= 4 ? block_read_le32(v.p) : 0;
    if (at >= n || n > TIMES_PER_PAGE || v.n - 4 < n * (size_t)4) {
        return block_damaged(b, TABLE_TIMES, "column %u", column);
    }
    const char *ends = v.p + 4, *bytes = ends + (size_t)n * 4;
    uint32_t start = at ? block_read_le32(ends + (size_t)(at - 1) * 4) : 0;
    uint32_t end = block_read_le32(ends + (size_t)at * 4);
    if (start >= end || end > (size_t)(v.p + v.n - bytes)) {
        return block_damaged(b, TABLE_TIMES, "column %u", column);
    }
    const uint8_t *p = (const uint8_t *)bytes + start, *p_end = (const uint8_t *)bytes + end;
    uint64_t count, from, span;
    TimesWay way = *p++;
    if (!uvarint_get(&p, p_end, &count) || !uvarint_get(&p, p_end, &from) ||
        !uvarint_get(&p, p_end, &span) || count == 0 || count > CHUNK_SAMPLES_MAX) {
        return block_damaged(b, TABLE_TIMES, "column %u", column);
    }
    int64_t min_time = (int64_t)((uint64_t)b->meta.min_time + from);
    int64_t max_time = (int64_t)((uint64_t)min_time + span);
    if (min_time < b->meta.min_time || max_time < min_time) {
        return block_damaged(b, TABLE_TIMES, "column %u", column);
    }
    *ret = (Times){min_time, max_time, (uint32_t)count, way, p, p_end};
    return 0;
}

static int times_of(Block *b, DecodedCache *cache, uint32_t column, int64_t from, int64_t to,
                    Decoded **ret) {
    Times times;
    *ret = decoded_cache_get(cache, DECODED_TIMES, column, from, to);
    if (*ret) {
        return 0;
    }
    int r = block_times(b, column, &times);
    if (r < 0) {
        return r;
    }
    Decoded *d = decoded_new(DECODED_TIMES, column, times.n);
    d->low = from;
    d->high = to;
    r = times_read_range(&times, from, to, d->t, &d->first, &d->n);
    if (r == 0 && from == INT64_MIN && to == INT64_MAX && d->n != times.n) {
        r = -EBADMSG;
    }
    r = r < 0 ? r : block_check_map(b);
    if (r < 0) {
        decoded_release(d);
        return block_damaged(b, TABLE_TIMES, "column %u", column);
    }
    decoded_cache_put(cache, d);
    *ret = d;
    return 0;
}

/* ---- values ---- */

static int damaged_chunk(Block *b, ChunkPlace at) {
    return block_damaged(b, TABLE_CHUNKS, "%u, chunk at %u", at.bundle, at.offset);
}

static int values_at(Block *b, DecodedCache *cache, ChunkPlace at, const Chunk *c, uint32_t from,
                     uint32_t to, unsigned depth, double *v);

/* Values from..to-1 of the chunk that a link names; a chunk links backwards only. */
static int linked_values(Block *b, DecodedCache *cache, ChunkPlace at, const ChunkLink *link,
                         uint32_t n, uint32_t from, uint32_t to, unsigned depth, double *v) {
    Chunk c = {.n = n, .size = link->size, .encoding = CHUNK_LINKED};
    ChunkPlace to_place = {link->bundle, link->offset};
    bool backwards =
        link->bundle < at.bundle || (link->bundle == at.bundle && link->offset < at.offset);
    if (!backwards || depth == LINKS_MAX) {
        return damaged_chunk(b, at);
    }
    int r = block_chunk_data(b, link->bundle, link->offset, &c);
    return r < 0 ? r : values_at(b, cache, to_place, &c, from, to, depth + 1, v);
}

static uint64_t key_of(uint32_t bundle, uint32_t offset) { return (uint64_t)bundle << 32 | offset; }

/* The values that a difference is to, held for the caller. */
static int base_values(Block *b, DecodedCache *cache, ChunkPlace at, const ChunkLink *link,
                       uint32_t n, uint32_t from, uint32_t to, unsigned depth, Decoded **ret) {
    uint64_t key = key_of(link->bundle, link->offset);
    *ret = decoded_cache_get(cache, DECODED_VALUES, key, from, to);
    if (*ret && (*ret)->first + (*ret)->n <= n) {
        return 0;
    }
    decoded_release(*ret);
    Decoded *d = decoded_new(DECODED_VALUES, key, to - from);
    d->low = d->first = from;
    d->high = to;
    int r = linked_values(b, cache, at, link, n, from, to, depth, d->v);
    if (r < 0) {
        decoded_release(d);
        return r;
    }
    decoded_cache_put(cache, d);
    *ret = d;
    return 0;
}

static int values_at(Block *b, DecodedCache *cache, ChunkPlace at, const Chunk *c, uint32_t from,
                     uint32_t to, unsigned depth, double *v) {
    ChunkLink link;
    Decoded *base = NULL;
    int kind = chunk_link(c, &link), r = kind;
    if (kind == CHUNK_SAME) {
        return linked_values(b, cache, at, &link, c->n, from, to, depth, v);
    }
    if (kind == CHUNK_DIFFERENCE) {
        Decoded *known =
            decoded_cache_get(cache, DECODED_VALUES, key_of(at.bundle, at.offset), from, to);
        if (known) {
            memcpy(v, known->v + (from - known->first), (to - from) * sizeof(*v));
            decoded_release(known);
            return 0;
        }
        r = base_values(b, cache, at, &link, c->n, from, to, depth, &base);
    }
    if (r >= 0) {
        const double *base_v = base ? base->v + (from - base->first) : NULL;
        r = chunk_decode_values(c, from, to, base_v, v);
    }
    decoded_release(base);
    return r == 0 ? 0 : damaged_chunk(b, at);
}

/* ---- chunks ---- */

/* Copies the times of d that the chunk has, of positions d->first.. in the column. Returns how many
 * and which of the chunk's is the first. */
static uint32_t pick_times(const ChunkScanEntry *e, const Decoded *d, int64_t *t,
                           uint32_t *ret_first) {
    const uint8_t *p = e->missed;
    uint64_t gap = 0, missed = UINT64_MAX, position = 0;
    uint32_t left = e->misses, n = 0, span = e->chunk.n + e->misses;
    for (uint32_t i = 0; i < span; i++) {
        if (missed == UINT64_MAX && left > 0) {
            (void)uvarint_get(&p, e->missed_end, &gap); /* chunk_scan_next() has read it before */
            missed = position += gap;
            left--;
        }
        if (i == missed) {
            missed = UINT64_MAX;
            continue;
        }
        uint64_t at = (uint64_t)e->first + i;
        if (at < d->first || at >= (uint64_t)d->first + d->n) {
            *ret_first += at < d->first;
            continue;
        }
        t[n++] = d->t[at - d->first];
    }
    return n;
}

/* Where the chunk's times lie in d; a chunk that lacks some of the column's gets a copy. */
static void map_times(const ChunkScanEntry *e, const Decoded *d, ChunkReader *r, ChunkPart *ret) {
    ret->first = 0;
    if (e->misses) {
        vec_reserve(&r->t, e->chunk.n);
        ret->n = pick_times(e, d, r->t.v, &ret->first);
        ret->t = r->t.v;
        return;
    }
    uint32_t from = MAX(e->first, d->first);
    uint64_t to = MIN((uint64_t)e->first + e->chunk.n, (uint64_t)d->first + d->n);
    ret->n = from < to ? (uint32_t)to - from : 0;
    ret->first = from - e->first;
    ret->t = d->t + (from - d->first);
}

static int read_shared(Block *b, DecodedCache *cache, const ChunkScanEntry *e, int64_t from,
                       int64_t to, ChunkReader *r, ChunkPart *ret) {
    decoded_release(r->times);
    r->times = NULL;
    int err = times_of(b, cache, e->column, from, to, &r->times);
    if (err < 0) {
        return err;
    }
    map_times(e, r->times, r, ret);
    if (ret->n > 0 && (ret->t[0] < e->chunk.min_time || ret->t[ret->n - 1] > e->chunk.max_time)) {
        return damaged_chunk(b, e->place);
    }
    return 0;
}

void chunk_reader_deinit(ChunkReader *r) {
    decoded_release(r->times);
    r->times = NULL;
    vec_free(&r->t);
    vec_free(&r->v);
}

int block_read_chunk(Block *b, DecodedCache *cache, const ChunkScanEntry *e, int64_t from,
                     int64_t to, ChunkReader *r, ChunkPart *ret) {
    Chunk c = e->chunk;
    int err = block_chunk_data(b, e->place.bundle, e->place.offset, &c);
    if (err < 0) {
        return err;
    }
    vec_reserve(&r->v, c.n);
    ret->v = r->v.v;
    if (!e->shared) {
        vec_reserve(&r->t, c.n);
        ret->t = r->t.v;
        ret->first = 0;
        err = chunk_decode_range(&c, from, to, r->t.v, r->v.v, &ret->n);
        return err < 0 ? damaged_chunk(b, e->place) : block_check_map(b);
    }
    err = read_shared(b, cache, e, from, to, r, ret);
    if (err < 0 || ret->n == 0) {
        return err;
    }
    err = values_at(b, cache, e->place, &c, ret->first, ret->first + ret->n, 0, r->v.v);
    return err < 0 ? err : block_check_map(b);
}

/* The base's values are those of a chunk on its own, so that its bytes can be decoded anywhere. */
int block_resolve_chunk(Block *b, DecodedCache *cache, const ChunkScanEntry *e, ChunkReader *r,
                        Chunk *c) {
    ChunkPart part;
    ChunkLink link;
    int err = block_chunk_data(b, e->place.bundle, e->place.offset, c);
    if (err < 0 || !e->shared) {
        return err;
    }
    err = read_shared(b, cache, e, INT64_MIN, INT64_MAX, r, &part);
    if (err < 0) {
        return err;
    }
    if (part.n != c->n) {
        return damaged_chunk(b, e->place);
    }
    c->times = part.t;
    int kind = chunk_link(c, &link);
    if (kind > 0) {
        vec_reserve(&r->v, c->n);
        kind = linked_values(b, cache, e->place, &link, c->n, 0, c->n, 0, r->v.v);
        c->base = r->v.v;
    }
    return kind < 0 ? damaged_chunk(b, e->place) : 0;
}
