#include "rules/am_config.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "net/http_client_config.h"
#include "rules/notify/integrations.h"
#include "rules/notify/matcher_text.h"
#include "rules/notify/time_interval.h"
#include "rules/template/am_funcs.h"
#include "schema/schema.h"

#define FILE_BYTES_MAX (16u << 20)
#define TEMPLATE_BYTES_MAX (8u << 20)
#define ROUTE_DEPTH_MAX 100

/* What is read before it is checked as a whole. */
typedef struct RouteYaml {
    Str receiver;
    SchemaStrs group_by;
    int64_t group_wait, group_interval, repeat_interval;
    bool has_wait, has_interval, has_repeat, continue_matching;
    MatcherList matchers;
    SchemaStrs mute, active;
    Labels labels;
    SchemaList routes;
    const YamlNode *node;
} RouteYaml;

typedef struct WebhookYaml {
    AmWebhook hook; /* first */
    HttpClientOptions *http;
} WebhookYaml;

typedef VEC(Str) Strs;

typedef struct FileYaml {
    const YamlNode *global, *receivers;
    int64_t resolve_timeout;
    HttpClientOptions *http;
    RouteYaml *route;
    SchemaStrs templates;
    bool inhibits;
} FileYaml;

typedef struct LoadedConfig {
    AmConfig config; /* first */
    Arena arena;
    Strs unsupported, intervals;
    VEC(AmReceiver) receivers;
    VEC(Regex *) regexes; /* of all matchers */
    FileYaml yaml;
} LoadedConfig;

static LoadedConfig *loaded(SchemaContext *cx) { return cx->user; }

/* ---- matchers */

static void keep_regexes(SchemaContext *cx, const MatcherList *list, size_t from) {
    for (size_t i = from; i < list->n; i++) {
        vec_push(&loaded(cx)->regexes, list->v[i].re);
    }
}

static int read_matchers(SchemaContext *cx, const YamlNode *n, void *field) {
    MatcherList *list = field;
    if (yaml_node_kind(n) == YAML_SCALAR && !yaml_node_is_null(n)) {
        return schema_problem(cx, n, "matchers must be a list of strings");
    }
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        const YamlNode *item = yaml_node_item(n, i);
        Problem p = {0};
        size_t had = list->n;
        int r = matcher_text_parse(yaml_node_scalar(item), cx->arena, list, &p);
        keep_regexes(cx, list, had);
        if (r < 0) {
            return schema_problem(cx, item, "%s", p.text);
        }
    }
    return 0;
}

static int read_match(SchemaContext *cx, const YamlNode *n, MatcherList *list, bool regex) {
    if (yaml_node_is_null(n)) {
        return 0;
    }
    if (yaml_node_kind(n) != YAML_MAPPING) {
        return schema_problem(cx, n, "expected a mapping of label names to values");
    }
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        const YamlNode *key = yaml_node_key(n, i), *value = yaml_node_value(n, i);
        Str name = yaml_node_scalar(key);
        if (!label_name_valid_utf8(name)) {
            return schema_problem(cx, key, "invalid label name \"%.*s\"", SA(name));
        }
        if (regex && yaml_node_is_null(value)) {
            return schema_problem(cx, value, "invalid regexp value for \"%.*s\"", SA(name));
        }
        Str text = yaml_node_scalar(value);
        if (regex) {
            text = arena_printf(cx->arena, "^(?:%.*s)$", SA(text));
        }
        Problem p = {0};
        if (matcher_list_add(list, cx->arena, regex ? MATCH_RE : MATCH_EQ, name, text, &p) < 0) {
            return schema_problem(cx, value, "%s", p.text);
        }
        keep_regexes(cx, list, list->n - 1);
    }
    return 0;
}

static int read_match_eq(SchemaContext *cx, const YamlNode *n, void *field) {
    return read_match(cx, n, field, false);
}

static int read_match_re(SchemaContext *cx, const YamlNode *n, void *field) {
    return read_match(cx, n, field, true);
}

/* ---- routes */

