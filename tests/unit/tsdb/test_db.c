/* The whole database: what was appended is there after reopening, cutting, compaction; limits hold.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "support/test.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000) /* a small range makes many blocks of few samples */

static TsdbOptions options(void) {
    return (TsdbOptions){.dir = test_tmpdir(),
                         .block_range_ms = RANGE,
                         .block_range_max_ms = 9 * RANGE,
                         .sync_interval_ms = 20,
                         .journal_segment_bytes = 16384,
                         .replay_threads = 2};
}

static Tsdb *open_db(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    int r = tsdb_open(&o, &db, &problem);
    if (r < 0) {
        printf("# %s\n", problem.text);
    }
    CHECK_INT(r, 0);
    return db;
}

static double value_at(int series, int64_t t) { return (double)(t / 1000 % 977) + series * 0.25; }

/* From "s12". */
static int number_of(Labels l) {
    Str s = labels_get(l, STR("series"));
    int n = 0;
    for (size_t i = 1; i < s.n; i++) {
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

static int append_step(Tsdb *db, int n_series, int64_t t) {
    Appender *a;
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    for (int i = 0; i < n_series; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        Label l[2] = {{LABEL_NAME, STR("m")}, {STR("series"), str_of(name)}};
        SeriesRef ref = 0;
        int r = appender_append(a, &ref, (Labels){l, 2}, t, value_at(i, t));
        if (r != APPEND_OK) {
            appender_rollback(a);
            return r;
        }
    }
    return appender_commit(a);
}

/* Every sample from `from` in steps of 1 s below `to` of each series, bit for bit, and no other. */
static void check_all(Tsdb *db, int n_series, int64_t from, int64_t to) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    int seen = 0;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    CHECK_INT(storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q), 0);
    SelectHints hints = {.mint = TIME_MIN_MS, .maxt = TIME_MAX_MS, .sorted = true};
    CHECK_INT(querier_select(q, &m, 1, &hints, NULL, &set), 0);
    while (series_set_next(set, &s) > 0) {
        int number = number_of(s.labels);
        int64_t t = from;
        SampleIter *it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++, t += 1000) {
                CHECK_INT(run.t[i], t);
                CHECK_DOUBLE(run.f[i], value_at(number, t));
            }
        }
        sample_iter_free(it);
        CHECK_INT(t, to);
        seen++;
    }
    CHECK_INT(seen, n_series);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

TEST (what_was_appended_is_there_after_reopening) {
    Tsdb *db = open_db();
    for (int64_t t = 0; t < 500000; t += 1000) {
        CHECK_INT(append_step(db, 20, t), 0);
    }
    check_all(db, 20, 0, 500000);
    tsdb_close(db);
    db = open_db();
    check_all(db, 20, 0, 500000);
    tsdb_close(db);
}

TEST (cutting_and_compaction_lose_and_double_nothing) {
    Tsdb *db = open_db();
    TsdbStats st;
    for (int64_t t = 0; t < 30 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 5, t), 0);
        if (t % 30000 == 0) {
            CHECK_INT(tsdb_maintain(db), 0);
        }
        if (t % (7 * RANGE) == 0) {
            check_all(db, 5, 0, t + 1000);
        }
    }
    tsdb_stats(db, &st);
    CHECK(st.blocks >= 3 && st.blocks < 15);
    CHECK(st.journal_bytes < 100000);
    CHECK_INT(st.lowest_time, 0);
    check_all(db, 5, 0, 30 * RANGE);
    tsdb_close(db);
    db = open_db();
    check_all(db, 5, 0, 30 * RANGE);
    CHECK_INT(append_step(db, 5, 30 * RANGE), 0);
    check_all(db, 5, 0, 30 * RANGE + 1000);
    tsdb_close(db);
}

TEST (retention_by_time_drops_old_blocks) {
    Tsdb *db = open_db();
    TsdbStats st;
    tsdb_set_retention(db, 10 * RANGE, 0);
    for (int64_t t = 0; t < 40 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 2, t), 0);
        if (t % 30000 == 0) {
            CHECK_INT(tsdb_maintain(db), 0);
        }
    }
    tsdb_stats(db, &st);
    CHECK(st.lowest_time >= 10 * RANGE);
    tsdb_set_retention(db, 0, 1);
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_stats(db, &st);
    CHECK_INT(st.blocks, 0);
    tsdb_close(db);
}

