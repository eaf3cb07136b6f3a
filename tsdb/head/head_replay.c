/*
 * Replay into the head by several threads. The caller's thread reads the journal and makes series;
 * workers apply samples, each those of its own stripes of slots, so that a series' samples and its
 * predictor stay in order without a lock. Records pass through a ring; a worker leaves out the
 * records that have nothing for it: most hold the series of a few targets, which are neighbours.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tsdb/head/head_histogram.h"
#include "tsdb/head/head_late.h"
#include "tsdb/journal/journal_histogram.h"
#include "tsdb/journal/journal_late.h"
#include "tsdb/journal/journal_notes.h"

#define RING 256
#define WAKE_EVERY 8 /* records, so that a short one does not cost a call of the system */
#define WORKERS_MAX 16
/* Of the histograms of one record, decoded. */
#define HISTOGRAM_BYTES_MAX ((size_t)1 << 29)
/* A stripe is a page of predictors: a page is made by the worker that it belongs to. */
#define STRIPE_SLOTS JOURNAL_PAGE_SLOTS

typedef struct ReplayItem {
    uint8_t type;
    uint32_t workers; /* bits of those that it is for */
    Buf payload;
} ReplayItem;

typedef struct ReplayWorker {
    HeadReplay *replay;
    pthread_t thread;
    unsigned number;
    uint64_t taken; /* items done; guarded by the replay's lock */
    uint64_t unknown;
    int result;
} ReplayWorker;

struct HeadReplay {
    Head *head;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ReplayItem ring[RING];
    uint64_t put;   /* items that workers may take; guarded by the lock */
    uint64_t ready; /* and those that they will be told of */
    bool ended;
    unsigned n_workers;
    ReplayWorker workers[WORKERS_MAX];
    JournalPredictors predictors;
    VEC(uint32_t) pairs; /* of the head, held, by their number in the journal */
    VEC(uint32_t) slots_pairs;
    ZstdCodec *zstd;
    Buf scratch;
};

/* ---- workers */

static unsigned worker_of(const HeadReplay *r, uint32_t slot) {
    return slot / STRIPE_SLOTS % r->n_workers;
}

static void apply_sample(ReplayWorker *w, HeadCursor *c, uint32_t slot, int64_t t, double v) {
    Head *h = w->replay->head;
    HeadSeries *s = head_series(h, slot);
    if (!s) {
        w->unknown++;
        return;
    }
    (void)head_sample_add(h, s, c, t, v); /* refused then, refused now */
}

/* Also of samples that are in blocks the value must be known: the next one is told by it. */
static int apply_samples(ReplayWorker *w, Str payload) {
    HeadReplay *r = w->replay;
    int64_t min = atomic_load(&r->head->min_valid), t;
    JournalSamples it;
    HeadCursor c = {0};
    uint32_t slot;
    double v;
    int e = journal_samples_init(&it, payload);
    while (e == 0 && (e = journal_samples_next(&it, &slot, &t)) > 0) {
        if (worker_of(r, slot) != w->number) {
            e = journal_value_skip(&it.values, it.values_end) ? 0 : -EBADMSG;
            continue;
        }
        JournalPredictor *p = journal_predictor(&r->predictors, slot);
        e = journal_value_get(&it.values, it.values_end, p, &v) ? 0 : -EBADMSG;
        if (e == 0 && t >= min) {
            apply_sample(w, &c, slot, t, v);
        }
    }
    head_cursor_end(r->head, &c);
    return e;
}

static int apply_samples_1(ReplayWorker *w, uint8_t type, Str payload) {
    HeadReplay *r = w->replay;
    int64_t min = atomic_load(&r->head->min_valid);
    JournalSamples1 it;
    JournalSample sample;
    HeadCursor c = {0};
    int e = journal_samples_1_init(&it, type, payload);
    while (e == 0 && (e = journal_samples_1_next(&it, &sample)) > 0) {
        e = 0;
        if (worker_of(r, sample.slot) == w->number && sample.t >= min) {
            apply_sample(w, &c, sample.slot, sample.t, sample.v);
        }
    }
    head_cursor_end(r->head, &c);
    return e;
}

static int apply_histograms(ReplayWorker *w, Str payload) {
    Head *h = w->replay->head;
    int64_t min = atomic_load(&h->min_valid);
    Arena arena = ARENA_INIT(HISTOGRAM_BYTES_MAX);
    JournalHistograms it;
    JournalHistogram v;
    HeadCursor c = {0};
    int e = journal_histograms_init(&it, payload, &arena);
    while (e == 0 && (e = journal_histograms_next(&it, &v)) > 0) {
        e = 0;
        if (worker_of(w->replay, v.slot) != w->number || v.sample.t < min) {
            continue;
        }
        HeadSeries *s = head_series(h, v.slot);
        if (!s) {
            w->unknown++;
            continue;
        }
        (void)head_histogram_add(h, s, &c, &v.sample); /* refused then, refused now */
    }
    head_cursor_end(h, &c);
    arena_deinit(&arena);
    return e;
}

