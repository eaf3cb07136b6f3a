/* Answers as promtool prints them (Go's String() of client_golang's values) and as OpenMetrics. */
#include <stdlib.h>

#include "base/numtext.h"
#include "base/vec.h"
#include "model/labels.h"
#include "nartool/result.h"

/* ---- promql */

/* (lower,upper]:count; boundaries: 0 (] 1 [) 2 () 3 [] */
static void print_bucket(const Json *bucket, FILE *out) {
    int64_t kind = json_to_int(json_item(bucket, 0), 0);
    fprintf(out, "%c%.*s,%.*s%c:%.*s", kind == 1 || kind == 3 ? '[' : '(',
            SA(json_to_str(json_item(bucket, 1))), SA(json_to_str(json_item(bucket, 2))),
            kind == 0 || kind == 3 ? ']' : ')', SA(json_to_str(json_item(bucket, 3))));
}

static void print_histogram(const Json *h, FILE *out) {
    double count = 0, sum = 0;
    number_parse(json_to_str(json_member(h, "count")), &count);
    number_parse(json_to_str(json_member(h, "sum")), &sum);
    fprintf(out, "Count: %f, Sum: %f, Buckets: [", count, sum);
    const Json *buckets = json_member(h, "buckets");
    for (size_t i = 0; i < json_count(buckets); i++) {
        fputs(i ? " " : "", out);
        print_bucket(json_item(buckets, i), out);
    }
    fputc(']', out);
}

static void print_value(const Json *point, FILE *out) {
    const Json *v = json_item(point, 1);
    if (json_member(v, "count")) {
        print_histogram(v, out);
    } else {
        fprintf(out, "%.*s", SA(json_to_str(v)));
    }
    CLEANUP(buf_deinit) Buf t = BUF_INIT(64);
    number_format_plain(&t, json_to_double(json_item(point, 0), 0));
    fprintf(out, " @[%.*s]", SA(buf_str(&t)));
}

static void print_metric(const Json *series, FILE *out) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    result_add_metric(&b, json_member(series, "metric"), ", ");
    fprintf(out, "%.*s", SA(buf_str(&b)));
}

static void print_stream(const Json *series, FILE *out) {
    static const char *const kinds[] = {"values", "histograms"};
    print_metric(series, out);
    fprintf(out, " =>");
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const Json *points = json_member(series, kinds[k]);
        for (size_t i = 0; i < json_count(points); i++) {
            fputc('\n', out);
            print_value(json_item(points, i), out);
        }
    }
}

static void print_sample(const Json *series, FILE *out) {
    const Json *value = json_member(series, "value");
    print_metric(series, out);
    fprintf(out, " => ");
    print_value(value ? value : json_member(series, "histogram"), out);
}

void result_print_promql(const Json *data, FILE *out) {
    Str type = json_to_str(json_member(data, "resultType"));
    const Json *result = json_member(data, "result");
    if (str_eqc(type, "scalar")) {
        fprintf(out, "scalar: ");
        print_value(result, out);
    } else if (str_eqc(type, "string")) {
        fprintf(out, "%.*s", SA(json_to_str(json_item(result, 1))));
    }
    bool series = str_eqc(type, "matrix") || str_eqc(type, "vector");
    for (size_t i = 0; series && i < json_count(result); i++) {
        fputs(i ? "\n" : "", out);
        (result_is_matrix(data) ? print_stream : print_sample)(json_item(result, i), out);
    }
    fputc('\n', out);
}

/* ---- OpenMetrics: the lines of a family stand together. What has no name is called "result". */

#define NAMELESS STR("result")

static Str name_of(const Json *series) {
    Str name = json_to_str(json_path(series, "metric.__name__"));
    return name.n ? name : NAMELESS;
}

typedef struct NamedSeries {
    Str name;
    size_t at;
    const Json *series;
} NamedSeries;

static int named_cmp(const void *a, const void *b) {
    const NamedSeries *x = a, *y = b;
    int r = str_cmp(x->name, y->name);
    return r ? r : (x->at > y->at) - (x->at < y->at);
}

static void print_openmetrics_point(const NamedSeries *s, const Json *point, FILE *out) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    const Json *labels = json_member(s->series, "metric");
    if (!json_member(labels, "__name__")) {
        buf_add_str(&b, NAMELESS);
    }
    result_add_metric(&b, labels, ",");
    Str text = buf_str(&b);
    if (str_ends(text, STR("{}"))) {
        text.n -= 2;
    }
    CLEANUP(buf_deinit) Buf t = BUF_INIT(64);
    time_format_seconds(&t, result_time(point));
    fprintf(out, "%.*s %.*s %.*s\n", SA(text), SA(json_to_str(json_item(point, 1))),
            SA(buf_str(&t)));
}

static void print_openmetrics_series(const NamedSeries *s, FILE *out) {
    const Json *value = json_member(s->series, "value"), *values = json_member(s->series, "values");
    if (value) {
        print_openmetrics_point(s, value, out);
    }
    for (size_t i = 0; i < json_count(values); i++) {
        print_openmetrics_point(s, json_item(values, i), out);
    }
}

void result_print_openmetrics(const Json *data, FILE *out) {
    Str type = json_to_str(json_member(data, "resultType"));
    const Json *result = json_member(data, "result");
    if (str_eqc(type, "scalar")) {
        NamedSeries s = {.series = NULL};
        print_openmetrics_point(&s, result, out);
    }
    bool series = str_eqc(type, "matrix") || str_eqc(type, "vector");
    size_t n = series ? json_count(result) : 0;
    VEC(NamedSeries) all = {0};
    for (size_t i = 0; i < n; i++) {
        NamedSeries one = {name_of(json_item(result, i)), i, json_item(result, i)};
        vec_push(&all, one);
    }
    if (n) {
        qsort(all.v, n, sizeof(*all.v), named_cmp);
    }
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !str_eq(all.v[i].name, all.v[i - 1].name)) {
            fprintf(out,
                    metric_name_valid_legacy(all.v[i].name) ? "# TYPE %.*s unknown\n"
                                                            : "# TYPE \"%.*s\" unknown\n",
                    SA(all.v[i].name));
        }
        print_openmetrics_series(&all.v[i], out);
    }
    fprintf(out, "# EOF\n");
    vec_free(&all);
}
