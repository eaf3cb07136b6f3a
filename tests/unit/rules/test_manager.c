/*
 * Rule groups in virtual time over a storage in memory. Each test writes an input series, lets time
 * pass, and looks at what was stored, sent and shown.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "rules/rule_manager.h"
#include "storage/mem_storage.h"
#include "support/test.h"

#define START INT64_C(1700000000000)

typedef struct Sent {
    int64_t at, starts, ends;
    char labels[256], summary[128];
} Sent;

typedef struct World {
    Loop *loop;
    WorkPool *pool;
    Storage *storage;
    PromqlEngine *engine;
    RuleManager *manager;
    int64_t slow_ms; /* time that passes while an alert is sent */
    Sent sent[256];
    size_t n_sent;
} World;

static void record(void *arg, AlertBatch *b) {
    World *w = arg;
    clock_fake_set(clock_wall_ms() + w->slow_ms);
    for (size_t i = 0; i < b->n; i++) {
        Sent *s = &w->sent[w->n_sent++];
        CLEANUP(buf_deinit) Buf l = BUF_INIT(0);
        labels_format(b->v[i].labels, &l);
        snprintf(s->labels, sizeof(s->labels), "%.*s", SA(buf_str(&l)));
        snprintf(s->summary, sizeof(s->summary), "%.*s",
                 SA(labels_get(b->v[i].annotations, STR("summary"))));
        s->at = clock_wall_ms();
        s->starts = b->v[i].starts_at_ms;
        s->ends = b->v[i].ends_at_ms;
    }
}

static void world_start(World *w, int64_t now, Storage *storage) {
    *w = (World){.storage = storage};
    CHECK_INT(loop_new_virtual(now, &w->loop), 0);
    CHECK_INT(work_pool_new(w->loop, "query", 1, &w->pool), 0);
    w->engine = promql_engine_new(&(PromqlOptions){0});
    w->manager = rule_manager_new(&(RuleManagerOptions){.loop = w->loop,
                                                        .pool = w->pool,
                                                        .engine = w->engine,
                                                        .storage = storage,
                                                        .sink = {record, w},
                                                        .external_url = STR("http://h:9090/p")});
}

static void world_end(World *w) {
    rule_manager_stop(w->manager);
    work_pool_free(w->pool);
    rule_manager_free(w->manager);
    promql_engine_free(w->engine);
    loop_free(w->loop);
}

static void load(World *w, const char *text) {
    RuleFile *f;
    Problem p = {0};
    if (rule_file_parse(str_of(text), STR("r.yml"), w->engine, &f, &p) < 0) {
        test_fail(__FILE__, __LINE__, "%d:%d %s", p.line, p.column, p.text);
    }
    static const Label EXT[] = {{STR("region"), STR("eu")}};
    rule_manager_update(w->manager, &(RuleManagerConfig){.files = &f,
                                                         .n_files = 1,
                                                         .evaluation_interval_ms = 60000,
                                                         .external_labels = {EXT, 1}});
    rule_file_unref(f);
}

/* metric{i="<i>"} = v at every 15 s of [from, to). */
static void feed(World *w, const char *i, double v, int64_t from, int64_t to) {
    const Label l[] = {{LABEL_NAME, STR("metric")}, {STR("i"), str_of(i)}};
    Appender *a;
    CHECK_INT(storage_appender(w->storage, &a), 0);
    for (int64_t t = from; t < to; t += 15000) {
        SeriesRef ref = 0;
        CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t, v), 0);
    }
    CHECK_INT(appender_commit(a), 0);
}

/* The value of an instant query with one element; NaN: none. */
static double value_of(World *w, const char *query, int64_t t) {
    PromqlResult *r =
        promql_exec(w->engine, w->storage,
                    &(PromqlRequest){.query = str_of(query), .start_ms = t, .end_ms = t});
    if (r->outcome != PROMQL_OK) {
        test_fail(__FILE__, __LINE__, "%s: %s", query, r->error);
    }
    double v = r->n_series == 1 ? r->series[0].floats[0] : NAN;
    promql_result_free(r);
    return v;
}

