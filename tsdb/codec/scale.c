/* Finding the scale: which number of digits serves most values, and which values it does not. */
#include "tsdb/codec/scale.h"

#include <math.h>

#include "base/compiler.h"
#include "model/sample.h"

#define DECIMALS_NONE (SCALE_DECIMALS_MAX + 1)
/* Exponents of 2: with these the divisor and its inverse are normal doubles. */
#define BINARY_MIN (-127)
#define BINARY_MAX 127

static const double powers[SCALE_DECIMALS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

double scale_divisor(Scale s) { return s.binary ? ldexp(1, s.digits) : powers[s.digits]; }

static uint32_t exceptions_max(uint32_t n) { return n / 16 + 1; }

static inline bool fits(double v, double divisor, int64_t *ret) {
    double x = v * divisor;
    if (!(fabs(x) < 0x1p53)) {
        return false;
    }
    /* Rounds; whether to the right number shows below. */
    int64_t m = (int64_t)(x < 0 ? x - 0.5 : x + 0.5);
    *ret = m;
    return double_bits((double)m / divisor) == double_bits(v);
}

/* The fewest decimals of v, tried around those of its neighbours first. */
static int decimals_of(double v, int hint) {
    int64_t m;
    if (fits(v, powers[hint], &m) && (hint == 0 || !fits(v, powers[hint - 1], &m))) {
        return hint;
    }
    for (int e = 0; e <= SCALE_DECIMALS_MAX; e++) {
        if (fits(v, powers[e], &m)) {
            return e;
        }
    }
    return DECIMALS_NONE;
}

/* The fewest decimals at which few values need more; DECIMALS_NONE when too many do. */
static int common_decimals(const double *v, uint32_t n) {
    uint32_t need[DECIMALS_NONE + 1] = {0}, above;
    int hint = 0;
    for (uint32_t i = 0; i < n; i++) {
        int e =
            i > 0 && double_bits(v[i]) == double_bits(v[i - 1]) ? hint : decimals_of(v[i], hint);
        if (++need[e] > exceptions_max(n) && e == DECIMALS_NONE) {
            return e;
        }
        hint = e == DECIMALS_NONE ? hint : e;
    }
    above = need[DECIMALS_NONE];
    uint32_t allowed = MIN(above + n / 64, exceptions_max(n));
    int e = SCALE_DECIMALS_MAX;
    while (e > 0 && above + need[e] <= allowed) {
        above += need[e--];
    }
    return e;
}

/* Numbers, exceptions and what stands in for them; -1 when they are too many. */
static int apply(const double *v, uint32_t n, Scale s, int64_t *m, uint32_t *where) {
    double divisor = scale_divisor(s);
    uint32_t count = 0, first = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t x;
        if (fits(v[i], divisor, &x)) {
            m[i] = x;
            continue;
        }
        if (count == exceptions_max(n)) {
            return -1;
        }
        where[count++] = i;
        m[i] = i > 0 ? m[i - 1] : 0;
    }
    while (first < count && where[first] == first) {
        first++;
    }
    for (uint32_t i = 0; i < first && first < n; i++) {
        m[i] = m[first];
    }
    return (int)count;
}

/* Exponents of the lowest and the highest bit set in any normal value. */
static bool common_bits(const double *v, uint32_t n, int *low, int *high) {
    *low = INT32_MAX;
    *high = INT32_MIN;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = double_bits(v[i]), fraction = bits & ((UINT64_C(1) << 52) - 1);
        int exponent = (int)(bits >> 52 & 0x7ff);
        if (exponent == 0 || exponent == 0x7ff) {
            continue;
        }
        int zeros = fraction ? __builtin_ctzll(fraction) : 52;
        *low = MIN(*low, exponent - 1075 + zeros);
        *high = MAX(*high, exponent - 1023);
    }
    return *low <= *high && *high - *low < 53 && -*low >= BINARY_MIN && -*low <= BINARY_MAX;
}

int scale_find(const double *v, uint32_t n, Scale *ret, int64_t *m, uint32_t *where) {
    int e = common_decimals(v, n), low, high;
    if (e != DECIMALS_NONE) {
        *ret = (Scale){false, e};
        int r = apply(v, n, *ret, m, where);
        if (r >= 0) {
            return r;
        }
    }
    if (!common_bits(v, n, &low, &high)) {
        return -1;
    }
    *ret = (Scale){true, -low};
    return apply(v, n, *ret, m, where);
}
