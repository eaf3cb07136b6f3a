/* What a configuration means beyond its single keys. */
#include <stdlib.h>

#include "base/file.h"
#include "config/config.h"
#include "support/test.h"

static Config *load(const char *yaml, unsigned flags, Problem *p) {
    Config *c = NULL;
    *p = (Problem){0};
    return config_load(str_of(yaml), STR("dir/p.yml"), flags, &c, p) < 0 ? NULL : c;
}

static bool refused(const char *yaml, unsigned flags, const char *text) {
    Problem p;
    Config *c = load(yaml, flags, &p);
    bool ok = !c && strstr(p.text, text);
    if (!ok)
        fprintf(stderr, "# got %s\n", p.text);
    config_unref(c);
    return ok;
}

TEST (an_empty_file_has_prometheus_defaults) {
    Problem p;
    Config *c = load("", 0, &p);
    CHECK_INT(c->root.global.scrape.interval_ms, 60000);
    CHECK_INT(c->root.global.scrape.timeout_ms, 10000);
    CHECK_INT(c->root.global.evaluation_interval_ms, 60000);
    CHECK_INT(c->root.storage.exemplars.max_exemplars, 100000);
    CHECK_INT(c->root.runtime.gogc, 75);
    config_unref(c);
    c = load("global:\n", 0, &p);
    CHECK_INT(c->root.global.scrape.interval_ms, 60000);
    config_unref(c);
}

TEST (jobs_inherit_and_override_global_settings) {
    Problem p;
    Config *c = load("global: {scrape_interval: 5s, sample_limit: 7, body_size_limit: 1MB}\n"
                     "scrape_configs:\n- job_name: a\n- job_name: b\n  scrape_interval: 30s\n"
                     "  sample_limit: 9\n  scrape_protocols: [PrometheusText0.0.4]\n",
                     0, &p);
    CHECK_INT(c->n_scrape, 2);
    CHECK_INT(c->scrape[0]->settings.interval_ms, 5000);
    CHECK_INT(c->scrape[0]->settings.timeout_ms, 5000); /* the default shrinks to the interval */
    CHECK_INT(c->scrape[0]->settings.sample_limit, 7);
    CHECK_INT(c->scrape[0]->settings.body_size_limit, 1 << 20);
    CHECK_INT(c->scrape[0]->n_protocols, 4);
    CHECK_INT(c->scrape[1]->settings.timeout_ms, 5000);
    CHECK_INT(c->scrape[1]->settings.sample_limit, 9);
    CHECK_INT(c->scrape[1]->n_protocols, 1);
    config_unref(c);
}

TEST (external_labels_take_environment_variables) {
    Problem p;
    setenv("NARTHEX_T", "val", 1);
    unsetenv("NARTHEX_NONE");
    Config *c = load("global:\n  external_labels: {a: $NARTHEX_T, b: 'x${NARTHEX_T}y', c: $$z, "
                     "d: $NARTHEX_NONE}\n",
                     0, &p);
    Labels l = c->root.global.external_labels;
    CHECK_STR(labels_get(l, STR("a")), STR("val"));
    CHECK_STR(labels_get(l, STR("b")), STR("xvaly"));
    CHECK_STR(labels_get(l, STR("c")), STR("$z"));
    CHECK(!labels_has(l, STR("d")));
    config_unref(c);
}

TEST (paths_are_relative_to_the_file) {
    Problem p;
    Config *c = load("rule_files: [r/*.yml, /abs.yml]\n"
                     "global: {scrape_failure_log_file: f.log}\nscrape_configs:\n- job_name: a\n"
                     "  tls_config: {ca_file: ca.pem}\n  file_sd_configs: [{files: [t/*.json]}]\n",
                     0, &p);
    CHECK_STR(c->root.rule_files.v[0], STR("dir/r/*.yml"));
    CHECK_STR(c->root.rule_files.v[1], STR("/abs.yml"));
    CHECK_STR(c->scrape[0]->http.config.tls.ca_file, STR("dir/ca.pem"));
    CHECK_STR(c->scrape[0]->settings.failure_log_file, STR("dir/f.log"));
    const SdFileConfig *f = c->scrape[0]->sd.of[SD_FILE].v;
    CHECK_STR(f->files.v[0], STR("dir/t/*.json"));
    config_unref(c);
}

