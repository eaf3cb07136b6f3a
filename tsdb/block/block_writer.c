/* One block from series in label order: writes their samples as long chunks, feeds the index,
 * publishes the folder. */
#include "tsdb/block/block_writer.h"

#include <assert.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "tsdb/block/block_folder.h"
#include "tsdb/block/block_seal.h"
#include "tsdb/block/series_group.h"

/* A rest of so many halves of a chunk becomes one. */
#define LAST_CHUNK_HALVES 3

struct BlockWriter {
    BlockWriterOptions o;
    char id[BLOCK_ID_SIZE];
    char *folder, *tmp_folder, *file;
    BundleWriter out;
    IndexWriter index;
    bool symbols_done, finished;

    /* The series at hand. */
    VEC(PairKey) pairs, last_pairs;
    uint64_t target; /* values of its labels job and instance */
    uint32_t job, instance;
    bool in_series, has_time;
    int64_t last_time;

    /* Its samples that are in no chunk yet. */
    uint32_t n_waiting;
    int64_t waiting_t[CHUNK_SAMPLES_MAX];
    double waiting_v[CHUNK_SAMPLES_MAX];
    HistogramWriter *histograms; /* those that wait; empty while floats do */

    SeriesGroup group;
    TimesTable times;
    bool encodings[CHUNK_ENCODINGS_MAX]; /* which were written */
    int64_t t[CHUNK_SAMPLES_MAX];        /* of a chunk that is taken apart */
    double v[CHUNK_SAMPLES_MAX];
};

int block_writer_new(const BlockWriterOptions *o, BlockWriter **ret) {
    BlockWriter *w = NEW(BlockWriter);
    w->o = *o;
    if (w->o.chunk_samples == 0) {
        w->o.chunk_samples = BLOCK_CHUNK_SAMPLES;
    }
    w->o.chunk_samples = MIN(w->o.chunk_samples, (uint32_t)CHUNK_SAMPLES_MAX);
    w->histograms = histogram_writer_new();
    block_id_new(w->id);
    w->folder = block_folder_path(o->dir, w->id, "");
    w->tmp_folder = block_folder_path(o->dir, w->id, BLOCK_TMP_CREATION);
    w->file = mem_printf("%s/%s", w->tmp_folder, BLOCK_FILE);
    index_writer_init(&w->index, o->min_time);
    series_group_init(&w->group);
    int r = block_folder_make(w->tmp_folder);
    if (r == 0) {
        r = bundle_writer_init(&w->out, w->file);
    }
    if (r < 0) {
        block_writer_free(w);
        return err_trace(r);
    }
    *ret = w;
    return 0;
}

void block_writer_free(BlockWriter *w) {
    if (!w) {
        return;
    }
    bundle_writer_deinit(&w->out);
    index_writer_deinit(&w->index);
    if (!w->finished) {
        /* If this fails block_writer_clean() does it at the next start. */
        (void)file_remove_tree(w->tmp_folder);
    }
    vec_free(&w->pairs);
    vec_free(&w->last_pairs);
    series_group_deinit(&w->group);
    times_table_deinit(&w->times);
    histogram_writer_free(w->histograms);
    mem_free(w->folder);
    mem_free(w->tmp_folder);
    mem_free(w->file);
    mem_free(w);
}

void block_writer_symbol(BlockWriter *w, Str s) {
    assert(!w->symbols_done);
    symbol_table_add(&w->index.symbols, s);
}

void block_writer_symbols(BlockWriter *w, Labels l) {
    for (size_t i = 0; i < l.n; i++) {
        block_writer_symbol(w, l.v[i].name);
        block_writer_symbol(w, l.v[i].value);
    }
}

static int begin_series(BlockWriter *w) {
    if (w->symbols_done) {
        return 0;
    }
    w->symbols_done = true;
    int r = index_writer_symbols(&w->index, &w->out);
    w->job = w->instance = UINT32_MAX; /* of a name that no series has */
    (void)symbol_table_find(&w->index.symbols, STR("job"), &w->job);
    (void)symbol_table_find(&w->index.symbols, STR("instance"), &w->instance);
    (void)symbol_table_find(&w->index.symbols, STR("le"), &w->group.le);
    return r;
}

/* ---- chunks ---- */

/* Makes a chunk of the first samples that wait: as many as the target's column of times has, or
 * `usual`. */
