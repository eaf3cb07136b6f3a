/*
 * Randomness: the system's for what must not be guessed or must differ between processes, and a
 * seeded generator (xoshiro256**, Blackman and Vigna 2018) for tests, jitter and simulations that
 * must be repeatable. random_* : any thread. A Rng has one owner.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *dst, size_t n);
uint64_t random_u64(void);
/* Evenly from 0..below-1; below > 0. */
uint64_t random_below(uint64_t below);

typedef struct Rng {
    uint64_t s[4];
} Rng;

void rng_init(Rng *r, uint64_t seed);
uint64_t rng_u64(Rng *r);
uint64_t rng_below(Rng *r, uint64_t below);
/* Evenly from [0, 1). */
double rng_double(Rng *r);
