/* Prometheus' block format: what is written is read, and damage is told. (The process suite holds
 * it against promtool and Prometheus.) */
#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#include "model/sample.h"
#include "support/test.h"
#include "tsdb/promblock/prom_block.h"
#include "tsdb/promblock/prom_block_writer.h"
#include "tsdb/promblock/prom_histogram.h"
#include "tsdb/promblock/prom_xor.h"

#define HOUR INT64_C(3600000)
#define BEGIN (INT64_C(1700000000000) / (2 * HOUR) * (2 * HOUR))

typedef struct Names {
    char text[2][32];
    Label v[2];
} Names;

static Labels series_labels(unsigned i, Names *n) {
    snprintf(n->text[0], sizeof(n->text[0]), "metric_%u", i / 10);
    snprintf(n->text[1], sizeof(n->text[1]), "host%u", i % 10);
    n->v[0] = (Label){LABEL_NAME, str_of(n->text[0])};
    n->v[1] = (Label){STR("instance"), str_of(n->text[1])};
    return (Labels){n->v, 2};
}

static void check_round_trip(const int64_t *t, const double *v, size_t n) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    prom_xor_encode(&b, t, v, n);
    int64_t *t2 = calloc(n, sizeof(*t2));
    double *v2 = calloc(n, sizeof(*v2));
    CHECK_INT(prom_xor_count((uint8_t *)b.p, b.n), n);
    CHECK_INT(prom_xor_decode((uint8_t *)b.p, b.n, t2, v2), 0);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(t2[i], t[i]);
        CHECK_DOUBLE(v2[i], v[i]);
    }
    for (size_t cut = 0; cut < b.n;
         cut++) { /* in memory of its own, so that ASan sees a step over */
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, b.p, cut);
        if (prom_xor_count(part, cut) >= 0) {
            CHECK_INT(prom_xor_decode(part, cut, t2, v2), -EBADMSG);
        }
        free(part);
    }
    free(t2);
    free(v2);
}

TEST (xor_keeps_every_bit) {
    const double special[] = {0,
                              -0.0,
                              1,
                              1,
                              INFINITY,
                              -INFINITY,
                              NAN,
                              stale_nan(),
                              normal_nan(),
                              5e-324,
                              1.7976931348623157e308,
                              -1.5,
                              0.1};
    int64_t t[ARRAY_LEN(special)];
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        t[i] = BEGIN + (int64_t)i * 15000;
    }
    check_round_trip(t, special, ARRAY_LEN(special));
}

TEST (xor_keeps_every_step_of_time) {
    /* Around the ends of each class of a change of step. */
    const int64_t changes[] = {0,      1,      -1,      8191,    8192,   -8191,
                               -8192,  8193,   65535,   65536,   -65535, -65536,
                               524287, 524288, -524287, -524288, 524289, INT64_C(1) << 40};
    int64_t t[ARRAY_LEN(changes) + 2];
    double v[ARRAY_LEN(t)];
    int64_t step = INT64_C(1) << 41;
    t[0] = -(INT64_C(1) << 50);
    t[1] = t[0] + step;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        step += changes[i];
        t[i + 2] = t[i + 1] + step;
    }
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        v[i] = (double)i;
    }
    check_round_trip(t, v, ARRAY_LEN(t));
}

/* ---- histograms */

#define HISTOGRAMS 40

static const BucketSpan SPANS[] = {{-2, 2}, {3, 3}}, NEGATIVE[] = {{0, 1}};
static const double BOUNDS[] = {-1, 0.005, 0.1 + 0.2, 1, 2.5, 40000};

typedef struct Made {
    HistogramSample v[HISTOGRAMS];
    Histogram h[HISTOGRAMS];
    FloatHistogram fh[HISTOGRAMS];
    int64_t deltas[HISTOGRAMS][6];
    double counts[HISTOGRAMS][6];
} Made;

