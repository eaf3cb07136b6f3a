#include "config/config_schema.h"

#include <stddef.h>

#include "base/clock.h"

#define FIELD(T, key, kind, member, ...)                                                           \
    { key, kind, offsetof(T, member), __VA_ARGS__ }

/* ---- global */

static const SchemaField global_fields[] = {
    {NULL, SCHEMA_STRUCT, offsetof(ConfigGlobal, scrape), SCHEMA_INLINE,
     .sub = &scrape_settings_schema},
    FIELD(ConfigGlobal, "evaluation_interval", SCHEMA_DURATION, evaluation_interval_ms,
          SCHEMA_PRINT),
    FIELD(ConfigGlobal, "rule_query_offset", SCHEMA_DURATION, rule_query_offset_ms),
    FIELD(ConfigGlobal, "query_log_file", SCHEMA_STR, query_log_file),
    FIELD(ConfigGlobal, "external_labels", SCHEMA_LABELS, external_labels),
};

static int global_check(SchemaContext *cx, const YamlNode *node, void *object) {
    ConfigGlobal *g = object;
    if (!g->evaluation_interval_ms)
        g->evaluation_interval_ms = MINUTE_MS;
    return scrape_settings_check_global(cx, node, &g->scrape);
}
static const Schema global_schema = {
    "global", sizeof(ConfigGlobal), global_fields, ARRAY_LEN(global_fields), NULL, global_check};

static const SchemaField runtime_fields[] = {
    FIELD(ConfigRuntime, "gogc", SCHEMA_INT, gogc),
};
static void runtime_defaults(void *object) { ((ConfigRuntime *)object)->gogc = 75; }
static const Schema runtime_schema = {"runtime", sizeof(ConfigRuntime), runtime_fields, 1,
                                      runtime_defaults};

static const SchemaField alerting_fields[] = {
    FIELD(ConfigAlerting, "alert_relabel_configs", SCHEMA_CUSTOM, relabel,
          .custom = relabel_configs_load, .write = relabel_configs_write),
    FIELD(ConfigAlerting, "alertmanagers", SCHEMA_LIST, alertmanagers,
          .sub = &alertmanager_config_schema),
};
static const Schema alerting_schema = {"alerting", sizeof(ConfigAlerting), alerting_fields,
                                       ARRAY_LEN(alerting_fields)};

/* ---- storage */

static const SchemaField retention_fields[] = {
    FIELD(ConfigRetention, "time", SCHEMA_DURATION, time_ms,
          .set_offset = offsetof(ConfigRetention, time_set)),
    FIELD(ConfigRetention, "size", SCHEMA_SIZE, size_bytes,
          .set_offset = offsetof(ConfigRetention, size_set)),
    FIELD(ConfigRetention, "percentage", SCHEMA_FLOAT, percentage,
          .set_offset = offsetof(ConfigRetention, percentage_set)),
};
static int retention_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const ConfigRetention *r = object;
    if (!(r->percentage >= 0 && r->percentage <= 100))
        return schema_problem(cx, yaml_node_find(node, "percentage"),
                              "key \"percentage\" in retention: expected a number from 0 to 100");
    return 0;
}
static const Schema retention_schema = {
    "retention", sizeof(ConfigRetention), retention_fields, ARRAY_LEN(retention_fields),
    NULL,        retention_check};

static const SchemaField encoding_fields[] = {
    FIELD(ConfigChunkEncoding, "floats", SCHEMA_STR, floats),
};
static int encoding_check(SchemaContext *cx, const YamlNode *node, void *object) {
    Str f = ((const ConfigChunkEncoding *)object)->floats;
    if (f.n && !str_eqc(f, "xor") && !str_eqc(f, "xor2"))
        return schema_problem(
            cx, yaml_node_find(node, "floats"),
            "key \"floats\" in chunk_encoding: expected xor or xor2, got \"%.*s\"", SA(f));
    return 0;
}
static const Schema encoding_schema = {
    "chunk_encoding", sizeof(ConfigChunkEncoding), encoding_fields, 1, NULL, encoding_check};

