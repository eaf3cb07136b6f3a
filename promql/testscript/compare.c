/* An answer against the expected series. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/numtext.h"
#include "promql/testscript/script.h"

/* Relative distance; stale markers only equal themselves, other NaNs each other. Tiny values, where
 * a relative distance means nothing, must be closer than a part of the smallest normal number. */
bool almost_equal(double a, double b) {
    const double epsilon = 1e-6;
    if (is_stale_nan(a) || is_stale_nan(b))
        return is_stale_nan(a) && is_stale_nan(b);
    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    double sum = fabs(a) + fabs(b), distance = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return distance < epsilon * DBL_MIN;
    return distance / fmin(sum, DBL_MAX) < epsilon;
}

/* ---- histograms ---- */

/* Goes over the buckets that are not empty. */
typedef struct BucketWalk {
    const BucketSpan *spans;
    const double *counts;
    uint32_t n_spans, span, in_span, n;
    int64_t next;  /* index of the next covered bucket */
    int64_t index; /* of the bucket given last */
    double count;
} BucketWalk;

static bool walk_next(BucketWalk *w) {
    for (; w->span < w->n_spans; w->span++, w->in_span = 0) {
        if (w->in_span == 0)
            w->next += w->spans[w->span].offset;
        while (w->in_span < w->spans[w->span].length) {
            w->in_span++;
            w->index = w->next++;
            w->count = w->counts[w->n++];
            if (w->count != 0)
                return true;
        }
    }
    return false;
}

static bool buckets_match(BucketWalk a, BucketWalk b) {
    for (;;) {
        bool more_a = walk_next(&a), more_b = walk_next(&b);
        if (more_a != more_b)
            return false;
        if (!more_a)
            return true;
        if (a.index != b.index || !almost_equal(a.count, b.count))
            return false;
    }
}

