#include "net/http_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/http_tls_private.h"

struct HttpTls {
    SSL_CTX *ctx;
    HttpClientAuth client_auth;
    char **sans;
    size_t n_sans;
    atomic_uint refs;
};

typedef struct Name {
    const char *go, *openssl;
} Name;

/* Go's crypto/tls.CipherSuites(), the ones before TLS 1.3 in the order Go prefers them. */
static const Name ciphers[] = {
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"},
};

/* Always there when TLS 1.3 is; in a list they are accepted and change nothing, as in Go. */
static const char *const ciphers13[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                        "TLS_CHACHA20_POLY1305_SHA256"};

static const Name curves[] = {
    {"X25519", "X25519"}, {"CurveP256", "P-256"}, {"CurveP384", "P-384"}, {"CurveP521", "P-521"}};

static const char *openssl_name(const Name *list, size_t n, Str go) {
    for (size_t i = 0; i < n; i++) {
        if (str_eqc(go, list[i].go)) {
            return list[i].openssl;
        }
    }
    return NULL;
}

bool http_tls_cipher_known(Str name) {
    for (size_t i = 0; i < ARRAY_LEN(ciphers13); i++) {
        if (str_eqc(name, ciphers13[i])) {
            return true;
        }
    }
    return openssl_name(ciphers, ARRAY_LEN(ciphers), name) != NULL;
}

bool http_tls_curve_known(Str name) {
    return openssl_name(curves, ARRAY_LEN(curves), name) != NULL;
}

/* "a:b:c" of the given names, of all when none is given. */
static void join_names(const Name *list, size_t n, const Str *given, size_t n_given, Buf *out) {
    for (size_t i = 0; i < (n_given ? n_given : n); i++) {
        const char *name = n_given ? openssl_name(list, n, given[i]) : list[i].openssl;
        if (name) {
            buf_addf(out, "%s%s", out->n ? ":" : "", name);
        }
    }
}

/* ---- certificate and key ---- */

static int no_password(char *dst, int size, int writing, void *arg) { return 0; }

static const char *openssl_words(void) {
    unsigned long e = ERR_peek_last_error();
    const char *words = ERR_reason_error_string(e);
    ERR_clear_error();
    return words ? words : "unknown error";
}

static BIO *reader(Str pem) { return BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n); }

static int use_chain(SSL_CTX *ctx, Str pem, Problem *problem) {
    BIO *in = reader(pem);
    X509 *leaf = PEM_read_bio_X509(in, NULL, no_password, NULL), *more;
    int r = 0;
    if (!leaf) {
        bool none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        r = problem_set(problem, 0, 0, "certificate: %s",
                        none ? "no PEM data found" : openssl_words());
    } else if (SSL_CTX_use_certificate(ctx, leaf) != 1) {
        r = problem_set(problem, 0, 0, "certificate: %s", openssl_words());
    }
    X509_free(leaf);
    while (r == 0 && (more = PEM_read_bio_X509(in, NULL, no_password, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, more) != 1) {
            X509_free(more);
            r = problem_set(problem, 0, 0, "certificate chain: %s", openssl_words());
        }
    }
    ERR_clear_error();
    BIO_free(in);
    return r;
}

