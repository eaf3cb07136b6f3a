#include "tsdb/head/head_histogram.h"
#include "tsdb/head/head_late.h"

#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define FRESHEN_COMMITS (1u << 29)

/* ---- life */

static void lock_init(pthread_rwlock_t *l) {
    pthread_rwlockattr_t a;
    pthread_rwlockattr_init(&a);
    /* Commits and queries come without a pause: truncation and new series would never get in. */
    pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(l, &a);
    pthread_rwlockattr_destroy(&a);
}

static HeadMetrics *metrics_new(void) {
    HeadMetrics *m = NEW(HeadMetrics);
    m->series = metric_gauge("prometheus_tsdb_head_series",
                             "Total number of series in the head block.", NULL);
    m->chunks = metric_gauge("prometheus_tsdb_head_chunks",
                             "Total number of chunks in the head block.", NULL);
    m->created = metric_counter("prometheus_tsdb_head_series_created_total",
                                "Total number of series created in the head", NULL);
    m->removed = metric_counter("prometheus_tsdb_head_series_removed_total",
                                "Total number of series removed in the head", NULL);
    m->not_found = metric_counter("prometheus_tsdb_head_series_not_found_total",
                                  "Total number of requests for series that were not found.", NULL);
    m->appended = metric_counter("prometheus_tsdb_head_samples_appended_total",
                                 "Total number of appended samples.", "type=\"float\"");
    m->histograms_appended =
        metric_counter("prometheus_tsdb_head_samples_appended_total",
                       "Total number of appended samples.", "type=\"histogram\"");
    m->appenders = metric_counter("prometheus_tsdb_head_appenders_created_total",
                                  "Total number of appenders created.", NULL);
    m->active_appenders = metric_gauge("prometheus_tsdb_head_active_appenders",
                                       "Number of currently active appender transactions", NULL);
    m->min_time = metric_gauge("prometheus_tsdb_head_min_time",
                               "Minimum time bound of the head block, in milliseconds.", NULL);
    m->min_time_seconds = metric_gauge("prometheus_tsdb_head_min_time_seconds",
                                       "Minimum time bound of the head block.", NULL);
    m->max_time = metric_gauge("prometheus_tsdb_head_max_time",
                               "Maximum timestamp of the head block, in milliseconds.", NULL);
    m->max_time_seconds = metric_gauge("prometheus_tsdb_head_max_time_seconds",
                                       "Maximum timestamp of the head block.", NULL);
    m->truncations = metric_counter("prometheus_tsdb_head_truncations_total",
                                    "Total number of head truncations attempted.", NULL);
    m->gc_seconds =
        metric_summary("prometheus_tsdb_head_gc_duration_seconds",
                       "Runtime of garbage collection in the head block.", NULL, NULL, 0);
    m->out_of_order = metric_counter("prometheus_tsdb_out_of_order_samples_total",
                                     "Total number of out of order samples ingestion failed "
                                     "attempts due to out of order being disabled.",
                                     "type=\"float\"");
    m->histograms_out_of_order =
        metric_counter("prometheus_tsdb_out_of_order_samples_total",
                       "Total number of out of order samples ingestion failed attempts due to out "
                       "of order being disabled.",
                       "type=\"histogram\"");
    m->out_of_bound = metric_counter("prometheus_tsdb_out_of_bound_samples_total",
                                     "Total number of out of bound samples ingestion failed "
                                     "attempts with out of order support disabled.",
                                     "type=\"float\"");
    static const double deltas[] = {600, 1800, 3600, 7200, 10800, 21600, 43200};
    m->late_appended =
        metric_counter("prometheus_tsdb_head_out_of_order_samples_appended_total",
                       "Total number of appended out of order samples.", "type=\"float\"");
    m->too_old = metric_counter("prometheus_tsdb_too_old_samples_total",
                                "Total number of out of order samples ingestion failed attempts "
                                "with out of support enabled, but sample outside of time window.",
                                "type=\"float\"");
    m->late_delta = metric_histogram("prometheus_tsdb_sample_ooo_delta",
                                     "Delta in seconds by which a sample is considered out of "
                                     "order (reported regardless of OOO time window and whether "
                                     "sample is accepted or not).",
                                     NULL, deltas, 7);
    m->chunks_created = metric_counter("prometheus_tsdb_head_chunks_created_total",
                                       "Total number of chunks created in the head", NULL);
    m->chunks_removed = metric_counter("prometheus_tsdb_head_chunks_removed_total",
                                       "Total number of chunks removed in the head", NULL);
    m->chunk_bytes = metric_gauge("prometheus_tsdb_head_chunks_storage_size_bytes",
                                  "Size of the chunks_head directory.", NULL);
    return m;
}

