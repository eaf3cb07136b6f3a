#include <arpa/inet.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/http_server_private.h"

#define BODY_BYTES_DEFAULT ((uint64_t)1 << 20)
/* How long the rest of a refused request is read and dropped, so that the client gets to see why.
 */
#define LINGER_MS 1000
/* A connection that has been silent for less keeps its place even when others wait for one. */
#define IDLE_GRACE_MS 1000
/* Input kept while a request is being answered; beyond it the client has to wait. */
#define PENDING_INPUT_MAX ((size_t)64 * 1024)
#define RAW_QUEUE_MAX ((size_t)256 * 1024)

typedef struct Write {
    uv_write_t req;
    HttpConn *conn;
    Exchange *exchange; /* NULL: not of an exchange */
    Buf bytes;
    uint64_t n; /* as the exchange counts them: before encryption */
} Write;

/* Records of the handshake, alerts: nobody waits for them. */
typedef struct RawWrite {
    uv_write_t req;
    HttpConn *conn;
    Buf bytes;
} RawWrite;

static void conn_advance(HttpConn *c);
static void watch_reading(HttpConn *c);
static void accept_waiting(HttpServer *s);
static void send_raw(HttpConn *c, Buf *bytes);

/* ---- closing ---- */

static void on_conn_closed(uv_handle_t *h) {
    HttpConn *c = h->data;
    HttpServer *s = c->server;
    http_parser_free(c->parser);
    s->body_bytes -= c->body_held;
    tls_session_free(c->tls);
    buf_deinit(&c->in);
    mem_free(c);
    http_server_release(s);
}

/* A close_notify, if the socket takes it at once. */
static void say_goodbye(HttpConn *c) {
    CLEANUP(buf_deinit) Buf bytes = BUF_INIT(0);
    if (!c->tls) {
        return;
    }
    tls_session_close(c->tls, &bytes);
    if (bytes.n) {
        uv_buf_t b = uv_buf_init(bytes.p, (unsigned)bytes.n);
        (void)uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
    }
}

void conn_close(HttpConn *c) {
    if (c->closing) {
        return;
    }
    HttpServer *s = c->server;
    c->closing = true;
    loop_timer_stop(&c->timer);
    *(c->prev ? &c->prev->next : &s->conns) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    s->n_conns--;
    say_goodbye(c);
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
    if (c->current) {
        Exchange *e = c->current;
        c->current = NULL;
        exchange_lose_conn(e);
    }
    accept_waiting(s);
}

static void on_timeout(void *arg) { conn_close(arg); }

static void set_timeout(HttpConn *c, int64_t ms) { loop_timer_after(&c->timer, ms); }

/* ---- writing ---- */

static void on_shutdown(uv_shutdown_t *req, int status) { mem_free(req); }

/* Nothing more will be said; what the client is still saying is dropped for a while. */
static void linger(HttpConn *c) {
    c->lingering = true;
    buf_reset(&c->in);
    watch_reading(c);
    if (c->tls) {
        Buf bytes = BUF_INIT(0);
        tls_session_close(c->tls, &bytes);
        send_raw(c, &bytes);
        if (c->closing) {
            return;
        }
    }
    uv_shutdown_t *req = NEW(uv_shutdown_t);
    if (c->eof || uv_shutdown(req, (uv_stream_t *)&c->tcp, on_shutdown) < 0) {
        mem_free(req);
        conn_close(c);
        return;
    }
    set_timeout(c, LINGER_MS);
}

static void end_write(Write *w) {
    HttpConn *c = w->conn;
    uint64_t n = w->n;
    Exchange *e = w->exchange;
    c->writes--;
    buf_deinit(&w->bytes);
    mem_free(w);
    if (c->writes == 0) {
        loop_timer_stop(&c->timer); /* the handler may take its time */
    } else if (!c->closing) {
        set_timeout(c, c->server->options.read_timeout_ms);
    }
    if (!e && !c->closing) {
        set_timeout(c, c->server->options.read_timeout_ms); /* "100 Continue": the body comes */
    }
    if (e) {
        exchange_sent(e, n);
    }
}

