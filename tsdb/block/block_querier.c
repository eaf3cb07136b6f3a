/* A block behind the storage seam: selections, label names and values, samples by chunk. */
#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "tsdb/block/block_index.h"
#include "tsdb/codec/histogram_chunk.h"

/* How often a loop over series looks whether it was cancelled. */
#define CANCEL_STRIDE 1024

typedef struct BlockQuerier {
    Querier q;
    Block *block;
    DecodedCache *cache; /* of all its iterators */
    int64_t min_time, max_time;
} BlockQuerier;

typedef struct BlockSet {
    SeriesSet set;
    Block *block;
    DecodedCache *cache;
    Ids ids;
    size_t at;
    uint64_t left; /* of the limit */
    int64_t min_time, max_time;
    const atomic_bool *cancel;
    Arena arena; /* label lists */
} BlockSet;

typedef struct BlockIter {
    SampleIter it;
    Block *block;
    DecodedCache *cache;
    int64_t min_time, max_time;
    int err; /* found when it was made: given by next() */
    ChunkScan scan;
    ChunkReader reader;
    HistogramSamples histograms;
} BlockIter;

/* ---- samples ---- */

static int decode_floats(BlockIter *it, const ChunkScanEntry *e, SampleRun *ret) {
    ChunkPart part;
    int r =
        block_read_chunk(it->block, it->cache, e, it->min_time, it->max_time, &it->reader, &part);
    *ret = (SampleRun){.kind = SAMPLE_FLOAT, .n = part.n, .t = part.t, .f = part.v};
    return r;
}

/* All of them: a run is never empty, and what lies outside of the range is cut off above. */
static int decode_histograms(BlockIter *it, const ChunkScanEntry *e, SampleRun *ret) {
    Chunk c = e->chunk;
    int r = block_chunk_data(it->block, e->place.bundle, e->place.offset, &c);
    if (r < 0) {
        return r;
    }
    if (histogram_chunk_decode(&c, &it->histograms) < 0) {
        return block_damaged(it->block, TABLE_CHUNKS, "%u, chunk at %u of series %u",
                             e->place.bundle, e->place.offset, it->scan.r.id);
    }
    *ret = histogram_samples_run(&it->histograms, INT64_MIN, INT64_MAX);
    return block_check_map(it->block);
}

/* 1 and the chunk's samples in the range; 0: there are none. */
static int decode_run(BlockIter *it, const ChunkScanEntry *e, SampleRun *ret) {
    int r = chunk_encoding_kind(e->chunk.encoding) == SAMPLE_FLOAT ? decode_floats(it, e, ret)
                                                                   : decode_histograms(it, e, ret);
    if (r < 0 || ret->n == 0) {
        return r;
    }
    return 1;
}

static int block_iter_next(SampleIter *base, SampleRun *ret) {
    BlockIter *it = CONTAINER_OF(base, BlockIter, it);
    if (it->err) {
        return it->err;
    }
    ChunkScanEntry e;
    int r;
    while ((r = chunk_scan_next(&it->scan, &e)) > 0) {
        if (e.chunk.min_time > it->max_time) {
            return 0;
        }
        if (e.chunk.max_time < it->min_time) {
            continue;
        }
        r = decode_run(it, &e, ret);
        if (r != 0) {
            return r;
        }
    }
    return r;
}

static void block_iter_seek(SampleIter *base, int64_t t) {
    BlockIter *it = CONTAINER_OF(base, BlockIter, it);
    it->min_time = MAX(it->min_time, t);
}

static void block_iter_free(SampleIter *base) {
    BlockIter *it = CONTAINER_OF(base, BlockIter, it);
    chunk_reader_deinit(&it->reader);
    histogram_samples_deinit(&it->histograms);
    mem_free(it);
}

static const SampleIterOps block_iter_ops = {block_iter_next, block_iter_seek, block_iter_free};

/* ---- series ---- */

/* The record of a series, read up to its chunks. */
static int scan_chunks(Block *b, uint32_t id, ChunkScan *ret) {
    SeriesRecord rec;
    uint32_t n, name, value;
    int r = block_series_record(b, id, &rec);
    if (r == 0) {
        r = series_record_labels(&rec, &n);
    }
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = series_record_pair(&rec, &name, &value);
    }
    return r < 0 ? r : series_record_chunks(&rec, ret);
}

/* 1 when a chunk lies in the range. */
static int has_samples(ChunkScan scan, int64_t min_time, int64_t max_time) {
    ChunkScanEntry e;
    int r;
    while ((r = chunk_scan_next(&scan, &e)) > 0) {
        if (e.chunk.min_time <= max_time && e.chunk.max_time >= min_time) {
            return 1;
        }
    }
    return r;
}

