/* The life of queries: the list, refusing, stopping, budgets, the log and the slow ones. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "format/json.h"
#include "promql/promql.h"
#include "storage/mem_storage.h"
#include "support/test.h"

typedef struct Fixture {
    Storage *storage;
    PromqlEngine *engine;
} Fixture;

static Fixture fixture(const PromqlOptions *o) {
    return (Fixture){mem_storage_new(), promql_engine_new(o)};
}

static void fixture_deinit(Fixture *f) {
    promql_engine_free(f->engine);
    mem_storage_free(f->storage);
}

static void load(Fixture *f, int n_series, int n) {
    Appender *a;
    CHECK_INT(storage_appender(f->storage, &a), 0);
    for (int s = 0; s < n_series; s++) {
        char name[16];
        SeriesRef ref = 0;
        snprintf(name, sizeof(name), "%d", s);
        Label l[] = {{LABEL_NAME, STR("up")}, {STR("instance"), str_of(name)}};
        for (int i = 0; i < n; i++)
            CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, i * 1000, i), APPEND_OK);
    }
    CHECK_INT(appender_commit(a), 0);
}

typedef struct Refused {
    int n;
    PromqlOutcome outcome;
    char error[100];
} Refused;

static void note_refused(void *arg, PromqlOutcome outcome, const char *error) {
    Refused *r = arg;
    r->n++;
    r->outcome = outcome;
    snprintf(r->error, sizeof(r->error), "%s", error);
}

static size_t count(Fixture *f, PromqlQueryInfo *ret_first) {
    Arena a = ARENA_INIT(0);
    PromqlQueryInfo *v;
    size_t n;
    CHECK(promql_engine_queries(f->engine, &a, &v, &n));
    if (n && ret_first)
        *ret_first = v[0];
    arena_deinit(&a);
    return n;
}

TEST (a_query_is_listed_from_when_it_is_asked_until_it_ends) {
    Fixture f = fixture(NULL);
    load(&f, 1, 10);
    PromqlOrigin o = {.source = PROMQL_SOURCE_RULE, .client = STR("127.0.0.1:1")};
    PromqlRequest r = {.query = STR("up"), .end_ms = 9000, .step_ms = 1000, .origin = &o};
    Refused refused = {0};
    CHECK(!promql_engine_busy(f.engine));
    r.entry = promql_query_enter(f.engine, &r, note_refused, &refused);
    PromqlQueryInfo info;
    CHECK_INT(count(&f, &info), 1);
    CHECK(!info.running);
    CHECK_INT(info.source, PROMQL_SOURCE_RULE);
    CHECK_INT(info.range_end_ms, 9000);
    CHECK_INT(info.step_ms, 1000);
    CHECK(promql_engine_busy(f.engine));
    CHECK(promql_query_begin(r.entry) == &refused);
    CHECK_INT(count(&f, &info), 1);
    CHECK(info.running);
    PromqlResult *res = promql_exec(f.engine, f.storage, &r);
    CHECK_INT(res->outcome, PROMQL_OK);
    CHECK_INT(count(&f, NULL), 0);
    CHECK_INT(refused.n, 0);
    promql_result_free(res);
    fixture_deinit(&f);
}

TEST (a_queued_query_is_refused_when_its_time_is_over) {
    clock_fake_set(1000000);
    Fixture f = fixture(&(PromqlOptions){.timeout_ms = 500});
    PromqlRequest r = {.query = STR("up")};
    Refused refused = {0};
    PromqlQuery *q = promql_query_enter(f.engine, &r, note_refused, &refused);
    promql_engine_watch(f.engine);
    CHECK_INT(refused.n, 0);
    clock_fake_set(1000600);
    promql_engine_watch(f.engine);
    promql_engine_watch(f.engine);
    CHECK_INT(refused.n, 1);
    CHECK_INT(refused.outcome, PROMQL_TIMEOUT);
    CHECK_CSTR(refused.error, "query timed out in query queue");
    CHECK_INT(count(&f, NULL), 0);
    CHECK(promql_query_begin(q) == NULL);
    fixture_deinit(&f);
    clock_real();
}

TEST (a_queued_query_is_refused_when_killed_or_abandoned) {
    Fixture f = fixture(NULL);
    atomic_bool gone = false;
    PromqlRequest r = {.query = STR("up"), .cancel = &gone};
    Refused a = {0}, b = {0};
    PromqlQuery *qa = promql_query_enter(f.engine, &r, note_refused, &a);
    PromqlQueryInfo info;
    CHECK_INT(count(&f, &info), 1);
    CHECK(promql_engine_kill(f.engine, info.id));
    CHECK(!promql_engine_kill(f.engine, info.id + 1));
    promql_engine_watch(f.engine);
    CHECK_INT(a.outcome, PROMQL_CANCELED);
    CHECK_CSTR(a.error, "query was killed");
    PromqlQuery *qb = promql_query_enter(f.engine, &r, note_refused, &b);
    atomic_store(&gone, true);
    promql_engine_watch(f.engine);
    CHECK_CSTR(b.error, "query was canceled in query queue");
    CHECK(promql_query_begin(qa) == NULL);
    CHECK(promql_query_begin(qb) == NULL);
    fixture_deinit(&f);
}

TEST (a_stopped_engine_runs_nothing) {
    Fixture f = fixture(NULL);
    load(&f, 1, 10);
    PromqlRequest r = {.query = STR("up")};
    Refused refused = {0};
    PromqlQuery *q = promql_query_enter(f.engine, &r, note_refused, &refused);
    promql_engine_stop(f.engine);
    CHECK_CSTR(refused.error, "query was canceled in query queue");
    CHECK(promql_query_begin(q) == NULL);
    PromqlResult *res = promql_exec(f.engine, f.storage, &r);
    CHECK_INT(res->outcome, PROMQL_CANCELED);
    promql_result_free(res);
    fixture_deinit(&f);
}

TEST (the_wait_in_the_queue_counts_for_the_timeout) {
    clock_fake_set(1000000);
    Fixture f = fixture(&(PromqlOptions){.timeout_ms = 500});
    load(&f, 1, 10);
    PromqlRequest r = {.query = STR("up")};
    Refused refused = {0};
    r.entry = promql_query_enter(f.engine, &r, note_refused, &refused);
    clock_fake_set(1000501);
    CHECK(promql_query_begin(r.entry) != NULL);
    PromqlResult *res = promql_exec(f.engine, f.storage, &r);
    CHECK_INT(res->outcome, PROMQL_TIMEOUT);
    CHECK_DOUBLE(res->stats.queue_s, 0.501);
    promql_result_free(res);
    fixture_deinit(&f);
    clock_real();
}

typedef struct Running {
    Fixture *f;
    PromqlResult *res;
} Running;

static void *run_long(void *arg) {
    Running *r = arg;
    static const char query[] = "sum_over_time(sum_over_time(up[1h:1s])[1h:1s])";
    r->res =
        promql_exec(r->f->engine, r->f->storage,
                    &(PromqlRequest){.query = str_of(query), .end_ms = 3600000, .step_ms = 1000});
    return NULL;
}

TEST (a_running_query_ends_when_killed) {
    Fixture f = fixture(NULL);
    load(&f, 20, 3600);
    Running r = {.f = &f};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run_long, &r), 0);
    PromqlQueryInfo info = {0};
    while (count(&f, &info) == 0 || !info.running || !info.bytes)
        usleep(1000);
    CHECK(promql_engine_kill(f.engine, info.id));
    pthread_join(thread, NULL);
    CHECK_INT(r.res->outcome, PROMQL_CANCELED);
    CHECK_CSTR(r.res->error, "query was killed");
    promql_result_free(r.res);
    fixture_deinit(&f);
}

static PromqlResult *range(Fixture *f, const char *query, int64_t end) {
    return promql_exec(f->engine, f->storage,
                       &(PromqlRequest){.query = str_of(query), .end_ms = end, .step_ms = 1000});
}

TEST (all_queries_share_one_budget_and_answers_count) {
    Fixture f = fixture(&(PromqlOptions){.total_bytes_max = 24u << 20});
    load(&f, 200, 1000);
    PromqlResult *kept[20];
    size_t n = 0;
    do {
        kept[n] = range(&f, "up", 2000000);
    } while (kept[n]->outcome == PROMQL_OK && ++n < 20);
    CHECK(n > 0 && n < 20);
    CHECK_INT(kept[n]->outcome, PROMQL_EXECUTION);
    CHECK(strstr(kept[n]->error, "--query.max-memory-total"));
    for (size_t i = 0; i <= n; i++)
        promql_result_free(kept[i]);
    PromqlResult *again = range(&f, "up", 2000000);
    CHECK_INT(again->outcome, PROMQL_OK);
    promql_result_free(again);
    fixture_deinit(&f);
}

TEST (a_query_that_is_too_large_says_which_budget) {
    Fixture f = fixture(&(PromqlOptions){.query_bytes_max = 4u << 20});
    load(&f, 200, 1000);
    PromqlResult *res = range(&f, "up", 2000000);
    CHECK_INT(res->outcome, PROMQL_EXECUTION);
    CHECK(strstr(res->error, "--query.max-memory-per-query"));
    promql_result_free(res);
    fixture_deinit(&f);
}

TEST (slow_queries_are_remembered_by_their_time) {
    Fixture f = fixture(NULL);
    load(&f, 50, 1000);
    for (int i = 0; i < 3; i++)
        promql_result_free(range(&f, "sum_over_time(up[1000s])", 1000000));
    for (int i = 0; i < 600; i++) { /* more than are remembered */
        char text[20];
        snprintf(text, sizeof(text), "%d", i);
        promql_result_free(range(&f, text, 0));
    }
    promql_result_free(range(&f, "up + on() up", 1000));
    Arena a = ARENA_INIT(0);
    PromqlSlowQuery *v;
    size_t n = promql_engine_slow_queries(f.engine, &a, 1000, &v);
    CHECK(n > 100 && n < 600);
    CHECK(str_eqc(v[0].query, "sum_over_time(up[1000s])"));
    CHECK_INT(v[0].count, 3);
    CHECK(v[0].total_s >= v[0].max_s && v[0].max_s > 0);
    CHECK(v[0].samples > 0);
    bool failed = false;
    for (size_t i = 0; i < n; i++)
        failed |= v[i].last_error.n > 0;
    CHECK(failed);
    CHECK_INT(promql_engine_slow_queries(f.engine, &a, 5, &v), 5);
    arena_deinit(&a);
    fixture_deinit(&f);
}

