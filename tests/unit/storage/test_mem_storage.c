/* The storage in memory, and the merging of several. */
#include "base/compiler.h"
#include "base/err.h"
#include "storage/mem_storage.h"
#include "storage/merge.h"
#include "support/test.h"

static void add(Storage *s, Str name, Str job, int64_t t, double v, int64_t st) {
    Label l[] = {{LABEL_NAME, name}, {LABEL_JOB, job}};
    Appender *a;
    SeriesRef ref = 0;
    CHECK_INT(storage_appender(s, &a), 0);
    CHECK_INT(a->ops->append(a, &ref, (Labels){l, 2}, t, v, st), APPEND_OK);
    CHECK(ref != 0);
    CHECK_INT(appender_commit(a), 0);
}

/* "t:v t:v ..." of one series, runs cut by '|'. */
static void check_samples(SeriesSet *set, const Series *series, SampleIter **reuse, Str want) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    SampleRun run;
    int r;
    *reuse = series_set_iter(set, series, *reuse);
    while ((r = sample_iter_next(*reuse, &run)) == 1) {
        CHECK(run.n > 0);
        for (uint32_t i = 0; i < run.n; i++) {
            if (run.kind == SAMPLE_FLOAT) {
                buf_addf(&b, "%lld:%g ", (long long)run.t[i], run.f[i]);
            } else if (run.kind == SAMPLE_HISTOGRAM) {
                buf_addf(&b, "%lld:h%llu/%d ", (long long)run.t[i],
                         (unsigned long long)run.h[i]->count, run.h[i]->reset_hint);
            }
        }
    }
    CHECK_INT(r, 0);
    CHECK_STR(buf_str(&b), want);
}

static SeriesSet *select_all(Querier *q, int64_t mint, int64_t maxt) {
    Matcher m;
    SelectHints hints = {.mint = mint, .maxt = maxt, .sorted = true};
    SeriesSet *set;
    CHECK_INT(matcher_init(&m, MATCH_NE, LABEL_NAME, STR(""), NULL), 0);
    CHECK_INT(querier_select(q, &m, 1, &hints, NULL, &set), 0);
    return set;
}

TEST (samples_come_back_sorted_and_in_range) {
    Storage *s = mem_storage_new();
    add(s, STR("b"), STR("x"), 10, 1, 0);
    add(s, STR("b"), STR("x"), 30, 3, 5);
    add(s, STR("b"), STR("x"), 20, 2, 0);
    add(s, STR("b"), STR("x"), 30, 4, 7);
    add(s, STR("a"), STR("x"), 100, 9, 0);
    Querier *q;
    CHECK_INT(storage_querier(s, 0, 1000, &q), 0);
    SeriesSet *set = select_all(q, 11, 1000);
    Series series;
    SampleIter *it = NULL;
    CHECK_INT(series_set_next(set, &series), 1);
    CHECK_STR(labels_get(series.labels, LABEL_NAME), STR("a"));
    check_samples(set, &series, &it, STR("100:9 "));
    CHECK_INT(series_set_next(set, &series), 1);
    check_samples(set, &series, &it, STR("20:2 30:4 "));
    it = series_set_iter(set, &series, it);
    SampleRun run;
    sample_iter_seek(it, 25);
    CHECK_INT(sample_iter_next(it, &run), 1);
    CHECK_INT(run.n, 1);
    CHECK_INT(run.st[0], 7);
    CHECK_INT(series_set_next(set, &series), 0);
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    mem_storage_free(s);
}

TEST (an_open_querier_does_not_see_later_commits) {
    Storage *s = mem_storage_new();
    add(s, STR("a"), STR("x"), 10, 1, 0);
    Querier *q;
    CHECK_INT(storage_querier(s, 0, 1000, &q), 0);
    add(s, STR("a"), STR("x"), 20, 2, 0);
    add(s, STR("a"), STR("x"), 5, 0, 0);
    add(s, STR("new"), STR("x"), 5, 0, 0);
    SeriesSet *set = select_all(q, 0, 1000);
    Series series;
    SampleIter *it = NULL;
    CHECK_INT(series_set_next(set, &series), 1);
    check_samples(set, &series, &it, STR("10:1 "));
    CHECK_INT(series_set_next(set, &series), 0);
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    mem_storage_free(s);
}

