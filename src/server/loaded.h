/*
 * All files of a configuration, read and checked together before any of it is applied:
 * prometheus.yml with its scrape files, the rule files it names, and alertmanager.yml if one was
 * given. Immutable; one owner.
 */
#pragma once

#include "config/config.h"
#include "config/policy_file.h"
#include "rules/am_config.h"
#include "rules/rule_file.h"

typedef struct Loaded {
    Config *config;
    RuleFile **rules;
    size_t n_rules;
    AmConfig *dispatch;     /* NULL without --alertmanager.config.file */
    TsdbPolicies *policies; /* NULL without --storage.tsdb.policy-file */
} Loaded;

/* 0, or -EINVAL and the first Problem: nothing is kept then. Any thread. */
int loaded_read(const PromqlEngine *engine, Loaded *ret, Problem *problem);
void loaded_release(Loaded *l);
/* A checksum over the text of all files that it names, as they are now, for --config.auto-reload.
 * Any thread. */
uint64_t loaded_checksum(const Config *config);
