/*
 * Chunks of blocks: whatever the samples are they come back bit for bit, from the fast reader and
 * from the plain one; damaged bytes are judged alike by both and never read beyond the end (each
 * copy is as long as the chunk, so that AddressSanitizer sees it).
 */
#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/codec/chunk.h"
#include "tsdb/codec/coded.h"
#include "tsdb/codec/ints.h"

#define LENGTHS                                                                                    \
    { 1, 2, 3, 7, 8, 64, 127, 128, 129, 480, 511, 512, 513, 1000, 4096, CHUNK_SAMPLES_MAX }

typedef struct Samples {
    int64_t t[CHUNK_SAMPLES_MAX];
    double v[CHUNK_SAMPLES_MAX];
    uint32_t n;
} Samples;

static Samples samples, got, got_plain;
static uint64_t seed = 0x2545f4914f6cdd1du;

static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double uniform(void) { return (double)(next_random() >> 11) * 0x1p-53; }

/* ---- values ---- */

typedef double (*ValueFn)(uint32_t i, double before);

static double constant(uint32_t i, double before) { return i ? before : 0.1; }
static double counter(uint32_t i, double before) {
    return (i ? before : 1e6) + (double)(next_random() % 100);
}
static double resetting(uint32_t i, double before) {
    return i % 300 == 299 ? 0 : before + (double)(next_random() % 9);
}
static double gauge(uint32_t i, double before) { return (double)(next_random() % 1000) - 500; }
static double cents(uint32_t i, double before) { return (double)(next_random() % 1000000) / 100; }
static double pages(uint32_t i, double before) {
    return 4096.0 * (double)(1000000 + next_random() % 5000);
}
static double spikes(uint32_t i, double before) {
    return next_random() % 40 == 0 ? (double)next_random() : (double)(next_random() % 4);
}
static double line(uint32_t i, double before) {
    return floor(1e9 + i * 1234.567 + uniform() * 100);
}
static double bends(uint32_t i, double before) {
    return floor(before + (i / 200 % 2 ? 1000 : 7) + uniform() * 3);
}
static double seventh(uint32_t i, double before) { return i / 7.0; }
static double clock_reading(uint32_t i, double before) { return 1.7e9 + i * 15 + uniform(); }
static double noise(uint32_t i, double before) { return uniform(); }
static double sum_of_floats(uint32_t i, double before) { return before + uniform() / 3; }
static double random_bits(uint32_t i, double before) { return double_of_bits(next_random()); }
static double few_bits(uint32_t i, double before) {
    unsigned keep = next_random() % 65;
    return double_of_bits(keep ? next_random() >> (64 - keep) << next_random() % 64 : 0);
}
static double large_integers(uint32_t i, double before) {
    return 0x1p60 + (double)(next_random() % 100) * 0x1p10;
}
static double huge(uint32_t i, double before) { return 1e300 * (double)(next_random() % 10); }
static double tiny(uint32_t i, double before) {
    return double_of_bits(next_random() % 1000); /* subnormal */
}
static double edge_of_exact(uint32_t i, double before) {
    return (i % 2 ? -1 : 1) * (0x1p53 - (double)(next_random() % 4));
}
static double many_digits(uint32_t i, double before) {
    return (double)(next_random() % 10) + (double)(next_random() % 1000) * 1e-15;
}

static const uint64_t specials[] = {
    0,
    0x8000000000000000, /* -0 */
    0x7ff0000000000000, /* +Inf */
    0xfff0000000000000,
    STALE_NAN_BITS,
    NORMAL_NAN_BITS,
    0x7ff8dead0000beef,
    0xffffffffffffffff,
    1, /* the smallest subnormal */
    0x000fffffffffffff,
    0x7fefffffffffffff, /* the largest */
    0x3ff0000000000000,
    0x8000000000000001,
    0x43e0000000000000, /* 2^63 */
    0xc3e0000000000000,
};

