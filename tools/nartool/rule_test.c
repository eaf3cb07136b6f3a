#include "nartool/rule_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/numtext.h"
#include "model/duration.h"
#include "nartool/rule_test_text.h"
#include "promql/testscript.h"
#include "storage/mem_storage.h"

typedef struct LoadedSeries {
    SeriesDesc desc;
    SeriesRef ref;
    size_t next; /* the first value that is not in the storage yet */
} LoadedSeries;

/* One group under way. */
typedef struct Run {
    const RuleTest *test;
    const TestGroup *group;
    Storage *storage;
    RuleRun *rules;
    LoadedSeries *series;
    int64_t step_ms, evaluation_ms;
    Failures *failures;
    Arena arena;
} Run;

static void add_failure(Run *r, Buf *text) {
    vec_push(&r->failures->list, arena_str(r->failures->arena, buf_str(text)));
}

static void PRINTF_LIKE(2, 3) fail_with(Run *r, const char *fmt, ...) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    add_failure(r, &b);
}

/* ---- input */

static bool parse_series(Run *r) {
    const InputSeries *in = r->group->series.v;
    r->series = ARENA_ARRAY(&r->arena, LoadedSeries, r->group->series.n + 1);
    for (size_t i = 0; i < r->group->series.n; i++) {
        Problem p = {0};
        Str text = arena_printf(&r->arena, "%.*s %.*s", SA(in[i].series), SA(in[i].values));
        if (series_desc_parse(text, &r->arena, &r->series[i].desc, &p) < 0) {
            fail_with(r, "    input_series in line %d, column %d of \"%.*s\": %s", in[i].line,
                      p.column, SA(text), p.text);
            return false;
        }
    }
    return true;
}

static int append_value(Appender *app, LoadedSeries *s, int64_t t, const SeriesValue *v) {
    if (v->omitted) {
        return 0;
    }
    return v->histogram
               ? app->ops->append_histogram(app, &s->ref, s->desc.labels, t, NULL, v->histogram, 0)
               : appender_append(app, &s->ref, s->desc.labels, t, v->value);
}

/* Puts the samples up to a time into the storage. */
static bool load_until(Run *r, int64_t until_ms) {
    Appender *app;
    int e = storage_appender(r->storage, &app);
    if (e < 0) {
        fail_with(r, "    storage: %s", strerror(-e));
        return false;
    }
    for (size_t i = 0; i < r->group->series.n; i++) {
        LoadedSeries *s = &r->series[i];
        for (; s->next < s->desc.n; s->next++) {
            int64_t t = r->group->start_ms + (int64_t)s->next * r->step_ms;
            if (t > until_ms) {
                break;
            }
            e = append_value(app, s, t, &s->desc.values[s->next]);
            if (e) {
                fail_with(r, "    input_series %zu: %s", i + 1,
                          e > 0 ? append_outcome_text((AppendOutcome)e) : strerror(-e));
                appender_rollback(app);
                return false;
            }
        }
    }
    return appender_commit(app) == 0;
}

/* ---- rules */

static void time_text(Buf *b, int64_t ms) { duration_format(b, ms); }

static void tell_failed_rules(Run *r, int64_t at_ms) {
    RulesSnapshot *s = rule_run_snapshot(r->rules);
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            const RuleInfo *rule = &s->groups[g]->rules[i];
            if (rule->last_error.n) {
                CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
                buf_addf(&b, "    rule: %.*s, time: ", SA(rule->name));
                time_text(&b, at_ms);
                buf_addf(&b, ", err: %.*s", SA(rule->last_error));
                add_failure(r, &b);
            }
        }
    }
    rules_snapshot_unref(s);
}

/* ---- alerts */

static AlertList firing(const RulesSnapshot *s, Str name, Arena *a) {
    AlertList l = {0};
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            const RuleInfo *rule = &s->groups[g]->rules[i];
            for (size_t k = 0; rule->alerting && str_eq(rule->name, name) && k < rule->n_alerts;
                 k++) {
                if (rule->alerts[k].state == ALERT_FIRING) {
                    alert_list_add(&l, a, rule->alerts[k].labels, rule->alerts[k].annotations);
                }
            }
        }
    }
    alert_list_sort(&l);
    return l;
}

