#include "tsdb/promblock/prom_histogram.h"

#include <math.h>

#include "base/err.h"
#include "tsdb/promblock/prom_bits.h"

#define HEADER_BYTES 3
#define HEADER_RESET 0x80
#define HEADER_NO_RESET 0x40
#define HEADER_GAUGE 0xc0
#define SPANS_MAX 65536
/* Whole numbers of thousandths up to here are kept as such. */
#define BOUND_THOUSANDTHS_MAX 33554430

/* What all histograms of a chunk share, whichever their counts. */
typedef struct Layout {
    int32_t schema;
    double zero_threshold;
    uint32_t n_spans[2], n_custom, n_buckets[2]; /* positive, negative */
    const BucketSpan *spans[2];
    const double *custom_values;
} Layout;

/* ---- layout */

static void put_zero_threshold(PromBitWriter *w, double v) {
    int exp;
    double fraction = frexp(v, &exp);
    if (v == 0) {
        prom_put_bits(w, 0, 8);
    } else if (fraction != 0.5 || exp < -242 || exp > 11) {
        prom_put_bits(w, 255, 8);
        prom_put_bits(w, double_bits(v), 64);
    } else { /* a power of two */
        prom_put_bits(w, (uint64_t)(exp + 243), 8);
    }
}

static double get_zero_threshold(PromBitReader *r) {
    uint64_t b = prom_get_bits(r, 8);
    return b == 0 ? 0 : b == 255 ? double_of_bits(prom_get_bits(r, 64)) : ldexp(0.5, (int)b - 243);
}

static void put_bound(PromBitWriter *w, double v) {
    double thousandths = v * 1000;
    if (thousandths < 0 || !(thousandths <= BOUND_THOUSANDTHS_MAX) ||
        round(thousandths) / 1000 != v) {
        prom_put_bits(w, 0, 1);
        prom_put_bits(w, double_bits(v), 64);
        return;
    }
    prom_put_varbit_uint(w, (uint64_t)round(thousandths) + 1);
}

static double get_bound(PromBitReader *r) {
    uint64_t b = prom_get_varbit_uint(r);
    return b == 0 ? double_of_bits(prom_get_bits(r, 64)) : (double)(b - 1) / 1000;
}

static void put_layout(PromBitWriter *w, const Layout *l) {
    put_zero_threshold(w, l->zero_threshold);
    prom_put_varbit(w, l->schema);
    for (int side = 0; side < 2; side++) {
        prom_put_varbit_uint(w, l->n_spans[side]);
        for (uint32_t i = 0; i < l->n_spans[side]; i++) {
            prom_put_varbit_uint(w, l->spans[side][i].length);
            prom_put_varbit(w, l->spans[side][i].offset);
        }
    }
    if (l->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        prom_put_varbit_uint(w, l->n_custom);
        for (uint32_t i = 0; i < l->n_custom; i++) {
            put_bound(w, l->custom_values[i]);
        }
    }
}

/* Each span takes two bits at least, as does each bound: their number has a ceiling by the bytes.
 */
static bool get_count(PromBitReader *r, uint32_t *ret) {
    uint64_t n = prom_get_varbit_uint(r);
    *ret = (uint32_t)n;
    r->bad = r->bad || n > SPANS_MAX || n > r->size * 8;
    return !r->bad;
}

static bool get_spans(PromBitReader *r, Arena *a, Layout *l, int side) {
    if (!get_count(r, &l->n_spans[side])) {
        return false;
    }
    BucketSpan *v = ARENA_ARRAY(a, BucketSpan, l->n_spans[side] + 1);
    uint64_t buckets = 0;
    for (uint32_t i = 0; i < l->n_spans[side] && !r->bad; i++) {
        uint64_t length = prom_get_varbit_uint(r);
        int64_t offset = prom_get_varbit(r);
        buckets += length;
        r->bad = r->bad || length > HISTOGRAM_BUCKETS_MAX || buckets > HISTOGRAM_BUCKETS_MAX ||
                 offset != (int32_t)offset;
        v[i] = (BucketSpan){(int32_t)offset, (uint32_t)length};
    }
    l->spans[side] = v;
    l->n_buckets[side] = (uint32_t)buckets;
    return !r->bad;
}

static bool get_layout(PromBitReader *r, Arena *a, Layout *l) {
    l->zero_threshold = get_zero_threshold(r);
    l->schema = (int32_t)prom_get_varbit(r);
    if (!get_spans(r, a, l, 0) || !get_spans(r, a, l, 1)) {
        return false;
    }
    if (l->schema == HISTOGRAM_SCHEMA_CUSTOM && get_count(r, &l->n_custom)) {
        double *v = ARENA_ARRAY(a, double, l->n_custom + 1);
        for (uint32_t i = 0; i < l->n_custom; i++) {
            v[i] = get_bound(r);
        }
        l->custom_values = v;
    }
    return !r->bad;
}

