#include "loop/loop.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/loop_private.h"

/* Due times are wall-clock times, but libuv sleeps on the monotonic clock: looking again at least
 * this often bounds how late a step of the wall clock is noticed. */
#define LOOK_AGAIN_MS 1000

static Loop *new_loop(void) {
    Loop *l = NEW(Loop);
    pthread_mutex_init(&l->mutex, NULL);
    return l;
}

static void delete_loop(Loop *l) {
    pthread_mutex_destroy(&l->mutex);
    timer_heap_deinit(&l->timers);
    vec_free(&l->posts);
    vec_free(&l->signals);
    mem_free(l);
}

/* Calls what other threads have posted; what is posted meanwhile waits for the next round. */
static bool run_posts(Loop *l) {
    pthread_mutex_lock(&l->mutex);
    VEC(Post) now = {l->posts.v, l->posts.n, l->posts.cap};
    l->posts.v = NULL;
    l->posts.n = l->posts.cap = 0;
    pthread_mutex_unlock(&l->mutex);
    for (size_t i = 0; i < now.n; i++) {
        now.v[i].fn(now.v[i].arg);
    }
    bool any = now.n > 0;
    vec_free(&now);
    return any;
}

void loop_post(Loop *l, void (*fn)(void *arg), void *arg) {
    pthread_mutex_lock(&l->mutex);
    vec_push(&l->posts, (Post){fn, arg});
    pthread_mutex_unlock(&l->mutex);
    loop_wake(l);
}

void loop_wake(Loop *l) {
    if (!l->is_virtual) {
        uv_async_send(&l->uv_async);
    }
}

/* ---- timers ---- */

static void on_uv_timer(uv_timer_t *h);

static void arm(Loop *l) {
    if (l->is_virtual) {
        return;
    }
    LoopTimer *first = timer_heap_first(&l->timers);
    if (!first) {
        uv_timer_stop(&l->uv_timer);
        return;
    }
    int64_t wait = first->due_ms - clock_wall_ms();
    wait = wait < 0 ? 0 : wait > LOOK_AGAIN_MS ? LOOK_AGAIN_MS : wait;
    uv_update_time(&l->uv);
    uv_timer_start(&l->uv_timer, on_uv_timer, (uint64_t)wait, 0);
}

static void fire(Loop *l, LoopTimer *t) {
    timer_heap_remove(&l->timers, t);
    t->fn(t->arg);
}

/* Timers that are armed anew while these run wait for the loop's next turn, so that none of them
 * can keep sockets waiting forever. */
static void on_uv_timer(uv_timer_t *h) {
    Loop *l = h->data;
    int64_t now = clock_wall_ms();
    uint64_t last = l->order;
    LoopTimer *t;
    while ((t = timer_heap_first(&l->timers)) && t->due_ms <= now && t->order <= last) {
        fire(l, t);
    }
    arm(l);
}

void loop_timer_init(LoopTimer *t, Loop *l, void (*fn)(void *arg), void *arg) {
    *t = (LoopTimer){.loop = l, .fn = fn, .arg = arg};
}

void loop_timer_at(LoopTimer *t, int64_t wall_ms) {
    Loop *l = t->loop;
    LoopTimer *first = timer_heap_first(&l->timers);
    if (t->slot) {
        timer_heap_remove(&l->timers, t);
    }
    t->due_ms = wall_ms;
    t->order = ++l->order;
    timer_heap_put(&l->timers, t);
    if (t->slot == 1 || t == first) {
        arm(l);
    }
}

void loop_timer_after(LoopTimer *t, int64_t delay_ms) {
    loop_timer_at(t, clock_wall_ms() + delay_ms);
}

void loop_timer_stop(LoopTimer *t) {
    if (t->slot) {
        /* An early wake-up of the libuv timer does no harm. */
        timer_heap_remove(&t->loop->timers, t);
    }
}

/* ---- real time ---- */

static void on_async(uv_async_t *h) {
    Loop *l = h->data;
    (void)run_posts(l);
    work_pools_collect(l);
}

