#include "tsdb/head/head_isolation.h"

#include "base/compiler.h"

void head_isolation_init(HeadIsolation *x) {
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->applied, NULL);
}

static void history_clear(IsolationHistory *h) {
    u64_map_deinit(&h->newest);
    vec_free(&h->v);
    *h = (IsolationHistory){0};
}

void head_isolation_deinit(HeadIsolation *x) {
    history_clear(&x->young);
    history_clear(&x->old);
    vec_free(&x->under_way);
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->applied);
}

/* Two generations: the old one goes when nobody needs its last commit, then the young one takes its
 * place, so that under queries without a gap too it does not grow beyond the longest of them. */
static void history_age(HeadIsolation *x, uint32_t needed) {
    if (atomic_load(&x->remembered) == 0 ||
        (x->old.v.n > 0 && commit_after(x->old.until, needed))) {
        return;
    }
    history_clear(&x->old);
    x->old = x->young;
    x->old.until = x->last;
    x->young = (IsolationHistory){0};
    atomic_store(&x->remembered, x->old.v.n);
}

HeadCommit head_isolation_begin(HeadIsolation *x, uint32_t oldest_view) {
    pthread_mutex_lock(&x->lock);
    uint32_t visible = atomic_load(&x->visible);
    HeadCommit c = {++x->last, commit_after(oldest_view, visible) ? visible : oldest_view};
    vec_push(&x->under_way, c.number);
    history_age(x, c.needed);
    pthread_mutex_unlock(&x->lock);
    return c;
}

void head_isolation_end(HeadIsolation *x, HeadCommit c) {
    pthread_mutex_lock(&x->lock);
    size_t i = 0;
    while (x->under_way.v[i] != c.number) {
        i++;
    }
    for (x->under_way.n--; i < x->under_way.n; i++) {
        x->under_way.v[i] = x->under_way.v[i + 1];
    }
    atomic_store(&x->visible, x->under_way.n ? x->under_way.v[0] - 1 : x->last);
    pthread_cond_broadcast(&x->applied);
    while (commit_after(c.number, atomic_load(&x->visible))) {
        pthread_cond_wait(&x->applied, &x->lock);
    }
    pthread_mutex_unlock(&x->lock);
}

void head_isolation_remember(HeadIsolation *x, const HeadSeries *s) {
    uint64_t next = 0;
    pthread_mutex_lock(&x->lock);
    (void)u64_map_get(&x->young.newest, s->slot, &next);
    vec_push(&x->young.v,
             (IsolationEntry){.commit = s->commit, .next = (uint32_t)next, .before = s->before});
    u64_map_put(&x->young.newest, s->slot, x->young.v.n);
    atomic_fetch_add(&x->remembered, 1);
    pthread_mutex_unlock(&x->lock);
}

static int64_t history_until(const IsolationHistory *h, uint32_t slot, uint32_t view, int64_t t) {
    uint64_t at = 0;
    (void)u64_map_get(&h->newest, slot, &at);
    for (; at; at = h->v.v[at - 1].next) {
        const IsolationEntry *e = &h->v.v[at - 1];
        if (commit_after(e->commit, view)) {
            t = MIN(t, e->before);
        }
    }
    return t;
}

int64_t head_isolation_recall(HeadIsolation *x, const HeadSeries *s, uint32_t view) {
    int64_t t = s->before;
    if (atomic_load(&x->remembered) > 0) {
        pthread_mutex_lock(&x->lock);
        t = history_until(&x->young, s->slot, view, t);
        t = history_until(&x->old, s->slot, view, t);
        pthread_mutex_unlock(&x->lock);
    }
    return t;
}
