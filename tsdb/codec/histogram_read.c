/* The reader of histogram chunks: docs/formats/chunk.md, encodings 3 and 4. */
#include "base/err.h"
#include "tsdb/codec/histogram_state.h"

/* Each bit gives a bucket at most, and each histogram takes some more. */
#define MEMORY_MIN (1u << 20)
#define MEMORY_PER_BYTE 512

typedef struct HistogramReader {
    BitReader in;
    HistogramState state;
    HistogramLayout fresh; /* working space */
    HistogramSamples *out;
    uint8_t flags;
    bool is_float;
    int64_t t, st, max_time;
    uint64_t delta;
    /* The layout in force, as the histograms given out share it. */
    BucketSpan *positive_spans, *negative_spans;
    double *custom_values;
    const void *last; /* histogram given out last that was no stale marker */
} HistogramReader;

void histogram_samples_deinit(HistogramSamples *s) {
    arena_deinit(&s->arena);
    *s = (HistogramSamples){0};
}

HistogramSample histogram_samples_at(const HistogramSamples *s, uint32_t i) {
    HistogramSample ret = {.t = s->t[i], .st = s->st ? s->st[i] : 0};
    if (s->kind == SAMPLE_HISTOGRAM) {
        ret.h = s->h[i];
    } else {
        ret.fh = s->fh[i];
    }
    return ret;
}

SampleRun histogram_samples_run(const HistogramSamples *s, int64_t mint, int64_t maxt) {
    uint32_t from = 0, to = s->n;
    while (from < to && s->t[from] < mint) {
        from++;
    }
    while (to > from && s->t[to - 1] > maxt) {
        to--;
    }
    SampleRun run = {
        .kind = s->kind, .n = to - from, .t = s->t + from, .st = s->st ? s->st + from : NULL};
    if (s->kind == SAMPLE_HISTOGRAM) {
        run.h = s->h + from;
    } else {
        run.fh = s->fh + from;
    }
    return run;
}

/* ---- times */

static int64_t signed_bits(BitReader *r, unsigned k) {
    return (int64_t)(bits_take(r, k) << (64 - k)) >> (64 - k);
}

static bool take_time(HistogramReader *r) {
    static const uint8_t width[] = {0, 6, 12, 20, 64};
    unsigned class = bits_take_ones(&r->in, 4);
    if (class > 0) {
        r->delta += (uint64_t)signed_bits(&r->in, width[class]);
    }
    int64_t before = r->t;
    r->t = (int64_t)((uint64_t)before + r->delta);
    return r->t > before;
}

static void take_start(HistogramReader *r) {
    if (bits_take_one(&r->in)) {
        r->st = (int64_t)((uint64_t)r->st + (uint64_t)bits_take_sint(&r->in));
    }
}

/* ---- layout */

static double take_threshold(BitReader *r) {
    if (!bits_take_one(r)) {
        return 0;
    }
    bool any = bits_take_one(r);
    return double_of_bits(any ? bits_take(r, 64) : bits_take(r, 11) << 52);
}

/* Spans of one side; the sum of their lengths and, for custom buckets, how far they reach. */
#define TAKE_SPANS(r, list, ret_buckets, ret_reach)                                                \
    __extension__({                                                                                \
        uint64_t n_ = bits_take_uint(&(r)->in), buckets_ = 0;                                      \
        int64_t reach_ = 0;                                                                        \
        bool good_ = n_ <= HISTOGRAM_BUCKETS_MAX && !bit_reader_overran(&(r)->in);                 \
        (list)->n = 0;                                                                             \
        for (uint64_t i_ = 0; good_ && i_ < n_; i_++) {                                            \
            uint64_t length_ = bits_take_uint(&(r)->in);                                           \
            int64_t offset_ = bits_take_sint(&(r)->in);                                            \
            good_ = length_ <= HISTOGRAM_BUCKETS_MAX && offset_ >= INT32_MIN &&                    \
                    offset_ <= INT32_MAX && (i_ == 0 || offset_ >= 0) &&                           \
                    !bit_reader_overran(&(r)->in);                                                 \
            buckets_ += good_ ? length_ : 0;                                                       \
            reach_ += good_ ? offset_ + (int64_t)length_ : 0;                                      \
            vec_push(list, (BucketSpan){(int32_t)offset_, (uint32_t)length_});                     \
        }                                                                                          \
        *(ret_buckets) = (uint32_t)MIN(buckets_, (uint64_t)HISTOGRAM_BUCKETS_MAX + 1);             \
        *(ret_reach) = reach_;                                                                     \
        good_;                                                                                     \
    })