/* Counters that grow unevenly; the last is a stale marker. */
static void make_histograms(Made *m, bool floats, bool custom, double threshold) {
    for (int i = 0; i < HISTOGRAMS; i++) {
        double total = 0;
        for (int k = 0; k < 6; k++) {
            m->counts[i][k] = floats ? i * k * 1.5 + k : (double)(i * k * k + k + i / 7 * 1000);
            m->deltas[i][k] = (int64_t)(m->counts[i][k] - (k && k < 5 ? m->counts[i][k - 1] : 0));
            total += m->counts[i][k];
        }
        m->fh[i] = (FloatHistogram){.schema = custom ? HISTOGRAM_SCHEMA_CUSTOM : 3,
                                    .zero_threshold = custom ? 0 : threshold,
                                    .sum = i * 0.1,
                                    .zero_count = custom ? 0 : i,
                                    .count = total + (custom ? 0 : i),
                                    .n_positive_spans = 2,
                                    .n_positive = 5,
                                    .n_negative_spans = custom ? 0 : 1,
                                    .n_negative = custom ? 0 : 1,
                                    .n_custom = custom ? 6 : 0,
                                    .positive_spans = SPANS,
                                    .negative_spans = NEGATIVE,
                                    .positive = m->counts[i],
                                    .negative = m->counts[i] + 5,
                                    .custom_values = BOUNDS};
        const FloatHistogram *f = &m->fh[i];
        m->h[i] = (Histogram){.schema = f->schema,
                              .zero_threshold = f->zero_threshold,
                              .sum = f->sum,
                              .zero_count = (uint64_t)f->zero_count,
                              .count = (uint64_t)f->count,
                              .n_positive_spans = 2,
                              .n_positive = 5,
                              .n_negative_spans = f->n_negative_spans,
                              .n_negative = f->n_negative,
                              .n_custom = f->n_custom,
                              .positive_spans = SPANS,
                              .negative_spans = NEGATIVE,
                              .positive = m->deltas[i],
                              .negative = m->deltas[i] + 5,
                              .custom_values = BOUNDS};
        m->v[i] = (HistogramSample){.t = BEGIN + i * 15000 + i % 3,
                                    .h = floats ? NULL : &m->h[i],
                                    .fh = floats ? &m->fh[i] : NULL};
    }
    m->h[HISTOGRAMS - 1].sum = m->fh[HISTOGRAMS - 1].sum = stale_nan();
}

static void check_histograms(bool floats, bool custom, double threshold) {
    static Made m;
    HistogramSamples got = {0};
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    make_histograms(&m, floats, custom, threshold);
    for (int i = 1; i < HISTOGRAMS; i++) {
        CHECK(prom_histogram_fits(&m.v[i - 1], &m.v[i]));
        CHECK(!prom_histogram_fits(&m.v[i], &m.v[i - 1])); /* counts fall */
    }
    prom_histogram_encode(&b, m.v, HISTOGRAMS, RESET_YES);
    CHECK_INT(prom_histogram_decode((uint8_t *)b.p, b.n, floats, &got), 0);
    CHECK_INT(got.n, HISTOGRAMS);
    for (uint32_t i = 0; i < got.n; i++) {
        HistogramSample s = histogram_samples_at(&got, i);
        CHECK_INT(s.t, m.v[i].t);
        CHECK(histogram_sample_same(&s, &m.v[i]));
        CHECK_INT(i + 1 == got.n ? 0 : (int)(s.h ? s.h->reset_hint : s.fh->reset_hint),
                  i + 1 == got.n ? 0 : (int)(i ? RESET_NO : RESET_YES));
    }
    for (size_t cut = 0; cut < b.n; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, b.p, cut);
        CHECK_INT(prom_histogram_decode(part, cut, floats, &got), -EBADMSG);
        free(part);
    }
    histogram_samples_deinit(&got);
}

TEST (histograms_come_back) {
    for (int floats = 0; floats < 2; floats++) {
        check_histograms(floats, false, 0x1p-128);
        check_histograms(floats, false, 0);
        check_histograms(floats, false, 0.001);
        check_histograms(floats, true, 0);
    }
}

TEST (histograms_of_another_layout_do_not_fit) {
    static Made a, b;
    make_histograms(&a, false, false, 0.5);
    make_histograms(&b, false, false, 0.25);
    CHECK(!prom_histogram_fits(&a.v[0], &b.v[1]));
    make_histograms(&b, true, false, 0.5);
    CHECK(!prom_histogram_fits(&a.v[0], &b.v[1]));
    make_histograms(&b, false, false, 0.5);
    b.h[1].reset_hint = RESET_GAUGE;
    CHECK(!prom_histogram_fits(&a.v[0], &b.v[1]));
    CHECK(!prom_histogram_fits(&a.v[HISTOGRAMS - 1], &b.v[2])); /* behind a stale marker */
}

