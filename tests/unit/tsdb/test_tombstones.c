/* Intervals join and split as they should, files are refused when damaged. */
#include <errno.h>

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/delete/tombstones.h"

static const SeriesKey A = {1, 2}, B = {1, 3};

static void check_intervals(const Tombstones *t, SeriesKey k, const char *want) {
    char text[256] = "";
    size_t n;
    const TimeInterval *v = tombstones_find(t, k, &n);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "%s%" PRId64 "-%" PRId64, i ? " " : "", v[i].mint,
                 v[i].maxt);
    }
    CHECK_CSTR(text, want);
}

static Tombstones *sample_set(void) {
    Tombstone v[] = {{B, {5, 9}}, {A, {20, 30}}, {A, {1, 4}},
                     {A, {5, 6}}, {A, {25, 40}}, {A, {9, 8}}};
    return tombstones_add(NULL, v, 6);
}

TEST (touching_intervals_join_and_empty_ones_vanish) {
    Tombstones *t = sample_set();
    CHECK_INT(tombstones_series(t), 2);
    check_intervals(t, A, "1-6 20-40");
    check_intervals(t, B, "5-9");
    check_intervals(t, (SeriesKey){7, 7}, "");
    check_intervals(NULL, A, "");
    Tombstone all = {A, {INT64_MIN, INT64_MAX}};
    Tombstones *more = tombstones_add(t, &all, 1);
    CHECK_INT(tombstones_series(more), 2);
    size_t n;
    (void)tombstones_find(more, A, &n);
    CHECK_INT(n, 1);
    tombstones_unref(more);
    tombstones_unref(t);
    CHECK(tombstones_add(NULL, NULL, 0) == NULL);
}

TEST (a_clip_keeps_what_reaches_into_it) {
    Tombstones *t = sample_set(), *c = tombstones_clip(t, 6, 25);
    check_intervals(c, A, "6-6 20-25");
    check_intervals(c, B, "6-9");
    CHECK(tombstones_clip(t, 41, 50) == NULL);
    tombstones_unref(c);
    tombstones_unref(t);
}

TEST (the_filter_gives_the_stretches_between) {
    static const int64_t t[] = {0, 1, 6, 7, 19, 20, 41, 42};
    TimeInterval gone[] = {{1, 6}, {20, 40}};
    TombstoneFilter f = {gone, 2, 0};
    uint32_t from = 0, first, n;
    CHECK(tombstone_filter_next(&f, t, 8, &from, &first, &n) && first == 0 && n == 1);
    CHECK(tombstone_filter_next(&f, t, 8, &from, &first, &n) && first == 3 && n == 2);
    CHECK(tombstone_filter_next(&f, t, 8, &from, &first, &n) && first == 6 && n == 2);
    CHECK(!tombstone_filter_next(&f, t, 8, &from, &first, &n));
}

TEST (bytes_come_back_and_every_prefix_and_flipped_bit_is_refused) {
    Tombstones *t = sample_set(), *back;
    Buf b = BUF_INIT(0);
    tombstones_encode(t, &b);
    CHECK_INT(tombstones_decode(buf_str(&b), &back), 0);
    check_intervals(back, A, "1-6 20-40");
    check_intervals(back, B, "5-9");
    tombstones_unref(back);
    for (size_t n = 0; n < b.n; n++) {
        char *cut = mem_dup(b.p, n);
        CHECK_INT(tombstones_decode((Str){cut, n}, &back), -EBADMSG);
        mem_free(cut);
        b.p[n] ^= 16;
        CHECK(tombstones_decode(buf_str(&b), &back) < 0);
        b.p[n] ^= 16;
    }
    char path[300];
    snprintf(path, sizeof(path), "%s/tombstones", test_tmpdir());
    CHECK_INT(tombstones_read(path, &back), 0);
    CHECK(back == NULL);
    CHECK_INT(tombstones_write(path, t), 0);
    CHECK_INT(tombstones_read(path, &back), 0);
    check_intervals(back, A, "1-6 20-40");
    CHECK_INT(tombstones_write(path, NULL), 0);
    tombstones_unref(back);
    CHECK_INT(tombstones_read(path, &back), 0);
    CHECK(back == NULL);
    buf_deinit(&b);
    tombstones_unref(t);
}
