#include "tsdb/promblock/prom_bits.h"

#include "base/varint.h"

/* ---- bits, highest first */

void prom_put_bits(PromBitWriter *w, uint64_t v, unsigned n) {
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

void prom_put_end(PromBitWriter *w) {
    if (w->n) {
        prom_put_bits(w, 0, 8 - w->n);
    }
}

uint64_t prom_get_bits(PromBitReader *r, unsigned n) {
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

uint64_t prom_get_uvarint(PromBitReader *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = prom_get_bits(r, 8);
        v |= (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return v;
        }
    }
    r->bad = true;
    return 0;
}

void prom_put_uvarint(PromBitWriter *w, uint64_t v) {
    uint8_t bytes[UVARINT_BYTES_MAX];
    size_t n = uvarint_put(bytes, v);
    for (size_t i = 0; i < n; i++) {
        prom_put_bits(w, bytes[i], 8);
    }
}

/* ---- values */

void prom_put_xor(PromBitWriter *w, PromWindow *win, uint64_t x) {
    if (x == 0) {
        prom_put_bits(w, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(x), trailing = (unsigned)__builtin_ctzll(x);
    leading = MIN(leading, 31);
    if (win->any && leading >= win->leading && trailing >= win->trailing) {
        prom_put_bits(w, 2, 2);
    } else {
        *win = (PromWindow){leading, trailing, true};
        prom_put_bits(w, 3, 2);
        prom_put_bits(w, leading, 5);
        prom_put_bits(w, (64 - leading - trailing) & 63, 6);
    }
    prom_put_bits(w, x >> win->trailing, 64 - win->leading - win->trailing);
}

uint64_t prom_get_xor(PromBitReader *r, PromWindow *win) {
    if (!prom_get_bits(r, 1)) {
        return 0;
    }
    if (prom_get_bits(r, 1)) {
        unsigned leading = (unsigned)prom_get_bits(r, 5), bits = (unsigned)prom_get_bits(r, 6);
        bits = bits ? bits : 64;
        if (leading + bits > 64) {
            r->bad = true;
            return 0;
        }
        *win = (PromWindow){leading, 64 - leading - bits, true};
    } else if (!win->any) {
        r->bad = true;
        return 0;
    }
    return prom_get_bits(r, 64 - win->leading - win->trailing) << win->trailing;
}

/* ---- integers in classes */

static const uint8_t VARBIT_BITS[] = {3, 6, 9, 12, 18, 25, 56, 64};

/* The prefix of class i is i + 1 ones and, but for the last, a zero. */
static void put_class(PromBitWriter *w, unsigned i, uint64_t v) {
    bool last = i + 1 == ARRAY_LEN(VARBIT_BITS);
    prom_put_bits(w, last ? 0xff : (UINT64_C(1) << (i + 2)) - 2, last ? 8 : i + 2);
    prom_put_bits(w, v, VARBIT_BITS[i]);
}

/* -1: zero. */
static int get_class(PromBitReader *r) {
    int ones = 0;
    while (ones < (int)ARRAY_LEN(VARBIT_BITS) && prom_get_bits(r, 1)) {
        ones++;
    }
    return ones - 1;
}

void prom_put_varbit(PromBitWriter *w, int64_t v) {
    if (v == 0) {
        prom_put_bits(w, 0, 1);
        return;
    }
    unsigned i = 0;
    for (; VARBIT_BITS[i] < 64; i++) { /* lopsided: -3..4, -31..32 ... */
        int64_t half = INT64_C(1) << (VARBIT_BITS[i] - 1);
        if (v > -half && v <= half) {
            break;
        }
    }
    put_class(w, i, (uint64_t)v);
}

int64_t prom_get_varbit(PromBitReader *r) {
    int i = get_class(r);
    if (i < 0) {
        return 0;
    }
    unsigned bits = VARBIT_BITS[i];
    uint64_t v = prom_get_bits(r, bits);
    return bits < 64 && v > UINT64_C(1) << (bits - 1) ? (int64_t)(v - (UINT64_C(1) << bits))
                                                      : (int64_t)v;
}

void prom_put_varbit_uint(PromBitWriter *w, uint64_t v) {
    if (v == 0) {
        prom_put_bits(w, 0, 1);
        return;
    }
    unsigned i = 0;
    while (VARBIT_BITS[i] < 64 && v >> VARBIT_BITS[i]) {
        i++;
    }
    put_class(w, i, v);
}

uint64_t prom_get_varbit_uint(PromBitReader *r) {
    int i = get_class(r);
    return i < 0 ? 0 : prom_get_bits(r, VARBIT_BITS[i]);
}
