/*
 * Time of queries without a storage's cost: hosts with a web application's request counters and
 * latency buckets and some gauges, a day at 15 s, as plain arrays whose samples come in runs of
 * 120. bench_promql [hosts] [query]: milliseconds, the best of five, a line a query.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promql/promql.h"

#define DAY_SAMPLES 5760
#define RUN_SAMPLES 120
#define START_MS INT64_C(1700000000000)

typedef struct BenchSeries {
    Labels labels;
    const int64_t *t;
    double *v;
} BenchSeries;

typedef struct BenchStorage {
    Storage base;
    Arena arena;
    VEC(BenchSeries) series;
} BenchStorage;

typedef struct BenchSet {
    SeriesSet base;
    BenchStorage *storage;
    VEC(size_t) hits;
    size_t at;
} BenchSet;

typedef struct BenchIter {
    SampleIter base;
    const BenchSeries *s;
    size_t at;
} BenchIter;

typedef struct BenchQuerier {
    Querier base;
    BenchStorage *storage;
} BenchQuerier;

static int iter_next(SampleIter *it, SampleRun *ret) {
    BenchIter *b = (BenchIter *)it;
    if (b->at >= DAY_SAMPLES)
        return 0;
    *ret = (SampleRun){.kind = SAMPLE_FLOAT, .n = RUN_SAMPLES, .t = b->s->t + b->at};
    ret->f = b->s->v + b->at;
    b->at += RUN_SAMPLES;
    return 1;
}
static void iter_seek(SampleIter *it, int64_t t) {
    BenchIter *b = (BenchIter *)it;
    while (b->at < DAY_SAMPLES && b->s->t[b->at + RUN_SAMPLES - 1] < t)
        b->at += RUN_SAMPLES;
}
static void iter_free(SampleIter *it) { mem_free(it); }
static const SampleIterOps iter_ops = {iter_next, iter_seek, iter_free};

static int set_next(SeriesSet *set, Series *ret) {
    BenchSet *b = (BenchSet *)set;
    if (b->at == b->hits.n)
        return 0;
    size_t k = b->hits.v[b->at++];
    *ret = (Series){b->storage->series.v[k].labels, k};
    return 1;
}
static SampleIter *set_iter(SeriesSet *set, const Series *series, SampleIter *reuse) {
    BenchIter *it = reuse ? (BenchIter *)reuse : NEW(BenchIter);
    *it = (BenchIter){{&iter_ops}, &((BenchSet *)set)->storage->series.v[series->handle], 0};
    return &it->base;
}
static void set_free(SeriesSet *set) {
    vec_free(&((BenchSet *)set)->hits);
    mem_free(set);
}
static const SeriesSetOps set_ops = {set_next, set_iter, set_free};

static int bench_select(Querier *q, const Matcher *m, size_t n, const SelectHints *hints,
                        Warnings *w, SeriesSet **ret) {
    BenchSet *set = NEW(BenchSet);
    set->base.ops = &set_ops;
    set->storage = ((BenchQuerier *)q)->storage;
    for (size_t i = 0; i < set->storage->series.n; i++)
        if (matchers_match(m, n, set->storage->series.v[i].labels))
            vec_push(&set->hits, i);
    *ret = &set->base;
    return 0;
}
static void bench_close(Querier *q) { mem_free(q); }
static const QuerierOps querier_ops = {.select = bench_select, .close = bench_close};

static int bench_querier(Storage *s, int64_t mint, int64_t maxt, Querier **ret) {
    BenchQuerier *q = NEW(BenchQuerier);
    *q = (BenchQuerier){{&querier_ops}, (BenchStorage *)s};
    *ret = &q->base;
    return 0;
}
static const StorageOps storage_ops = {.querier = bench_querier};

static uint64_t random_state = 1;
static double random_unit(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / 0x1p53;
}

typedef struct Pair {
    const char *name, *value;
} Pair;

static void add(BenchStorage *s, const int64_t *t, bool counter, double scale, const Pair *p,
                size_t n) {
    Label l[8];
    for (size_t i = 0; i < n; i++)
        l[i] = (Label){str_of(p[i].name), str_of(p[i].value)};
    Labels labels;
    (void)labels_from_pairs(l, n, &labels, NULL);
    BenchSeries b = {labels_copy(&s->arena, labels), t, NEW_ARRAY(double, DAY_SAMPLES)};
    double v = 0;
    for (size_t i = 0; i < DAY_SAMPLES; i++) {
        double x = (double)(int64_t)(random_unit() * scale);
        v = counter ? v + x : x;
        b.v[i] = v;
    }
    vec_push(&s->series, b);
}

static void add_host(BenchStorage *s, int host) {
    static const char *handlers[] = {"/",      "/login", "/logout", "/search", "/api/a",
                                     "/api/b", "/api/c", "/static", "/admin",  "/health"};
    static const char *methods[] = {"GET", "POST"}, *codes[] = {"200", "404", "500"};
    static const char *bounds[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                   "0.5",   "1",    "2.5",   "5",    "10",  "+Inf"};
    int64_t *t = NEW_ARRAY(int64_t, DAY_SAMPLES);
    for (int i = 0; i < DAY_SAMPLES; i++)
        t[i] = START_MS + host * 37 + i * 15000;
    Str instance = arena_printf(&s->arena, "host-%05d:9100", host);
    for (int h = 0; h < 10; h++) {
        for (int m = 0; m < 2; m++)
            for (int c = 0; c < 3; c++)
                add(s, t, true, 40,
                    (Pair[]){{"__name__", "http_requests_total"},
                             {"instance", instance.p},
                             {"job", "api"},
                             {"handler", handlers[h]},
                             {"method", methods[m]},
                             {"code", codes[c]}},
                    6);
        for (int b = 0; b < 12; b++)
            add(s, t, true, 10 * (b + 1),
                (Pair[]){{"__name__", "http_request_duration_seconds_bucket"},
                         {"instance", instance.p},
                         {"job", "api"},
                         {"handler", handlers[h]},
                         {"le", bounds[b]}},
                5);
    }
    add(s, t, false, 100,
        (Pair[]){{"__name__", "node_load1"}, {"instance", instance.p}, {"job", "node"}}, 3);
    add(s, t, false, 2,
        (Pair[]){{"__name__", "node_uname_info"},
                 {"instance", instance.p},
                 {"job", "node"},
                 {"nodename", instance.p}},
        4);
}

typedef struct BenchQuery {
    const char *text;
    int64_t range_ms, step_ms; /* step 0: instant */
} BenchQuery;

