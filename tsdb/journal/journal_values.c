/*
 * A value, by its first byte:
 *     00..DF      zigzag difference from what was expected, itself
 *     E0..E7      the same in 1..8 bytes that follow, lowest first
 *     E8          the stale marker; the predictor stays as it is
 *     E9          the 8 bytes of a float; the predictor stays as it is
 *     EA d m      from here on d digits, m as varint
 *     EB          the 8 bytes of a float, and from here on bits
 *     F0..F8      bits XOR the last ones, of which the lower 0..8 bytes follow
 */
#include "tsdb/journal/journal_values.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/varint.h"
#include "model/sample.h"

#define SMALL_MAX 0xdf
#define WIDE 0xe0
#define STALE 0xe8
#define PLAIN 0xe9
#define DECIMAL 0xea
#define BITS 0xeb
#define XORED 0xf0

#define DIGITS_MAX 15
#define VALUE_BITS (DIGITS_MAX + 2) /* mode of a predictor */
#define DIGITS_RETURN 3             /* from bits back to decimals of so many digits */
#define STEADY_MAX 3

static const double powers[DIGITS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* ---- predictors */

void journal_predictors_init(JournalPredictors *t) {
    t->pages = mem_calloc(JOURNAL_PAGES, sizeof(*t->pages));
    atomic_init(&t->n, 0);
}

void journal_predictors_reset(JournalPredictors *t) {
    uint32_t n = atomic_load(&t->n);
    for (uint32_t i = 0; i < n; i++) {
        mem_free(t->pages[i]);
        t->pages[i] = NULL;
    }
    atomic_store(&t->n, 0);
}

void journal_predictors_deinit(JournalPredictors *t) {
    if (t->pages) {
        journal_predictors_reset(t);
        mem_free(t->pages);
        t->pages = NULL;
    }
}

JournalPredictor *journal_predictors_page(JournalPredictors *t, uint32_t page) {
    unsigned n = atomic_load(&t->n);
    while (n <= page && !atomic_compare_exchange_weak(&t->n, &n, page + 1)) {
    }
    t->pages[page] = NEW_ARRAY(JournalPredictor, JOURNAL_PAGE_SLOTS);
    return t->pages[page];
}

static inline int64_t expected(const JournalPredictor *p) {
    return (int64_t)((uint64_t)p->m + (uint64_t)(p->steady > 0 ? p->step : 0));
}

static inline uint64_t distance(int64_t d) { return d < 0 ? 0 - (uint64_t)d : (uint64_t)d; }

static inline void predictor_update(JournalPredictor *p, int64_t m) {
    int64_t step = (int64_t)((uint64_t)m - (uint64_t)p->m);
    uint64_t as_last = distance(step);
    uint64_t as_step = distance((int64_t)((uint64_t)step - (uint64_t)(int64_t)p->step));
    int score = p->steady + (as_step < as_last) - (as_step > as_last);
    p->steady = (int8_t)MAX(MIN(score, STEADY_MAX), -STEADY_MAX);
    p->step = step == (int32_t)step ? (int32_t)step : 0;
    p->m = m;
}

static inline bool is_decimal(const JournalPredictor *p) {
    return p->mode > 0 && p->mode < VALUE_BITS;
}

/* ---- writing */

/* Whether v is m / 10^digits to the last bit. */
static inline bool fits(double v, unsigned digits, int64_t *ret) {
    double x = v * powers[digits];
    if (!(fabs(x) < 0x1p53)) {
        return false;
    }
    int64_t m = (int64_t)(x < 0 ? x - 0.5 : x + 0.5);
    *ret = m;
    double back = digits ? (double)m / powers[digits] : (double)m;
    return double_bits(back) == double_bits(v);
}

static size_t bytes_of(uint64_t u) { return u ? (71 - (size_t)__builtin_clzll(u)) / 8 : 0; }

static inline size_t put_difference(uint8_t *dst, JournalPredictor *p, int64_t m) {
    uint64_t u = zigzag_encode((int64_t)((uint64_t)m - (uint64_t)expected(p)));
    predictor_update(p, m);
    if (u <= SMALL_MAX) {
        dst[0] = (uint8_t)u;
        return 1;
    }
    size_t n = bytes_of(u);
    dst[0] = (uint8_t)(WIDE + n - 1);
    memcpy(dst + 1, &u, 8);
    return 1 + n;
}

static size_t put_float(uint8_t *dst, uint8_t code, uint64_t bits) {
    dst[0] = code;
    memcpy(dst + 1, &bits, 8);
    return 9;
}

static size_t put_decimal(uint8_t *dst, JournalPredictor *p, unsigned digits, int64_t m) {
    *p = (JournalPredictor){.m = m, .mode = (uint8_t)(digits + 1)};
    dst[0] = DECIMAL;
    dst[1] = (uint8_t)digits;
    return 2 + uvarint_put(dst + 2, zigzag_encode(m));
}

static size_t put_xored(uint8_t *dst, JournalPredictor *p, uint64_t bits) {
    uint64_t x = bits ^ (uint64_t)p->m;
    size_t n = bytes_of(x);
    p->m = (int64_t)bits;
    dst[0] = (uint8_t)(XORED + n);
    memcpy(dst + 1, &x, 8);
    return 1 + n;
}

/* What the predictor did not expect: another number of digits, none, or no number. */
static size_t put_other(uint8_t *dst, JournalPredictor *p, double v) {
    uint64_t bits = double_bits(v);
    int64_t m;
    if (bits == STALE_NAN_BITS) {
        dst[0] = STALE;
        return 1;
    }
    if (!isfinite(v) || (v == 0 && bits)) {
        return put_float(dst, PLAIN, bits);
    }
    unsigned digits_max = p->mode == VALUE_BITS ? DIGITS_RETURN : DIGITS_MAX;
    for (unsigned d = 0; d <= digits_max; d++) {
        if (fits(v, d, &m)) {
            return put_decimal(dst, p, d, m);
        }
    }
    if (p->mode == VALUE_BITS) {
        return put_xored(dst, p, bits);
    }
    *p = (JournalPredictor){.m = (int64_t)bits, .mode = VALUE_BITS};
    return put_float(dst, BITS, bits);
}

size_t journal_value_put(uint8_t *dst, JournalPredictor *p, double v) {
    int64_t m;
    if (LIKELY(is_decimal(p) && fits(v, p->mode - 1u, &m))) {
        return put_difference(dst, p, m);
    }
    return put_other(dst, p, v);
}

/* ---- reading */

/* n bytes, lowest first. */
static inline bool take_bytes(const uint8_t **at, const uint8_t *end, size_t n, uint64_t *ret) {
    uint64_t u = 0;
    size_t left = (size_t)(end - *at);
    if (left < n) {
        return false;
    }
    if (LIKELY(left >= 8)) {
        memcpy(&u, *at, 8);
        u = n < 8 ? u & ((UINT64_C(1) << (8 * n)) - 1) : u;
    } else {
        memcpy(&u, *at, n);
    }
    *at += n;
    *ret = u;
    return true;
}

static bool get_difference(JournalPredictor *p, uint64_t u, double *ret) {
    if (!is_decimal(p)) {
        return false;
    }
    int64_t m = (int64_t)((uint64_t)expected(p) + (uint64_t)zigzag_decode(u));
    predictor_update(p, m);
    *ret = p->mode > 1 ? (double)m / powers[p->mode - 1] : (double)m;
    return true;
}

static bool get_decimal(const uint8_t **at, const uint8_t *end, JournalPredictor *p, double *ret) {
    int64_t m;
    if (*at >= end || **at > DIGITS_MAX) {
        return false;
    }
    unsigned digits = *(*at)++;
    if (!varint_get(at, end, &m)) {
        return false;
    }
    *p = (JournalPredictor){.m = m, .mode = (uint8_t)(digits + 1)};
    *ret = digits ? (double)m / powers[digits] : (double)m;
    return true;
}

static bool get_other(uint8_t code, const uint8_t **at, const uint8_t *end, JournalPredictor *p,
                      double *ret) {
    uint64_t u;
    if (code == STALE) {
        *ret = stale_nan();
        return true;
    }
    if (code == DECIMAL) {
        return get_decimal(at, end, p, ret);
    }
    if (code == PLAIN || code == BITS) {
        if (!take_bytes(at, end, 8, &u)) {
            return false;
        }
        if (code == BITS) {
            *p = (JournalPredictor){.m = (int64_t)u, .mode = VALUE_BITS};
        }
        *ret = double_of_bits(u);
        return true;
    }
    if (code < XORED || code > XORED + 8 || p->mode != VALUE_BITS ||
        !take_bytes(at, end, code - XORED, &u)) {
        return false;
    }
    p->m ^= (int64_t)u;
    *ret = double_of_bits((uint64_t)p->m);
    return true;
}

bool journal_value_get(const uint8_t **at, const uint8_t *end, JournalPredictor *p, double *ret) {
    uint64_t u;
    if (UNLIKELY(*at >= end)) {
        return false;
    }
    uint8_t code = *(*at)++;
    if (LIKELY(code <= SMALL_MAX)) {
        return get_difference(p, code, ret);
    }
    if (code < STALE) {
        return take_bytes(at, end, code - WIDE + 1u, &u) && get_difference(p, u, ret);
    }
    return get_other(code, at, end, p, ret);
}

bool journal_value_skip(const uint8_t **at, const uint8_t *end) {
    if (UNLIKELY(*at >= end)) {
        return false;
    }
    uint8_t code = *(*at)++;
    uint64_t u;
    if (code <= SMALL_MAX || code == STALE) {
        return true;
    }
    if (code == DECIMAL) {
        return take_bytes(at, end, 1, &u) && uvarint_get(at, end, &u);
    }
    size_t n = code < STALE ? code - WIDE + 1u : code < XORED ? 8u : (unsigned)code - XORED;
    return code <= XORED + 8 && take_bytes(at, end, n, &u);
}
