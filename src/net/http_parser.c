#include "net/http_parser.h"

#include <assert.h>
#include <llhttp.h>

#include "base/mem.h"
#include "base/numtext.h"

#define URL_BYTES_MAX ((size_t)32 * 1024)

struct HttpParser {
    llhttp_t ll;
    llhttp_settings_t settings;
    size_t head_max;
    uint64_t body_max;
    Buf head, body;
    HttpHeader headers[HTTP_HEADERS_MAX];
    HttpRequestHead parsed;
    bool head_complete, complete, too_large;
};

/* ---- llhttp's callbacks ---- */

static int on_headers_complete(llhttp_t *ll) {
    ll->upgrade = 0; /* we speak nothing else */
    return 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t n) {
    HttpParser *p = ll->data;
    if (n > p->body_max - MIN(p->body_max, p->body.n)) {
        p->too_large = true;
        return -1;
    }
    buf_add(&p->body, at, n);
    return 0;
}

static int on_message_complete(llhttp_t *ll) {
    HttpParser *p = ll->data;
    p->complete = true;
    return HPE_PAUSED;
}

HttpParser *http_parser_new(size_t head_max) {
    HttpParser *p = NEW(HttpParser);
    p->head_max = head_max;
    llhttp_settings_init(&p->settings);
    p->settings.on_headers_complete = on_headers_complete;
    p->settings.on_body = on_body;
    p->settings.on_message_complete = on_message_complete;
    http_parser_reset(p);
    return p;
}

void http_parser_free(HttpParser *p) {
    if (p) {
        buf_deinit(&p->head);
        buf_deinit(&p->body);
        mem_free(p);
    }
}

void http_parser_reset(HttpParser *p) {
    llhttp_init(&p->ll, HTTP_REQUEST, &p->settings);
    p->ll.data = p;
    buf_reset(&p->head);
    buf_reset(&p->body);
    p->body_max = UINT64_MAX;
    p->parsed = (HttpRequestHead){0};
    p->head_complete = p->complete = p->too_large = false;
}

bool http_parser_begun(const HttpParser *p) { return p->head.n > 0; }
const HttpRequestHead *http_parser_head(const HttpParser *p) { return &p->parsed; }
void http_parser_body_max(HttpParser *p, uint64_t max) { p->body_max = max; }
Buf *http_parser_head_buf(HttpParser *p) { return &p->head; }
Buf *http_parser_body_buf(HttpParser *p) { return &p->body; }

/* ---- the head ---- */

