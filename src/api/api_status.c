/* /status/...: what this process is and how it was started. */
#include <stdlib.h>

#include "api/handlers.h"
#include "api/params.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/version.h"
#include "format/json.h"
#include "model/duration.h"

static void add_key(Buf *b, const char *key) {
    char last = b->n ? b->p[b->n - 1] : '{';
    buf_addf(b, "%s\"%s\":", last == '{' ? "" : ",", key);
}

static void add_text(Buf *b, const char *key, Str value) {
    add_key(b, key);
    json_quote(b, value);
}

static void add_number(Buf *b, const char *key, int64_t value) {
    add_key(b, key);
    buf_addf(b, "%lld", (long long)value);
}

static void add_time(Buf *b, const char *key, int64_t ms) {
    add_key(b, key);
    buf_add_char(b, '"');
    time_format_rfc3339(b, ms);
    buf_add_char(b, '"');
}

static void add_version(Buf *b) {
    buf_add_char(b, '{');
    add_text(b, "version", STR(VERSION_PROMETHEUS));
    add_text(b, "revision", STR(VERSION_NARTHEX));
    add_text(b, "branch", STR("main"));
    add_text(b, "buildUser", STR(""));
    add_text(b, "buildDate", STR(""));
    add_text(b, "goVersion", STR("none (C)"));
    add_text(b, "application", STR("Narthex"));
    buf_add_char(b, '}');
}

void api_status_buildinfo(HttpExchange *x, void *arg) {
    Reply r;
    reply_begin(&r, x);
    add_version(&r.b);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_version(HttpExchange *x, void *arg) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    add_version(&b);
    http_respond(x, &(HttpAnswer){.status = 200, .content_type = "application/json"}, buf_str(&b));
}

