/* Chunks made of samples that lie there already. */
#include <assert.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/codec/linked.h"
#include "tsdb/codec/times.h"
#include "tsdb/codec/values.h"

#define LINK_BYTES_MAX (3 * 5)

struct ChunkEncoder {
    ValuesWriter values;
    int64_t numbers[CHUNK_SAMPLES_MAX];
    uint8_t times[INTS_ROOM(CHUNK_SAMPLES_MAX)];
    uint8_t chunk[1 + UVARINT_BYTES_MAX + INTS_ROOM(CHUNK_SAMPLES_MAX) + VALUES_ROOM];
};

ChunkEncoder *chunk_encoder_new(void) { return NEW(ChunkEncoder); }
void chunk_encoder_free(ChunkEncoder *e) { mem_free(e); }

void chunk_encode(ChunkEncoder *e, const int64_t *t, const double *v, uint32_t n, Chunk *ret) {
    assert(n > 0 && n <= CHUNK_SAMPLES_MAX);
    ValuesWay way;
    TimesWay times_way;
    size_t times = times_write(e->times, t, n, e->numbers, &times_way);
    size_t values = values_write(&e->values, v, n, false, &way);
    uint8_t *p = e->chunk;
    *p++ = (uint8_t)(times_way | way << 4);
    if (times_way == TIMES_PACKED) {
        p += uvarint_put(p, times);
        memcpy(p, e->times, times);
        p += times;
    }
    memcpy(p, e->values.best, values);
    p += values;
    *ret = (Chunk){.min_time = t[0],
                   .max_time = t[n - 1],
                   .data = e->chunk,
                   .size = (uint32_t)(p - e->chunk),
                   .n = n,
                   .encoding = CHUNK_COLUMNS};
}

static size_t put_linked(uint8_t *p, uint8_t head, const ChunkLink *link) {
    uint8_t *start = p;
    *p++ = head;
    if (link) {
        p += uvarint_put(p, link->bundle);
        p += uvarint_put(p, link->offset);
        p += uvarint_put(p, link->size);
    }
    return (size_t)(p - start);
}

static Chunk linked_chunk(const ChunkEncoder *e, uint32_t n, size_t size) {
    return (Chunk){.data = e->chunk, .size = (uint32_t)size, .n = n, .encoding = CHUNK_LINKED};
}

bool chunk_encode_linked(ChunkEncoder *e, const double *v, uint32_t n, const double *base,
                         const ChunkLink *link, Chunk *ret) {
    assert(n > 0 && n <= CHUNK_SAMPLES_MAX);
    ValuesWay way;
    size_t values = values_write(&e->values, v, n, true, &way);
    size_t size = put_linked(e->chunk, (uint8_t)way, NULL);
    memcpy(e->chunk + size, e->values.best, values);
    size += values;
    bool linked = false;
    if (base && size > LINK_BYTES_MAX) {
        values = values_write_difference(&e->values, v, base, n, &way);
        linked = values > 0 && values + LINK_BYTES_MAX < size;
    }
    if (linked) {
        size = put_linked(e->chunk, (uint8_t)(way | LINKED_DIFFERENCE), link);
        memcpy(e->chunk + size, e->values.best, values);
        size += values;
    }
    *ret = linked_chunk(e, n, size);
    return linked;
}

void chunk_encode_same(ChunkEncoder *e, uint32_t n, const ChunkLink *link, Chunk *ret) {
    *ret = linked_chunk(e, n, put_linked(e->chunk, LINKED_SAME, link));
}