TEST (the_log_has_a_json_line_a_query) {
    Fixture f = fixture(NULL);
    char path[] = "/tmp/narthex-query-log-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    Problem p = {0};
    CHECK_INT(promql_engine_set_log(f.engine, STR("/nowhere/at/all"), &p), -EINVAL);
    CHECK(strstr(p.text, "/nowhere/at/all"));
    CHECK_INT(promql_engine_set_log(f.engine, str_of(path), &p), 0);
    PromqlOrigin o = {
        .client = STR("[::1]:77"), .method = STR("GET"), .path = STR("/api/v1/query")};
    promql_result_free(promql_exec(f.engine, f.storage,
                                   &(PromqlRequest){.query = STR("up < 1"),
                                                    .start_ms = 1000,
                                                    .end_ms = 100000,
                                                    .step_ms = 7500,
                                                    .origin = &o}));
    o = (PromqlOrigin){.rule_file = STR("r.yml"), .rule_group = STR("g")};
    promql_result_free(promql_exec(
        f.engine, f.storage,
        &(PromqlRequest){.query = STR("label_replace(up, 'a', '', 'b', '(')"), .origin = &o}));
    promql_result_free(
        promql_exec(f.engine, f.storage, &(PromqlRequest){.query = STR("no query (")}));
    CHECK_INT(promql_engine_set_log(f.engine, STR(""), &p), 0);
    promql_result_free(promql_exec(f.engine, f.storage, &(PromqlRequest){.query = STR("up")}));
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    CHECK_INT(file_read_whole(path, 1 << 20, &text), 0);
    unlink(path);
    Str rest = buf_str(&text), line;
    CHECK(str_split_next(&rest, '\n', &line));
    Json *j = json_parse(line, &p);
    CHECK(j != NULL);
    CHECK(str_eqc(json_to_str(json_path(j, "msg")), "promql query logged"));
    CHECK(str_eqc(json_to_str(json_path(j, "params.query")), "up < 1"));
    CHECK(str_eqc(json_to_str(json_path(j, "params.start")), "1970-01-01T00:00:01.000Z"));
    CHECK(str_eqc(json_to_str(json_path(j, "params.end")), "1970-01-01T00:01:40.000Z"));
    CHECK_INT(json_to_int(json_path(j, "params.step"), -1), 7);
    CHECK(str_eqc(json_to_str(json_path(j, "httpRequest.clientIP")), "::1"));
    CHECK(json_kind(json_path(j, "stats.timings.evalTotalTime")) == JSON_KIND_NUMBER);
    CHECK(json_kind(json_path(j, "error")) == JSON_KIND_NULL);
    json_free(j);
    CHECK(str_split_next(&rest, '\n', &line));
    j = json_parse(line, &p);
    CHECK(str_eqc(json_to_str(json_path(j, "ruleGroup.name")), "g"));
    CHECK(json_to_str(json_path(j, "error")).n > 0);
    json_free(j);
    CHECK(!rest.n);
    fixture_deinit(&f);
}
