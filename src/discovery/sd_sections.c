/*
 * The sections of mechanisms that this version checks but does not run: their keys, and the rules
 * Prometheus holds them to, so that a file gets the same verdict from both.
 */
#include <stddef.h>

#include "discovery/sd_schemas.h"
#include "net/http_client_config.h"

typedef struct Section {
    SdOtherConfig kept;
    HttpClientOptions http;
} Section;

#define TEXT(key)                                                                                  \
    { key, SCHEMA_STR, 0, SCHEMA_CHECKED }
#define HUSH(key)                                                                                  \
    { key, SCHEMA_SECRET, 0, SCHEMA_CHECKED }
#define TIME(key)                                                                                  \
    { key, SCHEMA_DURATION, 0, SCHEMA_CHECKED }
#define WHOLE(key)                                                                                 \
    { key, SCHEMA_INT, 0, SCHEMA_CHECKED }
#define FLAG(key)                                                                                  \
    { key, SCHEMA_BOOL, 0, SCHEMA_CHECKED }
#define LIST(key)                                                                                  \
    { key, SCHEMA_STRS, 0, SCHEMA_CHECKED }
#define PAIRS(key)                                                                                 \
    { key, SCHEMA_LABELS, 0, SCHEMA_CHECKED }
#define PARTS(key, schema)                                                                         \
    { key, SCHEMA_LIST, 0, SCHEMA_CHECKED, .sub = &(schema) }
#define PART(key, schema)                                                                          \
    { key, SCHEMA_STRUCT, 0, SCHEMA_CHECKED, .sub = &(schema) }
#define REFRESH TIME("refresh_interval")
#define PORT WHOLE("port")
#define HTTP                                                                                       \
    { NULL, SCHEMA_STRUCT, offsetof(Section, http), SCHEMA_INLINE, .sub = &http_client_schema }

static void section_write(const Schema *schema, const void *object, Buf *b, int indent) {
    const Section *s = object;
    if (s->kept.node)
        schema_write_node(schema, s->kept.node, b, indent);
}

static int keep(SchemaContext *cx, const YamlNode *node, void *object) {
    ((Section *)object)->kept.node = node;
    return 0;
}

static bool given(const YamlNode *node, const char *key) {
    const YamlNode *v = yaml_node_find(node, key);
    return v && !yaml_node_is_null(v) &&
           (yaml_node_kind(v) == YAML_SCALAR ? yaml_node_scalar(v).n : yaml_node_count(v)) > 0;
}

/* keys: NULL-terminated. */
static int need(SchemaContext *cx, const YamlNode *node, const char *const *keys) {
    for (; *keys; keys++) {
        if (!given(node, *keys)) {
            const YamlNode *at = yaml_node_find(node, *keys);
            return schema_problem(cx, at ? at : node, "key \"%s\" is missing or empty", *keys);
        }
    }
    return 0;
}
#define NEED(...) need(cx, node, (const char *const[]){__VA_ARGS__, NULL})

/* values: separated by spaces. An absent key is fine. */
static int one_of(SchemaContext *cx, const YamlNode *node, const char *key, const char *values) {
    const YamlNode *v = yaml_node_find(node, key);
    if (!v || !given(node, key))
        return 0;
    Str rest = str_of(values), word;
    while (str_split_next(&rest, ' ', &word)) {
        if (str_eq(yaml_node_scalar(v), word))
            return 0;
    }
    return schema_problem(cx, v, "key \"%s\": unknown value \"%.*s\"; expected one of: %s", key,
                          SA(yaml_node_scalar(v)), values);
}

static int exclusive(SchemaContext *cx, const YamlNode *node, const char *a, const char *b) {
    if (!given(node, a) || !given(node, b))
        return 0;
    return schema_problem(cx, yaml_node_find(node, b),
                          "at most one of \"%s\" and \"%s\" may be "
                          "given",
                          a, b);
}

static int either(SchemaContext *cx, const YamlNode *node, const char *a, const char *b) {
    if (!given(node, a) && !given(node, b))
        return schema_problem(cx, node, "one of the keys \"%s\" and \"%s\" is needed", a, b);
    return exclusive(cx, node, a, b);
}

static int url(SchemaContext *cx, const YamlNode *node, const char *key) {
    const YamlNode *v = yaml_node_find(node, key);
    if (!v || !given(node, key))
        return schema_problem(cx, node, "key \"%s\" is missing or empty", key);
    return http_url_check(cx, v, key, yaml_node_scalar(v));
}

