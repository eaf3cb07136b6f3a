/* Histograms in the database: appended, read, cut into blocks, merged, replayed; beside floats of
 * the same series; refused as Prometheus refuses them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "support/test.h"
#include "tsdb/codec/histogram_chunk.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)
#define STEP INT64_C(1000)

static Tsdb *open_db(void) {
    Tsdb *db;
    Problem problem = {0};
    TsdbOptions o = {.dir = test_tmpdir(),
                     .block_range_ms = RANGE,
                     .block_range_max_ms = 9 * RANGE,
                     .sync_interval_ms = 20,
                     .journal_segment_bytes = 16384,
                     .replay_threads = 2};
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    int r = tsdb_open(&o, &db, &problem);
    if (r < 0) {
        printf("# %s\n", problem.text);
    }
    CHECK_INT(r, 0);
    return db;
}

/* What series m{kind=...} has at a time: its buckets grow, and fall to zero now and then. */
typedef struct Made {
    Histogram h;
    FloatHistogram fh;
    BucketSpan spans[2];
    int64_t deltas[3];
    double counts[3], bounds[3];
} Made;

enum { KIND_INTEGER, KIND_FLOAT, KIND_CUSTOM, KIND_GAUGE, KINDS };
static const char *const kind_names[] = {"integer", "float", "custom", "gauge"};

static void make(Made *m, int kind, int64_t t) {
    uint64_t at = (uint64_t)(t / STEP) % 50, a = at * 3 + 1, b = at / 4, c = at * at;
    *m = (Made){.spans = {{1, 2}, {2, 1}},
                .deltas = {(int64_t)a, (int64_t)(b - a), (int64_t)(c - b)},
                .counts = {(double)a / 3, (double)b / 3, (double)c / 3},
                .bounds = {0.5, 1, 2.5}};
    m->h = (Histogram){.schema = 2,
                       .zero_threshold = 0x1p-128,
                       .zero_count = at,
                       .count = a + b + c + at,
                       .sum = (double)at * 1.5,
                       .n_positive_spans = 2,
                       .n_positive = 3,
                       .positive_spans = m->spans,
                       .positive = m->deltas};
    m->fh = (FloatHistogram){.schema = 2,
                             .zero_threshold = 0.001,
                             .zero_count = (double)at / 3,
                             .count = (double)(a + b + c + at) / 3,
                             .sum = (double)at * 2.5,
                             .n_negative_spans = 2,
                             .n_negative = 3,
                             .negative_spans = m->spans,
                             .negative = m->counts};
    if (kind == KIND_GAUGE) {
        m->fh.reset_hint = RESET_GAUGE;
    }
    if (kind == KIND_CUSTOM) {
        m->spans[0] = (BucketSpan){0, 3};
        m->h = (Histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                           .count = a + b + c,
                           .sum = 7,
                           .n_positive_spans = 1,
                           .n_positive = 3,
                           .n_custom = 3,
                           .positive_spans = m->spans,
                           .positive = m->deltas,
                           .custom_values = m->bounds};
    }
}

static HistogramSample sample_of(const Made *m, int kind, int64_t t) {
    bool is_float = kind == KIND_FLOAT || kind == KIND_GAUGE;
    return (HistogramSample){t, 0, is_float ? NULL : &m->h, is_float ? &m->fh : NULL};
}

static int append_one(Appender *a, const char *kind, int64_t t, const Histogram *h,
                      const FloatHistogram *fh) {
    Label l[2] = {{LABEL_NAME, STR("m")}, {STR("kind"), str_of(kind)}};
    SeriesRef ref = 0;
    return a->ops->append_histogram(a, &ref, (Labels){l, 2}, t, h, fh, 0);
}

static int append_float(Appender *a, const char *kind, int64_t t, double v) {
    Label l[2] = {{LABEL_NAME, STR("m")}, {STR("kind"), str_of(kind)}};
    SeriesRef ref = 0;
    return appender_append(a, &ref, (Labels){l, 2}, t, v);
}

