#include "promql/engine/split.h"

#include "base/mem.h"
#include "promql/engine/crew.h"
#include "promql/engine/profile.h"

/* Work is counted in samples; a series costs some more than its own. */
#define SERIES_WORK 100
#define BATCH_WORK 4000
#define BATCH_SERIES_MAX 32
#define BATCH_BYTES_MAX ((size_t)64 << 10)
#define LANES_MAX 8
/* So many that the own thread can go on for a while when a helper was put aside in one of its. */
#define BATCHES_A_LANE 16
/* A selection is cut into so many at least, if it has as many series. */
#define BATCHES_MIN 8

typedef struct Entry {
    Column *column;
    bool filled;
    uint64_t held;
    StatsFrame stats; /* counts of the lane, as long as it is not given on */
    Annotations notes;
} Entry;

enum { BATCH_FREE, BATCH_CLAIMED, BATCH_DONE };

typedef struct Batch {
    atomic_int state;
    int result; /* of the last entry */
    size_t n;   /* entries read */
    Entry *entries;
    PromqlOutcome outcome;
    char *error;
    Scope scope; /* of what the entries hold */
} Batch;

typedef struct Lane {
    Eval ev;
    Scope scope;
    StatsFrame stats;
    void *state;
    struct Split *split;
} Lane;

typedef struct Split {
    Eval *ev;
    SeriesReader *reader;
    size_t n_steps, batch_series, n_batches, n_ring;
    Batch *ring;
    Lane *lanes;
    _Atomic unsigned lanes_taken;
    _Atomic size_t next, given; /* batches claimed; batches given on */
    atomic_bool stop;
    Scope scope;
    NodeProfile *profile; /* of the selector; NULL when nothing is measured */

    pthread_mutex_t mutex;
    pthread_cond_t done, room;
    atomic_bool wants_done, wants_room; /* somebody waits for it */
} Split;

/* ---- lanes */

static int lane_open(Lane *l, Split *s) {
    Eval *ev = s->ev;
    l->split = s;
    l->ev = *ev;
    l->ev.annotations = (Annotations){0};
    l->ev.samples_current = l->ev.work = 0;
    l->ev.is_lane = true;
    l->ev.profile = NULL;
    l->ev.stats = &l->stats;
    scope_init(&l->ev.scope, &l->ev);
    scope_init(&l->scope, &l->ev);
    if (ev->stats->per_step)
        l->stats.per_step = SCOPE_ZARRAY(&l->scope, uint64_t, s->n_steps);
    if (ev->stats->per_step && !l->stats.per_step)
        return -EINVAL;
    l->state = s->reader->open(s->reader, &l->ev, &l->scope);
    return l->state ? 0 : -EINVAL;
}

/* When no other thread runs: counts of steps go to the query. */
static void lane_close(Lane *l) {
    Split *s = l->split;
    if (!s)
        return;
    StatsFrame *to = s->ev->stats;
    for (size_t i = 0; l->stats.per_step && i < s->n_steps; i++)
        to->per_step[i] += l->stats.per_step[i];
    if (l->state)
        s->reader->close(l->state);
    annotations_deinit(&l->ev.annotations);
    mem_free(l->ev.error);
    scope_deinit(&l->scope);
    scope_deinit(&l->ev.scope);
}

/* ---- batches */

static bool claim(Split *s, size_t *ret) {
    size_t at = atomic_load(&s->next);
    do {
        if (at >= s->n_batches || at - atomic_load(&s->given) >= s->n_ring)
            return false;
    } while (!atomic_compare_exchange_weak(&s->next, &at, at + 1));
    *ret = at;
    return true;
}

static int read_entry(Split *s, Lane *l, Batch *b, size_t k) {
    Entry *e = &b->entries[b->n++];
    column_clear(e->column);
    e->held = 0;
    int r = s->reader->read(l->state, k, &b->scope, e->column, &e->held);
    e->filled = r == 0 && column_count(e->column) > 0;
    e->stats = (StatsFrame){.total = l->stats.total, .read = l->stats.read};
    l->stats.total = l->stats.read = 0;
    if (l->ev.annotations.list.n) {
        e->notes = l->ev.annotations;
        l->ev.annotations = (Annotations){0};
    }
    return r;
}

