/* Native histograms in operators and over windows; aggregate.c and fn_histogram.c do the rest. */
#include "promql/engine/fn_native.h"
#include "promql/engine/binary.h"

void annotate_mixed_buckets(Eval *ev, const Node *at, Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_quoted(&b, labels_metric_name(l));
    annotate(ev, ANNOTATION_WARNING, at,
             "vector contains a mix of histograms with exponential and custom buckets schemas for "
             "metric name %.*s",
             SA(buf_str(&b)));
}

void annotate_notes(Eval *ev, const Node *at, const NativeNotes *n, const char *operation) {
    if (n->reset_conflict)
        annotate(ev, ANNOTATION_WARNING, at, "conflicting counter resets during histogram %s",
                 operation);
    if (n->bounds_reconciled)
        annotate(ev, ANNOTATION_INFO, at, "mismatched custom buckets were reconciled during %s",
                 operation);
}

/* ---- operators */

static int pair_result(const BinaryCells *b, const Native *n, BinaryValue *ret) {
    ret->kind = CELL_HISTOGRAM;
    ret->h = native_to_histogram(b->scope, n);
    return ret->h ? 0 : -EINVAL;
}

static int pair_scaled(const BinaryCells *b, const FloatHistogram *h, double by, bool divide,
                       BinaryValue *ret) {
    Native n;
    if (native_of(b->scope, h, &n) < 0)
        return -EINVAL;
    (divide ? native_div : native_mul)(&n, by);
    return pair_result(b, &n, ret);
}

static int pair_trimmed(const BinaryCells *b, const FloatHistogram *h, double at, bool upper,
                        BinaryValue *ret) {
    Native n;
    if (native_of(b->scope, h, &n) < 0)
        return -EINVAL;
    native_trim(&n, at, upper);
    return pair_result(b, &n, ret);
}

static int pair_added(const BinaryCells *b, const BinaryValue *l, const BinaryValue *r,
                      bool subtract, BinaryValue *ret) {
    Native x, y;
    NativeNotes notes = {0};
    if (native_of(b->scope, l->h, &x) < 0 || native_of(b->scope, r->h, &y) < 0 ||
        native_add(b->scope, &x, &y, subtract ? -1 : 1, &notes) < 0)
        return -EINVAL;
    if (notes.incompatible) {
        annotate(b->ev, ANNOTATION_WARNING, b->node,
                 "incompatible bucket layout encountered for binary operator %s",
                 subtract ? "-" : "+");
        return 0;
    }
    if (subtract)
        x.hint = RESET_GAUGE;
    annotate_notes(b->ev, b->node, &notes, subtract ? "subtraction" : "addition");
    return pair_result(b, &x, ret);
}

static int pair_compared(const BinaryCells *b, const BinaryValue *l, const BinaryValue *r,
                         BinaryValue *ret) {
    bool is = native_equal(l->h, r->h) == (b->node->binary.op == OP_EQ);
    if (b->node->binary.return_bool)
        *ret = (BinaryValue){.kind = CELL_FLOAT, .v = is};
    else if (is)
        *ret = *l;
    return 0;
}

int native_pair(const BinaryCells *b, const BinaryValue *l, const BinaryValue *r,
                BinaryValue *ret) {
    BinaryOp op = b->node->binary.op;
    bool lh = l->kind == CELL_HISTOGRAM, rh = r->kind == CELL_HISTOGRAM;
    if (lh && rh && (op == OP_ADD || op == OP_SUB))
        return pair_added(b, l, r, op == OP_SUB, ret);
    if (lh && rh && (op == OP_EQ || op == OP_NE))
        return pair_compared(b, l, r, ret);
    if (lh != rh && op == OP_MUL)
        return pair_scaled(b, lh ? l->h : r->h, lh ? r->v : l->v, false, ret);
    if (lh && !rh && op == OP_DIV)
        return pair_scaled(b, l->h, r->v, true, ret);
    if (lh && !rh && (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER))
        return pair_trimmed(b, l->h, r->v, op == OP_TRIM_UPPER, ret);
    const char *text = binary_op_text(op);
    annotate(b->ev, ANNOTATION_INFO, b->node,
             "incompatible sample types encountered for binary operator \"%s\": %s %s %s", text,
             lh ? "histogram" : "float", text, rh ? "histogram" : "float");
    return 0;
}

/* ---- windows */

