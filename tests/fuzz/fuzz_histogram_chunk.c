/* Encoding u8, samples u16, first time i64, last time i64, then the chunk. What the reader accepts
 * comes back the same after writing it anew. */
#include <assert.h>
#include <string.h>

#include "tsdb/codec/histogram_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const HistogramSamples *a, const HistogramSamples *b) {
    assert(a->n == b->n && a->kind == b->kind);
    for (uint32_t i = 0; i < a->n; i++) {
        HistogramSample x = histogram_samples_at(a, i), y = histogram_samples_at(b, i);
        assert(x.t == y.t && x.st == y.st && histogram_sample_same(&x, &y));
    }
}

static void write_again(const HistogramSamples *s) {
    HistogramWriter *w = histogram_writer_new();
    HistogramSamples again = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        HistogramSample v = histogram_samples_at(s, i);
        /* The flag of start timestamps is set by the first sample. */
        if (i == 0 && s->st && v.st == 0) {
            break;
        }
        histogram_writer_add(w, &v);
    }
    if (histogram_writer_count(w) == s->n) {
        Chunk c = histogram_writer_view(w);
        if (c.size < 1u << 24) {
            assert(histogram_chunk_decode(&c, &again) == 0);
            check_same(s, &again);
        }
    }
    histogram_samples_deinit(&again);
    histogram_writer_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 19) {
        return 0;
    }
    Chunk c = {.encoding = (uint8_t)(CHUNK_HISTOGRAM + (data[0] & 1)),
               .n = (uint32_t)data[1] | (uint32_t)data[2] << 8,
               .data = data + 19,
               .size = (uint32_t)(size - 19)};
    memcpy(&c.min_time, data + 3, 8);
    memcpy(&c.max_time, data + 11, 8);
    HistogramSamples s = {0};
    if (histogram_chunk_decode(&c, &s) == 0) {
        write_again(&s);
    }
    histogram_samples_deinit(&s);
    return 0;
}
