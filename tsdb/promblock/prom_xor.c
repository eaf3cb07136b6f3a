#include "tsdb/promblock/prom_xor.h"

#include "base/err.h"
#include "base/varint.h"
#include "tsdb/promblock/prom_bits.h"

/* ---- times */

static const struct TimeClass {
    unsigned prefix, prefix_bits, bits;
} TIME_CLASSES[] = {{2, 2, 14}, {6, 3, 17}, {14, 4, 20}, {15, 4, 64}};

static bool fits(int64_t v, unsigned bits) {
    return bits == 64 || (v >= -(INT64_C(1) << (bits - 1)) + 1 && v <= INT64_C(1) << (bits - 1));
}

static void put_step_change(PromBitWriter *w, int64_t change) {
    if (change == 0) {
        prom_put_bits(w, 0, 1);
        return;
    }
    const struct TimeClass *c = TIME_CLASSES;
    while (!fits(change, c->bits)) {
        c++;
    }
    prom_put_bits(w, c->prefix, c->prefix_bits);
    prom_put_bits(w, (uint64_t)change, c->bits);
}

static int64_t get_step_change(PromBitReader *r) {
    unsigned ones = 0;
    while (ones < 4 && prom_get_bits(r, 1)) {
        ones++;
    }
    if (ones == 0) {
        return 0;
    }
    unsigned bits = TIME_CLASSES[ones - 1].bits;
    uint64_t v = prom_get_bits(r, bits);
    /* The range is lopsided: the highest bit alone is the largest positive number. */
    return bits < 64 && v > UINT64_C(1) << (bits - 1) ? (int64_t)(v - (UINT64_C(1) << bits))
                                                      : (int64_t)v;
}

/* ---- chunks */

void prom_xor_encode(Buf *b, const int64_t *t, const double *v, size_t n) {
    buf_add_char(b, (char)(n >> 8));
    buf_add_char(b, (char)n);
    PromBitWriter w = {.b = b};
    PromWindow win = {0};
    int64_t step = 0;
    prom_put_uvarint(&w, zigzag_encode(t[0]));
    prom_put_bits(&w, double_bits(v[0]), 64);
    for (size_t i = 1; i < n; i++) {
        int64_t now = t[i] - t[i - 1];
        if (i == 1) {
            prom_put_uvarint(&w, (uint64_t)now);
        } else {
            put_step_change(&w, now - step);
        }
        step = now;
        prom_put_xor(&w, &win, double_bits(v[i]) ^ double_bits(v[i - 1]));
    }
    prom_put_end(&w);
}

int prom_xor_count(const uint8_t *data, size_t size) {
    return size < 2 ? -EBADMSG : data[0] << 8 | data[1];
}

int prom_xor_decode(const uint8_t *data, size_t size, int64_t *t, double *v) {
    int n = prom_xor_count(data, size);
    if (n < 0) {
        return n;
    }
    PromBitReader r = {.p = data + 2, .size = size - 2};
    PromWindow win = {0};
    uint64_t step = 0, bits = 0, at = 0;
    for (int i = 0; i < n && !r.bad; i++) {
        if (i == 0) {
            at = (uint64_t)zigzag_decode(prom_get_uvarint(&r));
            bits = prom_get_bits(&r, 64);
        } else {
            step = i == 1 ? prom_get_uvarint(&r) : step + (uint64_t)get_step_change(&r);
            at += step;
            bits ^= prom_get_xor(&r, &win);
        }
        t[i] = (int64_t)at;
        v[i] = double_of_bits(bits);
    }
    return r.bad ? -EBADMSG : 0;
}
