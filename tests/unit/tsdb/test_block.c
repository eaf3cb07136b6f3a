/* Blocks: what is written is read, by every way of asking. */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support/block_build.h"

#define HOUR INT64_C(3600000)

static BlockShape small(void) {
    return (BlockShape){.dir = test_tmpdir(),
                        .metrics = 4,
                        .hosts = 30,
                        .min_time = 1700000000000,
                        .max_time = 1700000000000 + HOUR,
                        .step = 15000};
}

static Matcher matcher(MatcherType type, const char *name, const char *value) {
    Matcher m;
    Problem p = {0};
    CHECK_INT(matcher_init(&m, type, str_of(name), str_of(value), &p), 0);
    return m;
}

/* Number of series that match; each is checked against the matchers once more. */
static int count_series(Block *b, Matcher *m, size_t n) {
    Querier *q;
    SeriesSet *set;
    Series s;
    int count = 0, r;
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, m, n, NULL, NULL, &set), 0);
    char last[512] = "";
    while ((r = series_set_next(set, &s)) > 0) {
        CHECK(matchers_match(m, n, s.labels));
        CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
        labels_format(s.labels, &text);
        CHECK(strcmp(last, buf_cstr(&text)) < 0);
        snprintf(last, sizeof(last), "%s", buf_cstr(&text));
        count++;
    }
    CHECK_INT(r, 0);
    series_set_free(set);
    querier_close(q);
    for (size_t i = 0; i < n; i++) {
        matcher_deinit(&m[i]);
    }
    return count;
}

/* Each series of the block has just the samples that its labels and times make. */
static void check_samples(Block *b, const BlockShape *shape) {
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    static int64_t t[CHUNK_SAMPLES_MAX];
    static double v[CHUNK_SAMPLES_MAX];
    for (unsigned i = 0; block_cursor_next(c, &s) > 0; i++) {
        int64_t at = shape->min_time;
        for (uint32_t k = 0; k < s.n; k++) {
            Chunk chunk;
            CHECK_INT(block_cursor_chunk(c, k, &chunk), 0);
            CHECK_INT(chunk_decode(&chunk, t, v), 0);
            for (uint32_t n = 0; n < chunk.n; n++, at += shape->step) {
                CHECK_INT(t[n], at);
                CHECK_DOUBLE(v[n], shape_value(shape, i / shape->hosts, i % shape->hosts, at));
            }
        }
        CHECK_INT(at, shape->max_time);
    }
    block_cursor_free(c);
}

/* Written by the version that had no encoding but xor. */
TEST (a_block_of_before_is_still_read) {
    BlockShape shape = {.dir = test_data("blocks"),
                        .metrics = 5,
                        .hosts = 4,
                        .min_time = 0,
                        .max_time = 2 * HOUR,
                        .step = 60000};
    Block *b = shape_open(shape.dir, "xor-only");
    CHECK_INT(block_meta(b)->samples, 5 * 4 * 120);
    check_samples(b, &shape);
    Problem p = {0};
    CHECK_INT(block_verify(b, NULL, &p), 0);
    block_unref(b);
}

