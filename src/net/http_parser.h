/*
 * One HTTP/1 request out of a stream of bytes: the door to llhttp. The head (request line and
 * headers) is collected whole and checked line by line with our own eyes before llhttp sees it, so
 * that two readings of it are never possible: no folded lines, no space before a colon, no bare CR
 * or LF, one Content-Length at most and never beside Transfer-Encoding, exactly one Host. llhttp
 * then decides on method, version, connection and the framing of the body. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/http_client.h" /* HttpHeader */

#define HTTP_HEADERS_MAX 128

typedef enum HttpParseState {
    HTTP_PARSE_MORE = 0, /* all bytes were used, more are needed */
    HTTP_PARSE_HEAD = 1, /* the head is complete: set body_max and go on */
    HTTP_PARSE_DONE = 2, /* the request is complete */
    /* or a status code from 400 on: refuse the request with it and close */
} HttpParseState;

typedef struct HttpParser HttpParser;

HttpParser *http_parser_new(size_t head_max);
void http_parser_free(HttpParser *p);
/* Ready for the next request of the connection. */
void http_parser_reset(HttpParser *p);
/* Feeds n bytes; *ret_used says how many belong to this request. Call again with the rest after
 * HTTP_PARSE_HEAD. */
int http_parser_feed(HttpParser *p, const char *data, size_t n, size_t *ret_used);
/* Any byte of the request has come. */
bool http_parser_begun(const HttpParser *p);

/* Once the head is complete; strings live until the next reset. */
typedef struct HttpRequestHead {
    Str method, target;
    const HttpHeader *headers;
    size_t n_headers;
    bool http10, keep_alive, expect_continue, has_body;
    uint64_t content_length; /* 0 when chunked */
} HttpRequestHead;
const HttpRequestHead *http_parser_head(const HttpParser *p);
/* The ceiling on the body (413); to be set at HTTP_PARSE_HEAD. */
void http_parser_body_max(HttpParser *p, uint64_t max);
/* The head's bytes and the body, whose memory the caller may take (steal the Buf). */
Buf *http_parser_head_buf(HttpParser *p);
Buf *http_parser_body_buf(HttpParser *p);