TEST (histograms_and_floats_share_a_series) {
    static Made m;
    PromBlockWriter *w;
    Names names;
    char id[BLOCK_ID_SIZE];
    Problem p = {0};
    make_histograms(&m, false, false, 0.5);
    CHECK_INT(prom_block_writer_new(test_tmpdir(), BEGIN, BEGIN + 2 * HOUR, &w), 0);
    prom_block_writer_symbols(w, series_labels(1, &names));
    CHECK_INT(prom_block_writer_series(w, series_labels(1, &names)), 0);
    for (int i = 0; i < HISTOGRAMS; i++) {
        int64_t t = m.v[i].t + 1;
        double v = i;
        CHECK_INT(prom_block_writer_histogram(w, &m.v[i]), 0);
        if (i == 10) {
            CHECK_INT(prom_block_writer_samples(w, &t, &v, 1), 0);
        }
        CHECK_INT(prom_block_writer_histogram(w, &m.v[i]), -EINVAL);
    }
    CHECK_INT(prom_block_writer_finish(w, id, NULL), 0);
    prom_block_writer_free(w);
    CLEANUP(mem_freep) char *path = mem_printf("%s/%s", test_tmpdir(), id);
    PromBlock *b;
    PromSeries s;
    CHECK_INT(prom_block_open(path, &b, &p), 0);
    CHECK_INT(prom_block_next(b, &s, &p), 1);
    const int encodings[] = {PROM_HISTOGRAM, PROM_XOR, PROM_HISTOGRAM};
    CHECK_INT(s.n, ARRAY_LEN(encodings));
    for (size_t i = 0; i < s.n; i++) {
        PromChunk c;
        CHECK_INT(prom_block_chunk(b, s.chunks[i].ref, &c, &p), 0);
        CHECK_INT(c.encoding, encodings[i]);
    }
    CHECK_INT(prom_block_meta(b)->samples, HISTOGRAMS + 1);
    prom_block_close(b);
}

/* ---- blocks */

static double value_at(unsigned series, int64_t t) {
    return (double)series + (double)(t % 1000003) / 7;
}

#define SERIES 50
#define SAMPLES 300

static char *write_block(void) {
    PromBlockWriter *w;
    Names names;
    char id[BLOCK_ID_SIZE];
    CHECK_INT(prom_block_writer_new(test_tmpdir(), BEGIN, BEGIN + 2 * HOUR, &w), 0);
    for (unsigned i = 0; i < SERIES; i++) {
        prom_block_writer_symbols(w, series_labels(i, &names));
    }
    for (unsigned i = 0; i < SERIES; i++) {
        CHECK_INT(prom_block_writer_series(w, series_labels(i, &names)), 0);
        for (int64_t k = 0; k < (i == 7 ? 0 : SAMPLES); k++) {
            int64_t t = BEGIN + k * 15000;
            double v = value_at(i, t);
            CHECK_INT(prom_block_writer_samples(w, &t, &v, 1), 0);
        }
    }
    CHECK_INT(prom_block_writer_finish(w, id, NULL), 0);
    prom_block_writer_free(w);
    return mem_printf("%s/%s", test_tmpdir(), id);
}

TEST (what_is_written_is_read) {
    CLEANUP(mem_freep) char *path = write_block();
    PromBlock *b;
    Problem p = {0};
    CHECK_INT(prom_block_open(path, &b, &p), 0);
    CHECK_INT(prom_block_meta(b)->samples, (SERIES - 1) * SAMPLES);
    CHECK_INT(prom_block_meta(b)->series, SERIES - 1); /* one has no samples */
    for (int round = 0; round < 2; round++) {          /* the end leads back to the first */
        unsigned at = 0;
        PromSeries s;
        while (prom_block_next(b, &s, &p) > 0) {
            at += at == 7;
            Names names;
            CHECK(labels_eq(s.labels, series_labels(at, &names)));
            CHECK_INT(s.n, 3);
            int64_t next = BEGIN;
            for (size_t i = 0; i < s.n; i++) {
                PromChunk c;
                int64_t t[PROM_CHUNK_SAMPLES_MAX];
                double v[PROM_CHUNK_SAMPLES_MAX];
                CHECK_INT(prom_block_chunk(b, s.chunks[i].ref, &c, &p), 0);
                CHECK_INT(c.encoding, PROM_XOR);
                int n = prom_xor_count(c.data, c.size);
                CHECK_INT(prom_xor_decode(c.data, c.size, t, v), 0);
                CHECK_INT(s.chunks[i].min_time, t[0]);
                CHECK_INT(s.chunks[i].max_time, t[n - 1]);
                for (int k = 0; k < n; k++, next += 15000) {
                    CHECK_INT(t[k], next);
                    CHECK_DOUBLE(v[k], value_at(at, next));
                }
            }
            CHECK_INT(next, BEGIN + SAMPLES * 15000);
            at++;
        }
        CHECK_INT(at, SERIES);
    }
    prom_block_close(b);
}