/* A test names the labels that the rule gives; the alert's name goes without saying. */
static AlertList expected_alerts(const AlertTest *t, Arena *a) {
    AlertList l = {0};
    const ExpectedAlert *in = t->alerts.v;
    for (size_t i = 0; i < t->alerts.n; i++) {
        LabelsBuilder b = {0};
        labels_builder_reset(&b, in[i].labels);
        labels_builder_set(&b, STR("alertname"), t->alertname);
        alert_list_add(&l, a, labels_builder_view(&b), in[i].annotations);
        labels_builder_deinit(&b);
    }
    alert_list_sort(&l);
    return l;
}

static void check_alerts(Run *r, const RulesSnapshot *s, const AlertTest *t) {
    Arena arena = ARENA_INIT(0);
    AlertList want = expected_alerts(t, &arena), got = firing(s, t->alertname, &arena);
    if (!alert_list_eq(&want, &got)) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        if (r->group->name.n) {
            buf_addf(&b, "    name: %.*s,\n", SA(r->group->name));
        }
        buf_addf(&b, "    alertname: %.*s, time: ", SA(t->alertname));
        time_text(&b, t->eval_time_ms);
        buf_add_cstr(&b, ", \n");
        if (r->test->diff) {
            alert_list_print_diff(&want, &got, &b);
        } else {
            buf_add_cstr(&b, "        exp:");
            alert_list_print(&want, &b);
            buf_add_cstr(&b, ", \n        got:");
            alert_list_print(&got, &b);
        }
        add_failure(r, &b);
    }
    alert_list_deinit(&want);
    alert_list_deinit(&got);
    arena_deinit(&arena);
}

/* The tests whose time lies in [at, at + evaluation interval). */
static void check_alerts_at(Run *r, int64_t at_ms) {
    RulesSnapshot *s = NULL;
    const AlertTest *t = r->group->alert_tests.v;
    for (size_t i = 0; i < r->group->alert_tests.n; i++) {
        if (t[i].eval_time_ms >= at_ms && t[i].eval_time_ms < at_ms + r->evaluation_ms) {
            s = s ? s : rule_run_snapshot(r->rules);
            check_alerts(r, s, &t[i]);
        }
    }
    rules_snapshot_unref(s);
}

/* ---- expressions */

static bool parse_expected(Run *r, const ExprTest *t, Arena *a, SampleList *ret) {
    const ExpectedSample *in = t->samples.v;
    for (size_t i = 0; i < t->samples.n; i++) {
        Problem p = {0};
        SeriesDesc d = {0};
        Str labels = in[i].labels.n ? in[i].labels : STR("{}");
        Str text = in[i].histogram.n ? arena_printf(a, "%.*s %.*s", SA(labels), SA(in[i].histogram))
                                     : arena_printf(a, "%.*s 0", SA(labels));
        if (series_desc_parse(text, a, &d, &p) < 0 || d.n != 1) {
            fail_with(r, "    expr: \"%.*s\", exp_samples in line %d: \"%.*s\": %s", SA(t->expr),
                      in[i].line, SA(text), p.text[0] ? p.text : "expected one value");
            return false;
        }
        sample_list_add(ret, d.labels, in[i].value,
                        in[i].histogram.n ? d.values[0].histogram : NULL);
    }
    sample_list_sort(ret);
    return true;
}

static void sample_result(const PromqlResult *res, SampleList *ret) {
    for (size_t i = 0; i < res->n_series; i++) {
        const PromqlSeries *s = &res->series[i];
        sample_list_add(ret, s->labels, s->n_floats ? s->floats[0] : 0,
                        s->n_histograms ? s->histograms[0] : NULL);
    }
    sample_list_sort(ret);
}

static void expr_lead(const ExprTest *t, Buf *b) {
    buf_add_cstr(b, "    expr: ");
    json_quote(b, t->expr);
    buf_add_cstr(b, ", time: ");
    time_text(b, t->eval_time_ms);
}

