#include "discovery/alertmanager_config.h"

#include <stddef.h>

#include "base/clock.h"

#define AT(member) offsetof(AlertmanagerConfig, member)

static int sigv4_load(SchemaContext *cx, const YamlNode *node, void *field) {
    static const SchemaField fields[] = {
        {"region", SCHEMA_STR, 0, SCHEMA_CHECKED},
        {"access_key", SCHEMA_STR, 0, SCHEMA_CHECKED},
        {"secret_key", SCHEMA_SECRET, 0, SCHEMA_CHECKED},
        {"profile", SCHEMA_STR, 0, SCHEMA_CHECKED},
        {"role_arn", SCHEMA_STR, 0, SCHEMA_CHECKED},
        {"external_id", SCHEMA_STR, 0, SCHEMA_CHECKED},
        {"use_fips_sts_endpoint", SCHEMA_BOOL, 0, SCHEMA_CHECKED},
    };
    static const Schema schema = {"sigv4", sizeof(Str), fields, ARRAY_LEN(fields)};
    Str none;
    *(const YamlNode **)field = node;
    return yaml_node_is_null(node) ? 0 : schema_load_node(cx, &schema, node, &none);
}

static const SchemaField fields[] = {
    {"scheme", SCHEMA_STR, AT(scheme)},
    {"path_prefix", SCHEMA_STR, AT(path_prefix)},
    {"timeout", SCHEMA_DURATION, AT(timeout_ms), SCHEMA_PRINT},
    {"api_version", SCHEMA_STR, AT(api_version)},
    {"relabel_configs", SCHEMA_CUSTOM, AT(relabel), .custom = relabel_configs_load,
     .write = relabel_configs_write},
    {"alert_relabel_configs", SCHEMA_CUSTOM, AT(alert_relabel), .custom = relabel_configs_load,
     .write = relabel_configs_write},
    {"sigv4", SCHEMA_CUSTOM, AT(sigv4), .custom = sigv4_load},
    {NULL, SCHEMA_STRUCT, AT(http), SCHEMA_INLINE, .sub = &http_client_schema},
    {NULL, SCHEMA_STRUCT, AT(sd), SCHEMA_INLINE, .sub = &sd_configs_schema},
};

static void defaults(void *object) {
    AlertmanagerConfig *c = object;
    c->scheme = STR("http");
    c->timeout_ms = 10 * SECOND_MS;
    c->api_version = STR("v2");
}

static int check_addresses(SchemaContext *cx, const YamlNode *node, const AlertmanagerConfig *c) {
    const SchemaList *list = &c->sd.of[SD_STATIC];
    for (size_t i = 0; i < list->n && !c->relabel.n; i++) {
        const SdStaticConfig *s = (const SdStaticConfig *)list->v + i;
        for (size_t k = 0; k < s->targets.n; k++) {
            if (str_find(s->targets.v[k], '/') < s->targets.v[k].n)
                return schema_problem(cx, yaml_node_find(node, "static_configs"),
                                      "key \"targets\" in static_config: \"%.*s\" is not a valid "
                                      "hostname; expected host:port without a scheme or path",
                                      SA(s->targets.v[k]));
        }
    }
    return 0;
}

static int check(SchemaContext *cx, const YamlNode *node, void *object) {
    AlertmanagerConfig *c = object;
    if (!str_eqc(c->api_version, "v2"))
        return schema_problem(cx, yaml_node_find(node, "api_version"),
                              "key \"api_version\": expected Alertmanager api version to be one of "
                              "[v2] but got \"%.*s\"",
                              SA(c->api_version));
    if (c->sigv4 && (c->http.basic_auth || c->http.authorization || c->http.oauth2))
        return schema_problem(cx, yaml_node_find(node, "sigv4"),
                              "at most one of basic_auth, authorization, oauth2, & sigv4 must be "
                              "configured");
    return check_addresses(cx, node, c);
}

const Schema alertmanager_config_schema = {
    "alertmanager_config", sizeof(AlertmanagerConfig), fields, ARRAY_LEN(fields), defaults, check};
