/* Values read in the plainest way: for tests to hold the fast reader to. */
#include "base/err.h"
#include "base/varint.h"
#include "tsdb/codec/scale.h"
#include "tsdb/codec/values.h"
#include "tsdb/codec/xor.h"

static double plain_double(const uint8_t *p) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        bits |= (uint64_t)p[i] << 8 * i;
    }
    return double_of_bits(bits);
}

/* How packed values begin. */
typedef struct PlainHead {
    double divisor;
    int64_t first;
    uint64_t n_exceptions;
    const uint8_t *exceptions;
} PlainHead;

static int plain_scale(uint8_t head, const uint8_t **p, const uint8_t *end, double *ret) {
    Scale s = {false, head & PACKED_DIGITS};
    if (head & PACKED_UNUSED) {
        return -EBADMSG;
    }
    if (s.digits == PACKED_BINARY) {
        if (*p == end) {
            return -EBADMSG;
        }
        s = (Scale){true, (int8_t) * (*p)++};
    } else if (s.digits > SCALE_DECIMALS_MAX) {
        return -EBADMSG;
    }
    *ret = scale_divisor(s);
    return 0;
}

/* Without v: only steps over them. */
static int plain_exceptions(const PlainHead *h, const uint8_t **p, const uint8_t *end, uint32_t n,
                            double *v) {
    uint64_t at = 0, gap;
    for (uint64_t i = 0; i < h->n_exceptions; i++) {
        if (!uvarint_get(p, end, &gap) || gap >= n - at || end - *p < 8) {
            return -EBADMSG;
        }
        at += gap;
        if (v) {
            v[at] = plain_double(*p);
        }
        *p += 8;
    }
    return 0;
}

static int plain_head(const uint8_t **p, const uint8_t *end, uint32_t n, PlainHead *h) {
    *h = (PlainHead){0};
    if (*p == end) {
        return -EBADMSG;
    }
    uint8_t head = *(*p)++;
    int r = plain_scale(head, p, end, &h->divisor);
    if (r < 0 || !varint_get(p, end, &h->first)) {
        return -EBADMSG;
    }
    if (!(head & PACKED_EXCEPTIONS)) {
        return 0;
    }
    if (!uvarint_get(p, end, &h->n_exceptions) || h->n_exceptions > n) {
        return -EBADMSG;
    }
    h->exceptions = *p;
    return plain_exceptions(h, p, end, n, NULL);
}

static int plain_scaled(const uint8_t *p, const uint8_t *end, uint32_t n, bool coded,
                        const double *base, double *v) {
    int64_t y[CHUNK_SAMPLES_MAX];
    PlainHead h;
    int r = plain_head(&p, end, n, &h);
    if (r < 0 || !(coded ? coded_read_plain(p, end, n, y) : ints_read_plain(p, end, n, y))) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (double)(int64_t)((uint64_t)h.first + (uint64_t)y[i]) / h.divisor;
        if (base) {
            v[i] += values_base(base[i]);
        }
    }
    return plain_exceptions(&h, &h.exceptions, end, n, v);
}

static int plain_raw(const uint8_t *p, const uint8_t *end, uint32_t n, double *v) {
    if ((size_t)(end - p) != 8 * (size_t)n) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = plain_double(p + 8 * (size_t)i);
    }
    return 0;
}

static int plain_constant(const uint8_t *p, const uint8_t *end, uint32_t n, const double *base,
                          double *v) {
    uint64_t bits;
    if (!uvarint_get(&p, end, &bits) || p != end) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = double_of_bits(__builtin_bswap64(bits));
        if (base) {
            v[i] += values_base(base[i]);
        }
    }
    return 0;
}

int values_read_plain(ValuesWay way, const uint8_t *p, const uint8_t *end, uint32_t n,
                      const double *base, double *v) {
    if (base && (way == VALUES_XOR || way == VALUES_RAW)) {
        return -EBADMSG;
    }
    switch (way) {
    case VALUES_CONSTANT: return plain_constant(p, end, n, base, v);
    case VALUES_PACKED: return plain_scaled(p, end, n, false, base, v);
    case VALUES_CODED: return plain_scaled(p, end, n, true, base, v);
    case VALUES_XOR: return xor_decode_values_plain(p, (uint32_t)(end - p), n, v);
    case VALUES_RAW: return plain_raw(p, end, n, v);
    }
    return -ENOTSUP;
}
