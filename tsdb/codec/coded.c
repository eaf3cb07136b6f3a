/* The fast reader of the column named in coded.h. */
#include "tsdb/codec/coded.h"

#include <endian.h>
#include <string.h>

#include "base/compiler.h"
#include "base/varint.h"
#include "tsdb/codec/ints.h"

#define SLOTS (1u << CODED_SCALE_BITS)

/* ---- the head ---- */

static bool next_bits(CodedBits *b, unsigned count, unsigned *ret) {
    *ret = 0;
    for (unsigned i = 0; i < count; i++) {
        if (b->p == b->end) {
            return false;
        }
        *ret |= (unsigned)(*b->p >> b->used & 1) << i;
        b->used++;
        b->p += b->used / 8;
        b->used %= 8;
    }
    return true;
}

static bool next_rice(CodedBits *b, unsigned width, unsigned *ret) {
    unsigned ones = 0, bit, low;
    while (ones < CODED_RICE_ONES) {
        if (!next_bits(b, 1, &bit)) {
            return false;
        }
        if (!bit) {
            break;
        }
        ones++;
    }
    if (ones == CODED_RICE_ONES) {
        return next_bits(b, CODED_SCALE_BITS + 2, ret);
    }
    if (!next_bits(b, width, &low)) {
        return false;
    }
    *ret = ones << width | low;
    return true;
}

bool coded_read_frequencies(CodedBits *b, unsigned symbols, uint16_t *ret) {
    unsigned width, zigzag, sum = 0;
    int before = (int)(SLOTS / symbols);
    if (!next_bits(b, CODED_RICE_WIDTH_BITS, &width)) {
        return false;
    }
    for (unsigned i = 0; i < symbols; i++) {
        if (!next_rice(b, width, &zigzag)) {
            return false;
        }
        before += (int)zigzag_decode(zigzag);
        if (before < 0 || (unsigned)before > SLOTS - sum) {
            return false;
        }
        ret[i] = (uint16_t)before;
        sum += (unsigned)before;
    }
    if (b->used) {
        b->p++;
        b->used = 0;
    }
    return sum == SLOTS;
}

static bool read_patches(CodedReader *r, const uint8_t **p, const uint8_t *end) {
    uint64_t count, gap, at = 0;
    int64_t u;
    if (!uvarint_get(p, end, &count) || count == 0 || count > r->n / CODED_PATCHES_SHARE) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!uvarint_get(p, end, &gap) || gap >= r->n - at || (i > 0 && gap == 0) ||
            !varint_get(p, end, &u)) {
            return false;
        }
        at += gap;
        r->patches[i] = (CodedPatch){(uint32_t)at, (uint64_t)u};
    }
    r->n_patches = (uint32_t)count;
    return true;
}

typedef struct Head {
    unsigned symbols;
    uint16_t frequencies[CODED_SYMBOLS_MAX];
    uint32_t states[CODED_STREAMS];
    uint64_t words[CODED_STREAMS]; /* of each stream */
    const uint8_t *packed;         /* words, to the end */
} Head;

static bool read_guess(CodedReader *r, const uint8_t **p, const uint8_t *end) {
    int64_t v;
    if (!(r->head & CODED_DELTA)) {
        if (!varint_get(p, end, &r->slope)) {
            return false;
        }
    } else {
        for (unsigned s = 1; s < CODED_STREAMS; s++) {
            if (!varint_get(p, end, &v)) {
                return false;
            }
            r->anchors[s] = r->anchors[s - 1] + (uint64_t)v;
        }
    }
    if (!varint_get(p, end, &v)) {
        return false;
    }
    r->base = (uint64_t)v;
    return true;
}

static bool read_streams(CodedReader *r, const uint8_t **p, const uint8_t *end, Head *h) {
    if ((size_t)(end - *p) < CODED_STREAMS * sizeof(uint32_t)) {
        return false;
    }
    for (unsigned s = 0; s < CODED_STREAMS; s++, *p += sizeof(uint32_t)) {
        memcpy(&h->states[s], *p, sizeof(uint32_t));
        h->states[s] = le32toh(h->states[s]);
    }
    uint64_t sum = 0;
    for (unsigned s = 0; s + 1 < CODED_STREAMS; s++) {
        if (!uvarint_get(p, end, &h->words[s]) || h->words[s] > r->n) {
            return false;
        }
        sum += h->words[s];
    }
    size_t low = ((size_t)r->n * r->low_bits + 7) / 8;
    if ((size_t)(end - *p) < low || ((size_t)(end - *p) - low) % 2) {
        return false;
    }
    r->low = *p;
    r->low_end = end;
    h->packed = *p + low;
    uint64_t all = (uint64_t)(end - h->packed) / 2;
    if (sum > all || all - sum > r->n) {
        return false;
    }
    h->words[CODED_STREAMS - 1] = all - sum;
    return true;
}

