/*
 * A server on a loopback port with a few routes, its loop run by the test's main thread; raw
 * clients are threads that post "stop" to the loop when they are done.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"
#include "net/http_server.h"
#include "support/test.h"

typedef struct Fixture {
    Loop *loop;
    WorkPool *pool;
    HttpServer *server;
    int port;
    _Atomic int cancelled;     /* answers that ended with -ECANCELED */
    _Atomic uint64_t produced; /* bytes that /stream has written */
    uint64_t stream_bytes;
} Fixture;

static Fixture *fixture_of(void *arg) { return arg; }

static void handle_hello(HttpExchange *x, void *arg) {
    HttpAnswer a = {.status = 200, .content_type = "text/plain"};
    http_respond(x, &a, STR("hello"));
}

static void handle_echo(HttpExchange *x, void *arg) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_addf(&b, "%d %.*s [%.*s] %.*s", x->method, SA(x->path), SA(x->wildcard), SA(x->body));
    for (size_t i = 0; i < x->n_params; i++) {
        buf_addf(&b, " %.*s=%.*s", SA(x->params[i].name), SA(x->params[i].value));
    }
    buf_addf(&b, " auth=%.*s", SA(http_header(x, "Authorization")));
    HttpAnswer a = {.status = 200, .content_type = "text/plain"};
    http_respond(x, &a, buf_str(&b));
}

static void handle_redirect(HttpExchange *x, void *arg) {
    HttpHeader h = {STR("Location"), STR("/hello")};
    HttpAnswer a = {.status = 302, .headers = &h, .n_headers = 1};
    http_respond(x, &a, STR(""));
}

static void handle_loop(HttpExchange *x, void *arg) {
    HttpHeader h = {STR("Location"), STR("/loop")};
    HttpAnswer a = {.status = 302, .headers = &h, .n_headers = 1};
    http_respond(x, &a, STR(""));
}

static void handle_big(HttpExchange *x, void *arg) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (int i = 0; i < 10000; i++) {
        buf_addf(&b, "metric_%d 1\n", i);
    }
    HttpAnswer a = {.status = 200, .content_type = "text/plain"};
    http_respond(x, &a, buf_str(&b));
}

typedef struct StreamJob {
    Fixture *f;
    HttpExchange *x;
} StreamJob;

static void run_stream(void *arg) {
    StreamJob *j = arg;
    HttpAnswer a = {.status = 200, .content_type = "text/plain"};
    http_stream_begin(j->x, &a);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    uint64_t sent = 0;
    int r = 0;
    while (sent < j->f->stream_bytes && r == 0) {
        for (int i = 0; i < 500; i++) {
            buf_addf(&b, "%015d\n", i);
        }
        sent += b.n;
        atomic_fetch_add(&j->f->produced, b.n);
        r = http_stream_write(j->x, &b);
    }
    if (r == -ECANCELED) {
        atomic_fetch_add(&j->f->cancelled, 1);
    }
    http_stream_end(j->x);
    mem_free(j);
}

static void handle_stream(HttpExchange *x, void *arg) {
    StreamJob *j = NEW(StreamJob);
    *j = (StreamJob){fixture_of(arg), x};
    work_submit(j->f->pool, run_stream, NULL, j);
}

/* A query that only ends when its client is gone. */
static void run_wait(void *arg) {
    StreamJob *j = arg;
    while (!atomic_load(&j->x->gone)) {
        usleep(1000);
    }
    atomic_fetch_add(&j->f->cancelled, 1);
    http_respond_text(j->x, 499, "canceled");
    mem_free(j);
}

static void handle_wait(HttpExchange *x, void *arg) {
    StreamJob *j = NEW(StreamJob);
    *j = (StreamJob){fixture_of(arg), x};
    work_submit(j->f->pool, run_wait, NULL, j);
}

static void run_later(void *arg) {
    StreamJob *j = arg;
    usleep(20000);
    http_respond_text(j->x, 200, "later");
    mem_free(j);
}

static void handle_later(HttpExchange *x, void *arg) {
    StreamJob *j = NEW(StreamJob);
    *j = (StreamJob){fixture_of(arg), x};
    work_submit(j->f->pool, run_later, NULL, j);
}

static const HttpRoute fixture_routes[] = {
    {.methods = HTTP_GET, .pattern = "/hello", .handler = handle_hello},
    {.methods = HTTP_GET | HTTP_POST | HTTP_PUT, .pattern = "/echo", .handler = handle_echo},
    {.methods = HTTP_POST, .pattern = "/large", .handler = handle_echo, .body_bytes_max = 8 << 20},
    {.methods = HTTP_GET, .pattern = "/api/v1/label/:name/values", .handler = handle_echo},
    {.methods = HTTP_GET, .pattern = "/static/*rest", .handler = handle_echo},
    {.methods = HTTP_GET, .pattern = "/redirect", .handler = handle_redirect},
    {.methods = HTTP_GET, .pattern = "/loop", .handler = handle_loop},
    {.methods = HTTP_GET, .pattern = "/big", .handler = handle_big},
    {.methods = HTTP_GET, .pattern = "/stream", .handler = handle_stream},
    {.methods = HTTP_GET, .pattern = "/wait", .handler = handle_wait},
    {.methods = HTTP_GET, .pattern = "/later", .handler = handle_later},
};

static void fixture_begin(Fixture *f, HttpServerOptions o) {
    *f = (Fixture){.stream_bytes = 1000000};
    CHECK_INT(loop_new(&f->loop), 0);
    CHECK_INT(work_pool_new(f->loop, "test", 4, &f->pool), 0);
    o.routes = fixture_routes;
    o.n_routes = ARRAY_LEN(fixture_routes);
    o.arg = f;
    CHECK_INT(http_server_new(f->loop, &o, &f->server), 0);
    Problem p = {0};
    if (http_server_listen(f->server, "127.0.0.1:0", &f->port, &p) < 0) {
        test_fail(__FILE__, __LINE__, "%s", p.text);
    }
}

static void stop_now(void *arg) { loop_stop(arg); }

static void fixture_end(Fixture *f) {
    http_server_stop(f->server, 2000, stop_now, f->loop);
    loop_run(f->loop);
    http_server_free(f->server);
    work_pool_free(f->pool);
    loop_free(f->loop);
}