static double run(PromqlEngine *e, BenchStorage *s, const BenchQuery *q, size_t *ret_series) {
    int64_t end = START_MS + (int64_t)DAY_SAMPLES * 15000;
    PromqlRequest r = {.query = str_of(q->text),
                       .start_ms = q->step_ms ? end - q->range_ms : end,
                       .end_ms = end,
                       .step_ms = q->step_ms};
    int64_t t0 = clock_mono_ns();
    PromqlResult *res = promql_exec(e, &s->base, &r);
    double ms = (double)(clock_mono_ns() - t0) / 1e6;
    if (res->outcome) {
        fprintf(stderr, "%s: %s\n", q->text, res->error);
        exit(1);
    }
    *ret_series = res->n_series;
    promql_result_free(res);
    return ms;
}

static const BenchQuery queries[] = {
    {"sum by (job) (rate(http_requests_total[5m]))", 0, 0},
    {"sum by (job) (rate(http_requests_total[5m]))", HOUR_MS, 15000},
    {"sum by (job) (rate(http_requests_total[5m]))", DAY_MS, 2 * MINUTE_MS},
    {"histogram_quantile(0.99, sum by (le, handler) "
     "(rate(http_request_duration_seconds_bucket[5m])))",
     DAY_MS, 5 * MINUTE_MS},
    {"topk(5, sum by (instance) (rate(http_requests_total[5m])))", 6 * HOUR_MS, 2 * MINUTE_MS},
    {"sum by (nodename) (rate(http_requests_total[5m]) * on (instance) group_left (nodename) "
     "node_uname_info)",
     HOUR_MS, 30000},
    {"sum by (handler) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (handler) "
     "(rate(http_requests_total[5m]))",
     6 * HOUR_MS, MINUTE_MS},
    {"avg_over_time(http_requests_total[24h])", 0, 0},
    {"quantile_over_time(0.95, http_requests_total[24h])", 0, 0},
    {"max_over_time(node_load1[6h])", 18 * HOUR_MS, 10 * MINUTE_MS},
    {"max_over_time(sum by (job) (rate(http_requests_total[5m]))[6h:1m])", 0, 0},
    {"predict_linear(node_load1[6h], 4 * 3600)", 0, 0},
    {"sum by (handler, code) (increase(http_requests_total[24h]))", 0, 0},
    {"http_requests_total", DAY_MS, MINUTE_MS},
    {"quantile by (code) (0.9, rate(http_requests_total[5m]))", HOUR_MS, MINUTE_MS},
};

int main(int argc, char **argv) {
    int hosts = argc > 1 ? atoi(argv[1]) : 10;
    BenchStorage s = {.base = {&storage_ops}};
    for (int i = 0; i < hosts; i++)
        add_host(&s, i);
    PromqlEngine *e = promql_engine_new(NULL);
    printf("%d hosts, %zu series\n", hosts, s.series.n);
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        BenchQuery q = queries[i];
        if (argc > 2 && !strstr(q.text, argv[2]))
            continue;
        double best = 1e9;
        size_t n = 0;
        for (int k = 0; k < 5; k++)
            best = MIN(best, run(e, &s, &q, &n));
        printf("%9.2f ms  %6zu series  %5lld min  %s\n", best, n,
               (long long)(q.step_ms ? q.range_ms / MINUTE_MS : 0), q.text);
    }
    for (size_t i = 0; i < s.series.n; i++)
        mem_free(s.series.v[i].v);
    promql_engine_free(e);
    return 0;
}