static void set_gauges(void *arg) {
    Head *h = arg;
    HeadMetrics *m = h->metrics;
    int64_t min = atomic_load(&h->min_time), max = atomic_load(&h->max_time);
    metric_set(m->series, (double)atomic_load(&h->n_series));
    metric_set(m->chunks, (double)head_chunk_count(h));
    metric_set(m->min_time, (double)min);
    metric_set(m->min_time_seconds, (double)(min / 1000));
    metric_set(m->max_time, (double)max);
    metric_set(m->max_time_seconds, (double)(max / 1000));
    metric_set(m->chunks_created, (double)atomic_load(&h->chunks_created));
    metric_set(m->chunks_removed, (double)atomic_load(&h->chunks_removed));
    metric_set(m->chunk_bytes, (double)chunk_log_bytes(h->chunks));
}

int head_open(const HeadOptions *o, Head **ret) {
    Head *h = NEW(Head);
    int r = chunk_log_open(o->chunk_dir, &h->chunks);
    if (r < 0) {
        mem_free(h);
        return err_trace(r);
    }
    void *slabs = mmap(NULL, SLABS_MAX * sizeof(*h->slabs), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slabs == MAP_FAILED) {
        r = -errno;
        chunk_log_close(h->chunks);
        mem_free(h);
        return err_trace(r);
    }
    h->slabs = slabs;
    h->range_ms = o->range_ms;
    h->pool = byte_pool_new();
    head_index_init(&h->index, h->pool);
    lock_init(&h->index_lock);
    lock_init(&h->commit_lock);
    pthread_mutex_init(&h->pin_lock, NULL);
    atomic_init(&h->min_time, TIME_MAX_MS);
    atomic_init(&h->max_time, TIME_MIN_MS);
    atomic_init(&h->min_valid, INT64_MIN);
    atomic_init(&h->min_append, INT64_MIN);
    atomic_init(&h->truncated_at, INT64_MIN);
    atomic_init(&h->round, 1);
    head_late_init(h);
    head_isolation_init(&h->isolation);
    h->metrics = metrics_new();
    h->exemplars = exemplars_new();
    h->families = families_new();
    metrics_on_gather(set_gauges, h);
    *ret = h;
    return 0;
}

/* Open chunks of floats are the pool's, those of histograms are not. */
static void slab_free(HeadSlab *slab) {
    for (size_t i = 0; slab && i < SLAB_SERIES; i++) {
        if (atomic_load(&slab->series[i].flags) & SERIES_HISTOGRAM) {
            histogram_writer_free(slab->series[i].histograms);
        }
    }
    mem_free(slab);
}

void head_free(Head *h) {
    if (!h) {
        return;
    }
    vec_free(&h->recovered);
    metrics_off_gather(set_gauges, h);
    head_drop_appenders(h);
    head_late_deinit(h);
    head_isolation_deinit(&h->isolation);
    vec_free(&h->free_slots);
    head_index_deinit(&h->index);
    for (uint64_t i = 0; i * SLAB_SERIES < atomic_load(&h->next_slot); i++) {
        slab_free(atomic_load(&h->slabs[i]));
    }
    munmap(h->slabs, SLABS_MAX * sizeof(*h->slabs));
    byte_pool_free(h->pool);
    chunk_log_close(h->chunks);
    pthread_rwlock_destroy(&h->index_lock);
    pthread_rwlock_destroy(&h->commit_lock);
    pthread_mutex_destroy(&h->pin_lock);
    for (size_t i = 0; i < h->slab_graves.n; i++) {
        mem_free(h->slab_graves.v[i].slab);
    }
    vec_free(&h->slab_graves);
    vec_free(&h->graves);
    mem_free(h->metrics);
    exemplars_free(h->exemplars);
    families_free(h->families);
    mem_free(h);
}