int loop_new(Loop **ret) {
    Loop *l = new_loop();
    int r = uv_loop_init(&l->uv);
    if (r < 0) {
        delete_loop(l);
        return err_trace(r);
    }
    uv_timer_init(&l->uv, &l->uv_timer);
    l->uv_timer.data = l;
    r = uv_async_init(&l->uv, &l->uv_async, on_async);
    if (r < 0) {
        uv_close((uv_handle_t *)&l->uv_timer, NULL);
        uv_run(&l->uv, UV_RUN_DEFAULT);
        uv_loop_close(&l->uv);
        delete_loop(l);
        return err_trace(r);
    }
    l->uv_async.data = l;
    *ret = l;
    return 0;
}

static void on_signal(uv_signal_t *h, int signum) {
    SignalWatch *w = h->data;
    w->fn(w->arg);
}

static void on_signal_closed(uv_handle_t *h) { mem_free(h->data); }

int loop_on_signal(Loop *l, int signum, void (*fn)(void *arg), void *arg) {
    if (l->is_virtual) {
        return -ENOTSUP;
    }
    SignalWatch *w = NEW(SignalWatch);
    w->fn = fn;
    w->arg = arg;
    w->uv.data = w;
    int r = uv_signal_init(&l->uv, &w->uv);
    if (r < 0) {
        mem_free(w);
        return err_trace(r);
    }
    r = uv_signal_start(&w->uv, on_signal, signum);
    if (r < 0) {
        uv_close((uv_handle_t *)&w->uv, on_signal_closed);
        return err_trace(r);
    }
    uv_unref((uv_handle_t *)&w->uv);
    vec_push(&l->signals, w);
    return 0;
}

void loop_free(Loop *l) {
    if (!l) {
        return;
    }
    assert(!l->pools);
    while (run_posts(l)) { /* they may free what they were posted for */
    }
    if (!l->is_virtual) {
        for (size_t i = 0; i < l->signals.n; i++) {
            uv_close((uv_handle_t *)&l->signals.v[i]->uv, on_signal_closed);
        }
        uv_close((uv_handle_t *)&l->uv_timer, NULL);
        uv_close((uv_handle_t *)&l->uv_async, NULL);
        uv_run(&l->uv, UV_RUN_DEFAULT);
        int r = uv_loop_close(&l->uv);
        assert(r == 0);
        (void)r;
    }
    delete_loop(l);
}

uv_loop_t *loop_uv(Loop *l) { return l->is_virtual ? NULL : &l->uv; }

bool loop_is_virtual(const Loop *l) { return l->is_virtual; }

/* ---- virtual time ---- */

int loop_new_virtual(int64_t wall_ms, Loop **ret) {
    Loop *l = new_loop();
    l->is_virtual = true;
    clock_fake_set(wall_ms);
    *ret = l;
    return 0;
}

/* One post round or one timer that is due by `until`; false when there is neither. */
static bool virtual_step(Loop *l, int64_t until) {
    if (run_posts(l)) {
        return true;
    }
    LoopTimer *t = timer_heap_first(&l->timers);
    if (!t || t->due_ms > until) {
        return false;
    }
    if (t->due_ms > clock_wall_ms()) {
        clock_fake_set(t->due_ms);
    }
    fire(l, t);
    return true;
}

void loop_virtual_run_until(Loop *l, int64_t wall_ms) {
    assert(l->is_virtual);
    l->stopped = false;
    while (!l->stopped && virtual_step(l, wall_ms)) {
    }
    if (!l->stopped && clock_wall_ms() < wall_ms) {
        clock_fake_set(wall_ms);
    }
}

void loop_run(Loop *l) {
    if (!l->is_virtual) {
        uv_run(&l->uv, UV_RUN_DEFAULT);
        return;
    }
    l->stopped = false;
    while (!l->stopped && virtual_step(l, INT64_MAX)) {
    }
}

void loop_stop(Loop *l) {
    l->stopped = true;
    if (!l->is_virtual) {
        uv_stop(&l->uv);
    }
}
