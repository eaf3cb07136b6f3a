/* The head as a querier: postings under the index lock, labels in batches, samples without it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tsdb/head/head_histogram.h"

#define LABEL_BATCH 256

typedef struct HeadQuerier {
    Querier base;
    Head *head;
    HeadPin pin;
    int64_t mint, maxt;
} HeadQuerier;

/* ---- the index as a source of postings; the index lock is held */

typedef struct HeadSource {
    PostingsSource base;
    Head *head;
} HeadSource;

static int source_list(PostingsSource *s, uint64_t token, Ids *ret) {
    const Postings *p = &((HeadSource *)s)->head->index.pairs.v[token].postings;
    ids_append(ret, postings_ids(p), p->n);
    return 0;
}

static int source_pair(PostingsSource *s, Str name, Str value, Ids *ret) {
    uint32_t pair;
    const HeadIndex *x = &((HeadSource *)s)->head->index;
    return head_index_pair(x, name, value, &pair) ? source_list(s, pair, ret) : 0;
}

static int source_values(PostingsSource *s, Str name, Str prefix, PostingsValueFn fn, void *arg) {
    const HeadIndex *x = &((HeadSource *)s)->head->index;
    const HeadName *n = head_index_name(x, name);
    for (size_t i = 0; n && i < n->pairs.n; i++) {
        uint32_t id = n->pairs.v[i];
        Str value = head_symbol(x, x->pairs.v[id].value);
        if (x->pairs.v[id].postings.n > 0 && str_starts(value, prefix)) {
            int r = fn(arg, value, id);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int source_all(PostingsSource *s, Ids *ret) {
    Head *h = ((HeadSource *)s)->head;
    vec_reserve(ret, ret->n + atomic_load(&h->n_series));
    for (uint32_t i = 0; i < s->limit; i++) {
        if (i % SLAB_SERIES == 0 && !atomic_load(&h->slabs[i / SLAB_SERIES])) {
            i += SLAB_SERIES - 1;
        } else if (head_series(h, i)) {
            vec_push(ret, i);
        }
    }
    return 0;
}

static int source_value(PostingsSource *s, uint32_t id, Str name, Str *ret) {
    Head *h = ((HeadSource *)s)->head;
    const HeadLabels *l = head_series_any(h, id)->labels;
    *ret = STR("");
    for (uint32_t i = 0; i < l->n; i++) {
        Label pair = head_pair(&h->index, l->pair[i]);
        if (str_eq(pair.name, name)) {
            *ret = pair.value;
            break;
        }
    }
    return 0;
}

static const PostingsSourceOps source_ops = {source_pair, source_values, source_list, source_all,
                                             source_value};

int head_select_ids(Head *h, const Matcher *m, size_t n, const atomic_bool *cancel, Ids *ret) {
    HeadSource s = {{&source_ops, atomic_load(&h->next_slot)}, h};
    return postings_select(&s.base, m, n, cancel, ret);
}

/* ---- samples of a series */

typedef struct HeadIter {
    SampleIter base;
    Head *head;
    int64_t mint, maxt;
    VEC(ChunkLogRef) full; /* newest first; taken from the end */
    Chunk open;            /* n = 0: none, or given already */
    uint8_t *open_data;
    uint32_t open_cap;
    int64_t *t;
    double *v;
    uint32_t room; /* of t and v */
    HistogramSamples histograms;
} HeadIter;

static int iter_emit_histograms(HeadIter *it, const Chunk *c, SampleRun *ret) {
    int r = histogram_chunk_decode(c, &it->histograms);
    if (r < 0) {
        return err_trace(r);
    }
    *ret = histogram_samples_run(&it->histograms, it->mint, it->maxt);
    return ret->n > 0;
}

static int iter_emit(HeadIter *it, const Chunk *c, SampleRun *ret) {
    if (chunk_encoding_kind(c->encoding) != SAMPLE_FLOAT) {
        return iter_emit_histograms(it, c, ret);
    }
    if (it->room < c->n) {
        it->room = MAX(c->n, (uint32_t)CHUNK_OPEN_SAMPLES_MAX);
        it->t = mem_recalloc(it->t, it->room, sizeof(*it->t));
        it->v = mem_recalloc(it->v, it->room, sizeof(*it->v));
    }
    int r = chunk_decode(c, it->t, it->v);
    if (r < 0) {
        return err_trace(r);
    }
    uint32_t from = 0, to = c->n;
    while (from < to && it->t[from] < it->mint) {
        from++;
    }
    while (to > from && it->t[to - 1] > it->maxt) {
        to--;
    }
    *ret = (SampleRun){.kind = SAMPLE_FLOAT, .n = to - from, .t = it->t + from, .f = it->v + from};
    return to > from;
}

static int iter_next(SampleIter *base, SampleRun *ret) {
    HeadIter *it = (HeadIter *)base;
    int r = 0;
    while (r == 0 && it->full.n > 0) {
        Chunk c;
        r = chunk_log_get(it->head->chunks, it->full.v[--it->full.n], &c);
        if (r == 0 && c.max_time >= it->mint) {
            r = iter_emit(it, &c, ret);
        }
    }
    if (r == 0 && it->open.n > 0) {
        Chunk c = it->open;
        it->open.n = 0;
        r = c.max_time >= it->mint ? iter_emit(it, &c, ret) : 0;
    }
    return r;
}

static void iter_seek(SampleIter *base, int64_t t) {
    HeadIter *it = (HeadIter *)base;
    it->mint = MAX(it->mint, t);
}

static void iter_free(SampleIter *base) {
    HeadIter *it = (HeadIter *)base;
    vec_free(&it->full);
    mem_free(it->open_data);
    mem_free(it->t);
    mem_free(it->v);
    histogram_samples_deinit(&it->histograms);
    mem_free(it);
}

static const SampleIterOps iter_ops = {iter_next, iter_seek, iter_free};

/* Only this needs the series' lock; its samples as of now stay readable. */
static ChunkLogRef iter_snapshot(HeadIter *it, HeadSeries *s, uint32_t view) {
    spin_lock(&s->lock);
    int64_t until = head_isolation_until(&it->head->isolation, s, view);
    it->maxt = MIN(it->maxt, until);
    ChunkLogRef full = s->full;
    it->open = (Chunk){0};
    if (s->open.n > 0 && s->open.t >= it->mint && s->open.min_time <= it->maxt) {
        it->open = head_series_open_chunk(s);
        if (it->open_cap < it->open.size) {
            it->open_cap = CHUNK_OPEN_BYTES_MAX + 2 * CHUNK_APPEND_ROOM;
            it->open_cap = MAX(it->open_cap, it->open.size);
            it->open_data = mem_realloc(it->open_data, it->open_cap);
        }
        memcpy(it->open_data, it->open.data, it->open.size);
        it->open.data = it->open_data;
    }
    spin_unlock(&s->lock);
    return full;
}

static void iter_start(HeadIter *it, HeadSeries *s, uint32_t view) {
    ChunkLogEntry e;
    ChunkLogRef ref = iter_snapshot(it, s, view);
    it->full.n = 0;
    for (; chunk_log_entry(it->head->chunks, ref, &e) && e.max_time >= it->mint; ref = e.previous) {
        if (e.min_time <= it->maxt) {
            vec_push(&it->full, ref);
        }
    }
}

/* ---- sets */

typedef struct HeadSet {
    SeriesSet base;
    Head *head;
    uint32_t view;
    int64_t mint, maxt;
    uint64_t limit, given;
    const atomic_bool *cancel;
    Ids ids;
    size_t at, labelled; /* ids before `labelled` have labels */
    Labels *labels;
    Arena arena;
} HeadSet;

/* The next labels, for a batch: the lock is not worth taking for one. */
static void set_label(HeadSet *set, size_t count) {
    Head *h = set->head;
    pthread_rwlock_rdlock(&h->index_lock);
    for (size_t end = MIN(set->labelled + count, set->ids.n); set->labelled < end;
         set->labelled++) {
        const HeadLabels *l = head_series_any(h, set->ids.v[set->labelled])->labels;
        Label *v = ARENA_ARRAY(&set->arena, Label, l->n);
        set->labels[set->labelled] = head_index_labels(&h->index, l, v);
    }
    pthread_rwlock_unlock(&h->index_lock);
}

static bool has_samples(Head *h, HeadSeries *s, uint32_t view, int64_t mint, int64_t maxt) {
    ChunkLogEntry e;
    spin_lock(&s->lock);
    int64_t until = head_isolation_until(&h->isolation, s, view);
    maxt = MIN(maxt, until);
    ChunkWriter open = s->open;
    ChunkLogRef ref = s->full;
    spin_unlock(&s->lock);
    if (open.n > 0 && open.t >= mint && open.min_time <= maxt) {
        return true;
    }
    for (; chunk_log_entry(h->chunks, ref, &e) && e.max_time >= mint; ref = e.previous) {
        if (e.min_time <= maxt) {
            return true;
        }
    }
    return false;
}

static int set_next(SeriesSet *base, Series *ret) {
    HeadSet *set = (HeadSet *)base;
    while (set->at < set->ids.n && (!set->limit || set->given < set->limit)) {
        if (set->cancel && atomic_load(set->cancel)) {
            return -ECANCELED;
        }
        if (set->at == set->labelled) {
            set_label(set, LABEL_BATCH);
        }
        size_t i = set->at++;
        if (has_samples(set->head, head_series_any(set->head, set->ids.v[i]), set->view, set->mint,
                        set->maxt)) {
            *ret = (Series){set->labels[i], set->ids.v[i]};
            set->given++;
            return 1;
        }
    }
    return 0;
}

static SampleIter *set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    HeadSet *set = (HeadSet *)base;
    HeadIter *it = (HeadIter *)reuse;
    if (!it) {
        it = NEW(HeadIter);
        it->base.ops = &iter_ops;
        it->head = set->head;
    }
    it->mint = set->mint;
    it->maxt = set->maxt;
    iter_start(it, head_series_any(set->head, series->handle), set->view);
    return &it->base;
}

static void set_free(SeriesSet *base) {
    HeadSet *set = (HeadSet *)base;
    vec_free(&set->ids);
    mem_free(set->labels);
    arena_deinit(&set->arena);
    mem_free(set);
}

static const SeriesSetOps set_ops = {set_next, set_iter, set_free};

static void set_sort(HeadSet *set) {
    if (set->ids.n < 2) {
        return;
    }
    set_label(set, set->ids.n);
    pthread_rwlock_rdlock(&set->head->index_lock);
    head_sort_series(set->head, set->ids.v, set->labels, set->ids.n);
    pthread_rwlock_unlock(&set->head->index_lock);
}

/* ---- the querier */

static int querier_select_series(Querier *base, const Matcher *m, size_t n,
                                 const SelectHints *hints, Warnings *w, SeriesSet **ret) {
    (void)w;
    HeadQuerier *q = (HeadQuerier *)base;
    HeadSet *set = NEW(HeadSet);
    set->base.ops = &set_ops;
    set->head = q->head;
    set->view = q->pin.view;
    set->mint = q->mint;
    set->maxt = q->maxt;
    if (hints) {
        set->limit = hints->limit;
        set->cancel = hints->cancel;
    }
    if (hints && (hints->mint || hints->maxt)) {
        set->mint = MAX(set->mint, hints->mint);
        set->maxt = MIN(set->maxt, hints->maxt);
    }
    pthread_rwlock_rdlock(&q->head->index_lock);
    int r = head_select_ids(q->head, m, n, set->cancel, &set->ids);
    pthread_rwlock_unlock(&q->head->index_lock);
    if (r < 0) {
        set_free(&set->base);
        return err_trace(r);
    }
    set->labels = NEW_ARRAY(Labels, set->ids.n ? set->ids.n : 1);
    if (hints && hints->sorted) {
        set_sort(set);
    }
    *ret = &set->base;
    return 0;
}

/* Sorted, each once, cut at the limit, copied to the arena while the lock is held. */
static int give_names(StrVec *found, uint64_t limit, Arena *a, Warnings *w, StrVec *ret) {
    if (found->n > 0) {
        qsort(found->v, found->n, sizeof(*found->v), str_qsort_cmp);
    }
    for (size_t i = 0; i < found->n; i++) {
        if (i > 0 && str_eq(found->v[i], found->v[i - 1])) {
            continue;
        }
        if (limit && ret->n >= limit) {
            warnings_add(w, "results truncated due to limit");
            break;
        }
        Str s = arena_str(a, found->v[i]);
        if (a->failed) {
            return -ENOMEM;
        }
        vec_push(ret, s);
    }
    return 0;
}

static bool name_lives(const HeadIndex *x, const HeadName *n) {
    for (size_t i = 0; i < n->pairs.n; i++) {
        if (x->pairs.v[n->pairs.v[i]].postings.n > 0) {
            return true;
        }
    }
    return false;
}

/* Bits of what series that match have: names or, of one name, values; as symbols. */
static int collect_matching(Head *h, const Str *name, const Matcher *m, size_t n, StrVec *ret) {
    Ids ids = {0};
    int r = head_select_ids(h, m, n, NULL, &ids);
    if (r < 0) {
        return err_trace(r);
    }
    const HeadIndex *x = &h->index;
    uint64_t *seen = NEW_ARRAY(uint64_t, x->symbols.n / 64 + 1);
    for (size_t i = 0; i < ids.n; i++) {
        const HeadLabels *l = head_series_any(h, ids.v[i])->labels;
        for (uint32_t k = 0; k < l->n; k++) {
            const HeadPair *p = &x->pairs.v[l->pair[k]];
            if (name && !str_eq(head_symbol(x, p->name), *name)) {
                continue;
            }
            uint32_t symbol = name ? p->value : p->name;
            if (!(seen[symbol / 64] >> (symbol % 64) & 1)) {
                seen[symbol / 64] |= UINT64_C(1) << (symbol % 64);
                vec_push(ret, head_symbol(x, symbol));
            }
        }
    }
    mem_free(seen);
    vec_free(&ids);
    return 0;
}

/* The head's range against the querier's: outside of it there is nothing to tell. */
static bool overlaps(const HeadQuerier *q) {
    return atomic_load(&q->head->min_time) <= q->maxt && atomic_load(&q->head->max_time) >= q->mint;
}

static int querier_label_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                               Warnings *w, StrVec *ret) {
    HeadQuerier *q = (HeadQuerier *)base;
    const HeadIndex *x = &q->head->index;
    StrVec found = {0};
    int r = 0;
    if (!overlaps(q)) {
        return 0;
    }
    pthread_rwlock_rdlock(&q->head->index_lock);
    if (n > 0) {
        r = collect_matching(q->head, NULL, m, n, &found);
    } else {
        for (size_t i = 0; i < x->names.n; i++) {
            if (name_lives(x, &x->names.v[i])) {
                vec_push(&found, head_symbol(x, x->names.v[i].symbol));
            }
        }
    }
    r = r < 0 ? r : give_names(&found, limit, a, w, ret);
    pthread_rwlock_unlock(&q->head->index_lock);
    vec_free(&found);
    return r;
}

static int querier_label_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                                Arena *a, Warnings *w, StrVec *ret) {
    HeadQuerier *q = (HeadQuerier *)base;
    const HeadIndex *x = &q->head->index;
    StrVec found = {0};
    int r = 0;
    if (!overlaps(q)) {
        return 0;
    }
    pthread_rwlock_rdlock(&q->head->index_lock);
    const HeadName *hn = head_index_name(x, name);
    if (hn && n > 0) {
        r = collect_matching(q->head, &name, m, n, &found);
    } else if (hn) {
        for (size_t i = 0; i < hn->pairs.n; i++) {
            const HeadPair *p = &x->pairs.v[hn->pairs.v[i]];
            if (p->postings.n > 0) {
                vec_push(&found, head_symbol(x, p->value));
            }
        }
    }
    r = r < 0 ? r : give_names(&found, limit, a, w, ret);
    pthread_rwlock_unlock(&q->head->index_lock);
    vec_free(&found);
    return r;
}

static void querier_end(Querier *base) {
    HeadQuerier *q = (HeadQuerier *)base;
    head_unpin(q->head, &q->pin);
    mem_free(q);
}

static const QuerierOps querier_ops = {querier_select_series, querier_label_names,
                                       querier_label_values, querier_end};

int head_querier(Head *h, int64_t mint, int64_t maxt, Querier **ret) {
    HeadQuerier *q = NEW(HeadQuerier);
    q->base.ops = &querier_ops;
    q->head = h;
    head_pin(h, &q->pin, false);
    /* What is older is in blocks that a querier opened now reads. */
    q->mint = MAX(mint, atomic_load(&h->truncated_at));
    q->maxt = maxt;
    *ret = &q->base;
    return 0;
}
