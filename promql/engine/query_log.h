/*
 * The query log (query_log_file): a JSON line a query that came to its end, as Prometheus writes
 * them. Lines are made outside of the lock and written whole. Any thread.
 */
#pragma once

#include <pthread.h>

#include "promql/promql.h"

typedef struct QueryLog {
    pthread_mutex_t mutex; /* guards fd */
    int fd;
    atomic_bool on;
} QueryLog;

void query_log_init(QueryLog *l);
void query_log_deinit(QueryLog *l);
/* Appends to the file from now on; an empty path ends it. On error all stays as it was. */
int query_log_open(QueryLog *l, Str path, Problem *problem);
void query_log_add(QueryLog *l, const PromqlRequest *r, const PromqlResult *res);
