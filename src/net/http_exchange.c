#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_server_private.h"

#define UNSENT_BYTES_MAX ((uint64_t)1 << 20)
#define PIECE_BYTES ((size_t)64 * 1024)
/* Below this a packet is a packet, compressed or not. */
#define COMPRESS_BYTES_MIN 1400
#define COMPRESS_LEVEL 3
#define ARENA_BYTES_MAX ((size_t)256 << 20)

static Exchange *of(HttpExchange *x) { return CONTAINER_OF(x, Exchange, x); }

Exchange *exchange_new(HttpServer *s, HttpConn *c, HttpParser *p) {
    Exchange *e = NEW(Exchange);
    const HttpRequestHead *h = http_parser_head(p);
    e->server = s;
    e->conn = c;
    e->x.arena = ARENA_INIT(ARENA_BYTES_MAX);
    e->x.start_ns = clock_mono_ns();
    e->x.path = e->x.raw_query = e->x.wildcard = STR("");
    e->http10 = h->http10;
    e->x.method = http_method_of(h->method);
    e->head_only = e->x.method == HTTP_HEAD;
    if (h->headers && h->n_headers) {
        e->headers = mem_dup(h->headers, h->n_headers * sizeof(*h->headers));
        e->x.n_headers = h->n_headers;
    }
    e->x.headers = e->headers;
    e->head_buf = *http_parser_head_buf(p);
    *http_parser_head_buf(p) = BUF_INIT(0);
    e->body_buf = *http_parser_body_buf(p);
    *http_parser_body_buf(p) = BUF_INIT(0);
    e->body_held = c->body_held;
    c->body_held = 0;
    e->x.body = str_n(e->body_buf.p ? e->body_buf.p : "", e->body_buf.n);
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->drained, NULL);
    s->n_alive++;
    return e;
}

static void exchange_free(Exchange *e) {
    HttpServer *s = e->server;
    deflate_stream_free(e->deflate);
    buf_deinit(&e->head_buf);
    buf_deinit(&e->body_buf);
    s->body_bytes -= e->body_held;
    buf_deinit(&e->piece);
    buf_deinit(&e->out);
    arena_deinit(&e->x.arena);
    mem_free(e->headers);
    pthread_cond_destroy(&e->drained);
    pthread_mutex_destroy(&e->mutex);
    mem_free(e);
    http_server_release(s);
}

/* ---- the loop's side ---- */

static void count(Exchange *e) {
    HttpRouteMetrics *m = e->metrics;
    if (!m) {
        return;
    }
    if (e->status == 200) {
        metric_inc(m->ok);
    } else {
        char labels[256];
        snprintf(labels, sizeof(labels), "code=\"%d\",handler=\"%s\"", e->status, m->name);
        metric_inc(
            metric_counter("prometheus_http_requests_total", "Counter of HTTP requests.", labels));
    }
    metric_observe(m->duration, (double)(clock_mono_ns() - e->x.start_ns) / 1e9);
    metric_observe(m->size, (double)e->sent);
}

static void finish(Exchange *e) {
    HttpConn *c = e->conn;
    bool keep_alive = e->keep_alive;
    count(e);
    exchange_free(e);
    if (c) {
        conn_exchange_over(c, keep_alive);
    }
}

/* Moves what is ready to the socket. */
static void collect(void *arg) {
    Exchange *e = arg;
    pthread_mutex_lock(&e->mutex);
    Buf bytes = e->out;
    e->out = BUF_INIT(0);
    bool ended = e->ended;
    e->posted = false;
    if (!e->conn) {
        e->unsent = 0;
        pthread_cond_broadcast(&e->drained);
    }
    pthread_mutex_unlock(&e->mutex);
    if (e->conn && bytes.n) {
        e->writes++;
        conn_send(e->conn, e, &bytes);
    }
    buf_deinit(&bytes);
    if (ended && e->writes == 0) {
        finish(e);
    }
}

void exchange_sent(Exchange *e, uint64_t n) {
    e->writes--;
    e->sent += n;
    pthread_mutex_lock(&e->mutex);
    e->unsent -= MIN(n, e->unsent);
    bool over = e->ended && !e->posted && e->writes == 0;
    pthread_cond_broadcast(&e->drained);
    pthread_mutex_unlock(&e->mutex);
    if (over) {
        finish(e);
    }
}

