#include "base/compiler.h"
#include "base/mem.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "support/test.h"

static const BucketSpan two_spans[] = {{0, 2}, {1, 1}};

static Histogram sample(const int64_t deltas[3], uint64_t count) {
    return (Histogram){.schema = 1,
                       .count = count,
                       .sum = 1.5,
                       .n_positive_spans = 2,
                       .positive_spans = two_spans,
                       .n_positive = 3,
                       .positive = deltas};
}

TEST (a_copy_is_whole_and_its_own) {
    int64_t deltas[] = {1, 1, -1};
    Histogram h = sample(deltas, 4), *copy = histogram_dup(&h);
    deltas[0] = 9;
    CHECK_INT(copy->positive[0], 1);
    CHECK_INT(copy->positive_spans[1].offset, 1);
    CHECK_INT(copy->n_positive, 3);
    mem_free(copy);
}

TEST (hint_says_whether_a_count_fell) {
    int64_t one[] = {1, 1, -1}, more[] = {1, 2, -2}, fell[] = {2, -1, 2};
    Histogram a = sample(one, 4), b = sample(more, 5), c = sample(fell, 6);
    CHECK_INT(histogram_reset_hint(NULL, &a), RESET_UNKNOWN);
    CHECK_INT(histogram_reset_hint(&a, &b), RESET_NO);
    CHECK_INT(histogram_reset_hint(&b, &a), RESET_YES);
    CHECK_INT(histogram_reset_hint(&a, &c), RESET_YES);
    b.schema = 2;
    CHECK_INT(histogram_reset_hint(&a, &b), RESET_UNKNOWN);
    b.reset_hint = RESET_GAUGE;
    CHECK_INT(histogram_reset_hint(&a, &b), RESET_GAUGE);
    CHECK_INT(histogram_reset_hint(&b, &a), RESET_UNKNOWN);
}

TEST (a_used_bucket_that_is_gone_is_a_reset_and_an_unused_one_is_not) {
    static const BucketSpan wide[] = {{0, 3}}, narrow[] = {{0, 1}};
    double used[] = {1, 2, 3}, unused[] = {1, 0, 0}, now[] = {1};
    FloatHistogram a = {.count = 1,
                        .n_positive_spans = 1,
                        .positive_spans = wide,
                        .n_positive = 3,
                        .positive = used};
    FloatHistogram b = {.count = 9,
                        .n_positive_spans = 1,
                        .positive_spans = narrow,
                        .n_positive = 1,
                        .positive = now};
    CHECK_INT(float_histogram_reset_hint(&a, &b), RESET_YES);
    a.positive = unused;
    CHECK_INT(float_histogram_reset_hint(&a, &b), RESET_NO);
    CHECK_INT(float_histogram_reset_hint(&b, &a), RESET_YES);
    b.sum = stale_nan();
    CHECK_INT(float_histogram_reset_hint(&a, &b), RESET_NO);
    CHECK_INT(float_histogram_reset_hint(&b, &a), RESET_UNKNOWN);
}

TEST (validation_names_the_broken_rule) {
    int64_t deltas[] = {1, 1, -1};
    Histogram good = sample(deltas, 4), h = good;
    Problem p = {0};
    CHECK(histogram_validate(&good, &p));
    h.count = 5;
    CHECK(!histogram_validate(&h, &p) && strstr(p.text, "but the Count field is 5"));
    h = good;
    h.n_positive = 2;
    CHECK(!histogram_validate(&h, &p) && strstr(p.text, "spans need 3 buckets, have 2 buckets"));
    h = good;
    h.schema = 9;
    CHECK(!histogram_validate(&h, &p) && strstr(p.text, "got schema 9"));
    int64_t negative[] = {1, -3, 4};
    h = sample(negative, 1);
    CHECK(!histogram_validate(&h, &p) && strstr(p.text, "bucket number 2"));
    double bounds[] = {1, 1};
    h = good;
    h.schema = HISTOGRAM_SCHEMA_CUSTOM;
    h.n_custom = 2;
    h.custom_values = bounds;
    CHECK(!histogram_validate(&h, &p) && strstr(p.text, "strictly increasing"));
    double rising[] = {1, 2};
    h.custom_values = rising;
    CHECK(!histogram_validate(&h, &p) && strstr(p.text, "only 2 custom bounds"));
}