static double special(uint32_t i, double before) {
    return double_of_bits(specials[next_random() % (sizeof(specials) / sizeof(specials[0]))]);
}
/* Mostly a counter, so that the special ones become exceptions. */
static double counter_with_specials(uint32_t i, double before) {
    return next_random() % 50 == 0 ? special(i, before) : 1e6 + i * 3.0;
}
static double stale_at_the_ends(uint32_t i, double before) {
    return i == 0 || i % 127 == 126 ? double_of_bits(STALE_NAN_BITS) : i * 0.25;
}

typedef struct Kind {
    const char *name;
    ValueFn fn;
} Kind;

static const Kind kinds[] = {
    {"constant", constant},
    {"counter", counter},
    {"resetting", resetting},
    {"gauge", gauge},
    {"cents", cents},
    {"pages", pages},
    {"spikes", spikes},
    {"line", line},
    {"bends", bends},
    {"seventh", seventh},
    {"clock_reading", clock_reading},
    {"noise", noise},
    {"sum_of_floats", sum_of_floats},
    {"random_bits", random_bits},
    {"few_bits", few_bits},
    {"large_integers", large_integers},
    {"huge", huge},
    {"tiny", tiny},
    {"edge_of_exact", edge_of_exact},
    {"many_digits", many_digits},
    {"special", special},
    {"counter_with_specials", counter_with_specials},
    {"stale_at_the_ends", stale_at_the_ends},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- times ---- */

typedef enum Times { REGULAR, JITTER, GAPS, RANDOM, TIMES_COUNT } Times;

static void fill(Samples *s, ValueFn fn, Times times, uint32_t n) {
    int64_t t = 1700000000000;
    s->n = n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t jitter = times == JITTER ? (int64_t)(next_random() % 9) : 0;
        t += times == RANDOM ? 1 + (int64_t)(next_random() >> next_random() % 34 % 60 >> 25)
             : times == GAPS && next_random() % 100 == 0 ? 60000
                                                         : 15000;
        s->t[i] = t + jitter;
        s->v[i] = fn(i, i ? s->v[i - 1] : 0);
    }
}

static ChunkEncoder *encoder(void) {
    static ChunkEncoder *e;
    if (!e) {
        e = chunk_encoder_new();
    }
    return e;
}

/* The chunk, its bytes a copy on the heap of just their size. */
static Chunk encode(const Samples *s, uint8_t **ret_copy) {
    Chunk c;
    chunk_encode(encoder(), s->t, s->v, s->n, &c);
    *ret_copy = mem_dup(c.data, c.size);
    c.data = *ret_copy;
    return c;
}

static void check_same(const char *what, const Samples *want, const Samples *have) {
    for (uint32_t i = 0; i < want->n; i++) {
        if (have->t[i] != want->t[i] || double_bits(have->v[i]) != double_bits(want->v[i])) {
            printf("%s: sample %u of %u differs\n", what, i, want->n);
            CHECK_INT(have->t[i], want->t[i]);
            CHECK_DOUBLE(have->v[i], want->v[i]);
            return;
        }
    }
}

static void check_round_trip(const char *what, const Samples *s) {
    uint8_t *copy;
    Chunk c = encode(s, &copy);
    CHECK_INT(c.n, s->n);
    CHECK_INT(c.min_time, s->t[0]);
    CHECK_INT(c.max_time, s->t[s->n - 1]);
    CHECK_INT(chunk_decode(&c, got.t, got.v), 0);
    check_same(what, s, &got);
    CHECK_INT(chunk_decode_plain(&c, got_plain.t, got_plain.v), 0);
    check_same(what, s, &got_plain);
    mem_free(copy);
}

/* A linked chunk on heap copies of just its bytes. */
static Chunk encode_linked(const Samples *s, const double *base, bool *ret_difference,
                           uint8_t **ret_copy) {
    static const ChunkLink link = {70000, 12345, 678};
    Chunk c;
    *ret_difference = chunk_encode_linked(encoder(), s->v, s->n, base, &link, &c);
    c.times = s->t;
    c.min_time = s->t[0];
    c.max_time = s->t[s->n - 1];
    *ret_copy = mem_dup(c.data, c.size);
    c.data = *ret_copy;
    c.base = *ret_difference ? base : NULL;
    ChunkLink found = {0};
    CHECK_INT(chunk_link(&c, &found), *ret_difference ? CHUNK_DIFFERENCE : 0);
    CHECK_INT(found.bundle, *ret_difference ? link.bundle : 0);
    CHECK_INT(found.size, *ret_difference ? link.size : 0);
    return c;
}