static const char RULES[] =
    "groups:\n"
    "- name: g\n"
    "  interval: 1m\n"
    "  labels: {team: a, severity: low}\n"
    "  rules:\n"
    "  - record: rec:metric\n"
    "    expr: metric * 2\n"
    "    labels: {severity: ''}\n"
    "  - alert: High\n"
    "    expr: metric > 5\n"
    "    for: 2m\n"
    "    labels: {severity: '{{ $labels.i }}-{{ $externalLabels.region }}'}\n"
    "    annotations: {summary: 'v={{ $value | printf \"%.1f\" }}'}\n";

static int64_t last_evaluation(World *w) {
    RulesSnapshot *s = rule_manager_snapshot(w->manager);
    int64_t t = s->groups[0]->last_evaluation_ms;
    rules_snapshot_unref(s);
    return t;
}

static AlertState state_of(World *w, size_t rule) {
    RulesSnapshot *s = rule_manager_snapshot(w->manager);
    AlertState st = s->groups[0]->rules[rule].state;
    rules_snapshot_unref(s);
    return st;
}

TEST (an_alert_waits_fires_is_resent_and_resolves) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 10 * 60000);
    feed(&w, "x", 1, START + 10 * 60000, START + 40 * 60000);
    load(&w, RULES);
    loop_virtual_run_until(w.loop, START + 60000);
    int64_t first = last_evaluation(&w);
    CHECK(first > START && first <= START + 60000);
    CHECK_INT(state_of(&w, 1), ALERT_PENDING);
    CHECK_INT(w.n_sent, 0);
    CHECK(value_of(&w, "rec:metric{team=\"a\",severity=\"\"}", first) == 20);
    loop_virtual_run_until(w.loop, first + 2 * 60000);
    CHECK_INT(state_of(&w, 1), ALERT_FIRING);
    CHECK_INT(w.n_sent, 1);
    CHECK_CSTR(w.sent[0].labels, "{alertname=\"High\", i=\"x\", severity=\"x-eu\", team=\"a\"}");
    CHECK_CSTR(w.sent[0].summary, "v=10.0");
    CHECK_INT(w.sent[0].starts, first + 2 * 60000);
    CHECK_INT(w.sent[0].ends, first + 6 * 60000);
    CHECK(value_of(&w, "ALERTS{alertstate=\"firing\"}", first + 2 * 60000) == 1);
    CHECK(isnan(value_of(&w, "ALERTS{alertstate=\"pending\"}", first + 2 * 60000)));
    CHECK(value_of(&w, "ALERTS_FOR_STATE", first + 2 * 60000) == floor((double)first / 1000));
    /* Sent again each time more than the resend delay (1 min) has passed: every second one. */
    loop_virtual_run_until(w.loop, first + 6 * 60000);
    CHECK_INT(w.n_sent, 3);
    loop_virtual_run_until(w.loop, first + 12 * 60000);
    CHECK_INT(state_of(&w, 1), ALERT_INACTIVE);
    CHECK(w.sent[w.n_sent - 1].ends <= w.sent[w.n_sent - 1].at);
    CHECK(isnan(value_of(&w, "ALERTS", first + 12 * 60000)));
    loop_virtual_run_until(w.loop, first + 39 * 60000);
    size_t all = w.n_sent;
    CHECK(w.sent[all - 1].at < first + 30 * 60000);
    world_end(&w);
    mem_storage_free(storage);
}

static const char FOR_RULE[] = "groups:\n- name: g\n  rules:\n"
                               "  - alert: Slow\n    expr: metric > 5\n    for: 30m\n";