TEST (secrets_are_printed_masked) {
    Problem p;
    Config *c =
        load("scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hush1}\n"
             "  consul_sd_configs: [{server: 's:1', token: hush2}]\n"
             "  http_headers: {X-A: {secrets: [hush3], values: [open]}}\n"
             "- job_name: b\n  bearer_token: hush4\n"
             "remote_write:\n- url: http://x\n  oauth2: {client_id: c, client_secret: "
             "hush5, token_url: http://t}\n",
             0, &p);
    CHECK(c != NULL);
    Buf b = BUF_INIT(0);
    config_write_yaml(c, &b);
    CHECK(str_find_str(buf_str(&b), STR("hush")) == b.n);
    CHECK(str_find_str(buf_str(&b), STR("password: <secret>")) < b.n);
    CHECK(str_find_str(buf_str(&b), STR("token: <secret>")) < b.n);
    CHECK(str_find_str(buf_str(&b), STR("credentials: <secret>")) < b.n);
    CHECK(str_find_str(buf_str(&b), STR("client_secret: <secret>")) < b.n);
    CHECK(str_find_str(buf_str(&b), STR("open")) < b.n);
    CHECK_STR(c->scrape[0]->http.config.basic_password, STR("hush1"));
    buf_deinit(&b);
    config_unref(c);
}

TEST (what_does_nothing_yet_is_said) {
    Problem p;
    Config *c = load("scrape_configs:\n- job_name: a\n  consul_sd_configs: [{server: 's:1'}]\n"
                     "  static_configs: [{targets: [x]}]\n",
                     0, &p);
    CHECK_INT(c->n_unsupported, 1);
    CHECK_STR(c->unsupported[0], STR("consul_sd_configs of job \"a\": targets of this mechanism "
                                     "are not discovered yet"));
    config_unref(c);
}

TEST (mistakes_across_sections_are_refused) {
    CHECK(refused("scrape_configs: [{job_name: a}, {job_name: a}]\n", 0,
                  "found multiple scrape configs with job name \"a\""));
    CHECK(refused("global: {scrape_interval: 5s, scrape_timeout: 6s}\n", 0,
                  "global scrape timeout greater than scrape interval"));
    CHECK(refused("rule_files: ['a*/b.yml']\n", 0, "invalid file path"));
    CHECK(refused("remote_write: [{url: a, name: x}, {url: b, name: x}]\n", 0, "\"x\""));
    CHECK(refused("alerting: {alertmanagers: [{static_configs: [{targets: [x]}]}]}\n", CONFIG_AGENT,
                  "field alerting is not allowed in agent mode"));
    CHECK(refused("rule_files: [x]\n", CONFIG_AGENT, "rule_files"));
    CHECK(refused("scrape_configs: [{job_name: a, basic_auth: {}, bearer_token: x}]\n", 0,
                  "at most one of"));
    CHECK(refused("scrape_configs: [{job_name: a, scheme: ftp}]\n", 0, "expected http or https"));
    CHECK(refused("scrape_configs: [{job_name: a, file_sd_configs: [{files: [x.txt]}]}]\n", 0,
                  "is not valid for file discovery"));
}

TEST (further_files_bring_jobs_and_their_mistakes_name_them) {
    char path[600], shown[1500];
    Problem p = {0};
    Config *c = NULL;
    static const char main_text[] = "scrape_config_files: [jobs/*.yml]\n";
    static const char good[] = "scrape_configs: [{job_name: x}]\n";
    static const char bad[] = "scrape_configs:\n- job_name: y\n  scrape_intervall: 3s\n";
    (void)snprintf(path, sizeof(path), "%s/jobs", test_tmpdir());
    CHECK_INT(file_make_folder(path), 0);
    (void)snprintf(path, sizeof(path), "%s/jobs/a.yml", test_tmpdir());
    CHECK_INT(file_write_durable(path, good, sizeof(good) - 1, 0644), 0);
    (void)snprintf(path, sizeof(path), "%s/main.yml", test_tmpdir());
    CHECK_INT(file_write_durable(path, main_text, sizeof(main_text) - 1, 0644), 0);
    CHECK_INT(config_load_file(path, 0, &c, &p), 0);
    CHECK_INT(c->n_scrape, 1);
    CHECK_STR(c->scrape[0]->job_name, STR("x"));
    config_unref(c);
    (void)snprintf(path, sizeof(path), "%s/jobs/b.yml", test_tmpdir());
    CHECK_INT(file_write_durable(path, bad, sizeof(bad) - 1, 0644), 0);
    (void)snprintf(path, sizeof(path), "%s/main.yml", test_tmpdir());
    CHECK(config_load_file(path, 0, &c, &p) < 0);
    problem_format(&p, shown, sizeof(shown));
    CHECK(strstr(shown, "jobs/b.yml:3:3: unknown key \"scrape_intervall\"") != NULL);
}
