/* Receivers of alertmanager.yml: webhooks are kept, other integrations are checked. */
#include "rules/notify/am_read.h"
#include "rules/notify/integrations.h"

typedef struct WebhookYaml {
    AmWebhook hook; /* first */
    HttpClientOptions *http;
} WebhookYaml;

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

int am_receivers_read(SchemaContext *cx, const YamlNode *n) {
    int r = 0;
    if (n && !yaml_node_is_null(n) && yaml_node_kind(n) != YAML_SEQUENCE) {
        return schema_problem(cx, n, "receivers must be a list");
    }
    for (size_t i = 0; n && r == 0 && i < yaml_node_count(n); i++) {
        r = read_receiver(cx, yaml_node_item(n, i));
    }
    return r;
}