TEST (an_open_querier_sees_what_it_saw_over_a_cut) {
    Tsdb *db = open_db();
    Querier *q;
    Matcher m;
    SeriesSet *set;
    Series s;
    SampleRun run;
    for (int64_t t = 0; t < 3 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 3, t), 0);
    }
    CHECK_INT(storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q), 0);
    CHECK_INT(tsdb_maintain(db), 0);
    CHECK_INT(tsdb_maintain(db), 0);
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    size_t n = 0;
    while (series_set_next(set, &s) > 0) {
        SampleIter *it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            n += run.n;
        }
        sample_iter_free(it);
    }
    CHECK_INT(n, 3 * 180);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    tsdb_close(db);
}

TEST (a_snapshot_opens_as_a_database_of_its_own) {
    char name[64];
    Tsdb *db = open_db(), *copy;
    for (int64_t t = 0; t < 8 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 4, t), 0);
    }
    CHECK_INT(tsdb_maintain(db), 0);
    CHECK_INT(tsdb_snapshot(db, false, name), 0);
    CHECK_INT(append_step(db, 4, 8 * RANGE), 0);
    char *dir = mem_printf("%s/snapshots/%s", test_tmpdir(), name);
    TsdbOptions o = options();
    o.dir = dir;
    CHECK_INT(tsdb_open(&o, &copy, NULL), 0);
    check_all(copy, 4, 0, 8 * RANGE);
    tsdb_close(copy);
    tsdb_close(db);
    mem_free(dir);
}

TEST (a_folder_in_use_and_one_of_a_later_format_are_refused) {
    Tsdb *db = open_db(), *second;
    Problem problem = {0};
    TsdbOptions o = options();
    CHECK(tsdb_open(&o, &second, &problem) < 0);
    CHECK(strstr(problem.text, "another process"));
    tsdb_close(db);
    char *path = mem_printf("%s/format", test_tmpdir());
    CHECK_INT(file_write_durable(path, "narthex-tsdb 9\n", 15, 0666), 0);
    problem = (Problem){0};
    CHECK_INT(tsdb_open(&o, &second, &problem), -ENOTSUP);
    CHECK(strstr(problem.text, "format 9"));
    mem_free(path);
}

/* ---- threads */

typedef struct Load {
    Tsdb *db;
    int number;
    atomic_bool *stop;
    int64_t *upto;
} Load;

static void *append_load(void *arg) {
    Load *l = arg;
    char name[16];
    SeriesRef refs[50] = {0};
    for (int64_t t = 0; t < 12 * RANGE; t += 1000) {
        Appender *a;
        CHECK_INT(storage_appender(tsdb_storage(l->db), &a), 0);
        for (int i = 0; i < 50; i++) {
            snprintf(name, sizeof(name), "s%d", l->number * 50 + i);
            Label v[2] = {{LABEL_NAME, STR("m")}, {STR("series"), str_of(name)}};
            int r =
                appender_append(a, &refs[i], (Labels){v, 2}, t, value_at(l->number * 50 + i, t));
            if (r == APPEND_UNKNOWN_REF) {
                refs[i] = 0;
                r = appender_append(a, &refs[i], (Labels){v, 2}, t,
                                    value_at(l->number * 50 + i, t));
            }
            CHECK(r == APPEND_OK || r == APPEND_OUT_OF_BOUNDS);
        }
        CHECK_INT(appender_commit(a), 0);
    }
    return NULL;
}

static void *query_load(void *arg) {
    Load *l = arg;
    Matcher m;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    while (!atomic_load(l->stop)) {
        Querier *q;
        SeriesSet *set;
        Series s;
        SampleRun run;
        SampleIter *it = NULL;
        CHECK_INT(storage_querier(tsdb_storage(l->db), TIME_MIN_MS, TIME_MAX_MS, &q), 0);
        CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
        while (series_set_next(set, &s) > 0) {
            int number = number_of(s.labels);
            it = series_set_iter(set, &s, it);
            while (sample_iter_next(it, &run) > 0) {
                for (uint32_t i = 0; i < run.n; i++) {
                    CHECK_DOUBLE(run.f[i], value_at(number, run.t[i]));
                }
            }
        }
        if (it) {
            sample_iter_free(it);
        }
        series_set_free(set);
        querier_close(q);
    }
    matcher_deinit(&m);
    return NULL;
}

