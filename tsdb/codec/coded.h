/*
 * A column of 64-bit integers by their entropy: what a guess leaves over is cut into a high part,
 * one of at most 64 symbols, which is coded by how often it comes (range asymmetric numeral
 * systems: Duda, "Asymmetric numeral systems", 2013, in the interleaved form of Giesen,
 * "Interleaved entropy coders", 2014), and low bits, which are noise and kept as they are. The few
 * numbers far out are kept apart, as in ints.h. docs/formats/chunk.md draws the bytes.
 *
 * The column is cut into four streams of equal length, each with a state of its own, so that four
 * symbols are decoded side by side, and so that a part can be read without the other streams.
 *
 * One table serves the whole column, so it pays from some hundreds of numbers on. Writing costs
 * about 40 ns a number, reading about 2. Nothing here allocates; a reader belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODED_NUMBERS_MIN 16
#define CODED_NUMBERS_MAX 8192
#define CODED_STREAMS 4
#define CODED_SYMBOLS_MAX 64
/* Frequencies add up to 2^this. */
#define CODED_SCALE_BITS 10
/* A state is at least this, and refilled by 16 bits. */
#define CODED_STATE_MIN (1u << 16)
#define CODED_LOW_BITS_MAX 48
#define CODED_PATCHES_SHARE 16 /* at most one number in so many */

/* Bytes that n numbers take at most. */
#define CODED_ROOM(n) (512 + (size_t)(n)*10)

/* First byte of the column. */
#define CODED_DELTA 0x01   /* guess: the number before, else a line */
#define CODED_PATCHED 0x02 /* there are patches */
#define CODED_UNUSED 0xfc

/* Numbers of each stream but the last. */
static inline uint32_t coded_stream_length(uint32_t n) {
    return (n + CODED_STREAMS - 1) / CODED_STREAMS;
}

/*
 * Writes the column of divisor * y[0..n), y[0] = 0, to dst (CODED_ROOM(n) bytes) if it takes less
 * than `limit` bytes; returns its size, or 0: it would not. scratch has room for 3 n numbers.
 */
size_t coded_write(uint8_t *dst, const int64_t *y, uint32_t n, uint64_t divisor, size_t limit,
                   int64_t *scratch);

typedef struct CodedPatch {
    uint32_t at;
    uint64_t u;
} CodedPatch;

typedef struct CodedReader {
    uint32_t n, at, end; /* numbers; the next one; where reading ends */
    uint8_t head, low_bits;
    uint64_t divisor, base, last;
    uint64_t anchors[CODED_STREAMS]; /* the number before each stream */
    int64_t slope;
    const uint8_t *low;     /* low bits of number 0 */
    const uint8_t *low_end; /* bytes up to here may be loaded */
    uint32_t n_patches, next_patch;
    CodedPatch patches[CODED_NUMBERS_MAX / CODED_PATCHES_SHARE + 1];
    uint8_t symbols[CODED_NUMBERS_MAX];
} CodedReader;

#define CODED_BLOCK 128

/* Reads the column's head and decodes the symbols of the streams that hold numbers from..to-1.
 * False for bytes that are no such column; nothing outside of p..end is ever read. */
bool coded_open(CodedReader *r, const uint8_t *p, const uint8_t *end, uint32_t n, uint32_t from,
                uint32_t to);
/* The next numbers, at most CODED_BLOCK; returns how many, those before `from` of the first stream
 * too. */
unsigned coded_next(CodedReader *r, int64_t y[CODED_BLOCK]);

/* The same, plain and slow, of the whole column at once: for tests. */
bool coded_read_plain(const uint8_t *p, const uint8_t *end, uint32_t n, int64_t *y);

/* Shared by the readers and the writer: bits from the lowest of each byte up. */
typedef struct CodedBits {
    const uint8_t *p, *end;
    unsigned used; /* bits of *p */
} CodedBits;
/*
 * The table of frequencies: 3 bits width of the Rice code, then for each symbol the difference to
 * the frequency before (the first: to the even share), as a zigzag number in Rice code: its upper
 * part in ones ended by a zero, its low bits. From CODED_RICE_ONES ones on no zero follows but
 * CODED_SCALE_BITS + 2 bits with the whole number.
 */
#define CODED_RICE_WIDTH_BITS 3
#define CODED_RICE_ONES 12
bool coded_read_frequencies(CodedBits *b, unsigned symbols, uint16_t *ret);
