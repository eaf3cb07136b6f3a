/*
 * The encoding of chunks that stand alone: times and values as separate parts, each in the way that
 * was smallest. docs/formats/chunk.md, "2: columns", draws the bytes.
 *
 *     head: how times are kept, how values are kept | [size of times | times] | values
 *
 * Used through chunk.h only.
 */
#pragma once

#include "tsdb/codec/chunk.h"

int columns_decode(const Chunk *c, int64_t *t, double *v);
int columns_decode_plain(const Chunk *c, int64_t *t, double *v);
/* chunk_decode_range(). */
int columns_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                         uint32_t *ret_n);
