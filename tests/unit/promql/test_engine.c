#include "base/clock.h"
#include "promql/engine/eval.h"
#include "promql/promql.h"
#include "storage/mem_storage.h"
#include "support/test.h"

typedef struct Fixture {
    Storage *storage;
    PromqlEngine *engine;
} Fixture;

static Fixture fixture(const PromqlOptions *o) {
    return (Fixture){mem_storage_new(), promql_engine_new(o)};
}

static void fixture_deinit(Fixture *f) {
    promql_engine_free(f->engine);
    mem_storage_free(f->storage);
}

/* n samples of a series, step_ms apart from time 0: first, first + by, ... */
static void load(Fixture *f, const char *name, const char *instance, double first, double by, int n,
                 int64_t step_ms) {
    Label l[] = {{LABEL_NAME, str_of(name)}, {STR("instance"), str_of(instance)}};
    Appender *a;
    SeriesRef ref = 0;
    CHECK_INT(storage_appender(f->storage, &a), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(
            appender_append(a, &ref, (Labels){l, instance[0] ? 2 : 1}, i * step_ms, first + by * i),
            APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
}

static PromqlResult *instant(Fixture *f, const char *query, int64_t t) {
    PromqlRequest r = {.query = str_of(query), .start_ms = t, .end_ms = t};
    return promql_exec(f->engine, f->storage, &r);
}

static PromqlResult *range(Fixture *f, const char *query, int64_t end, int64_t step) {
    PromqlRequest r = {
        .query = str_of(query), .end_ms = end, .step_ms = step, .per_step_stats = true};
    return promql_exec(f->engine, f->storage, &r);
}

static double only_value(const PromqlResult *r) {
    if (r->outcome)
        test_fail(__FILE__, __LINE__, "%s", r->error);
    CHECK_INT(r->n_series, 1);
    CHECK_INT(r->series[0].n_floats, 1);
    return r->series[0].floats[0];
}

static bool has_text(const char *text, const char *part) { return text && strstr(text, part); }

TEST (types_of_answers_follow_the_expression) {
    Fixture f = fixture(NULL);
    load(&f, "up", "a", 1, 0, 10, 15000);
    PromqlResult *r = instant(&f, "up", 60000);
    CHECK_INT(r->type, PROMQL_VECTOR);
    CHECK_DOUBLE(only_value(r), 1);
    CHECK_INT(r->series[0].float_t[0], 60000);
    promql_result_free(r);
    r = instant(&f, "1 + 1", 60000);
    CHECK_INT(r->type, PROMQL_SCALAR);
    CHECK_DOUBLE(only_value(r), 2);
    promql_result_free(r);
    r = instant(&f, "'text'", 0);
    CHECK_INT(r->type, PROMQL_STRING);
    CHECK_STR(r->string, STR("text"));
    promql_result_free(r);
    r = instant(&f, "up[1m]", 60000);
    CHECK_INT(r->type, PROMQL_MATRIX);
    CHECK_INT(r->series[0].n_floats, 4); /* the left edge is open */
    promql_result_free(r);
    r = range(&f, "up", 60000, 30000);
    CHECK_INT(r->type, PROMQL_MATRIX);
    CHECK_INT(r->series[0].n_floats, 3);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (a_range_vector_is_no_answer_of_a_range_query) {
    Fixture f = fixture(NULL);
    PromqlResult *r = range(&f, "up[1m]", 60000, 30000);
    CHECK_INT(r->outcome, PROMQL_BAD_DATA);
    CHECK(has_text(r->error, "invalid expression type \"range vector\" for range query"));
    promql_result_free(r);
    r = instant(&f, "up[", 0);
    CHECK_INT(r->outcome, PROMQL_BAD_DATA);
    CHECK(has_text(r->error, "1:4: parse error: "));
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (sums_are_compensated) {
    Fixture f = fixture(NULL);
    load(&f, "x", "a", 1e100, 0, 1, 1000);
    load(&f, "x", "b", 1, 0, 1, 1000);
    load(&f, "x", "c", -1e100, 0, 1, 1000);
    PromqlResult *r = instant(&f, "sum(x)", 0);
    CHECK_DOUBLE(only_value(r), 1);
    promql_result_free(r);
    r = instant(&f, "sum(x{instance='a'} * -0)", 0);
    CHECK_DOUBLE(only_value(r), -0.0 + 0.0);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (an_average_survives_overflow) {
    Fixture f = fixture(NULL);
    load(&f, "x", "a", 1.5e308, 0, 2, 1000);
    load(&f, "x", "b", 1.5e308, 0, 2, 1000);
    PromqlResult *r = instant(&f, "avg(x)", 1000);
    CHECK_DOUBLE(only_value(r), 1.5e308);
    promql_result_free(r);
    r = instant(&f, "avg_over_time(x{instance='a'}[1m])", 1000);
    CHECK_DOUBLE(only_value(r), 1.5e308);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (too_many_samples_are_refused) {
    Fixture f = fixture(&(PromqlOptions){.samples_max = 50});
    load(&f, "x", "a", 0, 1, 100, 1000);
    PromqlResult *r = range(&f, "x", 99000, 1000);
    CHECK_INT(r->outcome, PROMQL_EXECUTION);
    CHECK_CSTR(r->error,
               "query processing would load too many samples into memory in query execution");
    promql_result_free(r);
    r = instant(&f, "sum_over_time(x[90s])", 99000);
    CHECK_INT(r->outcome, PROMQL_EXECUTION);
    promql_result_free(r);
    r = instant(&f, "sum_over_time(x[40s])", 99000);
    CHECK_INT(r->outcome, PROMQL_OK);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (too_much_memory_is_refused_with_the_name_of_the_flag) {
    Fixture f = fixture(&(PromqlOptions){.query_bytes_max = 1 << 20});
    load(&f, "x", "a", 0, 1, 10, 1000);
    static const char *const bombs[] = {
        "max_over_time(x[1h:1ms])",
        "count_values('v', max_over_time(x[1h:1ms]))",
        "max_over_time(vector(1)[1h:1ms])",
        "sum_over_time((x or vector(1))[1h:1ms])",
    };
    for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
        PromqlResult *r = instant(&f, bombs[i], 9000);
        CHECK_INT(r->outcome, PROMQL_EXECUTION);
        CHECK(has_text(r->error, "--query.max-memory-per-query"));
        promql_result_free(r);
    }
    fixture_deinit(&f);
}

TEST (a_query_ends_at_its_timeout) {
    Fixture f = fixture(NULL);
    load(&f, "x", "a", 0, 1, 3000, 1000);
    PromqlRequest req = {.query = STR("sum_over_time(x[2000s:1ms])"),
                         .start_ms = 2000000,
                         .end_ms = 2999000,
                         .step_ms = 1000,
                         .timeout_ms = 50};
    int64_t t0 = clock_mono_ns();
    PromqlResult *r = promql_exec(f.engine, f.storage, &req);
    CHECK_INT(r->outcome, PROMQL_TIMEOUT);
    CHECK_CSTR(r->error, "query timed out in expression evaluation");
    CHECK(clock_mono_ns() - t0 < INT64_C(20000000000)); /* alone it would take minutes */
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (a_canceled_query_stops) {
    Fixture f = fixture(NULL);
    load(&f, "x", "a", 0, 1, 10, 1000);
    atomic_bool cancel = true;
    PromqlRequest req = {.query = STR("x"), .start_ms = 9000, .end_ms = 9000, .cancel = &cancel};
    PromqlResult *r = promql_exec(f.engine, f.storage, &req);
    CHECK_INT(r->outcome, PROMQL_CANCELED);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (deep_queries_neither_crash_nor_hang) {
    Fixture f = fixture(NULL);
    load(&f, "x", "a", 0, 1, 10, 1000);
    static const struct {
        const char *open, *inner, *close;
    } shapes[] = {{"(", "x", ")"},      {"-", "x", ""},
                  {"sum(", "x", ")"},   {"1+", "x", ""},
                  {"abs(", "x", ")"},   {"x or ", "x", ""},
                  {"", "x", " or x"},   {"", "x", " + x"},
                  {"", "x", "[1m:1s]"}, {"sum_over_time(", "x", "[1m:1s])"}};
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        int depth = i == ARRAY_LEN(shapes) - 1 ? 20 : 1500;
        for (int k = 0; k < depth; k++)
            buf_add_cstr(&b, shapes[i].open);
        buf_add_cstr(&b, shapes[i].inner);
        for (int k = 0; k < depth; k++)
            buf_add_cstr(&b, shapes[i].close);
        PromqlRequest req = {
            .query = buf_str(&b), .start_ms = 9000, .end_ms = 9000, .timeout_ms = 2000};
        promql_result_free(promql_exec(f.engine, f.storage, &req));
    }
    fixture_deinit(&f);
}

TEST (a_subquery_runs_at_multiples_of_its_step) {
    Fixture f = fixture(NULL);
    load(&f, "x", "", 0, 1, 100, 1000);
    PromqlResult *r = instant(&f, "timestamp(x)[10s:3s]", 20500);
    CHECK_INT(r->series[0].n_floats, 3); /* 12, 15, 18: in (10.5, 20.5] */
    CHECK_INT(r->series[0].float_t[0], 12000);
    CHECK_INT(r->series[0].float_t[2], 18000);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (steps_count_the_samples_they_look_at) {
    Fixture f = fixture(&(PromqlOptions){.per_step_stats = true});
    load(&f, "x", "", 0, 1, 100, 1000);
    PromqlResult *r = range(&f, "sum_over_time(x[3s])", 10000, 5000);
    CHECK_INT(r->stats.n_steps, 3);
    CHECK_INT(r->stats.per_step[0], 1);
    CHECK_INT(r->stats.per_step[1], 3);
    CHECK_INT(r->stats.per_step[2], 3);
    CHECK_INT(r->stats.total_samples, 7);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (constant_parts_are_evaluated_once) {
    Fixture f = fixture(NULL);
    load(&f, "x", "", 0, 1, 100, 1000);
    PromqlResult *r = range(&f, "x @ 5", 99000, 1000);
    CHECK_INT(r->series[0].n_floats, 100);
    for (size_t i = 0; i < 100; i++)
        CHECK_DOUBLE(r->series[0].floats[i], 5);
    CHECK_INT(r->stats.samples_read, 1);
    promql_result_free(r);
    fixture_deinit(&f);
}

TEST (annotations_carry_text_and_place) {
    Fixture f = fixture(NULL);
    load(&f, "x", "", 0, 1, 100, 1000);
    PromqlResult *r = instant(&f, "quantile(1.5, x)", 50000);
    CHECK_INT(r->n_warnings, 1);
    CHECK_STR(r->warnings[0],
              STR("PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"));
    promql_result_free(r);
    r = instant(&f, "1 +\n rate(x[1m])", 50000);
    CHECK_INT(r->n_infos, 1);
    CHECK_STR(r->infos[0], STR("PromQL info: metric might not be a counter, name does not end in "
                               "_total/_sum/_count/_bucket: \"x\" (2:7)"));
    promql_result_free(r);
    fixture_deinit(&f);
}

static int double_cmp(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

TEST (quantiles_without_sorting_equal_those_of_sorted_numbers) {
    uint64_t seed = 42;
    for (int round = 0; round < 2000; round++) {
        double v[40], sorted[40];
        size_t n = 1 + (size_t)round % 40;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            v[i] = seed >> 60 == 0 ? NAN : (double)(seed >> 56);
            sorted[i] = v[i];
        }
        qsort(sorted, n, sizeof(*sorted), double_cmp);
        double phi = (double)(round % 11) / 10, rank = phi * ((double)n - 1);
        size_t lower = (size_t)floor(rank), upper = lower + 1 < n ? lower + 1 : n - 1;
        double w = rank - floor(rank), want = sorted[lower] * (1 - w) + sorted[upper] * w;
        double got = quantile_of(phi, v, n);
        CHECK(got == want || (isnan(got) && isnan(want)));
    }
}

TEST (histograms_pass_through_selectors) {
    Fixture f = fixture(NULL);
    Label l[] = {{LABEL_NAME, STR("h")}};
    static const BucketSpan span = {0, 2};
    static const double counts[] = {1, 2};
    FloatHistogram h = {.schema = 0,
                        .sum = 5,
                        .count = 3,
                        .n_positive_spans = 1,
                        .positive_spans = &span,
                        .n_positive = 2,
                        .positive = counts};
    Appender *a;
    SeriesRef ref = 0;
    CHECK_INT(storage_appender(f.storage, &a), 0);
    CHECK_INT(a->ops->append_histogram(a, &ref, (Labels){l, 1}, 1000, NULL, &h, 0), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    PromqlResult *r = instant(&f, "h", 2000);
    CHECK_INT(r->series[0].n_histograms, 1);
    CHECK_DOUBLE(r->series[0].histograms[0]->positive[1], 2);
    promql_result_free(r);
    r = instant(&f, "count_over_time(h[1m]) + histogram_count(h)", 2000);
    CHECK_DOUBLE(only_value(r), 4);
    promql_result_free(r);
    fixture_deinit(&f);
}
