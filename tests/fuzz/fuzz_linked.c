/* Samples u16, then a linked chunk; times and base are made up. Both readers judge alike, a part
 * reads as the whole does. */
#include <assert.h>
#include <stddef.h>

#include "tsdb/codec/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t times[CHUNK_SAMPLES_MAX], t[2][CHUNK_SAMPLES_MAX];
static double base[CHUNK_SAMPLES_MAX], v[2][CHUNK_SAMPLES_MAX];

static void make_up(void) {
    for (int i = 0; i < CHUNK_SAMPLES_MAX; i++) {
        times[i] = 15000 * i;
        base[i] = i % 50 ? 7.0 * i : double_of_bits(STALE_NAN_BITS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ChunkLink link;
    if (size < 3) {
        return 0;
    }
    make_up();
    uint32_t n = ((uint32_t)data[0] | (uint32_t)data[1] << 8) % CHUNK_SAMPLES_MAX + 1;
    Chunk c = {.n = n,
               .max_time = times[n - 1],
               .data = data + 2,
               .size = (uint32_t)(size - 2),
               .times = times,
               .encoding = CHUNK_LINKED};
    if (chunk_link(&c, &link) > 0) {
        c.base = base;
    }
    int fast = chunk_decode(&c, t[0], v[0]);
    assert(fast == chunk_decode_plain(&c, t[1], v[1]));
    if (fast == 0) {
        uint32_t from = n / 3, to = n / 2 + 1;
        assert(memcmp(v[0], v[1], n * sizeof(v[0][0])) == 0);
        assert(chunk_decode_values(&c, from, to, c.base ? base + from : NULL, v[1]) == 0);
        assert(memcmp(v[0] + from, v[1], (to - from) * sizeof(v[0][0])) == 0);
    }
    return 0;
}
