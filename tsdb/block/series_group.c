/* Which chunk is written as a difference to which other one, or as the same. */
#include "tsdb/block/series_group.h"

#include <math.h>
#include <stdlib.h>

#include "base/numtext.h"

#define GROUP_VALUES_MAX (1u << 20)
/* To read a bucket those above it are read, up to so many. */
#define DIFFERENCES_DEEP 5

void series_group_init(SeriesGroup *g) {
    *g = (SeriesGroup){.le_at = SIZE_MAX, .le = UINT32_MAX, .encoder = chunk_encoder_new()};
    same_table_init(&g->same);
}

static void empty(SeriesGroup *g) {
    for (size_t i = 0; i < g->series.n; i++) {
        GroupSeries *s = &g->series.v[i];
        for (size_t k = 0; k < s->pieces.n; k++) {
            mem_free(s->pieces.v[k].values);
            mem_free(s->pieces.v[k].bytes);
        }
        s->pieces.n = s->pairs.n = 0;
    }
    g->series.n = 0;
    g->n_values = 0;
}

void series_group_deinit(SeriesGroup *g) {
    empty(g);
    for (size_t i = 0; i < g->series.cap; i++) {
        vec_free(&g->series.v[i].pairs);
        vec_free(&g->series.v[i].pieces);
    }
    vec_free(&g->series);
    vec_free(&g->order);
    vec_free(&g->entries);
    chunk_encoder_free(g->encoder);
    same_table_deinit(&g->same);
}

static size_t find_le(const SeriesGroup *g, const PairKey *pairs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (pairs[i] >> 32 == g->le) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool series_group_is_foreign(const SeriesGroup *g, const PairKey *pairs, size_t n) {
    size_t at = find_le(g, pairs, n);
    if (g->series.n == 0) {
        return false;
    }
    if (at == SIZE_MAX || at != g->le_at || g->n_values >= GROUP_VALUES_MAX) {
        return true;
    }
    return memcmp(pairs, g->series.v[0].pairs.v, at * sizeof(*pairs)) != 0;
}

void series_group_begin(SeriesGroup *g, const PairKey *pairs, size_t n) {
    if (g->series.n == g->series.cap) {
        size_t old = g->series.cap;
        vec_reserve(&g->series, old + 1);
        memset(g->series.v + old, 0, (g->series.cap - old) * sizeof(*g->series.v));
    }
    GroupSeries *s = &g->series.v[g->series.n++];
    for (size_t i = 0; i < n; i++) {
        vec_push(&s->pairs, pairs[i]);
    }
    g->le_at = find_le(g, pairs, n);
}

static GroupPiece *add_piece(SeriesGroup *g, const Chunk *c) {
    GroupSeries *s = &g->series.v[g->series.n - 1];
    vec_push(&s->pieces, (GroupPiece){.entry.chunk = *c});
    return &s->pieces.v[s->pieces.n - 1];
}

void series_group_values(SeriesGroup *g, const ChunkTimes *times, int64_t min_time,
                         int64_t max_time, const double *v) {
    Chunk c = {.min_time = min_time, .max_time = max_time, .n = times->n, .encoding = CHUNK_LINKED};
    GroupPiece *p = add_piece(g, &c);
    p->entry.has_times = true;
    p->entry.times = *times;
    p->values = mem_dup(v, times->n * sizeof(*v));
    g->n_values += times->n;
}

void series_group_chunk(SeriesGroup *g, const Chunk *c) {
    GroupPiece *p = add_piece(g, c);
    p->bytes = mem_dup(c->data, c->size);
    p->entry.chunk.data = NULL;
    g->n_values += c->size / sizeof(double);
}

/* ---- writing ---- */

static bool are_constant(const double *v, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        if (double_bits(v[i]) != double_bits(v[0])) {
            return false;
        }
    }
    return true;
}

static int put(GroupPiece *p, const Chunk *c, BundleWriter *out) {
    p->entry.chunk.size = c->size;
    return bundle_writer_chunk(out, c, &p->entry.place);
}

static ChunkLink link_of(const GroupPiece *p) {
    return (ChunkLink){p->entry.place.bundle, p->entry.place.offset, p->entry.chunk.size};
}

