/*
 * One rule with its state: active alerts, and the series of its last evaluation. Owned by its
 * group; touched only by the group's evaluation (one at a time) or, between evaluations, by the
 * loop thread.
 */
#pragma once

#include "base/map.h"
#include "rules/rule_manager.h"
#include "rules/template/prom_template.h"

/* Alerts stay this long after they resolved, to be sent again. */
#define RESOLVED_RETENTION_MS (15 * 60 * 1000)

/* What evaluation may use of the configuration; counted, immutable. */
typedef struct RuleEnv {
    Arena arena;
    Labels external_labels;
    Str external_url, path_prefix;
    unsigned refs; /* loop thread only */
} RuleEnv;

/* Copies both into e->arena. */
void rule_env_init(RuleEnv *e, Labels external_labels, Str external_url);

typedef struct EvalContext {
    const RuleManagerOptions *o;
    const RuleEnv *env;
    const atomic_bool *cancel;
    PromqlOrigin origin; /* for the lists of queries and their log */
    int64_t ts, query_offset_ms, interval_ms, limit;
    Arena arena; /* of one rule's evaluation */
} EvalContext;

typedef struct RuleSample {
    Labels labels;
    double v;
    const FloatHistogram *histogram;
} RuleSample;

typedef VEC(RuleSample) RuleSamples;

typedef struct Alert {
    AlertInfo info; /* label sets are heap blocks of their own */
    int64_t valid_until_ms;
    bool in_result;
    char *key;
} Alert;

/* A series the rule wrote. */
typedef struct RuleSeries {
    Labels labels;
    SeriesRef ref;
    uint64_t seen; /* generation of the evaluation it was last in */
    char *key;
} RuleSeries;

typedef struct Rule {
    const RuleDef *def;
    PromTemplate **label_templates, **annotation_templates;
    StrMap alerts; /* labels as key -> Alert */
    StrMap series; /* labels as key -> RuleSeries */
    uint64_t generation;
    bool restored, evaluated;
    RuleHealth health;
    char *last_error;
    double evaluation_s;
    int64_t last_evaluation_ms;
} Rule;

void rule_init(Rule *r, const RuleDef *def, bool restored);
void rule_deinit(Rule *r);
/* Takes over alerts and series of a rule with the same name and labels. */
void rule_inherit(Rule *r, Rule *old);
/* Evaluates at cx->ts: samples to write (in cx->arena or the result). 0, or -EINVAL and
 * *ret_error. */
int rule_eval(Rule *r, EvalContext *cx, PromqlResult **ret_result, RuleSamples *out,
              Str *ret_error);
AlertState rule_state(const Rule *r);
/* The alerts to send now, or NULL; marks them sent. */
AlertBatch *rule_alerts_to_send(Rule *r, const EvalContext *cx);
/* Sets back ActiveAt of alerts that were pending or firing before a restart. */
int rule_restore(Rule *r, const EvalContext *cx, int64_t now_ms);

/* alerting.c: the state machine over the result of the expression. */
int alerting_eval(Rule *r, EvalContext *cx, const PromqlResult *res, RuleSamples *out,
                  Str *ret_error);

/* A query at the evaluation's time. */
PromqlResult *rule_query(const EvalContext *cx, Str query);

/* A label set as bytes, equal when and only when the sets are; caller frees. */
char *rule_labels_key(Labels l, Str *ret_key);
/* One heap block; caller frees l.v. */
Labels labels_dup(Labels l);
