#include "promql/testscript/histogram_desc.h"

#include <math.h>
#include <stdlib.h>

#include "base/numtext.h"
#include "base/vec.h"

/* One side of a histogram: buckets from an index on without gaps. */
typedef struct Side {
    int32_t offset;
    uint32_t n;
    const double *counts;
} Side;

typedef struct Desc {
    FloatHistogram h;
    Side positive, negative;
} Desc;

/* ---- reading ---- */

static int take_list(Cursor *c, Arena *a, const double **ret, uint32_t *ret_n) {
    VEC(double) v = {0};
    double x;
    int r = cursor_take(c, "[") ? 0 : cursor_fail(c, "expected [");
    cursor_spaces(c);
    while (r == 0 && !cursor_take(c, "]")) {
        if ((r = cursor_number(c, &x)) == 0)
            vec_push(&v, x);
        cursor_spaces(c);
    }
    *ret_n = (uint32_t)v.n;
    *ret = v.n ? arena_dup(a, v.v, v.n * sizeof(double)) : NULL;
    if (r == 0 && v.n && !*ret)
        r = cursor_fail(c, "too many buckets");
    vec_free(&v);
    return r;
}

static int take_int(Cursor *c, int32_t *ret) {
    double v;
    int r = cursor_number(c, &v);
    if (r == 0 && (v != trunc(v) || fabs(v) > INT32_MAX))
        return cursor_fail(c, "expected a whole number");
    *ret = r == 0 ? (int32_t)v : 0;
    return r;
}

static int take_hint(Cursor *c, CounterResetHint *ret) {
    static const struct {
        const char *text;
        CounterResetHint hint;
    } hints[] = {{"unknown", RESET_UNKNOWN},
                 {"reset", RESET_YES},
                 {"not_reset", RESET_NO},
                 {"gauge", RESET_GAUGE}};
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (cursor_take(c, hints[i].text)) {
            *ret = hints[i].hint;
            return 0;
        }
    }
    return cursor_fail(c, "unknown counter reset hint");
}

static int take_field(Cursor *c, Arena *a, Desc *d, bool *ret_hint_set) {
    FloatHistogram *h = &d->h;
    if (cursor_take(c, "schema:"))
        return take_int(c, &h->schema);
    if (cursor_take(c, "sum:"))
        return cursor_number(c, &h->sum);
    if (cursor_take(c, "count:"))
        return cursor_number(c, &h->count);
    if (cursor_take(c, "z_bucket:"))
        return cursor_number(c, &h->zero_count);
    if (cursor_take(c, "z_bucket_w:"))
        return cursor_number(c, &h->zero_threshold);
    if (cursor_take(c, "custom_values:"))
        return take_list(c, a, &h->custom_values, &h->n_custom);
    if (cursor_take(c, "buckets:"))
        return take_list(c, a, &d->positive.counts, &d->positive.n);
    if (cursor_take(c, "n_buckets:"))
        return take_list(c, a, &d->negative.counts, &d->negative.n);
    if (cursor_take(c, "offset:"))
        return take_int(c, &d->positive.offset);
    if (cursor_take(c, "n_offset:"))
        return take_int(c, &d->negative.offset);
    if (cursor_take(c, "counter_reset_hint:")) {
        *ret_hint_set = true;
        return take_hint(c, &h->reset_hint);
    }
    return cursor_fail(c, "unknown part of a histogram");
}

static int make_histogram(Cursor *c, Arena *a, const Desc *d, const FloatHistogram **ret) {
    FloatHistogram *h = arena_dup(a, &d->h, sizeof(d->h));
    BucketSpan *spans = ARENA_ARRAY(a, BucketSpan, 2);
    if (!h || !spans)
        return cursor_fail(c, "the histogram is too large");
    if (d->positive.n) {
        spans[0] = (BucketSpan){d->positive.offset, d->positive.n};
        h->n_positive_spans = 1;
    }
    if (d->negative.n) {
        spans[1] = (BucketSpan){d->negative.offset, d->negative.n};
        h->n_negative_spans = 1;
    }
    h->positive_spans = &spans[0];
    h->negative_spans = &spans[1];
    h->n_positive = d->positive.n;
    h->positive = d->positive.counts;
    h->n_negative = d->negative.n;
    h->negative = d->negative.counts;
    *ret = h;
    return 0;
}

int histogram_desc_parse(Cursor *c, Arena *a, const FloatHistogram **ret, bool *ret_hint_set) {
    Desc d = {0};
    int r = cursor_take(c, "{{") ? 0 : cursor_fail(c, "expected {{");
    *ret_hint_set = false;
    cursor_spaces(c);
    while (r == 0 && !cursor_take(c, "}}")) {
        r = take_field(c, a, &d, ret_hint_set);
        cursor_spaces(c);
    }
    return r == 0 ? make_histogram(c, a, &d, ret) : r;
}

/* ---- arithmetic ---- */

static Side side_of(const BucketSpan *spans, uint32_t n_spans, const double *counts, uint32_t n) {
    return n_spans ? (Side){spans[0].offset, n, counts} : (Side){0};
}