/* Also those before min_valid: marks tell which of them are in blocks. */
static int apply_late(ReplayWorker *w, Str payload) {
    Head *h = w->replay->head;
    JournalLate it;
    JournalSample v;
    int e = journal_late_init(&it, payload);
    while (e == 0 && (e = journal_late_next(&it, &v)) > 0) {
        e = 0;
        if (worker_of(w->replay, v.slot) != w->number) {
            continue;
        }
        if (head_series(h, v.slot)) {
            (void)head_late_add(h, &v, 1); /* what is there already stays */
        } else {
            w->unknown++;
        }
    }
    return e;
}

static int apply_item(ReplayWorker *w, const ReplayItem *item) {
    if (!(item->workers >> w->number & 1)) {
        return 0;
    }
    Str payload = buf_str(&item->payload);
    switch (item->type) {
    case JOURNAL_SAMPLES: return apply_samples(w, payload);
    case JOURNAL_HISTOGRAMS: return apply_histograms(w, payload);
    case JOURNAL_LATE: return apply_late(w, payload);
    default: return apply_samples_1(w, item->type, payload);
    }
}

/* From `from` to `to`; told to the reader in one go. */
static int apply_items(ReplayWorker *w, uint64_t from, uint64_t to) {
    int result = 0;
    for (uint64_t i = from; i < to; i++) {
        int e = apply_item(w, &w->replay->ring[i % RING]);
        result = e < 0 ? e : result;
    }
    return result;
}

