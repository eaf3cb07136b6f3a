/*
 * Evaluates rule groups: each on its own slot of its interval, its rules one after the other on
 * the query pool, results appended to the storage, alerts handed to the sink before that. State of
 * alerts follows Prometheus (reference, sections 6.2 to 6.4).
 *
 * The manager belongs to the loop thread; rule_manager_snapshot() may be called by any thread.
 * Costs: one query a rule and interval; memory for each active alert and each series of the last
 * evaluation.
 */
#pragma once

#include "loop/loop.h"
#include "rules/alert.h"
#include "rules/rule_file.h"
#include "storage/storage.h"

typedef struct RuleManager RuleManager;

typedef struct RuleManagerOptions {
    Loop *loop;
    WorkPool *pool; /* the query pool */
    PromqlEngine *engine;
    Storage *storage;            /* read and written */
    AlertSink sink;              /* send may be NULL */
    int64_t resend_delay_ms;     /* 0 = 1 min */
    int64_t outage_tolerance_ms; /* 0 = 1 h */
    int64_t for_grace_period_ms; /* 0 = 10 min */
    Str external_url;            /* copied; complete, such as http://host:9090/prefix */
} RuleManagerOptions;

/* The part of the configuration that may change on reload; copied. */
typedef struct RuleManagerConfig {
    RuleFile *const *files; /* references are taken */
    size_t n_files;
    int64_t evaluation_interval_ms; /* of groups without one; 0 = 1 min */
    int64_t query_offset_ms;
    Labels external_labels;
} RuleManagerConfig;

RuleManager *rule_manager_new(const RuleManagerOptions *o);
/* Groups that did not change go on untouched; a changed one inherits the alerts of its rules of the
 * same name and labels. The first call starts evaluation. */
void rule_manager_update(RuleManager *m, const RuleManagerConfig *c);
/* Names of the functions of alert templates, NULL behind the last. */
const char *rule_template_function(size_t i);
/* No evaluation starts any more; queries under way are cancelled. */
void rule_manager_stop(RuleManager *m);
/* After rule_manager_stop() and when the pool has no job of it left (work_pool_free()). */
void rule_manager_free(RuleManager *m);

/* ---- what the API shows */

typedef enum AlertState { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING } AlertState;
typedef enum RuleHealth { RULE_UNKNOWN, RULE_OK, RULE_ERR } RuleHealth;
const char *alert_state_text(AlertState s);
const char *rule_health_text(RuleHealth h);

typedef struct AlertInfo {
    AlertState state;
    Labels labels, annotations;
    double value;
    int64_t active_at_ms;
    int64_t keep_firing_since_ms; /* 0 = not */
    int64_t fired_at_ms, resolved_at_ms, last_sent_ms;
} AlertInfo;

typedef struct RuleInfo {
    bool alerting;
    AlertState state;
    bool evaluated; /* else state is "unknown" */
    Str name, query;
    double for_s, keep_firing_for_s;
    Labels labels, annotations;
    const AlertInfo *alerts; /* pending and firing ones, by labels */
    size_t n_alerts;
    RuleHealth health;
    Str last_error; /* empty: none */
    double evaluation_time_s;
    int64_t last_evaluation_ms; /* 0 = never */
} RuleInfo;

typedef struct RuleGroupInfo {
    Str name, file;
    double interval_s;
    int64_t limit;
    const RuleInfo *rules;
    size_t n_rules;
    double evaluation_time_s;
    int64_t last_evaluation_ms;
} RuleGroupInfo;

/* Groups sorted by file, then in order of the file. Counted and immutable. */
typedef struct RulesSnapshot {
    const RuleGroupInfo *const *groups;
    size_t n_groups;
} RulesSnapshot;

RulesSnapshot *rule_manager_snapshot(RuleManager *m); /* any thread */
void rules_snapshot_unref(RulesSnapshot *s);