int native_set(const RangeInput *in, Column *out, size_t step, const Native *n) {
    if (column_need_histograms(in->scope, out) < 0)
        return -EINVAL;
    out->kind[step] = CELL_HISTOGRAM;
    out->h[step] = native_to_histogram(in->scope, n);
    return out->h[step] ? 0 : -EINVAL;
}

int native_sum_window(Eval *ev, const RangeInput *in, Column *out, size_t step, bool mean) {
    NativeSum sum = {.mean = mean};
    for (uint32_t k = in->hlo[step]; k < in->hhi[step]; k++)
        if (native_sum_add(in->scope, &sum, in->histograms[k]) < 0)
            return -EINVAL;
    if (sum.notes.incompatible) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    sum.notes.reset_conflict = sum.saw_reset && sum.saw_no_reset;
    annotate_notes(ev, in->arg, &sum.notes, "aggregation");
    native_sum_finish(&sum);
    return native_set(in, out, step, &sum.value);
}

void annotate_wrong_kind(Eval *ev, const RangeInput *in, const char *wanted) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_quoted(&b, labels_metric_name(in->labels));
    annotate(ev, ANNOTATION_WARNING, in->arg, "this native histogram metric is not a %s: %.*s",
             wanted, SA(buf_str(&b)));
}

/* Gauges among counters, and a layout that all share; false when they cannot be subtracted. */
static bool check_window(Eval *ev, const RangeInput *in, const FloatHistogram *const *h, uint32_t n,
                         bool counter, bool custom, int32_t *schema) {
    for (uint32_t k = 1; counter && k + 1 < n; k++) {
        if (h[k]->reset_hint == RESET_GAUGE)
            annotate_wrong_kind(ev, in, "counter");
        if (native_is_custom(h[k]->schema) != custom) {
            annotate_mixed_buckets(ev, in->arg, in->labels);
            return false;
        }
        *schema = MIN(*schema, h[k]->schema);
    }
    return true;
}

/* Does sample k of the series begin anew, coming after prev, which stands for the sample before? */
static int is_reset_at(const RangeInput *in, const FloatHistogram *prev, uint32_t k, bool *ret) {
    *ret = start_is_reset(in->histogram_st, in->histogram_t, k);
    return *ret ? 0 : native_is_reset(in->scope, prev, in->histograms[k], ret);
}

static int add_resets(const RangeInput *in, Native *acc, const FloatHistogram *prev, size_t step,
                      NativeNotes *notes) {
    for (uint32_t k = in->hlo[step] + 1; k < in->hhi[step]; k++) {
        bool reset;
        Native p;
        if (is_reset_at(in, prev, k, &reset) < 0)
            return -EINVAL;
        if (reset &&
            (native_of(in->scope, prev, &p) < 0 || native_add(in->scope, acc, &p, 1, notes) < 0))
            return -EINVAL;
        prev = in->histograms[k];
    }
    return 0;
}

static void find_overlap(Eval *ev, const RangeInput *in, size_t step) {
    uint32_t k = in->hlo[step] + 1;
    while (k < in->hhi[step] && !start_overlaps(in->histogram_st, in->histogram_t, k))
        k++;
    if (k < in->hhi[step])
        annotate_start_overlap(ev, in);
}

int native_increase(Eval *ev, const RangeInput *in, size_t step, bool counter, Native *ret) {
    const FloatHistogram *const *h = in->histograms + in->hlo[step];
    uint32_t n = range_histograms(in, step);
    const FloatHistogram *prev = h[0], *last = h[n - 1];
    bool gauges = prev->reset_hint == RESET_GAUGE && last->reset_hint == RESET_GAUGE;
    bool any = prev->reset_hint == RESET_GAUGE || last->reset_hint == RESET_GAUGE;
    FloatHistogram nothing = {
        .schema = h[1]->schema, .custom_values = h[1]->custom_values, .n_custom = h[1]->n_custom};
    if (counter && any)
        annotate_wrong_kind(ev, in, "counter");
    bool reset = false;
    if (counter && is_reset_at(in, prev, in->hlo[step] + 1, &reset) < 0)
        return -EINVAL;
    if (reset) /* the first may be of any layout then */
        prev = &nothing;
    bool custom = native_is_custom(prev->schema);
    int32_t schema = MIN(last->schema, prev->schema);
    if (native_is_custom(last->schema) != custom) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    Native p;
    NativeNotes sub = {0}, plus = {0};
    if (!check_window(ev, in, h, n, counter, custom, &schema))
        return 0;
    if (native_of(in->scope, last, ret) < 0 || native_of(in->scope, prev, &p) < 0)
        return -EINVAL;
    native_reduce(ret, schema);
    if (native_add(in->scope, ret, &p, -1, &sub) < 0 ||
        (counter && add_resets(in, ret, prev, step, &plus) < 0))
        return -EINVAL;
    if (!counter && !gauges)
        annotate_wrong_kind(ev, in, "gauge");
    if (counter && in->histogram_st)
        find_overlap(ev, in, step);
    sub.reset_conflict = plus.reset_conflict = false; /* resets were looked for here */
    annotate_notes(ev, in->arg, &sub, "subtraction");
    annotate_notes(ev, in->arg, &plus, "addition");
    if (sub.incompatible || plus.incompatible) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    ret->hint = RESET_GAUGE;
    return 1;
}

