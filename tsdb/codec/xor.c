/* The writer and the fast reader of the format drawn in xor.h. */
#include "tsdb/codec/xor.h"

#include <assert.h>

#include "base/compiler.h"
#include "base/err.h"

static inline void store_be64(uint8_t *p, uint64_t v) {
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

/* Behind the last bit, k <= 56: one store of eight bytes, of which the last ones are zeros. */
static inline void put_short(ChunkWriter *w, uint8_t *data, uint64_t v, unsigned k) {
    uint8_t *p = data + (w->bits >> 3);
    unsigned used = w->bits & 7;
    uint64_t kept = used ? (uint64_t)(*p & (0xff00u >> used) & 0xff) << 56 : 0;
    store_be64(p, kept | v << (64 - used - k));
    w->bits += k;
}

static inline void put(ChunkWriter *w, uint8_t *data, uint64_t v, unsigned k) {
    if (UNLIKELY(k > 56)) {
        put_short(w, data, v >> 32, k - 32);
        v &= UINT32_MAX;
        k = 32;
    }
    put_short(w, data, v, k);
}

static inline bool fits(int64_t v, unsigned bits) {
    return v >= -(INT64_C(1) << (bits - 1)) && v < INT64_C(1) << (bits - 1);
}

static inline uint64_t low_bits(int64_t v, unsigned bits) {
    return (uint64_t)v & ((UINT64_C(1) << bits) - 1);
}

static void put_time(ChunkWriter *w, uint8_t *data, int64_t t) {
    /* Unsigned, as two times may lie further apart than an int64_t holds. */
    int64_t delta = (int64_t)((uint64_t)t - (uint64_t)w->t);
    int64_t change = (int64_t)((uint64_t)delta - (uint64_t)w->delta);
    if (change == 0) {
        put_short(w, data, 0, 1);
    } else if (fits(change, 6)) {
        put_short(w, data, UINT64_C(2) << 6 | low_bits(change, 6), 8);
    } else if (fits(change, 12)) {
        put_short(w, data, UINT64_C(6) << 12 | low_bits(change, 12), 15);
    } else if (fits(change, 20)) {
        put_short(w, data, UINT64_C(14) << 20 | low_bits(change, 20), 24);
    } else {
        put_short(w, data, 15, 4);
        put(w, data, (uint64_t)change, 64);
    }
    w->delta = delta;
    w->t = t;
}

static void put_value(ChunkWriter *w, uint8_t *data, uint64_t bits) {
    uint64_t x = bits ^ w->v;
    w->v = bits;
    if (x == 0) {
        put_short(w, data, 0, 1);
        return;
    }
    unsigned leading = MIN((unsigned)__builtin_clzll(x), XOR_LEADING_MAX);
    unsigned trailing = (unsigned)__builtin_ctzll(x);
    unsigned width = 64 - leading - trailing;
    /* The old window is kept while it covers x and a new one would not pay for its statement. */
    if (w->width && leading >= w->leading && leading + width <= w->leading + (unsigned)w->width &&
        w->width <= width + XOR_WINDOW_BITS) {
        put_short(w, data, 2, 2);
        put(w, data, x >> (64 - w->leading - w->width), w->width);
        return;
    }
    put_short(w, data, UINT64_C(3) << 11 | leading << 6 | (width - 1), 13);
    put(w, data, x >> trailing, width);
    w->leading = (uint8_t)leading;
    w->width = (uint8_t)width;
}

void xor_append(ChunkWriter *w, uint8_t *data, int64_t t, double v) {
    if (w->n == 0) {
        w->min_time = w->t = t;
    } else {
        assert(t > w->t);
        put_time(w, data, t);
    }
    put_value(w, data, double_bits(v));
    w->n++;
}

void xor_append_value(ChunkWriter *w, uint8_t *data, double v) {
    put_value(w, data, double_bits(v));
    w->n++;
}

/*
 * Reading: `at` is a bit position that only grows. What lies behind the end reads as zeros, so that
 * the loop needs no checks; the end of the decoding compares where it got with where the bytes end.
 */
typedef struct XorReader {
    const uint8_t *data;
    uint32_t size;
    uint32_t at;
} XorReader;

static uint64_t peek_tail(const XorReader *r, uint32_t byte) {
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        v = v << 8 | (byte + i < r->size ? r->data[byte + i] : 0);
    }
    return v;
}

