/* What an executed query's nodes are said to have cost. */
#include "promql/promql.h"
#include "storage/mem_storage.h"
#include "support/test.h"

#define STEP_MS 15000

typedef struct Fixture {
    Storage *storage;
    PromqlEngine *engine;
    PromqlResult *result;
} Fixture;

static void load(Storage *s, const char *name, int series, int samples) {
    Appender *a;
    CHECK_INT(storage_appender(s, &a), 0);
    for (int i = 0; i < series; i++) {
        char instance[8];
        snprintf(instance, sizeof(instance), "%d", i);
        Label l[] = {{LABEL_NAME, str_of(name)}, {STR("instance"), str_of(instance)}};
        SeriesRef ref = 0;
        for (int k = 0; k < samples; k++)
            CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, (int64_t)k * STEP_MS, k), APPEND_OK);
    }
    CHECK_INT(appender_commit(a), 0);
}

static const PromqlPlanNode *explain(Fixture *f, const PromqlOptions *o, const char *query,
                                     int64_t step) {
    f->storage = mem_storage_new();
    load(f->storage, "hits_total", 10, 100);
    load(f->storage, "load", 4, 100);
    f->engine = promql_engine_new(o);
    PromqlRequest r = {.query = str_of(query),
                       .start_ms = step ? 0 : 99 * STEP_MS,
                       .end_ms = 99 * STEP_MS,
                       .step_ms = step,
                       .explain = true};
    f->result = promql_exec(f->engine, f->storage, &r);
    if (f->result->outcome)
        test_fail(__FILE__, __LINE__, "%s", f->result->error);
    return f->result->plan;
}

static void deinit(Fixture *f) {
    promql_result_free(f->result);
    promql_engine_free(f->engine);
    mem_storage_free(f->storage);
}

static bool has_note(const PromqlPlanNode *n, const char *text) {
    for (size_t i = 0; i < n->n_notes; i++)
        if (str_eqc(n->notes[i], text))
            return true;
    return false;
}

static void check_node(const PromqlPlanNode *n, const char *op, const char *label, uint64_t series,
                       uint64_t samples) {
    CHECK_STR(str_of(n->op), str_of(op));
    CHECK_STR(n->label, str_of(label));
    CHECK_INT(n->series, series);
    CHECK_INT(n->samples, samples);
    double below = 0;
    for (size_t i = 0; i < n->n_children; i++)
        below += n->children[i]->time_ms;
    CHECK(n->self_ms >= 0 && fabs(n->time_ms - n->self_ms - below) < 1e-6);
}

TEST (a_plan_shows_each_node_with_what_it_read_and_gave) {
    Fixture f;
    const PromqlPlanNode *n = explain(
        &f, NULL, "topk(2, (sum by (instance) (rate(hits_total[5m])))) / on(instance) load", 60000);
    check_node(n, "binary", "/ on (instance)", 2, 0);
    CHECK_INT(n->n_children, 2);
    const PromqlPlanNode *topk = n->children[0], *load = n->children[1];
    check_node(load, "selector", "load", 4, 4 * 25);
    CHECK_STR(load->expr, STR("load"));
    CHECK_STR(str_of(topk->op), STR("aggregation"));
    CHECK_STR(topk->label, STR("topk"));
    check_node(topk->children[0], "number", "2", 0, 0);
    const PromqlPlanNode *sum = topk->children[1];
    check_node(sum, "aggregation", "sum by (instance)", 10, 0);
    const PromqlPlanNode *rate = sum->children[0];
    check_node(rate, "call", "rate", 10, 0);
    CHECK_STR(rate->expr, STR("rate(hits_total[5m])"));
    check_node(rate->children[0], "selector", "hits_total[5m]", 10, 10 * 97);
    CHECK_INT(f.result->stats.samples_read, 10 * 97 + 4 * 25);
    CHECK(f.result->stats.peak_bytes > 0);
    deinit(&f);
}

TEST (notes_tell_what_the_plan_did) {
    Fixture f;
    PromqlOptions o = {.experimental_functions = true, .duration_expr = true};
    const PromqlPlanNode *n = explain(&f, &o, "load * end() + load @ 60", 60000);
    CHECK(has_note(n->children[1], "the same at every step: evaluated once"));
    CHECK(has_note(n->children[0]->children[1], "folded constant"));
    deinit(&f);
    n = explain(&f, NULL, "rate(load[5m]) > increase(load[5m])", 60000);
    CHECK(has_note(n->children[0]->children[0], "selected once, used 2 times"));
    deinit(&f);
    n = explain(&f, &(PromqlOptions){.threads = 2, .split_work_min = 1}, "sum(hits_total)", 60000);
    CHECK(has_note(n->children[0], "2 threads"));
    check_node(n->children[0], "selector", "hits_total", 10, 10 * 25);
    deinit(&f);
}