void head_set_journal(Head *h, Journal *j) { h->journal = j; }

void head_set_min_valid(Head *h, int64_t t) {
    atomic_store(&h->min_valid, t);
    atomic_store(&h->truncated_at, t);
}

uint64_t head_chunk_count(Head *h) {
    return atomic_load(&h->chunks_created) - atomic_load(&h->chunks_removed);
}

/* ---- rounds */

void head_pin(Head *h, HeadPin *p, bool appender) {
    pthread_mutex_lock(&h->pin_lock);
    *p = (HeadPin){.next = h->pins,
                   .round = atomic_load(&h->round),
                   .view = atomic_load(&h->isolation.visible),
                   .appender = appender};
    if (h->pins) {
        h->pins->prev = p;
    }
    h->pins = p;
    pthread_mutex_unlock(&h->pin_lock);
}

void head_unpin(Head *h, HeadPin *p) {
    pthread_mutex_lock(&h->pin_lock);
    *(p->prev ? &p->prev->next : &h->pins) = p->next;
    if (p->next) {
        p->next->prev = p->prev;
    }
    pthread_mutex_unlock(&h->pin_lock);
}

/* Under the lock with which queriers take their view: one that comes now has a later one. */
HeadCommit head_begin_commit(Head *h) {
    pthread_mutex_lock(&h->pin_lock);
    uint32_t oldest = atomic_load(&h->isolation.visible);
    for (const HeadPin *p = h->pins; p; p = p->next) {
        if (!p->appender && commit_after(oldest, p->view)) {
            oldest = p->view;
        }
    }
    HeadCommit c = head_isolation_begin(&h->isolation, oldest);
    pthread_mutex_unlock(&h->pin_lock);
    return c;
}

/* Numbers of commits wrap: series that were not added to for long must not seem to be ahead. */
static void freshen_commits(Head *h) {
    uint32_t n = atomic_load(&h->next_slot), visible = atomic_load(&h->isolation.visible);
    if (!commit_after(visible, h->isolation.freshened + FRESHEN_COMMITS)) {
        return;
    }
    h->isolation.freshened = visible;
    for (uint32_t i = 0; i < n; i++) {
        HeadSeries *s = head_series(h, i);
        if (s) {
            spin_lock(&s->lock);
            if (commit_after(visible - FRESHEN_COMMITS, s->commit)) {
                s->commit = visible - FRESHEN_COMMITS;
            }
            spin_unlock(&s->lock);
        }
    }
}

void head_next_round(Head *h) {
    pthread_mutex_lock(&h->pin_lock);
    atomic_fetch_add(&h->round, 1);
    pthread_mutex_unlock(&h->pin_lock);
    freshen_commits(h);
}

void head_raise(_Atomic int64_t *max, int64_t t) {
    int64_t have = atomic_load_explicit(max, memory_order_relaxed);
    while (have < t && !atomic_compare_exchange_weak(max, &have, t)) {
    }
}

void head_lower(_Atomic int64_t *min, int64_t t) {
    int64_t have = atomic_load_explicit(min, memory_order_relaxed);
    while (have > t && !atomic_compare_exchange_weak(min, &have, t)) {
    }
}

/* ---- series */

