/*
 * Scrapes every target of every job on time. One ScrapeManager a process; everything here is loop
 * thread only, except where a function says otherwise. Bodies are decoded, parsed and appended on
 * the pool; one scrape is one transaction.
 */
#pragma once

#include <stdatomic.h>

#include "discovery/discovery.h"
#include "loop/loop.h"
#include "net/http_client.h"
#include "scrape/scrape_config.h"
#include "storage/storage.h"

typedef struct ScrapeManager ScrapeManager;

typedef struct ScrapeManagerOptions {
    Loop *loop;
    WorkPool *pool; /* ingest */
    Storage *storage;
    /* How pages are fetched: http_call() and http_call_cancel() when NULL, or a test's. */
    HttpClient *client;
    HttpCall *(*call)(HttpClient *client, const HttpCallRequest *request,
                      void (*fn)(void *arg, HttpCallResult *r), void *arg);
    void (*cancel)(HttpCall *call);
    Str user_agent;     /* copied; empty = Prometheus/3.14.0, which some exporters look for */
    bool extra_metrics; /* for all jobs: feature extra-scrape-metrics */
    bool start_as_zero; /* feature created-timestamp-zero-ingestion */
    /* Holds the configuration that jobs live in. */
    void *(*owner_ref)(void *owner);
    void (*owner_unref)(void *owner);
} ScrapeManagerOptions;

ScrapeManager *scrape_manager_new(const ScrapeManagerOptions *options);
/*
 * From now on these jobs, which live in owner. What did not change goes on undisturbed; jobs that
 * are gone end, with stale markers after two intervals. seed moves all targets in their intervals:
 * a hash of what tells this server from its replicas (host name, external labels).
 */
void scrape_manager_apply(ScrapeManager *m, const ScrapeConfig *const *jobs, size_t n, void *owner,
                          uint64_t seed);
/* The targets of a job: fits DiscoveryOptions.on_groups. */
void scrape_manager_on_groups(void *manager, Str job, TargetGroup *const *groups, size_t n);
/* Stops at once: no stale markers, calls under way are cancelled. Free the pool after this: its
 * last jobs still use the storage. */
void scrape_manager_stop(ScrapeManager *m);
/* After the pool has gone. */
void scrape_manager_free(ScrapeManager *m);

/* ---- for the API */

typedef enum TargetHealth { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN } TargetHealth;
const char *target_health_text(TargetHealth h); /* unknown, up, down */

typedef struct TargetView {
    Str pool;
    Labels discovered, labels;
    Str url; /* scrapeUrl and globalUrl; the latter with the host name for localhost is the API's */
    Str last_error;         /* "" = none */
    int64_t last_scrape_ms; /* 0 = never */
    double last_duration_s;
    TargetHealth health;
    Str interval, timeout; /* as labels say */
    const void *target;    /* for scrape_manager_metadata() */
} TargetView;

typedef struct PoolView {
    Str name;
    size_t active, dropped; /* all dropped, also those no more kept */
} PoolView;

/* Pools by name. A result of fn other than 0 ends the walk and is returned. */
int scrape_manager_each_pool(ScrapeManager *m, int (*fn)(void *arg, const PoolView *p), void *arg);
/* The configuration of a pool, good until the next scrape_manager_apply(); NULL: no such pool. */
const ScrapeConfig *scrape_manager_config(const ScrapeManager *m, Str pool);
/* Targets of one pool, or of all (STR_NULL). Views are good during the call. */
int scrape_manager_each_active(ScrapeManager *m, Str pool,
                               int (*fn)(void *arg, const TargetView *t), void *arg);
/* Only pool and discovered are set. */
int scrape_manager_each_dropped(ScrapeManager *m, Str pool,
                                int (*fn)(void *arg, const TargetView *t), void *arg);
/* What the target's page says of its metrics; waits while a page of it is being appended. Strings
 * are good during the call. */
int scrape_manager_metadata(const void *target,
                            int (*fn)(void *arg, Str metric, const Metadata *meta), void *arg);
