/* The head alone: outcomes of appends, what queriers see, memory that comes and goes. */
#include <sched.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "support/test.h"
#include "tsdb/head/head.h"

#define RANGE (INT64_C(7200000))

static Head *open_head(void) {
    Head *h;
    char *dir = mem_printf("%s/chunks", test_tmpdir());
    CHECK_INT(head_open(&(HeadOptions){.chunk_dir = dir, .range_ms = RANGE}, &h), 0);
    mem_free(dir);
    return h;
}

static Labels two(Label v[2], const char *name, const char *instance) {
    v[0] = (Label){LABEL_NAME, str_of(name)};
    v[1] = (Label){LABEL_INSTANCE, str_of(instance)};
    return (Labels){v, 2};
}

static int add(Head *h, const char *instance, int64_t t, double v) {
    Appender *a;
    Label l[2];
    SeriesRef ref = 0;
    CHECK_INT(head_appender(h, &a), 0);
    int r = appender_append(a, &ref, two(l, "up", instance), t, v);
    CHECK_INT(appender_commit(a), 0);
    return r;
}

/* Samples of all series `up{instance=~...}` in the range; their sum. */
static size_t count(Head *h, int64_t mint, int64_t maxt, double *ret_sum) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    size_t n = 0;
    double sum = 0;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("up"), NULL), 0);
    CHECK_INT(head_querier(h, mint, maxt, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, &(SelectHints){.mint = mint, .maxt = maxt, .sorted = true},
                             NULL, &set),
              0);
    SampleIter *it = NULL;
    while (series_set_next(set, &s) > 0) {
        it = series_set_iter(set, &s, it);
        while (sample_iter_next(it, &run) > 0) {
            for (uint32_t i = 0; i < run.n; i++) {
                CHECK(run.t[i] >= mint && run.t[i] <= maxt);
                sum += run.f[i];
                n++;
            }
        }
    }
    if (it) {
        sample_iter_free(it);
    }
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    if (ret_sum) {
        *ret_sum = sum;
    }
    return n;
}

TEST (outcomes_are_those_of_prometheus) {
    Head *h = open_head();
    CHECK_INT(add(h, "a", 10000000, 1), APPEND_OK);
    CHECK_INT(add(h, "a", 10000000, 1), APPEND_OK);
    CHECK_INT(add(h, "a", 10000000, 2), APPEND_DUPLICATE);
    CHECK_INT(add(h, "a", 9999999, 1), APPEND_OUT_OF_ORDER);
    CHECK_INT(add(h, "b", 10000000 - RANGE / 2, 1), APPEND_OK);
    CHECK_INT(add(h, "b", 10000000 - RANGE / 2 - 1, 1), APPEND_OUT_OF_BOUNDS);
    CHECK_INT(add(h, "a", 10000001, stale_nan()), APPEND_OK);
    CHECK_INT(add(h, "a", 10000001, normal_nan()), APPEND_DUPLICATE);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 3);
    head_free(h);
}

TEST (an_empty_label_set_is_invalid_and_an_unknown_ref_is_told) {
    Head *h = open_head();
    Appender *a;
    SeriesRef ref = 0;
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &ref, LABELS_EMPTY, 1, 1), APPEND_INVALID);
    ref = 12345;
    CHECK_INT(appender_append(a, &ref, LABELS_EMPTY, 1, 1), APPEND_UNKNOWN_REF);
    appender_rollback(a);
    head_free(h);
}

TEST (nothing_is_seen_before_commit_or_after_rollback) {
    Head *h = open_head();
    Appender *a;
    Label l[2];
    SeriesRef ref = 0;
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &ref, two(l, "up", "a"), 1000, 1), APPEND_OK);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 0);
    appender_rollback(a);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 0);
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &ref, LABELS_EMPTY, 1000, 1), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 1);
    head_free(h);
}