#define SECTION(id, name, check, ...)                                                              \
    static const SchemaField id##_fields[] = {__VA_ARGS__};                                        \
    const Schema sd_##id##_schema = {name, sizeof(Section), id##_fields,  ARRAY_LEN(id##_fields),  \
                                     NULL, check,           section_write};
/* rules: joined by ?:, the first that fails is told. */
#define CHECK(id, rules)                                                                           \
    static int id##_check(SchemaContext *cx, const YamlNode *node, void *object) {                 \
        return keep(cx, node, object) ?: (rules);                                                  \
    }

static int dns_port(SchemaContext *cx, const YamlNode *node) {
    const YamlNode *type = yaml_node_find(node, "type");
    bool srv = !type || str_eq_nocase(yaml_node_scalar(type), STR("SRV"));
    if (!srv && !given(node, "port"))
        return schema_problem(cx, node,
                              "a port is required in DNS-SD configs for all record types "
                              "except SRV");
    return 0;
}
CHECK(dns, NEED("names") ?: one_of(cx, node, "type", "SRV A AAAA MX NS srv a aaaa mx ns")
           ?: dns_port(cx, node))
SECTION(dns, "dns_sd_config", dns_check, LIST("names"), TEXT("type"), REFRESH, PORT)

static int azure_rules(SchemaContext *cx, const YamlNode *node) {
    const YamlNode *v = yaml_node_find(node, "authentication_method");
    int r = one_of(cx, node, "authentication_method", "OAuth ManagedIdentity SDK WorkloadIdentity")
                ?: NEED("subscription_id");
    bool oauth = !v || str_eqc(yaml_node_scalar(v), "OAuth");
    return r ?: oauth ? NEED("tenant_id", "client_id", "client_secret") : 0;
}
CHECK(azure, azure_rules(cx, node))
SECTION(azure, "azure_sd_config", azure_check, TEXT("environment"), PORT, TEXT("subscription_id"),
        TEXT("tenant_id"), TEXT("client_id"), HUSH("client_secret"), REFRESH,
        TEXT("authentication_method"), TEXT("resource_group"), HTTP)

static int consul_rules(SchemaContext *cx, const YamlNode *node) {
    const Str server = yaml_node_find(node, "server")
                           ? yaml_node_scalar(yaml_node_find(node, "server"))
                           : STR("localhost:8500");
    if (!str_trim(server).n)
        return schema_problem(cx, yaml_node_find(node, "server"),
                              "consul SD configuration requires a server address");
    return exclusive(cx, node, "token", "token_file") ?: exclusive(cx, node, "token", "oauth2")
           ?: exclusive(cx, node, "token", "authorization");
}
CHECK(consul, consul_rules(cx, node))
SECTION(consul, "consul_sd_config", consul_check, TEXT("server"), TEXT("path_prefix"),
        HUSH("token"), TEXT("token_file"), TEXT("datacenter"), TEXT("namespace"), TEXT("partition"),
        TEXT("tag_separator"), TEXT("scheme"), TEXT("username"), HUSH("password"),
        FLAG("allow_stale"), REFRESH, LIST("services"), LIST("tags"), PAIRS("node_meta"),
        TEXT("filter"), TEXT("health_filter"), HTTP)

SECTION(digitalocean, "digitalocean_sd_config", keep, REFRESH, PORT, HTTP)