/* A day in one chunk; an hour of it costs the decoding of little more than an hour. */
TEST (a_narrow_query_reads_a_part_of_a_long_chunk) {
    BlockShape shape = small();
    shape.metrics = 1;
    shape.hosts = 2;
    shape.max_time = shape.min_time + 24 * HOUR;
    Block *b = shape_make(&shape);
    CHECK_INT(block_meta(b)->chunks, 2);
    check_samples(b, &shape);
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m = matcher(MATCH_EQ, "instance", "host-00001");
    int64_t from = shape.min_time + 7 * HOUR;
    CHECK_INT(block_querier(b, from, from + HOUR, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    CHECK_INT(series_set_next(set, &s), 1);
    SampleIter *it = series_set_iter(set, &s, NULL);
    CHECK_INT(sample_iter_next(it, &run), 1);
    CHECK(run.n > 240 && run.n < 240 + 520);
    CHECK(run.t[0] <= from && run.t[run.n - 1] == from + HOUR);
    for (uint32_t i = 0; i < run.n; i++) {
        CHECK_DOUBLE(run.f[i], shape_value(&shape, 0, 1, run.t[i]));
    }
    CHECK_INT(sample_iter_next(it, &run), 0);
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    block_unref(b);
}

static int count_one(Block *b, MatcherType type, const char *name, const char *value) {
    Matcher m = matcher(type, name, value);
    return count_series(b, &m, 1);
}

TEST (every_sample_comes_back) {
    BlockShape shape = small();
    shape.chunk_samples = 50;
    Block *b = shape_make(&shape);
    CHECK_INT(block_meta(b)->series, 120);
    CHECK_INT(block_meta(b)->samples, 120 * 240);
    CHECK_INT(block_meta(b)->chunks, 120 * 5);
    Querier *q;
    SeriesSet *set;
    Series s;
    Matcher all = matcher(MATCH_NE, "__name__", "");
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, &all, 1, NULL, NULL, &set), 0);
    SampleIter *it = NULL;
    for (unsigned i = 0; i < 120; i++) {
        unsigned metric = i / 30, host = i % 30;
        ShapeSeries want;
        CHECK_INT(series_set_next(set, &s), 1);
        CHECK(labels_eq(s.labels, shape_labels(metric, host, &want)));
        it = series_set_iter(set, &s, it);
        SampleRun run;
        int64_t t = shape.min_time;
        while (sample_iter_next(it, &run) > 0) {
            CHECK_INT(run.kind, SAMPLE_FLOAT);
            for (uint32_t k = 0; k < run.n; k++, t += shape.step) {
                CHECK_INT(run.t[k], t);
                CHECK_DOUBLE(run.f[k], shape_value(&shape, metric, host, t));
            }
        }
        CHECK_INT(t, shape.max_time);
    }
    CHECK_INT(series_set_next(set, &s), 0);
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    Problem p = {0};
    CHECK_INT(block_verify(b, NULL, &p), 0);
    block_unref(b);
}

TEST (matchers_of_every_kind_select_as_prometheus_does) {
    BlockShape shape = small();
    Block *b = shape_make(&shape);
    CHECK_INT(count_one(b, MATCH_EQ, "__name__", "metric_0001_total"), 30);
    CHECK_INT(count_one(b, MATCH_EQ, "__name__", "nothing"), 0);
    CHECK_INT(count_one(b, MATCH_EQ, "nothing", ""), 120);
    CHECK_INT(count_one(b, MATCH_NE, "nothing", ""), 0);
    CHECK_INT(count_one(b, MATCH_NE, "nothing", "x"), 120);
    CHECK_INT(count_one(b, MATCH_EQ, "job", ""), 0);
    CHECK_INT(count_one(b, MATCH_NE, "job", ""), 120);
    CHECK_INT(count_one(b, MATCH_NE, "job", "job0"), 80);
    CHECK_INT(count_one(b, MATCH_RE, "job", "job0|job1"), 80);
    CHECK_INT(count_one(b, MATCH_NRE, "job", "job0|job1"), 40);
    CHECK_INT(count_one(b, MATCH_RE, "job", "|job1"), 40);
    CHECK_INT(count_one(b, MATCH_NRE, "job", "|job1"), 80);
    CHECK_INT(count_one(b, MATCH_RE, "instance", "host-0000.*"), 40);
    CHECK_INT(count_one(b, MATCH_NRE, "instance", "host-0000.*"), 80);
    CHECK_INT(count_one(b, MATCH_RE, "instance", ".*[02468]"), 60);
    CHECK_INT(count_one(b, MATCH_RE, "instance", ".*"), 120);
    CHECK_INT(count_one(b, MATCH_NRE, "instance", ".*"), 0);
    CHECK_INT(count_one(b, MATCH_RE, "instance", ".+"), 120);
    CHECK_INT(count_one(b, MATCH_NRE, "instance", ".+"), 0);
    CHECK_INT(count_one(b, MATCH_RE, "nothing", ".+"), 0);
    CHECK_INT(count_one(b, MATCH_NRE, "nothing", ".+"), 120);
    Matcher three[] = {matcher(MATCH_EQ, "__name__", "metric_0002_total"),
                       matcher(MATCH_RE, "instance", "host-0000[0-5]"),
                       matcher(MATCH_NE, "job", "job1")};
    CHECK_INT(count_series(b, three, 3), 4);
    block_unref(b);
}

