#include "rules/notify/integrations.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/http_client_config.h"

static const struct Integration {
    const char *name, *fields;
} INTEGRATIONS[] = {
#define INTEGRATION(name, fields) {#name, fields},
#include "rules/notify/integrations.def"
#undef INTEGRATION
};

int integration_count(void) { return (int)ARRAY_LEN(INTEGRATIONS); }

Str integration_name(int i) { return str_of(INTEGRATIONS[i].name); }

static const struct Integration *find(Str kind) {
    for (size_t i = 0; i < ARRAY_LEN(INTEGRATIONS); i++) {
        if (str_eqc(kind, INTEGRATIONS[i].name)) {
            return &INTEGRATIONS[i];
        }
    }
    return NULL;
}

bool integration_known(Str kind) { return find(kind) != NULL; }

bool integration_has(const YamlNode *n, const char *key) {
    const YamlNode *v = n && yaml_node_kind(n) == YAML_MAPPING ? yaml_node_find(n, key) : NULL;
    return v && (yaml_node_kind(v) != YAML_SCALAR || yaml_node_scalar(v).n > 0);
}

/* ---- keys */

static int check_mapping(SchemaContext *cx, const YamlNode *n, void *field) {
    return yaml_node_kind(n) == YAML_MAPPING || yaml_node_is_null(n)
               ? 0
               : schema_problem(cx, n, "expected a mapping");
}

static int check_list(SchemaContext *cx, const YamlNode *n, void *field) {
    return yaml_node_kind(n) == YAML_SEQUENCE || yaml_node_is_null(n)
               ? 0
               : schema_problem(cx, n, "expected a list");
}

static int check_any(SchemaContext *cx, const YamlNode *n, void *field) { return 0; }

static int check_http(SchemaContext *cx, const YamlNode *n, void *field) {
    return schema_load_node(cx, &http_client_schema, n, ARENA_NEW(cx->arena, HttpClientOptions));
}

static int check_tls(SchemaContext *cx, const YamlNode *n, void *field) {
    return schema_load_node(cx, &http_tls_schema, n, ARENA_NEW(cx->arena, HttpTlsOptions));
}

static SchemaField field_of(const char *key, char kind) {
    SchemaField f = {.key = key, .flags = SCHEMA_CHECKED};
    switch (kind) {
    case 'S': f.kind = SCHEMA_STR; break;
    case 'B': f.kind = SCHEMA_BOOL; break;
    case 'I': f.kind = SCHEMA_INT; break;
    case 'D': f.kind = SCHEMA_DURATION; break;
    default:
        f.kind = SCHEMA_CUSTOM;
        f.flags = 0;
        f.custom = kind == 'M'   ? check_mapping
                   : kind == 'L' ? check_list
                   : kind == 'H' ? check_http
                   : kind == 'T' ? check_tls
                                 : check_any;
    }
    return f;
}

static int check_keys(SchemaContext *cx, const struct Integration *it, const YamlNode *node) {
    SchemaField *fields = ARENA_ARRAY(cx->arena, SchemaField, 64);
    size_t n = 0;
    Str rest = str_of(it->fields), part;
    fields[n++] = field_of("send_resolved", 'B');
    fields[n++] = field_of("http_config", 'H');
    while (str_split_next(&rest, ' ', &part)) {
        fields[n++] =
            field_of(arena_cstr(cx->arena, str_upto(part, part.n - 2)), part.p[part.n - 1]);
    }
    Schema *s = ARENA_NEW(cx->arena, Schema);
    Str name = arena_printf(cx->arena, "%s_config", it->name);
    *s = (Schema){.name = name.p, .size = 16, .fields = fields, .n = n};
    return schema_load_node(cx, s, node, arena_zalloc(cx->arena, 16));
}

/* ---- rules: at most one of each pair, and what must be there, here or in `global` */

