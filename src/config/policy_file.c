#include "config/policy_file.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "promql/promql.h"
#include "schema/schema.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define BLOCK_RANGE_MS (2 * HOUR_MS)

typedef struct KeepRow {
    Str match;
    int64_t keep_ms;
} KeepRow;

typedef struct DownsampleRow {
    int64_t after_ms, resolution_ms;
} DownsampleRow;

typedef struct PolicyRoot {
    SchemaList retention, downsampling;
} PolicyRoot;

#define FIELD(T, key, kind, member, ...)                                                           \
    { key, kind, offsetof(T, member), ##__VA_ARGS__ }

static int keep_check(SchemaContext *cx, const YamlNode *node, void *object) {
    KeepRow *row = object;
    const YamlNode *at = yaml_node_find(node, "match");
    Matcher *v;
    size_t n;
    Problem why = {0};
    if (promql_parse_selector(row->match, cx->arena, &v, &n, &why) < 0) {
        return problem_set(cx->problem, yaml_node_line(at), yaml_node_column(at),
                           "key \"match\" in retention: %s", why.text);
    }
    for (size_t i = 0; i < n; i++) { /* it is parsed again into the policies */
        matcher_deinit(&v[i]);
    }
    return 0;
}

static const SchemaField keep_fields[] = {
    FIELD(KeepRow, "match", SCHEMA_STR, match, .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY),
    FIELD(KeepRow, "keep", SCHEMA_DURATION, keep_ms, .flags = SCHEMA_REQUIRED),
};
static const Schema keep_schema = {
    "retention", sizeof(KeepRow), keep_fields, ARRAY_LEN(keep_fields), NULL, keep_check};

static const char *downsample_fault(const DownsampleRow *row, const DownsampleRow *before) {
    int64_t r = row->resolution_ms;
    if (r <= 0 || r > BLOCK_RANGE_MS || BLOCK_RANGE_MS % r != 0) {
        return "\"resolution\" must divide 2h, so that windows and blocks have the same ends";
    }
    if (row->after_ms <= r) {
        return "\"after\" must be longer than \"resolution\"";
    }
    if (before->resolution_ms > 0 && (row->after_ms <= before->after_ms ||
                                      r <= before->resolution_ms || r % before->resolution_ms)) {
        return "\"after\" and \"resolution\" must rise from row to row, a resolution being a "
               "multiple of the one before";
    }
    return NULL;
}

static int downsample_check(SchemaContext *cx, const YamlNode *node, void *object) {
    DownsampleRow *before = cx->user; /* the row above */
    const DownsampleRow *row = object;
    const char *fault = downsample_fault(row, before);
    *before = *row;
    return fault ? problem_set(cx->problem, yaml_node_line(node), yaml_node_column(node),
                               "downsampling: %s", fault)
                 : 0;
}

static const SchemaField downsample_fields[] = {
    FIELD(DownsampleRow, "after", SCHEMA_DURATION, after_ms, .flags = SCHEMA_REQUIRED),
    FIELD(DownsampleRow, "resolution", SCHEMA_DURATION, resolution_ms, .flags = SCHEMA_REQUIRED),
};
static const Schema downsample_schema = {
    "downsampling", sizeof(DownsampleRow), downsample_fields, ARRAY_LEN(downsample_fields),
    NULL,           downsample_check};

static const SchemaField root_fields[] = {
    FIELD(PolicyRoot, "retention", SCHEMA_LIST, retention, .sub = &keep_schema),
    FIELD(PolicyRoot, "downsampling", SCHEMA_LIST, downsampling, .sub = &downsample_schema),
};
static const Schema root_schema = {"policy file", sizeof(PolicyRoot), root_fields,
                                   ARRAY_LEN(root_fields)};

static int take_rows(TsdbPolicies *p, const PolicyRoot *root, Problem *problem) {
    const KeepRow *keep = root->retention.v;
    const DownsampleRow *rows = root->downsampling.v;
    p->keep = ARENA_ARRAY(&p->arena, KeepPolicy, root->retention.n + 1);
    p->downsample = ARENA_ARRAY(&p->arena, DownsamplePolicy, root->downsampling.n + 1);
    for (size_t i = 0; i < root->retention.n; i++) {
        KeepPolicy *k = &p->keep[i];
        k->keep_ms = keep[i].keep_ms;
        int r = promql_parse_selector(keep[i].match, &p->arena, &k->v, &k->n, problem);
        if (r < 0) {
            return r;
        }
        p->n_keep++;
    }
    for (size_t i = 0; i < root->downsampling.n; i++) {
        p->downsample[p->n_downsample++] =
            (DownsamplePolicy){rows[i].after_ms, rows[i].resolution_ms};
    }
    return 0;
}

int policy_file_parse(Str text, Str file, TsdbPolicies **ret, Problem *problem) {
    TsdbPolicies *p = tsdb_policies_new();
    DownsampleRow before = {0};
    PolicyRoot root = {0};
    int r = schema_load(&root_schema, text, file, &p->arena, &before, &root, problem);
    if (r == 0) {
        r = take_rows(p, &root, problem);
    }
    if (r < 0) {
        tsdb_policies_unref(p);
        return r;
    }
    *ret = p;
    return 0;
}

int policy_file_load(const char *path, TsdbPolicies **ret, Problem *problem) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX);
    problem_set_file(problem, str_of(path));
    int r = file_read_whole(path, FILE_BYTES_MAX, &text);
    if (r < 0) {
        return problem_set(problem, 0, 0, "%s", strerror(-r));
    }
    return policy_file_parse(buf_str(&text), str_of(path), ret, problem);
}