TEST (rollback_leaves_nothing) {
    Storage *s = mem_storage_new();
    Label l[] = {{LABEL_NAME, STR("a")}};
    Appender *a;
    SeriesRef ref = 0;
    Histogram h = {.schema = 0};
    CHECK_INT(storage_appender(s, &a), 0);
    CHECK_INT(appender_append(a, &ref, (Labels){l, 1}, 1, 1), APPEND_OK);
    CHECK_INT(a->ops->append_histogram(a, &ref, LABELS_EMPTY, 2, &h, NULL, 0), APPEND_OK);
    SeriesRef unknown = 77;
    CHECK_INT(appender_append(a, &unknown, LABELS_EMPTY, 1, 1), APPEND_UNKNOWN_REF);
    h.count = 5;
    CHECK_INT(a->ops->append_histogram(a, &ref, LABELS_EMPTY, 2, &h, NULL, 0), APPEND_INVALID);
    appender_rollback(a);
    Querier *q;
    CHECK_INT(storage_querier(s, 0, 1000, &q), 0);
    SeriesSet *set = select_all(q, 0, 1000);
    Series series;
    CHECK_INT(series_set_next(set, &series), 0);
    series_set_free(set);
    querier_close(q);
    mem_storage_free(s);
}

TEST (histograms_carry_the_hint_of_their_place) {
    Storage *s = mem_storage_new();
    Label l[] = {{LABEL_NAME, STR("h")}};
    BucketSpan span = {0, 1};
    const uint64_t counts[] = {1, 3, 2};
    Appender *a;
    SeriesRef ref = 0;
    CHECK_INT(storage_appender(s, &a), 0);
    for (int i = 0; i < 3; i++) {
        int64_t bucket = (int64_t)counts[i];
        Histogram h = {.count = counts[i],
                       .n_positive_spans = 1,
                       .positive_spans = &span,
                       .n_positive = 1,
                       .positive = &bucket};
        CHECK_INT(a->ops->append_histogram(a, &ref, (Labels){l, 1}, i, &h, NULL, 0), APPEND_OK);
    }
    CHECK_INT(appender_append(a, &ref, LABELS_EMPTY, 3, 1.5), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    Querier *q;
    CHECK_INT(storage_querier(s, 0, 1000, &q), 0);
    SeriesSet *set = select_all(q, 1, 1000);
    Series series;
    SampleIter *it = NULL;
    CHECK_INT(series_set_next(set, &series), 1);
    check_samples(set, &series, &it, STR("1:h3/2 2:h2/0 3:1.5 "));
    sample_iter_free(it);
    series_set_free(set);
    querier_close(q);
    mem_storage_free(s);
}

TEST (names_and_values_are_sorted_and_cut_with_a_warning) {
    Storage *s = mem_storage_new();
    add(s, STR("b"), STR("y"), 10, 1, 0);
    add(s, STR("a"), STR("x"), 10, 1, 0);
    add(s, STR("c"), STR("x"), 10, 1, 0);
    Arena arena = ARENA_INIT(0);
    Warnings w = {.arena = &arena};
    Querier *q;
    StrVec v;
    CHECK_INT(storage_querier(s, 0, 1000, &q), 0);
    CHECK_INT(q->ops->label_names(q, NULL, 0, 0, &arena, &w, &v), 0);
    CHECK_INT(v.n, 2);
    CHECK_STR(v.v[0], LABEL_NAME);
    vec_free(&v);
    Matcher m;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_JOB, STR("x"), NULL), 0);
    CHECK_INT(q->ops->label_values(q, LABEL_NAME, &m, 1, 0, &arena, &w, &v), 0);
    CHECK_INT(v.n, 2);
    CHECK_STR(v.v[1], STR("c"));
    vec_free(&v);
    CHECK_INT(w.list.n, 0);
    CHECK_INT(q->ops->label_values(q, LABEL_NAME, NULL, 0, 1, &arena, &w, &v), 0);
    CHECK_INT(v.n, 1);
    CHECK_INT(w.list.n, 1);
    vec_free(&v);
    warnings_free(&w);
    querier_close(q);
    arena_deinit(&arena);
    mem_storage_free(s);
}

