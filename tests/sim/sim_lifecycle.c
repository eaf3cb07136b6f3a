/*
 * Life of samples in the database: appended in and out of order, deleted, cut into blocks, merged,
 * cleaned, read again after a restart, in random order from a seed, in virtual time. Beside it runs
 * a plain model, a sorted list of samples a series; after each few steps both are asked for random
 * stretches of time and must agree bit for bit.
 *
 * sim_lifecycle [SEED...] runs each seed as one TAP test; without one, a random one.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "tsdb/tsdb.h"

#define RANGE INT64_C(60000)
#define SERIES 12
#define WINDOW (5 * RANGE)
#define STEPS 1500

typedef struct Point {
    int64_t t;
    double v;
} Point;
typedef VEC(Point) Points;

typedef struct Gone {
    int64_t mint, maxt;
} Gone;

typedef struct Sim {
    uint64_t state;
    char dir[256];
    Tsdb *db;
    int64_t now;
    Points points[SERIES];  /* the model, by time */
    int64_t last[SERIES];   /* newest time appended in order */
    VEC(Gone) gone[SERIES]; /* what was ever deleted */
    char failure[512];
} Sim;

/* ---- chance */

static uint64_t chance(Sim *s, uint64_t n) {
    s->state = s->state * 6364136223846793005u + 1442695040888963407u;
    return (s->state >> 33) % n;
}

static void PRINTF_LIKE(2, 3) fail(Sim *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (!s->failure[0]) {
        vsnprintf(s->failure, sizeof(s->failure), fmt, ap);
    }
    va_end(ap);
}

/* ---- the database */

static void open_db(Sim *s) {
    Problem p = {0};
    TsdbOptions o = {.dir = s->dir,
                     .block_range_ms = RANGE,
                     .block_range_max_ms = 9 * RANGE,
                     .journal_segment_bytes = 32768,
                     .out_of_order_window_ms = WINDOW,
                     .replay_threads = 2};
    if (tsdb_open(&o, &s->db, &p) < 0) {
        fail(s, "open: %s", p.text);
    }
}

static Labels labels_of(int series, Label l[3], char text[2][16]) {
    snprintf(text[0], 16, "%d", series % 3);
    snprintf(text[1], 16, "s%d", series);
    l[0] = (Label){LABEL_NAME, STR("m")};
    l[1] = (Label){STR("group"), str_of(text[0])};
    l[2] = (Label){STR("series"), str_of(text[1])};
    return (Labels){l, 3};
}

static size_t place_of(const Points *p, int64_t t) {
    size_t i = p->n;
    while (i > 0 && p->v[i - 1].t >= t) {
        i--;
    }
    return i;
}

static void model_add(Points *p, int64_t t, double v) {
    size_t i = place_of(p, t);
    vec_push(p, (Point){0});
    memmove(&p->v[i + 1], &p->v[i], (p->n - 1 - i) * sizeof(*p->v));
    p->v[i] = (Point){t, v};
}

static void model_delete(Points *p, int64_t mint, int64_t maxt) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].t < mint || p->v[i].t > maxt) {
            p->v[n++] = p->v[i];
        }
    }
    p->n = n;
}

static int append(Sim *s, int series, int64_t t, double v) {
    Label l[3];
    char text[2][16];
    Appender *a;
    SeriesRef ref = 0;
    storage_appender(tsdb_storage(s->db), &a);
    int r = appender_append(a, &ref, labels_of(series, l, text), t, v);
    if (r != APPEND_OK) {
        appender_rollback(a);
        return r;
    }
    return appender_commit(a);
}

/* ---- steps */

static double value(Sim *s) {
    return chance(s, 4) ? (double)chance(s, 1000) : (double)chance(s, 7) / 8;
}

static void step_append(Sim *s) {
    s->now += 1 + (int64_t)chance(s, 3000);
    for (int i = 0; i < SERIES; i++) {
        if (chance(s, 4) == 0) {
            continue;
        }
        double v = value(s);
        int r = append(s, i, s->now, v);
        if (r != APPEND_OK) {
            fail(s, "append of series %d at %" PRId64 ": %d", i, s->now, r);
        } else {
            model_add(&s->points[i], s->now, v);
            s->last[i] = s->now;
        }
    }
}

/* Out of order, within the window. Where something was deleted it is left open whether a late
 * sample shows: a tombstone of the head may still hide it. */
