#include "storage/mem_storage.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"

/*
 * The samples of a series lie in a column: an array shared by the storage and by the snapshots
 * taken of it. New samples at the end are written behind what any snapshot sees; anything else
 * copies the column first. A snapshot is thus a pointer and a length a series.
 */

#define RUN_SAMPLES_MAX 120

typedef struct MemSample {
    int64_t t, st;
    SampleKind kind;
    union {
        double f;
        Histogram *h;
        FloatHistogram *fh;
    };
} MemSample;

typedef struct Column {
    size_t refs; /* guarded by the storage's mutex */
    size_t cap;
    MemSample v[];
} Column;

typedef struct MemSeries {
    Labels labels;
    Column *column;
    size_t n;
    size_t next; /* of equal hash, + 1 */
} MemSeries;

typedef struct View {
    Labels labels;
    Column *column;
    size_t n;
} View;

typedef struct MemStorage {
    Storage base;
    pthread_mutex_t mutex; /* guards all below */
    Arena arena;           /* labels */
    VEC(MemSeries) series; /* by ref - 1 */
    U64Map by_hash;        /* labels_hash -> the newest series of this hash, + 1 */
    VEC(void *) histograms;
    struct Snapshot *newest; /* NULL after a commit */
} MemStorage;

/* All series that have samples, in label order, as they were at one moment. */
typedef struct Snapshot {
    size_t refs;
    size_t n;
    View views[];
} Snapshot;

/* ---- storing */

static void column_unref(Column *c) {
    if (c && --c->refs == 0) {
        mem_free(c);
    }
}

static Column *column_grown(const Column *from, size_t n, size_t cap) {
    Column *c = mem_alloc(sizeof(*c) + cap * sizeof(c->v[0]));
    c->refs = 1;
    c->cap = cap;
    if (n) {
        memcpy(c->v, from->v, n * sizeof(c->v[0]));
    }
    return c;
}

/* Where t belongs; whether a sample is there. */
static size_t column_find(const Column *c, size_t n, int64_t t, bool *ret_found) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c->v[mid].t < t) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *ret_found = low < n && c->v[low].t == t;
    return low;
}

static void series_add(MemSeries *s, MemSample sample) {
    bool last = s->n == 0 || s->column->v[s->n - 1].t < sample.t;
    if (!last || s->n == (s->column ? s->column->cap : 0)) {
        Column *own = column_grown(s->column, s->n, MAX(s->n + s->n / 2, s->n + 8));
        column_unref(s->column);
        s->column = own;
    }
    bool found = false;
    size_t at = last ? s->n : column_find(s->column, s->n, sample.t, &found);
    MemSample *v = s->column->v;
    if (!found) {
        memmove(&v[at + 1], &v[at], (s->n - at) * sizeof(*v));
        s->n++;
    }
    v[at] = sample;
}

static size_t series_by_labels(MemStorage *s, Labels labels) {
    uint64_t hash = labels_hash(labels), first = 0;
    (void)u64_map_get(&s->by_hash, hash, &first);
    for (size_t i = (size_t)first; i > 0; i = s->series.v[i - 1].next) {
        if (labels_eq(s->series.v[i - 1].labels, labels)) {
            return i;
        }
    }
    vec_push(&s->series,
             (MemSeries){.labels = labels_copy(&s->arena, labels), .next = (size_t)first});
    u64_map_put(&s->by_hash, hash, s->series.n);
    return s->series.n;
}

/* ---- snapshots */

static void snapshot_unref(Snapshot *snapshot) {
    if (snapshot && --snapshot->refs == 0) {
        for (size_t i = 0; i < snapshot->n; i++) {
            column_unref(snapshot->views[i].column);
        }
        mem_free(snapshot);
    }
}

static int cmp_view(const void *a, const void *b) {
    return labels_cmp(((const View *)a)->labels, ((const View *)b)->labels);
}

static Snapshot *snapshot_take(MemStorage *s) {
    if (!s->newest) {
        Snapshot *made = mem_alloc(sizeof(*made) + s->series.n * sizeof(made->views[0]));
        *made = (Snapshot){.refs = 1};
        for (size_t i = 0; i < s->series.n; i++) {
            MemSeries *m = &s->series.v[i];
            if (m->n) {
                m->column->refs++;
                made->views[made->n++] = (View){m->labels, m->column, m->n};
            }
        }
        if (made->n > 1) {
            qsort(made->views, made->n, sizeof(made->views[0]), cmp_view);
        }
        s->newest = made;
    }
    s->newest->refs++;
    return s->newest;
}