static void on_written(uv_write_t *req, int status) {
    Write *w = CONTAINER_OF(req, Write, req);
    if (status < 0) {
        conn_close(w->conn);
    }
    end_write(w);
}

static void on_write_refused(void *arg) {
    Write *w = arg;
    conn_close(w->conn);
    end_write(w);
}

static void on_raw_written(uv_write_t *req, int status) {
    RawWrite *w = CONTAINER_OF(req, RawWrite, req);
    if (status < 0) {
        conn_close(w->conn);
    }
    buf_deinit(&w->bytes);
    mem_free(w);
}

static void send_raw(HttpConn *c, Buf *bytes) {
    /* A peer that makes us talk without reading what we say. */
    bool flooded = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > RAW_QUEUE_MAX;
    if (!bytes->n || c->closing || (flooded && c->writes == 0)) {
        buf_deinit(bytes);
        if (flooded && !c->closing && c->writes == 0) {
            conn_close(c);
        }
        return;
    }
    RawWrite *w = NEW(RawWrite);
    w->conn = c;
    w->bytes = *bytes;
    uv_buf_t b = uv_buf_init(w->bytes.p, (unsigned)w->bytes.n);
    if (uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, on_raw_written) < 0) {
        buf_deinit(&w->bytes);
        mem_free(w);
        conn_close(c);
    }
}

static int encrypt(HttpConn *c, Buf *bytes) {
    Buf out = BUF_INIT(0);
    (void)buf_reserve(&out, bytes->n + bytes->n / 256 + 128);
    int r = tls_session_write(c->tls, buf_str(bytes), &out);
    buf_deinit(bytes);
    *bytes = out;
    return r;
}

void conn_send(HttpConn *c, Exchange *e, Buf *bytes) {
    Write *w = NEW(Write);
    w->conn = c;
    w->exchange = e;
    w->bytes = *bytes;
    w->n = w->bytes.n;
    *bytes = BUF_INIT(0);
    c->writes++;
    bool refused = c->closing || (c->tls && encrypt(c, &w->bytes) < 0);
    uv_buf_t b = {.base = w->bytes.p, .len = w->bytes.n}; /* uv_buf_init() cuts at 4 GiB */
    if (refused || uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, on_written) < 0) {
        /* Reported from the loop like any other end, never from within this call. */
        loop_post(c->server->loop, on_write_refused, w);
        return;
    }
    set_timeout(c, c->server->options.read_timeout_ms);
}

void conn_exchange_over(HttpConn *c, bool keep_alive) {
    c->current = NULL;
    if (c->closing) {
        return;
    }
    if (!keep_alive || c->eof || c->server->stopping) {
        linger(c);
        return;
    }
    http_parser_reset(c->parser);
    c->idle_since_ns = clock_mono_ns();
    set_timeout(c, c->server->options.read_timeout_ms);
    conn_advance(c);
}

/* ---- from request to handler ---- */

static void parse_target(Exchange *e, Str target) {
    size_t question = str_find(target, '?');
    e->x.path = str_upto(target, question);
    e->x.raw_query = question < target.n ? str_from(target, question + 1) : STR("");
    /* The absolute form, as proxies use it. */
    if (e->x.path.n && e->x.path.p[0] != '/') {
        UrlParts u;
        if (url_parse(e->x.path, &u, NULL) == 0 && u.scheme.n) {
            e->x.path = u.path.n ? u.path : STR("/");
        }
    }
}

static bool is_form(const Exchange *e) {
    Str type = http_header(&e->x, "content-type");
    type = str_trim(str_upto(type, str_find(type, ';')));
    return (e->x.method == HTTP_POST || e->x.method == HTTP_PUT) &&
           str_eq_nocase(type, STR("application/x-www-form-urlencoded"));
}

/* Where a request for a path without a route is sent on to: "//metrics/" to "/metrics", "/" to the
 * prefix. */
