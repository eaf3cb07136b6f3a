/*
 * When code runs: one loop thread with timers, worker pools beside it, signals, and calls posted
 * from other threads. Behind the header stands either libuv in real time, or virtual time: timers
 * fire in order of their due time, the fake clock (base/clock.h) jumps to it, pool jobs run at once
 * on the calling thread. Then a day passes in milliseconds.
 *
 * "loop thread only" unless said otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Loop Loop;
typedef struct WorkPool WorkPool;
struct uv_loop_s;

int loop_new(Loop **ret);
/* Starts at wall_ms; loop_run() goes on until nothing is left, loop_stop(), or
 * loop_virtual_run_until(). */
int loop_new_virtual(int64_t wall_ms, Loop **ret);
/* Runs virtual time up to and including wall_ms. */
void loop_virtual_run_until(Loop *l, int64_t wall_ms);
/* Every timer, pool and handle must have been ended before. */
void loop_free(Loop *l);
/* Returns after loop_stop(). */
void loop_run(Loop *l);
void loop_stop(Loop *l);
/* The libuv loop, for src/net; NULL in virtual time. */
struct uv_loop_s *loop_uv(Loop *l);
bool loop_is_virtual(const Loop *l);

/* Runs fn(arg) on the loop thread soon. Any thread. */
void loop_post(Loop *l, void (*fn)(void *arg), void *arg);
/* fn(arg) on the loop thread when the process gets the signal. */
int loop_on_signal(Loop *l, int signum, void (*fn)(void *arg), void *arg);

/* Embedded in its owner; zero-initialised is "stopped". Due times are wall-clock ms; one shot; may
 * be restarted in its callback. */
typedef struct LoopTimer {
    Loop *loop;
    void (*fn)(void *arg);
    void *arg;
    int64_t due_ms; /* private from here on: place in the loop's heap */
    uint64_t order;
    uint32_t slot; /* 0 = not armed */
} LoopTimer;

void loop_timer_init(LoopTimer *t, Loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_at(LoopTimer *t, int64_t wall_ms);
void loop_timer_after(LoopTimer *t, int64_t delay_ms);
/* Safe at any time, also in the callback; after it the memory is free to go. */
void loop_timer_stop(LoopTimer *t);

/* A pool of `threads` workers with its own queue. */
int work_pool_new(Loop *l, const char *name, unsigned threads, WorkPool **ret);
/* Waits for queued jobs to finish, then for their done calls. */
void work_pool_free(WorkPool *p);
/* run(arg) on a worker, then done(arg) on the loop thread (may be NULL). Any thread. In virtual
 * time both run before it returns. */
void work_submit(WorkPool *p, void (*run)(void *arg), void (*done)(void *arg), void *arg);
/* Jobs waiting or running. Any thread. */
unsigned work_pool_pending(const WorkPool *p);
