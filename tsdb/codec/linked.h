/*
 * The encoding of chunks whose times are kept elsewhere, once for many series, and whose values may
 * be those of another chunk of the block, or what they differ from them. docs/formats/chunk.md,
 * "5: linked", draws the bytes.
 *
 *     head | [bundle, offset, size of the other chunk] | values
 *
 * Used through chunk.h only.
 */
#pragma once

#include "tsdb/codec/chunk.h"

/* Head: a ValuesWay or LINKED_SAME in the low four bits. */
#define LINKED_SAME 0x0f
#define LINKED_DIFFERENCE 0x10
#define LINKED_UNUSED 0xe0

int linked_decode(const Chunk *c, int64_t *t, double *v);
int linked_decode_plain(const Chunk *c, int64_t *t, double *v);
int linked_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                        uint32_t *ret_n);
