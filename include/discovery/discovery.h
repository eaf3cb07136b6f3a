/*
 * Finds targets: runs the mechanisms of each set (a scrape job, a group of Alertmanagers) and hands
 * their target groups on, the first at once, later ones at most every five seconds a set. Groups
 * are immutable and counted; everything else is loop thread only.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "discovery/sd_config.h"
#include "loop/loop.h"
#include "model/labels.h"

typedef struct TargetGroup {
    atomic_uint refs;
    Arena arena;
    Str source;            /* unique in its set: "static/0", a file's path and group number */
    const Labels *targets; /* each with __address__ */
    size_t n;
    Labels labels; /* of all of them */
} TargetGroup;
/* One reference. more is a label to add unless its name is empty. */
TargetGroup *target_group_new(const SdStaticConfig *from, Str source, Label more);
TargetGroup *target_group_ref(TargetGroup *g);
void target_group_unref(TargetGroup *g);

typedef struct DiscoverySet {
    Str name;
    const SdConfigs *configs; /* both only for the call: what runs keeps copies */
} DiscoverySet;

typedef struct DiscoveryOptions {
    Loop *loop;
    WorkPool *pool;     /* files are read and answers parsed there */
    HttpClient *client; /* NULL: mechanisms that ask servers find nothing, and say so */
    /* NULL = http_call() and http_call_cancel(); a test's otherwise. */
    HttpCall *(*call)(HttpClient *client, const HttpCallRequest *request,
                      void (*fn)(void *arg, HttpCallResult *r), void *arg);
    void (*cancel)(HttpCall *call);
    const char *name;    /* "scrape" or "notify", for metrics */
    int64_t throttle_ms; /* 0 = 5 s */
    /* All groups of a set, in the order of their sources; also when they became none. Borrowed for
     * the call: take references to keep them. Never from inside discovery_apply(). */
    void (*on_groups)(void *arg, Str set, TargetGroup *const *groups, size_t n);
    void *arg;
} DiscoveryOptions;

typedef struct Discovery Discovery;
Discovery *discovery_new(const DiscoveryOptions *options);
/* From now on these sets. One whose configuration did not change goes on undisturbed; on_groups()
 * is not called for one that is gone. */
void discovery_apply(Discovery *d, const DiscoverySet *sets, size_t n);
void discovery_free(Discovery *d);
