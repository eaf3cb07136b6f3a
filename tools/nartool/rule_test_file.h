/*
 * Files of rule tests: input series, and which alerts and values the rules must make of them.
 * Source: Prometheus' page "Unit testing for rules". Read once, immutable; one thread.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/labels.h"
#include "schema/schema.h"

typedef struct InputSeries {
    Str series, values;
    int line;
} InputSeries;

typedef struct ExpectedAlert {
    Labels labels, annotations;
} ExpectedAlert;

typedef struct AlertTest {
    int64_t eval_time_ms;
    Str alertname;
    SchemaList alerts; /* ExpectedAlert */
    int line;
} AlertTest;

typedef struct ExpectedSample {
    Str labels; /* a metric: name{a="b"} */
    double value;
    Str histogram; /* notation of the test language; empty: a float */
    int line;
} ExpectedSample;

typedef struct ExprTest {
    Str expr;
    int64_t eval_time_ms;
    SchemaList samples; /* ExpectedSample */
    int line;
} ExprTest;

typedef struct TestGroup {
    Str name;
    int64_t interval_ms; /* 0 = the file's */
    int64_t start_ms;
    SchemaList series, alert_tests, expr_tests;
    Labels external_labels;
    Str external_url;
    int line;
} TestGroup;

typedef struct RuleTestFile {
    SchemaStrs rule_files, group_order;
    int64_t evaluation_interval_ms;
    bool fuzzy_compare;
    SchemaList tests; /* TestGroup */
    Arena arena;
} RuleTestFile;

/* 0, or -EINVAL and a Problem. Free what was read in both cases. */
int rule_test_file_load(const char *path, bool ignore_unknown, RuleTestFile *ret, Problem *problem);
void rule_test_file_deinit(RuleTestFile *f);
