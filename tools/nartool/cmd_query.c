/* query instant|range|series|labels: a table on a terminal, tab-separated in a pipe, or the API's
 * JSON. */
#include <stdio.h>

#include "base/clock.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "nartool/api_client.h"
#include "nartool/nartool.h"
#include "nartool/table.h"
#include "net/http_server.h"

#define POINTS_WANTED 250

typedef enum Format { FORMAT_TABLE, FORMAT_TSV, FORMAT_JSON } Format;

static bool take_format(Args *a, Format *ret) {
    Str text = args_flag(a, "-o");
    if (!text.p) {
        text = args_flag(a, "--format");
    }
    *ret = output_is_terminal() ? FORMAT_TABLE : FORMAT_TSV;
    if (str_eqc(text, "table") || str_eqc(text, "promql")) {
        *ret = FORMAT_TABLE;
    } else if (str_eqc(text, "tsv")) {
        *ret = FORMAT_TSV;
    } else if (str_eqc(text, "json")) {
        *ret = FORMAT_JSON;
    } else if (text.p) {
        fail("-o: expected table, tsv or json, got \"%.*s\"", SA(text));
        return false;
    }
    return true;
}

/* The moment of the command: all relative times of one command line count from it. */
static int64_t now_ms(void) {
    static int64_t now;
    now = now ? now : clock_wall_ms();
    return now;
}

/* Unix seconds, RFC3339, "now", or "-1h". */
static bool take_time(Args *a, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    Str text = args_flag(a, name);
    Problem p = {0};
    double seconds;
    *ret_ms = fallback_ms;
    if (!text.p || str_eqc(text, "now")) {
        return true;
    }
    if (text.n > 1 && text.p[0] == '-' && duration_parse(str_from(text, 1), ret_ms, &p) == 0) {
        *ret_ms = now_ms() - *ret_ms;
        return true;
    }
    if (number_parse(text, &seconds)) {
        *ret_ms = (int64_t)(seconds * 1000);
        return true;
    }
    if (time_parse(text, ret_ms, &p) == 0) {
        return true;
    }
    fail("%s: expected unix seconds, RFC3339 or a relative time such as -1h, got \"%.*s\"", name,
         SA(text));
    return false;
}

static void form_add_time(Buf *form, const char *name, int64_t ms) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
    time_format_seconds(&text, ms);
    form_add(form, name, buf_str(&text));
}

