/* Starting again: what an earlier life or an earlier version left, and what others put there. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "support/test.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)

static Tsdb *open_in(const char *dir) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = {.dir = dir,
                     .block_range_ms = RANGE,
                     .block_range_max_ms = RANGE,
                     .sync_interval_ms = 20,
                     .journal_segment_bytes = 4096,
                     .replay_threads = 2};
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    int r = tsdb_open(&o, &db, &problem);
    if (r < 0) {
        printf("# %s\n", problem.text);
    }
    CHECK_INT(r, 0);
    return db;
}

static int number_of(Labels l) {
    Str s = labels_get(l, STR("series"));
    int n = 0;
    for (size_t i = 1; i < s.n; i++) {
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

typedef double (*ValueFn)(int series, int64_t t);

/* Samples of m{} with t >= from: how many, each as value() has it, rising in time. */
static size_t count(Tsdb *db, int64_t from, ValueFn value) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    size_t n = 0;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    CHECK_INT(storage_querier(tsdb_storage(db), from, TIME_MAX_MS, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    while (series_set_next(set, &s) > 0) {
        int64_t last = INT64_MIN;
        SampleIter *it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++, n++) {
                CHECK(run.t[i] > last);
                CHECK_DOUBLE(run.f[i], value(number_of(s.labels), run.t[i]));
                last = run.t[i];
            }
        }
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    return n;
}

static int append_step(Tsdb *db, int n_series, int64_t t, ValueFn value) {
    Appender *a;
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    for (int i = 0; i < n_series; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        Label l[2] = {{LABEL_NAME, STR("m")}, {STR("series"), str_of(name)}};
        SeriesRef ref = 0;
        CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t, value(i, t)), APPEND_OK);
    }
    return appender_commit(a);
}

static double value_at(int series, int64_t t) { return (double)(t % 9777) / 4 + series; }

/* ---- format version 1 of the journal */

static int copy_file(void *arg, const char *name) {
    CLEANUP(buf_deinit) Buf b = {0};
    char *from = mem_printf("%s/journal_v1/%s", getenv("NARTHEX_TESTDATA"), name);
    char *to = mem_printf("%s/%s", (const char *)arg, name);
    CHECK_INT(file_read_whole(from, 1 << 20, &b), 0);
    CHECK_INT(file_write_durable(to, b.p, b.n, 0666), 0);
    mem_free(from);
    mem_free(to);
    return 0;
}

/* The version that wrote it appended six series for 140 seconds, those of odd seconds a little
 * apart in time, and cut a block of the first minute in between. */
static double value_v1(int series, int64_t t) { return (double)t / (series % 3 + 1); }

TEST (a_journal_of_format_version_1_is_replayed_and_continued) {
    char *journal = mem_printf("%s/journal", test_tmpdir());
    char *from = mem_printf("%s/journal_v1", getenv("NARTHEX_TESTDATA"));
    CHECK_INT(file_make_folder(journal), 0);
    CHECK_INT(file_each_name(from, copy_file, journal), 0);
    for (int i = 0; i < 3; i++) {
        Tsdb *db = open_in(test_tmpdir());
        CHECK_INT(count(db, 0, value_v1), (80 + i) * 6);
        CHECK_INT(append_step(db, 6, (140 + i) * 1000, value_v1), 0);
        CHECK_INT(count(db, 0, value_v1), (81 + i) * 6);
        tsdb_close(db);
    }
    mem_free(journal);
    mem_free(from);
}

/* ---- blocks that the head did not write */

static int move_block(void *arg, const char *name) {
    if (strlen(name) == 26) {
        char *from = mem_printf("%s/%s", (const char *)arg, name);
        char *to = mem_printf("%s/%s", test_tmpdir(), name);
        CHECK_INT(file_rename(from, to), 0);
        mem_free(from);
        mem_free(to);
    }
    return 0;
}

/* Samples of series 0..3 in [from, to) as blocks of another database, moved into this one. */
static void backfill(int64_t from, int64_t to) {
    char *dir = mem_printf("%s/other", test_tmpdir());
    Tsdb *db = open_in(dir);
    for (int64_t t = from; t < to + RANGE; t += 1000) {
        CHECK_INT(append_step(db, 4, t, value_at), 0);
    }
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_close(db);
    CHECK_INT(file_each_name(dir, move_block, dir), 0);
    CHECK_INT(file_remove_tree(dir), 0);
    mem_free(dir);
}

