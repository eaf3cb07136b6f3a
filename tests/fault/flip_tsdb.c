/*
 * Goal: no byte of a database that turns bad makes the program crash, hang or give a wrong value.
 * Method: a small database with blocks, a journal, a checkpoint and full chunks of the head; in
 * copies of it one byte is changed, or a file is cut off, or a sector of it is zeros as after a
 * power loss; the copy is opened, read whole,
 * maintained. It may be refused and samples may be missing, none may be wrong. In journal and
 * chunks of the head, where a good copy of the samples exists twice, a flip in the chunks loses
 * nothing.
 *
 * flip_tsdb [FLIPS [SEED]]; FLIPS 0 tries every byte. Prints its seed.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/vec.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)
#define SERIES 3
#define STEPS 340
#define SECTOR 512
#define FILE_MAX_BYTES (64u << 20)

typedef struct OneFile {
    char path[256]; /* below the folder */
    Buf bytes;
} OneFile;

static char dir[64];
static VEC(OneFile) files;

static TsdbOptions options(void) {
    return (TsdbOptions){.dir = dir,
                         .block_range_ms = RANGE,
                         .block_range_max_ms = RANGE,
                         .journal_segment_bytes = 2048,
                         .replay_threads = 1};
}

static double value_at(int series, int64_t t) { return (double)(t % 7919) / (series + 3); }

static int number_of(Labels l) {
    Str s = labels_get(l, STR("series"));
    return s.n == 2 ? s.p[1] - '0' : -1;
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
    return r == 0 ? appender_commit(a) : r;
}

/* How many good samples; -1: one was wrong. */
static long count(Tsdb *db) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    long n = 0;
    matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL);
    int r = storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q);
    if (r == 0 && querier_select(q, &m, 1, NULL, NULL, &set) == 0) {
        while (n >= 0 && series_set_next(set, &s) > 0) {
            int number = number_of(s.labels);
            SampleIter *it = series_set_iter(set, &s, NULL);
            while (n >= 0 && sample_iter_next(it, &run) > 0) {
                for (uint32_t i = 0; i < run.n && n >= 0; i++) {
                    bool good = number >= 0 && number < SERIES && run.t[i] % 1000 == 0 &&
                                run.t[i] >= 0 && run.t[i] < STEPS * 1000 &&
                                double_bits(run.f[i]) == double_bits(value_at(number, run.t[i]));
                    n = good ? n + 1 : -1;
                }
            }
            sample_iter_free(it);
        }
        series_set_free(set);
    }
    if (r == 0) {
        querier_close(q);
    }
    matcher_deinit(&m);
    return n;
}

static bool make_database(void) {
    Tsdb *db;
    TsdbOptions o = options();
    if (tsdb_open(&o, &db, NULL) < 0) {
        return false;
    }
    bool good = true;
    for (int64_t i = 0; i < STEPS && good; i++) {
        good = append_step(db, i * 1000) == 0 && (i != 200 || tsdb_maintain(db) == 0);
    }
    good = good && count(db) == SERIES * STEPS;
    tsdb_close(db);
    return good;
}

static int take_file(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)ftw;
    OneFile f = {0};
    if (flag == FTW_F && strlen(path) - strlen(dir) < sizeof(f.path)) {
        snprintf(f.path, sizeof(f.path), "%s", path + strlen(dir));
        if (file_read_whole(path, FILE_MAX_BYTES, &f.bytes) < 0) {
            return 1;
        }
        vec_push(&files, f);
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static bool put_back(void) {
    char path[512];
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < files.n; i++) {
        int fd = -1;
        snprintf(path, sizeof(path), "%s%s", dir, files.v[i].path);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        bool good = file_make_folder(path) == 0;
        *slash = '/';
        good = good && file_open(path, O_WRONLY | O_CREAT, 0644, &fd) == 0 &&
               file_pwrite(fd, files.v[i].bytes.p, files.v[i].bytes.n, 0) == 0;
        file_close(fd);
        if (!good) {
            return false;
        }
    }
    return true;
}

