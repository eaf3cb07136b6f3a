/* Addresses through a job's rules. */
#include "config/config.h"
#include "scrape/target.h"
#include "support/test.h"

static Config *load(const char *yaml) {
    Config *c = NULL;
    Problem p = {0};
    if (config_load(str_of(yaml), STR("t.yml"), 0, &c, &p) < 0)
        test_fail(__FILE__, __LINE__, "%s", p.text);
    return c;
}

static TargetGroup *group_of(const Config *c) {
    return target_group_new(c->scrape[0]->sd.of[SD_STATIC].v, STR("0"),
                            (Label){STR("__meta_x"), STR("m")});
}

TEST (labels_params_and_url_are_made_as_prometheus_makes_them) {
    Config *c = load("scrape_configs:\n- job_name: j\n  params: {module: [a b, c], t: [x]}\n"
                     "  metrics_path: /probe\n  scheme: https\n"
                     "  static_configs: [{targets: ['h:1'], labels: {zone: eu}}]\n"
                     "  relabel_configs:\n"
                     "  - {source_labels: [__address__], target_label: __param_target}\n"
                     "  - {source_labels: [__meta_x], target_label: meta}\n");
    TargetGroup *g = group_of(c);
    TargetSpec t;
    Problem p = {0};
    CHECK_INT(target_spec_init(&t, c->scrape[0], g, g->targets[0], &p), TARGET_OK);
    CHECK_STR(t.url, STR("https://h:1/probe?module=a+b&module=c&t=x&target=h%3A1"));
    CHECK_STR(labels_get(t.labels, STR("instance")), STR("h:1"));
    CHECK_STR(labels_get(t.labels, STR("meta")), STR("m"));
    CHECK_STR(labels_get(t.labels, STR("zone")), STR("eu"));
    CHECK(!labels_has(t.labels, STR("__address__")) && !labels_has(t.all, STR("__meta_x")));
    CHECK_STR(labels_get(t.discovered, STR("__scrape_interval__")), STR("1m"));
    CHECK_INT(t.interval_ms, 60000);
    int64_t tick = target_next_tick(&t, 0, 1700000000000);
    CHECK(tick > 1700000000000 && tick <= 1700000060000);
    CHECK_INT(target_next_tick(&t, 0, tick), tick + 60000);
    target_spec_deinit(&t);
    target_group_unref(g);
    config_unref(c);
}

TEST (targets_without_address_or_with_bad_times_are_refused) {
    static const struct {
        const char *rule, *why;
    } cases[] = {
        {"{target_label: __address__, replacement: 'http://x/y'}",
         "\"http://x/y\" is not a valid hostname"},
        {"{target_label: __address__, replacement: ''}", "no address"},
        {"{target_label: __scrape_interval__, replacement: notone}",
         "error parsing scrape interval: "},
        {"{target_label: __scrape_timeout__, replacement: 2m}",
         "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")"},
        {"{target_label: __scrape_native_histograms__, replacement: maybe}",
         "error parsing label __scrape_native_histograms__"},
        {"{target_label: __scrape_timeout__, replacement: 0s}", "scrape timeout cannot be 0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char yaml[400];
        TargetSpec t;
        Problem p = {0};
        (void)snprintf(yaml, sizeof(yaml),
                       "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['h:1']}]\n"
                       "  relabel_configs:\n  - %s\n",
                       cases[i].rule);
        Config *c = load(yaml);
        TargetGroup *g = group_of(c);
        CHECK_INT(target_spec_init(&t, c->scrape[0], g, g->targets[0], &p), TARGET_INVALID);
        CHECK(strncmp(p.text, cases[i].why, strlen(cases[i].why)) == 0);
        target_spec_deinit(&t);
        target_group_unref(g);
        config_unref(c);
    }
}

TEST (dropped_targets_keep_what_was_discovered) {
    Config *c = load("scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['h:1']}]\n"
                     "  relabel_configs: [{action: drop, source_labels: [job], regex: j}]\n");
    TargetGroup *g = group_of(c);
    TargetSpec t;
    Problem p = {0};
    CHECK_INT(target_spec_init(&t, c->scrape[0], g, g->targets[0], &p), TARGET_DROPPED);
    CHECK_STR(labels_get(t.discovered, STR("__address__")), STR("h:1"));
    target_spec_deinit(&t);
    target_group_unref(g);
    config_unref(c);
}
