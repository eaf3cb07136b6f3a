#include <errno.h>

#include "base/mem.h"
#include "base/random.h"
#include "format/compress.h"
#include "support/test.h"

typedef struct Codec {
    const char *name;
    int (*encode)(Str src, int level, Buf *out);
    int (*decode)(Str src, size_t max, Buf *out);
} Codec;

static int snappy_any(Str src, int level, Buf *out) { return snappy_encode(src, out); }

static const Codec codecs[] = {{"gzip", gzip_encode, gzip_decode},
                               {"deflate", deflate_encode, deflate_decode},
                               {"zstd", zstd_encode, zstd_decode},
                               {"snappy", snappy_any, snappy_decode}};

static void fill(Buf *b, size_t n) {
    Rng r;
    rng_init(&r, n + 1);
    while (b->n < n) {
        buf_addf(b, "http_requests_total{code=\"%u\"} %u\n", (unsigned)rng_below(&r, 5) * 100,
                 (unsigned)rng_below(&r, 1000));
    }
    b->n = n;
}

TEST (what_is_encoded_decodes_to_itself) {
    static const size_t sizes[] = {0, 1, 100, 16383, 16384, 16385, 3000000};
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
            CLEANUP(buf_deinit) Buf packed = BUF_INIT(0);
            CLEANUP(buf_deinit) Buf back = BUF_INIT(0);
            fill(&text, sizes[i]);
            CHECK_INT(codecs[c].encode(buf_str(&text), 0, &packed), 0);
            buf_add_cstr(&back, "head");
            CHECK_INT(codecs[c].decode(buf_str(&packed), sizes[i], &back), 0);
            CHECK_STR(str_from(buf_str(&back), 4), buf_str(&text));
            if (sizes[i] > 0) {
                CHECK_INT(codecs[c].decode(buf_str(&packed), sizes[i] - 1, &back), -EFBIG);
            }
            CHECK_INT(back.n, 4 + sizes[i]);
            CLEANUP(buf_deinit) Buf named = BUF_INIT(0);
            CHECK_INT(content_decode(str_of(codecs[c].name), buf_str(&packed), 1 << 22, &named), 0);
            CHECK_INT(named.n, sizes[i]);
        }
    }
}

TEST (every_shorter_input_is_refused) {
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
        CLEANUP(buf_deinit) Buf packed = BUF_INIT(0);
        CLEANUP(buf_deinit) Buf back = BUF_INIT(0);
        fill(&text, 3000);
        CHECK_INT(codecs[c].encode(buf_str(&text), 0, &packed), 0);
        for (size_t n = 0; n < packed.n; n++) {
            if (codecs[c].decode(str_n(packed.p, n), 1 << 20, &back) != -EBADMSG || back.n) {
                test_fail(__FILE__, __LINE__, "%s: %zu of %zu bytes taken", codecs[c].name, n,
                          packed.n);
            }
        }
        buf_add_cstr(&packed, "more");
        CHECK_INT(codecs[c].decode(buf_str(&packed), 1 << 20, &back), -EBADMSG);
    }
}

TEST (a_small_body_does_not_become_a_large_one) {
    CLEANUP(buf_deinit) Buf zeros = BUF_INIT(0);
    CHECK(buf_reserve(&zeros, 50 << 20));
    memset(zeros.p, 0, 50 << 20);
    zeros.n = 50 << 20;
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        CLEANUP(buf_deinit) Buf packed = BUF_INIT(0);
        CLEANUP(buf_deinit) Buf back = BUF_INIT(0);
        CHECK_INT(codecs[c].encode(buf_str(&zeros), 0, &packed), 0);
        CHECK_INT(codecs[c].decode(buf_str(&packed), 1 << 20, &back), -EFBIG);
        CHECK(back.cap < 4 << 20);
    }
    CLEANUP(buf_deinit) Buf back = BUF_INIT(0);
    CHECK_INT(snappy_decode(STR("\xff\xff\xff\x7f\x00"), 1 << 30, &back), -EBADMSG);
    CHECK_INT(back.cap, 0);
}

TEST (gzip_members_follow_each_other) {
    CLEANUP(buf_deinit) Buf packed = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf back = BUF_INIT(0);
    CHECK_INT(gzip_encode(STR("one "), 1, &packed), 0);
    CHECK_INT(gzip_encode(STR("two"), 9, &packed), 0);
    CHECK_INT(gzip_decode(buf_str(&packed), 100, &back), 0);
    CHECK_STR(buf_str(&back), STR("one two"));
}

TEST (unknown_encodings_are_named_so) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    CHECK_INT(content_decode(STR("br"), STR("x"), 10, &b), -ENOTSUP);
    CHECK_INT(content_decode(STR(" Identity"), STR("x"), 10, &b), 0);
    CHECK_INT(content_decode(STR(""), STR("12345678901"), 10, &b), -EFBIG);
    CHECK_STR(buf_str(&b), STR("x"));
}

TEST (streamed_pieces_decode_after_each_flush) {
    CLEANUP(buf_deinit) Buf packed = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    DeflateStream *s = deflate_stream_new(DEFLATE_FORMAT_GZIP, 0);
    for (int i = 0; i < 1000; i++) {
        char line[64];
        int n = snprintf(line, sizeof(line), "line %d\n", i);
        buf_add(&text, line, (size_t)n);
        CHECK_INT(deflate_stream_write(s, str_n(line, (size_t)n), &packed), 0);
        if (i % 100 == 0) {
            size_t before = packed.n;
            CHECK_INT(deflate_stream_flush(s, &packed), 0);
            CHECK(packed.n > before);
        }
    }
    CHECK_INT(deflate_stream_finish(s, &packed), 0);
    deflate_stream_free(s);
    CLEANUP(buf_deinit) Buf back = BUF_INIT(0);
    CHECK_INT(gzip_decode(buf_str(&packed), 1 << 20, &back), 0);
    CHECK_STR(buf_str(&back), buf_str(&text));
}
