/* The packed form of postings drawn in postings_pack.h. */
#include "tsdb/index/postings_pack.h"

#include <assert.h>

#include "base/err.h"
#include "base/varint.h"

static void add_number(PostingsPacker *k, uint64_t v) {
    if (k->cap - k->size < UVARINT_BYTES_MAX) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->p = mem_realloc(k->p, k->cap);
    }
    k->size += (uint32_t)uvarint_put(k->p + k->size, v);
}

static void flush_run(PostingsPacker *k) {
    uint32_t length = k->end - k->start;
    if (length == 0) {
        return;
    }
    add_number(k, (uint64_t)(k->start - k->last) << 1 | (length > 1));
    if (length > 1) {
        add_number(k, length - 2);
    }
    k->last = k->end;
    k->start = k->end;
}

void postings_packer_add(PostingsPacker *k, uint32_t id) {
    assert(id >= k->end && id < UINT32_MAX);
    if (id != k->end || k->start == k->end) {
        flush_run(k);
        k->start = id;
    }
    k->end = id + 1;
    k->n++;
}

void postings_packer_finish(PostingsPacker *k, Buf *out) {
    flush_run(k);
    buf_add_uvarint(out, k->n);
    buf_add(out, k->p, k->size);
}

void postings_packer_deinit(PostingsPacker *k) {
    mem_free(k->p);
    *k = (PostingsPacker){0};
}

static bool unpack_run(const uint8_t **p, const uint8_t *end, uint64_t *at, uint64_t *ret_length) {
    uint64_t head, more = 0;
    if (!uvarint_get(p, end, &head) || head >> 1 > UINT32_MAX) {
        return false;
    }
    if ((head & 1) && (!uvarint_get(p, end, &more) || more > UINT32_MAX)) {
        return false;
    }
    *at += head >> 1;
    *ret_length = head & 1 ? more + 2 : 1;
    return true;
}

int postings_unpack(Str packed, uint32_t limit, Ids *ret) {
    const uint8_t *p = (const uint8_t *)packed.p, *end = p + packed.n;
    uint64_t n, at = 0, length;
    if (!uvarint_get(&p, end, &n) || n > limit) {
        return -EBADMSG;
    }
    vec_reserve(ret, ret->n + n);
    while (n > 0) {
        if (!unpack_run(&p, end, &at, &length) || length > n || at + length > limit) {
            return -EBADMSG;
        }
        for (uint64_t i = 0; i < length; i++) {
            ret->v[ret->n++] = (uint32_t)at++;
        }
        n -= length;
    }
    return p == end ? 0 : -EBADMSG;
}

bool postings_pack_count(Str packed, uint32_t *ret) {
    const uint8_t *p = (const uint8_t *)packed.p;
    uint64_t n;
    if (!uvarint_get(&p, p + packed.n, &n) || n > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}
