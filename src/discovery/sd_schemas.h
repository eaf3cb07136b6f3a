/* The schemas that sd_mechanisms.def names. */
#pragma once

#include "discovery/sd_config.h"

#define SD(id, key, schema, provider) extern const Schema schema;
#include "discovery/sd_mechanisms.def"
#undef SD