TEST (merging_takes_the_first_querier_at_equal_times) {
    Storage *one = mem_storage_new(), *two = mem_storage_new(), *three = mem_storage_new();
    for (int i = 0; i < 10; i++) {
        add(i < 6 ? one : two, STR("a"), STR("x"), i, i, 0);
    }
    add(two, STR("a"), STR("x"), 5, 500, 0);
    add(two, STR("a"), STR("x"), 3, 300, 0);
    add(three, STR("a"), STR("x"), 20, 20, 0);
    add(three, STR("a"), STR("x"), 4, 400, 0);
    add(two, STR("b"), STR("x"), 1, 1, 0);
    Querier *q[3];
    CHECK_INT(storage_querier(one, 0, 1000, &q[0]), 0);
    CHECK_INT(storage_querier(two, 0, 1000, &q[1]), 0);
    CHECK_INT(storage_querier(three, 0, 1000, &q[2]), 0);
    Querier *m = merge_querier_new(q, 3);
    SeriesSet *set = select_all(m, 0, 1000);
    Series a, b, none;
    SampleIter *it = NULL;
    CHECK_INT(series_set_next(set, &a), 1);
    CHECK_INT(series_set_next(set, &b), 1);
    CHECK_INT(series_set_next(set, &none), 0);
    check_samples(set, &b, &it, STR("1:1 "));
    check_samples(set, &a, &it, STR("0:0 1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8 9:9 20:20 "));
    it = series_set_iter(set, &a, it);
    sample_iter_seek(it, 9);
    SampleRun run;
    CHECK_INT(sample_iter_next(it, &run), 1);
    CHECK_INT(run.t[0], 9);
    sample_iter_free(it);
    series_set_free(set);
    Arena arena = ARENA_INIT(0);
    StrVec v;
    CHECK_INT(m->ops->label_values(m, LABEL_NAME, NULL, 0, 0, &arena, NULL, &v), 0);
    CHECK_INT(v.n, 2);
    vec_free(&v);
    arena_deinit(&arena);
    querier_close(m);
    mem_storage_free(one);
    mem_storage_free(two);
    mem_storage_free(three);
}

TEST (merging_forgets_hints_between_sources) {
    Storage *s[2] = {mem_storage_new(), mem_storage_new()};
    Label l[] = {{LABEL_NAME, STR("h")}};
    Querier *q[2];
    for (int i = 0; i < 6; i++) {
        Appender *a;
        SeriesRef ref = 0;
        Histogram h = {.schema = 0};
        CHECK_INT(storage_appender(s[i / 2 % 2], &a), 0);
        CHECK_INT(a->ops->append_histogram(a, &ref, (Labels){l, 1}, i, &h, NULL, 0), APPEND_OK);
        CHECK_INT(appender_commit(a), 0);
    }
    CHECK_INT(storage_querier(s[0], 0, 1000, &q[0]), 0);
    CHECK_INT(storage_querier(s[1], 0, 1000, &q[1]), 0);
    Querier *m = merge_querier_new(q, 2);
    SeriesSet *set = select_all(m, 0, 1000);
    Series series;
    SampleIter *it = NULL;
    CHECK_INT(series_set_next(set, &series), 1);
    check_samples(set, &series, &it, STR("0:h0/0 1:h0/2 2:h0/0 3:h0/2 4:h0/0 5:h0/2 "));
    sample_iter_free(it);
    series_set_free(set);
    querier_close(m);
    mem_storage_free(s[0]);
    mem_storage_free(s[1]);
}
