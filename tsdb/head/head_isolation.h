/*
 * A commit becomes visible at once: a querier sees all of its samples or none.
 *
 * Commits are numbered; each series knows the number of the last one that added to it, and the time
 * of its newest sample before that. A querier remembers up to which number all commits were applied
 * when it was opened, its view: of a series that was added to later it passes over what is newer
 * than that time. If a series is added to twice while somebody may still need the time before the
 * first, that time goes into a history: rare, since queries are shorter than scrape intervals.
 *
 * Numbers wrap; they are compared by their difference, and head_isolation_freshen() keeps series
 * from falling behind by half of them. Costs a commit two short locks, a sample nothing it can
 * tell, a reader one comparison a series. Samples that come out of order, within a chunk or late,
 * are visible as they come.
 */
#pragma once

#include <pthread.h>

#include "base/map.h"
#include "base/vec.h"
#include "tsdb/head/head_series.h"

typedef struct IsolationEntry {
    uint32_t commit;
    uint32_t next; /* of the same slot, + 1 */
    int64_t before;
} IsolationEntry;

typedef struct IsolationHistory {
    U64Map newest; /* of a slot: entry + 1 */
    VEC(IsolationEntry) v;
    uint32_t until; /* no entry is of a later commit */
} IsolationHistory;

typedef struct HeadIsolation {
    pthread_mutex_t lock; /* of what follows; taken inside a series' lock */
    pthread_cond_t applied;
    uint32_t last;           /* number given out last */
    atomic_uint visible;     /* all up to here are applied */
    VEC(uint32_t) under_way; /* numbers, rising */
    IsolationHistory young, old;
    atomic_size_t remembered; /* entries of both */
    uint32_t freshened;
} HeadIsolation;

/* What a commit takes along. `needed`: nobody asks for times before commits up to this one. */
typedef struct HeadCommit {
    uint32_t number, needed;
} HeadCommit;

static inline bool commit_after(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }

void head_isolation_init(HeadIsolation *x);
void head_isolation_deinit(HeadIsolation *x);
/* oldest_view: of the queriers that are open, or the visible number. */
HeadCommit head_isolation_begin(HeadIsolation *x, uint32_t oldest_view);
/* All is applied. Returns when it is visible: those before it are applied too. */
void head_isolation_end(HeadIsolation *x, HeadCommit c);

void head_isolation_remember(HeadIsolation *x, const HeadSeries *s);
int64_t head_isolation_recall(HeadIsolation *x, const HeadSeries *s, uint32_t view);

/* Before a commit adds to a series; its lock is held. */
static inline void head_isolation_mark(HeadIsolation *x, HeadSeries *s, HeadCommit c) {
    if (s->commit == c.number) {
        return;
    }
    if (__builtin_expect(commit_after(s->commit, c.needed), 0)) {
        head_isolation_remember(x, s);
    }
    s->before = atomic_load_explicit(&s->last, memory_order_relaxed);
    s->commit = c.number;
}

/* The newest time of a series that a view shows; its lock is held. */
static inline int64_t head_isolation_until(HeadIsolation *x, const HeadSeries *s, uint32_t view) {
    return __builtin_expect(commit_after(s->commit, view), 0) ? head_isolation_recall(x, s, view)
                                                              : INT64_MAX;
}
