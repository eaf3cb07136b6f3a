/*
 * A greedy compressor for the snappy block format: a length, then literals and
 * copies. Works in blocks of 64 KiB as the reference implementation does, so
 * that offsets fit two bytes; every decoder reads the result.
 */
#include "snappy.h"

#include <stdint.h>
#include <string.h>

#define BLOCK 65536
#define HASH_BITS 14

size_t snappy_bound(size_t length) { return 32 + length + length / 6; }

static uint32_t load32(const unsigned char *p) {
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t load64(const unsigned char *p) {
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static unsigned char *put_literal(unsigned char *out, const unsigned char *from, size_t length) {
    size_t n = length - 1;

    if (n < 60) {
        *out++ = (unsigned char)(n << 2);
    } else if (n < 256) {
        *out++ = 60 << 2;
        *out++ = (unsigned char)n;
    } else {
        *out++ = 61 << 2;
        *out++ = (unsigned char)n;
        *out++ = (unsigned char)(n >> 8);
    }
    memcpy(out, from, length);
    return out + length;
}

static unsigned char *put_copy(unsigned char *out, size_t offset, size_t length) {
    while (length > 0) {
        /* Never leave a rest of fewer than four bytes. */
        size_t n = length > 67 ? 64 : length > 64 ? 60 : length;

        if (n >= 4 && n <= 11 && offset < 2048) {
            *out++ = (unsigned char)(1 | (n - 4) << 2 | offset >> 8 << 5);
            *out++ = (unsigned char)offset;
        } else {
            *out++ = (unsigned char)(2 | (n - 1) << 2);
            *out++ = (unsigned char)offset;
            *out++ = (unsigned char)(offset >> 8);
        }
        length -= n;
    }
    return out;
}

static unsigned char *compress_block(unsigned char *out, const unsigned char *in, size_t length) {
    uint16_t table[1 << HASH_BITS];
    const unsigned char *p = in, *literal = in, *end = in + length;

    memset(table, 0, sizeof table);
    if (length >= 16) {
        const unsigned char *last = end - 12; /* leaves room for eight-byte loads */
        unsigned misses = 32;

        p++;
        while (p < last) {
            uint32_t word = load32(p);
            uint32_t slot = word * 0x1e35a7bdu >> (32 - HASH_BITS);
            const unsigned char *match = in + table[slot];

            table[slot] = (uint16_t)(p - in);
            if (load32(match) != word || match >= p) {
                p += misses++ >> 5; /* step faster through what does not compress */
                continue;
            }
            misses = 32;
            if (p > literal)
                out = put_literal(out, literal, (size_t)(p - literal));

            const unsigned char *start = p;
            size_t offset = (size_t)(p - match);
            p += 4;
            match += 4;
            while (p < last) {
                uint64_t differ = load64(p) ^ load64(match);

                if (differ) {
                    p += __builtin_ctzll(differ) >> 3;
                    break;
                }
                p += 8;
                match += 8;
            }
            if (p > end)
                p = end;
            out = put_copy(out, offset, (size_t)(p - start));
            literal = p;
        }
    }
    if (literal < end)
        out = put_literal(out, literal, (size_t)(end - literal));
    return out;
}

size_t snappy_compress(unsigned char *out, const unsigned char *in, size_t length) {
    unsigned char *p = out;
    size_t n = length;

    for (; n >= 128; n >>= 7)
        *p++ = (unsigned char)(n | 128);
    *p++ = (unsigned char)n;
    for (size_t at = 0; at < length; at += BLOCK)
        p = compress_block(p, in + at, length - at < BLOCK ? length - at : BLOCK);
    return (size_t)(p - out);
}
