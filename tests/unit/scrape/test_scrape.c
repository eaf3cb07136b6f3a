/* What is stored of pages that come, change, break and end: in virtual time, a day is nothing. */
#include "fake_exporter.h"

#define ONE_JOB                                                                                    \
    "global: {scrape_interval: 10s, scrape_timeout: 5s}\n"                                         \
    "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['h:1']}]\n"

/* The time of the first scrape after the start, in seconds: the target's place in its interval. */
static double first_tick(Fake *f) {
    TargetView t = fake_target(f);
    return (double)(t.last_scrape_ms - FAKE_START) / 1000.0;
}

static Str at_ticks(Fake *f, const char *fmt, ...) {
    static char text[2048];
    double tick = first_tick(f);
    size_t n = 0;
    va_list ap;
    va_start(ap, fmt);
    for (const char *c = fmt; *c; c++) {
        if (*c == '@') /* the time of the next argument-th tick */
            n += (size_t)snprintf(text + n, sizeof(text) - n, "@%g", tick + 10.0 * va_arg(ap, int));
        else
            text[n++] = *c;
    }
    va_end(ap);
    text[n] = '\0';
    return str_of(text);
}

TEST (a_page_is_stored_on_a_stable_grid_with_its_reports) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "# HELP a Alpha.\n# TYPE a counter\na{x=\"1\"} 1\nb 2\n";
    f.latency_ms = 300;
    fake_run(&f, 25);
    TargetView t = {0};
    t = fake_target(&f);
    CHECK(t.health == TARGET_UP && t.last_error.n == 0);
    CHECK_CSTR(f.url, "http://h:1/metrics");
    CHECK_CSTR(f.accept, "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                         "application/openmetrics-text;version=0.0.1;q=0.4,"
                         "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                         "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
    int64_t first = t.last_scrape_ms;
    CHECK(f.calls == 2 || f.calls == 3);
    fake_run(&f, 35);
    t = fake_target(&f);
    CHECK_INT(t.last_scrape_ms - first, 10000);
    CHECK(str_starts(fake_samples(&f, "a", "x", "1"), STR("1@")));
    CHECK(str_starts(fake_samples(&f, "up", "instance", "h:1"), STR("1@")));
    CHECK(str_starts(fake_samples(&f, "scrape_samples_scraped", "job", "j"), STR("2@")));
    CHECK(str_starts(fake_samples(&f, "scrape_duration_seconds", NULL, NULL), STR("0.3@")));
    CHECK_INT(fake_samples(&f, "scrape_sample_limit", NULL, NULL).n, 0);
    fake_free(&f);
}

TEST (lines_that_move_appear_and_go_keep_their_series_right) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "# TYPE a counter\na 1\nb 1\nc 1\n";
    fake_run(&f, 10);
    double tick = first_tick(&f);
    CHECK(tick > 0 && tick <= 10);
    f.page = "# TYPE a counter\na 2\nb 2\nc 2\n";
    fake_run(&f, 20);
    f.page = "b 3\nnew{l=\"v\"} 3\n# TYPE a counter\na 3\n";
    fake_run(&f, 30);
    f.page = "b 4\nnew{l=\"v\"} 4\n# TYPE a counter\na 4\nc 4\n";
    fake_run(&f, 40);
    char want[200];
    (void)snprintf(want, sizeof(want), "1@%g 2@%g 3@%g 4@%g", tick, tick + 10, tick + 20,
                   tick + 30);
    CHECK_CSTR(fake_samples(&f, "a", NULL, NULL).p, want);
    CHECK_CSTR(fake_samples(&f, "b", NULL, NULL).p, want);
    (void)snprintf(want, sizeof(want), "1@%g 2@%g stale@%g 4@%g", tick, tick + 10, tick + 20,
                   tick + 30);
    CHECK_CSTR(fake_samples(&f, "c", NULL, NULL).p, want);
    (void)snprintf(want, sizeof(want), "3@%g 4@%g", tick + 20, tick + 30);
    CHECK_CSTR(fake_samples(&f, "new", "l", "v").p, want);
    (void)snprintf(want, sizeof(want), "3@%g 0@%g 1@%g 1@%g", tick, tick + 10, tick + 20,
                   tick + 30);
    CHECK_CSTR(fake_samples(&f, "scrape_series_added", NULL, NULL).p, want);
    fake_free(&f);
}

TEST (a_page_with_a_bad_line_leaves_nothing_but_markers_and_up_0) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "a 1\nb 1\n";
    fake_run(&f, 10);
    double tick = first_tick(&f);
    f.page = "a 2\nb{ 2\n";
    fake_run(&f, 20);
    TargetView t = {0};
    t = fake_target(&f);
    CHECK(str_starts(t.last_error, STR("line 2: ")));
    CHECK(t.health == TARGET_DOWN);
    f.page = "a 3\nb 3\n";
    fake_run(&f, 30);
    char want[200];
    (void)snprintf(want, sizeof(want), "1@%g stale@%g 3@%g", tick, tick + 10, tick + 20);
    CHECK_CSTR(fake_samples(&f, "a", NULL, NULL).p, want);
    CHECK_CSTR(fake_samples(&f, "b", NULL, NULL).p, want);
    (void)snprintf(want, sizeof(want), "1@%g 0@%g 1@%g", tick, tick + 10, tick + 20);
    CHECK_CSTR(fake_samples(&f, "up", NULL, NULL).p, want);
    fake_free(&f);
}

