/* The fast reader of values, in each way that values.h names. */
#include "tsdb/codec/values.h"

#include <endian.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/varint.h"
#include "tsdb/codec/coded.h"
#include "tsdb/codec/ints.h"
#include "tsdb/codec/scale.h"
#include "tsdb/codec/xor.h"

typedef struct Bytes {
    const uint8_t *p, *end;
} Bytes;

/* Of n values those from..to-1. */
typedef struct Window {
    uint32_t n, from, to;
} Window;

/* What a difference is added to: numbers that are none count as 0. */
static void add_base(const double *base, uint32_t n, double *v) {
    for (uint32_t i = 0; i < n; i++) {
        v[i] += values_base(base[i]);
    }
}

static int read_constant(Bytes b, Window w, double *v) {
    uint64_t bits;
    if (!uvarint_get(&b.p, b.end, &bits) || b.p != b.end) {
        return -EBADMSG;
    }
    double value = double_of_bits(__builtin_bswap64(bits));
    for (uint32_t i = 0; i < w.to - w.from; i++) {
        v[i] = value;
    }
    return 0;
}

static double read_double(const uint8_t *p) {
    uint64_t bits;
    memcpy(&bits, p, sizeof(bits));
    return double_of_bits(le64toh(bits));
}

static int read_raw(Bytes b, Window w, double *v) {
    if ((size_t)(b.end - b.p) != 8 * (size_t)w.n) {
        return -EBADMSG;
    }
    for (uint32_t i = w.from; i < w.to; i++) {
        v[i - w.from] = read_double(b.p + 8 * (size_t)i);
    }
    return 0;
}

static int read_xor(Bytes b, Window w, double *v) {
    return xor_decode_values(b.p, (uint32_t)(b.end - b.p), w.n, w.from, w.to, v);
}

typedef struct PackedHead {
    double divisor;
    int64_t first;
    uint64_t n_exceptions;
    Bytes exceptions; /* from the first one on */
} PackedHead;

/* Steps over the exceptions, so that the column behind them is found. */
static int skip_exceptions(Bytes *b, uint32_t n, PackedHead *h) {
    uint64_t at = 0, gap;
    if (!uvarint_get(&b->p, b->end, &h->n_exceptions) || h->n_exceptions > n) {
        return -EBADMSG;
    }
    h->exceptions = *b;
    for (uint64_t i = 0; i < h->n_exceptions; i++) {
        if (!uvarint_get(&b->p, b->end, &gap) || gap >= n - at || b->end - b->p < 8) {
            return -EBADMSG;
        }
        at += gap;
        b->p += 8;
    }
    return 0;
}

static int read_packed_head(Bytes *b, uint32_t n, PackedHead *h) {
    *h = (PackedHead){0};
    if (b->p == b->end) {
        return -EBADMSG;
    }
    uint8_t head = *b->p++;
    Scale s = {false, head & PACKED_DIGITS};
    if (s.digits == PACKED_BINARY) {
        if (b->p == b->end) {
            return -EBADMSG;
        }
        s = (Scale){true, (int8_t)*b->p++};
    } else if (s.digits > SCALE_DECIMALS_MAX) {
        return -EBADMSG;
    }
    if (head & PACKED_UNUSED) {
        return -EBADMSG;
    }
    h->divisor = scale_divisor(s);
    if (!varint_get(&b->p, b->end, &h->first)) {
        return -EBADMSG;
    }
    return head & PACKED_EXCEPTIONS ? skip_exceptions(b, n, h) : 0;
}

static void put_exceptions(const PackedHead *h, Window w, double *v) {
    Bytes b = h->exceptions;
    uint64_t at = 0, gap = 0;
    for (uint64_t i = 0; i < h->n_exceptions; i++) {
        (void)uvarint_get(&b.p, b.end, &gap); /* skip_exceptions() has read it before */
        at += gap;
        if (at >= w.from && at < w.to) {
            v[at - w.from] = read_double(b.p);
        }
        b.p += 8;
    }
}

/*
 * Whole numbers of up to 51 bits become doubles by an addition: the bits of 1.5 * 2^52 + m are
 * those of 1.5 * 2^52, plus m. Unlike the instruction that converts, that is done for several at
 * once.
 */
