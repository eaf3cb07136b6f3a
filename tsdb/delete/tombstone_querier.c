/* Between a querier of head or block and everybody else: what is deleted does not come through. */
#include "base/mem.h"
#include "tsdb/delete/tombstones.h"

typedef struct TombstoneQuerier {
    Querier base;
    Querier *inner;
    Tombstones *tombstones;
} TombstoneQuerier;

typedef struct TombstoneSet {
    SeriesSet base;
    SeriesSet *inner;
    Tombstones *tombstones;
    SampleIter *probe; /* to see whether anything is left */
    uint64_t left;
    bool series_only;
} TombstoneSet;

typedef struct TombstoneIter {
    SampleIter base;
    SampleIter *inner;
    TombstoneFilter filter;
    SampleRun run;
    uint32_t at;
} TombstoneIter;

/* ---- samples */

static int iter_next(SampleIter *base, SampleRun *ret) {
    TombstoneIter *it = CONTAINER_OF(base, TombstoneIter, base);
    uint32_t first, n;
    while (!tombstone_filter_next(&it->filter, it->run.t, it->run.n, &it->at, &first, &n)) {
        int r = sample_iter_next(it->inner, &it->run);
        it->at = 0;
        if (r <= 0) {
            it->run.n = 0;
            return r;
        }
    }
    sample_run_slice(&it->run, first, n, ret);
    return 1;
}

static void iter_seek(SampleIter *base, int64_t t) {
    sample_iter_seek(CONTAINER_OF(base, TombstoneIter, base)->inner, t);
}

static void iter_free(SampleIter *base) {
    TombstoneIter *it = CONTAINER_OF(base, TombstoneIter, base);
    sample_iter_free(it->inner);
    mem_free(it);
}

static const SampleIterOps iter_ops = {iter_next, iter_seek, iter_free};

/* ---- series */

static SampleIter *set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    TombstoneSet *s = CONTAINER_OF(base, TombstoneSet, base);
    TombstoneIter *it = reuse ? CONTAINER_OF(reuse, TombstoneIter, base) : NEW(TombstoneIter);
    SampleIter *inner = it->inner;
    *it = (TombstoneIter){.base.ops = &iter_ops};
    it->inner = series_set_iter(s->inner, series, inner);
    it->filter.v = tombstones_find(s->tombstones, series_key(series->labels), &it->filter.n);
    return &it->base;
}

/* 1 when a sample of it stays. Only series with tombstones are looked into. */
static int has_samples(TombstoneSet *s, const Series *series) {
    size_t n;
    SampleRun run;
    (void)tombstones_find(s->tombstones, series_key(series->labels), &n);
    if (n == 0) {
        return 1;
    }
    s->probe = set_iter(&s->base, series, s->probe);
    return sample_iter_next(s->probe, &run);
}

static int set_next(SeriesSet *base, Series *ret) {
    TombstoneSet *s = CONTAINER_OF(base, TombstoneSet, base);
    int r = 0;
    while (s->left > 0 && (r = series_set_next(s->inner, ret)) > 0) {
        r = has_samples(s, ret);
        if (r != 0) {
            s->left--;
            return r;
        }
    }
    return r;
}

static void set_free(SeriesSet *base) {
    TombstoneSet *s = CONTAINER_OF(base, TombstoneSet, base);
    sample_iter_free(s->probe);
    series_set_free(s->inner);
    tombstones_unref(s->tombstones);
    mem_free(s);
}

static const SeriesSetOps set_ops = {set_next, set_iter, set_free};

/* ---- the querier */

static int querier_select_left(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                               Warnings *w, SeriesSet **ret) {
    TombstoneQuerier *q = CONTAINER_OF(base, TombstoneQuerier, base);
    SelectHints all = hints ? *hints : (SelectHints){.mint = INT64_MIN, .maxt = INT64_MAX};
    TombstoneSet *s = NEW(TombstoneSet);
    s->base.ops = &set_ops;
    s->left = all.limit ? all.limit : UINT64_MAX;
    all.limit = 0;
    int r = querier_select(q->inner, m, n, &all, w, &s->inner);
    if (r < 0) {
        mem_free(s);
        return r;
    }
    s->tombstones = tombstones_ref(q->tombstones);
    *ret = &s->base;
    return 0;
}

static int querier_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                         Warnings *w, StrVec *ret) {
    Querier *q = CONTAINER_OF(base, TombstoneQuerier, base)->inner;
    return q->ops->label_names(q, m, n, limit, a, w, ret);
}

static int querier_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                          Arena *a, Warnings *w, StrVec *ret) {
    Querier *q = CONTAINER_OF(base, TombstoneQuerier, base)->inner;
    return q->ops->label_values(q, name, m, n, limit, a, w, ret);
}

static void querier_end(Querier *base) {
    TombstoneQuerier *q = CONTAINER_OF(base, TombstoneQuerier, base);
    querier_close(q->inner);
    tombstones_unref(q->tombstones);
    mem_free(q);
}

static const QuerierOps querier_ops = {querier_select_left, querier_names, querier_values,
                                       querier_end};

Querier *tombstone_querier_new(Querier *inner, Tombstones *t) {
    if (tombstones_series(t) == 0) {
        tombstones_unref(t);
        return inner;
    }
    TombstoneQuerier *q = NEW(TombstoneQuerier);
    *q = (TombstoneQuerier){{&querier_ops}, inner, t};
    return &q->base;
}