/* Few series left by one matcher, so that the others look at these instead of at the postings: the
 * same answers. */
TEST (late_matchers_agree_with_postings) {
    BlockShape shape = small();
    shape.hosts = 300;
    Block *b = shape_make(&shape);
    static const struct {
        MatcherType type;
        const char *name, *value;
        int want;
    } cases[] = {
        {MATCH_RE, "instance", ".+7", 1},  {MATCH_RE, "instance", ".+8", 0},
        {MATCH_NRE, "instance", ".+7", 3}, {MATCH_NE, "instance", "", 4},
        {MATCH_EQ, "instance", "", 0},     {MATCH_RE, "nothing", "x?", 4},
        {MATCH_NRE, "nothing", "x?", 0},   {MATCH_RE, "__name__", ".*[12]_total", 2},
        {MATCH_NRE, "nothing", ".+", 4},   {MATCH_RE, "job", "(job)[1]{1,2}", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool by_host = strcmp(cases[i].name, "instance") == 0;
        Matcher m[] = {
            matcher(MATCH_RE, "instance",
                    by_host ? "host-00001|host-00002|host-00003|host-00017" : "host-00004"),
            matcher(cases[i].type, cases[i].name, cases[i].value),
            matcher(MATCH_RE, "__name__", by_host ? "metric_0000_total" : ".*")};
        int got = count_series(b, m, 3);
        if (got != cases[i].want) {
            test_fail(__FILE__, __LINE__, "case %zu: got %d, want %d", i, got, cases[i].want);
        }
    }
    block_unref(b);
}

TEST (only_chunks_in_the_range_are_given) {
    BlockShape shape = small();
    shape.chunk_samples = 20;
    Block *b = shape_make(&shape);
    Matcher m[] = {matcher(MATCH_EQ, "__name__", "metric_0000_total"),
                   matcher(MATCH_EQ, "instance", "host-00007")};
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    int64_t from = shape.min_time + 100 * shape.step, to = shape.min_time + 125 * shape.step;
    CHECK_INT(block_querier(b, from, to, &q), 0);
    CHECK_INT(querier_select(q, m, 2, NULL, NULL, &set), 0);
    CHECK_INT(series_set_next(set, &s), 1);
    SampleIter *it = series_set_iter(set, &s, NULL);
    CHECK_INT(sample_iter_next(it, &run), 1);
    CHECK_INT(run.t[0], from);
    CHECK_INT(sample_iter_next(it, &run), 1);
    CHECK_INT(sample_iter_next(it, &run), 0);
    it = series_set_iter(set, &s, it);
    sample_iter_seek(it, to);
    CHECK_INT(sample_iter_next(it, &run), 1);
    CHECK_INT(run.t[0], shape.min_time + 120 * shape.step);
    CHECK_INT(sample_iter_next(it, &run), 0);
    sample_iter_free(it);
    series_set_free(set);
    SelectHints outside = {.mint = shape.max_time, .maxt = INT64_MAX};
    querier_close(q);
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, m, 2, &outside, NULL, &set), 0);
    CHECK_INT(series_set_next(set, &s), 0);
    series_set_free(set);
    querier_close(q);
    block_unref(b);
}