TEST (a_block_that_reaches_into_the_heads_time_hides_nothing_of_the_journal) {
    Tsdb *db = open_in(test_tmpdir());
    for (int64_t t = RANGE; t < 3 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 7, t, value_at), 0);
        if (t == 3 * RANGE - 15000) {
            CHECK_INT(tsdb_maintain(db), 0); /* [RANGE, 2 RANGE) is a block now */
        }
    }
    tsdb_close(db);
    backfill(0, 3 * RANGE);
    for (int i = 0; i < 2; i++) {
        db = open_in(test_tmpdir());
        CHECK_INT(count(db, RANGE, value_at), 7 * 120 + (size_t)i * 7);
        CHECK_INT(append_step(db, 7, 3 * RANGE + i * 1000, value_at), 0);
        CHECK_INT(count(db, 0, value_at), 4 * 60 + 7 * 121 + (size_t)i * 7);
        tsdb_close(db);
    }
}

/* ---- full chunks of the head */

static void fill(Tsdb *db, int n_series, int64_t from, int64_t to, int64_t step) {
    for (int64_t t = from; t < to; t += step) {
        CHECK_INT(append_step(db, n_series, t, value_at), 0);
    }
}

static int drop_name(void *arg, const char *name) {
    char *path = mem_printf("%s/%s", (const char *)arg, name);
    CHECK_INT(file_unlink(path), 0);
    mem_free(path);
    return 0;
}

static void drop_files(const char *folder) {
    char *path = mem_printf("%s/%s", test_tmpdir(), folder);
    CHECK_INT(file_each_name(path, drop_name, path), 0);
    mem_free(path);
}

/* Full chunks end at 120 samples or with the range. */
TEST (full_chunks_are_found_again_and_only_what_is_behind_them_comes_from_the_journal) {
    for (int round = 0; round < 4; round++) {
        Tsdb *db = open_in(test_tmpdir());
        CHECK_INT(count(db, 0, value_at), 5 * 80 * round);
        fill(db, 5, round * 20000, (round + 1) * 20000, 250);
        CHECK_INT(count(db, 0, value_at), 5 * 80 * (round + 1));
        Appender *a; /* the newest is known, also when it lies in a full chunk */
        CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
        Label l[2] = {{LABEL_NAME, STR("m")}, {STR("series"), STR("s1")}};
        SeriesRef ref = 0;
        int64_t t = (round + 1) * 20000 - 250;
        CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t, value_at(1, t)), APPEND_OK);
        CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t, 5), APPEND_DUPLICATE);
        CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t - 250, 5), APPEND_OUT_OF_ORDER);
        appender_rollback(a);
        tsdb_close(db);
    }
}

TEST (chunk_files_that_are_gone_or_damaged_come_again_from_the_journal) {
    Tsdb *db = open_in(test_tmpdir());
    fill(db, 5, 0, 80000, 250);
    tsdb_close(db);
    drop_files("head_chunks");
    db = open_in(test_tmpdir());
    CHECK_INT(count(db, 0, value_at), 5 * 320);
    fill(db, 5, 80000, 85000, 250);
    tsdb_close(db);
    CLEANUP(buf_deinit) Buf b = {0};
    char *path = mem_printf("%s/head_chunks/00000001", test_tmpdir());
    CHECK_INT(file_read_whole(path, 1 << 24, &b), 0);
    CHECK(b.n > 2000);
    log_set_fd(open("/dev/null", O_WRONLY));
    for (size_t at = 3; at < b.n; at += 211) {
        b.p[at] ^= 0x10;
        CHECK_INT(file_write_durable(path, b.p, b.n, 0666), 0);
        db = open_in(test_tmpdir());
        CHECK_INT(count(db, 0, value_at), 5 * 340);
        tsdb_close(db);
        b.p[at] ^= 0x10;
    }
    mem_free(path);
}

/* ---- before the journal is read */