/* ---- iterating */

typedef struct MemIter {
    SampleIter base;
    const View *view;
    size_t at, end;
    int64_t t[RUN_SAMPLES_MAX], st[RUN_SAMPLES_MAX];
    union {
        double f[RUN_SAMPLES_MAX];
        struct {
            const void *pointers[RUN_SAMPLES_MAX];
            union {
                Histogram h[RUN_SAMPLES_MAX];
                FloatHistogram fh[RUN_SAMPLES_MAX];
            };
        };
    };
} MemIter;

/* As blocks tell it: behind a reset begins a chunk, and of a chunk's first sample nothing is said,
 * since nobody knows whether the chunk before will still be there. */
static CounterResetHint hint_told(CounterResetHint h) { return h == RESET_YES ? RESET_UNKNOWN : h; }

/* A histogram with the hint it has behind the sample before it. */
static void put_histogram(MemIter *m, uint32_t at, const MemSample *s, const MemSample *before) {
    bool follows = before && before->kind == s->kind;
    if (s->kind == SAMPLE_HISTOGRAM) {
        m->h[at] = *s->h;
        m->h[at].reset_hint = hint_told(histogram_reset_hint(follows ? before->h : NULL, s->h));
        m->pointers[at] = &m->h[at];
    } else {
        m->fh[at] = *s->fh;
        m->fh[at].reset_hint =
            hint_told(float_histogram_reset_hint(follows ? before->fh : NULL, s->fh));
        m->pointers[at] = &m->fh[at];
    }
}

static int mem_iter_next(SampleIter *it, SampleRun *ret) {
    MemIter *m = CONTAINER_OF(it, MemIter, base);
    const MemSample *v = m->view->column->v;
    if (m->at >= m->end) {
        return 0;
    }
    SampleRun run = {.kind = v[m->at].kind, .t = m->t};
    while (m->at < m->end && run.n < RUN_SAMPLES_MAX && v[m->at].kind == run.kind) {
        const MemSample *s = &v[m->at];
        m->t[run.n] = s->t;
        m->st[run.n] = s->st;
        if (s->st) {
            run.st = m->st;
        }
        if (run.kind == SAMPLE_FLOAT) {
            m->f[run.n] = s->f;
        } else {
            put_histogram(m, run.n, s, m->at > 0 ? s - 1 : NULL);
        }
        run.n++;
        m->at++;
    }
    if (run.kind == SAMPLE_FLOAT) {
        run.f = m->f;
    } else if (run.kind == SAMPLE_HISTOGRAM) {
        run.h = (const Histogram *const *)(const void *)m->pointers;
    } else {
        run.fh = (const FloatHistogram *const *)(const void *)m->pointers;
    }
    *ret = run;
    return 1;
}

static void mem_iter_seek(SampleIter *it, int64_t t) {
    MemIter *m = CONTAINER_OF(it, MemIter, base);
    bool found;
    size_t at = column_find(m->view->column, m->view->n, t, &found);
    m->at = MAX(m->at, at);
}

static void mem_iter_free(SampleIter *it) { mem_free(CONTAINER_OF(it, MemIter, base)); }

static const SampleIterOps mem_iter_ops = {mem_iter_next, mem_iter_seek, mem_iter_free};

/* ---- selecting */

typedef struct MemQuerier {
    Querier base;
    MemStorage *storage;
    Snapshot *snapshot;
    int64_t mint, maxt;
} MemQuerier;

typedef struct MemSet {
    SeriesSet base;
    const MemQuerier *querier;
    int64_t mint, maxt;
    VEC(uint32_t) found; /* indices of views */
    size_t at;
} MemSet;

static bool has_samples(const View *v, int64_t mint, int64_t maxt, size_t *ret_first,
                        size_t *ret_end) {
    bool found;
    *ret_first = column_find(v->column, v->n, mint, &found);
    *ret_end = column_find(v->column, v->n, maxt, &found);
    *ret_end += found;
    return *ret_first < *ret_end;
}

static int mem_set_next(SeriesSet *base, Series *ret) {
    MemSet *s = CONTAINER_OF(base, MemSet, base);
    if (s->at == s->found.n) {
        return 0;
    }
    uint32_t i = s->found.v[s->at++];
    *ret = (Series){.labels = s->querier->snapshot->views[i].labels, .handle = i};
    return 1;
}

