#include "tsdb/notes/exemplars.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/utf8.h"

/* Of names and values together, in characters: Prometheus' and OpenMetrics' limit. */
#define LABEL_CHARACTERS_MAX 128
#define NONE UINT32_MAX

typedef struct RingSeries {
    Labels labels; /* in one block with this */
    Str key;
    uint32_t oldest, newest;
} RingSeries;

typedef struct RingEntry {
    Exemplar exemplar;  /* labels in a block of their own */
    RingSeries *series; /* NULL: free */
    uint32_t next;      /* of the same series, newer */
} RingEntry;

struct Exemplars {
    pthread_mutex_t mutex;
    RingEntry *ring; /* behind `next` lies the oldest */
    atomic_size_t max;
    size_t next, n;
    StrMap by_labels;
    Metric *appended, *held, *series, *out_of_order, *last_time, *limit;
};

Exemplars *exemplars_new(void) {
    Exemplars *e = NEW(Exemplars);
    pthread_mutex_init(&e->mutex, NULL);
    e->appended = metric_counter("prometheus_tsdb_exemplar_exemplars_appended_total",
                                 "Total number of appended exemplars.", NULL);
    e->held = metric_gauge("prometheus_tsdb_exemplar_exemplars_in_storage",
                           "Number of exemplars currently in circular storage.", NULL);
    e->series =
        metric_gauge("prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
                     "Number of series with exemplars currently in circular storage.", NULL);
    e->out_of_order =
        metric_counter("prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                       "Total number of out of order exemplar ingestion failed attempts.", NULL);
    e->last_time = metric_gauge(
        "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        "The timestamp of the oldest exemplar stored in circular storage. Useful to check for "
        "what time range the current exemplar buffer limit allows. This usually means the last "
        "timestamp for all exemplars for a typical setup.",
        NULL);
    e->limit =
        metric_gauge("prometheus_tsdb_exemplar_max_exemplars",
                     "Total number of exemplars the exemplar storage can store, resizeable.", NULL);
    return e;
}

/* ---- labels as one block */

static size_t labels_bytes(Labels l) {
    size_t n = l.n * sizeof(Label);
    for (size_t i = 0; i < l.n; i++) {
        n += l.v[i].name.n + l.v[i].value.n;
    }
    return n;
}

static Str copy_str(char **at, Str s) {
    Str copy = {*at, s.n};
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return copy;
}

/* Into labels_bytes(l) bytes at p. */
static Labels labels_into(void *p, Labels l) {
    Label *v = p;
    char *at = (char *)(v + l.n);
    for (size_t i = 0; i < l.n; i++) {
        v[i].name = copy_str(&at, l.v[i].name);
        v[i].value = copy_str(&at, l.v[i].value);
    }
    return (Labels){v, l.n};
}

static void key_of(Labels l, Buf *out) {
    for (size_t i = 0; i < l.n; i++) {
        buf_add_uvarint(out, l.v[i].name.n);
        buf_add_str(out, l.v[i].name);
        buf_add_uvarint(out, l.v[i].value.n);
        buf_add_str(out, l.v[i].value);
    }
}

/* ---- series */

static RingSeries *series_find(const Exemplars *e, Labels l) {
    CLEANUP(buf_deinit) Buf key = {0};
    key_of(l, &key);
    return str_map_get(&e->by_labels, buf_str(&key));
}

static RingSeries *series_make(Exemplars *e, Labels l) {
    CLEANUP(buf_deinit) Buf key = {0};
    key_of(l, &key);
    size_t bytes = labels_bytes(l);
    RingSeries *s = mem_alloc(sizeof(*s) + bytes + key.n);
    char *rest = (char *)(s + 1) + bytes;
    if (key.n) {
        memcpy(rest, key.p, key.n);
    }
    *s = (RingSeries){labels_into(s + 1, l), {rest, key.n}, NONE, NONE};
    *str_map_put(&e->by_labels, s->key, NULL) = s;
    return s;
}

/* The oldest of all goes; it is the oldest of its series too, as both are in order of arrival. */
static void entry_drop(Exemplars *e, RingEntry *entry) {
    RingSeries *s = entry->series;
    if (!s) {
        return;
    }
    s->oldest = entry->next;
    if (s->oldest == NONE) {
        str_map_del(&e->by_labels, s->key);
        mem_free(s);
    }
    mem_free((void *)entry->exemplar.labels.v);
    *entry = (RingEntry){0};
    e->n--;
}

static void drop_all(Exemplars *e) {
    size_t max = atomic_load(&e->max);
    for (size_t i = 0; i < max; i++) {
        entry_drop(e, &e->ring[(e->next + i) % max]);
    }
    mem_free(e->ring);
    e->ring = NULL;
    e->next = 0;
}

void exemplars_free(Exemplars *e) {
    if (e) {
        drop_all(e);
        str_map_deinit(&e->by_labels);
        pthread_mutex_destroy(&e->mutex);
        mem_free(e);
    }
}

bool exemplars_enabled(const Exemplars *e) { return atomic_load(&e->max) > 0; }

static void tell(Exemplars *e) {
    size_t max = atomic_load(&e->max);
    metric_set(e->held, (double)e->n);
    metric_set(e->series, (double)e->by_labels.n);
    metric_set(e->limit, (double)max);
    if (e->n > 0) { /* the oldest; before the ring has been round it is the first */
        const RingEntry *oldest = &e->ring[e->n < max ? 0 : e->next];
        metric_set(e->last_time, (double)oldest->exemplar.t / 1000);
    }
}

/* ---- adding */

static bool same_exemplar(const Exemplar *a, const Exemplar *b) {
    return labels_eq(a->labels, b->labels) && ((!a->has_t && !b->has_t) || a->t == b->t) &&
           a->value == b->value;
}

static size_t characters(Str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static bool labels_fit(Labels l) {
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++) {
        if (!utf8_valid(l.v[i].name) || !utf8_valid(l.v[i].value)) {
            return false;
        }
        n += characters(l.v[i].name) + characters(l.v[i].value);
    }
    return n <= LABEL_CHARACTERS_MAX;
}

/* Of the same time a greater value may follow, and of the same value other labels: the buckets of
 * one histogram have such. */
static int check_locked(const RingSeries *s, const Exemplars *e, const Exemplar *x) {
    const Exemplar *newest = s ? &e->ring[s->newest].exemplar : NULL;
    if (!labels_fit(x->labels)) {
        return APPEND_INVALID;
    }
    if (!newest) {
        return APPEND_OK;
    }
    if (same_exemplar(newest, x)) {
        return APPEND_DUPLICATE;
    }
    bool late = x->t < newest->t || (x->t == newest->t && x->value < newest->value) ||
                (x->t == newest->t && x->value == newest->value &&
                 labels_hash(x->labels) < labels_hash(newest->labels));
    return late ? APPEND_OUT_OF_ORDER : APPEND_OK;
}

int exemplars_check(Exemplars *e, Labels series, const Exemplar *x) {
    pthread_mutex_lock(&e->mutex);
    int r = check_locked(series_find(e, series), e, x);
    pthread_mutex_unlock(&e->mutex);
    if (r == APPEND_OUT_OF_ORDER) {
        metric_inc(e->out_of_order);
    }
    return r;
}

static void put_locked(Exemplars *e, RingSeries *s, Labels series, const Exemplar *x) {
    uint32_t at = (uint32_t)e->next;
    RingEntry *entry = &e->ring[at];
    /* The one that goes may be the last of this series. */
    bool last_of_it = s && entry->series == s && entry->next == NONE;
    entry_drop(e, entry);
    s = s && !last_of_it ? s : series_make(e, series);
    Exemplar copy = *x;
    copy.labels = labels_into(mem_alloc(labels_bytes(x->labels) + 1), x->labels);
    *entry = (RingEntry){copy, s, NONE};
    if (s->oldest == NONE) {
        s->oldest = at;
    } else {
        e->ring[s->newest].next = at;
    }
    s->newest = at;
    e->next = (e->next + 1) % atomic_load(&e->max);
    e->n++;
}

int exemplars_add(Exemplars *e, Labels series, const Exemplar *x) {
    pthread_mutex_lock(&e->mutex);
    int r = APPEND_UNSUPPORTED;
    if (exemplars_enabled(e)) {
        RingSeries *s = series_find(e, series);
        r = check_locked(s, e, x);
        if (r == APPEND_OK) {
            put_locked(e, s, series, x);
            metric_inc(e->appended);
            tell(e);
        }
    }
    pthread_mutex_unlock(&e->mutex);
    return r;
}

/* ---- reading */

static int64_t time_of(const Exemplars *e, uint32_t at) { return e->ring[at].exemplar.t; }

static bool wanted(const RingSeries *s, const Selector *lists, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (matchers_match(lists[i].v, lists[i].n, s->labels)) {
            return true;
        }
    }
    return false;
}