static void fill_batch(Split *s, Lane *l, size_t at) {
    Batch *b = &s->ring[at % s->n_ring];
    size_t from = at * s->batch_series, to = MIN(from + s->batch_series, s->reader->n_series);
    b->n = 0;
    b->result = 0;
    b->scope.ev = &l->ev;
    scope_reset(&b->scope);
    for (size_t k = from; k < to && b->result == 0; k++)
        b->result = read_entry(s, l, b, k);
    if (b->result == 0)
        b->result = eval_check(&l->ev);
    if (b->result < 0 && l->ev.error) {
        b->error = l->ev.error;
        b->outcome = l->ev.outcome;
        l->ev.error = NULL;
    }
    atomic_store(&b->state, BATCH_DONE);
    if (atomic_load(&s->wants_done)) {
        pthread_mutex_lock(&s->mutex);
        pthread_cond_signal(&s->done);
        pthread_mutex_unlock(&s->mutex);
    }
}

static int give_entry(Split *s, size_t k, Entry *e) {
    Eval *ev = s->ev;
    uint64_t held = ev->samples_current;
    ev->stats->total += e->stats.total;
    ev->stats->read += e->stats.read;
    if (s->profile)
        s->profile->samples += e->stats.read;
    if (e->notes.list.n)
        annotations_move(&ev->annotations, &e->notes);
    if (eval_samples_add(ev, e->held) < 0)
        return -EINVAL;
    ev->samples_current = held;
    return e->filled ? s->reader->give(s->reader, k, e->column) : 0;
}

static int give_batch(Split *s, size_t at) {
    Batch *b = &s->ring[at % s->n_ring];
    int r = 0;
    for (size_t i = 0; i < b->n && r == 0; i++)
        r = i + 1 == b->n && b->result < 0
                ? b->result
                : give_entry(s, at * s->batch_series + i, &b->entries[i]);
    if (b->error && !s->ev->error) {
        s->ev->error = b->error;
        s->ev->outcome = b->outcome;
        b->error = NULL;
    }
    return b->result < 0 ? b->result : r;
}

/* ---- threads */

/* False when there is nothing more to do. */
static bool wait_for_room(Split *s) {
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        atomic_store(&s->wants_room, true); /* each time: who wakes us takes it back */
        if (atomic_load(&s->stop) || atomic_load(&s->next) >= s->n_batches ||
            atomic_load(&s->next) - atomic_load(&s->given) < s->n_ring)
            break;
        pthread_cond_wait(&s->room, &s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return !atomic_load(&s->stop) && atomic_load(&s->next) < s->n_batches;
}

static void help(void *arg) {
    Split *s = arg;
    Lane *l = &s->lanes[atomic_fetch_add(&s->lanes_taken, 1)];
    size_t at;
    do {
        while (!atomic_load(&s->stop) && claim(s, &at))
            fill_batch(s, l, at);
    } while (wait_for_room(s));
}

/* The own thread reads ahead as long as what it waits for is not there. */
static void wait_for_batch(Split *s, Batch *b) {
    size_t at;
    while (atomic_load(&b->state) != BATCH_DONE && claim(s, &at))
        fill_batch(s, &s->lanes[0], at);
    if (atomic_load(&b->state) == BATCH_DONE)
        return;
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->wants_done, true);
    while (atomic_load(&b->state) != BATCH_DONE)
        pthread_cond_wait(&s->done, &s->mutex);
    atomic_store(&s->wants_done, false);
    pthread_mutex_unlock(&s->mutex);
}

/* Helpers that wait are woken when half of the ring is free, not for every batch. */
static void make_room(Split *s, size_t given, bool all) {
    atomic_store(&s->given, given);
    if (!atomic_load(&s->wants_room) || (!all && atomic_load(&s->next) - given > s->n_ring / 2))
        return;
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->wants_room, false);
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->mutex);
}

static int give_all(Split *s) {
    int r = 0;
    for (size_t at = 0; at < s->n_batches && r == 0; at++) {
        Batch *b = &s->ring[at % s->n_ring];
        wait_for_batch(s, b);
        r = give_batch(s, at);
        atomic_store(&b->state, BATCH_FREE);
        make_room(s, at + 1, false);
    }
    atomic_store(&s->stop, true);
    make_room(s, atomic_load(&s->given), true);
    return r;
}

static int make_ring(Split *s) {
    s->ring = SCOPE_ZARRAY(&s->scope, Batch, s->n_ring);
    for (size_t i = 0; s->ring && i < s->n_ring; i++) {
        Batch *b = &s->ring[i];
        scope_init(&b->scope, s->ev);
        b->entries = SCOPE_ZARRAY(&s->scope, Entry, s->batch_series);
        for (size_t k = 0; k < s->batch_series; k++)
            if (!b->entries || !(b->entries[k].column = column_new(&s->scope, s->n_steps)))
                return -EINVAL;
    }
    return s->ring ? 0 : -EINVAL;
}