static const SchemaField tsdb_fields[] = {
    FIELD(ConfigTsdb, "out_of_order_time_window", SCHEMA_DURATION, out_of_order_window_ms),
    FIELD(ConfigTsdb, "stale_series_compaction_threshold", SCHEMA_FLOAT,
          stale_series_compaction_threshold),
    FIELD(ConfigTsdb, "chunk_encoding", SCHEMA_STRUCT, chunk_encoding, .sub = &encoding_schema),
    FIELD(ConfigTsdb, "retention", SCHEMA_STRUCT, retention, .sub = &retention_schema),
};
static int tsdb_check(SchemaContext *cx, const YamlNode *node, void *object) {
    double v = ((const ConfigTsdb *)object)->stale_series_compaction_threshold;
    if (!(v >= 0 && v <= 1))
        return schema_problem(
            cx, yaml_node_find(node, "stale_series_compaction_threshold"),
            "key \"stale_series_compaction_threshold\" in tsdb: expected a number "
            "from 0 to 1");
    return 0;
}
static const Schema tsdb_schema = {"tsdb", sizeof(ConfigTsdb), tsdb_fields, ARRAY_LEN(tsdb_fields),
                                   NULL,   tsdb_check};
static const SchemaField exemplar_fields[] = {
    FIELD(ConfigExemplars, "max_exemplars", SCHEMA_INT, max_exemplars),
};
static void exemplar_defaults(void *object) { ((ConfigExemplars *)object)->max_exemplars = 100000; }
static const Schema exemplar_schema = {"exemplars", sizeof(ConfigExemplars), exemplar_fields, 1,
                                       exemplar_defaults};
static const SchemaField storage_fields[] = {
    FIELD(ConfigStorage, "tsdb", SCHEMA_STRUCT, tsdb, .sub = &tsdb_schema),
    FIELD(ConfigStorage, "exemplars", SCHEMA_STRUCT, exemplars, .sub = &exemplar_schema),
};
static const Schema storage_schema = {"storage", sizeof(ConfigStorage), storage_fields,
                                      ARRAY_LEN(storage_fields)};

/* ---- tracing */

static const SchemaField tracing_fields[] = {
    FIELD(ConfigTracing, "client_type", SCHEMA_STR, client_type),
    FIELD(ConfigTracing, "endpoint", SCHEMA_STR, endpoint),
    FIELD(ConfigTracing, "sampling_fraction", SCHEMA_FLOAT, sampling_fraction),
    FIELD(ConfigTracing, "insecure", SCHEMA_BOOL, insecure),
    FIELD(ConfigTracing, "tls_config", SCHEMA_STRUCT, tls, .sub = &http_tls_schema),
    FIELD(ConfigTracing, "headers", SCHEMA_LABELS, headers),
    FIELD(ConfigTracing, "compression", SCHEMA_STR, compression),
    FIELD(ConfigTracing, "timeout", SCHEMA_DURATION, timeout_ms),
};
static void tracing_defaults(void *object) {
    ConfigTracing *t = object;
    t->client_type = STR("grpc");
    t->timeout_ms = 10 * SECOND_MS;
}
static int tracing_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const ConfigTracing *t = object;
    if (!t->endpoint.n)
        return schema_problem(cx, node, "missing key \"endpoint\" in tracing");
    if (!str_eqc(t->client_type, "grpc") && !str_eqc(t->client_type, "http"))
        return schema_problem(cx, yaml_node_find(node, "client_type"),
                              "key \"client_type\" in tracing: expected grpc or http");
    if (t->compression.n && !str_eqc(t->compression, "gzip"))
        return schema_problem(cx, yaml_node_find(node, "compression"),
                              "key \"compression\" in tracing: expected gzip, got \"%.*s\"",
                              SA(t->compression));
    for (size_t i = 0; i < t->headers.n; i++) {
        if (str_eq_nocase(t->headers.v[i].name, STR("authorization")))
            return schema_problem(cx, yaml_node_find(node, "headers"),
                                  "key \"headers\" in tracing: custom authorization header "
                                  "configuration is not yet supported");
    }
    return 0;
}
static const Schema tracing_schema = {"tracing",        sizeof(ConfigTracing),
                                      tracing_fields,   ARRAY_LEN(tracing_fields),
                                      tracing_defaults, tracing_check};

