/*
 * Which labels the series of the head come from: how many there are of each metric, label, pair and
 * target, of all series or of a selection. One pass over the series: an array counts by pair, a map
 * by target. The index lock is shared meanwhile.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "tsdb/head/head.h"

typedef struct TargetKey {
    uint32_t job, instance; /* symbols, + 1; 0 = it has none */
} TargetKey;

typedef struct Explorer {
    const HeadIndex *x;
    uint32_t job, instance; /* symbols of the names; UINT32_MAX: no series has it */
    uint32_t *by_pair;
    U64Map by_target; /* job << 32 | instance */
    uint64_t series;
} Explorer;

static uint32_t symbol_of(const HeadIndex *x, Str name) {
    for (size_t i = 0; i < x->names.n; i++) {
        if (str_eq(head_symbol(x, x->names.v[i].symbol), name)) {
            return x->names.v[i].symbol;
        }
    }
    return UINT32_MAX;
}

static void explore_series(Explorer *e, const HeadSeries *s) {
    TargetKey target = {0};
    for (uint32_t i = 0; i < s->labels->n; i++) {
        uint32_t pair = s->labels->pair[i];
        const HeadPair *p = &e->x->pairs.v[pair];
        e->by_pair[pair]++;
        if (p->name == e->job) {
            target.job = p->value + 1;
        } else if (p->name == e->instance) {
            target.instance = p->value + 1;
        }
    }
    e->series++;
    if (target.job || target.instance) {
        uint64_t key = (uint64_t)target.job << 32 | target.instance, n = 0;
        (void)u64_map_get(&e->by_target, key, &n);
        u64_map_put(&e->by_target, key, n + 1);
    }
}

static void explore_all(Explorer *e, Head *h) {
    uint32_t n = atomic_load(&h->next_slot);
    for (uint32_t i = 0; i < n; i++) {
        const HeadSeries *s = head_series(h, i);
        if (s) {
            explore_series(e, s);
        }
    }
}

static int explore_selected(Explorer *e, Head *h, const TsdbSelector *sets, size_t n) {
    Ids ids = {0};
    uint8_t *seen = n > 1 ? mem_zalloc(atomic_load(&h->next_slot) + 1) : NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        ids.n = 0;
        r = head_select_ids(h, sets[i].v, sets[i].n, NULL, &ids);
        for (size_t k = 0; r == 0 && k < ids.n; k++) {
            const HeadSeries *s = head_series(h, ids.v[k]);
            if (s && !(seen && seen[ids.v[k]]++)) {
                explore_series(e, s);
            }
        }
    }
    mem_free(seen);
    vec_free(&ids);
    return r;
}

/* ---- the largest of them ---- */

typedef struct Found {
    uint64_t key;
    uint64_t n;
} Found;
typedef VEC(Found) FoundList;

static int by_count(const void *a, const void *b) {
    const Found *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : (x->key > y->key) - (x->key < y->key);
}

static size_t largest(FoundList *l, size_t limit) {
    if (l->n > 0) {
        qsort(l->v, l->n, sizeof(*l->v), by_count);
    }
    return MIN(l->n, limit);
}

static Str own(const HeadIndex *x, uint32_t symbol, Arena *a) {
    return arena_str(a, head_symbol(x, symbol));
}

static void give_pairs(const Explorer *e, size_t limit, Arena *a, TsdbExplored *ret) {
    FoundList pairs = {0}, metrics = {0};
    for (uint32_t i = 0; i < e->x->pairs.n; i++) {
        if (e->by_pair[i] == 0) {
            continue;
        }
        bool metric = str_eq(head_symbol(e->x, e->x->pairs.v[i].name), LABEL_NAME);
        vec_push(&pairs, (Found){i, e->by_pair[i]});
        if (metric) {
            vec_push(&metrics, (Found){i, e->by_pair[i]});
        }
    }
    ret->n_pairs = largest(&pairs, limit);
    ret->pairs = ARENA_ARRAY(a, TsdbPairCount, ret->n_pairs + 1);
    ret->metrics_all = metrics.n;
    ret->n_metrics = largest(&metrics, limit);
    ret->metrics = ARENA_ARRAY(a, TsdbMetricCount, ret->n_metrics + 1);
    for (size_t i = 0; ret->pairs && i < ret->n_pairs; i++) {
        const HeadPair *p = &e->x->pairs.v[pairs.v[i].key];
        ret->pairs[i] =
            (TsdbPairCount){own(e->x, p->name, a), own(e->x, p->value, a), pairs.v[i].n};
    }
    for (size_t i = 0; ret->metrics && i < ret->n_metrics; i++) {
        const HeadPair *p = &e->x->pairs.v[metrics.v[i].key];
        ret->metrics[i] =
            (TsdbMetricCount){.name = own(e->x, p->value, a), .series = metrics.v[i].n};
    }
    vec_free(&pairs);
    vec_free(&metrics);
}

