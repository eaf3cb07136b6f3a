/* Time intervals of Alertmanager's configuration (reference, section 8.6): checks only. */
#pragma once

#include "schema/schema.h"

/* One element of time_intervals. */
int time_interval_check(SchemaContext *cx, const YamlNode *node, Str *ret_name);
