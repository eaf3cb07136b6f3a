/* The target groups of a discovery file: JSON or YAML by its name. Any thread. */
#pragma once

#include "discovery/sd_config.h"

/* ret: SdStaticConfig in the arena. A null item, an unknown key, a value that is no string: the
 * whole file is refused. */
int sd_group_file_parse(Str path, Str text, Arena *a, SchemaList *ret, Problem *problem);