/* Two transactions with samples of one series, the later one committed first. */
TEST (an_earlier_sample_that_is_committed_later_is_kept) {
    Head *h = open_head();
    Appender *a, *b;
    Label l[2];
    SeriesRef ref = 0;
    for (int i = 0; i < 5; i++) {
        CHECK_INT(add(h, "a", 1000 + i, i), APPEND_OK);
    }
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(head_appender(h, &b), 0);
    CHECK_INT(appender_append(a, &ref, two(l, "up", "a"), 2000, 20), APPEND_OK);
    CHECK_INT(appender_append(b, &ref, LABELS_EMPTY, 3000, 30), APPEND_OK);
    CHECK_INT(appender_commit(b), 0);
    CHECK_INT(appender_commit(a), 0);
    double sum;
    CHECK_INT(count(h, 0, INT64_MAX, &sum), 7);
    CHECK_DOUBLE(sum, 60);
    head_free(h);
}

static double value_of(int kind, int i) {
    switch (kind) {
    case 0: return 42;
    case 1: return i;
    case 2: return i * 0.1;
    default: return (double)((uint64_t)i * 2654435761u % 1000003) / 7;
    }
}

TEST (full_chunks_are_read_back_from_their_files) {
    Head *h = open_head();
    Label l[2];
    SeriesRef refs[200] = {0};
    char name[200][8];
    double want = 0;
    for (int i = 0; i < 700; i++) {
        Appender *a;
        CHECK_INT(head_appender(h, &a), 0);
        for (int k = 0; k < 200; k++) {
            snprintf(name[k], sizeof(name[k]), "i%d", k);
            double v = value_of(k % 4, i);
            CHECK_INT(appender_append(a, &refs[k], two(l, "up", name[k]), 15000 * (i + 1), v),
                      APPEND_OK);
            want += i >= 100 ? v : 0;
        }
        CHECK_INT(appender_commit(a), 0);
    }
    double sum;
    CHECK(chunk_log_chunks(h->chunks) >= 200 * 5);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 200 * 700);
    CHECK_INT(count(h, 15000 * 101, 15000 * 700, &sum), 200 * 600);
    CHECK(fabs(sum - want) < 1e-6 * fabs(want));
    head_free(h);
}

TEST (series_without_samples_leave_and_their_refs_are_unknown) {
    Head *h = open_head();
    Label l[2];
    char name[16];
    SeriesRef first = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "old%d", i);
        CHECK_INT(add(h, name, 1000, 1), APPEND_OK);
    }
    Appender *a;
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &first, two(l, "up", "old0"), 1000, 1), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    CHECK_INT(add(h, "new", 2 * RANGE, 1), APPEND_OK);
    size_t symbols = h->index.symbol_table.n;
    CHECK(symbols > 1000);
    head_next_round(h);
    head_truncate(h, RANGE);
    CHECK(head_collect(h));
    head_next_round(h);
    CHECK(head_collect(h));
    CHECK_INT(atomic_load(&h->n_series), 1);
    CHECK(h->index.symbol_table.n < 10);
    CHECK_INT(h->index.n_pairs, 2);
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &first, LABELS_EMPTY, 2 * RANGE, 1), APPEND_UNKNOWN_REF);
    first = 0;
    CHECK_INT(appender_append(a, &first, two(l, "up", "old0"), 2 * RANGE, 1), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 2);
    head_free(h);
}

TEST (an_open_querier_keeps_what_it_may_read) {
    Head *h = open_head();
    Querier *q;
    CHECK_INT(add(h, "old", 1000, 1), APPEND_OK);
    CHECK_INT(add(h, "new", 2 * RANGE, 1), APPEND_OK);
    CHECK_INT(head_querier(h, 0, INT64_MAX, &q), 0);
    head_next_round(h);
    head_truncate(h, RANGE);
    CHECK(!head_collect(h));
    CHECK_INT(atomic_load(&h->n_series), 2);
    querier_close(q);
    head_next_round(h);
    CHECK(head_collect(h));
    CHECK_INT(atomic_load(&h->n_series), 1);
    head_free(h);
}

