/*
 * One item of alerting.alertmanagers: where alerts go (reference, section 2.7). Immutable once
 * loaded; lives in the configuration's arena. The targets' path is path_prefix + /api/v2/alerts,
 * offered to relabelling as __alerts_path__.
 */
#pragma once

#include "discovery/sd_config.h"
#include "net/http_client_config.h"
#include "schema/relabel_schema.h"

typedef struct AlertmanagerConfig {
    SdConfigs sd;
    Str scheme, path_prefix, api_version;
    int64_t timeout_ms;
    RelabelConfigs relabel, alert_relabel;
    HttpClientOptions http;
    const YamlNode *sigv4; /* checked; requests cannot be signed yet */
    char key[16];          /* "config-0": its name as a discovery set */
} AlertmanagerConfig;
extern const Schema alertmanager_config_schema;