static void append_step(Tsdb *db, int64_t t) {
    Appender *a;
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    for (int kind = 0; kind < KINDS; kind++) {
        Made m;
        make(&m, kind, t);
        HistogramSample s = sample_of(&m, kind, t);
        CHECK_INT(append_one(a, kind_names[kind], t, s.h, s.fh), APPEND_OK);
    }
    CHECK_INT(append_float(a, "plain", t, (double)t), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
}

typedef void (*VisitFn)(void *arg, Labels l, const SampleRun *run, uint32_t i);

static void each_sample(Tsdb *db, VisitFn fn, void *arg) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    SampleIter *it = NULL;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL), 0);
    CHECK_INT(storage_querier(tsdb_storage(db), TIME_MIN_MS, TIME_MAX_MS, &q), 0);
    SelectHints hints = {.mint = TIME_MIN_MS, .maxt = TIME_MAX_MS, .sorted = true};
    CHECK_INT(querier_select(q, &m, 1, &hints, NULL, &set), 0);
    while (series_set_next(set, &s) > 0) {
        it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++) {
                fn(arg, s.labels, &run, i);
            }
        }
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

typedef struct Seen {
    int64_t next[KINDS], floats;
    int resets;
} Seen;

static int kind_of(Labels l) {
    for (int i = 0; i < KINDS; i++) {
        if (str_eqc(labels_get(l, STR("kind")), kind_names[i])) {
            return i;
        }
    }
    return -1;
}

static void see(void *arg, Labels l, const SampleRun *run, uint32_t i) {
    Seen *seen = arg;
    int kind = kind_of(l);
    if (kind < 0) {
        CHECK_INT(run->kind, SAMPLE_FLOAT);
        seen->floats++;
        return;
    }
    Made m;
    int64_t t = seen->next[kind];
    seen->next[kind] += STEP;
    make(&m, kind, t);
    HistogramSample want = sample_of(&m, kind, t), have = {.t = run->t[i]};
    CHECK_INT(run->kind, histogram_sample_kind(&want));
    CounterResetHint hint;
    if (want.h) {
        have.h = run->h[i];
        hint = have.h->reset_hint;
    } else {
        have.fh = run->fh[i];
        hint = have.fh->reset_hint;
    }
    CHECK_INT(have.t, t);
    CHECK(histogram_sample_same(&want, &have));
    if (kind == KIND_GAUGE) {
        CHECK_INT(hint, RESET_GAUGE);
    } else if (t / STEP % 50 == 0) {
        CHECK_INT(hint, RESET_UNKNOWN); /* begins a chunk */
        seen->resets++;
    }
}

static void check_until(Tsdb *db, int64_t end) {
    Seen seen = {0};
    each_sample(db, see, &seen);
    for (int kind = 0; kind < KINDS; kind++) {
        CHECK_INT(seen.next[kind], end);
    }
    CHECK_INT(seen.floats, end / STEP);
    CHECK(seen.resets > 0);
}

TEST (histograms_are_there_after_reopening) {
    Tsdb *db = open_db();
    for (int64_t t = 0; t < 59 * STEP; t += STEP) {
        append_step(db, t);
    }
    check_until(db, 59 * STEP);
    tsdb_close(db);
    db = open_db();
    check_until(db, 59 * STEP);
    tsdb_close(db);
}

TEST (cutting_and_compaction_keep_histograms) {
    Tsdb *db = open_db();
    TsdbStats st;
    for (int64_t t = 0; t < 20 * RANGE; t += STEP) {
        append_step(db, t);
        if (t % (RANGE / 2) == 0) {
            CHECK_INT(tsdb_maintain(db), 0);
        }
    }
    tsdb_stats(db, &st);
    CHECK(st.blocks > 1);
    check_until(db, 20 * RANGE);
    tsdb_close(db);
    db = open_db();
    check_until(db, 20 * RANGE);
    char name[64];
    CHECK_INT(tsdb_snapshot(db, false, name), 0);
    tsdb_close(db);
}

