#include "tsdb/promblock/prom_xor.h"

#include "base/err.h"
#include "base/varint.h"
#include "model/sample.h"

/* ---- bits, highest first */

typedef struct BitWriter {
    Buf *b;
    uint64_t acc;
    unsigned n; /* bits in acc, < 8 between calls */
} BitWriter;

static void put_bits(BitWriter *w, uint64_t v, unsigned n) {
    while (n > 0) {
        unsigned take = MIN(8 - w->n, n);
        w->acc = w->acc << take | (v >> (n - take) & ((1u << take) - 1));
        w->n += take;
        n -= take;
        if (w->n == 8) {
            buf_add_char(w->b, (char)w->acc);
            w->acc = 0;
            w->n = 0;
        }
    }
}

static void put_end(BitWriter *w) {
    if (w->n) {
        put_bits(w, 0, 8 - w->n);
    }
}

typedef struct BitReader {
    const uint8_t *p;
    size_t size;
    size_t at; /* in bits */
    bool bad;
} BitReader;

static uint64_t get_bits(BitReader *r, unsigned n) {
    if (r->at + n > r->size * 8) {
        r->bad = true;
        return 0;
    }
    uint64_t v = 0;
    while (n > 0) {
        unsigned have = 8 - (unsigned)(r->at % 8), take = MIN(have, n);
        uint64_t byte = r->p[r->at / 8];
        v = v << take | (byte >> (have - take) & ((1u << take) - 1));
        r->at += take;
        n -= take;
    }
    return v;
}

static uint64_t get_uvarint(BitReader *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = get_bits(r, 8);
        v |= (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return v;
        }
    }
    r->bad = true;
    return 0;
}

static void put_uvarint(BitWriter *w, uint64_t v) {
    uint8_t bytes[UVARINT_BYTES_MAX];
    size_t n = uvarint_put(bytes, v);
    for (size_t i = 0; i < n; i++) {
        put_bits(w, bytes[i], 8);
    }
}

/* ---- times */

static const struct TimeClass {
    unsigned prefix, prefix_bits, bits;
} TIME_CLASSES[] = {{2, 2, 14}, {6, 3, 17}, {14, 4, 20}, {15, 4, 64}};

static bool fits(int64_t v, unsigned bits) {
    return bits == 64 || (v >= -(INT64_C(1) << (bits - 1)) + 1 && v <= INT64_C(1) << (bits - 1));
}

static void put_step_change(BitWriter *w, int64_t change) {
    if (change == 0) {
        put_bits(w, 0, 1);
        return;
    }
    const struct TimeClass *c = TIME_CLASSES;
    while (!fits(change, c->bits)) {
        c++;
    }
    put_bits(w, c->prefix, c->prefix_bits);
    put_bits(w, (uint64_t)change, c->bits);
}

static int64_t get_step_change(BitReader *r) {
    unsigned ones = 0;
    while (ones < 4 && get_bits(r, 1)) {
        ones++;
    }
    if (ones == 0) {
        return 0;
    }
    unsigned bits = TIME_CLASSES[ones - 1].bits;
    uint64_t v = get_bits(r, bits);
    /* The range is lopsided: the highest bit alone is the largest positive number. */
    return bits < 64 && v > UINT64_C(1) << (bits - 1) ? (int64_t)(v - (UINT64_C(1) << bits))
                                                      : (int64_t)v;
}

/* ---- values */

typedef struct Window {
    unsigned leading, trailing;
    bool any;
} Window;

static void put_value(BitWriter *w, Window *win, uint64_t x) {
    if (x == 0) {
        put_bits(w, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(x), trailing = (unsigned)__builtin_ctzll(x);
    leading = MIN(leading, 31);
    if (win->any && leading >= win->leading && trailing >= win->trailing) {
        put_bits(w, 2, 2);
    } else {
        *win = (Window){leading, trailing, true};
        put_bits(w, 3, 2);
        put_bits(w, leading, 5);
        put_bits(w, (64 - leading - trailing) & 63, 6);
    }
    put_bits(w, x >> win->trailing, 64 - win->leading - win->trailing);
}

static uint64_t get_value(BitReader *r, Window *win) {
    if (!get_bits(r, 1)) {
        return 0;
    }
    if (get_bits(r, 1)) {
        unsigned leading = (unsigned)get_bits(r, 5), bits = (unsigned)get_bits(r, 6);
        bits = bits ? bits : 64;
        if (leading + bits > 64) {
            r->bad = true;
            return 0;
        }
        *win = (Window){leading, 64 - leading - bits, true};
    } else if (!win->any) {
        r->bad = true;
        return 0;
    }
    return get_bits(r, 64 - win->leading - win->trailing) << win->trailing;
}

/* ---- chunks */

void prom_xor_encode(Buf *b, const int64_t *t, const double *v, size_t n) {
    buf_add_char(b, (char)(n >> 8));
    buf_add_char(b, (char)n);
    BitWriter w = {.b = b};
    Window win = {0};
    int64_t step = 0;
    put_uvarint(&w, zigzag_encode(t[0]));
    put_bits(&w, double_bits(v[0]), 64);
    for (size_t i = 1; i < n; i++) {
        int64_t now = t[i] - t[i - 1];
        if (i == 1) {
            put_uvarint(&w, (uint64_t)now);
        } else {
            put_step_change(&w, now - step);
        }
        step = now;
        put_value(&w, &win, double_bits(v[i]) ^ double_bits(v[i - 1]));
    }
    put_end(&w);
}

int prom_xor_count(const uint8_t *data, size_t size) {
    return size < 2 ? -EBADMSG : data[0] << 8 | data[1];
}

int prom_xor_decode(const uint8_t *data, size_t size, int64_t *t, double *v) {
    int n = prom_xor_count(data, size);
    if (n < 0) {
        return n;
    }
    BitReader r = {.p = data + 2, .size = size - 2};
    Window win = {0};
    uint64_t step = 0, bits = 0, at = 0;
    for (int i = 0; i < n && !r.bad; i++) {
        if (i == 0) {
            at = (uint64_t)zigzag_decode(get_uvarint(&r));
            bits = get_bits(&r, 64);
        } else {
            step = i == 1 ? get_uvarint(&r) : step + (uint64_t)get_step_change(&r);
            at += step;
            bits ^= get_value(&r, &win);
        }
        t[i] = (int64_t)at;
        v[i] = double_of_bits(bits);
    }
    return r.bad ? -EBADMSG : 0;
}
