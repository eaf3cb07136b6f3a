/*
 * One page into one transaction: parse, label, append. Runs on a worker, which for that time owns
 * the target's cache. The common case, a page whose lines are those of the last one, does no label
 * work at all (scrape_cache.h).
 */
#pragma once

#include "scrape/scrape_cache.h"
#include "scrape/scrape_config.h"

typedef struct PageCounts {
    uint64_t total;        /* samples on the page */
    uint64_t added;        /* after relabelling */
    uint64_t series_added; /* seen for the first time */
    uint64_t out_of_order, duplicate, out_of_bounds, exemplar_out_of_order;
    bool over_sample_limit, over_label_limit, over_bucket_limit;
} PageCounts;

typedef struct ScrapePage {
    const ScrapeConfig *config;
    Labels target; /* the labels of its series */
    ScrapeCache *cache;
    Appender *appender;
    int64_t t; /* of samples that carry no time */
    bool start_as_zero;

    PageCounts counts;
    char error[1200]; /* why the scrape failed, for people */

    /* private */
    ExpoParser parser;
    ScrapeEdit edit;
    bool editing;
    U64Map fresh;           /* hash of labels -> series, of the lines not known before */
    Arena scratch, reduced; /* reduced: of a histogram with fewer buckets */
    LabelsBuilder builder;
    uint64_t appended;
} ScrapePage;

/* 0; -EINVAL when the page is refused (see error: roll back); another negative errno when the
 * storage failed. */
int scrape_page_read(ScrapePage *p, ExpoFormat format, Str body);
/* After the commit of what read() gave: the cache becomes that of this page. */
void scrape_page_commit(ScrapePage *p);
/* Stale markers for all series of the cache, by another appender than read() used. */
int scrape_page_end_series(ScrapePage *p, Appender *a, int64_t t);
void scrape_page_deinit(ScrapePage *p);
