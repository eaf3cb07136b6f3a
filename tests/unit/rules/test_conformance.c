/*
 * Verdicts on the files other projects test with; only when their folder is given to the build.
 * Method: a list of files that must be refused; every other one must be accepted.
 */
#include "base/file.h"
#include "base/mem.h"
#include "rules/am_config.h"
#include "rules/rule_file.h"
#include "support/test.h"

static const char *const AM_BAD[] = {
    "cli.conf.bad.yml",
    "cli_config.amtool.bad.yml",
    "cli_config.amtool.good1.yml", /* amtool's own configuration, not Alertmanager's */
    "cli_config.amtool.good2.yml",
    "cli_config.http_config.bad.yml",
    "cli_config.http_config.basic_auth.good.yml",
    "cli_config.http_config.good.yml",
    "config.conf.mattermost-both-webhook-url-and-file.yml",
    "config.conf.mattermost-valid-receiver-both-webhook-url-and-file.yml",
    "config.conf.nil-source_match_re-inhibition.yml",
    "config.conf.opsgenie-both-file-and-apikey.yml",
    "config.conf.opsgenie-default-apikey-old-team.yml",
    "config.conf.opsgenie-no-apikey.yml",
    "config.conf.rocketchat-both-tokenid-and-tokenidfile.yml",
    "config.conf.slack-both-file-and-token.yml",
    "config.conf.slack-both-url-and-token.yml",
    "config.conf.slack-update-message-and-webhook.yml",
    "config.conf.sns-invalid.yml",
    "config.conf.telegram-both-bot-token-and-file.yml",
    "config.conf.telegram-valid-receiver-both-bot-token-and-file.yml",
    "config.conf.victorops-no-apikey.yml",
    NULL,
};

static int bad;

static bool listed(const char *const *list, const char *name) {
    for (; *list; list++) {
        if (strcmp(*list, name) == 0) {
            return true;
        }
    }
    return false;
}

static void judge(const char *name, bool refused, bool want, const Problem *p) {
    if (refused != want) {
        printf("# %s: %s, %s:%d: %s\n", name, refused ? "refused" : "accepted", p->file, p->line,
               p->text);
        bad++;
    }
}

static int alertmanager_file(void *arg, const char *name) {
    char *path = mem_printf("%s/%s", (const char *)arg, name);
    Problem p = {0};
    AmConfig *c = NULL;
    bool refused = am_config_load(path, &c, &p) < 0;
    judge(name, refused, listed(AM_BAD, name), &p);
    am_config_free(c);
    mem_free(path);
    return 0;
}

static void each_file(const char *sub, int (*fn)(void *, const char *)) {
    const char *root = getenv("NARTHEX_CONFORMANCE");
    if (!root || !*root) {
        return;
    }
    char *dir = mem_printf("%s/%s", root, sub);
    CHECK_INT(file_each_name(dir, fn, dir), 0);
    mem_free(dir);
    CHECK_INT(bad, 0);
}

TEST (alertmanager_files_get_its_verdict) {
    each_file("alertmanager", alertmanager_file);
}

static int rule_file(void *arg, const char *name) {
    char *path = mem_printf("%s/%s", (const char *)arg, name);
    PromqlEngine *e = promql_engine_new(&(PromqlOptions){0});
    Problem p = {0};
    RuleFile *f = NULL;
    bool refused = rule_file_load(path, e, &f, &p) < 0;
    judge(name, refused, strcmp(name, "invalid_rules.yaml") == 0, &p);
    rule_file_unref(f);
    promql_engine_free(e);
    mem_free(path);
    return 0;
}

TEST (rule_files_get_prometheus_verdict) {
    each_file("rules", rule_file);
}

static const char *const PROMTOOL_RULES[] = {
    "rules.yml",           "at-modifier.yml",      "bad-rules-error.yml",
    "negative-offset.yml", "rules_duplicates.yml", NULL};
static const char *const PROMTOOL_BAD[] = {
    "rules-bad.yml",        "rules_extrafields.yml", "rules_run.yml",   "bad-promql.yml",
    "bad-rules-syntax.yml", "features.yml",          "long-period.yml", NULL};

static int promtool_file(void *arg, const char *name) {
    bool good = listed(PROMTOOL_RULES, name), refuse = listed(PROMTOOL_BAD, name);
    if (good || refuse) {
        char *path = mem_printf("%s/%s", (const char *)arg, name);
        PromqlEngine *e = promql_engine_new(&(PromqlOptions){0});
        Problem p = {0};
        RuleFile *f = NULL;
        judge(name, rule_file_load(path, e, &f, &p) < 0, refuse, &p);
        rule_file_unref(f);
        promql_engine_free(e);
        mem_free(path);
    }
    return 0;
}

TEST (rule_files_of_promtool_get_its_verdict) {
    each_file("promtool", promtool_file);
}
