/*
 * The dispatcher in virtual time with a fake receiver: what is sent, when, and what a restart
 * remembers. Payload as the webhook of Alertmanager 0.33 sends it (plus routeLabels).
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "rules/dispatcher.h"
#include "rules/notify/state.h"
#include "support/test.h"

#define START INT64_C(1700000000000)

typedef struct Call {
    struct World *world;
    void (*done)(void *arg, HttpCallResult *r);
    void *done_arg;
    LoopTimer timer;
} Call;

typedef struct World {
    Loop *loop;
    Dispatcher *d;
    WorkPool *pool;
    const char *state;   /* path; NULL: nothing survives */
    bool stop_at_answer; /* the loop, as soon as the receiver has answered */
    int status;          /* what the receiver answers; 0 = nothing */
    int64_t at[64];
    char *body[64], url[64][64];
    size_t n;
} World;

static void answer(void *arg) {
    Call *c = arg;
    if (c->world->stop_at_answer) {
        loop_stop(c->world->loop);
    }
    HttpCallResult r = {.outcome = c->world->status ? HTTP_CALL_OK : HTTP_CALL_FAILED,
                        .error = "connection refused",
                        .status = c->world->status};
    c->done(c->done_arg, &r);
    mem_free(c);
}

static void *fake_call(void *arg, const HttpCallRequest *r,
                       void (*done)(void *arg, HttpCallResult *r), void *done_arg) {
    World *w = arg;
    CHECK(w->n < 64);
    w->at[w->n] = clock_wall_ms() - START;
    snprintf(w->url[w->n], sizeof(w->url[0]), "%.*s", SA(r->url));
    w->body[w->n++] = str_dup(r->body);
    Call *c = NEW(Call);
    *c = (Call){.world = w, .done = done, .done_arg = done_arg};
    loop_timer_init(&c->timer, w->loop, answer, c);
    loop_timer_after(&c->timer, 10);
    return c;
}

static void fake_cancel(void *call) {
    Call *c = call;
    loop_timer_stop(&c->timer);
    mem_free(c);
}

static void start(World *w, int64_t now, const char *config) {
    AmConfig *c;
    Problem p = {0};
    CHECK_INT(loop_new_virtual(now, &w->loop), 0);
    if (am_config_parse(str_of(config), STR("am.yml"), &c, &p) < 0) {
        test_fail(__FILE__, __LINE__, "%s", p.text);
    }
    CHECK_INT(work_pool_new(w->loop, "background", 1, &w->pool), 0);
    DispatcherState *state = NULL;
    if (w->state && dispatcher_state_open(w->state, &state, &p) < 0) {
        test_fail(__FILE__, __LINE__, "%s", p.text);
    }
    w->d = dispatcher_new(&(DispatcherOptions){.loop = w->loop,
                                               .background = w->pool,
                                               .transport = {fake_call, fake_cancel, w},
                                               .state = state,
                                               .external_url = STR("http://vm:9090")},
                          c);
}

/* As if the process had been killed: what was not written is lost. */
static void crash(World *w) {
    dispatcher_free(w->d);
    for (size_t i = 0; i < w->n; i++) {
        mem_free(w->body[i]);
    }
    w->n = 0;
    work_pool_free(w->pool);
    loop_free(w->loop);
}

static void set_flag(void *arg) { *(bool *)arg = true; }

static void stop(World *w) {
    bool done = false;
    dispatcher_stop(w->d, set_flag, &done);
    CHECK(!done);
    loop_virtual_run_until(w->loop, clock_wall_ms());
    CHECK(done);
    crash(w);
}

static void put(World *w, const char *i, int64_t starts, int64_t ends) {
    AlertBatch *b = alert_batch_new(1);
    const Label l[] = {{STR("alertname"), STR("A")}, {STR("i"), str_of(i)}, {STR("job"), STR("a")}};
    static const Label ann[] = {{STR("d"), STR("1")}, {STR("summary"), STR("<b>&x")}};
    b->v[b->n++] = (NotifyAlert){.labels = labels_copy(&b->arena, (Labels){l, 3}),
                                 .annotations = labels_copy(&b->arena, (Labels){ann, 2}),
                                 .starts_at_ms = starts,
                                 .ends_at_ms = ends};
    dispatcher_put(w->d, b);
    alert_batch_unref(b);
}

#define HOUR INT64_C(3600000)
static const char CONFIG[] = "route:\n  receiver: a.b\n  group_by: [alertname]\n"
                             "  group_wait: 30s\n  group_interval: 5m\n  repeat_interval: 1h\n"
                             "receivers:\n- name: a.b\n  webhook_configs:\n"
                             "  - url: 'http://h/{{ .CommonLabels.job }}'\n";

