#include "tsdb/promblock/prom_block_writer.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/varint.h"
#include "format/json.h"
#include "tsdb/block/block_folder.h"
#include "tsdb/promblock/prom_format.h"
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
    int64_t last;
    uint64_t n_samples, n_chunks;
    uint64_t bytes; /* of the segments that are closed */
    Buf scratch;
};

int prom_block_writer_new(const char *dir, int64_t min_time, int64_t max_time,
                          PromBlockWriter **ret) {
    PromBlockWriter *w = NEW(PromBlockWriter);
    w->dir = str_dup(str_of(dir));
    w->min_time = min_time;
    w->max_time = max_time;
    w->segment.fd = -1;
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

static int end_chunk(PromBlockWriter *w) {
    if (w->n == 0) {
        return 0;
    }
    Buf *b = &w->scratch;
    buf_reset(b);
    buf_add_char(b, PROM_XOR);
    prom_xor_encode(b, w->t, w->v, w->n);
    uint8_t length[UVARINT_BYTES_MAX];
    size_t n = uvarint_put(length, b->n - 1);
    if (w->segments == 0 || prom_file_at(&w->segment) + n + b->n + 4 > PROM_SEGMENT_BYTES) {
        int r = next_segment(w);
        if (r < 0) {
            return err_trace(r);
        }
    }
    vec_push(&w->chunks,
             (PromChunkMeta){.min_time = w->t[0],
                             .max_time = w->t[w->n - 1],
                             .ref = (uint64_t)(w->segments - 1) << 32 | prom_file_at(&w->segment)});
    prom_file_add(&w->segment, length, n);
    uint32_t crc = crc32c(0, b->p, b->n);
    prom_add_u32(b, crc);
    prom_file_add(&w->segment, b->p, b->n);
    w->n_samples += w->n;
    w->n_chunks++;
    w->n = 0;
    return w->segment.error;
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
    arena_reset(&w->arena);
    w->labels = labels_copy(&w->arena, l);
    w->series_open = true;
    w->last = INT64_MIN;
    return r;
}

int prom_block_writer_samples(PromBlockWriter *w, const int64_t *t, const double *v, size_t n) {
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (t[i] <= w->last || t[i] < w->min_time || t[i] >= w->max_time) {
            return -EINVAL;
        }
        w->last = t[i];
        w->t[w->n] = t[i];
        w->v[w->n++] = v[i];
        r = w->n == CHUNK_SAMPLES ? end_chunk(w) : 0;
    }
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
    json_add_uint(&j, w->n_samples);
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
