/* Groups from configuration and files to the consumer, in virtual time. */
#include "base/clock.h"
#include "base/file.h"
#include "base/vec.h"
#include "discovery/discovery.h"
#include "support/test.h"

#define START INT64_C(1700000000000)

typedef struct World {
    Loop *loop;
    WorkPool *pool;
    Discovery *discovery;
    Arena arena;
    unsigned updates;
    char seen[1000]; /* targets of the last update, each followed by a space */
    int64_t seen_ms;
    char file[500];
} World;

static void on_groups(void *arg, Str set, TargetGroup *const *groups, size_t n) {
    World *w = arg;
    size_t at = 0;
    w->updates++;
    w->seen_ms = clock_wall_ms();
    w->seen[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < groups[i]->n; k++)
            at += (size_t)snprintf(w->seen + at, sizeof(w->seen) - at, "%.*s ",
                                   SA(groups[i]->targets[k].v[0].value));
    }
}

static void init(World *w) {
    *w = (World){0};
    loop_new_virtual(START, &w->loop);
    work_pool_new(w->loop, "background", 1, &w->pool);
    w->discovery = discovery_new(&(DiscoveryOptions){
        .loop = w->loop, .pool = w->pool, .name = "scrape", .on_groups = on_groups, .arg = w});
    (void)snprintf(w->file, sizeof(w->file), "%s/t.json", test_tmpdir());
}

static void deinit(World *w) {
    discovery_free(w->discovery);
    work_pool_free(w->pool);
    arena_deinit(&w->arena);
    loop_free(w->loop);
    clock_real();
}

static void apply(World *w, const char *yaml) {
    SdConfigs c;
    Problem p = {0};
    if (schema_load(&sd_configs_schema, str_of(yaml), STR("t"), &w->arena, NULL, &c, &p) < 0)
        test_fail(__FILE__, __LINE__, "%s", p.text);
    discovery_apply(w->discovery, &(DiscoverySet){STR("job"), &c}, 1);
}

static void write_file(World *w, const char *text) {
    if (file_write_durable(w->file, text, strlen(text), 0644) < 0)
        test_fail(__FILE__, __LINE__, "cannot write %s", w->file);
}

static void run(World *w, int64_t s) { loop_virtual_run_until(w->loop, START + s * 1000); }

TEST (static_targets_come_at_once_and_unchanged_sets_go_on) {
    World w;
    init(&w);
    apply(&w, "static_configs: [{targets: [a, b]}, {targets: [c], labels: {x: y}}]\n");
    CHECK_INT(w.updates, 0);
    run(&w, 0);
    CHECK_INT(w.updates, 1);
    CHECK_CSTR(w.seen, "a b c ");
    run(&w, 60);
    CHECK_INT(w.updates, 1);
    apply(&w, "static_configs: [{targets: [a]}]\n");
    run(&w, 61);
    CHECK_CSTR(w.seen, "a ");
    discovery_apply(w.discovery, NULL, 0);
    run(&w, 100);
    CHECK_INT(w.updates, 2);
    deinit(&w);
}

TEST (files_are_followed_and_broken_ones_keep_their_groups) {
    World w;
    char yaml[700];
    init(&w);
    write_file(&w, "[{\"targets\": [\"a\", \"b\"]}, {\"targets\": [\"c\"]}]");
    (void)snprintf(yaml, sizeof(yaml),
                   "file_sd_configs: [{files: ['%s/*.json'], refresh_interval: 1m}]\n",
                   test_tmpdir());
    apply(&w, yaml);
    run(&w, 1);
    CHECK_CSTR(w.seen, "a b c ");
    CHECK_INT(w.updates, 1);
    write_file(&w, "[{\"targets\": [\"d\"]}]");
    run(&w, 11);
    CHECK_CSTR(w.seen, "d ");
    write_file(&w, "[{\"targets\": [\"d\"]}, oh");
    run(&w, 30);
    CHECK_CSTR(w.seen, "d ");
    write_file(&w, "[{\"targets\": [\"e\"]}]");
    run(&w, 45);
    CHECK_CSTR(w.seen, "e ");
    file_unlink(w.file);
    run(&w, 60);
    CHECK_CSTR(w.seen, "");
    deinit(&w);
}

