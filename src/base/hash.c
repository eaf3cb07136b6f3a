#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_xxh64(const void *data, size_t size) { return XXH64(data, size, 0); }

uint64_t hash_xxh3(const void *data, size_t size) { return XXH3_64bits(data, size); }
