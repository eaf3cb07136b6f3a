/*
 * The client of outside Alertmanagers in virtual time, with a fake transport: addresses whose host
 * is "hang" never answer, "bad" answers 500, others 200 after 10 ms.
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "rules/alert_client.h"
#include "support/test.h"

#define START INT64_C(1700000000000)
#define CALLS_MAX 128

typedef struct Call {
    struct World *world;
    void (*done)(void *arg, HttpCallResult *r);
    void *done_arg;
    LoopTimer timer;
    int status;
} Call;

typedef struct Record {
    char url[64];
    char *body;
    size_t alerts;
    int64_t timeout_ms;
} Record;

typedef struct World {
    Loop *loop;
    AlertClient *client;
    Record calls[CALLS_MAX];
    size_t n, cancelled;
    int owners; /* references held */
    bool stopped;
} World;

static void answer(void *arg) {
    Call *c = arg;
    HttpCallResult r = {.outcome = HTTP_CALL_OK,
                        .status = c->status,
                        .status_text = c->status == 200 ? "200 OK" : "500 Internal Server Error",
                        .duration_ns = 10000000};
    c->done(c->done_arg, &r);
    mem_free(c);
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) {
        n++;
    }
    return n;
}

static void *fake_call(void *arg, const HttpCallRequest *r,
                       void (*done)(void *arg, HttpCallResult *r), void *done_arg) {
    World *w = arg;
    CHECK(w->n < CALLS_MAX);
    Record *record = &w->calls[w->n++];
    snprintf(record->url, sizeof(record->url), "%.*s", SA(r->url));
    record->body = str_dup(r->body);
    record->alerts = count(record->body, "\"startsAt\"");
    record->timeout_ms = r->timeout_ms;
    Call *c = NEW(Call);
    *c = (Call){.world = w, .done = done, .done_arg = done_arg};
    c->status = strstr(record->url, "//bad") ? 500 : 200;
    loop_timer_init(&c->timer, w->loop, answer, c);
    if (!strstr(record->url, "//hang")) {
        loop_timer_after(&c->timer, 10);
    }
    return c;
}

static void fake_cancel(void *call) {
    Call *c = call;
    c->world->cancelled++;
    loop_timer_stop(&c->timer);
    mem_free(c);
}

static void *owner_ref(void *owner) {
    ++*(int *)owner;
    return owner;
}

static void owner_unref(void *owner) { --*(int *)owner; }

static void start_with(World *w, const AlertClientOptions *more) {
    AlertClientOptions o = *more;
    *w = (World){0};
    CHECK_INT(loop_new_virtual(START, &w->loop), 0);
    o.loop = w->loop;
    o.transport = (NotifyTransport){fake_call, fake_cancel, w};
    o.user_agent = STR("test");
    o.owner_ref = owner_ref;
    o.owner_unref = owner_unref;
    w->client = alert_client_new(&o);
}

static void run(World *w, int64_t ms) { loop_virtual_run_until(w->loop, clock_wall_ms() + ms); }

static void set_stopped(void *arg) { ((World *)arg)->stopped = true; }

static void end(World *w) {
    alert_client_free(w->client);
    loop_free(w->loop);
    for (size_t i = 0; i < w->n; i++) {
        mem_free(w->calls[i].body);
    }
    CHECK_INT(w->owners, 0);
}

/* One section with these addresses. */
static void apply(World *w, const AlertmanagerConfig *section, const Str *urls, size_t n,
                  AlertClientConfig c) {
    const AlertClientSet set = {section, urls, n};
    c.sets = &set;
    c.n_sets = 1;
    c.owner = &w->owners;
    alert_client_apply(w->client, &c);
}

static AlertBatch *batch(size_t n, const char *name) {
    AlertBatch *b = alert_batch_new(n);
    for (size_t i = 0; i < n; i++) {
        const Label l[] = {{STR("alertname"), str_of(name)},
                           {STR("i"), arena_printf(&b->arena, "%zu", i)}};
        b->v[b->n++] = (NotifyAlert){.labels = labels_copy(&b->arena, (Labels){l, 2}),
                                     .starts_at_ms = START,
                                     .ends_at_ms = START + 240000,
                                     .generator_url = STR("http://n/graph")};
    }
    return b;
}

static void send(World *w, size_t n, const char *name) {
    AlertBatch *b = batch(n, name);
    alert_client_send(w->client, b);
    alert_batch_unref(b);
}

static double metric(const char *name, const char *url) {
    char want[256];
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    metrics_write(&b, NULL, 0);
    snprintf(want, sizeof(want), "\n%s{alertmanager=\"%s\"} ", name, url);
    const char *at = strstr(buf_cstr(&b), want);
    return at ? atof(at + strlen(want)) : NAN;
}

#define SENT "prometheus_notifications_sent_total"
#define ERRORS "prometheus_notifications_errors_total"
#define DROPPED "prometheus_notifications_dropped_total"
#define QUEUE "prometheus_notifications_queue_length"
static const AlertmanagerConfig SECTION = {.timeout_ms = 7000};
static const Str A = {"http://a/", sizeof("http://a/") - 1},
                 HANG = {"http://hang/", sizeof("http://hang/") - 1},
                 BAD = {"http://bad/", sizeof("http://bad/") - 1};

