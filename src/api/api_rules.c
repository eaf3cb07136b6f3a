/* /rules and /alerts: from the rule manager's snapshot, on the loop thread. */
#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/params.h"
#include "api/reply.h"
#include "api/rows.h"
#include "base/numtext.h"
#include "format/json.h"
#include "model/duration.h"
#include "model/sha256.h"

static void add_number(JsonWriter *w, const char *key, double v) {
    json_key(w, str_of(key));
    json_add_double(w, v);
}

void row_alert(JsonWriter *w, const AlertInfo *a) {
    CLEANUP(buf_deinit) Buf value = BUF_INIT(64);
    number_format_e(&value, a->value);
    json_field_labels(w, "labels", a->labels);
    json_field_labels(w, "annotations", a->annotations);
    json_field_text(w, "state", str_of(alert_state_text(a->state)));
    json_field_time(w, "activeAt", a->active_at_ms);
    if (a->keep_firing_since_ms) {
        json_field_time(w, "keepFiringSince", a->keep_firing_since_ms);
    }
    json_field_text(w, "value", buf_str(&value));
}

static void add_alert(JsonWriter *w, const AlertInfo *a) {
    json_begin_object(w);
    row_alert(w, a);
    json_end_object(w);
}

void api_alerts(HttpExchange *x, void *arg) {
    Api *api = arg;
    RulesSnapshot *s = rule_manager_snapshot(api->rules);
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_key(&w, STR("alerts"));
    json_begin_array(&w);
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            const RuleInfo *rule = &s->groups[g]->rules[i];
            for (size_t k = 0; k < rule->n_alerts && reply_room(&r); k++) {
                add_alert(&w, &rule->alerts[k]);
            }
        }
    }
    json_end_array(&w);
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
    rules_snapshot_unref(s);
}

/* What a request for rules wants to see. */
typedef struct RuleFilter {
    HttpExchange *x;
    bool alerting, recording, alerts;
    MatcherSets sets;
    uint64_t group_limit;
    Str token;
} RuleFilter;

/* Whether one of the repeated parameters is s, or there is none. */
static bool listed(const HttpExchange *x, const char *name, Str s) {
    size_t at = 0;
    Str value;
    bool any = false;
    while (http_param_next(x, name, &at, &value)) {
        any = true;
        if (str_eq(value, s)) {
            return true;
        }
    }
    return !any;
}

static bool rule_wanted(const RuleFilter *f, const RuleInfo *rule) {
    if (!(rule->alerting ? f->alerting : f->recording) ||
        !listed(f->x, "rule_name[]", rule->name)) {
        return false;
    }
    for (size_t i = 0; i < f->sets.n; i++) {
        if (matchers_match(f->sets.sets[i].v, f->sets.sets[i].n, rule->labels)) {
            return true;
        }
    }
    return f->sets.n == 0;
}

static void add_alerting(JsonWriter *w, const RuleFilter *f, const RuleInfo *rule) {
    json_field_text(w, "state",
                    rule->evaluated ? str_of(alert_state_text(rule->state)) : STR("unknown"));
    json_field_text(w, "name", rule->name);
    json_field_text(w, "query", rule->query);
    add_number(w, "duration", rule->for_s);
    add_number(w, "keepFiringFor", rule->keep_firing_for_s);
    json_field_labels(w, "labels", rule->labels);
    json_field_labels(w, "annotations", rule->annotations);
    json_key(w, STR("alerts"));
    if (!f->alerts) {
        json_add_null(w);
        return;
    }
    json_begin_array(w);
    for (size_t i = 0; i < rule->n_alerts; i++) {
        add_alert(w, &rule->alerts[i]);
    }
    json_end_array(w);
}

static void add_rule(JsonWriter *w, const RuleFilter *f, const RuleInfo *rule) {
    json_begin_object(w);
    if (rule->alerting) {
        add_alerting(w, f, rule);
    } else {
        json_field_text(w, "name", rule->name);
        json_field_text(w, "query", rule->query);
        if (rule->labels.n) {
            json_field_labels(w, "labels", rule->labels);
        }
    }
    json_field_text(w, "health", str_of(rule_health_text(rule->health)));
    if (rule->last_error.n) {
        json_field_text(w, "lastError", rule->last_error);
    }
    add_number(w, "evaluationTime", rule->evaluation_time_s);
    json_field_time(w, "lastEvaluation", rule->last_evaluation_ms);
    json_field_text(w, "type", rule->alerting ? STR("alerting") : STR("recording"));
    json_end_object(w);
}

