/*
 * Functions that compare first and last samples of a window: rate and its kin, with counter resets
 * and extrapolation to the window's edges (reference: Prometheus' extrapolatedRate), and the
 * anchored and smoothed forms, which know the values at the edges instead.
 */
#include "promql/engine/fn_native.h"

/* Indexes of samples behind a reset, once a series. */
typedef struct Resets {
    const uint32_t *at;
    size_t n;
} Resets;

static inline bool float_reset(const RangeInput *in, size_t i) {
    return in->float_v[i] < in->float_v[i - 1] || start_is_reset(in->float_st, in->float_t, i);
}

/* With start times each sample is looked at in full; values alone are compared many at once. */
static size_t count_resets(const RangeInput *in) {
    size_t n = 0;
    const double *v = in->float_v;
    for (size_t i = 1; in->float_st && i < in->n_floats; i++)
        n += float_reset(in, i);
    for (size_t i = 1; !in->float_st && i < in->n_floats; i++)
        n += v[i] < v[i - 1];
    return n;
}

static int find_resets(const RangeInput *in, Resets *ret) {
    size_t n = count_resets(in);
    *ret = (Resets){NULL, n};
    if (!n)
        return 0;
    uint32_t *at = SCOPE_ARRAY(in->scope, uint32_t, n);
    if (!at)
        return -EINVAL;
    size_t k = 0;
    for (size_t i = 1; i < in->n_floats; i++)
        if (in->float_st ? float_reset(in, i) : in->float_v[i] < in->float_v[i - 1])
            at[k++] = (uint32_t)i;
    ret->at = at;
    return 0;
}

/*
 * Everything of an extrapolation that depends on times only. Scrapes are regular, so windows
 * repeat: the last one's values are kept.
 */
typedef struct Shape {
    int64_t before, between; /* edge to first sample, first to last sample */
    uint32_t n;
    bool valid;
    double interval_s, to_start_s, to_end_s;
    double factor; /* when the start is not held back by a counter's zero */
} Shape;

