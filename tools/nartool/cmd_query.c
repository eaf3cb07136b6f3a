/* query instant|range|series|labels, check healthy|ready. */
#include <stdio.h>

#include "base/clock.h"
#include "nartool/api_client.h"
#include "nartool/query.h"
#include "nartool/result_diff.h"
#include "nartool/server_context.h"
#include "nartool/watch.h"
#include "net/http_server.h"

#define POINTS_WANTED 250

/* A query and what to do with its answer. */
typedef struct Asking {
    Query query;
    Format format;
    int64_t watch_ms, diff_ms;
    bool fail_empty;
    Str fail_if;
} Asking;

static bool take_asking(Args *a, Asking *ret) {
    ret->format = take_format(a);
    ret->fail_empty = args_switch(a, "--fail-empty");
    ret->fail_if = args_flag(a, "--fail-if");
    ret->query.server = a->v[0];
    ret->query.expr = a->v[1];
    return query_take_step(a, "--watch", &ret->watch_ms) &&
           query_take_step(a, "--diff", &ret->diff_ms);
}

static int print_answer(const Asking *x, const Json *data, FILE *out) {
    if (!x->diff_ms) {
        result_print(data, x->format, out);
        return EXIT_OK;
    }
    CLEANUP(json_freep) Json *root = NULL;
    const Json *then;
    Query before = x->query;
    before.end_ms -= x->diff_ms;
    int code = query_ask(&before, &root, &then);
    if (!code) {
        result_print_difference(data, then, x->format, out);
    }
    return code;
}

/* --fail-if is asked at the same time as the query. */
static int check_condition(const Asking *x) {
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Query q = {.server = x->query.server, .expr = x->fail_if, .end_ms = x->query.end_ms};
    int code = query_ask(&q, &root, &data);
    if (code) {
        return code;
    }
    const Json *result = json_member(data, "result");
    bool scalar = str_eqc(json_to_str(json_member(data, "resultType")), "scalar");
    if (scalar ? result_number(result) == 0 : json_count(result) == 0) {
        return EXIT_OK;
    }
    fprintf(stderr, "--fail-if: %.*s holds\n", SA(x->fail_if));
    return EXIT_FOUND;
}

static int ask_once(const Asking *x, FILE *out) {
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    int code = query_ask(&x->query, &root, &data);
    if (!code) {
        code = print_answer(x, data, out);
    }
    if (code) {
        return code;
    }
    bool empty = result_count(data) == 0;
    if (empty && x->format <= FORMAT_SPARK) {
        fflush(out);
        query_tell_unknown_metrics(x->query.server, x->query.expr);
    }
    if (empty && x->fail_empty) {
        return EXIT_EMPTY;
    }
    return x->fail_if.p ? check_condition(x) : EXIT_OK;
}

/* Again at a later time: the window moves along. */
static int ask_again(void *arg, FILE *out) {
    Asking *x = arg;
    int64_t by = clock_wall_ms() - query_now_ms();
    query_set_now(query_now_ms() + by);
    x->query.start_ms += by;
    x->query.end_ms += by;
    return ask_once(x, out);
}

static int ask(Asking *x) {
    return x->watch_ms ? watch_run(x->watch_ms, ask_again, x) : ask_once(x, stdout);
}

int cmd_query_instant(Args *a) {
    Asking x = {0};
    if (!take_asking(a, &x) || !query_take_time(a, "--time", query_now_ms(), &x.query.end_ms)) {
        return EXIT_USAGE;
    }
    if (x.diff_ms && x.format != FORMAT_TABLE && x.format != FORMAT_TSV && x.format != FORMAT_CSV) {
        fail("--diff is printed as table, tsv or csv");
        return EXIT_USAGE;
    }
    return ask(&x);
}

int cmd_query_range(Args *a) {
    Asking x = {.query = {.range = true}};
    Query *q = &x.query;
    if (!take_asking(a, &x) || !query_take_time(a, "--end", query_now_ms(), &q->end_ms) ||
        !query_take_time(a, "--start", q->end_ms - 5 * MINUTE_MS, &q->start_ms) ||
        !query_take_step(a, "--step", &q->step_ms)) {
        return EXIT_USAGE;
    }
    if (q->end_ms < q->start_ms) {
        fail("end time is before start time");
        return EXIT_USAGE;
    }
    if (!q->step_ms) {
        q->step_ms = MAX((q->end_ms - q->start_ms) / POINTS_WANTED / 1000, 1) * 1000;
    }
    return ask(&x);
}

/* ---- lists */

typedef struct Listing {
    Format format;
    Buf form;
    size_t matches;
    bool fail_empty;
} Listing;

/* --match, --start and --end of the two lists; the window is all of time unless given. */
static bool take_listing(Args *a, Listing *ret) {
    int64_t start, end;
    *ret = (Listing){.format = take_format(a), .fail_empty = args_switch(a, "--fail-empty")};
    for (Str match; (match = args_flag(a, "--match")).p; ret->matches++) {
        form_add(&ret->form, "match[]", match);
    }
    if (!query_take_time(a, "--start", INT64_MIN, &start) ||
        !query_take_time(a, "--end", INT64_MIN, &end)) {
        return false;
    }
    if (start != INT64_MIN) {
        form_add_time(&ret->form, "start", start);
    }
    if (end != INT64_MIN) {
        form_add_time(&ret->form, "end", end);
    }
    return true;
}

static int list_code(const Listing *l, const Json *data) {
    return l->fail_empty && json_count(data) == 0 ? EXIT_EMPTY : EXIT_OK;
}

static int list_series(const Args *a, Listing *l) {
    CLEANUP(json_freep) Json *root = NULL;
    const Json *data;
    Problem p = {0};
    if (!l->matches) {
        fail("--match is required: the selector of the series to list");
        return EXIT_USAGE;
    }
    if (api_call(a->v[0], "/api/v1/series", buf_str(&l->form), &root, &data, &p) < 0) {
        return fail("%s", p.text);
    }
    result_print_series(data, l->format, stdout);
    return list_code(l, data);
}

int cmd_query_series(Args *a) {
    Listing l;
    int code = take_listing(a, &l) ? list_series(a, &l) : EXIT_USAGE;
    buf_deinit(&l.form);
    return code;
}

static int list_labels(const Args *a, Listing *l) {
    CLEANUP(json_freep) Json *root = NULL;
    CLEANUP(buf_deinit) Buf path = BUF_INIT(0);
    const Json *data;
    Problem p = {0};
    buf_add_cstr(&path, "/api/v1/label/");
    url_path_escape(a->v[1], &path);
    buf_add_cstr(&path, "/values");
    if (api_call_get(a->v[0], buf_cstr(&path), buf_str(&l->form), &root, &data, &p) < 0) {
        return fail("%s", p.text);
    }
    result_print_strings(data, l->format, stdout);
    return list_code(l, data);
}

int cmd_query_labels(Args *a) {
    Listing l;
    int code = take_listing(a, &l) ? list_labels(a, &l) : EXIT_USAGE;
    buf_deinit(&l.form);
    return code;
}

/* ---- health */

static int check_page(Args *a, const char *path, const char *what) {
    Str url = args_flag(a, "--url");
    if (!url.p && !server_context_url(&url)) {
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
