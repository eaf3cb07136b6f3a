#include "scrape/scrape_config.h"

#include <stddef.h>

#include "base/clock.h"

#define AT(member) offsetof(ScrapeSettings, member)

static const char *const protocol_names[SCRAPE_PROTOCOLS] = {
    [SCRAPE_PROTO] = "PrometheusProto",
    [SCRAPE_TEXT_0_0_4] = "PrometheusText0.0.4",
    [SCRAPE_TEXT_1_0_0] = "PrometheusText1.0.0",
    [SCRAPE_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
    [SCRAPE_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
};

static const SchemaField settings_fields[] = {
    {"scrape_interval", SCHEMA_DURATION, AT(interval_ms), SCHEMA_PRINT},
    {"scrape_timeout", SCHEMA_DURATION, AT(timeout_ms), SCHEMA_PRINT,
     .set_offset = AT(timeout_set)},
    {"scrape_protocols", SCHEMA_STRS, AT(protocols)},
    {"scrape_failure_log_file", SCHEMA_STR, AT(failure_log_file)},
    {"body_size_limit", SCHEMA_SIZE, AT(body_size_limit)},
    {"sample_limit", SCHEMA_UINT, AT(sample_limit)},
    {"target_limit", SCHEMA_UINT, AT(target_limit)},
    {"label_limit", SCHEMA_UINT, AT(label_limit)},
    {"label_name_length_limit", SCHEMA_UINT, AT(label_name_length_limit)},
    {"label_value_length_limit", SCHEMA_UINT, AT(label_value_length_limit)},
    {"keep_dropped_targets", SCHEMA_UINT, AT(keep_dropped_targets)},
    {"metric_name_validation_scheme", SCHEMA_STR, AT(validation_scheme)},
    {"metric_name_escaping_scheme", SCHEMA_STR, AT(escaping_scheme)},
    {"scrape_native_histograms", SCHEMA_BOOL, AT(native_histograms), SCHEMA_PRINT,
     .set_offset = AT(native_histograms_set)},
    {"always_scrape_classic_histograms", SCHEMA_BOOL, AT(classic_histograms), SCHEMA_PRINT,
     .set_offset = AT(classic_histograms_set)},
    {"convert_classic_histograms_to_nhcb", SCHEMA_BOOL, AT(convert_to_nhcb), SCHEMA_PRINT,
     .set_offset = AT(convert_to_nhcb_set)},
    {"extra_scrape_metrics", SCHEMA_BOOL, AT(extra_metrics), SCHEMA_PRINT,
     .set_offset = AT(extra_metrics_set)},
};
const Schema scrape_settings_schema = {"scrape settings", sizeof(ScrapeSettings), settings_fields,
                                       ARRAY_LEN(settings_fields)};

static int params_load(SchemaContext *cx, const YamlNode *node, void *field) {
    static const SchemaField values = {"params", SCHEMA_STRS, offsetof(ScrapeParam, values)};
    ScrapeParams *out = field;
    *out = (ScrapeParams){0};
    if (yaml_node_is_null(node))
        return 0;
    if (yaml_node_kind(node) != YAML_MAPPING)
        return schema_problem(cx, node, "params: expected a mapping of names to lists of values");
    size_t n = yaml_node_count(node);
    ScrapeParam *v = ARENA_ARRAY(cx->arena, ScrapeParam, n ? n : 1);
    if (!v)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        v[i].name = yaml_node_scalar(yaml_node_key(node, i));
        int r = schema_load_value(cx, &values, yaml_node_value(node, i), &v[i]);
        if (r < 0)
            return r;
    }
    *out = (ScrapeParams){v, n};
    return 0;
}

static void params_write(Buf *b, const char *key, const void *field, int indent) {
    const ScrapeParams *p = field;
    if (!p->n)
        return;
    schema_write_indent(b, indent);
    buf_addf(b, "%s:\n", key);
    for (size_t i = 0; i < p->n; i++) {
        schema_write_indent(b, indent + 2);
        schema_write_scalar(b, p->v[i].name);
        buf_add_cstr(b, ":\n");
        for (size_t k = 0; k < p->v[i].values.n; k++) {
            schema_write_indent(b, indent + 2);
            buf_add_cstr(b, "- ");
            schema_write_scalar(b, p->v[i].values.v[k]);
            buf_add_char(b, '\n');
        }
    }
}

#undef AT
#define AT(member) offsetof(ScrapeConfig, member)

static const SchemaField config_fields[] = {
    {"job_name", SCHEMA_STR, AT(job_name), SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY},
    {"honor_labels", SCHEMA_BOOL, AT(honor_labels)},
    {"honor_timestamps", SCHEMA_BOOL, AT(honor_timestamps), SCHEMA_PRINT},
    {"track_timestamps_staleness", SCHEMA_BOOL, AT(track_timestamps_staleness), SCHEMA_PRINT},
    {"params", SCHEMA_CUSTOM, AT(params), .custom = params_load, .write = params_write},
    {NULL, SCHEMA_STRUCT, AT(settings), SCHEMA_INLINE, .sub = &scrape_settings_schema},
    {"fallback_scrape_protocol", SCHEMA_STR, AT(fallback_text)},
    {"native_histogram_bucket_limit", SCHEMA_UINT, AT(histogram_bucket_limit)},
    {"native_histogram_min_bucket_factor", SCHEMA_FLOAT, AT(histogram_min_bucket_factor)},
    {"metrics_path", SCHEMA_STR, AT(metrics_path)},
    {"scheme", SCHEMA_STR, AT(scheme)},
    {"enable_compression", SCHEMA_BOOL, AT(enable_compression), SCHEMA_PRINT},
    {NULL, SCHEMA_STRUCT, AT(http), SCHEMA_INLINE, .sub = &http_client_schema},
    {"relabel_configs", SCHEMA_CUSTOM, AT(relabel), .custom = relabel_configs_load,
     .write = relabel_configs_write},
    {"metric_relabel_configs", SCHEMA_CUSTOM, AT(metric_relabel), .custom = relabel_configs_load,
     .write = relabel_configs_write},
    {NULL, SCHEMA_STRUCT, AT(sd), SCHEMA_INLINE, .sub = &sd_configs_schema},
};

static void config_defaults(void *object) {
    ScrapeConfig *c = object;
    c->honor_timestamps = true;
    c->enable_compression = true;
    c->metrics_path = STR("/metrics");
    c->scheme = STR("http");
    c->fallback = SCRAPE_PROTOCOLS;
}

/* A path in an address is refused while nothing can relabel it away. */
static int check_addresses(SchemaContext *cx, const YamlNode *node, const ScrapeConfig *c) {
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

static int config_check(SchemaContext *cx, const YamlNode *node, void *object) {
    ScrapeConfig *c = object;
    c->node = node;
    c->file = cx->file;
    if (c->scheme.n && !str_eqc(c->scheme, "http") && !str_eqc(c->scheme, "https"))
        return schema_problem(cx, yaml_node_find(node, "scheme"),
                              "key \"scheme\": expected http or https, got \"%.*s\"",
                              SA(c->scheme));
    return check_addresses(cx, node, c);
}

const Schema scrape_config_schema = {"scrape_config",          sizeof(ScrapeConfig), config_fields,
                                     ARRAY_LEN(config_fields), config_defaults,      config_check};

static const YamlNode *place(const YamlNode *node, const char *key) {
    const YamlNode *at = node ? yaml_node_find(node, key) : NULL;
    return at ? at : node;
}

static int check_schemes(SchemaContext *cx, const YamlNode *node, ScrapeSettings *s) {
    Str v = s->validation_scheme, e = s->escaping_scheme;
    if (!str_eqc(v, "utf8") && !str_eqc(v, "legacy"))
        return schema_problem(cx, place(node, "metric_name_validation_scheme"),
                              "unknown metric_name_validation_scheme \"%.*s\"; expected utf8 or "
                              "legacy",
                              SA(v));
    if (!str_eqc(e, "allow-utf-8") && !str_eqc(e, "underscores") && !str_eqc(e, "dots") &&
        !str_eqc(e, "values"))
        return schema_problem(cx, place(node, "metric_name_escaping_scheme"),
                              "unknown metric_name_escaping_scheme \"%.*s\"; expected allow-utf-8, "
                              "underscores, dots or values",
                              SA(e));
    if (str_eqc(e, "allow-utf-8") && str_eqc(v, "legacy"))
        return schema_problem(cx, place(node, "metric_name_escaping_scheme"),
                              "utf8 metric names requested but validation scheme is not set to "
                              "UTF8");
    return 0;
}

static ScrapeProtocol protocol_find(Str s) {
    for (unsigned i = 0; i < SCRAPE_PROTOCOLS; i++) {
        if (str_eqc(s, protocol_names[i]))
            return (ScrapeProtocol)i;
    }
    return SCRAPE_PROTOCOLS;
}

static int check_protocols(SchemaContext *cx, const YamlNode *node, const ScrapeSettings *s) {
    const YamlNode *at = place(node, "scrape_protocols");
    for (size_t i = 0; i < s->protocols.n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (str_eq_nocase(s->protocols.v[i], s->protocols.v[k]))
                return schema_problem(cx, at, "duplicated protocol in scrape_protocols, got %.*s",
                                      SA(s->protocols.v[i]));
        }
        if (protocol_find(s->protocols.v[i]) == SCRAPE_PROTOCOLS)
            return schema_problem(
                cx, at,
                "unknown scrape protocol \"%.*s\"; expected OpenMetricsText0.0.1, "
                "OpenMetricsText1.0.0, PrometheusProto, PrometheusText0.0.4 or "
                "PrometheusText1.0.0",
                SA(s->protocols.v[i]));
    }
    return 0;
}

int scrape_settings_check_global(SchemaContext *cx, const YamlNode *node, ScrapeSettings *s) {
    if (!s->interval_ms)
        s->interval_ms = MINUTE_MS;
    if (s->timeout_ms > s->interval_ms)
        return schema_problem(cx, place(node, "scrape_timeout"),
                              "global scrape timeout greater than scrape interval");
    if (!s->timeout_ms)
        s->timeout_ms = MIN(10 * SECOND_MS, s->interval_ms);
    if (!s->validation_scheme.n)
        s->validation_scheme = STR("utf8");
    bool inferred = !s->escaping_scheme.n;
    if (inferred)
        s->escaping_scheme =
            scrape_settings_legacy_names(s) ? STR("underscores") : STR("allow-utf-8");
    int r = check_schemes(cx, node, s);
    return r < 0 ? r : check_protocols(cx, node, s);
}

static void inherit(ScrapeSettings *s, const ScrapeSettings *g) {
    uint64_t *const mine[] = {&s->body_size_limit,
                              &s->sample_limit,
                              &s->target_limit,
                              &s->label_limit,
                              &s->label_name_length_limit,
                              &s->label_value_length_limit,
                              &s->keep_dropped_targets};
    const uint64_t theirs[] = {g->body_size_limit,
                               g->sample_limit,
                               g->target_limit,
                               g->label_limit,
                               g->label_name_length_limit,
                               g->label_value_length_limit,
                               g->keep_dropped_targets};
    for (size_t i = 0; i < ARRAY_LEN(mine); i++) {
        if (!*mine[i])
            *mine[i] = theirs[i];
    }
    if (!s->failure_log_file.n)
        s->failure_log_file = g->failure_log_file;
    if (!s->native_histograms_set)
        s->native_histograms = g->native_histograms;
    if (!s->classic_histograms_set)
        s->classic_histograms = g->classic_histograms;
    if (!s->convert_to_nhcb_set)
        s->convert_to_nhcb = g->convert_to_nhcb;
    if (!s->extra_metrics_set)
        s->extra_metrics = g->extra_metrics;
    if (!s->protocols.n)
        s->protocols = g->protocols;
    /* The global escaping scheme counts only while it fits the job's own validation. */
    bool own_validation = s->validation_scheme.n != 0;
    if (!own_validation)
        s->validation_scheme = g->validation_scheme;
    if (!s->escaping_scheme.n) {
        bool fits =
            !(scrape_settings_legacy_names(s) && str_eqc(g->escaping_scheme, "allow-utf-8"));
        s->escaping_scheme = fits ? g->escaping_scheme : STR("underscores");
    }
}

static int resolve_times(SchemaContext *cx, ScrapeConfig *c, const ScrapeSettings *g) {
    ScrapeSettings *s = &c->settings;
    if (!s->interval_ms)
        s->interval_ms = g->interval_ms;
    if (s->timeout_ms > s->interval_ms)
        return schema_problem(
            cx, place(c->node, "scrape_timeout"),
            "key \"scrape_timeout\" in scrape_config: scrape timeout greater than "
            "scrape interval for scrape config with job name \"%.*s\"",
            SA(c->job_name));
    if (!s->timeout_ms)
        s->timeout_ms = MIN(g->timeout_ms, s->interval_ms);
    return 0;
}

static int resolve_protocols(SchemaContext *cx, ScrapeConfig *c) {
    static const ScrapeProtocol text_first[] = {SCRAPE_OPENMETRICS_1_0_0, SCRAPE_OPENMETRICS_0_0_1,
                                                SCRAPE_TEXT_1_0_0, SCRAPE_TEXT_0_0_4};
    int r = check_protocols(cx, c->node, &c->settings);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c->settings.protocols.n; i++)
        c->protocols[c->n_protocols++] = protocol_find(c->settings.protocols.v[i]);
    if (!c->n_protocols) {
        if (c->settings.native_histograms)
            c->protocols[c->n_protocols++] = SCRAPE_PROTO;
        for (size_t i = 0; i < ARRAY_LEN(text_first); i++)
            c->protocols[c->n_protocols++] = text_first[i];
        Str *names = ARENA_ARRAY(cx->arena, Str, c->n_protocols);
        for (size_t i = 0; names && i < c->n_protocols; i++)
            names[i] = str_of(protocol_names[c->protocols[i]]);
        c->settings.protocols = (SchemaStrs){names, names ? c->n_protocols : 0, true};
    }
    if (!c->fallback_text.n)
        return 0;
    c->fallback = protocol_find(c->fallback_text);
    if (c->fallback == SCRAPE_PROTOCOLS)
        return schema_problem(cx, place(c->node, "fallback_scrape_protocol"),
                              "invalid fallback_scrape_protocol \"%.*s\": unknown scrape protocol",
                              SA(c->fallback_text));
    return 0;
}

