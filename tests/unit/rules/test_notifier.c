/* The client of outside Alertmanagers: body, labels, batches, overflow, failure, drain. */
#include "base/mem.h"
#include "rules/notifier.h"
#include "support/test.h"

#define START INT64_C(1700000000000)

typedef struct World {
    Loop *loop;
    Notifier *n;
    int status;
    size_t calls;
    char *body;
    void (*done)(void *arg, HttpCallResult *r);
    void *done_arg;
    bool ended;
} World;

static void *fake_call(void *arg, const HttpCallRequest *r,
                       void (*done)(void *arg, HttpCallResult *r), void *done_arg) {
    World *w = arg;
    w->calls++;
    mem_free(w->body);
    w->body = str_dup(r->body);
    w->done = done;
    w->done_arg = done_arg;
    return w;
}

static void fake_cancel(void *call) { ((World *)call)->done = NULL; }

static void answer(World *w) {
    void (*done)(void *, HttpCallResult *) = w->done;
    HttpCallResult r = {.outcome = HTTP_CALL_OK, .status = w->status, .status_text = "x"};
    w->done = NULL;
    done(w->done_arg, &r);
}

static void start(World *w, size_t capacity, size_t batch) {
    *w = (World){.status = 200};
    CHECK_INT(loop_new_virtual(START, &w->loop), 0);
    w->n = notifier_new(&(NotifierOptions){.loop = w->loop,
                                           .transport = {fake_call, fake_cancel, w},
                                           .queue_capacity = capacity,
                                           .batch_max = batch,
                                           .user_agent = STR("Prometheus/3.0")});
    static const Label EXT[] = {{STR("job"), STR("ext")}, {STR("region"), STR("eu")}};
    static const NotifierSection SECTION = {0};
    notifier_configure(
        w->n,
        &(NotifierConfig){.external_labels = {EXT, 2}, .sections = &SECTION, .n_sections = 1});
    const Str url = STR("http://am:9093/api/v2/alerts");
    notifier_set_targets(w->n, 0, &url, 1);
}

static void stop(World *w) {
    notifier_free(w->n);
    loop_free(w->loop);
    mem_free(w->body);
}

static void put(World *w, size_t n, const char *name) {
    AlertBatch *b = alert_batch_new(n);
    for (size_t i = 0; i < n; i++) {
        Label l[] = {{STR("alertname"), arena_printf(&b->arena, "%s%zu", name, i)},
                     {STR("job"), STR("own")}};
        static const Label A[] = {{STR("s"), STR("<x>")}};
        b->v[b->n++] = (NotifyAlert){.labels = labels_copy(&b->arena, (Labels){l, 2}),
                                     .annotations = {A, 1},
                                     .starts_at_ms = START + 678,
                                     .ends_at_ms = START + 60000,
                                     .generator_url = STR("http://g")};
    }
    AlertSink s = notifier_sink(w->n);
    s.send(s.arg, b);
    alert_batch_unref(b);
    loop_virtual_run_until(w->loop, START + 1);
}

TEST (the_body_is_what_alertmanager_takes) {
    World w;
    start(&w, 0, 0);
    put(&w, 1, "A");
    CHECK_CSTR(w.body, "[{\"annotations\":{\"s\":\"\\u003cx\\u003e\"},\"endsAt\":\"2023-11-14T22:"
                       "14:20.000Z\",\"startsAt\":\"2023-11-14T22:13:20.678Z\",\"generatorURL\":"
                       "\"http://g\",\"labels\":{\"alertname\":\"A0\",\"job\":\"own\",\"region\":"
                       "\"eu\"}}]");
    answer(&w);
    CHECK_INT(w.calls, 1);
    stop(&w);
}

TEST (batches_follow_each_other_and_failure_is_not_repeated) {
    World w;
    start(&w, 0, 2);
    put(&w, 5, "A");
    CHECK_INT(w.calls, 1);
    w.status = 500;
    answer(&w);
    CHECK(strstr(w.body, "A2") && strstr(w.body, "A3") && !strstr(w.body, "A4"));
    answer(&w);
    CHECK(strstr(w.body, "A4"));
    answer(&w);
    CHECK_INT(w.calls, 3);
    stop(&w);
}

TEST (a_full_queue_drops_the_oldest) {
    World w;
    start(&w, 3, 2);
    put(&w, 2, "first"); /* under way */
    put(&w, 5, "B");
    answer(&w);
    CHECK(strstr(w.body, "B2") && strstr(w.body, "B3") && !strstr(w.body, "B1"));
    stop(&w);
}

static void ended(void *arg) { ((World *)arg)->ended = true; }

TEST (stopping_sends_what_is_queued) {
    World w;
    start(&w, 0, 1);
    put(&w, 2, "A");
    notifier_stop(w.n, ended, &w);
    CHECK(!w.ended);
    answer(&w);
    CHECK(!w.ended);
    answer(&w);
    CHECK(w.ended);
    CHECK_INT(w.calls, 2);
    stop(&w);
}

TEST (a_removed_alertmanager_gets_its_rest) {
    World w;
    start(&w, 0, 1);
    put(&w, 2, "A");
    notifier_set_targets(w.n, 0, NULL, 0);
    answer(&w);
    CHECK_INT(w.calls, 2);
    answer(&w);
    put(&w, 1, "B");
    CHECK_INT(w.calls, 2);
    stop(&w);
}
