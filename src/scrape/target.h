/*
 * A target: what discovery said, what relabelling made of it, and where that is fetched from.
 * Immutable but for its scraping state (scrape_loop.h). Labels live in its own arena.
 */
#pragma once

#include "discovery/discovery.h"
#include "scrape/scrape_config.h"

typedef struct TargetSpec {
    Arena arena;
    Labels discovered; /* before relabelling */
    Labels all;        /* after it: with the __ labels that are kept inside */
    Labels labels;     /* what its series carry */
    Str url, unix_socket;
    Str interval_text;
    int64_t interval_ms, timeout_ms;
    uint64_t hash; /* of labels and URL: identity */
} TargetSpec;

typedef enum TargetOutcome { TARGET_OK, TARGET_DROPPED, TARGET_INVALID } TargetOutcome;

/* Takes one address of a group through the job's rules. TARGET_DROPPED: only `discovered` is set;
 * TARGET_INVALID: the Problem says why it cannot be scraped. */
TargetOutcome target_spec_init(TargetSpec *t, const ScrapeConfig *c, const TargetGroup *group,
                               Labels own, Problem *problem);
void target_spec_deinit(TargetSpec *t);
/* The first time from now_ms on, exclusive, that lies on the target's grid. */
int64_t target_next_tick(const TargetSpec *t, uint64_t seed, int64_t now_ms);