static Str better_place(Exchange *e, Str raw) {
    HttpServer *s = e->server;
    HttpMatch m;
    Str clean = http_path_clean(raw, &e->x.arena);
    if (!clean.p || http_route_find(s->options.routes, s->options.n_routes, e->x.method, clean,
                                    clean, &m) != HTTP_ROUTE_FOUND) {
        return STR_NULL;
    }
    Str prefix = str_of(s->route_prefix), query = e->x.raw_query;
    prefix.n -= prefix.n && prefix.p[prefix.n - 1] == '/';
    return arena_printf(&e->x.arena, "%.*s%.*s%s%.*s", SA(prefix), SA(clean), query.n ? "?" : "",
                        SA(query));
}

/* The route of a request; 0 or the status to refuse with. */
static int find_route(Exchange *e, HttpMatch *m, Str *ret_better) {
    HttpServer *s = e->server;
    Str raw = e->x.path, path;
    *m = (HttpMatch){0};
    *ret_better = STR_NULL;
    if (!http_route_strip_prefix(str_of(s->route_prefix), &raw)) {
        if (str_eqc(raw, "/")) {
            *ret_better = str_of(s->route_prefix);
        }
        return 404;
    }
    if (raw.n == 1 && e->x.path.n > 1 && e->x.path.p[e->x.path.n - 1] != '/') {
        /* "/prom" alone: what its page names relatively would lie outside the prefix. */
        *ret_better = arena_printf(&e->x.arena, "%.*s/%s%.*s", SA(e->x.path),
                                   e->x.raw_query.n ? "?" : "", SA(e->x.raw_query));
        return 404;
    }
    if (!url_decode(raw, false, &e->x.arena, &path)) {
        return 400;
    }
    e->x.path = path;
    e->is_api = str_starts(path, STR("/api/v1/"));
    HttpRouteResult r =
        http_route_find(s->options.routes, s->options.n_routes, e->x.method, raw, path, m);
    if (r == HTTP_ROUTE_FOUND) {
        e->x.route = m->route;
        e->metrics = &s->metrics[m->route - s->options.routes];
        if (!url_decode(m->wildcard, false, &e->x.arena, &e->x.wildcard)) {
            return 400;
        }
    } else if (r == HTTP_ROUTE_NONE) {
        *ret_better = better_place(e, raw);
    }
    return (int)r;
}

static int read_params(Exchange *e) {
    bool ok = (!is_form(e) || http_params_parse(e->x.body, &e->x.arena, &e->params)) &&
              http_params_parse(e->x.raw_query, &e->x.arena, &e->params);
    e->x.params = e->params.v;
    e->x.n_params = e->params.n;
    return ok ? 0 : 413;
}

static void refuse_method(Exchange *e, unsigned allowed) {
    CLEANUP(buf_deinit) Buf list = BUF_INIT(0);
    http_methods_write(allowed | HTTP_OPTIONS, &list);
    HttpHeader h[] = {{STR("Allow"), buf_str(&list)},
                      {STR("X-Content-Type-Options"), STR("nosniff")}};
    http_respond(&e->x,
                 &(HttpAnswer){.status = 405,
                               .content_type = "text/plain; charset=utf-8",
                               .headers = h,
                               .n_headers = ARRAY_LEN(h)},
                 STR("Method Not Allowed\n"));
}

static void redirect(Exchange *e, Str to) {
    HttpHeader location = {STR("Location"), to};
    bool reads = e->x.method == HTTP_GET || e->x.method == HTTP_HEAD;
    http_respond(&e->x,
                 &(HttpAnswer){.status = reads ? 301 : 308, .headers = &location, .n_headers = 1},
                 STR(""));
}

static void answer_no_route(Exchange *e, int status, unsigned allowed) {
    bool options = e->x.method == HTTP_OPTIONS;
    if (options && (e->is_api || allowed)) {
        http_respond(&e->x, &(HttpAnswer){.status = 204}, STR(""));
    } else if (status == 405) {
        refuse_method(e, allowed);
    } else if (status == 404) {
        e->is_api = false;
        http_respond_text(&e->x, 404, "404 page not found");
    } else {
        exchange_refuse(e, status);
    }
}

