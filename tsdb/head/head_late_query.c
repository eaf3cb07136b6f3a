/* Late samples as a querier: the head's index, samples of the store in order. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tsdb/head/head_late.h"

#define RUN_SAMPLES_MAX 4096

typedef struct LateQuerier {
    Querier base;
    Head *head;
    HeadPin pin;
    LateStore *stores[2]; /* the older first; NULL = none */
    int64_t mint, maxt;
} LateQuerier;

typedef struct LateEntry {
    Labels labels;
    uint32_t slot;
} LateEntry;

typedef struct LateSet {
    SeriesSet base;
    LateQuerier *querier;
    int64_t mint, maxt;
    uint64_t limit;
    size_t at;
    VEC(LateEntry) entries;
    Arena arena;
} LateSet;

typedef struct LateIter {
    SampleIter base;
    LatePoints points;
    size_t at;
    int err;
    VEC(int64_t) t;
    VEC(double) v;
} LateIter;

/* ---- samples */

typedef struct Ordered {
    LatePoint point;
    size_t came; /* which it was */
} Ordered;

static int by_time(const void *a, const void *b) {
    const Ordered *x = a, *y = b;
    if (x->point.t != y->point.t) {
        return x->point.t < y->point.t ? -1 : 1;
    }
    return (x->came > y->came) - (x->came < y->came);
}

/* By time; of equal times the first that came stays. */
static void order(LateIter *it) {
    LatePoints *p = &it->points;
    Ordered *v = NEW_ARRAY(Ordered, p->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        v[i] = (Ordered){p->v[i], i};
    }
    qsort(v, p->n, sizeof(*v), by_time);
    for (size_t i = 0; i < p->n; i++) {
        if (n == 0 || p->v[n - 1].t != v[i].point.t) {
            p->v[n++] = v[i].point;
        }
    }
    p->n = n;
    mem_free(v);
}

static int iter_next(SampleIter *base, SampleRun *ret) {
    LateIter *it = CONTAINER_OF(base, LateIter, base);
    if (it->err || it->at == it->points.n) {
        return it->err;
    }
    size_t n = MIN(it->points.n - it->at, (size_t)RUN_SAMPLES_MAX);
    vec_reserve(&it->t, n);
    vec_reserve(&it->v, n);
    for (size_t i = 0; i < n; i++) {
        it->t.v[i] = it->points.v[it->at + i].t;
        it->v.v[i] = it->points.v[it->at + i].v;
    }
    it->at += n;
    *ret = (SampleRun){.kind = SAMPLE_FLOAT, .n = (uint32_t)n, .t = it->t.v, .f = it->v.v};
    return 1;
}

static void iter_seek(SampleIter *base, int64_t t) {
    LateIter *it = CONTAINER_OF(base, LateIter, base);
    while (it->at < it->points.n && it->points.v[it->at].t < t) {
        it->at++;
    }
}

static void iter_free(SampleIter *base) {
    LateIter *it = CONTAINER_OF(base, LateIter, base);
    vec_free(&it->points);
    vec_free(&it->t);
    vec_free(&it->v);
    mem_free(it);
}

static const SampleIterOps iter_ops = {iter_next, iter_seek, iter_free};

/* ---- series */

static int set_next(SeriesSet *base, Series *ret) {
    LateSet *s = CONTAINER_OF(base, LateSet, base);
    if (s->at == s->entries.n || (s->limit && s->at == s->limit)) {
        return 0;
    }
    const LateEntry *e = &s->entries.v[s->at++];
    *ret = (Series){e->labels, e->slot};
    return 1;
}

static SampleIter *set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    LateSet *s = CONTAINER_OF(base, LateSet, base);
    LateIter *it = reuse ? CONTAINER_OF(reuse, LateIter, base) : NEW(LateIter);
    it->base.ops = &iter_ops;
    it->points.n = it->at = 0;
    it->err = 0;
    for (int i = 0; i < 2 && it->err == 0; i++) {
        if (s->querier->stores[i]) {
            it->err = late_store_read(s->querier->stores[i], (uint32_t)series->handle, s->mint,
                                      s->maxt, &it->points);
        }
    }
    order(it);
    return &it->base;
}

static void set_free(SeriesSet *base) {
    LateSet *s = CONTAINER_OF(base, LateSet, base);
    vec_free(&s->entries);
    arena_deinit(&s->arena);
    mem_free(s);
}

static const SeriesSetOps set_ops = {set_next, set_iter, set_free};