double range_seconds(int64_t ms) {
    return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

static void shape_set(Shape *s, const RangeInput *in, int64_t before, int64_t between, uint32_t n,
                      bool per_second) {
    *s = (Shape){.before = before, .between = between, .n = n, .valid = true};
    int64_t behind = in->range_ms - before - between;
    s->interval_s = (double)between / 1000;
    double gap_s = s->interval_s / (double)(n - 1), threshold_s = gap_s * 1.1;
    s->to_start_s = (double)before / 1000;
    s->to_end_s = (double)behind / 1000;
    if (s->to_start_s >= threshold_s)
        s->to_start_s = gap_s / 2;
    if (s->to_end_s >= threshold_s)
        s->to_end_s = gap_s / 2;
    s->factor = 1;
    if (s->interval_s != 0)
        s->factor = (s->interval_s + s->to_start_s + s->to_end_s) / s->interval_s;
    if (per_second)
        s->factor /= range_seconds(in->range_ms);
}

/* A counter is not thought to start below zero. */
static double counter_factor(const Shape *s, const RangeInput *in, double first, double increase,
                             bool per_second) {
    double to_zero_s = s->interval_s * (first / increase);
    if (!(to_zero_s < s->to_start_s))
        return s->factor;
    double factor = 1;
    if (s->interval_s != 0)
        factor = (s->interval_s + to_zero_s + s->to_end_s) / s->interval_s;
    return per_second ? factor / range_seconds(in->range_ms) : factor;
}

typedef struct RateWalk {
    const RangeInput *in;
    bool counter, per_second;
    Resets resets;
    size_t reset_lo; /* first reset behind the window's first sample */
    Shape shape;
} RateWalk;

/* What to multiply the increase between the first and the last of n samples with. */
static double extrapolation(RateWalk *w, size_t step, int64_t first_t, int64_t last_t, uint32_t n,
                            double first, double increase) {
    const RangeInput *in = w->in;
    int64_t before = first_t - (range_ref(in, step) - in->range_ms), between = last_t - first_t;
    Shape *s = &w->shape;
    if (!s->valid || s->before != before || s->between != between || s->n != n)
        shape_set(s, in, before, between, n, w->per_second);
    if (w->counter && increase > 0 && first >= 0)
        return counter_factor(s, in, first, increase, w->per_second);
    return s->factor;
}

/* Whether the window's first sample tells that its counter began inside the window. */
static bool starts_inside(const RateWalk *w, size_t step, int64_t st, int64_t first_t) {
    return w->counter && st != 0 && st > range_ref(w->in, step) - w->in->range_ms && st < first_t;
}

/* The same as extrapolation() when the counter is known to begin with 0 at st. */
static double extrapolation_from_start(const RateWalk *w, size_t step, int64_t st, int64_t first_t,
                                       int64_t last_t, uint32_t n) {
    double gap_s = n > 1 ? (double)(last_t - first_t) / 1000 / (double)(n - 1) : 0;
    double interval_s = (double)(last_t - st) / 1000;
    double to_end_s = (double)(range_ref(w->in, step) - last_t) / 1000;
    if (to_end_s >= gap_s * 1.1)
        to_end_s = gap_s / 2;
    double factor = interval_s != 0 ? (interval_s + 0.0 + to_end_s) / interval_s : 1;
    return w->per_second ? factor / range_seconds(w->in->range_ms) : factor;
}

static double rate_of_window(RateWalk *w, size_t step, uint32_t lo, uint32_t hi) {
    const RangeInput *in = w->in;
    const double *v = in->float_v;
    double first = v[lo], result = v[hi - 1] - first;
    if (w->counter && w->resets.n) {
        while (w->reset_lo < w->resets.n && w->resets.at[w->reset_lo] <= lo)
            w->reset_lo++;
        for (size_t k = w->reset_lo; k < w->resets.n && w->resets.at[k] < hi; k++)
            result += v[w->resets.at[k] - 1];
    }
    int64_t st = in->float_st ? in->float_st[lo] : 0;
    if (starts_inside(w, step, st, in->float_t[lo])) {
        double factor =
            extrapolation_from_start(w, step, st, in->float_t[lo], in->float_t[hi - 1], hi - lo);
        return (result + first) * factor;
    }
    return result *
           extrapolation(w, step, in->float_t[lo], in->float_t[hi - 1], hi - lo, first, result);
}

static int rate_of_histograms(Eval *ev, RateWalk *w, size_t step, Column *out) {
    const RangeInput *in = w->in;
    Native n;
    uint32_t lo = in->hlo[step], hi = in->hhi[step];
    int64_t st = in->histogram_st ? in->histogram_st[lo] : 0;
    bool inside = starts_inside(w, step, st, in->histogram_t[lo]);
    if (hi - lo < 2 && !inside)
        return 0;
    int r = hi - lo < 2 ? native_of(in->scope, in->histograms[lo], &n)
                        : native_increase(ev, in, step, w->counter, &n);
    if (r < 0 || (r == 0 && hi - lo >= 2))
        return r;
    if (inside) {
        r = hi - lo < 2 ? 1 : native_add_first(ev, in, step, &n);
        if (r <= 0)
            return r;
        double f = extrapolation_from_start(w, step, st, in->histogram_t[lo],
                                            in->histogram_t[hi - 1], hi - lo);
        return native_rate_result(in, out, step, &n, f);
    }
    double factor = extrapolation(w, step, in->histogram_t[lo], in->histogram_t[hi - 1], hi - lo,
                                  in->histograms[lo]->count, n.count);
    return native_rate_result(in, out, step, &n, factor);
}

static bool begins_with_start(const RateWalk *w, size_t step, uint32_t lo) {
    const RangeInput *in = w->in;
    return in->float_st && starts_inside(w, step, in->float_st[lo], in->float_t[lo]);
}

/* One warning a window in which a start time overlaps. */
static void find_overlaps(Eval *ev, const RangeInput *in) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t k = in->lo[i] + 1;
        if (range_histograms(in, i)) /* told when they are added up */
            continue;
        while (k < in->hi[i] && !start_overlaps(in->float_st, in->float_t, k))
            k++;
        if (k < in->hi[i])
            annotate_start_overlap(ev, in);
    }
}

/*
 * Mostly a counter is so far from zero that this does not hold it back, which is known without a
 * division: to_zero < to_start is false for sure when first * interval exceeds to_start * increase
 * by more than all roundings, and neither product left the range of normal numbers.
 */
static inline bool far_from_zero(const Shape *s, double first, double increase) {
    double have = first * s->interval_s, need = s->to_start_s * increase * (1 + 0x1p-40);
    return need > 0x1p-900 && have >= need && have <= __DBL_MAX__;
}

