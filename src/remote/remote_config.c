#include "remote/remote_config.h"

#include <stddef.h>

#include "base/clock.h"

#define AT(member) offsetof(RemoteQueueConfig, member)
static const SchemaField queue_fields[] = {
    {"capacity", SCHEMA_INT, AT(capacity)},
    {"max_shards", SCHEMA_INT, AT(max_shards)},
    {"min_shards", SCHEMA_INT, AT(min_shards)},
    {"max_samples_per_send", SCHEMA_INT, AT(max_samples_per_send)},
    {"batch_send_deadline", SCHEMA_DURATION, AT(batch_send_deadline_ms)},
    {"min_backoff", SCHEMA_DURATION, AT(min_backoff_ms)},
    {"max_backoff", SCHEMA_DURATION, AT(max_backoff_ms)},
    {"retry_on_http_429", SCHEMA_BOOL, AT(retry_on_http_429)},
    {"sample_age_limit", SCHEMA_DURATION, AT(sample_age_limit_ms)},
};

static void queue_defaults(void *object) {
    *(RemoteQueueConfig *)object = (RemoteQueueConfig){
        .capacity = 10000,
        .max_shards = 50,
        .min_shards = 1,
        .max_samples_per_send = 2000,
        .batch_send_deadline_ms = 5 * SECOND_MS,
        .min_backoff_ms = 30,
        .max_backoff_ms = 5 * SECOND_MS,
    };
}

static int queue_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const RemoteQueueConfig *q = object;
    const struct {
        const char *key;
        int64_t value;
    } positive[] = {{"capacity", q->capacity},
                    {"max_shards", q->max_shards},
                    {"min_shards", q->min_shards},
                    {"max_samples_per_send", q->max_samples_per_send}};
    for (size_t i = 0; i < ARRAY_LEN(positive); i++) {
        if (positive[i].value <= 0)
            return schema_problem(cx, yaml_node_find(node, positive[i].key),
                                  "key \"%s\" in queue_config: expected a number above 0",
                                  positive[i].key);
    }
    if (q->min_shards > q->max_shards)
        return schema_problem(cx, yaml_node_find(node, "min_shards"),
                              "key \"min_shards\" in queue_config: expected at most max_shards "
                              "(%lld)",
                              (long long)q->max_shards);
    if (q->max_backoff_ms < q->min_backoff_ms)
        return schema_problem(cx, yaml_node_find(node, "max_backoff"),
                              "key \"max_backoff\" in queue_config: expected at least min_backoff");
    return 0;
}
static const Schema queue_schema = {"queue_config", sizeof(RemoteQueueConfig),
                                    queue_fields,   ARRAY_LEN(queue_fields),
                                    queue_defaults, queue_check};

static const SchemaField metadata_fields[] = {
    {"send", SCHEMA_BOOL, offsetof(RemoteMetadataConfig, send), SCHEMA_PRINT},
    {"send_interval", SCHEMA_DURATION, offsetof(RemoteMetadataConfig, send_interval_ms)},
    {"max_samples_per_send", SCHEMA_INT, offsetof(RemoteMetadataConfig, max_samples_per_send)},
};
static void metadata_defaults(void *object) {
    *(RemoteMetadataConfig *)object = (RemoteMetadataConfig){true, MINUTE_MS, 2000};
}
static const Schema metadata_schema = {"metadata_config", sizeof(RemoteMetadataConfig),
                                       metadata_fields, ARRAY_LEN(metadata_fields),
                                       metadata_defaults};

static int mapping_load(SchemaContext *cx, const YamlNode *node, void *field) {
    if (yaml_node_is_null(node))
        return 0;
    if (yaml_node_kind(node) != YAML_MAPPING)
        return schema_problem(cx, node, "expected a mapping of this authentication's keys");
    *(const YamlNode **)field = node;
    return 0;
}

/* Headers that requests set themselves, and those that other keys are for. */
static int headers_check(SchemaContext *cx, const YamlNode *node, Labels headers) {
    static const char *const reserved[] = {"host",
                                           "content-encoding",
                                           "content-length",
                                           "content-type",
                                           "x-prometheus-remote-write-version",
                                           "x-prometheus-remote-read-version",
                                           "user-agent",
                                           "connection",
                                           "keep-alive",
                                           "proxy-authenticate",
                                           "proxy-authorization",
                                           "www-authenticate",
                                           "accept-encoding",
                                           "x-amz-date",
                                           "x-amz-security-token",
                                           "x-amz-content-sha256"};
    const YamlNode *at = yaml_node_find(node, "headers");
    for (size_t i = 0; i < headers.n; i++) {
        Str name = headers.v[i].name;
        if (str_eq_nocase(name, STR("authorization")))
            return schema_problem(cx, at,
                                  "key \"headers\": authorization header must be changed via the "
                                  "basic_auth, authorization, oauth2, sigv4, azuread or google_iam "
                                  "parameter");
        for (size_t k = 0; k < ARRAY_LEN(reserved); k++) {
            if (str_eq_nocase(name, str_of(reserved[k])))
                return schema_problem(cx, at,
                                      "key \"headers\": \"%.*s\" is a reserved header, it must not "
                                      "be changed",
                                      SA(name));
        }
    }
    return 0;
}

