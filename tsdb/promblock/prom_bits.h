/*
 * The bits of Prometheus' chunks: written from the highest of each byte down; XOR of floats in a
 * window; and the integers of its histogram chunks, a prefix of ones for the size. (chunkenc of
 * that project.) A writer or reader belongs to one thread; a reader never goes behind its end, but
 * turns `bad` and gives zeros.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "model/sample.h"

typedef struct PromBitWriter {
    Buf *b;
    uint64_t acc;
    unsigned n; /* bits in acc, < 8 between calls */
} PromBitWriter;

typedef struct PromBitReader {
    const uint8_t *p;
    size_t size;
    size_t at; /* in bits */
    bool bad;
} PromBitReader;

/* n <= 64; the low n bits of v. */
void prom_put_bits(PromBitWriter *w, uint64_t v, unsigned n);
/* Fills the last byte with zeros. */
void prom_put_end(PromBitWriter *w);
uint64_t prom_get_bits(PromBitReader *r, unsigned n);

/* LEB128, not aligned to bytes. */
void prom_put_uvarint(PromBitWriter *w, uint64_t v);
uint64_t prom_get_uvarint(PromBitReader *r);

/* x = the bits of a value XOR those of the one before it. */
typedef struct PromWindow {
    unsigned leading, trailing;
    bool any;
} PromWindow;
void prom_put_xor(PromBitWriter *w, PromWindow *win, uint64_t x);
uint64_t prom_get_xor(PromBitReader *r, PromWindow *win);

/* Classes of 3, 6, 9, 12, 18, 25, 56 and 64 bits; zero is one bit. */
void prom_put_varbit(PromBitWriter *w, int64_t v);
int64_t prom_get_varbit(PromBitReader *r);
void prom_put_varbit_uint(PromBitWriter *w, uint64_t v);
uint64_t prom_get_varbit_uint(PromBitReader *r);
