#include "api/reply.h"
#include "support/test.h"

static const char *text_of(const FloatHistogram *h) {
    static Buf b;
    buf_reset(&b);
    reply_histogram(&b, h);
    return buf_cstr(&b);
}

TEST (buckets_go_from_the_most_negative_to_the_most_positive) {
    const BucketSpan spans[] = {{0, 2}, {1, 1}};
    const double positive[] = {1, 0, 3}, negative[] = {4, 5, 6};
    FloatHistogram h = {.schema = 0,
                        .count = 20.5,
                        .sum = -7,
                        .zero_threshold = 0.001,
                        .zero_count = 1.5,
                        .n_positive_spans = 2,
                        .n_negative_spans = 2,
                        .n_positive = 3,
                        .n_negative = 3,
                        .positive_spans = spans,
                        .negative_spans = spans,
                        .positive = positive,
                        .negative = negative};
    CHECK_CSTR(text_of(&h),
               "{\"count\":\"20.5\",\"sum\":\"-7\",\"buckets\":["
               "[1,\"-8\",\"-4\",\"6\"],[1,\"-2\",\"-1\",\"5\"],[1,\"-1\",\"-0.5\",\"4\"],"
               "[3,\"-0.001\",\"0.001\",\"1.5\"],"
               "[0,\"0.5\",\"1\",\"1\"],[0,\"4\",\"8\",\"3\"]]}");
}

TEST (custom_buckets_reach_to_infinity) {
    const BucketSpan span = {0, 3};
    const double counts[] = {1, 2, 3}, bounds[] = {5, 10};
    FloatHistogram h = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                        .count = 6,
                        .sum = 40,
                        .n_positive_spans = 1,
                        .n_positive = 3,
                        .positive_spans = &span,
                        .positive = counts,
                        .n_custom = 2,
                        .custom_values = bounds};
    CHECK_CSTR(text_of(&h), "{\"count\":\"6\",\"sum\":\"40\",\"buckets\":[[3,\"-Inf\",\"5\",\"1\"],"
                            "[0,\"5\",\"10\",\"2\"],[0,\"10\",\"+Inf\",\"3\"]]}");
}

TEST (an_empty_histogram_has_no_buckets) {
    FloatHistogram h = {.schema = 3};
    CHECK_CSTR(text_of(&h), "{\"count\":\"0\",\"sum\":\"0\"}");
}
