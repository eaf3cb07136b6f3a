/* Histogram chunks: what goes in comes out bit for bit, with the hints that a reader may give;
 * damaged and cut-off bytes are refused without reading beyond their end. */
#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/codec/histogram_chunk.h"

#define BUCKETS 64

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* A histogram whose arrays lie beside it. */
typedef struct Made {
    Histogram h;
    FloatHistogram fh;
    BucketSpan positive_spans[8], negative_spans[8];
    int64_t positive[BUCKETS], negative[BUCKETS];
    double positive_f[BUCKETS], negative_f[BUCKETS], bounds[BUCKETS];
} Made;

static void finish(Made *m, bool custom) {
    m->h.positive_spans = m->fh.positive_spans = m->positive_spans;
    m->h.negative_spans = m->fh.negative_spans = m->negative_spans;
    m->h.positive = m->positive;
    m->h.negative = m->negative;
    m->fh.positive = m->positive_f;
    m->fh.negative = m->negative_f;
    m->h.custom_values = m->fh.custom_values = custom ? m->bounds : NULL;
}

/* Counts of a growing counter, written as the deltas of a histogram and as a float one. */
static void fill(Made *m, const uint64_t *counts, uint32_t n_positive, uint32_t n_negative,
                 uint64_t zero, double sum) {
    uint64_t before = 0, total = zero;
    for (uint32_t i = 0; i < n_positive + n_negative; i++) {
        bool negative = i >= n_positive;
        uint32_t k = negative ? i - n_positive : i;
        before = k == 0 ? 0 : before;
        *(negative ? &m->negative[k] : &m->positive[k]) = (int64_t)(counts[i] - before);
        *(negative ? &m->negative_f[k] : &m->positive_f[k]) = (double)counts[i] * 0.3;
        before = counts[i];
        total += counts[i];
    }
    m->h.n_positive = m->fh.n_positive = n_positive;
    m->h.n_negative = m->fh.n_negative = n_negative;
    m->h.zero_count = zero;
    m->fh.zero_count = (double)zero * 0.3;
    m->h.count = total;
    m->fh.count = (double)total * 0.3;
    m->h.sum = m->fh.sum = sum;
}

static HistogramSample sample(const Made *m, int64_t t, int64_t st, bool is_float) {
    return (HistogramSample){t, st, is_float ? NULL : &m->h, is_float ? &m->fh : NULL};
}

/* A copy of exactly the chunk's size, so that AddressSanitizer sees what is read beyond it. */
static Chunk copy_of(const HistogramWriter *w, uint8_t **ret) {
    Chunk c = histogram_writer_view(w);
    *ret = mem_dup(c.data, c.size);
    c.data = *ret;
    return c;
}

static void simple(Made *m, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t counts[3] = {a, b, c};
    *m = (Made){.h = {.schema = 3, .zero_threshold = 0x1p-128},
                .positive_spans = {{-4, 2}},
                .negative_spans = {{7, 1}}};
    m->fh.schema = 3;
    m->fh.zero_threshold = 0x1p-128;
    m->h.n_positive_spans = m->fh.n_positive_spans = 1;
    m->h.n_negative_spans = m->fh.n_negative_spans = 1;
    fill(m, counts, 2, 1, 5, 12.5);
    finish(m, false);
}

static void check_hints(const HistogramSamples *s, CounterResetHint first, CounterResetHint rest) {
    for (uint32_t i = 0; i < s->n; i++) {
        CounterResetHint hint =
            s->kind == SAMPLE_HISTOGRAM ? s->h[i]->reset_hint : s->fh[i]->reset_hint;
        CHECK_INT(hint, i == 0 ? first : rest);
    }
}

TEST (histograms_come_back_bit_for_bit) {
    for (int is_float = 0; is_float < 2; is_float++) {
        HistogramWriter *w = histogram_writer_new();
        static Made made[100];
        for (uint32_t i = 0; i < 100; i++) {
            simple(&made[i], i * i, i / 7, 3 * i);
            HistogramSample s = sample(&made[i], 1000 + i * 15000 + i % 3, 0, is_float);
            CHECK(histogram_writer_fits(w, &s));
            histogram_writer_add(w, &s);
        }
        uint8_t *copy;
        Chunk c = copy_of(w, &copy);
        HistogramSamples got = {0};
        CHECK_INT(histogram_chunk_decode(&c, &got), 0);
        CHECK_INT(got.n, 100);
        for (uint32_t i = 0; i < 100; i++) {
            HistogramSample want = sample(&made[i], 0, 0, is_float);
            HistogramSample have = histogram_samples_at(&got, i);
            CHECK_INT(got.t[i], 1000 + i * 15000 + i % 3);
            CHECK(histogram_sample_same(&want, &have));
        }
        check_hints(&got, RESET_UNKNOWN, RESET_NO);
        histogram_samples_deinit(&got);
        histogram_writer_free(w);
        mem_free(copy);
    }
}

