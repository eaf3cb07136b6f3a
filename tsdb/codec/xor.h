/*
 * Gorilla XOR (Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB
 * 2015, section 4.1) in our own layout: docs/formats/chunk.md. Used through chunk.h only.
 *
 * Bits are written from the highest of each byte down. The first sample is a value only, as its
 * time is the chunk's min_time; each following one is a time, then a value.
 *
 *     time: the step less the step before (the first: less 0), in two's complement
 *         0                      the same step
 *         10   + 6 bits          -32 .. 31: the jitter of a scrape
 *         110  + 12 bits         -2048 .. 2047
 *         1110 + 20 bits
 *         1111 + 64 bits
 *     value: x = bits XOR bits of the value before (the first: XOR 0)
 *         0                      x = 0
 *         10   + the bits of x inside the window stated last
 *         11   + 5 bits leading zeros + 6 bits length - 1 + the bits of x inside that window
 *
 * The bits left in the last byte are zero.
 */
#pragma once

#include "tsdb/codec/chunk.h"

#define XOR_LEADING_MAX 31
/* Bits of a window's statement beyond those of its use. */
#define XOR_WINDOW_BITS 11

void xor_append(ChunkWriter *w, uint8_t *data, int64_t t, double v);
/* A value alone, for chunks whose times are kept elsewhere: the same bits without those of times.
 */
void xor_append_value(ChunkWriter *w, uint8_t *data, double v);
/* Values from..to-1 of a stream of n values; that it ends where it should shows when to is n. */
int xor_decode_values(const uint8_t *data, uint32_t size, uint32_t n, uint32_t from, uint32_t to,
                      double *v);
int xor_decode_values_plain(const uint8_t *data, uint32_t size, uint32_t n, double *v);
int xor_decode(const Chunk *c, int64_t *t, double *v);
int xor_decode_plain(const Chunk *c, int64_t *t, double *v);
/* As xor_decode_plain(), and what the writer's state was behind the last sample. t and v may be
 * NULL. */
int xor_decode_state(const Chunk *c, int64_t *t, double *v, ChunkWriter *ret);