static Layout layout_of(const HistogramSample *s) {
    if (s->h) {
        const Histogram *h = s->h;
        return (Layout){h->schema,
                        h->zero_threshold,
                        {h->n_positive_spans, h->n_negative_spans},
                        h->n_custom,
                        {h->n_positive, h->n_negative},
                        {h->positive_spans, h->negative_spans},
                        h->custom_values};
    }
    const FloatHistogram *h = s->fh;
    return (Layout){h->schema,
                    h->zero_threshold,
                    {h->n_positive_spans, h->n_negative_spans},
                    h->n_custom,
                    {h->n_positive, h->n_negative},
                    {h->positive_spans, h->negative_spans},
                    h->custom_values};
}

/* ---- reading */

typedef struct Reading {
    PromBitReader bits;
    Layout layout;
    CounterResetHint hint; /* of all but the first */
    HistogramSamples *to;
    int64_t t, t_step, count, count_step, zero, zero_step;
    uint64_t sum;
    PromWindow sum_window;
    int64_t *bucket, *bucket_step; /* both sides, one after the other */
    uint64_t *value;               /* of floats: count, zero count, then buckets */
    PromWindow *window;
} Reading;

static uint32_t bucket_count(const Layout *l) { return l->n_buckets[0] + l->n_buckets[1]; }

static CounterResetHint first_hint(uint8_t header) {
    return header == HEADER_GAUGE      ? RESET_GAUGE
           : header == HEADER_RESET    ? RESET_YES
           : header == HEADER_NO_RESET ? RESET_NO
                                       : RESET_UNKNOWN;
}

static void read_time(Reading *r, bool first) {
    int64_t change = prom_get_varbit(&r->bits);
    if (first) {
        r->t = change;
        return;
    }
    r->t_step = (int64_t)((uint64_t)r->t_step + (uint64_t)change);
    r->t = (int64_t)((uint64_t)r->t + (uint64_t)r->t_step);
}

static void advance(int64_t *value, int64_t *step, int64_t change) {
    *step = (int64_t)((uint64_t)*step + (uint64_t)change);
    *value = (int64_t)((uint64_t)*value + (uint64_t)*step);
}

static void read_counts(Reading *r, bool first) {
    if (first) {
        r->count = (int64_t)prom_get_varbit_uint(&r->bits);
        r->zero = (int64_t)prom_get_varbit_uint(&r->bits);
        r->sum = prom_get_bits(&r->bits, 64);
        return;
    }
    advance(&r->count, &r->count_step, prom_get_varbit(&r->bits));
    advance(&r->zero, &r->zero_step, prom_get_varbit(&r->bits));
    r->sum ^= prom_get_xor(&r->bits, &r->sum_window);
}

/* A stale marker is its sum alone. */
static const Histogram *read_integers(Reading *r, bool first, CounterResetHint hint) {
    Arena *a = &r->to->arena;
    uint32_t n = bucket_count(&r->layout);
    read_counts(r, first);
    Histogram *h = ARENA_NEW(a, Histogram);
    h->sum = double_of_bits(r->sum);
    if (is_stale_nan(h->sum)) {
        return h;
    }
    int64_t *v = ARENA_ARRAY(a, int64_t, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (first) {
            r->bucket[i] = prom_get_varbit(&r->bits);
        } else {
            advance(&r->bucket[i], &r->bucket_step[i], prom_get_varbit(&r->bits));
        }
        v[i] = r->bucket[i];
    }
    const Layout *l = &r->layout;
    *h = (Histogram){.reset_hint = hint,
                     .schema = l->schema,
                     .zero_threshold = l->zero_threshold,
                     .sum = h->sum,
                     .zero_count = (uint64_t)r->zero,
                     .count = (uint64_t)r->count,
                     .n_positive_spans = l->n_spans[0],
                     .n_negative_spans = l->n_spans[1],
                     .n_positive = l->n_buckets[0],
                     .n_negative = l->n_buckets[1],
                     .n_custom = l->n_custom,
                     .positive_spans = l->spans[0],
                     .negative_spans = l->spans[1],
                     .positive = v,
                     .negative = v + l->n_buckets[0],
                     .custom_values = l->custom_values};
    return h;
}

static double read_float(Reading *r, bool first, uint32_t i) {
    r->value[i] =
        first ? prom_get_bits(&r->bits, 64) : r->value[i] ^ prom_get_xor(&r->bits, &r->window[i]);
    return double_of_bits(r->value[i]);
}