/* Layouts and counts at random: any schema, spans that come and go, custom bounds. */
static void random_histogram(Made *m, bool custom) {
    *m = (Made){0};
    uint32_t total[2] = {0, 0};
    for (int side = 0; side < (custom ? 1 : 2); side++) {
        uint32_t n = next_random() % 5;
        BucketSpan *spans = side ? m->negative_spans : m->positive_spans;
        for (uint32_t i = 0; i < n; i++) {
            int32_t offset = (int32_t)(next_random() % (custom ? 3 : 2000));
            spans[i] = (BucketSpan){i || custom ? offset : offset - 1000, next_random() % 7};
            total[side] += spans[i].length;
        }
        *(side ? &m->h.n_negative_spans : &m->h.n_positive_spans) = n;
        *(side ? &m->fh.n_negative_spans : &m->fh.n_positive_spans) = n;
    }
    uint64_t counts[BUCKETS];
    for (uint32_t i = 0; i < BUCKETS; i++) {
        counts[i] = next_random() >> (next_random() % 64);
    }
    m->h.schema = m->fh.schema = custom ? HISTOGRAM_SCHEMA_CUSTOM : (int)(next_random() % 13) - 4;
    if (!custom) {
        m->h.zero_threshold = m->fh.zero_threshold =
            next_random() % 2 ? 0x1p-128 : double_of_bits(next_random() >> 2);
    } else {
        m->h.n_custom = m->fh.n_custom = 45;
        for (uint32_t i = 0; i < 45; i++) {
            m->bounds[i] = next_random() % 3 ? (double)(i * 100 + 5) / 1000 : 0.1 * i + 1e-9;
        }
    }
    double sum = next_random() % 9 ? (double)(next_random() % 1000000) / 8 : NAN;
    fill(m, counts, total[0], total[1], custom ? 0 : next_random() % 100, sum);
    finish(m, custom);
}

static void check_random_chunk(bool is_float, bool with_st) {
    static Made made[40];
    HistogramSample want[40];
    HistogramWriter *w = histogram_writer_new();
    uint32_t n = 1 + next_random() % 40;
    int64_t t = (int64_t)(next_random() % 2000000000000) - 1000000000000;
    bool custom = next_random() % 3 == 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && next_random() % 3 == 0) {
            made[i] = made[i - 1];
            finish(&made[i], custom);
        } else {
            random_histogram(&made[i], custom);
        }
        if (next_random() % 20 == 0) {
            made[i].h.sum = made[i].fh.sum = stale_nan();
        }
        t += 1 + (int64_t)(next_random() % 20000);
        want[i] =
            sample(&made[i], t, with_st ? t - (int64_t)(next_random() % 3) * 1000 : 0, is_float);
        histogram_writer_add(w, &want[i]);
    }
    uint8_t *copy;
    Chunk c = copy_of(w, &copy);
    HistogramSamples got = {0};
    CHECK_INT(histogram_chunk_decode(&c, &got), 0);
    CHECK_INT(got.n, n);
    for (uint32_t i = 0; i < n; i++) {
        HistogramSample have = histogram_samples_at(&got, i);
        CHECK_INT(have.t, want[i].t);
        CHECK_INT(have.st, want[i].st);
        CHECK(histogram_sample_same(&want[i], &have));
    }
    histogram_samples_deinit(&got);
    histogram_writer_free(w);
    mem_free(copy);
}

TEST (random_histograms_come_back) {
    for (int i = 0; i < 600; i++) {
        check_random_chunk(i % 2, i % 3 == 0);
    }
}

TEST (what_prometheus_would_cut_at_does_not_fit) {
    Made a, b;
    HistogramWriter *w = histogram_writer_new();
    simple(&a, 10, 10, 10);
    HistogramSample first = sample(&a, 1000, 0, false);
    histogram_writer_add(w, &first);
    simple(&b, 10, 9, 12); /* a bucket fell, the count grew */
    HistogramSample s = sample(&b, 2000, 0, false);
    CHECK(!histogram_writer_fits(w, &s));
    simple(&b, 10, 10, 11);
    CHECK(histogram_writer_fits(w, &s));
    b.h.reset_hint = RESET_YES;
    CHECK(!histogram_writer_fits(w, &s));
    b.h.reset_hint = RESET_GAUGE;
    CHECK(!histogram_writer_fits(w, &s));
    b.h.reset_hint = RESET_UNKNOWN;
    b.h.schema = 2;
    CHECK(!histogram_writer_fits(w, &s));
    b.h.schema = 3;
    b.h.zero_threshold = 0.5;
    CHECK(!histogram_writer_fits(w, &s));
    simple(&b, 10, 10, 11);
    s.st = 500;
    CHECK(!histogram_writer_fits(w, &s));
    s.st = 0;
    HistogramSample other = sample(&b, 2000, 0, true);
    CHECK(!histogram_writer_fits(w, &other));
    b.h.sum = stale_nan();
    CHECK(histogram_writer_fits(w, &s));
    histogram_writer_add(w, &s);
    s.t = 3000;
    CHECK(histogram_writer_fits(w, &s)); /* stale again */
    b.h.sum = 1;
    CHECK(!histogram_writer_fits(w, &s));
    histogram_writer_free(w);
}

