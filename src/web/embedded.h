/*
 * What tools/embed_assets.py puts into the binary: the files of src/web/assets, in the order of
 * their list. Constant.
 */
#pragma once

#include <stddef.h>

typedef struct EmbeddedAsset {
    const char *name, *content_type;
    const char *begin, *end;
} EmbeddedAsset;

extern const EmbeddedAsset embedded_assets[];
extern const size_t embedded_assets_n;
