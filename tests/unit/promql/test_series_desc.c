#include "promql/testscript.h"
#include "support/test.h"

static Arena arena;

static SeriesDesc parse(const char *text) {
    SeriesDesc d = {0};
    Problem p = {0};
    if (series_desc_parse(str_of(text), &arena, &d, &p) < 0)
        test_fail(__FILE__, __LINE__, "%s: column %d: %s", text, p.column, p.text);
    return d;
}

static void check_values(const char *text, size_t n, const double *want) {
    SeriesDesc d = parse(text);
    CHECK_INT(d.n, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(d.values[i].omitted, isinf(want[i]) && want[i] < 0);
        if (!d.values[i].omitted)
            CHECK_DOUBLE(d.values[i].value, want[i]);
    }
}

#define GAP (-INFINITY)

TEST (values_are_expanded) {
    check_values("up 1 2 3", 3, (double[]){1, 2, 3});
    check_values("up{a=\"b c\"} -1+2x2 _ 5", 5, (double[]){-1, 1, 3, GAP, 5});
    check_values("{} _x2 7x2", 5, (double[]){GAP, GAP, 7, 7, 7});
    check_values("up 3-1.5x1 stale Inf", 4, (double[]){3, 1.5, stale_nan(), INFINITY});
    check_values("up\t1e3  2e-1x0", 2, (double[]){1000, 0.2});
    check_values("up", 0, NULL);
}

TEST (labels_are_sorted_and_names_quoted) {
    SeriesDesc d = parse("{\"my.metric\", z='1', \"a.b\"=\"\\\"\"} 1");
    CHECK_INT(d.labels.n, 3);
    CHECK_STR(labels_get(d.labels, LABEL_NAME), STR("my.metric"));
    CHECK_STR(labels_get(d.labels, STR("a.b")), STR("\""));
    CHECK_STR(labels_get(d.labels, STR("z")), STR("1"));
}

TEST (histograms_have_their_notation) {
    SeriesDesc d =
        parse("h {{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] "
              "offset:-3 n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}} {{}}");
    CHECK_INT(d.n, 2);
    const FloatHistogram *h = d.values[0].histogram;
    CHECK_INT(h->schema, 1);
    CHECK_DOUBLE(h->sum, -0.3);
    CHECK_DOUBLE(h->zero_threshold, 0.05);
    CHECK_INT(h->positive_spans[0].offset, -3);
    CHECK_INT(h->n_positive, 3);
    CHECK_DOUBLE(h->positive[0], 5.1);
    CHECK_INT(h->negative_spans[0].offset, -5);
    CHECK_INT(h->reset_hint, RESET_GAUGE);
    CHECK(d.values[0].hint_set);
    CHECK(!d.values[1].hint_set);
}

TEST (histograms_grow_by_others) {
    SeriesDesc d = parse(
        "h {{count:2 sum:1 buckets:[1 1]}}+{{schema:0 count:3 sum:2 offset:1 buckets:[1 2]}}x2");
    CHECK_INT(d.n, 3);
    const FloatHistogram *h = d.values[2].histogram;
    CHECK_DOUBLE(h->count, 8.0);
    CHECK_DOUBLE(h->sum, 5.0);
    CHECK_INT(h->n_positive, 3);
    CHECK_DOUBLE(h->positive[0], 1.0);
    CHECK_DOUBLE(h->positive[1], 3.0);
    CHECK_DOUBLE(h->positive[2], 4.0);
}

TEST (broken_notation_is_refused) {
    static const char *const broken[] = {"up 1x",
                                         "up 1+",
                                         "up 1+2",
                                         "up abc",
                                         "up{a} 1",
                                         "up{a=b} 1",
                                         "up{a=\"b\" 1",
                                         "up 1_a4",
                                         "up {{schema:x}}",
                                         "up {{buckets:[1}}",
                                         "up {{nothing:1}}",
                                         "up {{sum:1",
                                         "up 1 1 1x99999999999"};
    SeriesDesc d;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        Problem p = {0};
        if (series_desc_parse(str_of(broken[i]), &arena, &d, &p) != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is taken", broken[i]);
        CHECK(p.column > 0);
    }
}