static bool take_bounds(HistogramReader *r, HistogramLayout *l) {
    uint64_t n = bits_take_uint(&r->in);
    l->custom_values.n = 0;
    if (n > HISTOGRAM_BUCKETS_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < n && !bit_reader_overran(&r->in); i++) {
        double v = bits_take_one(&r->in) ? double_of_bits(bits_take(&r->in, 64))
                                         : (double)bits_take_uint(&r->in) / 1000;
        vec_push(&l->custom_values, v);
    }
    return !bit_reader_overran(&r->in);
}

static bool layout_sane(const HistogramLayout *l, int64_t reach) {
    bool custom = l->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if ((uint64_t)l->n_positive + l->n_negative > HISTOGRAM_BUCKETS_MAX) {
        return false;
    }
    if (custom) {
        return l->n_negative == 0 &&
               (l->positive_spans.n == 0 || l->positive_spans.v[0].offset >= 0) &&
               reach <= (int64_t)l->custom_values.n + 1;
    }
    return l->schema >= HISTOGRAM_SCHEMA_MIN && l->schema <= HISTOGRAM_SCHEMA_MAX;
}

static int share_layout(HistogramReader *r) {
    const HistogramLayout *l = &r->state.layout;
    Arena *a = &r->out->arena;
    r->positive_spans = arena_dup(a, l->positive_spans.v, l->positive_spans.n * sizeof(BucketSpan));
    r->negative_spans = arena_dup(a, l->negative_spans.v, l->negative_spans.n * sizeof(BucketSpan));
    r->custom_values = arena_dup(a, l->custom_values.v, l->custom_values.n * sizeof(double));
    return a->failed ? -ENOMEM : 0;
}

static int take_layout(HistogramReader *r) {
    HistogramLayout *l = &r->fresh;
    int64_t schema = bits_take_sint(&r->in), reach, unused;
    l->schema = (int32_t)schema;
    l->zero_threshold = take_threshold(&r->in);
    if (schema < INT32_MIN || schema > INT32_MAX ||
        !TAKE_SPANS(r, &l->positive_spans, &l->n_positive, &reach) ||
        !TAKE_SPANS(r, &l->negative_spans, &l->n_negative, &unused) || !take_bounds(r, l) ||
        !layout_sane(l, reach)) {
        return -EBADMSG;
    }
    histogram_state_relayout(&r->state, l);
    return share_layout(r);
}

/* ---- numbers */

static inline uint64_t take_number(BitReader *r, HistogramNumber *n) {
    unsigned k = number_rice_bits(n), ones = bits_take_ones(r, RICE_ONES_MAX);
    uint64_t distance;
    if (LIKELY(ones < RICE_ONES_MAX)) {
        distance = (uint64_t)ones << k | bits_take(r, k);
    } else {
        distance = bits_take(r, (unsigned)bits_take(r, 6) + 1);
    }
    uint64_t v = number_expected(n) + (uint64_t)zigzag_decode(distance);
    number_learn(n, v, distance);
    return v;
}

static inline bool take_float(BitReader *r, HistogramNumber *n, double *ret) {
    if (bits_take_one(r)) {
        if (bits_take_one(r)) {
            n->leading = (uint8_t)bits_take(r, 5);
            n->width = (uint8_t)(bits_take(r, 6) + 1);
        }
        if (n->width == 0 || n->leading + n->width > 64) {
            return false;
        }
        n->v ^= bits_take(r, n->width) << (64 - n->leading - n->width);
    }
    *ret = double_of_bits(n->v);
    return true;
}

static uint64_t take_side(BitReader *r, HistogramNumber *n, int64_t *deltas, uint32_t count) {
    uint64_t before = 0, sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t v = take_number(r, &n[i]);
        deltas[i] = (int64_t)(v - before);
        before = v;
        sum += v;
    }
    return sum;
}

