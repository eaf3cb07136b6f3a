#include "nartool/result.h"

#include <math.h>

#include "base/numtext.h"
#include "model/duration.h"
#include "model/labels.h"
#include "nartool/screen.h"

static const char *const format_names[] = {"table", "plot", "spark",       "json",  "ndjson",
                                           "csv",   "tsv",  "openmetrics", "promql"};

Format take_format(Args *a) {
    Str text = args_flag(a, "--format");
    screen_setup(a);
    for (size_t i = 0; i < ARRAY_LEN(format_names); i++) {
        if (str_eqc(text, format_names[i])) {
            return (Format)i;
        }
    }
    return a->as_promtool ? FORMAT_PROMQL : output_is_terminal() ? FORMAT_TABLE : FORMAT_TSV;
}

bool result_is_matrix(const Json *data) {
    return str_eqc(json_to_str(json_member(data, "resultType")), "matrix");
}

static bool is_series(const Json *data) {
    return result_is_matrix(data) ||
           str_eqc(json_to_str(json_member(data, "resultType")), "vector");
}

size_t result_count(const Json *data) {
    return is_series(data) ? json_count(json_member(data, "result")) : 1;
}

TableForm result_table_form(Format format) {
    return format == FORMAT_TSV ? TABLE_TSV : format == FORMAT_CSV ? TABLE_CSV : TABLE_ALIGNED;
}

/* ---- points */

Str result_value(Arena *a, const Json *point) {
    const Json *value = json_item(point, 1), *count = json_member(value, "count");
    if (!count) {
        return json_to_str(value);
    }
    return arena_printf(a, "count:%.*s sum:%.*s", SA(json_to_str(count)),
                        SA(json_to_str(json_member(value, "sum"))));
}

double result_number(const Json *point) {
    double v;
    return number_parse(json_to_str(json_item(point, 1)), &v) ? v : NAN;
}

int64_t result_time(const Json *point) {
    return llround(json_to_double(json_item(point, 0), 0) * 1000);
}