static bool is_token(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* The next line without its CRLF; false when it ends otherwise or holds what no line may hold. */
static bool next_line(Str *rest, Str *ret) {
    size_t n = str_find(*rest, '\n');
    if (n == rest->n || n == 0 || rest->p[n - 1] != '\r') {
        return false;
    }
    Str line = str_upto(*rest, n - 1);
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    *ret = line;
    *rest = str_from(*rest, n + 1);
    return true;
}

static bool split_request_line(HttpParser *p, Str line) {
    size_t first = str_find(line, ' ');
    size_t last = line.n;
    while (last > 0 && line.p[last - 1] != ' ') {
        last--;
    }
    if (first == line.n || last <= first + 1) {
        return false;
    }
    p->parsed.method = str_upto(line, first);
    p->parsed.target = (Str){line.p + first + 1, last - 1 - (first + 1)};
    p->parsed.http10 = str_eqc(str_from(line, last), "HTTP/1.0");
    for (size_t i = 0; i < p->parsed.target.n; i++) {
        if (p->parsed.target.p[i] <= ' ' && p->parsed.target.p[i] >= 0) {
            return false;
        }
    }
    return p->parsed.http10 || str_eqc(str_from(line, last), "HTTP/1.1");
}

static bool split_header(Str line, HttpHeader *ret) {
    size_t n = 0;
    while (n < line.n && is_token(line.p[n])) {
        n++;
    }
    if (n == 0 || n == line.n || line.p[n] != ':') {
        return false;
    }
    *ret = (HttpHeader){str_upto(line, n), str_trim(str_from(line, n + 1))};
    return true;
}

/* What decides where the request ends must be said once and clearly. */
static bool check_framing(HttpParser *p) {
    HttpRequestHead *h = &p->parsed;
    unsigned lengths = 0, encodings = 0, hosts = 0;
    for (size_t i = 0; i < h->n_headers; i++) {
        Str name = h->headers[i].name, value = h->headers[i].value;
        if (str_eq_nocase(name, STR("content-length"))) {
            lengths++;
            if (!uint_parse(value, &h->content_length)) {
                return false;
            }
        } else if (str_eq_nocase(name, STR("transfer-encoding"))) {
            encodings++;
            if (!str_eq_nocase(value, STR("chunked"))) {
                return false;
            }
        } else if (str_eq_nocase(name, STR("host"))) {
            hosts++;
        } else if (str_eq_nocase(name, STR("expect"))) {
            h->expect_continue = str_eq_nocase(value, STR("100-continue"));
        }
    }
    h->has_body = encodings || h->content_length > 0;
    if (encodings && h->http10) {
        return false;
    }
    return lengths + encodings <= 1 && (hosts == 1 || (hosts == 0 && h->http10));
}

/* 0 or the status to refuse with. */
static int read_head(HttpParser *p) {
    Str rest = buf_str(&p->head), line;
    if (!next_line(&rest, &line) || !split_request_line(p, line)) {
        return 400;
    }
    if (p->parsed.target.n > URL_BYTES_MAX && p->parsed.target.n > p->head_max / 2) {
        return 414;
    }
    for (;;) {
        if (!next_line(&rest, &line)) {
            return 400;
        }
        if (line.n == 0) {
            break;
        }
        if (p->parsed.n_headers == HTTP_HEADERS_MAX) {
            return 431;
        }
        if (!split_header(line, &p->headers[p->parsed.n_headers])) {
            return 400;
        }
        p->parsed.n_headers++;
    }
    p->parsed.headers = p->headers;
    return check_framing(p) ? 0 : 400;
}

/* Appends bytes up to the empty line that ends the head; true when it is there. */
static bool take_head_bytes(HttpParser *p, const char *data, size_t n, size_t *ret_used) {
    size_t used = 0;
    /* Empty lines before a request are skipped (RFC 9112, 2.2). */
    while (p->head.n == 0 && used < n && (data[used] == '\r' || data[used] == '\n')) {
        used++;
    }
    while (used < n) {
        const char *lf = memchr(data + used, '\n', n - used);
        size_t end = lf ? (size_t)(lf - data) + 1 : n;
        buf_add(&p->head, data + used, end - used);
        used = end;
        size_t h = p->head.n;
        bool empty = lf && ((h >= 2 && p->head.p[h - 2] == '\n') ||
                            (h >= 3 && p->head.p[h - 2] == '\r' && p->head.p[h - 3] == '\n'));
        if (empty || h > p->head_max) {
            *ret_used = used;
            return empty;
        }
    }
    *ret_used = used;
    return false;
}

static int feed_head(HttpParser *p, const char *data, size_t n, size_t *ret_used) {
    bool whole = take_head_bytes(p, data, n, ret_used);
    if (p->head.n > p->head_max) {
        return memchr(p->head.p, '\n', p->head.n) ? 431 : 414;
    }
    if (!whole) {
        return HTTP_PARSE_MORE;
    }
    int status = read_head(p);
    if (status) {
        return status;
    }
    llhttp_errno_t e = llhttp_execute(&p->ll, p->head.p, p->head.n);
    if (e != HPE_OK && !(e == HPE_PAUSED && p->complete)) {
        return e == HPE_INVALID_VERSION ? 505 : 400;
    }
    /* Both readings of the framing must agree. */
    if (p->complete == p->parsed.has_body) {
        return 400;
    }
    p->head_complete = true;
    p->parsed.keep_alive = llhttp_should_keep_alive(&p->ll);
    return HTTP_PARSE_HEAD;
}

static int feed_body(HttpParser *p, const char *data, size_t n, size_t *ret_used) {
    if (!p->complete && p->parsed.content_length > p->body_max) {
        return 413;
    }
    if (!p->complete && n > 0) {
        llhttp_errno_t e = llhttp_execute(&p->ll, data, n);
        if (p->too_large) {
            return 413;
        }
        if (e != HPE_OK && !(e == HPE_PAUSED && p->complete)) {
            return 400;
        }
        *ret_used = e == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(&p->ll) - data) : n;
    }
    return p->complete ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}

int http_parser_feed(HttpParser *p, const char *data, size_t n, size_t *ret_used) {
    *ret_used = 0;
    return p->head_complete ? feed_body(p, data, n, ret_used) : feed_head(p, data, n, ret_used);
}
