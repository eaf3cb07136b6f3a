/*
 * The encoding of chunks in blocks: times and values as separate parts, each in the way that was
 * smallest. docs/formats/chunk.md, "2: columns", draws the bytes.
 *
 *     head: how times are kept, how values are kept | [size of times | times] | values
 *
 * Used through chunk.h only.
 */
#pragma once

#include "tsdb/codec/chunk.h"
#include "tsdb/codec/ints.h"
#include "tsdb/codec/scale.h"

typedef enum ColumnsTimes {
    TIMES_REGULAR = 0, /* evenly from min_time to max_time: no bytes */
    TIMES_PACKED = 1,  /* a column of integers */
} ColumnsTimes;

typedef enum ColumnsValues {
    VALUES_CONSTANT = 0,
    VALUES_PACKED = 1, /* scaled to integers */
    VALUES_XOR = 2,
    VALUES_RAW = 3,
} ColumnsValues;

/* First byte of packed values. */
#define PACKED_DIGITS 0x1f /* decimals, or PACKED_BINARY: the power of two is the next byte */
#define PACKED_BINARY 0x1f
#define PACKED_EXCEPTIONS 0x80
#define PACKED_UNUSED 0x60

int columns_decode(const Chunk *c, int64_t *t, double *v);
int columns_decode_plain(const Chunk *c, int64_t *t, double *v);
/* chunk_decode_range(). */
int columns_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                         uint32_t *ret_n);