/* The next bits from the top down; at least 57 of them count. */
static inline uint64_t peek(const XorReader *r) {
    uint32_t byte = r->at >> 3;
    uint64_t v;
    if (LIKELY((uint64_t)byte + 8 <= r->size)) {
        memcpy(&v, r->data + byte, sizeof(v));
        v = __builtin_bswap64(v);
    } else {
        v = peek_tail(r, byte);
    }
    return v << (r->at & 7);
}

static inline uint64_t take(XorReader *r, unsigned k) {
    uint64_t high = 0;
    if (UNLIKELY(k > 56)) {
        high = peek(r) >> (96 - k) << 32;
        r->at += k - 32;
        k = 32;
    }
    uint64_t v = peek(r) >> (64 - k);
    r->at += k;
    return high | v;
}

/* The k bits of v that follow `skip` ones, with their sign. */
static inline int64_t signed_bits(uint64_t v, unsigned skip, unsigned k) {
    return (int64_t)(v << skip) >> (64 - k);
}

static inline int64_t take_change(XorReader *r, uint64_t next) {
    if (next < UINT64_C(0xc) << 60) {
        r->at += 8;
        return signed_bits(next, 2, 6);
    }
    if (next < UINT64_C(0xe) << 60) {
        r->at += 15;
        return signed_bits(next, 3, 12);
    }
    if (next < UINT64_C(0xf) << 60) {
        r->at += 24;
        return signed_bits(next, 4, 20);
    }
    r->at += 4;
    return (int64_t)take(r, 64);
}

typedef struct XorWindow {
    unsigned width, shift; /* width 0: none stated yet */
} XorWindow;

/* False: a window that does not lie in 64 bits, or the use of one before there is any. */
static inline bool take_xor(XorReader *r, uint64_t next, XorWindow *w, uint64_t *ret) {
    if (next < UINT64_C(3) << 62) {
        r->at += 2;
    } else {
        unsigned leading = next >> 57 & 31;
        w->width = (next >> 51 & 63) + 1;
        r->at += 13;
        if (UNLIKELY(leading + w->width > 64)) {
            return false;
        }
        w->shift = 64 - leading - w->width;
    }
    if (UNLIKELY(w->width == 0)) {
        return false;
    }
    *ret = take(r, w->width) << w->shift;
    return true;
}

static bool ends_here(const XorReader *r) {
    if (((uint64_t)r->at + 7) / 8 != r->size) {
        return false;
    }
    unsigned used = r->at & 7;
    return used == 0 || (uint8_t)(r->data[r->size - 1] << used) == 0;
}

int xor_decode(const Chunk *c, int64_t *ret_t, double *ret_v) {
    XorReader r = {c->data, c->size, 0};
    XorWindow window = {0, 0};
    uint64_t v = 0, delta = 0;
    int64_t t = c->min_time;
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t next = peek(&r);
        if (i > 0) {
            if (LIKELY(next >> 63 == 0)) {
                r.at++;
                next <<= 1;
            } else {
                delta += (uint64_t)take_change(&r, next);
                next = peek(&r);
            }
            int64_t last = t;
            t = (int64_t)((uint64_t)t + delta);
            if (UNLIKELY(t <= last)) {
                return -EBADMSG;
            }
        }
        ret_t[i] = t;
        if (next >> 63 == 0) {
            r.at++;
        } else {
            uint64_t x = 0;
            if (UNLIKELY(!take_xor(&r, next, &window, &x))) {
                return -EBADMSG;
            }
            v ^= x;
        }
        ret_v[i] = double_of_bits(v);
    }
    return t == c->max_time && ends_here(&r) ? 0 : -EBADMSG;
}

int xor_decode_values(const uint8_t *data, uint32_t size, uint32_t n, uint32_t from, uint32_t to,
                      double *ret_v) {
    XorReader r = {data, size, 0};
    XorWindow window = {0, 0};
    uint64_t v = 0;
    for (uint32_t i = 0; i < to; i++) {
        uint64_t next = peek(&r), x = 0;
        if (next >> 63 == 0) {
            r.at++;
        } else if (UNLIKELY(!take_xor(&r, next, &window, &x))) {
            return -EBADMSG;
        }
        v ^= x;
        if (i >= from) {
            ret_v[i - from] = double_of_bits(v);
        }
    }
    return to < n || ends_here(&r) ? 0 : -EBADMSG;
}
