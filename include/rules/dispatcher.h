/*
 * Alertmanager in this process: takes alerts, finds their routes, groups them, and sends each group
 * to its receiver when group_wait, group_interval and repeat_interval say so (reference, sections
 * 8.8, 8.9, 8.13). What was sent is remembered in state.mdb, as are the alerts of each group, so a
 * restart neither repeats nor forgets a notification.
 *
 * Loop thread only, except dispatcher_sink(), whose send() may be called on any thread.
 */
#pragma once

#include "rules/alert.h"
#include "rules/am_config.h"
#include "rules/notify_status.h"
#include "rules/notify_transport.h"

typedef struct Dispatcher Dispatcher;

/* state.mdb, and what it held when it was opened. */
typedef struct DispatcherState DispatcherState;

/* Makes the file if it is missing, and reads it: blocks, so on a worker. 0 or a Problem. */
int dispatcher_state_open(const char *path, DispatcherState **ret, Problem *problem);
void dispatcher_state_free(DispatcherState *s); /* one that no dispatcher has taken */

typedef struct DispatcherOptions {
    Loop *loop;
    WorkPool *background; /* writes the state, reads url_file */
    NotifyTransport transport;
    DispatcherState *state; /* taken. NULL: nothing survives */
    Str external_url;       /* of this server, in payloads; copied */
    Str user_agent;         /* empty: Alertmanager/<version of the protocol we speak>; copied */
    int64_t retention_ms;   /* of the notification log; 0 = 120 h */
} DispatcherOptions;

/* Takes the configuration. The alerts of the last run are those of the state. */
Dispatcher *dispatcher_new(const DispatcherOptions *o, AmConfig *config);
/* Puts another configuration in place (taken): groups are built anew from the alerts in memory; the
 * notification log goes on. */
void dispatcher_reload(Dispatcher *d, AmConfig *config);
/* Takes no alert any more, cancels what is under way, writes what the state still lacks, then
 * done(arg). */
void dispatcher_stop(Dispatcher *d, void (*done)(void *arg), void *arg);
/* After dispatcher_stop() is done or when the pool has no job of it left (work_pool_free()). What
 * the state still lacks is forgotten. */
void dispatcher_free(Dispatcher *d);
/* Good until dispatcher_free(); a batch that comes through after dispatcher_stop() is dropped. */
AlertSink dispatcher_sink(Dispatcher *d);
/* The same on the loop thread, at once. */
void dispatcher_put(Dispatcher *d, const AlertBatch *batch);
/* Where the notifications of all firing alerts stand. */
void dispatcher_status(const Dispatcher *d, NotifyStatuses *ret);
size_t dispatcher_group_count(const Dispatcher *d);