static void check_expr_result(Run *r, const ExprTest *t, const PromqlResult *res) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    expr_lead(t, &b);
    if (res->outcome != PROMQL_OK) {
        buf_addf(&b, ", err: %s", res->error ? res->error : "query failed");
        add_failure(r, &b);
        return;
    }
    if (res->type != PROMQL_VECTOR && res->type != PROMQL_SCALAR) {
        buf_add_cstr(&b, ", err: rule result is not a vector or scalar");
        add_failure(r, &b);
        return;
    }
    Arena arena = ARENA_INIT(0);
    SampleList want = {0}, got = {0};
    sample_result(res, &got);
    if (parse_expected(r, t, &arena, &want) &&
        !sample_list_eq(&want, &got, r->test->file->fuzzy_compare)) {
        buf_add_cstr(&b, ",\n        exp: ");
        sample_list_print(&want, &b);
        buf_add_cstr(&b, "\n        got: ");
        sample_list_print(&got, &b);
        add_failure(r, &b);
    }
    sample_list_deinit(&want);
    sample_list_deinit(&got);
    arena_deinit(&arena);
}

static void check_expr(Run *r, const ExprTest *t) {
    int64_t at = r->group->start_ms + t->eval_time_ms;
    PromqlResult *res =
        promql_exec(r->test->engine, r->storage,
                    &(PromqlRequest){.query = t->expr, .start_ms = at, .end_ms = at});
    check_expr_result(r, t, res);
    promql_result_free(res);
}

/* ---- a group */

static int64_t last_time(const TestGroup *g) {
    int64_t max = 0;
    const AlertTest *a = g->alert_tests.v;
    const ExprTest *e = g->expr_tests.v;
    for (size_t i = 0; i < g->alert_tests.n; i++) {
        max = MAX(max, a[i].eval_time_ms);
    }
    for (size_t i = 0; i < g->expr_tests.n; i++) {
        max = MAX(max, e[i].eval_time_ms);
    }
    return max;
}

/* The rules over the whole time of the group. False: a rule failed, the rest means nothing. */
static bool evaluate(Run *r) {
    int64_t end = last_time(r->group);
    for (int64_t at = 0; at <= end; at += r->evaluation_ms) {
        int64_t t = r->group->start_ms + at;
        if (!load_until(r, t)) {
            return false;
        }
        if (rule_run_evaluate(r->rules, t)) {
            tell_failed_rules(r, at);
            return false;
        }
        check_alerts_at(r, at);
        if (at > INT64_MAX - r->evaluation_ms) {
            break;
        }
    }
    return true;
}

static void print_storage(Run *r) {
    int64_t end = r->group->start_ms + last_time(r->group);
    PromqlResult *res = promql_exec(
        r->test->engine, r->storage,
        &(PromqlRequest){.query = STR("{__name__!=\"\"}"), .start_ms = end, .end_ms = end});
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    SampleList got = {0};
    sample_result(res, &got);
    sample_list_print_lines(&got, &b);
    printf("DEBUG: All series at the end of test \"%.*s\":\n%.*s", SA(r->group->name),
           SA(buf_str(&b)));
    sample_list_deinit(&got);
    promql_result_free(res);
}

static void run_group(Run *r) {
    if (!evaluate(r)) {
        return;
    }
    const ExprTest *e = r->group->expr_tests.v;
    for (size_t i = 0; i < r->group->expr_tests.n; i++) {
        check_expr(r, &e[i]);
    }
    if (r->test->debug) {
        print_storage(r);
    }
}

void rule_test_run(const RuleTest *t, const TestGroup *group, Failures *ret) {
    Run r = {.test = t,
             .group = group,
             .failures = ret,
             .evaluation_ms = t->file->evaluation_interval_ms,
             .arena = ARENA_INIT(0)};
    r.step_ms = group->interval_ms ? group->interval_ms : r.evaluation_ms;
    if (r.evaluation_ms <= 0) {
        fail_with(&r, "    evaluation_interval: must be greater than 0");
        return;
    }
    promql_engine_set_subquery_step(t->engine, r.evaluation_ms);
    if (parse_series(&r)) {
        r.storage = mem_storage_new();
        r.rules = rule_run_new(&(RuleRunOptions){.engine = t->engine,
                                                 .storage = r.storage,
                                                 .files = t->rules,
                                                 .n_files = t->n_rules,
                                                 .order = t->file->group_order.v,
                                                 .n_order = t->file->group_order.n,
                                                 .evaluation_interval_ms = r.evaluation_ms,
                                                 .external_labels = group->external_labels,
                                                 .external_url = group->external_url});
        run_group(&r);
        rule_run_free(r.rules);
        mem_storage_free(r.storage);
    }
    arena_deinit(&r.arena);
}
