/* Scalars of a document as the values of their kinds; each failure says what was expected. */
#pragma once

#include "schema/schema.h"

/* What messages call the value of a kind: "a duration such as 30s or 1h30m". */
const char *schema_kind_text(SchemaKind kind);
/* Binds a scalar, list of scalars or map of scalars; name and owner are for messages. */
int schema_value_load(SchemaContext *cx, const SchemaField *f, const char *owner,
                      const YamlNode *node, void *dst);
size_t schema_value_size(SchemaKind kind);
