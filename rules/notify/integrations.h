/* Checks of the integrations a receiver may have, other than webhook. */
#pragma once

#include "schema/schema.h"

/* Non-empty scalar under the key. */
bool integration_has(const YamlNode *n, const char *key);
/* One element of <kind>_configs against its keys and its rules; global is the global section's
 * node or NULL. */
int integration_check(SchemaContext *cx, Str kind, const YamlNode *node, const YamlNode *global);
/* The kind is known ("email" of email_configs). */
bool integration_known(Str kind);
int integration_count(void);
Str integration_name(int i);
/* The keys of `global` that exclude each other. */
int integration_check_global(SchemaContext *cx, const YamlNode *global);
