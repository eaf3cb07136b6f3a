/*
 * TLS of the HTTP server: certificate, rules for client certificates, versions and suites, made
 * once from PEM text and then immutable, so that a renewed certificate is another HttpTls and
 * connections keep the one they began with. Counted; any thread. Only src/net includes OpenSSL.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

typedef struct HttpTls HttpTls;

/* What is asked of clients; the order and the meaning are those of Go's crypto/tls. */
typedef enum HttpClientAuth {
    HTTP_CLIENT_AUTH_NONE,
    HTTP_CLIENT_AUTH_REQUEST,         /* a certificate is asked for, whatever it is */
    HTTP_CLIENT_AUTH_REQUIRE_ANY,     /* there must be one, whatever it is */
    HTTP_CLIENT_AUTH_VERIFY_IF_GIVEN, /* if there is one, the client CA must have signed it */
    HTTP_CLIENT_AUTH_REQUIRE_VERIFY,
} HttpClientAuth;

typedef struct HttpTlsServerConfig {
    Str cert, key;      /* PEM; the chain behind the leaf */
    Str client_ca;      /* PEM */
    bool client_ca_set; /* else the system's CAs verify clients */
    HttpClientAuth client_auth;
    const Str *allowed_sans; /* one of them must be a SAN of the client's certificate */
    size_t n_allowed_sans;
    const Str *ciphers; /* Go's names; empty = Go's defaults. TLS 1.3 always has its three */
    size_t n_ciphers;
    const Str *curves; /* Go's names; empty = Go's defaults */
    size_t n_curves;
    int min_version, max_version; /* 10, 11, 12, 13 */
    bool prefer_server_ciphers;
} HttpTlsServerConfig;

/* A Problem says what is wrong with certificate or key. */
int http_tls_new(const HttpTlsServerConfig *c, HttpTls **ret, Problem *problem);
HttpTls *http_tls_ref(HttpTls *t);
void http_tls_unref(HttpTls *t);

/* By Go's names. */
bool http_tls_cipher_known(Str name);
bool http_tls_curve_known(Str name);
