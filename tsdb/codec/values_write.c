/* The writer of values: tries each way of keeping them. */
#include <endian.h>

#include "base/compiler.h"
#include "base/varint.h"
#include "tsdb/codec/scale.h"
#include "tsdb/codec/values.h"
#include "tsdb/codec/xor.h"

/* Of packed values that are smaller XOR is not tried: it could not be better. */
#define PACKED_BITS_GOOD 16

/* Each way returns its size, SIZE_MAX when it cannot. */

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

/* Scale, first number, exceptions (whose bits are those of `bits`); w->numbers are what is left to
 * write. 0: these are no such values. */
static size_t write_scale(ValuesWriter *w, uint8_t *dst, const double *v, const double *bits,
                          uint32_t n) {
    Scale s;
    int count = scale_find(v, n, &s, w->numbers, w->exceptions);
    if (count < 0) {
        return 0;
    }
    uint8_t *p = dst;
    int64_t first = w->numbers[0];
    *p++ = (uint8_t)((s.binary ? PACKED_BINARY : s.digits) | (count ? PACKED_EXCEPTIONS : 0));
    if (s.binary) {
        *p++ = (uint8_t)(int8_t)s.digits;
    }
    p += uvarint_put(p, zigzag_encode(first));
    if (count) {
        p += uvarint_put(p, (uint64_t)count);
    }
    for (int i = 0; i < count; i++) {
        uint32_t at = w->exceptions[i];
        p += uvarint_put(p, at - (i ? w->exceptions[i - 1] : 0));
        p = put_double(p, bits[at]);
    }
    for (uint32_t i = 0; i < n; i++) {
        w->numbers[i] = (int64_t)((uint64_t)w->numbers[i] - (uint64_t)first);
    }
    return (size_t)(p - dst);
}

/* Codes w->numbers if that is enough smaller than `packed` bytes; 0: it is not. */
static size_t write_coded(ValuesWriter *w, uint8_t *dst, uint32_t n, uint64_t divisor,
                          size_t packed) {
    return coded_write(dst, w->numbers, n, divisor, packed * (100 - VALUES_CODED_PERCENT) / 100,
                       w->work);
}

/* Packed to w->best, or coded when that is worth it. Packing tries much, so where coding is clearly
 * smaller than what packing would come to, it is not done at all. */
static size_t write_scaled(ValuesWriter *w, const double *v, const double *bits, uint32_t n,
                           bool coded, ValuesWay *ret) {
    size_t head = write_scale(w, w->best, v, bits, n), size = 0;
    if (head == 0) {
        return SIZE_MAX;
    }
    uint8_t *p = w->best + head;
    uint64_t divisor = ints_divide(w->numbers, n);
    *ret = VALUES_CODED;
    coded = coded && n >= VALUES_CODED_MIN;
    if (coded) {
        size = write_coded(w, p, n, divisor, ints_estimate(w->numbers, n));
    }
    if (size == 0) {
        *ret = VALUES_PACKED;
        size = ints_write_divided(p, w->numbers, n, divisor);
        size_t other = coded ? write_coded(w, w->other, n, divisor, size) : 0;
        if (other) {
            *ret = VALUES_CODED;
            memcpy(p, w->other, size = other);
        }
    }
    return head + size;
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

size_t values_write(ValuesWriter *w, const double *v, uint32_t n, bool coded, ValuesWay *ret) {
    *ret = VALUES_CONSTANT;
    size_t size = write_constant(w->best, v, n);
    if (size != SIZE_MAX) {
        return size;
    }
    size = write_scaled(w, v, v, n, coded, ret);
    if (size <= (size_t)n * PACKED_BITS_GOOD / 8) {
        return size;
    }
    size_t other = write_xor(w->other, v, n);
    if (other < size) {
        *ret = VALUES_XOR;
        memcpy(w->best, w->other, size = other);
    }
    if ((size_t)n * 8 < size) {
        *ret = VALUES_RAW;
        size = write_raw(w->best, v, n);
    }
    return size;
}

/* What does not come back bit for bit becomes an exception: as a difference it is no number. */
static void find_differences(const double *v, const double *base, uint32_t n, double *ret) {
    for (uint32_t i = 0; i < n; i++) {
        double b = values_base(base[i]), d = v[i] - b;
        ret[i] = double_bits(d + b) == double_bits(v[i]) ? d : NAN;
    }
}

size_t values_write_difference(ValuesWriter *w, const double *v, const double *base, uint32_t n,
                               ValuesWay *ret) {
    find_differences(v, base, n, w->differences);
    *ret = VALUES_CONSTANT;
    size_t size = isnan(w->differences[0]) ? SIZE_MAX : write_constant(w->best, w->differences, n);
    if (size == SIZE_MAX) {
        size = write_scaled(w, w->differences, v, n, true, ret);
    }
    return size == SIZE_MAX ? 0 : size;
}