TEST (the_payload_is_alertmanagers) {
    World w = {.status = 200};
    start(&w, START, CONFIG);
    put(&w, "2", START, START + HOUR);
    loop_virtual_run_until(w.loop, START + 31000);
    CHECK_INT(w.n, 1);
    CHECK_CSTR(w.url[0], "http://h/a");
    CHECK_CSTR(
        w.body[0],
        "{\"receiver\":\"a\\\\.b\",\"status\":\"firing\",\"alerts\":[{\"status\":\"firing\","
        "\"labels\":{\"alertname\":\"A\",\"i\":\"2\",\"job\":\"a\"},\"annotations\":{\"d\":\"1\","
        "\"summary\":\"\\u003cb\\u003e\\u0026x\"},\"startsAt\":\"2023-11-14T22:13:20Z\",\"endsAt\":"
        "\"0001-01-01T00:00:00Z\",\"generatorURL\":\"\",\"fingerprint\":\"e742ee2684e1ca48\"}],"
        "\"notification_reason\":\"first notification\",\"groupLabels\":{\"alertname\":\"A\"},"
        "\"commonLabels\":{\"alertname\":\"A\",\"i\":\"2\",\"job\":\"a\"},\"commonAnnotations\":{"
        "\"d\":\"1\",\"summary\":\"\\u003cb\\u003e\\u0026x\"},\"routeLabels\":{},\"externalURL\":"
        "\"http://vm:9090\",\"version\":\"4\",\"groupKey\":\"{}:{alertname=\\\"A\\\"}\","
        "\"truncatedAlerts\":0}\n");
    stop(&w);
}

TEST (a_group_waits_then_sends_what_changed_and_repeats) {
    World w = {.status = 200};
    start(&w, START, CONFIG);
    put(&w, "1", START, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 20000);
    put(&w, "2", START + 20000, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 5 * 60000);
    CHECK_INT(w.n, 1);
    CHECK_INT(w.at[0], 30000);
    CHECK(strstr(w.body[0], "\"i\":\"1\"") && strstr(w.body[0], "\"i\":\"2\""));
    put(&w, "3", START + 5 * 60000, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 60 * 60000);
    CHECK_INT(w.n, 2);
    CHECK_INT(w.at[1], 330000);
    CHECK(strstr(w.body[1], "new alerts added"));
    loop_virtual_run_until(w.loop, START + 71 * 60000);
    CHECK_INT(w.n, 3);
    CHECK(strstr(w.body[2], "repeat interval elapsed"));
    int64_t now = clock_wall_ms();
    put(&w, "1", START, now);
    put(&w, "2", START, now);
    loop_virtual_run_until(w.loop, now + 6 * 60000);
    CHECK_INT(w.n, 4);
    CHECK(strstr(w.body[3], "some alerts resolved"));
    CHECK(strstr(w.body[3], "\"status\":\"firing\",\"alerts\""));
    put(&w, "3", START, clock_wall_ms());
    loop_virtual_run_until(w.loop, now + 20 * 60000);
    CHECK_INT(w.n, 5);
    CHECK(strstr(w.body[4], "all alerts resolved"));
    CHECK(strstr(w.body[4], "\"status\":\"resolved\",\"alerts\""));
    CHECK_INT(dispatcher_group_count(w.d), 0);
    stop(&w);
}

TEST (an_alert_resolved_before_its_first_notification_is_not_sent) {
    World w = {.status = 200};
    start(&w, START, CONFIG);
    put(&w, "1", START, START + HOUR);
    loop_virtual_run_until(w.loop, START + 10000);
    put(&w, "1", START, START + 10000);
    loop_virtual_run_until(w.loop, START + HOUR);
    CHECK_INT(w.n, 0);
    stop(&w);
}

/* The only status there is; strings in an arena of the test. */
static NotifyStatus status(World *w, Arena *a) {
    NotifyStatuses all = {.arena = a};
    dispatcher_status(w->d, &all);
    CHECK_INT(all.list.n, 1);
    NotifyStatus s = all.list.v[0];
    vec_free(&all.list);
    return s;
}

TEST (where_a_notification_stands_is_known_at_any_time) {
    World w = {.status = 503};
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(0);
    start(&w, START, CONFIG);
    put(&w, "2", START, START + 3 * HOUR);
    NotifyStatus s = status(&w, &a);
    CHECK_CSTR(notify_state_text(s.state), "waiting");
    CHECK_INT(s.next_at_ms, START + 30000);
    CHECK(s.fingerprint == UINT64_C(0xe742ee2684e1ca48));
    CHECK_STR(s.route, STR("{}"));
    CHECK_STR(s.integration, STR("webhook[0]"));
    loop_virtual_run_until(w.loop, START + 30100);
    s = status(&w, &a);
    CHECK_CSTR(notify_state_text(s.state), "retrying");
    CHECK_STR(s.last_error, STR("HTTP 503"));
    CHECK(s.next_at_ms > START + 30100);
    w.status = 200;
    loop_virtual_run_until(w.loop, START + 60000);
    s = status(&w, &a);
    CHECK_CSTR(notify_state_text(s.state), "sent");
    CHECK_INT(s.last_error.n, 0);
    CHECK_INT(s.next_at_ms, s.at_ms + HOUR);
    stop(&w);
}

