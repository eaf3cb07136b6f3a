#include "config/web_config.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define FILES_MAX 4

typedef struct WebTls {
    Str cert, cert_file, key, key_file, client_ca, client_ca_file, client_auth_type;
    SchemaStrs client_allowed_sans, cipher_suites, curve_preferences;
    Str min_version, max_version;
    bool prefer_server_cipher_suites;
} WebTls;

typedef struct WebHttp {
    bool http2;
    Labels headers;
} WebHttp;

typedef struct WebRate {
    int64_t interval_ns, burst;
} WebRate;

typedef struct WebRoot {
    WebTls tls;
    WebHttp http;
    WebRate rate;
    Labels users;
} WebRoot;

#define FIELD(T, key, kind, member, ...)                                                           \
    { key, kind, offsetof(T, member), ##__VA_ARGS__ }

/* ---- tls_server_config ---- */

static const SchemaField tls_fields[] = {
    FIELD(WebTls, "cert", SCHEMA_STR, cert),
    FIELD(WebTls, "cert_file", SCHEMA_STR, cert_file),
    FIELD(WebTls, "key", SCHEMA_SECRET, key),
    FIELD(WebTls, "key_file", SCHEMA_STR, key_file),
    FIELD(WebTls, "client_ca", SCHEMA_STR, client_ca),
    FIELD(WebTls, "client_ca_file", SCHEMA_STR, client_ca_file),
    FIELD(WebTls, "client_auth_type", SCHEMA_STR, client_auth_type),
    FIELD(WebTls, "client_allowed_sans", SCHEMA_STRS, client_allowed_sans),
    FIELD(WebTls, "cipher_suites", SCHEMA_STRS, cipher_suites),
    FIELD(WebTls, "curve_preferences", SCHEMA_STRS, curve_preferences),
    FIELD(WebTls, "min_version", SCHEMA_STR, min_version),
    FIELD(WebTls, "max_version", SCHEMA_STR, max_version),
    FIELD(WebTls, "prefer_server_cipher_suites", SCHEMA_BOOL, prefer_server_cipher_suites),
};

static void tls_defaults(void *object) {
    WebTls *t = object;
    t->min_version = STR("TLS12");
    t->max_version = STR("TLS13");
    t->prefer_server_cipher_suites = true;
}

static int version_of(Str s) {
    static const char *const names[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eqc(s, names[i])) {
            return 10 + (int)i;
        }
    }
    return -1;
}

static int check_version(SchemaContext *cx, const YamlNode *node, const char *key, Str v) {
    if (version_of(v) >= 0) {
        return 0;
    }
    return schema_problem(cx, yaml_node_find(node, key),
                          "unknown TLS version: %.*s; expected TLS10, TLS11, TLS12 or TLS13",
                          SA(v));
}

static int check_names(SchemaContext *cx, const YamlNode *node, const char *key, const char *what,
                       const SchemaStrs *list, bool (*known)(Str)) {
    for (size_t i = 0; i < list->n; i++) {
        if (!known(list->v[i])) {
            return schema_problem(cx, yaml_node_item(yaml_node_find(node, key), i),
                                  "unknown %s: %.*s", what, SA(list->v[i]));
        }
    }
    return 0;
}

static const char *const auth_types[] = {"NoClientCert", "RequestClientCert",
                                         "RequireAnyClientCert", "VerifyClientCertIfGiven",
                                         "RequireAndVerifyClientCert"};

/* -1 for none of them. */
static int auth_of(Str s) {
    for (size_t i = 0; i < ARRAY_LEN(auth_types); i++) {
        if (str_eqc(s, auth_types[i])) {
            return (int)i;
        }
    }
    if (str_eqc(s, "RequireClientCert")) {
        return HTTP_CLIENT_AUTH_REQUIRE_ANY; /* its name of old */
    }
    return s.n ? -1 : HTTP_CLIENT_AUTH_NONE;
}

static bool tls_enabled(const WebTls *t) {
    return t->cert.n || t->cert_file.n || t->key.n || t->key_file.n || t->client_ca.n ||
           t->client_ca_file.n || t->client_auth_type.n;
}

