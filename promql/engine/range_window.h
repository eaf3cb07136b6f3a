/*
 * Functions over ranges. The samples of one series are read once, stale markers left out, into
 * arrays of floats and of histograms; for each step two indexes say which of them its window
 * (t - range, t] holds. A kernel fills the column of one series from that.
 */
#pragma once

#include "promql/engine/eval.h"

typedef struct RangeInput {
    const Node *call, *arg; /* arg: the matrix selector or subquery */
    FunctionId id;
    Grid grid;
    int64_t ref, ref_step; /* right edge of the first window; step 0 with @ */
    int64_t range_ms, lookback_ms;
    bool anchored, smoothed;
    Labels labels; /* of the series that is read */
    size_t n_floats, n_histograms;
    const int64_t *float_t, *histogram_t;
    const double *float_v;
    const FloatHistogram *const *histograms;
    const int64_t *float_st, *histogram_st; /* start times; NULL: none, or nobody asks for them */
    /* Windows [lo, hi) per step; the histograms' are NULL when there are none. */
    const uint32_t *lo, *hi, *hlo, *hhi;
    const double *args[2]; /* scalar arguments, a value a step */
    Scope *scope;          /* until the series is done */
    double *scratch;       /* n_floats numbers */
} RangeInput;

static inline int64_t range_ref(const RangeInput *in, size_t step) {
    return in->ref + (int64_t)step * in->ref_step;
}
static inline uint32_t range_histograms(const RangeInput *in, size_t step) {
    return in->hlo ? in->hhi[step] - in->hlo[step] : 0;
}
static inline void range_set(Column *out, size_t step, double v) {
    out->kind[step] = CELL_FLOAT;
    out->v[step] = v;
}

/*
 * Whether the counter began anew between sample k - 1 and sample k by what start times say (0 or at
 * the sample itself: unknown). One that is exactly the time before belongs to deltas, unless the
 * sample before knows none.
 */
static inline bool start_is_reset(const int64_t *st, const int64_t *t, size_t k) {
    if (!st || st[k] == 0 || st[k] >= t[k] || st[k] < t[k - 1])
        return false;
    return st[k] > t[k - 1] || (st[k - 1] != 0 && st[k - 1] < t[k - 1]);
}
static inline bool start_overlaps(const int64_t *st, const int64_t *t, size_t k) {
    return st && st[k] != 0 && st[k] < t[k - 1] && st[k] != st[k - 1];
}

typedef int (*RangeKernel)(Eval *ev, const RangeInput *in, Column *out);

/* The floats of an anchored or smoothed window: its values at both edges, and the samples strictly
 * inside. */
typedef struct ExtendedWindow {
    double left, right;
    size_t inner_lo, inner_hi;
} ExtendedWindow;
/* False when no sample lies in the window. n > 0. */
bool extended_window(ExtendedWindow *w, const int64_t *t, const double *v, size_t n, int64_t from,
                     int64_t to, bool smoothed, bool counter);

/* A call with a range argument. */
int eval_range_call(Eval *ev, const Node *call, const Grid *g, RangeKernel kernel, Sink *out);

/* Annotations the kernels share. */
void annotate_mixed(Eval *ev, const RangeInput *in);
void annotate_ignored_histograms(Eval *ev, const RangeInput *in);
/* A sample's start time lies before the sample before it. */
void annotate_start_overlap(Eval *ev, const RangeInput *in);

/* What the cells of an instant selector hold: samples, or their times in seconds. */
typedef enum SelectorCells { SELECTOR_SAMPLES, SELECTOR_TIMES, SELECTOR_STARTS } SelectorCells;
int selector_columns(Eval *ev, const Node *n, const Grid *g, SelectorCells what, Sink *out);
/* An instant selector with the modifier smoothed. */
int smoothed_columns(Eval *ev, const Node *n, const Grid *g, Sink *out);
int kernel_smoothed_instant(Eval *ev, const RangeInput *in, Column *out);

double range_seconds(int64_t ms);
/* First index in [0, n) whose time is past x (or, inclusive, at x); n when there is none. */
size_t search_time(const int64_t *t, size_t n, int64_t x, bool inclusive);

int kernel_rate(Eval *ev, const RangeInput *in, Column *out);
int kernel_extended_rate(Eval *ev, const RangeInput *in, Column *out);
int kernel_irate(Eval *ev, const RangeInput *in, Column *out);
int kernel_resets(Eval *ev, const RangeInput *in, Column *out);
int kernel_changes(Eval *ev, const RangeInput *in, Column *out);
int kernel_deriv(Eval *ev, const RangeInput *in, Column *out);
int kernel_predict_linear(Eval *ev, const RangeInput *in, Column *out);
int kernel_smoothing(Eval *ev, const RangeInput *in, Column *out);
int kernel_sum(Eval *ev, const RangeInput *in, Column *out);
int kernel_avg(Eval *ev, const RangeInput *in, Column *out);
int kernel_min_max(Eval *ev, const RangeInput *in, Column *out);
int kernel_ts_of_min_max(Eval *ev, const RangeInput *in, Column *out);
int kernel_variance(Eval *ev, const RangeInput *in, Column *out);
int kernel_quantile(Eval *ev, const RangeInput *in, Column *out);
int kernel_mad(Eval *ev, const RangeInput *in, Column *out);
int kernel_count(Eval *ev, const RangeInput *in, Column *out);
int kernel_present(Eval *ev, const RangeInput *in, Column *out);
int kernel_first_last(Eval *ev, const RangeInput *in, Column *out);
int kernel_ts_of_first_last(Eval *ev, const RangeInput *in, Column *out);
