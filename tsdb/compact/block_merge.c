/*
 * Several blocks into one: a k-way merge by labels. The series of one label set lie beside each
 * other then; their chunks go over as they are where they do not overlap in time and nothing of
 * them was deleted, and sample by sample where they do. Chunks are read from the mappings, so
 * memory is that of the writer.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "tsdb/block/block_writer.h"
#include "tsdb/compact/compact.h"
#include "tsdb/policy/downsample.h"

typedef struct Source {
    Block *block;
    const Tombstones *tombstones;
    BlockCursor *cursor;
    BlockSeries series;
    const TimeInterval *deleted; /* of the series */
    size_t n_deleted;
    VEC(TimeInterval) own; /* deleted and too old ones */
    bool has_series;
    bool taken; /* part of the series being merged */
} Source;

typedef struct SourceChunk {
    Chunk chunk;
    uint32_t source, index;
    bool cut; /* a part of it is deleted */
} SourceChunk;

typedef struct MergeSample {
    int64_t t;
    double v;
    HistogramSample histogram; /* neither h nor fh: the sample is v */
    uint32_t source;
} MergeSample;

typedef struct BlockMerge {
    Source *v;
    size_t n;
    BlockWriter *writer;
    const atomic_bool *cancel;
    const CompactJob *job;
    DownsampleColumn column; /* of the series, COLUMNS = none */
    VEC(SourceChunk) chunks;
    VEC(MergeSample) samples;
    VEC(HistogramSamples) histograms; /* decoded chunks that samples point into */
    int64_t t[CHUNK_SAMPLES_MAX];
    double f[CHUNK_SAMPLES_MAX];
} BlockMerge;

static bool is_cancelled(const BlockMerge *m) {
    return m->cancel && atomic_load_explicit(m->cancel, memory_order_relaxed);
}

static int advance(Source *s) {
    int r = block_cursor_next(s->cursor, &s->series);
    s->has_series = r > 0;
    return r < 0 ? r : 0;
}

static int add_symbols(BlockMerge *m) {
    for (size_t i = 0; i < m->n; i++) {
        uint64_t n = block_meta(m->v[i].block)->symbols;
        for (uint32_t s = 0; s < n; s++) {
            Str text;
            int r = is_cancelled(m) ? -ECANCELED : block_symbol(m->v[i].block, s, &text);
            if (r < 0) {
                return r;
            }
            block_writer_symbol(m->writer, text);
        }
    }
    return 0;
}

/* Marks the sources whose series comes next; false when all are at their end. */
static bool take_least(BlockMerge *m, Labels *ret) {
    const Source *least = NULL;
    for (size_t i = 0; i < m->n; i++) {
        Source *s = &m->v[i];
        s->taken = false;
        if (s->has_series && (!least || labels_cmp(s->series.labels, least->series.labels) < 0)) {
            least = s;
        }
    }
    for (size_t i = 0; least && i < m->n; i++) {
        Source *s = &m->v[i];
        s->taken = s->has_series && labels_eq(s->series.labels, least->series.labels);
    }
    if (least) {
        *ret = least->series.labels;
    }
    return least != NULL;
}

static int by_time(const void *a, const void *b) {
    const SourceChunk *x = a, *y = b;
    if (x->chunk.min_time != y->chunk.min_time) {
        return x->chunk.min_time < y->chunk.min_time ? -1 : 1;
    }
    return (x->source > y->source) - (x->source < y->source);
}

enum { KEPT, CUT, GONE };

static int fate_of(const Source *s, const Chunk *c) {
    int fate = KEPT;
    for (size_t i = 0; i < s->n_deleted; i++) {
        const TimeInterval *x = &s->deleted[i];
        if (x->mint <= c->min_time && x->maxt >= c->max_time) {
            return GONE;
        }
        fate = x->mint <= c->max_time && x->maxt >= c->min_time ? CUT : fate;
    }
    return fate;
}

/* What is older goes like what is deleted. */
static void cut_before(Source *s, int64_t from) {
    s->own.n = 0;
    vec_push(&s->own, (TimeInterval){INT64_MIN, from - 1});
    for (size_t i = 0; i < s->n_deleted; i++) {
        TimeInterval x = s->deleted[i];
        if (x.maxt >= from) {
            vec_push(&s->own, (TimeInterval){MAX(x.mint, from), x.maxt});
        }
    }
    s->deleted = s->own.v;
    s->n_deleted = s->own.n;
}