static bool find_locked(Head *h, Labels l, uint32_t hash, uint32_t *ret) {
    const IdTable *t = &h->index.series_table;
    for (uint32_t at = id_table_start(t, hash); id_table_next(t, hash, &at, ret);) {
        if (head_index_same(&h->index, head_series_any(h, *ret)->labels, l)) {
            return true;
        }
    }
    return false;
}

/* The index lock is held for writing. Labels are still to be given. */
static HeadSeries *series_prepare(Head *h, uint32_t slot, uint32_t hash) {
    HeadSlab *slab = atomic_load(&h->slabs[slot / SLAB_SERIES]);
    if (!slab) {
        slab = NEW(HeadSlab);
        atomic_store(&h->slabs[slot / SLAB_SERIES], slab);
    }
    /* One with an old ref may be looking at the flags of the slot this moment. */
    HeadSeries *s = &slab->series[slot % SLAB_SERIES];
    atomic_store(&s->last, INT64_MIN);
    atomic_store(&s->touched, (unsigned)atomic_load(&h->round));
    s->open = (ChunkWriter){0};
    s->data = NULL;
    s->cap = 0;
    s->full = 0;
    s->hash = hash;
    s->slot = slot;
    s->life = h->life;
    s->commit = atomic_load(&h->isolation.visible);
    s->before = INT64_MIN;
    slab->used++;
    return s;
}

static void series_begin(Head *h, HeadSeries *s, uint32_t slot) {
    atomic_store_explicit(&s->flags, SERIES_LIVE, memory_order_release);
    if (slot >= atomic_load(&h->next_slot)) {
        atomic_store_explicit(&h->next_slot, slot + 1, memory_order_release);
    }
    atomic_fetch_add(&h->n_series, 1);
    metric_inc(h->metrics->created);
}

static HeadSeries *series_make(Head *h, uint32_t slot, uint32_t hash, Labels l) {
    HeadSeries *s = series_prepare(h, slot, hash);
    s->labels = head_index_add(&h->index, slot, hash, l);
    series_begin(h, s, slot);
    return s;
}

bool head_series_find(Head *h, Labels l, uint32_t *ret_slot) {
    pthread_rwlock_rdlock(&h->index_lock);
    bool found = find_locked(h, l, (uint32_t)labels_hash(l), ret_slot);
    pthread_rwlock_unlock(&h->index_lock);
    return found;
}

Labels head_series_labels(Head *h, uint32_t slot, HeadLabelVec *scratch) {
    pthread_rwlock_rdlock(&h->index_lock);
    const HeadLabels *l = head_series_any(h, slot)->labels;
    vec_reserve(scratch, l->n);
    Labels ret = head_index_labels(&h->index, l, scratch->v);
    pthread_rwlock_unlock(&h->index_lock);
    return ret;
}

/* The index lock is held for writing. The lowest of those that became free first, so that series of
 * a target are neighbours again. */
static bool take_slot(Head *h, uint32_t *ret) {
    if (h->free_at < h->free_slots.n) {
        *ret = h->free_slots.v[h->free_at++];
        return true;
    }
    *ret = atomic_load(&h->next_slot);
    return *ret < UINT32_MAX - 1;
}

void head_free_slot(Head *h, uint32_t slot) {
    if (h->free_at > 1024 && h->free_at * 2 > h->free_slots.n) {
        h->free_slots.n -= h->free_at;
        memmove(h->free_slots.v, h->free_slots.v + h->free_at,
                h->free_slots.n * sizeof(*h->free_slots.v));
        h->free_at = 0;
    }
    vec_push(&h->free_slots, slot);
}

HeadSeries *head_series_get(Head *h, Labels l, uint32_t *ret_slot, bool *ret_new) {
    uint32_t hash = (uint32_t)labels_hash(l);
    *ret_new = false;
    pthread_rwlock_rdlock(&h->index_lock);
    bool found = find_locked(h, l, hash, ret_slot);
    pthread_rwlock_unlock(&h->index_lock);
    if (found) {
        return head_series_any(h, *ret_slot);
    }
    pthread_rwlock_wrlock(&h->index_lock);
    HeadSeries *s = NULL;
    if (find_locked(h, l, hash, ret_slot)) {
        s = head_series_any(h, *ret_slot);
    } else if (take_slot(h, ret_slot)) {
        s = series_make(h, *ret_slot, hash, l);
        *ret_new = true;
    }
    pthread_rwlock_unlock(&h->index_lock);
    return s;
}

