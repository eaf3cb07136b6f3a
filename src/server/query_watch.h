/*
 * The server's side of queries: a timer that looks after them while there are any (refuses those
 * that wait too long, stops those whose client has gone while they read), their memory, their log.
 * Loop thread only.
 */
#pragma once

#include "base/err.h"
#include "loop/loop.h"
#include "promql/promql.h"

typedef struct QueryWatch {
    Loop *loop;
    PromqlEngine *engine;
    LoopTimer timer, end_timer;
} QueryWatch;

void query_watch_start(QueryWatch *w, Loop *l, PromqlEngine *e);
/* The server ends: queries that take longer than so many ms from now are cancelled. */
void query_watch_end(QueryWatch *w, int64_t patience_ms);
void query_watch_stop(QueryWatch *w);

/* --query.max-memory-total in bytes; without it half of what this process may use. */
uint64_t query_memory_total(uint64_t wanted);
/* Can the file be appended to? -EINVAL and a Problem if not. Any thread. */
int query_log_check(Str path, Problem *problem);
void query_log_apply(PromqlEngine *e, Str path);
