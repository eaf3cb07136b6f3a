#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "loop/loop.h"
#include "support/test.h"

typedef struct Step {
    LoopTimer timer;
    Buf *log;
    int number;
} Step;

static void note(void *arg) {
    Step *s = arg;
    buf_addf(s->log, "%d ", s->number);
}

TEST (timers_fire_by_due_time_then_by_when_they_were_set) {
    Loop *l;
    CHECK_INT(loop_new_virtual(1000, &l), 0);
    CLEANUP(buf_deinit) Buf log = BUF_INIT(0);
    static const int due[] = {5000, 1500, 3000, 1500, 900};
    Step s[5];
    for (int i = 0; i < 5; i++) {
        s[i] = (Step){.log = &log, .number = i};
        loop_timer_init(&s[i].timer, l, note, &s[i]);
        loop_timer_at(&s[i].timer, due[i]);
    }
    loop_timer_at(&s[0].timer, 2000);
    loop_timer_stop(&s[2].timer);
    loop_run(l);
    CHECK_STR(buf_str(&log), STR("4 1 3 0 "));
    CHECK_INT(clock_wall_ms(), 2000);
    loop_free(l);
}

typedef struct Ticker {
    LoopTimer timer;
    int64_t every_ms;
    int n;
} Ticker;

static void tick(void *arg) {
    Ticker *t = arg;
    t->n++;
    loop_timer_at(&t->timer, t->timer.due_ms + t->every_ms);
}

TEST (a_virtual_day_passes_at_once) {
    Loop *l;
    CHECK_INT(loop_new_virtual(0, &l), 0);
    Ticker *t = NEW_ARRAY(Ticker, 100);
    for (int i = 0; i < 100; i++) {
        t[i].every_ms = 15 * SECOND_MS;
        loop_timer_init(&t[i].timer, l, tick, &t[i]);
        loop_timer_at(&t[i].timer, 100 + i);
    }
    loop_virtual_run_until(l, DAY_MS);
    CHECK_INT(clock_wall_ms(), DAY_MS);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(t[i].n, DAY_MS / (15 * SECOND_MS));
        loop_timer_stop(&t[i].timer);
    }
    mem_free(t);
    loop_free(l);
}

typedef struct Shuffle {
    LoopTimer timer;
    int64_t *last;
} Shuffle;

static void in_order(void *arg) {
    Shuffle *s = arg;
    CHECK(s->timer.due_ms >= *s->last);
    *s->last = s->timer.due_ms;
}

TEST (heap_keeps_order_through_random_changes) {
    enum { N = 500 };
    Loop *l;
    CHECK_INT(loop_new_virtual(0, &l), 0);
    Rng r;
    rng_init(&r, 5);
    int64_t last = 0;
    Shuffle *s = NEW_ARRAY(Shuffle, N);
    for (int i = 0; i < N; i++) {
        s[i].last = &last;
        loop_timer_init(&s[i].timer, l, in_order, &s[i]);
    }
    for (int i = 0; i < 5000; i++) {
        LoopTimer *t = &s[rng_below(&r, N)].timer;
        if (rng_below(&r, 4) == 0) {
            loop_timer_stop(t);
        } else {
            loop_timer_at(t, (int64_t)rng_below(&r, 300));
        }
    }
    loop_run(l);
    mem_free(s);
    loop_free(l);
}

static void stop_loop(void *arg) { loop_stop(arg); }

TEST (real_timers_keep_their_times) {
    Loop *l;
    CHECK_INT(loop_new(&l), 0);
    int64_t start = clock_wall_ms();
    CLEANUP(buf_deinit) Buf log = BUF_INIT(0);
    Step s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = (Step){.log = &log, .number = i};
        loop_timer_init(&s[i].timer, l, note, &s[i]);
        loop_timer_after(&s[i].timer, 60 - 20 * i);
    }
    LoopTimer end;
    loop_timer_init(&end, l, stop_loop, l);
    loop_timer_after(&end, 80);
    loop_run(l);
    CHECK_STR(buf_str(&log), STR("2 1 0 "));
    CHECK(clock_wall_ms() - start >= 80 && clock_wall_ms() - start < 5000);
    loop_free(l);
}