void api_status_runtimeinfo(HttpExchange *x, void *arg) {
    Api *api = arg;
    ApiRuntime info = {0};
    api->hooks->runtime(api->server, &info);
    Reply r;
    reply_begin(&r, x);
    buf_add_char(&r.b, '{');
    add_time(&r.b, "startTime", info.start_ms);
    add_text(&r.b, "CWD", str_of(info.cwd));
    add_text(&r.b, "hostname", str_of(info.hostname));
    add_time(&r.b, "serverTime", clock_wall_ms());
    add_key(&r.b, "reloadConfigSuccess");
    buf_add_cstr(&r.b, info.reload_ok ? "true" : "false");
    add_time(&r.b, "lastConfigTime", info.last_config_ms);
    add_number(&r.b, "corruptionCount", 0);
    add_number(&r.b, "goroutineCount", 0);
    add_number(&r.b, "GOMAXPROCS", 0);
    add_number(&r.b, "GOMEMLIMIT", 0);
    add_text(&r.b, "GOGC", STR(""));
    add_text(&r.b, "GODEBUG", STR(""));
    add_text(&r.b, "storageRetention", info.retention);
    buf_add_char(&r.b, '}');
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_status_config(HttpExchange *x, void *arg) {
    Api *api = arg;
    CLEANUP(buf_deinit) Buf yaml = BUF_INIT(0);
    api->hooks->config_yaml(api->server, &yaml);
    Reply r;
    reply_begin(&r, x);
    buf_add_char(&r.b, '{');
    add_text(&r.b, "yaml", buf_str(&yaml));
    buf_add_char(&r.b, '}');
    reply_end(&r, NULL, 0, NULL, 0);
}

static int flag_qsort_cmp(const void *a, const void *b) {
    return str_cmp(((const ApiFlag *)a)->name, ((const ApiFlag *)b)->name);
}

void api_status_flags(HttpExchange *x, void *arg) {
    Api *api = arg;
    ApiFlag *flags = ARENA_ARRAY(&x->arena, ApiFlag, api->n_flags);
    memcpy(flags, api->flags, api->n_flags * sizeof(*flags));
    qsort(flags, api->n_flags, sizeof(*flags), flag_qsort_cmp);
    Reply r;
    reply_begin(&r, x);
    buf_add_char(&r.b, '{');
    for (size_t i = 0; i < api->n_flags; i++) {
        if (i) {
            buf_add_char(&r.b, ',');
        }
        json_quote(&r.b, flags[i].name);
        buf_add_char(&r.b, ':');
        json_quote(&r.b, flags[i].value);
    }
    buf_add_char(&r.b, '}');
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_status_walreplay(HttpExchange *x, void *arg) {
    int min, max, current;
    tsdb_replay_progress(&min, &max, &current);
    Reply r;
    reply_begin(&r, x);
    buf_addf(&r.b, "{\"min\":%d,\"max\":%d,\"current\":%d}", min, max, current);
    reply_end(&r, NULL, 0, NULL, 0);
}

static void add_counts(Buf *b, const char *key, const TsdbCount *v, size_t n) {
    add_key(b, key);
    buf_add_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_cstr(b, i ? ",{" : "{");
        add_key(b, "name");
        json_quote_label(b, v[i].name);
        buf_addf(b, ",\"value\":%llu}", (unsigned long long)v[i].value);
    }
    buf_add_char(b, ']');
}

typedef struct StatusJob {
    Api *api;
    HttpExchange *x;
    uint64_t limit;
} StatusJob;

static void run_status_tsdb(void *arg) {
    StatusJob *job = arg;
    TsdbStats s;
    TsdbCardinality c = {0};
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(256u << 20);
    tsdb_stats(job->api->tsdb, &s);
    int err = tsdb_cardinality(job->api->tsdb, (size_t)job->limit, &arena, &c);
    if (err < 0) {
        reply_error(job->x, API_INTERNAL, "counting series: %s", strerror(-err));
        return;
    }
    Reply r;
    reply_begin(&r, job->x);
    buf_add_cstr(&r.b, "{\"headStats\":{");
    add_number(&r.b, "numSeries", (int64_t)s.head_series);
    add_number(&r.b, "numLabelPairs", (int64_t)s.head_label_pairs);
    add_number(&r.b, "chunkCount", (int64_t)s.head_chunks);
    add_number(&r.b, "minTime", s.head_min_time);
    add_number(&r.b, "maxTime", s.head_max_time);
    buf_add_char(&r.b, '}');
    add_counts(&r.b, "seriesCountByMetricName", c.series_by_metric, c.n_series_by_metric);
    add_counts(&r.b, "labelValueCountByLabelName", c.values_by_label, c.n_values_by_label);
    add_counts(&r.b, "memoryInBytesByLabelName", c.bytes_by_label, c.n_bytes_by_label);
    add_counts(&r.b, "seriesCountByLabelValuePair", c.series_by_pair, c.n_series_by_pair);
    buf_add_char(&r.b, '}');
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_status_tsdb(HttpExchange *x, void *arg) {
    StatusJob *job = ARENA_NEW(&x->arena, StatusJob);
    *job = (StatusJob){.api = arg, .x = x};
    if (!param_limit(x, "limit", &job->limit)) {
        return;
    }
    if (http_param(x, "limit").n == 0) {
        job->limit = 10;
    }
    if (job->limit < 1 || job->limit > 10000) {
        reply_error(x, API_BAD_DATA, "limit must be a positive number, at most 10000");
        return;
    }
    work_submit(job->api->queries, run_status_tsdb, NULL, job);
}

static void run_status_blocks(void *arg) {
    StatusJob *job = arg;
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(64u << 20);
    TsdbBlockInfo *v;
    size_t n = tsdb_blocks(job->api->tsdb, &arena, &v);
    Reply r;
    reply_begin(&r, job->x);
    buf_add_cstr(&r.b, "{\"blocks\":[");
    for (size_t i = 0; i < n; i++) {
        buf_addf(
            &r.b,
            "%s{\"ulid\":\"%s\",\"minTime\":%lld,\"maxTime\":%lld,\"stats\":{\"numSamples\":%llu,"
            "\"numSeries\":%llu,\"numChunks\":%llu,\"numTombstones\":%llu,\"numBytes\":%llu},"
            "\"compaction\":{\"level\":%d},\"resolution\":%lld,"
            "\"version\":1}",
            i ? "," : "", v[i].id, (long long)v[i].min_time, (long long)v[i].max_time,
            (unsigned long long)v[i].samples, (unsigned long long)v[i].series,
            (unsigned long long)v[i].chunks, (unsigned long long)v[i].tombstones,
            (unsigned long long)v[i].bytes, v[i].level, (long long)v[i].resolution_ms);
    }
    buf_add_cstr(&r.b, "]}");
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_status_blocks(HttpExchange *x, void *arg) {
    StatusJob *job = ARENA_NEW(&x->arena, StatusJob);
    *job = (StatusJob){.api = arg, .x = x};
    work_submit(job->api->queries, run_status_blocks, NULL, job);
}
