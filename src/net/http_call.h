/*
 * One outgoing request, private to the HTTP client's three files (and with them the only place
 * that includes libcurl): http_client.c drives libcurl from the loop, http_call_setup.c turns a
 * request into options, http_call_error.c words failures. Loop thread only.
 */
#pragma once

#include <curl/curl.h>

#include "net/http_client.h"

#define HTTP_REDIRECTS_MAX 10

struct HttpCall {
    HttpClient *client;
    CURL *easy;
    HttpCall *prev, *next; /* among the client's calls under way, or its idle ones (next only) */
    void (*fn)(void *arg, HttpCallResult *r);
    void *arg;
    struct curl_slist *headers, *connect_to;
    Arena arena; /* strings of this call */
    Buf body;    /* of the answer */
    uint64_t body_max;
    size_t header_bytes; /* of the answer so far */
    char method[12];
    Str url;
    Str status_text, content_type, content_encoding, retry_after;
    char *setup_error; /* why it could not even be started */
    char curl_error[CURL_ERROR_SIZE];
    int64_t start_ns;
    bool too_large, finishing, added;
};

/* Sets every option of a fresh easy handle; on failure setup_error says why. */
int http_call_setup(HttpCall *c, const HttpCallRequest *r);
/* A system error in Go's words, terminated, in the call's arena. */
Str http_errno_words(HttpCall *c, long e);
/* The text of a failed call, in the call's arena. */
const char *http_call_error(HttpCall *c, CURLcode code);
