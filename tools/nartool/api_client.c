#include "nartool/api_client.h"

#include <stdio.h>

#include "net/http_client.h"
#include "net/http_server.h"

#define TIMEOUT_MS (5 * 60 * 1000)
#define BODY_BYTES_MAX (UINT64_C(4) << 30)

typedef struct Exchange {
    Loop *loop;
    Buf *body;
    int status;
    bool ok;
    Problem *problem;
} Exchange;

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
    loop_stop(x->loop);
}

static int exchange(Str base, const char *method, const char *path, Str form, Buf *body,
                    int *ret_status, Problem *problem) {
    Exchange x = {.body = body, .problem = problem};
    HttpClient *client;
    int r = loop_new(&x.loop);
    if (r < 0 || (r = http_client_new(x.loop, &client)) < 0) {
        return problem_set(problem, 0, 0, "starting: %s", strerror(-r));
    }
    bool post = str_eqc(STR("POST"), method);
    while (base.n && base.p[base.n - 1] == '/') {
        base.n--;
    }
    CLEANUP(buf_deinit) Buf url = BUF_INIT(0);
    buf_addf(&url, "%s%.*s%s", str_find_str(base, STR("://")) < base.n ? "" : "http://", SA(base),
             path);
    if (!post && form.n) {
        buf_addf(&url, "?%.*s", SA(form));
    }
    HttpHeader type = {STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    HttpCallRequest request = {.method = method,
                               .url = buf_str(&url),
                               .headers = &type,
                               .n_headers = post,
                               .body = post ? form : STR_NULL,
                               .timeout_ms = TIMEOUT_MS,
                               .body_bytes_max = BODY_BYTES_MAX};
    http_call(client, &request, finished, &x);
    loop_run(x.loop);
    http_client_free(client);
    loop_free(x.loop);
    *ret_status = x.status;
    return x.ok ? 0 : -EIO;
}

int api_get(Str base, const char *path, Buf *body, int *ret_status, Problem *problem) {
    return exchange(base, "GET", path, STR_NULL, body, ret_status, problem);
}

static void print_notes(const Json *list, const char *what) {
    for (size_t i = 0; i < json_count(list); i++) {
        fprintf(stderr, "%s: %.*s\n", what, SA(json_to_str(json_item(list, i))));
    }
}

static int call(Str base, const char *method, const char *path, Str form, Json **ret_root,
                const Json **ret_data, Problem *problem) {
    CLEANUP(buf_deinit) Buf body = {0};
    int status;
    int r = exchange(base, method, path, form, &body, &status, problem);
    if (r < 0) {
        return r;
    }
    Problem parse = {0};
    Json *root = json_parse(buf_str(&body), &parse);
    if (!root || !str_eqc(json_to_str(json_member(root, "status")), "success")) {
        Str error = json_to_str(json_member(root, "error"));
        if (error.n) {
            problem_set(problem, 0, 0, "%.*s: %.*s",
                        SA(json_to_str(json_member(root, "errorType"))), SA(error));
        } else {
            Str text = str_trim(buf_str(&body));
            problem_set(problem, 0, 0,
                        "the server answered with status %d and not as Prometheus does: %.*s",
                        status, (int)MIN(text.n, (size_t)200), text.p ? text.p : "");
        }
        json_free(root);
        return -EIO;
    }
    print_notes(json_member(root, "warnings"), "warning");
    print_notes(json_member(root, "infos"), "info");
    *ret_root = root;
    *ret_data = json_member(root, "data");
    return 0;
}

int api_call(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
             Problem *problem) {
    return call(base, "POST", path, form, ret_root, ret_data, problem);
}

int api_call_get(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
                 Problem *problem) {
    return call(base, "GET", path, form, ret_root, ret_data, problem);
}

void form_add(Buf *form, const char *name, Str value) {
    if (form->n) {
        buf_add_char(form, '&');
    }
    url_query_escape(str_of(name), form);
    buf_add_char(form, '=');
    url_query_escape(value, form);
}
