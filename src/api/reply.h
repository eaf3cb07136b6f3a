/*
 * The envelope of /api/v1: {"status":"success","data":...,"warnings":[..],"infos":[..]}. A Reply
 * collects the body and streams it once it is larger than a buffer, so that a big answer never lies
 * in memory as text. One thread at a time.
 */
#pragma once

#include "model/histogram.h"
#include "net/http_server.h"
#include "storage/storage.h"

typedef enum ApiErrorType {
    API_BAD_DATA,    /* 400 */
    API_EXECUTION,   /* 422 */
    API_CANCELED,    /* 499 */
    API_TIMEOUT,     /* 503 */
    API_INTERNAL,    /* 500 */
    API_NOT_FOUND,   /* 404 */
    API_UNAVAILABLE, /* 500, as Prometheus */
    API_BUSY,        /* 503: too many ask at the same time */
} ApiErrorType;
const char *api_error_name(ApiErrorType type);

typedef struct Reply {
    HttpExchange *x; /* NULL: only collects in b, up to its ceiling */
    Buf b;
    bool streaming, gone;
} Reply;

/* Begins the envelope; the caller then writes the value of "data" to r->b. */
void reply_begin(Reply *r, HttpExchange *x);
/* Between elements: sends what has gathered. False when the client has gone: stop writing. */
bool reply_room(Reply *r);
/* Closes the envelope with at most 10 warnings and infos each and ends the exchange. */
void reply_end(Reply *r, const Str *warnings, size_t n_warnings, const Str *infos, size_t n_infos);
/* ,"key":[..], at most 10 and how many more `what` annotations there were; nothing when n is 0. */
void reply_annotations(Buf *b, const char *key, const char *what, const Str *v, size_t n);
void reply_end_warnings(Reply *r, const Warnings *w);
/* The error envelope, whole. */
void reply_error(HttpExchange *x, ApiErrorType type, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* 400 for a parameter that does not parse as PromQL. */
void reply_parse_error(HttpExchange *x, const char *name, const Problem *p);
void reply_no_content(HttpExchange *x);

void reply_labels(Buf *b, Labels l);
void reply_histogram(Buf *b, const FloatHistogram *h);
/* ["a","b"], with < > & escaped as in all strings but the labels of series */
void reply_strings(Reply *r, const Str *v, size_t n);