/* The request is complete: c->current answers it from here on. After the handler the exchange may
 * be anywhere. */
static void dispatch(HttpConn *c) {
    HttpServer *s = c->server;
    const HttpRequestHead *h = http_parser_head(c->parser);
    Str target = h->target;
    bool keep_alive = h->keep_alive && !s->stopping;
    Exchange *e = exchange_new(s, c, c->parser);
    c->current = e;
    e->keep_alive = keep_alive;
    e->x.peer = str_of(c->peer);
    parse_target(e, target);
    loop_timer_stop(&c->timer);
    if (!s->options.admit || s->options.admit(&e->x, s->options.admit_arg)) {
        http_admitted(&e->x);
    }
}

void http_admitted(HttpExchange *x) {
    Exchange *e = CONTAINER_OF(x, Exchange, x);
    HttpServer *s = e->server;
    HttpMatch m = {0};
    Str better;
    int status = find_route(e, &m, &better);
    if (status == 0) {
        status = read_params(e);
    }
    if (s->options.before && !s->options.before(x, s->options.arg)) {
        return;
    }
    if (better.p) {
        redirect(e, better);
        return;
    }
    if (status) {
        answer_no_route(e, status, m.allowed);
        return;
    }
    m.route->handler(x, m.route->arg ? m.route->arg : s->options.arg);
}

/* Refuses what never became a request. */
static void refuse(HttpConn *c, int status) {
    Exchange *e = exchange_new(c->server, c, c->parser);
    c->current = e;
    e->x.peer = str_of(c->peer);
    exchange_refuse(e, status);
}

/* Room for so many bytes of body among all that are being read and answered. One alone always has
 * room. */
static bool hold_body(HttpConn *c, uint64_t bytes) {
    HttpServer *s = c->server;
    uint64_t max = s->options.bodies_bytes_max, more = bytes - MIN(bytes, c->body_held);
    if (max && more && s->body_bytes > c->body_held && s->body_bytes + more > max) {
        return false;
    }
    c->body_held += more;
    s->body_bytes += more;
    return true;
}

/* The head is complete: how large may the body be? */
static int on_head(HttpConn *c) {
    const HttpRequestHead *h = http_parser_head(c->parser);
    HttpServer *s = c->server;
    uint64_t max = BODY_BYTES_DEFAULT;
    if (h->has_body) {
        Str raw = str_upto(h->target, str_find(h->target, '?'));
        HttpMatch m;
        if (http_route_strip_prefix(str_of(s->route_prefix), &raw) &&
            http_route_find(s->options.routes, s->options.n_routes, http_method_of(h->method), raw,
                            raw, &m) == HTTP_ROUTE_FOUND &&
            m.route->body_bytes_max) {
            max = m.route->body_bytes_max;
        }
        if (h->content_length > max) {
            return 413;
        }
        if (!hold_body(c, h->content_length)) {
            return 503;
        }
        if (h->expect_continue) {
            Buf go_on = BUF_INIT(0);
            buf_add_cstr(&go_on, "HTTP/1.1 100 Continue\r\n\r\n");
            conn_send(c, NULL, &go_on);
        }
    }
    http_parser_body_max(c->parser, max);
    return 0;
}

/* Gives bytes to the parser until a request is complete; the number used. */
static size_t feed(HttpConn *c, const char *p, size_t n) {
    size_t at = 0;
    for (;;) {
        size_t used;
        int r = http_parser_feed(c->parser, p + at, n - at, &used);
        at += used;
        if (r == HTTP_PARSE_HEAD) {
            r = on_head(c);
            if (r == 0) {
                continue;
            }
        }
        if (r < 400 && !hold_body(c, http_parser_body_buf(c->parser)->n)) {
            r = 503; /* in chunks, whose sum nobody told before */
        }
        if (r >= 400) {
            refuse(c, r);
            return n;
        }
        if (r == HTTP_PARSE_DONE) {
            dispatch(c);
        }
        return at;
    }
}

