/* Queries split over threads: the same answers to the last bit, the same texts in the same order.
 */
#include "promql/engine/crew.h"
#include "promql/promql.h"
#include "storage/mem_storage.h"
#include "support/test.h"

#define SERIES 150
#define SAMPLES 300
#define STEP_MS 15000

static uint64_t seed;
static uint32_t roll(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static double next_value(double v) {
    switch (roll(40)) {
    case 0: return 0; /* reset */
    case 1: return roll(2) ? NAN : INFINITY;
    case 2: return stale_nan();
    case 3: return -v;
    default: return v + roll(1000) / 7.0;
    }
}

static void load_series(Appender *a, const char *name, int i) {
    char instance[16], mode[16], le[16];
    snprintf(instance, sizeof(instance), "host-%03d", i / 6);
    snprintf(mode, sizeof(mode), "mode-%d", i % 3);
    snprintf(le, sizeof(le), "%d", i % 6);
    Label l[] = {{LABEL_NAME, str_of(name)},
                 {STR("instance"), str_of(instance)},
                 {STR("le"), str_of(le)},
                 {STR("mode"), str_of(mode)}};
    SeriesRef ref = 0;
    double v = roll(100000) / 3.0;
    for (int k = 0; k < SAMPLES; k++) {
        v = next_value(v);
        int64_t t = k * STEP_MS + roll(20);
        if (roll(30))
            CHECK_INT(appender_append(a, &ref, (Labels){l, 4}, t, v), APPEND_OK);
        if (is_stale_nan(v) || !isfinite(v))
            v = 0;
    }
}

static Storage *loaded(void) {
    Storage *s = mem_storage_new();
    Appender *a;
    seed = 7;
    CHECK_INT(storage_appender(s, &a), 0);
    for (int i = 0; i < SERIES; i++) {
        load_series(a, "hits_total", i);
        load_series(a, i % 7 ? "load" : "load_other", i);
    }
    CHECK_INT(appender_commit(a), 0);
    return s;
}

static void check_labels(Labels a, Labels b) { CHECK(labels_eq(a, b)); }

static void check_texts(const Str *a, size_t na, const Str *b, size_t nb) {
    CHECK_INT(na, nb);
    for (size_t i = 0; i < na; i++)
        CHECK_STR(a[i], b[i]);
}

static void check_same(const PromqlResult *a, const PromqlResult *b) {
    CHECK_INT(a->outcome, b->outcome);
    if (a->error)
        CHECK_STR(str_of(a->error), str_of(b->error));
    CHECK_INT(a->n_series, b->n_series);
    for (size_t i = 0; i < a->n_series; i++) {
        const PromqlSeries *x = &a->series[i], *y = &b->series[i];
        check_labels(x->labels, y->labels);
        CHECK_INT(x->n_floats, y->n_floats);
        for (size_t k = 0; k < x->n_floats; k++) {
            CHECK_INT(x->float_t[k], y->float_t[k]);
            CHECK_DOUBLE(x->floats[k], y->floats[k]);
        }
    }
    check_texts(a->warnings, a->n_warnings, b->warnings, b->n_warnings);
    check_texts(a->infos, a->n_infos, b->infos, b->n_infos);
    if (a->outcome) /* how far helpers had read ahead is left to chance */
        return;
    CHECK_INT(a->stats.total_samples, b->stats.total_samples);
    CHECK_INT(a->stats.samples_read, b->stats.samples_read);
    CHECK_INT(a->stats.peak_samples, b->stats.peak_samples);
    CHECK_INT(a->stats.n_steps, b->stats.n_steps);
    for (size_t i = 0; a->stats.per_step && i < a->stats.n_steps; i++)
        CHECK_INT(a->stats.per_step[i], b->stats.per_step[i]);
}

static PromqlResult *run(PromqlEngine *e, Storage *s, const char *query, int64_t step) {
    PromqlRequest r = {.query = str_of(query),
                       .start_ms = 600000,
                       .end_ms = step ? SAMPLES * STEP_MS : 600000,
                       .step_ms = step,
                       .per_step_stats = true};
    return promql_exec(e, s, &r);
}

static const char *const queries[] = {
    "hits_total",
    "sum(load)",
    "sum by (mode) (rate(hits_total[5m]))",
    "avg by (instance) (rate(load[2m]))",
    "stddev(irate(hits_total[1m])) by (mode)",
    "quantile by (mode) (0.9, increase(hits_total[10m]))",
    "topk(3, sum by (instance) (rate(hits_total[5m])))",
    "histogram_quantile(0.9, sum by (le, mode) (rate(hits_total[5m])))",
    "max_over_time(sum by (mode) (rate(hits_total[5m]))[10m:1m])",
    "sum(rate(hits_total[5m])) / sum(rate(hits_total[5m] offset 10m))",
    "count_values('v', load)",
    "timestamp(load)",
    "max_over_time(load[1h]) - min_over_time(load[1h])",
    "{__name__=~'load.*'} + 1",
    "rate({__name__=~'load.*'}[5m])",
    "sort_desc(avg_over_time(hits_total[5m]))",
    "label_replace(hits_total, 'le', 'x', 'le', '.*')", /* two series are one: refused */
    "rate(hits_total @ 3000 [5m])",
    "absent(load) or absent_over_time(nothing[5m])",
};

static void compare(const PromqlOptions *o) {
    Storage *s = loaded();
    PromqlOptions split = *o;
    split.threads = 4;
    split.split_work_min = 1;
    PromqlEngine *one = promql_engine_new(o), *four = promql_engine_new(&split);
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        for (int64_t step = 0; step <= 60000; step += 30000) {
            PromqlResult *a = run(one, s, queries[i], step), *b = run(four, s, queries[i], step);
            check_same(a, b);
            promql_result_free(a);
            promql_result_free(b);
        }
    }
    promql_engine_free(one);
    promql_engine_free(four);
    mem_storage_free(s);
}