static bool check_linked(const char *what, const Samples *s, const double *base) {
    uint8_t *copy;
    bool difference;
    Chunk c = encode_linked(s, base, &difference, &copy);
    CHECK_INT(chunk_decode(&c, got.t, got.v), 0);
    check_same(what, s, &got);
    CHECK_INT(chunk_decode_plain(&c, got_plain.t, got_plain.v), 0);
    check_same(what, s, &got_plain);
    for (int i = 0; i < 3; i++) {
        uint32_t from = next_random() % s->n, to = from + 1 + next_random() % (s->n - from);
        const double *part = difference ? base + from : NULL;
        CHECK_INT(chunk_decode_values(&c, from, to, part, got.v), 0);
        CHECK(memcmp(got.v, s->v + from, (to - from) * sizeof(double)) == 0);
    }
    mem_free(copy);
    return difference;
}

TEST (linked_chunks_come_back_bit_for_bit) {
    static const uint32_t lengths[] = {1,   2,    16,   17,   100,  479, 480,
                                       481, 1440, 4096, 5760, 8191, 8192};
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            fill(&samples, kinds[k].fn, REGULAR, lengths[i]);
            (void)check_linked(kinds[k].name, &samples, NULL);
        }
    }
}

/* Buckets of a histogram: each counts what the next larger one does, less a few. */
TEST (differences_come_back_bit_for_bit) {
    static double base[CHUNK_SAMPLES_MAX];
    static const uint32_t lengths[] = {1, 2, 120, 480, 1440, 6000};
    uint32_t differences = 0;
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            fill(&samples, kinds[k].fn, REGULAR, lengths[i]);
            memcpy(base, samples.v, sizeof(base));
            fill(&samples, counter, REGULAR, lengths[i]);
            for (uint32_t j = 0; j < samples.n; j++) {
                samples.v[j] = next_random() % 50 ? base[j] - (double)(j / 7) : samples.v[j];
            }
            differences += check_linked("difference", &samples, base);
            samples.v[samples.n / 2] = double_of_bits(STALE_NAN_BITS);
            differences += check_linked("stale difference", &samples, base);
        }
    }
    CHECK(differences > 20);
}

TEST (the_same_as_another_chunk) {
    static const ChunkLink link = {3, 0, 99};
    static double base[300];
    ChunkLink found;
    Chunk c;
    fill(&samples, random_bits, JITTER, 300);
    memcpy(base, samples.v, sizeof(base));
    chunk_encode_same(encoder(), 300, &link, &c);
    c.times = samples.t;
    c.min_time = samples.t[0];
    c.max_time = samples.t[299];
    CHECK_INT(chunk_link(&c, &found), CHUNK_SAME);
    CHECK_INT(found.bundle, 3);
    CHECK_INT(found.size, 99);
    CHECK_INT(chunk_decode(&c, got.t, got.v), -EBADMSG);
    c.base = base;
    CHECK_INT(chunk_decode(&c, got.t, got.v), 0);
    check_same("same", &samples, &got);
}

TEST (all_kinds_of_samples_come_back_bit_for_bit) {
    static const uint32_t lengths[] = LENGTHS;
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            for (Times t = REGULAR; t < TIMES_COUNT; t++) {
                fill(&samples, kinds[k].fn, t, lengths[i]);
                check_round_trip(kinds[k].name, &samples);
            }
        }
    }
}

TEST (mixtures_come_back) {
    for (int round = 0; round < 300; round++) {
        fill(&samples, counter, round % TIMES_COUNT, 1 + next_random() % 1500);
        for (uint32_t i = 0; i < samples.n;) {
            ValueFn fn = kinds[next_random() % KINDS].fn;
            for (uint64_t run = 1 + next_random() % 400; run > 0 && i < samples.n; run--, i++) {
                samples.v[i] = fn(i, i ? samples.v[i - 1] : 0);
            }
        }
        check_round_trip("mixture", &samples);
    }
}