static void *worker_run(void *arg) {
    ReplayWorker *w = arg;
    HeadReplay *r = w->replay;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (w->taken == r->put && !r->ended) {
            pthread_cond_wait(&r->changed, &r->lock);
        }
        if (w->taken == r->put) {
            break;
        }
        uint64_t from = w->taken, to = MIN(r->put, from + WAKE_EVERY);
        pthread_mutex_unlock(&r->lock);
        int e = apply_items(w, from, to);
        pthread_mutex_lock(&r->lock);
        w->result = e < 0 ? e : w->result;
        w->taken = to;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

HeadReplay *head_replay_begin(Head *h, unsigned threads) {
    HeadReplay *r = NEW(HeadReplay);
    r->head = h;
    r->n_workers = MAX(1u, MIN(threads, (unsigned)WORKERS_MAX));
    r->zstd = zstd_codec_new(0);
    journal_predictors_init(&r->predictors);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    for (unsigned i = 0; i < r->n_workers; i++) {
        r->workers[i] = (ReplayWorker){.replay = r, .number = i};
    }
    for (unsigned i = 0; i < r->n_workers; i++) {
        int e = pthread_create(&r->workers[i].thread, NULL, worker_run, &r->workers[i]);
        if (e != 0) {
            log_error("tsdb", "No thread for replay", L_ERR(-e));
            abort(); /* without threads nothing of this program can run */
        }
    }
    return r;
}

/* ---- the reader */

/* Of the slowest worker; the lock is held. */
static uint64_t done_by_all(const HeadReplay *r) {
    uint64_t n = UINT64_MAX;
    for (unsigned i = 0; i < r->n_workers; i++) {
        n = MIN(n, r->workers[i].taken);
    }
    return n;
}

/* The lock is held. */
static void publish(HeadReplay *r) {
    if (r->put < r->ready) {
        r->put = r->ready;
        pthread_cond_broadcast(&r->changed);
    }
}

static void wait_until_at_most(HeadReplay *r, uint64_t behind) {
    pthread_mutex_lock(&r->lock);
    while (r->ready - done_by_all(r) > behind) {
        publish(r);
        pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

static ReplayItem *next_item(HeadReplay *r) {
    if (r->ready % WAKE_EVERY == 0) {
        wait_until_at_most(r, RING - WAKE_EVERY);
    }
    return &r->ring[r->ready % RING];
}

static void put_item(HeadReplay *r) {
    r->ready++;
    if (r->ready % WAKE_EVERY == 0) {
        pthread_mutex_lock(&r->lock);
        publish(r);
        pthread_mutex_unlock(&r->lock);
    }
}

/* Plain, and the item's own: the segment's mapping goes before the worker comes. */
static int take_payload(HeadReplay *r, const JournalRecord *rec, ReplayItem *item) {
    Str payload;
    buf_reset(&item->payload);
    int e = journal_record_payload(rec, r->zstd, &item->payload, &payload);
    if (e == 0 && rec->compression == JOURNAL_PLAIN) {
        buf_add_str(&item->payload, payload);
    }
    item->type = rec->type;
    return e;
}

static uint32_t workers_for(const HeadReplay *r, uint32_t min, uint32_t max) {
    uint32_t bits = 0, first = min / STRIPE_SLOTS, last = max / STRIPE_SLOTS;
    for (uint32_t i = first; i <= last && i - first < r->n_workers; i++) {
        bits |= 1u << (i % r->n_workers);
    }
    return bits;
}

static int put_samples(HeadReplay *r, const JournalRecord *rec, int64_t *max_time) {
    ReplayItem *item = next_item(r);
    JournalSamples it;
    uint32_t min, max;
    int e = take_payload(r, rec, item);
    Str payload = buf_str(&item->payload);
    if (e < 0 || (e = journal_samples_init(&it, payload)) < 0 ||
        (e = journal_samples_slots(payload, &min, &max)) < 0) {
        return e;
    }
    item->workers = workers_for(r, min, max);
    *max_time = MAX(*max_time, it.max_time);
    put_item(r);
    return 0;
}

/* That the payload begins as it should, and its newest time. */
static int newest_time(uint8_t type, Str payload, int64_t *ret) {
    JournalSamples1 samples;
    JournalHistograms histograms;
    JournalLate late;
    int e;
    if (type == JOURNAL_LATE) {
        e = journal_late_init(&late, payload);
        *ret = late.max_time;
    } else if (type == JOURNAL_HISTOGRAMS) {
        e = journal_histograms_init(&histograms, payload, NULL);
        *ret = histograms.max_time;
    } else {
        e = journal_samples_1_init(&samples, type, payload);
        *ret = samples.max_time;
    }
    return e;
}

/* Kinds that do not tell for which slots they are without being decoded. */
static int put_for_all(HeadReplay *r, const JournalRecord *rec, int64_t *max_time) {
    ReplayItem *item = next_item(r);
    int64_t newest;
    int e = take_payload(r, rec, item);
    if (e < 0 || (e = newest_time(rec->type, buf_str(&item->payload), &newest)) < 0) {
        return e;
    }
    item->workers = UINT32_MAX;
    *max_time = MAX(*max_time, newest);
    put_item(r);
    return 0;
}

/* ---- series */

static void let_pairs_go(HeadReplay *r) {
    for (size_t i = 0; i < r->pairs.n; i++) {
        head_index_let_go(&r->head->index, r->pairs.v[i]);
    }
    r->pairs.n = 0;
}

void head_replay_begin_file(void *replay) {
    HeadReplay *r = replay;
    wait_until_at_most(r, 0);
    journal_predictors_reset(&r->predictors);
    let_pairs_go(r);
}

static int put_slot(HeadReplay *r, uint32_t slot, const uint32_t *pair, size_t n) {
    if (slot >= UINT32_MAX - 1 || n == 0) {
        return -EBADMSG;
    }
    HeadSeries *s = head_series_put(r->head, slot, pair, n);
    if (!s) {
        wait_until_at_most(r, 0);
        s = head_series_replace(r->head, slot, pair, n);
    }
    atomic_fetch_or(&s->flags, SERIES_LOGGED);
    return 0;
}

/* Numbers of the journal to pairs of the head. */
static int put_numbers(HeadReplay *r, uint32_t slot, const uint32_t *numbers, size_t n) {
    vec_reserve(&r->slots_pairs, n);
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] >= r->pairs.n) {
            return -EBADMSG;
        }
        r->slots_pairs.v[i] = r->pairs.v[numbers[i]];
    }
    return put_slot(r, slot, r->slots_pairs.v, n);
}

static int put_series(HeadReplay *r, Str payload) {
    JournalSeries it;
    Label pair;
    uint32_t slot;
    const uint32_t *numbers;
    size_t n;
    int e = journal_series_init(&it, payload);
    pthread_rwlock_wrlock(&r->head->index_lock);
    while (e == 0 && (e = journal_series_next_pair(&it, &pair)) > 0) {
        vec_push(&r->pairs, head_index_hold_pair(&r->head->index, pair));
        e = 0;
    }
    pthread_rwlock_unlock(&r->head->index_lock);
    while (e == 0 && (e = journal_series_next(&it, &slot, &numbers, &n)) > 0) {
        e = put_numbers(r, slot, numbers, n);
    }
    journal_series_deinit(&it);
    return e;
}

static int put_labels(HeadReplay *r, uint32_t slot, Labels l) {
    HeadIndex *x = &r->head->index;
    vec_reserve(&r->slots_pairs, l.n);
    pthread_rwlock_wrlock(&r->head->index_lock);
    for (size_t i = 0; i < l.n; i++) {
        r->slots_pairs.v[i] = head_index_hold_pair(x, l.v[i]);
    }
    pthread_rwlock_unlock(&r->head->index_lock);
    int e = put_slot(r, slot, r->slots_pairs.v, l.n);
    for (size_t i = 0; i < l.n; i++) {
        head_index_let_go(x, r->slots_pairs.v[i]);
    }
    return e;
}