static Exemplar exemplar_copy(Arena *a, const Exemplar *x) {
    Exemplar copy = *x;
    copy.labels = labels_copy(a, x->labels);
    return copy;
}

static void add_row(const Exemplars *e, const RingSeries *s, int64_t mint, int64_t maxt, Arena *a,
                    SeriesExemplarsVec *ret) {
    size_t n = 0, k = 0;
    for (uint32_t i = s->oldest; i != NONE; i = e->ring[i].next) {
        n += time_of(e, i) >= mint && time_of(e, i) <= maxt;
    }
    Exemplar *v = n ? ARENA_ARRAY(a, Exemplar, n) : NULL;
    for (uint32_t i = s->oldest; v && i != NONE; i = e->ring[i].next) {
        if (time_of(e, i) >= mint && time_of(e, i) <= maxt) {
            v[k++] = exemplar_copy(a, &e->ring[i].exemplar);
        }
    }
    if (v) {
        vec_push(ret, (SeriesExemplars){labels_copy(a, s->labels), v, n});
    }
}

static int row_cmp(const void *a, const void *b) {
    return labels_cmp(((const SeriesExemplars *)a)->labels, ((const SeriesExemplars *)b)->labels);
}

int exemplars_select(Exemplars *e, const Selector *lists, size_t n, int64_t mint, int64_t maxt,
                     Arena *a, SeriesExemplarsVec *ret) {
    pthread_mutex_lock(&e->mutex);
    const StrMapEntry *entry;
    for (size_t i = 0; (entry = str_map_next(&e->by_labels, &i));) {
        const RingSeries *s = entry->value;
        if (time_of(e, s->newest) >= mint && time_of(e, s->oldest) <= maxt && wanted(s, lists, n)) {
            add_row(e, s, mint, maxt, a, ret);
        }
    }
    pthread_mutex_unlock(&e->mutex);
    if (ret->n > 1) {
        qsort(ret->v, ret->n, sizeof(*ret->v), row_cmp);
    }
    return a->failed ? -ENOMEM : 0;
}