static int label_count(Block *b, const char *name, Matcher *m, size_t n, uint64_t limit,
                       const char *first) {
    Arena a = ARENA_INIT(0);
    Querier *q;
    StrVec v = {0};
    Warnings w = {.arena = &a};
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    int r = name ? q->ops->label_values(q, str_of(name), m, n, limit, &a, &w, &v)
                 : q->ops->label_names(q, m, n, limit, &a, &w, &v);
    CHECK_INT(r, 0);
    for (size_t i = 1; i < v.n; i++) {
        CHECK(str_cmp(v.v[i - 1], v.v[i]) < 0);
    }
    if (first) {
        CHECK_STR(v.v[0], str_of(first));
    }
    CHECK_INT(w.list.n, limit && v.n == limit ? 1 : 0);
    int count = (int)v.n;
    warnings_free(&w);
    vec_free(&v);
    querier_close(q);
    arena_deinit(&a);
    return count;
}

typedef struct Reader {
    SeriesSet *set;
    const Series *series;
    size_t n, first;
    uint64_t samples;
} Reader;

static void *read_series(void *arg) {
    Reader *r = arg;
    SampleIter *it = NULL;
    SampleRun run;
    for (size_t i = 0; i < r->n; i++) {
        it = series_set_iter(r->set, &r->series[(i + r->first) % r->n], it);
        while (sample_iter_next(it, &run) > 0) {
            r->samples += run.n;
        }
    }
    sample_iter_free(it);
    return NULL;
}

TEST (several_threads_read_one_selection) {
    enum { THREADS = 4, SERIES = 120 };
    BlockShape shape = small();
    Block *b = shape_make(&shape);
    Matcher all = matcher(MATCH_NE, "__name__", "");
    Querier *q;
    SeriesSet *set;
    Series series[SERIES];
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, &all, 1, NULL, NULL, &set), 0);
    for (int i = 0; i < SERIES; i++) {
        CHECK_INT(series_set_next(set, &series[i]), 1);
    }
    pthread_t threads[THREADS];
    Reader readers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        readers[i] = (Reader){set, series, SERIES, i * 7, 0};
        CHECK_INT(pthread_create(&threads[i], NULL, read_series, &readers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
        CHECK_INT(readers[i].samples, block_meta(b)->samples);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&all);
    block_unref(b);
}

TEST (label_names_and_values) {
    BlockShape shape = small();
    Block *b = shape_make(&shape);
    CHECK_INT(label_count(b, NULL, NULL, 0, 0, "__name__"), 3);
    CHECK_INT(label_count(b, "instance", NULL, 0, 0, "host-00000"), 30);
    CHECK_INT(label_count(b, "instance", NULL, 0, 5, "host-00000"), 5);
    CHECK_INT(label_count(b, "nothing", NULL, 0, 0, NULL), 0);
    Matcher m = matcher(MATCH_EQ, "job", "job1");
    CHECK_INT(label_count(b, "instance", &m, 1, 0, "host-00001"), 10);
    CHECK_INT(label_count(b, NULL, &m, 1, 2, "__name__"), 2);
    matcher_deinit(&m);
    block_unref(b);
}

