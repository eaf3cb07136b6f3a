#include "promql/engine/native.h"

static int cells_of(Scope *s, const BucketSpan *spans, uint32_t n_spans, const double *v,
                    uint32_t n, NativeCells *ret) {
    *ret = (NativeCells){SCOPE_ARRAY(s, int32_t, n + 1), SCOPE_ARRAY(s, double, n + 1),
                         SCOPE_ZARRAY(s, double, n + 1), n};
    if (!ret->at || !ret->v || !ret->c)
        return -EINVAL;
    int32_t at = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < n_spans; i++) {
        at += spans[i].offset;
        for (uint32_t q = 0; q < spans[i].length && k < n; q++, k++) {
            ret->at[k] = at++;
            ret->v[k] = v[k];
        }
    }
    ret->n = k;
    return 0;
}

int native_of(Scope *s, const FloatHistogram *h, Native *ret) {
    *ret = (Native){.hint = h->reset_hint,
                    .schema = h->schema,
                    .zero_threshold = h->zero_threshold,
                    .zero = h->zero_count,
                    .count = h->count,
                    .sum = h->sum,
                    .n_custom = h->n_custom};
    if (h->n_custom) { /* h may be gone before the sum it goes into */
        double *custom = SCOPE_ARRAY(s, double, h->n_custom);
        if (!custom)
            return -EINVAL;
        memcpy(custom, h->custom_values, h->n_custom * sizeof(*custom));
        ret->custom = custom;
    }
    int r = cells_of(s, h->positive_spans, h->n_positive_spans, h->positive, h->n_positive,
                     &ret->positive);
    return r < 0 ? r
                 : cells_of(s, h->negative_spans, h->n_negative_spans, h->negative, h->n_negative,
                            &ret->negative);
}

static int spans_of(Scope *s, const NativeCells *c, const BucketSpan **ret_spans,
                    uint32_t *ret_n_spans, const double **ret_v, uint32_t *ret_n) {
    BucketSpan *spans = SCOPE_ARRAY(s, BucketSpan, c->n + 1);
    double *v = SCOPE_ARRAY(s, double, c->n + 1);
    if (!spans || !v)
        return -EINVAL;
    uint32_t n = 0, n_spans = 0;
    int32_t next = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->v[i] == 0)
            continue;
        if (!n_spans || c->at[i] != next)
            spans[n_spans++] = (BucketSpan){c->at[i] - next, 0};
        spans[n_spans - 1].length++;
        next = c->at[i] + 1;
        v[n++] = c->v[i];
    }
    *ret_spans = spans;
    *ret_n_spans = n_spans;
    *ret_v = v;
    *ret_n = n;
    return 0;
}

FloatHistogram *native_to_histogram(Scope *s, const Native *n) {
    FloatHistogram *h = SCOPE_NEW(s, FloatHistogram);
    if (!h)
        return NULL;
    *h = (FloatHistogram){.reset_hint = n->hint,
                          .schema = n->schema,
                          .zero_threshold = n->zero_threshold,
                          .zero_count = n->zero,
                          .count = n->count,
                          .sum = n->sum,
                          .custom_values = n->custom,
                          .n_custom = n->n_custom};
    if (spans_of(s, &n->positive, &h->positive_spans, &h->n_positive_spans, &h->positive,
                 &h->n_positive) < 0 ||
        spans_of(s, &n->negative, &h->negative_spans, &h->n_negative_spans, &h->negative,
                 &h->n_negative) < 0)
        return NULL;
    return h;
}

/* ---- bounds */

/*
 * The bounds that instrumentation libraries and Prometheus agree on come from one table, whose
 * numbers are not the nearest ones to 2^(i/256): here is by how many last places each is smaller
 * ('1' = by none, '0' = it is one greater).
 */
static const char bound_error[256 + 1] =
    "1111112111211111112311222222222211211121122211221122102211221122"
    "1111112222332132112111211112111111121011213311221222112121332222"
    "2121223322322122222222323233323311221121223321332233212232332232"
    "2243223233433343333333444455435422322333324422333243223333543344";

/* 2^(at/per), per a power of two up to 256, 0 <= at < per. */
static double table_bound(int64_t at, int64_t per) {
    uint64_t bits = double_bits(exp2((double)at / (double)per));
    return double_of_bits(bits - (uint64_t)(int64_t)(bound_error[at * (256 / per)] - '1'));
}

