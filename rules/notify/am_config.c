#include "rules/am_config.h"

#include <glob.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "rules/notify/am_read.h"
#include "rules/notify/integrations.h"
#include "rules/notify/time_interval.h"
#include "rules/template/am_funcs.h"

#define FILE_BYTES_MAX (16u << 20)
#define TEMPLATE_BYTES_MAX (8u << 20)

static int keep_node(SchemaContext *cx, const YamlNode *n, void *field) {
    *(const YamlNode **)field = n;
    return 0;
}

/* ---- inhibition */

typedef struct InhibitYaml {
    MatcherList source, target;
} InhibitYaml;

static int check_inhibit(SchemaContext *cx, const YamlNode *n, void *object) {
    loaded(cx)->yaml.inhibits = true;
    return 0;
}

#define I_FN(k, member, fn)                                                                        \
    { .key = k, .kind = SCHEMA_CUSTOM, .offset = offsetof(InhibitYaml, member), .custom = fn }
static const SchemaField INHIBIT_FIELDS[] = {
    {.key = "name", .kind = SCHEMA_STR, .flags = SCHEMA_CHECKED},
    I_FN("source_match", source, am_read_match_eq),
    I_FN("source_match_re", source, am_read_match_re),
    I_FN("source_matchers", source, am_read_matchers),
    I_FN("target_match", target, am_read_match_eq),
    I_FN("target_match_re", target, am_read_match_re),
    I_FN("target_matchers", target, am_read_matchers),
    {.key = "equal", .kind = SCHEMA_STRS, .flags = SCHEMA_CHECKED},
};
static const Schema INHIBIT_SCHEMA = {.name = "inhibit_rule",
                                      .size = sizeof(InhibitYaml),
                                      .fields = INHIBIT_FIELDS,
                                      .n = ARRAY_LEN(INHIBIT_FIELDS),
                                      .check = check_inhibit};

static int read_inhibit_rules(SchemaContext *cx, const YamlNode *n, void *field) {
    int r = 0;
    if (!yaml_node_is_null(n) && yaml_node_kind(n) != YAML_SEQUENCE) {
        return schema_problem(cx, n, "inhibit_rules must be a list");
    }
    for (size_t i = 0; r == 0 && i < yaml_node_count(n); i++) {
        InhibitYaml one = {0};
        r = schema_load_node(cx, &INHIBIT_SCHEMA, yaml_node_item(n, i), &one);
    }
    return r;
}

/* ---- time intervals: names must be unique over both lists */

static int read_time_intervals(SchemaContext *cx, const YamlNode *n, void *field) {
    LoadedConfig *c = loaded(cx);
    if (!yaml_node_is_null(n) && yaml_node_kind(n) != YAML_SEQUENCE) {
        return schema_problem(cx, n, "time_intervals must be a list");
    }
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        const YamlNode *item = yaml_node_item(n, i);
        Str name;
        int r = time_interval_check(cx, item, &name);
        if (r < 0) {
            return r;
        }
        for (size_t k = 0; k < c->intervals.n; k++) {
            if (str_eq(c->intervals.v[k], name)) {
                return schema_problem(cx, item, "mute time interval \"%.*s\" is not unique",
                                      SA(name));
            }
        }
        vec_push(&c->intervals, name);
    }
    return 0;
}

/* ---- global */

#define G(k, kd)                                                                                   \
    { .key = k, .kind = kd, .flags = SCHEMA_CHECKED }
static int read_global_tls(SchemaContext *cx, const YamlNode *n, void *field) {
    return schema_load_node(cx, &http_tls_schema, n, ARENA_NEW(cx->arena, HttpTlsOptions));
}

