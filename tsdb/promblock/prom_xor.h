/*
 * Float chunks as Prometheus writes them (tsdb/docs/format/chunks.md of that project): a big-endian
 * count of samples, then Gorilla XOR with deltas of deltas in classes of 14, 17, 20 and 64 bits.
 * Not the layout of our own chunks (tsdb/codec/xor.h). Any thread.
 */
#pragma once

#include "base/buf.h"

#define PROM_XOR 1 /* its encoding byte */
#define PROM_CHUNK_SAMPLES_MAX 65535

/* n is 1..PROM_CHUNK_SAMPLES_MAX. */
void prom_xor_encode(Buf *b, const int64_t *t, const double *v, size_t n);
/* The number of samples a chunk says it has; -EBADMSG when it is cut off before. */
int prom_xor_count(const uint8_t *data, size_t size);
/* All of them, which the caller has room for. 0 or -EBADMSG; never reads behind size. */
int prom_xor_decode(const uint8_t *data, size_t size, int64_t *t, double *v);