static void add_group(Reply *r, JsonWriter *w, const RuleFilter *f, const RuleGroupInfo *g) {
    json_begin_object(w);
    json_field_text(w, "name", g->name);
    json_field_text(w, "file", g->file);
    json_key(w, STR("rules"));
    json_begin_array(w);
    for (size_t i = 0; i < g->n_rules && reply_room(r); i++) {
        if (rule_wanted(f, &g->rules[i])) {
            add_rule(w, f, &g->rules[i]);
        }
    }
    json_end_array(w);
    add_number(w, "interval", g->interval_s);
    json_key(w, STR("limit"));
    json_add_int(w, g->limit);
    add_number(w, "evaluationTime", g->evaluation_time_s);
    json_field_time(w, "lastEvaluation", g->last_evaluation_ms);
    json_end_object(w);
}

static bool group_wanted(const RuleFilter *f, const RuleGroupInfo *g) {
    if (!listed(f->x, "rule_group[]", g->name) || !listed(f->x, "file[]", g->file)) {
        return false;
    }
    bool filtered = f->sets.n || http_param(f->x, "rule_name[]").p || !f->alerting || !f->recording;
    for (size_t i = 0; filtered && i < g->n_rules; i++) {
        if (rule_wanted(f, &g->rules[i])) {
            return true;
        }
    }
    return !filtered;
}

/* sha256 hex of "file;group": where the next page begins. */
static Str group_token(Arena *a, const RuleGroupInfo *g) {
    char *hex = arena_alloc_bytes(a, 65);
    Str key = arena_printf(a, "%.*s;%.*s", SA(g->file), SA(g->name));
    sha256_hex(key, hex);
    return (Str){hex, 64};
}

static void reply_rules(HttpExchange *x, const RulesSnapshot *s, const RuleFilter *f) {
    size_t first = 0;
    if (f->token.n) {
        while (first < s->n_groups && !str_eq(group_token(&x->arena, s->groups[first]), f->token)) {
            first++;
        }
        if (first == s->n_groups) {
            reply_error(x, API_BAD_DATA,
                        "invalid group_next_token '%.*s'. were rule groups changed?", SA(f->token));
            return;
        }
    }
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_key(&w, STR("groups"));
    json_begin_array(&w);
    uint64_t given = 0;
    Str next = STR_NULL;
    for (size_t i = first; i < s->n_groups && !next.p && reply_room(&r); i++) {
        if (!group_wanted(f, s->groups[i])) {
            continue;
        }
        if (f->group_limit && given == f->group_limit) {
            next = group_token(&x->arena, s->groups[i]);
        } else {
            add_group(&r, &w, f, s->groups[i]);
            given++;
        }
    }
    json_end_array(&w);
    if (next.p) {
        json_field_text(&w, "groupNextToken", next);
    }
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_rules(HttpExchange *x, void *arg) {
    Api *api = arg;
    Str type = http_param(x, "type");
    RuleFilter f = {.x = x, .token = http_param(x, "group_next_token")};
    bool exclude_alerts;
    f.alerting = type.n == 0 || str_eq_nocase(type, STR("alert"));
    f.recording = type.n == 0 || str_eq_nocase(type, STR("record"));
    if (!f.alerting && !f.recording) {
        reply_error(x, API_BAD_DATA, "invalid parameter \"type\": not supported value \"%.*s\"",
                    SA(type));
        return;
    }
    if (!param_bool(x, "exclude_alerts", &exclude_alerts) ||
        !param_limit(x, "group_limit", &f.group_limit)) {
        return;
    }
    if (http_param(x, "group_limit").n && !f.group_limit) {
        reply_error(x, API_BAD_DATA,
                    "invalid parameter \"group_limit\": group_limit needs to be greater than 0");
        return;
    }
    if (f.token.n && !f.group_limit) {
        reply_error(
            x, API_BAD_DATA,
            "invalid parameter \"group_limit\": group_limit needs to be present in order to "
            "paginate over the groups");
        return;
    }
    f.alerts = !exclude_alerts;
    if (!param_matchers(x, "match[]", &f.sets)) {
        return;
    }
    RulesSnapshot *s = rule_manager_snapshot(api->rules);
    reply_rules(x, s, &f);
    rules_snapshot_unref(s);
    matcher_sets_deinit(&f.sets);
}