int scrape_config_resolve(SchemaContext *cx, ScrapeConfig *c, const ScrapeSettings *global) {
    int r = resolve_times(cx, c, global);
    if (r < 0)
        return r;
    inherit(&c->settings, global);
    r = check_schemes(cx, c->node, &c->settings);
    if (r == 0)
        r = resolve_protocols(cx, c);
    if (r == 0 && scrape_settings_legacy_names(&c->settings)) {
        r = relabel_configs_use_legacy_names(cx, &c->relabel);
        if (r == 0)
            r = relabel_configs_use_legacy_names(cx, &c->metric_relabel);
    }
    return r;
}

/* Secrets print masked, so they are compared besides. */
static bool secrets_eq(const HttpClientConfig *a, const HttpClientConfig *b) {
    bool eq = str_eq(a->basic_password, b->basic_password) &&
              str_eq(a->authorization_credentials, b->authorization_credentials) &&
              str_eq(a->tls.key, b->tls.key) && a->n_headers == b->n_headers;
    for (size_t i = 0; eq && i < a->n_headers; i++)
        eq = str_eq(a->headers[i].value, b->headers[i].value);
    return eq;
}

bool scrape_config_eq(const ScrapeConfig *a, const ScrapeConfig *b) {
    Buf x = BUF_INIT(0), y = BUF_INIT(0);
    schema_write(&scrape_config_schema, a, &x, 0);
    schema_write(&scrape_config_schema, b, &y, 0);
    bool eq = str_eq(buf_str(&x), buf_str(&y)) && secrets_eq(&a->http.config, &b->http.config);
    buf_deinit(&x);
    buf_deinit(&y);
    return eq;
}