static int keep_node(SchemaContext *cx, const YamlNode *n, void *field) {
    *(const YamlNode **)field = n;
    return 0;
}

static int check_group_by(SchemaContext *cx, const YamlNode *n, const RouteYaml *r) {
    bool all = false;
    for (size_t i = 0; i < r->group_by.n; i++) {
        Str l = r->group_by.v[i];
        all |= str_eqc(l, "...");
        if (!str_eqc(l, "...") && !label_name_valid_utf8(l)) {
            return schema_problem(cx, n, "invalid label name \"%.*s\" in group_by list", SA(l));
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq(l, r->group_by.v[k])) {
                return schema_problem(cx, n, "duplicated label \"%.*s\" in group_by", SA(l));
            }
        }
    }
    if (all && r->group_by.n > 1) {
        return schema_problem(cx, n,
                              "cannot have wildcard group_by (`...`) and other labels at the same "
                              "time");
    }
    return 0;
}

static int check_route(SchemaContext *cx, const YamlNode *n, void *object) {
    RouteYaml *r = object;
    r->node = n;
    matcher_list_sort(&r->matchers);
    if (r->has_interval && !r->group_interval) {
        return schema_problem(cx, n, "group_interval cannot be zero");
    }
    if (r->has_repeat && !r->repeat_interval) {
        return schema_problem(cx, n, "repeat_interval cannot be zero");
    }
    return check_group_by(cx, n, r);
}

#define R(k, kd, member)                                                                           \
    { .key = k, .kind = kd, .offset = offsetof(RouteYaml, member) }
#define R_SET(k, member, set)                                                                      \
    {                                                                                              \
        .key = k, .kind = SCHEMA_DURATION, .offset = offsetof(RouteYaml, member),                  \
        .set_offset = offsetof(RouteYaml, set)                                                     \
    }
#define R_FN(k, fn)                                                                                \
    { .key = k, .kind = SCHEMA_CUSTOM, .offset = offsetof(RouteYaml, matchers), .custom = fn }
static const Schema ROUTE_SCHEMA;
static const SchemaField ROUTE_FIELDS[] = {
    R("receiver", SCHEMA_STR, receiver),
    R("group_by", SCHEMA_STRS, group_by),
    R_SET("group_wait", group_wait, has_wait),
    R_SET("group_interval", group_interval, has_interval),
    R_SET("repeat_interval", repeat_interval, has_repeat),
    R("continue", SCHEMA_BOOL, continue_matching),
    R_FN("matchers", read_matchers),
    R_FN("match", read_match_eq),
    R_FN("match_re", read_match_re),
    R("mute_time_intervals", SCHEMA_STRS, mute),
    R("active_time_intervals", SCHEMA_STRS, active),
    R("labels", SCHEMA_LABELS, labels),
    {.key = "routes",
     .kind = SCHEMA_LIST,
     .offset = offsetof(RouteYaml, routes),
     .sub = &ROUTE_SCHEMA},
};
static const Schema ROUTE_SCHEMA = {.name = "route",
                                    .size = sizeof(RouteYaml),
                                    .fields = ROUTE_FIELDS,
                                    .n = ARRAY_LEN(ROUTE_FIELDS),
                                    .check = check_route};

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
    I_FN("source_match", source, read_match_eq),
    I_FN("source_match_re", source, read_match_re),
    I_FN("source_matchers", source, read_matchers),
    I_FN("target_match", target, read_match_eq),
    I_FN("target_match_re", target, read_match_re),
    I_FN("target_matchers", target, read_matchers),
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
     .sub = &ROUTE_SCHEMA},
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

/* ---- receivers */

static void webhook_defaults(void *object) { ((WebhookYaml *)object)->hook.send_resolved = true; }

static int accept_any(SchemaContext *cx, const YamlNode *n, void *field) {
    if (!yaml_node_is_null(n)) {
        Str text = arena_printf(cx->arena, "webhook payload in line %d (the standard one is sent)",
                                yaml_node_line(n));
        vec_push(&loaded(cx)->unsupported, text);
    }
    return 0;
}

