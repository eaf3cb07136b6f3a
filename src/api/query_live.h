/*
 * Queries that go on: /api/v1/query_live evaluates an instant query every step on the query workers
 * and sends each result as a server-sent event. A step whose query still runs, or whose reader is
 * slow, is left out, so a stream has at most one query and one unsent result. All on the loop
 * thread.
 */
#pragma once

#include "api/api.h"

typedef struct QueryLive QueryLive;

#define QUERY_LIVE_STREAMS_MAX 64
#define QUERY_LIVE_CLIENT_MAX 16 /* of one address */
#define QUERY_LIVE_STEP_MIN_MS 1000
#define QUERY_LIVE_STEP_MAX_MS 3600000
#define QUERY_LIVE_RESULT_MAX ((size_t)8 << 20)

QueryLive *query_live_new(Api *api);
/* Ends all streams, refuses new ones. */
void query_live_stop(QueryLive *q);
/* When the query workers have ended. */
void query_live_free(QueryLive *q);
/* Takes a GET of /api/v1/query_live. */
void query_live_add(QueryLive *q, HttpExchange *x);