#define SHARE_LAYOUT(h, r)                                                                         \
    do {                                                                                           \
        const HistogramLayout *l_ = &(r)->state.layout;                                            \
        (h)->schema = l_->schema;                                                                  \
        (h)->zero_threshold = l_->zero_threshold;                                                  \
        (h)->n_positive_spans = (uint32_t)l_->positive_spans.n;                                    \
        (h)->n_negative_spans = (uint32_t)l_->negative_spans.n;                                    \
        (h)->n_positive = l_->n_positive;                                                          \
        (h)->n_negative = l_->n_negative;                                                          \
        (h)->n_custom = (uint32_t)l_->custom_values.n;                                             \
        (h)->positive_spans = (r)->positive_spans;                                                 \
        (h)->negative_spans = (r)->negative_spans;                                                 \
        (h)->custom_values = (r)->custom_values;                                                   \
    } while (0)

static int take_histogram(HistogramReader *r, Histogram **ret) {
    const HistogramLayout *l = &r->state.layout;
    Arena *a = &r->out->arena;
    HistogramNumber *n = r->state.numbers.v;
    Histogram *h = ARENA_NEW(a, Histogram);
    int64_t *buckets = ARENA_ARRAY(a, int64_t, (size_t)l->n_positive + l->n_negative);
    if (a->failed) {
        return -ENOMEM;
    }
    SHARE_LAYOUT(h, r);
    h->positive = buckets;
    h->negative = buckets + l->n_positive;
    h->zero_count = take_number(&r->in, &n[NUMBER_ZERO]);
    uint64_t sum = take_side(&r->in, n + NUMBERS_FIXED, buckets, l->n_positive);
    sum += take_side(&r->in, n + NUMBERS_FIXED + l->n_positive, buckets + l->n_positive,
                     l->n_negative);
    h->count = take_number(&r->in, &n[NUMBER_COUNT]) + h->zero_count + sum;
    *ret = h;
    return take_float(&r->in, &n[NUMBER_SUM], &h->sum) ? 0 : -EBADMSG;
}

static int take_float_histogram(HistogramReader *r, FloatHistogram **ret) {
    const HistogramLayout *l = &r->state.layout;
    Arena *a = &r->out->arena;
    HistogramNumber *n = r->state.numbers.v;
    size_t n_buckets = (size_t)l->n_positive + l->n_negative;
    FloatHistogram *h = ARENA_NEW(a, FloatHistogram);
    double *buckets = ARENA_ARRAY(a, double, n_buckets);
    if (a->failed) {
        return -ENOMEM;
    }
    SHARE_LAYOUT(h, r);
    h->positive = buckets;
    h->negative = buckets + l->n_positive;
    bool good = take_float(&r->in, &n[NUMBER_ZERO], &h->zero_count);
    for (size_t i = 0; good && i < n_buckets; i++) {
        good = take_float(&r->in, &n[NUMBERS_FIXED + i], &buckets[i]);
    }
    *ret = h;
    return good && take_float(&r->in, &n[NUMBER_COUNT], &h->count) &&
                   take_float(&r->in, &n[NUMBER_SUM], &h->sum)
               ? 0
               : -EBADMSG;
}

/* ---- samples */

static CounterResetHint hint_at(const HistogramReader *r, uint32_t i) {
    if (r->flags & HISTOGRAM_FLAG_GAUGE) {
        return RESET_GAUGE;
    }
    return i == 0 ? RESET_UNKNOWN : RESET_NO;
}

/* The same as before under another hint needs a head of its own; its arrays are shared. */
static int repeat(HistogramReader *r, uint32_t i) {
    CounterResetHint hint = hint_at(r, i);
    if (!r->last) {
        return -EBADMSG;
    }
    if (r->is_float) {
        const FloatHistogram *last = r->last;
        FloatHistogram *h = NULL;
        if (last->reset_hint != hint) {
            h = arena_dup(&r->out->arena, last, sizeof(*last));
            if (!h) {
                return -ENOMEM;
            }
            h->reset_hint = hint;
        }
        r->out->fh[i] = h ? h : last;
        r->last = r->out->fh[i];
    } else {
        const Histogram *last = r->last;
        Histogram *h = NULL;
        if (last->reset_hint != hint) {
            h = arena_dup(&r->out->arena, last, sizeof(*last));
            if (!h) {
                return -ENOMEM;
            }
            h->reset_hint = hint;
        }
        r->out->h[i] = h ? h : last;
        r->last = r->out->h[i];
    }
    return 0;
}