static int check_webhook(SchemaContext *cx, const YamlNode *n, void *object) {
    WebhookYaml *w = object;
    if (!w->hook.url.n && !w->hook.url_file.n) {
        return schema_problem(cx, n, "one of url or url_file must be configured");
    }
    if (w->hook.url.n && w->hook.url_file.n) {
        return schema_problem(cx, n, "at most one of url & url_file must be configured");
    }
    HttpClientOptions *http = w->http ? w->http : loaded(cx)->yaml.http;
    w->hook.http = http ? &http->config : NULL;
    bool templated = str_find_str(w->hook.url, STR("{{")) < w->hook.url.n;
    return w->hook.url.n && !templated
               ? http_url_check(cx, yaml_node_find(n, "url"), "url", w->hook.url)
               : 0;
}

#define W(k, kd, member)                                                                           \
    { .key = k, .kind = kd, .offset = offsetof(WebhookYaml, member) }
static const SchemaField WEBHOOK_FIELDS[] = {
    W("send_resolved", SCHEMA_BOOL, hook.send_resolved),
    W("url", SCHEMA_SECRET, hook.url),
    W("url_file", SCHEMA_STR, hook.url_file),
    W("max_alerts", SCHEMA_UINT, hook.max_alerts),
    W("timeout", SCHEMA_DURATION, hook.timeout_ms),
    {.key = "http_config",
     .kind = SCHEMA_OPTIONAL,
     .offset = offsetof(WebhookYaml, http),
     .sub = &http_client_schema},
    {.key = "payload", .kind = SCHEMA_CUSTOM, .custom = accept_any},
};
static const Schema WEBHOOK_SCHEMA = {.name = "webhook_config",
                                      .size = sizeof(WebhookYaml),
                                      .fields = WEBHOOK_FIELDS,
                                      .n = ARRAY_LEN(WEBHOOK_FIELDS),
                                      .defaults = webhook_defaults,
                                      .check = check_webhook};

static int read_webhooks(SchemaContext *cx, const YamlNode *list, AmReceiver *r) {
    AmWebhook *v = ARENA_ARRAY(cx->arena, AmWebhook, yaml_node_count(list) + 1);
    for (size_t i = 0; i < yaml_node_count(list); i++) {
        WebhookYaml w = {0};
        int e = schema_load_node(cx, &WEBHOOK_SCHEMA, yaml_node_item(list, i), &w);
        if (e < 0) {
            return e;
        }
        v[r->n_webhooks++] = w.hook;
    }
    r->webhooks = v;
    return 0;
}

static int read_others(SchemaContext *cx, Str kind, const YamlNode *list, AmReceiver *r) {
    for (size_t i = 0; i < yaml_node_count(list); i++) {
        int e = integration_check(cx, kind, yaml_node_item(list, i), loaded(cx)->yaml.global);
        if (e < 0) {
            return e;
        }
        r->n_others++;
    }
    if (yaml_node_count(list)) {
        vec_push(&loaded(cx)->unsupported,
                 arena_printf(cx->arena, "receiver \"%.*s\": %.*s_configs", SA(r->name), SA(kind)));
    }
    return 0;
}

static int read_receiver_key(SchemaContext *cx, const YamlNode *key, const YamlNode *value,
                             AmReceiver *r) {
    Str k = yaml_node_scalar(key), suffix = STR("_configs");
    if (str_eqc(k, "name")) {
        return 0;
    }
    if (str_eqc(k, "labels")) {
        return yaml_node_kind(value) == YAML_MAPPING || yaml_node_is_null(value)
                   ? 0
                   : schema_problem(cx, value, "labels must be a mapping");
    }
    Str kind = str_ends(k, suffix) ? str_upto(k, k.n - suffix.n) : STR_NULL;
    bool webhook = kind.p && str_eqc(kind, "webhook");
    if (!webhook && !(kind.p && integration_known(kind))) {
        Str names[32];
        int n = 0;
        names[n++] = STR("webhook_configs");
        for (int i = 0; i < integration_count(); i++) {
            names[n++] = arena_printf(cx->arena, "%.*s_configs", SA(integration_name(i)));
        }
        Str near = str_nearest(k, names, (size_t)n);
        return schema_problem(cx, key, "unknown key \"%.*s\" in receiver%s%.*s%s", SA(k),
                              near.p ? "; did you mean \"" : "", SA(near), near.p ? "\"?" : "");
    }
    if (!yaml_node_is_null(value) && yaml_node_kind(value) != YAML_SEQUENCE) {
        return schema_problem(cx, value, "key \"%.*s\" in receiver: expected a list", SA(k));
    }
    return webhook ? read_webhooks(cx, value, r) : read_others(cx, kind, value, r);
}

