/* What leaves the head: samples that are in blocks, series that have no more, memory after them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/head/head_histogram.h"
#include "tsdb/head/head_late.h"
#include "tsdb/journal/journal_notes.h"

#define CHECKPOINT_PART_SERIES 10000
#define APPENDER_WAIT_MS 5000

static int64_t series_oldest(Head *h, HeadSeries *s, int64_t mint) {
    ChunkLogEntry e;
    spin_lock(&s->lock);
    int64_t oldest = s->open.n > 0 && s->open.t >= mint ? MAX(s->open.min_time, mint) : INT64_MAX;
    ChunkLogRef ref = s->full;
    spin_unlock(&s->lock);
    for (; chunk_log_entry(h->chunks, ref, &e) && e.max_time >= mint; ref = e.previous) {
        oldest = MIN(oldest, MAX(e.min_time, mint));
    }
    return oldest;
}

int64_t head_oldest_time(Head *h) {
    int64_t oldest = INT64_MAX, mint = atomic_load(&h->truncated_at);
    uint32_t n = atomic_load(&h->next_slot);
    for (uint32_t i = 0; i < n; i++) {
        HeadSeries *s = atomic_load(&h->slabs[i / SLAB_SERIES]) ? head_series(h, i) : NULL;
        if (s) {
            oldest = MIN(oldest, series_oldest(h, s, mint));
        }
    }
    return oldest;
}

int64_t head_spill(Head *h, int64_t before) {
    int64_t oldest = INT64_MAX;
    uint32_t n = atomic_load(&h->next_slot);
    for (uint32_t i = 0; i < n; i++) {
        HeadSeries *s = atomic_load(&h->slabs[i / SLAB_SERIES]) ? head_series(h, i) : NULL;
        if (!s) {
            continue;
        }
        spin_lock(&s->lock);
        if (s->open.n > 0 && s->open.min_time < before) {
            head_series_spill(h, s);
        } else if (s->open.n > 0) {
            oldest = MIN(oldest, s->open.min_time);
        }
        spin_unlock(&s->lock);
    }
    return oldest;
}

void head_wait_for_commits(Head *h) {
    pthread_rwlock_wrlock(&h->commit_lock);
    pthread_rwlock_unlock(&h->commit_lock);
}

int64_t head_series_end(Head *h, uint64_t handle) {
    int64_t late = head_late_end(h, (uint32_t)handle);
    return MAX(late, atomic_load(&head_series_any(h, handle)->last));
}

int64_t head_lower_bound(Head *h) {
    int64_t min, max, truncated_at = atomic_load(&h->truncated_at);
    head_late_range(h, &min, &max);
    return MIN(min, truncated_at);
}

/* The oldest round of appenders or of queriers; UINT64_MAX = none. */
static uint64_t oldest_pin(Head *h, bool appender) {
    uint64_t round = UINT64_MAX;
    pthread_mutex_lock(&h->pin_lock);
    for (HeadPin *p = h->pins; p; p = p->next) {
        if (p->appender == appender) {
            round = MIN(round, p->round);
        }
    }
    pthread_mutex_unlock(&h->pin_lock);
    return round;
}

/* Transactions that took samples under the old bound end within moments; one that does not cannot
 * hold up the head for ever. */
static void wait_for_appenders(Head *h, uint64_t round) {
    for (int ms = 0; ms < APPENDER_WAIT_MS && oldest_pin(h, true) <= round; ms++) {
        usleep(1000);
    }
}

void head_raise_min_valid(Head *h, int64_t mint) {
    head_raise(&h->min_append, mint);
    uint64_t round = atomic_load(&h->round);
    head_next_round(h);
    wait_for_appenders(h, round);
    pthread_rwlock_wrlock(&h->commit_lock);
    head_raise(&h->min_valid, mint);
    pthread_rwlock_unlock(&h->commit_lock);
}

