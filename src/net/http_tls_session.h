/*
 * One TLS connection between two memory buffers: ciphertext is fed in and drained out by
 * http_conn.c, which owns the socket; OpenSSL never sees it. Loop thread only. A full handshake
 * costs about a signature (0.1 ms with ECDSA, 1 ms with RSA 2048) of the loop's time.
 */
#pragma once

#include "base/buf.h"
#include "net/http_tls.h"

typedef struct TlsSession TlsSession;

TlsSession *tls_session_new(HttpTls *t);
void tls_session_free(TlsSession *s);
/* Bytes from the socket. */
void tls_session_feed(TlsSession *s, const char *p, size_t n);

typedef enum TlsRead {
    TLS_READ_DATA,  /* *ret_n plain bytes */
    TLS_READ_MORE,  /* nothing until more is fed */
    TLS_READ_END,   /* the peer's close_notify */
    TLS_READ_PLAIN, /* a plain HTTP request instead of a handshake */
    TLS_READ_ERROR, /* see tls_session_error() */
} TlsRead;

/* Goes on with the handshake or takes plain bytes; after it tls_session_drain(). */
TlsRead tls_session_read(TlsSession *s, char *dst, size_t size, size_t *ret_n);
/* Encrypts behind what out holds. */
int tls_session_write(TlsSession *s, Str plain, Buf *out) NODISCARD;
/* What the session itself has to say: handshake, alerts. */
void tls_session_drain(TlsSession *s, Buf *out);
/* close_notify, once, if the handshake was over and nothing has failed. */
void tls_session_close(TlsSession *s, Buf *out);
bool tls_session_established(const TlsSession *s);
const char *tls_session_error(const TlsSession *s);
