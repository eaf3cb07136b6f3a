/*
 * Chunks of the head: nanoseconds for an append, millions of samples decoded a second, bytes a
 * sample. Chunks of blocks: the same for the encoder, and the time of an hour out of a day; columns
 * stand alone and are packed only, linked ones have no times and are coded by their entropy. A
 * block: series and samples a second written, opened, read whole. One core.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_writer.h"

#define CHUNKS 4000
#define ROUNDS 5

typedef double (*ValueFn)(unsigned series, unsigned i);

static double constant(unsigned series, unsigned i) { return series + 0.5; }
static double counter(unsigned series, unsigned i) {
    return 1000.0 * series + i * 7 + (i * 2654435761u) % 5;
}
static double seconds(unsigned series, unsigned i) {
    return series + (i * 2654435761u % 1000) / 100.0 + i * 0.37;
}
static double noise(unsigned series, unsigned i) {
    return (double)((series + 1) * UINT64_C(0x9e3779b97f4a7c15) * (i + 1) >> 12);
}

typedef struct Encoded {
    ChunkWriter w[CHUNKS];
    uint8_t *data[CHUNKS];
    size_t bytes;
} Encoded;

/* Times jitter by a few ms, as those of a scrape do. */
static void encode(Encoded *e, ValueFn fn, unsigned samples, unsigned jitter) {
    e->bytes = 0;
    for (unsigned c = 0; c < CHUNKS; c++) {
        e->w[c] = (ChunkWriter){0};
        for (unsigned i = 0; i < samples; i++) {
            int64_t t = 1700000000000 + (int64_t)i * 15000;
            t += jitter ? (int64_t)((i * 2654435761u) >> 7) % jitter : 0;
            chunk_append(&e->w[c], e->data[c], t, fn(c, i));
        }
        e->bytes += chunk_writer_size(&e->w[c]);
    }
}

static double decode(const Encoded *e) {
    static int64_t t[CHUNK_SAMPLES_MAX];
    static double v[CHUNK_SAMPLES_MAX];
    double sum = 0;
    for (unsigned c = 0; c < CHUNKS; c++) {
        Chunk chunk = chunk_writer_view(&e->w[c], e->data[c]);
        if (chunk_decode(&chunk, t, v) < 0) {
            abort();
        }
        sum += v[0];
    }
    return sum;
}

static void measure(const char *name, ValueFn fn, unsigned samples, unsigned jitter) {
    Encoded *e = NEW(Encoded);
    for (unsigned c = 0; c < CHUNKS; c++) {
        e->data[c] = mem_alloc(samples * 20 + CHUNK_APPEND_ROOM);
    }
    encode(e, fn, samples, jitter);
    int64_t start = clock_thread_cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        encode(e, fn, samples, jitter);
    }
    int64_t middle = clock_thread_cpu_ns();
    double sum = 0;
    for (int i = 0; i < ROUNDS; i++) {
        sum += decode(e);
    }
    int64_t end = clock_thread_cpu_ns();
    double n = (double)samples * CHUNKS * ROUNDS;
    printf("%-9s %4u samples, jitter %2u: append %5.1f ns, decode %5.0f M/s, %.3f B/sample%s\n",
           name, samples, jitter, (double)(middle - start) / n, n * 1000 / (double)(end - middle),
           (double)e->bytes / samples / CHUNKS, sum == 0.25 ? "!" : "");
    for (unsigned c = 0; c < CHUNKS; c++) {
        mem_free(e->data[c]);
    }
    mem_free(e);
}

/* ---- chunks of blocks ---- */

#define COLUMN_CHUNKS 60
#define COLUMN_SAMPLES 4096
#define RANGE_ROUNDS 2000

static double spread(unsigned i) { return (double)((i * 2654435761u) >> 12 & 1023) / 1024; }
static double request_count(unsigned series, unsigned i) {
    return floor(series * 1000.0 + i * 150 + spread(i) * 75);
}
static double cpu_seconds(unsigned series, unsigned i) {
    return floor((series + i * 0.9 + spread(i)) * 100) / 100;
}
static double latency_sum(unsigned series, unsigned i) {
    return floor((series + i * 12.5 + spread(i) * 3) * 1e6) / 1e6;
}
static double free_bytes(unsigned series, unsigned i) {
    return 4096.0 * floor(1e6 + series * 100 + spread(i) * 30000);
}
static double percent(unsigned series, unsigned i) { return floor(spread(i) * 1000) / 10; }
static double float_sum(unsigned series, unsigned i) { return (series + i) / 7.0 + spread(i) / 3; }

typedef enum Form { COLUMNS, LINKED, DIFFERENCE } Form;
static const char *const form_names[] = {"columns", "linked", "difference"};