static int use_key(SSL_CTX *ctx, Str pem, Problem *problem) {
    BIO *in = reader(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
    BIO_free(in);
    if (!key) {
        bool none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        const char *why = none ? "no private key found in the PEM data" : openssl_words();
        ERR_clear_error();
        return problem_set(problem, 0, 0, "key: %s", why);
    }
    int ok = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    return ok ? 0
              : problem_set(problem, 0, 0, "the key does not belong to the certificate: %s",
                            openssl_words());
}

/* ---- clients ---- */

/* What cannot be read is left out, as Go does: then nobody is trusted. */
static void trust_clients(SSL_CTX *ctx, Str pem) {
    X509_STORE *store = X509_STORE_new();
    BIO *in = reader(pem);
    X509 *ca;
    while ((ca = PEM_read_bio_X509(in, NULL, no_password, NULL))) {
        X509_STORE_add_cert(store, ca);
        SSL_CTX_add_client_CA(ctx, ca);
        X509_free(ca);
    }
    ERR_clear_error();
    BIO_free(in);
    /* Whatever stands in the file is an anchor, be it self-signed or not. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_cert_store(ctx, store);
}

static bool allowed(const HttpTls *t, const char *p, size_t n) {
    for (size_t i = 0; i < t->n_sans; i++) {
        if (str_eqc(str_n(p, n), t->sans[i])) {
            return true;
        }
    }
    return false;
}

static bool san_allowed(const HttpTls *t, const GENERAL_NAME *name) {
    char ip[INET6_ADDRSTRLEN];
    const ASN1_STRING *s;
    switch (name->type) {
    case GEN_DNS:
    case GEN_EMAIL:
    case GEN_URI:
        s = name->d.ia5;
        return allowed(t, (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
    case GEN_IPADD:
        s = name->d.iPAddress;
        return inet_ntop(ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(s),
                         ip, sizeof(ip)) &&
               (ASN1_STRING_length(s) == 4 || ASN1_STRING_length(s) == 16) &&
               allowed(t, ip, strlen(ip));
    default: return false;
    }
}

static bool has_allowed_san(const HttpTls *t, X509 *cert) {
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && !found; i++) {
        found = san_allowed(t, sk_GENERAL_NAME_value(names, i));
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* Called when the client has sent a certificate. */
static int verify_client(X509_STORE_CTX *chain, void *arg) {
    const HttpTls *t = arg;
    if (t->client_auth >= HTTP_CLIENT_AUTH_VERIFY_IF_GIVEN) {
        int r = X509_verify_cert(chain);
        if (r <= 0) {
            return r;
        }
    }
    if (t->n_sans && !has_allowed_san(t, X509_STORE_CTX_get0_cert(chain))) {
        X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return 1;
}

static void ask_clients(HttpTls *t, const HttpTlsServerConfig *c) {
    int mode = SSL_VERIFY_NONE;
    if (c->client_auth != HTTP_CLIENT_AUTH_NONE) {
        /* Names that must be there cannot be without a certificate. */
        bool must = c->client_auth == HTTP_CLIENT_AUTH_REQUIRE_ANY ||
                    c->client_auth == HTTP_CLIENT_AUTH_REQUIRE_VERIFY || c->n_allowed_sans;
        mode = SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    }
    if (c->client_ca_set) {
        trust_clients(t->ctx, c->client_ca);
    } else {
        SSL_CTX_set_default_verify_paths(t->ctx);
    }
    SSL_CTX_set_verify(t->ctx, mode, NULL);
    SSL_CTX_set_cert_verify_callback(t->ctx, verify_client, t);
}

/* ---- the rest ---- */

/* We speak HTTP/1.1. A client that offers protocols but not this one is told so, as Go does. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                           const unsigned char *in, unsigned in_n, void *arg) {
    static const unsigned char mine[] = "\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_n, mine, sizeof(mine) - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int version_number(int v) {
    static const int numbers[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    return v >= 10 && v <= 13 ? numbers[v - 10] : 0;
}

static int set_suites(SSL_CTX *ctx, const HttpTlsServerConfig *c, Problem *problem) {
    CLEANUP(buf_deinit) Buf names = BUF_INIT(0), groups = BUF_INIT(0);
    join_names(ciphers, ARRAY_LEN(ciphers), c->ciphers, c->n_ciphers, &names);
    join_names(curves, ARRAY_LEN(curves), c->curves, c->n_curves, &groups);
    int min = c->min_version;
    if (!names.n) {
        min = 13; /* a list of TLS 1.3's suites only: nothing is left for older versions */
    }
    /* TLS 1.0 and 1.1 sign with SHA-1, which higher levels refuse; whoever sets such a floor wants
     * them. Level 1 takes RSA keys from 1024 bits on, as Go does. */
    SSL_CTX_set_security_level(ctx, min < 12 ? 0 : 1);
    SSL_CTX_set_min_proto_version(ctx, version_number(min));
    SSL_CTX_set_max_proto_version(ctx, version_number(c->max_version));
    if ((names.n && SSL_CTX_set_cipher_list(ctx, buf_cstr(&names)) != 1) ||
        SSL_CTX_set1_groups_list(ctx, buf_cstr(&groups)) != 1) {
        return problem_set(problem, 0, 0, "cipher suites or curves: %s", openssl_words());
    }
    return 0;
}

static void set_options(SSL_CTX *ctx, const HttpTlsServerConfig *c) {
    static const unsigned char id[] = "narthex";
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 (c->prefer_server_ciphers ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0));
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Resumption by tickets only: nothing is kept here for a client that went away. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
}

int http_tls_new(const HttpTlsServerConfig *c, HttpTls **ret, Problem *problem) {
    HttpTls *t = NEW(HttpTls);
    atomic_init(&t->refs, 1);
    t->client_auth = c->client_auth;
    t->sans = NEW_ARRAY(char *, c->n_allowed_sans + 1);
    for (size_t i = 0; i < c->n_allowed_sans; i++) {
        t->sans[t->n_sans++] = str_dup(c->allowed_sans[i]);
    }
    ERR_clear_error();
    t->ctx = SSL_CTX_new(TLS_server_method());
    int r = t->ctx ? set_suites(t->ctx, c, problem) : err_trace(-ENOMEM);
    if (r == 0) {
        r = use_chain(t->ctx, c->cert, problem);
    }
    if (r == 0) {
        r = use_key(t->ctx, c->key, problem);
    }
    if (r < 0) {
        http_tls_unref(t);
        return r;
    }
    set_options(t->ctx, c);
    ask_clients(t, c);
    *ret = t;
    return 0;
}

HttpTls *http_tls_ref(HttpTls *t) {
    if (t) {
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    }
    return t;
}

void http_tls_unref(HttpTls *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    SSL_CTX_free(t->ctx);
    for (size_t i = 0; i < t->n_sans; i++) {
        mem_free(t->sans[i]);
    }
    mem_free(t->sans);
    mem_free(t);
}

SSL_CTX *http_tls_context(HttpTls *t) { return t->ctx; }