static int check_enabled(SchemaContext *cx, const YamlNode *node, const WebTls *t) {
    if (!t->cert.n && !t->cert_file.n) {
        return schema_problem(cx, node, "missing one of cert or cert_file");
    }
    if (!t->key.n && !t->key_file.n) {
        return schema_problem(cx, node, "missing one of key or key_file");
    }
    int auth = auth_of(t->client_auth_type);
    if (auth < 0) {
        return schema_problem(cx, yaml_node_find(node, "client_auth_type"),
                              "invalid ClientAuth: %.*s", SA(t->client_auth_type));
    }
    if ((t->client_ca.n || t->client_ca_file.n) && auth == HTTP_CLIENT_AUTH_NONE) {
        return schema_problem(cx, node,
                              "client CA's have been configured without a Client Auth Policy");
    }
    return 0;
}

static int tls_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const WebTls *t = object;
    int r = check_version(cx, node, "min_version", t->min_version);
    if (r == 0) {
        r = check_version(cx, node, "max_version", t->max_version);
    }
    if (r == 0) {
        r = check_names(cx, node, "cipher_suites", "cipher", &t->cipher_suites,
                        http_tls_cipher_known);
    }
    if (r == 0) {
        r = check_names(cx, node, "curve_preferences", "curve", &t->curve_preferences,
                        http_tls_curve_known);
    }
    return r == 0 && tls_enabled(t) ? check_enabled(cx, node, t) : r;
}

static const Schema tls_schema = {"tls_server_config",   sizeof(WebTls), tls_fields,
                                  ARRAY_LEN(tls_fields), tls_defaults,   tls_check};

/* ---- http_server_config ---- */

static const struct {
    const char *name, *values[2];
} header_rules[] = {
    {"Strict-Transport-Security", {NULL}},       {"X-Content-Type-Options", {"nosniff"}},
    {"X-Frame-Options", {"deny", "sameorigin"}}, {"X-XSS-Protection", {NULL}},
    {"Content-Security-Policy", {NULL}},
};

static int check_header(SchemaContext *cx, const YamlNode *node, Str name, Str value) {
    for (size_t i = 0; i < ARRAY_LEN(header_rules); i++) {
        const char *const *v = header_rules[i].values;
        if (!str_eqc(name, header_rules[i].name)) {
            continue;
        }
        if (memchr(value.p ? value.p : "", '\n', value.n) ||
            memchr(value.p ? value.p : "", '\r', value.n)) {
            return schema_problem(cx, node, "the value of %.*s must be one line", SA(name));
        }
        if (!v[0] || str_eqc(value, v[0]) || (v[1] && str_eqc(value, v[1]))) {
            return 0;
        }
        return schema_problem(cx, node, "invalid value for %.*s: expected %s%s%s, got \"%.*s\"",
                              SA(name), v[0], v[1] ? " or " : "", v[1] ? v[1] : "", SA(value));
    }
    return schema_problem(cx, node, "HTTP header \"%.*s\" can not be configured", SA(name));
}

static int http_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const WebHttp *h = object;
    const YamlNode *map = yaml_node_find(node, "headers");
    for (size_t i = 0; i < h->headers.n; i++) {
        char *name = arena_cstr(cx->arena, h->headers.v[i].name);
        int r = check_header(cx, yaml_node_find(map, name), h->headers.v[i].name,
                             h->headers.v[i].value);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void http_defaults(void *object) { ((WebHttp *)object)->http2 = true; }

static const SchemaField http_fields[] = {
    FIELD(WebHttp, "http2", SCHEMA_BOOL, http2),
    FIELD(WebHttp, "headers", SCHEMA_LABELS, headers),
};
static const Schema http_schema = {"http_server_config",   sizeof(WebHttp), http_fields,
                                   ARRAY_LEN(http_fields), http_defaults,   http_check};

/* ---- rate_limit ---- */

static double unit_ns(Str *s) {
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
                 {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_starts(*s, str_of(units[i].name))) {
            *s = str_from(*s, strlen(units[i].name));
            return units[i].ns;
        }
    }
    return 0;
}

/* Digits with at most one point among them. */
static bool take_number(Str *s, double *ret) {
    double v = 0, scale = 1;
    bool digits = false, point = false;
    while (s->n && ((s->p[0] >= '0' && s->p[0] <= '9') || (s->p[0] == '.' && !point))) {
        if (s->p[0] == '.') {
            point = true;
        } else {
            digits = true;
            v = v * 10 + (s->p[0] - '0');
            scale *= point ? 10 : 1;
        }
        *s = str_from(*s, 1);
    }
    *ret = v / scale;
    return digits;
}

