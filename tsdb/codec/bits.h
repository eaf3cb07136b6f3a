/*
 * Streams of bits, from the highest of each byte down: a writer that grows its own bytes, a reader
 * over borrowed ones, and the codes that histogram chunks are made of (docs/formats/chunk.md).
 * Reading behind the end gives zeros: the loops need no checks, and what overran is seen by where
 * the reader stands. One owner; a few ns a number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/varint.h"

/* ---- writing */

typedef struct BitWriter {
    uint8_t *data; /* mem_*; the owner frees it */
    uint32_t cap;
    uint32_t bits; /* written so far */
} BitWriter;

static inline uint32_t bit_writer_bytes(const BitWriter *w) { return (w->bits + 7) / 8; }

static inline void bit_writer_grow(BitWriter *w) {
    w->cap = w->cap + w->cap / 4 + 64;
    w->data = mem_realloc(w->data, w->cap);
}

/* k <= 56 */
static inline void bits_put_short(BitWriter *w, uint64_t v, unsigned k) {
    uint32_t byte = w->bits >> 3;
    if (UNLIKELY(byte + 8 > w->cap)) {
        bit_writer_grow(w);
    }
    unsigned used = w->bits & 7;
    uint64_t kept = used ? (uint64_t)(w->data[byte] & (0xff00u >> used) & 0xff) << 56 : 0;
    uint64_t out = k ? __builtin_bswap64(kept | v << (64 - used - k)) : __builtin_bswap64(kept);
    memcpy(w->data + byte, &out, sizeof(out));
    w->bits += k;
}

/* k <= 64 */
static inline void bits_put(BitWriter *w, uint64_t v, unsigned k) {
    if (k > 56) {
        bits_put_short(w, v >> 32, k - 32);
        v &= UINT32_MAX;
        k = 32;
    }
    bits_put_short(w, v, k);
}

/* ---- reading */

typedef struct BitReader {
    const uint8_t *data;
    uint32_t size;
    uint64_t at; /* bit */
} BitReader;

static inline bool bit_reader_overran(const BitReader *r) { return r->at > (uint64_t)r->size * 8; }

/* The next bits from the top down; at least 57 of them count. */
static inline uint64_t bits_peek(const BitReader *r) {
    uint64_t byte = r->at >> 3, v = 0;
    if (LIKELY(byte + 8 <= r->size)) {
        memcpy(&v, r->data + byte, sizeof(v));
        v = __builtin_bswap64(v);
    } else {
        for (unsigned i = 0; i < 8; i++) {
            v = v << 8 | (byte + i < r->size ? r->data[byte + i] : 0);
        }
    }
    return v << (r->at & 7);
}

/* k <= 64 */
static inline uint64_t bits_take(BitReader *r, unsigned k) {
    uint64_t high = 0;
    if (k == 0) {
        return 0;
    }
    if (k > 56) {
        high = bits_peek(r) >> (96 - k) << 32;
        r->at += k - 32;
        k = 32;
    }
    uint64_t v = bits_peek(r) >> (64 - k);
    r->at += k;
    return high | v;
}

static inline bool bits_take_one(BitReader *r) { return bits_take(r, 1) != 0; }

/* How many ones come before the next zero, up to max (<= 56); the zero is stepped over. */
static inline unsigned bits_take_ones(BitReader *r, unsigned max) {
    uint64_t next = ~bits_peek(r);
    unsigned n = next ? (unsigned)__builtin_clzll(next) : 64;
    n = MIN(n, max);
    r->at += n < max ? n + 1 : n;
    return n;
}

/* ---- numbers in classes: so many ones, a zero, and as many bits as the class has */

#define BITS_CLASSES 9
static const uint8_t bits_class[BITS_CLASSES] = {0, 3, 5, 8, 12, 17, 24, 40, 64};

static inline void bits_put_uint(BitWriter *w, uint64_t v) {
    unsigned c = 0;
    while (bits_class[c] < 64 && v >> bits_class[c]) {
        c++;
    }
    /* The last class needs no zero. */
    bits_put_short(w, c < 8 ? (UINT64_C(1) << (c + 1)) - 2 : 0xff, c < 8 ? c + 1 : 8);
    bits_put(w, v, bits_class[c]);
}

static inline uint64_t bits_take_uint(BitReader *r) {
    return bits_take(r, bits_class[bits_take_ones(r, 8)]);
}

static inline void bits_put_sint(BitWriter *w, int64_t v) { bits_put_uint(w, zigzag_encode(v)); }
static inline int64_t bits_take_sint(BitReader *r) { return zigzag_decode(bits_take_uint(r)); }
