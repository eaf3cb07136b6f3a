/* The containers everything else stands on: Buf, Arena, maps, varints, checksums, UTF-8. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "base/vec.h"
#include "support/test.h"

TEST (buf_refuses_at_its_ceiling_and_stays_failed) {
    Buf b = BUF_INIT(10);
    buf_add_cstr(&b, "12345678");
    CHECK(!b.failed);
    buf_add_cstr(&b, "9ab");
    CHECK(b.failed);
    buf_add_char(&b, 'x');
    CHECK_STR(buf_str(&b), STR("12345678"));
    buf_reset(&b);
    buf_addf(&b, "%d", 1234567890);
    CHECK(!b.failed);
    CHECK_STR(buf_str(&b), STR("1234567890"));
    buf_deinit(&b);
}

TEST (arena_returns_null_past_its_ceiling) {
    Arena a = ARENA_INIT(64 << 10);
    size_t n = 0;
    while (arena_alloc(&a, 1000)) {
        n++;
    }
    CHECK(n >= 50 && n <= 65);
    CHECK(a.failed);
    arena_reset(&a);
    CHECK(arena_alloc(&a, 1000) != NULL);
    arena_deinit(&a);
}

TEST (arena_strings_are_terminated_copies) {
    Arena a = ARENA_INIT(0);
    char text[] = "abc";
    Str s = arena_str(&a, str_of(text));
    text[0] = 'x';
    CHECK_CSTR(s.p, "abc");
    CHECK_STR(arena_printf(&a, "%d-%s", 7, "q"), STR("7-q"));
    arena_deinit(&a);
}

TEST (str_map_keeps_entries_over_growth_and_deletion) {
    StrMap m = {0};
    Arena a = ARENA_INIT(0);
    for (uintptr_t i = 1; i <= 1000; i++) {
        *str_map_put(&m, arena_printf(&a, "key%d", (int)i), NULL) = (void *)i;
    }
    for (uintptr_t i = 2; i <= 1000; i += 2) {
        CHECK(str_map_del(&m, arena_printf(&a, "key%d", (int)i)) == (void *)i);
    }
    for (uintptr_t i = 1; i <= 1000; i++) {
        void *got = str_map_get(&m, arena_printf(&a, "key%d", (int)i));
        CHECK(got == (i % 2 ? (void *)i : NULL));
    }
    CHECK_INT(m.n, 500);
    str_map_deinit(&m);
    arena_deinit(&a);
}

TEST (u64_map_keeps_entries_over_growth_and_deletion) {
    U64Map m = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        u64_map_put(&m, i * 8, i);
    }
    for (uint64_t i = 0; i < 1000; i += 3) {
        CHECK(u64_map_del(&m, i * 8));
    }
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t v = 0;
        CHECK(u64_map_get(&m, i * 8, &v) == (i % 3 != 0));
        CHECK(i % 3 == 0 || v == i);
    }
    u64_map_deinit(&m);
}

TEST (varints_round_trip_and_refuse_truncation) {
    const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint8_t d[UVARINT_BYTES_MAX];
        size_t n = uvarint_put(d, values[i]);
        for (size_t cut = 0; cut < n; cut++) {
            const uint8_t *p = d;
            uint64_t v;
            CHECK(!uvarint_get(&p, d + cut, &v));
        }
        const uint8_t *p = d;
        uint64_t v = 0;
        CHECK(uvarint_get(&p, d + n, &v) && v == values[i] && p == d + n);
        CHECK(zigzag_encode(zigzag_decode(values[i])) == values[i]);
    }
}

TEST (crc32c_matches_the_published_vectors) {
    uint8_t zeros[32] = {0};
    CHECK_INT(crc32c(0, "123456789", 9), 0xE3069283);
    CHECK_INT(crc32c(0, zeros, 32), 0x8A9136AA);
    CHECK_INT(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
}

TEST (xxh64_matches_the_published_vector) {
    CHECK(hash_xxh64("", 0) == UINT64_C(0xEF46DB3751D8E999));
}

TEST (utf8_refuses_surrogates_overlong_forms_and_truncation) {
    CHECK(utf8_valid(STR("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x9a\xa8")));
    CHECK(!utf8_valid(STR("\xc0\x80")));
    CHECK(!utf8_valid(STR("\xed\xa0\x80")));
    CHECK(!utf8_valid(STR("\xe2\x82")));
    CHECK(!utf8_valid(STR("\xf4\x90\x80\x80")));
    CHECK(utf8_valid(STR("\xef\xbf\xbd")));
    CHECK_INT(utf8_count(STR("\xc3\xbcx\xff")), 3);
}

TEST (str_nearest_suggests_only_what_is_close) {
    const Str names[] = {STR("scrape_interval"), STR("scrape_timeout")};
    CHECK_STR(str_nearest(STR("scrape_intervall"), names, 2), STR("scrape_interval"));
    CHECK(str_nearest(STR("remote"), names, 2).p == NULL);
}

TEST (problem_shows_file_line_and_column) {
    Problem p = {0};
    problem_set_file(&p, STR("a.yml"));
    CHECK_INT(problem_set(&p, 3, 7, "expected %s", "a list"), -EINVAL);
    char text[256];
    CHECK_CSTR(problem_format(&p, text, sizeof(text)), "a.yml:3:7: expected a list");
}

TEST (everything_begins_and_ends_with_nothing) {
    CHECK(str_starts(STR("ab"), STR_NULL));
    CHECK(str_ends(STR("ab"), STR_NULL));
    CHECK(str_starts(STR_NULL, STR_NULL));
    CHECK(str_ends(STR_NULL, STR("")));
    CHECK(!str_starts(STR_NULL, STR("a")));
    CHECK(!str_ends(STR_NULL, STR("a")));
}