static void cut_chunk(BlockWriter *w, uint32_t usual) {
    ChunkTimes times;
    times_table_place(&w->times, w->target, w->waiting_t, w->n_waiting, usual, &times);
    uint32_t n = times.n, left = w->n_waiting - n;
    series_group_values(&w->group, &times, w->waiting_t[0], w->waiting_t[n - 1], w->waiting_v);
    w->encodings[CHUNK_LINKED] = true;
    memmove(w->waiting_t, w->waiting_t + n, left * sizeof(*w->waiting_t));
    memmove(w->waiting_v, w->waiting_v + n, left * sizeof(*w->waiting_v));
    w->n_waiting = left;
}

static void put_chunk(BlockWriter *w, const Chunk *c) {
    series_group_chunk(&w->group, c);
    w->encodings[c->encoding] = true;
}

/* What waits is either floats or histograms. */
static void flush_chunks(BlockWriter *w) {
    while (w->n_waiting > 0) {
        uint64_t whole = (uint64_t)w->o.chunk_samples * LAST_CHUNK_HALVES / 2;
        cut_chunk(w, w->n_waiting <= whole ? w->n_waiting : w->o.chunk_samples);
    }
    if (histogram_writer_count(w->histograms) > 0) {
        Chunk c = histogram_writer_view(w->histograms);
        put_chunk(w, &c);
        histogram_writer_reset(w->histograms);
    }
}

/* -ERANGE, -EINVAL as the header says; moves the series' last time on. */
static int check_times(BlockWriter *w, int64_t first, int64_t last) {
    assert(w->in_series);
    if (first < w->o.min_time || last >= w->o.max_time) {
        return err_trace(-ERANGE);
    }
    if (first > last || (w->has_time && first <= w->last_time)) {
        return err_trace(-EINVAL);
    }
    w->has_time = true;
    w->last_time = last;
    return 0;
}

int block_writer_histogram(BlockWriter *w, const HistogramSample *s) {
    int r = check_times(w, s->t, s->t);
    if (r == 0 && (w->n_waiting > 0 || histogram_writer_full(w->histograms) ||
                   !histogram_writer_fits(w->histograms, s))) {
        flush_chunks(w);
    }
    if (r == 0) {
        histogram_writer_add(w->histograms, s);
    }
    return r;
}

int block_writer_samples(BlockWriter *w, const int64_t *t, const double *v, size_t n) {
    if (histogram_writer_count(w->histograms) > 0) {
        flush_chunks(w);
    }
    for (size_t i = 0; i < n; i++) {
        int r = check_times(w, t[i], t[i]);
        if (r < 0) {
            return r;
        }
        if (w->n_waiting == CHUNK_SAMPLES_MAX) {
            cut_chunk(w, w->o.chunk_samples);
        }
        w->waiting_t[w->n_waiting] = t[i];
        w->waiting_v[w->n_waiting++] = v[i];
    }
    return 0;
}

/* Histograms have no smaller form. */
static int take_over(BlockWriter *w, const Chunk *c) {
    int r = check_times(w, c->min_time, c->max_time);
    if (r == 0) {
        flush_chunks(w);
        put_chunk(w, c);
    }
    return r;
}

int block_writer_chunk(BlockWriter *w, const Chunk *c) {
    SampleKind kind = chunk_encoding_kind(c->encoding);
    if (kind == SAMPLE_HISTOGRAM || kind == SAMPLE_FLOAT_HISTOGRAM) {
        return take_over(w, c);
    }
    int r = chunk_decode(c, w->t, w->v);
    return r < 0 ? err_trace(r) : block_writer_samples(w, w->t, w->v, c->n);
}

/* ---- series ---- */

static int flush_group(BlockWriter *w) { return series_group_flush(&w->group, &w->index, &w->out); }

static void end_series(BlockWriter *w) {
    if (w->in_series) {
        w->in_series = false;
        flush_chunks(w);
    }
}

/* Symbols are numbered in their order, so pairs compare as labels do. */
static bool follows(const PairKey *a, size_t n_a, const PairKey *b, size_t n_b) {
    for (size_t i = 0; i < MIN(n_a, n_b); i++) {
        if (a[i] != b[i]) {
            return a[i] > b[i];
        }
    }
    return n_a > n_b;
}

static int number_labels(BlockWriter *w, Labels l) {
    w->pairs.n = 0;
    w->target = 0;
    for (size_t i = 0; i < l.n; i++) {
        uint32_t name, value;
        if (!symbol_table_find(&w->index.symbols, l.v[i].name, &name) ||
            !symbol_table_find(&w->index.symbols, l.v[i].value, &value)) {
            return err_trace(-EINVAL);
        }
        vec_push(&w->pairs, (PairKey)name << 32 | value);
        if (name == w->job || name == w->instance) {
            w->target = w->target << 32 | value;
        }
    }
    return 0;
}

