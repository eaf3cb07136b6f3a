/*
 * Chunks: what goes in comes out bit for bit, the fast reader and the plain one agree on good and
 * on damaged bytes, and nothing is read beyond the end (each copy is as long as the chunk, so that
 * AddressSanitizer sees it).
 */
#include <errno.h>

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/codec/chunk.h"

#define SAMPLES 500

typedef struct Samples {
    int64_t t[SAMPLES];
    double v[SAMPLES];
    uint32_t n;
} Samples;

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* A copy on the heap of exactly the chunk's size. */
static Chunk encode(const Samples *s, uint8_t **ret_copy) {
    ChunkWriter w = {0};
    uint8_t *data = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (cap < chunk_writer_size(&w) + CHUNK_APPEND_ROOM) {
            data = mem_realloc(data, cap = cap * 2 + CHUNK_APPEND_ROOM);
        }
        chunk_append(&w, data, s->t[i], s->v[i]);
    }
    Chunk c = chunk_writer_view(&w, data);
    *ret_copy = mem_dup(data, c.size);
    c.data = *ret_copy;
    mem_free(data);
    return c;
}

static void check_same(const Samples *s, const int64_t *t, const double *v) {
    for (uint32_t i = 0; i < s->n; i++) {
        CHECK_INT(t[i], s->t[i]);
        CHECK_DOUBLE(v[i], s->v[i]);
    }
}

static void check_round_trip(const Samples *s) {
    static int64_t t[SAMPLES];
    static double v[SAMPLES];
    uint8_t *copy;
    Chunk c = encode(s, &copy);
    CHECK_INT(c.n, s->n);
    CHECK_INT(c.min_time, s->t[0]);
    CHECK_INT(c.max_time, s->t[s->n - 1]);
    CHECK_INT(chunk_decode(&c, t, v), 0);
    check_same(s, t, v);
    memset(t, 0, sizeof(t));
    memset(v, 0, sizeof(v));
    CHECK_INT(chunk_decode_plain(&c, t, v), 0);
    check_same(s, t, v);
    mem_free(copy);
}

static void regular_times(Samples *s, uint32_t n, int64_t step) {
    s->n = n;
    for (uint32_t i = 0; i < n; i++) {
        s->t[i] = 1700000000000 + (int64_t)i * step;
    }
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
};

TEST (special_values_come_back_bit_for_bit) {
    enum { N = sizeof(specials) / sizeof(specials[0]) };
    for (size_t a = 0; a < N; a++) {
        for (size_t b = 0; b < N; b++) {
            Samples s;
            regular_times(&s, 3, 15000);
            s.v[0] = double_of_bits(specials[a]);
            s.v[1] = double_of_bits(specials[b]);
            s.v[2] = double_of_bits(specials[a]);
            check_round_trip(&s);
        }
    }
}

TEST (random_bits_come_back) {
    for (int round = 0; round < 200; round++) {
        Samples s;
        regular_times(&s, 1 + next_random() % SAMPLES, 1000);
        for (uint32_t i = 0; i < s.n; i++) {
            unsigned keep = next_random() % 65;
            s.v[i] = double_of_bits(keep ? next_random() >> (64 - keep) << next_random() % 64 : 0);
        }
        check_round_trip(&s);
    }
}

TEST (random_times_come_back) {
    for (int round = 0; round < 300; round++) {
        Samples s = {.n = 1 + next_random() % 200};
        int64_t t = (int64_t)(next_random() % 2000000000000) - 1000000000000;
        for (uint32_t i = 0; i < s.n; i++) {
            s.t[i] = t;
            t += 1 + (int64_t)(next_random() >> (24 + next_random() % 40) & 0x7fffffffff);
            s.v[i] = (double)(next_random() % 100);
        }
        check_round_trip(&s);
    }
}

TEST (steps_at_the_edges_of_their_classes_come_back) {
    static const int64_t changes[] = {
        31,    32,     -32,    -33,     2047,    2048,      -2048,
        -2049, 524287, 524288, -524288, -524289, INT32_MAX, -(INT64_C(1) << 40)};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        Samples s = {.n = 3, .t = {0, INT64_C(1) << 41, (INT64_C(1) << 42) + changes[i]}};
        check_round_trip(&s);
    }
}

TEST (extreme_times_come_back) {
    Samples s = {.n = 4, .t = {INT64_MIN, -1, 0, INT64_MAX}, .v = {1, 2, 3, 4}};
    check_round_trip(&s);
}

TEST (counter_and_constant_are_small) {
    Samples s;
    uint8_t *copy;
    regular_times(&s, 120, 15000);
    for (uint32_t i = 0; i < s.n; i++) {
        s.v[i] = 42.5;
    }
    Chunk c = encode(&s, &copy);
    CHECK(c.size <= 2 * 120 / 8 + 12);
    mem_free(copy);
    for (uint32_t i = 0; i < s.n; i++) {
        s.v[i] = 1000 + i * 3.0;
    }
    c = encode(&s, &copy);
    CHECK(c.size < 120 * 3);
    mem_free(copy);
    check_round_trip(&s);
}

