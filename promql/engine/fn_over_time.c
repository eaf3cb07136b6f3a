/*
 * What a window holds as one number: counts, sums, extremes, spread, quantiles, trends. Sums run
 * over each window in order with Kahan's compensation, because sliding would round differently.
 */
#include "promql/engine/fn_native.h"

static const double *window_values(const RangeInput *in, size_t i, uint32_t *n) {
    *n = in->hi[i] - in->lo[i];
    return in->float_v + in->lo[i];
}

/* Functions of floats alone: false when there is nothing to compute at this step. */
static bool floats_only(Eval *ev, const RangeInput *in, size_t i, uint32_t least) {
    uint32_t n = in->hi[i] - in->lo[i];
    if (!n)
        return false;
    if (range_histograms(in, i))
        annotate_ignored_histograms(ev, in);
    return n >= least;
}

/* Sums and averages want all floats (1) or all histograms, which are dealt with here. */
static int one_kind(Eval *ev, const RangeInput *in, size_t i, Column *out) {
    uint32_t n = in->hi[i] - in->lo[i];
    if (!range_histograms(in, i))
        return n > 0;
    if (!n)
        return native_sum_window(ev, in, out, i, in->id == FN_AVG_OVER_TIME);
    annotate_mixed(ev, in);
    return 0;
}

int kernel_count(Eval *ev, const RangeInput *in, Column *out) {
    (void)ev;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n = in->hi[i] - in->lo[i] + range_histograms(in, i);
        if (n)
            range_set(out, i, n);
    }
    return 0;
}

int kernel_present(Eval *ev, const RangeInput *in, Column *out) {
    (void)ev;
    for (size_t i = 0; i < in->grid.n; i++)
        if (in->hi[i] > in->lo[i] || range_histograms(in, i))
            range_set(out, i, 1);
    return 0;
}

/* At step i: the first (last) sample; whether it is the histogram at *h, else the float at *f. */
static bool edge_is_histogram(const RangeInput *in, size_t i, bool last, uint32_t *f, uint32_t *h) {
    bool floats = in->hi[i] > in->lo[i];
    *f = last ? in->hi[i] - 1 : in->lo[i];
    if (!range_histograms(in, i))
        return false;
    *h = last ? in->hhi[i] - 1 : in->hlo[i];
    if (!floats)
        return true;
    int64_t ft = in->float_t[*f], ht = in->histogram_t[*h];
    return last ? ht >= ft : ht <= ft;
}

int kernel_first_last(Eval *ev, const RangeInput *in, Column *out) {
    (void)ev;
    bool last = in->id == FN_LAST_OVER_TIME;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t f, h;
        if (in->hi[i] == in->lo[i] && !range_histograms(in, i))
            continue;
        if (!edge_is_histogram(in, i, last, &f, &h)) {
            range_set(out, i, in->float_v[f]);
            continue;
        }
        if (column_need_histograms(in->scope, out) < 0)
            return -EINVAL;
        out->kind[i] = CELL_HISTOGRAM;
        out->h[i] = in->histograms[h];
    }
    return 0;
}

int kernel_ts_of_first_last(Eval *ev, const RangeInput *in, Column *out) {
    (void)ev;
    bool last = in->id == FN_TS_OF_LAST_OVER_TIME;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t f, h;
        if (in->hi[i] == in->lo[i] && !range_histograms(in, i))
            continue;
        bool is_h = edge_is_histogram(in, i, last, &f, &h);
        range_set(out, i, (double)(is_h ? in->histogram_t[h] : in->float_t[f]) / 1000);
    }
    return 0;
}

/*
 * A compensated sum waits for each addition before it begins the next. Windows of the same length
 * are therefore walked four at a time, each with the very operations it has alone.
 */
#define LANES 4
typedef struct Lanes {
    const double *v[LANES];
    uint32_t n;
} Lanes;

static bool take_lanes(const RangeInput *in, size_t i, Lanes *l) {
    if (in->hlo || i + LANES > in->grid.n)
        return false;
    l->n = in->hi[i] - in->lo[i];
    for (size_t k = 0; k < LANES; k++) {
        if (in->hi[i + k] - in->lo[i + k] != l->n)
            return false;
        l->v[k] = in->float_v + in->lo[i + k];
    }
    return l->n > 1;
}

