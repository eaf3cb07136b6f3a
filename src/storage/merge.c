#include "storage/merge.h"

#include <stdlib.h>

#include "base/err.h"

typedef struct MergeQuerier {
    Querier base;
    size_t n;
    Querier *queriers[];
} MergeQuerier;

/* One series of one querier that is part of a merged series. Parts of a merged series lie next to
 * each other, in the queriers' order. */
typedef struct Part {
    size_t set;
    Series series;
} Part;

typedef struct Merged {
    size_t first, n;
} Merged;

typedef struct MergeSet {
    SeriesSet base;
    size_t n;
    uint64_t limit;
    bool started;
    SeriesSet **sets;
    Series *heads; /* the next series of each set */
    bool *live;
    int *order; /* how it compares with the least of those before it */
    VEC(Part) parts;
    VEC(Merged) merged; /* by handle */
} MergeSet;

typedef struct Input {
    SampleIter *it; /* kept for reuse */
    SampleRun run;
    uint32_t at;
    bool live, used;
} Input;

typedef struct MergeIter {
    SampleIter base;
    MergeSet *set;
    size_t last; /* the input the sample before came from; n: none */
    VEC(const void *) pointers;
    Histogram hint_h;
    FloatHistogram hint_fh;
    size_t n;
    Input inputs[];
} MergeIter;

/* ---- samples */

static int input_next(Input *in) {
    int r = sample_iter_next(in->it, &in->run);
    in->at = 0;
    in->live = r == 1;
    return MIN(r, 0);
}

