#include "net/http_client_config.h"

#include <stddef.h>

#define AT(T, member) offsetof(T, member)

static const SchemaField basic_auth_fields[] = {
    {"username", SCHEMA_STR, AT(HttpBasicAuth, username)},
    {"username_file", SCHEMA_STR, AT(HttpBasicAuth, username_file)},
    {"username_ref", SCHEMA_STR, AT(HttpBasicAuth, username_ref)},
    {"password", SCHEMA_SECRET, AT(HttpBasicAuth, password)},
    {"password_file", SCHEMA_STR, AT(HttpBasicAuth, password_file)},
    {"password_ref", SCHEMA_STR, AT(HttpBasicAuth, password_ref)},
};

/* At most one of several ways to say the same thing. */
static int at_most_one(SchemaContext *cx, const YamlNode *node, const Str *values,
                       const char *const *keys, size_t n) {
    const char *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!values[i].n)
            continue;
        if (first)
            return schema_problem(cx, yaml_node_find(node, keys[i]),
                                  "at most one of \"%s\" and \"%s\" may be given", first, keys[i]);
        first = keys[i];
    }
    return 0;
}

static int basic_auth_check(SchemaContext *cx, const YamlNode *node, void *object) {
    static const char *const users[] = {"username", "username_file", "username_ref"};
    static const char *const passwords[] = {"password", "password_file", "password_ref"};
    const HttpBasicAuth *a = object;
    int r =
        at_most_one(cx, node, (Str[]){a->username, a->username_file, a->username_ref}, users, 3);
    if (r < 0)
        return r;
    return at_most_one(cx, node, (Str[]){a->password, a->password_file, a->password_ref}, passwords,
                       3);
}

static const Schema basic_auth_schema = {
    "basic_auth", sizeof(HttpBasicAuth), basic_auth_fields, ARRAY_LEN(basic_auth_fields),
    NULL,         basic_auth_check};

static const SchemaField authorization_fields[] = {
    {"type", SCHEMA_STR, AT(HttpAuthorization, type)},
    {"credentials", SCHEMA_SECRET, AT(HttpAuthorization, credentials)},
    {"credentials_file", SCHEMA_STR, AT(HttpAuthorization, credentials_file)},
    {"credentials_ref", SCHEMA_STR, AT(HttpAuthorization, credentials_ref)},
};

static int authorization_check(SchemaContext *cx, const YamlNode *node, void *object) {
    static const char *const keys[] = {"credentials", "credentials_file", "credentials_ref"};
    HttpAuthorization *a = object;
    a->type = str_trim(a->type);
    if (!a->type.n)
        a->type = STR("Bearer");
    if (str_eq_nocase(a->type, STR("basic")))
        return schema_problem(cx, yaml_node_find(node, "type"),
                              "authorization type cannot be set to \"basic\", use \"basic_auth\" "
                              "instead");
    return at_most_one(cx, node, (Str[]){a->credentials, a->credentials_file, a->credentials_ref},
                       keys, 3);
}

static const Schema authorization_schema = {"authorization",
                                            sizeof(HttpAuthorization),
                                            authorization_fields,
                                            ARRAY_LEN(authorization_fields),
                                            NULL,
                                            authorization_check};

static const SchemaField tls_fields[] = {
    {"ca", SCHEMA_STR, AT(HttpTlsOptions, ca)},
    {"cert", SCHEMA_STR, AT(HttpTlsOptions, cert)},
    {"key", SCHEMA_SECRET, AT(HttpTlsOptions, key)},
    {"ca_file", SCHEMA_STR, AT(HttpTlsOptions, ca_file)},
    {"cert_file", SCHEMA_STR, AT(HttpTlsOptions, cert_file)},
    {"key_file", SCHEMA_STR, AT(HttpTlsOptions, key_file)},
    {"ca_ref", SCHEMA_STR, AT(HttpTlsOptions, ca_ref)},
    {"cert_ref", SCHEMA_STR, AT(HttpTlsOptions, cert_ref)},
    {"key_ref", SCHEMA_STR, AT(HttpTlsOptions, key_ref)},
    {"server_name", SCHEMA_STR, AT(HttpTlsOptions, server_name)},
    {"insecure_skip_verify", SCHEMA_BOOL, AT(HttpTlsOptions, insecure_skip_verify)},
    {"min_version", SCHEMA_STR, AT(HttpTlsOptions, min_version)},
    {"max_version", SCHEMA_STR, AT(HttpTlsOptions, max_version)},
};