static void find_deleted(BlockMerge *m, Labels labels) {
    SeriesKey key = {0};
    bool known = false;
    int64_t from = m->job->kept_from ? m->job->kept_from(m->job->arg, labels) : INT64_MIN;
    for (size_t i = 0; i < m->n; i++) {
        Source *s = &m->v[i];
        s->n_deleted = 0;
        if (s->taken && tombstones_series(s->tombstones) > 0) {
            key = known ? key : series_key(labels);
            known = true;
            s->deleted = tombstones_find(s->tombstones, key, &s->n_deleted);
        }
        if (s->taken && from > INT64_MIN) {
            cut_before(s, from);
        }
    }
}

static void collect_chunks(BlockMerge *m) {
    uint64_t samples = 0;
    m->chunks.n = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        const Source *s = &m->v[i];
        for (uint32_t k = 0; s->taken && k < s->series.n; k++) {
            int fate = fate_of(s, &s->series.v[k]);
            samples += s->series.v[k].n;
            if (fate != GONE) {
                vec_push(&m->chunks, (SourceChunk){s->series.v[k], i, k, fate == CUT});
            }
        }
    }
    if (m->job->progress) {
        atomic_fetch_add_explicit(m->job->progress, samples, memory_order_relaxed);
    }
    if (m->chunks.n == 0) {
        return;
    }
    qsort(m->chunks.v, m->chunks.n, sizeof(*m->chunks.v), by_time);
}

static int chunk_bytes(BlockMerge *m, const SourceChunk *c, Chunk *ret) {
    return block_cursor_chunk(m->v[c->source].cursor, c->index, ret);
}

static int by_sample(const void *a, const void *b) {
    const MergeSample *x = a, *y = b;
    if (x->t != y->t) {
        return x->t < y->t ? -1 : 1;
    }
    return (x->source > y->source) - (x->source < y->source);
}

/* Downsampled blocks overlap when late samples came to one: their windows are told together. */
static void join_windows(BlockMerge *m) {
    for (size_t i = m->samples.n - 1; m->column < COLUMNS && i > 0; i--) {
        MergeSample *s = &m->samples.v[i - 1];
        if (s->t == s[1].t) {
            s->v = downsample_join(m->column, s->v, s[1].v);
        }
    }
}

