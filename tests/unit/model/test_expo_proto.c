/* Pages of protobuf messages: what each kind of metric becomes, with texts as OpenMetrics has them;
 * cut-off and broken pages are refused. */
#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "format/protowire.h"
#include "model/expo.h"
#include "support/test.h"

static void add_label(Buf *b, const char *name, const char *value) {
    size_t mark = proto_begin(b, 1);
    proto_add_bytes(b, 1, str_of(name));
    proto_add_bytes(b, 2, str_of(value));
    proto_end(b, mark);
}

static void add_time(Buf *b, uint32_t number, int64_t seconds, int nanos) {
    size_t mark = proto_begin(b, number);
    proto_add_int(b, 1, seconds);
    proto_add_int(b, 2, nanos);
    proto_end(b, mark);
}

static void add_exemplar(Buf *b, uint32_t number, const char *trace, double v, int64_t seconds) {
    size_t mark = proto_begin(b, number);
    add_label(b, "trace_id", trace);
    proto_add_double(b, 2, v);
    if (seconds) {
        add_time(b, 3, seconds, 500000000);
    }
    proto_end(b, mark);
}

static size_t metric_begin(Buf *b) { return proto_begin(b, 4); }

static void add_bucket(Buf *b, double bound, uint64_t count, bool exemplar) {
    size_t mark = proto_begin(b, 3);
    proto_add_uint(b, 1, count);
    proto_add_double(b, 2, bound);
    if (exemplar) {
        add_exemplar(b, 3, "bucket", bound, 0);
    }
    proto_end(b, mark);
}

static void add_span(Buf *b, uint32_t number, int offset, unsigned length) {
    size_t mark = proto_begin(b, number);
    proto_add_sint(b, 1, offset);
    proto_add_uint(b, 2, length);
    proto_end(b, mark);
}

static void add_native(Buf *b) {
    proto_add_sint(b, 5, 3);
    proto_add_double(b, 6, 0.25);
    proto_add_uint(b, 7, 2);
    add_span(b, 12, -1, 2);
    size_t mark = proto_begin(b, 13);
    buf_add_varint(b, 3);
    buf_add_varint(b, -1);
    proto_end(b, mark);
}

/* The content of one histogram metric. */
static void add_histogram(Buf *b, bool native, bool classic) {
    size_t mark = proto_begin(b, 7);
    proto_add_uint(b, 1, 7);
    proto_add_double(b, 2, 1.5);
    if (classic) {
        add_bucket(b, 0.5, 4, true);
        add_bucket(b, 1, 6, false);
    }
    if (native) {
        add_native(b);
        add_time(b, 15, 1000, 250000000);
        add_exemplar(b, 16, "late", 2, 20);
        add_exemplar(b, 16, "early", 1, 10);
        add_exemplar(b, 16, "timeless", 1, 0);
    }
    proto_end(b, mark);
}

static void add_family(Buf *page, const char *name, unsigned type, const Buf *metrics) {
    CLEANUP(buf_deinit) Buf b = {0};
    proto_add_bytes(&b, 1, str_of(name));
    proto_add_bytes(&b, 2, STR("Some \"help\"\nhere."));
    if (type) {
        proto_add_uint(&b, 3, type);
    }
    buf_add_str(&b, buf_str(metrics));
    buf_add_uvarint(page, b.n);
    buf_add_str(page, buf_str(&b));
}

enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM };

static void simple_page(Buf *page) {
    CLEANUP(buf_deinit) Buf b = {0};
    size_t mark = metric_begin(&b), inner;
    add_label(&b, "path", "/a\"b");
    inner = proto_begin(&b, 3);
    proto_add_double(&b, 1, 42);
    add_exemplar(&b, 2, "abc", 0.5, 0);
    add_time(&b, 3, 7, 0);
    proto_end(&b, inner);
    proto_add_int(&b, 6, 123456);
    proto_end(&b, mark);
    add_family(page, "steps", COUNTER, &b);
    buf_reset(&b);
    mark = metric_begin(&b);
    add_label(&b, "dotted.name", "x");
    inner = proto_begin(&b, 2);
    proto_add_double(&b, 1, NAN);
    proto_end(&b, inner);
    proto_end(&b, mark);
    add_family(page, "a.gauge", GAUGE, &b);
    buf_reset(&b);
    mark = metric_begin(&b);
    inner = proto_begin(&b, 4);
    proto_add_uint(&b, 1, 3);
    proto_add_double(&b, 2, 9);
    size_t quantile = proto_begin(&b, 3);
    proto_add_double(&b, 1, 1);
    proto_add_double(&b, 2, 5);
    proto_end(&b, quantile);
    proto_end(&b, inner);
    proto_end(&b, mark);
    add_family(page, "took", SUMMARY, &b);
}