/* Requests that came pipelined wait here for their turn. */
static void conn_advance(HttpConn *c) {
    if (c->feeding) {
        return;
    }
    c->feeding = true;
    while (c->in.n > 0 && !c->current && !c->closing && !c->lingering) {
        size_t used = feed(c, c->in.p, c->in.n);
        memmove(c->in.p, c->in.p + used, c->in.n - used);
        c->in.n -= used;
    }
    c->feeding = false;
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    HttpConn *c = h->data;
    *b = uv_buf_init(c->server->read_buf, READ_BUFFER_BYTES);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b);

static void watch_reading(HttpConn *c) {
    bool want = c->in.n < PENDING_INPUT_MAX && !c->eof;
    if (want && !c->reading) {
        c->reading = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0;
    } else if (!want && c->reading) {
        uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
    }
}

static void on_input(HttpConn *c, const char *p, size_t n) {
    size_t used = 0;
    if (!c->current && c->in.n == 0) {
        bool begun = http_parser_begun(c->parser);
        c->feeding = true;
        used = feed(c, p, n);
        c->feeding = false;
        if (c->closing) {
            return;
        }
        /* The whole request has to come within the timeout, not each of its bytes. */
        if (!begun && !c->current && !c->lingering) {
            set_timeout(c, c->server->options.read_timeout_ms);
        }
    }
    buf_add(&c->in, p + used, n - used);
    conn_advance(c);
}

static void on_end(HttpConn *c) {
    if (!c->current || c->lingering) {
        conn_close(c);
        return;
    }
    /* The client has ended its side: as good as gone for a query, but an answer that is on its
     * way already still goes out. */
    c->eof = true;
    atomic_store(&c->current->x.gone, true);
    pthread_mutex_lock(&c->current->mutex);
    pthread_cond_broadcast(&c->current->drained);
    pthread_mutex_unlock(&c->current->mutex);
}

/* The words Go's server has for it, so that whoever reads them knows what to change. */
static void refuse_plain(HttpConn *c) {
    Buf bytes = BUF_INIT(0);
    buf_add_cstr(&bytes, "HTTP/1.0 400 Bad Request\r\n\r\n"
                         "Client sent an HTTP request to an HTTPS server.\n");
    send_raw(c, &bytes);
}

/* The handshake, or the plain bytes of what has been fed. */
static void read_tls(HttpConn *c) {
    char *plain = c->server->read_buf; /* its content has been fed and is not needed any more */
    TlsRead r = TLS_READ_DATA;
    while (r == TLS_READ_DATA && !c->closing && !c->lingering) {
        size_t n;
        r = tls_session_read(c->tls, plain, READ_BUFFER_BYTES, &n);
        Buf bytes = BUF_INIT(0);
        tls_session_drain(c->tls, &bytes);
        if (r == TLS_READ_PLAIN) {
            buf_deinit(&bytes);
            refuse_plain(c);
        } else {
            send_raw(c, &bytes);
        }
        if (!c->greeted && !c->closing && tls_session_established(c->tls)) {
            c->greeted = true;
            set_timeout(c, c->server->options.read_timeout_ms);
        }
        if (n && !c->closing) {
            on_input(c, plain, n);
        }
    }
    if (c->closing || c->lingering) {
        return;
    }
    if (r == TLS_READ_END) {
        on_end(c);
    } else if (r == TLS_READ_ERROR && c->current) {
        conn_close(c);
    } else if (r == TLS_READ_ERROR || r == TLS_READ_PLAIN) {
        log_debug("web", "TLS handshake failed", L_CSTR("peer", c->peer),
                  L_CSTR("err", tls_session_error(c->tls)));
        linger(c);
    }
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b) {
    HttpConn *c = h->data;
    if (n == 0) {
        return;
    }
    if (n == UV_EOF) {
        on_end(c);
    } else if (n < 0) {
        conn_close(c);
    } else if (c->tls && !c->lingering) {
        tls_session_feed(c->tls, b->base, (size_t)n);
        read_tls(c);
    } else if (!c->lingering) {
        on_input(c, b->base, (size_t)n);
    }
    if (!c->closing) {
        watch_reading(c);
    }
}