/* Go's time.ParseDuration; a bare whole number is nanoseconds, as its YAML library takes it. */
static bool parse_go_duration(Str s, int64_t *ret) {
    double sum = 0, v;
    bool negative = s.n && s.p[0] == '-';
    Str rest = s.n && (s.p[0] == '-' || s.p[0] == '+') ? str_from(s, 1) : s;
    if (!rest.n) {
        return false;
    }
    Str whole = rest;
    if (take_number(&whole, &v) && !whole.n && str_find(rest, '.') == rest.n) {
        sum = v;
        rest = whole;
    }
    while (rest.n) {
        double unit = take_number(&rest, &v) ? unit_ns(&rest) : 0;
        if (unit == 0) {
            return false;
        }
        sum += v * unit;
    }
    if (sum >= 9.2e18) {
        return false;
    }
    *ret = llrint(negative ? -sum : sum);
    return true;
}

static int load_interval(SchemaContext *cx, const YamlNode *node, void *field) {
    if (yaml_node_is_null(node)) {
        *(int64_t *)field = 0;
        return 0;
    }
    if (yaml_node_kind(node) != YAML_SCALAR || !parse_go_duration(yaml_node_scalar(node), field)) {
        return schema_problem(cx, node,
                              "key \"interval\" in rate_limit: expected a duration such as 1s or "
                              "1h30m");
    }
    return 0;
}

static const SchemaField rate_fields[] = {
    FIELD(WebRate, "interval", SCHEMA_CUSTOM, interval_ns, .custom = load_interval),
    FIELD(WebRate, "burst", SCHEMA_INT, burst),
};
static const Schema rate_schema = {"rate_limit", sizeof(WebRate), rate_fields,
                                   ARRAY_LEN(rate_fields)};

/* ---- the whole ---- */

static int root_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const WebRoot *w = object;
    const YamlNode *map = yaml_node_find(node, "basic_auth_users");
    for (size_t i = 0; i < w->users.n; i++) {
        Problem p = {0};
        if (bcrypt_check(w->users.v[i].value, &p) < 0) {
            char *name = arena_cstr(cx->arena, w->users.v[i].name);
            return schema_problem(cx, yaml_node_find(map, name), "basic_auth_users: %s: %s", name,
                                  p.text);
        }
    }
    return 0;
}

static const SchemaField root_fields[] = {
    FIELD(WebRoot, "tls_server_config", SCHEMA_STRUCT, tls, .sub = &tls_schema),
    FIELD(WebRoot, "http_server_config", SCHEMA_STRUCT, http, .sub = &http_schema),
    FIELD(WebRoot, "rate_limit", SCHEMA_STRUCT, rate, .sub = &rate_schema),
    FIELD(WebRoot, "basic_auth_users", SCHEMA_LABELS, users),
};
static const Schema root_schema = {"the web configuration",
                                   sizeof(WebRoot),
                                   root_fields,
                                   ARRAY_LEN(root_fields),
                                   NULL,
                                   root_check};

typedef struct Load {
    WebConfig *c;
    Str path, folder;
    Problem *problem;
} Load;

static int problem_at(const Load *l, const char *what, Str path, const char *why) {
    problem_set(l->problem, 0, 0, "failed to read %s (%.*s): %s", what, SA(path), why);
    problem_set_file(l->problem, l->path);
    return -EINVAL;
}

/* What a *_file names, or the text given in its place. */
static int read_part(const Load *l, const char *what, Str file, Str text, Buf *ret) {
    WebConfig *c = l->c;
    if (!file.n) {
        buf_add_str(ret, text);
        return 0;
    }
    Str path = file.p[0] == '/' || !l->folder.n
                   ? arena_str(&c->arena, file)
                   : arena_printf(&c->arena, "%.*s%.*s", SA(l->folder), SA(file));
    ((Str *)c->files.v)[c->files.n++] = path;
    int r = file_read_whole(arena_cstr(&c->arena, path), FILE_BYTES_MAX, ret);
    return r < 0 ? problem_at(l, what, path, strerror(-r)) : 0;
}

