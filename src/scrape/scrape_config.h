/*
 * One job of scrape_configs, and the settings it shares with `global` (reference, sections 2.2 and
 * 2.3). Immutable once loaded; lives in the configuration's arena.
 */
#pragma once

#include "discovery/sd_config.h"
#include "net/http_client_config.h"
#include "schema/relabel_schema.h"

typedef enum ScrapeProtocol {
    SCRAPE_PROTO,
    SCRAPE_TEXT_0_0_4,
    SCRAPE_TEXT_1_0_0,
    SCRAPE_OPENMETRICS_0_0_1,
    SCRAPE_OPENMETRICS_1_0_0,
    SCRAPE_PROTOCOLS,
} ScrapeProtocol;

typedef struct ScrapeSettings {
    int64_t interval_ms, timeout_ms;
    SchemaStrs protocols;
    Str failure_log_file;
    uint64_t body_size_limit; /* bytes; this and all limits: 0 = none */
    uint64_t sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit, keep_dropped_targets;
    Str validation_scheme, escaping_scheme;
    bool native_histograms, native_histograms_set;
    bool classic_histograms, classic_histograms_set;
    bool convert_to_nhcb, convert_to_nhcb_set;
    bool extra_metrics, extra_metrics_set;
    bool timeout_set;
} ScrapeSettings;
extern const Schema scrape_settings_schema;

typedef struct ScrapeParam {
    Str name;
    SchemaStrs values;
} ScrapeParam;
typedef struct ScrapeParams {
    const ScrapeParam *v;
    size_t n;
} ScrapeParams;

typedef struct ScrapeConfig {
    Str job_name;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression;
    ScrapeParams params;
    ScrapeSettings settings; /* resolved against the global ones */
    ScrapeProtocol protocols[SCRAPE_PROTOCOLS];
    size_t n_protocols;
    Str fallback_text;
    ScrapeProtocol fallback; /* SCRAPE_PROTOCOLS = none */
    uint64_t histogram_bucket_limit;
    double histogram_min_bucket_factor;
    Str metrics_path, scheme;
    RelabelConfigs relabel, metric_relabel;
    SdConfigs sd;
    HttpClientOptions http;
    const YamlNode *node; /* for messages while loading */
    Str file;
} ScrapeConfig;
extern const Schema scrape_config_schema;

static inline bool scrape_settings_legacy_names(const ScrapeSettings *s) {
    return str_eqc(s->validation_scheme, "legacy");
}
/* Checks the global settings and fills what is not given. */
int scrape_settings_check_global(SchemaContext *cx, const YamlNode *node, ScrapeSettings *s);
/* Fills what a job leaves to the global settings, and checks the result. */
int scrape_config_resolve(SchemaContext *cx, ScrapeConfig *c, const ScrapeSettings *global);
/* Equal in everything that a running pool depends on. */
bool scrape_config_eq(const ScrapeConfig *a, const ScrapeConfig *b);