TEST (a_querier_reads_on_after_deletion) {
    BlockShape shape = small();
    Block *b = shape_make(&shape);
    Querier *q;
    char path[512];
    snprintf(path, sizeof(path), "%s", block_path(b));
    CHECK_INT(block_querier(b, INT64_MIN, INT64_MAX, &q), 0);
    CHECK_INT(block_delete(path), 0);
    CHECK(!file_exists(path));
    block_unref(b);
    Matcher m = matcher(MATCH_EQ, "job", "job2");
    SeriesSet *set;
    Series s;
    SampleRun run;
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    CHECK_INT(series_set_next(set, &s), 1);
    SampleIter *it = series_set_iter(set, &s, NULL);
    CHECK_INT(sample_iter_next(it, &run), 1);
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

TEST (a_block_without_samples_is_not_made) {
    BlockWriter *w;
    char id[BLOCK_ID_SIZE];
    Label l[] = {{STR("a"), STR("b")}};
    CHECK_INT(block_writer_new(
                  &(BlockWriterOptions){.dir = test_tmpdir(), .min_time = 0, .max_time = 10}, &w),
              0);
    block_writer_symbols(w, (Labels){l, 1});
    CHECK_INT(block_writer_series(w, (Labels){l, 1}), 0);
    CHECK_INT(block_writer_finish(w, id), BLOCK_EMPTY);
    block_writer_free(w);
    CHECK_INT(rmdir(test_tmpdir()), 0);
    CHECK_INT(mkdir(test_tmpdir(), 0755), 0);
}

TEST (the_writer_refuses_what_is_out_of_order) {
    BlockWriter *w;
    Label a[] = {{STR("a"), STR("1")}}, b[] = {{STR("a"), STR("2")}};
    CHECK_INT(block_writer_new(
                  &(BlockWriterOptions){.dir = test_tmpdir(), .min_time = 0, .max_time = 10}, &w),
              0);
    block_writer_symbols(w, (Labels){b, 1});
    block_writer_symbols(w, (Labels){a, 1});
    int64_t t[] = {5, 5};
    double v[] = {1, 2};
    CHECK_INT(block_writer_series(w, (Labels){b, 1}), 0);
    CHECK_INT(block_writer_samples(w, t, v, 1), 0);
    CHECK_INT(block_writer_samples(w, t + 1, v, 1), -EINVAL);
    CHECK_INT(block_writer_samples(w, &(int64_t){10}, v, 1), -ERANGE);
    CHECK_INT(block_writer_series(w, (Labels){a, 1}), -EINVAL);
    block_writer_free(w);
}

/* Bytes of the chunks against bytes of the file: nothing may be wasted in half-filled pages. */
TEST (less_than_3_percent_of_the_file_is_slack) {
    BlockShape shape = {.dir = test_tmpdir(),
                        .metrics = 40,
                        .hosts = 50,
                        .min_time = 0,
                        .max_time = 4 * HOUR,
                        .step = 15000,
                        .noise = true};
    Block *b = shape_make(&shape);
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    uint64_t used = 0;
    while (block_cursor_next(c, &s) > 0) {
        used += 10 * s.n + 12; /* its record */
        for (uint32_t i = 0; i < s.n; i++) {
            used += s.v[i].size;
        }
    }
    block_cursor_free(c);
    uint64_t bytes = block_meta(b)->bytes;
    CHECK(bytes > 4000000);
    if ((bytes - used) * 100 >= bytes * 3) {
        test_fail(__FILE__, __LINE__, "%" PRIu64 " of %" PRIu64 " bytes used", used, bytes);
    }
    Problem p = {0};
    CHECK_INT(block_verify(b, NULL, &p), 0);
    block_unref(b);
}

TEST (cardinality_counts_series_values_and_bytes) {
    BlockShape shape = small();
    Block *b = shape_make(&shape);
    Arena a = ARENA_INIT(0);
    TsdbCardinality c;
    CHECK_INT(block_cardinality(b, 3, &a, &c), 0);
    CHECK_INT(c.n_series_by_metric, 3);
    CHECK_INT(c.series_by_metric[0].value, 30);
    CHECK_STR(c.series_by_metric[0].name, STR("metric_0000_total"));
    CHECK_INT(c.n_values_by_label, 3);
    CHECK_STR(c.values_by_label[0].name, STR("instance"));
    CHECK_INT(c.values_by_label[0].value, 30);
    CHECK_STR(c.bytes_by_label[0].name, STR("instance"));
    CHECK_INT(c.bytes_by_label[0].value, 300);
    CHECK_INT(c.n_series_by_pair, 3);
    CHECK_STR(c.series_by_pair[0].name, STR("job=job0"));
    CHECK_INT(c.series_by_pair[0].value, 40);
    arena_deinit(&a);
    block_unref(b);
}

TEST (left_over_folders_are_cleaned) {
    char path[512], kept[512];
    snprintf(path, sizeof(path), "%s/01HF0000000000000000000000.tmp-for-creation", test_tmpdir());
    snprintf(kept, sizeof(kept), "%s/other.tmp-for-creation", test_tmpdir());
    CHECK_INT(mkdir(path, 0755), 0);
    CHECK_INT(mkdir(kept, 0755), 0);
    CHECK_INT(block_writer_clean(test_tmpdir()), 0);
    CHECK(!file_exists(path));
    CHECK(file_exists(kept));
}
