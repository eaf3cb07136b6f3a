/*
 * The life of a query: waiting, running, gone. The engine's QueryList holds every query from the
 * moment it was asked until its answer is complete, so that it can be shown, refused while it
 * waits, stopped while it runs, and remembered when it was slow. It also keeps the one memory
 * budget that all queries share. Any thread; one mutex, taken a few times a query; what running
 * queries report (query_look(), query_grow()) takes no lock.
 */
#pragma once

#include <pthread.h>

#include "promql/engine/query_log.h"
#include "promql/engine/slow_queries.h"
#include "promql/promql.h"

typedef enum QueryState { QUERY_QUEUED, QUERY_RUNNING, QUERY_REFUSED } QueryState;

typedef struct QueryList QueryList;

struct PromqlQuery {
    QueryList *list;
    PromqlQuery *prev, *next; /* guarded by the list's mutex, as are the next two */
    QueryState state;
    int64_t started_ns;

    uint64_t id;
    const PromqlRequest *request; /* the asker's: alive while the entry is in the list */
    int64_t asked_ms, asked_ns, deadline_ns;
    PromqlRefusedFn refused;
    void *arg;

    atomic_bool killed;
    atomic_bool stop; /* killed, gone or too late: what the storage looks at */
    _Atomic uint64_t samples, bytes;
    _Atomic uint64_t granted; /* of the shared budget */
};

struct QueryList {
    pthread_mutex_t mutex; /* guards all but the atomics */
    PromqlQuery *first, *last;
    size_t running, queued;
    uint64_t last_id;
    SlowQueries slow;
    QueryLog log;
    _Atomic uint64_t bytes;
    uint64_t bytes_max; /* 0 = none */
    atomic_bool stopping;
    atomic_bool busy; /* somebody watches, or was asked to */
    void (*on_busy)(void *arg);
    void *on_busy_arg;
};

void query_list_init(QueryList *l, uint64_t bytes_max);
void query_list_deinit(QueryList *l);

PromqlQuery *query_enter(QueryList *l, const PromqlRequest *r, int64_t timeout_ms,
                         PromqlRefusedFn refused, void *arg);
/* Running from now on. False: it was refused while it waited; the entry is gone. */
bool query_begin(PromqlQuery *q);
/* Takes it out of the list, into the log and the memory of slow ones. What it still holds of the
 * shared budget is the caller's from here on. */
uint64_t query_leave(PromqlQuery *q, const PromqlResult *res);

/* PROMQL_OK: go on. Else why not; and the query's progress is noted. */
PromqlOutcome query_look(PromqlQuery *q, uint64_t bytes, uint64_t samples);
PromqlOutcome query_reason_to_end(const PromqlQuery *q);
/* Makes sure that the query holds `bytes` of the shared budget; false when all of it is taken. */
bool query_grow(PromqlQuery *q, uint64_t bytes);
void query_give_back(QueryList *l, uint64_t bytes);

/* promql_engine_watch() and so on, see promql.h. */
void query_list_watch(QueryList *l);
bool query_list_busy(QueryList *l);
bool query_list_kill(QueryList *l, uint64_t id);
bool query_list_infos(QueryList *l, Arena *a, PromqlQueryInfo **ret, size_t *ret_n);
size_t query_list_slow(QueryList *l, Arena *a, size_t max, PromqlSlowQuery **ret);

#define QUERY_KILLED "query was killed"
