/*
 * Goal: a process that dies at any call that changes a file loses no acknowledged sample. Method:
 * a child with die_at_call preloaded appends, cuts, merges, drops old blocks, deletes nothing and
 * takes snapshots; it tells in shared memory what was acknowledged. It is killed at its n-th call,
 * n random, at every other time with half of a write done; then the next child goes on with what is
 * there, so that starts die too. In between the database is opened and held against the promise:
 * every acknowledged sample within retention, bit for bit, none with another value.
 *
 * crash_calls LIBRARY [ROUNDS [SEED]]; prints its seed.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)
#define STEP 1000
#define SERIES 4
#define CALLS_MAX 500 /* a life */
#define KEPT (20 * RANGE)

/* Between parent and child. */
typedef struct Shared {
    _Atomic int64_t next; /* steps before it are acknowledged */
} Shared;

static char dir[64], shared_path[96];
static Shared *shared;

static TsdbOptions options(void) {
    return (TsdbOptions){.dir = dir,
                         .retention_ms = KEPT,
                         .block_range_ms = RANGE,
                         .block_range_max_ms = 9 * RANGE,
                         .journal_segment_bytes = 8192,
                         .sync_interval_ms = 5,
                         .reserve_bytes = 65536,
                         .replay_threads = 2};
}

static double value_at(int series, int64_t t) { return (double)(t % 99991) / (series + 1); }

static Labels labels_of(int series, Label l[2], char text[32]) {
    snprintf(text, 32, "s%d", series);
    l[0] = (Label){LABEL_NAME, STR("m")};
    l[1] = (Label){STR("series"), str_of(text)};
    return (Labels){l, 2};
}

static int number_of(Labels l) {
    Str s = labels_get(l, STR("series"));
    int n = 0;
    for (size_t i = 1; i < s.n; i++) {
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

/* Some series are always there, another one every ten steps is new. */
static int append_step(Tsdb *db, int64_t step) {
    Appender *a;
    Label l[2];
    char text[32];
    int r = storage_appender(tsdb_storage(db), &a);
    for (int i = 0; r == 0 && i <= SERIES; i++) {
        int series = i < SERIES ? i : 100 + (int)(step / 10);
        SeriesRef ref = 0;
        r = appender_append(a, &ref, labels_of(series, l, text), step * STEP,
                            value_at(series, step * STEP));
        if (r != 0) {
            appender_rollback(a);
        }
    }
    return r != 0 ? r : appender_commit(a);
}

static int live(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    if (tsdb_open(&o, &db, &problem) < 0) {
        fprintf(stderr, "# child: %s\n", problem.text);
        return 5;
    }
    for (;;) {
        int64_t step = atomic_load(&shared->next);
        int r = append_step(db, step);
        if (r != 0) {
            fprintf(stderr, "# child: append gave %d\n", r);
            return 6;
        }
        atomic_store(&shared->next, step + 1);
        if (step % 40 == 0 && tsdb_maintain(db) < 0) {
            return 7;
        }
        char name[64];
        if (step % 150 == 149 && tsdb_snapshot(db, step % 300 == 149, name) < 0) {
            return 8;
        }
    }
}

/* ---- the parent */

static bool map_shared(void) {
    int fd = open(shared_path, O_RDWR | O_CREAT, 0600);
    void *p = fd < 0 || ftruncate(fd, 4096) < 0
                  ? MAP_FAILED
                  : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    shared = p;
    return p != MAP_FAILED;
}

static bool one_life(const char *self, const char *library, uint64_t n, bool half) {
    char number[32];
    int status;
    snprintf(number, sizeof(number), "%llu", (unsigned long long)n);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("LD_PRELOAD", library, 1);
        setenv("DIE_AT_CALL", number, 1);
        setenv("DIE_HALF", half ? "1" : "0", 1);
        execl(self, self, "live", dir, shared_path, (char *)NULL);
        _exit(9);
    }
    bool killed =
        waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed) {
        printf("# the child ended by itself: status %x\n", status);
    }
    return killed;
}

