/*
 * The HTTP client keys of every section that makes requests (reference, sections 2.5 and 2.6):
 * their schema, and what it fills. HttpClientConfig is what the client itself uses; the rest is
 * kept to print the configuration and to say what this version does not do. Immutable once loaded.
 */
#pragma once

#include "net/http_client.h"
#include "schema/schema.h"

typedef struct HttpBasicAuth {
    Str username, username_file, username_ref, password, password_file, password_ref;
} HttpBasicAuth;

typedef struct HttpAuthorization {
    Str type, credentials, credentials_file, credentials_ref;
} HttpAuthorization;

typedef struct HttpTlsOptions {
    Str ca, ca_file, ca_ref, cert, cert_file, cert_ref, key, key_file, key_ref, server_name;
    bool insecure_skip_verify;
    Str min_version, max_version;
} HttpTlsOptions;

/* oauth2: checked and printed; requests cannot use it yet. */
typedef struct HttpOauth2 {
    const YamlNode *node;
} HttpOauth2;

typedef struct HttpProxyOptions {
    Str url, no_proxy;
    bool from_environment;
} HttpProxyOptions;

typedef struct HttpClientOptions {
    HttpClientConfig config;
    HttpBasicAuth *basic_auth;
    HttpAuthorization *authorization;
    HttpOauth2 *oauth2;
    Str bearer_token, bearer_token_file;
    bool follow_redirects, enable_http2;
    HttpTlsOptions tls;
    HttpProxyOptions proxy;
    const HttpHeader *headers; /* values, secrets and contents of files, as given */
    size_t n_headers;
    const YamlNode *headers_node, *connect_headers_node;
    bool header_files; /* some values stand in files */
    bool any_set;      /* anything but the defaults */
} HttpClientOptions;

/* A copy whose strings live in the arena. */
HttpClientConfig http_client_config_copy(Arena *a, const HttpClientConfig *c);

extern const Schema http_client_schema, http_tls_schema;

/* A URL with scheme http or https and a host; 0 or the Problem's -EINVAL. */
int http_url_check(SchemaContext *cx, const YamlNode *node, const char *key, Str url);