static bool was_deleted(const Sim *s, int series, int64_t t) {
    for (size_t i = 0; i < s->gone[series].n; i++) {
        if (t >= s->gone[series].v[i].mint && t <= s->gone[series].v[i].maxt) {
            return true;
        }
    }
    return false;
}

static void late_sample(Sim *s, int i, int64_t t) {
    Points *p = &s->points[i];
    size_t at = place_of(p, t);
    bool there = at < p->n && p->v[at].t == t;
    if (was_deleted(s, i, t) || t >= s->last[i]) {
        return;
    }
    double v = value(s);
    int r = append(s, i, t, v);
    if (r != APPEND_OK) {
        fail(s, "late append of series %d at %" PRId64 ": %d", i, t, r);
    } else if (!there) {
        model_add(p, t, v);
    }
}

static void step_late(Sim *s) {
    int64_t first = s->now - (int64_t)chance(s, WINDOW);
    int i = (int)chance(s, SERIES);
    for (uint64_t n = chance(s, 100); n > 0 && !s->failure[0]; n--) {
        int64_t t = first + (int64_t)chance(s, RANGE / 2);
        late_sample(s, i, MIN(t, s->now - 1));
        i = chance(s, 10) ? i : (int)chance(s, SERIES);
    }
    if (append(s, i, s->now - WINDOW - 1, 1) != APPEND_TOO_OLD) {
        fail(s, "a sample older than the window was taken");
    }
}

static void step_delete(Sim *s) {
    char value_text[16];
    int group = (int)chance(s, 3), one = (int)chance(s, SERIES);
    bool by_group = chance(s, 2);
    int64_t mint = s->now - (int64_t)chance(s, 12 * RANGE);
    int64_t maxt = chance(s, 4) ? mint + (int64_t)chance(s, 3 * RANGE) : TIME_MAX_MS;
    Matcher m;
    snprintf(value_text, sizeof(value_text), by_group ? "%d" : "s%d", by_group ? group : one);
    (void)matcher_init(&m, MATCH_EQ, by_group ? STR("group") : STR("series"), str_of(value_text),
                       NULL);
    int r = tsdb_delete(s->db, &(TsdbSelector){&m, 1}, 1, mint, maxt);
    if (r < 0) {
        fail(s, "delete: %d", r);
    }
    for (int i = 0; i < SERIES; i++) {
        if (by_group ? i % 3 == group : i == one) {
            model_delete(&s->points[i], mint, maxt);
            vec_push(&s->gone[i], (Gone){mint, MIN(maxt, s->now)});
        }
    }
    matcher_deinit(&m);
}

static void step_maintain(Sim *s) {
    int r = tsdb_maintain(s->db);
    if (r < 0) {
        fail(s, "maintenance: %d", r);
    }
}

static void step_clean(Sim *s) {
    int r = tsdb_clean_tombstones(s->db);
    Arena a = ARENA_INIT(0);
    TsdbBlockInfo *v;
    size_t n = tsdb_blocks(s->db, &a, &v);
    for (size_t i = 0; i < n; i++) {
        if (v[i].tombstones > 0) {
            fail(s, "block %s has tombstones after cleaning", v[i].id);
        }
    }
    arena_deinit(&a);
    if (r < 0) {
        fail(s, "clean: %d", r);
    }
}

static void step_reopen(Sim *s) {
    tsdb_close(s->db);
    s->db = NULL;
    open_db(s);
}

/* What a process that is killed leaves: the files as they are, nothing closed. */
static void step_crash(Sim *s) {
    char *command = mem_printf("cp -r '%s' '%s.copy'", s->dir, s->dir);
    char *copy = mem_printf("%s.copy", s->dir);
    if (system(command) != 0) {
        fail(s, "the folder could not be copied");
    }
    tsdb_close(s->db);
    s->db = NULL;
    (void)file_remove_tree(s->dir);
    if (file_rename(copy, s->dir) < 0) {
        fail(s, "the copy could not be renamed");
    }
    open_db(s);
    mem_free(copy);
    mem_free(command);
}

/* ---- comparing */

static int series_number(Labels l) {
    Str v = labels_get(l, STR("series"));
    int n = 0;
    for (size_t i = 1; i < v.n; i++) {
        n = n * 10 + v.p[i] - '0';
    }
    return n;
}

