/* The fast reader of the format named in columns.h. */
#include "tsdb/codec/columns.h"

#include <endian.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/varint.h"
#include "tsdb/codec/xor.h"

typedef struct Bytes {
    const uint8_t *p, *end;
} Bytes;

/* ---- times ---- */

static int regular_times(const Chunk *c, uint64_t *ret_step) {
    uint64_t span = (uint64_t)c->max_time - (uint64_t)c->min_time;
    uint64_t steps = c->n - 1;
    *ret_step = steps ? span / steps : 0;
    bool even = steps ? span % steps == 0 && *ret_step > 0 : span == 0;
    return even ? 0 : -EBADMSG;
}

static void fill_regular(const Chunk *c, uint64_t step, uint32_t from, uint32_t to, int64_t *t) {
    uint64_t at = (uint64_t)c->min_time + step * from;
    for (uint32_t i = from; i < to; i++) {
        t[i - from] = (int64_t)at;
        at += step;
    }
}

/* The next block's times to t; they must rise from *before on. */
static int next_times(const Chunk *c, IntsReader *r, int64_t *before, int64_t *t) {
    int64_t y[INTS_BLOCK];
    uint32_t at = r->at;
    if (!ints_next(r, y)) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < r->at - at; i++) {
        t[i] = (int64_t)((uint64_t)c->min_time + (uint64_t)y[i]);
        if (t[i] <= *before && at + i > 0) {
            return -EBADMSG;
        }
        *before = t[i];
    }
    return 0;
}

static int read_packed(const Chunk *c, Bytes b, int64_t *t) {
    IntsReader r;
    int64_t before = INT64_MIN;
    if (!ints_open(&r, b.p, b.end, c->n)) {
        return -EBADMSG;
    }
    while (r.at < c->n) {
        if (next_times(c, &r, &before, t + r.at) < 0) {
            return -EBADMSG;
        }
    }
    return ints_ended(&r) && t[0] == c->min_time && before == c->max_time ? 0 : -EBADMSG;
}

/* Leaves r where the segment begins that `from` lies in, the first one at the least. */
static int find_segment(const Chunk *c, IntsReader *r, int64_t from) {
    IntsReader at = *r;
    int64_t t[INTS_BLOCK];
    while (at.at < c->n) {
        IntsReader segment = at;
        int64_t before = INT64_MIN;
        if (next_times(c, &at, &before, t) < 0) {
            return -EBADMSG;
        }
        if (segment.at > 0 && t[0] > from) {
            return 0;
        }
        *r = segment;
        if (!ints_skip_to(&at, MIN(segment.at + INTS_SEGMENT, c->n))) {
            return -EBADMSG;
        }
    }
    return 0;
}

/* The chunk's parts. */
typedef struct Parts {
    ColumnsTimes times_kind;
    ColumnsValues values_kind;
    Bytes times, values;
} Parts;

static int find_parts(const Chunk *c, Parts *ret) {
    Bytes b = {c->data, c->data + c->size};
    uint8_t head = *b.p++;
    uint64_t size = 0;
    *ret = (Parts){head & 15, head >> 4, b, b};
    if (ret->times_kind == TIMES_PACKED) {
        if (!uvarint_get(&b.p, b.end, &size) || size > (uint64_t)(b.end - b.p)) {
            return -EBADMSG;
        }
        ret->times = (Bytes){b.p, b.p + size};
        ret->values.p = b.p + size;
    } else if (ret->times_kind != TIMES_REGULAR) {
        return -ENOTSUP;
    }
    return ret->values_kind <= VALUES_RAW ? 0 : -ENOTSUP;
}

static int read_times(const Chunk *c, const Parts *p, int64_t *t) {
    if (p->times_kind == TIMES_PACKED) {
        return read_packed(c, p->times, t);
    }
    uint64_t step;
    int r = regular_times(c, &step);
    if (r == 0) {
        fill_regular(c, step, 0, c->n, t);
    }
    return r;
}

/* ---- values: samples from..to-1 of n, from a multiple of INTS_SEGMENT ---- */

