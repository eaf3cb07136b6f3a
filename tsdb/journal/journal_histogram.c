#include "tsdb/journal/journal_histogram.h"

#include <errno.h>
#include <string.h>

#include "base/varint.h"
#include "model/sample.h"

#define PAYLOAD_SPLIT (1u << 20)

enum { FLAG_FLOAT = 1, FLAG_ST = 2, FLAG_SAME_LAYOUT = 4, HINT_SHIFT = 3 };

/* ---- writing */

static void put_double(Buf *b, double v) { buf_add_u64(b, double_bits(v)); }

static void put_spans(Buf *b, const BucketSpan *v, uint32_t n) {
    buf_add_uvarint(b, n);
    for (uint32_t i = 0; i < n; i++) {
        buf_add_varint(b, v[i].offset);
        buf_add_uvarint(b, v[i].length);
    }
}

/* Layouts are compared and written through the integer kind, whose fields are the same. */
#define LAYOUT_OF(x)                                                                               \
    ((Histogram){.schema = (x)->schema,                                                            \
                 .zero_threshold = (x)->zero_threshold,                                            \
                 .n_positive_spans = (x)->n_positive_spans,                                        \
                 .n_negative_spans = (x)->n_negative_spans,                                        \
                 .n_positive = (x)->n_positive,                                                    \
                 .n_negative = (x)->n_negative,                                                    \
                 .n_custom = (x)->n_custom,                                                        \
                 .positive_spans = (x)->positive_spans,                                            \
                 .negative_spans = (x)->negative_spans,                                            \
                 .custom_values = (x)->custom_values})

static bool same_bytes(const void *a, uint32_t n_a, const void *b, uint32_t n_b, size_t size) {
    return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * size) == 0);
}

static bool same_layout(const Histogram *a, const Histogram *b) {
    return a->schema == b->schema &&
           double_bits(a->zero_threshold) == double_bits(b->zero_threshold) &&
           same_bytes(a->positive_spans, a->n_positive_spans, b->positive_spans,
                      b->n_positive_spans, sizeof(BucketSpan)) &&
           same_bytes(a->negative_spans, a->n_negative_spans, b->negative_spans,
                      b->n_negative_spans, sizeof(BucketSpan)) &&
           same_bytes(a->custom_values, a->n_custom, b->custom_values, b->n_custom, sizeof(double));
}

static void put_layout(Buf *b, const Histogram *l) {
    buf_add_varint(b, l->schema);
    put_double(b, l->zero_threshold);
    put_spans(b, l->positive_spans, l->n_positive_spans);
    put_spans(b, l->negative_spans, l->n_negative_spans);
    buf_add_uvarint(b, l->n_custom);
    for (uint32_t i = 0; i < l->n_custom; i++) {
        put_double(b, l->custom_values[i]);
    }
}

static void put_counts(Buf *b, const Histogram *h) {
    buf_add_uvarint(b, h->count);
    buf_add_uvarint(b, h->zero_count);
    put_double(b, h->sum);
    for (uint32_t i = 0; i < h->n_positive; i++) {
        buf_add_varint(b, h->positive[i]);
    }
    for (uint32_t i = 0; i < h->n_negative; i++) {
        buf_add_varint(b, h->negative[i]);
    }
}

static void put_float_counts(Buf *b, const FloatHistogram *h) {
    put_double(b, h->count);
    put_double(b, h->zero_count);
    put_double(b, h->sum);
    for (uint32_t i = 0; i < h->n_positive; i++) {
        put_double(b, h->positive[i]);
    }
    for (uint32_t i = 0; i < h->n_negative; i++) {
        put_double(b, h->negative[i]);
    }
}

/* `before`: the layout of the histogram before in the record, NULL for the first. */
static void put_histogram(Buf *b, const JournalHistogram *v, int64_t base, const Histogram *before,
                          const Histogram *layout) {
    const HistogramSample *s = &v->sample;
    bool same = before && same_layout(before, layout);
    unsigned hint = s->h ? s->h->reset_hint : s->fh->reset_hint;
    buf_add_uvarint(b, v->slot);
    buf_add_varint(b, (int64_t)((uint64_t)s->t - (uint64_t)base));
    buf_add_char(b, (char)((s->h ? 0 : FLAG_FLOAT) | (s->st ? FLAG_ST : 0) |
                           (same ? FLAG_SAME_LAYOUT : 0) | (int)(hint << HINT_SHIFT)));
    if (s->st) {
        buf_add_varint(b, (int64_t)((uint64_t)s->st - (uint64_t)s->t));
    }
    if (!same) {
        put_layout(b, layout);
    }
    if (s->h) {
        put_counts(b, s->h);
    } else {
        put_float_counts(b, s->fh);
    }
}

