#include "nartool/rule_backfill.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/numtext.h"
#include "nartool/api_client.h"
#include "rules/rule_file.h"

#define RANGE_MS INT64_C(7200000)
#define END_BEFORE_NOW_MS INT64_C(10800000)

static void add_time(Buf *form, const char *name, int64_t ms) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
    time_format_seconds(&text, ms);
    form_add(form, name, buf_str(&text));
}

/* The labels a recording rule gives to a series of its result. */
static void result_labels(const RuleDef *rule, const Json *metric, LabelsBuilder *b) {
    void *at = NULL;
    Str name;
    labels_builder_reset(b, LABELS_EMPTY);
    for (const Json *v; (v = json_next_member(metric, &at, &name));) {
        labels_builder_set(b, name, json_to_str(v));
    }
    labels_builder_set(b, LABEL_NAME, rule->record);
    for (size_t i = 0; i < rule->labels.n; i++) {
        labels_builder_set(b, rule->labels.v[i].name, rule->labels.v[i].value);
    }
}

static int add_series(TsdbBackfill *fill, const RuleDef *rule, const Json *series) {
    LabelsBuilder b = {0};
    int code = EXIT_OK;
    if (json_count(json_member(series, "histograms"))) {
        return fail("%.*s: gives native histograms, which cannot be back-filled", SA(rule->record));
    }
    result_labels(rule, json_member(series, "metric"), &b);
    const Json *values = json_member(series, "values");
    for (size_t i = 0; i < json_count(values) && code == EXIT_OK; i++) {
        const Json *point = json_item(values, i);
        double seconds = json_to_double(json_item(point, 0), 0), v;
        if (!number_parse(json_to_str(json_item(point, 1)), &v)) {
            code =
                fail("%.*s: the server's answer has a value that is no number", SA(rule->record));
            break;
        }
        tsdb_backfill_add(fill, labels_builder_view(&b), (int64_t)(seconds * 1000 + 0.5), v);
    }
    labels_builder_deinit(&b);
    return code;
}

static int add_rule(const RuleBackfill *b, TsdbBackfill *fill, const RuleDef *rule, int64_t step,
                    int64_t from, int64_t to) {
    CLEANUP(buf_deinit) Buf form = BUF_INIT(1 << 24);
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Problem p = {0};
    form_add(&form, "query", rule->expr);
    add_time(&form, "start", from);
    add_time(&form, "end", to);
    add_time(&form, "step", step);
    if (api_call(b->url, "/api/v1/query_range", buf_str(&form), &root, &data, &p) < 0) {
        return fail("%.*s: %s", SA(rule->record), p.text);
    }
    const Json *result = json_member(data, "result");
    int code = EXIT_OK;
    for (size_t i = 0; i < json_count(result) && code == EXIT_OK; i++) {
        code = add_series(fill, rule, json_item(result, i));
    }
    return code;
}

/* Times of evaluation are whole steps from the start, whatever block they fall into. */
static int add_group(const RuleBackfill *b, TsdbBackfill *fill, const RuleGroupDef *g, int64_t from,
                     int64_t to) {
    int64_t step = g->interval_ms ? g->interval_ms : b->step_ms;
    int64_t first = b->start_ms + (MAX(from - b->start_ms, 0) + step - 1) / step * step;
    int64_t last = MIN(to - 1, b->end_ms);
    int code = EXIT_OK;
    for (size_t i = 0; i < g->n_rules && code == EXIT_OK && first <= last; i++) {
        if (g->rules[i].record.n) {
            code = add_rule(b, fill, &g->rules[i], step, first, last);
        }
    }
    return code;
}

static int fill_block(const RuleBackfill *b, const RuleFile *f, int64_t from, int64_t to) {
    TsdbBackfill *fill = tsdb_backfill_new(from, to);
    TransferReport report;
    int code = EXIT_OK;
    for (size_t g = 0; g < f->n_groups && code == EXIT_OK; g++) {
        code = add_group(b, fill, &f->groups[g], from, to);
    }
    int r = code == EXIT_OK ? tsdb_backfill_write(fill, b->dir, &report) : 0;
    if (code == EXIT_OK && r < 0) {
        code = fail("%s: %s", b->dir, strerror(-r));
    } else if (code == EXIT_OK && r == TRANSFER_DONE && !b->quiet) {
        print_report(&report, b->readable);
        fflush(stdout);
    }
    tsdb_backfill_free(fill);
    return code;
}

static int fill_file(const RuleBackfill *b, const RuleFile *f) {
    Progress progress = {.what = "back-filling"};
    int64_t begin = b->start_ms / RANGE_MS * RANGE_MS;
    int code = EXIT_OK;
    for (int64_t t = begin; t <= b->end_ms && code == EXIT_OK; t += RANGE_MS) {
        progress_show(&progress, (uint64_t)((t - begin) / RANGE_MS),
                      (uint64_t)((b->end_ms - begin) / RANGE_MS + 1));
        code = atomic_load(&interrupted) ? fail("interrupted; the blocks listed are complete")
                                         : fill_block(b, f, t, t + RANGE_MS);
    }
    progress_end(&progress);
    return code;
}

int rule_backfill_run(RuleBackfill *b, const Args *a) {
    if (b->end_ms == INT64_MIN) {
        b->end_ms = clock_wall_ms() - END_BEFORE_NOW_MS;
    }
    if (b->end_ms <= b->start_ms) {
        return fail("--end must be after --start");
    }
    PromqlEngine *engine = engine_for_checks();
    int code = EXIT_OK;
    for (size_t i = 0; i < a->n && code == EXIT_OK; i++) {
        RuleFile *f;
        Problem p = {0};
        char text[2048];
        if (rule_file_load(a->v[i].p, engine, &f, &p) < 0) {
            code = fail("%s", problem_format(&p, text, sizeof(text)));
            break;
        }
        code = fill_file(b, f);
        rule_file_unref(f);
    }
    promql_engine_free(engine);
    return code;
}
