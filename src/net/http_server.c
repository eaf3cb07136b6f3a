#include "net/http_server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_server_private.h"

#define CONNECTIONS_DEFAULT 512
#define READ_TIMEOUT_DEFAULT_MS (5 * MINUTE_MS)
#define HANDSHAKE_TIMEOUT_DEFAULT_MS (10 * SECOND_MS)
#define HEADER_BYTES_DEFAULT ((uint64_t)64 * 1024)
#define BACKLOG 511

void http_server_release(HttpServer *s) {
    s->n_alive--;
    if (s->stopping && s->n_alive == 0 && s->stop_done) {
        void (*done)(void *arg) = s->stop_done;
        s->stop_done = NULL;
        loop_timer_stop(&s->stop_timer);
        done(s->stop_arg);
        return; /* which may have freed the server */
    }
    if (s->freed && s->n_alive == 0) {
        regex_free(s->cors);
        http_tls_unref(s->options.tls);
        mem_free(s->route_prefix);
        mem_free(s->metrics);
        mem_free(s->read_buf);
        vec_free(&s->listeners);
        mem_free(s);
    }
}

static const double duration_bounds[] = {.1, .2, .4, 1, 3, 8, 20, 60, 120};
static const double size_bounds[] = {1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

static void make_metrics(HttpServer *s) {
    s->metrics = NEW_ARRAY(HttpRouteMetrics, s->options.n_routes + 1);
    for (size_t i = 0; i < s->options.n_routes; i++) {
        const HttpRoute *route = &s->options.routes[i];
        HttpRouteMetrics *m = &s->metrics[i];
        m->name = route->metric ? route->metric : route->pattern;
        char labels[256], with_code[300];
        snprintf(labels, sizeof(labels), "handler=\"%s\"", m->name);
        snprintf(with_code, sizeof(with_code), "code=\"200\",%s", labels);
        m->ok = metric_counter("prometheus_http_requests_total", "Counter of HTTP requests.",
                               with_code);
        m->duration = metric_histogram("prometheus_http_request_duration_seconds",
                                       "Histogram of latencies for HTTP requests.", labels,
                                       duration_bounds, ARRAY_LEN(duration_bounds));
        m->size = metric_histogram("prometheus_http_response_size_bytes",
                                   "Histogram of response size for HTTP requests.", labels,
                                   size_bounds, ARRAY_LEN(size_bounds));
    }
}

int http_server_new(Loop *l, const HttpServerOptions *o, HttpServer **ret) {
    if (loop_is_virtual(l)) {
        return -ENOTSUP;
    }
    HttpServer *s = NEW(HttpServer);
    s->loop = l;
    s->options = *o;
    s->thread = pthread_self();
    HttpServerOptions *mine = &s->options;
    mine->connections_max = o->connections_max ? o->connections_max : CONNECTIONS_DEFAULT;
    mine->read_timeout_ms = o->read_timeout_ms ? o->read_timeout_ms : READ_TIMEOUT_DEFAULT_MS;
    mine->header_bytes_max = o->header_bytes_max ? o->header_bytes_max : HEADER_BYTES_DEFAULT;
    int64_t greet =
        o->handshake_timeout_ms ? o->handshake_timeout_ms : HANDSHAKE_TIMEOUT_DEFAULT_MS;
    mine->handshake_timeout_ms = MIN(greet, mine->read_timeout_ms);
    s->route_prefix = str_dup(o->route_prefix.n ? o->route_prefix : STR("/"));
    if (o->cors_origin.n) {
        Problem p = {0};
        s->cors = regex_new(o->cors_origin, 0, &p);
        if (!s->cors) {
            mem_free(s->route_prefix);
            mem_free(s);
            return -EINVAL;
        }
    }
    mine->tls = http_tls_ref(o->tls);
    make_metrics(s);
    s->read_buf = mem_alloc(READ_BUFFER_BYTES);
    http_server_init_room(s);
    signal(SIGPIPE, SIG_IGN); /* a client that hangs up is an error code, not a death */
    *ret = s;
    return 0;
}

static void on_listener_closed(uv_handle_t *h) {
    HttpListener *listener = h->data;
    HttpServer *s = listener->server;
    mem_free(listener);
    http_server_release(s);
}

static void close_listeners(HttpServer *s) {
    loop_timer_stop(&s->room_timer);
    for (size_t i = 0; i < s->listeners.n; i++) {
        uv_close((uv_handle_t *)&s->listeners.v[i]->tcp, on_listener_closed);
    }
    s->listeners.n = 0;
}

/* "host:port", ":port", "[::]:port" to something that can be bound. */
static int resolve(const char *address, struct sockaddr_storage *ret, Problem *problem) {
    UrlParts u;
    CLEANUP(mem_freep) char *as_url = mem_printf("//%s", address);
    if (url_parse(str_of(as_url), &u, NULL) < 0 || !u.port.n || u.path.n || u.user.n) {
        return problem_set(problem, 0, 0, "listen tcp: address %s: %s", address,
                           strchr(address, ':') ? "invalid address" : "missing port in address");
    }
    CLEANUP(mem_freep) char *host = str_dup(u.host);
    CLEANUP(mem_freep) char *port = str_dup(u.port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    bool any = !u.host.n;
    if (any) {
        hints.ai_family = AF_INET6; /* takes IPv4 as well, as Go's does */
    }
    int r = getaddrinfo(any ? "::" : host, port, &hints, &list);
    if (r != 0 || !list) {
        return problem_set(problem, 0, 0, "listen tcp: lookup %s: %s", host, gai_strerror(r));
    }
    memcpy(ret, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

static int bind_and_listen(HttpListener *listener, const struct sockaddr_storage *a) {
    int r = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)a, 0);
    return r < 0 ? r
                 : uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, http_listener_on_connection);
}

static HttpListener *new_listener(HttpServer *s) {
    HttpListener *listener = NEW(HttpListener);
    listener->server = s;
    listener->tcp.data = listener;
    uv_tcp_init(loop_uv(s->loop), &listener->tcp);
    s->n_alive++;
    return listener;
}

int http_server_listen(HttpServer *s, const char *address, int *ret_port, Problem *problem) {
    struct sockaddr_storage a = {0};
    int r = resolve(address, &a, problem);
    if (r < 0) {
        return r;
    }
    HttpListener *listener = new_listener(s);
    r = bind_and_listen(listener, &a);
    if ((r == UV_EAFNOSUPPORT || r == UV_EADDRNOTAVAIL) && address[0] == ':') {
        /* No IPv6 on this machine. */
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        listener = new_listener(s);
        uv_ip4_addr("0.0.0.0", ntohs(((struct sockaddr_in6 *)&a)->sin6_port),
                    (struct sockaddr_in *)&a);
        r = bind_and_listen(listener, &a);
    }
    if (r < 0) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        problem_set(problem, 0, 0, "listen tcp %s: bind: %s", address, uv_strerror(r));
        return r;
    }
    int n = sizeof(a);
    uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&a, &n);
    if (ret_port) {
        *ret_port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                                  : ((struct sockaddr_in *)&a)->sin_port);
    }
    vec_push(&s->listeners, listener);
    return 0;
}

