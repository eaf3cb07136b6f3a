/* What loop.c, timer_heap.c and work_pool.c share. Loop thread only, except what says otherwise. */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "base/vec.h"
#include "loop/loop.h"

/* Binary heap of armed timers by due time, then by when they were armed. v[0] is unused, so that a
 * timer's slot 0 means "not armed". */
typedef struct TimerHeap {
    LoopTimer **v;
    uint32_t n, cap; /* n counts slot 0 once something was put */
} TimerHeap;

void timer_heap_put(TimerHeap *h, LoopTimer *t);
void timer_heap_remove(TimerHeap *h, LoopTimer *t);
LoopTimer *timer_heap_first(const TimerHeap *h);
void timer_heap_deinit(TimerHeap *h);

typedef struct Post {
    void (*fn)(void *arg);
    void *arg;
} Post;

typedef struct SignalWatch {
    uv_signal_t uv;
    void (*fn)(void *arg);
    void *arg;
} SignalWatch;

struct Loop {
    bool is_virtual, stopped;
    TimerHeap timers;
    uint64_t order; /* the last one given to a timer */

    pthread_mutex_t mutex; /* guards posts */
    VEC(Post) posts;
    WorkPool *pools;

    /* real time only */
    uv_loop_t uv;
    uv_timer_t uv_timer;
    uv_async_t uv_async;
    VEC(SignalWatch *) signals;
};

/* Wakes the loop to run posts and done calls. Any thread. */
void loop_wake(Loop *l);
/* Runs the done calls of jobs that have finished. */
void work_pools_collect(Loop *l);
