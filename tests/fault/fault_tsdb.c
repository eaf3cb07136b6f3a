/*
 * Goal: no failing write, fsync, rename, allocation, open or unlink makes the database lose what it
 * acknowledged, or unreadable. Method: the n-th operation of a kind fails, once or from then on,
 * for n = 1, 2, 3 ... over a fixed run of appends, cuts, compactions; what commits acknowledged
 * must be there, before and after reopening without faults, and nothing with a wrong value.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)
#define STEPS 600
#define STEPS_SHORT 80
#define SERIES 3

static char dir[64];
static bool acknowledged[STEPS];
static int steps; /* of this run; with STEPS_SHORT all stays in journal and head */

static TsdbOptions options(void) {
    return (TsdbOptions){.dir = dir,
                         .block_range_ms = RANGE,
                         .block_range_max_ms = 3 * RANGE,
                         .journal_segment_bytes = 4096,
                         .sync_interval_ms = 1000,
                         .replay_threads = 1};
}

static double value_at(int series, int64_t t) { return (double)t / 3 + series; }

/* From "s12". */
static int number_of(Labels l) {
    Str s = labels_get(l, STR("series"));
    int n = 0;
    for (size_t i = 1; i < s.n; i++) {
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

static int append_step(Tsdb *db, int64_t t) {
    Appender *a;
    int r = storage_appender(tsdb_storage(db), &a);
    for (int i = 0; r == 0 && i < SERIES; i++) {
        char name[16];
        SeriesRef ref = 0;
        snprintf(name, sizeof(name), "s%d", i);
        Label l[2] = {{LABEL_NAME, STR("m")}, {STR("series"), str_of(name)}};
        r = appender_append(a, &ref, (Labels){l, 2}, t, value_at(i, t));
        if (r != 0) {
            appender_rollback(a);
            return r;
        }
    }
    return appender_commit(a);
}

/* What the querier gives of one series: no wrong value, every acknowledged one. */
static bool check_series(const Series *s, SampleIter *it) {
    SampleRun run;
    int number = number_of(s->labels);
    bool seen[STEPS] = {false};
    int r;
    while ((r = sample_iter_next(it, &run)) > 0) {
        for (uint32_t i = 0; i < run.n; i++) {
            if (run.t[i] % 1000 || run.t[i] < 0 || run.t[i] >= STEPS * 1000 ||
                double_bits(run.f[i]) != double_bits(value_at(number, run.t[i]))) {
                return false;
            }
            seen[run.t[i] / 1000] = true;
        }
    }
    for (int i = 0; i < STEPS; i++) {
        if (acknowledged[i] && !seen[i]) {
            printf("# step %d of series %d is missing\n", i, number);
            return false;
        }
    }
    return r == 0;
}

static bool check_all(Tsdb *db) {
    Querier *q;
    SeriesSet *set;
    Series s;
    Matcher m;
    int n = 0, any = 0;
    bool good = true;
    matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL);
    for (int i = 0; i < STEPS; i++) {
        any += acknowledged[i];
    }
    if (storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q) < 0) {
        return false;
    }
    if (querier_select(q, &m, 1, NULL, NULL, &set) < 0) {
        querier_close(q);
        return false;
    }
    while (series_set_next(set, &s) > 0) {
        SampleIter *it = series_set_iter(set, &s, NULL);
        good &= check_series(&s, it);
        sample_iter_free(it);
        n++;
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    return good && (n == SERIES || any == 0);
}

/* The run under faults; it may be refused anything. */
static bool run_steps(void) {
    Tsdb *db;
    TsdbOptions o = options();
    if (tsdb_open(&o, &db, NULL) < 0) {
        return true;
    }
    for (int i = 0; i < steps; i++) {
        acknowledged[i] = append_step(db, i * 1000) == 0;
        if (i % 45 == 44) {
            (void)tsdb_maintain(db); /* it may fail; the samples must not suffer */
        }
    }
    file_fault_set(NULL, NULL);
    bool good = check_all(db);
    tsdb_close(db);
    return good;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static bool reopen_and_check(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    if (tsdb_open(&o, &db, &problem) < 0) {
        printf("# reopening: %s\n", problem.text);
        return false;
    }
    bool good = check_all(db) && append_step(db, STEPS * 1000) == 0 && tsdb_maintain(db) == 0;
    tsdb_close(db);
    return good;
}

/* *ret_reached: the run had an nth operation of the kind. */
static bool one_fault(FileOp op, unsigned nth, bool forever, bool *ret_reached) {
    FileFaultPlan plan = {.op = op,
                          .nth = nth,
                          .error = op == FILE_OP_WRITE ? -ENOSPC : -EIO,
                          .bytes = 5,
                          .forever = forever};
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    memset(acknowledged, 0, sizeof(acknowledged));
    file_fault_set(file_fault_plan, &plan);
    bool good = run_steps();
    file_fault_set(NULL, NULL);
    *ret_reached = plan.seen >= nth;
    if (!good) {
        printf("# the running database is wrong\n");
    }
    if (good && !reopen_and_check()) {
        printf("# the reopened database is wrong\n");
        good = false;
    }
    return good;
}

static bool all_of_kind(FileOp op, const char *name, bool forever, unsigned *ret_n) {
    bool reached = true;
    for (unsigned n = 1; reached; n += 1 + (steps == STEPS ? n / 4 : n / 16)) {
        *ret_n = n;
        if (!one_fault(op, n, forever, &reached)) {
            printf("# %s number %u%s\n", name, n, forever ? " and all after it" : "");
            return false;
        }
    }
    return true;
}

int main(void) {
    static const struct {
        FileOp op;
        const char *name;
    } kinds[] = {{FILE_OP_WRITE, "write"},         {FILE_OP_SYNC, "fsync"},
                 {FILE_OP_RENAME, "rename"},       {FILE_OP_OPEN, "open"},
                 {FILE_OP_ALLOCATE, "allocation"}, {FILE_OP_UNLINK, "unlink"}};
    int number = 0, failed = 0;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    log_set_fd(open("/dev/null", O_WRONLY));
    snprintf(dir, sizeof(dir), "/tmp/narthex-fault-XXXXXX");
    if (!mkdtemp(dir)) {
        return 2;
    }
    printf("1..%zu\n", ARRAY_LEN(kinds) * 3);
    for (size_t i = 0; i < ARRAY_LEN(kinds) * 3; i++) {
        unsigned n = 0;
        bool forever = i % 3 == 1;
        steps = i % 3 == 2 ? STEPS_SHORT : STEPS;
        bool good = all_of_kind(kinds[i / 3].op, kinds[i / 3].name, forever, &n);
        failed += !good;
        printf("%s %d - %s fails%s in a run of %d steps, up to number %u\n", good ? "ok" : "not ok",
               ++number, kinds[i / 3].name, forever ? " for good" : " once", steps, n);
        fflush(stdout);
    }
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return failed != 0;
}
