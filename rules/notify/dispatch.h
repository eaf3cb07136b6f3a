/* The parts of the dispatcher: groups, and one flush of a group. Loop thread only. */
#pragma once

#include "base/map.h"
#include "base/metrics.h"
#include "base/random.h"
#include "rules/dispatcher.h"
#include "rules/notify/am_data.h"
#include "rules/notify/inbox.h"
#include "rules/notify/nflog.h"
#include "rules/notify/state.h"

#define FLUSH_TIMEOUT_MIN_MS 10000
#define MAINTENANCE_MS 30000

typedef struct Group Group;
typedef struct Flush Flush;

struct Group {
    Dispatcher *dispatcher;
    const AmRoute *route;
    const AmReceiver *receiver;
    Labels labels;
    Str key; /* {}/{a="b"}:{c="d"} */
    Str map_key;
    StrMap alerts; /* alert key -> StoredAlert */
    LoopTimer timer;
    bool flushed;
    bool again; /* the timer fired while a flush was under way */
    Flush *flush;
    Arena arena;
};

struct Dispatcher {
    DispatcherOptions o;
    char *external_url, *user_agent;
    AmConfig *config;
    StrMap alerts; /* alert key -> StoredAlert */
    StrMap groups;
    Nflog log;
    LoopTimer maintenance;
    Rng rng;
    AlertInbox *inbox;
    bool stopped;
};

/* flush.c: sends the group's alerts as they are now to all integrations of its receiver. */
Flush *flush_start(Group *g, int64_t now_ms);
void flush_cancel(Flush *f);
/* dispatcher.c: called once all integrations are through. */
void group_flush_done(Group *g, bool ok, StoredAlert *const *resolved, size_t n);