void head_truncate(Head *h, int64_t mint) {
    metric_inc(h->metrics->truncations);
    pthread_rwlock_wrlock(&h->commit_lock);
    head_raise(&h->min_valid, mint);
    head_raise(&h->truncated_at, mint);
    if (atomic_load(&h->max_time) < mint) {
        atomic_store(&h->min_time, TIME_MAX_MS);
        atomic_store(&h->max_time, TIME_MIN_MS);
    } else {
        head_raise(&h->min_time, mint);
    }
    pthread_rwlock_unlock(&h->commit_lock);
    pthread_mutex_lock(&h->pin_lock);
    h->truncate_round = atomic_fetch_add(&h->round, 1);
    pthread_mutex_unlock(&h->pin_lock);
}

static bool is_idle(const HeadSeries *s, int64_t mint, uint64_t round) {
    return atomic_load(&s->last) < mint && atomic_load(&s->touched) < round &&
           !(atomic_load(&s->flags) & SERIES_LATE);
}

/* Slots worth a second look, without holding up anybody. */
static void find_idle(Head *h, int64_t mint, uint64_t round, Ids *ret) {
    uint32_t n = atomic_load(&h->next_slot);
    for (uint32_t i = 0; i < n; i++) {
        if (i % SLAB_SERIES == 0 && !atomic_load(&h->slabs[i / SLAB_SERIES])) {
            i += SLAB_SERIES - 1;
            continue;
        }
        const HeadSeries *s = head_series(h, i);
        if (s && is_idle(s, mint, round)) {
            vec_push(ret, i);
        }
    }
}

/* From now on no appender can take it: series_touch() looks at the flag under the same lock. */
static bool series_retire(HeadSeries *s, int64_t mint, uint64_t round) {
    spin_lock(&s->lock);
    bool idle = is_idle(s, mint, round);
    if (idle) {
        atomic_fetch_or(&s->flags, SERIES_GONE);
    }
    spin_unlock(&s->lock);
    return idle;
}

static void retire_idle(Head *h, int64_t mint, uint64_t round) {
    Ids idle = {0};
    VEC(HeadDead) dead = {0};
    find_idle(h, mint, round, &idle);
    pthread_rwlock_wrlock(&h->index_lock);
    for (size_t i = 0; i < idle.n; i++) {
        HeadSeries *s = head_series_any(h, idle.v[i]);
        if (series_retire(s, mint, round)) {
            vec_push(&dead, (HeadDead){idle.v[i], s->hash, s->labels});
            vec_push(&h->graves, (struct HeadGrave){idle.v[i], round});
        }
    }
    head_index_remove(&h->index, dead.v, dead.n);
    pthread_rwlock_unlock(&h->index_lock);
    atomic_fetch_sub(&h->n_series, dead.n);
    metric_add(h->metrics->removed, (double)dead.n);
    vec_free(&dead);
    vec_free(&idle);
}

/* The index lock is held for writing. */
static void series_release(Head *h, uint32_t slot, uint64_t round) {
    HeadSeries *s = head_series_any(h, slot);
    HeadSlab *slab = atomic_load(&h->slabs[slot / SLAB_SERIES]);
    if (s->open.n > 0) {
        atomic_fetch_add(&h->chunks_removed, 1);
    }
    head_series_drop_open(h, s);
    head_index_release(&h->index, s->labels);
    s->labels = NULL;
    atomic_store(&s->flags, 0);
    uint64_t slab_end = (uint64_t)(slot / SLAB_SERIES + 1) * SLAB_SERIES;
    if (++slab->gone == slab->used && atomic_load(&h->next_slot) >= slab_end) {
        /* An appender with an old ref may be looking at it this moment. */
        atomic_store(&h->slabs[slot / SLAB_SERIES], NULL);
        vec_push(&h->slab_graves, (struct HeadSlabGrave){slab, round});
    }
}

