/* The format named in columns.h, read in the plainest way: for tests to hold the fast one to. */
#include <endian.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/varint.h"
#include "tsdb/codec/columns.h"
#include "tsdb/codec/xor.h"

static int plain_times(const Chunk *c, const uint8_t *p, const uint8_t *end, bool packed,
                       int64_t *t) {
    uint64_t span = (uint64_t)c->max_time - (uint64_t)c->min_time;
    if (packed && !ints_read_plain(p, end, c->n, t)) {
        return -EBADMSG;
    }
    if (!packed && c->n > 1 && span % (c->n - 1) != 0) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t gone = packed ? (uint64_t)t[i] : c->n > 1 ? span / (c->n - 1) * i : 0;
        t[i] = (int64_t)((uint64_t)c->min_time + gone);
        if (i > 0 && t[i] <= t[i - 1]) {
            return -EBADMSG;
        }
    }
    return t[0] == c->min_time && t[c->n - 1] == c->max_time ? 0 : -EBADMSG;
}

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

static int plain_packed(const uint8_t *p, const uint8_t *end, uint32_t n, double *v) {
    int64_t y[CHUNK_SAMPLES_MAX];
    PlainHead h;
    int r = plain_head(&p, end, n, &h);
    if (r < 0 || !ints_read_plain(p, end, n, y)) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (double)(int64_t)((uint64_t)h.first + (uint64_t)y[i]) / h.divisor;
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

static int plain_constant(const uint8_t *p, const uint8_t *end, uint32_t n, double *v) {
    uint64_t bits;
    if (!uvarint_get(&p, end, &bits) || p != end) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = double_of_bits(__builtin_bswap64(bits));
    }
    return 0;
}

int columns_decode_plain(const Chunk *c, int64_t *t, double *v) {
    const uint8_t *p = c->data, *end = p + c->size, *times = NULL;
    uint8_t head = *p++;
    uint64_t size = 0;
    unsigned times_kind = head & 15, values_kind = head >> 4;
    if (times_kind > TIMES_PACKED) {
        return -ENOTSUP;
    }
    if (times_kind == TIMES_PACKED &&
        (!uvarint_get(&p, end, &size) || size > (uint64_t)(end - p))) {
        return -EBADMSG;
    }
    times = p;
    p += size;
    if (values_kind > VALUES_RAW) {
        return -ENOTSUP;
    }
    int r = plain_times(c, times, p, times_kind == TIMES_PACKED, t);
    if (r < 0) {
        return r;
    }
    switch (values_kind) {
    case VALUES_CONSTANT: return plain_constant(p, end, c->n, v);
    case VALUES_PACKED: return plain_packed(p, end, c->n, v);
    case VALUES_XOR: return xor_decode_values_plain(p, (uint32_t)(end - p), c->n, v);
    default: return plain_raw(p, end, c->n, v);
    }
}
