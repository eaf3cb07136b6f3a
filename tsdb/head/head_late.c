#include "tsdb/head/head_late.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "tsdb/journal/journal_late.h"

/* As Prometheus: so many samples of a series wait for their order. */
#define BUFFER_SAMPLES 32

typedef struct LateChunk {
    Chunk chunk; /* data follow */
    uint8_t data[];
} LateChunk;

typedef struct LateSeries {
    uint32_t slot;
    uint16_t n;                       /* in the buffer */
    LatePoint buffer[BUFFER_SAMPLES]; /* by time */
    VEC(LateChunk *) chunks;          /* in the order they were filled */
} LateSeries;

struct LateStore {
    atomic_uint refs;
    pthread_mutex_t lock;
    U64Map by_slot;
    VEC(LateSeries *) series;
    int64_t min, max;
    uint64_t samples;
};

/* ---- a store */

static LateStore *store_new(void) {
    LateStore *s = NEW(LateStore);
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->min = TIME_MAX_MS;
    s->max = TIME_MIN_MS;
    return s;
}

static LateStore *store_ref(LateStore *s) {
    if (s) {
        atomic_fetch_add(&s->refs, 1);
    }
    return s;
}

void late_store_unref(LateStore *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < s->series.n; i++) {
        LateSeries *x = s->series.v[i];
        for (size_t k = 0; k < x->chunks.n; k++) {
            mem_free(x->chunks.v[k]);
        }
        vec_free(&x->chunks);
        mem_free(x);
    }
    vec_free(&s->series);
    u64_map_deinit(&s->by_slot);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static LateSeries *series_find(const LateStore *s, uint32_t slot) {
    uint64_t i;
    return u64_map_get(&s->by_slot, slot, &i) ? s->series.v[i] : NULL;
}

static LateSeries *series_make(LateStore *s, uint32_t slot) {
    LateSeries *x = NEW(LateSeries);
    x->slot = slot;
    u64_map_put(&s->by_slot, slot, s->series.n);
    vec_push(&s->series, x);
    return x;
}

/* The buffer becomes a chunk. */
static void series_spill(LateSeries *x) {
    uint8_t data[(BUFFER_SAMPLES + 1) * CHUNK_APPEND_ROOM];
    ChunkWriter w = {0};
    for (uint16_t i = 0; i < x->n; i++) {
        chunk_append(&w, data, x->buffer[i].t, x->buffer[i].v);
    }
    Chunk c = chunk_writer_view(&w, data);
    LateChunk *made = mem_alloc(sizeof(*made) + c.size);
    memcpy(made->data, data, c.size);
    made->chunk = c;
    made->chunk.data = made->data;
    vec_push(&x->chunks, made);
    x->n = 0;
}

static bool series_add(LateSeries *x, int64_t t, double v) {
    uint16_t at = x->n;
    while (at > 0 && x->buffer[at - 1].t > t) {
        at--;
    }
    if (at > 0 && x->buffer[at - 1].t == t) {
        return false;
    }
    memmove(&x->buffer[at + 1], &x->buffer[at], (x->n - at) * sizeof(x->buffer[0]));
    x->buffer[at] = (LatePoint){t, v};
    if (++x->n == BUFFER_SAMPLES) {
        series_spill(x);
    }
    return true;
}

/* The store's lock is held. */
static bool store_add(LateStore *s, const JournalSample *v) {
    LateSeries *x = series_find(s, v->slot);
    if (!series_add(x ? x : series_make(s, v->slot), v->t, v->v)) {
        return false;
    }
    s->samples++;
    s->min = MIN(s->min, v->t);
    s->max = MAX(s->max, v->t);
    return true;
}

static int read_chunk(const LateChunk *c, int64_t mint, int64_t maxt, LatePoints *ret) {
    int64_t t[BUFFER_SAMPLES];
    double v[BUFFER_SAMPLES];
    int r = chunk_decode(&c->chunk, t, v);
    for (uint32_t i = 0; r == 0 && i < c->chunk.n; i++) {
        if (t[i] >= mint && t[i] <= maxt) {
            vec_push(ret, (LatePoint){t[i], v[i]});
        }
    }
    return r;
}

static int series_read(const LateSeries *x, int64_t mint, int64_t maxt, LatePoints *ret) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < x->chunks.n; i++) {
        const Chunk *c = &x->chunks.v[i]->chunk;
        if (c->min_time <= maxt && c->max_time >= mint) {
            r = read_chunk(x->chunks.v[i], mint, maxt, ret);
        }
    }
    for (uint16_t i = 0; i < x->n; i++) {
        if (x->buffer[i].t >= mint && x->buffer[i].t <= maxt) {
            vec_push(ret, x->buffer[i]);
        }
    }
    return r;
}