/* Frees what left in rounds that nobody remembers. */
static void release_graves(Head *h) {
    uint64_t oldest = MIN(oldest_pin(h, true), oldest_pin(h, false)), now = atomic_load(&h->round);
    size_t kept = 0, n = 0;
    for (size_t i = 0; i < h->slab_graves.n; i++) {
        if (h->slab_graves.v[i].round < oldest) {
            mem_free(h->slab_graves.v[i].slab);
        } else {
            h->slab_graves.v[kept++] = h->slab_graves.v[i];
        }
    }
    h->slab_graves.n = kept;
    while (n < h->graves.n && h->graves.v[n].round < oldest) {
        n++;
    }
    if (n == 0) {
        return;
    }
    pthread_rwlock_wrlock(&h->index_lock);
    h->life++;
    for (size_t i = 0; i < n; i++) {
        series_release(h, h->graves.v[i].slot, now);
        head_free_slot(h, h->graves.v[i].slot);
    }
    head_index_tidy(&h->index);
    pthread_rwlock_unlock(&h->index_lock);
    memmove(h->graves.v, h->graves.v + n, (h->graves.n - n) * sizeof(*h->graves.v));
    h->graves.n -= n;
}

/* Commits that have a place in an old file but have not filled it would be writing to nothing. */
static void trim_chunks(Head *h, int64_t mint) {
    pthread_rwlock_wrlock(&h->commit_lock);
    uint64_t before = chunk_log_chunks(h->chunks);
    chunk_log_trim(h->chunks, mint);
    atomic_fetch_add(&h->chunks_removed, before - chunk_log_chunks(h->chunks));
    pthread_rwlock_unlock(&h->commit_lock);
}

bool head_collect(Head *h) {
    int64_t mint = atomic_load(&h->truncated_at), start = clock_mono_ns();
    if (mint == INT64_MIN) {
        return true;
    }
    if (oldest_pin(h, false) <= h->truncate_round) {
        release_graves(h);
        return false;
    }
    head_next_round(h);
    uint64_t round = MIN(oldest_pin(h, true), atomic_load(&h->round));
    retire_idle(h, mint, round);
    trim_chunks(h, mint);
    head_next_round(h);
    release_graves(h);
    metric_observe(h->metrics->gc_seconds, (double)(clock_mono_ns() - start) / 1e9);
    return true;
}

/* As head_put_series(), with numbers of its own: the journal's writer goes on meanwhile. Pairs do
 * not leave the index before the checkpoint is done, since that is maintenance too. */
static void put_checkpoint_series(HeadCheckpoint *c, JournalEncoder *e, const HeadLabels *l,
                                  Buf *out) {
    vec_reserve(&e->numbers, l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t pair = l->pair[i];
        vec_reserve(&c->numbers, pair + 1);
        while (c->numbers.n <= pair) {
            c->numbers.v[c->numbers.n++] = 0;
        }
        if (c->numbers.v[pair] == 0) {
            c->numbers.v[pair] = journal_series_pair(e, head_pair(&c->head->index, pair)) + 1;
        }
        e->numbers.v[i] = c->numbers.v[pair] - 1;
    }
    journal_series_add(e, c->slot, e->numbers.v, l->n, out);
}

/* Exemplars of series that are still here, and all metadata. */
static void put_checkpoint_notes(Head *h, JournalEncoder *e, Buf *out) {
    Arena a = {0};
    SeriesExemplarsVec rows = {0};
    VEC(JournalExemplar) exemplars = {0};
    VEC(JournalFamily) families = {0};
    Family *family;
    size_t n;
    uint32_t slot;
    (void)exemplars_all(h->exemplars, &a, &rows); /* an arena without a ceiling refuses nothing */
    for (size_t i = 0; i < rows.n; i++) {
        if (head_series_find(h, rows.v[i].labels, &slot)) {
            vec_push(&exemplars, (JournalExemplar){slot, rows.v[i].v[0]});
        }
    }
    (void)families_list(h->families, STR_NULL, &a, &family, &n);
    for (size_t i = 0; i < n; i++) {
        vec_push(&families, (JournalFamily){family[i].name, family[i].metadata});
    }
    journal_put_exemplars(e, out, exemplars.v, exemplars.n);
    journal_put_families(e, out, families.v, families.n);
    vec_free(&exemplars);
    vec_free(&families);
    vec_free(&rows);
    arena_deinit(&a);
}

