/*
 * Blocks of targets: their series share times, were late, missed scrapes or stopped early; buckets
 * are kept as differences, repeated values as links. Whatever is shared, each sample comes back,
 * from every reader, whole or in part.
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>

#include "support/block_build.h"
#include "support/test.h"

#define TARGETS 3
#define METRICS 6
#define BUCKETS 14
#define HOUR INT64_C(3600000)
#define SAMPLES_MAX 14000

typedef struct Sample {
    int64_t t;
    double v;
} Sample;

typedef struct FarmSeries {
    char metric[32], instance[16], le[16], path[8];
    Label labels[5];
    size_t n_labels;
    VEC(Sample) samples;
} FarmSeries;

typedef struct Farm {
    FarmSeries *v[TARGETS * (METRICS + 2 * BUCKETS + 2)];
    size_t n;
    int64_t min_time, max_time;
} Farm;

static Farm farm;
static int64_t times[TARGETS][SAMPLES_MAX];
static uint32_t n_times[TARGETS];

static const char *const bounds[BUCKETS] = {"+Inf", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                            "0.5",  "1",     "10",   "100",   "2.5",  "5",   "50"};

static uint64_t state = 1;
static uint64_t next_random(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 20;
}

/* Target 0 is scraped on the dot, 1 with some jitter, 2 with jitter and gaps. */
static void make_times(int64_t step) {
    for (unsigned k = 0; k < TARGETS; k++) {
        n_times[k] = 0;
        for (int64_t t = farm.min_time + 1000 * k; t + 20 < farm.max_time; t += step) {
            if (k == 2 && next_random() % 100 == 0) {
                continue;
            }
            times[k][n_times[k]++] = t + (k ? (int64_t)(next_random() % 9) : 0);
        }
    }
}

static FarmSeries *new_series(const char *metric, unsigned target, const char *le,
                              const char *path) {
    FarmSeries *s = NEW(FarmSeries);
    farm.v[farm.n++] = s;
    snprintf(s->metric, sizeof(s->metric), "%s", metric);
    snprintf(s->instance, sizeof(s->instance), "host-%u", target);
    snprintf(s->le, sizeof(s->le), "%s", le ? le : "");
    snprintf(s->path, sizeof(s->path), "%s", path ? path : "");
    s->labels[s->n_labels++] = (Label){STR("__name__"), str_of(s->metric)};
    s->labels[s->n_labels++] = (Label){STR("instance"), str_of(s->instance)};
    s->labels[s->n_labels++] = (Label){STR("job"), STR("farm")};
    if (le) {
        s->labels[s->n_labels++] = (Label){STR("le"), str_of(s->le)};
    }
    if (path) {
        s->labels[s->n_labels++] = (Label){STR("path"), str_of(s->path)};
    }
    return s;
}

/* What a series of the target sees: kind 0 all, 1 from the middle on, 2 until then, 3 misses some,
 * 4 goes away for a while. */
static bool is_seen(unsigned kind, uint32_t i, uint32_t n) {
    switch (kind % 5) {
    case 1: return i > n / 3;
    case 2: return i < n / 2;
    case 3: return i % 97 != 5;
    case 4: return i < n / 4 || i > n / 2;
    default: return true;
    }
}

static void fill_gauge(FarmSeries *s, unsigned target, unsigned kind) {
    double v = 0;
    for (uint32_t i = 0; i < n_times[target]; i++) {
        v += (double)(next_random() % 40);
        if (is_seen(kind, i, n_times[target])) {
            vec_push(&s->samples, (Sample){times[target][i], kind == 5 ? v / 1000 : v});
        }
    }
    if (s->samples.n && kind == 2) {
        s->samples.v[s->samples.n - 1].v = double_of_bits(STALE_NAN_BITS);
    }
}

