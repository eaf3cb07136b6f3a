/* The door to xxHash. XXH64 where Prometheus' hash must match, XXH3 for our own tables. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

uint64_t hash_xxh64(const void *data, size_t size);
uint64_t hash_xxh3(const void *data, size_t size);
/* 128 bits; a seed that nobody knows keeps others from making two inputs that meet. */
void hash_xxh3_128(const void *data, size_t size, uint64_t seed, uint64_t *ret_low,
                   uint64_t *ret_high);
static inline uint64_t hash_str(Str s) { return hash_xxh3(s.p, s.n); }
