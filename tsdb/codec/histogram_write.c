/* The writer of histogram chunks: docs/formats/chunk.md, encodings 3 and 4. */
#include <assert.h>

#include "tsdb/codec/histogram_state.h"
#include "tsdb/codec/xor.h"

struct HistogramWriter {
    BitWriter out; /* the flags byte, then samples */
    HistogramState state;
    HistogramLayout fresh; /* working space */
    HistogramSample last;  /* owned copy; t and st of the last sample */
    int64_t min_time, delta;
    uint32_t n;
};

HistogramWriter *histogram_writer_new(void) {
    HistogramWriter *w = NEW(HistogramWriter);
    histogram_state_reset(&w->state);
    return w;
}

static void last_free(HistogramWriter *w) {
    mem_free((void *)w->last.h);
    mem_free((void *)w->last.fh);
    w->last = (HistogramSample){0};
}

void histogram_writer_free(HistogramWriter *w) {
    if (!w) {
        return;
    }
    HistogramState fresh = {.layout = w->fresh};
    histogram_state_deinit(&fresh);
    histogram_state_deinit(&w->state);
    last_free(w);
    mem_free(w->out.data);
    mem_free(w);
}

void histogram_writer_reset(HistogramWriter *w) {
    histogram_state_reset(&w->state);
    last_free(w);
    w->out.bits = 0;
    w->n = 0;
    w->delta = 0;
}

uint32_t histogram_writer_count(const HistogramWriter *w) { return w->n; }

HistogramSample histogram_writer_last(const HistogramWriter *w) { return w->last; }

size_t histogram_writer_memory(const HistogramWriter *w) {
    return sizeof(*w) + w->out.cap +
           (w->state.numbers.cap + w->state.scratch.cap) * sizeof(HistogramNumber);
}

Chunk histogram_writer_view(const HistogramWriter *w) {
    assert(w->n > 0);
    return (Chunk){.min_time = w->min_time,
                   .max_time = w->last.t,
                   .data = w->out.data,
                   .size = bit_writer_bytes(&w->out),
                   .n = w->n,
                   .encoding = w->last.h ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM};
}

bool histogram_writer_full(const HistogramWriter *w) {
    return w->n >= HISTOGRAM_OPEN_SAMPLES_MAX ||
           (w->n >= HISTOGRAM_OPEN_SAMPLES_MIN &&
            bit_writer_bytes(&w->out) >= HISTOGRAM_OPEN_BYTES_MAX);
}

static CounterResetHint hint_of(const HistogramSample *s) {
    return s->h ? s->h->reset_hint : s->fh->reset_hint;
}

bool histogram_writer_fits(const HistogramWriter *w, const HistogramSample *s) {
    if (w->n == 0) {
        return true;
    }
    uint8_t flags = w->out.data[0];
    if (!w->last.h != !s->h || (s->st && !(flags & HISTOGRAM_FLAG_ST))) {
        return false;
    }
    if (histogram_sample_is_stale(s)) {
        return true;
    }
    if (histogram_sample_is_stale(&w->last)) {
        return false;
    }
    if ((flags & HISTOGRAM_FLAG_GAUGE) || hint_of(s) == RESET_GAUGE) {
        return (flags & HISTOGRAM_FLAG_GAUGE) && hint_of(s) == RESET_GAUGE;
    }
    CounterResetHint hint = s->h ? histogram_reset_hint(w->last.h, s->h)
                                 : float_histogram_reset_hint(w->last.fh, s->fh);
    return hint == RESET_NO;
}

/* ---- times */

static bool fits(int64_t v, unsigned bits) {
    return v >= -(INT64_C(1) << (bits - 1)) && v < INT64_C(1) << (bits - 1);
}

static uint64_t low_bits(int64_t v, unsigned bits) {
    return (uint64_t)v & ((UINT64_C(1) << bits) - 1);
}

static void put_time(HistogramWriter *w, int64_t t) {
    /* Unsigned, as two times may lie further apart than an int64_t holds. */
    int64_t delta = (int64_t)((uint64_t)t - (uint64_t)w->last.t);
    int64_t change = (int64_t)((uint64_t)delta - (uint64_t)w->delta);
    if (change == 0) {
        bits_put_short(&w->out, 0, 1);
    } else if (fits(change, 6)) {
        bits_put_short(&w->out, UINT64_C(2) << 6 | low_bits(change, 6), 8);
    } else if (fits(change, 12)) {
        bits_put_short(&w->out, UINT64_C(6) << 12 | low_bits(change, 12), 15);
    } else if (fits(change, 20)) {
        bits_put_short(&w->out, UINT64_C(14) << 20 | low_bits(change, 20), 24);
    } else {
        bits_put_short(&w->out, 15, 4);
        bits_put(&w->out, (uint64_t)change, 64);
    }
    w->delta = delta;
}

