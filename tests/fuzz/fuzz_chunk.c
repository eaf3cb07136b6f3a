/* Samples u16, first time i64, last time i64, then the chunk. Both readers judge alike, and what
 * they accept is accepted again after writing it anew. */
#include <assert.h>
#include <stddef.h>

#include "tsdb/codec/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t t[2][CHUNK_SAMPLES_MAX], t_again[CHUNK_SAMPLES_MAX];
static double v[2][CHUNK_SAMPLES_MAX], v_again[CHUNK_SAMPLES_MAX];
static uint8_t bytes[CHUNK_SAMPLES_MAX * CHUNK_APPEND_ROOM];

static void write_again(uint32_t n) {
    ChunkWriter w = {0};
    for (uint32_t i = 0; i < n; i++) {
        chunk_append(&w, bytes, t[0][i], v[0][i]);
    }
    Chunk c = chunk_writer_view(&w, bytes);
    assert(chunk_decode(&c, t_again, v_again) == 0);
    assert(memcmp(t[0], t_again, n * sizeof(t[0][0])) == 0);
    assert(memcmp(v[0], v_again, n * sizeof(v[0][0])) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 18) {
        return 0;
    }
    Chunk c = {.n = (uint32_t)data[0] | (uint32_t)data[1] << 8,
               .data = data + 18,
               .size = (uint32_t)(size - 18),
               .encoding = CHUNK_XOR};
    memcpy(&c.min_time, data + 2, 8);
    memcpy(&c.max_time, data + 10, 8);
    int fast = chunk_decode(&c, t[0], v[0]);
    assert(fast == chunk_decode_plain(&c, t[1], v[1]));
    if (fast == 0) {
        assert(memcmp(t[0], t[1], c.n * sizeof(t[0][0])) == 0);
        assert(memcmp(v[0], v[1], c.n * sizeof(v[0][0])) == 0);
        write_again(c.n);
    }
    return 0;
}