/* Series of many different labels, some of them the beginning of another's. */
TEST (selected_series_come_in_the_order_of_their_labels) {
    Head *h = open_head();
    Appender *a;
    Querier *q;
    SeriesSet *set;
    Series s;
    Matcher m;
    uint32_t seed = 5, n = 0;
    CHECK_INT(head_appender(h, &a), 0);
    for (int i = 0; i < 600; i++) {
        char text[12][8];
        Label l[12] = {{LABEL_NAME, STR("up")}};
        size_t k = 1;
        for (int name = 0; name < 11; name++) {
            seed = seed * 1664525 + 1013904223;
            if (seed >> 30) {
                snprintf(text[k], sizeof(text[k]), "%u", seed >> 16 & 63);
                l[k] = (Label){str_n(&"abcdefghijk"[name], 1), str_of(text[k])};
                k++;
            }
        }
        SeriesRef ref = 0;
        CHECK(appender_append(a, &ref, (Labels){l, k}, 1000, 1) >= 0);
    }
    CHECK_INT(appender_commit(a), 0);
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("up"), NULL), 0);
    CHECK_INT(head_querier(h, 0, 2000, &q), 0);
    SelectHints hints = {.mint = 0, .maxt = 2000, .sorted = true};
    CHECK_INT(querier_select(q, &m, 1, &hints, NULL, &set), 0);
    Labels last = LABELS_EMPTY;
    for (; series_set_next(set, &s) > 0; n++) {
        CHECK(labels_cmp(last, s.labels) < 0);
        last = s.labels;
    }
    CHECK(n > 500);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
    head_free(h);
}

TEST (label_names_and_values_are_sorted_and_cut) {
    Head *h = open_head();
    Querier *q;
    Arena arena = ARENA_INIT(0);
    StrVec names = {0}, values = {0};
    Warnings w = {.arena = &arena};
    CHECK_INT(add(h, "b", 1000, 1), APPEND_OK);
    CHECK_INT(add(h, "a", 1000, 1), APPEND_OK);
    CHECK_INT(head_querier(h, 0, INT64_MAX, &q), 0);
    CHECK_INT(q->ops->label_names(q, NULL, 0, 0, &arena, &w, &names), 0);
    CHECK_INT(names.n, 2);
    CHECK_STR(names.v[0], STR("__name__"));
    CHECK_STR(names.v[1], STR("instance"));
    CHECK_INT(q->ops->label_values(q, STR("instance"), NULL, 0, 1, &arena, &w, &values), 0);
    CHECK_INT(values.n, 1);
    CHECK_STR(values.v[0], STR("a"));
    CHECK_INT(w.list.n, 1);
    Matcher m;
    CHECK_INT(matcher_init(&m, MATCH_EQ, LABEL_INSTANCE, STR("b"), NULL), 0);
    values.n = 0;
    CHECK_INT(q->ops->label_values(q, STR("instance"), &m, 1, 0, &arena, &w, &values), 0);
    CHECK_INT(values.n, 1);
    CHECK_STR(values.v[0], STR("b"));
    matcher_deinit(&m);
    querier_close(q);
    vec_free(&names);
    vec_free(&values);
    warnings_free(&w);
    TsdbCardinality c;
    CHECK_INT(head_cardinality(h, 10, &arena, &c), 0);
    CHECK_INT(c.n_series_by_metric, 1);
    CHECK_INT(c.series_by_metric[0].value, 2);
    CHECK_STR(c.series_by_pair[0].name, STR("__name__=up"));
    CHECK_STR(c.values_by_label[0].name, STR("instance"));
    arena_deinit(&arena);
    head_free(h);
}

TEST (pieces_of_the_pool_do_not_overlap_and_slabs_are_used_again) {
    BytePool *p = byte_pool_new();
    Rng rng;
    enum { N = 20000 };
    uint8_t **v = mem_calloc(N, sizeof(*v));
    uint32_t *cap = mem_calloc(N, sizeof(*cap));
    rng_init(&rng, 7);
    for (int i = 0; i < N * 10; i++) {
        size_t at = rng_below(&rng, N);
        if (v[at]) {
            CHECK(v[at][0] == (uint8_t)at && v[at][cap[at] - 1] == (uint8_t)at);
            byte_pool_put(p, v[at], cap[at]);
        }
        size_t size = 1 + rng_below(&rng, i < N * 5 ? 100 : 1000);
        v[at] = byte_pool_get(p, size, &cap[at]);
        CHECK(cap[at] >= size);
        memset(v[at], (int)at, cap[at]);
    }
    CHECK(byte_pool_bytes(p) < (24u << 20));
    mem_free(v);
    mem_free(cap);
    byte_pool_free(p);
}