static const struct Exclusive {
    const char *kind, *a, *b;
} EXCLUSIVE[] = {
    {"email", "auth_password", "auth_password_file"},
    {"email", "auth_secret", "auth_secret_file"},
    {"slack", "api_url", "api_url_file"},
    {"slack", "app_token", "app_token_file"},
    {"pagerduty", "routing_key", "routing_key_file"},
    {"pagerduty", "service_key", "service_key_file"},
    {"opsgenie", "api_key", "api_key_file"},
    {"victorops", "api_key", "api_key_file"},
    {"pushover", "user_key", "user_key_file"},
    {"pushover", "token", "token_file"},
    {"telegram", "bot_token", "bot_token_file"},
    {"telegram", "chat_id", "chat_id_file"},
    {"discord", "webhook_url", "webhook_url_file"},
    {"msteams", "webhook_url", "webhook_url_file"},
    {"msteamsv2", "webhook_url", "webhook_url_file"},
    {"wechat", "api_secret", "api_secret_file"},
    {"rocketchat", "token", "token_file"},
    {"rocketchat", "token_id", "token_id_file"},
    {"mattermost", "webhook_url", "webhook_url_file"},
    {"incidentio", "url", "url_file"},
    {"incidentio", "alert_source_token", "alert_source_token_file"},
    {NULL, "smtp_auth_password", "smtp_auth_password_file"},
    {NULL, "smtp_auth_secret", "smtp_auth_secret_file"},
    {NULL, "slack_api_url", "slack_api_url_file"},
    {NULL, "slack_app_token", "slack_app_token_file"},
    {NULL, "opsgenie_api_key", "opsgenie_api_key_file"},
    {NULL, "victorops_api_key", "victorops_api_key_file"},
    {NULL, "wechat_api_secret", "wechat_api_secret_file"},
    {NULL, "telegram_bot_token", "telegram_bot_token_file"},
    {NULL, "rocketchat_token", "rocketchat_token_file"},
    {NULL, "rocketchat_token_id", "rocketchat_token_id_file"},
    {NULL, "mattermost_webhook_url", "mattermost_webhook_url_file"},
};

/* One of up to three keys of the receiver, or one of up to four of `global`. */
static const struct Needed {
    const char *kind, *own[3], *global[4], *text;
} NEEDED[] = {
    {"email", {"to"}, {0}, "missing to address in email config"},
    {"email", {"smarthost"}, {"smtp_smarthost"}, "no global SMTP smarthost set"},
    {"email", {"from"}, {"smtp_from"}, "no global SMTP from set"},
    {"slack",
     {"api_url", "api_url_file", "app_token"},
     {"slack_api_url", "slack_api_url_file", "slack_app_token", "slack_app_token_file"},
     "no global Slack API URL or App token set either inline or in a file"},
    {"opsgenie",
     {"api_key", "api_key_file"},
     {"opsgenie_api_key", "opsgenie_api_key_file"},
     "no global OpsGenie API Key set either inline or in a file"},
    {"victorops",
     {"api_key", "api_key_file"},
     {"victorops_api_key", "victorops_api_key_file"},
     "no global VictorOps API Key set"},
    {"victorops", {"routing_key"}, {0}, "missing Routing key in VictorOps config"},
    {"pushover",
     {"user_key", "user_key_file"},
     {0},
     "one of user_key or user_key_file must be configured"},
    {"pushover", {"token", "token_file"}, {0}, "one of token or token_file must be configured"},
    {"telegram",
     {"bot_token", "bot_token_file"},
     {"telegram_bot_token", "telegram_bot_token_file"},
     "missing bot_token or bot_token_file on telegram_config"},
    {"telegram",
     {"chat_id", "chat_id_file"},
     {0},
     "missing chat_id or chat_id_file on "
     "telegram_config"},
    {"discord",
     {"webhook_url", "webhook_url_file"},
     {0},
     "one of webhook_url or webhook_url_file must be configured"},
    {"msteams",
     {"webhook_url", "webhook_url_file"},
     {0},
     "one of webhook_url or webhook_url_file must be configured"},
    {"msteamsv2",
     {"webhook_url", "webhook_url_file"},
     {0},
     "one of webhook_url or webhook_url_file must be configured"},
    {"webex", {"room_id"}, {0}, "missing room_id on webex_config"},
    {"wechat",
     {"api_secret", "api_secret_file"},
     {"wechat_api_secret", "wechat_api_secret_file"},
     "no global Wechat Api Secret set either inline or in a file"},
    {"wechat", {"corp_id"}, {"wechat_api_corp_id"}, "no global Wechat CorpID set"},
    {"sns",
     {"topic_arn", "phone_number", "target_arn"},
     {0},
     "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config"},
    {"jira", {"project"}, {0}, "missing project in jira_config"},
    {"jira", {"issue_type"}, {0}, "missing issue_type in jira_config"},
    {"jira", {"api_url"}, {"jira_api_url"}, "no global Jira Cloud URL set"},
    {"rocketchat",
     {"token", "token_file"},
     {"rocketchat_token", "rocketchat_token_file"},
     "no global Rocketchat Token set either inline or in a file"},
    {"rocketchat",
     {"token_id", "token_id_file"},
     {"rocketchat_token_id", "rocketchat_token_id_file"},
     "no global Rocketchat TokenID set either inline or in a file"},
    {"mattermost",
     {"webhook_url", "webhook_url_file"},
     {"mattermost_webhook_url", "mattermost_webhook_url_file"},
     "no global Mattermost Webhook URL set either inline or in a file"},
    {"incidentio", {"url", "url_file"}, {0}, "one of url or url_file must be configured"},
    {"incidentio",
     {"alert_source_token", "alert_source_token_file", "http_config"},
     {0},
     "at least one of alert_source_token, alert_source_token_file or "
     "http_config.authorization must be configured"},
    {"pagerduty",
     {"service_key", "routing_key", "routing_key_file"},
     {0},
     "missing service or routing key in PagerDuty config"},
};

