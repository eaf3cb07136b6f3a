/*
 * What a worker does with an answer: decode, read into a transaction, report, commit. The job has
 * the target's cache for its own until it is done.
 */
#pragma once

#include "scrape/scrape_page.h"
#include "scrape/scrape_target.h"

typedef struct ScrapeJob {
    ScrapeTarget *target;
    PoolRules *rules;
    Storage *storage;
    int64_t t, started_ns;
    bool extra_metrics, start_as_zero;
    bool ending; /* only stale markers, of reports too */

    /* The answer; error is set when there is none. */
    Buf body;
    char *encoding, *content_type;
    char error[1400];

    /* The result. */
    double duration_s;
} ScrapeJob;

void scrape_job_run(void *job);
void scrape_job_free(ScrapeJob *job);