static int tls_version(Str s) {
    static const char *const names[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    for (int i = 0; i < 4; i++) {
        if (str_eqc(s, names[i]))
            return 10 + i;
    }
    return s.n ? -1 : 0;
}

static int tls_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const HttpTlsOptions *t = object;
    static const char *const ca[] = {"ca", "ca_file", "ca_ref"};
    static const char *const cert[] = {"cert", "cert_file", "cert_ref"};
    static const char *const key[] = {"key", "key_file", "key_ref"};
    int r = at_most_one(cx, node, (Str[]){t->ca, t->ca_file, t->ca_ref}, ca, 3);
    if (r == 0)
        r = at_most_one(cx, node, (Str[]){t->cert, t->cert_file, t->cert_ref}, cert, 3);
    if (r == 0)
        r = at_most_one(cx, node, (Str[]){t->key, t->key_file, t->key_ref}, key, 3);
    if (r < 0)
        return r;
    bool has_cert = t->cert.n || t->cert_file.n || t->cert_ref.n;
    bool has_key = t->key.n || t->key_file.n || t->key_ref.n;
    if (has_cert != has_key)
        return schema_problem(cx, node, "tls_config: a client %s needs its %s too",
                              has_cert ? "certificate" : "key", has_cert ? "key" : "certificate");
    int min = tls_version(t->min_version), max = tls_version(t->max_version);
    if (min < 0 || max < 0)
        return schema_problem(cx, yaml_node_find(node, min < 0 ? "min_version" : "max_version"),
                              "unknown TLS version; expected TLS10, TLS11, TLS12 or TLS13");
    if (min && max && min > max)
        return schema_problem(cx, node, "tls_config: min_version is above max_version");
    return 0;
}

const Schema http_tls_schema = {
    "tls_config", sizeof(HttpTlsOptions), tls_fields, ARRAY_LEN(tls_fields), NULL, tls_check};

static const SchemaField proxy_fields[] = {
    {"proxy_url", SCHEMA_STR, AT(HttpProxyOptions, url)},
    {"no_proxy", SCHEMA_STR, AT(HttpProxyOptions, no_proxy)},
    {"proxy_from_environment", SCHEMA_BOOL, AT(HttpProxyOptions, from_environment)},
};

static int proxy_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const HttpProxyOptions *p = object;
    if (p->from_environment && p->url.n)
        return schema_problem(cx, yaml_node_find(node, "proxy_from_environment"),
                              "if proxy_from_environment is set, proxy_url must not be");
    if (p->from_environment && p->no_proxy.n)
        return schema_problem(cx, yaml_node_find(node, "proxy_from_environment"),
                              "if proxy_from_environment is set, no_proxy must not be");
    if (p->no_proxy.n && !p->url.n)
        return schema_problem(cx, yaml_node_find(node, "no_proxy"),
                              "if no_proxy is set, proxy_url must be too");
    return 0;
}

static const Schema proxy_schema = {
    "proxy settings", sizeof(HttpProxyOptions), proxy_fields, ARRAY_LEN(proxy_fields), NULL,
    proxy_check};

static const Schema checked_proxy_schema = {
    "oauth2", sizeof(HttpProxyOptions), proxy_fields, ARRAY_LEN(proxy_fields), NULL, proxy_check};

