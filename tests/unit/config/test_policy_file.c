/* The policy file is taken whole or refused with the place of the fault. */
#include "base/clock.h"
#include "config/policy_file.h"
#include "support/test.h"

static TsdbPolicies *parse(const char *text) {
    TsdbPolicies *p = NULL;
    Problem problem = {0};
    int r = policy_file_parse(str_of(text), STR("policies.yml"), &p, &problem);
    if (r < 0) {
        printf("# %s\n", problem.text);
    }
    CHECK_INT(r, 0);
    return p;
}

static void refused(const char *text, int line, const char *part) {
    TsdbPolicies *p = NULL;
    Problem problem = {0};
    CHECK(policy_file_parse(str_of(text), STR("policies.yml"), &p, &problem) < 0);
    if (!strstr(problem.text, part)) {
        printf("# %s\n", problem.text);
    }
    CHECK(strstr(problem.text, part) != NULL);
    CHECK_INT(problem.line, line);
}

#define DAY (24 * HOUR_MS)

TEST (selectors_say_how_long_and_ages_how_fine) {
    TsdbPolicies *p = parse("retention:\n"
                            "- {match: '{job=\"debug\"}', keep: 2d}\n"
                            "- {match: '{__name__=~\"slo:.+\"}', keep: 0s}\n"
                            "downsampling:\n"
                            "- {after: 7d, resolution: 5m}\n"
                            "- {after: 90d, resolution: 1h}\n");
    Label debug[] = {{LABEL_NAME, STR("slo:x")}, {STR("job"), STR("debug")}};
    CHECK_INT(tsdb_policies_keep(p, (Labels){debug, 2}, 30 * DAY), 2 * DAY);
    CHECK_INT(tsdb_policies_keep(p, (Labels){debug, 1}, 30 * DAY), 0);
    CHECK_INT(tsdb_policies_keep(p, (Labels){debug + 1, 0}, 30 * DAY), 30 * DAY);
    CHECK_INT(tsdb_policies_longest(p, 30 * DAY), 0);
    CHECK_INT(tsdb_policies_resolution(p, DAY), 0);
    CHECK_INT(tsdb_policies_resolution(p, 7 * DAY), 300000);
    CHECK_INT(tsdb_policies_resolution(p, 400 * DAY), HOUR_MS);
    tsdb_policies_unref(p);
    p = parse("");
    CHECK_INT(tsdb_policies_longest(p, 5), 5);
    tsdb_policies_unref(p);
}

TEST (faults_have_their_place) {
    refused("retention:\n- {match: '{job=', keep: 1d}\n", 2, "match");
    refused("retention:\n- {match: up}\n", 2, "keep");
    refused("retain: []\n", 1, "retain");
    refused("downsampling:\n- {after: 7d, resolution: 7m}\n", 2, "divide 2h");
    refused("downsampling:\n- {after: 7d, resolution: 5m}\n- {after: 6d, resolution: 1h}\n", 3,
            "rise from row to row");
    refused("downsampling:\n- {after: 1m, resolution: 5m}\n", 2, "longer than");
}
