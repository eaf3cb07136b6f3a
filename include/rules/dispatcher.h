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
#include "rules/notify_transport.h"
#include "storage/lmdb.h"

typedef struct Dispatcher Dispatcher;

typedef struct DispatcherOptions {
    Loop *loop;
    NotifyTransport transport;
    LmdbEnv *state;       /* NULL: nothing survives */
    Str external_url;     /* of this server, in payloads; copied */
    Str user_agent;       /* empty: Alertmanager/<version of the protocol we speak>; copied */
    int64_t retention_ms; /* of the notification log; 0 = 120 h */
} DispatcherOptions;

/* Takes the configuration. The alerts of the last run are read from the state. A Problem when a
 * template does not parse; then the configuration stays the caller's. */
int dispatcher_new(const DispatcherOptions *o, AmConfig *config, Dispatcher **ret,
                   Problem *problem);
/* Puts another configuration in place (taken on success): groups are built anew from the alerts in
 * memory; the notification log goes on. */
int dispatcher_reload(Dispatcher *d, AmConfig *config, Problem *problem);
/* Cancels what is under way. */
void dispatcher_free(Dispatcher *d);
AlertSink dispatcher_sink(Dispatcher *d);
/* The same on the loop thread, at once. */
void dispatcher_put(Dispatcher *d, const AlertBatch *batch);
size_t dispatcher_group_count(const Dispatcher *d);