static void put_start(HistogramWriter *w, int64_t st) {
    if (st == w->last.st) {
        bits_put_short(&w->out, 0, 1);
        return;
    }
    bits_put_short(&w->out, 1, 1);
    bits_put_sint(&w->out, (int64_t)((uint64_t)st - (uint64_t)w->last.st));
}

/* ---- layout */

static void put_threshold(BitWriter *w, double v) {
    uint64_t bits = double_bits(v);
    if (bits == 0) {
        bits_put_short(w, 0, 1);
    } else if (bits << 12 == 0 && bits >> 63 == 0) {
        bits_put_short(w, UINT64_C(2) << 11 | bits >> 52, 13);
    } else {
        bits_put_short(w, 3, 2);
        bits_put(w, bits, 64);
    }
}

static void put_spans(BitWriter *w, const BucketSpan *v, size_t n) {
    bits_put_uint(w, n);
    for (size_t i = 0; i < n; i++) {
        bits_put_uint(w, v[i].length);
        bits_put_sint(w, v[i].offset);
    }
}

/* Bounds that people choose are mostly thousandths. */
static void put_bounds(BitWriter *w, const double *v, size_t n) {
    bits_put_uint(w, n);
    for (size_t i = 0; i < n; i++) {
        double thousand = v[i] * 1000;
        bool whole = thousand >= 0 && thousand < (double)(INT64_C(1) << 40);
        uint64_t m = whole ? (uint64_t)(thousand + 0.5) : 0;
        if (whole && double_bits((double)m / 1000) == double_bits(v[i])) {
            bits_put_short(w, 0, 1);
            bits_put_uint(w, m);
        } else {
            bits_put_short(w, 1, 1);
            bits_put(w, double_bits(v[i]), 64);
        }
    }
}

static void put_layout(BitWriter *w, const HistogramLayout *l) {
    bits_put_sint(w, l->schema);
    put_threshold(w, l->zero_threshold);
    put_spans(w, l->positive_spans.v, l->positive_spans.n);
    put_spans(w, l->negative_spans.v, l->negative_spans.n);
    put_bounds(w, l->custom_values.v, l->custom_values.n);
}

#define FILL_LIST(list, from, count)                                                               \
    do {                                                                                           \
        (list)->n = (count);                                                                       \
        vec_reserve(list, (size_t)(count));                                                        \
        if ((count) > 0)                                                                           \
            memcpy((list)->v, from, (count) * sizeof(*(list)->v));                                 \
    } while (0)

#define FILL_LAYOUT(l, x)                                                                          \
    do {                                                                                           \
        (l)->schema = (x)->schema;                                                                 \
        (l)->zero_threshold = (x)->zero_threshold;                                                 \
        (l)->n_positive = (x)->n_positive;                                                         \
        (l)->n_negative = (x)->n_negative;                                                         \
        FILL_LIST(&(l)->positive_spans, (x)->positive_spans, (x)->n_positive_spans);               \
        FILL_LIST(&(l)->negative_spans, (x)->negative_spans, (x)->n_negative_spans);               \
        FILL_LIST(&(l)->custom_values, (x)->custom_values, (x)->n_custom);                         \
    } while (0)

#define SAME_BYTES(list, from, count)                                                              \
    ((list)->n == (count) &&                                                                       \
     ((count) == 0 || memcmp((list)->v, from, (count) * sizeof(*(list)->v)) == 0))

#define SAME_LAYOUT(l, x)                                                                          \
    ((l)->schema == (x)->schema &&                                                                 \
     double_bits((l)->zero_threshold) == double_bits((x)->zero_threshold) &&                       \
     SAME_BYTES(&(l)->positive_spans, (x)->positive_spans, (x)->n_positive_spans) &&               \
     SAME_BYTES(&(l)->negative_spans, (x)->negative_spans, (x)->n_negative_spans) &&               \
     SAME_BYTES(&(l)->custom_values, (x)->custom_values, (x)->n_custom))

static bool same_layout(const HistogramWriter *w, const HistogramSample *s) {
    const HistogramLayout *l = &w->state.layout;
    return s->h ? SAME_LAYOUT(l, s->h) : SAME_LAYOUT(l, s->fh);
}

static void new_layout(HistogramWriter *w, const HistogramSample *s) {
    if (s->h) {
        FILL_LAYOUT(&w->fresh, s->h);
    } else {
        FILL_LAYOUT(&w->fresh, s->fh);
    }
    put_layout(&w->out, &w->fresh);
    histogram_state_relayout(&w->state, &w->fresh);
}

/* ---- numbers */

static void put_number(BitWriter *w, HistogramNumber *n, uint64_t v) {
    uint64_t distance = zigzag_encode((int64_t)(v - number_expected(n)));
    unsigned k = number_rice_bits(n);
    if (distance >> k < RICE_ONES_MAX) {
        unsigned ones = (unsigned)(distance >> k);
        bits_put_short(w, (UINT64_C(1) << (ones + 1)) - 2, ones + 1);
        bits_put_short(w, distance & ((UINT64_C(1) << k) - 1), k);
    } else {
        unsigned length = 64 - (unsigned)__builtin_clzll(distance | 1);
        bits_put_short(w, (UINT64_C(1) << RICE_ONES_MAX) - 1, RICE_ONES_MAX);
        bits_put_short(w, length - 1, 6);
        bits_put(w, distance, length);
    }
    number_learn(n, v, distance);
}

