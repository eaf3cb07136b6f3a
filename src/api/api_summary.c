/* /status/summary: the few numbers that say whether all is well; small enough to be asked every few
 * seconds, and answered while the journal is still being replayed. */
#include "api/handlers.h"
#include "api/reply.h"
#include "api/rows.h"
#include "base/clock.h"
#include "base/version.h"
#include "format/json.h"

typedef struct TargetCounts {
    size_t up, down, unknown;
} TargetCounts;

static int count_target(void *arg, const TargetView *t) {
    TargetCounts *c = arg;
    c->up += t->health == TARGET_UP;
    c->down += t->health == TARGET_DOWN;
    c->unknown += t->health != TARGET_UP && t->health != TARGET_DOWN;
    return 0;
}

typedef struct RuleCounts {
    size_t groups, rules, failing, slow, pending, firing;
} RuleCounts;

static void count_rule(const RuleInfo *rule, RuleCounts *c) {
    c->rules++;
    c->failing += rule->health == RULE_ERR;
    for (size_t i = 0; i < rule->n_alerts; i++) {
        c->firing += rule->alerts[i].state == ALERT_FIRING;
        c->pending += rule->alerts[i].state == ALERT_PENDING;
    }
}

static void count_rules(RuleManager *m, RuleCounts *ret) {
    RulesSnapshot *s = rule_manager_snapshot(m);
    *ret = (RuleCounts){.groups = s->n_groups};
    for (size_t g = 0; g < s->n_groups; g++) {
        ret->slow += s->groups[g]->evaluation_time_s > s->groups[g]->interval_s;
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            count_rule(&s->groups[g]->rules[i], ret);
        }
    }
    rules_snapshot_unref(s);
}

static void add_parts(Api *api, Buf *b) {
    TargetCounts targets = {0};
    RuleCounts rules;
    TsdbStats tsdb;
    scrape_manager_each_active(api->scrape, STR_NULL, count_target, &targets);
    count_rules(api->rules, &rules);
    tsdb_stats(api->tsdb, &tsdb);
    buf_addf(b, ",\"targets\":{\"up\":%zu,\"down\":%zu,\"unknown\":%zu}", targets.up, targets.down,
             targets.unknown);
    buf_addf(b,
             ",\"rules\":{\"groups\":%zu,\"rules\":%zu,\"failing\":%zu,\"slowGroups\":%zu,"
             "\"pending\":%zu,\"firing\":%zu}",
             rules.groups, rules.rules, rules.failing, rules.slow, rules.pending, rules.firing);
    buf_addf(b,
             ",\"tsdb\":{\"series\":%llu,\"samplesAppended\":%llu,\"blocks\":%llu,"
             "\"blocksBytes\":%llu}",
             (unsigned long long)tsdb.head_series, (unsigned long long)tsdb.samples_appended,
             (unsigned long long)tsdb.blocks, (unsigned long long)tsdb.blocks_bytes);
}

void row_summary(Api *api, bool with_now, Buf *b) {
    ApiRuntime runtime = {0};
    int min, max, current;
    api->hooks->runtime(api->server, &runtime);
    tsdb_replay_progress(&min, &max, &current);
    buf_addf(b, "{\"version\":\"" VERSION_NARTHEX "\",\"ready\":%s,\"stopping\":%s",
             api->ready ? "true" : "false", api->stopping ? "true" : "false");
    if (with_now) {
        buf_addf(b, ",\"nowMs\":%lld", (long long)clock_wall_ms());
    }
    buf_addf(b,
             ",\"startMs\":%lld,\"reloadOk\":%s,\"lastReloadMs\":%lld,"
             "\"replay\":{\"min\":%d,\"max\":%d,\"current\":%d}",
             (long long)runtime.start_ms, runtime.reload_ok ? "true" : "false",
             (long long)runtime.last_config_ms, min, max, current);
    if (api->ready && !api->stopping) {
        add_parts(api, b);
    }
    buf_add_char(b, '}');
}

void api_status_summary(HttpExchange *x, void *arg) {
    Reply r;
    reply_begin(&r, x);
    row_summary(arg, true, &r.b);
    reply_end(&r, NULL, 0, NULL, 0);
}
