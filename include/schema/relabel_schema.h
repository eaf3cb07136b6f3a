/*
 * relabel_configs and its relatives as a field of any section. The compiled expressions are not the
 * arena's: they belong to a RelabelOwner, which SchemaContext.user must point to, and end with it.
 */
#pragma once

#include "base/vec.h"
#include "model/relabel.h"
#include "schema/schema.h"

typedef struct RelabelConfigs {
    const RelabelConfig *const *v;
    size_t n;
    const unsigned *set; /* which keys were given (RELABEL_SET_*), one a rule */
    const YamlNode *node;
} RelabelConfigs;

typedef struct RelabelOwner {
    VEC(RelabelConfig *) v;
    bool legacy_names; /* validate by the legacy scheme what is loaded from now on */
} RelabelOwner;
void relabel_owner_deinit(RelabelOwner *o);

/* For SCHEMA_CUSTOM fields of type RelabelConfigs. */
int relabel_configs_load(SchemaContext *cx, const YamlNode *node, void *field);
void relabel_configs_write(Buf *b, const char *key, const void *field, int indent);
/* Holds rules that are already loaded to the legacy naming scheme. */
int relabel_configs_use_legacy_names(SchemaContext *cx, RelabelConfigs *configs);