static int id_cmp(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sort_unique(Ids *ids) {
    size_t n = 0;
    if (ids->n > 1) {
        qsort(ids->v, ids->n, sizeof(*ids->v), id_cmp);
    }
    for (size_t i = 0; i < ids->n; i++) {
        if (n == 0 || ids->v[n - 1] != ids->v[i]) {
            ids->v[n++] = ids->v[i];
        }
    }
    ids->n = n;
}

static void keep_common(Ids *ids, const Ids *other) {
    size_t n = 0, k = 0;
    for (size_t i = 0; i < ids->n; i++) {
        while (k < other->n && other->v[k] < ids->v[i]) {
            k++;
        }
        if (k < other->n && other->v[k] == ids->v[i]) {
            ids->v[n++] = ids->v[i];
        }
    }
    ids->n = n;
}

static void add_entry(LateSet *s, uint32_t slot) {
    const HeadIndex *x = &s->querier->head->index;
    const HeadLabels *l = head_series_any(s->querier->head, slot)->labels;
    Label *v = ARENA_ARRAY(&s->arena, Label, l->n);
    vec_push(&s->entries, (LateEntry){head_index_labels(x, l, v), slot});
}

/* Series of the stores that match (all when n is 0), with their labels. */
static int find_series(LateSet *s, const Matcher *m, size_t n, const atomic_bool *cancel) {
    Head *h = s->querier->head;
    Ids ids = {0}, matching = {0};
    int r = 0;
    for (int i = 0; i < 2; i++) {
        if (s->querier->stores[i]) {
            late_store_slots(s->querier->stores[i], s->mint, s->maxt, &ids);
        }
    }
    sort_unique(&ids);
    pthread_rwlock_rdlock(&h->index_lock);
    if (n > 0 && ids.n > 0) {
        r = head_select_ids(h, m, n, cancel, &matching);
        sort_unique(&matching);
        keep_common(&ids, &matching);
    }
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        add_entry(s, ids.v[i]);
    }
    pthread_rwlock_unlock(&h->index_lock);
    vec_free(&matching);
    vec_free(&ids);
    return r;
}

static int entry_cmp(const void *a, const void *b) {
    return labels_cmp(((const LateEntry *)a)->labels, ((const LateEntry *)b)->labels);
}

static int select_late(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                       Warnings *w, SeriesSet **ret) {
    (void)w;
    LateQuerier *q = CONTAINER_OF(base, LateQuerier, base);
    LateSet *s = NEW(LateSet);
    *s = (LateSet){.base.ops = &set_ops, .querier = q, .mint = q->mint, .maxt = q->maxt};
    if (hints) {
        s->mint = MAX(s->mint, hints->mint);
        s->maxt = MIN(s->maxt, hints->maxt);
        s->limit = hints->limit;
    }
    int r = find_series(s, m, n, hints ? hints->cancel : NULL);
    if (r < 0) {
        set_free(&s->base);
        return err_trace(r);
    }
    if (s->entries.n > 1) {
        qsort(s->entries.v, s->entries.n, sizeof(*s->entries.v), entry_cmp);
    }
    *ret = &s->base;
    return 0;
}

/* ---- names and values: few series are late, so they are looked at one by one */

static int list(LateQuerier *q, const Str *name, const Matcher *m, size_t n, uint64_t limit,
                Arena *a, Warnings *w, StrVec *ret) {
    SeriesSet *set;
    Series s;
    StrVec found = {0};
    int r = select_late(&q->base, m, n, NULL, w, &set);
    if (r < 0) {
        return r;
    }
    while (series_set_next(set, &s) > 0) {
        for (size_t i = 0; i < s.labels.n; i++) {
            if (!name || str_eq(s.labels.v[i].name, *name)) {
                vec_push(&found, name ? s.labels.v[i].value : s.labels.v[i].name);
            }
        }
    }
    if (found.n > 1) {
        qsort(found.v, found.n, sizeof(*found.v), str_qsort_cmp);
    }
    for (size_t i = 0; i < found.n && !(limit && ret->n == limit); i++) {
        if (i == 0 || !str_eq(found.v[i], found.v[i - 1])) {
            vec_push(ret, arena_str(a, found.v[i]));
        }
    }
    vec_free(&found);
    series_set_free(set);
    return a->failed ? -ENOMEM : 0;
}

static int late_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                      Warnings *w, StrVec *ret) {
    return list(CONTAINER_OF(base, LateQuerier, base), NULL, m, n, limit, a, w, ret);
}

static int late_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                       Arena *a, Warnings *w, StrVec *ret) {
    return list(CONTAINER_OF(base, LateQuerier, base), &name, m, n, limit, a, w, ret);
}

static void late_end(Querier *base) {
    LateQuerier *q = CONTAINER_OF(base, LateQuerier, base);
    late_store_unref(q->stores[0]);
    late_store_unref(q->stores[1]);
    head_unpin(q->head, &q->pin);
    mem_free(q);
}

static const QuerierOps late_ops = {select_late, late_names, late_values, late_end};

static Querier *querier_new(Head *h, int64_t mint, int64_t maxt) {
    LateQuerier *q = NEW(LateQuerier);
    *q = (LateQuerier){.base.ops = &late_ops, .head = h, .mint = mint, .maxt = maxt};
    head_pin(h, &q->pin, false);
    head_late_stores(h, &q->stores[0], &q->stores[1]);
    return &q->base;
}

int head_late_querier(Head *h, int64_t mint, int64_t maxt, Querier **ret) {
    int64_t min, max;
    head_late_range(h, &min, &max);
    *ret = min <= maxt && max >= mint && min <= max ? querier_new(h, mint, maxt) : NULL;
    return 0;
}

int head_late_frozen_querier(Head *h, Querier **ret) {
    *ret = NULL;
    Querier *base = querier_new(h, INT64_MIN, INT64_MAX);
    LateQuerier *q = CONTAINER_OF(base, LateQuerier, base);
    late_store_unref(q->stores[1]);
    q->stores[1] = NULL;
    if (q->stores[0]) {
        *ret = base;
    } else {
        late_end(base);
    }
    return 0;
}
