/*
 * Native histograms in anchored and smoothed windows. As with floats (fn_rate.c) the histograms at
 * both edges are taken or interpolated first; a smoothed counter that is reset between two samples
 * is thought to start from nothing at the first of them.
 */
#include "promql/engine/fn_native.h"

/* a + (b - a) * share. 1 and *ret, 0 when they cannot be subtracted (said already). */
static int between(Eval *ev, const RangeInput *in, const FloatHistogram *a, const FloatHistogram *b,
                   double share, Native *ret) {
    Native x;
    NativeNotes sub = {0}, plus = {0};
    if (native_of(in->scope, b, ret) < 0 || native_of(in->scope, a, &x) < 0 ||
        native_add(in->scope, ret, &x, -1, &sub) < 0)
        return -EINVAL;
    if (sub.incompatible) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    native_mul(ret, share);
    if (native_of(in->scope, a, &x) < 0 || native_add(in->scope, ret, &x, 1, &plus) < 0)
        return -EINVAL;
    sub.reset_conflict = plus.reset_conflict = false; /* resets were looked for here */
    annotate_notes(ev, in->arg, &sub, "subtraction");
    annotate_notes(ev, in->arg, &plus, "addition");
    return 1;
}

/* The histogram at a time between samples k and k + 1 of the series, ends included. 1 or 0. */
static int interpolated(Eval *ev, const RangeInput *in, uint32_t k, int64_t at, bool counter,
                        const FloatHistogram **ret) {
    const FloatHistogram *a = in->histograms[k], *b = in->histograms[k + 1];
    int64_t from = in->histogram_t[k], to = in->histogram_t[k + 1];
    double share = (double)(at - from) / (double)(to - from);
    bool reset = false;
    Native n;
    if (at == from || at == to) {
        *ret = at == from ? a : b;
        return 1;
    }
    if (counter && native_is_reset(in->scope, a, b, &reset) < 0)
        return -EINVAL;
    int r = 1;
    if (!reset)
        r = between(ev, in, a, b, share, &n);
    else if (native_of(in->scope, b, &n) < 0)
        return -EINVAL;
    else
        native_mul(&n, share);
    if (r <= 0)
        return r;
    *ret = native_to_histogram(in->scope, &n);
    return *ret ? 1 : -EINVAL;
}

/* Where an extended window begins and ends: numbers of samples, and what is at its edges. */
typedef struct Extent {
    uint32_t first, last;
    int64_t from, to;
    const FloatHistogram *left, *right;
} Extent;

/* False when no sample lies in the window. */
static bool find_extent(const RangeInput *in, size_t step, Extent *e) {
    const int64_t *t = in->histogram_t;
    uint32_t lo = in->hlo[step], n = in->hhi[step] - lo;
    e->to = range_ref(in, step);
    e->from = e->to - in->range_ms;
    uint32_t first = (uint32_t)search_time(t + lo, n - 1, e->from, false);
    e->first = lo + first - (first > 0);
    e->last = in->hhi[step] - 1;
    if (in->smoothed)
        e->last = lo + (uint32_t)search_time(t + lo, n - 1, e->to, true);
    return t[e->last] > e->from && !(in->smoothed && t[e->first] > e->to);
}

static bool check_layouts(Eval *ev, const RangeInput *in, const Extent *e, bool counter) {
    bool custom = native_is_custom(in->histograms[e->first]->schema);
    for (uint32_t k = e->first; k <= e->last; k++) {
        const FloatHistogram *h = in->histograms[k];
        if (native_is_custom(h->schema) != custom) {
            annotate_mixed_buckets(ev, in->arg, in->labels);
            return false;
        }
        if (counter && h->reset_hint == RESET_GAUGE)
            annotate_wrong_kind(ev, in, "counter");
    }
    return true;
}

static int find_edges(Eval *ev, const RangeInput *in, Extent *e, bool counter) {
    int r = 1;
    e->left = in->histograms[e->first];
    e->right = in->histograms[e->last];
    if (in->smoothed && in->histogram_t[e->first] < e->from)
        r = interpolated(ev, in, e->first, e->from, counter, &e->left);
    if (r > 0 && in->smoothed && e->last > 0 && in->histogram_t[e->last] > e->to)
        r = interpolated(ev, in, e->last - 1, e->to, counter, &e->right);
    return r;
}

/* What the counts came to before each reset. */
typedef struct Correction {
    Native sum;
    bool any;
    NativeNotes notes;
} Correction;