static int headers_load(SchemaContext *cx, const YamlNode *node, void *field) {
    /* Header names hold dashes, which label names may too under UTF-8. */
    const SchemaField f = {"headers", SCHEMA_LABELS, 0};
    return schema_load_value(cx, &f, node, field);
}

static void headers_write(Buf *b, const char *key, const void *field, int indent) {
    Labels l = *(const Labels *)field;
    for (size_t i = 0; i < l.n; i++) {
        if (i == 0) {
            schema_write_indent(b, indent);
            buf_addf(b, "%s:\n", key);
        }
        schema_write_indent(b, indent + 2);
        schema_write_scalar(b, l.v[i].name);
        buf_add_cstr(b, ": ");
        schema_write_scalar(b, l.v[i].value);
        buf_add_char(b, '\n');
    }
}

#undef AT
#define AT(member) offsetof(RemoteWriteConfig, member)
static const SchemaField write_fields[] = {
    {"url", SCHEMA_STR, AT(url), SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
    {"remote_timeout", SCHEMA_DURATION, AT(timeout_ms), SCHEMA_PRINT},
    {"headers", SCHEMA_CUSTOM, AT(headers), .custom = headers_load, .write = headers_write},
    {"write_relabel_configs", SCHEMA_CUSTOM, AT(relabel), .custom = relabel_configs_load,
     .write = relabel_configs_write},
    {"name", SCHEMA_STR, AT(name)},
    {"send_exemplars", SCHEMA_BOOL, AT(send_exemplars)},
    {"send_native_histograms", SCHEMA_BOOL, AT(send_native_histograms)},
    {"round_robin_dns", SCHEMA_BOOL, AT(round_robin_dns)},
    {"failed_request_logging", SCHEMA_BOOL, AT(failed_request_logging)},
    {"protobuf_message", SCHEMA_STR, AT(protobuf_message), SCHEMA_PRINT},
    {"queue_config", SCHEMA_STRUCT, AT(queue), .sub = &queue_schema},
    {"metadata_config", SCHEMA_STRUCT, AT(metadata), .sub = &metadata_schema},
    {"sigv4", SCHEMA_CUSTOM, AT(sigv4), .custom = mapping_load},
    {"azuread", SCHEMA_CUSTOM, AT(azuread), .custom = mapping_load},
    {"google_iam", SCHEMA_CUSTOM, AT(google_iam), .custom = mapping_load},
    {NULL, SCHEMA_STRUCT, AT(http), SCHEMA_INLINE, .sub = &http_client_schema},
};

static void write_defaults(void *object) {
    RemoteWriteConfig *c = object;
    c->timeout_ms = 30 * SECOND_MS;
    c->protobuf_message = STR("prometheus.WriteRequest");
    c->http.enable_http2 = false;
}

static int write_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const RemoteWriteConfig *c = object;
    if (!str_eqc(c->protobuf_message, "prometheus.WriteRequest") &&
        !str_eqc(c->protobuf_message, "io.prometheus.write.v2.Request"))
        return schema_problem(cx, yaml_node_find(node, "protobuf_message"),
                              "unknown protobuf_message \"%.*s\"; expected prometheus.WriteRequest "
                              "or io.prometheus.write.v2.Request",
                              SA(c->protobuf_message));
    int ways = (c->http.basic_auth != NULL) + (c->http.authorization != NULL) +
               (c->http.oauth2 != NULL) + (c->sigv4 != NULL) + (c->azuread != NULL) +
               (c->google_iam != NULL);
    if (ways > 1)
        return schema_problem(cx, node,
                              "at most one of basic_auth, authorization, oauth2, sigv4, azuread & "
                              "google_iam must be configured");
    return headers_check(cx, node, c->headers);
}
const Schema remote_write_schema = {"remote_write", sizeof(RemoteWriteConfig),
                                    write_fields,   ARRAY_LEN(write_fields),
                                    write_defaults, write_check};

#undef AT
#define AT(member) offsetof(RemoteReadConfig, member)
static const SchemaField read_fields[] = {
    {"url", SCHEMA_STR, AT(url), SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
    {"remote_timeout", SCHEMA_DURATION, AT(timeout_ms), SCHEMA_PRINT},
    {"chunked_read_limit", SCHEMA_SIZE, AT(chunked_read_limit)},
    {"headers", SCHEMA_CUSTOM, AT(headers), .custom = headers_load, .write = headers_write},
    {"read_recent", SCHEMA_BOOL, AT(read_recent), SCHEMA_PRINT},
    {"required_matchers", SCHEMA_LABELS, AT(required_matchers)},
    {"name", SCHEMA_STR, AT(name)},
    {"filter_external_labels", SCHEMA_BOOL, AT(filter_external_labels), SCHEMA_PRINT},
    {NULL, SCHEMA_STRUCT, AT(http), SCHEMA_INLINE, .sub = &http_client_schema},
};

static void read_defaults(void *object) {
    RemoteReadConfig *c = object;
    c->timeout_ms = MINUTE_MS;
    c->chunked_read_limit = 50000000;
    c->filter_external_labels = true;
}

static int read_check(SchemaContext *cx, const YamlNode *node, void *object) {
    return headers_check(cx, node, ((const RemoteReadConfig *)object)->headers);
}
const Schema remote_read_schema = {"remote_read", sizeof(RemoteReadConfig),
                                   read_fields,   ARRAY_LEN(read_fields),
                                   read_defaults, read_check};