static int read_receiver(SchemaContext *cx, const YamlNode *n) {
    LoadedConfig *c = loaded(cx);
    if (yaml_node_kind(n) != YAML_MAPPING) {
        return schema_problem(cx, n, "a receiver must be a mapping");
    }
    const YamlNode *name = yaml_node_find(n, "name");
    AmReceiver r = {.name = name ? arena_str(cx->arena, yaml_node_scalar(name)) : STR("")};
    if (!r.name.n) {
        return schema_problem(cx, n, "missing name in receiver");
    }
    for (size_t i = 0; i < c->receivers.n; i++) {
        if (str_eq(c->receivers.v[i].name, r.name)) {
            return schema_problem(cx, n, "notification config name \"%.*s\" is not unique",
                                  SA(r.name));
        }
    }
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        const YamlNode *key = yaml_node_key(n, i);
        for (size_t k = 0; k < i; k++) {
            if (str_eq(yaml_node_scalar(key), yaml_node_scalar(yaml_node_key(n, k)))) {
                return schema_problem(cx, key, "key \"%.*s\" is given twice in receiver",
                                      SA(yaml_node_scalar(key)));
            }
        }
        int e = read_receiver_key(cx, key, yaml_node_value(n, i), &r);
        if (e < 0) {
            return e;
        }
    }
    vec_push(&c->receivers, r);
    return 0;
}

static int read_receivers(SchemaContext *cx, const YamlNode *n) {
    int r = 0;
    if (n && !yaml_node_is_null(n) && yaml_node_kind(n) != YAML_SEQUENCE) {
        return schema_problem(cx, n, "receivers must be a list");
    }
    for (size_t i = 0; n && r == 0 && i < yaml_node_count(n); i++) {
        r = read_receiver(cx, yaml_node_item(n, i));
    }
    return r;
}

/* ---- the tree of routes, with what is inherited */

static int check_names(SchemaContext *cx, const RouteYaml *y, const SchemaStrs *names) {
    LoadedConfig *c = loaded(cx);
    for (size_t i = 0; i < names->n; i++) {
        bool found = false;
        for (size_t k = 0; k < c->intervals.n; k++) {
            found |= str_eq(c->intervals.v[k], names->v[i]);
        }
        if (!found) {
            return schema_problem(cx, y->node, "undefined time interval \"%.*s\" used in route",
                                  SA(names->v[i]));
        }
    }
    if (names->n) {
        vec_push(&c->unsupported, arena_printf(cx->arena, "time intervals of the route in line %d",
                                               yaml_node_line(y->node)));
    }
    return 0;
}

static void route_group_by(Arena *a, AmRoute *r, const SchemaStrs *names) {
    Str *v = ARENA_ARRAY(a, Str, names->n + 1);
    r->group_by_all = names->n == 1 && str_eqc(names->v[0], "...");
    r->n_group_by = r->group_by_all ? 0 : names->n;
    if (r->n_group_by) {
        memcpy(v, names->v, names->n * sizeof(Str));
        qsort(v, names->n, sizeof(Str), str_qsort_cmp);
    }
    r->group_by = v;
}

static Labels route_labels(Arena *a, const AmRoute *parent, Labels own) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, parent ? parent->labels : LABELS_EMPTY);
    for (size_t i = 0; i < own.n; i++) {
        labels_builder_set(&b, own.v[i].name, own.v[i].value);
    }
    Labels l = labels_copy(a, labels_builder_view(&b));
    labels_builder_deinit(&b);
    return l;
}

