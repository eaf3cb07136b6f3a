/*
 * Quantiles of native histograms and shares of their observations, by interpolation in the bucket
 * met: along the logarithm in exponential buckets, evenly in the zero bucket and in custom ones.
 */
#include "promql/engine/native.h"

/* ---- quantile */

static double in_bucket(const Native *n, const NativeBucket *b, double fraction) {
    if (native_is_custom(n->schema) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(lower + (upper - lower) * fraction);
    return -exp2(upper + (lower - upper) * (1 - fraction));
}

double native_quantile(double phi, const Native *n, const NativeBucket *b, size_t count,
                       NativeNaN *ret) {
    *ret = NATIVE_NAN_NONE;
    if (phi < 0 || phi > 1)
        return phi < 0 ? -INFINITY : INFINITY;
    if (n->count == 0 || isnan(phi))
        return normal_nan();
    bool nan = isnan(n->sum), forward = nan || phi < 0.5;
    double rank = (forward ? phi : 1 - phi) * n->count, sum = 0;
    NativeBucket at = {0};
    size_t k = 0;
    while (k < count && (k == 0 || sum < rank)) {
        at = b[forward ? k : count - 1 - k];
        sum += at.count;
        k++;
    }
    if (!native_is_custom(n->schema)) {
        if (at.lower < 0 && at.upper > 0) {
            if (!n->negative.n && n->positive.n)
                at.lower = 0;
            else if (!n->positive.n && n->negative.n)
                at.upper = 0;
        }
    } else if (isinf(at.lower) && at.lower < 0) {
        if (at.upper <= 0)
            return at.upper;
        at.lower = 0;
    } else if (isinf(at.upper) && at.upper > 0) {
        return at.lower;
    }
    sum = sum > n->count ? n->count : sum;
    if (sum < rank) {
        if (!nan)
            return at.upper;
        *ret = NATIVE_NAN_RESULT;
        return normal_nan();
    }
    rank = forward ? rank - (sum - at.count) : sum - rank;
    if (nan) {
        double all = sum;
        for (; k < count; k++)
            all += b[k].count;
        if (all < n->count)
            *ret = NATIVE_NAN_SKEW;
    }
    return in_bucket(n, &at, rank / at.count);
}

/* ---- fraction */

double native_share_below(const NativeBucket *b, double v, bool linear) {
    if (linear)
        return (v - b->lower) / (b->upper - b->lower);
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper)), at = log2(fabs(v));
    return v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}

typedef struct NativeRank {
    double at, rank;
    bool set;
} NativeRank;

static void rank_at_edge(NativeRank *r, const NativeBucket *b, double below) {
    if (r->set || b->lower < r->at)
        return;
    r->rank = below;
    r->set = true;
}

static void rank_inside(NativeRank *r, const NativeBucket *b, double below, bool linear) {
    if (r->set || !(b->lower < r->at && b->upper > r->at))
        return;
    r->rank = linear && isinf(b->lower) ? b->count
                                        : below + b->count * native_share_below(b, r->at, linear);
    r->set = true;
}

double native_fraction(double lower, double upper, const Native *n, const NativeBucket *b,
                       size_t count, bool *ret_nan) {
    *ret_nan = false;
    if (n->count == 0 || isnan(lower) || isnan(upper))
        return normal_nan();
    if (lower >= upper)
        return 0;
    NativeRank lo = {.at = lower}, hi = {.at = upper};
    double below = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        NativeBucket k = b[i];
        bool zero = k.lower <= 0 && k.upper >= 0;
        all += k.count;
        if (zero && !n->negative.n && n->positive.n)
            k.lower = 0;
        else if (zero && !n->positive.n && n->negative.n)
            k.upper = 0;
        bool linear = zero || native_is_custom(n->schema);
        rank_at_edge(&lo, &k, below);
        rank_at_edge(&hi, &k, below);
        rank_inside(&lo, &k, below, linear);
        rank_inside(&hi, &k, below, linear);
        below += k.count;
    }
    double total = n->count;
    if (isnan(n->sum)) {
        *ret_nan = all < n->count;
        total = all;
    }
    double l = !lo.set || lo.rank > total ? total : lo.rank;
    double u = !hi.set || hi.rank > total ? total : hi.rank;
    return (u - l) / n->count;
}
