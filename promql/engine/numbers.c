/* Quantiles of plain numbers, and texts about them. */
#include "promql/engine/eval.h"

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

/* Puts the k-th smallest at v[k], smaller ones before it, larger ones behind (Hoare). No NaN. */
static double select_kth(double *v, size_t n, size_t k) {
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2, i = lo, j = hi;
        if (v[mid] < v[lo])
            swap(&v[mid], &v[lo]);
        if (v[hi] < v[lo])
            swap(&v[hi], &v[lo]);
        if (v[hi] < v[mid])
            swap(&v[hi], &v[mid]);
        double pivot = v[mid];
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (pivot < v[j])
                j--;
            if (i >= j)
                break;
            swap(&v[i++], &v[j--]);
        }
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return v[k];
}

static double smallest(const double *v, size_t n) {
    double m = v[0];
    for (size_t i = 1; i < n; i++)
        m = v[i] < m ? v[i] : m;
    return m;
}

/* NaN counts as smaller than any number. */
double quantile_of(double phi, double *v, size_t n) {
    if (!n || isnan(phi))
        return normal_nan();
    if (phi < 0)
        return -INFINITY;
    if (phi > 1)
        return INFINITY;
    size_t nans = 0;
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i]))
            swap(&v[i], &v[nans++]);
    double rank = phi * ((double)n - 1), floor_rank = floor(rank), weight = rank - floor_rank;
    size_t lower = (size_t)fmax(0, floor_rank), upper = MIN(n - 1, lower + 1);
    double a = v[lower], b = v[upper];
    if (lower >= nans) {
        a = select_kth(v + nans, n - nans, lower - nans);
        b = upper == lower ? a : smallest(v + lower + 1, n - lower - 1);
    } else if (upper >= nans) {
        b = smallest(v + nans, n - nans);
    }
    return a * (1 - weight) + b * weight;
}

void annotate_quantile(Eval *ev, const Node *at, double phi) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "quantile value should be between 0 and 1, got ");
    number_format_g(&b, phi);
    annotate(ev, ANNOTATION_WARNING, at, "%.*s", SA(buf_str(&b)));
}

void buf_add_quoted(Buf *b, Str s) {
    size_t room = 10 * s.n + 3; /* \U and eight digits at most */
    char *dst = mem_alloc(room);
    buf_add_cstr(b, promql_quote(s, dst, room));
    mem_free(dst);
}