/* ---- otlp */

static const SchemaField otlp_fields[] = {
    FIELD(ConfigOtlp, "promote_all_resource_attributes", SCHEMA_BOOL, promote_all),
    FIELD(ConfigOtlp, "promote_resource_attributes", SCHEMA_STRS, promote),
    FIELD(ConfigOtlp, "ignore_resource_attributes", SCHEMA_STRS, ignore),
    FIELD(ConfigOtlp, "translation_strategy", SCHEMA_STR, translation_strategy),
    FIELD(ConfigOtlp, "keep_identifying_resource_attributes", SCHEMA_BOOL, keep_identifying),
    FIELD(ConfigOtlp, "convert_histograms_to_nhcb", SCHEMA_BOOL, convert_to_nhcb),
    FIELD(ConfigOtlp, "promote_scope_metadata", SCHEMA_BOOL, promote_scope_metadata),
    FIELD(ConfigOtlp, "label_name_underscore_sanitization", SCHEMA_BOOL, underscore_sanitization,
          SCHEMA_PRINT),
    FIELD(ConfigOtlp, "label_name_preserve_multiple_underscores", SCHEMA_BOOL,
          preserve_multiple_underscores, SCHEMA_PRINT),
};
static void otlp_defaults(void *object) {
    ConfigOtlp *o = object;
    o->translation_strategy = STR("UnderscoreEscapingWithSuffixes");
    o->underscore_sanitization = true;
    o->preserve_multiple_underscores = true;
}

/* Names without surrounding spaces, each once, none empty. */
static int attributes_check(SchemaContext *cx, const YamlNode *node, const char *key,
                            SchemaStrs *list) {
    Str *v = (Str *)list->v; /* ours until the load is over */
    for (size_t i = 0; i < list->n; i++) {
        v[i] = str_trim(v[i]);
        if (!v[i].n)
            return schema_problem(cx, yaml_node_find(node, key),
                                  "key \"%s\" in otlp: empty "
                                  "resource attribute",
                                  key);
        for (size_t k = 0; k < i; k++) {
            if (str_eq(v[i], v[k]))
                return schema_problem(cx, yaml_node_find(node, key),
                                      "key \"%s\" in otlp: duplicated resource attribute \"%.*s\"",
                                      key, SA(v[i]));
        }
    }
    return 0;
}

static int otlp_check(SchemaContext *cx, const YamlNode *node, void *object) {
    static const char *const strategies[] = {"UnderscoreEscapingWithSuffixes",
                                             "UnderscoreEscapingWithoutSuffixes",
                                             "NoUTF8EscapingWithSuffixes", "NoTranslation"};
    ConfigOtlp *o = object;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
        known |= str_eqc(o->translation_strategy, strategies[i]);
    if (!known)
        return schema_problem(cx, yaml_node_find(node, "translation_strategy"),
                              "unknown translation_strategy \"%.*s\" in otlp",
                              SA(o->translation_strategy));
    if (o->promote_all && o->promote.n)
        return schema_problem(cx, yaml_node_find(node, "promote_resource_attributes"),
                              "'promote_all_resource_attributes' and 'promote_resource_attributes' "
                              "cannot be configured simultaneously");
    if (!o->promote_all && o->ignore.n)
        return schema_problem(cx, yaml_node_find(node, "ignore_resource_attributes"),
                              "'ignore_resource_attributes' cannot be configured unless "
                              "'promote_all_resource_attributes' is true");
    int r = attributes_check(cx, node, "ignore_resource_attributes", &o->ignore);
    return r < 0 ? r : attributes_check(cx, node, "promote_resource_attributes", &o->promote);
}
static const Schema otlp_schema = {
    "otlp", sizeof(ConfigOtlp), otlp_fields, ARRAY_LEN(otlp_fields), otlp_defaults, otlp_check};

