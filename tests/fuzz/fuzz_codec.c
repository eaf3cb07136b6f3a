/* Samples u16, first time i64, last time i64, then a chunk of columns. Both readers judge alike,
 * a part reads as the whole does, and what they accept is accepted again after writing it anew. */
#include <assert.h>
#include <stddef.h>

#include "tsdb/codec/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t t[2][CHUNK_SAMPLES_MAX];
static double v[2][CHUNK_SAMPLES_MAX];

static void check_same(const int64_t *times, const double *values, uint32_t n) {
    assert(memcmp(times, t[1], n * sizeof(*times)) == 0);
    assert(memcmp(values, v[1], n * sizeof(*values)) == 0);
}

static void read_part(const Chunk *c, int64_t from, int64_t to) {
    uint32_t n = 0, first = 0;
    assert(chunk_decode_range(c, from, to, t[1], v[1], &n) == 0 && n >= 1 && n <= c->n);
    while (t[0][first] != t[1][0]) {
        first++;
        assert(first < c->n);
    }
    assert(n <= c->n - first);
    check_same(t[0] + first, v[0] + first, n);
}

static void write_again(uint32_t n) {
    static ChunkEncoder *encoder;
    Chunk c;
    if (!encoder) {
        encoder = chunk_encoder_new();
    }
    chunk_encode(encoder, t[0], v[0], n, &c);
    assert(chunk_decode(&c, t[1], v[1]) == 0);
    check_same(t[0], v[0], n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 18) {
        return 0;
    }
    Chunk c = {.n = (uint32_t)data[0] | (uint32_t)data[1] << 8,
               .data = data + 18,
               .size = (uint32_t)(size - 18),
               .encoding = CHUNK_COLUMNS};
    memcpy(&c.min_time, data + 2, 8);
    memcpy(&c.max_time, data + 10, 8);
    int fast = chunk_decode(&c, t[0], v[0]);
    assert(fast == chunk_decode_plain(&c, t[1], v[1]));
    if (fast == 0) {
        check_same(t[0], v[0], c.n);
        read_part(&c, t[0][c.n / 3], t[0][c.n / 2]);
        read_part(&c, t[0][c.n - 1], INT64_MAX);
        write_again(c.n);
    }
    return 0;
}