static void check_run(Sim *s, int series, const SampleRun *run, size_t *at, int64_t mint,
                      int64_t maxt) {
    const Points *p = &s->points[series];
    for (uint32_t i = 0; i < run->n; i++) {
        if (run->t[i] < mint || run->t[i] > maxt) {
            continue; /* to within a chunk */
        }
        if (*at >= p->n || p->v[*at].t != run->t[i]) {
            fail(s, "series %d: has %" PRId64 ", the model %" PRId64, series, run->t[i],
                 *at < p->n ? p->v[*at].t : -1);
            return;
        }
        if (double_bits(p->v[*at].v) != double_bits(run->f[i])) {
            fail(s, "series %d at %" PRId64 ": %g, the model %g", series, run->t[i], run->f[i],
                 p->v[*at].v);
        }
        (*at)++;
    }
}

static void check_range(Sim *s, int64_t mint, int64_t maxt) {
    Querier *q;
    SeriesSet *set;
    Series series;
    SampleRun run;
    Matcher m;
    size_t at[SERIES];
    for (int i = 0; i < SERIES; i++) {
        at[i] = place_of(&s->points[i], mint);
    }
    (void)matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m"), NULL);
    SelectHints hints = {.mint = mint, .maxt = maxt};
    if (storage_querier(tsdb_storage(s->db), mint, maxt, &q) < 0 ||
        querier_select(q, &m, 1, &hints, NULL, &set) < 0) {
        fail(s, "the query failed");
        return;
    }
    SampleIter *it = NULL;
    int r;
    while ((r = series_set_next(set, &series)) > 0) {
        int n = series_number(series.labels);
        it = series_set_iter(set, &series, it);
        while (sample_iter_next(it, &run) > 0) {
            check_run(s, n, &run, &at[n], mint, maxt);
        }
    }
    for (int i = 0; i < SERIES; i++) {
        size_t end = maxt == INT64_MAX ? s->points[i].n : place_of(&s->points[i], maxt + 1);
        if (at[i] < end) {
            fail(s, "series %d lacks %zu samples of [%" PRId64 ", %" PRId64 "], from %" PRId64, i,
                 end - at[i], mint, maxt, s->points[i].v[at[i]].t);
        }
    }
    if (r < 0) {
        fail(s, "series: %d", r);
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

static void check(Sim *s) {
    int64_t mint = (int64_t)chance(s, (uint64_t)s->now + 1);
    check_range(s, TIME_MIN_MS, TIME_MAX_MS);
    check_range(s, mint, mint + (int64_t)chance(s, 5 * RANGE));
}

static void run_steps(Sim *s) {
    for (int i = 0; i < STEPS && !s->failure[0]; i++) {
        uint64_t what = chance(s, 200);
        if (what < 168 || i == 0) {
            step_append(s);
        } else if (what < 176) {
            step_late(s);
        } else if (what < 184) {
            step_maintain(s);
        } else if (what < 194) {
            step_delete(s);
        } else if (what < 196) {
            step_clean(s);
        } else if (what < 198) {
            step_crash(s);
        } else {
            step_reopen(s);
        }
        if (!s->failure[0] && (what >= 168 || i % 50 == 0)) {
            check(s);
        }
        if (s->failure[0]) {
            printf("# step %d, kind %d\n", i, (int)what);
        }
    }
}

static bool run_seed(uint64_t seed) {
    Sim *s = NEW(Sim);
    s->state = seed;
    s->now = 10 * RANGE;
    snprintf(s->dir, sizeof(s->dir), "%s/sim-lifecycle-%ld-%" PRIu64,
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(), seed);
    open_db(s);
    run_steps(s);
    bool ok = !s->failure[0];
    if (!ok) {
        printf("# seed %" PRIu64 ": %s\n", seed, s->failure);
    }
    tsdb_close(s->db);
    (void)file_remove_tree(s->dir);
    for (int i = 0; i < SERIES; i++) {
        vec_free(&s->points[i]);
        vec_free(&s->gone[i]);
    }
    mem_free(s);
    return ok;
}

int main(int argc, char **argv) {
    int failed = 0, n = argc > 1 ? argc - 1 : 1;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        uint64_t seed = argc > 1 ? strtoull(argv[i + 1], NULL, 10) : random_u64();
        bool ok = run_seed(seed);
        failed += !ok;
        printf("%sok %d - seed %" PRIu64 "\n", ok ? "" : "not ", i + 1, seed);
    }
    return failed > 0;
}
