/*
 * The queries that took the most time: by text and source, how often, how long, how it ended. A
 * fixed number are remembered; the one with the least time makes room for a new one, so what is
 * expensive stays. The caller locks. Cost: a look at every hash.
 */
#pragma once

#include "promql/promql.h"

#define SLOW_QUERIES_KEPT 256
/* Bytes of a query's text that are kept and shown. */
#define QUERY_TEXT_MAX 4096

typedef struct SlowQuery {
    uint64_t hash; /* of text and source */
    char *text, *last_error;
    PromqlSource source;
    uint64_t count, samples;
    double total_s, max_s;
    int64_t last_start_ms;
} SlowQuery;

typedef struct SlowQueries {
    SlowQuery v[SLOW_QUERIES_KEPT];
    size_t n;
} SlowQueries;

typedef struct SlowQueryRun {
    Str text;
    PromqlSource source;
    int64_t start_ms;
    double seconds;
    uint64_t samples;
    const char *error; /* NULL = none */
} SlowQueryRun;

/* Where to cut a text so that no character is. */
Str query_text_cut(Str text);

void slow_queries_add(SlowQueries *s, const SlowQueryRun *run);
void slow_queries_deinit(SlowQueries *s);
/* The worst first, texts in the arena. */
size_t slow_queries_list(const SlowQueries *s, Arena *a, size_t max, PromqlSlowQuery **ret);
