#include "tsdb/promblock/prom_block_writer.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/varint.h"
#include "format/json.h"
#include "tsdb/block/block_folder.h"
#include "tsdb/promblock/prom_format.h"
#include "tsdb/promblock/prom_histogram.h"
#include "tsdb/promblock/prom_index_writer.h"
#include "tsdb/promblock/prom_xor.h"

#define CHUNK_SAMPLES 120 /* as Prometheus cuts them */
#define UNFINISHED ".tmp-for-creation"

struct PromBlockWriter {
    char *dir, *folder;
    char id[BLOCK_ID_SIZE];
    int64_t min_time, max_time;
    PromIndexWriter index;
    PromFile segment;
    unsigned segments; /* so far, the open one included */
    bool begun, finished;
    Arena arena; /* labels of the series under way */
    Labels labels;
    bool series_open;
    VEC(PromChunkMeta) chunks;
    int64_t t[CHUNK_SAMPLES];
    double v[CHUNK_SAMPLES];
    size_t n;
    HistogramSample h[CHUNK_SAMPLES]; /* in memory of their own */
    size_t n_h;                       /* one of n and n_h is 0 */
    HistogramSample before; /* the histogram before h[0] in the series; none: t = INT64_MIN */
    int64_t last;
    uint64_t n_samples, n_histograms, n_chunks;
    uint64_t bytes; /* of the segments that are closed */
    Buf scratch;
};

static void histogram_free(HistogramSample *s) {
    mem_free((void *)s->h);
    mem_free((void *)s->fh);
    *s = (HistogramSample){.t = INT64_MIN};
}

int prom_block_writer_new(const char *dir, int64_t min_time, int64_t max_time,
                          PromBlockWriter **ret) {
    PromBlockWriter *w = NEW(PromBlockWriter);
    w->dir = str_dup(str_of(dir));
    w->min_time = min_time;
    w->max_time = max_time;
    w->segment.fd = -1;
    w->before.t = INT64_MIN;
    block_id_new(w->id);
    w->folder = block_folder_path(dir, w->id, UNFINISHED);
    CLEANUP(mem_freep) char *chunks = mem_printf("%s/chunks", w->folder);
    CLEANUP(mem_freep) char *index = mem_printf("%s/index", w->folder);
    int r = block_folder_make(w->folder);
    if (r == 0) {
        r = file_make_folder(chunks);
    }
    if (r == 0) {
        r = prom_index_open(&w->index, index);
    }
    if (r < 0) {
        w->index.file.fd = -1;
        prom_block_writer_free(w);
        return err_trace(r);
    }
    *ret = w;
    return 0;
}

void prom_block_writer_free(PromBlockWriter *w) {
    if (!w) {
        return;
    }
    (void)prom_file_close(&w->segment);
    prom_index_deinit(&w->index);
    if (!w->finished) {
        (void)file_remove_tree(w->folder);
    }
    histogram_free(&w->before);
    for (size_t i = 0; i < w->n_h; i++) {
        histogram_free(&w->h[i]);
    }
    vec_free(&w->chunks);
    buf_deinit(&w->scratch);
    arena_deinit(&w->arena);
    mem_free(w->dir);
    mem_free(w->folder);
    mem_free(w);
}

void prom_block_writer_symbols(PromBlockWriter *w, Labels l) {
    for (size_t i = 0; i < l.n; i++) {
        prom_index_symbol(&w->index, l.v[i].name);
        prom_index_symbol(&w->index, l.v[i].value);
    }
}

/* ---- chunks */

static int close_segment(PromBlockWriter *w) {
    w->bytes += prom_file_at(&w->segment);
    return prom_file_close(&w->segment);
}

static int next_segment(PromBlockWriter *w) {
    int r = w->segments ? close_segment(w) : 0;
    if (r < 0) {
        return r;
    }
    CLEANUP(mem_freep) char *path = mem_printf("%s/chunks/%06u", w->folder, ++w->segments);
    r = prom_file_open(&w->segment, path);
    if (r == 0) {
        Buf head = BUF_INIT(0);
        prom_add_u32(&head, PROM_CHUNKS_MAGIC);
        buf_add(&head, (const char[]){PROM_CHUNKS_VERSION, 0, 0, 0}, 4);
        prom_file_add(&w->segment, head.p, head.n);
        buf_deinit(&head);
    }
    return r;
}

