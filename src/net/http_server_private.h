/*
 * What http_server.c (listeners, start and stop), http_conn.c (connections) and http_exchange.c
 * (one request and its answer) share.
 *
 * An answer travels in one way, whether it comes whole or in pieces, from the loop thread or from a
 * worker: bytes ready for the socket are put into the exchange's `out`, and the loop is told to
 * collect them. So the socket is only ever touched by the loop thread, and all that two threads
 * share are the few members guarded by the exchange's mutex.
 */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "base/metrics.h"
#include "base/regex.h"
#include "base/vec.h"
#include "format/compress.h"
#include "net/http_parser.h"
#include "net/http_router.h"
#include "net/http_server.h"
#include "net/http_tls_session.h"

#define READ_BUFFER_BYTES ((size_t)64 * 1024)

typedef struct HttpConn HttpConn;
typedef struct HttpListener HttpListener;

/* A route's own series; loop thread only. */
typedef struct HttpRouteMetrics {
    const char *name;
    Metric *ok, *duration, *size;
} HttpRouteMetrics;

struct HttpServer {
    Loop *loop;
    HttpServerOptions options;
    char *route_prefix;
    Regex *cors;
    HttpRouteMetrics *metrics; /* one a route */
    pthread_t thread;          /* the loop's, known from the first connection on */
    char *read_buf;
    VEC(HttpListener *) listeners;
    HttpConn *conns; /* list */
    uint64_t n_conns;
    uint64_t body_bytes; /* of requests being read and answered */
    uint64_t n_alive;    /* listeners, connections and exchanges that keep the memory needed */
    bool stopping, freed;
    LoopTimer stop_timer;
    LoopTimer room_timer; /* runs while a client waits to be accepted and none has to go yet */
    void (*stop_done)(void *arg);
    void *stop_arg;
};

typedef struct Exchange {
    HttpExchange x; /* first: handlers get its address */
    HttpServer *server;
    HttpConn *conn; /* loop thread only; NULL once the connection is gone */
    HttpRouteMetrics *metrics;
    Buf head_buf, body_buf; /* what the strings of x point into */
    uint64_t body_held;     /* of the server's body_bytes */
    HttpHeader *headers;
    HttpParamList params;
    bool head_only, http10, keep_alive, is_api;

    /* the answering thread only */
    int status;
    bool begun, chunked;
    DeflateStream *deflate;
    Buf piece; /* body bytes not handed over yet */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t drained;
    Buf out;         /* ready for the socket */
    uint64_t unsent; /* bytes in out and in the socket's queue */
    bool posted;     /* the loop will come to collect */
    bool ended;

    /* loop thread only */
    unsigned writes; /* under way */
    uint64_t sent;
} Exchange;

struct HttpListener {
    uv_tcp_t tcp;
    HttpServer *server;
    bool waiting; /* a connection was not accepted, since there were too many */
    bool closing;
};

struct HttpConn {
    uv_tcp_t tcp;
    HttpServer *server;
    HttpConn *prev, *next;
    HttpParser *parser;
    TlsSession *tls;       /* NULL: plain */
    Buf in;                /* bytes behind the current request */
    Exchange *current;     /* being answered */
    LoopTimer timer;       /* reading, idle, or a write that does not move */
    int64_t idle_since_ns; /* the accept, or the end of the last answer */
    uint64_t body_held;    /* of the server's body_bytes, until the exchange has it */
    unsigned writes;
    bool reading, closing, lingering, eof, feeding;
    bool greeted; /* the TLS handshake is over */
    char peer[64];
};

/* Takes head and body out of the parser; the arena is ready. */
Exchange *exchange_new(HttpServer *s, HttpConn *c, HttpParser *p);
/* The connection went away: nothing will be sent any more. Frees it if it has ended. */
void exchange_lose_conn(Exchange *e);
/* Answers that need no handler. */
void exchange_refuse(Exchange *e, int status);

/* ---- of http_conn.c */

/* Accepts, or leaves it waiting when there are too many. */
void http_listener_on_connection(uv_stream_t *h, int status);
void http_server_init_room(HttpServer *s);
void conn_close(HttpConn *c);

/* Sends and frees the Buf's memory; calls exchange_sent() when the socket has taken it. */
void conn_send(HttpConn *c, Exchange *e, Buf *bytes);
/* The exchange is over and freed: on to the next request, or close. */
void conn_exchange_over(HttpConn *c, bool keep_alive);
void exchange_sent(Exchange *e, uint64_t n);

/* ---- of http_server.c */

/* One thing less keeps the server's memory. */
void http_server_release(HttpServer *s);