/* One line a sample. */
static void dump(ExpoParser *p, Buf *out) {
    int r;
    while ((r = expo_next(p)) == EXPO_SAMPLE) {
        buf_addf(out, "%.*s", SA(p->series));
        if (p->h) {
            buf_addf(out, " h%llu/%d/%u", (unsigned long long)p->h->count, p->h->schema,
                     p->h->n_positive);
        } else if (p->fh) {
            buf_addf(out, " fh%g/%d", p->fh->count, p->fh->schema);
        } else {
            buf_addf(out, " %g", p->value);
        }
        if (p->has_t) {
            buf_addf(out, " @%lld", (long long)p->t);
        }
        if (p->st) {
            buf_addf(out, " since %lld", (long long)p->st);
        }
        for (size_t i = 0; i < p->n_exemplars; i++) {
            buf_addf(out, " # %.*s %g", SA(p->exemplars[i].labels[0].value), p->exemplars[i].value);
        }
        buf_add_char(out, '\n');
    }
    CHECK_INT(r, EXPO_END);
}

static void check_page(const Buf *page, bool native, bool classic, const char *want) {
    CLEANUP(buf_deinit) Buf text = {0};
    ExpoParser p;
    expo_init(&p, EXPO_PROTO, buf_str(page));
    p.native = native;
    p.classic = classic;
    dump(&p, &text);
    CHECK_STR(buf_str(&text), str_of(want));
    expo_deinit(&p);
}

TEST (simple_metrics_become_series_as_openmetrics_writes_them) {
    CLEANUP(buf_deinit) Buf page = {0};
    simple_page(&page);
    check_page(&page, true, false,
               "steps{path=\"/a\\\"b\"} 42 @123456 since 7000 # abc 0.5\n"
               "{\"a.gauge\",\"dotted.name\"=\"x\"} nan\n"
               "took{quantile=\"1.0\"} 5\ntook_sum 9\ntook_count 3\n");
}

static void histogram_page(Buf *page, unsigned type, bool native, bool classic) {
    CLEANUP(buf_deinit) Buf b = {0};
    size_t mark = metric_begin(&b);
    add_label(&b, "job", "x");
    add_histogram(&b, native, classic);
    proto_end(&b, mark);
    add_family(page, "rpc", type, &b);
}

TEST (histograms_are_native_or_classic_as_asked) {
    CLEANUP(buf_deinit) Buf page = {0};
    const char *classic = "rpc_count{job=\"x\"} 7\nrpc_sum{job=\"x\"} 1.5\n"
                          "rpc_bucket{job=\"x\",le=\"0.5\"} 4 # bucket 0.5\n"
                          "rpc_bucket{job=\"x\",le=\"1.0\"} 6\n"
                          "rpc_bucket{job=\"x\",le=\"+Inf\"} 7\n";
    histogram_page(&page, HISTOGRAM, false, true);
    check_page(&page, true, false, classic);
    buf_reset(&page);
    histogram_page(&page, HISTOGRAM, true, false);
    const char *native = "rpc{job=\"x\"} h7/3/2 since 1000250 # early 1 # late 2\n";
    check_page(&page, true, true, native);
    buf_reset(&page);
    histogram_page(&page, GAUGE_HISTOGRAM, true, true);
    check_page(&page, true, false, native);
    ExpoParser p;
    expo_init(&p, EXPO_PROTO, buf_str(&page));
    p.native = p.classic = true;
    CHECK_INT(expo_next(&p), EXPO_SAMPLE);
    CHECK_INT(p.h->reset_hint, RESET_GAUGE);
    CHECK_INT(p.type, METRIC_GAUGE_HISTOGRAM);
    CHECK_INT(p.exemplars[0].t, 10500);
    CHECK_STR(str_upto(p.text, p.text.n - p.series.n),
              STR("# HELP rpc Some \\\"help\\\"\\nhere.\n# TYPE rpc gaugehistogram\n"));
    CHECK_INT(expo_next(&p), EXPO_SAMPLE);
    CHECK_STR(p.text, STR("rpc_count{job=\"x\"}"));
    expo_deinit(&p);
}