static void close_conns(HttpServer *s, bool also_busy) {
    for (HttpConn *c = s->conns; c;) {
        HttpConn *next = c->next;
        if (also_busy || (!c->current && !c->lingering)) {
            conn_close(c);
        }
        c = next;
    }
}

static void on_stop_timeout(void *arg) {
    HttpServer *s = arg;
    close_conns(s, true);
    if (s->stop_done) {
        void (*done)(void *a) = s->stop_done;
        s->stop_done = NULL;
        done(s->stop_arg);
    }
}

static void on_stop_now(void *arg) {
    HttpServer *s = arg;
    s->n_alive++;
    http_server_release(s);
}

void http_server_stop(HttpServer *s, int64_t timeout_ms, void (*done)(void *arg), void *arg) {
    s->stopping = true;
    s->stop_done = done;
    s->stop_arg = arg;
    close_listeners(s);
    close_conns(s, false);
    loop_timer_init(&s->stop_timer, s->loop, s->n_alive ? on_stop_timeout : on_stop_now, s);
    loop_timer_after(&s->stop_timer, s->n_alive ? timeout_ms : 0);
}

void http_server_free(HttpServer *s) {
    if (!s) {
        return;
    }
    s->stopping = true;
    s->stop_done = NULL;
    if (s->stop_timer.loop) {
        loop_timer_stop(&s->stop_timer);
    }
    close_listeners(s);
    close_conns(s, true);
    s->freed = true;
    s->n_alive++;
    http_server_release(s);
}

void http_server_set_tls(HttpServer *s, HttpTls *t) {
    HttpTls *old = s->options.tls;
    if (old && t) {
        s->options.tls = http_tls_ref(t);
        http_tls_unref(old);
    }
}

uint64_t http_server_connections(const HttpServer *s) { return s->n_conns; }
