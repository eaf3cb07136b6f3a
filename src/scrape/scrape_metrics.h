/* The metrics of scraping (reference, sections 11.1 and 11.2). Any thread. */
#pragma once

#include "base/metrics.h"

#define SCRAPE_COUNTERS(X)                                                                         \
    X(duplicate, "prometheus_target_scrapes_sample_duplicate_timestamp_total",                     \
      "Total number of samples rejected due to duplicate timestamps but different values.")        \
    X(out_of_order, "prometheus_target_scrapes_sample_out_of_order_total",                         \
      "Total number of samples rejected due to not being out of the expected order.")              \
    X(out_of_bounds, "prometheus_target_scrapes_sample_out_of_bounds_total",                       \
      "Total number of samples rejected due to timestamp falling outside of the time bounds.")     \
    X(exemplar_out_of_order, "prometheus_target_scrapes_exemplar_out_of_order_total",              \
      "Total number of exemplar rejected due to not being out of the expected order.")             \
    X(body_size, "prometheus_target_scrapes_exceeded_body_size_limit_total",                       \
      "Total number of scrapes that hit the body size limit")                                      \
    X(sample_limit, "prometheus_target_scrapes_exceeded_sample_limit_total",                       \
      "Total number of scrapes that hit the sample limit and were rejected.")                      \
    X(bucket_limit, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",      \
      "Total number of scrapes that hit the native histogram bucket limit and were rejected.")     \
    X(cache_flush, "prometheus_target_scrapes_cache_flush_forced_total",                           \
      "How many times a scrape cache was flushed due to getting big while scrapes are failing.")   \
    X(target_limit, "prometheus_target_scrape_pool_exceeded_target_limit_total",                   \
      "Total number of times scrape pools hit the target limit, during sync or config reload.")    \
    X(label_limits, "prometheus_target_scrape_pool_exceeded_label_limits_total",                   \
      "Total number of times scrape pools hit the label limits, during sync or config reload.")    \
    X(pools, "prometheus_target_scrape_pools_total",                                               \
      "Total number of scrape pool creation attempts.")                                            \
    X(pools_failed, "prometheus_target_scrape_pools_failed_total",                                 \
      "Total number of scrape pool creations that failed.")                                        \
    X(reloads, "prometheus_target_scrape_pool_reloads_total",                                      \
      "Total number of scrape pool reloads.")                                                      \
    X(reloads_failed, "prometheus_target_scrape_pool_reloads_failed_total",                        \
      "Total number of failed scrape pool reloads.")

typedef struct ScrapeMetrics {
#define X(member, name, help) Metric *member;
    SCRAPE_COUNTERS(X)
#undef X
} ScrapeMetrics;

/* Made at the first call, which must come before there is a second thread that calls. */
const ScrapeMetrics *scrape_metrics(void);
/* Times between the scrapes of an interval: prometheus_target_interval_length_seconds. */
Metric *scrape_interval_metric(Str interval);
