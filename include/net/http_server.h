/*
 * The HTTP server: libuv sockets, llhttp parsing, a table of routes. One request at a time per
 * connection (pipelined ones wait), keep-alive, ceilings on everything a client chooses.
 * Connections and parsing live on the loop thread.
 *
 * A handler is called on the loop thread with a complete request (body included). It either answers
 * before it returns, or keeps the exchange and answers later, from any thread, exactly once:
 * http_respond(), or http_stream_begin() .. http_stream_end(). Everything in the exchange (strings,
 * parameters, arena) lives until that answer has ended.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"
#include "net/http_client.h" /* HttpHeader */
#include "net/http_tls.h"

typedef struct HttpServer HttpServer;

typedef enum HttpMethod {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_OPTIONS = 32,
    HTTP_OTHER = 64
} HttpMethod;

typedef struct HttpParam {
    Str name, value;
} HttpParam;

typedef struct HttpExchange {
    HttpMethod method;
    Str path;      /* decoded, without the route prefix and query string */
    Str raw_query; /* as sent */
    Str body;      /* as sent (still content-encoded) */
    Str peer;      /* "127.0.0.1:40112" */
    const HttpHeader *headers;
    size_t n_headers;
    /* A form body (application/x-www-form-urlencoded) first, then the query string, so that of both
     * the body's value counts, as in Go; order kept, repeats kept. */
    const HttpParam *params;
    size_t n_params;
    Str wildcard; /* what :name or *rest of the route matched, decoded once */
    const struct HttpRoute *route;
    const HttpHeader
        *extra; /* on the answer too, unless it has a header of that name (admit sets it) */
    size_t n_extra;
    Arena arena;      /* for the handler; one thread at a time */
    atomic_bool gone; /* the client has closed the connection: stop working on it */
    int64_t start_ns;
} HttpExchange;

typedef void (*HttpHandler)(HttpExchange *x, void *arg);

typedef struct HttpRoute {
    unsigned
        methods; /* bits of HttpMethod; HEAD is answered where GET is; others get 405 with Allow */
    const char *pattern; /* "/api/v1/query", "/api/v1/label/:name/values", "/static/" "*rest" */
    HttpHandler handler;
    uint64_t body_bytes_max; /* 0 = 1 MiB for forms and JSON */
    const char *metric;      /* handler label of prometheus_http_*; NULL = the pattern */
    void *arg;               /* overrides the server's when not NULL */
} HttpRoute;

typedef struct HttpServerOptions {
    const HttpRoute *routes; /* borrowed for the server's life */
    size_t n_routes;
    void *arg;                /* given to handlers */
    Str route_prefix;         /* "/" or "/prom": requests outside it get 404 */
    uint64_t connections_max; /* 0 = 512 */
    /* Bytes of all bodies being read and answered: beyond them a request gets 503 with Retry-After.
     * 0 = no ceiling. */
    uint64_t bodies_bytes_max;
    int64_t
        read_timeout_ms; /* 0 = 5 min: a request must be complete, an idle connection is closed */
    uint64_t header_bytes_max; /* 0 = 64 KiB for the request line and headers together (431, 414) */
    Str cors_origin;           /* --web.cors.origin, anchored regex; applies to paths under /api/v1
                                  (reference 3.012, 3.013) */
    /* TLS for what is accepted from now on; NULL = plain (http_server_set_tls() renews it). */
    HttpTls *tls;
    int64_t handshake_timeout_ms; /* 0 = 10 s, and never more than read_timeout_ms */
    /* May be NULL: sees every request before anything of it is looked at. false = it has answered,
     * or will, or will call http_admitted(). */
    bool (*admit)(HttpExchange *x, void *arg);
    void *admit_arg;
    /* May be NULL: sees every admitted request first; false = it has answered (not ready, ...). */
    bool (*before)(HttpExchange *x, void *arg);
} HttpServerOptions;

int http_server_new(Loop *l, const HttpServerOptions *o, HttpServer **ret);
/* "0.0.0.0:9090", ":9090", "[::1]:0". Repeatable. The port that was bound (for :0). A Problem says
 * which address and why. */
int http_server_listen(HttpServer *s, const char *address, int *ret_port, Problem *problem);
/* No new connections or requests; done(arg) when those under way have ended or after timeout_ms. */
void http_server_stop(HttpServer *s, int64_t timeout_ms, void (*done)(void *arg), void *arg);
void http_server_free(HttpServer *s);
/* For new connections; those that are open keep theirs. The server listens with TLS from its
 * beginning or not at all. Loop thread. */
void http_server_set_tls(HttpServer *s, HttpTls *t);
uint64_t http_server_connections(const HttpServer *s);

/* ---- the request */
Str http_header(const HttpExchange *x, const char *name); /* case-insensitive; STR_NULL if absent */
Str http_param(const HttpExchange *x, const char *name);  /* first value; STR_NULL if absent */
/* for (size_t i = 0; http_param_next(x, "match[]", &i, &v);) */
bool http_param_next(const HttpExchange *x, const char *name, size_t *at, Str *ret);

/* Goes on with a request that `admit` has kept: loop thread, once. */
void http_admitted(HttpExchange *x);

/* ---- the answer; any thread, once. `headers` may be NULL. */
typedef struct HttpAnswer {
    int status;
    const char *content_type; /* NULL = none */
    const HttpHeader *headers;
    size_t n_headers;
    bool no_compress;
} HttpAnswer;

/* Copies body. Compresses it (gzip, deflate) when the client takes that and it is worth it; Vary:
 * Accept-Encoding. */
void http_respond(HttpExchange *x, const HttpAnswer *a, Str body);
/* Plain text with a newline as Go's http.Error writes it. */
void http_respond_text(HttpExchange *x, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * A body of unknown length: chunked, compressed when the client takes that. write() consumes the
 * bytes of b (leaves it empty, memory kept), and blocks a worker while more than 1 MiB is unsent;
 * on the loop thread it never blocks. -ECANCELED: the client is gone, stop (still call end).
 */
void http_stream_begin(HttpExchange *x, const HttpAnswer *a);
int http_stream_write(HttpExchange *x, Buf *b) NODISCARD;
/* flush = what has been written must reach the client now (server-sent events). */
int http_stream_flush(HttpExchange *x);
/* Bytes that were written and that the socket has not taken yet. */
uint64_t http_stream_unsent(HttpExchange *x);
void http_stream_end(HttpExchange *x);

/* ---- URL pieces, also for others */
typedef struct UrlParts {
    Str scheme, user, host, port, path, query, fragment; /* borrowed; host without brackets */
} UrlParts;
int url_parse(Str url, UrlParts *ret, Problem *problem);
/* %41 and (in queries) + decoded into the arena; false on a bad escape. */
bool url_decode(Str s, bool plus_is_space, Arena *a, Str *ret);
/* Go's url.QueryEscape / url.PathEscape. */
void url_query_escape(Str s, Buf *out);
void url_path_escape(Str s, Buf *out);
