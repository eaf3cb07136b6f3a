/*
 * What an operator wants kept how long and how fine: retention a selector, and resolutions by age.
 * Immutable and counted; made by whoever reads the policy file, used by maintenance and queries of
 * the database. Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "model/labels.h"
#include "model/matcher.h"

/* Series that match keep their samples so long; the first that matches a series counts. */
typedef struct KeepPolicy {
    Matcher *v;
    size_t n;
    int64_t keep_ms; /* 0 = for ever */
} KeepPolicy;

/* Blocks whose newest sample is older than `after` hold one row a resolution. */
typedef struct DownsamplePolicy {
    int64_t after_ms, resolution_ms;
} DownsamplePolicy;

typedef struct TsdbPolicies {
    atomic_uint refs;
    Arena arena;
    KeepPolicy *keep;
    DownsamplePolicy *downsample; /* `after` and resolution rise */
    size_t n_keep, n_downsample;
} TsdbPolicies;

/* Empty, with one reference; the maker fills it in. */
TsdbPolicies *tsdb_policies_new(void);
TsdbPolicies *tsdb_policies_ref(TsdbPolicies *p); /* NULL is fine, as with all of these */
void tsdb_policies_unref(TsdbPolicies *p);

/* How long a series is kept: by the first rule that matches, else general_ms. 0 = for ever. */
int64_t tsdb_policies_keep(const TsdbPolicies *p, Labels l, int64_t general_ms);
/* The longest any series is kept; 0 = for ever. */
int64_t tsdb_policies_longest(const TsdbPolicies *p, int64_t general_ms);
/* Of samples of this age; 0 = as they came. */
int64_t tsdb_policies_resolution(const TsdbPolicies *p, int64_t age_ms);
