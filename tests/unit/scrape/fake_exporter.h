/*
 * A scrape manager in virtual time over the memory storage, with a page that a test sets in place
 * of HTTP. Everything is in one struct: Fake f; fake_init(&f, yaml); fake_page(&f, "..."); run.
 */
#pragma once

#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "scrape/scrape_manager.h"
#include "storage/mem_storage.h"
#include "support/test.h"

#define FAKE_START INT64_C(1700000000000)

typedef struct Fake {
    Loop *loop;
    WorkPool *pool;
    Storage *storage;
    ScrapeManager *manager;
    Discovery *discovery;
    Config *config;
    const char *page, *content_type;
    Str body; /* instead of page when set */
    const char *encoding, *failure;
    int status;
    int64_t latency_ms;
    unsigned calls;
    Arena arena;
    char accept[400], url[400];
} Fake;

typedef struct FakeCall {
    Fake *fake;
    LoopTimer timer;
    void (*fn)(void *arg, HttpCallResult *r);
    void *arg;
} FakeCall;

static void fake_answer(void *arg) {
    FakeCall *call = arg;
    Fake *f = call->fake;
    Buf body = BUF_INIT(0);
    buf_add_str(&body, f->body.p ? f->body : str_of(f->page));
    HttpCallResult r = {.outcome = f->failure ? HTTP_CALL_FAILED : HTTP_CALL_OK,
                        .error = f->failure,
                        .status = f->status ? f->status : 200,
                        .status_text = f->status ? "500 Internal Server Error" : "200 OK",
                        .content_type = str_of(f->content_type),
                        .content_encoding = str_of(f->encoding ? f->encoding : ""),
                        .body = &body};
    call->fn(call->arg, &r);
    buf_deinit(&body);
    mem_free(call);
}

static HttpCall *fake_call(HttpClient *client, const HttpCallRequest *request,
                           void (*fn)(void *arg, HttpCallResult *r), void *arg) {
    Fake *f = (Fake *)client;
    FakeCall *call = NEW(FakeCall);
    *call = (FakeCall){.fake = f, .fn = fn, .arg = arg};
    f->calls++;
    (void)snprintf(f->url, sizeof(f->url), "%.*s", SA(request->url));
    (void)snprintf(f->accept, sizeof(f->accept), "%.*s", SA(request->headers[0].value));
    loop_timer_init(&call->timer, f->loop, fake_answer, call);
    loop_timer_after(&call->timer, f->latency_ms);
    return (HttpCall *)call;
}

static void fake_cancel(HttpCall *c) {
    FakeCall *call = (FakeCall *)c;
    loop_timer_stop(&call->timer);
    mem_free(call);
}

static void fake_apply(Fake *f, const char *yaml) {
    Problem p = {0};
    Config *c = NULL;
    if (config_load(str_of(yaml), STR("test.yml"), 0, &c, &p) < 0)
        test_fail(__FILE__, __LINE__, "line %d: %s", p.line, p.text);
    scrape_manager_apply(f->manager, c->scrape, c->n_scrape, c, 0);
    DiscoverySet sets[8];
    size_t n = MIN(c->n_scrape, (size_t)8);
    for (size_t i = 0; i < n; i++)
        sets[i] = (DiscoverySet){c->scrape[i]->job_name, &c->scrape[i]->sd};
    discovery_apply(f->discovery, sets, n);
    config_unref(f->config);
    f->config = c;
}

static void fake_init(Fake *f, const char *yaml) {
    *f = (Fake){.content_type = "text/plain; version=0.0.4", .page = ""};
    loop_new_virtual(FAKE_START, &f->loop);
    work_pool_new(f->loop, "ingest", 1, &f->pool);
    f->storage = mem_storage_new();
    f->manager = scrape_manager_new(&(ScrapeManagerOptions){
        .loop = f->loop,
        .pool = f->pool,
        .storage = f->storage,
        .client = (HttpClient *)f,
        .call = fake_call,
        .cancel = fake_cancel,
        .user_agent = STR("Prometheus/3.14.0"),
        .owner_ref = config_ref_owner,
        .owner_unref = config_unref_owner,
    });
    f->discovery = discovery_new(&(DiscoveryOptions){.loop = f->loop,
                                                     .pool = f->pool,
                                                     .name = "scrape",
                                                     .on_groups = scrape_manager_on_groups,
                                                     .arg = f->manager});
    fake_apply(f, yaml);
}

static void fake_run(Fake *f, int64_t until_s) {
    loop_virtual_run_until(f->loop, FAKE_START + until_s * 1000);
}

static void fake_free(Fake *f) {
    discovery_free(f->discovery);
    scrape_manager_stop(f->manager);
    arena_deinit(&f->arena);
    work_pool_free(f->pool);
    scrape_manager_free(f->manager);
    mem_storage_free(f->storage);
    config_unref(f->config);
    loop_free(f->loop);
    clock_real();
}

/* All samples of the series that a matcher on __name__ and maybe one label selects, as text
 * "value@seconds value@seconds"; several series in their order, separated by " | ". */
static Str fake_samples(Fake *f, const char *name, const char *label, const char *value) {
    static char text[4096];
    Problem p = {0};
    Matcher m[2];
    size_t n = 0, at = 0;
    text[0] = '\0';
    matcher_init(&m[n++], MATCH_EQ, LABEL_NAME, str_of(name), &p);
    if (label)
        matcher_init(&m[n++], MATCH_EQ, str_of(label), str_of(value), &p);
    Querier *q;
    SeriesSet *set;
    Arena a = ARENA_INIT(0);
    Warnings w = {.arena = &a};
    SelectHints hints = {.mint = 0, .maxt = INT64_MAX / 2, .sorted = true};
    storage_querier(f->storage, 0, INT64_MAX / 2, &q);
    querier_select(q, m, n, &hints, &w, &set);
    Series s;
    while (series_set_next(set, &s) == 1) {
        if (at)
            at += (size_t)snprintf(text + at, sizeof(text) - at, " | ");
        SampleIter *it = series_set_iter(set, &s, NULL);
        SampleRun run;
        while (sample_iter_next(it, &run) == 1) {
            for (uint32_t i = 0; i < run.n; i++) {
                char v[40];
                (void)snprintf(v, sizeof(v), "%g", run.f[i]);
                at += (size_t)snprintf(
                    text + at, sizeof(text) - at, "%s%s@%g", at && text[at - 1] != ' ' ? " " : "",
                    is_stale_nan(run.f[i]) ? "stale" : v, (double)(run.t[i] - FAKE_START) / 1000.0);
            }
        }
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    for (size_t i = 0; i < n; i++)
        matcher_deinit(&m[i]);
    warnings_free(&w);
    arena_deinit(&a);
    return str_of(text);
}

static int fake_keep(void *arg, const TargetView *t) {
    *(TargetView *)arg = *t;
    return 1;
}

/* The first active target. */
static TargetView fake_target(Fake *f) {
    TargetView t;
    if (!scrape_manager_each_active(f->manager, STR_NULL, fake_keep, &t))
        test_fail(__FILE__, __LINE__, "no target");
    return t;
}
