/*
 * One target being scraped: its timer, the call under way, the job on the pool. Loop thread only,
 * except for what the job uses, which is the job's while `busy`.
 */
#pragma once

#include <pthread.h>

#include "base/metrics.h"
#include "scrape/scrape_cache.h"
#include "scrape/scrape_manager.h"
#include "scrape/target.h"

typedef struct ScrapePool ScrapePool;
typedef struct ScrapeTarget ScrapeTarget;

/* up, scrape_duration_seconds, ... in the order of scrape_report.c */
enum { REPORTS_MAX = 8 };

/* What every target of a pool shares with the jobs on the worker threads; counted, immutable. */
typedef struct PoolRules {
    atomic_uint refs;
    const ScrapeConfig *config;
    void *owner;
    void (*owner_unref)(void *owner);
    char *accept;        /* the Accept header */
    uint64_t generation; /* differs when anything in config does */
} PoolRules;
PoolRules *pool_rules_ref(PoolRules *r);
void pool_rules_unref(PoolRules *r);

struct ScrapeTarget {
    ScrapeManager *manager;
    ScrapePool *pool; /* NULL once it ends */
    PoolRules *rules;
    TargetSpec spec;
    const char *forced_error; /* the pool's; NULL = none */
    LoopTimer timer;
    HttpCall *call;
    int64_t due_ms, scrape_ms, started_ns, last_started_ms;
    Metric *interval_metric;
    bool busy;      /* a job has it */
    bool ending;    /* gone from discovery: waits to mark its series stale */
    bool discarded; /* freed when the job is done */
    bool wanted;    /* of the current synchronisation */
    int64_t ended_ms;

    /* The job's while busy; metadata readers take the lock. */
    pthread_mutex_t lock;
    ScrapeCache cache;
    SeriesRef reports[REPORTS_MAX];

    TargetHealth health;
    char *last_error;
    size_t told_leads, told_lead_bytes; /* counted in the pool's metrics */
    int64_t last_scrape_ms;
    double last_duration_s;
};

/* Takes the spec. */
ScrapeTarget *scrape_target_new(ScrapePool *pool, PoolRules *rules, TargetSpec *spec);
void scrape_target_start(ScrapeTarget *t);
/* Other rules for the same target: the next page is read anew. Takes the spec when it can. */
void scrape_target_set_rules(ScrapeTarget *t, PoolRules *rules, TargetSpec *spec);
/* It is gone: its series get stale markers later, then it frees itself. */
void scrape_target_end(ScrapeTarget *t);
/* At once, without markers. */
void scrape_target_discard(ScrapeTarget *t);