TEST (order_and_range_are_kept) {
    PromBlockWriter *w;
    Names names;
    char id[BLOCK_ID_SIZE];
    double v = 1;
    int64_t t = BEGIN;
    CHECK_INT(prom_block_writer_new(test_tmpdir(), BEGIN, BEGIN + HOUR, &w), 0);
    prom_block_writer_symbols(w, series_labels(1, &names));
    CHECK_INT(prom_block_writer_series(w, series_labels(1, &names)), 0);
    CHECK_INT(prom_block_writer_samples(w, &t, &v, 1), 0);
    CHECK_INT(prom_block_writer_samples(w, &t, &v, 1), -EINVAL);
    t = BEGIN + HOUR;
    CHECK_INT(prom_block_writer_samples(w, &t, &v, 1), -EINVAL);
    t = BEGIN - 1;
    CHECK_INT(prom_block_writer_samples(w, &t, &v, 1), -EINVAL);
    CHECK_INT(prom_block_writer_series(w, series_labels(0, &names)), -EINVAL);
    prom_block_writer_free(w);
    CHECK_INT(prom_block_writer_new(test_tmpdir(), BEGIN, BEGIN + HOUR, &w), 0);
    CHECK_INT(prom_block_writer_series(w, LABELS_EMPTY), 0);
    CHECK_INT(prom_block_writer_finish(w, id, NULL), PROM_BLOCK_EMPTY);
    prom_block_writer_free(w);
}

/* Reads all there is: 0, or the first error. */
static int read_all(const char *path) {
    PromBlock *b;
    PromSeries s;
    Problem p = {0};
    int r = prom_block_open(path, &b, &p);
    if (r < 0) {
        CHECK(p.text[0]);
        return r;
    }
    while ((r = prom_block_next(b, &s, &p)) > 0) {
        for (size_t i = 0; i < s.n; i++) {
            PromChunk c;
            int e = prom_block_chunk(b, s.chunks[i].ref, &c, &p);
            if (e < 0) {
                prom_block_close(b);
                CHECK(p.text[0]);
                return e;
            }
        }
    }
    prom_block_close(b);
    return r;
}

static void check_damage(const char *path, const char *name, size_t stride) {
    CLEANUP(mem_freep) char *file = mem_printf("%s/%s", path, name);
    CLEANUP(buf_deinit) Buf whole = BUF_INIT(0);
    CHECK_INT(file_read_whole(file, 1 << 30, &whole), 0);
    unsigned told = 0, tried = 0;
    for (size_t i = 0; i < whole.n; i += stride, tried++) {
        whole.p[i] ^= 0x55;
        CHECK_INT(file_write_durable(file, whole.p, whole.n, 0666), 0);
        told += read_all(path) < 0;
        whole.p[i] ^= 0x55;
    }
    CHECK(told >
          tried * 8 / 10); /* all but padding, postings and their table, which are not read */
    for (size_t n = 0; n < whole.n; n += stride) {
        CHECK_INT(file_write_durable(file, whole.p, n, 0666), 0);
        CHECK(read_all(path) < 0);
    }
    CHECK_INT(file_write_durable(file, whole.p, whole.n, 0666), 0);
    CHECK_INT(read_all(path), 0);
}

TEST (damage_is_told) {
    CLEANUP(mem_freep) char *path = write_block();
    CHECK_INT(read_all(path), 0);
    check_damage(path, "chunks/000001", 997);
    check_damage(path, "tombstones", 1);
}

TEST (no_damage_to_the_index_is_a_crash) {
    CLEANUP(mem_freep) char *path = write_block();
    CLEANUP(mem_freep) char *file = mem_printf("%s/index", path);
    CLEANUP(buf_deinit) Buf whole = BUF_INIT(0);
    CHECK_INT(file_read_whole(file, 1 << 30, &whole), 0);
    unsigned told = 0;
    for (size_t i = 0; i < whole.n; i += 31) {
        whole.p[i] ^= 0x55;
        CHECK_INT(file_write_durable(file, whole.p, whole.n, 0666), 0);
        told += read_all(path) < 0;
        whole.p[i] ^= 0x55;
    }
    CHECK(told > 50);
    for (size_t n = 0; n < whole.n; n += 31) {
        CHECK_INT(file_write_durable(file, whole.p, n, 0666), 0);
        CHECK(read_all(path) < 0);
    }
}
