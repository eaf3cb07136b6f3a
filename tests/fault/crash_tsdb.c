/*
 * Goal: kill -9 at any moment loses no acknowledged sample. Method: a child appends in two threads
 * while a third cuts, compacts and drops blocks; after each commit it writes what was acknowledged
 * into a pipe. The parent kills it at a random moment, reopens the database and looks for every
 * acknowledged sample, bit for bit, in the time that retention keeps. Prints its seed; usage:
 * crash_tsdb [rounds [seed]].
 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(20000)
#define THREADS 2
#define SERIES 20 /* a thread; every fifth commit makes a new one beside them */
#define STEP 500

static char dir[64];
static int round_number;

/* What the record of a commit says: thread and time; which series and values follow from them. */
typedef struct Ack {
    int64_t t;
    int32_t thread, series;
} Ack;

static TsdbOptions options(void) {
    return (TsdbOptions){.dir = dir,
                         .block_range_ms = RANGE,
                         .block_range_max_ms = 9 * RANGE,
                         .journal_segment_bytes = 32768,
                         .sync_interval_ms = 10,
                         .replay_threads = 2};
}

static double value_at(int thread, int series, int64_t t) {
    return (double)(t * 7 % 100003) / (series % 3 ? 1 : 8.1) + thread * 1000 + series;
}

typedef struct Load {
    Tsdb *db;
    int thread, pipe;
    int64_t start;
} Load;

static int append_one(Appender *a, int thread, int series, int64_t t) {
    char name[32], owner[16];
    SeriesRef ref = 0;
    snprintf(name, sizeof(name), "%d", series);
    snprintf(owner, sizeof(owner), "%d", thread);
    Label l[3] = {
        {LABEL_NAME, STR("crash")}, {STR("owner"), str_of(owner)}, {STR("series"), str_of(name)}};
    return appender_append(a, &ref, (Labels){l, 3}, t, value_at(thread, series, t));
}

static void *append_load(void *arg) {
    Load *l = arg;
    for (int64_t i = 0;; i++) {
        Appender *a;
        int64_t t = l->start + i * STEP;
        int r = storage_appender(tsdb_storage(l->db), &a);
        for (int s = 0; r == 0 && s < SERIES; s++) {
            r = append_one(a, l->thread, s, t);
        }
        int extra = i % 5 == 0 ? 1000 + (int)(t / STEP) : -1;
        if (r == 0 && extra >= 0) {
            r = append_one(a, l->thread, extra, t);
        }
        r = r < 0 ? r : r > 0 ? (appender_rollback(a), r) : appender_commit(a);
        if (r == 0) {
            Ack ack = {t, l->thread, extra};
            if (write(l->pipe, &ack, sizeof(ack)) != (ssize_t)sizeof(ack)) {
                _exit(3);
            }
        } else if (r != APPEND_OUT_OF_BOUNDS) {
            fprintf(stderr, "# append gave %d\n", r);
            _exit(4);
        }
    }
    return NULL;
}

/* Appends from `start` on until it is killed. */
static void child(int pipe, int64_t start) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    pthread_t threads[THREADS];
    Load loads[THREADS];
    if (tsdb_open(&o, &db, &problem) < 0) {
        fprintf(stderr, "# child: %s\n", problem.text);
        _exit(5);
    }
    for (int i = 0; i < THREADS; i++) {
        loads[i] = (Load){db, i, pipe, start};
        pthread_create(&threads[i], NULL, append_load, &loads[i]);
    }
    for (;;) {
        tsdb_set_retention(db, 60 * RANGE, 0);
        if (tsdb_maintain(db) < 0) {
            _exit(6);
        }
    }
}

/* ---- the parent */

static VEC(Ack) acks;