static void set_lanes(Column *out, size_t i, const double *v) {
    for (size_t k = 0; k < LANES; k++)
        range_set(out, i + k, v[k]);
}

static void lanes_add(const Lanes *l, uint32_t from, double *sum, double *c) {
    for (uint32_t i = from; i < l->n; i++)
        for (size_t k = 0; k < LANES; k++)
            kahan_add(l->v[k][i], &sum[k], &c[k]);
}

static void lanes_sum(const Lanes *l, double *ret) {
    double sum[LANES] = {0}, c[LANES] = {0};
    lanes_add(l, 0, sum, c);
    for (size_t k = 0; k < LANES; k++)
        ret[k] = isinf(sum[k]) ? sum[k] : sum[k] + c[k];
}

static double kahan_sum(const double *v, uint32_t n) {
    double sum = 0, c = 0;
    for (uint32_t k = 0; k < n; k++)
        kahan_add(v[k], &sum, &c);
    return isinf(sum) ? sum : sum + c;
}

int kernel_sum(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n;
        const double *v = window_values(in, i, &n);
        Lanes l;
        if (take_lanes(in, i, &l)) {
            double values[LANES];
            if (eval_tick(ev, LANES * (uint64_t)n) < 0)
                return -EINVAL;
            lanes_sum(&l, values);
            set_lanes(out, i, values);
            i += LANES - 1;
            continue;
        }
        int r = one_kind(ev, in, i, out);
        if (r < 0 || eval_tick(ev, n) < 0)
            return -EINVAL;
        if (r)
            range_set(out, i, kahan_sum(v, n));
    }
    return 0;
}

/* The sum divided, until it would overflow; from there on a running mean. */
static double mean_of(const double *v, uint32_t n) {
    double sum = v[0], c = 0, mean = 0, count = 1;
    bool running = false;
    for (uint32_t k = 1; k < n; k++) {
        count = (double)k + 1;
        if (!running) {
            double s = sum, sc = c;
            kahan_add(v[k], &s, &sc);
            if (!isinf(s)) {
                sum = s;
                c = sc;
                continue;
            }
            running = true;
            mean = sum / (count - 1);
            c /= count - 1;
        }
        double q = (count - 1) / count;
        mean *= q;
        c *= q;
        kahan_add(v[k] / count, &mean, &c);
    }
    return running ? mean + c : sum / count + c / count;
}

/* One that overflows or has no number is looked at alone. */
static void lanes_mean(const Lanes *l, double *ret) {
    double sum[LANES], c[LANES] = {0}, count = l->n;
    for (size_t k = 0; k < LANES; k++)
        sum[k] = l->v[k][0];
    lanes_add(l, 1, sum, c);
    for (size_t k = 0; k < LANES; k++)
        ret[k] = isfinite(sum[k]) ? sum[k] / count + c[k] / count : mean_of(l->v[k], l->n);
}

int kernel_avg(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n;
        const double *v = window_values(in, i, &n);
        Lanes l;
        if (take_lanes(in, i, &l)) {
            double values[LANES];
            if (eval_tick(ev, LANES * (uint64_t)n) < 0)
                return -EINVAL;
            lanes_mean(&l, values);
            set_lanes(out, i, values);
            i += LANES - 1;
            continue;
        }
        int r = one_kind(ev, in, i, out);
        if (r < 0 || eval_tick(ev, n) < 0)
            return -EINVAL;
        if (r)
            range_set(out, i, mean_of(v, n));
    }
    return 0;
}

/* ---- extremes: a queue of candidates, each sample enters and leaves once */

typedef struct Extremes {
    uint32_t *queue;
    size_t head, tail;
    bool max;
} Extremes;

/* Does b, coming later, make a needless? NaN never wins against a number. */
static bool beats(const Extremes *e, double a, double b) {
    if (isnan(a))
        return true;
    return e->max ? b > a : b < a;
}