/* ---- series, from the journal */

static uint32_t hash_pairs(Head *h, const uint32_t *pair, size_t n) {
    Label few[64], *v = n <= ARRAY_LEN(few) ? few : NEW_ARRAY(Label, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = head_pair(&h->index, pair[i]);
    }
    uint32_t hash = (uint32_t)labels_hash((Labels){v, n});
    if (v != few) {
        mem_free(v);
    }
    return hash;
}

static bool find_pairs(Head *h, const uint32_t *pair, size_t n, uint32_t hash, uint32_t *ret) {
    const IdTable *t = &h->index.series_table;
    for (uint32_t at = id_table_start(t, hash); id_table_next(t, hash, &at, ret);) {
        if (head_index_same_pairs(head_series_any(h, *ret)->labels, pair, n)) {
            return true;
        }
    }
    return false;
}

static HeadSeries *series_make_pairs(Head *h, uint32_t slot, uint32_t hash, const uint32_t *pair,
                                     size_t n) {
    HeadSeries *s = series_prepare(h, slot, hash);
    s->labels = head_index_add_pairs(&h->index, slot, hash, pair, n);
    series_begin(h, s, slot);
    return s;
}

HeadSeries *head_series_put(Head *h, uint32_t slot, const uint32_t *pair, size_t n) {
    uint32_t hash = hash_pairs(h, pair, n), have;
    HeadSeries *s = NULL;
    pthread_rwlock_wrlock(&h->index_lock);
    if (find_pairs(h, pair, n, hash, &have)) {
        s = have == slot ? head_series_any(h, slot) : NULL;
    } else if (!head_series(h, slot)) {
        s = series_make_pairs(h, slot, hash, pair, n);
        head_series_recover(h, s);
    }
    pthread_rwlock_unlock(&h->index_lock);
    return s;
}

/* Out of the index, memory and all; nobody else is in the head. */
static void series_erase(Head *h, uint32_t slot) {
    HeadSeries *s = head_series_any(h, slot);
    HeadDead dead = {slot, s->hash, s->labels};
    head_index_remove(&h->index, &dead, 1);
    head_index_release(&h->index, s->labels);
    head_series_drop_open(h, s);
    s->labels = NULL;
    atomic_store(&s->flags, 0);
    atomic_load(&h->slabs[slot / SLAB_SERIES])->gone++;
    atomic_fetch_sub(&h->n_series, 1);
}

HeadSeries *head_series_replace(Head *h, uint32_t slot, const uint32_t *pair, size_t n) {
    uint32_t hash = hash_pairs(h, pair, n), from;
    HeadSeries old = {0};
    pthread_rwlock_wrlock(&h->index_lock);
    if (head_series(h, slot)) {
        series_erase(h, slot);
    }
    bool moved = find_pairs(h, pair, n, hash, &from);
    if (moved) {
        HeadSeries *s = head_series_any(h, from);
        old = *s;
        s->data = NULL;
        atomic_fetch_and(&s->flags, (unsigned char)~SERIES_HISTOGRAM);
        series_erase(h, from);
    }
    HeadSeries *s = series_make_pairs(h, slot, hash, pair, n);
    if (moved) {
        atomic_store(&s->last, atomic_load(&old.last));
        atomic_fetch_or(&s->flags, old.flags & (SERIES_HISTOGRAM | SERIES_FLOAT_COUNTS));
        s->open = old.open;
        s->data = old.data;
        s->cap = old.cap;
        s->full = old.full;
        head_late_move(h, from, slot);
    }
    head_series_recover(h, s);
    pthread_rwlock_unlock(&h->index_lock);
    return s;
}