/* Past everything up to and including t. */
static int input_drop(Input *in, int64_t t) {
    while (in->live && in->run.t[in->at] <= t) {
        if (++in->at == in->run.n) {
            int r = input_next(in);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/*
 * The hint of a histogram speaks about the sample before it in the same source. When that is not
 * the one we gave out before, nothing is known any more.
 */
static void forget_hint(MergeIter *m, SampleRun *run) {
    const void *changed;
    if (run->kind == SAMPLE_HISTOGRAM && run->h[0]->reset_hint != RESET_GAUGE) {
        m->hint_h = *run->h[0];
        m->hint_h.reset_hint = RESET_UNKNOWN;
        changed = &m->hint_h;
    } else if (run->kind == SAMPLE_FLOAT_HISTOGRAM && run->fh[0]->reset_hint != RESET_GAUGE) {
        m->hint_fh = *run->fh[0];
        m->hint_fh.reset_hint = RESET_UNKNOWN;
        changed = &m->hint_fh;
    } else {
        return;
    }
    m->pointers.n = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        vec_push(&m->pointers, run->kind == SAMPLE_HISTOGRAM ? (const void *)run->h[i]
                                                             : (const void *)run->fh[i]);
    }
    m->pointers.v[0] = changed;
    if (run->kind == SAMPLE_HISTOGRAM) {
        run->h = (const Histogram *const *)(const void *)m->pointers.v;
    } else {
        run->fh = (const FloatHistogram *const *)(const void *)m->pointers.v;
    }
}

static size_t earliest(const MergeIter *m) {
    size_t best = m->n;
    for (size_t i = 0; i < m->n; i++) {
        const Input *in = &m->inputs[i];
        if (in->live &&
            (best == m->n || in->run.t[in->at] < m->inputs[best].run.t[m->inputs[best].at])) {
            best = i;
        }
    }
    return best;
}

/* The run handed out last ends where the winner stands: step over it before looking again. */
static int merge_next(SampleIter *it, SampleRun *ret) {
    MergeIter *m = CONTAINER_OF(it, MergeIter, base);
    if (m->last < m->n) {
        Input *in = &m->inputs[m->last];
        int r = in->live && in->at == in->run.n ? input_next(in) : 0;
        if (r < 0) {
            return r;
        }
    }
    size_t winner = earliest(m);
    if (winner == m->n) {
        return 0;
    }
    Input *in = &m->inputs[winner];
    int64_t bound = INT64_MAX;
    bool alone = true;
    for (size_t i = 0; i < m->n; i++) {
        int r = i == winner ? 0 : input_drop(&m->inputs[i], in->run.t[in->at]);
        if (r < 0) {
            return r;
        }
        if (i != winner && m->inputs[i].live) {
            bound = MIN(bound, m->inputs[i].run.t[m->inputs[i].at]);
            alone = false;
        }
    }
    uint32_t end = in->run.n;
    if (!alone && in->run.t[end - 1] >= bound) {
        for (end = in->at + 1; in->run.t[end] < bound; end++) {
        }
    }
    sample_run_slice(&in->run, in->at, end - in->at, ret);
    if (m->last < m->n && m->last != winner) {
        forget_hint(m, ret);
    }
    in->at = end;
    m->last = winner;
    return 1;
}

static void merge_seek(SampleIter *it, int64_t t) {
    MergeIter *m = CONTAINER_OF(it, MergeIter, base);
    for (size_t i = 0; i < m->n; i++) {
        if (m->inputs[i].used) {
            sample_iter_seek(m->inputs[i].it, t);
        }
    }
}

static void merge_iter_free(SampleIter *it) {
    MergeIter *m = CONTAINER_OF(it, MergeIter, base);
    for (size_t i = 0; i < m->n; i++) {
        sample_iter_free(m->inputs[i].it);
    }
    vec_free(&m->pointers);
    mem_free(m);
}

/*
 * The sub-iterators hand out their first runs in the first call, so that a seek before it reaches
 * them untouched.
 */
static int merge_first(SampleIter *it, SampleRun *ret);

static const SampleIterOps merge_iter_ops = {merge_next, merge_seek, merge_iter_free};
static const SampleIterOps merge_first_ops = {merge_first, merge_seek, merge_iter_free};

static int merge_first(SampleIter *it, SampleRun *ret) {
    MergeIter *m = CONTAINER_OF(it, MergeIter, base);
    for (size_t i = 0; i < m->n; i++) {
        int r = m->inputs[i].used ? input_next(&m->inputs[i]) : 0;
        if (r < 0) {
            return r;
        }
    }
    it->ops = &merge_iter_ops;
    return merge_next(it, ret);
}

/* ---- series */

static SampleIter *merge_set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    MergeSet *s = CONTAINER_OF(base, MergeSet, base);
    MergeIter *m = reuse ? CONTAINER_OF(reuse, MergeIter, base) : NULL;
    if (!m) {
        m = mem_zalloc(sizeof(*m) + s->n * sizeof(m->inputs[0]));
        m->set = s;
        m->n = s->n;
    }
    for (size_t i = 0; i < m->n; i++) {
        m->inputs[i].live = m->inputs[i].used = false;
    }
    Merged parts = s->merged.v[series->handle];
    for (size_t i = parts.first; i < parts.first + parts.n; i++) {
        const Part *p = &s->parts.v[i];
        Input *in = &m->inputs[p->set];
        in->it = series_set_iter(s->sets[p->set], &p->series, in->it);
        in->used = true;
    }
    m->last = m->n;
    m->base.ops = &merge_first_ops;
    return &m->base;
}

static int advance(MergeSet *s, size_t i) {
    int r = series_set_next(s->sets[i], &s->heads[i]);
    s->live[i] = r == 1;
    return MIN(r, 0);
}

static int merge_set_next(SeriesSet *base, Series *ret) {
    MergeSet *s = CONTAINER_OF(base, MergeSet, base);
    for (size_t i = 0; i < s->n && !s->started; i++) {
        int r = advance(s, i);
        if (r < 0) {
            return r;
        }
    }
    s->started = true;
    size_t best = s->n;
    for (size_t i = 0; i < s->n; i++) {
        if (s->live[i]) {
            s->order[i] = best < s->n ? labels_cmp(s->heads[i].labels, s->heads[best].labels) : -1;
            best = s->order[i] < 0 ? i : best;
        }
    }
    if (best == s->n || (s->limit && s->merged.n == s->limit)) {
        return 0;
    }
    Series found = {.labels = s->heads[best].labels, .handle = s->merged.n};
    Merged parts = {.first = s->parts.n};
    for (size_t i = best; i < s->n; i++) {
        if (s->live[i] && (i == best || s->order[i] == 0)) {
            vec_push(&s->parts, (Part){i, s->heads[i]});
            parts.n++;
            int r = advance(s, i);
            if (r < 0) {
                return r;
            }
        }
    }
    vec_push(&s->merged, parts);
    *ret = found;
    return 1;
}

static void merge_set_free(SeriesSet *base) {
    MergeSet *s = CONTAINER_OF(base, MergeSet, base);
    for (size_t i = 0; i < s->n; i++) {
        series_set_free(s->sets[i]);
    }
    mem_free(s->sets);
    mem_free(s->heads);
    mem_free(s->live);
    mem_free(s->order);
    vec_free(&s->parts);
    vec_free(&s->merged);
    mem_free(s);
}

static const SeriesSetOps merge_set_ops = {merge_set_next, merge_set_iter, merge_set_free};

/* ---- queriers */

static int merge_select(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                        Warnings *w, SeriesSet **ret) {
    MergeQuerier *q = CONTAINER_OF(base, MergeQuerier, base);
    SelectHints sorted = hints ? *hints : (SelectHints){.mint = INT64_MIN, .maxt = INT64_MAX};
    sorted.sorted = true;
    MergeSet *s = NEW(MergeSet);
    *s = (MergeSet){.base.ops = &merge_set_ops, .n = q->n, .limit = sorted.limit};
    s->sets = NEW_ARRAY(SeriesSet *, q->n);
    s->heads = NEW_ARRAY(Series, q->n);
    s->live = NEW_ARRAY(bool, q->n);
    s->order = NEW_ARRAY(int, q->n);
    for (size_t i = 0; i < q->n; i++) {
        int r = querier_select(q->queriers[i], m, n, &sorted, w, &s->sets[i]);
        if (r != 0) {
            merge_set_free(&s->base);
            return r;
        }
    }
    *ret = &s->base;
    return 0;
}

static void sort_unique(StrVec *v) {
    size_t kept = 0;
    if (v->n > 1) {
        qsort(v->v, v->n, sizeof(*v->v), str_qsort_cmp);
    }
    for (size_t i = 0; i < v->n; i++) {
        if (kept == 0 || !str_eq(v->v[kept - 1], v->v[i])) {
            v->v[kept++] = v->v[i];
        }
    }
    v->n = kept;
}

/* Sorts what the queriers gave and cuts it once more. */
static void finish_list(StrVec *v, uint64_t limit, Warnings *w) {
    sort_unique(v);
    if (limit && v->n > limit) {
        v->n = (size_t)limit;
        warnings_add(w, "results truncated due to limit");
    }
}

static int merge_list(MergeQuerier *q, const Str *name, const Matcher *m, size_t n, uint64_t limit,
                      Arena *a, Warnings *w, StrVec *ret) {
    StrVec all = {0};
    for (size_t i = 0; i < q->n; i++) {
        StrVec part = {0};
        Querier *one = q->queriers[i];
        int r = name ? one->ops->label_values(one, *name, m, n, limit, a, w, &part)
                     : one->ops->label_names(one, m, n, limit, a, w, &part);
        for (size_t j = 0; r == 0 && j < part.n; j++) {
            vec_push(&all, part.v[j]);
        }
        vec_free(&part);
        if (r != 0) {
            vec_free(&all);
            return r;
        }
    }
    finish_list(&all, limit, w);
    *ret = all;
    return 0;
}

static int merge_label_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                             Warnings *w, StrVec *ret) {
    return merge_list(CONTAINER_OF(base, MergeQuerier, base), NULL, m, n, limit, a, w, ret);
}

static int merge_label_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                              Arena *a, Warnings *w, StrVec *ret) {
    return merge_list(CONTAINER_OF(base, MergeQuerier, base), &name, m, n, limit, a, w, ret);
}

static void merge_close(Querier *base) {
    MergeQuerier *q = CONTAINER_OF(base, MergeQuerier, base);
    for (size_t i = 0; i < q->n; i++) {
        querier_close(q->queriers[i]);
    }
    mem_free(q);
}

static const QuerierOps merge_ops = {merge_select, merge_label_names, merge_label_values,
                                     merge_close};

Querier *merge_querier_new(Querier **queriers, size_t n) {
    if (n == 1) {
        return queriers[0];
    }
    MergeQuerier *q = mem_alloc(sizeof(*q) + n * sizeof(q->queriers[0]));
    q->base.ops = &merge_ops;
    q->n = n;
    if (n) {
        memcpy(q->queriers, queriers, n * sizeof(*queriers));
    }
    return &q->base;
}
