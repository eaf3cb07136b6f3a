/*
 * Old blocks in a coarser resolution: where windows and ranges meet, what functions over time see
 * is what they see of the samples themselves; a counter's increase is whole, resets and all. And
 * series are kept as long as their policy says.
 */
#include <math.h>

#include "base/log.h"
#include "base/mem.h"
#include "support/test.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)
#define SECOND INT64_C(1000)
#define SAMPLES 1500

static struct {
    int64_t t;
    double gauge, counter;
} samples[SAMPLES];
static size_t n_samples;
static uint64_t seed_state;

static uint64_t chance(uint64_t n) {
    seed_state = seed_state * 6364136223846793005u + 1442695040888963407u;
    return (seed_state >> 33) % n;
}

static Tsdb *open_db(void) {
    Tsdb *db;
    Problem p = {0};
    TsdbOptions o = {
        .dir = test_tmpdir(), .block_range_ms = RANGE, .block_range_max_ms = 9 * RANGE};
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    CHECK_INT(tsdb_open(&o, &db, &p), 0);
    return db;
}

static void append(Tsdb *db, const char *name, const char *job, int64_t t, double v) {
    Appender *a;
    SeriesRef ref = 0;
    Label l[] = {{LABEL_NAME, str_of(name)}, {STR("job"), str_of(job)}};
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, t, v), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
}

/* A gauge and a counter with resets, in irregular steps, with a gap now and then. */
static void fill(Tsdb *db, uint64_t seed) {
    int64_t t = 10 * RANGE;
    double counter = 5;
    seed_state = seed;
    n_samples = 0;
    while (n_samples < SAMPLES) {
        t += 1 + (int64_t)chance(2 * SECOND);
        t += chance(100) == 0 ? 25 * SECOND : 0;
        t += t % SECOND == 0; /* not on the edge of a window, where the ends differ */
        counter = chance(60) == 0 ? (double)chance(5) : counter + (double)chance(20);
        double gauge = (double)chance(1000) - 500;
        append(db, "gauge", "a", t, gauge);
        append(db, "counter", "a", t, counter);
        samples[n_samples].t = t;
        samples[n_samples].gauge = gauge;
        samples[n_samples++].counter = counter;
        if (n_samples % 50 == 0) {
            CHECK_INT(tsdb_maintain(db), 0);
        }
    }
}

static void set_policies(Tsdb *db, const DownsamplePolicy *v, size_t n) {
    TsdbPolicies *p = tsdb_policies_new();
    p->downsample = arena_dup(&p->arena, v, n * sizeof(*v));
    p->n_downsample = n;
    tsdb_set_policies(db, p);
    tsdb_policies_unref(p);
}

typedef struct Reading {
    int64_t t[200000];
    double v[200000];
    size_t n;
} Reading;
static Reading got;

static void read_series(Tsdb *db, const char *name, const char *func, int64_t range, int64_t mint,
                        int64_t maxt) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    SelectHints h = {.mint = mint, .maxt = maxt, .range_ms = range, .func = str_of(func)};
    got.n = 0;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, str_of(name), NULL), 0);
    CHECK_INT(storage_querier(tsdb_storage(db), mint, maxt, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, &h, NULL, &set), 0);
    while (series_set_next(set, &s) > 0) {
        CHECK_INT(s.labels.n, 2);
        SampleIter *it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++) {
                if (run.t[i] >= mint && run.t[i] <= maxt) {
                    CHECK(got.n == 0 || run.t[i] > got.t[got.n - 1]);
                    got.t[got.n] = run.t[i];
                    got.v[got.n++] = run.f[i];
                }
            }
        }
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

static double least(double x, double y) { return y < x ? y : x; }
static double largest(double x, double y) { return y > x ? y : x; }

/* All functions over time for the range that ends before `end`. */
static void check_over_time(Tsdb *db, int64_t end, int64_t range) {
    double min = INFINITY, max = -INFINITY, sum = 0, count = 0, x = 0;
    for (size_t i = 0; i < n_samples; i++) {
        if (samples[i].t >= end - range && samples[i].t < end) {
            min = least(min, samples[i].gauge);
            max = largest(max, samples[i].gauge);
            sum += samples[i].gauge;
            count++;
        }
    }
    read_series(db, "gauge", "min_over_time", range, end - range, end - 1);
    x = INFINITY;
    for (size_t i = 0; i < got.n; i++) {
        x = least(x, got.v[i]);
    }
    CHECK_DOUBLE(x, min);
    read_series(db, "gauge", "max_over_time", range, end - range, end - 1);
    x = -INFINITY;
    for (size_t i = 0; i < got.n; i++) {
        x = largest(x, got.v[i]);
    }
    CHECK_DOUBLE(x, max);
    read_series(db, "gauge", "avg_over_time", range, end - range, end - 1);
    CHECK_DOUBLE((double)got.n, count);
    x = 0;
    for (size_t i = 0; i < got.n; i++) {
        x += got.v[i];
    }
    CHECK(fabs(x - sum) < 1e-6);
}

static double grown(const double *v, size_t n, size_t stride) {
    double sum = 0;
    for (size_t i = 1; i < n; i++) {
        double x = v[i * stride], before = v[(i - 1) * stride];
        sum += x < before ? x : x - before;
    }
    return sum;
}