/* The last bucket ends at the greatest number; behind it is one more, for infinities. */
static double exponential_bound(int32_t schema, int64_t at) {
    if (schema <= 0) {
        int64_t e = at * ((int64_t)1 << -schema);
        return e == 1024 ? __DBL_MAX__ : ldexp(1, (int)MAX(MIN(e, 2000), -2000));
    }
    int64_t per = (int64_t)1 << schema, frac = at & (per - 1), e = at >> schema;
    if (frac == 0 && e == 1024)
        return __DBL_MAX__;
    return ldexp(table_bound(frac, per), (int)MAX(MIN(e, 2000), -2000));
}

double native_bound(const Native *n, int64_t at) {
    if (!native_is_custom(n->schema))
        return exponential_bound(n->schema, at);
    return at < 0 ? -INFINITY : at < n->n_custom ? n->custom[at] : INFINITY;
}

double promql_histogram_bound(const FloatHistogram *h, int64_t at) {
    const Native n = {.schema = h->schema, .custom = h->custom_values, .n_custom = h->n_custom};
    return native_bound(&n, at);
}

/* ---- all counts at once */

static void each_count(Native *n, double by, bool divide) {
    double *all[] = {&n->zero, &n->zero_c, &n->count, &n->count_c, &n->sum, &n->sum_c};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        *all[i] = divide ? *all[i] / by : *all[i] * by;
    NativeCells *sides[] = {&n->positive, &n->negative};
    for (int q = 0; q < 2; q++)
        for (uint32_t i = 0; i < sides[q]->n; i++) {
            sides[q]->v[i] = divide ? sides[q]->v[i] / by : sides[q]->v[i] * by;
            sides[q]->c[i] = divide ? sides[q]->c[i] / by : sides[q]->c[i] * by;
        }
    if (by < 0)
        n->hint = RESET_GAUGE;
}

void native_mul(Native *n, double by) { each_count(n, by, false); }

void native_div(Native *n, double by) {
    if (by == 0)
        n->positive.n = n->negative.n = 0;
    each_count(n, by, true);
    /* A term that was nothing stays nothing. */
    if (by == 0)
        n->zero_c = n->count_c = n->sum_c = 0;
}

void native_settle(Native *n) {
    n->zero += n->zero_c;
    n->count += n->count_c;
    n->sum += n->sum_c;
    NativeCells *sides[] = {&n->positive, &n->negative};
    for (int q = 0; q < 2; q++)
        for (uint32_t i = 0; i < sides[q]->n; i++)
            sides[q]->v[i] += sides[q]->c[i];
}

bool native_overflown(const Native *n) {
    bool inf = isinf(n->zero) || isinf(n->count) || isinf(n->sum);
    for (uint32_t i = 0; i < n->positive.n; i++)
        inf |= isinf(n->positive.v[i]);
    for (uint32_t i = 0; i < n->negative.n; i++)
        inf |= isinf(n->negative.v[i]);
    for (uint32_t i = 0; i < n->n_custom; i++)
        inf |= isinf(n->custom[i]);
    return inf;
}

/* ---- making two comparable */

static int64_t reduced_index(int64_t at, int32_t by) { return ((at - 1) >> by) + 1; }

static void reduce_cells(NativeCells *c, int32_t by) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t at = (int32_t)reduced_index(c->at[i], by);
        if (k && c->at[k - 1] == at) {
            kahan_add(c->v[i], &c->v[k - 1], &c->c[k - 1]);
            c->c[k - 1] += c->c[i];
        } else {
            c->at[k] = at;
            c->v[k] = c->v[i];
            c->c[k++] = c->c[i];
        }
    }
    c->n = k;
}

static void reduce_plain(NativeCells *c, int32_t by) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        int32_t at = (int32_t)reduced_index(c->at[i], by);
        if (k && c->at[k - 1] == at) {
            c->v[k - 1] += c->v[i];
        } else {
            c->at[k] = at;
            c->v[k++] = c->v[i];
        }
    }
    c->n = k;
}

