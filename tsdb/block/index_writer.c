/* Symbols, series, postings and statistics as values; docs/formats/block.md draws each. */
#include "tsdb/block/index_writer.h"

#include <endian.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/vec.h"

void index_writer_init(IndexWriter *w, int64_t min_time) {
    *w = (IndexWriter){.min_time = min_time};
}

void index_writer_deinit(IndexWriter *w) {
    symbol_table_deinit(&w->symbols);
    buf_deinit(&w->page);
    buf_deinit(&w->value);
    u64_map_deinit(&w->pair_at);
    for (size_t i = 0; i < w->packers.n; i++) {
        postings_packer_deinit(&w->packers.v[i]);
    }
    vec_free(&w->pairs);
    vec_free(&w->packers);
    vec_free(&w->last_at);
    vec_free(&w->first);
}

/* A page of symbols: the end of each, then their bytes. */
static int write_symbol_page(IndexWriter *w, BundleWriter *out, uint32_t page) {
    size_t first = (size_t)page * SYMBOLS_PER_PAGE;
    size_t n = MIN(w->symbols.strings.n - first, (size_t)SYMBOLS_PER_PAGE);
    const Str *s = w->symbols.strings.v + first;
    value_begin(&w->value);
    uint32_t end = 0;
    for (size_t i = 0; i < n; i++) {
        end += (uint32_t)s[i].n;
        buf_add_u32(&w->value, end);
    }
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&w->value, s[i]);
    }
    char key[4];
    return bundle_writer_value(out, TABLE_SYMBOLS, block_number_key(page, key), &w->value);
}