/* 1 and the labels, 0 when the series has nothing in the range. */
static int load_series(BlockSet *s, uint32_t id, Labels *ret) {
    SeriesRecord rec;
    ChunkScan scan;
    int r = block_series_record(s->block, id, &rec);
    if (r == 0) {
        r = block_record_labels(&rec, &s->arena, ret);
    }
    if (r == 0) {
        r = series_record_chunks(&rec, &scan);
    }
    if (r == 0) {
        r = has_samples(scan, s->min_time, s->max_time);
    }
    int damage = block_check_map(s->block);
    return damage < 0 ? damage : r;
}

static int block_set_next(SeriesSet *base, Series *ret) {
    BlockSet *s = CONTAINER_OF(base, BlockSet, set);
    while (s->at < s->ids.n && s->left > 0) {
        if (s->cancel && s->at % CANCEL_STRIDE == 0 && atomic_load(s->cancel)) {
            return -ECANCELED;
        }
        uint32_t id = s->ids.v[s->at++];
        int r = load_series(s, id, &ret->labels);
        if (r != 0) {
            ret->handle = id;
            s->left--;
            return r;
        }
    }
    return 0;
}

static SampleIter *block_set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    BlockSet *s = CONTAINER_OF(base, BlockSet, set);
    BlockIter *it = reuse ? CONTAINER_OF(reuse, BlockIter, it) : NEW(BlockIter);
    it->it.ops = &block_iter_ops;
    it->block = s->block;
    it->cache = s->cache;
    it->min_time = s->min_time;
    it->max_time = s->max_time;
    it->err = scan_chunks(s->block, (uint32_t)series->handle, &it->scan);
    return &it->it;
}

static void block_set_free(SeriesSet *base) {
    BlockSet *s = CONTAINER_OF(base, BlockSet, set);
    vec_free(&s->ids);
    arena_deinit(&s->arena);
    mem_free(s);
}

static const SeriesSetOps block_set_ops = {block_set_next, block_set_iter, block_set_free};

/* ---- the querier ---- */

static int select_ids(Block *b, const Matcher *m, size_t n, const atomic_bool *cancel, Ids *ret) {
    BlockPostings p;
    int r = block_postings_init(&p, b);
    if (r < 0) {
        return r;
    }
    r = postings_select(&p.source, m, n, cancel, ret);
    block_postings_deinit(&p);
    int damage = block_check_map(b);
    return damage < 0 ? damage : r;
}

/*
 * A damaged block is set aside: its answer is empty and the warning says so, while the other blocks
 * serve. Without a place for the warning it is an error, as nobody would be told.
 */
static int set_aside(Block *b, int r, Warnings *w) {
    if (r != -EBADMSG || !w) {
        return r;
    }
    warnings_add(w,
                 "block %s is damaged and was set aside: its samples from %" PRId64 " to %" PRId64
                 " are missing",
                 b->meta.id, b->meta.min_time, b->meta.max_time);
    return 0;
}

static int block_select(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                        Warnings *w, SeriesSet **ret) {
    BlockQuerier *q = CONTAINER_OF(base, BlockQuerier, q);
    BlockSet *s = NEW(BlockSet);
    s->set.ops = &block_set_ops;
    s->block = q->block;
    s->cache = q->cache;
    s->min_time = q->min_time;
    s->max_time = q->max_time;
    s->left = UINT64_MAX;
    if (hints) {
        s->min_time = MAX(s->min_time, hints->mint);
        s->max_time = MIN(s->max_time, hints->maxt);
        s->left = hints->limit ? hints->limit : UINT64_MAX;
        s->cancel = hints->cancel;
    }
    int r = block_is_bad(q->block) ? -EBADMSG : select_ids(q->block, m, n, s->cancel, &s->ids);
    if (r < 0) {
        s->ids.n = 0;
        r = set_aside(q->block, r, w);
    }
    if (r < 0) {
        block_set_free(&s->set);
        return err_trace(r);
    }
    *ret = &s->set;
    return 0;
}

/* Appends the symbols that are marked, in their order, which is that of their bytes. */
static int give_marked(Block *b, const uint8_t *marks, uint64_t limit, Arena *a, Warnings *w,
                       StrVec *ret) {
    uint64_t given = 0;
    for (uint32_t i = 0; i < b->meta.symbols; i++) {
        if (!marks[i]) {
            continue;
        }
        if (limit && given == limit) {
            if (w) {
                warnings_add(w, "results truncated due to limit");
            }
            return 0;
        }
        Str s;
        int r = block_symbol(b, i, &s);
        if (r < 0) {
            return r;
        }
        Str copy = arena_str(a, s);
        if (!copy.p) {
            return -ENOMEM;
        }
        vec_push(ret, copy);
        given++;
    }
    return 0;
}

