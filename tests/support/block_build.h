/* Blocks made on the spot, for tests: hosts x metrics with values that can be told from the labels
 * and the time. */
#pragma once

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_writer.h"

typedef struct BlockShape {
    const char *dir;
    unsigned metrics, hosts;
    int64_t min_time, max_time, step;
    bool noise; /* values that do not compress, else counters */
    uint32_t chunk_samples;
} BlockShape;

/* The label set of one series; strings in buf. */
typedef struct ShapeSeries {
    char metric[32], host[32], job[16];
    Label labels[3];
} ShapeSeries;

static inline Labels shape_labels(unsigned metric, unsigned host, ShapeSeries *s) {
    snprintf(s->metric, sizeof(s->metric), "metric_%04u_total", metric);
    snprintf(s->host, sizeof(s->host), "host-%05u", host);
    snprintf(s->job, sizeof(s->job), "job%u", host % 3);
    s->labels[0] = (Label){STR("__name__"), str_of(s->metric)};
    s->labels[1] = (Label){STR("instance"), str_of(s->host)};
    s->labels[2] = (Label){STR("job"), str_of(s->job)};
    return (Labels){s->labels, 3};
}

static inline double shape_value(const BlockShape *b, unsigned metric, unsigned host, int64_t t) {
    uint64_t x = (uint64_t)t / 1000 * 0x9e3779b97f4a7c15u + metric * 977 + host;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u; /* no line and no step is left for a codec to find */
    x ^= x >> 32;
    return b->noise ? (double)(x >> 12) : (double)(t / 1000 * (1 + metric % 5) + host);
}

static inline void shape_write(const BlockShape *b, char id[BLOCK_ID_SIZE]) {
    BlockWriter *w;
    ShapeSeries s;
    CHECK_INT(block_writer_new(&(BlockWriterOptions){.dir = b->dir,
                                                     .min_time = b->min_time,
                                                     .max_time = b->max_time,
                                                     .level = 1,
                                                     .chunk_samples = b->chunk_samples},
                               &w),
              0);
    for (unsigned m = 0; m < b->metrics; m++) {
        for (unsigned h = 0; h < b->hosts; h++) {
            block_writer_symbols(w, shape_labels(m, h, &s));
        }
    }
    for (unsigned m = 0; m < b->metrics; m++) {
        for (unsigned h = 0; h < b->hosts; h++) {
            CHECK_INT(block_writer_series(w, shape_labels(m, h, &s)), 0);
            for (int64_t t = b->min_time; t < b->max_time; t += b->step) {
                double v = shape_value(b, m, h, t);
                CHECK_INT(block_writer_samples(w, &t, &v, 1), 0);
            }
        }
    }
    CHECK_INT(block_writer_finish(w, id), 0);
    block_writer_free(w);
}

static inline Block *shape_open(const char *dir, const char *id) {
    char path[512];
    Block *b;
    Problem p = {0};
    snprintf(path, sizeof(path), "%s/%s", dir, id);
    int r = block_open(path, &b, &p);
    if (r != 0) {
        test_fail(__FILE__, __LINE__, "%s: %s", path, p.text);
    }
    return b;
}

static inline Block *shape_make(const BlockShape *b) {
    char id[BLOCK_ID_SIZE];
    shape_write(b, id);
    return shape_open(b->dir, id);
}