static SampleIter *mem_set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    MemSet *s = CONTAINER_OF(base, MemSet, base);
    MemIter *m = reuse ? CONTAINER_OF(reuse, MemIter, base) : mem_alloc(sizeof(*m));
    m->base.ops = &mem_iter_ops;
    m->view = &s->querier->snapshot->views[series->handle];
    (void)has_samples(m->view, s->mint, s->maxt, &m->at, &m->end);
    return &m->base;
}

static void mem_set_free(SeriesSet *base) {
    MemSet *s = CONTAINER_OF(base, MemSet, base);
    vec_free(&s->found);
    mem_free(s);
}

static const SeriesSetOps mem_set_ops = {mem_set_next, mem_set_iter, mem_set_free};

static int mem_select(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                      Warnings *w, SeriesSet **ret) {
    MemQuerier *q = CONTAINER_OF(base, MemQuerier, base);
    MemSet *s = NEW(MemSet);
    *s = (MemSet){.base.ops = &mem_set_ops, .querier = q, .mint = q->mint, .maxt = q->maxt};
    if (hints && (hints->mint || hints->maxt)) {
        s->mint = MAX(s->mint, hints->mint);
        s->maxt = MIN(s->maxt, hints->maxt);
    }
    for (size_t i = 0; i < q->snapshot->n; i++) {
        size_t first, end;
        const View *v = &q->snapshot->views[i];
        if (hints && hints->cancel && atomic_load(hints->cancel)) {
            mem_set_free(&s->base);
            return -ECANCELED;
        }
        if (has_samples(v, s->mint, s->maxt, &first, &end) && matchers_match(m, n, v->labels)) {
            vec_push(&s->found, (uint32_t)i);
            if (hints && hints->limit && s->found.n == hints->limit) {
                break;
            }
        }
    }
    *ret = &s->base;
    return 0;
}

/* All names, or all values of one name; sorted, each once. */
static int mem_list(MemQuerier *q, const Str *name, const Matcher *m, size_t n, uint64_t limit,
                    Arena *a, Warnings *w, StrVec *ret) {
    StrVec all = {0};
    StrMap seen = {0};
    for (size_t i = 0; i < q->snapshot->n; i++) {
        size_t first, end;
        const View *v = &q->snapshot->views[i];
        if (!has_samples(v, q->mint, q->maxt, &first, &end) || !matchers_match(m, n, v->labels)) {
            continue;
        }
        for (size_t j = 0; j < v->labels.n; j++) {
            bool fresh;
            if (name && !str_eq(v->labels.v[j].name, *name)) {
                continue;
            }
            Str found = name ? v->labels.v[j].value : v->labels.v[j].name;
            (void)str_map_put(&seen, found, &fresh);
            if (fresh) {
                vec_push(&all, found);
            }
        }
    }
    str_map_deinit(&seen);
    if (all.n > 1) {
        qsort(all.v, all.n, sizeof(*all.v), str_qsort_cmp);
    }
    if (limit && all.n > limit) {
        all.n = (size_t)limit;
        warnings_add(w, "results truncated due to limit");
    }
    for (size_t i = 0; i < all.n; i++) {
        all.v[i] = arena_str(a, all.v[i]);
        if (!all.v[i].p) {
            vec_free(&all);
            return err_trace(-ENOMEM);
        }
    }
    *ret = all;
    return 0;
}

static int mem_label_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                           Warnings *w, StrVec *ret) {
    return mem_list(CONTAINER_OF(base, MemQuerier, base), NULL, m, n, limit, a, w, ret);
}

static int mem_label_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                            Arena *a, Warnings *w, StrVec *ret) {
    return mem_list(CONTAINER_OF(base, MemQuerier, base), &name, m, n, limit, a, w, ret);
}

static void mem_close(Querier *base) {
    MemQuerier *q = CONTAINER_OF(base, MemQuerier, base);
    pthread_mutex_lock(&q->storage->mutex);
    snapshot_unref(q->snapshot);
    pthread_mutex_unlock(&q->storage->mutex);
    mem_free(q);
}

static const QuerierOps mem_querier_ops = {mem_select, mem_label_names, mem_label_values,
                                           mem_close};

static int mem_querier(Storage *base, int64_t mint, int64_t maxt, Querier **ret) {
    MemStorage *s = CONTAINER_OF(base, MemStorage, base);
    MemQuerier *q = NEW(MemQuerier);
    *q = (MemQuerier){.base.ops = &mem_querier_ops, .storage = s, .mint = mint, .maxt = maxt};
    pthread_mutex_lock(&s->mutex);
    q->snapshot = snapshot_take(s);
    pthread_mutex_unlock(&s->mutex);
    *ret = &q->base;
    return 0;
}

/* ---- appending */

