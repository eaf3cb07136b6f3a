#include "tsdb/policies.h"

#include "base/mem.h"

TsdbPolicies *tsdb_policies_new(void) {
    TsdbPolicies *p = NEW(TsdbPolicies);
    atomic_init(&p->refs, 1);
    return p;
}

TsdbPolicies *tsdb_policies_ref(TsdbPolicies *p) {
    if (p) {
        atomic_fetch_add(&p->refs, 1);
    }
    return p;
}

void tsdb_policies_unref(TsdbPolicies *p) {
    if (!p || atomic_fetch_sub(&p->refs, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < p->n_keep; i++) {
        for (size_t k = 0; k < p->keep[i].n; k++) {
            matcher_deinit(&p->keep[i].v[k]);
        }
    }
    arena_deinit(&p->arena);
    mem_free(p);
}

int64_t tsdb_policies_keep(const TsdbPolicies *p, Labels l, int64_t general_ms) {
    for (size_t i = 0; p && i < p->n_keep; i++) {
        if (matchers_match(p->keep[i].v, p->keep[i].n, l)) {
            return p->keep[i].keep_ms;
        }
    }
    return general_ms;
}

int64_t tsdb_policies_longest(const TsdbPolicies *p, int64_t general_ms) {
    int64_t longest = general_ms;
    for (size_t i = 0; p && longest > 0 && i < p->n_keep; i++) {
        int64_t keep = p->keep[i].keep_ms;
        longest = keep == 0 ? 0 : MAX(longest, keep);
    }
    return longest;
}

int64_t tsdb_policies_resolution(const TsdbPolicies *p, int64_t age_ms) {
    int64_t resolution = 0;
    for (size_t i = 0; p && i < p->n_downsample; i++) {
        if (age_ms >= p->downsample[i].after_ms) {
            resolution = p->downsample[i].resolution_ms;
        }
    }
    return resolution;
}
