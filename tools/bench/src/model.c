#include "model.h"

#include <math.h>
#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15ull

uint64_t mix64(uint64_t x) {
    x += GOLDEN;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

double unit_interval(uint64_t x) { return (double)(mix64(x) >> 11) * 0x1p-53; }

/* Noise in [0, 1): a new draw every tick, straight lines in between. */
static double noise(uint64_t seed, int64_t t_ms, int64_t tick_ms) {
    int64_t k = t_ms / tick_ms;
    double part = (double)(t_ms % tick_ms) / (double)tick_ms;
    double from = unit_interval(seed ^ ((uint64_t)k * GOLDEN));

    if (part == 0)
        return from;
    return from + (unit_interval(seed ^ ((uint64_t)(k + 1) * GOLDEN)) - from) * part;
}

/*
 * The integral of a rate of 1/s that is uneven at the scale of seconds and at
 * the scale of a quarter of a minute. It never falls: over one tick the noise
 * can take back at most what that tick adds.
 */
static double uneven_seconds(uint64_t seed, int64_t age_ms) {
    double age = (double)age_ms / 1000;
    double fast = age + noise(seed, age_ms, 1000);
    double slow = age + 15 * noise(seed + 1, age_ms, 15000);

    return (fast + slow) / 2;
}

static int64_t to_quantum(double v, int64_t quantum) {
    int64_t n = llround(v / (double)quantum) * quantum;

    return n < 0 ? 0 : n;
}

int64_t model_units(const struct model *m, uint64_t seed, double scale, int64_t epoch_ms,
                    int64_t age_ms) {
    switch (m->kind) {
    case MODEL_CONSTANT: return m->base;
    case MODEL_COUNTER:
        return (int64_t)((double)m->base * scale) +
               (int64_t)(m->rate * scale * uneven_seconds(seed, age_ms));
    case MODEL_GAUGE: {
        /* A slow wave of 20 to 120 minutes, minute noise and a little second noise. */
        double period = 1.2e6 + 6e6 * unit_interval(seed + 2);
        double wave = sin(6.283185307179586 * ((double)age_ms / period + unit_interval(seed + 3)));
        double v = 0.5 * wave + 0.7 * (noise(seed, age_ms, 60000) - 0.5) +
                   0.3 * (noise(seed + 1, age_ms, 1000) - 0.5);
        return to_quantum((double)m->base + m->span * v, m->quantum);
    }
    case MODEL_JITTER: {
        double v = 2 * unit_interval(seed ^ ((uint64_t)(age_ms / 1000) * GOLDEN)) - 1;
        return to_quantum((double)m->base + m->span * v, m->quantum);
    }
    case MODEL_CLOCK:
        return (epoch_ms + age_ms) * 10000 + (int64_t)(mix64(seed ^ (uint64_t)age_ms) % 10000);
    }
    return 0;
}

double model_divisor(unsigned decimals) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

    return powers[decimals];
}

static const char two_digits[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

size_t format_uint(char *out, uint64_t v) {
    char buf[20];
    char *p = buf + sizeof buf;

    while (v >= 100) {
        p -= 2;
        memcpy(p, two_digits + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, two_digits + 2 * v, 2);
    } else {
        *--p = (char)('0' + v);
    }
    size_t n = (size_t)(buf + sizeof buf - p);
    memcpy(out, p, n);
    return n;
}

size_t format_units(char *out, int64_t units, unsigned decimals) {
    char *p = out;
    char digits[20];
    uint64_t v = units < 0 ? -(uint64_t)units : (uint64_t)units;

    if (v == 0) {
        *p = '0';
        return 1;
    }
    if (units < 0)
        *p++ = '-';

    int count = (int)format_uint(digits, v);
    int point = count - (int)decimals; /* value = 0.digits * 10^point */
    while (digits[count - 1] == '0')
        count--;

    int exponent = point - 1;
    if (exponent < -4 || exponent >= 6) {
        *p++ = digits[0];
        if (count > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)count - 1);
            p += count - 1;
        }
        *p++ = 'e';
        *p++ = exponent < 0 ? '-' : '+';
        unsigned e = (unsigned)(exponent < 0 ? -exponent : exponent);
        memcpy(p, two_digits + 2 * e, 2);
        p += 2;
    } else if (point <= 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = point; i < 0; i++)
            *p++ = '0';
        memcpy(p, digits, (size_t)count);
        p += count;
    } else if (point >= count) {
        memcpy(p, digits, (size_t)count);
        p += count;
        for (int i = count; i < point; i++)
            *p++ = '0';
    } else {
        memcpy(p, digits, (size_t)point);
        p += point;
        *p++ = '.';
        memcpy(p, digits + point, (size_t)(count - point));
        p += count - point;
    }
    return (size_t)(p - out);
}