static void reduce_schema(Native *n, int32_t schema, bool compensated) {
    int32_t by = n->schema - schema;
    if (by <= 0)
        return;
    (compensated ? reduce_cells : reduce_plain)(&n->positive, by);
    (compensated ? reduce_cells : reduce_plain)(&n->negative, by);
    n->schema = schema;
}

/* The zero count if the threshold were at least `to`, which grows to the end of a used bucket. */
static double wider_zero(const Native *n, double *to, double *ret_c) {
    for (;;) {
        double zero = n->zero, c = n->zero_c;
        bool again = false;
        const NativeCells *sides[] = {&n->positive, &n->negative};
        for (int q = 0; q < 2 && !again; q++)
            for (uint32_t i = 0; i < sides[q]->n; i++) {
                double lower = exponential_bound(n->schema, (int64_t)sides[q]->at[i] - 1);
                double upper = exponential_bound(n->schema, sides[q]->at[i]);
                if (lower >= *to)
                    break;
                kahan_add(sides[q]->v[i], &zero, &c);
                kahan_add(sides[q]->c[i], &zero, &c);
                if (upper <= *to)
                    continue;
                if (sides[q]->v[i] != 0) {
                    *to = upper;
                    again = q == 1; /* what was said of the positive side holds no more */
                }
                break;
            }
        if (again)
            continue;
        *ret_c = c;
        return zero;
    }
}

static void trim_zero(NativeCells *c, const Native *n) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (exponential_bound(n->schema, (int64_t)c->at[i] - 1) < n->zero_threshold)
            continue;
        c->at[k] = c->at[i];
        c->v[k] = c->v[i];
        c->c[k++] = c->c[i];
    }
    c->n = k;
}

static void widen_zero(Native *n, double to, bool compensated) {
    double c, zero = wider_zero(n, &to, &c);
    n->zero = zero;
    n->zero_c = compensated ? c : 0;
    n->zero_threshold = to;
    trim_zero(&n->positive, n);
    trim_zero(&n->negative, n);
}

static void match_zero(Native *a, Native *b, bool compensated) {
    while (a->zero_threshold != b->zero_threshold) {
        if (a->zero_threshold > b->zero_threshold)
            widen_zero(b, a->zero_threshold, compensated);
        else
            widen_zero(a, b->zero_threshold, compensated);
    }
}

