#include "discovery/sd_config.h"

#include <stddef.h>

#include "base/buf.h"
#include "discovery/sd_provider.h"
#include "discovery/sd_schemas.h"

static const struct {
    const char *key;
    const SdProvider *provider;
} mechanisms[] = {
#define SD(id, key, schema, provider) {key, provider},
#include "discovery/sd_mechanisms.def"
#undef SD
};

static const SchemaField sd_fields[] = {
#define SD(id, key, schema, provider)                                                              \
    {key, SCHEMA_LIST, offsetof(SdConfigs, of) + SD_##id * sizeof(SchemaList), 0, &schema},
#include "discovery/sd_mechanisms.def"
#undef SD
};

const Schema sd_configs_schema = {"service discovery", sizeof(SdConfigs), sd_fields, SD_COUNT};

static const SchemaField static_fields[] = {
    {"targets", SCHEMA_STRS, offsetof(SdStaticConfig, targets), SCHEMA_PRINT},
    {"labels", SCHEMA_LABELS, offsetof(SdStaticConfig, labels)},
};
const Schema sd_static_schema = {"static_config", sizeof(SdStaticConfig), static_fields,
                                 ARRAY_LEN(static_fields)};

const char *sd_mechanism_key(SdMechanism m) { return mechanisms[m].key; }

bool sd_mechanism_supported(SdMechanism m) { return mechanisms[m].provider != NULL; }

const SdProvider *sd_mechanism_provider(SdMechanism m) { return mechanisms[m].provider; }

const Schema *sd_mechanism_schema(SdMechanism m) { return sd_fields[m].sub; }

void sd_configs_resolve_paths(SdConfigs *c, Arena *a, Str dir) {
    SdFileConfig *files = c->of[SD_FILE].v;
    for (size_t i = 0; i < c->of[SD_FILE].n; i++) {
        Str *paths = (Str *)files[i].files.v; /* ours until the load is over */
        for (size_t k = 0; k < files[i].files.n; k++) {
            if (paths[k].n && paths[k].p[0] != '/' && dir.n)
                paths[k] = arena_printf(a, "%.*s/%.*s", SA(dir), SA(paths[k]));
        }
    }
}