/* Writes what scratch holds, its encoding first, as a chunk of the series under way. */
static int write_chunk(PromBlockWriter *w, int64_t min_time, int64_t max_time) {
    Buf *b = &w->scratch;
    uint8_t length[UVARINT_BYTES_MAX];
    size_t n = uvarint_put(length, b->n - 1);
    if (w->segments == 0 || prom_file_at(&w->segment) + n + b->n + 4 > PROM_SEGMENT_BYTES) {
        int r = next_segment(w);
        if (r < 0) {
            return err_trace(r);
        }
    }
    uint64_t ref = (uint64_t)(w->segments - 1) << 32 | prom_file_at(&w->segment);
    vec_push(&w->chunks, (PromChunkMeta){.min_time = min_time, .max_time = max_time, .ref = ref});
    prom_file_add(&w->segment, length, n);
    uint32_t crc = crc32c(0, b->p, b->n);
    prom_add_u32(b, crc);
    prom_file_add(&w->segment, b->p, b->n);
    w->n_chunks++;
    return w->segment.error;
}

static int end_floats(PromBlockWriter *w) {
    buf_reset(&w->scratch);
    buf_add_char(&w->scratch, PROM_XOR);
    prom_xor_encode(&w->scratch, w->t, w->v, w->n);
    int r = write_chunk(w, w->t[0], w->t[w->n - 1]);
    w->n_samples += w->n;
    w->n = 0;
    return r;
}

/* What the first histogram of a chunk is to the one before it. */
static CounterResetHint hint_of(const HistogramSample *before, const HistogramSample *s) {
    if (histogram_sample_is_stale(s)) {
        return RESET_UNKNOWN;
    }
    CounterResetHint own = s->h ? s->h->reset_hint : s->fh->reset_hint;
    if (own == RESET_GAUGE || own == RESET_YES) {
        return own;
    }
    if (before->t == INT64_MIN || !before->h != !s->h) {
        return RESET_UNKNOWN;
    }
    return s->h ? histogram_reset_hint(before->h, s->h)
                : float_histogram_reset_hint(before->fh, s->fh);
}

static int end_histograms(PromBlockWriter *w) {
    buf_reset(&w->scratch);
    buf_add_char(&w->scratch, w->h[0].h ? PROM_HISTOGRAM : PROM_FLOAT_HISTOGRAM);
    prom_histogram_encode(&w->scratch, w->h, w->n_h, hint_of(&w->before, &w->h[0]));
    int r = write_chunk(w, w->h[0].t, w->h[w->n_h - 1].t);
    w->n_samples += w->n_h;
    w->n_histograms += w->n_h;
    histogram_free(&w->before);
    w->before = w->h[w->n_h - 1];
    for (size_t i = 0; i + 1 < w->n_h; i++) {
        histogram_free(&w->h[i]);
    }
    w->n_h = 0;
    return r;
}

static int end_chunk(PromBlockWriter *w) {
    return w->n ? end_floats(w) : w->n_h ? end_histograms(w) : 0;
}

/* ---- series */

static int end_series(PromBlockWriter *w) {
    int r = end_chunk(w);
    if (r == 0 && w->series_open && w->chunks.n) {
        r = prom_index_series(&w->index, w->labels, w->chunks.v, w->chunks.n);
    }
    w->chunks.n = 0;
    return r;
}

int prom_block_writer_series(PromBlockWriter *w, Labels l) {
    if (!w->begun) {
        prom_index_begin(&w->index);
        w->begun = true;
    }
    if (w->series_open && labels_cmp(l, w->labels) <= 0) {
        return -EINVAL;
    }
    int r = end_series(w);
    histogram_free(&w->before);
    arena_reset(&w->arena);
    w->labels = labels_copy(&w->arena, l);
    w->series_open = true;
    w->last = INT64_MIN;
    return r;
}

static bool takes_time(PromBlockWriter *w, int64_t t) {
    bool fine = t > w->last && t >= w->min_time && t < w->max_time;
    w->last = fine ? t : w->last;
    return fine;
}