/* Samples of a series against the promise: from the oldest that retention keeps. */
static bool check_series(const Series *s, SampleIter *it, int64_t from, int64_t next) {
    int number = number_of(s->labels);
    int64_t want = from;
    SampleRun run;
    int r;
    while ((r = sample_iter_next(it, &run)) > 0) {
        for (uint32_t i = 0; i < run.n; i++) {
            if (double_bits(run.f[i]) != double_bits(value_at(number, run.t[i]))) {
                printf("# series %d has a wrong value at %lld\n", number, (long long)run.t[i]);
                return false;
            }
            if (number < SERIES && run.t[i] >= want) {
                if (run.t[i] != want) {
                    break;
                }
                want += STEP;
            }
        }
    }
    if (r < 0 || (number < SERIES && want < next * STEP)) {
        printf("# series %d lacks %lld (error %d)\n", number, (long long)want, r);
        return false;
    }
    return true;
}

static bool check(Tsdb *db) {
    Querier *q;
    SeriesSet *set;
    Series s;
    Matcher m;
    TsdbStats st;
    int64_t next = atomic_load(&shared->next);
    int seen = 0;
    bool good = true;
    tsdb_stats(db, &st);
    int64_t from = MAX(0, (st.lowest_time + STEP - 1) / STEP * STEP);
    if (next > 0 && (st.lowest_time == TIME_MAX_MS || from > MAX(0, next * STEP - KEPT))) {
        printf("# nothing is older than %lld\n", (long long)st.lowest_time);
        return false;
    }
    matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL);
    if (storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q) < 0 ||
        querier_select(q, &m, 1, NULL, NULL, &set) < 0) {
        return false;
    }
    while (series_set_next(set, &s) > 0) {
        SampleIter *it = series_set_iter(set, &s, NULL);
        seen += number_of(s.labels) < SERIES;
        good &= check_series(&s, it, from, next);
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    return good && (seen == SERIES || next == 0);
}

static bool reopen_and_check(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    if (tsdb_open(&o, &db, &problem) < 0) {
        printf("# reopening: %s\n", problem.text);
        return false;
    }
    bool good = check(db);
    tsdb_close(db);
    return good;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int main(int argc, char **argv) {
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (argc == 4 && strcmp(argv[1], "live") == 0) {
        snprintf(dir, sizeof(dir), "%s", argv[2]);
        snprintf(shared_path, sizeof(shared_path), "%s", argv[3]);
        return map_shared() ? live() : 4;
    }
    if (argc < 2) {
        return 2;
    }
    int rounds = argc > 2 ? atoi(argv[2]) : 60;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : random_u64();
    Rng rng;
    rng_init(&rng, seed);
    snprintf(dir, sizeof(dir), "/tmp/narthex-calls-XXXXXX");
    if (!mkdtemp(dir)) {
        return 2;
    }
    snprintf(shared_path, sizeof(shared_path), "%s.shared", dir);
    printf("# seed %llu\n1..1\n", (unsigned long long)seed);
    bool good = map_shared();
    int round = 0;
    for (; good && round < rounds; round++) {
        uint64_t n = 1 + rng_below(&rng, CALLS_MAX);
        good = one_life("/proc/self/exe", argv[1], n, round % 2) &&
               (round % 3 == 2 || reopen_and_check());
        if (!good) {
            printf("# round %d, call %llu\n", round, (unsigned long long)n);
        }
    }
    printf("%s 1 - %d deaths at a call lose nothing (%lld steps acknowledged)\n",
           good ? "ok" : "not ok", round, (long long)atomic_load(&shared->next));
    (void)!unlink(shared_path);
    if (good) {
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } else {
        printf("# database left in %s\n", dir);
    }
    return !good;
}