int late_store_read(LateStore *s, uint32_t slot, int64_t mint, int64_t maxt, LatePoints *ret) {
    pthread_mutex_lock(&s->lock);
    const LateSeries *x = series_find(s, slot);
    int r = x ? series_read(x, mint, maxt, ret) : 0;
    pthread_mutex_unlock(&s->lock);
    return r;
}

static bool series_reaches(const LateSeries *x, int64_t mint, int64_t maxt) {
    for (size_t i = 0; i < x->chunks.n; i++) {
        const Chunk *c = &x->chunks.v[i]->chunk;
        if (c->min_time <= maxt && c->max_time >= mint) {
            return true;
        }
    }
    return x->n > 0 && x->buffer[0].t <= maxt && x->buffer[x->n - 1].t >= mint;
}

void late_store_slots(LateStore *s, int64_t mint, int64_t maxt, Ids *ret) {
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->series.n; i++) {
        if (series_reaches(s->series.v[i], mint, maxt)) {
            vec_push(ret, s->series.v[i]->slot);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* All samples of src that are not older than from. */
static int store_copy(LateStore *dst, LateStore *src, int64_t from) {
    LatePoints points = {0};
    int r = 0;
    pthread_mutex_lock(&src->lock);
    for (size_t i = 0; r == 0 && i < src->series.n; i++) {
        uint32_t slot = src->series.v[i]->slot;
        points.n = 0;
        r = series_read(src->series.v[i], from, INT64_MAX, &points);
        for (size_t k = 0; k < points.n; k++) {
            JournalSample x = {.slot = slot, .t = points.v[k].t, .v = points.v[k].v};
            (void)store_add(dst, &x); /* what is there already stays */
        }
    }
    pthread_mutex_unlock(&src->lock);
    vec_free(&points);
    return r;
}

/* ---- the head's stores */

void head_late_init(Head *h) { pthread_mutex_init(&h->late_lock, NULL); }

void head_late_deinit(Head *h) {
    late_store_unref(h->late);
    late_store_unref(h->late_frozen);
    pthread_mutex_destroy(&h->late_lock);
}

void head_late_stores(Head *h, LateStore **ret_frozen, LateStore **ret_current) {
    pthread_mutex_lock(&h->late_lock);
    *ret_frozen = store_ref(h->late_frozen);
    *ret_current = store_ref(h->late);
    pthread_mutex_unlock(&h->late_lock);
}

/* Takes the references. */
static void set_stores(Head *h, LateStore *frozen, LateStore *current) {
    pthread_mutex_lock(&h->late_lock);
    LateStore *old_frozen = h->late_frozen, *old = h->late;
    h->late_frozen = frozen;
    h->late = current;
    pthread_mutex_unlock(&h->late_lock);
    late_store_unref(old_frozen);
    late_store_unref(old);
}

static LateStore *current_store(Head *h) {
    pthread_mutex_lock(&h->late_lock);
    if (!h->late) {
        h->late = store_new();
    }
    LateStore *s = store_ref(h->late);
    pthread_mutex_unlock(&h->late_lock);
    return s;
}

size_t head_late_add(Head *h, const JournalSample *v, size_t n) {
    LateStore *s = current_store(h);
    size_t added = 0;
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_or(&head_series_any(h, v[i].slot)->flags, SERIES_LATE);
    }
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        added += store_add(s, &v[i]);
    }
    pthread_mutex_unlock(&s->lock);
    late_store_unref(s);
    return added;
}

void head_late_move(Head *h, uint32_t from, uint32_t to) {
    LateStore *stores[] = {h->late_frozen, h->late};
    for (int i = 0; i < 2; i++) {
        LateSeries *x = stores[i] ? series_find(stores[i], from) : NULL;
        uint64_t at;
        if (x && u64_map_get(&stores[i]->by_slot, from, &at)) {
            u64_map_del(&stores[i]->by_slot, from);
            u64_map_put(&stores[i]->by_slot, to, at);
            x->slot = to;
            atomic_fetch_or(&head_series_any(h, to)->flags, SERIES_LATE);
        }
    }
}

static int64_t series_end(const LateSeries *x) {
    int64_t end = x->n > 0 ? x->buffer[x->n - 1].t : INT64_MIN;
    for (size_t i = 0; i < x->chunks.n; i++) {
        end = MAX(end, x->chunks.v[i]->chunk.max_time);
    }
    return end;
}

static int64_t store_series_end(LateStore *s, uint32_t slot) {
    if (!s) {
        return INT64_MIN;
    }
    pthread_mutex_lock(&s->lock);
    const LateSeries *x = series_find(s, slot);
    int64_t end = x ? series_end(x) : INT64_MIN;
    pthread_mutex_unlock(&s->lock);
    late_store_unref(s);
    return end;
}

int64_t head_late_end(Head *h, uint32_t slot) {
    LateStore *frozen, *current;
    head_late_stores(h, &frozen, &current);
    int64_t x = store_series_end(frozen, slot), y = store_series_end(current, slot);
    return MAX(x, y);
}

