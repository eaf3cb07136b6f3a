/* Round trips of src/snappy.c through a decoder written from the format description. */
#include "../src/snappy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int decode(const unsigned char *in, size_t length, unsigned char *out, size_t capacity) {
    const unsigned char *end = in + length;
    size_t want = 0, have = 0;
    unsigned shift = 0;

    do {
        want |= (size_t)(*in & 127) << shift;
        shift += 7;
    } while (*in++ & 128);
    if (want > capacity)
        return -1;
    while (in < end) {
        unsigned tag = *in++;
        size_t n, offset;

        switch (tag & 3) {
        case 0:
            n = tag >> 2;
            if (n >= 60) {
                unsigned bytes = (unsigned)n - 59;

                n = 0;
                for (unsigned i = 0; i < bytes; i++)
                    n |= (size_t)*in++ << (8 * i);
            }
            n++;
            if (have + n > want || in + n > end)
                return -2;
            memcpy(out + have, in, n);
            in += n;
            have += n;
            continue;
        case 1:
            n = (tag >> 2 & 7) + 4;
            offset = (size_t)(tag >> 5) << 8 | *in++;
            break;
        case 2:
            n = (tag >> 2) + 1;
            offset = in[0] | (size_t)in[1] << 8;
            in += 2;
            break;
        default: return -3;
        }
        if (!offset || offset > have || have + n > want)
            return -4;
        for (; n; n--, have++)
            out[have] = out[have - offset];
    }
    return have == want ? 0 : -5;
}

static void check(const char *name, const unsigned char *data, size_t length) {
    unsigned char *packed = malloc(snappy_bound(length)), *back = malloc(length + 1);
    size_t n = snappy_compress(packed, data, length);
    int error = n > snappy_bound(length) ? -9 : decode(packed, n, back, length);

    if (error || memcmp(back, data, length)) {
        printf("FAIL %s: %zu bytes, error %d\n", name, length, error);
        exit(1);
    }
    printf("ok %s: %zu -> %zu\n", name, length, n);
    free(packed);
    free(back);
}

int main(void) {
    static unsigned char data[300000];
    uint32_t x = 1;

    check("empty", data, 0);
    check("zeros", data, sizeof data);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    check("noise", data, sizeof data);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)("instance=host-0001"[i % 18] + (i % 131 == 0));
    check("text", data, sizeof data);
    for (size_t length = 1; length < 400; length++)
        check("short", data, length);
    for (size_t length = 65500; length < 65600; length++)
        check("block edge", data, length);
    for (int round = 0; round < 200; round++) {
        size_t length = 1 + (x = x * 1664525 + 1013904223) % sizeof data;

        for (size_t i = 0; i < length; i++) {
            x = x * 1664525 + 1013904223;
            data[i] =
                (x >> 28) < 3 || i < 50 ? (unsigned char)(x >> 16) : data[i - 1 - (x >> 20) % 40];
        }
        check("random", data, length);
    }
    return 0;
}