bool head_checkpoint_fill(void *checkpoint, JournalEncoder *e, Buf *out) {
    HeadCheckpoint *c = checkpoint;
    Head *h = c->head;
    uint32_t n = atomic_load(&h->next_slot);
    journal_series_begin(e);
    pthread_rwlock_rdlock(&h->index_lock);
    for (unsigned count = 0; c->slot < n && count < CHECKPOINT_PART_SERIES; c->slot++) {
        const HeadSeries *s = head_series(h, c->slot);
        if (s) {
            put_checkpoint_series(c, e, s->labels, out);
            count++;
        }
    }
    pthread_rwlock_unlock(&h->index_lock);
    journal_series_end(e, out);
    if (c->slot >= n && !c->noted) {
        put_checkpoint_notes(h, e, out);
        c->noted = true;
    }
    return c->slot < n;
}

void head_checkpoint_deinit(HeadCheckpoint *c) { vec_free(&c->numbers); }

/* ---- cardinality */

/* The largest so far, largest first, at most limit. */
static void top_add(TsdbCount *top, size_t *n, size_t limit, Str name, uint64_t value) {
    size_t at = *n < limit ? (*n)++ : limit;
    if (at == limit && (limit == 0 || top[limit - 1].value >= value)) {
        return;
    }
    at = MIN(at, limit - 1);
    while (at > 0 && (top[at - 1].value < value)) {
        top[at] = top[at - 1];
        at--;
    }
    top[at] = (TsdbCount){name, value};
}

static void count_name(const HeadIndex *x, const HeadName *hn, size_t limit, TsdbCardinality *c) {
    Str name = head_symbol(x, hn->symbol);
    bool metric = str_eq(name, LABEL_NAME);
    uint64_t values = 0, bytes = 0;
    for (size_t i = 0; i < hn->pairs.n; i++) {
        const HeadPair *p = &x->pairs.v[hn->pairs.v[i]];
        if (p->postings.n == 0) {
            continue;
        }
        Str value = head_symbol(x, p->value);
        values++;
        bytes += value.n * p->postings.n;
        if (metric) {
            top_add(c->series_by_metric, &c->n_series_by_metric, limit, value, p->postings.n);
        }
        /* The pair's id for now: its text is made for those that stay. */
        top_add(c->series_by_pair, &c->n_series_by_pair, limit, (Str){NULL, hn->pairs.v[i]},
                p->postings.n);
    }
    if (values > 0) {
        top_add(c->values_by_label, &c->n_values_by_label, limit, name, values);
        top_add(c->bytes_by_label, &c->n_bytes_by_label, limit, name, bytes);
    }
}

static void own_names(Arena *a, TsdbCount *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        v[i].name = arena_str(a, v[i].name);
    }
}

int head_cardinality(Head *h, size_t limit, Arena *a, TsdbCardinality *ret) {
    TsdbCardinality c = {0};
    size_t room = limit ? limit : 1;
    c.series_by_metric = ARENA_ARRAY(a, TsdbCount, room);
    c.values_by_label = ARENA_ARRAY(a, TsdbCount, room);
    c.bytes_by_label = ARENA_ARRAY(a, TsdbCount, room);
    c.series_by_pair = ARENA_ARRAY(a, TsdbCount, room);
    if (a->failed) {
        return err_trace(-ENOMEM);
    }
    const HeadIndex *x = &h->index;
    pthread_rwlock_rdlock(&h->index_lock);
    for (size_t i = 0; i < x->names.n; i++) {
        count_name(x, &x->names.v[i], limit, &c);
    }
    own_names(a, c.series_by_metric, c.n_series_by_metric);
    own_names(a, c.values_by_label, c.n_values_by_label);
    own_names(a, c.bytes_by_label, c.n_bytes_by_label);
    for (size_t i = 0; i < c.n_series_by_pair; i++) {
        Label l = head_pair(x, (uint32_t)c.series_by_pair[i].name.n);
        c.series_by_pair[i].name = arena_printf(a, "%.*s=%.*s", SA(l.name), SA(l.value));
    }
    pthread_rwlock_unlock(&h->index_lock);
    if (a->failed) {
        return err_trace(-ENOMEM);
    }
    *ret = c;
    return 0;
}