typedef struct LateCommit {
    Head *head;
    Appender *appender;
} LateCommit;

static void *commit_later(void *arg) {
    LateCommit *l = arg;
    while (atomic_load(&l->head->min_append) == INT64_MIN) {
        sched_yield();
    }
    usleep(20000);
    CHECK_INT(appender_commit(l->appender), 0);
    return NULL;
}

TEST (a_new_bound_waits_for_transactions_under_the_old_one) {
    Head *h = open_head();
    Label l[2];
    SeriesRef ref = 0;
    pthread_t thread;
    LateCommit late = {.head = h};
    CHECK_INT(head_appender(h, &late.appender), 0);
    CHECK_INT(appender_append(late.appender, &ref, two(l, "up", "a"), 1000, 1), APPEND_OK);
    pthread_create(&thread, NULL, commit_later, &late);
    head_raise_min_valid(h, RANGE);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 1);
    pthread_join(thread, NULL);
    CHECK_INT(add(h, "a", RANGE - 1, 1), APPEND_OUT_OF_BOUNDS);
    head_free(h);
}

TEST (a_commit_that_a_cut_has_overtaken_fails_whole) {
    Head *h = open_head();
    Appender *a;
    Label l[2];
    SeriesRef old = 0, new = 0;
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &old, two(l, "up", "a"), 1000, 1), APPEND_OK);
    CHECK_INT(appender_append(a, &new, two(l, "up", "b"), RANGE, 1), APPEND_OK);
    head_truncate(h, RANGE);
    CHECK_INT(appender_commit(a), -ESTALE);
    CHECK_INT(count(h, 0, INT64_MAX, NULL), 0);
    head_free(h);
}

TEST (labels_that_no_journal_record_holds_are_refused) {
    Head *h = open_head();
    Appender *a;
    SeriesRef ref = 0;
    size_t n = (16u << 20) + 1;
    char *text = mem_alloc(n);
    memset(text, 'x', n);
    Label l[2] = {{LABEL_NAME, STR("up")}, {STR("a"), {text, n}}};
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, 1000, 1), APPEND_INVALID);
    l[1].value.n = 1u << 20;
    CHECK_INT(appender_append(a, &ref, (Labels){l, 2}, 1000, 1), APPEND_OK);
    CHECK_INT(appender_commit(a), 0);
    mem_free(text);
    head_free(h);
}

/* The regex meets few series: their own values are looked at, which must come to the same. */
TEST (a_regex_beside_a_metric_name_looks_at_its_series_only) {
    Head *h = open_head();
    char instance[16];
    for (int i = 0; i < 2000; i++) {
        Appender *a;
        Label l[2];
        SeriesRef ref = 0;
        snprintf(instance, sizeof(instance), "i%d", i);
        CHECK_INT(head_appender(h, &a), 0);
        CHECK_INT(appender_append(a, &ref, two(l, i % 200 ? "other" : "up", instance), 1000, 1),
                  APPEND_OK);
        CHECK_INT(appender_commit(a), 0);
    }
    Matcher m[2];
    Problem p = {0};
    Querier *q;
    SeriesSet *set;
    Series s;
    int n = 0;
    CHECK_INT(matcher_init(&m[0], MATCH_EQ, LABEL_NAME, STR("up"), NULL), 0);
    CHECK_INT(matcher_init(&m[1], MATCH_RE, LABEL_INSTANCE, STR("i.*00"), &p), 0);
    CHECK_INT(head_querier(h, 0, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, m, 2, NULL, NULL, &set), 0);
    while (series_set_next(set, &s) > 0) {
        Str v = labels_get(s.labels, LABEL_INSTANCE);
        CHECK(v.n > 3 && v.p[v.n - 1] == '0' && v.p[v.n - 2] == '0');
        n++;
    }
    CHECK_INT(n, 9); /* of i0, i200, ..., i1800 all but i0 */
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m[0]);
    matcher_deinit(&m[1]);
    head_free(h);
}

