/*
 * One outgoing request, private to the HTTP client's four files (and with them the only place
 * that includes libcurl): http_client.c drives libcurl from the loop, http_call_setup.c turns a
 * request into options, http_call_secrets.c reads files, http_call_error.c words failures. Loop
 * thread only.
 */
#pragma once

#include <curl/curl.h>

#include "net/http_client.h"

struct uv_loop_s;
typedef struct HttpSecrets HttpSecrets;

/* What a call may find in files. */
typedef enum HttpSecretKind {
    HTTP_SECRET_USERNAME,
    HTTP_SECRET_PASSWORD,
    HTTP_SECRET_CREDENTIALS,
    HTTP_SECRET_CA,
    HTTP_SECRET_CERT,
    HTTP_SECRET_KEY,
    HTTP_SECRETS
} HttpSecretKind;

#define HTTP_REDIRECTS_MAX 10

struct HttpCall {
    HttpClient *client;
    CURL *easy;
    HttpCall *prev, *next; /* among the client's calls under way, or its idle ones (next only) */
    void (*fn)(void *arg, HttpCallResult *r);
    void *arg;
    bool (*on_part)(void *arg, Buf *body);
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
    HttpSecrets *reading;      /* files on their way */
    Str secrets[HTTP_SECRETS]; /* their texts */
    HttpClientConfig config;   /* for http_call_setup_secrets(), where there are files */
    bool has_host;             /* a Host header was given */
    bool too_large, finishing, added;
};

/* Sets every option of a fresh easy handle but what http_call_setup_secrets() sets. */
void http_call_setup(HttpCall *c, const HttpCallRequest *r);
/* Authentication and TLS; the last to be called. */
void http_call_setup_secrets(HttpCall *c, const HttpClientConfig *f);
/* Begins to read the files of f; done() is called on the loop thread, c->secrets or
 * c->setup_error set. False when there are none. */
bool http_call_read_secrets(HttpCall *c, const HttpClientConfig *f, struct uv_loop_s *uv,
                            void (*done)(HttpCall *c));
/* done() will not be called. */
void http_call_forget_secrets(HttpCall *c);
/* A copy in c->config of what http_call_setup_secrets() needs. */
void http_call_keep_config(HttpCall *c, const HttpClientConfig *f);
/* A system error in Go's words, terminated, in the call's arena. */
Str http_errno_words(HttpCall *c, long e);
/* The text of a failed call, in the call's arena. */
const char *http_call_error(HttpCall *c, CURLcode code);
