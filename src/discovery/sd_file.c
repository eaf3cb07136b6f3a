/*
 * file_sd_configs: target groups in JSON and YAML files, read again when their folder changes and
 * every refresh_interval besides. A file that does not read keeps its previous groups; one that is
 * gone takes them along. Files are read and parsed on the pool.
 */
#include "discovery/sd_provider.h"

#include <stddef.h>

#include "base/clock.h"
#include "discovery/sd_schemas.h"

static const SchemaField file_fields[] = {
    {"files", SCHEMA_STRS, offsetof(SdFileConfig, files)},
    {"refresh_interval", SCHEMA_DURATION, offsetof(SdFileConfig, refresh_interval_ms),
     SCHEMA_PRINT},
};

static void file_defaults(void *object) {
    ((SdFileConfig *)object)->refresh_interval_ms = 5 * MINUTE_MS;
}

/* `*` stands in the last element only, and the name tells the format. */
static bool pattern_valid(Str s) {
    size_t slash = s.n;
    while (slash > 0 && s.p[slash - 1] != '/')
        slash--;
    return str_find(str_upto(s, slash), '*') == slash &&
           (str_ends(s, STR(".json")) || str_ends(s, STR(".yml")) || str_ends(s, STR(".yaml")) ||
            str_ends(s, STR(".JSON")) || str_ends(s, STR(".YML")) || str_ends(s, STR(".YAML")));
}

static int file_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const SdFileConfig *c = object;
    if (!c->files.n)
        return schema_problem(cx, node,
                              "file service discovery config must contain at least one path name");
    for (size_t i = 0; i < c->files.n; i++) {
        if (!pattern_valid(c->files.v[i]))
            return schema_problem(cx, yaml_node_find(node, "files"),
                                  "path name \"%.*s\" is not valid for file discovery; expected "
                                  ".json, .yml or .yaml, and * in the last element only",
                                  SA(c->files.v[i]));
    }
    return 0;
}

const Schema sd_file_schema = {"file_sd_config", sizeof(SdFileConfig), file_fields,
                               ARRAY_LEN(file_fields), file_defaults, file_check};
