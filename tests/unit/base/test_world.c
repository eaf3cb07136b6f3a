#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/gotext.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/random.h"
#include "support/test.h"

static char *path_of(const char *name) { return mem_printf("%s/%s", test_tmpdir(), name); }

static void check_content(const char *path, const char *want) {
    Buf b = BUF_INIT(0);
    CHECK_INT(file_read_whole(path, 1000, &b), 0);
    CHECK_STR(buf_str(&b), str_of(want));
    buf_deinit(&b);
}

TEST (durable_write_replaces_or_leaves) {
    CLEANUP(mem_freep) char *path = path_of("f");
    CHECK_INT(file_write_durable(path, "old", 3, 0644), 0);
    static const FileOp ops[] = {FILE_OP_OPEN, FILE_OP_WRITE, FILE_OP_SYNC, FILE_OP_RENAME};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        FileFaultPlan plan = {.op = ops[i], .nth = 1, .error = -ENOSPC, .bytes = 1};
        file_fault_set(file_fault_plan, &plan);
        CHECK_INT(file_write_durable(path, "new", 3, 0644), -ENOSPC);
        file_fault_set(NULL, NULL);
        check_content(path, "old");
    }
    FileFaultPlan two = {.op = FILE_OP_WRITE, .nth = 1, .bytes = 1};
    file_fault_set(file_fault_plan, &two);
    CHECK_INT(file_write_durable(path, "new", 3, 0644), 0);
    file_fault_set(NULL, NULL);
    CHECK_INT(two.seen, 2);
    check_content(path, "new");
}

TEST (torn_write_leaves_its_part) {
    CLEANUP(mem_freep) char *path = path_of("f");
    CLEANUP(file_closep) int fd = -1;
    CHECK_INT(file_open(path, O_RDWR | O_CREAT, 0644, &fd), 0);
    FileFaultPlan plan = {.op = FILE_OP_WRITE, .nth = 1, .error = -EIO, .bytes = 2};
    file_fault_set(file_fault_plan, &plan);
    CHECK_INT(file_pwrite(fd, "abcd", 4, 0), -EIO);
    file_fault_set(NULL, NULL);
    check_content(path, "ab");
    char t[8];
    size_t n;
    CHECK_INT(file_pread(fd, t, 8, 1, &n), 0);
    CHECK_INT(n, 1);
}

TEST (whole_files_have_a_ceiling) {
    CLEANUP(mem_freep) char *path = path_of("f");
    CHECK_INT(file_write_durable(path, "12345", 5, 0644), 0);
    Buf b = BUF_INIT(0);
    CHECK_INT(file_read_whole(path, 4, &b), -EFBIG);
    CHECK_INT(file_read_whole(path, 5, &b), 0);
    buf_reset(&b);
    CHECK_INT(file_read_whole("/proc/self/status", 1 << 20, &b), 0);
    CHECK(b.n > 100);
    CHECK_INT(file_read_whole("/nonexistent/x", 4, &b), -ENOENT);
    buf_deinit(&b);
}

TEST (folders_are_made_measured_and_removed) {
    CLEANUP(mem_freep) char *deep = path_of("a/b/c"), *top = path_of("a"), *file = path_of("a/b/f");
    CHECK_INT(file_make_folder(deep), 0);
    CHECK_INT(file_make_folder(deep), 0);
    CHECK_INT(file_write_durable(file, "x", 1, 0644), 0);
    CHECK_INT(file_make_folder(file), -ENOTDIR);
    uint64_t size = 0;
    CHECK_INT(file_tree_size(top, &size), 0);
    CHECK(size >= 512);
    CHECK_INT(file_remove_tree(top), 0);
    CHECK(!file_exists(top));
    CHECK_INT(file_remove_tree(top), 0);
}

TEST (maps_and_reserved_space) {
    CLEANUP(mem_freep) char *path = path_of("f");
    CLEANUP(file_closep) int fd = -1;
    CHECK_INT(file_open(path, O_RDWR | O_CREAT, 0644, &fd), 0);
    CHECK_INT(file_allocate(fd, 10000, false), 0);
    uint64_t size;
    CHECK(file_size(fd, &size) == 0 && size == 0);
    CHECK_INT(file_allocate(fd, 10000, true), 0);
    CHECK(file_size(fd, &size) == 0 && size == 10000);
    CHECK_INT(file_pwrite(fd, "zz", 2, 9998), 0);
    FileMap m;
    CHECK_INT(file_map(fd, 10000, &m), 0);
    CHECK(m.p[9999] == 'z' && m.p[0] == 0);
    file_unmap(&m);
    CHECK(!m.p);
}

TEST (seeded_randomness_repeats_and_is_spread) {
    Rng a, b;
    rng_init(&a, 42), rng_init(&b, 42);
    unsigned seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t v = rng_below(&a, 10);
        CHECK(v < 10 && v == rng_below(&b, 10));
        seen[v]++;
        double d = rng_double(&a);
        CHECK(d >= 0 && d < 1 && d == rng_double(&b));
    }
    for (int i = 0; i < 10; i++) {
        CHECK(seen[i] > 850 && seen[i] < 1150);
    }
    CHECK(random_u64() != random_u64());
    CHECK(random_below(3) < 3);
}

static void check_quote(Str s, const char *want) {
    Buf b = BUF_INIT(0), back = BUF_INIT(0);
    go_quote(&b, s);
    CHECK_STR(buf_str(&b), str_of(want));
    CHECK(go_unquote(buf_str(&b), &back));
    CHECK_STR(buf_str(&back), s);
    buf_deinit(&b);
    buf_deinit(&back);
}