TEST (floats_are_the_same_by_their_bits) {
    Made a, b;
    simple(&a, 1, 2, 3);
    simple(&b, 1, 2, 3);
    a.fh.count = b.fh.count = NAN;
    HistogramSample x = sample(&a, 1, 0, true), y = sample(&b, 2, 0, true);
    CHECK(histogram_sample_same(&x, &y));
    b.fh.count = a.fh.count = 0;
    b.fh.zero_threshold = -0.0;
    a.fh.zero_threshold = 0.0;
    CHECK(!histogram_sample_same(&x, &y));
}

TEST (gauge_histograms_keep_their_hint_and_may_fall) {
    Made a, b;
    simple(&a, 10, 10, 10);
    simple(&b, 1, 1, 1);
    a.fh.reset_hint = b.fh.reset_hint = RESET_GAUGE;
    HistogramWriter *w = histogram_writer_new();
    HistogramSample s = sample(&a, 1, 0, true);
    histogram_writer_add(w, &s);
    s = sample(&b, 2, 0, true);
    CHECK(histogram_writer_fits(w, &s));
    histogram_writer_add(w, &s);
    s.t = 3;
    histogram_writer_add(w, &s);
    HistogramSamples got = {0};
    Chunk c = histogram_writer_view(w);
    CHECK_INT(c.encoding, CHUNK_FLOAT_HISTOGRAM);
    CHECK_INT(histogram_chunk_decode(&c, &got), 0);
    check_hints(&got, RESET_GAUGE, RESET_GAUGE);
    CHECK(got.fh[1] == got.fh[2]); /* a repeated one is shared */
    histogram_samples_deinit(&got);
    histogram_writer_free(w);
}

static Chunk some_chunk(uint8_t **ret_copy) {
    static Made made;
    HistogramWriter *w = histogram_writer_new();
    int64_t t = 1000;
    for (uint32_t i = 0; i < 12; i++) {
        if (i % 4) {
            simple(&made, 5 + i, 3 * i, 2);
        } else {
            random_histogram(&made, false);
        }
        HistogramSample s = sample(&made, t += 1000, 7, false);
        histogram_writer_add(w, &s);
    }
    Chunk c = copy_of(w, ret_copy);
    histogram_writer_free(w);
    return c;
}

TEST (every_prefix_is_refused) {
    uint8_t *whole;
    Chunk c = some_chunk(&whole);
    HistogramSamples got = {0};
    CHECK_INT(histogram_chunk_decode(&c, &got), 0);
    for (uint32_t size = 0; size < c.size; size++) {
        uint8_t *part = mem_dup(whole, size);
        Chunk cut = c;
        cut.data = part;
        cut.size = size;
        CHECK_INT(histogram_chunk_decode(&cut, &got), -EBADMSG);
        mem_free(part);
    }
    histogram_samples_deinit(&got);
    mem_free(whole);
}

TEST (changed_bytes_never_harm) {
    uint8_t *whole;
    Chunk c = some_chunk(&whole);
    HistogramSamples got = {0};
    for (uint32_t i = 0; i < c.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            whole[i] ^= (uint8_t)(1u << bit);
            (void)histogram_chunk_decode(&c, &got);
            whole[i] ^= (uint8_t)(1u << bit);
        }
    }
    histogram_samples_deinit(&got);
    mem_free(whole);
}

TEST (a_chunk_of_another_encoding_is_refused) {
    Chunk c = {.n = 1, .size = 1, .data = (const uint8_t *)"", .encoding = CHUNK_XOR};
    HistogramSamples got = {0};
    CHECK_INT(histogram_chunk_decode(&c, &got), -ENOTSUP);
    histogram_samples_deinit(&got);
}

TEST (the_example_of_the_format) {
    static const BucketSpan spans[] = {{0, 2}};
    static const int64_t first[] = {1, 1}, second[] = {2, 2};
    Histogram a = {.schema = 0,
                   .zero_threshold = 0x1p-128,
                   .sum = 1.5,
                   .zero_count = 1,
                   .count = 4,
                   .n_positive_spans = 1,
                   .n_positive = 2,
                   .positive_spans = spans,
                   .positive = first};
    Histogram b = a;
    b.positive = second;
    b.count = 7;
    HistogramWriter *w = histogram_writer_new();
    histogram_writer_add(w, &(HistogramSample){.t = 1000, .h = &a});
    histogram_writer_add(w, &(HistogramSample){.t = 2000, .h = &b});
    Chunk c = histogram_writer_view(w);
    static const uint8_t want[] = {0x00, 0xc9, 0xbf, 0xc6, 0x43, 0x6f, 0x31,
                                   0x15, 0xff, 0xf1, 0xf4, 0x4d, 0xe0};
    CHECK_INT(c.size, sizeof(want));
    CHECK(memcmp(c.data, want, sizeof(want)) == 0);
    histogram_writer_free(w);
}