TEST (queries_are_shown_as_the_language_prints_them) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    load(&w, "groups:\n- name: g\n  rules:\n"
             "  - {record: r, expr: ' sum( metric{i=\"x\"} )by(i)  '}\n");
    RulesSnapshot *s = rule_manager_snapshot(w.manager);
    CHECK_STR(s->groups[0]->rules[0].query, STR("sum by (i) (metric{i=\"x\"})"));
    CHECK(!s->groups[0]->rules[0].evaluated && s->groups[0]->rules[0].health == RULE_UNKNOWN);
    rules_snapshot_unref(s);
    world_end(&w);
    mem_storage_free(storage);
}

TEST (the_time_in_pending_survives_a_restart) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 90 * 60000);
    load(&w, FOR_RULE);
    loop_virtual_run_until(w.loop, START + 15 * 60000);
    int64_t first = last_evaluation(&w) % 60000;
    world_end(&w);
    /* 5 minutes of downtime do not count; 15 min were spent. */
    world_start(&w, START + 20 * 60000, storage);
    load(&w, FOR_RULE);
    loop_virtual_run_until(w.loop, START + 33 * 60000);
    CHECK_INT(state_of(&w, 0), ALERT_PENDING);
    loop_virtual_run_until(w.loop, START + 38 * 60000);
    CHECK_INT(state_of(&w, 0), ALERT_FIRING);
    CHECK_INT(w.n_sent > 0 ? w.sent[0].starts % 60000 : -1, first);
    world_end(&w);
    mem_storage_free(storage);
}

TEST (a_reload_keeps_the_state_of_alerts) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 90 * 60000);
    load(&w, RULES);
    loop_virtual_run_until(w.loop, START + 5 * 60000);
    CHECK_INT(state_of(&w, 1), ALERT_FIRING);
    load(&w, RULES);
    CHECK_INT(state_of(&w, 1), ALERT_FIRING);
    char *changed = mem_strdup(RULES);
    memcpy(strstr(changed, "* 2"), "* 3", 3);
    load(&w, changed);
    CHECK_INT(state_of(&w, 1), ALERT_FIRING);
    loop_virtual_run_until(w.loop, START + 7 * 60000);
    CHECK_INT(state_of(&w, 1), ALERT_FIRING);
    CHECK(value_of(&w, "rec:metric", START + 7 * 60000) == 30);
    mem_free(changed);
    /* Without the recording rule its series ends at the next evaluation. */
    char *cut =
        mem_printf("groups:\n- name: g\n  interval: 1m\n  rules:\n%s", strstr(RULES, "  - alert"));
    load(&w, cut);
    mem_free(cut);
    loop_virtual_run_until(w.loop, START + 9 * 60000);
    CHECK(isnan(value_of(&w, "rec:metric", START + 9 * 60000)));
    rule_manager_update(w.manager, &(RuleManagerConfig){0});
    loop_virtual_run_until(w.loop, START + 15 * 60000);
    CHECK(isnan(value_of(&w, "ALERTS", START + 15 * 60000)));
    world_end(&w);
    mem_storage_free(storage);
}

TEST (keep_firing_for_bridges_a_gap) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 5 * 60000);
    feed(&w, "x", 1, START + 5 * 60000, START + 30 * 60000);
    load(&w, "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: metric > 5\n"
             "    keep_firing_for: 5m\n");
    loop_virtual_run_until(w.loop, START + 8 * 60000);
    CHECK_INT(state_of(&w, 0), ALERT_FIRING);
    loop_virtual_run_until(w.loop, START + 13 * 60000);
    CHECK_INT(state_of(&w, 0), ALERT_INACTIVE);
    world_end(&w);
    mem_storage_free(storage);
}