static int put_series_1(HeadReplay *r, Str payload) {
    JournalSeries1 it = {0};
    uint32_t slot;
    Labels labels;
    int e = 0;
    journal_series_1_init(&it, payload);
    while (e == 0 && (e = journal_series_1_next(&it, &slot, &labels)) > 0) {
        e = put_labels(r, slot, labels);
    }
    journal_series_1_deinit(&it);
    return e;
}

/* ---- notes */

static int put_exemplars(HeadReplay *r, Str payload) {
    JournalNotes it = JOURNAL_NOTES(payload);
    JournalExemplar x;
    HeadLabelVec scratch = {0};
    int e;
    while ((e = journal_exemplars_next(&it, &x)) > 0) {
        if (head_series(r->head, x.slot)) { /* refused then, refused now */
            (void)exemplars_add(r->head->exemplars, head_series_labels(r->head, x.slot, &scratch),
                                &x.exemplar);
        }
    }
    vec_free(&scratch);
    journal_notes_deinit(&it);
    return e;
}

static int put_families(HeadReplay *r, Str payload) {
    JournalNotes it = JOURNAL_NOTES(payload);
    JournalFamily f;
    int e;
    while ((e = journal_families_next(&it, &f)) > 0) {
        families_put(r->head->families, f.name, &f.metadata);
    }
    journal_notes_deinit(&it);
    return e;
}

int head_replay_record(void *replay, const JournalRecord *rec, int64_t *max_time) {
    HeadReplay *r = replay;
    Str payload;
    int64_t mint;
    if (rec->reset) {
        head_replay_begin_file(r);
    }
    if (rec->type == JOURNAL_SAMPLES) {
        return put_samples(r, rec, max_time);
    }
    if (rec->type == JOURNAL_SAMPLES_1 || rec->type == JOURNAL_SAMPLES_TIMED_1 ||
        rec->type == JOURNAL_HISTOGRAMS || rec->type == JOURNAL_LATE) {
        return put_for_all(r, rec, max_time);
    }
    if (rec->type == JOURNAL_LATE_CUT || rec->type == JOURNAL_LATE_DONE) {
        wait_until_at_most(r, 0);
        head_late_replay_mark(r->head, rec->type == JOURNAL_LATE_DONE);
        return 0;
    }
    int e = journal_record_payload(rec, r->zstd, &r->scratch, &payload);
    if (e < 0) {
        return e;
    }
    if (rec->type == JOURNAL_SERIES) {
        return put_series(r, payload);
    }
    if (rec->type == JOURNAL_EXEMPLARS) {
        return put_exemplars(r, payload);
    }
    if (rec->type == JOURNAL_FAMILIES) {
        return put_families(r, payload);
    }
    if (rec->type == JOURNAL_SERIES_1) {
        return put_series_1(r, payload);
    }
    e = journal_base_decode(payload, &mint);
    if (e == 0) {
        head_raise(&r->head->min_valid, mint);
    }
    return e;
}

/* Of series that left before. The index lock is held for writing. */
static void find_free_slots(Head *h) {
    h->life++;
    for (uint32_t i = 0; i < atomic_load(&h->next_slot); i++) {
        if (!head_series(h, i)) {
            head_free_slot(h, i);
        }
    }
}

int head_replay_end(HeadReplay *r) {
    int result = 0;
    uint64_t unknown = 0;
    pthread_mutex_lock(&r->lock);
    publish(r);
    r->ended = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < r->n_workers; i++) {
        pthread_join(r->workers[i].thread, NULL);
        result = r->workers[i].result < 0 ? r->workers[i].result : result;
        unknown += r->workers[i].unknown;
    }
    head_late_unfreeze(r->head);
    if (unknown > 0) {
        log_warn("tsdb", "Journal holds samples of series it does not describe",
                 L_INT("samples", unknown));
    }
    for (unsigned i = 0; i < RING; i++) {
        buf_deinit(&r->ring[i].payload);
    }
    let_pairs_go(r);
    vec_free(&r->head->recovered);
    pthread_rwlock_wrlock(&r->head->index_lock);
    find_free_slots(r->head);
    head_index_tidy(&r->head->index);
    pthread_rwlock_unlock(&r->head->index_lock);
    vec_free(&r->pairs);
    vec_free(&r->slots_pairs);
    journal_predictors_deinit(&r->predictors);
    zstd_codec_free(r->zstd);
    buf_deinit(&r->scratch);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
    return result;
}