static int open_range(Tsdb *db, int64_t mint, int64_t maxt, size_t *ret_series,
                      size_t *ret_warnings) {
    Querier *q;
    SeriesSet *set;
    Series s;
    Matcher m;
    Arena arena = ARENA_INIT(0);
    Warnings w = {.arena = &arena};
    *ret_series = 0;
    int r = storage_querier(tsdb_storage(db), mint, maxt, &q);
    if (r == 0) {
        CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
        CHECK_INT(querier_select(q, &m, 1, NULL, &w, &set), 0);
        while (series_set_next(set, &s) > 0) {
            ++*ret_series;
        }
        series_set_free(set);
        querier_close(q);
        matcher_deinit(&m);
    }
    *ret_warnings = w.list.n;
    warnings_free(&w);
    arena_deinit(&arena);
    return r;
}

TEST (blocks_answer_before_the_journal_is_read_and_say_what_is_missing) {
    Tsdb *db = open_in(test_tmpdir());
    fill(db, 3, 0, 3 * RANGE, 1000);
    CHECK_INT(tsdb_maintain(db), 0); /* the head begins at 2 RANGE */
    tsdb_close(db);
    TsdbOptions o = {.dir = test_tmpdir(), .block_range_ms = RANGE, .replay_later = true};
    size_t series, warnings;
    CHECK_INT(tsdb_open(&o, &db, NULL), 0);
    CHECK_INT(open_range(db, 0, 2 * RANGE - 1, &series, &warnings), 0);
    CHECK_INT(series, 3);
    CHECK_INT(warnings, 0);
    CHECK_INT(open_range(db, 0, TIME_MAX_MS, &series, &warnings), 0);
    CHECK_INT(series, 3);
    CHECK_INT(warnings, 1);
    CHECK_INT(open_range(db, 2 * RANGE, TIME_MAX_MS, &series, &warnings), -EAGAIN);
    CHECK_INT(tsdb_replay(db, NULL), 0);
    CHECK_INT(open_range(db, 2 * RANGE, TIME_MAX_MS, &series, &warnings), 0);
    CHECK_INT(series, 3);
    CHECK_INT(warnings, 0);
    CHECK_INT(count(db, 0, value_at), 3 * 180);
    tsdb_close(db);
}

/* ---- churn */

/* Each minute other series, as pods come and go; the server ends without warning now and then. */
TEST (slots_that_are_given_out_again_mean_the_right_series_after_a_start) {
    Tsdb *db = open_in(test_tmpdir());
    for (int64_t minute = 0; minute < 30; minute++) {
        for (int64_t t = minute * RANGE; t < (minute + 1) * RANGE; t += 5000) {
            Appender *a;
            CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
            for (int i = 0; i < 50; i++) {
                char name[16];
                int number = (int)minute * 50 + i;
                snprintf(name, sizeof(name), "s%d", number);
                Label l[2] = {{LABEL_NAME, STR("m")}, {STR("series"), str_of(name)}};
                SeriesRef ref = 0;
                CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t, value_at(number, t)),
                          APPEND_OK);
            }
            CHECK_INT(appender_commit(a), 0);
        }
        CHECK_INT(tsdb_maintain(db), 0);
        if (minute % 4 == 3) {
            tsdb_close(db);
            db = open_in(test_tmpdir());
        }
        CHECK_INT(count(db, 0, value_at), 600 * (minute + 1));
    }
    tsdb_close(db);
}

/* ---- a full disk */

typedef struct SmallDisk {
    atomic_ulong left; /* bytes that files may still grow by */
    atomic_bool on;
} SmallDisk;

static int little_room(void *arg, FileOp op, size_t *n) {
    SmallDisk *d = arg;
    if (op != FILE_OP_WRITE || !atomic_load(&d->on)) {
        return 0;
    }
    if (atomic_load(&d->left) < *n) {
        *n = 0;
        return -ENOSPC;
    }
    atomic_fetch_sub(&d->left, *n);
    return 0;
}