TEST (errors_of_a_rule_are_shown_and_others_go_on) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 5 * 60000);
    feed(&w, "y", 10, START - 60000, START + 5 * 60000);
    load(&w, "groups:\n- name: g\n  limit: 1\n  rules:\n"
             "  - {record: a, expr: metric, labels: {i: same}}\n"
             "  - {record: b, expr: metric}\n"
             "  - {record: c, expr: '1'}\n"
             "  - {alert: D, expr: metric}\n");
    loop_virtual_run_until(w.loop, START + 60000);
    RulesSnapshot *s = rule_manager_snapshot(w.manager);
    CHECK_STR(s->groups[0]->rules[0].last_error,
              STR("vector contains metrics with the same labelset after applying rule labels"));
    CHECK_STR(s->groups[0]->rules[1].last_error, STR("exceeded limit of 1 with 2 series"));
    CHECK_INT(s->groups[0]->rules[2].health, RULE_OK);
    CHECK_STR(s->groups[0]->rules[3].last_error, STR("exceeded limit of 1 with 2 alerts"));
    rules_snapshot_unref(s);
    world_end(&w);
    mem_storage_free(storage);
}

static double group_metric(const char *name, const char *group) {
    char want[256];
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    metrics_write(&b, NULL, 0);
    snprintf(want, sizeof(want), "\n%s{rule_group=\"%s\"} ", name, group);
    const char *at = strstr(buf_cstr(&b), want);
    return at ? atof(at + strlen(want)) : NAN;
}

TEST (a_slow_evaluation_misses_iterations_and_keeps_its_slot) {
    World w;
    Storage *storage = mem_storage_new();
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 30 * 60000);
    load(&w, "groups:\n- name: g\n  interval: 1m\n  rules:\n"
             "  - {alert: A, expr: metric > 5}\n");
    loop_virtual_run_until(w.loop, START + 60000);
    int64_t slot = last_evaluation(&w) % 60000, first = last_evaluation(&w);
    w.slow_ms = 200000; /* three slots go by, evaluation goes on at the fourth */
    loop_virtual_run_until(w.loop, START + 4 * 60000);
    w.slow_ms = 0;
    loop_virtual_run_until(w.loop, START + 20 * 60000);
    CHECK_INT(last_evaluation(&w) % 60000, slot);
    double missed = group_metric("prometheus_rule_group_iterations_missed_total", "r.yml;g");
    double all = group_metric("prometheus_rule_group_iterations_total", "r.yml;g");
    CHECK(missed > 0);
    CHECK(all == (double)((last_evaluation(&w) - first) / 60000 + 1));
    world_end(&w);
    mem_storage_free(storage);
}

TEST (rule_files_stand_beside_each_other) {
    World w;
    Storage *storage = mem_storage_new();
    RuleFile *files[3];
    Problem p = {0};
    static const char *const PATHS[] = {"c.yml", "a.yml", "b.yml"};
    world_start(&w, START, storage);
    feed(&w, "x", 10, START - 60000, START + 10 * 60000);
    for (size_t i = 0; i < 3; i++) { /* the same group name in each */
        char text[128];
        snprintf(text, sizeof(text),
                 "groups:\n- name: g\n  rules:\n  - {record: r%zu, expr: metric}\n", i);
        CHECK_INT(rule_file_parse(str_of(text), str_of(PATHS[i]), w.engine, &files[i], &p), 0);
    }
    RuleManagerConfig c = {.files = files, .n_files = 3};
    rule_manager_update(w.manager, &c);
    loop_virtual_run_until(w.loop, START + 60000);
    CHECK(value_of(&w, "r0", START + 60000) == 10 && value_of(&w, "r1", START + 60000) == 10 &&
          value_of(&w, "r2", START + 60000) == 10);
    RulesSnapshot *s = rule_manager_snapshot(w.manager);
    CHECK_INT(s->n_groups, 3);
    CHECK_STR(s->groups[0]->file, STR("a.yml"));
    CHECK_STR(s->groups[2]->file, STR("c.yml"));
    rules_snapshot_unref(s);
    c.n_files = 2; /* without b.yml */
    rule_manager_update(w.manager, &c);
    loop_virtual_run_until(w.loop, START + 4 * 60000);
    CHECK(isnan(value_of(&w, "r2", START + 4 * 60000)));
    CHECK(value_of(&w, "r0", START + 4 * 60000) == 10);
    for (size_t i = 0; i < 3; i++) {
        rule_file_unref(files[i]);
    }
    world_end(&w);
    mem_storage_free(storage);
}