/* Across raw, fine and coarse blocks. */
static void check_counter(Tsdb *db, const char *func, int64_t range) {
    size_t n = 0;
    static double v[SAMPLES];
    for (size_t i = 0; i < n_samples; i++) {
        v[n++] = samples[i].counter;
    }
    double want = grown(v, n, 1);
    read_series(db, "counter", func, range, TIME_MIN_MS, TIME_MAX_MS);
    double have = grown(got.v, got.n, 1);
    /* A reset in the very sample between two blocks is the only thing that is not known. */
    CHECK(fabs(have - want) <= 0.02 * want);
}

/* At the end of a window a plain selector sees the last sample before it. */
static void check_last(Tsdb *db, int64_t end) {
    double want = NAN;
    for (size_t i = 0; i < n_samples && samples[i].t < end; i++) {
        want = samples[i].gauge;
    }
    read_series(db, "gauge", "", 0, end - 300 * SECOND, end - 1);
    CHECK(got.n > 0);
    CHECK_DOUBLE(got.v[got.n - 1], want);
}

static unsigned blocks_of(Tsdb *db, int64_t resolution) {
    Arena a = ARENA_INIT(0);
    TsdbBlockInfo *v;
    unsigned n = 0;
    for (size_t i = tsdb_blocks(db, &a, &v); i > 0; i--) {
        n += v[i - 1].resolution_ms == resolution;
    }
    arena_deinit(&a);
    return n;
}

static bool has_sample(int64_t from, int64_t to) {
    for (size_t i = 0; i < n_samples; i++) {
        if (samples[i].t >= from && samples[i].t < to) {
            return true;
        }
    }
    return false;
}

static void check_whole(Tsdb *db) {
    for (int64_t end = 11 * RANGE; end < samples[n_samples - 1].t; end += RANGE) {
        check_over_time(db, end, RANGE);
        check_over_time(db, end, 5 * RANGE);
        if (has_sample(end - RANGE, end)) {
            check_last(db, end);
        }
    }
    check_counter(db, "increase", 4 * RANGE);
    check_counter(db, "rate", 15 * SECOND);
}

TEST (functions_over_time_see_what_they_saw_of_the_samples) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        Tsdb *db = open_db();
        fill(db, seed);
        check_whole(db);
        DownsamplePolicy fine = {4 * RANGE, 10 * SECOND};
        set_policies(db, &fine, 1);
        CHECK_INT(tsdb_maintain(db), 0);
        CHECK(blocks_of(db, 10 * SECOND) > 0);
        check_whole(db);
        DownsamplePolicy both[] = {{4 * RANGE, 10 * SECOND}, {12 * RANGE, 60 * SECOND}};
        set_policies(db, both, 2);
        CHECK_INT(tsdb_maintain(db), 0);
        CHECK(blocks_of(db, 60 * SECOND) > 0 && blocks_of(db, 0) > 0);
        check_whole(db);
        tsdb_close(db);
        db = open_db();
        check_whole(db);
        tsdb_close(db);
        char *command = mem_printf("rm -rf '%s'/*", test_tmpdir());
        CHECK_INT(system(command), 0);
        mem_free(command);
    }
}

TEST (the_column_label_is_not_shown) {
    Tsdb *db = open_db();
    Arena a = ARENA_INIT(0);
    Warnings w = {.arena = &a};
    StrVec names = {0};
    Querier *q;
    fill(db, 7);
    DownsamplePolicy fine = {4 * RANGE, 10 * SECOND};
    set_policies(db, &fine, 1);
    CHECK_INT(tsdb_maintain(db), 0);
    CHECK_INT(storage_querier(tsdb_storage(db), 10 * RANGE, 12 * RANGE, &q), 0);
    CHECK_INT(q->ops->label_names(q, NULL, 0, 0, &a, &w, &names), 0);
    CHECK_INT(names.n, 2);
    CHECK_STR(names.v[0], LABEL_NAME);
    CHECK_STR(names.v[1], STR("job"));
    vec_free(&names);
    querier_close(q);
    arena_deinit(&a);
    tsdb_close(db);
}

static int64_t oldest(Tsdb *db, const char *name) {
    read_series(db, name, "", 0, TIME_MIN_MS, TIME_MAX_MS);
    return got.n ? got.t[0] : INT64_MAX;
}

TEST (series_are_kept_as_long_as_the_first_policy_that_matches_says) {
    Tsdb *db = open_db();
    TsdbPolicies *p = tsdb_policies_new();
    p->n_keep = 2;
    p->keep = ARENA_ARRAY(&p->arena, KeepPolicy, 2);
    for (int i = 0; i < 2; i++) {
        p->keep[i] =
            (KeepPolicy){ARENA_NEW(&p->arena, Matcher), 1, i == 0 ? 5 * RANGE : 40 * RANGE};
        CHECK_INT(matcher_init(p->keep[i].v, i ? MATCH_RE : MATCH_EQ, LABEL_NAME,
                               i ? STR("short|long") : STR("short"), NULL),
                  0);
    }
    tsdb_set_policies(db, p);
    tsdb_policies_unref(p);
    tsdb_set_retention(db, 20 * RANGE, 0);
    for (int64_t t = 0; t < 60 * RANGE; t += 5 * SECOND) {
        append(db, "short", "a", t, 1);
        append(db, "long", "a", t, 2);
        append(db, "usual", "a", t, 3);
        if (t % RANGE == 0) {
            CHECK_INT(tsdb_maintain(db), 0);
        }
    }
    CHECK(oldest(db, "short") >= 40 * RANGE && oldest(db, "short") < 56 * RANGE);
    CHECK(oldest(db, "usual") >= 25 * RANGE && oldest(db, "usual") < 41 * RANGE);
    CHECK(oldest(db, "long") >= 5 * RANGE && oldest(db, "long") < 21 * RANGE);
    tsdb_close(db);
}
