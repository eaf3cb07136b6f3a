#include "base/mem.h"
#include "base/numtext.h"
#include "net/http_call.h"

#define RECEIVE_BUFFER_BYTES (64L * 1024)
#define CONNECTION_IDLE_S 300L
#define BODY_BYTES_MAX ((uint64_t)1 << 30)
#define EXPECTED_BYTES_MAX ((uint64_t)1 << 20)
#define HEADER_BYTES_MAX ((size_t)1 << 20)

/* ---- what comes back ---- */

static bool is_success(const HttpCall *c) {
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    return status / 100 == 2;
}

static size_t on_body(char *p, size_t one, size_t n, void *arg) {
    HttpCall *c = arg;
    if (c->body.n + n >= c->body_max) {
        c->too_large = true;
        return 0;
    }
    buf_add(&c->body, p, n);
    return c->on_part && is_success(c) && !c->on_part(c->arg, &c->body) ? 0 : n;
}

static Str header_value(HttpCall *c, Str line, size_t name_n) {
    return arena_str(&c->arena, str_trim(str_from(line, name_n + 1)));
}

/* Room for the whole body at once; what a peer claims is believed up to a bound. */
static void expect_body(HttpCall *c, Str length) {
    uint64_t n;
    if (uint_parse(length, &n)) {
        (void)buf_reserve(&c->body, (size_t)MIN(n, EXPECTED_BYTES_MAX) + 1);
    }
}

static size_t on_header(char *p, size_t one, size_t n, void *arg) {
    HttpCall *c = arg;
    Str line = str_trim(str_n(p, n));
    c->header_bytes += n;
    if (c->header_bytes > HEADER_BYTES_MAX) {
        return 0;
    }
    if (str_starts(line, STR("HTTP/"))) {
        /* The last answer counts: others were redirects or 100 Continue. */
        size_t space = str_find(line, ' ');
        c->status_text = arena_str(&c->arena, str_trim(str_from(line, space)));
        c->content_type = c->content_encoding = c->retry_after = STR("");
        buf_reset(&c->body);
        return n;
    }
    size_t colon = str_find(line, ':');
    Str name = str_upto(line, colon);
    if (colon == line.n) {
        return n;
    }
    if (str_eq_nocase(name, STR("content-type"))) {
        c->content_type = header_value(c, line, colon);
    } else if (str_eq_nocase(name, STR("content-encoding"))) {
        c->content_encoding = header_value(c, line, colon);
    } else if (str_eq_nocase(name, STR("content-length"))) {
        expect_body(c, str_trim(str_from(line, colon + 1)));
    } else if (str_eq_nocase(name, STR("retry-after"))) {
        c->retry_after = header_value(c, line, colon);
    }
    return n;
}

/* ---- what goes out ---- */

static void set_str(HttpCall *c, CURLoption o, Str s) {
    if (s.n) {
        curl_easy_setopt(c->easy, o, arena_cstr(&c->arena, s));
    }
}

static void add_header(HttpCall *c, Str name, Str value) {
    /* libcurl's spelling of a header that is sent without a value */
    const char *between = value.n ? ": " : ";";
    Str line = arena_printf(&c->arena, "%.*s%s%.*s", SA(name), between, SA(value));
    c->headers = curl_slist_append(c->headers, line.p);
}