static const FloatHistogram *read_floats(Reading *r, bool first, CounterResetHint hint) {
    Arena *a = &r->to->arena;
    uint32_t n = bucket_count(&r->layout);
    FloatHistogram *h = ARENA_NEW(a, FloatHistogram);
    double count = read_float(r, first, 0), zero = read_float(r, first, 1);
    h->sum = read_float(r, first, 2);
    if (is_stale_nan(h->sum)) {
        return h;
    }
    double *v = ARENA_ARRAY(a, double, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        v[i] = read_float(r, first, i + 3);
    }
    const Layout *l = &r->layout;
    *h = (FloatHistogram){.reset_hint = hint,
                          .schema = l->schema,
                          .zero_threshold = l->zero_threshold,
                          .sum = h->sum,
                          .zero_count = zero,
                          .count = count,
                          .n_positive_spans = l->n_spans[0],
                          .n_negative_spans = l->n_spans[1],
                          .n_positive = l->n_buckets[0],
                          .n_negative = l->n_buckets[1],
                          .n_custom = l->n_custom,
                          .positive_spans = l->spans[0],
                          .negative_spans = l->spans[1],
                          .positive = v,
                          .negative = v + l->n_buckets[0],
                          .custom_values = l->custom_values};
    return h;
}

static void read_samples(Reading *r, uint32_t n, CounterResetHint first) {
    HistogramSamples *to = r->to;
    for (uint32_t i = 0; i < n && !r->bits.bad; i++) {
        CounterResetHint hint = i == 0 ? first : r->hint;
        read_time(r, i == 0);
        to->t[i] = r->t;
        if (to->kind == SAMPLE_HISTOGRAM) {
            to->h[i] = read_integers(r, i == 0, hint);
        } else {
            to->fh[i] = read_floats(r, i == 0, hint);
        }
        to->n = i + 1;
    }
}

int prom_histogram_decode(const uint8_t *data, size_t size, bool floats, HistogramSamples *ret) {
    histogram_samples_deinit(ret);
    *ret = (HistogramSamples){.kind = floats ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM};
    if (size < HEADER_BYTES) {
        return -EBADMSG;
    }
    uint32_t n = (uint32_t)data[0] << 8 | data[1];
    Arena *a = &ret->arena;
    Reading r = {.bits = {.p = data + HEADER_BYTES, .size = size - HEADER_BYTES}, .to = ret};
    CounterResetHint first = first_hint(data[2] & HEADER_GAUGE);
    r.hint = first == RESET_GAUGE ? RESET_GAUGE : RESET_NO;
    if (!get_layout(&r.bits, a, &r.layout)) {
        return -EBADMSG;
    }
    uint64_t buckets = bucket_count(&r.layout);
    /* A bit a bucket and histogram at least, but for stale markers, of which a chunk has one. */
    if (n == 0 || (uint64_t)(n - 1) * (buckets + 2) > (uint64_t)size * 8) {
        return -EBADMSG;
    }
    ret->t = ARENA_ARRAY(a, int64_t, n);
    ret->h = ARENA_ARRAY(a, const Histogram *, n);
    r.bucket = ARENA_ARRAY(a, int64_t, buckets + 1);
    r.bucket_step = ARENA_ARRAY(a, int64_t, buckets + 1);
    r.value = ARENA_ARRAY(a, uint64_t, buckets + 3);
    r.window = ARENA_ARRAY(a, PromWindow, buckets + 3);
    read_samples(&r, n, first);
    return r.bits.bad ? -EBADMSG : 0;
}

/* ---- writing */

static bool spans_eq(const Layout *a, const Layout *b, int side) {
    bool same = a->n_spans[side] == b->n_spans[side];
    for (uint32_t i = 0; same && i < a->n_spans[side]; i++) {
        same = a->spans[side][i].offset == b->spans[side][i].offset &&
               a->spans[side][i].length == b->spans[side][i].length;
    }
    return same;
}

static bool layout_eq(const Layout *a, const Layout *b) {
    return a->schema == b->schema &&
           double_bits(a->zero_threshold) == double_bits(b->zero_threshold) && spans_eq(a, b, 0) &&
           spans_eq(a, b, 1) && a->n_custom == b->n_custom &&
           (a->n_custom == 0 ||
            memcmp(a->custom_values, b->custom_values, a->n_custom * sizeof(double)) == 0);
}

static bool is_gauge(const HistogramSample *s) {
    return (s->h ? s->h->reset_hint : s->fh->reset_hint) == RESET_GAUGE;
}

bool prom_histogram_fits(const HistogramSample *a, const HistogramSample *b) {
    if (!a->h != !b->h || histogram_sample_is_stale(a)) {
        return false;
    }
    if (histogram_sample_is_stale(b)) {
        return true;
    }
    Layout x = layout_of(a), y = layout_of(b);
    if (is_gauge(a) != is_gauge(b) || !layout_eq(&x, &y)) {
        return false;
    }
    return is_gauge(a) || (a->h ? histogram_reset_hint(a->h, b->h)
                                : float_histogram_reset_hint(a->fh, b->fh)) == RESET_NO;
}