#define SMALL_BITS 51
#define SMALL_BIAS 0x1.8p52

static inline bool are_small(const int64_t *y, uint32_t count, uint64_t first) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        all |= first + (uint64_t)y[i] + (UINT64_C(1) << SMALL_BITS);
    }
    return all >> (SMALL_BITS + 1) == 0;
}

static inline void scale_small(const int64_t *y, uint32_t count, uint64_t first, double divisor,
                               double *v) {
    uint64_t bias = double_bits(SMALL_BIAS) + first;
    if (divisor == 1) {
        for (uint32_t i = 0; i < count; i++) {
            v[i] = double_of_bits(bias + (uint64_t)y[i]) - SMALL_BIAS;
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        v[i] = (double_of_bits(bias + (uint64_t)y[i]) - SMALL_BIAS) / divisor;
    }
}

static void scale_block(const int64_t *y, uint32_t count, int64_t first, double divisor,
                        double *v) {
    /* A length that the compiler knows, for most blocks. */
    if (LIKELY(count == INTS_BLOCK) && are_small(y, INTS_BLOCK, (uint64_t)first)) {
        scale_small(y, INTS_BLOCK, (uint64_t)first, divisor, v);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        v[i] = (double)(int64_t)((uint64_t)first + (uint64_t)y[i]) / divisor;
    }
}

/* Values of one block, y[0] being number `at` of the chunk. */
static void give_block(const PackedHead *h, const int64_t *y, uint32_t at, uint32_t count, Window w,
                       double *v) {
    uint32_t skip = at < w.from ? w.from - at : 0;
    if (skip < count) {
        count = MIN(count, w.to - at);
        scale_block(y + skip, count - skip, h->first, h->divisor, v + (at + skip - w.from));
    }
}

static int read_ints(const PackedHead *h, Bytes b, Window w, double *v) {
    IntsReader ints;
    int64_t y[INTS_BLOCK];
    if (!ints_open(&ints, b.p, b.end, w.n) ||
        !ints_skip_to(&ints, w.from / INTS_SEGMENT * INTS_SEGMENT)) {
        return -EBADMSG;
    }
    while (ints.at < w.to) {
        uint32_t at = ints.at;
        if (!ints_next(&ints, y)) {
            return -EBADMSG;
        }
        give_block(h, y, at, ints.at - at, w, v);
    }
    return w.to < w.n || ints_ended(&ints) ? 0 : -EBADMSG;
}

static int read_coded(const PackedHead *h, Bytes b, Window w, double *v) {
    CodedReader coded;
    int64_t y[CODED_BLOCK];
    if (!coded_open(&coded, b.p, b.end, w.n, w.from, w.to)) {
        return -EBADMSG;
    }
    while (coded.at < w.to) {
        uint32_t at = coded.at;
        give_block(h, y, at, coded_next(&coded, y), w, v);
    }
    return 0;
}

static int read_scaled(Bytes b, Window w, bool coded, const double *base, double *v) {
    PackedHead h;
    int r = read_packed_head(&b, w.n, &h);
    if (r == 0) {
        r = coded ? read_coded(&h, b, w, v) : read_ints(&h, b, w, v);
    }
    if (r < 0) {
        return r;
    }
    if (base) {
        add_base(base, w.to - w.from, v);
    }
    put_exceptions(&h, w, v);
    return 0;
}

int values_read(ValuesWay way, const uint8_t *p, const uint8_t *end, uint32_t n, uint32_t from,
                uint32_t to, const double *base, double *v) {
    Bytes b = {p, end};
    Window w = {n, from, to};
    int r;
    switch (way) {
    case VALUES_CONSTANT:
        r = read_constant(b, w, v);
        if (r == 0 && base) {
            add_base(base, to - from, v);
        }
        return r;
    case VALUES_PACKED: return read_scaled(b, w, false, base, v);
    case VALUES_CODED: return read_scaled(b, w, true, base, v);
    case VALUES_XOR: return base ? -EBADMSG : read_xor(b, w, v);
    case VALUES_RAW: return base ? -EBADMSG : read_raw(b, w, v);
    }
    return -ENOTSUP;
}
