/*
 * Request parameters with Prometheus' texts for bad ones. Each reader answers the exchange with 400
 * bad_data itself when it returns false: the handler then just returns.
 */
#pragma once

#include "model/matcher.h"
#include "net/http_server.h"

/* Unix seconds with fraction, or RFC3339; `fallback` when absent. Out of range is clamped to all of
 * time. */
bool param_time(HttpExchange *x, const char *name, int64_t fallback_ms, int64_t *ret_ms);
bool param_time_required(HttpExchange *x, const char *name, int64_t *ret_ms);
/* Float seconds or a Prometheus duration. `fallback_ms` when absent; -1 as fallback makes it
 * required. */
bool param_duration(HttpExchange *x, const char *name, int64_t fallback_ms, int64_t *ret_ms);
/* 0 when absent. */
bool param_limit(HttpExchange *x, const char *name, uint64_t *ret);
/* The same, but a negative number means no limit too, as /metadata has it. */
bool param_lax_limit(HttpExchange *x, const char *name, uint64_t *ret);
/* What Go's ParseBool takes (1, t, T, TRUE, true, True, and their opposites); false when absent. */
bool param_bool(HttpExchange *x, const char *name, bool *ret);

/* The selectors of repeated match[] parameters, in memory of their own: they may outlive the
 * exchange (texts may not). */
typedef struct MatcherSets {
    Arena arena;
    struct MatcherSet {
        Matcher *v;
        size_t n;
    } * sets;
    size_t n;
} MatcherSets;
bool param_matchers(HttpExchange *x, const char *name, MatcherSets *ret);
/* One selector without an answer of its own; `{}` is one too. */
bool matcher_sets_add(MatcherSets *m, Str text, Problem *problem);
void matcher_sets_deinit(MatcherSets *m);