int native_add_first(Eval *ev, const RangeInput *in, size_t step, Native *n) {
    Native first;
    NativeNotes notes = {0};
    if (native_of(in->scope, in->histograms[in->hlo[step]], &first) < 0 ||
        native_add(in->scope, n, &first, 1, &notes) < 0)
        return -EINVAL;
    if (notes.incompatible) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    notes.reset_conflict = false;
    annotate_notes(ev, in->arg, &notes, "addition");
    return 1;
}

int native_rate_result(const RangeInput *in, Column *out, size_t step, Native *n, double factor) {
    native_mul(n, factor);
    return native_set(in, out, step, n);
}

int native_last_two(Eval *ev, const RangeInput *in, Column *out, size_t step) {
    bool rate = in->id == FN_IRATE, reset = false;
    uint32_t k = in->hhi[step] - 1;
    const FloatHistogram *last = in->histograms[k], *prev = in->histograms[k - 1];
    bool gauges = last->reset_hint == RESET_GAUGE && prev->reset_hint == RESET_GAUGE;
    bool any = last->reset_hint == RESET_GAUGE || prev->reset_hint == RESET_GAUGE;
    if (rate ? any : !gauges)
        annotate_wrong_kind(ev, in, rate ? "counter" : "gauge");
    Native n, p;
    NativeNotes notes = {0};
    if (native_of(in->scope, last, &n) < 0 || native_of(in->scope, prev, &p) < 0 ||
        (rate && is_reset_at(in, prev, k, &reset) < 0) ||
        (!reset && native_add(in->scope, &n, &p, -1, &notes) < 0))
        return -EINVAL;
    if (notes.incompatible) {
        annotate_mixed_buckets(ev, in->arg, in->labels);
        return 0;
    }
    notes.reset_conflict = false;
    annotate_notes(ev, in->arg, &notes, "subtraction");
    n.hint = RESET_GAUGE;
    if (rate)
        native_div(&n, (double)(in->histogram_t[k] - in->histogram_t[k - 1]) / 1000);
    return native_set(in, out, step, &n);
}

/* resets() and changes() of a window with histograms: samples of both kinds in order of time. */
int native_count_events(const RangeInput *in, uint32_t f, uint32_t fend, uint32_t h, uint32_t hend,
                        double *ret) {
    const FloatHistogram *prev_h = NULL;
    double prev = 0, n = 0;
    for (bool first = true; f < fend || h < hend; first = false) {
        bool is_float = h == hend || (f < fend && in->float_t[f] < in->histogram_t[h]);
        uint32_t k = is_float ? f : h;
        const FloatHistogram *cur_h = is_float ? NULL : in->histograms[h++];
        double cur = is_float ? in->float_v[f++] : 0;
        bool event = !prev_h != !cur_h;
        if (!event && cur_h && in->id == FN_CHANGES)
            event = !native_equal(prev_h, cur_h);
        else if (!event && cur_h && is_reset_at(in, prev_h, k, &event) < 0)
            return -EINVAL;
        else if (!event && !cur_h && !first && in->id == FN_RESETS)
            event = cur < prev || start_is_reset(in->float_st, in->float_t, k);
        else if (!event && !cur_h)
            event = cur != prev && !(isnan(cur) && isnan(prev));
        n += event && !first;
        prev = cur;
        prev_h = cur_h;
    }
    *ret = n;
    return 0;
}
