/* Lines of the text format 0.0.4. */
#include "base/numtext.h"
#include "model/expo.h"

void expo_write_quoted(Buf *b, Str s) {
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' || c == '"' || c == '\n') {
            buf_add_char(b, '\\');
            c = c == '\n' ? 'n' : c;
        }
        buf_add_char(b, c);
    }
    buf_add_char(b, '"');
}

void expo_write_type(Buf *b, Str family, MetricType type) {
    static const char *const texts[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram",
        [METRIC_SUMMARY] = "summary", [METRIC_STATESET] = NULL, /* what this format has no word for
                                                                   is untyped */
    };
    buf_add_cstr(b, "# TYPE ");
    if (metric_name_valid_legacy(family)) {
        buf_add_str(b, family);
    } else {
        expo_write_quoted(b, family);
    }
    buf_addf(b, " %s\n", texts[type] ? texts[type] : "untyped");
}

/* The name before the braces, or in quotes as the first thing inside them. */
static void write_labels(Buf *b, Labels labels) {
    Str name = labels_get(labels, LABEL_NAME);
    bool classic = name.p && metric_name_valid_legacy(name), open = !classic;
    size_t n = 0;
    if (classic) {
        buf_add_str(b, name);
    } else {
        buf_add_char(b, '{');
        if (name.p) {
            expo_write_quoted(b, name);
            n++;
        }
    }
    for (size_t i = 0; i < labels.n; i++) {
        if (str_eq(labels.v[i].name, LABEL_NAME)) {
            continue;
        }
        buf_add_cstr(b, !open ? "{" : n > 0 ? "," : "");
        open = true;
        n++;
        if (label_name_valid_legacy(labels.v[i].name)) {
            buf_add_str(b, labels.v[i].name);
        } else {
            expo_write_quoted(b, labels.v[i].name);
        }
        buf_add_char(b, '=');
        expo_write_quoted(b, labels.v[i].value);
    }
    if (open) {
        buf_add_char(b, '}');
    }
}

void expo_write_sample(Buf *b, Labels labels, double value, const int64_t *t) {
    write_labels(b, labels);
    buf_add_char(b, ' ');
    number_format_g(b, value);
    if (t) {
        buf_addf(b, " %lld", (long long)*t);
    }
    buf_add_char(b, '\n');
}