static const SchemaField filter_fields[] = {
    {"name", SCHEMA_STR, 0, SCHEMA_CHECKED | SCHEMA_REQUIRED},
    {"values", SCHEMA_STRS, 0, SCHEMA_CHECKED | SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
};
static const Schema filter_schema = {"filter", sizeof(Section), filter_fields,
                                     ARRAY_LEN(filter_fields)};

CHECK(docker, NEED("host"))
SECTION(docker, "docker_sd_config", docker_check, TEXT("host"), PORT,
        PARTS("filters", filter_schema), TEXT("host_networking_host"), FLAG("match_first_network"),
        REFRESH, HTTP)
CHECK(dockerswarm, NEED("host", "role") ?: one_of(cx, node, "role", "services nodes tasks"))
SECTION(dockerswarm, "dockerswarm_sd_config", dockerswarm_check, TEXT("host"), TEXT("role"),
        PARTS("filters", filter_schema), PORT, REFRESH, HTTP)

#define AMAZON                                                                                     \
    TEXT("endpoint"), TEXT("region"), TEXT("access_key"), HUSH("secret_key"), TEXT("profile"),     \
        TEXT("role_arn"), TEXT("external_id"), PORT, REFRESH, HTTP
SECTION(ec2, "ec2_sd_config", keep, PARTS("filters", filter_schema), AMAZON)
SECTION(lightsail, "lightsail_sd_config", keep, AMAZON)
SECTION(ecs, "ecs_sd_config", keep, LIST("clusters"), WHOLE("request_concurrency"), AMAZON)
SECTION(msk, "msk_sd_config", keep, LIST("clusters"), WHOLE("request_concurrency"), AMAZON)
SECTION(rds, "rds_sd_config", keep, LIST("clusters"), LIST("instances"),
        WHOLE("request_concurrency"), AMAZON)
SECTION(elasticache, "elasticache_sd_config", keep, LIST("clusters"), LIST("caches"),
        WHOLE("request_concurrency"), AMAZON)
CHECK(aws, NEED("role") ?: one_of(cx, node, "role", "ec2 ecs elasticache lightsail msk rds"))
SECTION(aws, "aws_sd_config", aws_check, TEXT("role"), LIST("clusters"), LIST("instances"),
        LIST("caches"), PARTS("filters", filter_schema), WHOLE("request_concurrency"), AMAZON)

CHECK(eureka, url(cx, node, "server"))
SECTION(eureka, "eureka_sd_config", eureka_check, TEXT("server"), REFRESH, HTTP)
CHECK(gce, NEED("project", "zone"))
SECTION(gce, "gce_sd_config", gce_check, TEXT("project"), TEXT("zone"), TEXT("filter"), REFRESH,
        PORT, TEXT("tag_separator"))
CHECK(hetzner, NEED("role") ?: one_of(cx, node, "role", "hcloud robot"))
SECTION(hetzner, "hetzner_sd_config", hetzner_check, TEXT("role"), TEXT("label_selector"), REFRESH,
        PORT, HTTP)
CHECK(ionos, NEED("datacenter_id"))
SECTION(ionos, "ionos_sd_config", ionos_check, TEXT("datacenter_id"), REFRESH, PORT, HTTP)
CHECK(kuma, url(cx, node, "server"))
SECTION(kuma, "kuma_sd_config", kuma_check, TEXT("server"), REFRESH, TIME("fetch_timeout"),
        TEXT("client_id"), HTTP)
SECTION(linode, "linode_sd_config", keep, REFRESH, PORT, TEXT("tag_separator"), TEXT("region"),
        HTTP)
CHECK(marathon, NEED("servers") ?: exclusive(cx, node, "auth_token", "auth_token_file")
                ?: exclusive(cx, node, "auth_token", "bearer_token")
                ?: exclusive(cx, node, "auth_token", "bearer_token_file")
                ?: exclusive(cx, node, "auth_token_file", "bearer_token")
                ?: exclusive(cx, node, "auth_token_file", "bearer_token_file")
                ?: exclusive(cx, node, "auth_token", "basic_auth")
                ?: exclusive(cx, node, "auth_token_file", "basic_auth")
                ?: exclusive(cx, node, "auth_token", "authorization")
                ?: exclusive(cx, node, "auth_token_file", "authorization"))
SECTION(marathon, "marathon_sd_config", marathon_check, LIST("servers"), REFRESH,
        HUSH("auth_token"), TEXT("auth_token_file"), HTTP)

static int rooted_paths(SchemaContext *cx, const YamlNode *node) {
    const YamlNode *paths = yaml_node_find(node, "paths");
    for (size_t i = 0; yaml_node_kind(paths) == YAML_SEQUENCE && i < yaml_node_count(paths); i++) {
        const YamlNode *path = yaml_node_item(paths, i);
        if (!str_starts(yaml_node_scalar(path), STR("/")))
            return schema_problem(cx, path, "key \"paths\": each path must begin with '/'");
    }
    return 0;
}
CHECK(nerve, NEED("servers", "paths") ?: rooted_paths(cx, node))
SECTION(nerve, "nerve_sd_config", nerve_check, LIST("servers"), LIST("paths"), TIME("timeout"))
CHECK(serverset, NEED("servers", "paths") ?: rooted_paths(cx, node))
SECTION(serverset, "serverset_sd_config", serverset_check, LIST("servers"), LIST("paths"),
        TIME("timeout"))
CHECK(nomad, NEED("server"))
SECTION(nomad, "nomad_sd_config", nomad_check, FLAG("allow_stale"), TEXT("namespace"), REFRESH,
        TEXT("region"), TEXT("server"), TEXT("tag_separator"), HTTP)
CHECK(oci, one_of(cx, node, "auth", "api_key instance_principal resource_principal "
                                    "workload_identity")
           ?: one_of(cx, node, "authentication_method",
                     "api_key instance_principal resource_principal workload_identity")
           ?: NEED("region"))
SECTION(oci, "oci_sd_config", oci_check, TEXT("auth"), TEXT("authentication_method"),
        TEXT("region"), TEXT("tenancy"), TEXT("user"), TEXT("fingerprint"), HUSH("key"),
        TEXT("key_file"), HUSH("key_passphrase"), LIST("compartments"), TEXT("tag_separator"), PORT,
        REFRESH, HTTP)
CHECK(openstack, NEED("role", "region")
                 ?: one_of(cx, node, "role", "instance hypervisor loadbalancer")
                 ?: one_of(cx, node, "availability", "public internal admin"))
SECTION(openstack, "openstack_sd_config", openstack_check, TEXT("identity_endpoint"),
        TEXT("username"), TEXT("userid"), HUSH("password"), TEXT("project_name"),
        TEXT("project_id"), TEXT("domain_name"), TEXT("domain_id"),
        TEXT("application_credential_name"), TEXT("application_credential_id"),
        HUSH("application_credential_secret"), TEXT("role"), TEXT("region"), REFRESH, PORT,
        FLAG("all_tenants"), PART("tls_config", http_tls_schema), TEXT("availability"))
CHECK(outscale, NEED("region", "access_key") ?: either(cx, node, "secret_key", "secret_key_file"))
SECTION(outscale, "outscale_sd_config", outscale_check, TEXT("region"), TEXT("endpoint"),
        TEXT("access_key"), HUSH("secret_key"), TEXT("secret_key_file"), TEXT("tag_separator"),
        REFRESH, PORT, HTTP)
CHECK(ovhcloud, NEED("endpoint", "application_key", "application_secret", "consumer_key", "service")
                    ?: one_of(cx, node, "service", "vps dedicated_server"))
SECTION(ovhcloud, "ovhcloud_sd_config", ovhcloud_check, TEXT("endpoint"), TEXT("application_key"),
        HUSH("application_secret"), HUSH("consumer_key"), REFRESH, TEXT("service"))
CHECK(puppetdb, url(cx, node, "url") ?: NEED("query"))
SECTION(puppetdb, "puppetdb_sd_config", puppetdb_check, TEXT("url"), TEXT("query"),
        FLAG("include_parameters"), REFRESH, PORT, HTTP)
CHECK(scaleway, NEED("role") ?: one_of(cx, node, "role", "instance baremetal")
                ?: NEED("project_id") ?: either(cx, node, "secret_key", "secret_key_file")
                ?: NEED("access_key"))
SECTION(scaleway, "scaleway_sd_config", scaleway_check, TEXT("project_id"), TEXT("api_url"),
        TEXT("zone"), TEXT("access_key"), HUSH("secret_key"), TEXT("secret_key_file"),
        TEXT("name_filter"), LIST("tags_filter"), REFRESH, PORT, TEXT("role"), HTTP)
CHECK(stackit, NEED("project"))
SECTION(stackit, "stackit_sd_config", stackit_check, TEXT("project"), TEXT("region"),
        TEXT("endpoint"), HUSH("service_account_key"), TEXT("service_account_key_path"),
        HUSH("private_key"), TEXT("private_key_path"), TEXT("credentials_file_path"), REFRESH, PORT,
        HTTP)
CHECK(triton, NEED("account", "dns_suffix", "endpoint") ?: one_of(cx, node, "role", "container cn"))
SECTION(triton, "triton_sd_config", triton_check, TEXT("account"), TEXT("role"), TEXT("dns_suffix"),
        TEXT("endpoint"), LIST("groups"), PORT, REFRESH, PART("tls_config", http_tls_schema),
        WHOLE("version"))
CHECK(uyuni, NEED("server") ?: url(cx, node, "server") ?: NEED("username", "password"))
SECTION(uyuni, "uyuni_sd_config", uyuni_check, TEXT("server"), TEXT("username"), HUSH("password"),
        TEXT("entitlement"), TEXT("separator"), REFRESH, HTTP)
SECTION(vultr, "vultr_sd_config", keep, REFRESH, PORT, HTTP)

/* ---- kubernetes */

static const SchemaField namespaces_fields[] = {FLAG("own_namespace"), LIST("names")};
static const Schema namespaces_schema = {"namespaces", sizeof(Section), namespaces_fields,
                                         ARRAY_LEN(namespaces_fields)};
static const SchemaField selector_fields[] = {TEXT("role"), TEXT("label"), TEXT("field")};
static const Schema selector_schema = {"selector", sizeof(Section), selector_fields,
                                       ARRAY_LEN(selector_fields)};
static const SchemaField attach_fields[] = {FLAG("node"), FLAG("namespace"), FLAG("deployment"),
                                            FLAG("job"), FLAG("cronjob")};
static const Schema attach_schema = {"attach_metadata", sizeof(Section), attach_fields,
                                     ARRAY_LEN(attach_fields)};

#define KUBERNETES_ROLES "pod service endpoints endpointslice node ingress"

/* Which resources a role watches, and so may select from. */
static const char *selectable_roles(Str role) {
    if (str_eqc(role, "pod"))
        return "pod node";
    if (str_eqc(role, "endpoints"))
        return "endpoints pod service node";
    if (str_eqc(role, "endpointslice"))
        return "endpointslice pod service node";
    return role.p; /* service, node, ingress: themselves; a scalar is terminated */
}

static int selector_check(SchemaContext *cx, const YamlNode *selectors, size_t i, Str role) {
    const YamlNode *s = yaml_node_item(selectors, i);
    const YamlNode *own = yaml_node_find(s, "role"), *field = yaml_node_find(s, "field");
    if (!own)
        return schema_problem(cx, s, "a selector needs a role");
    int r = one_of(cx, s, "role", selectable_roles(role));
    for (size_t k = 0; r == 0 && k < i; k++) {
        const YamlNode *before = yaml_node_find(yaml_node_item(selectors, k), "role");
        if (before && str_eq(yaml_node_scalar(before), yaml_node_scalar(own)))
            r = schema_problem(cx, own, "duplicated selector role: %.*s",
                               SA(yaml_node_scalar(own)));
    }
    if (r == 0 && field && yaml_node_scalar(field).n &&
        str_find(yaml_node_scalar(field), '=') == yaml_node_scalar(field).n)
        r = schema_problem(cx, field,
                           "invalid field selector \"%.*s\"; expected name=value or "
                           "name!=value",
                           SA(yaml_node_scalar(field)));
    return r;
}

static int selectors_check(SchemaContext *cx, const YamlNode *node, Str role) {
    const YamlNode *selectors = yaml_node_find(node, "selectors");
    int r = 0;
    for (size_t i = 0; selectors && r == 0 && i < yaml_node_count(selectors); i++)
        r = selector_check(cx, selectors, i, role);
    return r;
}

static int kubernetes_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const Section *s = object;
    int r = keep(cx, node, object) ?: NEED("role") ?: one_of(cx, node, "role", KUBERNETES_ROLES)
            ?: exclusive(cx, node, "api_server", "kubeconfig_file");
    if (r < 0)
        return r;
    if (s->http.any_set && given(node, "kubeconfig_file"))
        return schema_problem(cx, node,
                              "cannot use a custom HTTP client configuration together "
                              "with \"kubeconfig_file\"");
    if (s->http.any_set && !given(node, "api_server"))
        return schema_problem(cx, node,
                              "to use custom HTTP client configuration please provide "
                              "the \"api_server\" URL explicitly");
    const YamlNode *spaces = yaml_node_find(node, "namespaces");
    const YamlNode *own = spaces ? yaml_node_find(spaces, "own_namespace") : NULL;
    if (own && given(node, "api_server") && str_eqc(yaml_node_scalar(own), "true"))
        return schema_problem(cx, own,
                              "cannot use \"api_server\" and "
                              "\"namespaces.own_namespace\" simultaneously");
    return selectors_check(cx, node, yaml_node_scalar(yaml_node_find(node, "role")));
}
SECTION(kubernetes, "kubernetes_sd_config", kubernetes_check, TEXT("api_server"), TEXT("role"),
        TEXT("kubeconfig_file"), PART("namespaces", namespaces_schema),
        PARTS("selectors", selector_schema), PART("attach_metadata", attach_schema), HTTP)