/* What is opened, whatever it is. *ret_n: samples found; -2 when it was refused. */
static bool open_and_read(long *ret_n) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = options();
    *ret_n = -2;
    if (tsdb_open(&o, &db, &problem) < 0) {
        return problem.text[0] != '\0';
    }
    *ret_n = count(db);
    (void)tsdb_maintain(db); /* it may meet the damage; it must end */
    bool good = *ret_n >= 0 && count(db) >= 0;
    tsdb_close(db);
    return good;
}

typedef enum Harm { HARM_BYTE, HARM_CUT, HARM_SECTOR } Harm;

/* Returns from where on bytes were changed; `kept` has what they were. */
static size_t do_harm(OneFile *f, size_t at, uint8_t change, Harm harm, char kept[SECTOR]) {
    size_t from = harm == HARM_SECTOR ? at / SECTOR * SECTOR : at;
    size_t n = MIN(f->bytes.n - from, (size_t)SECTOR);
    memcpy(kept, f->bytes.p + from, n);
    if (harm == HARM_SECTOR) {
        memset(f->bytes.p + from, 0, n);
    } else {
        f->bytes.p[at] = (char)(f->bytes.p[at] ^ change);
    }
    return from;
}

static bool one_flip(size_t file, size_t at, uint8_t change, Harm harm) {
    OneFile *f = &files.v[file];
    size_t whole = f->bytes.n;
    long n = 0;
    char kept[SECTOR];
    bool cut = harm == HARM_CUT;
    size_t from = do_harm(f, at, change, harm, kept);
    f->bytes.n = cut ? at : whole;
    bool good = put_back();
    f->bytes.n = whole;
    memcpy(f->bytes.p + from, kept, MIN(whole - from, (size_t)SECTOR));
    good = good && open_and_read(&n);
    if (good && strstr(f->path, "head_chunks")) {
        good = n == SERIES * STEPS;
    }
    if (!good) {
        printf("# %s, byte %zu of %zu%s: %ld samples of %d\n", f->path, at, whole,
               cut ? ", cut off there" : "", n, SERIES * STEPS);
    }
    return good;
}

static bool all_bytes(void) {
    bool good = true;
    for (size_t i = 0; good && i < files.n; i++) {
        for (size_t at = 0; good && at < files.v[i].bytes.n; at++) {
            good = one_flip(i, at, (uint8_t)(1 << at % 8), HARM_BYTE);
        }
    }
    return good;
}

/* Files alike, whatever their size. */
static bool some_bytes(Rng *rng, int flips) {
    bool good = true;
    for (int i = 0; good && i < flips; i++) {
        size_t file = rng_below(rng, files.n);
        if (files.v[file].bytes.n > 0) {
            good = one_flip(file, rng_below(rng, files.v[file].bytes.n),
                            (uint8_t)(1 + rng_below(rng, 255)),
                            i % 10 == 9   ? HARM_CUT
                            : i % 10 == 8 ? HARM_SECTOR
                                          : HARM_BYTE);
        }
    }
    return good;
}

int main(int argc, char **argv) {
    int flips = argc > 1 ? atoi(argv[1]) : 250;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : random_u64();
    Rng rng;
    rng_init(&rng, seed);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    log_set_fd(open("/dev/null", O_WRONLY));
    snprintf(dir, sizeof(dir), "/tmp/narthex-flip-XXXXXX");
    if (!mkdtemp(dir)) {
        return 2;
    }
    printf("# seed %llu\n1..1\n", (unsigned long long)seed);
    bool good = make_database() && nftw(dir, take_file, 16, FTW_PHYS) == 0 && files.n > 4;
    good = good && (flips > 0 ? some_bytes(&rng, flips) : all_bytes());
    printf("%s 1 - bytes that turn bad in any of %zu files give no wrong value\n",
           good ? "ok" : "not ok", files.n);
    for (size_t i = 0; i < files.n; i++) {
        buf_deinit(&files.v[i].bytes);
    }
    vec_free(&files);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return !good;
}
