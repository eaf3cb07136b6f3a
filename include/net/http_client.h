/*
 * All outgoing HTTP: scrapes, discovery, notifications, nartool. libcurl's multi interface on the
 * loop; connections are kept and reused. One HttpClient a loop; loop thread only. Bodies come as
 * they were sent (not decompressed): decoding belongs on a worker (format/compress.h). Sizes have
 * ceilings.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"

typedef struct HttpClient HttpClient;
typedef struct HttpCall HttpCall;

typedef struct HttpHeader {
    Str name, value;
} HttpHeader;

typedef struct HttpTlsConfig {
    Str ca, ca_file, cert, cert_file, key, key_file, server_name;
    bool insecure_skip_verify;
    int min_version, max_version; /* 0 = default, else 10, 11, 12, 13 */
} HttpTlsConfig;

/* The keys of reference section 2.5; strings live in the configuration's arena. *_file are read for
 * every call. */
typedef struct HttpClientConfig {
    Str basic_username, basic_username_file, basic_password, basic_password_file;
    bool has_basic_auth;
    Str authorization_type, authorization_credentials, authorization_credentials_file;
    bool has_authorization;
    HttpTlsConfig tls;
    bool follow_redirects;
    Str proxy_url, no_proxy;
    bool proxy_from_environment;
    const HttpHeader *headers; /* http_headers */
    size_t n_headers;
} HttpClientConfig;

typedef struct HttpCallRequest {
    const char *method; /* GET, POST, ... */
    Str url;
    Str unix_socket; /* dial this instead; empty = no */
    const HttpHeader *headers;
    size_t n_headers;
    Str body; /* copied */
    int64_t timeout_ms;
    uint64_t body_bytes_max;        /* 0 = 1 GiB. A body that reaches it ends the call with
                                       HTTP_CALL_TOO_LARGE */
    const HttpClientConfig *config; /* may be NULL: follow redirects, no auth */
    /* For bodies that go on: called on the loop thread, with http_call()'s arg, whenever more of
     * the body of a 2xx answer has come. May take bytes out of it; false ends the call as
     * HTTP_CALL_FAILED. Must not cancel it. May be NULL. */
    bool (*on_part)(void *arg, Buf *body);
} HttpCallRequest;

typedef enum HttpCallOutcome {
    HTTP_CALL_OK,     /* an answer came, whatever its status */
    HTTP_CALL_FAILED, /* no answer: see error */
    HTTP_CALL_TIMEOUT,
    HTTP_CALL_TOO_LARGE,
} HttpCallOutcome;

typedef struct HttpCallResult {
    HttpCallOutcome outcome;
    const char *error; /* "Get \"http://...\": dial tcp ...: connection refused": Go's wording where
                          we can */
    int status;
    const char *status_text;                         /* "404 Not Found" */
    Str content_type, content_encoding, retry_after; /* empty when absent */
    Buf *body;           /* the callback may take it: Buf mine = *r->body; *r->body = (Buf){0}; */
    int64_t duration_ns; /* from start to last byte */
} HttpCallResult;

int http_client_new(Loop *l, HttpClient **ret);
/* Cancels what is under way (callbacks do not run). */
void http_client_free(HttpClient *c);
/* fn runs once on the loop thread, never from inside this call. The result is valid during fn. */
HttpCall *http_call(HttpClient *c, const HttpCallRequest *r,
                    void (*fn)(void *arg, HttpCallResult *r), void *arg);
/* fn will not run. */
void http_call_cancel(HttpCall *call);
