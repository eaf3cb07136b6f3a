/*
 * Rule groups evaluated at times the caller chooses, one after the other on the caller's thread:
 * what rule tests, back-tests and back-filling need. Rules, their state and what they write are the
 * manager's (rule_manager.h); only the clock and the sink of alerts are missing.
 */
#pragma once

#include "rules/rule_manager.h"

typedef struct RuleRun RuleRun;

typedef struct RuleRunOptions {
    PromqlEngine *engine;
    Storage *storage;       /* read and written */
    RuleFile *const *files; /* references are taken */
    size_t n_files;
    const Str
        *order; /* names of groups to be evaluated first, in this order; the rest as they lie */
    size_t n_order;
    int64_t evaluation_interval_ms; /* of groups without one; 0 = 1 min */
    Labels external_labels;
    Str external_url;
} RuleRunOptions;

RuleRun *rule_run_new(const RuleRunOptions *o);
void rule_run_free(RuleRun *r);
/* Evaluates all rules of all groups at time t, which must be later than that of the last call; how
 * many of them failed. */
size_t rule_run_evaluate(RuleRun *r, int64_t t);
/* What the last evaluation left, groups in order of evaluation; the caller unrefs it. */
RulesSnapshot *rule_run_snapshot(const RuleRun *r);