TEST (a_page_as_before_is_recognised) {
    CLEANUP(buf_deinit) Buf page = {0};
    simple_page(&page);
    ExpoParser p, q;
    expo_init(&p, EXPO_PROTO, buf_str(&page));
    expo_init(&q, EXPO_PROTO, buf_str(&page));
    while (expo_next(&p) == EXPO_SAMPLE) {
        bool hit;
        ExpoExpected expected = {p.text, (uint32_t)(p.series.p - p.text.p), p.type, p.typed};
        CHECK_INT(expo_next_expect(&q, &expected, &hit), EXPO_SAMPLE);
        CHECK(hit);
        CHECK(isnan(p.value) ? isnan(q.value) : p.value == q.value);
    }
    CHECK_INT(expo_next(&q), EXPO_END);
    expo_deinit(&p);
    expo_deinit(&q);
}

TEST (every_prefix_ends_or_is_refused) {
    CLEANUP(buf_deinit) Buf page = {0};
    simple_page(&page);
    histogram_page(&page, HISTOGRAM, true, true);
    int ended = 0;
    for (size_t n = 0; n <= page.n; n++) {
        char *copy = mem_dup(page.p, n);
        ExpoParser p;
        int r;
        expo_init(&p, EXPO_PROTO, str_n(copy, n));
        p.native = p.classic = true;
        while ((r = expo_next(&p)) == EXPO_SAMPLE) {
        }
        ended += r == EXPO_END;
        CHECK(r == EXPO_END || (r == -EBADMSG && p.problem.text[0]));
        expo_deinit(&p);
        mem_free(copy);
    }
    CHECK_INT(ended, 5); /* at the borders of the families */
}

TEST (histograms_get_wider_buckets) {
    static const BucketSpan spans[] = {{-3, 4}, {2, 2}};
    static const int64_t deltas[] = {1, 1, 1, 1, 1, 1}; /* 1 2 3 4, 5 6 at -3..0, 3..4 */
    Histogram h = {.schema = 2,
                   .count = 21,
                   .n_positive_spans = 2,
                   .n_positive = 6,
                   .positive_spans = spans,
                   .positive = deltas};
    Arena a = {0};
    Histogram *less = histogram_reduce(&a, &h, 1);
    /* -3 -> -1; -2, -1 -> -1, 0: ((i - 1) >> 1) + 1 */
    CHECK(histogram_validate(less, NULL));
    CHECK_INT(less->schema, 1);
    CHECK_INT(less->n_positive_spans, 2);
    CHECK_INT(less->positive_spans[0].offset, -1);
    CHECK_INT(less->positive_spans[0].length, 2);
    CHECK_INT(less->positive_spans[1].offset, 1);
    CHECK_INT(less->positive_spans[1].length, 1);
    CHECK_INT(less->positive[0], 3);
    CHECK_INT(less->positive[1], 4);
    CHECK_INT(less->positive[2], 4);
    less = histogram_reduce(&a, &h, -4);
    CHECK(histogram_validate(less, NULL));
    CHECK_INT(less->n_positive, 2);
    arena_deinit(&a);
    CHECK_INT(histogram_schema_for(1.1), 3);
    CHECK_INT(histogram_schema_for(2), 0);
    CHECK_INT(histogram_schema_for(0), 8);
    CHECK_INT(histogram_schema_for(1e9), -4);
}