static bool read_head(CodedReader *r, const uint8_t *p, const uint8_t *end, Head *h) {
    *h = (Head){0};
    if (!uvarint_get(&p, end, &r->divisor) || r->divisor == 0 || end - p < 3) {
        return false;
    }
    r->head = *p++;
    r->low_bits = *p++;
    h->symbols = *p++;
    if ((r->head & CODED_UNUSED) || r->low_bits > CODED_LOW_BITS_MAX || h->symbols == 0 ||
        h->symbols > CODED_SYMBOLS_MAX || !read_guess(r, &p, end) ||
        ((r->head & CODED_PATCHED) && !read_patches(r, &p, end))) {
        return false;
    }
    CodedBits b = {p, end, 0};
    return coded_read_frequencies(&b, h->symbols, h->frequencies) && read_streams(r, &b.p, end, h);
}

/* ---- symbols ---- */

/* What a slot of the state means: symbol, its frequency less 1, the slot's place in it. */
typedef uint32_t Slot;
#define SLOT(symbol, frequency, place)                                                             \
    ((Slot)(symbol) | (Slot)((frequency)-1) << 8 | (Slot)(place) << 20)

static void fill_slots(const Head *h, Slot *slots) {
    unsigned at = 0;
    for (unsigned s = 0; s < h->symbols; s++) {
        unsigned f = h->frequencies[s];
        for (unsigned i = 0; i < f; i++) {
            slots[at++] = SLOT(s, f, i);
        }
    }
}

static inline uint8_t step(const Slot *slots, uint32_t *state, const uint16_t **words) {
    uint32_t x = *state;
    Slot s = slots[x & (SLOTS - 1)];
    x = ((s >> 8 & 0xfff) + 1) * (x >> CODED_SCALE_BITS) + (s >> 20);
    uint32_t refilled = x << 16 | le16toh(**words);
    bool refill = x < CODED_STATE_MIN;
    *state = refill ? refilled : x;
    *words += refill;
    return (uint8_t)s;
}

/* A stream takes a word a number at most: a damaged one runs into what is padded. */
typedef struct Streams {
    uint32_t state[CODED_STREAMS];
    const uint16_t *at[CODED_STREAMS], *end[CODED_STREAMS];
    uint32_t from[CODED_STREAMS], count[CODED_STREAMS];
} Streams;

static void decode_all(const Slot *slots, Streams *s, uint8_t *symbols) {
    uint32_t x0 = s->state[0], x1 = s->state[1], x2 = s->state[2], x3 = s->state[3];
    const uint16_t *w0 = s->at[0], *w1 = s->at[1], *w2 = s->at[2], *w3 = s->at[3];
    uint8_t *d0 = symbols, *d1 = symbols + s->from[1], *d2 = symbols + s->from[2],
            *d3 = symbols + s->from[3];
    uint32_t n = s->count[3];
    for (uint32_t i = 0; i < n; i++) {
        d0[i] = step(slots, &x0, &w0);
        d1[i] = step(slots, &x1, &w1);
        d2[i] = step(slots, &x2, &w2);
        d3[i] = step(slots, &x3, &w3);
    }
    for (uint32_t i = n; i < s->count[0]; i++) {
        d0[i] = step(slots, &x0, &w0);
    }
    for (uint32_t i = n; i < s->count[1]; i++) {
        d1[i] = step(slots, &x1, &w1);
    }
    for (uint32_t i = n; i < s->count[2]; i++) {
        d2[i] = step(slots, &x2, &w2);
    }
    const uint32_t states[] = {x0, x1, x2, x3};
    const uint16_t *at[] = {w0, w1, w2, w3};
    memcpy(s->state, states, sizeof(states));
    memcpy(s->at, at, sizeof(at));
}

static void decode_one(const Slot *slots, Streams *s, unsigned which, uint32_t n,
                       uint8_t *symbols) {
    uint8_t *d = symbols + s->from[which];
    uint32_t x = s->state[which];
    const uint16_t *w = s->at[which];
    for (uint32_t i = 0; i < n; i++) {
        d[i] = step(slots, &x, &w);
    }
    s->state[which] = x;
    s->at[which] = w;
}

/* Whether a stream that was read to its end ended as it should. */
static bool is_ended(const CodedReader *r, const Streams *s, unsigned which) {
    bool whole = s->from[which] + s->count[which] <= r->end;
    return !whole || (s->state[which] == CODED_STATE_MIN && s->at[which] == s->end[which]);
}

static void set_streams(const CodedReader *r, const Head *h, const uint16_t *words, Streams *s) {
    uint32_t length = coded_stream_length(r->n);
    for (unsigned i = 0; i < CODED_STREAMS; i++) {
        s->state[i] = h->states[i];
        s->at[i] = words;
        s->end[i] = words += h->words[i];
        s->from[i] = MIN(length * i, r->n);
        s->count[i] = MIN(length, r->n - s->from[i]);
    }
}

