/* The writer of the column: which guess, which width, which numbers apart. */
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "base/varint.h"
#include "tsdb/codec/ints.h"

/* A block's own slope keeps so many bits: more would cost more than they gain over 128 numbers. */
#define TURN_BITS 13
#define GUESSES 4

static unsigned bits_of(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }
static unsigned varint_size(int64_t v) { return (bits_of(zigzag_encode(v) | 1) + 6) / 7; }

static unsigned class_of(uint64_t range) {
    unsigned bits = bits_of(range), class = MIN(bits, 22u);
    while (ints_widths[class] < bits) {
        class ++;
    }
    return class;
}

static uint64_t common_divisor(const int64_t *y, uint32_t n) {
    uint64_t g = 0;
    for (uint32_t i = 0; i < n && g != 1; i++) {
        uint64_t a = y[i] < 0 ? -(uint64_t)y[i] : (uint64_t)y[i];
        if (g && a % g == 0) {
            continue;
        }
        while (a) {
            uint64_t rest = g % a;
            g = a;
            a = rest;
        }
    }
    return g ? g : 1;
}

/* The line of least squares; 0 where it would be too steep to be one. */
int64_t ints_slope(const int64_t *y, uint32_t n) {
    if (n < 2) {
        return 0;
    }
    double middle = (n - 1) / 2.0, sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        double x = i - middle;
        sum += x * (double)(int64_t)((uint64_t)y[i] - (uint64_t)y[0]);
        squares += x * x;
    }
    double slope = sum / squares * (1 << INTS_SLOPE_BITS);
    return fabs(slope) < 0x1p50 ? (int64_t)slope : 0;
}

static int64_t short_slope(int64_t slope) {
    unsigned bits = bits_of(slope < 0 ? -(uint64_t)slope : (uint64_t)slope);
    int64_t unit = bits > TURN_BITS ? INT64_C(1) << (bits - TURN_BITS) : 1;
    return slope / unit * unit;
}

/* ---- how a block's leftovers are packed ---- */

typedef struct Fit {
    size_t cost; /* bytes of the block */
    unsigned class;
    unsigned n_patches;
    int64_t base, top; /* what lies outside is patched */
} Fit;

/* The smallest and the largest numbers of a block, the most extreme first. */
typedef struct Extremes {
    int64_t low[INTS_PATCHES_MAX + 1], high[INTS_PATCHES_MAX + 1];
    unsigned n;
} Extremes;

static void keep_low(int64_t *v, unsigned n, int64_t x) {
    while (n > 0 && v[n - 1] > x) {
        v[n] = v[n - 1];
        n--;
    }
    v[n] = x;
}

static void keep_high(int64_t *v, unsigned n, int64_t x) {
    while (n > 0 && v[n - 1] < x) {
        v[n] = v[n - 1];
        n--;
    }
    v[n] = x;
}

static void find_extremes(const int64_t *r, unsigned count, Extremes *e) {
    unsigned max = MIN(count / 8, (unsigned)INTS_PATCHES_MAX) + 1;
    e->n = 0;
    for (unsigned i = 0; i < count; i++) {
        if (e->n < max) {
            keep_low(e->low, e->n, r[i]);
            keep_high(e->high, e->n, r[i]);
            e->n++;
            continue;
        }
        if (r[i] < e->low[max - 1]) {
            keep_low(e->low, max - 1, r[i]);
        }
        if (r[i] > e->high[max - 1]) {
            keep_high(e->high, max - 1, r[i]);
        }
    }
}

static uint64_t range_of(int64_t low, int64_t high) { return (uint64_t)high - (uint64_t)low; }

static Fit fit_at(const Extremes *e, unsigned low, unsigned high, unsigned count, size_t extra) {
    int64_t base = e->low[low], top = e->high[high];
    unsigned class = class_of(range_of(base, top));
    size_t cost = 1 + extra + varint_size(base) + ((size_t)count * ints_widths[class] + 7) / 8;
    for (unsigned i = 0; i < low; i++) {
        cost += 1 + varint_size((int64_t)((uint64_t)e->low[i] - (uint64_t)base));
    }
    for (unsigned i = 0; i < high; i++) {
        cost += 1 + varint_size((int64_t)((uint64_t)e->high[i] - (uint64_t)base));
    }
    cost += low + high > 0;
    return (Fit){cost, class, low + high, base, top};
}

/*
 * The cheapest cut of low and high extremes. For each number of low ones only the cuts where the
 * width becomes less are worth a look.
 */
static Fit fit(const int64_t *r, unsigned count, size_t extra) {
    Extremes e;
    find_extremes(r, count, &e);
    unsigned max = e.n - 1;
    Fit best = fit_at(&e, 0, 0, count, extra);
    unsigned floor =
        max && e.low[max] <= e.high[max] ? class_of(range_of(e.low[max], e.high[max])) : 0;
    size_t gain = (size_t)count * (unsigned)(ints_widths[best.class] - ints_widths[floor]) / 8;
    if (max == 0 || gain < 4) {
        return best;
    }
    for (unsigned low = 0; low <= max; low++) {
        unsigned last = best.class;
        if (low > 0 && e.low[low] == e.low[low - 1]) {
            continue; /* that one would stay */
        }
        for (unsigned high = 0; low + high <= max; high++) {
            if (e.low[low] > e.high[high]) {
                break;
            }
            unsigned class = class_of(range_of(e.low[low], e.high[high]));
            if (class >= last) {
                continue;
            }
            last = class;
            Fit f = fit_at(&e, low, high, count, extra);
            if (f.cost < best.cost) {
                best = f;
            }
        }
    }
    return best;
}

