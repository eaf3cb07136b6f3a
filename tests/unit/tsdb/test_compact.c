/* Plans by Prometheus' rules, and merges that keep every sample. */
#include <errno.h>

#include "support/block_build.h"
#include "tsdb/compact/compact.h"

#define HOUR INT64_C(3600000)

/* Metas from ranges in hours; -1 ends. */
static size_t metas_of(const int (*hours)[2], size_t n, BlockMeta *m, const BlockMeta **ret) {
    for (size_t i = 0; i < n; i++) {
        m[i] = (BlockMeta){
            .min_time = hours[i][0] * HOUR, .max_time = hours[i][1] * HOUR, .bytes = 100};
        ret[i] = &m[i];
    }
    return n;
}

static void check_plan(const int (*hours)[2], size_t n, const char *want) {
    BlockMeta m[32];
    const BlockMeta *v[32];
    size_t idx[32];
    metas_of(hours, n, m, v);
    CompactOptions o = {2 * HOUR, 60 * HOUR};
    size_t got = compact_plan(&o, v, n, idx);
    char text[128] = "";
    for (size_t i = 0; i < got; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%zu", i ? " " : "", idx[i]);
    }
    CHECK_CSTR(text, want);
}

#define PLAN(want, ...)                                                                            \
    do {                                                                                           \
        static const int h_[][2] = {__VA_ARGS__};                                                  \
        check_plan(h_, sizeof(h_) / sizeof(h_[0]), want);                                          \
    } while (0)

TEST (ranges_rise_by_three_up_to_the_ceiling) {
    int64_t r[16];
    CHECK_INT(compact_ranges(&(CompactOptions){2 * HOUR, 72 * HOUR}, r, 16), 4);
    CHECK_INT(r[3], 54 * HOUR);
    CHECK_INT(compact_ranges(&(CompactOptions){2 * HOUR, HOUR}, r, 16), 1);
}

TEST (full_and_finished_ranges_are_merged_and_the_newest_block_is_left) {
    PLAN("", {0, 2});
    PLAN("", {0, 2}, {2, 4});
    PLAN("", {0, 2}, {2, 4}, {4, 6});
    PLAN("0 1 2", {0, 2}, {2, 4}, {4, 6}, {6, 8});
    PLAN("", {0, 2}, {2, 4}, {6, 8});
    PLAN("0 1", {0, 2}, {2, 4}, {6, 8}, {8, 10});
    PLAN("", {0, 2}, {6, 8}, {12, 14});
    PLAN("1 2 3", {0, 6}, {6, 8}, {8, 10}, {10, 12}, {12, 14});
    PLAN("0 1 2", {0, 6}, {6, 12}, {12, 18}, {18, 20});
    PLAN("", {0, 54}, {54, 108}, {108, 162}, {162, 164});
}

TEST (overlapping_blocks_are_merged_first) {
    PLAN("1 2", {0, 2}, {2, 4}, {3, 5}, {6, 8});
    PLAN("0 1 2", {0, 6}, {1, 3}, {5, 7}, {8, 10});
}

TEST (a_block_of_which_much_is_deleted_is_written_anew) {
    static const int hours[][2] = {{0, 2}, {2, 4}, {4, 6}};
    BlockMeta m[3];
    const BlockMeta *v[3];
    metas_of(hours, 3, m, v);
    for (int i = 0; i < 3; i++) {
        m[i].series = 100;
    }
    CHECK_INT(compact_plan_deleted(v, (size_t[]){0, 0, 0}, 3), 3);
    CHECK_INT(compact_plan_deleted(v, (size_t[]){0, 5, 0}, 3), 3);
    CHECK_INT(compact_plan_deleted(v, (size_t[]){0, 6, 0}, 3), 1);
    CHECK_INT(compact_plan_deleted(v, (size_t[]){0, 0, 100}, 3), 3);
}

static void check_retention(RetentionLimits l, const char *want) {
    static const int hours[][2] = {{0, 2}, {2, 4}, {4, 6}, {6, 8}};
    BlockMeta m[4];
    const BlockMeta *v[4];
    size_t idx[4];
    metas_of(hours, 4, m, v);
    size_t got = compact_retention(&l, v, 4, idx);
    char text[64] = "";
    for (size_t i = 0; i < got; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu", idx[i]);
    }
    CHECK_CSTR(text, want);
}

TEST (retention_drops_the_oldest) {
    check_retention((RetentionLimits){0}, "");
    check_retention((RetentionLimits){.age_ms = 4 * HOUR}, "01");
    check_retention((RetentionLimits){.age_ms = 4 * HOUR + 1}, "0");
    check_retention((RetentionLimits){.age_ms = 1}, "012");
    check_retention((RetentionLimits){.bytes = 250}, "01");
    check_retention((RetentionLimits){.bytes = 250, .other_bytes = 100}, "012");
    check_retention((RetentionLimits){.bytes = 50}, "0123");
}