/* As a value of encoding 1. */
static void put_float(BitWriter *w, HistogramNumber *n, double v) {
    uint64_t x = double_bits(v) ^ n->v;
    n->v = double_bits(v);
    if (x == 0) {
        bits_put_short(w, 0, 1);
        return;
    }
    unsigned leading = MIN((unsigned)__builtin_clzll(x), XOR_LEADING_MAX);
    unsigned trailing = (unsigned)__builtin_ctzll(x);
    unsigned width = 64 - leading - trailing;
    if (n->width && leading >= n->leading && leading + width <= n->leading + (unsigned)n->width &&
        n->width <= width + XOR_WINDOW_BITS) {
        bits_put_short(w, 2, 2);
        bits_put(w, x >> (64 - n->leading - n->width), n->width);
        return;
    }
    bits_put_short(w, UINT64_C(3) << 11 | leading << 6 | (width - 1), 13);
    bits_put(w, x >> trailing, width);
    n->leading = (uint8_t)leading;
    n->width = (uint8_t)width;
}

static uint64_t put_side(BitWriter *w, HistogramNumber *n, const int64_t *deltas, uint32_t count) {
    uint64_t v = 0, sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        v += (uint64_t)deltas[i];
        sum += v;
        put_number(w, &n[i], v);
    }
    return sum;
}

static void put_values(HistogramWriter *w, const Histogram *h) {
    HistogramNumber *n = w->state.numbers.v;
    put_number(&w->out, &n[NUMBER_ZERO], h->zero_count);
    uint64_t sum = put_side(&w->out, n + NUMBERS_FIXED, h->positive, h->n_positive);
    sum += put_side(&w->out, n + NUMBERS_FIXED + h->n_positive, h->negative, h->n_negative);
    put_number(&w->out, &n[NUMBER_COUNT], h->count - h->zero_count - sum);
    put_float(&w->out, &n[NUMBER_SUM], h->sum);
}

static void put_float_values(HistogramWriter *w, const FloatHistogram *h) {
    HistogramNumber *n = w->state.numbers.v;
    put_float(&w->out, &n[NUMBER_ZERO], h->zero_count);
    for (uint32_t i = 0; i < h->n_positive; i++) {
        put_float(&w->out, &n[NUMBERS_FIXED + i], h->positive[i]);
    }
    for (uint32_t i = 0; i < h->n_negative; i++) {
        put_float(&w->out, &n[NUMBERS_FIXED + h->n_positive + i], h->negative[i]);
    }
    put_float(&w->out, &n[NUMBER_COUNT], h->count);
    put_float(&w->out, &n[NUMBER_SUM], h->sum);
}

/* ---- samples */

/* `last` becomes s; what it held is reused when nothing but times changed. */
static void remember(HistogramWriter *w, const HistogramSample *s, bool repeated) {
    if (!repeated) {
        last_free(w);
        w->last.h = s->h ? histogram_dup(s->h) : NULL;
        w->last.fh = s->fh ? float_histogram_dup(s->fh) : NULL;
    }
    w->last.t = s->t;
    w->last.st = s->st;
}

static void begin(HistogramWriter *w, const HistogramSample *s) {
    unsigned flags =
        (hint_of(s) == RESET_GAUGE ? HISTOGRAM_FLAG_GAUGE : 0) | (s->st ? HISTOGRAM_FLAG_ST : 0);
    bits_put_short(&w->out, flags, 8);
    w->min_time = w->last.t = s->t;
    w->last.st = 0;
}

void histogram_writer_add(HistogramWriter *w, const HistogramSample *s) {
    bool stale = histogram_sample_is_stale(s);
    bool repeated = w->n > 0 && !stale && histogram_sample_same(s, &w->last);
    if (w->n == 0) {
        begin(w, s);
    } else {
        assert(s->t > w->last.t);
        put_time(w, s->t);
    }
    if (w->out.data[0] & HISTOGRAM_FLAG_ST) {
        put_start(w, s->st);
    }
    w->n++;
    if (repeated) {
        bits_put_short(&w->out, 0, 1);
    } else if (stale) {
        bits_put_short(&w->out, 7, 3);
    } else if (w->n > 1 && same_layout(w, s)) {
        bits_put_short(&w->out, 2, 2);
    } else {
        bits_put_short(&w->out, 6, 3);
        new_layout(w, s);
    }
    if (!repeated && !stale && s->h) {
        put_values(w, s->h);
    } else if (!repeated && !stale) {
        put_float_values(w, s->fh);
    }
    remember(w, s, repeated);
}
