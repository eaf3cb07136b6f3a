/*
 * A column of 64-bit integers in few bits: blocks of 128 numbers, each as what is left over by a
 * guess (the value before, or a line), in as many bits as most of a block need; the few that need
 * more are kept apart ("patched", after Zukowski et al., "Super-Scalar RAM-CPU Cache Compression",
 * ICDE 2006). docs/formats/chunk.md draws the bytes. Used by the encodings of chunks only.
 *
 * All arithmetic wraps, so every sequence of numbers has a column. Nothing here allocates; a reader
 * belongs to one thread. Reading costs about a nanosecond a number, writing about 20.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTS_BLOCK 128
/* Reading may begin at each multiple of this: no block behind it needs what came before. */
#define INTS_SEGMENT 512
/* A line's slope is in units of 2^-12 a number. */
#define INTS_SLOPE_BITS 12
/* Of the numbers in a block, how many may be patched. */
#define INTS_PATCHES_MAX 16
#define INTS_WIDTH_CLASSES 32

/* Bytes that n numbers take at most. */
#define INTS_ROOM(n) (20 + ((size_t)(n) / INTS_BLOCK + 1) * (24 + INTS_BLOCK * 8))

typedef enum IntsGuess {
    INTS_PLAIN = 0, /* the last number of the block before */
    INTS_DELTA = 1, /* the number before */
    INTS_LINE = 2,  /* from that last number along the line stated last */
    INTS_TURN = 3,  /* the same, after stating a new line */
} IntsGuess;

/* Bits a number, by class. 64 is the only one above 56, so that one load of 8 bytes has them all.
 */
extern const uint8_t ints_widths[INTS_WIDTH_CLASSES];

static inline uint64_t ints_on_line(int64_t slope, uint64_t i) {
    return (uint64_t)((int64_t)((uint64_t)slope * i) >> INTS_SLOPE_BITS);
}

/*
 * Writes the column of y[0..n), y[0] = 0, to dst (INTS_ROOM(n) bytes); returns its size. y is used
 * up: it is divided by what all numbers have in common.
 */
size_t ints_write(uint8_t *dst, int64_t *y, uint32_t n);
/* Its two steps: dividing all by what they have in common, which is returned; and the rest. */
uint64_t ints_divide(int64_t *y, uint32_t n);
size_t ints_write_divided(uint8_t *dst, const int64_t *y, uint32_t n, uint64_t divisor);
/* About the size of the same, from the first block of each segment. */
size_t ints_estimate(const int64_t *y, uint32_t n);
/* The slope of the line of least squares; 0 where it would be too steep to be one. */
int64_t ints_slope(const int64_t *y, uint32_t n);

typedef struct IntsReader {
    const uint8_t *p, *end;
    uint32_t n, at; /* numbers, and how many were read */
    uint64_t divisor;
    int64_t slope, line; /* of the column; stated last */
    uint64_t last;       /* number read last, before it is multiplied */
} IntsReader;

/* All return false for bytes that are no such column; nothing outside of p..end is ever read. */
bool ints_open(IntsReader *r, const uint8_t *p, const uint8_t *end, uint32_t n);
/* Goes on to a multiple of INTS_SEGMENT without unpacking what is between. */
bool ints_skip_to(IntsReader *r, uint32_t at);
/* The next block, MIN(INTS_BLOCK, n - at) numbers. */
bool ints_next(IntsReader *r, int64_t y[INTS_BLOCK]);
/* All numbers were read, and the bytes end there. */
static inline bool ints_ended(const IntsReader *r) { return r->at == r->n && r->p == r->end; }

/* The same, plain and slow, of the whole column at once: for tests. */
bool ints_read_plain(const uint8_t *p, const uint8_t *end, uint32_t n, int64_t *y);