TEST (every_shorter_prefix_is_refused) {
    Samples s;
    static int64_t t[SAMPLES];
    static double v[SAMPLES];
    regular_times(&s, 100, 15000);
    for (uint32_t i = 0; i < s.n; i++) {
        s.v[i] = i % 7 ? (double)i : double_of_bits(next_random());
    }
    uint8_t *copy;
    Chunk c = encode(&s, &copy);
    for (uint32_t size = 0; size < c.size; size++) {
        uint8_t *part = mem_dup(copy, size ? size : 1);
        Chunk cut = c;
        cut.data = part;
        cut.size = size;
        CHECK_INT(chunk_decode(&cut, t, v), -EBADMSG);
        CHECK_INT(chunk_decode_plain(&cut, t, v), -EBADMSG);
        mem_free(part);
    }
    Chunk longer = c;
    uint8_t *more = mem_zalloc(c.size + 1);
    memcpy(more, copy, c.size);
    longer.data = more;
    longer.size++;
    CHECK_INT(chunk_decode(&longer, t, v), -EBADMSG);
    CHECK_INT(chunk_decode_plain(&longer, t, v), -EBADMSG);
    mem_free(more);
    mem_free(copy);
}

/* Both readers must judge alike; and where both accept, give the same. */
static void check_agreement(const Chunk *c) {
    static int64_t t[2][SAMPLES];
    static double v[2][SAMPLES];
    int fast = chunk_decode(c, t[0], v[0]);
    CHECK_INT(fast, chunk_decode_plain(c, t[1], v[1]));
    if (fast == 0) {
        CHECK(memcmp(t[0], t[1], c->n * sizeof(t[0][0])) == 0);
        CHECK(memcmp(v[0], v[1], c->n * sizeof(v[0][0])) == 0);
    }
}

TEST (both_readers_judge_damage_alike) {
    Samples s;
    regular_times(&s, 60, 15000);
    for (uint32_t i = 0; i < s.n; i++) {
        s.t[i] += (int64_t)(next_random() % 20);
        s.v[i] = i % 5 ? 0.1 * i : double_of_bits(next_random());
    }
    uint8_t *copy;
    Chunk c = encode(&s, &copy);
    for (uint32_t bit = 0; bit < c.size * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_agreement(&c);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[64];
        for (size_t i = 0; i < sizeof(noise); i++) {
            noise[i] = (uint8_t)(next_random() & next_random());
        }
        Chunk n = {.data = noise,
                   .size = 1 + next_random() % sizeof(noise),
                   .n = 1 + next_random() % 40,
                   .max_time = (int64_t)(next_random() % 3),
                   .encoding = CHUNK_XOR};
        check_agreement(&n);
    }
    mem_free(copy);
}

TEST (appending_goes_on_after_resume) {
    Samples s;
    regular_times(&s, 90, 10000);
    for (uint32_t i = 0; i < s.n; i++) {
        s.v[i] = i % 3 ? 1.5 * i : (double)(next_random() % 1000);
    }
    for (uint32_t cut = 1; cut < s.n; cut++) {
        Samples first = s;
        first.n = cut;
        uint8_t *copy, *whole;
        Chunk c = encode(&first, &copy), want = encode(&s, &whole);
        ChunkWriter w;
        CHECK_INT(chunk_writer_resume(&w, &c), 0);
        copy = mem_realloc(copy, want.size + CHUNK_APPEND_ROOM);
        for (uint32_t i = cut; i < s.n; i++) {
            chunk_append(&w, copy, s.t[i], s.v[i]);
        }
        CHECK_INT(chunk_writer_size(&w), want.size);
        CHECK(memcmp(copy, whole, want.size) == 0);
        mem_free(copy);
        mem_free(whole);
    }
}

TEST (an_unknown_encoding_is_refused) {
    uint8_t data[4] = {0};
    int64_t t[1];
    double v[1];
    Chunk c = {.data = data, .size = 1, .n = 1, .encoding = 99};
    CHECK_INT(chunk_decode(&c, t, v), -ENOTSUP);
    CHECK(chunk_encoding_name(99) == NULL);
    CHECK_CSTR(chunk_encoding_name(CHUNK_XOR), "xor");
    c.encoding = CHUNK_XOR;
    c.n = 0;
    CHECK_INT(chunk_decode(&c, t, v), -EBADMSG);
    c.n = CHUNK_SAMPLES_MAX + 1;
    CHECK_INT(chunk_decode(&c, t, v), -EBADMSG);
}

/* docs/formats/chunk.md, "An example". */
TEST (the_example_of_the_format) {
    static const uint8_t want[] = {0xc4, 0x4f, 0xff, 0x8f, 0xa1, 0x03, 0x84, 0xaf, 0xfe};
    Samples s = {.n = 3, .t = {1000, 2000, 3001}, .v = {1, 1, 2}};
    uint8_t *copy;
    Chunk c = encode(&s, &copy);
    for (uint32_t i = 0; i < c.size; i++) {
        CHECK_INT(copy[i], i < sizeof(want) ? want[i] : -1);
    }
    CHECK_INT(c.size, sizeof(want));
    mem_free(copy);
}
