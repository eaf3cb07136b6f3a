/*
 * Series into the order of their labels. Selected series share most of their pairs, so the few
 * different ones are ordered as texts, once, and series compare by the ranks of theirs; the first
 * ranks lie in one number, the rest is hardly ever looked at.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "tsdb/head/head.h"

typedef struct RankedPair {
    Label label;
    uint32_t id;
} RankedPair;

typedef struct Sorted {
    uint64_t first; /* ranks, the first uppermost; 0 where a series has no more */
    uint32_t at;
} Sorted;

typedef struct PairRanks {
    VEC(RankedPair) pairs;
    U64Map rank; /* of a pair's id, from 1 */
    unsigned bits;
} PairRanks;

static int cmp_pairs(const void *a, const void *b) {
    const Label *x = &((const RankedPair *)a)->label, *y = &((const RankedPair *)b)->label;
    int r = str_cmp(x->name, y->name);
    return r ? r : str_cmp(x->value, y->value);
}

static int cmp_series(const void *a, const void *b, void *labels) {
    const Sorted *x = a, *y = b;
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return labels_cmp(((Labels *)labels)[x->at], ((Labels *)labels)[y->at]);
}

static void rank_pairs(PairRanks *r, Head *h, const uint32_t *ids, size_t n) {
    uint64_t seen;
    for (size_t i = 0; i < n; i++) {
        const HeadLabels *l = head_series_any(h, ids[i])->labels;
        for (uint32_t k = 0; k < l->n; k++) {
            if (!u64_map_get(&r->rank, l->pair[k], &seen)) {
                u64_map_put(&r->rank, l->pair[k], 0);
                vec_push(&r->pairs, (RankedPair){head_pair(&h->index, l->pair[k]), l->pair[k]});
            }
        }
    }
    if (r->pairs.n > 0) {
        qsort(r->pairs.v, r->pairs.n, sizeof(*r->pairs.v), cmp_pairs);
    }
    for (size_t i = 0; i < r->pairs.n; i++) {
        u64_map_put(&r->rank, r->pairs.v[i].id, i + 1);
    }
    while (r->pairs.n >> r->bits) {
        r->bits++;
    }
}

static uint64_t first_ranks(const PairRanks *r, const HeadLabels *l) {
    uint64_t all = 0;
    unsigned left = 64;
    for (uint32_t k = 0; k < l->n && left >= r->bits; k++) {
        uint64_t rank = 0;
        (void)u64_map_get(&r->rank, l->pair[k], &rank);
        left -= r->bits;
        all |= rank << left;
    }
    return all;
}

void head_sort_series(Head *h, uint32_t *ids, Labels *labels, size_t n) {
    PairRanks r = {0};
    Sorted *v = NEW_ARRAY(Sorted, n + 1);
    Labels *labels_were = NEW_ARRAY(Labels, n + 1);
    uint32_t *ids_were = NEW_ARRAY(uint32_t, n + 1);
    rank_pairs(&r, h, ids, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = (Sorted){first_ranks(&r, head_series_any(h, ids[i])->labels), (uint32_t)i};
        labels_were[i] = labels[i];
        ids_were[i] = ids[i];
    }
    qsort_r(v, n, sizeof(*v), cmp_series, labels_were);
    for (size_t i = 0; i < n; i++) {
        labels[i] = labels_were[v[i].at];
        ids[i] = ids_were[v[i].at];
    }
    u64_map_deinit(&r.rank);
    vec_free(&r.pairs);
    mem_free(ids_were);
    mem_free(labels_were);
    mem_free(v);
}