TEST (quoting_is_that_of_go) {
    check_quote(STR(""), "\"\"");
    check_quote(STR("a\"b\\c'`"), "\"a\\\"b\\\\c'`\"");
    check_quote(STR("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"");
    check_quote(STR("\0\x1f\x7f"), "\"\\x00\\x1f\\x7f\"");
    check_quote(STR("é世界😀"), "\"é世界😀\"");
    check_quote(STR("\xff\xc3"), "\"\\xff\\xc3\"");
    check_quote(STR("\u00a0\u200b\u2028\ufeff\U000e0001"),
                "\"\\u00a0\\u200b\\u2028\\ufeff\\U000e0001\"");
    check_quote(STR("\xef\xbf\xbd"), "\"\xef\xbf\xbd\"");
}

static void check_unquote(const char *literal, const char *want) {
    Buf b = BUF_INIT(0);
    bool ok = go_unquote(str_of(literal), &b);
    if (ok != (want != NULL)) {
        test_fail(__FILE__, __LINE__, "%s: %d", literal, ok);
    }
    if (want) {
        CHECK_STR(buf_str(&b), str_of(want));
    }
    buf_deinit(&b);
}

TEST (unquoting_knows_all_escapes_and_refuses_others) {
    check_unquote("\"\\a\\x41\\101\\u00e9\\U0001F600\\\\\\\"'\"", "\aAAé😀\\\"'");
    check_unquote("'it\\'s \"x\"'", "it's \"x\"");
    check_unquote("`a\\n\nb`", "a\\n\nb");
    check_unquote("\"\\'\"", NULL);
    check_unquote("'\\\"'", NULL);
    check_unquote("\"a\nb\"", NULL);
    check_unquote("\"a\"b\"", NULL);
    check_unquote("`a`b`", NULL);
    check_unquote("\"\\x4\"", NULL);
    check_unquote("\"\\400\"", NULL);
    check_unquote("\"\\U00110000\"", NULL);
    check_unquote("\"\\q\"", NULL);
    check_unquote("\"\\\"", NULL);
    check_unquote("\"a'", NULL);
    check_unquote("\"", NULL);
    check_unquote("", NULL);
}

static void check_metrics(const char *only, const char *want) {
    Buf b = BUF_INIT(0);
    Str s = str_of(only);
    metrics_write(&b, &s, 1);
    CHECK_STR(buf_str(&b), str_of(want));
    buf_deinit(&b);
}

static void set_seven(void *arg) { metric_set(arg, 7); }

TEST (metrics_are_written_in_the_text_format) {
    Metric *c = metric_counter("t_total", "Help \\ me.", "code=\"200\"");
    CHECK(c == metric_counter("t_total", "Help \\ me.", "code=\"200\""));
    metric_inc(c);
    metric_add(c, 1234567);
    Metric *first = metric_counter("t_total", "", "code=\"100\"");
    check_metrics("t_total", "# HELP t_total Help \\\\ me.\n# TYPE t_total counter\n"
                             "t_total{code=\"100\"} 0\nt_total{code=\"200\"} 1.234568e+06\n");
    metric_remove(first);
    Metric *h = metric_histogram("t_h", "H.", NULL, (double[]){0.1, 1}, 2);
    metric_observe(h, 0.1);
    metric_observe(h, 0.5);
    metric_observe(h, 9);
    check_metrics("t_h",
                  "# HELP t_h H.\n# TYPE t_h histogram\nt_h_bucket{le=\"0.1\"} 1\n"
                  "t_h_bucket{le=\"1\"} 2\nt_h_bucket{le=\"+Inf\"} 3\nt_h_sum 9.6\nt_h_count 3\n");
    Metric *g = metric_gauge("t_g", "G.", NULL);
    metrics_on_gather(set_seven, g);
    check_metrics("t_g", "# HELP t_g G.\n# TYPE t_g gauge\nt_g 7\n");
    metrics_off_gather(set_seven, g);
}

TEST (summary_quantiles_follow_the_last_minutes) {
    clock_fake_set(DAY_MS);
    Metric *m = metric_summary("t_s", "S.", "a=\"b\"", (double[]){0.5, 0.99}, 2);
    check_metrics("t_s",
                  "# HELP t_s S.\n# TYPE t_s summary\nt_s{a=\"b\",quantile=\"0.5\"} NaN\n"
                  "t_s{a=\"b\",quantile=\"0.99\"} NaN\nt_s_sum{a=\"b\"} 0\nt_s_count{a=\"b\"} 0\n");
    for (int i = 1; i <= 1000; i++) {
        metric_observe(m, i / 100.0);
    }
    Buf b = BUF_INIT(0);
    metrics_write(&b, NULL, 0);
    double half = 0, most = 0;
    const char *at = strstr(buf_cstr(&b), "quantile=\"0.5\"}");
    CHECK(at && sscanf(at, "quantile=\"0.5\"} %lf", &half) == 1);
    at = strstr(at, "quantile=\"0.99\"}");
    CHECK(at && sscanf(at, "quantile=\"0.99\"} %lf", &most) == 1);
    CHECK(fabs(half / 5 - 1) < 0.05 && fabs(most / 9.9 - 1) < 0.05);
    clock_fake_set(DAY_MS + 11 * MINUTE_MS);
    buf_reset(&b);
    metrics_write(&b, NULL, 0);
    CHECK(strstr(buf_cstr(&b), "quantile=\"0.5\"} NaN") && strstr(b.p, "t_s_count{a=\"b\"} 1000"));
    buf_deinit(&b);
}

static void *count_many(void *m) {
    for (int i = 0; i < 20000; i++) {
        metric_inc(m);
    }
    return NULL;
}

TEST (counting_from_many_threads_loses_nothing) {
    Metric *m = metric_counter("t_threads_total", "", NULL);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&t[i], NULL, count_many, m) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    CHECK_DOUBLE(metric_get(m), 80000.0);
}
