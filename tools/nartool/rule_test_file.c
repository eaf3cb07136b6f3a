#include "nartool/rule_test_file.h"

#include "base/file.h"
#include "model/duration.h"

#define FILE_BYTES_MAX (64u << 20)
#define INTERVAL_MS 60000

#define FIELD(type, k, kd, member)                                                                 \
    { .key = k, .kind = kd, .offset = offsetof(type, member) }
#define LIST_OF(type, k, member, schema)                                                           \
    { .key = k, .kind = SCHEMA_LIST, .offset = offsetof(type, member), .sub = schema }

/* Remembers where an object stands, for messages. */
#define PLACE(type)                                                                                \
    static int place_##type(SchemaContext *cx, const YamlNode *node, void *object) {               \
        ((type *)object)->line = yaml_node_line(node);                                             \
        return 0;                                                                                  \
    }
PLACE(InputSeries)
PLACE(AlertTest)
PLACE(ExpectedSample)
PLACE(ExprTest)
PLACE(TestGroup)

static const SchemaField SERIES_FIELDS[] = {
    FIELD(InputSeries, "series", SCHEMA_STR, series),
    FIELD(InputSeries, "values", SCHEMA_STR, values),
};
static const Schema SERIES_SCHEMA = {.name = "input_series",
                                     .size = sizeof(InputSeries),
                                     .fields = SERIES_FIELDS,
                                     .n = ARRAY_LEN(SERIES_FIELDS),
                                     .check = place_InputSeries};

static const SchemaField ALERT_FIELDS[] = {
    FIELD(ExpectedAlert, "exp_labels", SCHEMA_LABELS, labels),
    FIELD(ExpectedAlert, "exp_annotations", SCHEMA_LABELS, annotations),
};
static const Schema ALERT_SCHEMA = {.name = "exp_alerts",
                                    .size = sizeof(ExpectedAlert),
                                    .fields = ALERT_FIELDS,
                                    .n = ARRAY_LEN(ALERT_FIELDS)};

static const SchemaField ALERT_TEST_FIELDS[] = {
    FIELD(AlertTest, "eval_time", SCHEMA_DURATION, eval_time_ms),
    FIELD(AlertTest, "alertname", SCHEMA_STR, alertname),
    LIST_OF(AlertTest, "exp_alerts", alerts, &ALERT_SCHEMA),
};
static const Schema ALERT_TEST_SCHEMA = {.name = "alert_rule_test",
                                         .size = sizeof(AlertTest),
                                         .fields = ALERT_TEST_FIELDS,
                                         .n = ARRAY_LEN(ALERT_TEST_FIELDS),
                                         .check = place_AlertTest};

static const SchemaField SAMPLE_FIELDS[] = {
    FIELD(ExpectedSample, "labels", SCHEMA_STR, labels),
    FIELD(ExpectedSample, "value", SCHEMA_FLOAT, value),
    FIELD(ExpectedSample, "histogram", SCHEMA_STR, histogram),
};
static const Schema SAMPLE_SCHEMA = {.name = "exp_samples",
                                     .size = sizeof(ExpectedSample),
                                     .fields = SAMPLE_FIELDS,
                                     .n = ARRAY_LEN(SAMPLE_FIELDS),
                                     .check = place_ExpectedSample};

static const SchemaField EXPR_TEST_FIELDS[] = {
    FIELD(ExprTest, "expr", SCHEMA_STR, expr),
    FIELD(ExprTest, "eval_time", SCHEMA_DURATION, eval_time_ms),
    LIST_OF(ExprTest, "exp_samples", samples, &SAMPLE_SCHEMA),
};
static const Schema EXPR_TEST_SCHEMA = {.name = "promql_expr_test",
                                        .size = sizeof(ExprTest),
                                        .fields = EXPR_TEST_FIELDS,
                                        .n = ARRAY_LEN(EXPR_TEST_FIELDS),
                                        .check = place_ExprTest};

/* Unix seconds or RFC3339. */
static int load_start(SchemaContext *cx, const YamlNode *node, void *field) {
    Problem p = {0};
    Str text = yaml_node_scalar(node);
    if (yaml_node_kind(node) != YAML_SCALAR || time_parse(text, field, &p) < 0) {
        return schema_problem(cx, node, "start_timestamp: expected unix seconds or RFC3339");
    }
    return 0;
}

static const SchemaField GROUP_FIELDS[] = {
    FIELD(TestGroup, "name", SCHEMA_STR, name),
    FIELD(TestGroup, "interval", SCHEMA_DURATION, interval_ms),
    {.key = "start_timestamp",
     .kind = SCHEMA_CUSTOM,
     .offset = offsetof(TestGroup, start_ms),
     .custom = load_start},
    LIST_OF(TestGroup, "input_series", series, &SERIES_SCHEMA),
    LIST_OF(TestGroup, "alert_rule_test", alert_tests, &ALERT_TEST_SCHEMA),
    LIST_OF(TestGroup, "promql_expr_test", expr_tests, &EXPR_TEST_SCHEMA),
    FIELD(TestGroup, "external_labels", SCHEMA_LABELS, external_labels),
    FIELD(TestGroup, "external_url", SCHEMA_STR, external_url),
};
static const Schema GROUP_SCHEMA = {.name = "test group",
                                    .size = sizeof(TestGroup),
                                    .fields = GROUP_FIELDS,
                                    .n = ARRAY_LEN(GROUP_FIELDS),
                                    .check = place_TestGroup};

static void file_defaults(void *object) {
    ((RuleTestFile *)object)->evaluation_interval_ms = INTERVAL_MS;
}

static const SchemaField FILE_FIELDS[] = {
    FIELD(RuleTestFile, "rule_files", SCHEMA_STRS, rule_files),
    FIELD(RuleTestFile, "evaluation_interval", SCHEMA_DURATION, evaluation_interval_ms),
    FIELD(RuleTestFile, "group_eval_order", SCHEMA_STRS, group_order),
    FIELD(RuleTestFile, "fuzzy_compare", SCHEMA_BOOL, fuzzy_compare),
    LIST_OF(RuleTestFile, "tests", tests, &GROUP_SCHEMA),
};
static const Schema FILE_SCHEMA = {.name = "rule test file",
                                   .size = offsetof(RuleTestFile, arena),
                                   .fields = FILE_FIELDS,
                                   .n = ARRAY_LEN(FILE_FIELDS),
                                   .defaults = file_defaults};

int rule_test_file_load(const char *path, bool ignore_unknown, RuleTestFile *ret,
                        Problem *problem) {
    *ret = (RuleTestFile){.arena = ARENA_INIT(0)};
    CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX);
    problem_set_file(problem, str_of(path));
    int r = file_read_whole(path, FILE_BYTES_MAX, &text);
    if (r < 0) {
        return problem_set(problem, 0, 0, "cannot be read: %s", strerror(-r));
    }
    Str kept = arena_str(&ret->arena, buf_str(&text));
    return (ignore_unknown ? schema_load_known : schema_load)(&FILE_SCHEMA, kept, str_of(path),
                                                              &ret->arena, NULL, ret, problem);
}

void rule_test_file_deinit(RuleTestFile *f) { arena_deinit(&f->arena); }