TEST (failed_calls_statuses_and_types_say_why) {
    Fake f;
    TargetView t = {0};
    fake_init(&f, ONE_JOB);
    f.page = "a 1\n";
    f.failure = "connection refused";
    fake_run(&f, 10);
    t = fake_target(&f);
    CHECK_STR(t.last_error, STR("connection refused"));
    f.failure = NULL;
    f.status = 500;
    fake_run(&f, 20);
    t = fake_target(&f);
    CHECK_STR(t.last_error, STR("server returned HTTP status 500 Internal Server Error"));
    f.status = 0;
    f.content_type = "";
    fake_run(&f, 30);
    t = fake_target(&f);
    CHECK(str_starts(t.last_error, STR("non-compliant scrape target sending blank")));
    f.content_type = "text/html";
    fake_run(&f, 40);
    t = fake_target(&f);
    CHECK(str_starts(t.last_error, STR("received unsupported Content-Type \"text/html\"")));
    CHECK_INT(fake_samples(&f, "a", NULL, NULL).n, 0);
    fake_free(&f);
}

TEST (honor_labels_and_exported_labels_follow_prometheus) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "a{instance=\"x\",job=\"\",exported_instance=\"y\"} 1\n";
    fake_run(&f, 10);
    CHECK(fake_samples(&f, "a", "exported_exported_instance", "x").n > 0);
    CHECK(fake_samples(&f, "a", "job", "j").n > 0);
    fake_free(&f);
    fake_init(&f, ONE_JOB "  honor_labels: true\n");
    f.page = "a{instance=\"x\",job=\"\"} 1\n";
    fake_run(&f, 10);
    CHECK(fake_samples(&f, "a", "instance", "x").n > 0);
    CHECK_INT(fake_samples(&f, "a", "job", "j").n, 0);
    fake_free(&f);
}

TEST (limits_fail_the_whole_scrape) {
    static const struct {
        const char *limit, *page, *error;
    } cases[] = {
        {"  sample_limit: 2\n", "a 1\nb 1\nc 1\n", "sample limit exceeded"},
        {"  label_limit: 3\n", "a{x=\"1\"} 1\n",
         "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"},
        {"  label_value_length_limit: 5\n", "a{x=\"123456\"} 1\n",
         "label_value_length_limit exceeded (metric: a, label name: x, length: 6)"},
        {"  body_size_limit: 4B\n", "a 1\n", "body size limit exceeded"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Fake f;
        char yaml[600];
        TargetView t = {0};
        (void)snprintf(yaml, sizeof(yaml), "%s%s  extra_scrape_metrics: true\n", ONE_JOB,
                       cases[i].limit);
        fake_init(&f, yaml);
        f.page = cases[i].page;
        fake_run(&f, 10);
        t = fake_target(&f);
        CHECK_CSTR(t.last_error.p, cases[i].error);
        CHECK_INT(fake_samples(&f, "a", NULL, NULL).n, 0);
        CHECK(str_starts(fake_samples(&f, "up", NULL, NULL), STR("0@")));
        CHECK(fake_samples(&f, "scrape_sample_limit", NULL, NULL).n > 0);
        fake_free(&f);
    }
}

TEST (metric_relabelling_drops_and_renames_once_and_for_all) {
    Fake f;
    fake_init(&f, ONE_JOB "  metric_relabel_configs:\n"
                          "  - {source_labels: [__name__], regex: 'drop.*', action: drop}\n"
                          "  - {source_labels: [__name__], regex: 'a', target_label: __name__, "
                          "replacement: z}\n");
    f.page = "a 1\ndropped 1\nb 1\n";
    fake_run(&f, 10);
    double tick = first_tick(&f);
    fake_run(&f, 20);
    char want[200];
    (void)snprintf(want, sizeof(want), "1@%g 1@%g", tick, tick + 10);
    CHECK_CSTR(fake_samples(&f, "z", NULL, NULL).p, want);
    CHECK_INT(fake_samples(&f, "dropped", NULL, NULL).n, 0);
    (void)snprintf(want, sizeof(want), "2@%g 2@%g", tick, tick + 10);
    CHECK_CSTR(fake_samples(&f, "scrape_samples_post_metric_relabeling", NULL, NULL).p, want);
    (void)snprintf(want, sizeof(want), "3@%g 3@%g", tick, tick + 10);
    CHECK_CSTR(fake_samples(&f, "scrape_samples_scraped", NULL, NULL).p, want);
    fake_free(&f);
}

TEST (own_timestamps_get_no_markers_and_duplicates_keep_the_first) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "a 1 1700000000500\nb 1\nb 7\nc{x=\"1\",y=\"2\"} 1\nc{y=\"2\",x=\"1\"} 8\n";
    fake_run(&f, 10);
    double tick = first_tick(&f);
    fake_run(&f, 20);
    f.page = "d 1\n";
    fake_run(&f, 30);
    CHECK_CSTR(fake_samples(&f, "a", NULL, NULL).p, "1@0.5");
    char want[200];
    (void)snprintf(want, sizeof(want), "1@%g 1@%g stale@%g", tick, tick + 10, tick + 20);
    CHECK_CSTR(fake_samples(&f, "b", NULL, NULL).p, want);
    CHECK_CSTR(fake_samples(&f, "c", NULL, NULL).p, want);
    fake_free(&f);
}

