/*
 * The `static_configs` and `*_sd_configs` keys of a section (a scrape job, a set of Alertmanagers):
 * one list a mechanism, by the table sd_mechanisms.def. Immutable once loaded; lives
 * in the configuration's arena.
 */
#pragma once

#include "net/http_client_config.h"
#include "schema/schema.h"

typedef enum SdMechanism {
#define SD(id, key, schema, provider) SD_##id,
#include "discovery/sd_mechanisms.def"
#undef SD
    SD_COUNT
} SdMechanism;

/* A list of targets as written: an item of static_configs, a group of a discovery file. */
typedef struct SdStaticConfig {
    SchemaStrs targets; /* addresses */
    Labels labels;
} SdStaticConfig;

typedef struct SdFileConfig {
    SchemaStrs files; /* paths, already made absolute; `*` in the last element */
    int64_t refresh_interval_ms;
} SdFileConfig;

typedef struct SdHttpConfig {
    Str url;
    int64_t refresh_interval_ms;
    HttpClientOptions http;
} SdHttpConfig;

/* Any other mechanism begins with this: its section, checked but not used. */
typedef struct SdOtherConfig {
    const YamlNode *node;
} SdOtherConfig;

typedef struct SdConfigs {
    SchemaList of[SD_COUNT]; /* SdStaticConfig, SdFileConfig, ... */
} SdConfigs;

/* To be taken up by a section's table as a SCHEMA_INLINE struct. */
extern const Schema sd_configs_schema;
/* One group: targets and labels. Also of files in YAML. */
extern const Schema sd_static_schema;

const char *sd_mechanism_key(SdMechanism m); /* "file_sd_configs" */
bool sd_mechanism_supported(SdMechanism m);
/* Relative names of files become relative to this folder. Part of loading, before anybody reads. */
void sd_configs_resolve_paths(SdConfigs *c, Arena *a, Str dir);