typedef struct Pending {
    SeriesRef ref;
    MemSample sample;
} Pending;

typedef struct MemAppender {
    Appender base;
    MemStorage *storage;
    VEC(Pending) pending;
} MemAppender;

static bool resolve(MemStorage *s, SeriesRef *ref, Labels labels) {
    pthread_mutex_lock(&s->mutex);
    if (*ref == 0) {
        *ref = series_by_labels(s, labels);
    }
    bool known = *ref <= s->series.n;
    pthread_mutex_unlock(&s->mutex);
    return known;
}

static int mem_append(Appender *base, SeriesRef *ref, Labels labels, int64_t t, double v,
                      int64_t st) {
    MemAppender *a = CONTAINER_OF(base, MemAppender, base);
    if (!resolve(a->storage, ref, labels)) {
        return APPEND_UNKNOWN_REF;
    }
    MemSample sample = {.t = t, .st = st, .kind = SAMPLE_FLOAT, .f = v};
    vec_push(&a->pending, (Pending){*ref, sample});
    return APPEND_OK;
}

static int mem_append_histogram(Appender *base, SeriesRef *ref, Labels labels, int64_t t,
                                const Histogram *h, const FloatHistogram *fh, int64_t st) {
    MemAppender *a = CONTAINER_OF(base, MemAppender, base);
    if (!(h ? histogram_validate(h, NULL) : float_histogram_validate(fh, NULL))) {
        return APPEND_INVALID;
    }
    if (!resolve(a->storage, ref, labels)) {
        return APPEND_UNKNOWN_REF;
    }
    MemSample sample = {.t = t, .st = st};
    if (h) {
        sample.kind = SAMPLE_HISTOGRAM;
        sample.h = histogram_dup(h);
    } else {
        sample.kind = SAMPLE_FLOAT_HISTOGRAM;
        sample.fh = float_histogram_dup(fh);
    }
    vec_push(&a->pending, (Pending){*ref, sample});
    return APPEND_OK;
}

static void appender_free(MemAppender *a) {
    vec_free(&a->pending);
    mem_free(a);
}

static int mem_commit(Appender *base) {
    MemAppender *a = CONTAINER_OF(base, MemAppender, base);
    MemStorage *s = a->storage;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < a->pending.n; i++) {
        const Pending *p = &a->pending.v[i];
        if (p->sample.kind != SAMPLE_FLOAT) {
            /* Snapshots may hold it long after it was replaced. */
            vec_push(&s->histograms, (void *)p->sample.h);
        }
        series_add(&s->series.v[p->ref - 1], p->sample);
    }
    if (a->pending.n) {
        snapshot_unref(s->newest);
        s->newest = NULL;
    }
    pthread_mutex_unlock(&s->mutex);
    appender_free(a);
    return 0;
}

static void mem_rollback(Appender *base) {
    MemAppender *a = CONTAINER_OF(base, MemAppender, base);
    for (size_t i = 0; i < a->pending.n; i++) {
        if (a->pending.v[i].sample.kind != SAMPLE_FLOAT) {
            mem_free(a->pending.v[i].sample.h);
        }
    }
    appender_free(a);
}

static const AppenderOps mem_appender_ops = {.append = mem_append,
                                             .append_histogram = mem_append_histogram,
                                             .commit = mem_commit,
                                             .rollback = mem_rollback};

static int mem_appender(Storage *base, Appender **ret) {
    MemAppender *a = NEW(MemAppender);
    a->base.ops = &mem_appender_ops;
    a->storage = CONTAINER_OF(base, MemStorage, base);
    *ret = &a->base;
    return 0;
}

static const StorageOps mem_storage_ops = {mem_querier, mem_appender};

Storage *mem_storage_new(void) {
    MemStorage *s = NEW(MemStorage);
    s->base.ops = &mem_storage_ops;
    pthread_mutex_init(&s->mutex, NULL);
    return &s->base;
}

void mem_storage_free(Storage *base) {
    if (!base) {
        return;
    }
    MemStorage *s = CONTAINER_OF(base, MemStorage, base);
    snapshot_unref(s->newest);
    for (size_t i = 0; i < s->series.n; i++) {
        column_unref(s->series.v[i].column);
    }
    for (size_t i = 0; i < s->histograms.n; i++) {
        mem_free(s->histograms.v[i]);
    }
    vec_free(&s->histograms);
    vec_free(&s->series);
    u64_map_deinit(&s->by_hash);
    arena_deinit(&s->arena);
    pthread_mutex_destroy(&s->mutex);
    mem_free(s);
}
