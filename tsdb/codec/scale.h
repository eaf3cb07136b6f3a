/*
 * Doubles as whole numbers: v = m / 10^e where they were written in decimal, v = m / 2^k where they
 * have few bits. What does not fit so (NaN, infinities, -0, the odd value with more digits) is an
 * exception and stands beside, as long as that is rare. Each value was tried: what scale_value()
 * gives has the very bits that went in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Powers of ten up to here are doubles without rounding, and their quotients round only once. */
#define SCALE_DECIMALS_MAX 15

typedef struct Scale {
    bool binary;
    int digits; /* e, or k */
} Scale;

/* What to divide by. */
double scale_divisor(Scale s);

/*
 * Finds the scale of v[0..n) and the numbers m; an exception's m is that of a neighbour. Returns
 * how many exceptions there are, rising in where[] (room for n / 16 + 2), or -1: no such scale.
 */
int scale_find(const double *v, uint32_t n, Scale *ret, int64_t *m, uint32_t *where);