static void *maintain_load(void *arg) {
    Load *l = arg;
    while (!atomic_load(l->stop)) {
        CHECK_INT(tsdb_maintain(l->db), 0);
    }
    return NULL;
}

TEST (appending_querying_and_maintaining_at_once) {
    Tsdb *db = open_db();
    atomic_bool stop = false;
    Load loads[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        loads[i] = (Load){.db = db, .number = i, .stop = &stop};
    }
    pthread_create(&threads[2], NULL, query_load, &loads[2]);
    pthread_create(&threads[3], NULL, maintain_load, &loads[3]);
    pthread_create(&threads[0], NULL, append_load, &loads[0]);
    pthread_create(&threads[1], NULL, append_load, &loads[1]);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    atomic_store(&stop, true);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    TsdbStats st;
    tsdb_stats(db, &st);
    CHECK_INT(st.head_series, 100);
    CHECK(st.blocks > 0);
    tsdb_close(db);
}

static int find_block(void *arg, const char *name) {
    if (strlen(name) == 26) {
        snprintf(arg, 64, "%s", name);
    }
    return 0;
}

TEST (a_damaged_block_is_left_out_and_queries_say_so) {
    Tsdb *db = open_db();
    char name[64] = "";
    for (int64_t t = 0; t < 3 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 3, t), 0);
    }
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_close(db);
    CHECK_INT(file_each_name(test_tmpdir(), find_block, name), 0);
    CHECK(name[0]);
    char *path = mem_printf("%s/%s/block.mdb", test_tmpdir(), name);
    CHECK_INT(truncate(path, 5000), 0);
    mem_free(path);
    log_set_fd(open("/dev/null", O_WRONLY));
    db = open_db();
    Querier *q;
    SeriesSet *set;
    Series s;
    Matcher m;
    Arena arena = ARENA_INIT(0);
    Warnings w = {.arena = &arena};
    int n = 0;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    CHECK_INT(storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, &w, &set), 0);
    while (series_set_next(set, &s) > 0) {
        n++;
    }
    CHECK_INT(n, 3);
    CHECK_INT(w.list.n, 1);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    warnings_free(&w);
    arena_deinit(&arena);
    tsdb_close(db);
}

TEST (maintenance_that_is_told_to_stop_leaves_all_in_place) {
    Tsdb *db = open_db();
    TsdbStats st;
    for (int64_t t = 0; t < 6 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 3, t), 0);
    }
    tsdb_stop_maintenance(db);
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_stats(db, &st);
    CHECK_INT(st.blocks, 0);
    check_all(db, 3, 0, 6 * RANGE);
    tsdb_close(db);
    db = open_db();
    check_all(db, 3, 0, 6 * RANGE);
    tsdb_close(db);
}

/* ULIDs rise with time. */
static int find_oldest(void *arg, const char *name) {
    char *oldest = arg;
    if (strlen(name) == 26 && (!oldest[0] || strcmp(name, oldest) < 0)) {
        snprintf(oldest, 64, "%s", name);
    }
    return 0;
}

static int count_bad(void *arg, const char *name) {
    size_t n = strlen(name);
    *(int *)arg += n > 4 && strcmp(name + n - 4, ".bad") == 0;
    return 0;
}

/* One byte in each page that the seal does not list: those hold the large values, so the samples.
 */
static void damage_samples(const char *name) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    char *path = mem_printf("%s/%s/block.mdb", test_tmpdir(), name);
    CHECK_INT(file_read_whole(path, 1 << 24, &b), 0);
    uint32_t n, page;
    uint64_t tree;
    memcpy(&n, b.p + b.n - 20, 4);
    memcpy(&tree, b.p + b.n - 16, 8);
    bool *listed = NEW_ARRAY(bool, tree / 4096);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&page, b.p + tree + (size_t)i * 8, 4);
        listed[page] = true;
    }
    int damaged = 0;
    for (size_t i = 0; i < tree / 4096; i++) {
        b.p[i * 4096 + 2000] ^= listed[i] ? 0 : 0x55;
        damaged += !listed[i];
    }
    CHECK(damaged > 0);
    CHECK_INT(file_write_durable(path, b.p, b.n, 0666), 0);
    mem_free(listed);
    mem_free(path);
}