typedef struct Kinds {
    char text[64];
    size_t n;
} Kinds;

static void note_kind(void *arg, Labels l, const SampleRun *run, uint32_t i) {
    Kinds *k = arg;
    (void)l;
    static const char letters[] = {'-', 'f', 'h', 'F'};
    bool stale = run->kind == SAMPLE_FLOAT       ? is_stale_nan(run->f[i])
                 : run->kind == SAMPLE_HISTOGRAM ? is_stale_nan(run->h[i]->sum)
                                                 : is_stale_nan(run->fh[i]->sum);
    if (stale) {
        k->text[k->n++] = 's';
    }
    k->text[k->n++] = letters[run->kind];
}

static void append_kind(Appender *a, char kind, int64_t t) {
    Made m;
    make(&m, kind == 'h' ? KIND_INTEGER : KIND_FLOAT, t);
    if (kind == 'f') {
        CHECK_INT(append_float(a, "mixed", t, 1), APPEND_OK);
    } else if (kind == 's') {
        CHECK_INT(append_float(a, "mixed", t, stale_nan()), APPEND_OK);
    } else {
        CHECK_INT(append_one(a, "mixed", t, kind == 'h' ? &m.h : NULL, kind == 'F' ? &m.fh : NULL),
                  APPEND_OK);
    }
}

static void check_kinds(Tsdb *db, const char *want) {
    Kinds k = {{0}, 0};
    each_sample(db, note_kind, &k);
    CHECK_CSTR(k.text, want);
}

TEST (a_series_may_change_its_kind_also_within_a_commit) {
    static const char kinds[] = "ffhhFhfFFfshf";
    for (int commit_each = 0; commit_each < 2; commit_each++) {
        Tsdb *db = open_db();
        Appender *a = NULL;
        for (size_t i = 0; i < sizeof(kinds) - 1; i++) {
            if (!a) {
                CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
            }
            append_kind(a, kinds[i], 1000 + (int64_t)i * 10 + commit_each * 1000);
            if (commit_each || i == sizeof(kinds) - 2) {
                CHECK_INT(appender_commit(a), 0);
                a = NULL;
            }
        }
        const char *once = "ffhhFhfFFfsfhf";
        char want[64];
        snprintf(want, sizeof(want), "%s%s", once, commit_each ? once : "");
        check_kinds(db, want);
        tsdb_close(db);
        db = open_db();
        check_kinds(db, want);
        tsdb_close(db);
    }
}

TEST (a_stale_marker_takes_the_kind_of_its_series) {
    Tsdb *db = open_db();
    Appender *a;
    for (const char *k = "hsFsfs"; *k; k++) {
        static int64_t t = 1000;
        CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
        append_kind(a, *k, t += 10);
        CHECK_INT(appender_commit(a), 0);
    }
    check_kinds(db, "hshFsFfsf");
    tsdb_close(db);
    db = open_db();
    check_kinds(db, "hshFsFfsf");
    tsdb_close(db);
}