void exchange_lose_conn(Exchange *e) {
    e->conn = NULL;
    atomic_store(&e->x.gone, true);
    pthread_mutex_lock(&e->mutex);
    bool over = e->ended && !e->posted && e->writes == 0;
    pthread_cond_broadcast(&e->drained);
    pthread_mutex_unlock(&e->mutex);
    if (over) {
        finish(e);
    }
}

/* ---- the answering thread's side ---- */

static bool on_loop_thread(const Exchange *e) {
    return pthread_equal(pthread_self(), e->server->thread);
}

/* Gives bytes (emptied) to the loop. After end == true the exchange may be gone at any moment. */
static void hand_over(Exchange *e, Buf *bytes, bool end) {
    bool here = on_loop_thread(e);
    pthread_mutex_lock(&e->mutex);
    e->unsent += bytes->n;
    if (e->out.n == 0) {
        Buf empty = e->out;
        e->out = *bytes;
        *bytes = empty;
    } else {
        buf_add_str(&e->out, buf_str(bytes));
    }
    buf_reset(bytes);
    e->ended = end;
    bool post = !e->posted;
    e->posted = true;
    Loop *l = e->server->loop;
    pthread_mutex_unlock(&e->mutex);
    if (post && here) {
        collect(e);
    } else if (post) {
        loop_post(l, collect, e);
    }
}