static void all_locked(const Exemplars *e, Arena *a, SeriesExemplarsVec *ret) {
    size_t max = atomic_load(&e->max);
    for (size_t i = 0; i < max; i++) {
        const RingEntry *entry = &e->ring[(e->next + i) % max];
        Exemplar *x = entry->series ? ARENA_NEW(a, Exemplar) : NULL;
        if (x) {
            *x = exemplar_copy(a, &entry->exemplar);
            vec_push(ret, (SeriesExemplars){labels_copy(a, entry->series->labels), x, 1});
        }
    }
}

int exemplars_all(Exemplars *e, Arena *a, SeriesExemplarsVec *ret) {
    pthread_mutex_lock(&e->mutex);
    all_locked(e, a, ret);
    pthread_mutex_unlock(&e->mutex);
    return a->failed ? -ENOMEM : 0;
}

/* ---- size */

void exemplars_resize(Exemplars *e, size_t max) {
    Arena a = {0};
    SeriesExemplarsVec kept = {0};
    max = MIN(max, (size_t)NONE - 1);
    pthread_mutex_lock(&e->mutex);
    if (max != atomic_load(&e->max)) {
        all_locked(e, &a, &kept);
        drop_all(e);
        atomic_store(&e->max, max);
        e->ring = max ? mem_calloc(max, sizeof(*e->ring)) : NULL;
        for (size_t i = 0; i < max; i++) {
            e->ring[i] = (RingEntry){0};
        }
        for (size_t i = kept.n > max ? kept.n - max : 0; max && i < kept.n; i++) {
            put_locked(e, series_find(e, kept.v[i].labels), kept.v[i].labels, kept.v[i].v);
        }
        tell(e);
    }
    pthread_mutex_unlock(&e->mutex);
    vec_free(&kept);
    arena_deinit(&a);
}