/* Floats only, without resets and start times. */
static void rate_of_steady(RateWalk *w, Column *out) {
    const RangeInput *in = w->in;
    const int64_t *t = in->float_t;
    const double *v = in->float_v;
    int64_t from = range_ref(in, 0) - in->range_ms;
    for (size_t i = 0; i < in->grid.n; i++, from += in->ref_step) {
        uint32_t lo = in->lo[i], hi = in->hi[i];
        if (hi - lo < 2)
            continue;
        int64_t before = t[lo] - from, between = t[hi - 1] - t[lo];
        double first = v[lo], increase = v[hi - 1] - first;
        Shape *s = &w->shape;
        if (UNLIKELY(!s->valid || s->before != before || s->between != between || s->n != hi - lo))
            shape_set(s, in, before, between, hi - lo, w->per_second);
        double factor = s->factor;
        if (w->counter && increase > 0 && first >= 0 && !far_from_zero(s, first, increase))
            factor = counter_factor(s, in, first, increase, w->per_second);
        range_set(out, i, increase * factor);
    }
}

int kernel_rate(Eval *ev, const RangeInput *in, Column *out) {
    RateWalk w = {.in = in, .counter = in->id != FN_DELTA, .per_second = in->id == FN_RATE};
    if (w.counter && find_resets(in, &w.resets) < 0)
        return -EINVAL;
    if (w.counter && in->float_st)
        find_overlaps(ev, in);
    if (!w.resets.n && !in->hlo && !in->float_st) {
        rate_of_steady(&w, out);
        return eval_tick(ev, in->grid.n);
    }
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], hi = in->hi[i], nh = range_histograms(in, i);
        if (eval_tick(ev, w.resets.n ? hi - lo : 1) < 0)
            return -EINVAL;
        if (nh && hi > lo)
            annotate_mixed(ev, in);
        else if (nh && rate_of_histograms(ev, &w, i, out) < 0)
            return -EINVAL;
        else if (hi - lo >= 2 || (hi > lo && begins_with_start(&w, i, lo)))
            range_set(out, i, rate_of_window(&w, i, lo, hi));
    }
    return 0;
}

/* ---- anchored and smoothed */

static double interpolate(const int64_t *t, const double *v, size_t i, int64_t at, bool counter) {
    double y1 = v[i], y2 = v[i + 1];
    if (counter && y2 < y1)
        y1 = 0;
    return y1 + (y2 - y1) * (double)(at - t[i]) / (double)(t[i + 1] - t[i]);
}

size_t search_time(const int64_t *t, size_t n, int64_t x, bool inclusive) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid] > x || (inclusive && t[mid] == x))
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

bool extended_window(ExtendedWindow *w, const int64_t *t, const double *v, size_t n, int64_t from,
                     int64_t to, bool smoothed, bool counter) {
    size_t last = n - 1, first = search_time(t, last, from, false);
    first -= first > 0;
    if (smoothed)
        last = search_time(t, last, to, true);
    if (t[last] <= from || (smoothed && t[first] > to))
        return false;
    w->left = smoothed && t[first] < from ? interpolate(t, v, first, from, counter) : v[first];
    w->right =
        smoothed && last > 0 && t[last] > to ? interpolate(t, v, last - 1, to, counter) : v[last];
    w->inner_lo = first + (t[first] <= from);
    w->inner_hi = last + 1 - (t[last] >= to);
    return true;
}

static double reset_correction(const ExtendedWindow *w, const double *v) {
    double sum = 0, prev = w->left;
    for (size_t i = w->inner_lo; i < w->inner_hi; i++) {
        if (v[i] < prev)
            sum += prev;
        prev = v[i];
    }
    return w->right < prev ? sum + prev : sum;
}

int kernel_extended_rate(Eval *ev, const RangeInput *in, Column *out) {
    bool counter = in->id != FN_DELTA;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], n = in->hi[i] - lo, nh = range_histograms(in, i);
        if (eval_tick(ev, n + 16 * (uint64_t)nh) < 0)
            return -EINVAL;
        if (nh && n) {
            annotate_mixed(ev, in);
            continue;
        }
        if (nh && native_extended_rate(ev, in, out, i) < 0)
            return -EINVAL;
        int64_t to = range_ref(in, i), from = to - in->range_ms;
        ExtendedWindow w;
        if (!n || !extended_window(&w, in->float_t + lo, in->float_v + lo, n, from, to,
                                   in->smoothed, counter))
            continue;
        double v = w.right - w.left;
        if (counter)
            v += reset_correction(&w, in->float_v + lo);
        range_set(out, i, in->id == FN_RATE ? v / range_seconds(in->range_ms) : v);
    }
    return 0;
}

/* ---- last two samples */

