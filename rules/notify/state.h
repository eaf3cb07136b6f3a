/*
 * state.mdb (docs/formats/state.md): read once on a worker, before the dispatcher starts; from then
 * on the loop thread hands changes over and a background job writes them, all that have gathered in
 * one transaction, one job at a time, so the file always shows a state that was. A crash loses the
 * changes of the last moment: then a notification may be sent again, and an alert's end is noticed
 * late; no alert is lost.
 *
 * Loop thread only after state_start(). Costs: one fsync a batch; memory for each record that
 * waits.
 */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "rules/dispatcher.h"
#include "rules/notify/alert_store.h"
#include "rules/notify/nflog.h"
#include "storage/lmdb.h"

typedef enum StateTable { STATE_ALERTS, STATE_NFLOG, STATE_TABLES } StateTable;

struct DispatcherState {
    LmdbEnv *env;
    LmdbTable tables[STATE_TABLES];
    /* What was in the file, until the dispatcher takes it. */
    StoredAlerts alerts;
    NflogEntries entries;

    Loop *loop;
    WorkPool *pool;
    LoopTimer timer;         /* gathers a batch; waits after a failure */
    StrMap pending, writing; /* table and key -> Change; `writing` is the job's while it runs */
    bool busy, waiting;      /* a job runs; the timer runs */
    int result;              /* of the last job */
    void (*closed)(void *arg);
    void *closed_arg;
};

void state_start(DispatcherState *s, Loop *l, WorkPool *pool);
/* A NULL state takes everything and keeps nothing. Copies key and value. */
void state_put(DispatcherState *s, StateTable table, Str key, Str value);
void state_del(DispatcherState *s, StateTable table, Str key);
/* Writes what waits, then done(arg), never from inside this call. What cannot be written now is
 * given up. */
void state_close(DispatcherState *s, void (*done)(void *arg), void *arg);
