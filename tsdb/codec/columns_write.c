/* The writer of the format named in columns.h: tries each way of keeping the values. */
#include <assert.h>
#include <endian.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/codec/columns.h"
#include "tsdb/codec/xor.h"

/* A raw value, or one of an exception or of XOR, with what stands around it. */
#define VALUE_BYTES_MAX 12
#define VALUES_ROOM (INTS_ROOM(CHUNK_SAMPLES_MAX) + CHUNK_SAMPLES_MAX * VALUE_BYTES_MAX)
/* Of packed values that are smaller XOR is not tried: it could not be better. */
#define PACKED_BITS_GOOD 16

struct ChunkEncoder {
    int64_t numbers[CHUNK_SAMPLES_MAX];
    uint32_t exceptions[CHUNK_SAMPLES_MAX];
    uint8_t times[INTS_ROOM(CHUNK_SAMPLES_MAX)];
    uint8_t values[VALUES_ROOM], other[VALUES_ROOM];
    uint8_t chunk[1 + UVARINT_BYTES_MAX + INTS_ROOM(CHUNK_SAMPLES_MAX) + VALUES_ROOM];
};

ChunkEncoder *chunk_encoder_new(void) { return NEW(ChunkEncoder); }
void chunk_encoder_free(ChunkEncoder *e) { mem_free(e); }

static bool is_regular(const int64_t *t, uint32_t n) {
    for (uint32_t i = 2; i < n; i++) {
        if ((uint64_t)t[i] - (uint64_t)t[i - 1] != (uint64_t)t[1] - (uint64_t)t[0]) {
            return false;
        }
    }
    return true;
}

static size_t write_times(ChunkEncoder *e, const int64_t *t, uint32_t n) {
    if (is_regular(t, n)) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        e->numbers[i] = (int64_t)((uint64_t)t[i] - (uint64_t)t[0]);
    }
    return ints_write(e->times, e->numbers, n);
}

/* ---- values; each way returns its size, SIZE_MAX when it cannot ---- */

static size_t write_constant(uint8_t *p, const double *v, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        if (double_bits(v[i]) != double_bits(v[0])) {
            return SIZE_MAX;
        }
    }
    /* Most have zeros at the low end only: turned round they are a short number. */
    return uvarint_put(p, __builtin_bswap64(double_bits(v[0])));
}

static uint8_t *put_double(uint8_t *p, double v) {
    uint64_t bits = htole64(double_bits(v));
    memcpy(p, &bits, sizeof(bits));
    return p + sizeof(bits);
}

static size_t write_packed(ChunkEncoder *e, uint8_t *dst, const double *v, uint32_t n) {
    Scale s;
    int count = scale_find(v, n, &s, e->numbers, e->exceptions);
    if (count < 0) {
        return SIZE_MAX;
    }
    uint8_t *p = dst;
    int64_t first = e->numbers[0];
    *p++ = (uint8_t)((s.binary ? PACKED_BINARY : s.digits) | (count ? PACKED_EXCEPTIONS : 0));
    if (s.binary) {
        *p++ = (uint8_t)(int8_t)s.digits;
    }
    p += uvarint_put(p, zigzag_encode(first));
    if (count) {
        p += uvarint_put(p, (uint64_t)count);
    }
    for (int i = 0; i < count; i++) {
        uint32_t at = e->exceptions[i];
        p += uvarint_put(p, at - (i ? e->exceptions[i - 1] : 0));
        p = put_double(p, v[at]);
    }
    for (uint32_t i = 0; i < n; i++) {
        e->numbers[i] = (int64_t)((uint64_t)e->numbers[i] - (uint64_t)first);
    }
    return (size_t)(p - dst) + ints_write(p, e->numbers, n);
}

static size_t write_xor(uint8_t *dst, const double *v, uint32_t n) {
    ChunkWriter w = {0};
    for (uint32_t i = 0; i < n; i++) {
        xor_append_value(&w, dst, v[i]);
    }
    return chunk_writer_size(&w);
}

static size_t write_raw(uint8_t *dst, const double *v, uint32_t n) {
    uint8_t *p = dst;
    for (uint32_t i = 0; i < n; i++) {
        p = put_double(p, v[i]);
    }
    return (size_t)(p - dst);
}

/* The smallest way, its bytes in e->values. */
static size_t write_values(ChunkEncoder *e, const double *v, uint32_t n, ColumnsValues *ret) {
    *ret = VALUES_CONSTANT;
    size_t size = write_constant(e->values, v, n);
    if (size != SIZE_MAX) {
        return size;
    }
    *ret = VALUES_PACKED;
    size = write_packed(e, e->values, v, n);
    if (size <= (size_t)n * PACKED_BITS_GOOD / 8) {
        return size;
    }
    size_t other = write_xor(e->other, v, n);
    if (other < size) {
        *ret = VALUES_XOR;
        memcpy(e->values, e->other, size = other);
    }
    if ((size_t)n * 8 < size) {
        *ret = VALUES_RAW;
        size = write_raw(e->values, v, n);
    }
    return size;
}

void chunk_encode(ChunkEncoder *e, const int64_t *t, const double *v, uint32_t n, Chunk *ret) {
    assert(n > 0 && n <= CHUNK_SAMPLES_MAX);
    ColumnsValues kind;
    size_t times = write_times(e, t, n), values = write_values(e, v, n, &kind);
    uint8_t *p = e->chunk;
    *p++ = (uint8_t)((times ? TIMES_PACKED : TIMES_REGULAR) | kind << 4);
    if (times) {
        p += uvarint_put(p, times);
        memcpy(p, e->times, times);
        p += times;
    }
    memcpy(p, e->values, values);
    p += values;
    *ret = (Chunk){.min_time = t[0],
                   .max_time = t[n - 1],
                   .data = e->chunk,
                   .size = (uint32_t)(p - e->chunk),
                   .n = n,
                   .encoding = CHUNK_COLUMNS};
}
