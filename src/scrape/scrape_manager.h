/*
 * Scraping: a pool of targets a job, each target fetched at its own stable offset in the interval,
 * its page parsed and appended as one transaction on an ingest worker. Loop thread only unless said
 * otherwise.
 */
#pragma once

#include "discovery/discovery.h"
#include "loop/loop.h"
#include "net/http_client.h"
#include "scrape/scrape_config.h"
#include "storage/storage.h"

typedef struct ScrapeManager ScrapeManager;

typedef struct ScrapeManagerOptions {
    Loop *loop;
    HttpClient *client;
    WorkPool *ingest; /* parse and append */
    Storage *storage;
    bool extra_metrics; /* feature extra-scrape-metrics */
    Str user_agent;     /* copied; empty = Prometheus/3.14.0, which some exporters look for */
    /* How pages are fetched: NULL = http_call() and http_call_cancel(); a test's otherwise. */
    HttpCall *(*call)(HttpClient *client, const HttpCallRequest *request,
                      void (*fn)(void *arg, HttpCallResult *r), void *arg);
    void (*cancel)(HttpCall *call);
    /* What ScrapeConfigs live in: held while a pool uses them. */
    void *(*owner_ref)(void *owner);
    void (*owner_unref)(void *owner);
} ScrapeManagerOptions;

ScrapeManager *scrape_manager_new(const ScrapeManagerOptions *o);
/* From now on these jobs; pools whose configuration did not change go on. Targets come by
 * scrape_manager_targets(). A job that is gone ends its targets: their series get stale markers
 * after two intervals. Host name and external labels shift the offsets, so that replicas do not
 * scrape at the same moments. */
void scrape_manager_apply(ScrapeManager *m, const ScrapeConfig *const *configs, size_t n,
                          Labels external_labels, void *owner);
/* A job's target groups as discovery gives them (DiscoveryOptions.on_groups with set = job_name).
 */
void scrape_manager_targets(ScrapeManager *m, Str job, TargetGroup *const *groups, size_t n);
/* Stops timers and cancels fetches, writes no stale markers; done(arg) when the last append has
 * ended. */
void scrape_manager_stop(ScrapeManager *m, void (*done)(void *arg), void *arg);
void scrape_manager_free(ScrapeManager *m);

typedef enum TargetHealth { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN } TargetHealth;
const char *target_health_text(TargetHealth h); /* unknown, up, down */

/* What the API shows of a target; strings in the caller's arena. */
typedef struct TargetInfo {
    Str pool;
    Labels discovered, labels; /* before and after relabelling (labels: without __*) */
    Str url, global_url;       /* scrapeUrl; globalUrl is the same with a host others can reach */
    Str last_error;            /* empty when the last scrape went well */
    TargetHealth health;
    int64_t last_scrape_ms; /* 0 = not yet */
    double last_duration_s;
    Str interval, timeout; /* "15s", "10s" */
} TargetInfo;
typedef struct DroppedTargetInfo {
    Str pool;
    Labels discovered;
} DroppedTargetInfo;

/* pool STR_NULL = all. Sorted by pool, then as discovered. */
size_t scrape_manager_active(ScrapeManager *m, Str pool, Arena *a, TargetInfo **ret);
size_t scrape_manager_dropped(ScrapeManager *m, Str pool, Arena *a, DroppedTargetInfo **ret);
/* Number of dropped targets of a pool, also those not kept. */
size_t scrape_manager_dropped_count(ScrapeManager *m, Str pool);
size_t scrape_manager_pools(ScrapeManager *m, Arena *a, Str **ret); /* names, sorted */

/* TYPE, HELP and UNIT as the targets' pages say; any thread may not: loop thread. */
typedef struct TargetMetadata {
    Labels target; /* labels of the target */
    Str metric;
    Metadata metadata;
} TargetMetadata;
/* metric STR_NULL = all. Of each target in turn. Waits for a page that is being appended. */
size_t scrape_manager_metadata(ScrapeManager *m, Str metric, Arena *a, TargetMetadata **ret);

typedef struct ScrapeSummary {
    size_t up, down, unknown;
} ScrapeSummary;
void scrape_manager_summary(ScrapeManager *m, ScrapeSummary *ret);
