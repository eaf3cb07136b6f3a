/* GET /api/v1/status/cardinality: where the head's series come from; docs/cardinality.md. */
#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/params.h"
#include "api/reply.h"
#include "base/mem.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 10000

typedef struct CardinalityJob {
    Api *api;
    HttpExchange *x;
    uint64_t limit;
    MatcherSets sets;
} CardinalityJob;

static void begin_list(JsonWriter *w, const char *key) {
    json_key(w, str_of(key));
    json_begin_array(w);
}

static void begin_row(JsonWriter *w, const char *key, Str text) {
    json_begin_object(w);
    json_field_text(w, key, text);
}

static void add_count(JsonWriter *w, const char *key, uint64_t n) {
    json_key(w, str_of(key));
    json_add_uint(w, n);
}

static void add_metrics(JsonWriter *w, const TsdbExplored *e) {
    begin_list(w, "metrics");
    for (size_t i = 0; i < e->n_metrics; i++) {
        begin_row(w, "name", e->metrics[i].name);
        add_count(w, "series", e->metrics[i].series);
        json_key(w, STR("growth1h"));
        if (e->growth_seconds > 0) {
            json_add_int(w, e->metrics[i].growth);
        } else {
            json_add_null(w);
        }
        json_end_object(w);
    }
    json_end_array(w);
}

static void add_labels(JsonWriter *w, const TsdbExplored *e) {
    begin_list(w, "labels");
    for (size_t i = 0; i < e->n_labels; i++) {
        begin_row(w, "name", e->labels[i].name);
        add_count(w, "values", e->labels[i].values);
        add_count(w, "series", e->labels[i].series);
        json_end_object(w);
    }
    json_end_array(w);
}

static void add_pairs(JsonWriter *w, const TsdbExplored *e) {
    begin_list(w, "pairs");
    for (size_t i = 0; i < e->n_pairs; i++) {
        begin_row(w, "name", e->pairs[i].name);
        json_field_text(w, "value", e->pairs[i].value);
        add_count(w, "series", e->pairs[i].series);
        json_end_object(w);
    }
    json_end_array(w);
}

static void add_targets(JsonWriter *w, const TsdbExplored *e) {
    begin_list(w, "targets");
    for (size_t i = 0; i < e->n_targets; i++) {
        begin_row(w, "job", e->targets[i].job);
        json_field_text(w, "instance", e->targets[i].instance);
        add_count(w, "series", e->targets[i].series);
        json_end_object(w);
    }
    json_end_array(w);
}

static void reply_explored(HttpExchange *x, const TsdbExplored *e) {
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    add_count(&w, "headSeries", e->series);
    add_count(&w, "metricCount", e->metrics_all);
    add_count(&w, "targetCount", e->targets_all);
    add_count(&w, "growthSeconds", (uint64_t)e->growth_seconds);
    add_metrics(&w, e);
    add_labels(&w, e);
    add_pairs(&w, e);
    add_targets(&w, e);
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

static void run_cardinality(void *arg) {
    CardinalityJob *job = arg;
    TsdbExplored e;
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(256u << 20);
    TsdbSelector *sets = NEW_ARRAY(TsdbSelector, job->sets.n + 1);
    for (size_t i = 0; i < job->sets.n; i++) {
        sets[i] = (TsdbSelector){job->sets.sets[i].v, job->sets.sets[i].n};
    }
    int r = tsdb_explore(job->api->tsdb, sets, job->sets.n, (size_t)job->limit, &arena, &e);
    mem_free(sets);
    matcher_sets_deinit(&job->sets);
    if (r < 0) {
        reply_error(job->x, API_INTERNAL, "counting series: %s", strerror(-r));
        return;
    }
    reply_explored(job->x, &e);
}

void api_status_cardinality(HttpExchange *x, void *arg) {
    CardinalityJob *job = ARENA_NEW(&x->arena, CardinalityJob);
    *job = (CardinalityJob){.api = arg, .x = x};
    if (!param_limit(x, "limit", &job->limit)) {
        return;
    }
    job->limit = http_param(x, "limit").n ? job->limit : LIMIT_DEFAULT;
    if (job->limit < 1 || job->limit > LIMIT_MAX) {
        reply_error(x, API_BAD_DATA, "limit must be a positive number, at most %d", LIMIT_MAX);
        return;
    }
    if (param_matchers(x, "match[]", &job->sets)) {
        work_submit(job->api->queries, run_cardinality, NULL, job);
    }
}