/* Counters of a histogram, the largest bucket first: the others count a part of it. */
static void fill_histogram(unsigned target, const char *path) {
    FarmSeries *s[BUCKETS];
    for (unsigned i = 0; i < BUCKETS; i++) {
        s[i] = new_series("latency_bucket", target, bounds[i], path);
    }
    double sums[BUCKETS] = {0};
    for (uint32_t i = 0; i < n_times[target]; i++) {
        for (unsigned k = 0; k < BUCKETS; k++) {
            unsigned rank = k == 0 ? BUCKETS : (unsigned)(strtod(bounds[k], NULL) * 10) + 1;
            sums[k] += (double)(next_random() % (2 + MIN(rank, 40u)));
            double v = sums[k];
            if (target == 2 && i == n_times[2] / 2) {
                v = double_of_bits(STALE_NAN_BITS);
            }
            vec_push(&s[k]->samples, (Sample){times[target][i], v});
        }
    }
    FarmSeries *count = new_series("latency_count", target, NULL, path);
    for (size_t i = 0; i < s[0]->samples.n; i++) {
        vec_push(&count->samples, s[0]->samples.v[i]);
    }
}

static int by_labels(const void *a, const void *b) {
    const FarmSeries *x = *(FarmSeries *const *)a, *y = *(FarmSeries *const *)b;
    return labels_cmp((Labels){x->labels, x->n_labels}, (Labels){y->labels, y->n_labels});
}

static void make_farm(int64_t hours, int64_t step) {
    for (size_t i = 0; i < farm.n; i++) {
        vec_free(&farm.v[i]->samples);
        mem_free(farm.v[i]);
    }
    memset(&farm, 0, sizeof(farm));
    farm.min_time = 1700000000000 / (2 * HOUR) * (2 * HOUR);
    farm.max_time = farm.min_time + hours * HOUR;
    make_times(step);
    for (unsigned target = 0; target < TARGETS; target++) {
        for (unsigned m = 0; m < METRICS; m++) {
            char name[32];
            snprintf(name, sizeof(name), "gauge_%u", m);
            fill_gauge(new_series(name, target, NULL, NULL), target, m);
        }
        fill_histogram(target, "/a");
        fill_histogram(target, "/b");
    }
    qsort(farm.v, farm.n, sizeof(farm.v[0]), by_labels);
}

static Block *write_farm(uint32_t chunk_samples) {
    BlockWriter *w;
    char id[BLOCK_ID_SIZE];
    CHECK_INT(block_writer_new(&(BlockWriterOptions){.dir = test_tmpdir(),
                                                     .min_time = farm.min_time,
                                                     .max_time = farm.max_time,
                                                     .level = 1,
                                                     .chunk_samples = chunk_samples},
                               &w),
              0);
    for (size_t i = 0; i < farm.n; i++) {
        block_writer_symbols(w, (Labels){farm.v[i]->labels, farm.v[i]->n_labels});
    }
    for (size_t i = 0; i < farm.n; i++) {
        const FarmSeries *s = farm.v[i];
        CHECK_INT(block_writer_series(w, (Labels){s->labels, s->n_labels}), 0);
        for (size_t k = 0; k < s->samples.n; k++) {
            CHECK_INT(block_writer_samples(w, &s->samples.v[k].t, &s->samples.v[k].v, 1), 0);
        }
    }
    CHECK_INT(block_writer_finish(w, id), 0);
    block_writer_free(w);
    return shape_open(test_tmpdir(), id);
}

static void check_run(const FarmSeries *s, size_t *at, const int64_t *t, const double *v,
                      uint32_t n) {
    for (uint32_t i = 0; i < n; i++, (*at)++) {
        if (*at >= s->samples.n || t[i] != s->samples.v[*at].t ||
            double_bits(v[i]) != double_bits(s->samples.v[*at].v)) {
            test_fail(__FILE__, __LINE__, "%s %s le=%s: sample %zu differs", s->metric, s->instance,
                      s->le, *at);
            *at = SIZE_MAX / 2;
            return;
        }
    }
}

static void check_cursor(Block *b) {
    static int64_t t[CHUNK_SAMPLES_MAX];
    static double v[CHUNK_SAMPLES_MAX];
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    size_t i = 0;
    for (; block_cursor_next(c, &s) > 0; i++) {
        size_t at = 0;
        CHECK(labels_eq(s.labels, (Labels){farm.v[i]->labels, farm.v[i]->n_labels}));
        for (uint32_t k = 0; k < s.n; k++) {
            Chunk chunk;
            CHECK_INT(block_cursor_chunk(c, k, &chunk), 0);
            CHECK_INT(chunk_decode(&chunk, t, v), 0);
            check_run(farm.v[i], &at, t, v, chunk.n);
            CHECK_INT(chunk_decode_plain(&chunk, t, v), 0);
            at -= chunk.n;
            check_run(farm.v[i], &at, t, v, chunk.n);
        }
        CHECK_INT(at, farm.v[i]->samples.n);
    }
    CHECK_INT(i, farm.n);
    block_cursor_free(c);
}

