#include "base/mem.h"
#include "net/http_parser.h"
#include "support/test.h"

/* Feeds `text` in pieces of `step` bytes: DONE, MORE or the refusing status. */
static int parse(HttpParser *p, Str text, size_t step, size_t *ret_used) {
    size_t at = 0;
    http_parser_reset(p);
    while (at < text.n) {
        size_t used, n = text.n - at < step ? text.n - at : step;
        int r = http_parser_feed(p, text.p + at, n, &used);
        at += used;
        if (r == HTTP_PARSE_HEAD) {
            r = http_parser_feed(p, text.p + at, n - used, &used);
            at += used;
        }
        if (r != HTTP_PARSE_MORE) {
            *ret_used = at;
            return r;
        }
    }
    *ret_used = at;
    return HTTP_PARSE_MORE;
}

static int outcome(const char *text) {
    HttpParser *p = http_parser_new(1000);
    size_t used;
    int whole = parse(p, str_of(text), SIZE_MAX, &used);
    int bytes = parse(p, str_of(text), 1, &used);
    if (whole != bytes) {
        test_fail(__FILE__, __LINE__, "%s: whole %d, bytewise %d", text, whole, bytes);
    }
    http_parser_free(p);
    return whole;
}

#define H "Host: a\r\n"

TEST (requests_are_taken_apart) {
    HttpParser *p = http_parser_new(1000);
    Str text = STR("POST /a?b=c HTTP/1.1\r\n" H "X-Y:  z \r\nContent-Length: 5\r\n\r\nhelloGET /");
    for (size_t step = 1; step < text.n; step++) {
        size_t used;
        CHECK_INT(parse(p, text, step, &used), HTTP_PARSE_DONE);
        CHECK_INT(used, text.n - 5);
        const HttpRequestHead *h = http_parser_head(p);
        CHECK_STR(h->method, STR("POST"));
        CHECK_STR(h->target, STR("/a?b=c"));
        CHECK(h->keep_alive && h->has_body && h->n_headers == 3);
        CHECK_STR(h->headers[1].name, STR("X-Y"));
        CHECK_STR(h->headers[1].value, STR("z"));
        CHECK_STR(buf_str(http_parser_body_buf(p)), STR("hello"));
    }
    size_t used;
    text = STR("PUT / HTTP/1.1\r\n" H
               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    for (size_t step = 1; step <= text.n; step++) {
        CHECK_INT(parse(p, text, step, &used), HTTP_PARSE_DONE);
        CHECK_STR(buf_str(http_parser_body_buf(p)), STR("abcde"));
    }
    for (size_t n = 1; n < text.n; n++) {
        CHECK_INT(parse(p, str_upto(text, n), SIZE_MAX, &used), HTTP_PARSE_MORE);
    }
    http_parser_free(p);
}

TEST (connection_rules) {
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {{"GET / HTTP/1.1\r\n" H "\r\n", true},
                 {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
                 {"GET / HTTP/1.0\r\n\r\n", false},
                 {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
                 {"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        HttpParser *p = http_parser_new(1000);
        size_t used;
        CHECK_INT(parse(p, str_of(cases[i].text), SIZE_MAX, &used), HTTP_PARSE_DONE);
        CHECK_INT(http_parser_head(p)->keep_alive, cases[i].keep);
        http_parser_free(p);
    }
}

TEST (two_readings_are_never_possible) {
    static const char *bad[] = {
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n",
        "GET / HTTP/1.1\r\n X: a\r\n" H "\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\na",
        "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\na",
        "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" H
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" H H "\r\n",
        "GET / HTTP/1.1\n" H "\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X\r\n\r\n",
        "GET / HTTP/1.1\r\n" H ": a\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n",
        "GET  / HTTP/1.1\r\n" H "\r\n",
        "GET / x HTTP/1.1\r\n" H "\r\n",
        "GET /\tx HTTP/1.1\r\n" H "\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n" H "\r\n",
        "GET / http/1.1\r\n" H "\r\n",
        "G@T / HTTP/1.1\r\n" H "\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int r = outcome(bad[i]);
        if (r != 400) {
            test_fail(__FILE__, __LINE__, "%s: %d", bad[i], r);
        }
    }
    HttpParser *p = http_parser_new(1000);
    size_t used;
    CHECK_INT(parse(p, STR("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"), SIZE_MAX, &used), 400);
    http_parser_free(p);
}

TEST (ceilings_refuse_with_their_own_status) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "GET /");
    for (int i = 0; i < 1200; i++) {
        buf_add_char(&b, 'x');
    }
    CHECK_INT(outcome(buf_cstr(&b)), 414);
    buf_reset(&b);
    buf_add_cstr(&b, "GET / HTTP/1.1\r\n" H "X: ");
    for (int i = 0; i < 1200; i++) {
        buf_add_char(&b, 'x');
    }
    CHECK_INT(outcome(buf_cstr(&b)), 431);
    buf_reset(&b);
    buf_add_cstr(&b, "GET / HTTP/1.1\r\n" H);
    for (int i = 0; i < HTTP_HEADERS_MAX; i++) {
        buf_add_cstr(&b, "a:\r\n");
    }
    buf_add_cstr(&b, "\r\n");
    CHECK_INT(outcome(buf_cstr(&b)), 431);

    HttpParser *p = http_parser_new(1000);
    const char *head = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n";
    size_t used;
    CHECK_INT(http_parser_feed(p, head, strlen(head), &used), HTTP_PARSE_HEAD);
    http_parser_body_max(p, 5);
    CHECK_INT(http_parser_feed(p, "5\r\nabcde\r\n", 10, &used), HTTP_PARSE_MORE);
    CHECK_INT(http_parser_feed(p, "1\r\nf\r\n", 6, &used), 413);
    http_parser_free(p);
}
