#include "format/protowire.h"

#include <errno.h>

#define GROUP_START 3
#define GROUP_END 4
#define GROUP_DEPTH_MAX 100

static bool take_fixed(ProtoReader *r, size_t n, uint64_t *ret) {
    if ((size_t)(r->end - r->p) < n) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)r->p[i] << (8 * i);
    }
    r->p += n;
    *ret = v;
    return true;
}

static bool take_bytes(ProtoReader *r, Str *ret) {
    uint64_t n;
    if (!uvarint_get(&r->p, r->end, &n) || n > (uint64_t)(r->end - r->p)) {
        return false;
    }
    *ret = (Str){(const char *)r->p, (size_t)n};
    r->p += n;
    return true;
}

/* One tag and its value; `type` may be a group's mark, which has no value. */
static bool take_field(ProtoReader *r, ProtoField *f, unsigned *type) {
    uint64_t tag;
    if (!uvarint_get(&r->p, r->end, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3) {
        return false;
    }
    *f = (ProtoField){.number = (uint32_t)(tag >> 3)};
    *type = (unsigned)(tag & 7);
    f->type = (ProtoType)*type;
    switch (*type) {
    case PROTO_VARINT: return uvarint_get(&r->p, r->end, &f->value);
    case PROTO_FIXED64: return take_fixed(r, 8, &f->value);
    case PROTO_FIXED32: return take_fixed(r, 4, &f->value);
    case PROTO_BYTES: return take_bytes(r, &f->bytes);
    case GROUP_START:
    case GROUP_END: return true;
    default: return false;
    }
}

/* Behind the end mark of the group just begun. */
static bool skip_group(ProtoReader *r, uint32_t number) {
    uint32_t open[GROUP_DEPTH_MAX] = {number};
    unsigned depth = 1, type;
    ProtoField f;
    while (depth > 0) {
        if (!take_field(r, &f, &type)) {
            return false;
        }
        if (type == GROUP_START) {
            if (depth == GROUP_DEPTH_MAX) {
                return false;
            }
            open[depth++] = f.number;
        } else if (type == GROUP_END && open[--depth] != f.number) {
            return false;
        }
    }
    return true;
}

int proto_next(ProtoReader *r, ProtoField *ret) {
    unsigned type;
    while (r->p < r->end) {
        if (!take_field(r, ret, &type) || type == GROUP_END) {
            return -EBADMSG;
        }
        if (type != GROUP_START) {
            return 1;
        }
        if (!skip_group(r, ret->number)) {
            return -EBADMSG;
        }
    }
    return 0;
}

int proto_packed_varint(const ProtoField *f, const uint8_t **at, uint64_t *ret) {
    if (f->type == PROTO_VARINT) {
        /* The field's own address serves as "already given". */
        bool given = *at != NULL;
        *at = (const uint8_t *)f;
        *ret = f->value;
        return !given;
    }
    if (f->type != PROTO_BYTES) {
        return -EBADMSG;
    }
    const uint8_t *start = (const uint8_t *)f->bytes.p, *end = start + f->bytes.n;
    *at = *at ? *at : start;
    if (*at == end) {
        return 0;
    }
    return uvarint_get(at, end, ret) ? 1 : -EBADMSG;
}

int proto_packed_double(const ProtoField *f, const uint8_t **at, double *ret) {
    if (f->type == PROTO_FIXED64) {
        bool given = *at != NULL;
        *at = (const uint8_t *)f;
        *ret = proto_double(f);
        return !given;
    }
    if (f->type != PROTO_BYTES) {
        return -EBADMSG;
    }
    const uint8_t *start = (const uint8_t *)f->bytes.p;
    ProtoReader r = {*at ? *at : start, start + f->bytes.n};
    if (r.p == r.end) {
        return 0;
    }
    ProtoField one;
    if (!take_fixed(&r, 8, &one.value)) {
        return -EBADMSG;
    }
    *ret = proto_double(&one);
    *at = r.p;
    return 1;
}

static void add_tag(Buf *b, uint32_t number, unsigned type) {
    buf_add_uvarint(b, (uint64_t)number << 3 | type);
}

void proto_add_uint(Buf *b, uint32_t number, uint64_t v) {
    add_tag(b, number, PROTO_VARINT);
    buf_add_uvarint(b, v);
}

void proto_add_int(Buf *b, uint32_t number, int64_t v) { proto_add_uint(b, number, (uint64_t)v); }

void proto_add_sint(Buf *b, uint32_t number, int64_t v) {
    proto_add_uint(b, number, zigzag_encode(v));
}

void proto_add_double(Buf *b, uint32_t number, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    proto_add_fixed64(b, number, bits);
}

void proto_add_fixed64(Buf *b, uint32_t number, uint64_t v) {
    add_tag(b, number, PROTO_FIXED64);
    buf_add_u64(b, v);
}

void proto_add_bytes(Buf *b, uint32_t number, Str v) {
    add_tag(b, number, PROTO_BYTES);
    buf_add_uvarint(b, v.n);
    buf_add_str(b, v);
}

/* One byte is kept for the length, which is enough for most; longer ones move the content up. */
size_t proto_begin(Buf *b, uint32_t number) {
    add_tag(b, number, PROTO_BYTES);
    buf_add_char(b, 0);
    return b->n;
}

void proto_end(Buf *b, size_t mark) {
    if (b->failed) {
        return;
    }
    size_t size = b->n - mark;
    uint8_t length[UVARINT_BYTES_MAX];
    size_t n = uvarint_put(length, size);
    if (n > 1) {
        if (!buf_reserve(b, n - 1)) {
            return;
        }
        memmove(b->p + mark + n - 1, b->p + mark, size);
        b->n += n - 1;
    }
    memcpy(b->p + mark - 1, length, n);
}
