/*
 * remote_write and remote_read sections (reference, sections 2.8 and 2.9). Immutable once loaded;
 * they live in the configuration's arena.
 */
#pragma once

#include "net/http_client_config.h"
#include "schema/relabel_schema.h"

typedef struct RemoteQueueConfig {
    int64_t capacity, max_shards, min_shards, max_samples_per_send;
    int64_t batch_send_deadline_ms, min_backoff_ms, max_backoff_ms, sample_age_limit_ms;
    bool retry_on_http_429;
} RemoteQueueConfig;

typedef struct RemoteMetadataConfig {
    bool send;
    int64_t send_interval_ms, max_samples_per_send;
} RemoteMetadataConfig;

typedef struct RemoteWriteConfig {
    Str url, name, protobuf_message;
    int64_t timeout_ms;
    Labels headers;
    RelabelConfigs relabel;
    bool send_exemplars, send_native_histograms, round_robin_dns, failed_request_logging;
    RemoteQueueConfig queue;
    RemoteMetadataConfig metadata;
    const YamlNode *sigv4, *azuread, *google_iam; /* checked for shape; not used */
    HttpClientOptions http;
} RemoteWriteConfig;
extern const Schema remote_write_schema;

typedef struct RemoteReadConfig {
    Str url, name;
    int64_t timeout_ms;
    uint64_t chunked_read_limit;
    Labels headers, required_matchers;
    bool read_recent, filter_external_labels;
    HttpClientOptions http;
} RemoteReadConfig;
extern const Schema remote_read_schema;
