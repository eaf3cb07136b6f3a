#include <errno.h>

#include "base/mem.h"
#include "format/protowire.h"
#include "support/test.h"

static void write_sample(Buf *b) {
    proto_add_uint(b, 1, 300);
    proto_add_sint(b, 2, -5);
    proto_add_double(b, 3, 1.5);
    size_t m = proto_begin(b, 4);
    proto_add_bytes(b, 1, STR("name"));
    size_t inside = proto_begin(b, 2);
    for (int i = 0; i < 200; i++) {
        buf_add_uvarint(b, (uint64_t)i);
    }
    proto_end(b, inside);
    proto_end(b, m);
    proto_add_int(b, 536870911, -1);
}

TEST (written_fields_are_read_back) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    write_sample(&b);
    ProtoReader r = PROTO_READER(buf_str(&b));
    ProtoField f, g;
    CHECK(proto_next(&r, &f) == 1 && f.number == 1 && proto_is_varint(&f) && f.value == 300);
    CHECK(proto_next(&r, &f) == 1 && f.number == 2 && proto_sint(&f) == -5);
    CHECK(proto_next(&r, &f) == 1 && f.number == 3 && f.type == PROTO_FIXED64);
    CHECK_DOUBLE(proto_double(&f), 1.5);
    CHECK(proto_next(&r, &f) == 1 && f.number == 4 && proto_is_bytes(&f));
    ProtoReader in = PROTO_READER(f.bytes);
    CHECK(proto_next(&in, &g) == 1 && str_eqc(g.bytes, "name"));
    CHECK(proto_next(&in, &g) == 1 && g.number == 2);
    const uint8_t *at = NULL;
    uint64_t v, n = 0;
    while (proto_packed_varint(&g, &at, &v) == 1) {
        CHECK(v == n++);
    }
    CHECK_INT(n, 200);
    CHECK_INT(proto_next(&in, &g), 0);
    CHECK(proto_next(&r, &f) == 1 && f.number == 536870911 && (int64_t)f.value == -1);
    CHECK_INT(proto_next(&r, &f), 0);
}

TEST (cut_messages_are_refused_or_shorter) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    write_sample(&b);
    unsigned whole = 0;
    for (size_t n = 0; n < b.n; n++) {
        CLEANUP(mem_freep) char *exact = mem_dup(b.p, n);
        Str s = str_n(exact, n);
        ProtoReader r = PROTO_READER(s);
        ProtoField f;
        int e;
        while ((e = proto_next(&r, &f)) == 1) {
        }
        CHECK(e == 0 || e == -EBADMSG);
        whole += e == 0;
    }
    CHECK_INT(whole, 5);
}

TEST (odd_bytes) {
    static const struct {
        Str bytes;
        int fields; /* -1: refused */
    } cases[] = {
        {{"\x00\x01", 2}, -1},                /* field 0 */
        {{"\x0b\x10\x01\x0c\x10\x02", 6}, 1}, /* a group around a field, then one */
        {{"\x0b\x10\x01\x14", 4}, -1},        /* group ended by another number */
        {{"\x0c", 1}, -1},                    /* end without a start */
        {{"\x0e", 1}, -1},                    /* type 6 */
        {{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, -1}, /* 2^64-1 bytes */
        {{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, -1}, /* 65 bits */
        {{"\x0d\x00\x00\x80\x3f", 5}, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ProtoReader r = PROTO_READER(cases[i].bytes);
        ProtoField f;
        int e, n = 0;
        while ((e = proto_next(&r, &f)) == 1) {
            n++;
        }
        CHECK_INT(e < 0 ? -1 : n, cases[i].fields);
    }
    ProtoField f = {.type = PROTO_BYTES, .bytes = STR("\x01\x02\x03")};
    const uint8_t *at = NULL;
    double d;
    CHECK_INT(proto_packed_double(&f, &at, &d), -EBADMSG);
    ProtoField one = {.type = PROTO_FIXED64, .value = 0};
    at = NULL;
    CHECK_INT(proto_packed_double(&one, &at, &d), 1);
    CHECK_INT(proto_packed_double(&one, &at, &d), 0);
}