static int make_tls(const Load *l, const WebTls *t) {
    CLEANUP(buf_deinit) Buf cert = BUF_INIT(0), key = BUF_INIT(0), ca = BUF_INIT(0);
    int r = read_part(l, "cert_file", t->cert_file, t->cert, &cert);
    if (r == 0) {
        r = read_part(l, "key_file", t->key_file, t->key, &key);
    }
    if (r == 0) {
        r = read_part(l, "client_ca_file", t->client_ca_file, t->client_ca, &ca);
    }
    if (r == 0) {
        HttpTlsServerConfig o = {
            .cert = buf_str(&cert),
            .key = buf_str(&key),
            .client_ca = buf_str(&ca),
            .client_ca_set = t->client_ca.n || t->client_ca_file.n,
            .client_auth = (HttpClientAuth)auth_of(t->client_auth_type),
            .allowed_sans = t->client_allowed_sans.v,
            .n_allowed_sans = t->client_allowed_sans.n,
            .ciphers = t->cipher_suites.v,
            .n_ciphers = t->cipher_suites.n,
            .curves = t->curve_preferences.v,
            .n_curves = t->curve_preferences.n,
            .min_version = version_of(t->min_version),
            .max_version = version_of(t->max_version),
            .prefer_server_ciphers = t->prefer_server_cipher_suites,
        };
        r = http_tls_new(&o, &l->c->tls, l->problem);
        problem_set_file(l->problem, l->path);
        l->c->sans_unused = o.n_allowed_sans && o.client_auth == HTTP_CLIENT_AUTH_NONE;
        l->c->versions_crossed = o.min_version > o.max_version;
    }
    if (key.p) {
        explicit_bzero(key.p, key.cap);
    }
    return r;
}

static void make_guard(WebConfig *c, const WebRoot *w) {
    HttpHeader *headers = ARENA_ARRAY(&c->arena, HttpHeader, w->http.headers.n + 1);
    HttpUser *users = ARENA_ARRAY(&c->arena, HttpUser, w->users.n + 1);
    for (size_t i = 0; i < w->http.headers.n; i++) {
        headers[i] = (HttpHeader){w->http.headers.v[i].name, w->http.headers.v[i].value};
    }
    for (size_t i = 0; i < w->users.n; i++) {
        users[i] = (HttpUser){w->users.v[i].name, w->users.v[i].value};
    }
    c->guard = (HttpGuardConfig){.headers = headers,
                                 .n_headers = w->http.headers.n,
                                 .users = users,
                                 .n_users = w->users.n,
                                 .rate_interval_ns = w->rate.interval_ns,
                                 .rate_burst = w->rate.burst};
}

static Str folder_of(Str path) {
    while (path.n && path.p[path.n - 1] != '/') {
        path.n--;
    }
    return path;
}

int web_config_load(const char *path, WebConfig **ret, Problem *problem) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX + 1);
    WebConfig *c = NEW(WebConfig);
    c->arena = ARENA_INIT(ARENA_BYTES_MAX);
    Str *files = ARENA_ARRAY(&c->arena, Str, FILES_MAX);
    files[0] = arena_str(&c->arena, str_of(path));
    c->files = (SchemaStrs){.v = files, .n = 1};
    Load l = {c, files[0], folder_of(files[0]), problem};
    WebRoot root = {0};
    int r = file_read_whole(path, FILE_BYTES_MAX, &text);
    if (r < 0) {
        problem_set(problem, 0, 0, "open %s: %s", path, strerror(-r));
        r = -EINVAL;
    } else {
        Str copy = arena_str(&c->arena, buf_str(&text));
        r = schema_load(&root_schema, copy, l.path, &c->arena, NULL, &root, problem);
    }
    if (r == 0 && tls_enabled(&root.tls)) {
        r = make_tls(&l, &root.tls);
    }
    if (r < 0) {
        web_config_free(c);
        return r;
    }
    make_guard(c, &root);
    *ret = c;
    return 0;
}

void web_config_free(WebConfig *c) {
    if (c) {
        http_tls_unref(c->tls);
        arena_deinit(&c->arena);
        mem_free(c);
    }
}

uint64_t web_config_checksum(const SchemaStrs *files) {
    uint64_t sum = 1;
    for (size_t i = 0; i < files->n; i++) {
        CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX + 1);
        CLEANUP(mem_freep) char *path = str_dup(files->v[i]);
        int r = file_read_whole(path, FILE_BYTES_MAX, &text);
        uint64_t parts[2] = {sum, r < 0 ? (uint64_t)-r : hash_str(buf_str(&text))};
        sum = hash_xxh3(parts, sizeof(parts));
    }
    return sum;
}