typedef struct Oauth2Keys {
    HttpOauth2 kept;
    HttpProxyOptions proxy;
    Str client_id, client_secret, client_secret_file, client_secret_ref, token_url, grant_type;
    Str certificate_key, certificate_key_file, algorithm;
} Oauth2Keys;

#define CHECKED(name, kind_)                                                                       \
    { name, kind_, 0, SCHEMA_CHECKED }

static int accept_any(SchemaContext *cx, const YamlNode *node, void *field) { return 0; }

static const SchemaField oauth2_fields[] = {
    {"client_id", SCHEMA_STR, AT(Oauth2Keys, client_id)},
    {"client_secret", SCHEMA_SECRET, AT(Oauth2Keys, client_secret)},
    {"client_secret_file", SCHEMA_STR, AT(Oauth2Keys, client_secret_file)},
    {"client_secret_ref", SCHEMA_STR, AT(Oauth2Keys, client_secret_ref)},
    {"client_certificate_key_id", SCHEMA_STR, 0, SCHEMA_CHECKED},
    {"client_certificate_key", SCHEMA_SECRET, AT(Oauth2Keys, certificate_key)},
    {"client_certificate_key_file", SCHEMA_STR, AT(Oauth2Keys, certificate_key_file)},
    CHECKED("client_certificate_key_ref", SCHEMA_STR),
    {"grant_type", SCHEMA_STR, AT(Oauth2Keys, grant_type)},
    {"signature_algorithm", SCHEMA_STR, AT(Oauth2Keys, algorithm)},
    CHECKED("iss", SCHEMA_STR),
    CHECKED("audience", SCHEMA_STR),
    {"claims", SCHEMA_CUSTOM, 0, SCHEMA_CHECKED, .custom = accept_any},
    CHECKED("scopes", SCHEMA_STRS),
    {"token_url", SCHEMA_STR, AT(Oauth2Keys, token_url)},
    CHECKED("endpoint_params", SCHEMA_LABELS),
    {"tls_config", SCHEMA_STRUCT, 0, SCHEMA_CHECKED, .sub = &http_tls_schema},
    {"proxy_connect_header", SCHEMA_CUSTOM, 0, SCHEMA_CHECKED, .custom = accept_any},
    {NULL, SCHEMA_STRUCT, AT(Oauth2Keys, proxy), SCHEMA_INLINE, .sub = &checked_proxy_schema},
};

