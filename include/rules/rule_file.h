/*
 * Rule files: YAML with groups of recording and alerting rules, checked as Prometheus checks them
 * (reference, section 6.1) before anything starts. A loaded file is immutable and counted: any
 * thread may read it while it holds a reference.
 */
#pragma once

#include "base/err.h"
#include "model/labels.h"
#include "promql/promql.h"

typedef struct RuleDef {
    Str record, alert; /* exactly one is given */
    Str expr;
    Str query; /* the expression as the language prints it, in one line */
    int64_t for_ms, keep_firing_for_ms;
    Labels labels; /* sorted; the group's added; empty values are kept (they remove a label) */
    Labels annotations;
    int line;                   /* of the rule */
    int expr_line, expr_column; /* of the expression */
} RuleDef;

typedef struct RuleGroupDef {
    Str name;
    int64_t interval_ms; /* 0 = the global one */
    int64_t query_offset_ms;
    bool has_query_offset; /* else the global one */
    int64_t limit;         /* 0 = none */
    Labels labels;
    const RuleDef *rules;
    size_t n_rules;
    int line;
} RuleGroupDef;

typedef struct RuleFile {
    Str path;
    const RuleGroupDef *groups;
    size_t n_groups;
} RuleFile;

/* 0, or -EINVAL and a Problem with file, line and column; a file that cannot be read is one too.
 * Up to 10 mistakes of rules are told: the first is the problem, each other a line of its text,
 * with file, line and column.
 * The engine says which functions are switched on. */
int rule_file_parse(Str text, Str path, const PromqlEngine *engine, RuleFile **ret,
                    Problem *problem);
int rule_file_load(const char *path, const PromqlEngine *engine, RuleFile **ret, Problem *problem);
/* The same, passing over keys that rule files do not have. */
int rule_file_parse_known(Str text, Str path, const PromqlEngine *engine, RuleFile **ret,
                          Problem *problem);
int rule_file_load_known(const char *path, const PromqlEngine *engine, RuleFile **ret,
                         Problem *problem);
RuleFile *rule_file_ref(RuleFile *f);
void rule_file_unref(RuleFile *f);