static int64_t newest_of(const JournalHistogram *v, size_t n) {
    int64_t max = v[0].sample.t;
    for (size_t i = 1; i < n; i++) {
        max = MAX(max, v[i].sample.t);
    }
    return max;
}

/* How many of v go into one record. The newest time stands before the histograms and is that of
 * all of the commit's. */
static size_t put_histograms_record(JournalEncoder *e, Buf *b, const JournalHistogram *v, size_t n,
                                    int64_t newest) {
    Buf *scratch = &e->payload;
    int64_t base = v[0].sample.t;
    Histogram before = {0};
    size_t i = 0;
    buf_reset(scratch);
    buf_add_varint(scratch, base);
    buf_add_varint(scratch, (int64_t)((uint64_t)newest - (uint64_t)base));
    for (; i < n && scratch->n < PAYLOAD_SPLIT; i++) {
        const HistogramSample *s = &v[i].sample;
        Histogram layout = s->h ? LAYOUT_OF(s->h) : LAYOUT_OF(s->fh);
        put_histogram(scratch, &v[i], base, i > 0 ? &before : NULL, &layout);
        before = layout;
    }
    journal_encoder_put(e, b, JOURNAL_HISTOGRAMS, buf_str(scratch));
    return i;
}

void journal_put_histograms(JournalEncoder *e, Buf *b, const JournalHistogram *v, size_t n) {
    int64_t newest = n > 0 ? newest_of(v, n) : 0;
    for (size_t at = 0; at < n;) {
        at += put_histograms_record(e, b, v + at, n - at, newest);
    }
}

/* ---- reading */

int journal_histograms_init(JournalHistograms *it, Str payload, Arena *arena) {
    *it = (JournalHistograms){.p = (const uint8_t *)payload.p, .arena = arena};
    int64_t newer;
    it->end = it->p + payload.n;
    if (!varint_get(&it->p, it->end, &it->base) || !varint_get(&it->p, it->end, &newer)) {
        return -EBADMSG;
    }
    it->max_time = (int64_t)((uint64_t)it->base + (uint64_t)newer);
    return 0;
}

static bool take_double(JournalHistograms *it, double *ret) {
    if (it->end - it->p < 8) {
        return false;
    }
    uint64_t bits;
    memcpy(&bits, it->p, 8);
    it->p += 8;
    *ret = double_of_bits(bits);
    return true;
}

/* Each of them takes at least `bytes` of what is left. */
static bool take_count(JournalHistograms *it, size_t bytes, uint32_t *ret) {
    uint64_t n;
    if (!uvarint_get(&it->p, it->end, &n) || n > (uint64_t)(it->end - it->p) / bytes ||
        n > HISTOGRAM_BUCKETS_MAX) {
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}

static bool take_spans(JournalHistograms *it, const BucketSpan **ret, uint32_t *ret_n,
                       uint32_t *ret_buckets) {
    uint64_t buckets = 0;
    if (!take_count(it, 2, ret_n)) {
        return false;
    }
    BucketSpan *v = ARENA_ARRAY(it->arena, BucketSpan, *ret_n);
    for (uint32_t i = 0; v && i < *ret_n; i++) {
        int64_t offset;
        uint64_t length;
        if (!varint_get(&it->p, it->end, &offset) || !uvarint_get(&it->p, it->end, &length) ||
            length > HISTOGRAM_BUCKETS_MAX || offset < INT32_MIN || offset > INT32_MAX) {
            return false;
        }
        v[i] = (BucketSpan){(int32_t)offset, (uint32_t)length};
        buckets += length;
    }
    *ret = v;
    *ret_buckets = (uint32_t)MIN(buckets, (uint64_t)HISTOGRAM_BUCKETS_MAX + 1);
    return v && buckets <= HISTOGRAM_BUCKETS_MAX;
}

static bool take_layout(JournalHistograms *it) {
    Histogram *l = &it->layout;
    int64_t schema;
    *l = (Histogram){0};
    if (!varint_get(&it->p, it->end, &schema) || !take_double(it, &l->zero_threshold) ||
        !take_spans(it, &l->positive_spans, &l->n_positive_spans, &l->n_positive) ||
        !take_spans(it, &l->negative_spans, &l->n_negative_spans, &l->n_negative) ||
        !take_count(it, 8, &l->n_custom)) {
        return false;
    }
    l->schema = (int32_t)schema;
    double *bounds = ARENA_ARRAY(it->arena, double, l->n_custom);
    for (uint32_t i = 0; bounds && i < l->n_custom; i++) {
        (void)take_double(it, &bounds[i]); /* take_count() has seen that they are there */
    }
    l->custom_values = bounds;
    it->has_layout = bounds != NULL;
    return it->has_layout;
}

static const Histogram *take_counts(JournalHistograms *it) {
    size_t n = (size_t)it->layout.n_positive + it->layout.n_negative;
    if (n > (size_t)(it->end - it->p)) {
        return NULL;
    }
    Histogram *h = arena_dup(it->arena, &it->layout, sizeof(*h));
    int64_t *v = ARENA_ARRAY(it->arena, int64_t, n);
    if (!h || !v || !uvarint_get(&it->p, it->end, &h->count) ||
        !uvarint_get(&it->p, it->end, &h->zero_count) || !take_double(it, &h->sum)) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!varint_get(&it->p, it->end, &v[i])) {
            return NULL;
        }
    }
    h->positive = v;
    h->negative = v + h->n_positive;
    return h;
}

