/* LEB128 and zigzag integers as protobuf and Go's encoding/binary write them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UVARINT_BYTES_MAX 10

static inline uint64_t zigzag_encode(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t zigzag_decode(uint64_t u) { return (int64_t)(u >> 1) ^ -(int64_t)(u & 1); }

/* Writes at most UVARINT_BYTES_MAX bytes and returns how many. */
static inline size_t uvarint_put(uint8_t *dst, uint64_t v) {
    size_t n = 0;
    while (v >= 0x80) {
        dst[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    dst[n++] = (uint8_t)v;
    return n;
}

/* Moves *p behind the number; false if it is cut off at end or longer than 64 bits. */
static inline bool uvarint_get(const uint8_t **p, const uint8_t *end, uint64_t *ret) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t b = *(*p)++;
        if (shift == 63 && b > 1) {
            return false;
        }
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static inline bool varint_get(const uint8_t **p, const uint8_t *end, int64_t *ret) {
    uint64_t u;
    if (!uvarint_get(p, end, &u)) {
        return false;
    }
    *ret = zigzag_decode(u);
    return true;
}
