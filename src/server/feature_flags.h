/* --enable-feature: Prometheus' names; what of them this version has. Process lifetime, read only.
 */
#pragma once

#include <stdbool.h>

typedef enum Feature {
#define FEATURE(id, name, state) FEATURE_##id,
#include "server/feature_flags.def"
#undef FEATURE
    FEATURE_COUNT,
} Feature;

bool feature_on(Feature f);
/* Says once what is on, and which names mean nothing here. */
void features_log(void);