static int oauth2_check(SchemaContext *cx, const YamlNode *node, void *object) {
    static const char *const secrets[] = {"client_secret", "client_secret_file",
                                          "client_secret_ref"};
    Oauth2Keys *o = object;
    o->kept.node = node;
    if (!o->client_id.n)
        return schema_problem(cx, node, "missing key \"client_id\" in oauth2");
    if (!o->token_url.n)
        return schema_problem(cx, node, "missing key \"token_url\" in oauth2");
    bool jwt = str_eqc(o->grant_type, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    if (o->grant_type.n && !jwt && !str_eqc(o->grant_type, "client_credentials"))
        return schema_problem(cx, yaml_node_find(node, "grant_type"),
                              "unknown grant_type \"%.*s\"; expected client_credentials or "
                              "urn:ietf:params:oauth:grant-type:jwt-bearer",
                              SA(o->grant_type));
    if (o->algorithm.n && !str_eqc(o->algorithm, "RS256") && !str_eqc(o->algorithm, "RS384") &&
        !str_eqc(o->algorithm, "RS512"))
        return schema_problem(cx, yaml_node_find(node, "signature_algorithm"),
                              "unknown signature_algorithm; expected RS256, RS384 or RS512");
    if (jwt && !o->certificate_key.n && !o->certificate_key_file.n)
        return schema_problem(cx, node,
                              "oauth2 with a jwt-bearer grant needs "
                              "client_certificate_key or client_certificate_key_file");
    return at_most_one(cx, node,
                       (Str[]){o->client_secret, o->client_secret_file, o->client_secret_ref},
                       secrets, 3);
}

static const Schema oauth2_schema;

static void oauth2_write(const Schema *schema, const void *object, Buf *b, int indent) {
    const Oauth2Keys *o = object;
    if (o->kept.node)
        schema_write_node(schema, o->kept.node, b, indent);
}

static const Schema oauth2_schema = {
    "oauth2", sizeof(Oauth2Keys), oauth2_fields, ARRAY_LEN(oauth2_fields),
    NULL,     oauth2_check,       oauth2_write};

/* Headers that the client sets itself and that may not be overwritten. */
static const char *const reserved_headers[] = {
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
};

typedef struct HeaderValues {
    SchemaStrs values, secrets, files;
} HeaderValues;
static const SchemaField header_fields[] = {
    {"values", SCHEMA_STRS, AT(HeaderValues, values)},
    {"secrets", SCHEMA_STRS, AT(HeaderValues, secrets)},
    {"files", SCHEMA_STRS, AT(HeaderValues, files)},
};
static const Schema header_schema = {"http_headers", sizeof(HeaderValues), header_fields,
                                     ARRAY_LEN(header_fields)};

typedef struct HeaderList {
    HttpHeader *v;
    size_t n, cap;
} HeaderList;

static size_t header_add(HeaderList *list, Str name, const SchemaStrs *values) {
    for (size_t i = 0; i < values->n; i++)
        list->v[list->n++] = (HttpHeader){name, values->v[i]};
    return values->n;
}

/* Strings of a header are counted first, so that the list is one array of the arena. */
static int headers_load(SchemaContext *cx, const YamlNode *node, void *field) {
    HttpClientOptions *o =
        (HttpClientOptions *)((char *)field - offsetof(HttpClientOptions, headers_node));
    if (yaml_node_is_null(node))
        return 0;
    if (yaml_node_kind(node) != YAML_MAPPING)
        return schema_problem(cx, node, "http_headers: expected a mapping of header names");
    size_t n = yaml_node_count(node), total = 0;
    HeaderValues *each = ARENA_ARRAY(cx->arena, HeaderValues, n ? n : 1);
    if (!each)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        Str name = yaml_node_scalar(yaml_node_key(node, i));
        for (size_t k = 0; k < ARRAY_LEN(reserved_headers); k++) {
            if (str_eq_nocase(name, str_of(reserved_headers[k])))
                return schema_problem(cx, yaml_node_key(node, i),
                                      "http_headers: header \"%.*s\" is set by the client itself "
                                      "and cannot be given",
                                      SA(name));
        }
        int r = yaml_node_is_null(yaml_node_value(node, i))
                    ? 0
                    : schema_load_node(cx, &header_schema, yaml_node_value(node, i), &each[i]);
        if (r < 0)
            return r;
        total += each[i].values.n + each[i].secrets.n;
        o->header_files |= each[i].files.n > 0;
    }
    HeaderList list = {.v = ARENA_ARRAY(cx->arena, HttpHeader, total ? total : 1)};
    if (!list.v)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        Str name = yaml_node_scalar(yaml_node_key(node, i));
        header_add(&list, name, &each[i].values);
        header_add(&list, name, &each[i].secrets);
    }
    o->headers = list.v;
    o->n_headers = list.n;
    o->headers_node = node;
    return 0;
}

static void headers_write(Buf *b, const char *key, const void *field, int indent) {
    static const SchemaField masked_fields[] = {
        {"values", SCHEMA_STRS, 0},
        {"secrets", SCHEMA_SECRET, 0},
        {"files", SCHEMA_STRS, 0},
    };
    static const Schema masked = {"http_headers", sizeof(HeaderValues), masked_fields, 3};
    const YamlNode *node = *(const YamlNode *const *)field;
    if (!node || !yaml_node_count(node))
        return;
    schema_write_indent(b, indent);
    buf_addf(b, "%s:\n", key);
    for (size_t i = 0; i < yaml_node_count(node); i++) {
        schema_write_indent(b, indent + 2);
        schema_write_scalar(b, yaml_node_scalar(yaml_node_key(node, i)));
        buf_add_cstr(b, ":\n");
        schema_write_node(&masked, yaml_node_value(node, i), b, indent + 4);
    }
}

