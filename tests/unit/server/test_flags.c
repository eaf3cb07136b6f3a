#include "server/flags.h"
#include "support/test.h"

static FlagsOutcome parse(Problem *p, int n, const char *const *argv) {
    return flags_parse(n, (char **)argv, p);
}
#define PARSE(p, ...)                                                                              \
    parse((p), (int)(sizeof((const char *[]){"narthex", ##__VA_ARGS__}) / sizeof(char *)),         \
          (const char *[]){"narthex", ##__VA_ARGS__})

TEST (defaults_are_prometheus_own_but_for_retention) {
    Problem p = {0};
    CHECK_INT(PARSE(&p), FLAGS_OK);
    CHECK_STR(flag_str("config.file"), STR("prometheus.yml"));
    CHECK_INT(flag_int("query.lookback-delta"), 300000);
    CHECK_INT(flag("web.listen-address")->n_list, 1);
    CHECK(!flag_bool("web.enable-lifecycle"));
}

TEST (values_come_with_equals_sign_or_as_next_word) {
    Problem p = {0};
    CHECK_INT(PARSE(&p, "--config.file=a.yml", "--query.timeout", "30s", "--web.enable-lifecycle",
                    "--no-storage.tsdb.wal-compression", "--storage.tsdb.retention.size=1GB"),
              FLAGS_OK);
    CHECK_STR(flag_str("config.file"), STR("a.yml"));
    CHECK_INT(flag_int("query.timeout"), 30000);
    CHECK(flag_bool("web.enable-lifecycle"));
    CHECK(!flag_bool("storage.tsdb.wal-compression"));
    CHECK_INT(flag("storage.tsdb.retention.size")->size, 1 << 30);
}

TEST (a_repeatable_flag_replaces_its_default_and_collects) {
    Problem p = {0};
    CHECK_INT(PARSE(&p, "--web.listen-address=:1", "--web.listen-address=:2"), FLAGS_OK);
    CHECK_INT(flag("web.listen-address")->n_list, 2);
    CHECK_STR(flag_str("web.listen-address"), STR(":1,:2"));
}

TEST (an_unknown_flag_is_refused_with_the_nearest_name) {
    Problem p = {0};
    CHECK_INT(PARSE(&p, "--config.fil=x"), FLAGS_USAGE);
    CHECK_CSTR(p.text, "unknown long flag '--config.fil', did you mean '--config.file'?");
}

TEST (wrong_values_say_what_was_expected) {
    Problem p = {0};
    CHECK_INT(PARSE(&p, "--query.timeout=soon"), FLAGS_USAGE);
    CHECK_CSTR(p.text, "flag --query.timeout: expected a duration such as 15s or 2h, got \"soon\"");
    CHECK_INT(PARSE(&p, "--log.level=loud"), FLAGS_USAGE);
    CHECK_INT(PARSE(&p, "--query.max-samples=-1"), FLAGS_USAGE);
    CHECK_INT(PARSE(&p, "--config.file"), FLAGS_USAGE);
}

TEST (agent_flags_need_agent_mode) {
    Problem p = {0};
    CHECK_INT(PARSE(&p, "--storage.agent.path=x"), FLAGS_MODE);
}

TEST (every_flag_has_a_default_that_parses) {
    Problem p = {0};
    CHECK_INT(PARSE(&p), FLAGS_OK);
    size_t n;
    const Flag *all = flags_all(&n);
    CHECK(n > 60);
    for (size_t i = 0; i < n; i++) {
        CHECK(all[i].kind == FLAG_STRS || str_eqc(all[i].text, all[i].fallback));
    }
}