TEST (an_old_alert_does_not_wait) {
    World w = {.status = 200};
    start(&w, START, CONFIG);
    put(&w, "1", START - 60000, START + HOUR);
    loop_virtual_run_until(w.loop, START + 1000);
    CHECK_INT(w.n, 1);
    stop(&w);
}

TEST (a_failing_receiver_is_tried_again_and_a_refusal_is_not) {
    World w = {.status = 503};
    start(&w, START, CONFIG);
    put(&w, "1", START, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 40000);
    CHECK(w.n >= 3);
    CHECK_INT(w.at[0], 30000);
    w.status = 200;
    size_t before = w.n;
    loop_virtual_run_until(w.loop, START + 10 * 60000);
    CHECK_INT(w.n, before + 1);
    stop(&w);
    w.status = 400;
    start(&w, START, CONFIG);
    put(&w, "1", START, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 5 * 60000);
    CHECK_INT(w.n, 1);
    w.status = 0;
    loop_virtual_run_until(w.loop, START + 5 * 60000 + 40000);
    CHECK(w.n > 2);
    stop(&w);
}

TEST (a_restart_neither_repeats_nor_loses) {
    char path[512];
    snprintf(path, sizeof(path), "%s/state.mdb", test_tmpdir());
    World w = {.status = 200, .state = path};
    start(&w, START, CONFIG);
    put(&w, "1", START, START + 4 * 60000);
    loop_virtual_run_until(w.loop, START + 60000);
    CHECK_INT(w.n, 1);
    put(&w, "2", START + 60000, START + 6 * 60000); /* not sent yet */
    stop(&w);
    start(&w, START + 10 * 60000, CONFIG);
    put(&w, "1", START, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 12 * 60000);
    CHECK_INT(w.n, 1);
    CHECK(strstr(w.body[0], "new alerts added"));
    put(&w, "2", START + 60000, clock_wall_ms());
    put(&w, "1", START, clock_wall_ms());
    stop(&w);
    start(&w, START + 20 * 60000, CONFIG);
    loop_virtual_run_until(w.loop, START + 21 * 60000);
    CHECK_INT(w.n, 1);
    CHECK(strstr(w.body[0], "all alerts resolved"));
    stop(&w);
}

TEST (max_alerts_cuts_and_unwanted_resolutions_stay) {
    World w = {.status = 200};
    start(
        &w, START,
        "route: {receiver: r, group_by: ['...'], group_wait: 0s, group_interval: 1m,\n"
        "        routes: [{receiver: r, group_by: [], labels: {o: 't-{{ .CommonLabels.job }}'}}]}\n"
        "receivers: [{name: r, webhook_configs: [{url: 'http://h/', max_alerts: 1, "
        "send_resolved: false}]}]\n");
    put(&w, "1", START, START + 3 * HOUR);
    put(&w, "2", START, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 1000);
    CHECK_INT(w.n, 1);
    CHECK(strstr(w.body[0], "\"truncatedAlerts\":1}"));
    CHECK(strstr(w.body[0], "\"routeLabels\":{\"o\":\"t-a\"}"));
    CHECK(strstr(w.body[0], "\"groupKey\":\"{}/{}:{}\""));
    put(&w, "1", START, START + 1000);
    put(&w, "2", START, START + 1000);
    loop_virtual_run_until(w.loop, START + HOUR);
    CHECK_INT(w.n, 1);
    stop(&w);
}

TEST (a_crash_between_sending_and_writing_repeats_but_never_loses) {
    char path[512];
    snprintf(path, sizeof(path), "%s/state.mdb", test_tmpdir());
    World w = {.status = 200, .state = path, .stop_at_answer = true};
    start(&w, START, CONFIG);
    put(&w, "1", START, START + 4 * 60000);
    loop_virtual_run_until(w.loop, START + HOUR);
    CHECK_INT(w.n, 1);
    CHECK(clock_wall_ms() < START + 31000); /* answered, not yet written */
    crash(&w);
    w.stop_at_answer = false;
    start(&w, START + 60000, CONFIG);
    loop_virtual_run_until(w.loop, START + 61000);
    CHECK_INT(w.n, 1);
    CHECK(strstr(w.body[0], "first notification"));
    crash(&w);
    start(&w, START + 120000, CONFIG);
    loop_virtual_run_until(w.loop, START + 6 * 60000);
    CHECK_INT(w.n, 0); /* written this time; still firing */
    loop_virtual_run_until(w.loop, START + HOUR);
    CHECK_INT(w.n, 1);
    CHECK(strstr(w.body[0], "all alerts resolved"));
    stop(&w);
}

