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

/* What goes wrong with one integration of a group; no attempts: nothing. */
typedef struct GroupTrouble {
    unsigned attempts;
    int64_t failed_at_ms, retry_at_ms; /* 0: given up until the next flush */
    char *error;
} GroupTrouble;

struct Group {
    Dispatcher *dispatcher;
    const AmRoute *route;
    const AmReceiver *receiver;
    Labels labels;
    Str key; /* {}/{a="b"}:{c="d"} */
    Str map_key;
    StrMap alerts; /* alert key -> StoredAlert */
    LoopTimer timer;
    int64_t due_ms;        /* of the timer */
    GroupTrouble *trouble; /* one a webhook of the receiver */
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
/* The notification log's key of one webhook of the group's receiver. */
Str flush_log_key(const Group *g, size_t webhook, Arena *a);
/* dispatcher.c: called once all integrations are through. */
void group_flush_done(Group *g, bool ok, StoredAlert *const *resolved, size_t n);