static int write_samples(BlockMerge *m) {
    if (m->samples.n == 0) {
        return 0;
    }
    qsort(m->samples.v, m->samples.n, sizeof(*m->samples.v), by_sample);
    join_windows(m);
    for (size_t i = 0; i < m->samples.n; i++) {
        const MergeSample *s = &m->samples.v[i];
        if (i > 0 && s->t == s[-1].t) {
            continue; /* the block named first wins */
        }
        int r = s->histogram.h || s->histogram.fh
                    ? block_writer_histogram(m->writer, &s->histogram)
                    : block_writer_samples(m->writer, &s->t, &s->v, 1);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int gather_floats(BlockMerge *m, const Chunk *c, uint32_t source) {
    const Source *s = &m->v[source];
    TombstoneFilter filter = {s->deleted, s->n_deleted, 0};
    uint32_t from = 0, first, n;
    int r = chunk_decode(c, m->t, m->f);
    while (r == 0 && tombstone_filter_next(&filter, m->t, c->n, &from, &first, &n)) {
        for (uint32_t k = first; k < first + n; k++) {
            vec_push(&m->samples, (MergeSample){.t = m->t[k], .v = m->f[k], .source = source});
        }
    }
    return r;
}

static int gather_histograms(BlockMerge *m, const Chunk *c, uint32_t source) {
    vec_push(&m->histograms, (HistogramSamples){0});
    HistogramSamples *decoded = &m->histograms.v[m->histograms.n - 1];
    const Source *s = &m->v[source];
    TombstoneFilter filter = {s->deleted, s->n_deleted, 0};
    uint32_t from = 0, first, n;
    int r = histogram_chunk_decode(c, decoded);
    while (r == 0 && tombstone_filter_next(&filter, decoded->t, decoded->n, &from, &first, &n)) {
        for (uint32_t k = first; k < first + n; k++) {
            HistogramSample h = histogram_samples_at(decoded, k);
            vec_push(&m->samples, (MergeSample){.t = h.t, .histogram = h, .source = source});
        }
    }
    return r;
}

static void drop_histograms(BlockMerge *m) {
    for (size_t i = 0; i < m->histograms.n; i++) {
        histogram_samples_deinit(&m->histograms.v[i]);
    }
    m->histograms.n = 0;
}

static int merge_overlapping(BlockMerge *m, const SourceChunk *v, size_t n) {
    int r = 0;
    m->samples.n = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        Chunk c;
        r = chunk_bytes(m, &v[i], &c);
        if (r == 0) {
            r = chunk_encoding_kind(c.encoding) == SAMPLE_FLOAT
                    ? gather_floats(m, &c, v[i].source)
                    : gather_histograms(m, &c, v[i].source);
        }
    }
    r = r < 0 ? r : write_samples(m);
    drop_histograms(m);
    return r;
}

/* How many chunks from v[0] on hang together by overlapping. */
static size_t overlapping(const SourceChunk *v, size_t n) {
    int64_t max_time = v[0].chunk.max_time;
    size_t i = 1;
    for (; i < n && v[i].chunk.min_time <= max_time; i++) {
        max_time = MAX(max_time, v[i].chunk.max_time);
    }
    return i;
}

static int merge_series(BlockMerge *m, Labels labels) {
    int r = block_writer_series(m->writer, labels);
    m->column = downsample_column_of(labels);
    find_deleted(m, labels);
    collect_chunks(m);
    for (size_t i = 0; r == 0 && i < m->chunks.n;) {
        size_t n = overlapping(m->chunks.v + i, m->chunks.n - i);
        if (n > 1 || m->chunks.v[i].cut) {
            r = merge_overlapping(m, m->chunks.v + i, n);
        } else {
            Chunk c;
            r = chunk_bytes(m, &m->chunks.v[i], &c);
            if (r == 0) {
                r = block_writer_chunk(m->writer, &c);
            }
        }
        i += n;
    }
    return r;
}

static int merge_all(BlockMerge *m) {
    int r = add_symbols(m);
    for (size_t i = 0; r == 0 && i < m->n; i++) {
        r = advance(&m->v[i]);
    }
    Labels labels;
    while (r == 0 && take_least(m, &labels)) {
        r = merge_series(m, labels);
        for (size_t i = 0; r == 0 && i < m->n; i++) {
            r = m->v[i].taken ? advance(&m->v[i]) : 0;
        }
    }
    return r;
}

static BlockWriterOptions options_of(const CompactJob *job, char (*parents)[BLOCK_ID_SIZE]) {
    BlockWriterOptions o = {.dir = job->dir,
                            .min_time = INT64_MAX,
                            .max_time = INT64_MIN,
                            .parents = (const char(*)[BLOCK_ID_SIZE])parents,
                            .n_parents = job->n,
                            .cancel = job->cancel};
    for (size_t i = 0; i < job->n; i++) {
        const BlockMeta *m = block_meta(job->v[i].block);
        o.min_time = MIN(o.min_time, m->min_time);
        o.max_time = MAX(o.max_time, m->max_time);
        o.level = MAX(o.level, m->level);
        o.resolution_ms = m->resolution_ms;
        memcpy(parents[i], m->id, BLOCK_ID_SIZE);
    }
    o.level += job->n > 1; /* a block that is only written anew has not been compacted */
    return o;
}

static BlockMerge *block_merge_new(const CompactJob *job) {
    BlockMerge *m = NEW(BlockMerge);
    m->v = NEW_ARRAY(Source, job->n + 1);
    m->n = job->n;
    m->cancel = job->cancel;
    m->job = job;
    for (size_t i = 0; i < job->n; i++) {
        m->v[i].block = job->v[i].block;
        m->v[i].tombstones = job->v[i].tombstones;
        m->v[i].cursor = block_cursor_new(job->v[i].block);
    }
    return m;
}

static void block_merge_free(BlockMerge *m) {
    for (size_t i = 0; i < m->n; i++) {
        block_cursor_free(m->v[i].cursor);
        vec_free(&m->v[i].own);
    }
    block_writer_free(m->writer);
    vec_free(&m->chunks);
    vec_free(&m->samples);
    vec_free(&m->histograms);
    mem_free(m->v);
    mem_free(m);
}

/* A page that could not be read was taken for zeros: nothing of it may get into the new block. */
static int check_sources(const CompactJob *job) {
    for (size_t i = 0; i < job->n; i++) {
        if (block_is_bad(job->v[i].block)) {
            return err_trace(-EBADMSG);
        }
    }
    return 0;
}

int compact_blocks(const CompactJob *job, char ret_id[BLOCK_ID_SIZE]) {
    char(*parents)[BLOCK_ID_SIZE] = mem_calloc(job->n + 1, BLOCK_ID_SIZE);
    BlockWriterOptions o = options_of(job, parents);
    BlockMerge *m = block_merge_new(job);
    int r = block_writer_new(&o, &m->writer);
    if (r == 0) {
        r = merge_all(m);
    }
    if (r == 0) {
        r = check_sources(job);
    }
    if (r == 0) {
        r = block_writer_finish(m->writer, ret_id);
    }
    block_merge_free(m);
    mem_free(parents);
    return r < 0 ? err_trace(r) : r;
}