int kernel_irate(Eval *ev, const RangeInput *in, Column *out) {
    bool rate = in->id == FN_IRATE;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n = in->hi[i] - in->lo[i], nh = range_histograms(in, i), k = in->hi[i] - 1;
        if (n + nh < 2)
            continue;
        if (nh) {
            uint32_t hk = in->hhi[i] - 1;
            if (nh > 1 && (!n || in->histogram_t[hk - 1] > in->float_t[k])) {
                if (native_last_two(ev, in, out, i) < 0)
                    return -EINVAL;
                continue;
            }
            if (n < 2 || in->histogram_t[hk] > in->float_t[k - 1]) {
                annotate_mixed(ev, in);
                continue;
            }
        }
        double last = in->float_v[k], prev = in->float_v[k - 1];
        int64_t between = in->float_t[k] - in->float_t[k - 1];
        double v = rate && float_reset(in, k) ? last : last - prev;
        range_set(out, i, rate ? v / ((double)between / 1000) : v);
    }
    return 0;
}

/* ---- how often samples fall, how often they change */

/* Where the window's comparisons start: an anchored one begins with the last sample at or before
 * its left edge, of whatever kind. False when nothing lies behind the edge. */
static bool anchored_start(const RangeInput *in, size_t step, uint32_t *f, uint32_t *h) {
    if (!in->anchored)
        return true;
    int64_t edge = range_ref(in, step) - in->range_ms;
    uint32_t fhi = in->hi[step], hhi = in->hlo ? in->hhi[step] : 0;
    uint32_t fa = *f + (uint32_t)search_time(in->float_t + *f, fhi - *f, edge, false);
    uint32_t ha = hhi ? *h + (uint32_t)search_time(in->histogram_t + *h, hhi - *h, edge, false) : 0;
    bool f_before = fa > *f, h_before = ha > *h;
    if (fa == fhi && ha == hhi)
        return false;
    if (f_before && (!h_before || in->float_t[fa - 1] >= in->histogram_t[ha - 1]))
        fa--;
    else if (h_before)
        ha--;
    *f = fa;
    *h = ha;
    return true;
}

static bool differs(const RangeInput *in, size_t k) {
    double prev = in->float_v[k - 1], now = in->float_v[k];
    if (in->id == FN_RESETS)
        return in->float_st ? float_reset(in, k) : now < prev;
    return now != prev && !(isnan(now) && isnan(prev));
}

/* before[k]: how many events up to sample k; a window's number is a difference. */
static int count_events(Eval *ev, const RangeInput *in, Column *out) {
    uint32_t *before = SCOPE_ARRAY(in->scope, uint32_t, in->n_floats + 1);
    if (!before)
        return -EINVAL;
    before[0] = 0;
    for (size_t k = 1; k < in->n_floats; k++)
        before[k] = before[k - 1] + differs(in, k);
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], hi = in->hi[i], hlo = 0, hhi = 0;
        double n;
        if (in->hlo)
            hlo = in->hlo[i], hhi = in->hhi[i];
        if ((lo == hi && hlo == hhi) || !anchored_start(in, i, &lo, &hlo))
            continue;
        if (eval_tick(ev, hhi - hlo) < 0)
            return -EINVAL;
        if (hlo == hhi)
            range_set(out, i, before[hi - 1] - before[lo]);
        else if (native_count_events(in, lo, hi, hlo, hhi, &n) < 0)
            return -EINVAL;
        else
            range_set(out, i, n);
    }
    return 0;
}

int kernel_resets(Eval *ev, const RangeInput *in, Column *out) { return count_events(ev, in, out); }
int kernel_changes(Eval *ev, const RangeInput *in, Column *out) {
    return count_events(ev, in, out);
}

/* ---- a smoothed instant selector: the value between its neighbours within the lookback */

int kernel_smoothed_instant(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], n = in->hi[i] - lo, nh = range_histograms(in, i);
        if (nh && n) {
            annotate_mixed(ev, in);
            continue;
        }
        if (nh && native_smoothed_at(ev, in, out, i) < 0)
            return -EINVAL;
        if (!n)
            continue;
        const int64_t *t = in->float_t + lo;
        const double *v = in->float_v + lo;
        int64_t at = range_ref(in, i);
        size_t k = search_time(t, n, at, true);
        if (k < n && t[k] == at)
            range_set(out, i, v[k]);
        else if (k > 0)
            range_set(out, i, k < n ? interpolate(t, v, k - 1, at, false) : v[k - 1]);
    }
    return 0;
}