/* Takes the reference. */
static uint64_t store_extent(LateStore *s, int64_t *min, int64_t *max) {
    uint64_t samples = 0;
    if (s) {
        pthread_mutex_lock(&s->lock);
        *min = MIN(*min, s->min);
        *max = MAX(*max, s->max);
        samples = s->samples;
        pthread_mutex_unlock(&s->lock);
        late_store_unref(s);
    }
    return samples;
}

static uint64_t extent(Head *h, int64_t *ret_min, int64_t *ret_max) {
    LateStore *frozen, *current;
    head_late_stores(h, &frozen, &current);
    *ret_min = TIME_MAX_MS;
    *ret_max = TIME_MIN_MS;
    uint64_t n = store_extent(frozen, ret_min, ret_max);
    return n + store_extent(current, ret_min, ret_max);
}

void head_late_range(Head *h, int64_t *ret_min, int64_t *ret_max) {
    (void)extent(h, ret_min, ret_max);
}

uint64_t head_late_samples(Head *h) {
    int64_t min, max;
    return extent(h, &min, &max);
}

/* ---- the cut */

typedef struct LateBatch {
    VEC(JournalSample) samples;
    bool done;
} LateBatch;

/* JournalBatch.put */
static void put_late(void *arg, JournalEncoder *e, Buf *out) {
    LateBatch *b = arg;
    journal_put_late_mark(e, out, b->done);
    journal_put_late(e, out, b->samples.v, b->samples.n);
}

static int journal_store(Head *h, LateStore *s) {
    LateBatch b = {0};
    LatePoints points = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->series.n; i++) {
        points.n = 0;
        r = series_read(s->series.v[i], INT64_MIN, INT64_MAX, &points);
        for (size_t k = 0; k < points.n; k++) {
            vec_push(&b.samples, (JournalSample){.slot = s->series.v[i]->slot,
                                                 .t = points.v[k].t,
                                                 .v = points.v[k].v});
        }
    }
    if (r == 0) {
        r = journal_commit(h->journal, &(JournalBatch){.put = put_late,
                                                       .arg = &b,
                                                       .size = b.samples.n * 16,
                                                       .max_time = atomic_load(&h->max_time)});
    }
    vec_free(&points);
    vec_free(&b.samples);
    return r;
}

int head_late_freeze(Head *h, int64_t bound) {
    int r = 0;
    pthread_rwlock_wrlock(&h->commit_lock);
    LateStore *all = h->late, *rest = all ? store_new() : NULL;
    if (all) {
        r = store_copy(rest, all, bound);
        r = r < 0 ? r : journal_store(h, rest);
    }
    if (all && r == 0) {
        set_stores(h, store_ref(all), rest);
    } else {
        late_store_unref(rest);
    }
    pthread_rwlock_unlock(&h->commit_lock);
    return r < 0 ? err_trace(r) : 0;
}

/* Series whose late samples are all in blocks may leave. */
static void unmark(Head *h, const LateStore *gone, const LateStore *current) {
    for (size_t i = 0; i < gone->series.n; i++) {
        uint32_t slot = gone->series.v[i]->slot;
        if (!current || !series_find(current, slot)) {
            atomic_fetch_and(&head_series_any(h, slot)->flags, (unsigned char)~SERIES_LATE);
        }
    }
}

int head_late_drop(Head *h) {
    LateBatch b = {.done = true};
    pthread_rwlock_wrlock(&h->commit_lock);
    int r = journal_commit(
        h->journal, &(JournalBatch){.put = put_late, .arg = &b, .size = 16, .max_time = INT64_MIN});
    if (r == 0 && h->late_frozen) {
        unmark(h, h->late_frozen, h->late);
        set_stores(h, NULL, store_ref(h->late));
    }
    pthread_rwlock_unlock(&h->commit_lock);
    return r < 0 ? err_trace(r) : 0;
}

void head_late_unfreeze(Head *h) {
    pthread_rwlock_wrlock(&h->commit_lock);
    if (h->late_frozen) {
        LateStore *s = current_store(h);
        (void)store_copy(s, h->late_frozen, INT64_MIN); /* our own memory decodes */
        set_stores(h, NULL, s);
    }
    pthread_rwlock_unlock(&h->commit_lock);
}

void head_late_replay_mark(Head *h, bool cut_done) {
    if (cut_done) {
        if (h->late_frozen) {
            unmark(h, h->late_frozen, h->late);
        }
        set_stores(h, NULL, store_ref(h->late));
        return;
    }
    if (h->late_frozen && h->late) {
        (void)store_copy(h->late_frozen, h->late, INT64_MIN); /* of a cut that failed */
        set_stores(h, store_ref(h->late_frozen), NULL);
    } else if (h->late) {
        set_stores(h, store_ref(h->late), NULL);
    }
}