static const FloatHistogram *take_float_counts(JournalHistograms *it) {
    const Histogram *l = &it->layout;
    size_t n = (size_t)l->n_positive + l->n_negative;
    if (n > (size_t)(it->end - it->p) / 8) {
        return NULL;
    }
    FloatHistogram *h = ARENA_NEW(it->arena, FloatHistogram);
    double *v = ARENA_ARRAY(it->arena, double, n);
    if (!h || !v || !take_double(it, &h->count) || !take_double(it, &h->zero_count) ||
        !take_double(it, &h->sum)) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!take_double(it, &v[i])) {
            return NULL;
        }
    }
    h->schema = l->schema;
    h->zero_threshold = l->zero_threshold;
    h->positive_spans = l->positive_spans;
    h->negative_spans = l->negative_spans;
    h->custom_values = l->custom_values;
    h->n_positive_spans = l->n_positive_spans;
    h->n_negative_spans = l->n_negative_spans;
    h->n_custom = l->n_custom;
    h->n_positive = l->n_positive;
    h->n_negative = l->n_negative;
    h->positive = v;
    h->negative = v + l->n_positive;
    return h;
}

static bool take_values(JournalHistograms *it, uint8_t flags, HistogramSample *s) {
    CounterResetHint hint = (CounterResetHint)(flags >> HINT_SHIFT & 3);
    if (flags & FLAG_FLOAT) {
        FloatHistogram *h = (FloatHistogram *)take_float_counts(it);
        if (!h || !float_histogram_validate(h, NULL)) {
            return false;
        }
        h->reset_hint = hint;
        s->fh = h;
    } else {
        Histogram *h = (Histogram *)take_counts(it);
        if (!h || !histogram_validate(h, NULL)) {
            return false;
        }
        h->reset_hint = hint;
        s->h = h;
    }
    return true;
}

int journal_histograms_next(JournalHistograms *it, JournalHistogram *ret) {
    uint64_t slot;
    int64_t t, st;
    if (it->p == it->end) {
        return 0;
    }
    if (!uvarint_get(&it->p, it->end, &slot) || slot > UINT32_MAX ||
        !varint_get(&it->p, it->end, &t) || it->p == it->end) {
        return -EBADMSG;
    }
    *ret = (JournalHistogram){.slot = (uint32_t)slot};
    HistogramSample *s = &ret->sample;
    uint8_t flags = *it->p++;
    s->t = (int64_t)((uint64_t)it->base + (uint64_t)t);
    if (flags & FLAG_ST) {
        if (!varint_get(&it->p, it->end, &st)) {
            return -EBADMSG;
        }
        s->st = (int64_t)((uint64_t)s->t + (uint64_t)st);
    }
    bool layout = flags & FLAG_SAME_LAYOUT ? it->has_layout : take_layout(it);
    return layout && take_values(it, flags, s) && histogram_chunk_holds(s) ? 1 : -EBADMSG;
}