static int correct_at(const RangeInput *in, Correction *c, const FloatHistogram *prev,
                      const FloatHistogram *cur) {
    bool reset;
    Native p;
    if (native_is_reset(in->scope, prev, cur, &reset) < 0)
        return -EINVAL;
    if (!reset)
        return 0;
    if (native_of(in->scope, prev, c->any ? &p : &c->sum) < 0)
        return -EINVAL;
    if (c->any && native_add(in->scope, &c->sum, &p, 1, &c->notes) < 0)
        return -EINVAL;
    c->any = true;
    return 0;
}

static int find_resets(const RangeInput *in, const Extent *e, Correction *c) {
    const FloatHistogram *prev = e->left, *const *h = in->histograms;
    uint32_t k = e->first + 1;
    bool reset = false;
    if (in->smoothed && in->histogram_t[e->first] < e->from) {
        if (native_is_reset(in->scope, h[e->first], h[k], &reset) < 0)
            return -EINVAL;
        if (reset) /* the left edge was interpolated over it */
            prev = h[k++];
    }
    if (k > e->last) /* both edges lie between the same two samples */
        return 0;
    for (; k < e->last; prev = h[k++])
        if (correct_at(in, c, prev, h[k]) < 0)
            return -EINVAL;
    return correct_at(in, c, prev, e->right);
}

/* right - left + correction: 1 and *ret, or 0. */
static int edges_difference(Eval *ev, const RangeInput *in, const Extent *e, bool counter,
                            Native *ret) {
    Native left;
    NativeNotes sub = {0};
    Correction c = {0};
    if (native_of(in->scope, e->right, ret) < 0 || native_of(in->scope, e->left, &left) < 0 ||
        native_add(in->scope, ret, &left, -1, &sub) < 0 ||
        (counter && find_resets(in, e, &c) < 0) ||
        (c.any && native_add(in->scope, ret, &c.sum, 1, &c.notes) < 0))
        return -EINVAL;
    if (sub.incompatible || c.notes.incompatible) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    sub.reset_conflict = c.notes.reset_conflict = false;
    annotate_notes(ev, in->arg, &sub, "subtraction");
    annotate_notes(ev, in->arg, &c.notes, "addition");
    ret->hint = RESET_GAUGE;
    return 1;
}

int native_extended_rate(Eval *ev, const RangeInput *in, Column *out, size_t step) {
    bool counter = in->id != FN_DELTA;
    Extent e;
    Native n;
    if (!find_extent(in, step, &e) || !check_layouts(ev, in, &e, counter))
        return 0;
    int r = find_edges(ev, in, &e, counter);
    if (r <= 0)
        return r;
    if (!counter && (e.left->reset_hint != RESET_GAUGE || e.right->reset_hint != RESET_GAUGE))
        annotate_wrong_kind(ev, in, "gauge");
    r = edges_difference(ev, in, &e, counter, &n);
    if (r <= 0)
        return r;
    if (in->id == FN_RATE)
        native_div(&n, range_seconds(in->range_ms));
    return native_set(in, out, step, &n);
}

/* ---- a smoothed instant selector */

static int set_cell(const RangeInput *in, Column *out, size_t step, const FloatHistogram *h) {
    if (column_need_histograms(in->scope, out) < 0)
        return -EINVAL;
    out->kind[step] = CELL_HISTOGRAM;
    out->h[step] = h;
    return 0;
}

int native_smoothed_at(Eval *ev, const RangeInput *in, Column *out, size_t step) {
    uint32_t lo = in->hlo[step], n = in->hhi[step] - lo;
    int64_t at = range_ref(in, step);
    uint32_t k = (uint32_t)search_time(in->histogram_t + lo, n, at, true);
    const FloatHistogram *const *h = in->histograms + lo, *found;
    if (k < n && in->histogram_t[lo + k] == at)
        return set_cell(in, out, step, h[k]);
    if (k == 0)
        return 0;
    if (k == n) { /* a hint tells of the sample before, not of the value that lasts */
        FloatHistogram *lasting = scope_histogram(in->scope, h[k - 1]);
        if (lasting)
            lasting->reset_hint = RESET_UNKNOWN;
        return lasting ? set_cell(in, out, step, lasting) : -EINVAL;
    }
    if (native_is_custom(h[k - 1]->schema) != native_is_custom(h[k]->schema)) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    bool counter = h[k - 1]->reset_hint != RESET_GAUGE || h[k]->reset_hint != RESET_GAUGE;
    int r = interpolated(ev, in, lo + k - 1, at, counter, &found);
    return r <= 0 ? r : set_cell(in, out, step, found);
}