/* ---- blocks ---- */

static void leftovers(IntsGuess guess, const int64_t *y, unsigned count, uint64_t last,
                      int64_t line, int64_t *ret) {
    uint64_t before = last;
    for (unsigned i = 0; i < count; i++) {
        uint64_t g = last;
        if (guess == INTS_DELTA) {
            g = before;
        } else if (guess != INTS_PLAIN) {
            g += ints_on_line(line, i + 1);
        }
        ret[i] = (int64_t)((uint64_t)y[i] - g);
        before = (uint64_t)y[i];
    }
}

static uint8_t *pack(uint8_t *p, const uint64_t *u, unsigned count, unsigned width) {
    unsigned __int128 acc = 0;
    unsigned fill = 0;
    for (unsigned i = 0; i < count && width > 0; i++) {
        acc |= (unsigned __int128)u[i] << fill;
        for (fill += width; fill >= 8; fill -= 8) {
            *p++ = (uint8_t)acc;
            acc >>= 8;
        }
    }
    if (fill > 0) {
        *p++ = (uint8_t)acc;
    }
    return p;
}

static uint8_t *write_block(uint8_t *p, IntsGuess guess, const Fit *f, int64_t line,
                            const int64_t *r, unsigned count) {
    uint64_t u[INTS_BLOCK];
    *p++ = (uint8_t)(guess | (f->n_patches ? 4u : 0) | f->class << 3);
    p += uvarint_put(p, zigzag_encode(f->base));
    if (guess == INTS_TURN) {
        p += uvarint_put(p, zigzag_encode(line));
    }
    if (f->n_patches) {
        *p++ = (uint8_t)f->n_patches;
        for (unsigned i = 0; i < count; i++) {
            if (r[i] < f->base || r[i] > f->top) {
                *p++ = (uint8_t)i;
            }
        }
    }
    for (unsigned i = 0; i < count; i++) {
        u[i] = (uint64_t)r[i] - (uint64_t)f->base;
        if (r[i] < f->base || r[i] > f->top) {
            p += uvarint_put(p, zigzag_encode((int64_t)u[i]));
            u[i] = 0;
        }
    }
    return pack(p, u, count, ints_widths[f->class]);
}

typedef struct Column {
    int64_t slope, line;
    uint64_t last;
} Column;

static uint8_t *add_block(uint8_t *p, Column *c, const int64_t *y, unsigned count) {
    int64_t r[GUESSES][INTS_BLOCK], turn = short_slope(ints_slope(y, count));
    Fit best = {.cost = SIZE_MAX};
    IntsGuess chosen = INTS_PLAIN;
    for (unsigned g = 0; g < GUESSES; g++) {
        if ((g == INTS_LINE && c->line == 0) ||
            (g == INTS_TURN && (turn == 0 || turn == c->line))) {
            continue;
        }
        leftovers(g, y, count, c->last, g == INTS_TURN ? turn : c->line, r[g]);
        Fit f = fit(r[g], count, g == INTS_TURN ? varint_size(turn) : 0);
        if (f.cost < best.cost) {
            best = f;
            chosen = g;
        }
    }
    if (chosen == INTS_TURN) {
        c->line = turn;
    }
    c->last = (uint64_t)y[count - 1];
    return write_block(p, chosen, &best, turn, r[chosen], count);
}

uint64_t ints_divide(int64_t *y, uint32_t n) {
    uint64_t divisor = common_divisor(y, n);
    for (uint32_t i = 0; i < n && divisor != 1; i++) {
        y[i] = divisor > INT64_MAX ? (int64_t)((uint64_t)y[i] / divisor) : y[i] / (int64_t)divisor;
    }
    return divisor;
}

size_t ints_write(uint8_t *dst, int64_t *y, uint32_t n) {
    uint64_t divisor = ints_divide(y, n);
    return ints_write_divided(dst, y, n, divisor);
}

size_t ints_write_divided(uint8_t *dst, const int64_t *y, uint32_t n, uint64_t divisor) {
    Column c = {.slope = ints_slope(y, n)};
    uint8_t *p = dst;
    p += uvarint_put(p, divisor);
    p += uvarint_put(p, zigzag_encode(c.slope));
    for (uint32_t at = 0; at < n; at += INTS_BLOCK) {
        if (at % INTS_SEGMENT == 0) {
            c.line = c.slope;
            c.last = ints_on_line(c.slope, at);
        }
        p = add_block(p, &c, y + at, MIN(n - at, (uint32_t)INTS_BLOCK));
    }
    return (size_t)(p - dst);
}

size_t ints_estimate(const int64_t *y, uint32_t n) {
    uint8_t block[INTS_ROOM(INTS_BLOCK)];
    int64_t slope = ints_slope(y, n);
    size_t bytes = 0, numbers = 0;
    for (uint32_t at = 0; at < n; at += INTS_SEGMENT) {
        Column c = {.slope = slope, .line = slope, .last = ints_on_line(slope, at)};
        unsigned count = MIN(n - at, (uint32_t)INTS_BLOCK);
        bytes += (size_t)(add_block(block, &c, y + at, count) - block);
        numbers += count;
    }
    return bytes * n / numbers;
}
