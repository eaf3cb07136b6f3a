#include "net/http_tls_session.h"

#include <openssl/err.h>
#include <stdio.h>

#include "base/mem.h"
#include "net/http_tls_private.h"

#define WRITE_BYTES ((size_t)64 * 1024)

struct TlsSession {
    HttpTls *tls;
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool failed, closed;
    char error[160];
};

TlsSession *tls_session_new(HttpTls *t) {
    TlsSession *s = NEW(TlsSession);
    s->tls = http_tls_ref(t);
    s->ssl = SSL_new(http_tls_context(t));
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    if (!s->ssl || !s->in || !s->out) {
        BIO_free(s->in);
        BIO_free(s->out);
        SSL_free(s->ssl);
        http_tls_unref(s->tls);
        mem_free(s);
        return NULL;
    }
    BIO_set_mem_eof_return(s->in, -1); /* empty is "not yet", not the end */
    SSL_set_bio(s->ssl, s->in, s->out);
    SSL_set_accept_state(s->ssl);
    return s;
}

void tls_session_free(TlsSession *s) {
    if (s) {
        SSL_free(s->ssl);
        http_tls_unref(s->tls);
        mem_free(s);
    }
}

void tls_session_feed(TlsSession *s, const char *p, size_t n) { BIO_write(s->in, p, (int)n); }

static TlsRead note_failure(TlsSession *s) {
    unsigned long e = ERR_peek_error();
    int reason = ERR_GET_REASON(e);
    const char *words = ERR_reason_error_string(e);
    s->failed = true;
    snprintf(s->error, sizeof(s->error), "%s", words ? words : "unknown error");
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(s->error, sizeof(s->error), "%s: %s", words,
                 X509_verify_cert_error_string(SSL_get_verify_result(s->ssl)));
    }
    ERR_clear_error();
    return reason == SSL_R_HTTP_REQUEST ? TLS_READ_PLAIN : TLS_READ_ERROR;
}

TlsRead tls_session_read(TlsSession *s, char *dst, size_t size, size_t *ret_n) {
    *ret_n = 0;
    if (s->failed) {
        return TLS_READ_ERROR;
    }
    ERR_clear_error();
    int n = SSL_read(s->ssl, dst, (int)size);
    if (n > 0) {
        *ret_n = (size_t)n;
        return TLS_READ_DATA;
    }
    switch (SSL_get_error(s->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return TLS_READ_MORE;
    case SSL_ERROR_ZERO_RETURN: return TLS_READ_END;
    default: return note_failure(s);
    }
}

int tls_session_write(TlsSession *s, Str plain, Buf *out) {
    size_t at = 0;
    if (s->failed || s->closed) {
        return -EPIPE;
    }
    ERR_clear_error();
    while (at < plain.n) {
        size_t n = MIN(plain.n - at, WRITE_BYTES);
        int w = SSL_write(s->ssl, plain.p + at, (int)n);
        if (w <= 0) {
            note_failure(s);
            return -EPIPE;
        }
        at += (size_t)w;
        tls_session_drain(s, out);
    }
    return 0;
}

void tls_session_drain(TlsSession *s, Buf *out) {
    char *p;
    long n = BIO_get_mem_data(s->out, &p);
    if (n > 0) {
        buf_add(out, p, (size_t)n);
        (void)BIO_reset(s->out);
    }
}

void tls_session_close(TlsSession *s, Buf *out) {
    if (!s->failed && !s->closed && SSL_is_init_finished(s->ssl)) {
        s->closed = true;
        ERR_clear_error();
        SSL_shutdown(s->ssl);
        ERR_clear_error();
    }
    tls_session_drain(s, out);
}

bool tls_session_established(const TlsSession *s) { return SSL_is_init_finished(s->ssl); }

const char *tls_session_error(const TlsSession *s) { return s->error; }