TEST (a_split_query_gives_the_same_to_the_last_bit) {
    compare(&(PromqlOptions){.per_step_stats = true});
}

TEST (names_removed_at_the_end_are_the_same_too) {
    compare(&(PromqlOptions){.delayed_name_removal = true});
}

TEST (limits_hold_for_split_queries) {
    compare(&(PromqlOptions){.samples_max = 2000});
    Storage *s = loaded();
    PromqlEngine *e = promql_engine_new(
        &(PromqlOptions){.threads = 4, .split_work_min = 1, .query_bytes_max = 100000});
    PromqlResult *r = run(e, s, "rate(hits_total[5m])", 1000);
    CHECK_INT(r->outcome, PROMQL_EXECUTION);
    CHECK(strstr(r->error, "byte budget"));
    promql_result_free(r);
    promql_engine_free(e);
    mem_storage_free(s);
}

static void count(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

TEST (helpers_and_queries_are_no_more_than_the_limit) {
    Crew c;
    atomic_int calls = 0;
    crew_init(&c, 4);
    crew_enter(&c);
    CHECK_INT(crew_reserve(&c, 8), 3);
    CHECK_INT(crew_reserve(&c, 8), 0);
    crew_give_back(&c, 3);
    crew_enter(&c);
    crew_enter(&c);
    CHECK_INT(crew_reserve(&c, 8), 1);
    CrewCall call = {.run = count, .arg = &calls};
    crew_start(&c, &call, 1);
    crew_end(&c, &call);
    CHECK(atomic_load(&calls) <= 1);
    for (int i = 0; i < 3; i++)
        crew_leave(&c);
    CHECK_INT(crew_reserve(&c, 2), 2);
    crew_give_back(&c, 2);
    crew_deinit(&c);
}

TEST (a_crew_of_one_has_no_helpers) {
    Crew c;
    crew_init(&c, 1);
    crew_enter(&c);
    CHECK_INT(crew_reserve(&c, 8), 0);
    crew_leave(&c);
    crew_deinit(&c);
}
