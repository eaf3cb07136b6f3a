#include "nartool/api_client.h"

#include <stdio.h>

#include "base/numtext.h"
#include "nartool/server_context.h"
#include "net/http_server.h"

#define TIMEOUT_MS (5 * 60 * 1000)
#define BODY_BYTES_MAX (UINT64_C(4) << 30)
#define HEADERS_MAX 40

typedef struct Exchange {
    Buf *body;
    int status;
    bool ok;
    Problem *problem;
    const ApiRequest *request;
} Exchange;

/* Until the process ends. */
static Loop *loop;
static HttpClient *client;

static void finished(void *arg, HttpCallResult *r) {
    Exchange *x = arg;
    x->ok = r->outcome == HTTP_CALL_OK;
    if (x->ok) {
        x->status = r->status;
        *x->body = *r->body;
        *r->body = (Buf){0};
    } else {
        problem_set(x->problem, 0, 0, "%s", r->error);
    }
    loop_stop(loop);
}

static bool part_came(void *arg, Buf *body) {
    const Exchange *x = arg;
    return x->request->on_part(x->request->arg, body);
}

static int begin(Problem *problem) {
    int r = loop ? 0 : loop_new(&loop);
    if (r == 0 && !client) {
        r = http_client_new(loop, &client);
    }
    return r < 0 ? problem_set(problem, 0, 0, "starting: %s", strerror(-r)) : 0;
}

static void add_url(const ApiRequest *q, Buf *url) {
    Str base = q->base;
    while (base.n && base.p[base.n - 1] == '/') {
        base.n--;
    }
    buf_addf(url, "%s%.*s%s", str_find_str(base, STR("://")) < base.n ? "" : "http://", SA(base),
             q->path);
    if (str_eqc(STR("GET"), q->method) && q->form.n) {
        buf_addf(url, "?%.*s", SA(q->form));
    }
}

static size_t collect_headers(const ApiRequest *q, bool body, HttpHeader *ret) {
    size_t n = 0, n_context;
    const HttpHeader *context = server_context_headers(&n_context);
    for (size_t i = 0; i < q->n_headers && n < HEADERS_MAX; i++) {
        ret[n++] = q->headers[i];
    }
    if (!q->n_headers && body) {
        ret[n++] = (HttpHeader){STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    }
    for (size_t i = 0; i < n_context && n < HEADERS_MAX; i++) {
        ret[n++] = context[i];
    }
    return n;
}

int api_exchange(const ApiRequest *q, Buf *body, int *ret_status, Problem *problem) {
    int r = begin(problem);
    if (r < 0) {
        return r;
    }
    bool get = str_eqc(STR("GET"), q->method);
    CLEANUP(buf_deinit) Buf url = BUF_INIT(0);
    add_url(q, &url);
    Exchange x = {.body = body, .problem = problem, .request = q};
    HttpHeader headers[HEADERS_MAX];
    HttpCallRequest request = {
        .method = q->method,
        .url = buf_str(&url),
        .headers = headers,
        .n_headers = collect_headers(q, !get, headers),
        .body = get ? STR_NULL : q->form,
        .timeout_ms = q->timeout_ms ? MAX(q->timeout_ms, 0) : TIMEOUT_MS,
        .body_bytes_max = BODY_BYTES_MAX,
        .config = server_context_client(q->base),
        .on_part = q->on_part ? part_came : NULL,
    };
    http_call(client, &request, finished, &x);
    loop_run(loop);
    *ret_status = x.status;
    return x.ok ? 0 : -EIO;
}

int api_get(Str base, const char *path, Buf *body, int *ret_status, Problem *problem) {
    ApiRequest q = {.base = base, .method = "GET", .path = path};
    return api_exchange(&q, body, ret_status, problem);
}

static void print_notes(const Json *list, const char *what) {
    for (size_t i = 0; i < json_count(list); i++) {
        fprintf(stderr, "%s: %.*s\n", what, SA(json_to_str(json_item(list, i))));
    }
}

void api_problem(const Json *root, Str body, int status, Problem *problem) {
    Str error = json_to_str(json_member(root, "error"));
    if (error.n) {
        problem_set(problem, 0, 0, "%.*s: %.*s", SA(json_to_str(json_member(root, "errorType"))),
                    SA(error));
        return;
    }
    Str text = str_trim(body);
    problem_set(problem, 0, 0,
                "the server answered with status %d and not as Prometheus does: %.*s", status,
                (int)MIN(text.n, (size_t)200), text.p ? text.p : "");
}

static int call(const ApiRequest *q, Json **ret_root, const Json **ret_data, Problem *problem) {
    CLEANUP(buf_deinit) Buf body = {0};
    int status;
    int r = api_exchange(q, &body, &status, problem);
    if (r < 0) {
        return r;
    }
    Problem parse = {0};
    Json *root = json_parse(buf_str(&body), &parse);
    if (!root || !str_eqc(json_to_str(json_member(root, "status")), "success")) {
        api_problem(root, buf_str(&body), status, problem);
        json_free(root);
        return -EIO;
    }
    *ret_root = root;
    *ret_data = json_member(root, "data");
    return 0;
}

static int call_and_tell(const ApiRequest *q, Json **ret_root, const Json **ret_data,
                         Problem *problem) {
    int r = call(q, ret_root, ret_data, problem);
    if (r == 0) {
        print_notes(json_member(*ret_root, "warnings"), "warning");
        print_notes(json_member(*ret_root, "infos"), "info");
    }
    return r;
}

int api_call(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
             Problem *problem) {
    ApiRequest q = {.base = base, .method = "POST", .path = path, .form = form};
    return call_and_tell(&q, ret_root, ret_data, problem);
}

int api_call_get(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
                 Problem *problem) {
    ApiRequest q = {.base = base, .method = "GET", .path = path, .form = form};
    return call_and_tell(&q, ret_root, ret_data, problem);
}

Json *api_peek(Str base, const char *path, Str form, int64_t timeout_ms, const Json **ret_data) {
    ApiRequest q = {
        .base = base, .method = "GET", .path = path, .form = form, .timeout_ms = timeout_ms};
    Json *root = NULL;
    Problem p = {0};
    return call(&q, &root, ret_data, &p) == 0 ? root : NULL;
}

void form_add(Buf *form, const char *name, Str value) {
    if (form->n) {
        buf_add_char(form, '&');
    }
    url_query_escape(str_of(name), form);
    buf_add_char(form, '=');
    url_query_escape(value, form);
}

void form_add_time(Buf *form, const char *name, int64_t ms) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
    time_format_seconds(&text, ms);
    form_add(form, name, buf_str(&text));
}
