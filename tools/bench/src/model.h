/*
 * Deterministic sample values.
 *
 * A value is a pure function of (model, seed, scale, time): every server that
 * is fed the same series at the same times gets the same numbers, and nothing
 * has to be remembered between two scrapes.
 *
 * Values are scaled integers ("units"): value = units / 10^decimals. That makes
 * counters exact, and printing them cheap.
 */
#ifndef BENCH_MODEL_H
#define BENCH_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum model_kind {
    MODEL_CONSTANT, /* base, for ever */
    MODEL_COUNTER,  /* never falls; about `rate` units a second, unevenly */
    MODEL_GAUGE,    /* wanders within base +- span, in steps of quantum */
    MODEL_JITTER,   /* as a gauge, but without any memory: a new draw each second */
    MODEL_CLOCK,    /* the time itself, in seconds with seven decimals */
};

struct model {
    enum model_kind kind;
    unsigned decimals; /* at most 9 */
    int64_t base;      /* units */
    double rate;       /* counter: units per second */
    double span;       /* gauge, jitter: units */
    int64_t quantum;   /* gauge, jitter: units, at least 1 */
};

/* A well mixed 64-bit hash (the finaliser of splitmix64). */
uint64_t mix64(uint64_t x);

/* A hash as a number in [0, 1). */
double unit_interval(uint64_t x);

/*
 * The value at `age_ms` milliseconds after the epoch of the run. `seed` tells
 * series apart; `scale` makes a whole target busier or idler than its peers.
 * `epoch_ms` is only used by MODEL_CLOCK.
 */
int64_t model_units(const struct model *m, uint64_t seed, double scale, int64_t epoch_ms,
                    int64_t age_ms);

/* 10^decimals as a double, decimals <= 9. */
double model_divisor(unsigned decimals);

/*
 * Writes units / 10^decimals the way Go's strconv 'g' with the shortest
 * precision does (and so the way every exporter written in Go does): 716240,
 * 1.687591e+06, 0.29, 1.472e-05. Returns the length; needs up to 32 bytes.
 */
size_t format_units(char *out, int64_t units, unsigned decimals);

/* Writes a plain decimal integer; returns the length; needs up to 20 bytes. */
size_t format_uint(char *out, uint64_t v);

#endif