typedef struct Owned {
    Form form;
    Chunk chunk[COLUMN_CHUNKS];
    int64_t t[COLUMN_SAMPLES];
    double v[COLUMN_CHUNKS][COLUMN_SAMPLES];
} Owned;

static double encode_columns(Owned *o, bool keep) {
    ChunkEncoder *e = chunk_encoder_new();
    double bytes = 0;
    for (unsigned c = 0; c < COLUMN_CHUNKS; c++) {
        Chunk chunk;
        if (o->form == COLUMNS) {
            chunk_encode(e, o->t, o->v[c], COLUMN_SAMPLES, &chunk);
        } else {
            const double *base = o->form == DIFFERENCE && c > 0 ? o->v[c - 1] : NULL;
            chunk.base =
                chunk_encode_linked(e, o->v[c], COLUMN_SAMPLES, base, &(ChunkLink){0}, &chunk)
                    ? base
                    : NULL;
            chunk.times = o->t;
            chunk.min_time = o->t[0];
            chunk.max_time = o->t[COLUMN_SAMPLES - 1];
        }
        bytes += chunk.size;
        if (keep) {
            chunk.data = mem_dup(chunk.data, chunk.size);
            o->chunk[c] = chunk;
        }
    }
    chunk_encoder_free(e);
    return bytes;
}

static int64_t decode_columns(const Owned *o, int64_t from, int64_t to) {
    static int64_t t[CHUNK_SAMPLES_MAX];
    static double v[CHUNK_SAMPLES_MAX];
    int64_t sum = 0;
    for (unsigned c = 0; c < COLUMN_CHUNKS; c++) {
        uint32_t n = 0;
        if (chunk_decode_range(&o->chunk[c], from, to, t, v, &n) < 0) {
            abort();
        }
        sum += n;
    }
    return sum;
}

static void measure_columns(Form form, const char *name, ValueFn fn, unsigned jitter) {
    Owned *o = NEW(Owned);
    o->form = form;
    for (unsigned i = 0; i < COLUMN_SAMPLES; i++) {
        o->t[i] = (int64_t)i * 15000 + (jitter ? (int64_t)((i * 2654435761u) >> 7) % jitter : 0);
        for (unsigned c = 0; c < COLUMN_CHUNKS; c++) {
            o->v[c][i] = fn(c, i);
        }
    }
    double bytes = encode_columns(o, true), n = (double)COLUMN_CHUNKS * COLUMN_SAMPLES;
    int64_t start = clock_thread_cpu_ns();
    (void)encode_columns(o, false);
    int64_t encoded = clock_thread_cpu_ns();
    for (int i = 0; i < 100; i++) {
        (void)decode_columns(o, INT64_MIN, INT64_MAX);
    }
    int64_t decoded = clock_thread_cpu_ns();
    for (int i = 0; i < RANGE_ROUNDS / COLUMN_CHUNKS; i++) {
        int64_t from = (int64_t)(i * 97 % 3800) * 15000;
        (void)decode_columns(o, from, from + 3600000);
    }
    int64_t ranged = clock_thread_cpu_ns();
    printf("%-10s %-13s jitter %2u: encode %5.1f ns, decode %5.0f M/s, an hour of it %5.0f ns, "
           "%.3f B/sample\n",
           form_names[form], name, jitter, (double)(encoded - start) / n,
           n * 1e5 / (double)(decoded - encoded),
           (double)(ranged - decoded) / (RANGE_ROUNDS / COLUMN_CHUNKS * COLUMN_CHUNKS), bytes / n);
    for (unsigned c = 0; c < COLUMN_CHUNKS; c++) {
        mem_free((void *)(uintptr_t)o->chunk[c].data);
    }
    mem_free(o);
}

/* ---- blocks ---- */

#define SERIES 20000
#define BLOCK_SAMPLES 480

static Labels series_labels(unsigned i, char text[64], Label l[3]) {
    int n = snprintf(text, 32, "metric_%03u_total", i / 100);
    int m = snprintf(text + 32, 32, "host-%04u:9100", i % 100);
    l[0] = (Label){STR("__name__"), str_n(text, (size_t)n)};
    l[1] = (Label){STR("instance"), str_n(text + 32, (size_t)m)};
    l[2] = (Label){STR("job"), STR("node")};
    return (Labels){l, 3};
}

static void check(int r, const char *what) {
    if (r != 0) {
        fprintf(stderr, "%s: %d\n", what, r);
        exit(1);
    }
}