static void free_ring(Split *s) {
    for (size_t i = 0; s->ring && i < s->n_ring; i++) {
        Batch *b = &s->ring[i];
        b->scope.ev = s->ev;
        scope_deinit(&b->scope);
        mem_free(b->error);
        for (size_t k = 0; b->entries && k < s->batch_series; k++)
            annotations_deinit(&b->entries[k].notes);
    }
}

static int run_with_helpers(Split *s, unsigned helpers) {
    CrewCall call = {.run = help, .arg = s};
    unsigned n = helpers + 1;
    s->n_ring = MIN((size_t)n * BATCHES_A_LANE, s->n_batches);
    int r = make_ring(s);
    s->lanes = r == 0 ? SCOPE_ZARRAY(&s->scope, Lane, n) : NULL;
    for (unsigned i = 0; i < n && s->lanes && r == 0; i++)
        r = lane_open(&s->lanes[i], s);
    s->lanes_taken = 1; /* the first is the own thread's */
    if (s->lanes && r == 0) {
        crew_start(s->ev->crew, &call, helpers);
        r = give_all(s);
        crew_end(s->ev->crew, &call);
    } else {
        crew_give_back(s->ev->crew, helpers);
    }
    for (unsigned i = 0; s->lanes && i < n; i++)
        lane_close(&s->lanes[i]);
    free_ring(s);
    return s->lanes ? r : -EINVAL;
}

static int split_over(Eval *ev, SeriesReader *r, size_t n_steps, size_t batch, unsigned helpers) {
    Split s = {.ev = ev,
               .reader = r,
               .n_steps = n_steps,
               .profile = profile_of(ev, r->selector),
               .batch_series = batch,
               .n_batches = (r->n_series + batch - 1) / batch};
    scope_init(&s.scope, ev);
    pthread_mutex_init(&s.mutex, NULL);
    pthread_cond_init(&s.done, NULL);
    pthread_cond_init(&s.room, NULL);
    int e = run_with_helpers(&s, helpers);
    pthread_cond_destroy(&s.room);
    pthread_cond_destroy(&s.done);
    pthread_mutex_destroy(&s.mutex);
    scope_deinit(&s.scope);
    return e;
}

/* ---- one thread */

static int read_one(Eval *ev, SeriesReader *r, void *state, size_t k, Scope *scope, Column *c) {
    uint64_t in_memory = 0, held = ev->samples_current, read = ev->stats->read;
    scope_reset(scope);
    column_clear(c);
    if (r->read(state, k, scope, c, &in_memory) < 0 || eval_samples_add(ev, in_memory) < 0)
        return -EINVAL;
    NodeProfile *profile = profile_of(ev, r->selector);
    if (profile)
        profile->samples += ev->stats->read - read;
    ev->samples_current = held;
    return column_count(c) ? r->give(r, k, c) : 0;
}

static int read_all(Eval *ev, SeriesReader *r, size_t n_steps) {
    Scope scope, per_series;
    scope_init(&scope, ev);
    scope_init(&per_series, ev);
    Column *c = column_new(&scope, n_steps);
    void *state = c ? r->open(r, ev, &scope) : NULL;
    int e = state ? 0 : -EINVAL;
    for (size_t k = 0; k < r->n_series && e == 0; k++) {
        e = read_one(ev, r, state, k, &per_series, c);
        if (e == 0)
            e = eval_tick(ev, n_steps + r->samples_each);
    }
    if (state)
        r->close(state);
    scope_deinit(&per_series);
    scope_deinit(&scope);
    return e;
}

int split_series(Eval *ev, SeriesReader *r, size_t n_steps) {
    uint64_t each = r->samples_each + n_steps + SERIES_WORK;
    size_t batch = MIN((size_t)(BATCH_WORK / each), (size_t)BATCH_SERIES_MAX);
    batch = MIN(batch, BATCH_BYTES_MAX / (n_steps * 9));
    batch = MAX(MIN(batch, r->n_series / BATCHES_MIN), (size_t)1);
    unsigned helpers = 0;
    if (r->n_series > 1 && each * r->n_series >= ev->o->split_work_min)
        helpers = crew_reserve(ev->crew, LANES_MAX - 1);
    NodeProfile *profile = profile_of(ev, r->selector);
    if (profile) {
        profile->series = r->n_series;
        profile->threads = helpers + 1;
    }
    return helpers ? split_over(ev, r, n_steps, batch, helpers) : read_all(ev, r, n_steps);
}
