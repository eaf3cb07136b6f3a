/* The writer of the column named in coded.h: which guess, which cut, and the coding itself. */
#include <endian.h>
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "base/varint.h"
#include "tsdb/codec/coded.h"
#include "tsdb/codec/ints.h"

#define SLOTS (1u << CODED_SCALE_BITS)
/* What a patch and a symbol's frequency cost about, in bits. */
#define PATCH_BITS 28
#define FREQUENCY_BITS 5

static unsigned bits_of(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }

/* ---- what a guess leaves over ---- */

static void leftovers_of_line(const int64_t *y, uint32_t n, int64_t slope, int64_t *r) {
    for (uint32_t i = 0; i < n; i++) {
        r[i] = (int64_t)((uint64_t)y[i] - ints_on_line(slope, i));
    }
}

static void leftovers_of_delta(const int64_t *y, uint32_t n, int64_t *r) {
    for (uint32_t i = 1; i < n; i++) {
        r[i] = (int64_t)((uint64_t)y[i] - (uint64_t)y[i - 1]);
    }
    r[0] = r[1]; /* nobody reads it */
}

/* The k-th smallest; changes the order of v. */
static int64_t select_nth(int64_t *v, uint32_t n, uint32_t k) {
    uint32_t low = 0, high = n - 1;
    while (low < high) {
        int64_t pivot = v[low + (high - low) / 2];
        uint32_t i = low, j = high;
        for (;;) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i >= j) {
                break;
            }
            int64_t x = v[i];
            v[i++] = v[j];
            v[j--] = x;
        }
        if (k <= j) {
            high = j;
        } else {
            low = j + 1;
        }
    }
    return v[low];
}

/* ---- the cut into symbols and low bits ---- */

typedef struct Cut {
    uint64_t bits; /* the column's, about */
    int64_t base;
    unsigned low_bits, symbols;
    uint32_t n_patches;
    uint32_t counts[CODED_SYMBOLS_MAX];
} Cut;

/* The entropy of the symbols. */
static uint64_t symbol_bits(const Cut *c, uint32_t n) {
    double sum = 0, all = n;
    for (unsigned s = 0; s < c->symbols; s++) {
        if (c->counts[s]) {
            sum += c->counts[s] * (log2(all) - log2(c->counts[s]));
        }
    }
    return (uint64_t)sum;
}

static void count_symbols(Cut *c, const int64_t *r, uint32_t n) {
    uint64_t limit = (uint64_t)CODED_SYMBOLS_MAX << c->low_bits;
    memset(c->counts, 0, sizeof(c->counts));
    c->n_patches = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t u = (uint64_t)r[i] - (uint64_t)c->base;
        if (u >= limit) {
            c->n_patches++;
        } else {
            c->counts[u >> c->low_bits]++;
        }
    }
}

static void finish_cut(Cut *c, uint32_t n) {
    c->symbols = CODED_SYMBOLS_MAX;
    while (c->symbols > 1 && c->counts[c->symbols - 1] == 0) {
        c->symbols--;
    }
    c->bits = symbol_bits(c, n - c->n_patches) + (uint64_t)n * c->low_bits +
              (uint64_t)c->n_patches * PATCH_BITS + (uint64_t)c->symbols * FREQUENCY_BITS;
}

/* Half as many symbols, one more low bit. */
static void fold(Cut *c) {
    for (unsigned s = 0; s < CODED_SYMBOLS_MAX / 2; s++) {
        c->counts[s] = c->counts[2 * s] + c->counts[2 * s + 1];
    }
    memset(c->counts + CODED_SYMBOLS_MAX / 2, 0, sizeof(c->counts) / 2);
    c->low_bits++;
}

/* The range that nearly all of r lies in; work is scratch. */
static void find_body(const int64_t *r, uint32_t n, int64_t *work, int64_t *low, int64_t *high) {
    int64_t min = r[0], max = r[0];
    for (uint32_t i = 1; i < n; i++) {
        min = MIN(min, r[i]);
        max = MAX(max, r[i]);
    }
    *low = min;
    *high = max;
    if ((uint64_t)max - (uint64_t)min < CODED_SYMBOLS_MAX) {
        return;
    }
    memcpy(work, r, n * sizeof(*work));
    int64_t a = select_nth(work, n, n / 64), b = select_nth(work, n, n - 1 - n / 64);
    uint64_t margin = ((uint64_t)b - (uint64_t)a) / 2 + 1;
    if ((uint64_t)a - (uint64_t)min > margin) {
        *low = (int64_t)((uint64_t)a - margin);
    }
    if ((uint64_t)max - (uint64_t)b > margin) {
        *high = (int64_t)((uint64_t)b + margin);
    }
}