TEST (every_pair_of_special_values_comes_back) {
    enum { N = sizeof(specials) / sizeof(specials[0]) };
    for (size_t a = 0; a < N; a++) {
        for (size_t b = 0; b < N; b++) {
            for (uint32_t n = 1; n <= 40; n += 13) {
                fill(&samples, counter, REGULAR, n);
                samples.v[n / 2] = double_of_bits(specials[a]);
                samples.v[n - 1] = double_of_bits(specials[b]);
                check_round_trip("specials", &samples);
            }
        }
    }
}

TEST (extreme_times_come_back) {
    samples.n = 4;
    static const int64_t far[][4] = {
        {INT64_MIN, -1, 0, INT64_MAX},
        {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX},
        {INT64_MIN, 0, 1, 2},
        {-3, -2, -1, INT64_MAX},
    };
    for (size_t i = 0; i < 4; i++) {
        for (int k = 0; k < 4; k++) {
            samples.t[k] = far[i][k];
            samples.v[k] = k;
        }
        check_round_trip("far times", &samples);
        samples.n = 2;
        check_round_trip("two far times", &samples);
        samples.n = 4;
    }
}

/* ---- columns of integers ---- */

static void check_integers(const int64_t *y, uint32_t n) {
    static int64_t work[2000], back[2000];
    uint8_t *room = mem_alloc(INTS_ROOM(n));
    memcpy(work, y, n * sizeof(*y));
    size_t size = ints_write(room, work, n);
    CHECK(size <= INTS_ROOM(n));
    uint8_t *copy = mem_dup(room, size);
    CHECK(ints_read_plain(copy, copy + size, n, back));
    CHECK(memcmp(back, y, n * sizeof(*y)) == 0);
    memset(back, 0, sizeof(back));
    IntsReader r;
    int64_t block[INTS_BLOCK];
    CHECK(ints_open(&r, copy, copy + size, n));
    while (r.at < n) {
        uint32_t at = r.at;
        if (!ints_next(&r, block)) {
            break;
        }
        memcpy(back + at, block, (r.at - at) * sizeof(*back));
    }
    CHECK(ints_ended(&r));
    CHECK(memcmp(back, y, n * sizeof(*y)) == 0);
    mem_free(copy);
    mem_free(room);
}

TEST (any_integers_come_back) {
    static int64_t y[2000];
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 1 + next_random() % (round % 20 ? 300 : 2000);
        unsigned shift = next_random() % 64, mode = next_random() % 5;
        uint64_t factor = next_random() % 3 ? 1 : next_random() >> next_random() % 64;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t x = next_random() >> shift;
            x = mode == 1 ? (next_random() % 30 ? x & 15 : x) : mode == 2 ? x % 7 + i * 1000 : x;
            x = mode == 3 ? (uint64_t)y[i ? i - 1 : 0] + x : mode == 4 ? -x : x;
            y[i] = i ? (int64_t)(x * factor) : 0;
        }
        check_integers(y, n);
    }
    static const int64_t ends[] = {0, INT64_MIN, INT64_MAX, -1, 1, INT64_MIN, INT64_MIN, INT64_MAX};
    check_integers(ends, 8);
    check_integers((const int64_t[]){0, INT64_MIN, 0, INT64_MIN}, 4);
}