static const char *status_words(int status) {
    static const struct {
        int status;
        const char *words;
    } known[] = {{100, "Continue"},
                 {200, "OK"},
                 {201, "Created"},
                 {202, "Accepted"},
                 {204, "No Content"},
                 {301, "Moved Permanently"},
                 {302, "Found"},
                 {303, "See Other"},
                 {304, "Not Modified"},
                 {307, "Temporary Redirect"},
                 {308, "Permanent Redirect"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {406, "Not Acceptable"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {410, "Gone"},
                 {413, "Request Entity Too Large"},
                 {414, "Request URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {422, "Unprocessable Entity"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].status == status) {
            return known[i].words;
        }
    }
    return status == 499 ? "status code 499" : "Unknown";
}

static void add_date(Buf *b) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm t;
    gmtime_r(&now, &t);
    buf_addf(b, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday, t.tm_mday,
             months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Reference 3.012. */
static void add_cors(const Exchange *e, Buf *b) {
    if (!e->is_api) {
        return;
    }
    buf_add_cstr(b, "Vary: Origin\r\n");
    Str origin = http_header(&e->x, "origin");
    if (!origin.n || !e->server->cors) {
        return;
    }
    bool any = str_eqc(regex_pattern(e->server->cors), ".*");
    if (any || regex_match(e->server->cors, origin)) {
        Str shown = any ? STR("*") : origin;
        buf_addf(b,
                 "Access-Control-Allow-Headers: Accept, Authorization, Content-Type, Origin\r\n"
                 "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
                 "Access-Control-Allow-Origin: %.*s\r\n"
                 "Access-Control-Expose-Headers: Date\r\n",
                 SA(shown));
    }
}

static bool has_header(const HttpAnswer *a, Str name) {
    for (size_t i = 0; i < a->n_headers; i++) {
        if (str_eq_nocase(a->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

typedef enum Coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE } Coding;
static const char *const coding_names[] = {NULL, "gzip", "deflate"};

/* The first encoding of the list that we have; "q=0" takes one out. */
static Coding accepted_coding(const HttpExchange *x, const HttpAnswer *a) {
    Str list = http_header(x, "accept-encoding"), one;
    if (a->no_compress || has_header(a, STR("content-encoding"))) {
        return CODING_NONE;
    }
    while (str_split_next(&list, ',', &one)) {
        size_t semicolon = str_find(one, ';');
        Str name = str_trim(str_upto(one, semicolon));
        Str weight = semicolon < one.n ? str_trim(str_from(one, semicolon + 1)) : STR("");
        bool never = str_eqc(weight, "q=0") || str_eqc(weight, "q=0.0");
        for (Coding c = CODING_GZIP; c <= CODING_DEFLATE && !never; c++) {
            if (str_eqc(name, coding_names[c])) {
                return c;
            }
        }
    }
    return CODING_NONE;
}

static bool has_body(const Exchange *e) {
    return e->status >= 200 && e->status != 204 && e->status != 304;
}

/* Everything up to the empty line; length < 0: not known. */
static void write_head(Exchange *e, const HttpAnswer *a, Coding coding, bool varies, int64_t length,
                       Buf *b) {
    buf_addf(b, "HTTP/1.1 %d %s\r\n", a->status, status_words(a->status));
    if (a->content_type) {
        buf_addf(b, "Content-Type: %s\r\n", a->content_type);
    }
    for (size_t i = 0; i < a->n_headers; i++) {
        buf_addf(b, "%.*s: %.*s\r\n", SA(a->headers[i].name), SA(a->headers[i].value));
    }
    for (size_t i = 0; i < e->x.n_extra; i++) {
        if (!has_header(a, e->x.extra[i].name)) {
            buf_addf(b, "%.*s: %.*s\r\n", SA(e->x.extra[i].name), SA(e->x.extra[i].value));
        }
    }
    add_cors(e, b);
    if (varies) {
        buf_add_cstr(b, "Vary: Accept-Encoding\r\n");
    }
    if (coding) {
        buf_addf(b, "Content-Encoding: %s\r\n", coding_names[coding]);
    }
    add_date(b);
    if (length >= 0 && has_body(e)) {
        buf_addf(b, "Content-Length: %lld\r\n", (long long)length);
    } else if (e->chunked) {
        buf_add_cstr(b, "Transfer-Encoding: chunked\r\n");
    }
    if (!e->keep_alive) {
        buf_add_cstr(b, "Connection: close\r\n");
    } else if (e->http10) {
        buf_add_cstr(b, "Connection: keep-alive\r\n");
    }
    buf_add(b, "\r\n", 2);
}

static void begin(Exchange *e, const HttpAnswer *a) {
    assert(!e->begun);
    e->begun = true;
    e->status = a->status;
}

void http_respond(HttpExchange *x, const HttpAnswer *a, Str body) {
    Exchange *e = of(x);
    begin(e, a);
    Buf bytes = BUF_INIT(0), packed = BUF_INIT(0);
    Coding coding = accepted_coding(x, a);
    bool varies = coding != CODING_NONE;
    if (body.n < COMPRESS_BYTES_MIN || !has_body(e)) {
        coding = CODING_NONE;
    }
    if (coding) {
        int r = coding == CODING_GZIP ? gzip_encode(body, COMPRESS_LEVEL, &packed)
                                      : deflate_encode(body, COMPRESS_LEVEL, &packed);
        coding = r < 0 ? CODING_NONE : coding;
        body = r < 0 ? body : buf_str(&packed);
    }
    write_head(e, a, coding, varies, (int64_t)body.n, &bytes);
    if (has_body(e) && !e->head_only) {
        buf_add_str(&bytes, body);
    }
    hand_over(e, &bytes, true);
    buf_deinit(&bytes);
    buf_deinit(&packed);
}

void http_respond_text(HttpExchange *x, int status, const char *fmt, ...) {
    static const HttpHeader plain[] = {{STR("X-Content-Type-Options"), STR("nosniff")}};
    HttpAnswer a = {.status = status,
                    .content_type = "text/plain; charset=utf-8",
                    .headers = plain,
                    .n_headers = ARRAY_LEN(plain)};
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    buf_add_char(&text, '\n');
    http_respond(x, &a, buf_str(&text));
}

void exchange_refuse(Exchange *e, int status) {
    static const HttpHeader later = {STR("Retry-After"), STR("1")};
    e->keep_alive = false;
    if (status == 503) {
        e->x.extra = &later;
        e->x.n_extra = 1;
    }
    http_respond_text(&e->x, status, "%d %s", status, status_words(status));
}

void http_stream_begin(HttpExchange *x, const HttpAnswer *a) {
    Exchange *e = of(x);
    begin(e, a);
    Coding coding = has_body(e) ? accepted_coding(x, a) : CODING_NONE;
    e->chunked = !e->http10 && has_body(e);
    /* Without chunks only the end of the connection can end the body. */
    e->keep_alive = e->keep_alive && (e->chunked || !has_body(e));
    if (coding) {
        e->deflate = deflate_stream_new(
            coding == CODING_GZIP ? DEFLATE_FORMAT_GZIP : DEFLATE_FORMAT_ZLIB, COMPRESS_LEVEL);
    }
    CLEANUP(buf_deinit) Buf head = BUF_INIT(0);
    write_head(e, a, coding, coding != CODING_NONE, -1, &head);
    hand_over(e, &head, false);
}

/* Frames the piece as a chunk and gives it away. */
static void give_piece(Exchange *e, bool end) {
    CLEANUP(buf_deinit) Buf bytes = BUF_INIT(0);
    if (e->head_only || !has_body(e)) {
        buf_reset(&e->piece);
    }
    if (e->chunked && !e->head_only) {
        if (e->piece.n) {
            buf_addf(&bytes, "%zx\r\n", e->piece.n);
            buf_add_str(&bytes, buf_str(&e->piece));
            buf_add(&bytes, "\r\n", 2);
        }
        if (end) {
            buf_add(&bytes, "0\r\n\r\n", 5);
        }
    } else {
        buf_add_str(&bytes, buf_str(&e->piece));
    }
    buf_reset(&e->piece);
    if (bytes.n || end) {
        hand_over(e, &bytes, end);
    }
}

/* A worker waits here for a slow reader; the loop thread never does. */
static int wait_for_room(Exchange *e) {
    if (!on_loop_thread(e)) {
        pthread_mutex_lock(&e->mutex);
        while (e->unsent > UNSENT_BYTES_MAX && !atomic_load(&e->x.gone)) {
            pthread_cond_wait(&e->drained, &e->mutex);
        }
        pthread_mutex_unlock(&e->mutex);
    }
    return atomic_load(&e->x.gone) ? -ECANCELED : 0;
}

int http_stream_write(HttpExchange *x, Buf *b) {
    Exchange *e = of(x);
    int r = 0;
    if (e->deflate) {
        r = deflate_stream_write(e->deflate, buf_str(b), &e->piece);
    } else {
        buf_add_str(&e->piece, buf_str(b));
    }
    buf_reset(b);
    if (r < 0) {
        return err_trace(r);
    }
    if (e->piece.n >= PIECE_BYTES) {
        give_piece(e, false);
    }
    return wait_for_room(e);
}

int http_stream_flush(HttpExchange *x) {
    Exchange *e = of(x);
    if (e->deflate) {
        int r = deflate_stream_flush(e->deflate, &e->piece);
        if (r < 0) {
            return err_trace(r);
        }
    }
    give_piece(e, false);
    return wait_for_room(e);
}

uint64_t http_stream_unsent(HttpExchange *x) {
    Exchange *e = of(x);
    pthread_mutex_lock(&e->mutex);
    uint64_t n = e->unsent;
    pthread_mutex_unlock(&e->mutex);
    return n;
}

void http_stream_end(HttpExchange *x) {
    Exchange *e = of(x);
    if (e->deflate && deflate_stream_finish(e->deflate, &e->piece) < 0) {
        e->chunked =
            false; /* cannot be: its Buf has no ceiling; a cut body would tell the client */
    }
    give_piece(e, true);
}

/* ---- the request ---- */

Str http_header(const HttpExchange *x, const char *name) {
    Str want = str_of(name);
    for (size_t i = 0; i < x->n_headers; i++) {
        if (str_eq_nocase(x->headers[i].name, want)) {
            return x->headers[i].value;
        }
    }
    return STR_NULL;
}

Str http_param(const HttpExchange *x, const char *name) {
    size_t at = 0;
    Str v;
    return http_param_next(x, name, &at, &v) ? v : STR_NULL;
}

bool http_param_next(const HttpExchange *x, const char *name, size_t *at, Str *ret) {
    Str want = str_of(name);
    while (*at < x->n_params) {
        const HttpParam *p = &x->params[(*at)++];
        if (str_eq(p->name, want)) {
            *ret = p->value;
            return true;
        }
    }
    return false;
}