static bool is_cancelled(const BlockWriter *w) {
    return w->o.cancel && atomic_load_explicit(w->o.cancel, memory_order_relaxed);
}

int block_writer_series(BlockWriter *w, Labels l) {
    if (is_cancelled(w)) {
        return -ECANCELED;
    }
    int r = begin_series(w);
    if (r < 0) {
        return r;
    }
    end_series(w);
    w->last_pairs.n = 0;
    for (size_t i = 0; i < w->pairs.n; i++) {
        vec_push(&w->last_pairs, w->pairs.v[i]);
    }
    r = number_labels(w, l);
    if (r < 0) {
        return r;
    }
    if (!follows(w->pairs.v, w->pairs.n, w->last_pairs.v, w->last_pairs.n)) {
        return err_trace(-EINVAL);
    }
    if (series_group_is_foreign(&w->group, w->pairs.v, w->pairs.n)) {
        r = flush_group(w);
    }
    series_group_begin(&w->group, w->pairs.v, w->pairs.n);
    w->in_series = true;
    w->has_time = false;
    return r;
}

/* ---- the end ---- */

/* A reader that does not know one of them must not open the block. */
static int write_encodings(BlockWriter *w) {
    Buf *b = &w->index.value;
    value_begin(b);
    for (unsigned i = 0; i < CHUNK_ENCODINGS_MAX; i++) {
        if (w->encodings[i]) {
            buf_add_char(b, (char)i);
        }
    }
    return bundle_writer_value(&w->out, TABLE_META, META_ENCODINGS, b);
}

static int write_meta(BlockWriter *w) {
    Buf *b = &w->index.value;
    value_begin(b);
    buf_add(b, w->id, BLOCK_ID_SIZE - 1);
    buf_add_u64(b, (uint64_t)w->o.min_time);
    buf_add_u64(b, (uint64_t)w->o.max_time);
    buf_add_u32(b, (uint32_t)w->o.level);
    buf_add_u64(b, w->group.n_samples);
    buf_add_u64(b, w->index.n_series);
    buf_add_u64(b, w->group.n_chunks);
    buf_add_u64(b, w->index.symbols.strings.n);
    buf_add_u64(b, w->index.pairs.n);
    int r = bundle_writer_value(&w->out, TABLE_META, META_BLOCK, b);
    if (r == 0) {
        r = write_encodings(w);
    }
    if (r == 0) {
        value_begin(b);
        buf_add_char(b, RECORDS_FORM);
        r = bundle_writer_value(&w->out, TABLE_META, META_RECORDS, b);
    }
    if (r == 0 && w->o.resolution_ms > 0) {
        value_begin(b);
        buf_add_u64(b, (uint64_t)w->o.resolution_ms);
        r = bundle_writer_value(&w->out, TABLE_META, META_RESOLUTION, b);
    }
    if (r < 0 || w->o.n_parents == 0) {
        return r;
    }
    value_begin(b);
    for (size_t i = 0; i < w->o.n_parents; i++) {
        buf_add(b, w->o.parents[i], BLOCK_ID_SIZE - 1);
    }
    return bundle_writer_value(&w->out, TABLE_META, META_PARENTS, b);
}

static int publish(BlockWriter *w) {
    uint64_t tree_bytes;
    int r = bundle_writer_finish(&w->out, &tree_bytes);
    if (r == 0) {
        r = block_seal_write(w->file, tree_bytes);
    }
    return r < 0 ? r : block_folder_publish(w->tmp_folder, w->folder);
}

int block_writer_finish(BlockWriter *w, char ret_id[BLOCK_ID_SIZE]) {
    end_series(w);
    int r = flush_group(w);
    if (r < 0) {
        return r;
    }
    if (w->group.n_samples == 0) {
        return BLOCK_EMPTY;
    }
    r = index_writer_finish(&w->index, &w->out);
    if (r == 0) {
        r = times_table_finish(&w->times, &w->out, w->o.min_time, &w->index.value);
    }
    if (r == 0) {
        r = write_meta(w);
    }
    if (r == 0) {
        r = is_cancelled(w) ? -ECANCELED : publish(w);
    }
    if (r < 0) {
        return r;
    }
    w->finished = true;
    memcpy(ret_id, w->id, BLOCK_ID_SIZE);
    return 0;
}