/* Decodes streams first..last, the last one as far as it is needed. */
static bool decode_streams(CodedReader *r, const Head *h, unsigned first, unsigned last) {
    Slot slots[SLOTS];
    uint16_t words[CODED_NUMBERS_MAX * 2];
    size_t n = 0;
    for (unsigned i = 0; i < CODED_STREAMS; i++) {
        n += h->words[i];
    }
    memcpy(words, h->packed, n * sizeof(*words));
    memset(words + n, 0, (coded_stream_length(r->n) + 1) * sizeof(*words));
    fill_slots(h, slots);
    Streams s;
    set_streams(r, h, words, &s);
    if (first == 0 && last == CODED_STREAMS - 1) {
        decode_all(slots, &s, r->symbols);
    } else {
        for (unsigned i = first; i <= last; i++) {
            decode_one(slots, &s, i, MIN(s.count[i], r->end - s.from[i]), r->symbols);
        }
    }
    for (unsigned i = first; i <= last; i++) {
        if (!is_ended(r, &s, i)) {
            return false;
        }
    }
    return true;
}

bool coded_open(CodedReader *r, const uint8_t *p, const uint8_t *end, uint32_t n, uint32_t from,
                uint32_t to) {
    Head h;
    r->n = n;
    r->n_patches = r->next_patch = 0;
    r->slope = 0;
    r->anchors[0] = 0;
    if (n < CODED_NUMBERS_MIN || n > CODED_NUMBERS_MAX || !read_head(r, p, end, &h)) {
        return false;
    }
    uint32_t length = coded_stream_length(n);
    unsigned first = from / length, last = (to - 1) / length;
    r->at = first * length;
    r->end = to;
    while (r->next_patch < r->n_patches && r->patches[r->next_patch].at < r->at) {
        r->next_patch++;
    }
    return decode_streams(r, &h, first, last);
}

/* ---- numbers ---- */

static void add_low_bits(const CodedReader *r, unsigned count, uint64_t *u) {
    unsigned width = r->low_bits;
    const uint8_t *symbols = r->symbols + r->at;
    uint64_t mask = (UINT64_C(1) << width) - 1, bit = (uint64_t)r->at * width;
    const uint8_t *last = r->low + ((bit + (uint64_t)width * count) >> 3);
    if (width == 0) {
        for (unsigned i = 0; i < count; i++) {
            u[i] = symbols[i];
        }
    } else if (LIKELY(r->low_end - last >= 8)) {
        for (unsigned i = 0; i < count; i++, bit += width) {
            uint64_t x;
            memcpy(&x, r->low + (bit >> 3), sizeof(x));
            u[i] = (uint64_t)symbols[i] << width | (le64toh(x) >> (bit & 7) & mask);
        }
    } else {
        for (unsigned i = 0; i < count; i++, bit += width) {
            uint64_t x = 0;
            const uint8_t *p = r->low + (bit >> 3);
            memcpy(&x, p, (size_t)MIN(r->low_end - p, 8));
            u[i] = (uint64_t)symbols[i] << width | (le64toh(x) >> (bit & 7) & mask);
        }
    }
}

static void put_patches(CodedReader *r, unsigned count, uint64_t *u) {
    while (r->next_patch < r->n_patches && r->patches[r->next_patch].at < r->at + count) {
        const CodedPatch *p = &r->patches[r->next_patch++];
        u[p->at - r->at] = p->u;
    }
}

static void add_guess(CodedReader *r, unsigned count, uint64_t *u) {
    if (r->head & CODED_DELTA) {
        uint32_t length = coded_stream_length(r->n);
        uint64_t sum = r->at % length ? r->last : r->anchors[r->at / length];
        if (r->at == 0) {
            u[0] = -r->base; /* it is 0, whatever is coded */
        }
        for (unsigned i = 0; i < count; i++) {
            sum += r->base + u[i];
            u[i] = sum;
        }
        r->last = sum;
        return;
    }
    uint64_t along = (uint64_t)r->slope * r->at;
    for (unsigned i = 0; i < count; i++, along += (uint64_t)r->slope) {
        u[i] += r->base + (uint64_t)((int64_t)along >> INTS_SLOPE_BITS);
    }
}

unsigned coded_next(CodedReader *r, int64_t y[CODED_BLOCK]) {
    uint64_t *u = (uint64_t *)y;
    uint32_t length = coded_stream_length(r->n);
    unsigned count = MIN(r->end - r->at, (uint32_t)CODED_BLOCK);
    if (r->head & CODED_DELTA) {
        count = MIN(count, length - r->at % length); /* each stream begins from its anchor */
    }
    add_low_bits(r, count, u);
    if (r->n_patches) {
        put_patches(r, count, u);
    }
    add_guess(r, count, u);
    r->at += count;
    if (r->divisor != 1) {
        for (unsigned i = 0; i < count; i++) {
            u[i] *= r->divisor;
        }
    }
    return count;
}