typedef struct Window {
    uint32_t n, from, to;
} Window;

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

static int read_scaled(Bytes b, Window w, double *v) {
    PackedHead h;
    IntsReader ints;
    int64_t y[INTS_BLOCK];
    int r = read_packed_head(&b, w.n, &h);
    if (r < 0 || !ints_open(&ints, b.p, b.end, w.n) || !ints_skip_to(&ints, w.from)) {
        return -EBADMSG;
    }
    while (ints.at < w.to) {
        uint32_t at = ints.at;
        if (!ints_next(&ints, y)) {
            return -EBADMSG;
        }
        scale_block(y, MIN(ints.at, w.to) - at, h.first, h.divisor, v + (at - w.from));
    }
    if (w.to == w.n && !ints_ended(&ints)) {
        return -EBADMSG;
    }
    put_exceptions(&h, w, v);
    return 0;
}

static int read_values(const Parts *p, Window w, double *v) {
    switch (p->values_kind) {
    case VALUES_CONSTANT: return read_constant(p->values, w, v);
    case VALUES_PACKED: return read_scaled(p->values, w, v);
    case VALUES_XOR: return read_xor(p->values, w, v);
    case VALUES_RAW: return read_raw(p->values, w, v);
    }
    return -ENOTSUP;
}

/* ---- chunks ---- */

int columns_decode(const Chunk *c, int64_t *t, double *v) {
    Parts p;
    int r = find_parts(c, &p);
    if (r == 0) {
        r = read_times(c, &p, t);
    }
    return r < 0 ? r : read_values(&p, (Window){c->n, 0, c->n}, v);
}

/* How many of the times are smaller than `than`. */
static uint32_t count_before(const int64_t *t, uint32_t n, int64_t than) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t[middle] < than) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t regular_before(const Chunk *c, uint64_t step, int64_t than) {
    if (than <= c->min_time || step == 0) {
        return than > c->min_time;
    }
    uint64_t n = ((uint64_t)than - (uint64_t)c->min_time - 1) / step + 1;
    return (uint32_t)MIN(n, (uint64_t)c->n);
}

/* Samples first..end-1 were asked for; at least one, from the start of a segment on. */
static Window window_of(uint32_t n, uint32_t first, uint32_t end) {
    uint32_t from = MIN(first, n - 1) / INTS_SEGMENT * INTS_SEGMENT;
    return (Window){n, from, MAX(end, from + 1)};
}

static int range_regular(const Chunk *c, int64_t from, int64_t to, int64_t *t, Window *ret) {
    uint64_t step;
    int r = regular_times(c, &step);
    if (r == 0) {
        uint32_t end = to == INT64_MAX ? c->n : regular_before(c, step, to + 1);
        *ret = window_of(c->n, regular_before(c, step, from), end);
        fill_regular(c, step, ret->from, ret->to, t);
    }
    return r;
}

static int range_packed(const Chunk *c, Bytes b, int64_t from, int64_t to, int64_t *t,
                        Window *ret) {
    IntsReader r;
    int64_t last = INT64_MIN;
    if (!ints_open(&r, b.p, b.end, c->n) || find_segment(c, &r, from) < 0) {
        return -EBADMSG;
    }
    uint32_t first = r.at;
    while (r.at < c->n && (r.at == first || last <= to)) {
        if (next_times(c, &r, &last, t + (r.at - first)) < 0) {
            return -EBADMSG;
        }
    }
    uint32_t n = to == INT64_MAX ? r.at - first : count_before(t, r.at - first, to + 1);
    *ret = (Window){c->n, first, first + MAX(n, 1u)};
    return 0;
}

int columns_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                         uint32_t *ret_n) {
    Parts p;
    Window w = {0};
    int r = find_parts(c, &p);
    if (r == 0) {
        r = p.times_kind == TIMES_PACKED ? range_packed(c, p.times, from, to, t, &w)
                                         : range_regular(c, from, to, t, &w);
    }
    if (r < 0) {
        return r;
    }
    *ret_n = w.to - w.from;
    return read_values(&p, w, v);
}