TEST (a_batch_that_comes_through_after_the_dispatcher_has_gone_is_dropped) {
    World w = {.status = 200};
    start(&w, START, CONFIG);
    AlertSink sink = dispatcher_sink(w.d);
    AlertBatch *b = alert_batch_new(1);
    b->v[b->n++] = (NotifyAlert){.starts_at_ms = START, .ends_at_ms = START + HOUR};
    sink.send(sink.arg, b);
    loop_virtual_run_until(w.loop, START);
    CHECK_INT(dispatcher_group_count(w.d), 1);
    bool done = false;
    dispatcher_stop(w.d, set_flag, &done);
    sink.send(sink.arg, b);
    loop_virtual_run_until(w.loop, START + HOUR);
    CHECK(done);
    CHECK_INT(dispatcher_group_count(w.d), 0);
    sink.send(sink.arg, b);
    alert_batch_unref(b);
    crash(&w); /* the last one is still posted */
}

TEST (url_file_is_read_for_each_attempt) {
    char path[512], config[1024];
    snprintf(path, sizeof(path), "%s/url", test_tmpdir());
    snprintf(config, sizeof(config),
             "route: {receiver: r, group_wait: 1s, group_interval: 1m}\n"
             "receivers: [{name: r, webhook_configs: [{url_file: '%s'}]}]\n",
             path);
    World w = {.status = 503};
    start(&w, START, config);
    put(&w, "1", START, START + 3 * HOUR);
    loop_virtual_run_until(w.loop, START + 30000);
    CHECK_INT(w.n, 0); /* not there: fails, and is not tried again before the next flush */
    CHECK_INT(file_write_durable(path, " http://one/{{ .GroupLabels.x }} \n", 33, 0600), 0);
    loop_virtual_run_until(w.loop, START + 61010);
    CHECK_CSTR(w.url[0], "http://one/");
    CHECK_INT(file_write_durable(path, "http://two/", 11, 0600), 0);
    w.status = 200;
    loop_virtual_run_until(w.loop, START + 90000);
    CHECK_INT(w.n, 2);
    CHECK_CSTR(w.url[1], "http://two/");
    stop(&w);
}

/* ---- real threads: 300 alerts through the sink, the state written by the pool */

typedef struct Threaded {
    Loop *loop;
    Dispatcher *d;
    AlertSink sink;
} Threaded;

static void loop_end(void *arg) { loop_stop(arg); }

static void stop_threaded(void *arg) {
    Threaded *t = arg;
    dispatcher_stop(t->d, loop_end, t->loop);
}

static void send_300(void *arg) {
    Threaded *t = arg;
    for (int i = 0; i < 300; i++) {
        AlertBatch *b = alert_batch_new(1);
        const Label l = {STR("i"), arena_printf(&b->arena, "%d", i)};
        b->v[b->n++] = (NotifyAlert){.labels = labels_copy(&b->arena, (Labels){&l, 1}),
                                     .starts_at_ms = clock_wall_ms(),
                                     .ends_at_ms = clock_wall_ms() + HOUR};
        t->sink.send(t->sink.arg, b);
        alert_batch_unref(b);
    }
    loop_post(t->loop, stop_threaded, t);
}

TEST (stopping_writes_all_that_was_taken) {
    char path[512];
    snprintf(path, sizeof(path), "%s/state.mdb", test_tmpdir());
    Threaded t = {0};
    WorkPool *senders, *background;
    DispatcherState *state;
    AmConfig *c;
    Problem p = {0};
    CHECK_INT(loop_new(&t.loop), 0);
    CHECK_INT(work_pool_new(t.loop, "send", 1, &senders), 0);
    CHECK_INT(work_pool_new(t.loop, "background", 2, &background), 0);
    CHECK_INT(dispatcher_state_open(path, &state, &p), 0);
    CHECK_INT(am_config_parse(str_of(CONFIG), STR("am.yml"), &c, &p), 0);
    t.d = dispatcher_new(
        &(DispatcherOptions){.loop = t.loop, .background = background, .state = state}, c);
    t.sink = dispatcher_sink(t.d);
    work_submit(senders, send_300, NULL, &t);
    loop_run(t.loop);
    work_pool_free(senders);
    work_pool_free(background);
    dispatcher_free(t.d);
    loop_free(t.loop);
    CHECK_INT(dispatcher_state_open(path, &state, &p), 0);
    CHECK_INT(state->alerts.n, 300);
    dispatcher_state_free(state);
}