TEST (a_target_that_goes_gets_markers_after_two_intervals_and_none_at_shutdown) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "a 1\n";
    fake_run(&f, 10);
    double tick = first_tick(&f);
    fake_apply(&f, "scrape_configs: []\n");
    fake_run(&f, (int64_t)tick + 19);
    char want[200];
    (void)snprintf(want, sizeof(want), "1@%g", tick);
    CHECK_CSTR(fake_samples(&f, "a", NULL, NULL).p, want);
    fake_run(&f, (int64_t)tick + 23);
    (void)snprintf(want, sizeof(want), "1@%g stale@%g", tick, tick + 10);
    CHECK_CSTR(fake_samples(&f, "a", NULL, NULL).p, want);
    CHECK_CSTR(fake_samples(&f, "up", NULL, NULL).p, want);
    fake_free(&f);
}

TEST (a_reload_keeps_what_did_not_change_and_reads_anew_what_did) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.page = "a 1\nb 1\n";
    fake_run(&f, 10);
    double tick = first_tick(&f);
    fake_apply(&f, ONE_JOB);
    fake_run(&f, 20);
    fake_apply(&f, ONE_JOB "  metric_relabel_configs:\n"
                           "  - {source_labels: [__name__], regex: b, action: drop}\n");
    fake_run(&f, 30);
    char want[200];
    (void)snprintf(want, sizeof(want), "1@%g 1@%g 1@%g", tick, tick + 10, tick + 20);
    CHECK_CSTR(fake_samples(&f, "a", NULL, NULL).p, want);
    (void)snprintf(want, sizeof(want), "1@%g 1@%g stale@%g", tick, tick + 10, tick + 20);
    CHECK_CSTR(fake_samples(&f, "b", NULL, NULL).p, want);
    CHECK_CSTR(fake_samples(&f, "up", NULL, NULL).p, at_ticks(&f, "1@ 1@ 1@", -2, -1, 0).p);
    fake_free(&f);
}

TEST (a_job_over_its_target_limit_fails_all_of_them) {
    Fake f;
    TargetView t = {0};
    fake_init(&f, "scrape_configs:\n- job_name: j\n  scrape_interval: 10s\n  target_limit: 1\n"
                  "  static_configs: [{targets: ['h:1', 'h:2']}]\n");
    f.page = "a 1\n";
    fake_run(&f, 10);
    CHECK_INT(f.calls, 0);
    t = fake_target(&f);
    CHECK_CSTR(t.last_error.p, "target_limit exceeded (number of targets: 2, limit: 1)");
    fake_free(&f);
}

static int collect_metadata(void *arg, Str metric, const Metadata *meta) {
    Buf *b = arg;
    buf_addf(b, "%.*s %s [%.*s]; ", SA(metric), metric_type_text(meta->type), SA(meta->help));
    return 0;
}

TEST (metadata_is_read_from_the_page_remembered) {
    Fake f;
    Buf b = BUF_INIT(0);
    fake_init(&f, ONE_JOB);
    f.page = "# HELP a Al \"pha\".\n# TYPE a counter\na 1\n# HELP b Beta.\nb 2\n";
    fake_run(&f, 20);
    CHECK_INT(scrape_manager_metadata(fake_target(&f).target, collect_metadata, &b), 0);
    CHECK_STR(buf_str(&b), STR("a counter [Al \"pha\".]; b unknown [Beta.]; "));
    buf_deinit(&b);
    fake_free(&f);
}

TEST (exemplars_and_quantiles_do_not_disturb_an_openmetrics_page) {
    Fake f;
    fake_init(&f, ONE_JOB);
    f.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    f.page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {trace=\"x\"} 0.5\n"
             "h_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n# EOF\n";
    fake_run(&f, 20);
    CHECK(fake_samples(&f, "h_bucket", "le", "1.0").n > 0);
    CHECK(str_starts(fake_samples(&f, "up", NULL, NULL), STR("1@")));
    fake_free(&f);
}