static const SchemaField GLOBAL_FIELDS[] = {
    {.key = "resolve_timeout",
     .kind = SCHEMA_DURATION,
     .offset = offsetof(FileYaml, resolve_timeout)},
    {.key = "http_config",
     .kind = SCHEMA_OPTIONAL,
     .offset = offsetof(FileYaml, http),
     .sub = &http_client_schema},
    G("smtp_from", SCHEMA_STR),
    G("smtp_hello", SCHEMA_STR),
    G("smtp_smarthost", SCHEMA_STR),
    G("smtp_auth_username", SCHEMA_STR),
    G("smtp_auth_password", SCHEMA_SECRET),
    G("smtp_auth_password_file", SCHEMA_STR),
    G("smtp_auth_secret", SCHEMA_SECRET),
    G("smtp_auth_secret_file", SCHEMA_STR),
    G("smtp_auth_identity", SCHEMA_STR),
    G("smtp_require_tls", SCHEMA_BOOL),
    G("smtp_force_implicit_tls", SCHEMA_BOOL),
    {.key = "smtp_tls_config", .kind = SCHEMA_CUSTOM, .custom = read_global_tls},
    G("slack_api_url", SCHEMA_SECRET),
    G("slack_api_url_file", SCHEMA_STR),
    G("slack_app_token", SCHEMA_SECRET),
    G("slack_app_token_file", SCHEMA_STR),
    G("slack_app_url", SCHEMA_STR),
    G("pagerduty_url", SCHEMA_STR),
    G("opsgenie_api_url", SCHEMA_STR),
    G("opsgenie_api_key", SCHEMA_SECRET),
    G("opsgenie_api_key_file", SCHEMA_STR),
    G("victorops_api_url", SCHEMA_STR),
    G("victorops_api_key", SCHEMA_SECRET),
    G("victorops_api_key_file", SCHEMA_STR),
    G("wechat_api_url", SCHEMA_STR),
    G("wechat_api_secret", SCHEMA_SECRET),
    G("wechat_api_secret_file", SCHEMA_STR),
    G("wechat_api_corp_id", SCHEMA_STR),
    G("telegram_api_url", SCHEMA_STR),
    G("telegram_bot_token", SCHEMA_SECRET),
    G("telegram_bot_token_file", SCHEMA_STR),
    G("webex_api_url", SCHEMA_STR),
    G("rocketchat_api_url", SCHEMA_STR),
    G("rocketchat_token", SCHEMA_SECRET),
    G("rocketchat_token_file", SCHEMA_STR),
    G("rocketchat_token_id", SCHEMA_SECRET),
    G("rocketchat_token_id_file", SCHEMA_STR),
    G("jira_api_url", SCHEMA_STR),
    G("mattermost_webhook_url", SCHEMA_SECRET),
    G("mattermost_webhook_url_file", SCHEMA_STR),
};

static void global_defaults(void *object) {
    FileYaml *y = object;
    y->resolve_timeout = 5 * 60 * 1000;
}

static int check_global(SchemaContext *cx, const YamlNode *n, void *object) {
    return integration_check_global(cx, n);
}

static const Schema GLOBAL_SCHEMA = {.name = "global",
                                     .size = sizeof(FileYaml),
                                     .fields = GLOBAL_FIELDS,
                                     .n = ARRAY_LEN(GLOBAL_FIELDS),
                                     .defaults = global_defaults,
                                     .check = check_global};

/* ---- the file */

#define F(k, member, fn)                                                                           \
    { .key = k, .kind = SCHEMA_CUSTOM, .offset = offsetof(FileYaml, member), .custom = fn }
static const SchemaField FILE_FIELDS[] = {
    F("global", global, keep_node),
    {.key = "route",
     .kind = SCHEMA_OPTIONAL,
     .offset = offsetof(FileYaml, route),
     .sub = &am_route_schema},
    F("receivers", receivers, keep_node),
    F("inhibit_rules", inhibits, read_inhibit_rules),
    {.key = "templates", .kind = SCHEMA_STRS, .offset = offsetof(FileYaml, templates)},
    F("time_intervals", inhibits, read_time_intervals),
    F("mute_time_intervals", inhibits, read_time_intervals),
    {.key = "tracing", .flags = SCHEMA_IGNORED},
    {.key = "event_recorder", .flags = SCHEMA_IGNORED},
};
static const Schema FILE_SCHEMA = {.name = "Alertmanager configuration",
                                   .size = sizeof(FileYaml),
                                   .fields = FILE_FIELDS,
                                   .n = ARRAY_LEN(FILE_FIELDS)};

/* ---- loading */

static Str absolute(Arena *a, Str path, Str file) {
    if (!path.n || path.p[0] == '/') {
        return path;
    }
    size_t slash = file.n;
    while (slash && file.p[slash - 1] != '/') {
        slash--;
    }
    return slash ? arena_printf(a, "%.*s%.*s", (int)slash, file.p, SA(path)) : path;
}