int kernel_min_max(Eval *ev, const RangeInput *in, Column *out) {
    Extremes e = {.queue = SCOPE_ARRAY(in->scope, uint32_t, in->n_floats + 1),
                  .max = in->id == FN_MAX_OVER_TIME};
    if (!e.queue)
        return -EINVAL;
    const double *v = in->float_v;
    uint32_t next = 0;
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], hi = in->hi[i];
        for (next = MAX(next, lo); next < hi; next++) {
            while (e.tail > e.head && beats(&e, v[e.queue[e.tail - 1]], v[next]))
                e.tail--;
            e.queue[e.tail++] = next;
        }
        while (e.head < e.tail && e.queue[e.head] < lo)
            e.head++;
        if (floats_only(ev, in, i, 1))
            range_set(out, i, v[e.queue[e.head]]);
    }
    return 0;
}

int kernel_ts_of_min_max(Eval *ev, const RangeInput *in, Column *out) {
    bool max = in->id == FN_TS_OF_MAX_OVER_TIME;
    for (size_t i = 0; i < in->grid.n; i++) {
        if (eval_tick(ev, in->hi[i] - in->lo[i]) < 0)
            return -EINVAL;
        if (!floats_only(ev, in, i, 1))
            continue;
        uint32_t best = in->lo[i];
        const double *v = in->float_v;
        for (uint32_t k = best; k < in->hi[i]; k++)
            if ((max ? v[k] >= v[best] : v[k] <= v[best]) || isnan(v[best]))
                best = k;
        range_set(out, i, (double)in->float_t[best] / 1000);
    }
    return 0;
}

/* ---- spread */

static double variance_of(const double *v, uint32_t n) {
    double count = 0, mean = 0, mean_c = 0, aux = 0, aux_c = 0;
    for (uint32_t k = 0; k < n; k++) {
        count++;
        double delta = v[k] - (mean + mean_c);
        kahan_add(delta / count, &mean, &mean_c);
        kahan_add(delta * (v[k] - (mean + mean_c)), &aux, &aux_c);
    }
    return (aux + aux_c) / count;
}

static void lanes_variance(const Lanes *l, double *ret) {
    double count = 0, mean[LANES] = {0}, mean_c[LANES] = {0}, aux[LANES] = {0}, aux_c[LANES] = {0};
    for (uint32_t i = 0; i < l->n; i++) {
        count++;
        for (size_t k = 0; k < LANES; k++) {
            double v = l->v[k][i], delta = v - (mean[k] + mean_c[k]);
            kahan_add(delta / count, &mean[k], &mean_c[k]);
            kahan_add(delta * (v - (mean[k] + mean_c[k])), &aux[k], &aux_c[k]);
        }
    }
    for (size_t k = 0; k < LANES; k++)
        ret[k] = (aux[k] + aux_c[k]) / count;
}

int kernel_variance(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n;
        const double *v = window_values(in, i, &n);
        Lanes l;
        if (take_lanes(in, i, &l)) {
            double values[LANES];
            if (eval_tick(ev, LANES * (uint64_t)n) < 0)
                return -EINVAL;
            lanes_variance(&l, values);
            for (size_t k = 0; k < LANES && in->id == FN_STDDEV_OVER_TIME; k++)
                values[k] = sqrt(values[k]);
            set_lanes(out, i, values);
            i += LANES - 1;
            continue;
        }
        if (eval_tick(ev, n) < 0)
            return -EINVAL;
        if (!floats_only(ev, in, i, 1))
            continue;
        double var = variance_of(v, n);
        range_set(out, i, in->id == FN_STDDEV_OVER_TIME ? sqrt(var) : var);
    }
    return 0;
}

int kernel_quantile(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n;
        const double *v = window_values(in, i, &n);
        double phi = in->args[0][i];
        if (eval_tick(ev, n) < 0)
            return -EINVAL;
        if (!n)
            continue;
        if (isnan(phi) || phi < 0 || phi > 1)
            annotate_quantile(ev, in->call->call.args[0], phi);
        (void)floats_only(ev, in, i, 1); /* for its annotation */
        memcpy(in->scratch, v, n * sizeof(*v));
        range_set(out, i, quantile_of(phi, in->scratch, n));
    }
    return 0;
}

