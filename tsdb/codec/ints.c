/* The fast reader of the column drawn in docs/formats/chunk.md. */
#include "tsdb/codec/ints.h"

#include <endian.h>
#include <string.h>

#include "base/compiler.h"
#include "base/varint.h"

const uint8_t ints_widths[INTS_WIDTH_CLASSES] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                 22, 24, 26, 28, 32, 36, 40, 48, 56, 64};

typedef struct BlockHead {
    IntsGuess guess;
    unsigned width;
    unsigned n_patches;
    uint64_t base;
    const uint8_t *positions; /* of the patched numbers */
    uint64_t patches[INTS_PATCHES_MAX];
    const uint8_t *packed;
    size_t packed_size;
} BlockHead;

static bool read_patches(IntsReader *r, unsigned count, BlockHead *h) {
    if (r->p == r->end) {
        return false;
    }
    h->n_patches = *r->p++;
    if (h->n_patches == 0 || h->n_patches > INTS_PATCHES_MAX ||
        (size_t)(r->end - r->p) < h->n_patches) {
        return false;
    }
    h->positions = r->p;
    r->p += h->n_patches;
    for (unsigned i = 0; i < h->n_patches; i++) {
        int64_t v;
        if (h->positions[i] >= count || !varint_get(&r->p, r->end, &v)) {
            return false;
        }
        h->patches[i] = (uint64_t)v;
    }
    return true;
}

/* Reads the head of a block of count numbers and goes behind its packed bits. */
static bool read_head(IntsReader *r, unsigned count, BlockHead *h) {
    int64_t base;
    if (r->p == r->end) {
        return false;
    }
    uint8_t head = *r->p++;
    h->guess = head & 3;
    h->width = ints_widths[head >> 3];
    h->n_patches = 0;
    h->positions = NULL;
    if (!varint_get(&r->p, r->end, &base) ||
        (h->guess == INTS_TURN && !varint_get(&r->p, r->end, &r->line)) ||
        ((head & 4) && !read_patches(r, count, h))) {
        return false;
    }
    h->base = (uint64_t)base;
    h->packed = r->p;
    h->packed_size = ((size_t)count * h->width + 7) / 8;
    if ((size_t)(r->end - r->p) < h->packed_size) {
        return false;
    }
    r->p += h->packed_size;
    return true;
}

/* Four numbers a turn, as their loads do not depend on each other. count is rounded up to it. */
static inline void unpack_bits(const uint8_t *p, unsigned count, unsigned width, uint64_t *u) {
    uint64_t mask = (UINT64_C(1) << width) - 1;
    for (unsigned i = 0, bit = 0; i < count; i += 4, bit += 4 * width) {
        for (unsigned k = 0; k < 4; k++) {
            uint64_t x;
            unsigned at = bit + k * width;
            memcpy(&x, p + (at >> 3), sizeof(x));
            u[i + k] = le64toh(x) >> (at & 7) & mask;
        }
    }
}

/* A width that the compiler knows makes shifts of constants. */
#define UNPACK_CASE(w)                                                                             \
    case w: unpack_bits(p, count, w, u); return;

static void unpack_from(const uint8_t *p, unsigned count, unsigned width, uint64_t *u) {
    switch (width) {
        UNPACK_CASE(1)
        UNPACK_CASE(2)
        UNPACK_CASE(3)
        UNPACK_CASE(4)
        UNPACK_CASE(5)
        UNPACK_CASE(6)
        UNPACK_CASE(7)
        UNPACK_CASE(8)
        UNPACK_CASE(9)
        UNPACK_CASE(10)
        UNPACK_CASE(11)
        UNPACK_CASE(12)
        UNPACK_CASE(16)
    default: unpack_bits(p, count, width, u);
    }
}

/* The loads go up to 8 bytes behind the last number, rounded up to four: near the end of the
 * column they go to a copy. */
#define UNPACK_BEYOND 36

static void unpack(const IntsReader *r, const BlockHead *h, unsigned count, uint64_t *u) {
    uint8_t copy[INTS_BLOCK * 7 + UNPACK_BEYOND];
    if (h->width == 0) {
        memset(u, 0, count * sizeof(*u));
    } else if (h->width == 64) {
        for (unsigned i = 0; i < count; i++) {
            uint64_t x;
            memcpy(&x, h->packed + 8 * (size_t)i, sizeof(x));
            u[i] = le64toh(x);
        }
    } else if ((size_t)(r->end - h->packed) >= h->packed_size + UNPACK_BEYOND) {
        unpack_from(h->packed, count, h->width, u);
    } else {
        memcpy(copy, h->packed, h->packed_size);
        memset(copy + h->packed_size, 0, UNPACK_BEYOND);
        unpack_from(copy, count, h->width, u);
    }
    for (unsigned i = 0; i < h->n_patches; i++) {
        u[h->positions[i]] = h->patches[i];
    }
}

static void add_guess(IntsReader *r, const BlockHead *h, unsigned count, uint64_t *u) {
    uint64_t start = r->last + h->base;
    switch (h->guess) {
    case INTS_PLAIN:
        for (unsigned i = 0; i < count; i++) {
            u[i] += start;
        }
        break;
    case INTS_DELTA: {
        uint64_t sum = r->last;
        for (unsigned i = 0; i < count; i++) {
            sum += h->base + u[i];
            u[i] = sum;
        }
        break;
    }
    case INTS_LINE:
    case INTS_TURN: {
        uint64_t along = 0;
        for (unsigned i = 0; i < count; i++) {
            along += (uint64_t)r->line;
            u[i] += start + (uint64_t)((int64_t)along >> INTS_SLOPE_BITS);
        }
        break;
    }
    }
}

bool ints_open(IntsReader *r, const uint8_t *p, const uint8_t *end, uint32_t n) {
    *r = (IntsReader){.p = p, .end = end, .n = n};
    return uvarint_get(&r->p, end, &r->divisor) && r->divisor > 0 &&
           varint_get(&r->p, end, &r->slope);
}

static void begin_block(IntsReader *r) {
    if (r->at % INTS_SEGMENT == 0) {
        r->line = r->slope;
        r->last = ints_on_line(r->slope, r->at);
    }
}

bool ints_skip_to(IntsReader *r, uint32_t at) {
    while (r->at < at) {
        BlockHead h;
        unsigned count = MIN(r->n - r->at, (uint32_t)INTS_BLOCK);
        if (!read_head(r, count, &h)) {
            return false;
        }
        r->at += count;
    }
    return true;
}

bool ints_next(IntsReader *r, int64_t y[INTS_BLOCK]) {
    BlockHead h;
    uint64_t *u = (uint64_t *)y;
    unsigned count = MIN(r->n - r->at, (uint32_t)INTS_BLOCK);
    begin_block(r);
    if (count == 0 || !read_head(r, count, &h)) {
        return false;
    }
    unpack(r, &h, count, u);
    add_guess(r, &h, count, u);
    r->last = u[count - 1];
    r->at += count;
    if (r->divisor != 1) {
        for (unsigned i = 0; i < count; i++) {
            u[i] *= r->divisor;
        }
    }
    return true;
}
