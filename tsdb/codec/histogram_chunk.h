/*
 * Chunks of native histograms: encodings 3 (integer counts) and 4 (float counts) of chunk.h, drawn
 * in docs/formats/chunk.md. The layout (schema, zero threshold, spans, custom bounds) is written
 * once and again when it changes; each bucket is a series of its own then: integers as the
 * difference to what its recent growth predicts, in a Rice code that adapts; floats by XOR.
 *
 * Counter resets. Inside a chunk there is none: histogram_writer_fits() says when a chunk must end
 * (what Prometheus' appenders decide), so a reader tells RESET_NO of all but the first histogram of
 * a chunk, RESET_UNKNOWN of the first, RESET_GAUGE of all in a chunk of gauge histograms.
 *
 * A writer and a decoded chunk belong to one thread at a time. About 5 ns a bucket.
 */
#pragma once

#include "base/arena.h"
#include "base/vec.h"
#include "storage/storage.h"
#include "tsdb/codec/chunk.h"

/* Of one histogram, both sides together; also of spans and of bounds. One that has more is refused
 * before it gets here (histogram_chunk_holds()). */
#define HISTOGRAM_BUCKETS_MAX 32768

/* An open chunk ends at this many samples, or with this many bytes once it has the lesser count. */
#define HISTOGRAM_OPEN_SAMPLES_MAX 120
#define HISTOGRAM_OPEN_BYTES_MAX 4096
#define HISTOGRAM_OPEN_SAMPLES_MIN 16

/* One of h and fh is NULL, always the same one in a chunk. */
typedef struct HistogramSample {
    int64_t t, st; /* st 0: no start timestamp */
    const Histogram *h;
    const FloatHistogram *fh;
} HistogramSample;

static inline SampleKind histogram_sample_kind(const HistogramSample *s) {
    return s->h ? SAMPLE_HISTOGRAM : SAMPLE_FLOAT_HISTOGRAM;
}
bool histogram_sample_is_stale(const HistogramSample *s);
/* The same values, whatever the times and hints; two stale markers are the same. */
bool histogram_sample_same(const HistogramSample *a, const HistogramSample *b);
/* False: too many buckets, spans or bounds for a chunk. */
bool histogram_chunk_holds(const HistogramSample *s);

/* ---- an open chunk */

typedef struct HistogramWriter HistogramWriter;

HistogramWriter *histogram_writer_new(void);
void histogram_writer_free(HistogramWriter *w);
/* Empty again; keeps its memory. */
void histogram_writer_reset(HistogramWriter *w);
/* False: s must begin another chunk, because of its kind, a counter reset, a gauge between
 * counters, a stale marker before, a start timestamp. An empty writer takes any. */
bool histogram_writer_fits(const HistogramWriter *w, const HistogramSample *s);
bool histogram_writer_full(const HistogramWriter *w);
/* Its time is greater than the last, and it fits. */
void histogram_writer_add(HistogramWriter *w, const HistogramSample *s);
uint32_t histogram_writer_count(const HistogramWriter *w);
/* The last one added; its t is right too. There is one. */
HistogramSample histogram_writer_last(const HistogramWriter *w);
/* The chunk as it stands; borrows the writer's bytes. There is a sample. */
Chunk histogram_writer_view(const HistogramWriter *w);
size_t histogram_writer_memory(const HistogramWriter *w);

/* ---- a decoded chunk */

typedef struct HistogramSamples {
    SampleKind kind;
    uint32_t n;
    int64_t *t, *st; /* st NULL: none has one */
    union {
        const Histogram **h;
        const FloatHistogram **fh;
    };
    Arena arena; /* all of the above */
} HistogramSamples;

void histogram_samples_deinit(HistogramSamples *s);
HistogramSample histogram_samples_at(const HistogramSamples *s, uint32_t i);
/*
 * 0; -EBADMSG when the bytes are not exactly such a chunk, -ENOTSUP for another encoding. Replaces
 * what *ret (zero-initialised at first) held. Never reads outside data[0..size), whatever the bytes
 * are, and takes at most 512 bytes of memory for each of them.
 */
int histogram_chunk_decode(const Chunk *c, HistogramSamples *ret);
/* Those with mint <= t <= maxt, as a run that points into s. */
SampleRun histogram_samples_run(const HistogramSamples *s, int64_t mint, int64_t maxt);
