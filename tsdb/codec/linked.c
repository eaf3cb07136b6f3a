/* The readers of the format named in linked.h. */
#include "tsdb/codec/linked.h"

#include "base/compiler.h"
#include "base/err.h"
#include "base/varint.h"
#include "tsdb/codec/values.h"

typedef struct Parts {
    uint8_t head;
    ChunkLink link;         /* if the head says that there is one */
    const uint8_t *p, *end; /* values */
} Parts;

static bool has_link(uint8_t head) {
    return (head & LINKED_DIFFERENCE) || (head & 15) == LINKED_SAME;
}

static bool get_u32(const uint8_t **p, const uint8_t *end, uint32_t *ret) {
    uint64_t v;
    if (!uvarint_get(p, end, &v) || v > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

static int find_parts(const Chunk *c, Parts *ret) {
    const uint8_t *p = c->data, *end = p + c->size;
    *ret = (Parts){.head = *p++};
    if (ret->head & LINKED_UNUSED) {
        return -ENOTSUP;
    }
    if (ret->head == (LINKED_SAME | LINKED_DIFFERENCE)) {
        return -EBADMSG;
    }
    if (has_link(ret->head) &&
        (!get_u32(&p, end, &ret->link.bundle) || !get_u32(&p, end, &ret->link.offset) ||
         !get_u32(&p, end, &ret->link.size))) {
        return -EBADMSG;
    }
    if (ret->head == LINKED_SAME && p != end) {
        return -EBADMSG;
    }
    ret->p = p;
    ret->end = end;
    return 0;
}

int chunk_link(const Chunk *c, ChunkLink *ret) {
    Parts p;
    if (c->encoding != CHUNK_LINKED || c->size == 0) {
        return c->size ? 0 : -EBADMSG;
    }
    int r = find_parts(c, &p);
    if (r < 0 || !has_link(p.head)) {
        return r;
    }
    *ret = p.link;
    return p.head == LINKED_SAME ? CHUNK_SAME : CHUNK_DIFFERENCE;
}

typedef int (*ReadFn)(ValuesWay way, const uint8_t *p, const uint8_t *end, uint32_t n,
                      uint32_t from, uint32_t to, const double *base, double *v);

static int read_plain(ValuesWay way, const uint8_t *p, const uint8_t *end, uint32_t n,
                      uint32_t from, uint32_t to, const double *base, double *v) {
    (void)from;
    (void)to;
    return values_read_plain(way, p, end, n, base, v);
}

static int read_with(ReadFn read, const Chunk *c, uint32_t from, uint32_t to, const double *base,
                     double *v) {
    Parts p;
    int r = find_parts(c, &p);
    if (r < 0) {
        return r;
    }
    if (has_link(p.head) && !base) {
        return -EBADMSG;
    }
    if (p.head == LINKED_SAME) {
        memcpy(v, base, (to - from) * sizeof(*v));
        return 0;
    }
    return read(p.head & 15, p.p, p.end, c->n, from, to, has_link(p.head) ? base : NULL, v);
}

static int check_times(const Chunk *c) {
    return c->times && c->times[0] == c->min_time && c->times[c->n - 1] == c->max_time ? 0
                                                                                       : -EBADMSG;
}

int chunk_decode_values(const Chunk *c, uint32_t from, uint32_t to, const double *base, double *v) {
    if (c->encoding != CHUNK_LINKED) {
        return -ENOTSUP;
    }
    bool sane = c->size > 0 && from < to && to <= c->n && c->n <= CHUNK_SAMPLES_MAX;
    return sane ? read_with(values_read, c, from, to, base, v) : -EBADMSG;
}

int linked_decode(const Chunk *c, int64_t *t, double *v) {
    int r = check_times(c);
    if (r < 0) {
        return r;
    }
    memcpy(t, c->times, c->n * sizeof(*t));
    return read_with(values_read, c, 0, c->n, c->base, v);
}

int linked_decode_plain(const Chunk *c, int64_t *t, double *v) {
    int r = check_times(c);
    if (r < 0) {
        return r;
    }
    memcpy(t, c->times, c->n * sizeof(*t));
    return read_with(read_plain, c, 0, c->n, c->base, v);
}

/* Number of the times that are smaller than `than`. */
static uint32_t count_before(const int64_t *t, uint32_t n, int64_t than) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t[middle] < than) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int linked_decode_range(const Chunk *c, int64_t from, int64_t to, int64_t *t, double *v,
                        uint32_t *ret_n) {
    int r = check_times(c);
    if (r < 0) {
        return r;
    }
    uint32_t first =
        MIN(count_before(c->times, c->n, from), c->n - 1) / INTS_SEGMENT * INTS_SEGMENT;
    uint32_t end = to == INT64_MAX ? c->n : count_before(c->times, c->n, to + 1);
    end = MAX(end, first + 1);
    *ret_n = end - first;
    memcpy(t, c->times + first, *ret_n * sizeof(*t));
    return read_with(values_read, c, first, end, c->base ? c->base + first : NULL, v);
}