TEST (updates_come_at_most_every_five_seconds) {
    World w;
    char yaml[700];
    init(&w);
    write_file(&w, "[{\"targets\": [\"a\"]}]");
    (void)snprintf(yaml, sizeof(yaml), "file_sd_configs: [{files: ['%s'], refresh_interval: 1s}]\n",
                   w.file);
    apply(&w, yaml);
    run(&w, 0);
    CHECK_INT(w.updates, 1);
    run(&w, 20);
    CHECK_INT(w.updates, 5);
    CHECK_INT((w.seen_ms - START) % 5000, 0);
    deinit(&w);
}

typedef struct FakeServer {
    World *world;
    const char *body, *type;
    int status;
    LoopTimer timer;
    void (*fn)(void *arg, HttpCallResult *r);
    void *arg;
    char headers[200];
} FakeServer;

static void server_answers(void *arg) {
    FakeServer *s = arg;
    Buf body = BUF_INIT(0);
    buf_add_cstr(&body, s->body);
    HttpCallResult r = {.status = s->status,
                        .status_text = "503 Service Unavailable",
                        .content_type = str_of(s->type),
                        .body = &body};
    s->fn(s->arg, &r);
    buf_deinit(&body);
}

static HttpCall *server_call(HttpClient *client, const HttpCallRequest *request,
                             void (*fn)(void *arg, HttpCallResult *r), void *arg) {
    FakeServer *s = (FakeServer *)client;
    s->fn = fn;
    s->arg = arg;
    (void)snprintf(s->headers, sizeof(s->headers), "%.*s|%.*s|%.*s", SA(request->url),
                   SA(request->headers[0].value), SA(request->headers[2].value));
    loop_timer_init(&s->timer, s->world->loop, server_answers, s);
    loop_timer_after(&s->timer, 100);
    return (HttpCall *)s;
}

static void server_cancel(HttpCall *call) { loop_timer_stop(&((FakeServer *)call)->timer); }

TEST (targets_come_over_http_and_failures_keep_them) {
    World w;
    init(&w);
    discovery_free(w.discovery);
    FakeServer s = {.world = &w,
                    .status = 200,
                    .type = "application/json; charset=utf-8",
                    .body = "[{\"targets\": [\"a\"]}, {\"targets\": [\"b\"]}]"};
    w.discovery = discovery_new(&(DiscoveryOptions){.loop = w.loop,
                                                    .pool = w.pool,
                                                    .name = "scrape",
                                                    .client = (HttpClient *)&s,
                                                    .call = server_call,
                                                    .cancel = server_cancel,
                                                    .on_groups = on_groups,
                                                    .arg = &w});
    apply(&w, "http_sd_configs: [{url: 'http://x/sd', refresh_interval: 10s}]\n");
    run(&w, 1);
    CHECK_CSTR(w.seen, "a b ");
    CHECK_CSTR(s.headers, "http://x/sd|application/json|10");
    s.status = 503;
    run(&w, 12);
    CHECK_CSTR(w.seen, "a b ");
    s.status = 200;
    s.type = "text/html";
    run(&w, 22);
    s.type = "application/json";
    s.body = "[{\"targets\": [\"a\"], \"other\": 1}]";
    run(&w, 32);
    CHECK_CSTR(w.seen, "a b ");
    s.body = "[{\"targets\": [\"c\"]}]";
    run(&w, 45);
    CHECK_CSTR(w.seen, "c ");
    deinit(&w);
}

TEST (the_file_is_told_as_a_label) {
    SdStaticConfig c = {0};
    Str address = STR("h");
    c.targets = (SchemaStrs){&address, 1, true};
    TargetGroup *g = target_group_new(&c, STR("s"), (Label){STR("__meta_filepath"), STR("/f")});
    CHECK_STR(labels_get(g->labels, STR("__meta_filepath")), STR("/f"));
    CHECK_STR(labels_get(g->targets[0], STR("__address__")), STR("h"));
    target_group_unref(target_group_ref(g));
    target_group_unref(g);
}
