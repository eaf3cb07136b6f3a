/* The labels of a series, read when they are wanted. */
#include <math.h>

#include "base/numtext.h"
#include "model/expo_scan.h"

Str expo_unescape(Str s, bool quotes, Arena *a) {
    if (!memchr(s.p ? s.p : "", '\\', s.n)) {
        return s;
    }
    char *p = arena_alloc_bytes(a, s.n);
    size_t n = 0;
    for (size_t i = 0; p && i < s.n; i++) {
        char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\0';
        if (c == '\\' && (next == '\\' || next == 'n' || (next == '"' && quotes))) {
            c = next == 'n' ? '\n' : next;
            i++;
        }
        p[n++] = c;
    }
    return p ? (Str){p, n} : STR_NULL;
}

/* Bounds and quantiles as OpenMetrics writes floats: the shortest form with a point or exponent. */
static Str normal_float(Str value, Arena *a) {
    double v;
    if (!number_parse_go(value, &v)) {
        return value;
    }
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    number_format_g(&text, v == 0 ? 0 : v); /* no sign */
    bool whole = isfinite(v);
    for (size_t i = 0; i < text.n; i++) {
        whole &= text.p[i] != '.' && text.p[i] != 'e';
    }
    if (whole) {
        buf_add_cstr(&text, ".0");
    }
    return str_eq(buf_str(&text), value) ? value : arena_str(a, buf_str(&text));
}

static bool holds_float(MetricType type, Str name) {
    return (type == METRIC_HISTOGRAM && str_eq(name, LABEL_BUCKET)) ||
           (type == METRIC_SUMMARY && str_eq(name, STR("quantile")));
}

/* The list between the braces; v NULL: only counts. */
static bool read_pairs(PairScan s, MetricType type, Arena *a, Label *v, size_t *n) {
    Str name, value;
    for (;;) {
        switch (pair_next(&s, &name, &value)) {
        case PAIR_LABEL:
            if (v) {
                v[*n].name = expo_unescape(name, true, a);
                v[*n].value = expo_unescape(value, true, a);
                if (holds_float(type, v[*n].name)) {
                    v[*n].value = normal_float(v[*n].value, a);
                }
            }
            ++*n;
            break;
        case PAIR_METRIC:
            if (v) {
                v[*n] = (Label){LABEL_NAME, expo_unescape(name, true, a)};
            }
            ++*n;
            break;
        case PAIR_END: return s.at == s.end;
        case PAIR_BAD: return false;
        }
    }
}

bool expo_series_labels(ExpoFormat format, MetricType type, Str series, Arena *a, Label **ret,
                        size_t *ret_n) {
    const char *end = series.p + series.n;
    const char *at = expo_metric_name_end(series.p, end);
    Str name = {series.p, (size_t)(at - series.p)};
    if (format == EXPO_TEXT) {
        at = expo_skip_blanks(at, end);
    }
    bool braces = at < end && *at == '{';
    PairScan s = {.at = at + 1, .end = end, .strict = format == EXPO_OPENMETRICS};
    size_t n = name.n > 0;
    if ((!braces && at < end) || (braces && !read_pairs(s, type, a, NULL, &n))) {
        return false;
    }
    Label *v = arena_calloc(a, n + 1, sizeof(*v));
    if (!v) {
        return false;
    }
    n = 0;
    if (name.n > 0) {
        v[n++] = (Label){LABEL_NAME, name};
    }
    if (braces) {
        (void)read_pairs(s, type, a, v, &n);
    }
    *ret = v;
    *ret_n = n;
    return !a->failed;
}