/* Index i at one schema is index ceil(i / 2^levels) at a schema lower by `levels`. */
static int32_t lower_index(int32_t i, int levels) {
    int64_t width = INT64_C(1) << levels;
    return (int32_t)((i + (i > 0 ? width - 1 : 0)) / width);
}

static void add_counts(double *dst, int32_t first, Side s, int levels, double factor) {
    for (uint32_t i = 0; i < s.n; i++)
        dst[lower_index(s.offset + (int32_t)i, levels) - first] += factor * s.counts[i];
}

static int add_side(Cursor *c, Arena *a, Side *h, Side step, int levels, double sign) {
    if (step.n == 0)
        return 0;
    int32_t first = lower_index(step.offset, levels);
    int32_t last = lower_index(step.offset + (int32_t)step.n - 1, levels);
    if (h->n) {
        first = MIN(first, h->offset);
        last = MAX(last, h->offset + (int32_t)h->n - 1);
    }
    size_t n = (size_t)((int64_t)last - first + 1);
    double *counts = n > (1 << 20) ? NULL : ARENA_ARRAY(a, double, n);
    if (!counts)
        return cursor_fail(c, "the histogram is too large");
    add_counts(counts, first, *h, 0, 1);
    add_counts(counts, first, step, levels, sign);
    *h = (Side){first, (uint32_t)n, counts};
    return 0;
}

static CounterResetHint sum_hint(CounterResetHint a, CounterResetHint b) {
    if (a == b)
        return a;
    return a == RESET_GAUGE || b == RESET_GAUGE ? RESET_GAUGE : RESET_UNKNOWN;
}

int histogram_desc_add(Cursor *c, Arena *a, const FloatHistogram **h, const FloatHistogram *step,
                       int sign) {
    const FloatHistogram *old = *h;
    Desc d = {.h = *old};
    int levels = step->schema - old->schema;
    if (levels < 0 || levels > 20 || old->zero_threshold != step->zero_threshold ||
        old->n_custom != step->n_custom)
        return cursor_fail(c, "histograms that cannot be added");
    d.h.sum += sign * step->sum;
    d.h.count += sign * step->count;
    d.h.zero_count += sign * step->zero_count;
    d.h.reset_hint = sign < 0 ? RESET_GAUGE : sum_hint(old->reset_hint, step->reset_hint);
    d.positive =
        side_of(old->positive_spans, old->n_positive_spans, old->positive, old->n_positive);
    d.negative =
        side_of(old->negative_spans, old->n_negative_spans, old->negative, old->n_negative);
    Side positive =
        side_of(step->positive_spans, step->n_positive_spans, step->positive, step->n_positive);
    Side negative =
        side_of(step->negative_spans, step->n_negative_spans, step->negative, step->n_negative);
    int r = add_side(c, a, &d.positive, positive, levels, sign);
    if (r == 0)
        r = add_side(c, a, &d.negative, negative, levels, sign);
    return r == 0 ? make_histogram(c, a, &d, h) : r;
}

/* ---- printing ---- */

static void print_number(const char *name, double v, Buf *out) {
    if (v == 0)
        return;
    buf_addf(out, " %s:", name);
    number_format_g(out, v);
}

static void print_buckets(const char *offset, const char *name, const BucketSpan *spans,
                          uint32_t n_spans, const double *counts, Buf *out) {
    if (n_spans == 0)
        return;
    if (spans[0].offset)
        buf_addf(out, " %s:%d", offset, spans[0].offset);
    buf_addf(out, " %s:[", name);
    for (uint32_t i = 0, k = 0; i < n_spans; i++) {
        for (int32_t gap = 0; i > 0 && gap < spans[i].offset && gap < 1000; gap++)
            buf_add_cstr(out, "0 ");
        for (uint32_t j = 0; j < spans[i].length; j++, k++) {
            number_format_g(out, counts[k]);
            buf_add_char(out, ' ');
        }
    }
    if (out->n && out->p[out->n - 1] == ' ')
        out->n--;
    buf_add_char(out, ']');
}

void histogram_desc_print(const FloatHistogram *h, Buf *out) {
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};
    buf_addf(out, "{{schema:%d", h->schema);
    print_number("count", h->count, out);
    print_number("sum", h->sum, out);
    print_number("z_bucket", h->zero_count, out);
    print_number("z_bucket_w", h->zero_threshold, out);
    if (h->n_custom) {
        buf_add_cstr(out, " custom_values:[");
        for (uint32_t i = 0; i < h->n_custom; i++) {
            if (i)
                buf_add_char(out, ' ');
            number_format_g(out, h->custom_values[i]);
        }
        buf_add_char(out, ']');
    }
    buf_addf(out, " counter_reset_hint:%s", hints[h->reset_hint]);
    print_buckets("offset", "buckets", h->positive_spans, h->n_positive_spans, h->positive, out);
    print_buckets("n_offset", "n_buckets", h->negative_spans, h->n_negative_spans, h->negative,
                  out);
    buf_add_cstr(out, "}}");
}
