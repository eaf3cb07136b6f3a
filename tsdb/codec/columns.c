/* The two readers of the format named in columns.h. */
#include "tsdb/codec/columns.h"

#include "base/err.h"
#include "base/varint.h"
#include "tsdb/codec/times.h"
#include "tsdb/codec/values.h"

/* The chunk's parts. */
typedef struct Parts {
    Times times;
    ValuesWay way;
    const uint8_t *p, *end; /* values */
} Parts;

static int find_parts(const Chunk *c, Parts *ret) {
    const uint8_t *p = c->data, *end = p + c->size;
    uint8_t head = *p++;
    uint64_t size = 0;
    if ((head & 15) > TIMES_PACKED || head >> 4 > VALUES_RAW) {
        return -ENOTSUP;
    }
    if ((head & 15) == TIMES_PACKED &&
        (!uvarint_get(&p, end, &size) || size > (uint64_t)(end - p))) {
        return -EBADMSG;
    }
    *ret =
        (Parts){{c->min_time, c->max_time, c->n, head & 15, p, p + size}, head >> 4, p + size, end};
    return 0;
}

int columns_decode(const Chunk *c, int64_t *t, double *v) {
    Parts p;
    int r = find_parts(c, &p);
    if (r == 0) {
        r = times_read(&p.times, t);
    }
    return r < 0 ? r : values_read(p.way, p.p, p.end, c->n, 0, c->n, NULL, v);
}

int columns_decode_plain(const Chunk *c, int64_t *t, double *v) {
    Parts p;
    int r = find_parts(c, &p);
    if (r == 0) {
        r = times_read_plain(&p.times, t);
    }
    return r < 0 ? r : values_read_plain(p.way, p.p, p.end, c->n, NULL, v);
}

int columns_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                         uint32_t *ret_n) {
    Parts p;
    uint32_t first = 0;
    int r = find_parts(c, &p);
    if (r == 0) {
        r = times_read_range(&p.times, from, to, t, &first, ret_n);
    }
    return r < 0 ? r : values_read(p.way, p.p, p.end, c->n, first, first + *ret_n, NULL, v);
}