static void route_fill(Arena *a, const RouteYaml *y, const AmRoute *parent, AmRoute *r) {
    *r = parent ? *parent
                : (AmRoute){.group_wait_ms = 30000,
                            .group_interval_ms = 300000,
                            .repeat_interval_ms = 4 * 3600000};
    r->parent = parent;
    r->receiver = y->receiver.n ? y->receiver : r->receiver;
    r->continue_matching = y->continue_matching;
    r->line = yaml_node_line(y->node);
    if (y->group_by.set) {
        route_group_by(a, r, &y->group_by);
    }
    r->group_wait_ms = y->has_wait ? y->group_wait : r->group_wait_ms;
    r->group_interval_ms = y->has_interval ? y->group_interval : r->group_interval_ms;
    r->repeat_interval_ms = y->has_repeat ? y->repeat_interval : r->repeat_interval_ms;
    r->matchers = y->matchers.v;
    r->n_matchers = y->matchers.n;
    r->labels = route_labels(a, parent, y->labels);
    CLEANUP(buf_deinit) Buf key = BUF_INIT(0);
    if (parent) {
        buf_addf(&key, "%.*s/", SA(parent->key));
    }
    matcher_list_format(&y->matchers, &key);
    r->key = arena_str(a, buf_str(&key));
}

static int route_build(SchemaContext *cx, const RouteYaml *y, const AmRoute *parent, AmRoute *r,
                       int depth) {
    if (depth > ROUTE_DEPTH_MAX) {
        return schema_problem(cx, y->node, "routes are nested too deeply");
    }
    route_fill(cx->arena, y, parent, r);
    if (!am_config_receiver(&loaded(cx)->config, r->receiver)) {
        return schema_problem(cx, y->node, "undefined receiver \"%.*s\" used in route",
                              SA(r->receiver));
    }
    int e = check_names(cx, y, &y->mute);
    e = e < 0 ? e : check_names(cx, y, &y->active);
    const RouteYaml *sub = y->routes.v;
    r->routes = ARENA_ARRAY(cx->arena, AmRoute, y->routes.n + 1);
    r->n_routes = y->routes.n;
    for (size_t i = 0; e == 0 && i < y->routes.n; i++) {
        e = route_build(cx, &sub[i], r, &r->routes[i], depth + 1);
    }
    return e;
}

static int check_root(SchemaContext *cx, const RouteYaml *y) {
    if (!y->receiver.n) {
        return schema_problem(cx, y->node, "root route must specify a default receiver");
    }
    if (y->matchers.n) {
        return schema_problem(cx, y->node, "root route must not have any matchers");
    }
    if (y->mute.n || y->active.n) {
        return schema_problem(cx, y->node, "root route must not have any %s time intervals",
                              y->mute.n ? "mute" : "active");
    }
    if (y->continue_matching) {
        return schema_problem(cx, y->node, "cannot have continue in root route");
    }
    return 0;
}

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
    r = r < 0 ? r : read_receivers(&cx, y->receivers);
    if (r < 0) {
        return r;
    }
    c->config.receivers = c->receivers.v;
    c->config.n_receivers = c->receivers.n;
    if (!y->route) {
        return problem_set(problem, 0, 0, "no route provided in config");
    }
    r = check_root(&cx, y->route);
    c->config.route = ARENA_NEW(&c->arena, AmRoute);
    return r < 0 ? r : route_build(&cx, y->route, NULL, c->config.route, 0);
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

void am_route_match(const AmRoute *r, Labels l, void (*fn)(void *arg, const AmRoute *r),
                    void *arg) {
    if (!matchers_match(r->matchers, r->n_matchers, l)) {
        return;
    }
    bool any = false;
    for (size_t i = 0; i < r->n_routes; i++) {
        const AmRoute *sub = &r->routes[i];
        if (matchers_match(sub->matchers, sub->n_matchers, l)) {
            am_route_match(sub, l, fn, arg);
            any = true;
            if (!sub->continue_matching) {
                break;
            }
        }
    }
    if (!any) {
        fn(arg, r);
    }
}