static int check_exclusive(SchemaContext *cx, const char *kind, const YamlNode *n) {
    for (size_t i = 0; i < ARRAY_LEN(EXCLUSIVE); i++) {
        const struct Exclusive *e = &EXCLUSIVE[i];
        bool ours = kind && e->kind ? strcmp(kind, e->kind) == 0 : kind == e->kind;
        if (ours && integration_has(n, e->a) && integration_has(n, e->b)) {
            return schema_problem(cx, yaml_node_find(n, e->b),
                                  "at most one of %s & %s must be configured", e->a, e->b);
        }
    }
    return 0;
}

static int check_needed(SchemaContext *cx, const char *kind, const YamlNode *n,
                        const YamlNode *global) {
    for (size_t i = 0; i < ARRAY_LEN(NEEDED); i++) {
        const struct Needed *d = &NEEDED[i];
        bool found = strcmp(kind, d->kind) != 0;
        for (size_t k = 0; k < 3 && d->own[k]; k++) {
            found |= integration_has(n, d->own[k]);
        }
        for (size_t k = 0; k < 4 && d->global[k]; k++) {
            found |= integration_has(global, d->global[k]);
        }
        if (!found && !(strcmp(kind, "pagerduty") == 0 && integration_has(n, "service_key_file")) &&
            !(strcmp(kind, "slack") == 0 && integration_has(n, "app_token_file"))) {
            return schema_problem(cx, n, "%s", d->text);
        }
    }
    return 0;
}

/* Updating a message needs the API of bots. */
static int check_slack(SchemaContext *cx, const YamlNode *n, const YamlNode *global) {
    const YamlNode *update = yaml_node_find(n, "update_message");
    if (!update || !str_eqc(yaml_node_scalar(update), "true")) {
        return 0;
    }
    const YamlNode *url = yaml_node_find(n, "api_url");
    Str own = url ? yaml_node_scalar(url) : STR_NULL;
    bool token = integration_has(n, "app_token") || integration_has(n, "app_token_file") ||
                 (!own.n && (integration_has(global, "slack_app_token") ||
                             integration_has(global, "slack_app_token_file")));
    if (token || str_eqc(own, "https://slack.com/api/chat.postMessage")) {
        return 0;
    }
    return schema_problem(cx, update,
                          "update_message can only be used with bot tokens. api_url must be set "
                          "to https://slack.com/api/chat.postMessage");
}

int integration_check(SchemaContext *cx, Str kind, const YamlNode *node, const YamlNode *global) {
    const struct Integration *it = find(kind);
    int r = check_keys(cx, it, node);
    r = r < 0 ? r : check_exclusive(cx, it->name, node);
    r = r < 0 ? r : check_needed(cx, it->name, node, global);
    return r < 0 || strcmp(it->name, "slack") != 0 ? r : check_slack(cx, node, global);
}

int integration_check_global(SchemaContext *cx, const YamlNode *global) {
    int r = check_exclusive(cx, NULL, global);
    if (r < 0) {
        return r;
    }
    bool token = integration_has(global, "slack_app_token") ||
                 integration_has(global, "slack_app_token_file");
    const YamlNode *api = yaml_node_find(global, "slack_api_url");
    /* Naming the API of bots as the webhook was how tokens were used before there was a key. */
    bool bot_api = api && str_eqc(yaml_node_scalar(api), "https://slack.com/api/chat.postMessage");
    bool url = (integration_has(global, "slack_api_url") && !bot_api) ||
               integration_has(global, "slack_api_url_file");
    if (token && url) {
        return schema_problem(cx, global,
                              "at most one of slack_app_token/slack_app_token_file & "
                              "slack_api_url/slack_api_url_file must be configured");
    }
    return 0;
}
