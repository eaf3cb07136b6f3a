/*
 * Chunks of native histograms as Prometheus writes them (chunkenc/histogram.go and
 * float_histogram.go of that project): count of samples, a byte that tells of counter resets, the
 * layout (schema, zero bucket's width, spans, custom bounds), then times and counts as deltas of
 * deltas, or floats by XOR. Any thread, a chunk by one.
 */
#pragma once

#include "tsdb/codec/histogram_chunk.h"

#define PROM_HISTOGRAM 2 /* encoding bytes */
#define PROM_FLOAT_HISTOGRAM 3

/* All histograms of a chunk, in ret's arena; -EBADMSG. Takes memory in proportion to size only. */
int prom_histogram_decode(const uint8_t *data, size_t size, bool floats, HistogramSamples *ret);

/* Whether b may follow a in a chunk: same kind and layout, no counter reset, no stale marker. */
bool prom_histogram_fits(const HistogramSample *a, const HistogramSample *b);
/* n >= 1 that fit; `hint` is that of the first against the chunk before. */
void prom_histogram_encode(Buf *b, const HistogramSample *v, size_t n, CounterResetHint hint);