TEST (outcomes_are_those_of_prometheus) {
    Tsdb *db = open_db();
    Appender *a;
    Made m, other;
    make(&m, KIND_INTEGER, 20 * STEP);
    make(&other, KIND_INTEGER, 21 * STEP);
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    CHECK_INT(append_one(a, "x", 20 * STEP, &m.h, NULL), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    CHECK_INT(storage_appender(tsdb_storage(db), &a), 0);
    CHECK_INT(append_one(a, "x", 20 * STEP, &m.h, NULL), APPEND_OK); /* the same again */
    CHECK_INT(append_one(a, "x", 20 * STEP, &other.h, NULL), APPEND_DUPLICATE);
    CHECK_INT(append_one(a, "x", 20 * STEP, NULL, &other.fh), APPEND_DUPLICATE);
    CHECK_INT(append_float(a, "x", 20 * STEP, 1), APPEND_DUPLICATE);
    CHECK_INT(append_one(a, "x", 19 * STEP, &m.h, NULL), APPEND_OUT_OF_ORDER);
    CHECK_INT(append_one(a, "x", -1000 * STEP, &m.h, NULL), APPEND_OUT_OF_BOUNDS);
    m.h.count++;
    CHECK_INT(append_one(a, "x", 22 * STEP, &m.h, NULL), APPEND_INVALID);
    other.h.schema = 9;
    CHECK_INT(append_one(a, "x", 22 * STEP, &other.h, NULL), APPEND_INVALID);
    appender_rollback(a);
    tsdb_close(db);
}

TEST (a_commit_that_comes_late_goes_between) {
    Tsdb *db = open_db();
    Appender *first, *second;
    Made m;
    make(&m, KIND_INTEGER, STEP);
    CHECK_INT(storage_appender(tsdb_storage(db), &first), 0);
    CHECK_INT(append_one(first, "x", STEP, &m.h, NULL), APPEND_OK);
    CHECK_INT(appender_commit(first), 0);
    CHECK_INT(storage_appender(tsdb_storage(db), &first), 0);
    CHECK_INT(storage_appender(tsdb_storage(db), &second), 0);
    make(&m, KIND_INTEGER, 2 * STEP);
    CHECK_INT(append_one(first, "x", 2 * STEP, &m.h, NULL), APPEND_OK);
    make(&m, KIND_INTEGER, 3 * STEP);
    CHECK_INT(append_one(second, "x", 3 * STEP, &m.h, NULL), APPEND_OK);
    CHECK_INT(appender_commit(second), 0);
    CHECK_INT(appender_commit(first), 0);
    check_kinds(db, "hhh");
    tsdb_close(db);
}

enum { WRITERS = 3, WRITES = 300 };
typedef struct Crowd {
    Tsdb *db;
    atomic_int next, ended;
} Crowd;

/* Each its own series, but one that all of them write. */
static void *write_some(void *arg) {
    Crowd *c = arg;
    int number = atomic_fetch_add(&c->next, 1);
    char own[16];
    snprintf(own, sizeof(own), "own%d", number);
    for (int i = 0; i < WRITES; i++) {
        Appender *a;
        Made m;
        int64_t t = 1000 + i * 50; /* those behind are still in bounds */
        int kind = i % 40 < 20 ? KIND_INTEGER : KIND_FLOAT;
        make(&m, kind, i * STEP);
        HistogramSample s = sample_of(&m, kind, t);
        CHECK_INT(storage_appender(tsdb_storage(c->db), &a), 0);
        CHECK_INT(append_one(a, own, t, s.h, s.fh), APPEND_OK);
        (void)append_one(a, "shared", t, s.h, s.fh); /* in order or not */
        CHECK_INT(appender_commit(a), 0);
    }
    atomic_fetch_add(&c->ended, 1);
    return NULL;
}

static void count_own(void *arg, Labels l, const SampleRun *run, uint32_t i) {
    (void)run;
    (void)i;
    *(uint64_t *)arg += str_starts(labels_get(l, STR("kind")), STR("own"));
}

TEST (writers_and_readers_do_not_disturb_each_other) {
    Crowd c = {.db = open_db()};
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, write_some, &c), 0);
    }
    uint64_t seen = 0, before = 0;
    while (atomic_load(&c.ended) < WRITERS) {
        seen = 0;
        each_sample(c.db, count_own, &seen);
        CHECK(seen >= before);
        before = seen;
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    seen = 0;
    each_sample(c.db, count_own, &seen);
    CHECK_INT(seen, WRITERS * WRITES);
    tsdb_close(c.db);
}