/* False: no cut with few enough patches. */
static bool find_cut(const int64_t *r, uint32_t n, int64_t *work, Cut *ret) {
    int64_t low, high;
    find_body(r, n, work, &low, &high);
    unsigned bits = bits_of((uint64_t)high - (uint64_t)low);
    Cut c = {.base = low, .low_bits = bits > 6 ? bits - 6 : 0};
    if (c.low_bits > CODED_LOW_BITS_MAX) {
        return false;
    }
    count_symbols(&c, r, n);
    if (c.n_patches > n / CODED_PATCHES_SHARE) {
        return false;
    }
    finish_cut(&c, n);
    *ret = c;
    for (int i = 0; i < 2 && c.low_bits < CODED_LOW_BITS_MAX && c.n_patches == 0; i++) {
        fold(&c);
        finish_cut(&c, n);
        if (c.bits < ret->bits) {
            *ret = c;
        }
    }
    return true;
}

/* ---- frequencies ---- */

/* Counts scaled so that they add up to SLOTS, none that comes becomes 0. */
static void scale_counts(const Cut *c, uint32_t n, uint16_t *ret) {
    unsigned sum = 0, largest = 0;
    uint32_t coded = n - c->n_patches;
    for (unsigned s = 0; s < c->symbols; s++) {
        uint64_t f = coded ? ((uint64_t)c->counts[s] * SLOTS + coded / 2) / coded : 0;
        ret[s] = (uint16_t)(c->counts[s] && f == 0 ? 1 : f);
        sum += ret[s];
        largest = ret[s] > ret[largest] ? s : largest;
    }
    while (sum > SLOTS) {
        unsigned most = 0;
        for (unsigned s = 0; s < c->symbols; s++) {
            most = ret[s] > ret[most] ? s : most;
        }
        ret[most]--;
        sum--;
    }
    ret[largest] = (uint16_t)(ret[largest] + (SLOTS - sum));
}

typedef struct BitWriter {
    uint8_t *p;
    unsigned used;
} BitWriter;

static void put_bits(BitWriter *b, unsigned value, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (b->used == 0) {
            *b->p = 0;
        }
        *b->p = (uint8_t)(*b->p | (value >> i & 1) << b->used);
        b->used = (b->used + 1) % 8;
        b->p += b->used == 0;
    }
}

static unsigned rice_bits(unsigned value, unsigned width) {
    unsigned ones = value >> width;
    return ones >= CODED_RICE_ONES ? CODED_RICE_ONES + CODED_SCALE_BITS + 2 : ones + 1 + width;
}

static void put_rice(BitWriter *b, unsigned value, unsigned width) {
    unsigned ones = value >> width;
    if (ones >= CODED_RICE_ONES) {
        put_bits(b, (1u << CODED_RICE_ONES) - 1, CODED_RICE_ONES);
        put_bits(b, value, CODED_SCALE_BITS + 2);
        return;
    }
    put_bits(b, (1u << ones) - 1, ones + 1);
    put_bits(b, value, width);
}

static uint8_t *write_frequencies(uint8_t *p, const uint16_t *f, unsigned symbols) {
    unsigned zigzag[CODED_SYMBOLS_MAX], best = 0, best_bits = UINT32_MAX;
    int before = (int)(SLOTS / symbols);
    for (unsigned s = 0; s < symbols; s++) {
        zigzag[s] = (unsigned)zigzag_encode((int)f[s] - before);
        before = f[s];
    }
    for (unsigned width = 0; width < 1u << CODED_RICE_WIDTH_BITS; width++) {
        unsigned bits = 0;
        for (unsigned s = 0; s < symbols; s++) {
            bits += rice_bits(zigzag[s], width);
        }
        if (bits < best_bits) {
            best = width;
            best_bits = bits;
        }
    }
    BitWriter b = {p, 0};
    put_bits(&b, best, CODED_RICE_WIDTH_BITS);
    for (unsigned s = 0; s < symbols; s++) {
        put_rice(&b, zigzag[s], best);
    }
    return b.p + (b.used > 0);
}

/* ---- coding ---- */

typedef struct Coder {
    uint16_t frequency[CODED_SYMBOLS_MAX], below[CODED_SYMBOLS_MAX];
    uint32_t states[CODED_STREAMS];
    uint32_t words[CODED_STREAMS];
    uint16_t *end; /* words are written backwards from here */
} Coder;

/* Numbers are coded from the last to the first, so that the reader gets them in order. */
static void code_stream(Coder *c, unsigned stream, const uint8_t *symbols, uint32_t n) {
    uint32_t x = CODED_STATE_MIN;
    uint16_t *w = c->end;
    for (uint32_t i = n; i-- > 0;) {
        uint32_t f = c->frequency[symbols[i]];
        if (x >> (32 - CODED_SCALE_BITS) >= f) {
            *--w = htole16((uint16_t)x);
            x >>= 16;
        }
        x = (x / f << CODED_SCALE_BITS) + x % f + c->below[symbols[i]];
    }
    c->states[stream] = x;
    c->words[stream] = (uint32_t)(c->end - w);
    c->end = w;
}

/* The words of all streams in their order: the last one is made first, as they grow backwards. */
static void code_streams(Coder *c, const uint8_t *symbols, uint32_t n) {
    uint32_t length = coded_stream_length(n);
    for (unsigned s = CODED_STREAMS; s-- > 0;) {
        uint32_t from = length * s;
        code_stream(c, s, symbols + from, MIN(length, n - from));
    }
}

static uint8_t *put_varint(uint8_t *p, int64_t v) { return p + uvarint_put(p, zigzag_encode(v)); }