int prom_block_writer_samples(PromBlockWriter *w, const int64_t *t, const double *v, size_t n) {
    int r = n && w->n_h ? end_chunk(w) : 0;
    histogram_free(&w->before); /* floats came between */
    for (size_t i = 0; i < n && r == 0; i++) {
        if (!takes_time(w, t[i])) {
            return -EINVAL;
        }
        w->t[w->n] = t[i];
        w->v[w->n++] = v[i];
        r = w->n == CHUNK_SAMPLES ? end_chunk(w) : 0;
    }
    return r;
}

int prom_block_writer_histogram(PromBlockWriter *w, const HistogramSample *s) {
    if (!takes_time(w, s->t)) {
        return -EINVAL;
    }
    int r = 0;
    if (w->n || w->n_h == CHUNK_SAMPLES || (w->n_h && !prom_histogram_fits(&w->h[w->n_h - 1], s))) {
        r = end_chunk(w);
    }
    w->h[w->n_h++] = (HistogramSample){.t = s->t,
                                       .h = s->h ? histogram_dup(s->h) : NULL,
                                       .fh = s->fh ? float_histogram_dup(s->fh) : NULL};
    return r;
}

/* ---- the end */

static int write_meta(PromBlockWriter *w) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    JsonWriter j = JSON_WRITER(&b);
    json_begin_object(&j);
    json_key(&j, STR("ulid"));
    json_add_str(&j, str_of(w->id));
    json_key(&j, STR("minTime"));
    json_add_int(&j, w->min_time);
    json_key(&j, STR("maxTime"));
    json_add_int(&j, w->max_time);
    json_key(&j, STR("stats"));
    json_begin_object(&j);
    json_key(&j, STR("numSamples"));
    json_add_uint(&j, w->n_samples);
    json_key(&j, STR("numFloatSamples"));
    json_add_uint(&j, w->n_samples - w->n_histograms);
    json_key(&j, STR("numHistogramSamples"));
    json_add_uint(&j, w->n_histograms);
    json_key(&j, STR("numSeries"));
    json_add_uint(&j, w->index.series);
    json_key(&j, STR("numChunks"));
    json_add_uint(&j, w->n_chunks);
    json_end_object(&j);
    json_key(&j, STR("compaction"));
    json_begin_object(&j);
    json_key(&j, STR("level"));
    json_add_int(&j, 1);
    json_key(&j, STR("sources"));
    json_begin_array(&j);
    json_add_str(&j, str_of(w->id));
    json_end_array(&j);
    json_end_object(&j);
    json_key(&j, STR("version"));
    json_add_int(&j, PROM_META_VERSION);
    json_end_object(&j);
    buf_add_char(&b, '\n');
    CLEANUP(mem_freep) char *path = mem_printf("%s/meta.json", w->folder);
    return file_write_durable(path, b.p, b.n, 0666);
}

static int write_no_tombstones(PromBlockWriter *w) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    prom_add_u32(&b, PROM_TOMBSTONES_MAGIC);
    buf_add_char(&b, PROM_TOMBSTONES_VERSION);
    prom_add_u32(&b, crc32c(0, "", 0));
    CLEANUP(mem_freep) char *path = mem_printf("%s/tombstones", w->folder);
    return file_write_durable(path, b.p, b.n, 0666);
}

int prom_block_writer_finish(PromBlockWriter *w, char ret_id[BLOCK_ID_SIZE], uint64_t *ret_bytes) {
    int r = end_series(w);
    if (r == 0 && w->n_samples == 0) {
        return PROM_BLOCK_EMPTY;
    }
    if (r == 0) {
        r = close_segment(w);
    }
    if (r == 0) {
        r = prom_index_finish(&w->index, &w->bytes);
    }
    if (r == 0) {
        r = write_meta(w);
    }
    if (r == 0) {
        r = write_no_tombstones(w);
    }
    CLEANUP(mem_freep) char *chunks = mem_printf("%s/chunks", w->folder);
    if (r == 0) {
        r = file_sync_folder(chunks);
    }
    CLEANUP(mem_freep) char *path = block_folder_path(w->dir, w->id, "");
    if (r == 0) {
        r = block_folder_publish(w->folder, path);
    }
    if (r == 0) {
        w->finished = true;
        memcpy(ret_id, w->id, BLOCK_ID_SIZE);
        if (ret_bytes) {
            *ret_bytes = w->bytes;
        }
    }
    return r;
}