typedef struct Work {
    Loop *loop;
    WorkPool *pool;
    _Atomic int ran;
    int done, want;
    pthread_t loop_thread;
} Work;

static void do_run(void *arg) {
    Work *w = arg;
    atomic_fetch_add(&w->ran, 1);
}

static void do_done(void *arg) {
    Work *w = arg;
    CHECK(pthread_equal(pthread_self(), w->loop_thread));
    if (++w->done == w->want) {
        loop_stop(w->loop);
    }
}

static void *submit_many(void *arg) {
    Work *w = arg;
    for (int i = 0; i < 1000; i++) {
        work_submit(w->pool, do_run, do_done, w);
    }
    return NULL;
}

TEST (pool_runs_jobs_and_reports_on_the_loop_thread) {
    Work w = {.want = 3000, .loop_thread = pthread_self()};
    CHECK_INT(loop_new(&w.loop), 0);
    CHECK_INT(work_pool_new(w.loop, "test", 3, &w.pool), 0);
    pthread_t t[2];
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&t[i], NULL, submit_many, &w) == 0);
    }
    submit_many(&w);
    loop_run(w.loop);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
    }
    CHECK_INT(atomic_load(&w.ran), 3000);
    CHECK_INT(work_pool_pending(w.pool), 0);
    work_pool_free(w.pool);
    loop_free(w.loop);
}

TEST (freeing_a_pool_waits_for_its_jobs) {
    Work w = {.want = -1, .loop_thread = pthread_self()};
    CHECK_INT(loop_new(&w.loop), 0);
    CHECK_INT(work_pool_new(w.loop, "test", 2, &w.pool), 0);
    submit_many(&w);
    work_pool_free(w.pool);
    CHECK_INT(w.done, 1000);
    loop_free(w.loop);
}

TEST (virtual_pool_runs_at_once) {
    Work w = {.want = -1, .loop_thread = pthread_self()};
    CHECK_INT(loop_new_virtual(0, &w.loop), 0);
    CHECK_INT(work_pool_new(w.loop, "test", 2, &w.pool), 0);
    work_submit(w.pool, do_run, do_done, &w);
    CHECK_INT(w.done, 1);
    CHECK_INT(work_pool_pending(w.pool), 0);
    work_pool_free(w.pool);
    loop_free(w.loop);
}

static void *post_many(void *arg) {
    Work *w = arg;
    for (int i = 0; i < 500; i++) {
        loop_post(w->loop, do_done, w);
    }
    return NULL;
}

TEST (posts_of_other_threads_arrive) {
    Work w = {.want = 1000, .loop_thread = pthread_self()};
    CHECK_INT(loop_new(&w.loop), 0);
    pthread_t t[2];
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&t[i], NULL, post_many, &w) == 0);
    }
    loop_run(w.loop);
    CHECK_INT(w.done, 1000);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
    }
    loop_free(w.loop);
}

static void raise_signal(void *arg) { kill(getpid(), SIGUSR1); }

TEST (signals_are_delivered_on_the_loop) {
    Loop *l;
    CHECK_INT(loop_new(&l), 0);
    CHECK_INT(loop_on_signal(l, SIGUSR1, stop_loop, l), 0);
    loop_post(l, raise_signal, NULL);
    loop_run(l);
    loop_free(l);
}

static void slow(void *arg) { nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); }

TEST (a_busy_worker_does_not_hold_up_timers) {
    Work w = {.want = 1, .loop_thread = pthread_self()};
    CHECK_INT(loop_new(&w.loop), 0);
    CHECK_INT(work_pool_new(w.loop, "test", 1, &w.pool), 0);
    for (int i = 0; i < 5; i++) {
        work_submit(w.pool, slow, NULL, NULL);
    }
    LoopTimer t;
    loop_timer_init(&t, w.loop, stop_loop, w.loop);
    loop_timer_after(&t, 5);
    loop_run(w.loop);
    CHECK(work_pool_pending(w.pool) > 0);
    work_pool_free(w.pool);
    loop_free(w.loop);
}
