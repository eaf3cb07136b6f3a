/*
 * One rule group: its rules, its slot in time and what it last wrote. `running` groups belong to a
 * worker of the query pool; all else happens on the loop thread.
 */
#pragma once

#include <stdatomic.h>

#include "base/metrics.h"
#include "rules/rule.h"

typedef struct RuleGroup RuleGroup;

/* A counted snapshot of one group. */
typedef struct GroupSnapshot {
    RuleGroupInfo info; /* first */
    Arena arena;
    atomic_uint refs;
} GroupSnapshot;

/* Counted: a group, its successor and one of the same name that is on its way out share them. */
typedef struct GroupMetrics GroupMetrics;
struct GroupMetrics {
    Metric *evaluations, *failures, *iterations, *missed, *rules, *interval, *last_duration,
        *last_evaluation, *last_samples, *rule_duration, *group_duration, *restore_duration,
        *last_rule_sum;
    char *label; /* rule_group="file;name" */
    unsigned refs;
    GroupMetrics *next, **registry;
};

struct RuleGroup {
    RuleManager *manager;
    RuleFile *file;
    const RuleGroupDef *def;
    int64_t interval_ms, query_offset_ms;
    Rule *rules;
    LoopTimer timer;
    int64_t due_ms; /* nominal time of the next evaluation */
    uint64_t evaluations;
    bool running, stopped;
    bool restore;         /* alerts' state is to be read back after the second evaluation */
    RuleGroup *successor; /* takes over when this one's evaluation has ended */
    RuleEnv *env;         /* of the evaluation under way */
    StrMap stale;         /* series of rules that are gone: to be marked at the next evaluation */
    GroupSnapshot *snapshot;
    double evaluation_s;
    int64_t last_evaluation_ms;
    GroupMetrics *metrics;
    RuleGroup *next;
};

RuleGroup *group_new(RuleManager *m, GroupMetrics **registry, RuleFile *file,
                     const RuleGroupDef *def, int64_t interval_ms, int64_t query_offset_ms,
                     bool restore);
void group_free(RuleGroup *g);
/* Same content, times included: it may go on as it is. */
bool group_same(const RuleGroup *g, const RuleFile *file, const RuleGroupDef *def,
                int64_t interval_ms, int64_t query_offset_ms);
/* Takes what can be kept from a group that ended. */
void group_inherit(RuleGroup *g, RuleGroup *old);
/* Evaluates all rules for cx (on a worker). */
void group_evaluate(RuleGroup *g, EvalContext *cx);
/* Ends every series the group wrote with a stale marker at time t. */
void group_mark_all_stale(RuleGroup *g, Storage *s, int64_t t);
/* The nominal evaluation time at or before now. */
int64_t group_slot(const RuleGroup *g, int64_t now_ms);

/* snapshot.c */
GroupSnapshot *group_snapshot_new(const RuleGroup *g);
void group_snapshot_unref(GroupSnapshot *s);
RulesSnapshot *rules_snapshot_new(GroupSnapshot *const *groups, size_t n);