TEST (reading_may_begin_at_any_segment) {
    for (size_t k = 0; k < KINDS; k++) {
        fill(&samples, kinds[k].fn, k % TIMES_COUNT, 3000);
        uint8_t *copy;
        Chunk c = encode(&samples, &copy);
        for (int round = 0; round < 40; round++) {
            uint32_t a = next_random() % samples.n, b = a + next_random() % (samples.n - a), n;
            int64_t from = samples.t[a], to = samples.t[b];
            CHECK_INT(chunk_decode_range(&c, from, to, got.t, got.v, &n), 0);
            CHECK(n >= 1 && got.t[0] <= from && got.t[n - 1] >= to);
            CHECK(n <= b - a + INTS_SEGMENT);
            uint32_t first = 0;
            while (samples.t[first] != got.t[0]) {
                first++;
            }
            CHECK(memcmp(got.t, samples.t + first, n * sizeof(got.t[0])) == 0);
            CHECK(memcmp(got.v, samples.v + first, n * sizeof(got.v[0])) == 0);
        }
        uint32_t n;
        CHECK_INT(chunk_decode_range(&c, INT64_MIN, INT64_MAX, got.t, got.v, &n), 0);
        CHECK_INT(n, samples.n);
        CHECK_INT(chunk_decode_range(&c, INT64_MAX, INT64_MAX, got.t, got.v, &n), 0);
        CHECK(n >= 1);
        CHECK_INT(chunk_decode_range(&c, INT64_MIN, INT64_MIN, got.t, got.v, &n), 0);
        CHECK(n >= 1);
        mem_free(copy);
    }
}

/* ---- integers by their entropy ---- */

static void check_coded(const int64_t *y, uint32_t n, uint64_t divisor) {
    static int64_t back[CODED_NUMBERS_MAX], work[3 * CODED_NUMBERS_MAX];
    static uint8_t room[CODED_ROOM(CODED_NUMBERS_MAX)];
    static CodedReader r;
    size_t size = coded_write(room, y, n, divisor, SIZE_MAX, work);
    CHECK(size <= CODED_ROOM(n));
    if (size == 0) {
        return; /* too many bits to be worth it */
    }
    uint8_t *copy = mem_dup(room, size);
    CHECK(coded_read_plain(copy, copy + size, n, back));
    for (uint32_t i = 0; i < n; i++) {
        CHECK_INT(back[i], (int64_t)((uint64_t)y[i] * divisor));
    }
    for (int round = 0; round < 4; round++) {
        uint32_t from = round ? next_random() % n : 0;
        uint32_t to = round ? from + 1 + next_random() % (n - from) : n;
        int64_t block[CODED_BLOCK];
        CHECK(coded_open(&r, copy, copy + size, n, from, to));
        CHECK(r.at <= from);
        while (r.at < to) {
            uint32_t at = r.at;
            unsigned count = coded_next(&r, block);
            CHECK(memcmp(block, back + at, count * sizeof(*block)) == 0);
        }
        CHECK_INT(r.at, to);
    }
    mem_free(copy);
}

TEST (any_coded_integers_come_back) {
    static int64_t y[CODED_NUMBERS_MAX];
    for (int round = 0; round < 1500; round++) {
        uint32_t n = CODED_NUMBERS_MIN + next_random() % (round % 20 ? 900 : 8000);
        unsigned shift = 16 + next_random() % 48, mode = next_random() % 6;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t x = next_random() >> shift;
            x = mode == 1 ? (next_random() % 40 ? x & 15 : x) : mode == 2 ? x % 7 + i * 1000 : x;
            x = mode == 3 ? (uint64_t)y[i ? i - 1 : 0] + x : mode == 4 ? -x : x;
            x = mode == 5 ? next_random() % 100 == 0 : x;
            y[i] = i ? (int64_t)x : 0;
        }
        check_coded(y, n, 1 + next_random() % 3);
    }
}

/* ---- sizes ---- */

static double bytes_a_sample(ValueFn fn, uint32_t n) {
    Chunk c;
    fill(&samples, fn, REGULAR, n);
    chunk_encode(encoder(), samples.t, samples.v, n, &c);
    return (double)c.size / n;
}

TEST (each_way_of_keeping_values_is_small_where_it_should_be) {
    CHECK(bytes_a_sample(constant, 4096) < 0.003);
    CHECK(bytes_a_sample(counter, 4096) < 0.90); /* 6.6 bits of noise */
    CHECK(bytes_a_sample(pages, 4096) < 1.66);   /* 12.3 bits */
    CHECK(bytes_a_sample(cents, 4096) < 2.55);   /* 19.9 bits */
    CHECK(bytes_a_sample(line, 4096) < 0.92);
    CHECK(bytes_a_sample(large_integers, 4096) < 0.92);
    CHECK(bytes_a_sample(spikes, 4096) < 1.4);
    CHECK(bytes_a_sample(random_bits, 4096) < 8.01);
    CHECK(bytes_a_sample(stale_at_the_ends, 480) < 0.5);
}

