/* The column of ints.h read number by number and bit by bit, for tests to hold the fast one to. */
#include "base/compiler.h"
#include "base/varint.h"
#include "tsdb/codec/ints.h"

typedef struct PlainBlock {
    unsigned guess, width, n_patches;
    int64_t base;
    uint8_t positions[INTS_PATCHES_MAX];
    int64_t patches[INTS_PATCHES_MAX];
} PlainBlock;

static bool read_byte(const uint8_t **p, const uint8_t *end, uint8_t *ret) {
    if (*p == end) {
        return false;
    }
    *ret = *(*p)++;
    return true;
}

static bool read_head(const uint8_t **p, const uint8_t *end, unsigned count, int64_t *line,
                      PlainBlock *b) {
    uint8_t head, patches = 0;
    if (!read_byte(p, end, &head) || !varint_get(p, end, &b->base)) {
        return false;
    }
    b->guess = head & 3;
    b->width = ints_widths[head >> 3];
    if (b->guess == INTS_TURN && !varint_get(p, end, line)) {
        return false;
    }
    if (head & 4) {
        if (!read_byte(p, end, &patches) || patches == 0 || patches > INTS_PATCHES_MAX) {
            return false;
        }
    }
    b->n_patches = patches;
    for (unsigned i = 0; i < patches; i++) {
        if (!read_byte(p, end, &b->positions[i]) || b->positions[i] >= count) {
            return false;
        }
    }
    for (unsigned i = 0; i < patches; i++) {
        if (!varint_get(p, end, &b->patches[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t number_at(const uint8_t *packed, const PlainBlock *b, unsigned i) {
    uint64_t u = 0;
    for (unsigned k = 0; k < b->width; k++) {
        unsigned bit = i * b->width + k;
        u |= (uint64_t)(packed[bit / 8] >> bit % 8 & 1) << k;
    }
    for (unsigned k = 0; k < b->n_patches; k++) {
        if (b->positions[k] == i) {
            u = (uint64_t)b->patches[k];
        }
    }
    return u + (uint64_t)b->base;
}

bool ints_read_plain(const uint8_t *p, const uint8_t *end, uint32_t n, int64_t *y) {
    uint64_t divisor, last = 0;
    int64_t slope, line = 0;
    if (!uvarint_get(&p, end, &divisor) || divisor == 0 || !varint_get(&p, end, &slope)) {
        return false;
    }
    for (uint32_t at = 0; at < n;) {
        unsigned count = MIN(n - at, (uint32_t)INTS_BLOCK);
        PlainBlock b;
        if (at % INTS_SEGMENT == 0) {
            line = slope;
            last = ints_on_line(slope, at);
        }
        if (!read_head(&p, end, count, &line, &b) ||
            (count * b.width + 7) / 8 > (size_t)(end - p)) {
            return false;
        }
        uint64_t start = last;
        for (unsigned i = 0; i < count; i++) {
            uint64_t guess = start;
            if (b.guess == INTS_DELTA) {
                guess = last;
            } else if (b.guess != INTS_PLAIN) {
                guess += ints_on_line(line, i + 1);
            }
            last = guess + number_at(p, &b, i);
            y[at + i] = (int64_t)(last * divisor);
        }
        p += (count * b.width + 7) / 8;
        at += count;
    }
    return p == end;
}
