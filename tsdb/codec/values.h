/*
 * The values of a run of samples, without their times: several ways to keep them, of which the
 * smallest is taken. docs/formats/chunk.md, "Values". Used by the encodings of chunks only.
 *
 * Values may also be kept as what they differ from those of another chunk, the base: each value is
 * the base's plus a difference, one addition of doubles.
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "tsdb/codec/chunk.h"
#include "tsdb/codec/coded.h"
#include "tsdb/codec/ints.h"

typedef enum ValuesWay {
    VALUES_CONSTANT = 0,
    VALUES_PACKED = 1, /* scaled to integers, packed: ints.h */
    VALUES_XOR = 2,
    VALUES_RAW = 3,
    VALUES_CODED = 4, /* scaled to integers, coded by their entropy: coded.h */
} ValuesWay;

/* First byte of packed and coded values. */
#define PACKED_DIGITS 0x1f /* decimals, or PACKED_BINARY: the power of two is the next byte */
#define PACKED_BINARY 0x1f
#define PACKED_EXCEPTIONS 0x80
#define PACKED_UNUSED 0x60

/* Shorter chunks are not worth a table of frequencies; longer ones are coded when they become so
 * many percent smaller. */
#define VALUES_CODED_MIN 480
#define VALUES_CODED_PERCENT 3

/* A raw value, or one of an exception or of XOR, with what stands around it. */
#define VALUE_BYTES_MAX 12
#define VALUES_ROOM (INTS_ROOM(CHUNK_SAMPLES_MAX) + CHUNK_SAMPLES_MAX * VALUE_BYTES_MAX)

/* What a difference is added to. */
static inline double values_base(double v) { return fabs(v) <= 0x1p53 ? v : 0; }

/* Numbers from..to-1 of n values. base: those of the other chunk, of from..to-1 too, or NULL. 0,
 * -EBADMSG, -ENOTSUP for an unknown way. */
int values_read(ValuesWay way, const uint8_t *p, const uint8_t *end, uint32_t n, uint32_t from,
                uint32_t to, const double *base, double *v);
/* All of them, plain and slow, for tests. */
int values_read_plain(ValuesWay way, const uint8_t *p, const uint8_t *end, uint32_t n,
                      const double *base, double *v);

/* Scratch of a writer. */
typedef struct ValuesWriter {
    int64_t numbers[CHUNK_SAMPLES_MAX];
    int64_t work[3 * CHUNK_SAMPLES_MAX];
    double differences[CHUNK_SAMPLES_MAX];
    uint32_t exceptions[CHUNK_SAMPLES_MAX];
    uint8_t best[VALUES_ROOM], other[VALUES_ROOM];
} ValuesWriter;

/* The smallest way, its bytes in w->best: returns how many. coded: it may be VALUES_CODED. */
size_t values_write(ValuesWriter *w, const double *v, uint32_t n, bool coded, ValuesWay *ret);
/* The same for what v differs from base; 0: that does not work. */
size_t values_write_difference(ValuesWriter *w, const double *v, const double *base, uint32_t n,
                               ValuesWay *ret);