static double triangle(uint32_t i, double before) {
    (void)before;
    return (double)(i * 7 + next_random() % 20 + next_random() % 20);
}
static double seldom(uint32_t i, double before) {
    (void)i;
    return before + (next_random() % 40 == 0);
}

/* The entropies are 5.04 and 0.17 bits. */
TEST (entropy_coding_comes_close_to_the_entropy) {
    uint8_t *copy;
    bool difference;
    fill(&samples, triangle, REGULAR, 4096);
    Chunk c = encode_linked(&samples, NULL, &difference, &copy);
    CHECK(c.size * 8.0 / c.n < 5.16);
    mem_free(copy);
    fill(&samples, seldom, REGULAR, 4096);
    c = encode_linked(&samples, NULL, &difference, &copy);
    CHECK(c.size * 8.0 / c.n < 0.25);
    mem_free(copy);
}

/* ---- damage ---- */

/* Both readers judge alike; the one of a range is only watched for where it reads. */
static int check_agreement(const Chunk *c) {
    int fast = chunk_decode(c, got.t, got.v);
    CHECK_INT(fast, chunk_decode_plain(c, got_plain.t, got_plain.v));
    if (fast == 0) {
        CHECK(memcmp(got.t, got_plain.t, c->n * sizeof(got.t[0])) == 0);
        CHECK(memcmp(got.v, got_plain.v, c->n * sizeof(got.v[0])) == 0);
    }
    uint32_t n;
    if (c->times) {
        uint32_t from = c->n / 3;
        const double *base = c->base ? c->base + from : NULL;
        CHECK(chunk_decode_values(c, from, c->n / 2 + 1, base, got.v) <= 0);
    }
    int64_t middle = (int64_t)(((uint64_t)c->min_time >> 1) + ((uint64_t)c->max_time >> 1));
    int r = chunk_decode_range(c, middle, middle, got.t, got.v, &n);
    CHECK(r <= 0);
    CHECK(r < 0 || (n >= 1 && n <= c->n));
    return fast;
}

TEST (every_shorter_prefix_is_refused) {
    for (size_t k = 0; k < KINDS; k++) {
        fill(&samples, kinds[k].fn, k % TIMES_COUNT, 1 + next_random() % 300);
        uint8_t *copy;
        Chunk c = encode(&samples, &copy);
        for (uint32_t size = 0; size < c.size; size++) {
            uint8_t *part = mem_dup(copy, size ? size : 1);
            Chunk cut = c;
            cut.data = part;
            cut.size = size;
            CHECK_INT(check_agreement(&cut), -EBADMSG);
            mem_free(part);
        }
        Chunk longer = c;
        uint8_t *more = mem_zalloc(c.size + 1);
        memcpy(more, copy, c.size);
        longer.data = more;
        longer.size++;
        CHECK_INT(check_agreement(&longer), -EBADMSG);
        mem_free(more);
        mem_free(copy);
    }
}

TEST (both_readers_judge_damage_alike) {
    for (int round = 0; round < 4000; round++) {
        fill(&samples, kinds[next_random() % KINDS].fn, next_random() % TIMES_COUNT,
             1 + next_random() % 400);
        uint8_t *copy;
        Chunk c = encode(&samples, &copy);
        for (int hit = 0; hit < 8; hit++) {
            uint8_t *byte = &copy[next_random() % (hit % 2 ? c.size : MIN(c.size, 24u))];
            uint8_t before = *byte;
            *byte = hit % 3 ? (uint8_t)next_random() : (uint8_t)(before ^ 1 << next_random() % 8);
            check_agreement(&c);
            *byte = next_random() % 4 ? before : *byte;
        }
        mem_free(copy);
    }
}