/* "12.5" of a JSON number of seconds, as local text for people or as it came. */
static Str time_text(Arena *a, const Json *seconds, bool readable) {
    int64_t ms = (int64_t)(json_to_double(seconds, 0) * 1000 + 0.5);
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

/* A number as it came; a native histogram as its count and sum. */
static Str value_text(Arena *a, const Json *value) {
    const Json *count = json_member(value, "count");
    if (!count) {
        return json_to_str(value);
    }
    return arena_printf(a, "count:%.*s sum:%.*s", SA(json_to_str(count)),
                        SA(json_to_str(json_member(value, "sum"))));
}

static void add_point(Table *t, const Json *series, const Json *point, bool matrix, bool readable) {
    Str *row = table_row(t);
    table_set_labels(t, row, json_member(series, "metric"));
    if (matrix) {
        row[table_column(t, STR("time"))] = time_text(t->arena, json_item(point, 0), readable);
    }
    row[table_column(t, STR("value"))] = value_text(t->arena, json_item(point, 1));
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
    if (n == 0 && format == FORMAT_TABLE) {
        fprintf(stderr, "no series match\n");
    }
}

/* All label columns first, so that time and value stand at the right. */
static void print_result(const Json *data, Format format) {
    Str type = json_to_str(json_member(data, "resultType"));
    const Json *result = json_member(data, "result");
    bool matrix = str_eqc(type, "matrix"), vector = str_eqc(type, "vector");
    if (!matrix && !vector) {
        Str value = json_to_str(json_item(result, 1));
        printf("%.*s\n", SA(value));
        return;
    }
    Arena arena = ARENA_INIT(0);
    Table t = {.arena = &arena, .value_columns = matrix ? 2 : 1};
    for (size_t i = 0; i < json_count(result); i++) {
        void *at = NULL;
        Str key;
        while (json_next_member(json_member(json_item(result, i), "metric"), &at, &key)) {
            table_column(&t, key);
        }
    }
    if (matrix) {
        table_column(&t, STR("time"));
    }
    table_column(&t, STR("value"));
    for (size_t i = 0; i < json_count(result); i++) {
        add_points(&t, json_item(result, i), matrix, format == FORMAT_TABLE);
    }
    table_print(&t, format == FORMAT_TSV, stdout);
    say_when_empty(json_count(result), format);
    table_deinit(&t);
    arena_deinit(&arena);
}

static void print_json(const Json *v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    json_write(&b, v);
    printf("%.*s\n", SA(buf_str(&b)));
}

static int run_query(Str server, const char *path, Str form, Format format) {
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Problem p = {0};
    if (api_call(server, path, form, &root, &data, &p) < 0) {
        return fail("%s", p.text);
    }
    if (format == FORMAT_JSON) {
        print_json(json_member(data, "result"));
    } else {
        print_result(data, format);
    }
    return EXIT_OK;
}

int cmd_query_instant(Args *a) {
    Format format;
    int64_t time;
    if (!take_format(a, &format) || !take_time(a, "--time", now_ms(), &time) ||
        !args_expect(a, 2, 2, "[--time=TIME] [-o FORMAT] SERVER EXPR")) {
        return EXIT_USAGE;
    }
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    form_add(&form, "query", a->v[1]);
    form_add_time(&form, "time", time);
    return run_query(a->v[0], "/api/v1/query", buf_str(&form), format);
}

static bool parse_step(Str text, int64_t *ret_ms) {
    double seconds;
    Problem p = {0};
    if (number_parse(text, &seconds)) {
        *ret_ms = seconds > 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
    } else if (duration_parse(text, ret_ms, &p) < 0) {
        return false;
    }
    return *ret_ms > 0;
}

int cmd_query_range(Args *a) {
    Format format;
    int64_t start, end, step = 0;
    Str step_text = args_flag(a, "--step");
    if (!take_format(a, &format) || !take_time(a, "--end", now_ms(), &end) ||
        !take_time(a, "--start", end - 5 * MINUTE_MS, &start) ||
        !args_expect(a, 2, 2,
                     "[--start=TIME] [--end=TIME] [--step=DURATION] [-o FORMAT] SERVER EXPR")) {
        return EXIT_USAGE;
    }
    if (step_text.p && !parse_step(step_text, &step)) {
        fail("--step: expected seconds or a duration such as 15s, got \"%.*s\"", SA(step_text));
        return EXIT_USAGE;
    }
    if (end < start) {
        fail("end time is before start time");
        return EXIT_USAGE;
    }
    if (!step) {
        step = MAX((end - start) / POINTS_WANTED / SECOND_MS, 1) * SECOND_MS;
    }
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    form_add(&form, "query", a->v[1]);
    form_add_time(&form, "start", start);
    form_add_time(&form, "end", end);
    form_add_time(&form, "step", step);
    return run_query(a->v[0], "/api/v1/query_range", buf_str(&form), format);
}

/* --match, --start and --end of the two lists; the window is all of time unless given. */
static bool take_selection(Args *a, Buf *form, size_t *ret_matches) {
    Str match;
    int64_t start, end;
    *ret_matches = 0;
    while ((match = args_flag(a, "--match")).p) {
        form_add(form, "match[]", match);
        ++*ret_matches;
    }
    if (!take_time(a, "--start", INT64_MIN, &start) || !take_time(a, "--end", INT64_MIN, &end)) {
        return false;
    }
    if (start != INT64_MIN) {
        form_add_time(form, "start", start);
    }
    if (end != INT64_MIN) {
        form_add_time(form, "end", end);
    }
    return true;
}

static void print_series(const Json *data, Format format) {
    Arena arena = ARENA_INIT(0);
    Table t = {.arena = &arena};
    for (size_t i = 0; i < json_count(data); i++) {
        table_set_labels(&t, table_row(&t), json_item(data, i));
    }
    table_print(&t, format == FORMAT_TSV, stdout);
    say_when_empty(json_count(data), format);
    table_deinit(&t);
    arena_deinit(&arena);
}

int cmd_query_series(Args *a) {
    Format format;
    size_t matches;
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Problem p = {0};
    if (!take_format(a, &format) || !take_selection(a, &form, &matches) ||
        !args_expect(a, 1, 1,
                     "--match=SELECTOR... [--start=TIME] [--end=TIME] [-o FORMAT] SERVER")) {
        return EXIT_USAGE;
    }
    if (!matches) {
        fail("--match is required: the selector of the series to list");
        return EXIT_USAGE;
    }
    if (api_call(a->v[0], "/api/v1/series", buf_str(&form), &root, &data, &p) < 0) {
        return fail("%s", p.text);
    }
    if (format == FORMAT_JSON) {
        print_json(data);
    } else {
        print_series(data, format);
    }
    return EXIT_OK;
}

int cmd_query_labels(Args *a) {
    Format format;
    size_t matches;
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Problem p = {0};
    if (!take_format(a, &format) || !take_selection(a, &form, &matches) ||
        !args_expect(a, 2, 2,
                     "[--match=SELECTOR...] [--start=TIME] [--end=TIME] [-o FORMAT] SERVER NAME")) {
        return EXIT_USAGE;
    }
    CLEANUP(buf_deinit) Buf path = BUF_INIT(0);
    buf_add_cstr(&path, "/api/v1/label/");
    url_path_escape(a->v[1], &path);
    buf_add_cstr(&path, "/values");
    if (api_call_get(a->v[0], buf_cstr(&path), buf_str(&form), &root, &data, &p) < 0) {
        return fail("%s", p.text);
    }
    if (format == FORMAT_JSON) {
        print_json(data);
    }
    for (size_t i = 0; format != FORMAT_JSON && i < json_count(data); i++) {
        printf("%.*s\n", SA(json_to_str(json_item(data, i))));
    }
    return EXIT_OK;
}

static int check_page(Args *a, const char *path, const char *what) {
    Str url = args_flag(a, "--url");
    if (!args_expect(a, 0, 0, "[--url=http://localhost:9090]")) {
        return EXIT_USAGE;
    }
    if (!url.p) {
        url = STR("http://localhost:9090");
    }
    CLEANUP(buf_deinit) Buf body = {0};
    Problem p = {0};
    int status;
    if (api_get(url, path, &body, &status, &p) < 0) {
        return fail("%s", p.text);
    }
    if (status != 200) {
        return fail("%.*s is not %s: status %d", SA(url), what, status);
    }
    printf("  SUCCESS: %.*s\n", SA(str_trim(buf_str(&body))));
    return EXIT_OK;
}

int cmd_check_healthy(Args *a) { return check_page(a, "/-/healthy", "healthy"); }

int cmd_check_ready(Args *a) { return check_page(a, "/-/ready", "ready"); }