static bool bounds_match(const FloatHistogram *a, const FloatHistogram *b) {
    if (a->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return true;
    if (a->n_custom != b->n_custom)
        return false;
    for (uint32_t i = 0; i < a->n_custom; i++) {
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    }
    return true;
}

bool histogram_matches(const SeriesValue *want, const FloatHistogram *got) {
    const FloatHistogram *w = want->histogram;
    if (w->schema != got->schema || !almost_equal(w->count, got->count) ||
        !almost_equal(w->sum, got->sum) || !bounds_match(w, got) ||
        w->zero_threshold != got->zero_threshold || !almost_equal(w->zero_count, got->zero_count))
        return false;
    if (want->hint_set && w->reset_hint != got->reset_hint)
        return false;
    return buckets_match((BucketWalk){.spans = w->positive_spans,
                                      .counts = w->positive,
                                      .n_spans = w->n_positive_spans},
                         (BucketWalk){.spans = got->positive_spans,
                                      .counts = got->positive,
                                      .n_spans = got->n_positive_spans}) &&
           buckets_match((BucketWalk){.spans = w->negative_spans,
                                      .counts = w->negative,
                                      .n_spans = w->n_negative_spans},
                         (BucketWalk){.spans = got->negative_spans,
                                      .counts = got->negative,
                                      .n_spans = got->n_negative_spans});
}

/* ---- texts ---- */

static void print_value(const FloatHistogram *h, double v, Buf *out) {
    if (h)
        histogram_desc_print(h, out);
    else
        number_format_g(out, v);
}

static char *differs(Labels l, int64_t t, const SeriesValue *want, const FloatHistogram *h,
                     double v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(1 << 20);
    labels_format_metric(l, &b);
    buf_addf(&b, " at %.3f: got ", (double)t / 1000);
    print_value(h, v, &b);
    buf_add_cstr(&b, ", want ");
    print_value(want->histogram, want->value, &b);
    return mem_printf("%.*s", SA(buf_str(&b)));
}

static char *about_labels(const char *what, Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(1 << 20);
    labels_format_metric(l, &b);
    return mem_printf("%s %.*s", what, SA(buf_str(&b)));
}

static char *lacks(Labels l, int64_t t) {
    char what[80];
    snprintf(what, sizeof(what), "no point of the expected kind at %.3f in", (double)t / 1000);
    return about_labels(what, l);
}

/* ---- comparing ---- */

static bool value_matches(const SeriesValue *want, const FloatHistogram *h, double v) {
    if (want->histogram || h)
        return want->histogram && h && histogram_matches(want, h);
    return almost_equal(want->value, v);
}

/* The last one of these labels, as later lines overwrite earlier ones. */
static const ExpectedSeries *find_expected(const EvalCommand *c, Labels l) {
    for (size_t i = c->series.n; i > 0; i--) {
        if (labels_eq(c->series.v[i - 1].desc.labels, l))
            return &c->series.v[i - 1];
    }
    return NULL;
}

static bool has_series(const PromqlResult *r, Labels l) {
    for (size_t i = 0; i < r->n_series; i++) {
        if (labels_eq(r->series[i].labels, l))
            return true;
    }
    return false;
}

static char *find_missing(const EvalCommand *c, const PromqlResult *r) {
    for (size_t i = 0; i < c->series.n; i++) {
        if (!has_series(r, c->series.v[i].desc.labels))
            return about_labels("missing", c->series.v[i].desc.labels);
    }
    return NULL;
}

bool matrix_sorted(const PromqlResult *r) {
    for (size_t i = 1; i < r->n_series; i++) {
        if (labels_cmp(r->series[i - 1].labels, r->series[i].labels) > 0)
            return false;
    }
    return true;
}

/* Points come as floats and histograms apart, each by time. */
static char *compare_points(const EvalCommand *c, const PromqlSeries *s, const SeriesDesc *want) {
    size_t f = 0, h = 0;
    for (size_t i = 0; i < want->n; i++) {
        int64_t t = c->start_ms + (int64_t)i * c->step_ms;
        const SeriesValue *v = &want->values[i];
        if (v->omitted)
            continue;
        const FloatHistogram *got_h = NULL;
        double got = 0;
        bool present = false;
        if (v->histogram && h < s->n_histograms && s->histogram_t[h] == t)
            got_h = s->histograms[h++], present = true;
        else if (!v->histogram && f < s->n_floats && s->float_t[f] == t)
            got = s->floats[f++], present = true;
        if (!present)
            return lacks(s->labels, t);
        if (!value_matches(v, got_h, got))
            return differs(s->labels, t, v, got_h, got);
    }
    if (f < s->n_floats)
        return differs(s->labels, s->float_t[f], &(SeriesValue){0}, NULL, s->floats[f]);
    if (h < s->n_histograms)
        return differs(s->labels, s->histogram_t[h], &(SeriesValue){0}, s->histograms[h], 0);
    return NULL;
}

static char *compare_matrix(const EvalCommand *c, const PromqlResult *r) {
    if (eval_expects(c, EXPECT_ORDERED) || c->has_scalar)
        return mem_strdup("got a range vector");
    if (!matrix_sorted(r))
        return mem_strdup("the series are not sorted");
    for (size_t i = 0; i < r->n_series; i++) {
        const ExpectedSeries *e = find_expected(c, r->series[i].labels);
        if (!e)
            return about_labels("unexpected", r->series[i].labels);
        char *failure = compare_points(c, &r->series[i], &e->desc);
        if (failure)
            return failure;
    }
    return find_missing(c, r);
}

static char *compare_vector(const EvalCommand *c, const PromqlResult *r) {
    if (c->has_scalar)
        return mem_strdup("got a vector");
    for (size_t i = 0; i < r->n_series; i++) {
        const PromqlSeries *s = &r->series[i];
        const ExpectedSeries *e = find_expected(c, s->labels);
        const FloatHistogram *h = s->n_histograms ? s->histograms[0] : NULL;
        double v = s->n_floats ? s->floats[0] : 0;
        if (!e)
            return about_labels("unexpected", s->labels);
        if (eval_expects(c, EXPECT_ORDERED) && e->position != i + 1)
            return about_labels("out of order:", s->labels);
        if (!value_matches(&e->desc.values[0], h, v))
            return differs(s->labels, c->start_ms, &e->desc.values[0], h, v);
    }
    return find_missing(c, r);
}

static char *compare_scalar(const EvalCommand *c, double v) {
    if (!c->has_scalar)
        return mem_strdup("got a scalar");
    SeriesValue want = {.value = c->scalar};
    return almost_equal(c->scalar, v) ? NULL : differs(LABELS_EMPTY, c->start_ms, &want, NULL, v);
}

char *eval_compare(const EvalCommand *c, const PromqlResult *r) {
    switch (r->type) {
    case PROMQL_MATRIX: return compare_matrix(c, r);
    case PROMQL_VECTOR: return compare_vector(c, r);
    case PROMQL_SCALAR: return compare_scalar(c, r->series[0].floats[0]);
    case PROMQL_STRING:
        return str_eq(c->string, r->string)
                   ? NULL
                   : mem_printf("got \"%.*s\", want \"%.*s\"", SA(r->string), SA(c->string));
    case PROMQL_NONE: break;
    }
    return mem_strdup("no result");
}

/* The points of one time of a range query's answer, as a vector. */
char *eval_compare_vector(const EvalCommand *c, const PromqlResult *r, int64_t at_ms) {
    PromqlResult at = {.type = PROMQL_VECTOR};
    PromqlSeries *series = NEW_ARRAY(PromqlSeries, r->n_series + 1);
    for (size_t i = 0; i < r->n_series; i++) {
        const PromqlSeries *s = &r->series[i];
        PromqlSeries one = {.labels = s->labels};
        for (size_t k = 0; k < s->n_floats; k++) {
            if (s->float_t[k] == at_ms)
                one.n_floats = 1, one.floats = &s->floats[k];
        }
        for (size_t k = 0; k < s->n_histograms; k++) {
            if (s->histogram_t[k] == at_ms)
                one.n_histograms = 1, one.histograms = &s->histograms[k];
        }
        if (one.n_floats || one.n_histograms)
            series[at.n_series++] = one;
    }
    at.series = series;
    char *failure;
    if (!c->has_scalar)
        failure = compare_vector(c, &at);
    else
        failure = at.n_series && series[0].n_floats ? compare_scalar(c, series[0].floats[0])
                                                    : mem_strdup("no value");
    mem_free(series);
    return failure;
}