TEST (every_shorter_prefix_of_a_linked_chunk_is_refused) {
    static double base[CHUNK_SAMPLES_MAX];
    static const ValueFn fns[] = {counter, pages, cents, constant, random_bits, spikes};
    for (size_t k = 0; k < 2 * sizeof(fns) / sizeof(fns[0]); k++) {
        fill(&samples, fns[k / 2], REGULAR, 500);
        memcpy(base, samples.v, sizeof(base));
        for (uint32_t i = 0; i < samples.n; i++) {
            samples.v[i] += (double)(next_random() % 3);
        }
        uint8_t *copy;
        bool difference;
        Chunk c = encode_linked(&samples, k % 2 ? base : NULL, &difference, &copy);
        for (uint32_t size = 0; size < c.size; size++) {
            uint8_t *part = mem_dup(copy, size ? size : 1);
            Chunk cut = c;
            cut.data = part;
            cut.size = size;
            CHECK_INT(check_agreement(&cut), -EBADMSG);
            mem_free(part);
        }
        mem_free(copy);
    }
}

TEST (both_readers_judge_damage_of_linked_chunks_alike) {
    static double base[CHUNK_SAMPLES_MAX];
    for (int round = 0; round < 3000; round++) {
        fill(&samples, kinds[next_random() % KINDS].fn, REGULAR, 480 + next_random() % 400);
        memcpy(base, samples.v, sizeof(base));
        for (uint32_t i = 0; i < samples.n; i++) {
            samples.v[i] += (double)(next_random() % 40);
        }
        uint8_t *copy;
        bool difference;
        Chunk c = encode_linked(&samples, round % 3 ? NULL : base, &difference, &copy);
        for (int hit = 0; hit < 8; hit++) {
            uint8_t *byte = &copy[next_random() % (hit % 2 ? c.size : MIN(c.size, 100u))];
            uint8_t before = *byte;
            *byte = hit % 3 ? (uint8_t)next_random() : (uint8_t)(before ^ 1 << next_random() % 8);
            check_agreement(&c);
            *byte = next_random() % 4 ? before : *byte;
        }
        mem_free(copy);
    }
}

TEST (noise_is_judged_alike) {
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[96];
        uint32_t size = 1 + next_random() % sizeof(bytes);
        for (uint32_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(next_random() & next_random());
        }
        bytes[0] &= 0x31;
        uint8_t *copy = mem_dup(bytes, size);
        Chunk c = {
            .data = copy, .size = size, .n = 1 + next_random() % 140, .encoding = CHUNK_COLUMNS};
        c.max_time = c.n > 1 ? (int64_t)(c.n - 1) * 5 : 0;
        check_agreement(&c);
        mem_free(copy);
    }
}

TEST (unknown_ways_are_refused) {
    fill(&samples, counter, REGULAR, 10);
    uint8_t *copy;
    Chunk c = encode(&samples, &copy);
    CHECK_CSTR(chunk_encoding_name(c.encoding), "columns");
    copy[0] = 0x12; /* times */
    CHECK_INT(check_agreement(&c), -ENOTSUP);
    copy[0] = 0x40; /* values */
    CHECK_INT(check_agreement(&c), -ENOTSUP);
    mem_free(copy);
}

/* docs/formats/chunk.md, "2: columns", "An example". */
TEST (the_example_of_the_format) {
    static const uint8_t want[] = {0x10, 0x82, 0xfa, 0x01, 0x01, 0x04, 0x02, 0x00, 0x00, 0x00,
                                   0x00, 0x00, 0xf0, 0x7f, 0x19, 0xb2, 0x46, 0x0a, 0x01, 0x08};
    static const double v[] = {1.25, 1.5, 1.75, 2.25};
    samples.n = 5;
    for (int i = 0; i < 5; i++) {
        samples.t[i] = 1000 * (i + 1);
        samples.v[i] = i < 4 ? v[i] : double_of_bits(STALE_NAN_BITS);
    }
    Chunk c;
    chunk_encode(encoder(), samples.t, samples.v, samples.n, &c);
    CHECK_INT(c.size, sizeof(want));
    for (uint32_t i = 0; i < c.size; i++) {
        CHECK_INT(c.data[i], want[i]);
    }
}