static uint8_t *put_low_bits(uint8_t *p, const uint64_t *u, uint32_t n, unsigned width) {
    unsigned __int128 acc = 0;
    unsigned fill = 0;
    uint64_t mask = (UINT64_C(1) << width) - 1;
    for (uint32_t i = 0; i < n && width > 0; i++) {
        acc |= (unsigned __int128)(u[i] & mask) << fill;
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

/* Symbols of r; the patched ones get the most frequent. Writes the list of patches to p. */
static uint8_t *cut_symbols(const Cut *c, const int64_t *r, uint32_t n, unsigned usual, uint64_t *u,
                            uint8_t *symbols, uint8_t *p) {
    uint64_t limit = (uint64_t)CODED_SYMBOLS_MAX << c->low_bits;
    uint32_t before = 0;
    if (c->n_patches) {
        p += uvarint_put(p, c->n_patches);
    }
    for (uint32_t i = 0; i < n; i++) {
        u[i] = (uint64_t)r[i] - (uint64_t)c->base;
        if (u[i] < limit) {
            symbols[i] = (uint8_t)(u[i] >> c->low_bits);
            continue;
        }
        p += uvarint_put(p, i - before);
        p = put_varint(p, (int64_t)u[i]);
        before = i;
        symbols[i] = (uint8_t)usual;
        u[i] = 0;
    }
    return p;
}

typedef struct Column {
    uint64_t divisor;
    bool delta;
    int64_t slope;
    const int64_t *y; /* divided */
    Cut cut;
} Column;

static uint8_t *write_head(uint8_t *p, const Column *c, uint32_t n) {
    uint32_t length = coded_stream_length(n);
    p += uvarint_put(p, c->divisor);
    *p++ = (uint8_t)((c->delta ? CODED_DELTA : 0) | (c->cut.n_patches ? CODED_PATCHED : 0));
    *p++ = (uint8_t)c->cut.low_bits;
    *p++ = (uint8_t)c->cut.symbols;
    if (!c->delta) {
        p = put_varint(p, c->slope);
    }
    for (uint32_t s = 1; c->delta && s < CODED_STREAMS; s++) {
        uint64_t before = s > 1 ? (uint64_t)c->y[length * (s - 1) - 1] : 0;
        p = put_varint(p, (int64_t)((uint64_t)c->y[length * s - 1] - before));
    }
    return put_varint(p, c->cut.base);
}

static size_t write_column(uint8_t *dst, const Column *c, const int64_t *r, uint32_t n,
                           int64_t *scratch) {
    uint8_t symbols[CODED_NUMBERS_MAX];
    uint16_t words[CODED_NUMBERS_MAX + CODED_STREAMS];
    Coder coder = {.end = words + ARRAY_LEN(words)};
    unsigned usual = 0, below = 0;
    scale_counts(&c->cut, n, coder.frequency);
    for (unsigned s = 0; s < c->cut.symbols; s++) {
        coder.below[s] = (uint16_t)below;
        below += coder.frequency[s];
        usual = coder.frequency[s] > coder.frequency[usual] ? s : usual;
    }
    uint64_t *u = (uint64_t *)scratch;
    uint8_t *p = write_head(dst, c, n);
    p = cut_symbols(&c->cut, r, n, usual, u, symbols, p);
    p = write_frequencies(p, coder.frequency, c->cut.symbols);
    code_streams(&coder, symbols, n);
    for (unsigned s = 0; s < CODED_STREAMS; s++, p += sizeof(uint32_t)) {
        uint32_t x = htole32(coder.states[s]);
        memcpy(p, &x, sizeof(x));
    }
    for (unsigned s = 0; s + 1 < CODED_STREAMS; s++) {
        p += uvarint_put(p, coder.words[s]);
    }
    p = put_low_bits(p, u, n, c->cut.low_bits);
    size_t bytes = (size_t)((uint8_t *)(words + ARRAY_LEN(words)) - (uint8_t *)coder.end);
    memcpy(p, coder.end, bytes);
    return (size_t)(p - dst) + bytes;
}

size_t coded_write(uint8_t *dst, const int64_t *y, uint32_t n, uint64_t divisor, size_t limit,
                   int64_t *scratch) {
    int64_t *work = scratch, *line = scratch + n, *delta = scratch + 2 * (size_t)n;
    if (n < CODED_NUMBERS_MIN || n > CODED_NUMBERS_MAX) {
        return 0;
    }
    Column c = {.divisor = divisor, .y = y, .slope = ints_slope(y, n)};
    Cut cut;
    bool found = false;
    leftovers_of_line(y, n, c.slope, line);
    if (find_cut(line, n, work, &cut)) {
        c.cut = cut;
        found = true;
    }
    leftovers_of_delta(y, n, delta);
    if (find_cut(delta, n, work, &cut) && (!found || cut.bits < c.cut.bits)) {
        c.cut = cut;
        c.delta = found = true;
    }
    if (!found || c.cut.bits / 8 >= limit) {
        return 0;
    }
    size_t size = write_column(dst, &c, c.delta ? delta : line, n, work);
    return size < limit ? size : 0;
}