TEST (alerts_leave_in_batches_of_256) {
    World w;
    start_with(&w, &(AlertClientOptions){0});
    apply(&w, &SECTION, &A, 1, (AlertClientConfig){0});
    send(&w, 600, "X");
    run(&w, 0);
    CHECK_INT(w.n, 1); /* one POST at a time */
    CHECK(metric(QUEUE, "http://a/") == 600 - 256);
    run(&w, 1000);
    CHECK_INT(w.n, 3);
    CHECK_INT(w.calls[0].alerts, 256);
    CHECK_INT(w.calls[1].alerts, 256);
    CHECK_INT(w.calls[2].alerts, 88);
    CHECK_INT(w.calls[0].timeout_ms, 7000);
    CHECK(metric(SENT, "http://a/") == 600 && metric(DROPPED, "http://a/") == 0);
    CHECK(strstr(w.calls[0].body,
                 "[{\"annotations\":{},\"endsAt\":\"2023-11-14T22:17:20.000Z\","
                 "\"startsAt\":\"2023-11-14T22:13:20.000Z\",\"generatorURL\":\"http://n/graph\","
                 "\"labels\":{\"alertname\":\"X\",\"i\":\"0\"}},"));
    end(&w);
}

TEST (a_full_queue_drops_the_oldest_and_counts) {
    World w;
    start_with(&w, &(AlertClientOptions){.queue_capacity = 4, .batch_size = 2});
    apply(&w, &SECTION, &A, 1, (AlertClientConfig){0});
    send(&w, 7, "X");
    run(&w, 1000);
    CHECK_INT(w.n, 2);
    CHECK(strstr(w.calls[0].body, "\"i\":\"3\"") && !strstr(w.calls[0].body, "\"i\":\"2\""));
    CHECK(strstr(w.calls[1].body, "\"i\":\"6\""));
    CHECK(metric(DROPPED, "http://a/") == 3 && metric(SENT, "http://a/") == 4);
    end(&w);
}

TEST (an_address_that_hangs_holds_up_no_other) {
    World w;
    const Str urls[] = {HANG, A};
    start_with(&w, &(AlertClientOptions){0});
    apply(&w, &SECTION, urls, 2, (AlertClientConfig){0});
    for (int i = 0; i < 3; i++) {
        send(&w, 1, "X");
        run(&w, 100);
    }
    CHECK(metric(SENT, "http://a/") == 3);
    CHECK(metric(SENT, "http://hang/") == 0 && metric(QUEUE, "http://hang/") == 2);
    CHECK_INT(w.n, 4);
    end(&w);
    CHECK_INT(w.cancelled, 1);
}

TEST (a_failure_drops_its_batch_and_counts) {
    World w;
    start_with(&w, &(AlertClientOptions){.batch_size = 2});
    apply(&w, &SECTION, &BAD, 1, (AlertClientConfig){0});
    send(&w, 5, "X");
    run(&w, 1000);
    CHECK_INT(w.n, 3);
    CHECK(metric(ERRORS, "http://bad/") == 5 && metric(DROPPED, "http://bad/") == 5);
    CHECK(metric(QUEUE, "http://bad/") == 0);
    end(&w);
}

static RelabelConfig relabel(RelabelAction action, Str *source, const char *regex, Str target,
                             Str replacement) {
    RelabelConfig c = {.action = action,
                       .source_labels = source,
                       .n_source_labels = 1,
                       .regex_text = str_of(regex),
                       .target_label = target,
                       .replacement = replacement};
    Problem p = {0};
    unsigned set = RELABEL_SET_ACTION | RELABEL_SET_SOURCE | RELABEL_SET_REGEX;
    if (action == RELABEL_REPLACE) {
        set |= RELABEL_SET_TARGET | RELABEL_SET_REPLACEMENT;
    }
    if (relabel_config_init(&c, set, &p) < 0) {
        test_fail(__FILE__, __LINE__, "%s", p.text);
    }
    return c;
}