/* Labels by their number of values. */
static void give_labels(const Explorer *e, size_t limit, Arena *a, TsdbExplored *ret) {
    FoundList labels = {0};
    const HeadIndex *x = e->x;
    uint64_t *series = NEW_ARRAY(uint64_t, x->names.n + 1);
    for (size_t i = 0; i < x->names.n; i++) {
        const HeadName *name = &x->names.v[i];
        uint64_t values = 0;
        for (size_t k = 0; k < name->pairs.n; k++) {
            values += e->by_pair[name->pairs.v[k]] > 0;
            series[i] += e->by_pair[name->pairs.v[k]];
        }
        if (values > 0) {
            vec_push(&labels, (Found){i, values});
        }
    }
    ret->n_labels = largest(&labels, limit);
    ret->labels = ARENA_ARRAY(a, TsdbLabelCount, ret->n_labels + 1);
    for (size_t i = 0; ret->labels && i < ret->n_labels; i++) {
        size_t at = labels.v[i].key;
        ret->labels[i] =
            (TsdbLabelCount){own(x, x->names.v[at].symbol, a), labels.v[i].n, series[at]};
    }
    mem_free(series);
    vec_free(&labels);
}

static Str value_of(const HeadIndex *x, uint32_t symbol, Arena *a) {
    return symbol ? own(x, symbol - 1, a) : STR("");
}

static void give_targets(const Explorer *e, size_t limit, Arena *a, TsdbExplored *ret) {
    FoundList targets = {0};
    uint64_t key, n;
    for (size_t at = 0; u64_map_next(&e->by_target, &at, &key, &n);) {
        vec_push(&targets, (Found){key, n});
    }
    ret->targets_all = targets.n;
    ret->n_targets = largest(&targets, limit);
    ret->targets = ARENA_ARRAY(a, TsdbTargetCount, ret->n_targets + 1);
    for (size_t i = 0; ret->targets && i < ret->n_targets; i++) {
        key = targets.v[i].key;
        ret->targets[i] = (TsdbTargetCount){value_of(e->x, (uint32_t)(key >> 32), a),
                                            value_of(e->x, (uint32_t)key, a), targets.v[i].n};
    }
    vec_free(&targets);
}

int head_explore(Head *h, const TsdbSelector *sets, size_t n, size_t limit, Arena *a,
                 TsdbExplored *ret) {
    int r = 0;
    pthread_rwlock_rdlock(&h->index_lock);
    Explorer e = {.x = &h->index};
    e.job = symbol_of(e.x, STR("job"));
    e.instance = symbol_of(e.x, STR("instance"));
    e.by_pair = NEW_ARRAY(uint32_t, e.x->pairs.n + 1);
    if (n > 0) {
        r = explore_selected(&e, h, sets, n);
    } else {
        explore_all(&e, h);
    }
    if (r == 0) {
        *ret = (TsdbExplored){.series = e.series};
        give_pairs(&e, limit, a, ret);
        give_labels(&e, limit, a, ret);
        give_targets(&e, limit, a, ret);
        r = a->failed ? -ENOMEM : 0;
    }
    pthread_rwlock_unlock(&h->index_lock);
    mem_free(e.by_pair);
    u64_map_deinit(&e.by_target);
    return r < 0 ? err_trace(r) : 0;
}
