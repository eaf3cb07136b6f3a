/* Queries under way and those that took the most time: lists, and ending one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/reply.h"
#include "api/rows.h"

#define LIST_BYTES_MAX (64u << 20)
#define SLOW_LISTED_MAX 100

PromqlOrigin api_origin(PromqlSource source, const HttpExchange *x) {
    const struct {
        HttpMethod method;
        Str name;
    } names[] = {{HTTP_GET, STR("GET")}, {HTTP_HEAD, STR("HEAD")}, {HTTP_POST, STR("POST")}};
    PromqlOrigin o = {.source = source, .client = x->peer, .path = x->path};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (x->method == names[i].method) {
            o.method = names[i].name;
        }
    }
    return o;
}

static void field_int(JsonWriter *w, const char *key, int64_t v) {
    json_key(w, str_of(key));
    json_add_int(w, v);
}

static void field_double(JsonWriter *w, const char *key, double v) {
    json_key(w, str_of(key));
    json_add_double(w, v);
}

void row_query(JsonWriter *w, const PromqlQueryInfo *q) {
    char id[24];
    snprintf(id, sizeof(id), "%llu", (unsigned long long)q->id);
    json_begin_object(w);
    json_field_text(w, "id", str_of(id));
    json_field_text(w, "query", q->query);
    json_field_text(w, "source", str_of(promql_source_text(q->source)));
    json_field_text(w, "client", q->client);
    field_double(w, "start", (double)q->start_ms / 1000);
    field_double(w, "durationSeconds", q->seconds);
    json_field_text(w, "state", q->running ? STR("running") : STR("queued"));
    field_int(w, "samples", (int64_t)q->samples);
    field_int(w, "memoryBytes", (int64_t)q->bytes);
    field_double(w, "rangeStart", (double)q->range_start_ms / 1000);
    field_double(w, "rangeEnd", (double)q->range_end_ms / 1000);
    field_double(w, "step", (double)q->step_ms / 1000);
    json_end_object(w);
}

void api_active_queries(HttpExchange *x, void *arg) {
    Api *api = arg;
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(LIST_BYTES_MAX);
    PromqlQueryInfo *v;
    size_t n, running = 0;
    if (!promql_engine_queries(api->engine, &arena, &v, &n)) {
        reply_error(x, API_INTERNAL, "the list of queries is too long to show");
        return;
    }
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_key(&w, STR("queries"));
    json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        row_query(&w, &v[i]);
        running += v[i].running;
    }
    json_end_array(&w);
    field_int(&w, "running", (int64_t)running);
    field_int(&w, "queued", (int64_t)(n - running));
    field_int(&w, "maxConcurrency", api->queries_max);
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_kill_query(HttpExchange *x, void *arg) {
    Api *api = arg;
    CLEANUP(buf_deinit) Buf id = BUF_INIT(1 << 20);
    buf_add_str(&id, http_param(x, "id"));
    char *end;
    errno = 0;
    unsigned long long n = strtoull(buf_cstr(&id), &end, 10);
    if (!id.n || *end || errno || id.p[0] < '0' || id.p[0] > '9') {
        reply_error(x, API_BAD_DATA, "invalid parameter \"id\": a query's number is needed");
    } else if (!promql_engine_kill(api->engine, n)) {
        reply_error(x, API_NOT_FOUND, "no query %llu is running or queued", n);
    } else {
        promql_engine_watch(api->engine);
        Reply r;
        reply_begin(&r, x);
        buf_add_cstr(&r.b, "{\"killed\":true}");
        reply_end(&r, NULL, 0, NULL, 0);
    }
}

static void add_slow(JsonWriter *w, const PromqlSlowQuery *q) {
    json_begin_object(w);
    json_field_text(w, "query", q->query);
    json_field_text(w, "source", str_of(promql_source_text(q->source)));
    field_int(w, "count", (int64_t)q->count);
    field_double(w, "totalSeconds", q->total_s);
    field_double(w, "maxSeconds", q->max_s);
    field_double(w, "lastStart", (double)q->last_start_ms / 1000);
    field_int(w, "samples", (int64_t)q->samples);
    json_field_text(w, "lastError", q->last_error);
    json_end_object(w);
}

void api_slow_queries(HttpExchange *x, void *arg) {
    Api *api = arg;
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(LIST_BYTES_MAX);
    PromqlSlowQuery *v;
    size_t n = promql_engine_slow_queries(api->engine, &arena, SLOW_LISTED_MAX, &v);
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_key(&w, STR("queries"));
    json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        add_slow(&w, &v[i]);
    }
    json_end_array(&w);
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}