TEST (external_labels_and_both_levels_of_relabelling_shape_an_alert) {
    World w;
    Str name = STR("alertname"), i = STR("i"), region = STR("region");
    RelabelConfig drop = relabel(RELABEL_DROP, &name, "Noise", STR(""), STR(""));
    RelabelConfig common = relabel(RELABEL_REPLACE, &region, "(.*)", STR("where"), STR("in-$1"));
    RelabelConfig own = relabel(RELABEL_KEEP, &i, "1", STR(""), STR(""));
    const RelabelConfig *global[] = {&drop, &common}, *section[] = {&own};
    const AlertmanagerConfig kept = {.alert_relabel = {section, 1}};
    const AlertClientSet sets[] = {{&kept, &A, 1}, {&SECTION, &BAD, 1}};
    const Label ext[] = {{STR("alertname"), STR("never")}, {STR("region"), STR("eu")}};
    start_with(&w, &(AlertClientOptions){0});
    alert_client_apply(w.client, &(AlertClientConfig){.sets = sets,
                                                      .n_sets = 2,
                                                      .relabel = {global, 2},
                                                      .external_labels = {ext, 2},
                                                      .owner = &w.owners});
    send(&w, 2, "Noise");
    send(&w, 2, "X");
    run(&w, 1000);
    CHECK_INT(w.n, 2);
    CHECK_CSTR(w.calls[0].url, "http://a/");
    CHECK_INT(w.calls[0].alerts, 1);
    CHECK(strstr(w.calls[0].body, "{\"alertname\":\"X\",\"i\":\"1\",\"region\":\"eu\","
                                  "\"where\":\"in-eu\"}"));
    CHECK_INT(w.calls[1].alerts, 2);
    end(&w);
    relabel_config_deinit(&drop);
    relabel_config_deinit(&common);
    relabel_config_deinit(&own);
}

TEST (an_address_that_stays_keeps_its_queue_and_one_that_goes_its_nothing) {
    World w;
    const Str urls[] = {HANG, A};
    start_with(&w, &(AlertClientOptions){0});
    apply(&w, &SECTION, urls, 2, (AlertClientConfig){0});
    send(&w, 1, "X");
    run(&w, 100);
    send(&w, 3, "X");
    run(&w, 100);
    CHECK(metric(QUEUE, "http://hang/") == 3);
    apply(&w, &SECTION, &HANG, 1, (AlertClientConfig){0});
    CHECK(metric(QUEUE, "http://hang/") == 3);
    CHECK(isnan(metric(SENT, "http://a/")) && isnan(metric(QUEUE, "http://a/")));
    CHECK_INT(w.cancelled, 0); /* the POST under way goes on */
    apply(&w, &SECTION, &A, 1, (AlertClientConfig){0});
    CHECK_INT(w.cancelled, 1);
    CHECK(isnan(metric(DROPPED, "http://hang/")));
    CHECK(metric(SENT, "http://a/") == 0); /* a new one under the old name */
    CHECK_INT(w.owners, 1);
    end(&w);
}

TEST (stopping_with_drain_sends_what_was_sent_before_it) {
    World w;
    start_with(&w, &(AlertClientOptions){.batch_size = 2, .drain_on_stop = true});
    apply(&w, &SECTION, &A, 1, (AlertClientConfig){0});
    send(&w, 5, "X"); /* still on its way to the loop */
    alert_client_stop(w.client, set_stopped, &w);
    CHECK(!w.stopped);
    run(&w, 15);
    CHECK(!w.stopped);
    send(&w, 1, "late");
    run(&w, 1000);
    CHECK(w.stopped);
    CHECK_INT(w.n, 3);
    CHECK(metric(SENT, "http://a/") == 5);
    end(&w);
}

TEST (stopping_without_drain_drops_and_ends_at_once) {
    World w;
    const Str urls[] = {HANG, A};
    start_with(&w, &(AlertClientOptions){.batch_size = 1});
    apply(&w, &SECTION, urls, 2, (AlertClientConfig){0});
    send(&w, 5, "X");
    run(&w, 1);
    alert_client_stop(w.client, set_stopped, &w);
    CHECK(!w.stopped);
    run(&w, 0);
    CHECK(w.stopped);
    CHECK_INT(w.n, 2);
    CHECK_INT(w.cancelled, 2);
    end(&w);
}

TEST (a_batch_that_comes_through_after_the_client_has_gone_is_dropped) {
    World w;
    start_with(&w, &(AlertClientOptions){0});
    apply(&w, &SECTION, &A, 1, (AlertClientConfig){0});
    send(&w, 1, "X");
    alert_client_free(w.client);
    w.client = NULL;
    run(&w, 100);
    CHECK_INT(w.n, 0);
    end(&w);
}

/* ---- real threads: senders go on while the client stops */

typedef struct Senders {
    World *world;
    pthread_t threads[4];
    WorkPool *pool;
} Senders;

static void *send_many(void *arg) {
    Senders *s = arg;
    for (int i = 0; i < 500; i++) {
        send(s->world, 2, "X");
    }
    return NULL;
}

static void end_loop(void *arg) { loop_stop(arg); }

static void stop_client(void *arg) {
    World *w = arg;
    alert_client_stop(w->client, end_loop, w->loop);
}

TEST (threads_may_send_while_the_client_stops) {
    World w = {0};
    Senders s = {.world = &w};
    CHECK_INT(loop_new(&w.loop), 0);
    w.client = alert_client_new(&(AlertClientOptions){
        .loop = w.loop, .transport = {fake_call, fake_cancel, &w}, .drain_on_stop = true});
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&s.threads[i], NULL, send_many, &s), 0);
    }
    loop_post(w.loop, stop_client, &w);
    loop_run(w.loop);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(s.threads[i], NULL);
    }
    alert_client_free(w.client);
    loop_free(w.loop); /* what was posted runs here */
}
