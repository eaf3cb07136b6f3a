/*
 * The operators </ and >/: a histogram without the observations above or below a value. The bucket
 * the value lies in is divided by interpolation; count and sum are estimated anew from what is
 * left, the sum by the middle of each bucket. In a bucket without an end nothing is known of where
 * its observations lie: one that begins at -Inf and ends above zero counts as beginning at zero,
 * else it goes or stays as a whole.
 */
#include "promql/engine/native.h"

typedef struct Trim {
    double at, count, sum;
    bool upper, linear, changed;
} Trim;

/* What stays of a bucket, and where it lies on average. */
typedef struct Kept {
    double count, middle;
} Kept;

static double middle_of(double lower, double upper, bool linear) {
    if (isinf(lower))
        return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    if (isinf(upper))
        return lower;
    if (linear)
        return (lower + upper) / 2;
    double mean = sqrt(fabs(lower * upper));
    return upper > 0 ? mean : -mean;
}

static Kept cut_endless(const Trim *t, const NativeBucket *b) {
    bool from_zero = isinf(b->lower) && isfinite(b->upper) && b->upper > 0;
    if (!isinf(b->lower)) /* it ends at +Inf */
        return t->upper ? (Kept){0, 0} : (Kept){b->count, t->at};
    if (t->upper && from_zero && t->at > 0)
        return (Kept){b->count * t->at / b->upper, t->at / 2};
    if (t->upper && b->upper <= 0)
        return (Kept){b->count, t->at};
    if (!t->upper && isfinite(b->upper) && t->at >= 0)
        return (Kept){b->count * (1 - t->at / b->upper), (t->at + b->upper) / 2};
    return (Kept){0, 0};
}

static Kept cut_bucket(const Trim *t, const NativeBucket *b) {
    if (t->upper ? b->upper <= t->at : b->lower >= t->at)
        return (Kept){b->count, middle_of(b->lower, b->upper, t->linear)};
    if (!(t->upper ? b->lower < t->at : b->upper > t->at))
        return (Kept){0, 0};
    if (isinf(b->lower) || isinf(b->upper))
        return cut_endless(t, b);
    double below = b->count * native_share_below(b, t->at, t->linear);
    if (t->upper)
        return (Kept){below, middle_of(b->lower, t->at, t->linear)};
    return (Kept){b->count - below, middle_of(t->at, b->upper, t->linear)};
}

static Kept cut_zero(const Trim *t, const NativeBucket *b) {
    if (t->at <= b->lower)
        return t->upper ? (Kept){0, 0} : (Kept){b->count, (b->lower + b->upper) / 2};
    if (t->at >= b->upper)
        return t->upper ? (Kept){b->count, (b->lower + b->upper) / 2} : (Kept){0, 0};
    double from = t->upper ? b->lower : t->at, to = t->upper ? t->at : b->upper;
    return (Kept){b->count * ((to - from) / (b->upper - b->lower)), (from + to) / 2};
}

static void keep(Trim *t, Kept k, double *count) {
    t->changed |= *count != k.count;
    *count = k.count;
    t->count += k.count;
    t->sum += k.middle * k.count;
}

/* Whether any bucket of the side is used. */
static bool trim_side(Trim *t, const Native *n, NativeCells *c, bool positive) {
    bool used = false;
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->v[i] == 0)
            continue;
        double near = native_bound(n, (int64_t)c->at[i] - 1), far = native_bound(n, c->at[i]);
        NativeBucket b = {positive ? near : -far, positive ? far : -near, c->v[i]};
        keep(t, cut_bucket(t, &b), &c->v[i]);
        used = true;
    }
    return used;
}

void native_trim(Native *n, double at, bool upper) {
    Trim t = {.at = at, .upper = upper, .linear = native_is_custom(n->schema)};
    bool positive = trim_side(&t, n, &n->positive, true);
    bool negative = trim_side(&t, n, &n->negative, false);
    if (n->zero > 0) {
        NativeBucket b = {-n->zero_threshold, n->zero_threshold, n->zero};
        if (negative && !positive)
            b.upper = 0;
        if (positive && !negative)
            b.lower = 0;
        keep(&t, cut_zero(&t, &b), &n->zero);
    }
    if (!t.changed)
        return;
    n->count = t.count;
    n->sum = t.sum;
}
