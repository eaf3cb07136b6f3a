/*
 * Goal: ten million samples come back bit for bit, through journal, head, blocks and merges, and
 * after starts in between. Method: 1,000 series of ten behaviours over 10,000 steps of 15 s,
 * maintenance every half hour of their time, two starts; then every sample is read and held against
 * what it must be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/tsdb.h"

#define SERIES 1000
#define STEPS 10000
#define INTERVAL 15000
#define START INT64_C(1700000000000)

static char dir[64];

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double value_at(int series, int64_t step) {
    uint64_t r = mix((uint64_t)series << 32 | (uint64_t)step);
    switch (series % 10) {
    case 0: return series;
    case 1: return (double)(step * 1500 + series);
    case 2: return (double)(step * 1500) + (double)(r % 300);
    case 3: return (double)(r % 100000) / 100;
    case 4: return (double)(r % 1000) / 1000 + (double)step;
    case 5: return double_of_bits(r >> 12 | UINT64_C(0x3ff) << 52);
    case 6: return step % 100 == 99 ? stale_nan() : (double)(step / 7);
    case 7: return (double)(step % 50) / 3;
    case 8: return step % 2 ? -0.0 : 1e300 / (double)(step + 1);
    default: return (double)(r >> 40) * 1e-9;
    }
}

static int64_t time_at(int64_t step) { return START + step * INTERVAL; }

static Tsdb *open_db(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = {.dir = dir};
    if (tsdb_open(&o, &db, &problem) < 0) {
        printf("# %s\n", problem.text);
        exit(1);
    }
    return db;
}

static int append_step(Tsdb *db, SeriesRef *refs, int64_t step) {
    Appender *a;
    int r = storage_appender(tsdb_storage(db), &a);
    for (int i = 0; r == 0 && i < SERIES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%04d", i);
        Label l[2] = {{LABEL_NAME, STR("m")}, {STR("series"), str_of(name)}};
        r = appender_append(a, &refs[i], (Labels){l, 2}, time_at(step), value_at(i, step));
        if (r == APPEND_UNKNOWN_REF) {
            refs[i] = 0;
            r = appender_append(a, &refs[i], (Labels){l, 2}, time_at(step), value_at(i, step));
        }
    }
    return r == 0 ? appender_commit(a) : r;
}

static bool write_all(void) {
    SeriesRef refs[SERIES] = {0};
    Tsdb *db = open_db();
    bool good = true;
    for (int64_t step = 0; good && step < STEPS; step++) {
        good = append_step(db, refs, step) == 0 && (step % 120 || tsdb_maintain(db) == 0);
        if (step == STEPS / 3 || step == STEPS - 50) {
            tsdb_close(db);
            db = open_db();
            memset(refs, 0, sizeof(refs));
        }
    }
    tsdb_close(db);
    return good;
}

static bool check_run(const SampleRun *run, int series, int64_t *step) {
    for (uint32_t i = 0; i < run->n; i++, ++*step) {
        if (run->t[i] != time_at(*step) ||
            double_bits(run->f[i]) != double_bits(value_at(series, *step))) {
            printf("# series %d is wrong at step %lld\n", series, (long long)*step);
            return false;
        }
    }
    return true;
}

static bool read_all(void) {
    Tsdb *db = open_db();
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    int series = 0;
    bool good = true;
    SelectHints hints = {.mint = 0, .maxt = TIME_MAX_MS, .sorted = true};
    matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL);
    if (storage_querier(tsdb_storage(db), 0, TIME_MAX_MS, &q) < 0 ||
        querier_select(q, &m, 1, &hints, NULL, &set) < 0) {
        return false;
    }
    SampleIter *it = NULL;
    for (; good && series_set_next(set, &s) > 0; series++) {
        int64_t step = 0;
        it = series_set_iter(set, &s, it);
        while (good && sample_iter_next(it, &run) > 0) {
            good = check_run(&run, series, &step);
        }
        good = good && step == STEPS;
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    tsdb_close(db);
    return good && series == SERIES;
}

int main(void) {
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    snprintf(dir, sizeof(dir), "/tmp/narthex-volume-XXXXXX");
    if (!mkdtemp(dir)) {
        return 2;
    }
    printf("1..1\n");
    bool good = write_all() && read_all();
    printf("%s 1 - %d samples come back bit for bit\n", good ? "ok" : "not ok", SERIES * STEPS);
    return (file_remove_tree(dir) < 0) | !good;
}