/* ---- the file */

static const SchemaField root_fields[] = {
    FIELD(ConfigRoot, "global", SCHEMA_STRUCT, global, .sub = &global_schema),
    FIELD(ConfigRoot, "runtime", SCHEMA_STRUCT, runtime, .sub = &runtime_schema),
    FIELD(ConfigRoot, "alerting", SCHEMA_STRUCT, alerting, .sub = &alerting_schema),
    FIELD(ConfigRoot, "rule_files", SCHEMA_STRS, rule_files),
    FIELD(ConfigRoot, "scrape_config_files", SCHEMA_STRS, scrape_config_files),
    FIELD(ConfigRoot, "scrape_configs", SCHEMA_LIST, scrape_configs, .sub = &scrape_config_schema),
    FIELD(ConfigRoot, "storage", SCHEMA_STRUCT, storage, .sub = &storage_schema),
    FIELD(ConfigRoot, "tracing", SCHEMA_OPTIONAL, tracing, .sub = &tracing_schema),
    FIELD(ConfigRoot, "remote_write", SCHEMA_LIST, remote_write, .sub = &remote_write_schema),
    FIELD(ConfigRoot, "remote_read", SCHEMA_LIST, remote_read, .sub = &remote_read_schema),
    FIELD(ConfigRoot, "otlp", SCHEMA_STRUCT, otlp, .sub = &otlp_schema),
};

/* `*` stands in the last element of a path only. */
static int patterns_check(SchemaContext *cx, const YamlNode *node, const char *key,
                          const SchemaStrs *patterns) {
    for (size_t i = 0; i < patterns->n; i++) {
        Str p = patterns->v[i];
        size_t star = str_find(p, '*');
        if (str_find(str_from(p, star), '/') < p.n - star)
            return schema_problem(cx, yaml_node_find(node, key),
                                  "key \"%s\": invalid file path \"%.*s\"; expected * in the last "
                                  "element of the path only",
                                  key, SA(p));
    }
    return 0;
}

static int root_check(SchemaContext *cx, const YamlNode *node, void *object) {
    ConfigRoot *c = object;
    const YamlNode *global = yaml_node_find(node, "global");
    int r = global && !yaml_node_is_null(global) ? 0 : global_check(cx, node, &c->global);
    if (r == 0)
        r = patterns_check(cx, node, "rule_files", &c->rule_files);
    if (r == 0)
        r = patterns_check(cx, node, "scrape_config_files", &c->scrape_config_files);
    bool utf8_names = str_starts(c->otlp.translation_strategy, STR("No"));
    if (r == 0 && utf8_names && scrape_settings_legacy_names(&c->global.scrape))
        r = schema_problem(cx, yaml_node_find(node, "otlp"),
                           "key \"translation_strategy\" in otlp: OTLP translation strategy "
                           "\"%.*s\" is not allowed when UTF8 is disabled",
                           SA(c->otlp.translation_strategy));
    return r;
}

const Schema config_schema = {
    "the configuration", sizeof(ConfigRoot), root_fields, ARRAY_LEN(root_fields), NULL, root_check};

static const SchemaField scrape_file_fields[] = {
    {"scrape_configs", SCHEMA_LIST, 0, .sub = &scrape_config_schema},
};
const Schema config_scrape_file_schema = {"a scrape config file", sizeof(SchemaList),
                                          scrape_file_fields, 1};