/* ---- a commit is visible at once */

#define WIDTH 300

typedef struct Together {
    Head *head;
    int number;
    atomic_bool *stop;
} Together;

/* Every commit has one sample of each of its series, all with the same time and value. */
static void *commit_together(void *arg) {
    const Together *w = arg;
    SeriesRef refs[WIDTH] = {0};
    for (int64_t t = 1; !atomic_load(w->stop); t++) {
        Appender *a;
        CHECK_INT(head_appender(w->head, &a), 0);
        for (int i = 0; i < WIDTH; i++) {
            char owner[16], name[16];
            snprintf(owner, sizeof(owner), "w%d", w->number);
            snprintf(name, sizeof(name), "%d", i);
            Label l[3] = {{LABEL_NAME, STR("up")},
                          {LABEL_INSTANCE, str_of(name)},
                          {STR("owner"), str_of(owner)}};
            CHECK_INT(appender_append(a, &refs[i], (Labels){l, 3}, t * 10 + i % 3, (double)t),
                      APPEND_OK);
        }
        CHECK_INT(appender_commit(a), 0);
    }
    return NULL;
}

/* The sums of the last values of the series of one writer, read slowly: all or none of a commit. */
static void check_together(Head *h, int number) {
    Querier *q;
    SeriesSet *set;
    Series s;
    SampleRun run;
    Matcher m;
    char owner[16];
    size_t n = 0;
    double first = 0;
    snprintf(owner, sizeof(owner), "w%d", number);
    CHECK_INT(matcher_init(&m, MATCH_EQ, STR("owner"), str_of(owner), NULL), 0);
    CHECK_INT(head_querier(h, 0, INT64_MAX, &q), 0);
    CHECK_INT(querier_select(q, &m, 1, NULL, NULL, &set), 0);
    while (series_set_next(set, &s) > 0) {
        double last = 0;
        SampleIter *it = series_set_iter(set, &s, NULL);
        while (sample_iter_next(it, &run) > 0) {
            last = run.f[run.n - 1];
        }
        sample_iter_free(it);
        first = n++ == 0 ? last : first;
        CHECK_DOUBLE(last, first);
        if (n % 50 == 0) {
            usleep(500);
        }
    }
    CHECK(n == 0 || n == WIDTH);
    series_set_free(set);
    querier_close(q);
    matcher_deinit(&m);
}

TEST (a_querier_sees_all_of_a_commit_or_nothing_however_long_it_reads) {
    Head *h = open_head();
    atomic_bool stop = false;
    Together w[2] = {{h, 0, &stop}, {h, 1, &stop}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, commit_together, &w[i]);
    }
    for (int i = 0; i < 40; i++) {
        check_together(h, i % 2);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    check_together(h, 0);
    head_free(h);
}

/* ---- slots are given out again */

TEST (under_churn_slots_are_given_out_again_and_old_refs_find_nothing) {
    Head *h = open_head();
    Label l[2];
    Appender *a;
    SeriesRef first = 0, ref;
    char name[32];
    for (int64_t round = 0; round < 50; round++) {
        int64_t t = round * RANGE;
        CHECK_INT(head_appender(h, &a), 0);
        for (int i = 0; i < 600; i++) {
            snprintf(name, sizeof(name), "pod-%lld-%d", (long long)round, i);
            ref = 0;
            CHECK_INT(appender_append(a, &ref, two(l, "up", name), t, 1), APPEND_OK);
            first = first ? first : ref;
        }
        CHECK_INT(appender_commit(a), 0);
        head_raise_min_valid(h, t);
        head_truncate(h, t);
        head_next_round(h);
        CHECK(head_collect(h));
        CHECK_INT(count(h, 0, INT64_MAX, NULL), 600);
    }
    CHECK(atomic_load(&h->next_slot) <= 4 * 600);
    CHECK_INT(atomic_load(&h->n_series), 600);
    CHECK_INT(head_appender(h, &a), 0);
    CHECK_INT(appender_append(a, &first, LABELS_EMPTY, 50 * RANGE, 1), APPEND_UNKNOWN_REF);
    appender_rollback(a);
    head_free(h);
}
