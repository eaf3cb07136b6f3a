#include "api/reply.h"

#include <stdio.h>

#include "format/json.h"
#include "promql/promql.h"

#define FLUSH_BYTES (64u << 10)
#define ANNOTATIONS_MAX 10

static const HttpAnswer JSON_OK = {.status = 200, .content_type = "application/json"};

void reply_begin(Reply *r, HttpExchange *x) {
    *r = (Reply){.x = x, .b = BUF_INIT(0)};
    buf_add_cstr(&r->b, "{\"status\":\"success\",\"data\":");
}

bool reply_room(Reply *r) {
    if (!r->x) {
        return !r->b.failed;
    }
    if (r->b.n < FLUSH_BYTES || r->gone) {
        return !r->gone;
    }
    if (!r->streaming) {
        http_stream_begin(r->x, &JSON_OK);
        r->streaming = true;
    }
    r->gone = http_stream_write(r->x, &r->b) < 0;
    return !r->gone;
}

/* At most ANNOTATIONS_MAX, then a line that says how many more there were. */
void reply_annotations(Buf *b, const char *key, const char *what, const Str *v, size_t n) {
    if (n == 0) {
        return;
    }
    buf_addf(b, ",\"%s\":[", key);
    for (size_t i = 0; i < n && i < ANNOTATIONS_MAX; i++) {
        if (i) {
            buf_add_char(b, ',');
        }
        json_quote(b, v[i]);
    }
    if (n > ANNOTATIONS_MAX) {
        buf_addf(b, ",\"%zu more %s annotations omitted\"", n - ANNOTATIONS_MAX, what);
    }
    buf_add_char(b, ']');
}

void reply_end(Reply *r, const Str *warnings, size_t n_warnings, const Str *infos, size_t n_infos) {
    reply_annotations(&r->b, "warnings", "warning", warnings, n_warnings);
    reply_annotations(&r->b, "infos", "info", infos, n_infos);
    buf_add_char(&r->b, '}');
    if (!r->streaming) {
        http_respond(r->x, &JSON_OK, buf_str(&r->b));
    } else {
        if (!r->gone) {
            r->gone = http_stream_write(r->x, &r->b) < 0;
        }
        http_stream_end(r->x);
    }
    buf_deinit(&r->b);
}

void reply_end_warnings(Reply *r, const Warnings *w) {
    reply_end(r, w->list.v, w->list.n, NULL, 0);
}

static const struct {
    const char *name;
    int status;
} error_types[] = {
    [API_BAD_DATA] = {"bad_data", 400},       [API_EXECUTION] = {"execution", 422},
    [API_CANCELED] = {"canceled", 499},       [API_TIMEOUT] = {"timeout", 503},
    [API_INTERNAL] = {"internal", 500},       [API_NOT_FOUND] = {"not_found", 404},
    [API_UNAVAILABLE] = {"unavailable", 500}, [API_BUSY] = {"unavailable", 503},
};

const char *api_error_name(ApiErrorType type) { return error_types[type].name; }

void reply_error(HttpExchange *x, ApiErrorType type, const char *fmt, ...) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64 << 10);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    buf_addf(&body,
             "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", error_types[type].name);
    json_quote(&body, buf_str(&text));
    buf_add_char(&body, '}');
    http_respond(
        x, &(HttpAnswer){.status = error_types[type].status, .content_type = "application/json"},
        buf_str(&body));
}

void reply_parse_error(HttpExchange *x, const char *name, const Problem *p) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64 << 10);
    promql_problem_print(p, &text);
    reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": %.*s", name, SA(buf_str(&text)));
}

void reply_no_content(HttpExchange *x) { http_respond(x, &(HttpAnswer){.status = 204}, STR_NULL); }

void reply_labels(Buf *b, Labels l) {
    buf_add_char(b, '{');
    for (size_t i = 0; i < l.n; i++) {
        if (i) {
            buf_add_char(b, ',');
        }
        json_quote_label(b, l.v[i].name);
        buf_add_char(b, ':');
        json_quote_label(b, l.v[i].value);
    }
    buf_add_char(b, '}');
}

void reply_strings(Reply *r, const Str *v, size_t n) {
    buf_add_char(&r->b, '[');
    for (size_t i = 0; i < n && reply_room(r); i++) {
        if (i) {
            buf_add_char(&r->b, ',');
        }
        json_quote(&r->b, v[i]);
    }
    buf_add_char(&r->b, ']');
}
