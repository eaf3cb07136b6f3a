#include "storage/storage.h"

#include <stdarg.h>
#include <stdio.h>

void warnings_add(Warnings *w, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    Str s = str_of(text);
    for (size_t i = 0; i < w->list.n; i++) {
        if (str_eq(w->list.v[i], s)) {
            return;
        }
    }
    Str kept = arena_str(w->arena, s);
    if (kept.p) {
        vec_push(&w->list, kept);
    }
}

#define ZERO_LIKE(x)                                                                               \
    {                                                                                              \
        .reset_hint = RESET_YES, .schema = (x)->schema, .zero_threshold = (x)->zero_threshold,     \
        .custom_values = (x)->custom_values, .n_custom = (x)->n_custom                             \
    }

int appender_append_zero(Appender *a, SeriesRef *ref, Labels labels, int64_t t, int64_t st,
                         const Histogram *h, const FloatHistogram *fh) {
    int r;
    if (st >= t || ((h || fh) && !a->ops->append_histogram)) {
        return APPEND_OK;
    }
    if (h) {
        Histogram zero = ZERO_LIKE(h);
        r = a->ops->append_histogram(a, ref, labels, st, &zero, NULL, 0);
    } else if (fh) {
        FloatHistogram zero = ZERO_LIKE(fh);
        r = a->ops->append_histogram(a, ref, labels, st, NULL, &zero, 0);
    } else {
        r = a->ops->append(a, ref, labels, st, 0, 0);
    }
    return r < 0 || r == APPEND_UNKNOWN_REF ? r : APPEND_OK;
}

const char *append_outcome_text(AppendOutcome o) {
    switch (o) {
    case APPEND_OK: return "ok";
    case APPEND_OUT_OF_ORDER: return "out of order sample";
    case APPEND_TOO_OLD: return "too old sample";
    case APPEND_OUT_OF_BOUNDS: return "out of bounds";
    case APPEND_DUPLICATE: return "duplicate sample for timestamp";
    case APPEND_UNKNOWN_REF: return "unknown series reference";
    case APPEND_INVALID: return "invalid sample";
    case APPEND_UNSUPPORTED: return "this storage does not keep native histograms";
    }
    return "unknown outcome";
}

const char *metric_type_text(MetricType t) {
    switch (t) {
    case METRIC_UNKNOWN: return "unknown";
    case METRIC_COUNTER: return "counter";
    case METRIC_GAUGE: return "gauge";
    case METRIC_HISTOGRAM: return "histogram";
    case METRIC_GAUGE_HISTOGRAM: return "gaugehistogram";
    case METRIC_SUMMARY: return "summary";
    case METRIC_INFO: return "info";
    case METRIC_STATESET: return "stateset";
    }
    return "unknown";
}

SampleReading select_hints_reading(const SelectHints *h) {
    static const struct {
        const char *func;
        SampleReading reading;
    } table[] = {
        {"rate", READ_COUNTER},
        {"increase", READ_COUNTER},
        {"irate", READ_COUNTER},
        {"resets", READ_COUNTER},
        {"delta", READ_LINE},
        {"idelta", READ_LINE},
        {"deriv", READ_LINE},
        {"predict_linear", READ_LINE},
        {"double_exponential_smoothing", READ_LINE},
        {"min_over_time", READ_MIN},
        {"max_over_time", READ_MAX},
        {"sum_over_time", READ_SUM},
        {"avg_over_time", READ_SUM},
        {"count_over_time", READ_SUM},
    };
    for (size_t i = 0; h->range_ms > 0 && i < ARRAY_LEN(table); i++) {
        if (str_eqc(h->func, table[i].func)) {
            return table[i].reading;
        }
    }
    return READ_LAST;
}