/* Readable for people, else seconds as they came. */
static Str time_text(Arena *a, int64_t ms, bool readable) {
    Buf b = BUF_INIT(64);
    if (readable) {
        time_format_rfc3339(&b, ms);
    } else {
        time_format_seconds(&b, ms);
    }
    Str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

void number_format_si(Buf *b, double v) {
    static const struct {
        double from;
        const char *unit;
    } units[] = {{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"},  {1e6, "M"},
                 {1e3, "k"},  {1, ""},     {1e-3, "m"}, {1e-6, "u"}, {1e-9, "n"}};
    double size = fabs(v);
    for (size_t i = 0; isfinite(v) && i < ARRAY_LEN(units); i++) {
        if (size >= units[i].from * 0.99995) {
            buf_addf(b, "%.4g%s", v / units[i].from, units[i].unit);
            return;
        }
    }
    buf_addf(b, isnan(v) ? "NaN" : "%.4g", v);
}

/* a="b", c="d", without the name unless it is wanted. */
static size_t add_labels(Buf *b, const Json *labels, bool with_name, const char *comma) {
    Str key;
    const Json *value;
    size_t n = 0;
    for (void *at = NULL; (value = json_next_member(labels, &at, &key));) {
        if (with_name || !str_eqc(key, "__name__")) {
            bool classic = label_name_valid_legacy(key);
            buf_addf(b, "%s%s%.*s%s=", n++ ? comma : "", classic ? "" : "\"", SA(key),
                     classic ? "" : "\"");
            json_quote_label(b, json_to_str(value));
        }
    }
    return n;
}

void result_add_metric(Buf *b, const Json *labels, const char *comma) {
    Str name = json_to_str(json_member(labels, "__name__"));
    CLEANUP(buf_deinit) Buf inner = BUF_INIT(0);
    size_t n = add_labels(&inner, labels, !metric_name_valid_legacy(name) && name.n, comma);
    if (metric_name_valid_legacy(name)) {
        buf_add_str(b, name);
    }
    if (n || !name.n) {
        buf_addf(b, "{%.*s}", SA(buf_str(&inner)));
    }
}

/* As Go prints a label set. */
static void add_label_set(Buf *b, const Json *labels) {
    buf_add_char(b, '{');
    add_labels(b, labels, true, ", ");
    buf_add_char(b, '}');
}

/* ---- tables */

static void add_point(Table *t, const Json *series, const Json *point, bool matrix, bool readable) {
    Str *row = table_row(t);
    table_set_labels(t, row, json_member(series, "metric"));
    if (matrix) {
        row[table_column(t, STR("time"))] = time_text(t->arena, result_time(point), readable);
    }
    row[table_column(t, STR("value"))] = result_value(t->arena, point);
}

static void add_points(Table *t, const Json *series, bool matrix, bool readable) {
    static const char *const one[] = {"value", "histogram"}, *const many[] = {"values",
                                                                              "histograms"};
    for (size_t k = 0; k < 2; k++) {
        const Json *points = json_member(series, matrix ? many[k] : one[k]);
        if (!matrix && points) {
            add_point(t, series, points, false, readable);
        }
        for (size_t i = 0; matrix && i < json_count(points); i++) {
            add_point(t, series, json_item(points, i), true, readable);
        }
    }
}

/* A person wonders whether nothing came; a program counts lines. */
static void say_when_empty(size_t n, Format format) {
    if (n == 0 && format <= FORMAT_SPARK) {
        fprintf(stderr, "no series match\n");
    }
}

/* All label columns first, so that time and value stand at the right. */
static void print_points(const Json *data, Format format, FILE *out) {
    const Json *result = json_member(data, "result");
    bool matrix = result_is_matrix(data);
    Arena arena = ARENA_INIT(0);
    Table t = {.arena = &arena, .value_columns = matrix ? 2 : 1};
    for (size_t i = 0; i < json_count(result); i++) {
        table_add_label_columns(&t, json_member(json_item(result, i), "metric"));
    }
    if (matrix) {
        table_column(&t, STR("time"));
    }
    table_column(&t, STR("value"));
    for (size_t i = 0; i < json_count(result); i++) {
        add_points(&t, json_item(result, i), matrix, format == FORMAT_TABLE);
    }
    table_print(&t, result_table_form(format), out);
    table_deinit(&t);
    arena_deinit(&arena);
}

/* ---- the rest */

void result_print_json(const Json *v, FILE *out) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    json_write(&b, v);
    fprintf(out, "%.*s\n", SA(buf_str(&b)));
}

static void print_json_lines(const Json *list, FILE *out) {
    for (size_t i = 0; i < json_count(list); i++) {
        result_print_json(json_item(list, i), out);
    }
}

void result_print(const Json *data, Format format, FILE *out) {
    const Json *result = json_member(data, "result");
    if (format == FORMAT_JSON || (format == FORMAT_NDJSON && !is_series(data))) {
        result_print_json(result, out);
    } else if (format == FORMAT_NDJSON) {
        print_json_lines(result, out);
    } else if (format == FORMAT_PROMQL) {
        result_print_promql(data, out);
    } else if (format == FORMAT_OPENMETRICS) {
        result_print_openmetrics(data, out);
    } else if (!is_series(data)) {
        fprintf(out, "%.*s\n", SA(json_to_str(json_item(result, 1))));
    } else if (format == FORMAT_PLOT) {
        plot_print(data, out);
    } else if (format == FORMAT_SPARK) {
        spark_print(data, out);
    } else {
        print_points(data, format, out);
    }
    say_when_empty(result_count(data), format);
}

void result_print_series(const Json *list, Format format, FILE *out) {
    if (format == FORMAT_JSON) {
        result_print_json(list, out);
        return;
    }
    if (format == FORMAT_NDJSON) {
        print_json_lines(list, out);
        return;
    }
    Arena arena = ARENA_INIT(0);
    Table t = {.arena = &arena};
    for (size_t i = 0; i < json_count(list); i++) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        if (format == FORMAT_PROMQL) {
            add_label_set(&b, json_item(list, i));
            fprintf(out, "%.*s\n", SA(buf_str(&b)));
        } else {
            table_set_labels(&t, table_row(&t), json_item(list, i));
        }
    }
    table_print(&t, result_table_form(format), out);
    say_when_empty(json_count(list), format);
    table_deinit(&t);
    arena_deinit(&arena);
}

void result_print_strings(const Json *list, Format format, FILE *out) {
    if (format == FORMAT_JSON) {
        result_print_json(list, out);
        return;
    }
    if (format == FORMAT_NDJSON) {
        print_json_lines(list, out);
        return;
    }
    for (size_t i = 0; i < json_count(list); i++) {
        fprintf(out, "%.*s\n", SA(json_to_str(json_item(list, i))));
    }
}