static bool same_bounds(const double *a, uint32_t na, const double *b, uint32_t nb) {
    if (na != nb)
        return false;
    for (uint32_t i = 0; i < na; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* Counts of custom buckets under fewer bounds, each of which is one of theirs. */
static void rebound(Native *n, const double *bounds, uint32_t n_bounds) {
    NativeCells *c = &n->positive;
    uint32_t k = 0, to = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        double upper = native_bound(n, c->at[i]);
        while (to < n_bounds && bounds[to] < upper)
            to++;
        if (k && c->at[k - 1] == (int32_t)to) {
            kahan_add(c->v[i], &c->v[k - 1], &c->c[k - 1]);
            c->c[k - 1] += c->c[i];
        } else {
            c->at[k] = (int32_t)to;
            c->v[k] = c->v[i];
            c->c[k++] = c->c[i];
        }
    }
    c->n = k;
    n->custom = bounds;
    n->n_custom = n_bounds;
}

static int match_bounds(Scope *s, Native *a, Native *b) {
    double *common = SCOPE_ARRAY(s, double, a->n_custom + 1);
    if (!common)
        return -EINVAL;
    uint32_t n = 0;
    for (uint32_t i = 0, k = 0; i < a->n_custom && k < b->n_custom;) {
        if (a->custom[i] == b->custom[k]) {
            common[n++] = a->custom[i++];
            k++;
        } else if (a->custom[i] < b->custom[k]) {
            i++;
        } else {
            k++;
        }
    }
    rebound(a, common, n);
    rebound(b, common, n);
    return 0;
}

/* ---- adding */

static void merge_hints(Native *a, const Native *b, NativeNotes *notes) {
    if (a->hint == b->hint || a->hint == RESET_GAUGE)
        return;
    if (b->hint == RESET_GAUGE) {
        a->hint = RESET_GAUGE;
    } else if (a->hint != RESET_UNKNOWN) {
        notes->reset_conflict |= b->hint != RESET_UNKNOWN;
        a->hint = RESET_UNKNOWN;
    }
}

static void add_number(double *v, double *c, double x, double xc, bool compensated) {
    if (!compensated) {
        *v += x;
        return;
    }
    kahan_add(x, v, c);
    if (xc != 0)
        kahan_add(xc, v, c);
}

static bool same_cells(const NativeCells *a, const NativeCells *b) {
    return a->n == b->n && (!a->n || memcmp(a->at, b->at, a->n * sizeof(*a->at)) == 0);
}

static int add_cells(Scope *s, NativeCells *a, const NativeCells *b, double sign,
                     bool compensated) {
    if (same_cells(a, b)) {
        for (uint32_t i = 0; i < a->n; i++)
            add_number(&a->v[i], &a->c[i], sign * b->v[i], sign * b->c[i], compensated);
        return 0;
    }
    uint32_t room = a->n + b->n + 1;
    NativeCells r = {SCOPE_ARRAY(s, int32_t, room), SCOPE_ARRAY(s, double, room),
                     SCOPE_ARRAY(s, double, room), 0};
    if (!r.at || !r.v || !r.c)
        return -EINVAL;
    for (uint32_t i = 0, k = 0; i < a->n || k < b->n; r.n++) {
        bool from_a = k == b->n || (i < a->n && a->at[i] <= b->at[k]);
        bool from_b = i == a->n || (k < b->n && b->at[k] <= a->at[i]);
        r.at[r.n] = from_a ? a->at[i] : b->at[k];
        r.v[r.n] = from_a ? a->v[i] : 0;
        r.c[r.n] = from_a ? a->c[i] : 0;
        if (from_b)
            add_number(&r.v[r.n], &r.c[r.n], sign * b->v[k], sign * b->c[k], compensated);
        i += from_a;
        k += from_b;
    }
    *a = r;
    return 0;
}

static int dup_cells(Scope *s, const NativeCells *from, NativeCells *ret) {
    *ret = (NativeCells){SCOPE_ARRAY(s, int32_t, from->n + 1), SCOPE_ARRAY(s, double, from->n + 1),
                         SCOPE_ARRAY(s, double, from->n + 1), from->n};
    if (!ret->at || !ret->v || !ret->c)
        return -EINVAL;
    memcpy(ret->at, from->at, from->n * sizeof(*ret->at));
    memcpy(ret->v, from->v, from->n * sizeof(*ret->v));
    memcpy(ret->c, from->c, from->n * sizeof(*ret->c));
    return 0;
}

int native_dup(Scope *s, const Native *from, Native *ret) {
    *ret = *from;
    int r = dup_cells(s, &from->positive, &ret->positive);
    return r < 0 ? r : dup_cells(s, &from->negative, &ret->negative);
}

void native_reduce(Native *n, int32_t schema) { reduce_schema(n, schema, false); }

static int add(Scope *s, Native *a, Native *b, double sign, bool compensated, NativeNotes *notes) {
    if (native_is_custom(a->schema) != native_is_custom(b->schema)) {
        notes->incompatible = true;
        return 0;
    }
    merge_hints(a, b, notes);
    if (!native_is_custom(a->schema)) {
        match_zero(a, b, compensated);
        add_number(&a->zero, &a->zero_c, sign * b->zero, sign * b->zero_c, compensated);
        reduce_schema(a, b->schema, compensated);
        reduce_schema(b, a->schema, compensated);
    } else if (!same_bounds(a->custom, a->n_custom, b->custom, b->n_custom)) {
        notes->bounds_reconciled = true;
        if (match_bounds(s, a, b) < 0)
            return -EINVAL;
    }
    add_number(&a->count, &a->count_c, sign * b->count, 0, compensated);
    add_number(&a->sum, &a->sum_c, sign * b->sum, 0, compensated);
    int r = add_cells(s, &a->positive, &b->positive, sign, compensated);
    return r < 0 ? r : add_cells(s, &a->negative, &b->negative, sign, compensated);
}

int native_add(Scope *s, Native *a, Native *b, double sign, NativeNotes *notes) {
    return add(s, a, b, sign, false, notes);
}

int native_kahan_add(Scope *s, Native *a, Native *b, NativeNotes *notes) {
    return add(s, a, b, 1, true, notes);
}

static int mean_add(Scope *s, NativeSum *a, Native *b) {
    double q = (a->count - 1) / a->count;
    native_mul(&a->value, q);
    native_div(b, a->count);
    return native_kahan_add(s, &a->value, b, &a->notes);
}

int native_sum_add(Scope *s, NativeSum *a, const FloatHistogram *h) {
    Native b, trial;
    a->saw_reset |= h->reset_hint == RESET_YES;
    a->saw_no_reset |= h->reset_hint == RESET_NO;
    if (a->count++ == 0)
        return native_of(s, h, &a->value);
    if (a->notes.incompatible)
        return 0;
    if (native_of(s, h, &b) < 0)
        return -EINVAL;
    if (!a->mean)
        return native_kahan_add(s, &a->value, &b, &a->notes);
    if (a->running)
        return mean_add(s, a, &b);
    if (native_dup(s, &a->value, &trial) < 0 || native_kahan_add(s, &trial, &b, &a->notes) < 0)
        return -EINVAL;
    if (!native_overflown(&trial)) {
        a->value = trial;
        return 0;
    }
    a->running = true;
    native_div(&a->value, a->count - 1);
    return native_of(s, h, &b) < 0 ? -EINVAL : mean_add(s, a, &b);
}

void native_sum_finish(NativeSum *a) {
    if (a->mean && !a->running)
        native_div(&a->value, a->count);
    native_settle(&a->value);
}

/* ---- comparing */

static double count_at(const NativeCells *c, int32_t at) {
    for (uint32_t i = 0; i < c->n; i++)
        if (c->at[i] == at)
            return c->v[i];
    return 0;
}

static bool cells_fell(const NativeCells *prev, const NativeCells *cur) {
    for (uint32_t i = 0; i < prev->n; i++)
        if (count_at(cur, prev->at[i]) < prev->v[i])
            return true;
    return false;
}

int native_is_reset(Scope *s, const FloatHistogram *prev, const FloatHistogram *cur, bool *ret) {
    bool custom = native_is_custom(cur->schema);
    *ret = cur->reset_hint == RESET_YES;
    if (*ret || cur->reset_hint == RESET_NO)
        return 0;
    *ret = true;
    if (cur->count < prev->count || (custom && !native_is_custom(prev->schema)))
        return 0;
    Native p, c;
    if (native_of(s, prev, &p) < 0 || native_of(s, cur, &c) < 0)
        return -EINVAL;
    if (custom) {
        if (!same_bounds(p.custom, p.n_custom, c.custom, c.n_custom) && match_bounds(s, &p, &c) < 0)
            return -EINVAL;
        *ret = cells_fell(&p.positive, &c.positive);
        return 0;
    }
    if (cur->schema > prev->schema || cur->zero_threshold < prev->zero_threshold)
        return 0;
    double to = c.zero_threshold, zero_c = 0;
    double zero = to == p.zero_threshold ? p.zero : wider_zero(&p, &to, &zero_c);
    if (to != c.zero_threshold || c.zero < zero)
        return 0;
    p.zero_threshold = to;
    trim_zero(&p.positive, &p);
    trim_zero(&p.negative, &p);
    reduce_schema(&p, c.schema, false);
    *ret = cells_fell(&p.positive, &c.positive) || cells_fell(&p.negative, &c.negative);
    return 0;
}

int native_find_reset(Scope *s, const FloatHistogram *prev, FloatHistogram *cur) {
    bool reset;
    if (cur->reset_hint != RESET_UNKNOWN)
        return 0;
    if (native_is_reset(s, prev, cur, &reset) < 0)
        return -EINVAL;
    cur->reset_hint = reset ? RESET_YES : RESET_NO;
    return 0;
}

static bool same_bits(const double *a, uint32_t na, const double *b, uint32_t nb) {
    return na == nb && (!na || memcmp(a, b, na * sizeof(*a)) == 0);
}

static bool same_spans(const BucketSpan *a, uint32_t na, const BucketSpan *b, uint32_t nb) {
    return na == nb && (!na || memcmp(a, b, na * sizeof(*a)) == 0);
}

bool native_equal(const FloatHistogram *a, const FloatHistogram *b) {
    return a->schema == b->schema && double_bits(a->count) == double_bits(b->count) &&
           double_bits(a->sum) == double_bits(b->sum) && a->zero_threshold == b->zero_threshold &&
           double_bits(a->zero_count) == double_bits(b->zero_count) &&
           (!native_is_custom(a->schema) ||
            same_bounds(a->custom_values, a->n_custom, b->custom_values, b->n_custom)) &&
           same_spans(a->positive_spans, a->n_positive_spans, b->positive_spans,
                      b->n_positive_spans) &&
           same_spans(a->negative_spans, a->n_negative_spans, b->negative_spans,
                      b->n_negative_spans) &&
           same_bits(a->positive, a->n_positive, b->positive, b->n_positive) &&
           same_bits(a->negative, a->n_negative, b->negative, b->n_negative);
}

/* ---- as a list of buckets */

NativeBucket *native_buckets(Scope *s, const Native *n, size_t *ret_n) {
    NativeBucket *b = SCOPE_ARRAY(s, NativeBucket, (size_t)n->positive.n + n->negative.n + 2);
    size_t k = 0;
    if (!b)
        return NULL;
    for (uint32_t i = n->negative.n; i-- > 0;)
        if (n->negative.v[i] != 0)
            b[k++] =
                (NativeBucket){-native_bound(n, n->negative.at[i]),
                               -native_bound(n, (int64_t)n->negative.at[i] - 1), n->negative.v[i]};
    if (n->zero != 0 && !native_is_custom(n->schema))
        b[k++] = (NativeBucket){-n->zero_threshold, n->zero_threshold, n->zero};
    for (uint32_t i = 0; i < n->positive.n; i++)
        if (n->positive.v[i] != 0)
            b[k++] = (NativeBucket){native_bound(n, (int64_t)n->positive.at[i] - 1),
                                    native_bound(n, n->positive.at[i]), n->positive.v[i]};
    *ret_n = k;
    return b;
}

NativeBucket *native_clipped_buckets(Scope *s, const Native *n, size_t *ret_n) {
    size_t count, k = 0;
    NativeBucket *b = native_buckets(s, n, &count);
    for (size_t i = 0; b && i < count; i++) {
        if (b[i].lower < 0 && b[i].upper > 0 && !native_is_custom(n->schema) && !(n->zero > 0))
            continue;
        b[k] = b[i];
        if (b[k].lower > 0 && b[k].lower < n->zero_threshold)
            b[k].lower = n->zero_threshold;
        if (b[k].upper < 0 && b[k].upper > -n->zero_threshold)
            b[k].upper = -n->zero_threshold;
        k++;
    }
    *ret_n = k;
    return b;
}

double native_variance(const Native *n, const NativeBucket *b, size_t count) {
    double mean = n->sum / n->count, variance = 0, c = 0;
    for (size_t i = 0; i < count; i++) {
        double v;
        if (native_is_custom(n->schema))
            v = (b[i].upper + b[i].lower) / 2;
        else if (b[i].lower <= 0 && b[i].upper >= 0)
            v = 0;
        else
            v = b[i].upper < 0 ? -sqrt(b[i].upper * b[i].lower) : sqrt(b[i].upper * b[i].lower);
        double delta = v - mean;
        kahan_add(b[i].count * delta * delta, &variance, &c);
    }
    return (variance + c) / n->count;
}

static void print_bucket(const NativeBucket *b, char open, char close, Buf *out) {
    buf_addf(out, ", %c", open);
    number_format_g(out, b->lower);
    buf_add_char(out, ',');
    number_format_g(out, b->upper);
    buf_addf(out, "%c:", close);
    number_format_g(out, b->count);
}

void native_print(const Native *n, const NativeBucket *b, size_t count, Buf *out) {
    buf_add_cstr(out, "{count:");
    number_format_g(out, n->count);
    buf_add_cstr(out, ", sum:");
    number_format_g(out, n->sum);
    for (size_t i = 0; i < count; i++) {
        bool custom = native_is_custom(n->schema);
        bool zero = !custom && b[i].lower <= 0 && b[i].upper >= 0;
        bool open_ended = custom && isinf(b[i].lower);
        bool negative = !custom && b[i].upper < 0;
        print_bucket(&b[i], zero || negative || open_ended ? '[' : '(', negative ? ')' : ']', out);
    }
    buf_add_char(out, '}');
}