static void check_all_samples(Block *b, const BlockShape *shape) {
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    static int64_t t[CHUNK_SAMPLES_MAX];
    static double v[CHUNK_SAMPLES_MAX];
    for (unsigned i = 0; i < shape->metrics * shape->hosts; i++) {
        unsigned metric = i / shape->hosts, host = i % shape->hosts;
        ShapeSeries want;
        CHECK_INT(block_cursor_next(c, &s), 1);
        CHECK(labels_eq(s.labels, shape_labels(metric, host, &want)));
        int64_t at = shape->min_time;
        for (uint32_t k = 0; k < s.n; k++) {
            Chunk chunk;
            CHECK_INT(block_cursor_chunk(c, k, &chunk), 0);
            CHECK_INT(chunk_decode(&chunk, t, v), 0);
            for (uint32_t n = 0; n < chunk.n; n++, at += shape->step) {
                CHECK_INT(t[n], at);
                CHECK_DOUBLE(v[n], shape_value(shape, metric, host, at));
            }
        }
        CHECK(at >= shape->max_time);
    }
    CHECK_INT(block_cursor_next(c, &s), 0);
    block_cursor_free(c);
}

static int compact_all(const char *dir, Block **blocks, size_t n, const atomic_bool *cancel,
                       char id[BLOCK_ID_SIZE]) {
    CompactSource v[4] = {0};
    for (size_t i = 0; i < n; i++) {
        v[i].block = blocks[i];
    }
    return compact_blocks(&(CompactJob){.dir = dir, .v = v, .n = n, .cancel = cancel}, id);
}

TEST (neighbours_become_one_block_with_longer_chunks) {
    BlockShape whole = {.dir = test_tmpdir(),
                        .metrics = 3,
                        .hosts = 7,
                        .min_time = 0,
                        .max_time = 6 * HOUR,
                        .step = 15000};
    Block *parts[3];
    for (int i = 0; i < 3; i++) {
        BlockShape part = whole;
        part.min_time = i * 2 * HOUR;
        part.max_time = part.min_time + 2 * HOUR;
        parts[i] = shape_make(&part);
    }
    char id[BLOCK_ID_SIZE];
    CHECK_INT(compact_all(whole.dir, parts, 3, NULL, id), 0);
    Block *b = shape_open(whole.dir, id);
    const BlockMeta *m = block_meta(b);
    CHECK_INT(m->level, 2);
    CHECK_INT(m->min_time, 0);
    CHECK_INT(m->max_time, 6 * HOUR);
    CHECK_INT(m->n_parents, 3);
    CHECK_CSTR(m->parents[1], block_meta(parts[1])->id);
    CHECK_INT(m->samples, 21 * 1440);
    CHECK_INT(m->chunks, 21);
    check_all_samples(b, &whole);
    Problem p = {0};
    CHECK_INT(block_verify(b, NULL, &p), 0);
    block_unref(b);
    for (int i = 0; i < 3; i++) {
        block_unref(parts[i]);
    }
}

TEST (overlapping_blocks_interleave_and_the_first_wins) {
    BlockShape even = {.dir = test_tmpdir(),
                       .metrics = 2,
                       .hosts = 3,
                       .min_time = 0,
                       .max_time = HOUR,
                       .step = 20000};
    BlockShape both = even, other = even;
    both.step = 10000;
    other.step = 10000; /* has the even times too, with the same values; see below for others */
    other.min_time = 10000;
    Block *parts[2] = {shape_make(&even), shape_make(&other)};
    char id[BLOCK_ID_SIZE];
    CHECK_INT(compact_all(even.dir, parts, 2, NULL, id), 0);
    Block *b = shape_open(even.dir, id);
    check_all_samples(b, &both);
    block_unref(b);
    BlockShape noise = even;
    noise.noise = true;
    block_unref(parts[1]);
    parts[1] = shape_make(&noise);
    CHECK_INT(compact_all(even.dir, parts, 2, NULL, id), 0);
    b = shape_open(even.dir, id);
    check_all_samples(b, &even);
    block_unref(b);
    block_unref(parts[0]);
    block_unref(parts[1]);
}

TEST (a_cancelled_merge_leaves_nothing) {
    BlockShape shape = {.dir = test_tmpdir(),
                        .metrics = 1,
                        .hosts = 2,
                        .min_time = 0,
                        .max_time = HOUR,
                        .step = 60000};
    Block *b = shape_make(&shape);
    atomic_bool cancel = true;
    char id[BLOCK_ID_SIZE];
    CHECK_INT(compact_all(shape.dir, &b, 1, &cancel, id), -ECANCELED);
    block_unref(b);
}