static void write_block(const char *dir, char id[BLOCK_ID_SIZE]) {
    static uint8_t data[BLOCK_SAMPLES * 20 + CHUNK_APPEND_ROOM];
    BlockWriter *w;
    char text[64];
    Label l[3];
    check(
        block_writer_new(
            &(BlockWriterOptions){.dir = dir, .min_time = 0, .max_time = 7200000, .level = 1}, &w),
        "writer");
    for (unsigned i = 0; i < SERIES; i++) {
        block_writer_symbols(w, series_labels(i, text, l));
    }
    for (unsigned i = 0; i < SERIES; i++) {
        ChunkWriter c = {0};
        check(block_writer_series(w, series_labels(i, text, l)), "series");
        for (unsigned k = 0; k < BLOCK_SAMPLES; k++) {
            chunk_append(&c, data, (int64_t)k * 15000, counter(i, k));
            if (c.n == CHUNK_OPEN_SAMPLES_MAX) {
                Chunk chunk = chunk_writer_view(&c, data);
                check(block_writer_chunk(w, &chunk), "chunk");
                c = (ChunkWriter){0};
            }
        }
    }
    check(block_writer_finish(w, id), "finish");
    block_writer_free(w);
}

static uint64_t read_block(Block *b) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleIter *it = NULL;
    SampleRun run;
    Matcher m;
    uint64_t n = 0;
    check(matcher_init(&m, MATCH_NE, STR("job"), STR(""), NULL), "matcher");
    check(block_querier(b, INT64_MIN, INT64_MAX, &q), "querier");
    check(querier_select(q, &m, 1, NULL, NULL, &set), "select");
    while (series_set_next(set, &s) > 0) {
        it = series_set_iter(set, &s, it);
        while (sample_iter_next(it, &run) > 0) {
            n += run.n;
        }
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    return n;
}

static void measure_block(void) {
    char dir[] = "/tmp/bench-block-XXXXXX", id[BLOCK_ID_SIZE], path[128];
    if (!mkdtemp(dir)) {
        exit(1);
    }
    int64_t start = clock_mono_ns();
    write_block(dir, id);
    int64_t written = clock_mono_ns();
    snprintf(path, sizeof(path), "%s/%s", dir, id);
    Block *b;
    check(block_open(path, &b, NULL), "open");
    int64_t opened = clock_mono_ns();
    uint64_t n = read_block(b);
    int64_t cold = clock_mono_ns();
    (void)read_block(b);
    int64_t warm = clock_mono_ns();
    const BlockMeta *m = block_meta(b);
    printf("block of %d series x %d: written in %.0f ms (chunks of 120 joined), opened in %.0f us, "
           "read "
           "in %.0f ms, again in %.0f ms (%.0f M samples/s), %.3f B/sample\n",
           SERIES, BLOCK_SAMPLES, (double)(written - start) / 1e6, (double)(opened - written) / 1e3,
           (double)(cold - opened) / 1e6, (double)(warm - cold) / 1e6,
           (double)n * 1e3 / (double)(warm - cold), (double)m->bytes / (double)m->samples);
    block_unref(b);
    (void)file_remove_tree(dir); /* a folder left in /tmp is no failure of the measurement */
}

int main(void) {
    static const unsigned lengths[] = {120, 960};
    for (int i = 0; i < 2; i++) {
        measure("constant", constant, lengths[i], 0);
        measure("counter", counter, lengths[i], 0);
        measure("counter", counter, lengths[i], 8);
        measure("seconds", seconds, lengths[i], 0);
        measure("noise", noise, lengths[i], 0);
    }
    measure_columns(COLUMNS, "constant", constant, 0);
    measure_columns(COLUMNS, "request_count", request_count, 0);
    measure_columns(COLUMNS, "request_count", request_count, 8);
    measure_columns(COLUMNS, "cpu_seconds", cpu_seconds, 0);
    measure_columns(COLUMNS, "latency_sum", latency_sum, 0);
    measure_columns(COLUMNS, "free_bytes", free_bytes, 0);
    measure_columns(COLUMNS, "percent", percent, 0);
    measure_columns(COLUMNS, "float_sum", float_sum, 0);
    measure_columns(COLUMNS, "noise", noise, 0);
    measure_columns(LINKED, "constant", constant, 0);
    measure_columns(LINKED, "request_count", request_count, 0);
    measure_columns(LINKED, "cpu_seconds", cpu_seconds, 0);
    measure_columns(LINKED, "latency_sum", latency_sum, 0);
    measure_columns(LINKED, "free_bytes", free_bytes, 0);
    measure_columns(LINKED, "percent", percent, 0);
    measure_columns(LINKED, "float_sum", float_sum, 0);
    measure_columns(LINKED, "noise", noise, 0);
    measure_columns(DIFFERENCE, "request_count", request_count, 0);
    measure_block();
    return 0;
}
