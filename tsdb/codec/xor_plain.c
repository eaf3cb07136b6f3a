/*
 * The format of xor.h read one bit at a time, by a check at every bit: too slow to serve queries,
 * plain enough to be believed. Tests hold the fast reader against it, and it finds the state in
 * which a writer left a chunk.
 */
#include "base/err.h"
#include "tsdb/codec/xor.h"

typedef struct BitReader {
    const uint8_t *data;
    uint64_t at, end; /* in bits */
    bool cut;         /* a bit behind the end was asked for */
} BitReader;

static unsigned bit(BitReader *r) {
    if (r->at >= r->end) {
        r->cut = true;
        return 0;
    }
    unsigned b = r->data[r->at / 8] >> (7 - r->at % 8) & 1;
    r->at++;
    return b;
}

static uint64_t bits(BitReader *r, unsigned n) {
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        v = v << 1 | bit(r);
    }
    return v;
}

/* The change of the step; 0 when there is none. */
static uint64_t read_change(BitReader *r) {
    static const unsigned sizes[] = {0, 6, 12, 20, 64};
    unsigned class = 0;
    while (class < 4 && bit(r)) {
        class ++;
    }
    unsigned n = sizes[class];
    uint64_t v = bits(r, n);
    if (n > 0 && n < 64 && v >> (n - 1)) {
        v -= UINT64_C(1) << n;
    }
    return v;
}

static bool read_value(BitReader *r, ChunkWriter *w) {
    if (!bit(r)) {
        return true;
    }
    if (bit(r)) {
        w->leading = (uint8_t)bits(r, 5);
        w->width = (uint8_t)(bits(r, 6) + 1);
    }
    if (w->width == 0 || w->leading + w->width > 64) {
        return false;
    }
    w->v ^= bits(r, w->width) << (64 - w->leading - w->width);
    return true;
}

static bool read_time(BitReader *r, ChunkWriter *w) {
    int64_t before = w->t;
    w->delta = (int64_t)((uint64_t)w->delta + read_change(r));
    w->t = (int64_t)((uint64_t)w->t + (uint64_t)w->delta);
    return w->t > before;
}

static bool rest_is_zero(BitReader *r) {
    if (r->end - r->at >= 8) {
        return false;
    }
    while (r->at < r->end) {
        if (bit(r)) {
            return false;
        }
    }
    return true;
}

int xor_decode_state(const Chunk *c, int64_t *t, double *v, ChunkWriter *ret) {
    BitReader r = {c->data, 0, (uint64_t)c->size * 8, false};
    ChunkWriter w = {.min_time = c->min_time, .t = c->min_time};
    for (uint32_t i = 0; i < c->n; i++) {
        if (i > 0 && !read_time(&r, &w)) {
            return -EBADMSG;
        }
        if (!read_value(&r, &w) || r.cut) {
            return -EBADMSG;
        }
        if (t) {
            t[i] = w.t;
        }
        if (v) {
            v[i] = double_of_bits(w.v);
        }
    }
    w.n = (uint16_t)c->n;
    w.bits = (uint32_t)r.at;
    if (w.t != c->max_time || !rest_is_zero(&r)) {
        return -EBADMSG;
    }
    *ret = w;
    return 0;
}

int xor_decode_plain(const Chunk *c, int64_t *t, double *v) {
    ChunkWriter ignored;
    return xor_decode_state(c, t, v, &ignored);
}

int xor_decode_values_plain(const uint8_t *data, uint32_t size, uint32_t n, double *v) {
    BitReader r = {data, 0, (uint64_t)size * 8, false};
    ChunkWriter w = {0};
    for (uint32_t i = 0; i < n; i++) {
        if (!read_value(&r, &w) || r.cut) {
            return -EBADMSG;
        }
        v[i] = double_of_bits(w.v);
    }
    return rest_is_zero(&r) ? 0 : -EBADMSG;
}