static double mad_of(double *v, uint32_t n) {
    for (uint32_t k = 0; k < n; k++)
        if (isnan(v[k]))
            return normal_nan();
    double median = quantile_of(0.5, v, n);
    for (uint32_t k = 0; k < n; k++)
        v[k] = fabs(v[k] - median);
    return quantile_of(0.5, v, n);
}

int kernel_mad(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t n;
        const double *v = window_values(in, i, &n);
        if (eval_tick(ev, n) < 0)
            return -EINVAL;
        if (!floats_only(ev, in, i, 1))
            continue;
        memcpy(in->scratch, v, n * sizeof(*v));
        range_set(out, i, mad_of(in->scratch, n));
    }
    return 0;
}

/* ---- trends */

typedef struct Line {
    double slope, intercept;
} Line;

static Line regression(const int64_t *t, const double *v, uint32_t n, int64_t origin) {
    double sx = 0, cx = 0, sy = 0, cy = 0, sxy = 0, cxy = 0, sxx = 0, cxx = 0;
    bool constant = true;
    for (uint32_t k = 0; k < n; k++) {
        constant &= v[k] == v[0] || k == 0;
        double x = (double)(t[k] - origin) / 1e3;
        kahan_add(x, &sx, &cx);
        kahan_add(v[k], &sy, &cy);
        kahan_add(x * v[k], &sxy, &cxy);
        kahan_add(x * x, &sxx, &cxx);
    }
    if (constant)
        return isinf(v[0]) ? (Line){normal_nan(), normal_nan()} : (Line){0, v[0]};
    double count = n;
    sx += cx;
    sy += cy;
    sxy += cxy;
    sxx += cxx;
    double cov = sxy - sx * sy / count, var = sxx - sx * sx / count;
    double slope = cov / var;
    return (Line){slope, sy / count - slope * sx / count};
}

int kernel_deriv(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], n = in->hi[i] - lo;
        if (eval_tick(ev, n) < 0)
            return -EINVAL;
        if (!floats_only(ev, in, i, 2))
            continue;
        Line l = regression(in->float_t + lo, in->float_v + lo, n, in->float_t[lo]);
        range_set(out, i, l.slope);
    }
    return 0;
}

int kernel_predict_linear(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        uint32_t lo = in->lo[i], n = in->hi[i] - lo;
        if (eval_tick(ev, n) < 0)
            return -EINVAL;
        if (!floats_only(ev, in, i, 2))
            continue;
        Line l = regression(in->float_t + lo, in->float_v + lo, n, grid_time(&in->grid, i));
        range_set(out, i, l.slope * in->args[0][i] + l.intercept);
    }
    return 0;
}

static double smooth(const double *v, uint32_t n, double sf, double tf) {
    double s0 = 0, s1 = v[0], b = v[1] - v[0];
    for (uint32_t k = 1; k < n; k++) {
        double x = sf * v[k];
        if (k > 1)
            b = tf * (s1 - s0) + (1 - tf) * b;
        double y = (1 - sf) * (s1 + b);
        s0 = s1;
        s1 = x + y;
    }
    return s1;
}

int kernel_smoothing(Eval *ev, const RangeInput *in, Column *out) {
    for (size_t i = 0; i < in->grid.n; i++) {
        double sf = in->args[0][i], tf = in->args[1][i];
        uint32_t n;
        const double *v = window_values(in, i, &n);
        if (!n && !range_histograms(in, i))
            continue;
        if (sf <= 0 || sf >= 1)
            return eval_fail(ev, PROMQL_EXECUTION,
                             "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", sf);
        if (tf <= 0 || tf >= 1)
            return eval_fail(ev, PROMQL_EXECUTION,
                             "invalid trend factor. Expected: 0 < tf < 1, got: %f", tf);
        if (eval_tick(ev, n) < 0)
            return -EINVAL;
        if (floats_only(ev, in, i, 2))
            range_set(out, i, smooth(v, n, sf, tf));
    }
    return 0;
}
