/*
 * The whole of prometheus.yml (reference, section 2), read, checked and made one immutable, counted
 * snapshot. Names of files are made absolute or relative to the working folder, as given. Any
 * thread once loaded.
 */
#pragma once

#include <stdatomic.h>

#include "discovery/alertmanager_config.h"
#include "remote/remote_config.h"
#include "scrape/scrape_config.h"

typedef struct ConfigGlobal {
    ScrapeSettings scrape;
    int64_t evaluation_interval_ms, rule_query_offset_ms;
    Str query_log_file;
    Labels external_labels; /* environment variables filled in */
} ConfigGlobal;

typedef struct ConfigAlerting {
    RelabelConfigs relabel;
    SchemaList alertmanagers; /* AlertmanagerConfig */
} ConfigAlerting;

typedef struct ConfigRetention {
    int64_t time_ms;
    uint64_t size_bytes;
    double percentage;
    bool time_set, size_set, percentage_set;
} ConfigRetention;

typedef struct ConfigChunkEncoding {
    Str floats; /* "xor", "xor2" */
} ConfigChunkEncoding;

typedef struct ConfigTsdb {
    int64_t out_of_order_window_ms;
    double stale_series_compaction_threshold;
    ConfigChunkEncoding chunk_encoding;
    ConfigRetention retention;
} ConfigTsdb;

typedef struct ConfigExemplars {
    int64_t max_exemplars;
} ConfigExemplars;

typedef struct ConfigStorage {
    ConfigTsdb tsdb;
    ConfigExemplars exemplars;
} ConfigStorage;

typedef struct ConfigTracing {
    Str client_type, endpoint, compression;
    double sampling_fraction;
    bool insecure;
    HttpTlsOptions tls;
    Labels headers;
    int64_t timeout_ms;
} ConfigTracing;

typedef struct ConfigOtlp {
    SchemaStrs promote, ignore;
    Str translation_strategy;
    bool promote_all, keep_identifying, convert_to_nhcb, promote_scope_metadata;
    bool underscore_sanitization, preserve_multiple_underscores;
} ConfigOtlp;

typedef struct ConfigRuntime {
    int64_t gogc;
} ConfigRuntime;

/* What the file holds, as its keys stand. */
typedef struct ConfigRoot {
    ConfigGlobal global;
    ConfigRuntime runtime;
    ConfigAlerting alerting;
    SchemaStrs rule_files, scrape_config_files; /* patterns */
    SchemaList scrape_configs;
    ConfigStorage storage;
    ConfigTracing *tracing;
    SchemaList remote_write, remote_read;
    ConfigOtlp otlp;
} ConfigRoot;

typedef struct Config {
    atomic_uint refs;
    Arena arena;
    RelabelOwner relabels;
    Str file, dir;
    ConfigRoot root;
    const ScrapeConfig **scrape; /* all jobs: of the file, then of scrape_config_files */
    size_t n_scrape;
    /* Sections that are right but do nothing in this version, each in a sentence. */
    const Str *unsupported;
    size_t n_unsupported;
} Config;

enum { CONFIG_AGENT = 1 /* alerting, rule_files and remote_read are refused */ };

/* 0 and one reference, or -EINVAL and the Problem; other errnos when the file cannot be read. */
int config_load_file(const char *path, unsigned flags, Config **ret, Problem *problem);
int config_load(Str text, Str file, unsigned flags, Config **ret, Problem *problem);
Config *config_ref(Config *c);
void config_unref(Config *c);
/* For interfaces that know the owner only as a pointer. */
void *config_ref_owner(void *config);
void config_unref_owner(void *config);

/* The configuration with defaults and without secrets: /api/v1/status/config. */
void config_write_yaml(const Config *c, Buf *b);
/* Paths of the files that rule_files matches, sorted a pattern, in the arena. */
int config_rule_files(const Config *c, Arena *a, SchemaStrs *ret);
/* The same of scrape_config_files. */
int config_scrape_files(const Config *c, Arena *a, SchemaStrs *ret);
