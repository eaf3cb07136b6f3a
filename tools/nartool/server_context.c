#include "nartool/server_context.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/http_client_config.h"

#define CONFIG_BYTES_MAX (1u << 20)
#define HEADERS_MAX 32

typedef struct Context {
    Str name, url, user, password_file, token_file;
    HttpClientOptions http;
} Context;

typedef struct ContextFile {
    Str current;
    SchemaList contexts;
} ContextFile;

static struct {
    Arena arena;
    const Context *context;  /* the chosen one */
    bool chosen;             /* by --context */
    HttpClientOptions *http; /* --http.config.file */
    HttpHeader headers[HEADERS_MAX];
    size_t n_headers;
} setup;

#define AT(member) offsetof(Context, member)

static const SchemaField context_fields[] = {
    {"name", SCHEMA_STR, AT(name), SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
    {"url", SCHEMA_STR, AT(url), SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
    {"user", SCHEMA_STR, AT(user)},
    {"password_file", SCHEMA_STR, AT(password_file)},
    {"token_file", SCHEMA_STR, AT(token_file)},
    {NULL, SCHEMA_STRUCT, AT(http), SCHEMA_INLINE, &http_client_schema},
};

/* The short keys stand for the long ones. */
static int context_check(SchemaContext *cx, const YamlNode *node, void *object) {
    Context *c = object;
    HttpClientConfig *http = &c->http.config;
    if ((c->user.n || c->token_file.n) && (http->has_basic_auth || http->has_authorization)) {
        return schema_problem(cx, node,
                              "user and token_file do not go with basic_auth and "
                              "authorization");
    }
    if (c->user.n && c->token_file.n) {
        return schema_problem(cx, node, "at most one of user and token_file may be given");
    }
    if (c->user.n) {
        http->has_basic_auth = true;
        http->basic_username = c->user;
        http->basic_password_file = c->password_file;
    }
    if (c->token_file.n) {
        http->has_authorization = true;
        http->authorization_type = STR("Bearer");
        http->authorization_credentials_file = c->token_file;
    }
    return 0;
}

static const Schema context_schema = {
    "context", sizeof(Context), context_fields, ARRAY_LEN(context_fields), NULL, context_check};

static const SchemaField file_fields[] = {
    {"current", SCHEMA_STR, offsetof(ContextFile, current)},
    {"contexts", SCHEMA_LIST, offsetof(ContextFile, contexts), 0, &context_schema},
};

static const Schema file_schema = {"contexts file", sizeof(ContextFile), file_fields,
                                   ARRAY_LEN(file_fields)};

static Str file_path(void) {
    const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
    if (xdg && *xdg) {
        return arena_printf(&setup.arena, "%s/nartool/config.yml", xdg);
    }
    return home ? arena_printf(&setup.arena, "%s/.config/nartool/config.yml", home) : STR_NULL;
}

static int load(const char *path, const Schema *schema, void *ret) {
    Buf text = BUF_INIT(CONFIG_BYTES_MAX);
    Problem p = {0};
    char told[2048];
    int r = file_read_whole(path, CONFIG_BYTES_MAX, &text);
    if (r < 0) {
        buf_deinit(&text);
        return fail("%s: %s", path, strerror(-r));
    }
    Str copy = arena_str(&setup.arena, buf_str(&text));
    buf_deinit(&text);
    r = schema_load(schema, copy, str_of(path), &setup.arena, NULL, ret, &p);
    return r < 0 ? fail("%s", problem_format(&p, told, sizeof(told))) : EXIT_OK;
}

static int choose(const ContextFile *file, Str name, const char *path) {
    const Context *all = file->contexts.v;
    Str names[64];
    size_t n = 0;
    for (size_t i = 0; i < file->contexts.n; i++) {
        if (str_eq(all[i].name, name)) {
            setup.context = &all[i];
            return EXIT_OK;
        }
        if (n < ARRAY_LEN(names)) {
            names[n++] = all[i].name;
        }
    }
    Str near = str_nearest(name, names, n);
    return fail("%s: there is no context \"%.*s\"%s%.*s%s", path, SA(name),
                near.n ? "; did you mean " : "", SA(near), near.n ? "?" : "");
}

/* Without the flag a file that is not there, or has no current context, is fine. */
static int setup_context(Str name) {
    Str path = file_path();
    bool there = path.n && file_exists(path.p);
    ContextFile file = {0};
    if (!there) {
        return name.p ? fail("--context: %.*s: no such file", SA(path)) : EXIT_OK;
    }
    int code = load(path.p, &file_schema, &file);
    name = name.p ? name : file.current;
    return code || !name.n ? code : choose(&file, name, path.p);
}

static int add_header(Str text) {
    size_t at = MIN(str_find(text, '='), str_find(text, ':'));
    if (at == text.n || at == 0 || setup.n_headers == HEADERS_MAX) {
        fail("--header: expected NAME=VALUE, at most %d times, got \"%.*s\"", HEADERS_MAX,
             SA(text));
        return EXIT_USAGE;
    }
    setup.headers[setup.n_headers++] =
        (HttpHeader){str_upto(text, at), str_trim(str_from(text, at + 1))};
    return EXIT_OK;
}

static bool asks_server(const Args *a) {
    static const char *const families[] = {
        "query", "shell", "push", "check healthy", "check ready", "tsdb create-blocks-from rules"};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (str_starts(str_of(a->command), str_of(families[i]))) {
            return true;
        }
    }
    return false;
}

int server_context_setup(Args *a) {
    if (!asks_server(a)) {
        return EXIT_OK;
    }
    setup.arena = ARENA_INIT(0);
    Str name = args_flag(a, "--context"), path = args_flag(a, "--http.config.file");
    setup.chosen = name.p != NULL;
    int code = a->as_promtool && !name.p ? EXIT_OK : setup_context(name);
    if (!code && path.p) {
        setup.http = ARENA_NEW(&setup.arena, HttpClientOptions);
        code = load(path.p, &http_client_schema, setup.http);
    }
    for (Str h; !code && (h = args_flag(a, "--header")).p;) {
        code = add_header(h);
    }
    return code;
}

bool server_context_url(Str *ret) {
    Str env = str_of(getenv("NARTOOL_URL"));
    if (env.n && !setup.chosen) {
        *ret = env;
        return true;
    }
    *ret = setup.context ? setup.context->url : STR_NULL;
    return setup.context != NULL;
}

const HttpClientConfig *server_context_client(Str url) {
    if (setup.http) {
        return &setup.http->config;
    }
    bool own = setup.context && (setup.chosen || str_eq(setup.context->url, url));
    return own ? &setup.context->http.config : NULL;
}

const HttpHeader *server_context_headers(size_t *ret_n) {
    *ret_n = setup.n_headers;
    return setup.headers;
}
