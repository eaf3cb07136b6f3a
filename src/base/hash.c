#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_xxh64(const void *data, size_t size) { return XXH64(data, size, 0); }

uint64_t hash_xxh3(const void *data, size_t size) { return XXH3_64bits(data, size); }

void hash_xxh3_128(const void *data, size_t size, uint64_t seed, uint64_t *ret_low,
                   uint64_t *ret_high) {
    XXH128_hash_t h = XXH3_128bits_withSeed(data, size, seed);
    *ret_low = h.low64;
    *ret_high = h.high64;
}