static int connect_headers_load(SchemaContext *cx, const YamlNode *node, void *field) {
    if (!yaml_node_is_null(node) && yaml_node_kind(node) != YAML_MAPPING)
        return schema_problem(cx, node,
                              "proxy_connect_header: expected a mapping of names to lists of "
                              "values");
    *(const YamlNode **)field = node;
    return 0;
}

static const SchemaField client_fields[] = {
    {"basic_auth", SCHEMA_OPTIONAL, AT(HttpClientOptions, basic_auth), .sub = &basic_auth_schema},
    {"authorization", SCHEMA_OPTIONAL, AT(HttpClientOptions, authorization),
     .sub = &authorization_schema},
    {"oauth2", SCHEMA_OPTIONAL, AT(HttpClientOptions, oauth2), .sub = &oauth2_schema},
    {"bearer_token", SCHEMA_SECRET, AT(HttpClientOptions, bearer_token), SCHEMA_NO_PRINT},
    {"bearer_token_file", SCHEMA_STR, AT(HttpClientOptions, bearer_token_file), SCHEMA_NO_PRINT},
    {"tls_config", SCHEMA_STRUCT, AT(HttpClientOptions, tls), .sub = &http_tls_schema},
    {"follow_redirects", SCHEMA_BOOL, AT(HttpClientOptions, follow_redirects), SCHEMA_PRINT},
    {"enable_http2", SCHEMA_BOOL, AT(HttpClientOptions, enable_http2), SCHEMA_PRINT},
    {NULL, SCHEMA_STRUCT, AT(HttpClientOptions, proxy), SCHEMA_INLINE, .sub = &proxy_schema},
    {"proxy_connect_header", SCHEMA_CUSTOM, AT(HttpClientOptions, connect_headers_node),
     .custom = connect_headers_load},
    {"http_headers", SCHEMA_CUSTOM, AT(HttpClientOptions, headers_node), .custom = headers_load,
     .write = headers_write},
};

static void client_defaults(void *object) {
    HttpClientOptions *o = object;
    o->follow_redirects = true;
    o->enable_http2 = true;
}

static bool tls_is_set(const HttpTlsOptions *t) {
    static const HttpTlsOptions none;
    return memcmp(t, &none, sizeof(none)) != 0;
}

/* bearer_token(_file) is the old spelling of authorization. */
static int convert_bearer(SchemaContext *cx, const YamlNode *node, HttpClientOptions *o) {
    if (!o->bearer_token.n && !o->bearer_token_file.n)
        return 0;
    const YamlNode *at =
        yaml_node_find(node, o->bearer_token_file.n ? "bearer_token_file" : "bearer_token");
    if (o->bearer_token.n && o->bearer_token_file.n)
        return schema_problem(cx, at,
                              "at most one of bearer_token & bearer_token_file must be given");
    if (o->authorization)
        return schema_problem(cx, at,
                              "authorization is not compatible with bearer_token & "
                              "bearer_token_file");
    o->authorization = ARENA_NEW(cx->arena, HttpAuthorization);
    if (!o->authorization)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    *o->authorization = (HttpAuthorization){
        .type = STR("Bearer"),
        .credentials = o->bearer_token,
        .credentials_file = o->bearer_token_file,
    };
    return 0;
}

