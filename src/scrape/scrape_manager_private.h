/* The manager's own state, shared by the files that make it up. Loop thread only. */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "scrape/scrape_target.h"

typedef struct DroppedTarget {
    Arena arena;
    Labels discovered;
} DroppedTarget;

struct ScrapePool {
    ScrapeManager *manager;
    char *name;
    PoolRules *rules;
    VEC(ScrapeTarget *) targets;
    VEC(DroppedTarget) dropped; /* those kept for the API */
    size_t n_dropped;
    VEC(TargetGroup *) groups; /* the last ones, for other rules */
    char *forced_error;
    bool wanted;
    Metric *m_targets, *m_limit, *m_sync, *m_sync_failed, *m_entries, *m_bytes, *m_sync_length;
};

struct ScrapeManager {
    ScrapeManagerOptions options;
    char *user_agent;
    uint64_t seed, generations;
    VEC(ScrapePool *) pools;
    VEC(ScrapeTarget *) ending; /* out of their pools, still to be marked stale */
    bool stopped;
};

ScrapePool *scrape_pool_new(ScrapeManager *m, PoolRules *rules);
void scrape_pool_set_rules(ScrapePool *p, PoolRules *rules, bool same);
void scrape_pool_sync(ScrapePool *p, TargetGroup *const *groups, size_t n);
/* Its targets end, or are discarded at once when the manager stops. */
void scrape_pool_free(ScrapePool *p);
/* The target's memory goes now. */
void scrape_target_free(ScrapeTarget *t);