static int take_values(HistogramReader *r, uint32_t i) {
    int e;
    if (r->is_float) {
        FloatHistogram *h;
        e = take_float_histogram(r, &h);
        if (e == 0) {
            h->reset_hint = hint_at(r, i);
            r->last = r->out->fh[i] = h;
        }
    } else {
        Histogram *h;
        e = take_histogram(r, &h);
        if (e == 0) {
            h->reset_hint = hint_at(r, i);
            r->last = r->out->h[i] = h;
        }
    }
    return e;
}

static const Histogram stale_histogram = {.sum = 0};
static const FloatHistogram stale_float_histogram = {.sum = 0};

static int give_stale(HistogramReader *r, uint32_t i) {
    Arena *a = &r->out->arena;
    if (r->is_float) {
        FloatHistogram *h = arena_dup(a, &stale_float_histogram, sizeof(*h));
        if (!h) {
            return -ENOMEM;
        }
        h->sum = stale_nan();
        r->out->fh[i] = h;
    } else {
        Histogram *h = arena_dup(a, &stale_histogram, sizeof(*h));
        if (!h) {
            return -ENOMEM;
        }
        h->sum = stale_nan();
        r->out->h[i] = h;
    }
    return 0;
}

static int take_sample(HistogramReader *r, uint32_t i) {
    if (i > 0 && !take_time(r)) {
        return -EBADMSG;
    }
    if (r->flags & HISTOGRAM_FLAG_ST) {
        take_start(r);
        r->out->st[i] = r->st;
    }
    r->out->t[i] = r->t;
    int e = 0;
    switch (bits_take_ones(&r->in, SAMPLE_FORMS)) {
    case SAMPLE_REPEATED: return repeat(r, i);
    case SAMPLE_STALE: return give_stale(r, i);
    case SAMPLE_NEW_LAYOUT: e = take_layout(r); break;
    default: e = r->last ? 0 : -EBADMSG; break;
    }
    e = e < 0 ? e : take_values(r, i);
    return e == 0 && bit_reader_overran(&r->in) ? -EBADMSG : e;
}

static bool ends_here(const BitReader *r) {
    if ((r->at + 7) / 8 != r->size) {
        return false;
    }
    unsigned used = r->at & 7;
    return used == 0 || (uint8_t)(r->data[r->size - 1] << used) == 0;
}

static int take_all(HistogramReader *r, uint32_t n) {
    HistogramSamples *out = r->out;
    r->flags = (uint8_t)bits_take(&r->in, 8);
    if (r->flags & ~(HISTOGRAM_FLAG_GAUGE | HISTOGRAM_FLAG_ST)) {
        return -EBADMSG;
    }
    out->t = ARENA_ARRAY(&out->arena, int64_t, n);
    out->st = r->flags & HISTOGRAM_FLAG_ST ? ARENA_ARRAY(&out->arena, int64_t, n) : NULL;
    out->h = arena_calloc(&out->arena, n, sizeof(void *));
    if (out->arena.failed) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        int e = take_sample(r, i);
        if (e < 0) {
            return e;
        }
    }
    out->n = n;
    return r->t == r->max_time && ends_here(&r->in) ? 0 : -EBADMSG;
}

int histogram_chunk_decode(const Chunk *c, HistogramSamples *ret) {
    SampleKind kind = chunk_encoding_kind(c->encoding);
    if (kind != SAMPLE_HISTOGRAM && kind != SAMPLE_FLOAT_HISTOGRAM) {
        return -ENOTSUP;
    }
    if (c->n == 0 || c->n > CHUNK_SAMPLES_MAX || c->size == 0 || c->size >= 1u << 24 ||
        c->min_time > c->max_time) {
        return -EBADMSG;
    }
    arena_reset(&ret->arena);
    ret->arena.max = ret->arena.used + MEMORY_MIN + (size_t)c->size * MEMORY_PER_BYTE;
    ret->kind = kind;
    ret->n = 0;
    HistogramReader r = {.in = {c->data, c->size, 0},
                         .out = ret,
                         .is_float = kind == SAMPLE_FLOAT_HISTOGRAM,
                         .t = c->min_time,
                         .max_time = c->max_time};
    histogram_state_reset(&r.state);
    int e = take_all(&r, c->n);
    HistogramState fresh = {.layout = r.fresh};
    histogram_state_deinit(&fresh);
    histogram_state_deinit(&r.state);
    /* Sane chunks stay below the ceiling by far. */
    return e == -ENOMEM ? -EBADMSG : e;
}