/* Of one integer: its last value and step. */
typedef struct Track {
    int64_t value, step;
} Track;

static void put_change(PromBitWriter *w, Track *t, int64_t value) {
    uint64_t step = (uint64_t)value - (uint64_t)t->value;
    prom_put_varbit(w, (int64_t)(step - (uint64_t)t->step));
    *t = (Track){value, (int64_t)step};
}

static void put_integers(PromBitWriter *w, const HistogramSample *v, size_t n, Arena *a) {
    const Layout l = layout_of(&v[0]);
    Track t = {0}, count = {0}, zero = {0};
    Track *bucket = ARENA_ARRAY(a, Track, bucket_count(&l) + 1);
    PromWindow window = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const Histogram *h = v[i].h;
        bool stale = histogram_sample_is_stale(&v[i]);
        if (i == 0) {
            t.value = v[i].t;
            prom_put_varbit(w, v[i].t);
            prom_put_varbit_uint(w, stale ? 0 : h->count);
            prom_put_varbit_uint(w, stale ? 0 : h->zero_count);
            prom_put_bits(w, double_bits(h->sum), 64);
            count.value = (int64_t)h->count;
            zero.value = (int64_t)h->zero_count;
        } else {
            put_change(w, &t, v[i].t);
            put_change(w, &count, stale ? count.value + count.step : (int64_t)h->count);
            put_change(w, &zero, stale ? zero.value + zero.step : (int64_t)h->zero_count);
            prom_put_xor(w, &window, double_bits(h->sum) ^ sum);
        }
        sum = double_bits(h->sum);
        for (uint32_t k = 0; !stale && k < bucket_count(&l); k++) {
            int64_t b = k < l.n_buckets[0] ? h->positive[k] : h->negative[k - l.n_buckets[0]];
            if (i == 0) {
                bucket[k].value = b;
                prom_put_varbit(w, b);
            } else {
                put_change(w, &bucket[k], b);
            }
        }
    }
}

typedef struct FloatTrack {
    uint64_t bits;
    PromWindow window;
} FloatTrack;

static void put_float(PromBitWriter *w, FloatTrack *t, bool first, double v) {
    if (first) {
        prom_put_bits(w, double_bits(v), 64);
    } else {
        prom_put_xor(w, &t->window, double_bits(v) ^ t->bits);
    }
    t->bits = double_bits(v);
}

static void put_floats(PromBitWriter *w, const HistogramSample *v, size_t n, Arena *a) {
    const Layout l = layout_of(&v[0]);
    FloatTrack *track = ARENA_ARRAY(a, FloatTrack, bucket_count(&l) + 3);
    Track t = {0};
    for (size_t i = 0; i < n; i++) {
        const FloatHistogram *h = v[i].fh;
        bool stale = histogram_sample_is_stale(&v[i]);
        if (i == 0) {
            t.value = v[i].t;
            prom_put_varbit(w, v[i].t);
        } else {
            put_change(w, &t, v[i].t);
        }
        put_float(w, &track[0], i == 0, stale ? 0 : h->count);
        put_float(w, &track[1], i == 0, stale ? 0 : h->zero_count);
        put_float(w, &track[2], i == 0, h->sum);
        for (uint32_t k = 0; !stale && k < bucket_count(&l); k++) {
            put_float(w, &track[k + 3], i == 0,
                      k < l.n_buckets[0] ? h->positive[k] : h->negative[k - l.n_buckets[0]]);
        }
    }
}

void prom_histogram_encode(Buf *b, const HistogramSample *v, size_t n, CounterResetHint hint) {
    static const uint8_t headers[] = {[RESET_UNKNOWN] = 0,
                                      [RESET_YES] = HEADER_RESET,
                                      [RESET_NO] = HEADER_NO_RESET,
                                      [RESET_GAUGE] = HEADER_GAUGE};
    buf_add_char(b, (char)(n >> 8));
    buf_add_char(b, (char)n);
    buf_add_char(b, (char)headers[hint]);
    Arena a = ARENA_INIT(0);
    PromBitWriter w = {.b = b};
    Layout l = layout_of(&v[0]);
    if (histogram_sample_is_stale(&v[0])) {
        l = (Layout){0};
    }
    put_layout(&w, &l);
    if (v[0].h) {
        put_integers(&w, v, n, &a);
    } else {
        put_floats(&w, v, n, &a);
    }
    prom_put_end(&w);
    arena_deinit(&a);
}