static int note_reserve(void *arg, const char *name) {
    uint64_t size = 0;
    int fd;
    char *path = mem_printf("%s/%s", test_tmpdir(), name);
    if (strcmp(name, "reserve") == 0 && file_open(path, O_RDONLY, 0, &fd) == 0) {
        CHECK_INT(file_size(fd, &size), 0);
        file_close(fd);
        *(uint64_t *)arg = size;
    }
    mem_free(path);
    return 0;
}

TEST (a_full_disk_gives_its_reserve_for_cleaning_up_and_takes_it_again) {
    Tsdb *db;
    TsdbOptions o = {.dir = test_tmpdir(),
                     .block_range_ms = RANGE,
                     .journal_segment_bytes = 4096,
                     .reserve_bytes = 1 << 20};
    SmallDisk disk = {0};
    uint64_t reserve = 0;
    TsdbStats st;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    log_set_fd(open("/dev/null", O_WRONLY));
    CHECK_INT(tsdb_open(&o, &db, NULL), 0);
    fill(db, 3, 0, 4 * RANGE, 1000);
    CHECK_INT(file_each_name(test_tmpdir(), note_reserve, &reserve), 0);
    CHECK_INT(reserve, 1 << 20);
    file_fault_set(little_room, &disk);
    atomic_store(&disk.on, true);
    CHECK_INT(append_step(db, 3, 4 * RANGE, value_at), -ENOSPC);
    CHECK_INT(tsdb_maintain(db), -ENOSPC);
    atomic_store(&disk.on, false);
    CHECK_INT(append_step(db, 3, 4 * RANGE, value_at), 0);
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_stats(db, &st);
    CHECK(st.blocks >= 1);
    file_fault_set(NULL, NULL);
    CHECK_INT(count(db, 0, value_at), 3 * 241);
    CHECK_INT(file_each_name(test_tmpdir(), note_reserve, &reserve), 0);
    CHECK_INT(reserve, 1 << 20);
    tsdb_close(db);
}

/* ---- a long journal */

TEST (what_is_in_durable_full_chunks_leaves_the_journal) {
    Tsdb *db = open_in(test_tmpdir());
    TsdbStats st;
    uint64_t most = 0;
    for (int64_t t = 0; t < 20 * RANGE; t += 250) {
        CHECK_INT(append_step(db, t < 30000 ? 9 : 8, t, value_at), 0); /* one ends early */
        if (t % 5000 == 0) {
            CHECK_INT(tsdb_maintain(db), 0);
            tsdb_stats(db, &st);
            most = MAX(most, st.journal_bytes);
        }
        if (t % 97000 == 0) {
            tsdb_close(db);
            db = open_in(test_tmpdir());
            CHECK_INT(count(db, 0, value_at), MIN(t / 250 + 1, 120) + 8 * (t / 250 + 1));
        }
    }
    CHECK(most < 24000); /* a range alone is three times as much */
    tsdb_close(db);
    db = open_in(test_tmpdir());
    CHECK_INT(count(db, 0, value_at), 120 + 8 * 4800);
    tsdb_close(db);
}

/* ---- what a power loss leaves of the journal */

/* Method: of the only segment every beginning is kept in turn. */
TEST (of_every_beginning_of_the_journal_whole_commits_come_back_and_no_part_of_one) {
    CLEANUP(buf_deinit) Buf whole = {0};
    char *path = mem_printf("%s/journal/00000001", test_tmpdir());
    Tsdb *db = open_in(test_tmpdir());
    fill(db, 4, 0, 10000, 1000);
    tsdb_close(db);
    CHECK_INT(file_read_whole(path, 1 << 20, &whole), 0);
    size_t last = 0;
    for (size_t n = 0; n <= whole.n; n++) {
        CHECK_INT(file_remove_tree(test_tmpdir()), 0);
        char *folder = mem_printf("%s/journal", test_tmpdir());
        CHECK_INT(file_make_folder(folder), 0);
        mem_free(folder);
        CHECK_INT(file_write_durable(path, whole.p, n, 0666), 0);
        db = open_in(test_tmpdir());
        size_t have = count(db, 0, value_at);
        CHECK_INT(have % 4, 0);
        CHECK(have >= last);
        last = have;
        tsdb_close(db);
    }
    CHECK_INT(last, 40);
    mem_free(path);
}