/* All samples of from..to are there, those around them are right. */
static void check_part(SampleIter *it, const FarmSeries *s, int64_t from, int64_t to) {
    SampleRun run;
    size_t first = 0, seen = 0, at = 0, in_range = 0;
    int r;
    for (size_t i = 0; i < s->samples.n; i++) {
        in_range += s->samples.v[i].t >= from && s->samples.v[i].t <= to;
    }
    while ((r = sample_iter_next(it, &run)) > 0) {
        for (first = at; first < s->samples.n && s->samples.v[first].t != run.t[0];) {
            first++;
        }
        at = first;
        for (uint32_t i = 0; i < run.n; i++) {
            seen += run.t[i] >= from && run.t[i] <= to;
        }
        check_run(s, &at, run.t, run.f, run.n);
    }
    CHECK_INT(r, 0);
    CHECK_INT(seen, in_range);
}

static void check_queries(Block *b, int64_t from, int64_t to) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleIter *it = NULL;
    Matcher m;
    Problem p = {0};
    CHECK_INT(matcher_init(&m, MATCH_EQ, STR("job"), STR("farm"), &p), 0);
    CHECK_INT(block_querier(b, from, to, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    for (size_t i = 0; series_set_next(set, &s) > 0; i++) {
        while (!labels_eq(s.labels, (Labels){farm.v[i]->labels, farm.v[i]->n_labels})) {
            i++;
            CHECK(i < farm.n);
        }
        it = series_set_iter(set, &s, it);
        check_part(it, farm.v[i], from, to);
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

static void check_block(Block *b) {
    Problem p = {0};
    CHECK_INT(block_verify(b, NULL, &p), 0);
    check_cursor(b);
    check_queries(b, INT64_MIN, INT64_MAX);
    for (int i = 0; i < 12; i++) {
        int64_t span = farm.max_time - farm.min_time;
        int64_t from = farm.min_time + (int64_t)(next_random() % (uint64_t)span);
        int64_t length = i % 2 ? HOUR / 4 : span / 3;
        check_queries(b, from, from + (int64_t)(next_random() % (uint64_t)length));
    }
}

TEST (series_of_a_target_share_their_times) {
    make_farm(24, 15000);
    Block *b = write_farm(0);
    check_block(b);
    uint64_t samples = block_meta(b)->samples;
    double each = (double)block_meta(b)->bytes / (double)samples;
    CHECK(each < 0.9); /* with times of their own it was 1.3 */
    block_unref(b);
}

TEST (short_chunks_share_too) {
    make_farm(6, 15000);
    Block *b = write_farm(120);
    check_block(b);
    block_unref(b);
}

TEST (series_longer_than_a_chunk_share_too) {
    make_farm(54, 15000);
    Block *b = write_farm(0);
    check_block(b);
    block_unref(b);
}

/* Many threads read through one querier, as the cache of decoded times and values is shared. */
typedef struct Reader {
    SeriesSet *set;
    Series series;
    uint64_t samples;
} Reader;

static void *read_series(void *arg) {
    Reader *r = arg;
    SampleRun run;
    for (int i = 0; i < 20; i++) {
        SampleIter *it = series_set_iter(r->set, &r->series, NULL);
        while (sample_iter_next(it, &run) > 0) {
            r->samples += run.n;
        }
        sample_iter_free(it);
    }
    return NULL;
}

TEST (threads_share_what_was_decoded) {
    enum { THREADS = 4 };
    Querier *q;
    SeriesSet *set;
    Matcher m;
    Problem p = {0};
    pthread_t threads[THREADS];
    Reader readers[THREADS] = {0};
    make_farm(6, 15000);
    Block *b = write_farm(0);
    CHECK_INT(matcher_init(&m, MATCH_EQ, STR("instance"), STR("host-1"), &p), 0);
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    for (int i = 0; i < THREADS; i++) {
        readers[i].set = set;
        for (int k = 0; k < 3; k++) {
            CHECK_INT(series_set_next(set, &readers[i].series), 1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, read_series, &readers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(readers[i].samples > 20 * 100);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    block_unref(b);
}
