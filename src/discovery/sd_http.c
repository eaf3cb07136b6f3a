/*
 * http_sd_configs: a list of target groups fetched as JSON. An answer that is not understood, or
 * none, keeps the groups there are. Parsed on the pool.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "discovery/sd_group_file.h"
#include "discovery/sd_provider.h"
#include "discovery/sd_schemas.h"
#include "net/http_client_config.h"

#define BODY_BYTES_MAX (256u << 20)

static const SchemaField http_fields[] = {
    {"url", SCHEMA_STR, offsetof(SdHttpConfig, url), SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
    {"refresh_interval", SCHEMA_DURATION, offsetof(SdHttpConfig, refresh_interval_ms),
     SCHEMA_PRINT},
    {NULL, SCHEMA_STRUCT, offsetof(SdHttpConfig, http), SCHEMA_INLINE, .sub = &http_client_schema},
};

static void http_defaults(void *object) {
    ((SdHttpConfig *)object)->refresh_interval_ms = MINUTE_MS;
}

static int http_check(SchemaContext *cx, const YamlNode *node, void *object) {
    return http_url_check(cx, yaml_node_find(node, "url"), "url", ((SdHttpConfig *)object)->url);
}

const Schema sd_http_schema = {"http_sd_config",       sizeof(SdHttpConfig), http_fields,
                               ARRAY_LEN(http_fields), http_defaults,        http_check};

/* ---- running */

/* While a page is being parsed the pool's thread owns what stands below `parsing`. */
struct SdRun {
    SdEnv env;
    Arena arena;
    Str url;
    char interval[32];
    int64_t refresh_ms;
    HttpClientConfig config;
    LoopTimer timer;
    HttpCall *call;
    size_t groups; /* told so far */
    bool parsing, stopped;

    Buf body;
    TargetGroup **fresh;
    size_t n_fresh;
    char error[1200];
};

static void failed(const SdRun *run, const char *why) {
    metric_inc(metric_counter("prometheus_sd_http_failures_total",
                              "Number of HTTP service discovery refresh failures.", NULL));
    metric_inc(metric_counter("prometheus_sd_refresh_failures_total",
                              "Number of refresh failures for the given SD mechanism.",
                              "mechanism=\"http\""));
    log_error("discovery manager scrape", "Unable to refresh target groups",
              L_CSTR("discovery", "http"), L_STR("url", run->url), L_CSTR("err", why));
}

static void parse(void *arg) {
    SdRun *run = arg;
    Arena a = ARENA_INIT((size_t)1 << 30);
    Problem problem = {0};
    SchemaList list;
    run->error[0] = '\0';
    run->n_fresh = 0;
    if (sd_group_file_parse(STR("answer.json"), buf_str(&run->body), &a, &list, &problem) < 0) {
        (void)snprintf(run->error, sizeof(run->error), "%s", problem.text);
    } else {
        run->fresh = NEW_ARRAY(TargetGroup *, list.n + 1);
        for (size_t i = 0; i < list.n; i++)
            run->fresh[run->n_fresh++] = target_group_new(
                (const SdStaticConfig *)list.v + i, arena_printf(&a, "%.*s:%zu", SA(run->url), i),
                (Label){STR("__meta_url"), run->url});
    }
    arena_deinit(&a);
}

static void run_free(SdRun *run) {
    for (size_t i = 0; i < run->n_fresh; i++)
        target_group_unref(run->fresh[i]);
    mem_free(run->fresh);
    buf_deinit(&run->body);
    arena_deinit(&run->arena);
    mem_free(run);
}

static void tell(SdRun *run) {
    static const SdStaticConfig none;
    Arena names = ARENA_INIT(0);
    for (size_t i = 0; i < run->n_fresh; i++)
        run->env.update(run->env.arg, run->fresh[i]);
    for (size_t i = run->n_fresh; i < run->groups; i++)
        run->env.update(
            run->env.arg,
            target_group_new(&none, arena_printf(&names, "%.*s:%zu", SA(run->url), i), (Label){0}));
    run->groups = run->n_fresh;
    run->n_fresh = 0;
    mem_free(run->fresh);
    run->fresh = NULL;
    arena_deinit(&names);
}

static void parsed(void *arg) {
    SdRun *run = arg;
    run->parsing = false;
    buf_deinit(&run->body);
    if (run->stopped) {
        run_free(run);
        return;
    }
    if (run->error[0])
        failed(run, run->error);
    else
        tell(run);
    loop_timer_after(&run->timer, run->refresh_ms);
}

static const char *refusal(const HttpCallResult *r, char *dst, size_t size) {
    Str type = str_trim(str_upto(r->content_type, str_find(r->content_type, ';')));
    if (r->outcome != HTTP_CALL_OK)
        (void)snprintf(dst, size, "%s", r->error ? r->error : "the request failed");
    else if (r->status != 200)
        (void)snprintf(dst, size, "server returned HTTP status %s",
                       r->status_text ? r->status_text : "");
    else if (!str_eq_nocase(type, STR("application/json")))
        (void)snprintf(dst, size, "unsupported content type \"%.*s\"", SA(r->content_type));
    else
        return NULL;
    return dst;
}

static void on_answer(void *arg, HttpCallResult *r) {
    SdRun *run = arg;
    char why[600];
    run->call = NULL;
    if (refusal(r, why, sizeof(why))) {
        failed(run, why);
        loop_timer_after(&run->timer, run->refresh_ms);
        return;
    }
    run->body = *r->body;
    *r->body = (Buf){0};
    run->parsing = true;
    work_submit(run->env.pool, parse, parsed, run);
}

static void refresh(void *arg) {
    SdRun *run = arg;
    const HttpHeader headers[] = {
        {STR("Accept"), STR("application/json")},
        {STR("User-Agent"), STR("Prometheus/3.14.0")},
        {STR("X-Prometheus-Refresh-Interval-Seconds"), str_of(run->interval)},
    };
    const HttpCallRequest request = {
        .method = "GET",
        .url = run->url,
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .timeout_ms = run->refresh_ms,
        .body_bytes_max = BODY_BYTES_MAX,
        .config = &run->config,
    };
    run->call = run->env.call(run->env.client, &request, on_answer, run);
}

static SdRun *sd_http_start(const SdEnv *env, const void *config, size_t index) {
    const SdHttpConfig *c = config;
    SdRun *run = NEW(SdRun);
    run->env = *env;
    run->url = arena_str(&run->arena, c->url);
    run->refresh_ms = MAX(c->refresh_interval_ms, SECOND_MS);
    run->config = http_client_config_copy(&run->arena, &c->http.config);
    (void)snprintf(run->interval, sizeof(run->interval), "%" PRId64 ".%03" PRId64,
                   run->refresh_ms / 1000, run->refresh_ms % 1000);
    if (run->refresh_ms % 1000 == 0)
        *strchr(run->interval, '.') = '\0';
    loop_timer_init(&run->timer, env->loop, refresh, run);
    loop_timer_at(&run->timer, clock_wall_ms());
    return run;
}

static void sd_http_stop(SdRun *run) {
    loop_timer_stop(&run->timer);
    if (run->call)
        run->env.cancel(run->call);
    run->stopped = true;
    if (!run->parsing)
        run_free(run);
}

const SdProvider sd_http_provider = {sd_http_start, sd_http_stop};