/* Method: of blocks that were cut without compaction one gets wrong bytes where the samples are;
 * opening does not look at those, merging does. */
TEST (compaction_sets_a_damaged_block_aside_and_merges_the_others) {
    TsdbOptions o = options();
    Tsdb *db;
    TsdbStats st;
    char name[64] = "";
    int bad = 0;
    o.block_range_max_ms = RANGE; /* nothing to merge yet */
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    CHECK_INT(tsdb_open(&o, &db, NULL), 0);
    for (int64_t t = 0; t < 11 * RANGE; t += 1000) {
        CHECK_INT(append_step(db, 300, t), 0);
    }
    CHECK_INT(tsdb_maintain(db), 0);
    tsdb_stats(db, &st);
    CHECK(st.blocks >= 9);
    tsdb_close(db);
    log_set_fd(open("/dev/null", O_WRONLY));
    CHECK_INT(file_each_name(test_tmpdir(), find_oldest, name), 0);
    damage_samples(name);
    db = open_db();
    CHECK_INT(tsdb_maintain(db), 0);
    CHECK_INT(file_each_name(test_tmpdir(), count_bad, &bad), 0);
    CHECK_INT(bad, 1);
    uint64_t before = st.blocks;
    tsdb_stats(db, &st);
    CHECK(st.blocks < before - 2);
    tsdb_close(db);
}

TEST (series_are_counted_by_where_they_come_from) {
    Tsdb *db = open_db();
    Appender *a;
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    for (int i = 0; i < 60; i++) {
        char value[16];
        snprintf(value, sizeof(value), "v%02d", i);
        Label l[] = {{LABEL_NAME, i % 3 ? STR("a") : STR("b")},
                     {STR("instance"), i % 2 ? STR("h1") : STR("h2")},
                     {STR("job"), STR("j")},
                     {STR("part"), str_of(value)}};
        SeriesRef ref = 0;
        CHECK_INT(
            appender_append(a, &ref, (Labels){l, i < 50 ? 4 : 1}, i < 50 ? 1000 : 1000 + i, 1), 0);
    }
    CHECK_INT(appender_commit(a), 0);
    TsdbExplored e;
    Arena arena = ARENA_INIT(0);
    CHECK_INT(tsdb_explore(db, NULL, 0, 2, &arena, &e), 0);
    CHECK_INT(e.series, 52);
    CHECK_INT(e.metrics_all, 2);
    CHECK_INT(e.n_metrics, 2);
    CHECK_STR(e.metrics[0].name, STR("a"));
    CHECK_INT(e.metrics[0].series, 34);
    CHECK(e.growth_seconds == 0);
    CHECK_INT(e.n_labels, 2);
    CHECK_STR(e.labels[0].name, STR("part"));
    CHECK_INT(e.labels[0].values, 50);
    CHECK_INT(e.labels[0].series, 50);
    CHECK_INT(e.n_pairs, 2);
    CHECK_STR(e.pairs[0].name, STR("job"));
    CHECK_INT(e.pairs[0].series, 50);
    CHECK_INT(e.targets_all, 2);
    CHECK_INT(e.targets[0].series, 25);
    CHECK_STR(e.targets[0].job, STR("j"));
    Matcher m[2];
    CHECK_INT(matcher_init(&m[0], MATCH_EQ, STR("instance"), STR("h1"), NULL), 0);
    CHECK_INT(matcher_init(&m[1], MATCH_EQ, LABEL_NAME, STR("a"), NULL), 0);
    TsdbSelector sets[] = {{&m[0], 1}, {m, 2}}; /* the second selects nothing more */
    CHECK_INT(tsdb_explore(db, sets, 2, 10, &arena, &e), 0);
    CHECK_INT(e.series, 25);
    CHECK_INT(e.targets_all, 1);
    CHECK_STR(e.targets[0].instance, STR("h1"));
    CHECK_INT(tsdb_maintain(db), 0); /* remembers the counts */
    CHECK_INT(tsdb_explore(db, NULL, 0, 10, &arena, &e), 0);
    CHECK(e.growth_seconds > 0);
    CHECK_INT(e.metrics[0].growth, 0);
    arena_deinit(&arena);
    matcher_deinit(&m[0]);
    matcher_deinit(&m[1]);
    tsdb_close(db);
}
