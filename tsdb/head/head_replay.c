/*
 * Replay into the head by several threads. The caller's thread reads the journal and makes series;
 * each worker decodes every record of samples and takes those of its own slots, so that a series'
 * samples stay in order without a lock. Records pass through a ring.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tsdb/head/head_histogram.h"
#include "tsdb/journal/journal_histogram.h"

#define RING 64
#define WORKERS_MAX 16
/* Of the histograms of one record, decoded. */
#define HISTOGRAM_BYTES_MAX ((size_t)1 << 29)

typedef struct ReplayItem {
    uint8_t type;
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
    uint64_t put;
    bool ended;
    unsigned n_workers;
    ReplayWorker workers[WORKERS_MAX];
    Buf scratch;
};

/* Neighbouring series share cache lines: they go to the same worker. */
static bool is_mine(const ReplayWorker *w, uint32_t slot) {
    return slot / 8 % w->replay->n_workers == w->number;
}

static int apply_histograms(ReplayWorker *w, const ReplayItem *item) {
    Head *h = w->replay->head;
    int64_t min = atomic_load(&h->min_valid);
    Arena arena = ARENA_INIT(HISTOGRAM_BYTES_MAX);
    JournalHistograms it;
    JournalHistogram v;
    HeadCursor c = {0};
    int r = journal_histograms_init(&it, buf_str(&item->payload), &arena);
    while (r == 0 && (r = journal_histograms_next(&it, &v)) > 0) {
        r = 0;
        if (!is_mine(w, v.slot) || v.sample.t < min) {
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
    return r;
}

static int apply_record(ReplayWorker *w, const ReplayItem *item) {
    if (item->type == JOURNAL_HISTOGRAMS) {
        return apply_histograms(w, item);
    }
    Head *h = w->replay->head;
    int64_t min = atomic_load(&h->min_valid);
    JournalSamples it;
    JournalSample sample;
    HeadCursor c = {0};
    int r = journal_samples_init(&it, item->type, buf_str(&item->payload));
    while (r == 0 && (r = journal_samples_next(&it, &sample)) > 0) {
        r = 0;
        if (!is_mine(w, sample.slot) || sample.t < min) {
            continue;
        }
        HeadSeries *s = head_series(h, sample.slot);
        if (!s) {
            w->unknown++;
            continue;
        }
        (void)head_sample_add(h, s, &c, sample.t, sample.v); /* refused then, refused now */
    }
    head_cursor_end(h, &c);
    return r;
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
        const ReplayItem *item = &r->ring[w->taken % RING];
        pthread_mutex_unlock(&r->lock);
        int e = apply_record(w, item);
        pthread_mutex_lock(&r->lock);
        w->result = e < 0 ? e : w->result;
        w->taken++;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

HeadReplay *head_replay_begin(Head *h, unsigned threads) {
    HeadReplay *r = NEW(HeadReplay);
    r->head = h;
    r->n_workers = MAX(1u, MIN(threads, (unsigned)WORKERS_MAX));
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

/* Of the slowest worker; the lock is held. */
static uint64_t done_by_all(const HeadReplay *r) {
    uint64_t n = UINT64_MAX;
    for (unsigned i = 0; i < r->n_workers; i++) {
        n = MIN(n, r->workers[i].taken);
    }
    return n;
}

static void wait_until_at_most(HeadReplay *r, uint64_t behind) {
    pthread_mutex_lock(&r->lock);
    while (r->put - done_by_all(r) > behind) {
        pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

/* That the payload begins as it should, and its newest time. */
static int newest_time(uint8_t type, Str payload, int64_t *ret) {
    JournalSamples samples;
    JournalHistograms histograms;
    int e;
    if (type == JOURNAL_HISTOGRAMS) {
        e = journal_histograms_init(&histograms, payload, NULL);
        *ret = histograms.max_time;
    } else {
        e = journal_samples_init(&samples, type, payload);
        *ret = samples.max_time;
    }
    return e;
}

static int put_samples(HeadReplay *r, const JournalRecord *rec, int64_t *max_time) {
    wait_until_at_most(r, RING - 1);
    ReplayItem *item = &r->ring[r->put % RING];
    Str payload;
    buf_reset(&item->payload);
    int e = journal_record_payload(rec, &item->payload, &payload);
    int64_t newest;
    if (e < 0 || (e = newest_time(rec->type, payload, &newest)) < 0) {
        return e;
    }
    if (!rec->compressed) {
        buf_add_str(&item->payload,
                    payload); /* the segment's mapping goes before the worker comes */
    }
    item->type = rec->type;
    *max_time = MAX(*max_time, newest);
    pthread_mutex_lock(&r->lock);
    r->put++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return 0;
}

static int put_series(HeadReplay *r, Str payload) {
    JournalSeries it = {0};
    uint32_t slot;
    Labels labels;
    int e;
    journal_series_init(&it, payload);
    while ((e = journal_series_next(&it, &slot, &labels)) > 0) {
        HeadSeries *s = head_series_put(r->head, slot, labels);
        if (!s) {
            /* It left the head and came again: its earlier samples go with the new slot. */
            wait_until_at_most(r, 0);
            e = head_series_move(r->head, slot, labels);
            if (e < 0) {
                break;
            }
            s = head_series(r->head, slot);
        }
        atomic_fetch_or(&s->flags, SERIES_LOGGED);
    }
    journal_series_deinit(&it);
    return e;
}

int head_replay_record(void *replay, const JournalRecord *rec, int64_t *max_time) {
    HeadReplay *r = replay;
    if (rec->type == JOURNAL_SAMPLES || rec->type == JOURNAL_SAMPLES_TIMED ||
        rec->type == JOURNAL_HISTOGRAMS) {
        return put_samples(r, rec, max_time);
    }
    Str payload;
    int e = journal_record_payload(rec, &r->scratch, &payload);
    if (e < 0) {
        return e;
    }
    if (rec->type == JOURNAL_SERIES) {
        return put_series(r, payload);
    }
    int64_t mint;
    e = journal_base_decode(payload, &mint);
    if (e == 0) {
        head_raise(&r->head->min_valid, mint);
    }
    return e;
}

int head_replay_end(HeadReplay *r) {
    int result = 0;
    uint64_t unknown = 0;
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < r->n_workers; i++) {
        pthread_join(r->workers[i].thread, NULL);
        result = r->workers[i].result < 0 ? r->workers[i].result : result;
        unknown += r->workers[i].unknown;
    }
    if (unknown > 0) {
        log_warn("tsdb", "Journal holds samples of series it does not describe",
                 L_INT("samples", unknown));
    }
    for (unsigned i = 0; i < RING; i++) {
        buf_deinit(&r->ring[i].payload);
    }
    buf_deinit(&r->scratch);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
    return result;
}