/* ---- connections ---- */

static void name_peer(HttpConn *c) {
    struct sockaddr_storage a;
    int n = sizeof(a);
    char ip[INET6_ADDRSTRLEN] = "";
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &n) < 0) {
        return;
    }
    if (a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a;
        uv_ip6_name(six, ip, sizeof(ip));
        snprintf(c->peer, sizeof(c->peer), "[%s]:%d", ip, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&a;
        uv_ip4_name(four, ip, sizeof(ip));
        snprintf(c->peer, sizeof(c->peer), "%s:%d", ip, ntohs(four->sin_port));
    }
}

static void accept_one(HttpListener *listener) {
    HttpServer *s = listener->server;
    HttpConn *c = NEW(HttpConn);
    c->server = s;
    c->tcp.data = c;
    uv_tcp_init(loop_uv(s->loop), &c->tcp);
    c->parser = http_parser_new((size_t)s->options.header_bytes_max);
    loop_timer_init(&c->timer, s->loop, on_timeout, c);
    c->next = s->conns;
    if (c->next) {
        c->next->prev = c;
    }
    s->conns = c;
    s->n_conns++;
    s->n_alive++;
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&c->tcp) < 0) {
        conn_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    c->idle_since_ns = clock_mono_ns();
    name_peer(c);
    if (s->options.tls && !(c->tls = tls_session_new(s->options.tls))) {
        conn_close(c);
        return;
    }
    set_timeout(c, c->tls ? s->options.handshake_timeout_ms : s->options.read_timeout_ms);
    watch_reading(c);
}

/*
 * Room for a client that has something to say: of those that have said nothing for a while, neither
 * a part of a request nor one that is being answered, the one that was silent longest has to go. A
 * client with keep-alive expects that at any time. When all have only just come, another look is
 * taken later.
 */
static HttpConn *longest_idle(HttpServer *s) {
    HttpConn *longest = NULL;
    for (HttpConn *c = s->conns; c; c = c->next) {
        bool idle = !c->current && !c->lingering && c->in.n == 0 && !http_parser_begun(c->parser);
        if (idle && (!longest || c->idle_since_ns < longest->idle_since_ns)) {
            longest = c;
        }
    }
    return longest;
}

static void look_for_room(void *arg) {
    HttpServer *s = arg;
    bool waiting = false;
    for (size_t i = 0; i < s->listeners.n; i++) {
        waiting |= s->listeners.v[i]->waiting;
    }
    if (!waiting || s->stopping) {
        return;
    }
    HttpConn *c = longest_idle(s);
    int64_t silent_ms = c ? (clock_mono_ns() - c->idle_since_ns) / 1000000 : 0;
    if (c && silent_ms >= IDLE_GRACE_MS) {
        conn_close(c); /* accepts what waits */
    } else {
        loop_timer_after(&s->room_timer, IDLE_GRACE_MS - silent_ms);
    }
}

void http_server_init_room(HttpServer *s) {
    loop_timer_init(&s->room_timer, s->loop, look_for_room, s);
}

void http_listener_on_connection(uv_stream_t *h, int status) {
    HttpListener *listener = h->data;
    HttpServer *s = listener->server;
    if (status < 0 || s->stopping) {
        return;
    }
    if (!pthread_equal(s->thread, pthread_self())) {
        s->thread = pthread_self();
    }
    if (s->n_conns >= s->options.connections_max) {
        listener->waiting = true; /* libuv stops listening until this one is accepted */
        look_for_room(s);
        return;
    }
    accept_one(listener);
}

static void accept_waiting(HttpServer *s) {
    for (size_t i = 0; i < s->listeners.n && s->n_conns < s->options.connections_max; i++) {
        HttpListener *listener = s->listeners.v[i];
        if (listener->waiting && !s->stopping) {
            listener->waiting = false;
            accept_one(listener);
        }
    }
}
