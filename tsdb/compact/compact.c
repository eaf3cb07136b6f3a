/* What to merge and what to drop: arithmetic over the blocks' metas. */
#include "tsdb/compact/compact.h"

#include <assert.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/mem.h"

#define RANGES_MAX 16
#define RANGE_FACTOR 3

size_t compact_ranges(const CompactOptions *o, int64_t *ret, size_t max) {
    size_t n = 0;
    for (int64_t range = o->range_ms; n < max && range > 0; range *= RANGE_FACTOR) {
        if (n > 0 && range > o->range_max_ms) {
            break;
        }
        ret[n++] = range;
        if (range > INT64_MAX / RANGE_FACTOR) {
            break;
        }
    }
    return n;
}

/* The start of the range that t lies in, also before 1970. */
static int64_t range_start(int64_t t, int64_t range) {
    int64_t rest = t % range;
    return t - (rest < 0 ? rest + range : rest);
}

/* The first blocks that overlap, with all that overlap any of them. */
static size_t plan_overlap(const BlockMeta *const *m, size_t n, size_t *ret_idx) {
    size_t count = 0;
    int64_t max_time = n ? m[0]->max_time : 0;
    for (size_t i = 1; i < n; i++) {
        if (m[i]->min_time < max_time) {
            if (count == 0) {
                ret_idx[count++] = i - 1;
            }
            ret_idx[count++] = i;
        } else if (count > 0) {
            break;
        }
        max_time = MAX(max_time, m[i]->max_time);
    }
    return count;
}

/*
 * Looks for a stretch of `range` that holds two or more blocks whole and to which no more will
 * come: it is filled from end to end, or something newer is there.
 */
static size_t plan_range(const BlockMeta *const *m, size_t n, int64_t range, size_t *ret_idx) {
    int64_t newest = m[n - 1]->min_time;
    for (size_t i = 0; i < n;) {
        int64_t end = range_start(m[i]->min_time, range) + range;
        if (m[i]->max_time > end) {
            i++; /* larger than this range already */
            continue;
        }
        size_t first = i;
        while (i < n && m[i]->max_time <= end) {
            i++;
        }
        int64_t min_time = m[first]->min_time, max_time = m[i - 1]->max_time;
        bool complete = max_time - min_time == range || max_time <= newest;
        if (complete && i - first > 1) {
            for (size_t k = first; k < i; k++) {
                ret_idx[k - first] = k;
            }
            return i - first;
        }
    }
    return 0;
}

/* Of blocks of one resolution. */
static size_t plan_alike(const CompactOptions *o, const BlockMeta *const *metas, size_t n,
                         size_t *ret_idx) {
    size_t count = plan_overlap(metas, n, ret_idx);
    int64_t ranges[RANGES_MAX];
    size_t n_ranges = compact_ranges(o, ranges, RANGES_MAX);
    for (size_t i = 1; count == 0 && n > 1 && i < n_ranges; i++) {
        count = plan_range(metas, n - 1, ranges[i], ret_idx);
    }
    return count;
}

/* The next larger resolution than `than` among the blocks; INT64_MAX when there is none. */
static int64_t next_resolution(const BlockMeta *const *metas, size_t n, int64_t than) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        if (metas[i]->resolution_ms > than) {
            next = MIN(next, metas[i]->resolution_ms);
        }
    }
    return next;
}

static int64_t longest_before_coarser(const TsdbPolicies *p, int64_t resolution) {
    for (size_t i = 0; p && i < p->n_downsample; i++) {
        if (p->downsample[i].resolution_ms > resolution) {
            return p->downsample[i].after_ms / 2;
        }
    }
    return INT64_MAX;
}

size_t compact_plan(const CompactOptions *o, const BlockMeta *const *metas, size_t n,
                    size_t *ret_idx) {
    const BlockMeta **alike = NEW_ARRAY(const BlockMeta *, n + 1);
    size_t *place = NEW_ARRAY(size_t, n + 1), count = 0;
    int64_t resolution = -1;
    while (count == 0 && (resolution = next_resolution(metas, n, resolution)) < INT64_MAX) {
        size_t k = 0;
        for (size_t i = 0; i < n; i++) {
            if (metas[i]->resolution_ms == resolution) {
                alike[k] = metas[i];
                place[k++] = i;
            }
        }
        CompactOptions own = *o;
        own.range_max_ms = MIN(o->range_max_ms, longest_before_coarser(o->policies, resolution));
        count = plan_alike(&own, alike, k, ret_idx);
    }
    for (size_t i = 0; i < count; i++) {
        ret_idx[i] = place[ret_idx[i]];
    }
    mem_free(place);
    mem_free(alike);
    return count;
}

size_t compact_plan_deleted(const BlockMeta *const *metas, const size_t *deleted, size_t n) {
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t series = metas[i]->series;
        if (deleted[i] > 0 && (deleted[i] >= series || deleted[i] > (series + 1) / 20)) {
            return i;
        }
    }
    return n;
}

/* ---- retention ---- */

typedef struct Aged {
    const BlockMeta *meta;
    size_t index;
} Aged;

static int newest_first(const void *a, const void *b) {
    const BlockMeta *x = ((const Aged *)a)->meta, *y = ((const Aged *)b)->meta;
    return (x->max_time < y->max_time) - (x->max_time > y->max_time);
}

/* How many of the newest stay. */
static size_t kept(const RetentionLimits *l, const Aged *v, size_t n) {
    uint64_t bytes = l->other_bytes;
    for (size_t i = 0; i < n; i++) {
        bytes += v[i].meta->bytes;
        bool too_old = l->age_ms && v[0].meta->max_time - v[i].meta->max_time >= l->age_ms;
        bool too_much = l->bytes && bytes > l->bytes;
        if ((i > 0 && too_old) || too_much) {
            return i;
        }
    }
    return n;
}

size_t compact_retention(const RetentionLimits *l, const BlockMeta *const *metas, size_t n,
                         size_t *ret_idx) {
    Aged *v = NEW_ARRAY(Aged, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = (Aged){metas[i], i};
    }
    qsort(v, n, sizeof(*v), newest_first);
    size_t stay = kept(l, v, n);
    for (size_t i = n; i > stay; i--) {
        ret_idx[n - i] = v[i - 1].index;
    }
    mem_free(v);
    return n - stay;
}