/* All samples of one series: those acknowledged must be among them, none may have a wrong value. */
static bool has_sample(Tsdb *db, int thread, int series, int64_t from, const int64_t *t, size_t n) {
    char name[32], owner[16];
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m[3];
    size_t at = 0;
    bool good = true;
    snprintf(name, sizeof(name), "%d", series);
    snprintf(owner, sizeof(owner), "%d", thread);
    matcher_init(&m[0], MATCH_EQ, LABEL_NAME, STR("crash"), NULL);
    matcher_init(&m[1], MATCH_EQ, STR("owner"), str_of(owner), NULL);
    matcher_init(&m[2], MATCH_EQ, STR("series"), str_of(name), NULL);
    while (at < n && t[at] < from) {
        at++;
    }
    if (storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q) < 0 ||
        querier_select(q, m, 3, NULL, NULL, &set) < 0) {
        return false;
    }
    while (series_set_next(set, &s) > 0) {
        SampleIter *it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++) {
                good &= double_bits(run.f[i]) == double_bits(value_at(thread, series, run.t[i]));
                if (at < n && run.t[i] > t[at]) {
                    good = false;
                }
                at += at < n && run.t[i] == t[at];
            }
        }
        sample_iter_free(it);
    }
    if (at < n || !good) {
        printf("# thread %d series %d: sample %zu of %zu at %lld is missing or wrong\n", thread,
               series, at, n, at < n ? (long long)t[at] : 0);
        good = false;
    }
    series_set_free(set);
    querier_close(q);
    for (int i = 0; i < 3; i++) {
        matcher_deinit(&m[i]);
    }
    return good;
}

static bool verify(int64_t *ret_newest) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    TsdbStats st;
    bool good = true;
    if (tsdb_open(&o, &db, &problem) < 0) {
        printf("# reopening: %s\n", problem.text);
        return false;
    }
    tsdb_stats(db, &st);
    *ret_newest = st.head_max_time == TIME_MIN_MS ? -STEP : st.head_max_time;
    for (int thread = 0; thread < THREADS; thread++) {
        int64_t *t = NEW_ARRAY(int64_t, acks.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < acks.n; i++) {
            if (acks.v[i].thread == thread) {
                t[n++] = acks.v[i].t;
                if (acks.v[i].series >= 0 && acks.v[i].t >= st.lowest_time && i % 7 == 0) {
                    good &=
                        has_sample(db, thread, acks.v[i].series, st.lowest_time, &acks.v[i].t, 1);
                }
            }
        }
        for (int s = 0; s < SERIES; s += 1 + round_number % 3) {
            good &= has_sample(db, thread, s, st.lowest_time, t, n);
        }
        mem_free(t);
    }
    tsdb_close(db);
    return good;
}

static void read_acks(int fd) {
    Ack a;
    ssize_t n;
    while ((n = read(fd, &a, sizeof(a))) != 0) {
        if (n == (ssize_t)sizeof(a)) {
            vec_push(&acks, a);
        } else if (n < 0 && errno != EINTR) {
            break;
        }
    }
}

static void *kill_later(void *arg) {
    const int64_t *what = arg;
    usleep((useconds_t)what[1]);
    kill((pid_t)what[0], SIGKILL);
    return NULL;
}

/* One life of the child, ended after some milliseconds. False: it ended by itself. */
static bool one_life(int64_t start, useconds_t us) {
    int p[2], status;
    pthread_t killer;
    if (pipe(p) < 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        child(p[1], start);
    }
    close(p[1]);
    int64_t what[2] = {pid, us};
    pthread_create(&killer, NULL, kill_later, what);
    read_acks(p[0]);
    pthread_join(killer, NULL);
    close(p[0]);
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 200;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : random_u64();
    Rng rng;
    rng_init(&rng, seed);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    snprintf(dir, sizeof(dir), "/tmp/narthex-crash-XXXXXX");
    if (!mkdtemp(dir)) {
        return 2;
    }
    printf("# seed %llu\n1..1\n", (unsigned long long)seed);
    int64_t newest = -STEP;
    bool good = true;
    for (round_number = 0; good && round_number < rounds; round_number++) {
        good =
            one_life(newest + STEP, 1000 + (useconds_t)rng_below(&rng, 60000)) && verify(&newest);
        if (round_number % 20 == 19) {
            /* Old acknowledgements are behind retention anyway; looking for them takes time. */
            size_t drop = acks.n > 20000 ? acks.n - 20000 : 0;
            memmove(acks.v, acks.v + drop, (acks.n - drop) * sizeof(*acks.v));
            acks.n -= drop;
        }
    }
    printf(
        "%s 1 - %d rounds of kill -9 lose no acknowledged sample (%zu acknowledged commits kept)\n",
        good ? "ok" : "not ok", round_number, acks.n);
    vec_free(&acks);
    if (good) {
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } else {
        printf("# round %d, database left in %s\n", round_number - 1, dir);
    }
    return !good;
}