static int parse_template(Template *t, const char *path, Problem *problem) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(TEMPLATE_BYTES_MAX);
    const char *slash = strrchr(path, '/');
    problem_set_file(problem, str_of(path));
    int r = file_read_whole(path, TEMPLATE_BYTES_MAX, &b);
    return r < 0 ? problem_set(problem, 0, 0, "cannot be read: %s", strerror(-r))
                 : template_parse(t, str_of(slash ? slash + 1 : path), buf_str(&b), problem);
}

/* Globs are relative to the configuration's folder. */
static int parse_templates(LoadedConfig *c, Problem *problem) {
    int r = 0;
    Template *t = template_new(&AM_FUNCS, 1, NULL);
    c->config.templates = t;
    for (size_t i = 0; r == 0 && i < c->yaml.templates.n; i++) {
        Str pattern = absolute(&c->arena, c->yaml.templates.v[i], c->config.path);
        glob_t found = {0};
        bool any = glob(arena_cstr(&c->arena, pattern), 0, NULL, &found) == 0;
        for (size_t k = 0; any && r == 0 && k < found.gl_pathc; k++) {
            r = parse_template(t, found.gl_pathv[k], problem);
        }
        globfree(&found);
    }
    return r;
}

static int load_rest(LoadedConfig *c, Problem *problem) {
    SchemaContext cx = {.arena = &c->arena, .file = c->config.path, .problem = problem, .user = c};
    FileYaml *y = &c->yaml;
    global_defaults(y);
    int r = 0;
    if (y->global && !yaml_node_is_null(y->global)) {
        FileYaml g = {0};
        r = schema_load_node(&cx, &GLOBAL_SCHEMA, y->global, &g);
        y->resolve_timeout = g.resolve_timeout;
        y->http = g.http;
    }
    r = r < 0 ? r : am_receivers_read(&cx, y->receivers);
    if (r < 0) {
        return r;
    }
    c->config.receivers = c->receivers.v;
    c->config.n_receivers = c->receivers.n;
    if (!y->route) {
        return problem_set(problem, 0, 0, "no route provided in config");
    }
    return am_routes_build(&cx, y->route);
}

int am_config_parse(Str text, Str path, AmConfig **ret, Problem *problem) {
    LoadedConfig *c = NEW(LoadedConfig);
    c->config.path = arena_str(&c->arena, path);
    c->config.text = arena_str(&c->arena, text);
    problem_set_file(problem, path);
    int r = schema_load(&FILE_SCHEMA, text, path, &c->arena, c, &c->yaml, problem);
    r = r < 0 ? r : load_rest(c, problem);
    r = r < 0 ? r : parse_templates(c, problem);
    if (r < 0) {
        am_config_free(&c->config);
        return r;
    }
    c->config.resolve_timeout_ms = c->yaml.resolve_timeout;
    if (c->yaml.inhibits) {
        vec_push(&c->unsupported, STR("inhibit_rules"));
    }
    c->config.unsupported = c->unsupported.v;
    c->config.n_unsupported = c->unsupported.n;
    *ret = &c->config;
    return 0;
}

int am_config_load(const char *path, AmConfig **ret, Problem *problem) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(FILE_BYTES_MAX);
    int r = file_read_whole(path, FILE_BYTES_MAX, &b);
    if (r < 0) {
        problem_set_file(problem, str_of(path));
        return problem_set(problem, 0, 0, "cannot be read: %s", strerror(-r));
    }
    return am_config_parse(buf_str(&b), str_of(path), ret, problem);
}

void am_config_free(AmConfig *config) {
    if (!config) {
        return;
    }
    LoadedConfig *c = CONTAINER_OF(config, LoadedConfig, config);
    for (size_t i = 0; i < c->regexes.n; i++) {
        regex_free(c->regexes.v[i]);
    }
    vec_free(&c->regexes);
    vec_free(&c->unsupported);
    vec_free(&c->intervals);
    vec_free(&c->receivers);
    template_free((Template *)c->config.templates);
    arena_deinit(&c->arena);
    mem_free(c);
}

const AmReceiver *am_config_receiver(const AmConfig *c, Str name) {
    for (size_t i = 0; i < c->n_receivers; i++) {
        if (str_eq(c->receivers[i].name, name)) {
            return &c->receivers[i];
        }
    }
    return NULL;
}