int index_writer_symbols(IndexWriter *w, BundleWriter *out) {
    symbol_table_sort(&w->symbols);
    size_t n = w->symbols.strings.n;
    for (uint32_t page = 0; (size_t)page * SYMBOLS_PER_PAGE < n; page++) {
        int r = write_symbol_page(w, out, page);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int flush_series_page(IndexWriter *w, BundleWriter *out) {
    if (w->page.n == 0) {
        return 0;
    }
    uint32_t page = (w->n_series - 1) / SERIES_PER_PAGE;
    uint32_t n = (w->n_series - 1) % SERIES_PER_PAGE + 1;
    value_begin(&w->value);
    for (uint32_t i = 0; i * SERIES_STRIDE < n; i++) {
        buf_add_u32(&w->value, w->page_offsets[i]);
    }
    buf_add(&w->value, w->page.p, w->page.n);
    buf_reset(&w->page);
    char key[4];
    return bundle_writer_value(out, TABLE_SERIES, block_number_key(page, key), &w->value);
}

/* Which of a column's times a chunk has. */
static void add_part(Buf *b, const ChunkTimes *t) {
    uint16_t before = 0;
    buf_add_uvarint(b, t->first);
    buf_add_uvarint(b, t->misses);
    for (uint32_t i = 0; i < t->misses; i++) {
        buf_add_uvarint(b, (uint64_t)(t->missed[i] - before));
        before = t->missed[i];
    }
}

static void add_chunk_entries(Buf *b, int64_t min_time, const ChunkEntry *v, size_t n) {
    buf_add_uvarint(b, n);
    if (n) {
        buf_add_uvarint(b, v[0].place.bundle);
        buf_add_uvarint(b, v[0].place.offset);
    }
    int64_t before = min_time;
    for (size_t i = 0; i < n; i++) {
        const Chunk *c = &v[i].chunk;
        bool next = i > 0 && v[i].place.bundle != v[i - 1].place.bundle;
        buf_add_char(b, (char)(c->encoding | (v[i].has_times ? CHUNK_SHARED_TIMES : 0) |
                               (next ? CHUNK_NEXT_BUNDLE : 0)));
        if (v[i].has_times) {
            buf_add_uvarint(b, (uint64_t)v[i].times.column << 1 | !v[i].times.whole);
        }
        if (!v[i].has_times || !v[i].times.whole) {
            buf_add_uvarint(b, (uint64_t)c->min_time - (uint64_t)before);
            buf_add_uvarint(b, (uint64_t)c->max_time - (uint64_t)c->min_time);
            buf_add_uvarint(b, c->n);
        }
        if (v[i].has_times && !v[i].times.whole) {
            add_part(b, &v[i].times);
        }
        buf_add_uvarint(b, c->size);
        before = c->max_time;
    }
}

static bool has_names_of_first(const IndexWriter *w, const PairKey *pairs, size_t n) {
    bool same = w->first.n == n && n <= RECORD_SHARED_LABELS_MAX;
    for (size_t i = 0; same && i < n; i++) {
        same = pairs[i] >> 32 == w->first.v[i] >> 32;
    }
    return same;
}

/* The values that differ from those of the stride's first series, after a bit for each label. */
static void add_changed(const IndexWriter *w, Buf *b, const PairKey *pairs, size_t n) {
    uint64_t changed = 0;
    for (size_t i = 0; i < n; i++) {
        changed |= (uint64_t)(pairs[i] != w->first.v[i]) << i;
    }
    buf_add_uvarint(b, changed);
    for (size_t i = 0; i < n; i++) {
        if (changed >> i & 1) {
            buf_add_uvarint(b, pairs[i] & UINT32_MAX);
        }
    }
}

static void add_labels(IndexWriter *w, Buf *b, const PairKey *pairs, size_t n) {
    bool first = w->n_series % SERIES_STRIDE == 0;
    if (!first && has_names_of_first(w, pairs, n)) {
        buf_add_uvarint(b, (uint64_t)n << 1 | 1);
        add_changed(w, b, pairs, n);
        return;
    }
    buf_add_uvarint(b, (uint64_t)n << 1);
    w->first.n = first ? 0 : w->first.n;
    for (size_t i = 0; i < n; i++) {
        buf_add_uvarint(b, pairs[i] >> 32);
        buf_add_uvarint(b, pairs[i] & UINT32_MAX);
        if (first) {
            vec_push(&w->first, pairs[i]);
        }
    }
}

static uint32_t position_of(IndexWriter *w, PairKey pair) {
    uint64_t at;
    if (!u64_map_get(&w->pair_at, pair, &at)) {
        at = w->pairs.n;
        u64_map_put(&w->pair_at, pair, at);
        vec_push(&w->pairs, pair);
        vec_push(&w->packers, (PostingsPacker){0});
    }
    return (uint32_t)at;
}

/* Neighbours share most of their labels, so the position is often the one of the series before. */
static void add_postings(IndexWriter *w, const PairKey *pairs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool same = i < w->last_at.n && w->pairs.v[w->last_at.v[i]] == pairs[i];
        uint32_t at = same ? w->last_at.v[i] : position_of(w, pairs[i]);
        postings_packer_add(&w->packers.v[at], w->n_series);
        if (i < w->last_at.n) {
            w->last_at.v[i] = at;
        } else {
            vec_push(&w->last_at, at);
        }
    }
}

int index_writer_series(IndexWriter *w, BundleWriter *out, const PairKey *pairs, size_t n,
                        const ChunkEntry *chunks, size_t n_chunks) {
    uint32_t slot = w->n_series % SERIES_PER_PAGE;
    if (slot == 0) {
        int r = flush_series_page(w, out);
        if (r < 0) {
            return r;
        }
    }
    if (slot % SERIES_STRIDE == 0) {
        w->page_offsets[slot / SERIES_STRIDE] = (uint32_t)w->page.n;
    }
    buf_reset(&w->value);
    add_labels(w, &w->value, pairs, n);
    add_chunk_entries(&w->value, w->min_time, chunks, n_chunks);
    buf_add_uvarint(&w->page, w->value.n);
    buf_add_str(&w->page, buf_str(&w->value));
    add_postings(w, pairs, n);
    w->n_series++;
    return 0;
}

/* ---- at the end: postings in the order of their pairs, and what can be counted on the way ---- */

typedef struct PairCount {
    PairKey pair;
    uint32_t at; /* position in the writer's lists */
    uint32_t n;  /* series */
} PairCount;

static int by_pair(const void *a, const void *b) {
    PairKey x = ((const PairCount *)a)->pair, y = ((const PairCount *)b)->pair;
    return (x > y) - (x < y);
}

/* Largest first; equal ones in the order of their pairs, so that the bytes are the same each time.
 */
static int by_count(const void *a, const void *b) {
    const PairCount *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : by_pair(a, b);
}

static int write_postings(IndexWriter *w, BundleWriter *out, const PairCount *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        value_begin(&w->value);
        postings_packer_finish(&w->packers.v[v[i].at], &w->value);
        postings_packer_deinit(&w->packers.v[v[i].at]);
        char key[8];
        Str k = block_pair_key((uint32_t)(v[i].pair >> 32), (uint32_t)v[i].pair, key);
        int r = bundle_writer_value(out, TABLE_POSTINGS, k, &w->value);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* For each label name: how many values, their bytes, and how many series have it. */
static int write_label_stats(IndexWriter *w, BundleWriter *out, const PairCount *v, size_t n) {
    value_begin(&w->value);
    for (size_t i = 0; i < n;) {
        uint64_t name = v[i].pair >> 32, values = 0, bytes = 0, series = 0;
        for (; i < n && v[i].pair >> 32 == name; i++) {
            values++;
            bytes += w->symbols.strings.v[(uint32_t)v[i].pair].n;
            series += v[i].n;
        }
        buf_add_uvarint(&w->value, name);
        buf_add_uvarint(&w->value, values);
        buf_add_uvarint(&w->value, bytes);
        buf_add_uvarint(&w->value, series);
    }
    return bundle_writer_value(out, TABLE_STATS, STATS_LABELS, &w->value);
}

/* The pairs with the most series: all of them, or only those of one name. */
static int write_top(IndexWriter *w, BundleWriter *out, const PairCount *sorted, size_t n,
                     const uint32_t *name, Str key) {
    value_begin(&w->value);
    size_t given = 0;
    for (size_t i = 0; i < n && given < STATS_TOP; i++) {
        if (name && sorted[i].pair >> 32 != *name) {
            continue;
        }
        buf_add_uvarint(&w->value, sorted[i].pair >> 32);
        buf_add_uvarint(&w->value, (uint32_t)sorted[i].pair);
        buf_add_uvarint(&w->value, sorted[i].n);
        given++;
    }
    return bundle_writer_value(out, TABLE_STATS, key, &w->value);
}

static int write_stats(IndexWriter *w, BundleWriter *out, PairCount *v, size_t n) {
    int r = write_label_stats(w, out, v, n);
    qsort(v, n, sizeof(*v), by_count);
    uint32_t metric_name = UINT32_MAX;
    (void)symbol_table_find(&w->symbols, STR("__name__"), &metric_name); /* none: an empty list */
    if (r == 0) {
        r = write_top(w, out, v, n, &metric_name, STATS_METRICS);
    }
    return r < 0 ? r : write_top(w, out, v, n, NULL, STATS_PAIRS);
}

int index_writer_finish(IndexWriter *w, BundleWriter *out) {
    int r = flush_series_page(w, out);
    if (r < 0) {
        return r;
    }
    size_t n = w->pairs.n;
    PairCount *v = NEW_ARRAY(PairCount, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = (PairCount){w->pairs.v[i], (uint32_t)i, w->packers.v[i].n};
    }
    qsort(v, n, sizeof(*v), by_pair);
    r = write_postings(w, out, v, n);
    if (r == 0) {
        r = write_stats(w, out, v, n);
    }
    mem_free(v);
    return r < 0 ? err_trace(r) : 0;
}