static void fill_config(HttpClientOptions *o) {
    HttpClientConfig *c = &o->config;
    if (o->basic_auth) {
        c->has_basic_auth = true;
        c->basic_username = o->basic_auth->username;
        c->basic_username_file = o->basic_auth->username_file;
        c->basic_password = o->basic_auth->password;
        c->basic_password_file = o->basic_auth->password_file;
    }
    if (o->authorization) {
        c->has_authorization = true;
        c->authorization_type = o->authorization->type;
        c->authorization_credentials = o->authorization->credentials;
        c->authorization_credentials_file = o->authorization->credentials_file;
    }
    const HttpTlsOptions *t = &o->tls;
    c->tls = (HttpTlsConfig){
        .ca = t->ca,
        .ca_file = t->ca_file,
        .cert = t->cert,
        .cert_file = t->cert_file,
        .key = t->key,
        .key_file = t->key_file,
        .server_name = t->server_name,
        .insecure_skip_verify = t->insecure_skip_verify,
        .min_version = tls_version(t->min_version),
        .max_version = tls_version(t->max_version),
    };
    c->follow_redirects = o->follow_redirects;
    c->proxy_url = o->proxy.url;
    c->no_proxy = o->proxy.no_proxy;
    c->proxy_from_environment = o->proxy.from_environment;
    c->headers = o->headers;
    c->n_headers = o->n_headers;
}

static int client_check(SchemaContext *cx, const YamlNode *node, void *object) {
    HttpClientOptions *o = object;
    int r = convert_bearer(cx, node, o);
    if (r < 0)
        return r;
    if ((o->basic_auth != NULL) + (o->authorization != NULL) + (o->oauth2 != NULL) > 1)
        return schema_problem(cx, yaml_node_find(node, o->oauth2 ? "oauth2" : "basic_auth"),
                              "at most one of basic_auth, oauth2 and authorization (or "
                              "bearer_token, bearer_token_file) may be given");
    o->any_set = o->basic_auth || o->authorization || o->oauth2 || tls_is_set(&o->tls) ||
                 !o->follow_redirects || !o->enable_http2 || o->proxy.url.n ||
                 o->proxy.from_environment || o->n_headers || o->headers_node;
    fill_config(o);
    return 0;
}

const Schema http_client_schema = {"http client settings", sizeof(HttpClientOptions),
                                   client_fields,          ARRAY_LEN(client_fields),
                                   client_defaults,        client_check};

int http_url_check(SchemaContext *cx, const YamlNode *node, const char *key, Str url) {
    size_t at = str_find_str(url, STR("://"));
    if (at == 0 || at >= url.n)
        return schema_problem(cx, node, "key \"%s\": \"%.*s\" is not a URL with a scheme", key,
                              SA(url));
    if (!str_eqc(str_upto(url, at), "http") && !str_eqc(str_upto(url, at), "https"))
        return schema_problem(cx, node, "key \"%s\": URL scheme must be 'http' or 'https'", key);
    Str host = str_from(url, at + 3);
    host = str_upto(host, str_find(host, '/'));
    if (!host.n)
        return schema_problem(cx, node, "key \"%s\": host is missing in URL", key);
    return 0;
}

HttpClientConfig http_client_config_copy(Arena *a, const HttpClientConfig *c) {
    HttpClientConfig d = *c;
    Str *const strings[] = {
        &d.basic_username,
        &d.basic_username_file,
        &d.basic_password,
        &d.basic_password_file,
        &d.authorization_type,
        &d.authorization_credentials,
        &d.authorization_credentials_file,
        &d.tls.ca,
        &d.tls.ca_file,
        &d.tls.cert,
        &d.tls.cert_file,
        &d.tls.key,
        &d.tls.key_file,
        &d.tls.server_name,
        &d.proxy_url,
        &d.no_proxy,
    };
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        *strings[i] = strings[i]->n ? arena_str(a, *strings[i]) : STR_NULL;
    HttpHeader *headers = ARENA_ARRAY(a, HttpHeader, c->n_headers + 1);
    for (size_t i = 0; i < c->n_headers; i++)
        headers[i] =
            (HttpHeader){arena_str(a, c->headers[i].name), arena_str(a, c->headers[i].value)};
    d.headers = headers;
    return d;
}
