/*
 * Helper threads that all queries of an engine share. A query that has much to do asks for some of
 * them; it gets as many as are idle and as keep the threads that evaluate, its own included, within
 * the engine's number. Nobody waits for a helper to become free: what is not given is done by the
 * query's own thread. Any thread; one mutex, taken a few times a query.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

typedef struct CrewCall {
    void (*run)(void *arg);
    void *arg;
    unsigned wanted, running; /* guarded by the crew's mutex, as is `next` */
    struct CrewCall *next;
} CrewCall;

typedef struct Crew {
    pthread_mutex_t mutex; /* guards all */
    pthread_cond_t wake, left;
    pthread_t *ids;
    unsigned n_threads, idle;
    unsigned limit, evaluating; /* threads that may evaluate, that do */
    CrewCall *calls;
    bool ending;
} Crew;

/* As many threads at most, callers included; 0 and 1: no helpers. */
void crew_init(Crew *c, unsigned limit);
void crew_deinit(Crew *c);
/* Around a query. */
void crew_enter(Crew *c);
void crew_leave(Crew *c);
/* How many helpers, at most `most`, the caller may have now: until crew_give_back(), or
 * crew_start() and crew_end(). */
unsigned crew_reserve(Crew *c, unsigned most);
void crew_give_back(Crew *c, unsigned n);
/* Has n reserved helpers call run(arg), each once. */
void crew_start(Crew *c, CrewCall *call, unsigned n);
/* Helpers that have not begun stay away; waits for the others. */
void crew_end(Crew *c, CrewCall *call);