/* base: a piece whose values may be subtracted, or NULL. */
static int put_values(SeriesGroup *g, GroupPiece *p, const GroupPiece *base, BundleWriter *out) {
    uint32_t n = p->entry.chunk.n;
    bool constant = are_constant(p->values, n);
    SameKey key = {0};
    if (!constant) {
        key = same_table_key(&g->same, p->values, n);
        const SamePlace *same = same_table_find(&g->same, key);
        if (same) {
            Chunk c;
            chunk_encode_same(g->encoder, n, &same->link, &c);
            p->place = *same;
            return put(p, &c, out);
        }
    }
    Chunk c;
    base = constant ? NULL : base;
    bool linked = chunk_encode_linked(g->encoder, p->values, n, base ? base->values : NULL,
                                      base ? &base->place.link : NULL, &c);
    int r = put(p, &c, out);
    p->place = (SamePlace){link_of(p), linked ? (uint8_t)(base->place.depth + 1) : 0};
    if (r == 0 && !constant) {
        same_table_add(&g->same, key, p->place);
    }
    return r;
}

/* The piece of another series with the very same times. */
static const GroupPiece *find_base(const GroupSeries *s, const GroupPiece *p) {
    for (size_t i = 0; s && i < s->pieces.n; i++) {
        const GroupPiece *b = &s->pieces.v[i];
        const ChunkTimes *x = &b->entry.times, *y = &p->entry.times;
        if (b->values && b->place.depth < DIFFERENCES_DEEP && x->column == y->column &&
            x->first == y->first && x->n == y->n && x->misses == 0 && y->misses == 0) {
            return b;
        }
    }
    return NULL;
}

static int put_series(SeriesGroup *g, GroupSeries *s, const GroupSeries *base, BundleWriter *out) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->pieces.n; i++) {
        GroupPiece *p = &s->pieces.v[i];
        if (p->values) {
            r = put_values(g, p, find_base(base, p), out);
        } else {
            Chunk c = p->entry.chunk;
            c.data = p->bytes;
            r = put(p, &c, out);
        }
    }
    return r;
}

typedef struct Sorting {
    const SeriesGroup *g;
    const SymbolTable *symbols;
} Sorting;

static int rest_cmp(const SeriesGroup *g, const GroupSeries *x, const GroupSeries *y) {
    for (size_t i = g->le_at + 1; i < MIN(x->pairs.n, y->pairs.n); i++) {
        if (x->pairs.v[i] != y->pairs.v[i]) {
            return x->pairs.v[i] < y->pairs.v[i] ? -1 : 1;
        }
    }
    return (x->pairs.n > y->pairs.n) - (x->pairs.n < y->pairs.n);
}

static double bound_of(const Sorting *s, const GroupSeries *x) {
    Str text = s->symbols->strings.v[(uint32_t)x->pairs.v[s->g->le_at]];
    double bound;
    return number_parse(text, &bound) && !isnan(bound) ? bound : -INFINITY;
}

/* Histogram by histogram, the largest bucket first. */
static int by_bound(const void *a, const void *b, void *arg) {
    const Sorting *s = arg;
    const GroupSeries *x = &s->g->series.v[*(const uint32_t *)a],
                      *y = &s->g->series.v[*(const uint32_t *)b];
    int c = rest_cmp(s->g, x, y);
    if (c) {
        return c;
    }
    double p = bound_of(s, x), q = bound_of(s, y);
    return p != q ? (p < q) - (p > q) : (x > y) - (x < y);
}

static int put_all(SeriesGroup *g, const SymbolTable *symbols, BundleWriter *out) {
    Sorting s = {g, symbols};
    g->order.n = 0;
    for (uint32_t i = 0; i < g->series.n; i++) {
        vec_push(&g->order, i);
    }
    if (g->series.n > 1) {
        qsort_r(g->order.v, g->order.n, sizeof(*g->order.v), by_bound, &s);
    }
    GroupSeries *before = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < g->order.n; i++) {
        GroupSeries *now = &g->series.v[g->order.v[i]];
        bool same_histogram = before && rest_cmp(g, before, now) == 0;
        r = put_series(g, now, same_histogram ? before : NULL, out);
        before = now;
    }
    return r;
}

static int index_series(SeriesGroup *g, const GroupSeries *s, IndexWriter *index,
                        BundleWriter *out) {
    g->entries.n = 0;
    for (size_t i = 0; i < s->pieces.n; i++) {
        vec_push(&g->entries, s->pieces.v[i].entry);
        g->n_samples += s->pieces.v[i].entry.chunk.n;
        g->n_chunks++;
    }
    return s->pieces.n == 0 ? 0
                            : index_writer_series(index, out, s->pairs.v, s->pairs.n, g->entries.v,
                                                  g->entries.n);
}

int series_group_flush(SeriesGroup *g, IndexWriter *index, BundleWriter *out) {
    int r = put_all(g, &index->symbols, out);
    for (size_t i = 0; r == 0 && i < g->series.n; i++) {
        r = index_series(g, &g->series.v[i], index, out);
    }
    empty(g);
    return r;
}
