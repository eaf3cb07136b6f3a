/* The column of coded.h read number by number, for tests to hold the fast reader to. */
#include "base/varint.h"
#include "tsdb/codec/coded.h"
#include "tsdb/codec/ints.h"

typedef struct PlainCoded {
    uint64_t divisor, base;
    int64_t slope, anchors[CODED_STREAMS];
    uint8_t head, low_bits, symbols;
    uint16_t frequencies[CODED_SYMBOLS_MAX];
    uint32_t patch_at[CODED_NUMBERS_MAX / CODED_PATCHES_SHARE + 1];
    int64_t patch[CODED_NUMBERS_MAX / CODED_PATCHES_SHARE + 1];
    uint64_t n_patches;
    uint32_t states[CODED_STREAMS];
    uint64_t words[CODED_STREAMS];
} PlainCoded;

static bool plain_guess(PlainCoded *c, const uint8_t **p, const uint8_t *end) {
    int64_t v;
    if (c->head & CODED_DELTA) {
        for (unsigned s = 1; s < CODED_STREAMS; s++) {
            if (!varint_get(p, end, &v)) {
                return false;
            }
            c->anchors[s] = (int64_t)((uint64_t)c->anchors[s - 1] + (uint64_t)v);
        }
    } else if (!varint_get(p, end, &c->slope)) {
        return false;
    }
    if (!varint_get(p, end, &v)) {
        return false;
    }
    c->base = (uint64_t)v;
    return true;
}

static bool plain_patches(PlainCoded *c, const uint8_t **p, const uint8_t *end, uint32_t n) {
    uint64_t at = 0, gap;
    if (!(c->head & CODED_PATCHED)) {
        return true;
    }
    if (!uvarint_get(p, end, &c->n_patches) || c->n_patches == 0 ||
        c->n_patches > n / CODED_PATCHES_SHARE) {
        return false;
    }
    for (uint64_t i = 0; i < c->n_patches; i++) {
        if (!uvarint_get(p, end, &gap) || gap >= n - at || (i > 0 && gap == 0) ||
            !varint_get(p, end, &c->patch[i])) {
            return false;
        }
        at += gap;
        c->patch_at[i] = (uint32_t)at;
    }
    return true;
}

/* Returns where the low bits begin, NULL when there is no such column. */
static const uint8_t *plain_head(PlainCoded *c, const uint8_t *p, const uint8_t *end, uint32_t n) {
    if (!uvarint_get(&p, end, &c->divisor) || c->divisor == 0 || end - p < 3) {
        return NULL;
    }
    c->head = *p++;
    c->low_bits = *p++;
    c->symbols = *p++;
    if ((c->head & CODED_UNUSED) || c->low_bits > CODED_LOW_BITS_MAX || c->symbols == 0 ||
        c->symbols > CODED_SYMBOLS_MAX || !plain_guess(c, &p, end) ||
        !plain_patches(c, &p, end, n)) {
        return NULL;
    }
    CodedBits b = {p, end, 0};
    if (!coded_read_frequencies(&b, c->symbols, c->frequencies) || end - b.p < 16) {
        return NULL;
    }
    p = b.p;
    for (unsigned s = 0; s < CODED_STREAMS; s++) {
        for (unsigned i = 0; i < 4; i++) {
            c->states[s] |= (uint32_t)*p++ << 8 * i;
        }
    }
    for (unsigned s = 0; s + 1 < CODED_STREAMS; s++) {
        if (!uvarint_get(&p, end, &c->words[s]) || c->words[s] > n) {
            return NULL;
        }
    }
    return p;
}

/* The symbol of a state, and the state after it. */
static unsigned plain_symbol(const PlainCoded *c, uint32_t *state) {
    uint32_t slot = *state % (1u << CODED_SCALE_BITS), below = 0;
    unsigned s = 0;
    while (slot >= below + c->frequencies[s]) {
        below += c->frequencies[s++];
    }
    *state = c->frequencies[s] * (*state >> CODED_SCALE_BITS) + slot - below;
    return s;
}

static bool plain_stream(const PlainCoded *c, uint32_t state, const uint8_t *w,
                         const uint8_t *w_end, uint32_t n, uint64_t *u) {
    for (uint32_t i = 0; i < n; i++) {
        u[i] = plain_symbol(c, &state);
        if (state < CODED_STATE_MIN) {
            if (w == w_end) {
                return false;
            }
            state = state << 16 | w[0] | (uint32_t)w[1] << 8;
            w += 2;
        }
    }
    return state == CODED_STATE_MIN && w == w_end;
}

static bool plain_streams(PlainCoded *c, const uint8_t *w, const uint8_t *end, uint32_t n,
                          uint64_t *u) {
    uint32_t length = coded_stream_length(n);
    uint64_t all = (uint64_t)(end - w) / 2, sum = c->words[0] + c->words[1] + c->words[2];
    if ((end - w) % 2 || sum > all || all - sum > n) {
        return false;
    }
    c->words[3] = all - sum;
    for (unsigned s = 0; s < CODED_STREAMS; s++) {
        uint32_t from = length * s < n ? length * s : n, count = n - from;
        const uint8_t *w_end = w + 2 * c->words[s];
        if (!plain_stream(c, c->states[s], w, w_end, count < length ? count : length, u + from)) {
            return false;
        }
        w = w_end;
    }
    return true;
}

static void plain_numbers(const PlainCoded *c, const uint8_t *low, uint32_t n, int64_t *y) {
    uint64_t *u = (uint64_t *)y, before = 0;
    uint32_t length = coded_stream_length(n);
    for (uint32_t i = 0, patch = 0; i < n; i++) {
        uint64_t x = 0;
        for (unsigned k = 0; k < c->low_bits; k++) {
            uint64_t bit = (uint64_t)i * c->low_bits + k;
            x |= (uint64_t)(low[bit / 8] >> bit % 8 & 1) << k;
        }
        x |= u[i] << c->low_bits;
        if (patch < c->n_patches && c->patch_at[patch] == i) {
            x = (uint64_t)c->patch[patch++];
        }
        if (c->head & CODED_DELTA) {
            before = i % length == 0 ? (uint64_t)c->anchors[i / length] : before;
            x = i ? before + c->base + x : 0;
        } else {
            x += c->base + ints_on_line(c->slope, i);
        }
        before = x;
        y[i] = (int64_t)(x * c->divisor);
    }
}

bool coded_read_plain(const uint8_t *p, const uint8_t *end, uint32_t n, int64_t *y) {
    PlainCoded c = {0};
    if (n < CODED_NUMBERS_MIN || n > CODED_NUMBERS_MAX) {
        return false;
    }
    const uint8_t *low = plain_head(&c, p, end, n);
    size_t low_size = ((size_t)n * c.low_bits + 7) / 8;
    if (!low || (size_t)(end - low) < low_size ||
        !plain_streams(&c, low + low_size, end, n, (uint64_t *)y)) {
        return false;
    }
    plain_numbers(&c, low, n, y);
    return true;
}
