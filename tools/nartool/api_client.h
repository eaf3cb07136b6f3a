/*
 * Blocking requests to a server of Prometheus' API, one at a time, with the credentials and headers
 * of server_context.h. The connection is kept between requests.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "format/json.h"
#include "net/http_client.h"

typedef struct ApiRequest {
    Str base; /* "http://host:9090"; the scheme may be missing */
    const char *method, *path;
    Str form;                  /* query string of a GET, body otherwise */
    const HttpHeader *headers; /* NULL: a form's Content-Type for a POST */
    size_t n_headers;
    int64_t timeout_ms;                    /* 0 = 5 min, -1 = none */
    bool (*on_part)(void *arg, Buf *body); /* as in HttpCallRequest */
    void *arg;
} ApiRequest;

/* 0 and the status and body, or negative and a Problem that names the address. */
int api_exchange(const ApiRequest *r, Buf *body, int *ret_status, Problem *problem);
/* GETs base + path. */
int api_get(Str base, const char *path, Buf *body, int *ret_status, Problem *problem);
/* POSTs a form to base + path and gives the "data" of the envelope (owned by *ret_root). Warnings
 * go to stderr. */
int api_call(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
             Problem *problem);
/* The same with GET and the form as query string (for what does not take POST). */
int api_call_get(Str base, const char *path, Str form, Json **ret_root, const Json **ret_data,
                 Problem *problem);
/* GET with a time limit and nothing told: for suggestions and completion. NULL when it fails. */
Json *api_peek(Str base, const char *path, Str form, int64_t timeout_ms, const Json **ret_data);
/* "bad_data: ..." of an answer that is no success. */
void api_problem(const Json *root, Str body, int status, Problem *problem);
/* Adds "name=value" with escapes to a form. */
void form_add(Buf *form, const char *name, Str value);
void form_add_time(Buf *form, const char *name, int64_t ms);