static bool has_header(const HttpCallRequest *r, Str name) {
    for (size_t i = 0; i < r->n_headers; i++) {
        if (str_eq_nocase(r->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* A secret given in the configuration or in a file. */
static Str secret_of(const HttpCall *c, HttpSecretKind kind, Str inline_value) {
    return c->secrets[kind].p ? c->secrets[kind] : inline_value;
}

static void set_auth(HttpCall *c, const HttpClientConfig *f) {
    if (f->has_basic_auth) {
        Str user = secret_of(c, HTTP_SECRET_USERNAME, f->basic_username);
        Str password = secret_of(c, HTTP_SECRET_PASSWORD, f->basic_password);
        curl_easy_setopt(c->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(c->easy, CURLOPT_USERNAME, arena_cstr(&c->arena, user));
        curl_easy_setopt(c->easy, CURLOPT_PASSWORD, arena_cstr(&c->arena, password));
    }
    if (f->has_authorization) {
        Str credentials = secret_of(c, HTTP_SECRET_CREDENTIALS, f->authorization_credentials);
        Str type = f->authorization_type.n ? f->authorization_type : STR("Bearer");
        add_header(c, STR("Authorization"),
                   arena_printf(&c->arena, "%.*s %.*s", SA(type), SA(credentials)));
    }
}

static void set_blob(HttpCall *c, CURLoption o, Str s) {
    if (s.n) {
        struct curl_blob blob = {(void *)s.p, s.n, CURL_BLOB_COPY};
        curl_easy_setopt(c->easy, o, &blob);
    }
}

static long tls_version(int v, bool max) {
    static const long least[] = {CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1,
                                 CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3};
    static const long most[] = {CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1,
                                CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3};
    if (v < 10 || v > 13) {
        return max ? CURL_SSLVERSION_MAX_DEFAULT : CURL_SSLVERSION_TLSv1_2;
    }
    return max ? most[v - 10] : least[v - 10];
}

/* Splits scheme://host:port/path; false if the URL is not of that form. */
static bool split_url(Str url, Str *ret_scheme, Str *ret_authority, Str *ret_rest) {
    size_t at = str_find_str(url, STR("://"));
    if (at == url.n) {
        return false;
    }
    *ret_scheme = str_upto(url, at);
    Str rest = str_from(url, at + 3);
    size_t end = 0;
    while (end < rest.n && !strchr("/?#", rest.p[end])) {
        end++;
    }
    *ret_authority = str_upto(rest, end);
    *ret_rest = str_from(rest, end);
    return true;
}

/*
 * server_name is both the name asked for in the handshake and the one the certificate must have.
 * libcurl takes either from the URL, so the URL gets that name, the connection goes to where the
 * URL pointed, and the Host header stays.
 */
static void set_server_name(HttpCall *c, Str name, bool has_host) {
    Str scheme, authority, rest;
    if (!name.n || !split_url(c->url, &scheme, &authority, &rest) ||
        !str_eq_nocase(scheme, STR("https"))) {
        return;
    }
    size_t at = str_find(authority, '@');
    Str user = at < authority.n ? str_upto(authority, at + 1) : STR("");
    Str host = at < authority.n ? str_from(authority, at + 1) : authority;
    size_t colon = host.n;
    while (colon > 0 && host.p[colon - 1] != ':' && host.p[colon - 1] != ']') {
        colon--;
    }
    bool has_port = colon > 0 && host.p[colon - 1] == ':';
    Str port = has_port ? str_from(host, colon) : STR("443");
    Str bare = has_port ? str_upto(host, colon - 1) : host;
    Str url = arena_printf(&c->arena, "https://%.*s%.*s:%.*s%.*s", SA(user), SA(name), SA(port),
                           SA(rest));
    Str to = arena_printf(&c->arena, "::%.*s:%.*s", SA(bare), SA(port));
    curl_easy_setopt(c->easy, CURLOPT_URL, url.p);
    c->connect_to = curl_slist_append(NULL, to.p);
    curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to);
    if (!has_host) {
        add_header(c, STR("Host"), host);
    }
}

static void set_tls(HttpCall *c, const HttpTlsConfig *t, bool has_host) {
    set_blob(c, CURLOPT_CAINFO_BLOB, secret_of(c, HTTP_SECRET_CA, t->ca));
    set_blob(c, CURLOPT_SSLCERT_BLOB, secret_of(c, HTTP_SECRET_CERT, t->cert));
    set_blob(c, CURLOPT_SSLKEY_BLOB, secret_of(c, HTTP_SECRET_KEY, t->key));
    if (t->insecure_skip_verify) {
        curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (t->min_version || t->max_version) {
        curl_easy_setopt(c->easy, CURLOPT_SSLVERSION,
                         tls_version(t->min_version, false) | tls_version(t->max_version, true));
    }
    set_server_name(c, t->server_name, has_host);
}

static void set_proxy(HttpCall *c, const HttpClientConfig *f) {
    if (f && f->proxy_from_environment) {
        return; /* libcurl's own habit */
    }
    Str url = f ? f->proxy_url : STR("");
    curl_easy_setopt(c->easy, CURLOPT_PROXY, arena_cstr(&c->arena, url));
    curl_easy_setopt(c->easy, CURLOPT_NOPROXY, arena_cstr(&c->arena, f ? f->no_proxy : STR("")));
}

static void set_method(HttpCall *c, const HttpCallRequest *r) {
    if (strcmp(c->method, "HEAD") == 0) {
        curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    bool get = strcmp(c->method, "GET") == 0;
    if (!get || r->body.n) {
        curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        curl_easy_setopt(c->easy, CURLOPT_COPYPOSTFIELDS, r->body.n ? r->body.p : "");
        /* No wait for "100 Continue", and no form type that nobody asked for. */
        c->headers = curl_slist_append(c->headers, "Expect:");
        if (!has_header(r, STR("content-type"))) {
            c->headers = curl_slist_append(c->headers, "Content-Type:");
        }
        if (strcmp(c->method, "POST") != 0) {
            curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, c->method);
        }
    }
}

static void set_headers(HttpCall *c, const HttpCallRequest *r, const HttpClientConfig *f) {
    for (size_t i = 0; i < r->n_headers; i++) {
        add_header(c, r->headers[i].name, r->headers[i].value);
    }
    for (size_t i = 0; f && i < f->n_headers; i++) {
        if (!has_header(r, f->headers[i].name)) {
            add_header(c, f->headers[i].name, f->headers[i].value);
        }
    }
}

static void set_common(HttpCall *c, const HttpCallRequest *r, bool follow) {
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->curl_error);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "narthex");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, follow ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    if (r->timeout_ms > 0) {
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    }
}

void http_call_setup(HttpCall *c, const HttpCallRequest *r) {
    const HttpClientConfig *f = r->config;
    c->body_max = r->body_bytes_max ? r->body_bytes_max : BODY_BYTES_MAX;
    c->on_part = r->on_part;
    c->has_host = has_header(r, STR("host"));
    set_common(c, r, !f || f->follow_redirects);
    curl_easy_setopt(c->easy, CURLOPT_URL, c->url.p);
    set_str(c, CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
    set_method(c, r);
    set_headers(c, r, f);
    set_proxy(c, f);
}

void http_call_setup_secrets(HttpCall *c, const HttpClientConfig *f) {
    if (f) {
        set_auth(c, f);
        set_tls(c, &f->tls, c->has_host);
    }
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}