/* Marks the label names of a series, or the value of the one name. */
static int mark_series(Block *b, uint32_t id, const uint32_t *only, uint8_t *marks) {
    SeriesRecord rec;
    uint32_t n, name, value;
    int r = block_series_record(b, id, &rec);
    if (r == 0) {
        r = series_record_labels(&rec, &n);
    }
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = series_record_pair(&rec, &name, &value);
        if (r == 0 && (name >= b->meta.symbols || value >= b->meta.symbols)) {
            r = block_damaged(b, TABLE_SERIES, "series %u", id);
        }
        if (r == 0 && !only) {
            marks[name] = 1;
        } else if (r == 0 && name == *only) {
            marks[value] = 1;
        }
    }
    return r;
}

static int mark_selected(Block *b, const Matcher *m, size_t n, const uint32_t *only,
                         uint8_t *marks) {
    Ids ids = {0};
    int r = select_ids(b, m, n, NULL, &ids);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        r = mark_series(b, ids.v[i], only, marks);
    }
    vec_free(&ids);
    return r;
}

/* All pairs of the index, without going through the series. */
static int mark_pairs(Block *b, const uint32_t *only, uint8_t *marks) {
    LmdbTxn *txn;
    LmdbCursor *c = NULL;
    int r = lmdb_begin(b->env, false, &txn);
    if (r == 0) {
        r = lmdb_cursor(txn, b->tables[TABLE_POSTINGS], &c);
    }
    char from[8];
    Str key, value, first = only ? block_pair_key(*only, 0, from) : STR_NULL;
    if (r == 0) {
        r = lmdb_cursor_seek(c, first, &key, &value);
    }
    while (r == 0) {
        uint32_t n = key.n == 8 ? block_read_be32(key.p) : UINT32_MAX;
        uint32_t v = key.n == 8 ? block_read_be32(key.p + 4) : UINT32_MAX;
        if (n >= b->meta.symbols || v >= b->meta.symbols) {
            r = block_damaged(b, TABLE_POSTINGS, "a pair of unknown symbols");
        } else if (only && n != *only) {
            r = LMDB_NOT_FOUND;
        } else {
            marks[only ? v : n] = 1;
            r = lmdb_cursor_next(c, &key, &value);
        }
    }
    lmdb_cursor_free(c);
    lmdb_abort(txn);
    return r == LMDB_NOT_FOUND ? 0 : r;
}

static int give_labels(Block *b, const uint32_t *only, const Matcher *m, size_t n, uint64_t limit,
                       Arena *a, Warnings *w, StrVec *ret) {
    if (block_is_bad(b)) {
        return set_aside(b, -EBADMSG, w);
    }
    uint8_t *marks = mem_zalloc(b->meta.symbols + 1);
    int r = n ? mark_selected(b, m, n, only, marks) : mark_pairs(b, only, marks);
    if (r == 0) {
        r = give_marked(b, marks, limit, a, w, ret);
    }
    if (r == 0) {
        r = block_check_map(b);
    }
    mem_free(marks);
    r = set_aside(b, r, w);
    return r < 0 ? err_trace(r) : 0;
}

static int block_label_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                             Warnings *w, StrVec *ret) {
    BlockQuerier *q = CONTAINER_OF(base, BlockQuerier, q);
    return give_labels(q->block, NULL, m, n, limit, a, w, ret);
}

static int block_label_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                              Arena *a, Warnings *w, StrVec *ret) {
    BlockQuerier *q = CONTAINER_OF(base, BlockQuerier, q);
    uint32_t number;
    int r = block_symbol_find(q->block, name, &number);
    if (r != 0) {
        return r < 0 ? set_aside(q->block, r, w) : 0;
    }
    return give_labels(q->block, &number, m, n, limit, a, w, ret);
}

static void block_querier_close(Querier *base) {
    BlockQuerier *q = CONTAINER_OF(base, BlockQuerier, q);
    decoded_cache_free(q->cache);
    block_unref(q->block);
    mem_free(q);
}

static const QuerierOps block_querier_ops = {block_select, block_label_names, block_label_values,
                                             block_querier_close};

int block_querier(Block *b, int64_t min_time, int64_t max_time, Querier **ret) {
    BlockQuerier *q = NEW(BlockQuerier);
    *q =
        (BlockQuerier){{&block_querier_ops}, block_ref(b), decoded_cache_new(), min_time, max_time};
    *ret = &q->q;
    return 0;
}