TEST (subqueries_and_scalars_have_their_nodes) {
    Fixture f;
    const PromqlPlanNode *n =
        explain(&f, NULL, "max_over_time(sum(load)[10m:1m]) + scalar(sum(load)) - 1", 0);
    const PromqlPlanNode *max = n->children[0]->children[0], *scalar = n->children[0]->children[1];
    check_node(max, "call", "max_over_time", 1, 0);
    check_node(max->children[0], "subquery", "[10m:1m]", 1, 0);
    check_node(max->children[0]->children[0], "aggregation", "sum", 1, 0);
    check_node(max->children[0]->children[0]->children[0], "selector", "load", 4, 4 * 10);
    CHECK_STR(scalar->label, STR("scalar"));
    check_node(scalar->children[0]->children[0], "selector", "load", 4, 4);
    deinit(&f);
    n = explain(&f, NULL, "load[1m]", 0);
    check_node(n, "selector", "load[1m]", 4, 4 * 4);
    deinit(&f);
}

TEST (nothing_is_measured_unless_asked_for) {
    Storage *s = mem_storage_new();
    PromqlEngine *e = promql_engine_new(NULL);
    PromqlRequest r = {.query = STR("1 + 1")};
    PromqlResult *res = promql_exec(e, s, &r);
    CHECK(!res->plan);
    promql_result_free(res);
    promql_engine_free(e);
    mem_storage_free(s);
}

/* Each pair asks the same; the second in words that differ, so that nothing is shared. */
TEST (parts_that_repeat_are_evaluated_once_and_give_the_same) {
    static const char *const pairs[][2] = {
        {"sum(load) / sum(load)", "sum(load) / sum(load{instance!='x'})"},
        {"load - on(instance) load", "load - on(instance) load{instance!='x'}"},
        {"(load - load) / load", "(load - load{instance!='x'}) / load{instance!='y'}"},
        {"avg by (instance) (rate(hits_total[5m])) > avg by (instance) (rate(hits_total[5m])) * "
         "0.5",
         "avg by (instance) (rate(hits_total[5m])) > avg by (instance) "
         "(rate(hits_total{instance!='x'}[5m])) * 0.5"},
        {"max_over_time(sum(load)[5m:1m]) + sum(load)",
         "max_over_time(sum(load)[5m:1m]) + sum(load{instance!='x'})"},
        {"timestamp(load) - load", "timestamp(load) - load{instance!='x'}"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        for (int64_t step = 0; step <= 60000; step += 60000) {
            Fixture a, b;
            explain(&a, NULL, pairs[i][0], step);
            explain(&b, NULL, pairs[i][1], step);
            CHECK_INT(a.result->n_series, b.result->n_series);
            for (size_t k = 0; k < a.result->n_series; k++) {
                const PromqlSeries *x = &a.result->series[k], *y = &b.result->series[k];
                CHECK(labels_eq(x->labels, y->labels));
                CHECK_INT(x->n_floats, y->n_floats);
                for (size_t v = 0; v < x->n_floats; v++)
                    CHECK_DOUBLE(x->floats[v], y->floats[v]);
            }
            CHECK_INT(a.result->stats.total_samples, b.result->stats.total_samples);
            CHECK_INT(a.result->stats.samples_read, b.result->stats.samples_read);
            deinit(&a);
            deinit(&b);
        }
    }
    Fixture f;
    const PromqlPlanNode *n = explain(&f, NULL, "sum(load) / sum(load)", 60000);
    int again = has_note(n->children[0], "read once, used 2 times") ? 0 : 1;
    CHECK(has_note(n->children[again], "read once, used 2 times"));
    CHECK(!has_note(n->children[!again], "read once, used 2 times"));
    CHECK_INT(n->children[again]->children[0]->samples, 0);
    CHECK_INT(n->children[!again]->children[0]->samples, 4 * 25);
    deinit(&f);
}

TEST (what_is_warned_of_is_told_at_each_place) {
    Fixture f;
    PromqlResult *r;
    explain(&f, NULL, "rate(load[5m]) + rate(load[5m])", 60000);
    r = f.result;
    CHECK_INT(r->n_infos, 1);
    CHECK(str_ends(r->infos[0], STR("\"load\" (1:23)"))); /* the last of them, as in Prometheus */
    deinit(&f);
}
