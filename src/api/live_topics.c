#include "api/live_topics.h"

#include <stdio.h>

#include "api/json_fields.h"
#include "api/rows.h"
#include "base/hash.h"
#include "base/numtext.h"
#include "format/json.h"

/* Between the parts of a key; no file name, job or URL has it. */
#define SEPARATOR '\x01'

const char *live_topic_name(LiveTopic t) {
    static const char *const names[] = {
#define TOPIC(id, name) [LIVE_##id] = (name),
#include "api/live_topics.def"
#undef TOPIC
    };
    return names[t];
}

bool live_topics_parse(Str list, unsigned *ret, Str *ret_unknown) {
    Str one;
    unsigned bits = 0;
    while (str_split_next(&list, ',', &one)) {
        LiveTopic t = 0;
        while (t < LIVE_TOPICS && !str_eqc(str_trim(one), live_topic_name(t))) {
            t++;
        }
        if (t == LIVE_TOPICS) {
            *ret_unknown = one;
            return false;
        }
        bits |= 1u << t;
    }
    *ret = bits ? bits : LIVE_TOPICS_ALL;
    return true;
}

void live_topics_init(LiveTopics *t) {
    *t = (LiveTopics){0};
    t->rows[LIVE_SUMMARY].whole = true;
}

void live_topics_deinit(LiveTopics *t) {
    for (LiveTopic i = 0; i < LIVE_TOPICS; i++) {
        live_rows_deinit(&t->rows[i]);
    }
    buf_deinit(&t->summary);
}

/* ---- looking: on the loop thread */

/* Marks the key, or the key with `other` behind it when this walk has met it before: two targets
 * may have one URL, two rules one alert. The key is in b afterwards. */
static LiveMark mark_unique(LiveRows *rows, Buf *b, uint64_t stamp, uint64_t other) {
    LiveMark m = live_rows_mark(rows, buf_str(b), stamp);
    if (m == LIVE_TWICE) {
        buf_addf(b, "%c%llx", SEPARATOR, (unsigned long long)other);
        m = live_rows_mark(rows, buf_str(b), stamp);
    }
    return m;
}

static uint64_t mix(uint64_t h, uint64_t v) {
    return (h ^ v) * UINT64_C(0x9e3779b97f4a7c15) + (h >> 29);
}

static uint64_t target_stamp(const TargetView *t) {
    uint64_t h = labels_hash(t->labels), duration;
    memcpy(&duration, &t->last_duration_s, 8);
    h = mix(h, (uint64_t)t->last_scrape_ms);
    h = mix(h, duration);
    h = mix(h, hash_xxh64(t->last_error.p, t->last_error.n));
    h = mix(h, hash_xxh64(t->interval.p, t->interval.n));
    h = mix(h, hash_xxh64(t->timeout.p, t->timeout.n));
    return mix(h, (uint64_t)t->health);
}

typedef struct TargetWalk {
    LiveRows *rows;
    LiveLook *look;
    Buf key;
} TargetWalk;

static TargetView target_copy(const TargetView *t, Arena *a) {
    TargetView v = *t;
    v.pool = arena_str(a, t->pool);
    v.discovered = (Labels){0};
    v.labels = labels_copy(a, t->labels);
    v.url = arena_str(a, t->url);
    v.last_error = arena_str(a, t->last_error);
    v.interval = arena_str(a, t->interval);
    v.timeout = arena_str(a, t->timeout);
    v.target = NULL;
    return v;
}

static int look_at_target(void *arg, const TargetView *t) {
    TargetWalk *k = arg;
    buf_reset(&k->key);
    buf_add_str(&k->key, t->pool);
    buf_add_char(&k->key, SEPARATOR);
    buf_add_str(&k->key, t->url);
    if (mark_unique(k->rows, &k->key, target_stamp(t), labels_hash(t->labels)) == LIVE_CHANGED) {
        Arena *a = &k->look->arena;
        vec_push(&k->look->targets,
                 (LiveTarget){arena_str(a, buf_str(&k->key)), target_copy(t, a)});
    }
    return 0;
}

static void look_at_targets(Api *api, LiveTopics *t, LiveLook *look) {
    TargetWalk walk = {.rows = &t->rows[LIVE_TARGETS], .look = look, .key = BUF_INIT(0)};
    live_rows_begin(walk.rows);
    scrape_manager_each_active(api->scrape, STR_NULL, look_at_target, &walk);
    buf_deinit(&walk.key);
}

void live_look(Api *api, LiveTopics *t, unsigned topics, LiveLook *look) {
    bool up = api->ready && !api->stopping;
    *look = (LiveLook){.topics = up ? topics : topics & 1u << LIVE_SUMMARY};
    look->delivery.arena = &look->arena;
    if (look->topics & 1u << LIVE_SUMMARY) {
        row_summary(api, false, &look->summary);
        row_summary(api, true, &look->summary_now);
    }
    if (look->topics & (1u << LIVE_ALERTS | 1u << LIVE_RULES)) {
        look->rules = rule_manager_snapshot(api->rules);
    }
    if (look->topics & 1u << LIVE_ALERTS) {
        look->nowhere = !api->hooks->notify_status(api->server, &look->delivery);
    }
    if (look->topics & 1u << LIVE_QUERIES) {
        (void)promql_engine_queries(api->engine, &look->arena, &look->queries, &look->n_queries);
    }
    if (look->topics & 1u << LIVE_TARGETS) {
        look_at_targets(api, t, look);
    }
}

/* ---- making rows: on a worker */

static void apply_summary(LiveTopics *t, LiveLook *look, uint64_t tick) {
    LiveRows *rows = &t->rows[LIVE_SUMMARY];
    live_rows_begin(rows);
    (void)live_rows_mark(rows, STR(""), 0);
    if (!str_eq(buf_str(&t->summary), buf_str(&look->summary))) {
        live_rows_set(rows, STR(""), buf_str(&look->summary_now), tick);
        buf_reset(&t->summary);
        buf_add_str(&t->summary, buf_str(&look->summary));
    }
}

void row_notify_status(JsonWriter *w, const NotifyStatus *s) {
    json_begin_object(w);
    json_field_text(w, "receiver", s->receiver);
    json_field_text(w, "route", s->route);
    json_field_text(w, "integration", s->integration);
    json_field_text(w, "state", str_of(notify_state_text(s->state)));
    const struct {
        const char *key;
        int64_t ms;
    } times[] = {{"at", s->at_ms}, {"nextAt", s->next_at_ms}, {"sentAt", s->sent_at_ms}};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        if (times[i].ms) {
            json_key(w, str_of(times[i].key));
            json_add_time(w, times[i].ms);
        }
    }
    json_key(w, STR("attempts"));
    json_add_uint(w, s->attempts);
    json_field_text(w, "lastError", s->last_error);
    json_end_object(w);
}

static const NotifyStatus going_nowhere = {
    .receiver = STR(""),
    .route = STR(""),
    .integration = STR(""),
    .state = NOTIFY_UNROUTED,
    .last_error = STR("no Alertmanager is configured"),
};

static void add_deliveries(JsonWriter *w, const LiveLook *look, const AlertInfo *a,
                           uint64_t fingerprint) {
    size_t n;
    const NotifyStatus *v = notify_statuses_find(&look->delivery, fingerprint, &n);
    json_key(w, STR("delivery"));
    json_begin_array(w);
    for (size_t i = 0; i < n && a->state == ALERT_FIRING; i++) {
        row_notify_status(w, &v[i]);
    }
    if (look->nowhere && a->state == ALERT_FIRING) {
        row_notify_status(w, &going_nowhere);
    }
    json_end_array(w);
}

static void add_alert(Buf *b, const LiveLook *look, const RuleGroupInfo *g, const RuleInfo *rule,
                      const AlertInfo *a, uint64_t fingerprint) {
    JsonWriter w = JSON_WRITER(b);
    char hex[17];
    (void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)fingerprint);
    json_begin_object(&w);
    row_alert(&w, a);
    json_field_text(&w, "fingerprint", str_of(hex));
    json_field_text(&w, "rule", rule->name);
    json_field_text(&w, "group", g->name);
    json_field_text(&w, "file", g->file);
    json_key(&w, STR("holdSeconds"));
    json_add_double(&w, rule->for_s);
    add_deliveries(&w, look, a, fingerprint);
    json_end_object(&w);
}

typedef struct Maker {
    LiveRows *rows;
    const LiveLook *look;
    uint64_t tick;
    Buf key, text;
} Maker;

static uint64_t rule_hash(const RuleGroupInfo *g, size_t rule) {
    return mix(mix(hash_str(g->file), hash_str(g->name)), rule);
}

static void make_alerts(Maker *m, const RuleGroupInfo *g, size_t rule) {
    const RuleInfo *r = &g->rules[rule];
    for (size_t i = 0; i < r->n_alerts; i++) {
        uint64_t fingerprint = labels_fingerprint(r->alerts[i].labels);
        buf_reset(&m->key);
        buf_reset(&m->text);
        buf_addf(&m->key, "%016llx", (unsigned long long)fingerprint);
        (void)mark_unique(m->rows, &m->key, 0, rule_hash(g, rule));
        add_alert(&m->text, m->look, g, r, &r->alerts[i], fingerprint);
        live_rows_set(m->rows, buf_str(&m->key), buf_str(&m->text), m->tick);
    }
}

static void make_rule(Maker *m, const RuleGroupInfo *g, size_t rule) {
    const RuleInfo *r = &g->rules[rule];
    buf_reset(&m->key);
    buf_reset(&m->text);
    buf_addf(&m->key, "%.*s%c%.*s%c%zu", SA(g->file), SEPARATOR, SA(g->name), SEPARATOR, rule);
    (void)live_rows_mark(m->rows, buf_str(&m->key), 0);
    JsonWriter w = JSON_WRITER(&m->text);
    json_begin_object(&w);
    json_field_text(&w, "health", str_of(rule_health_text(r->health)));
    if (r->alerting) {
        json_field_text(&w, "state",
                        r->evaluated ? str_of(alert_state_text(r->state)) : STR("unknown"));
    }
    json_field_time(&w, "lastEvaluation", r->last_evaluation_ms);
    json_key(&w, STR("evaluationTime"));
    json_add_double(&w, r->evaluation_time_s);
    json_field_text(&w, "lastError", r->last_error);
    json_end_object(&w);
    live_rows_set(m->rows, buf_str(&m->key), buf_str(&m->text), m->tick);
}

static void apply_rules(Maker *m, void (*make)(Maker *m, const RuleGroupInfo *g, size_t rule)) {
    const RulesSnapshot *s = m->look->rules;
    live_rows_begin(m->rows);
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            make(m, s->groups[g], i);
        }
    }
}

static void apply_targets(Maker *m) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    for (size_t i = 0; i < m->look->targets.n; i++) {
        const LiveTarget *t = &m->look->targets.v[i];
        JsonWriter w = JSON_WRITER(&m->text);
        buf_reset(&m->text);
        json_begin_object(&w);
        row_target(&w, &t->view, &arena);
        json_end_object(&w);
        live_rows_set(m->rows, t->key, buf_str(&m->text), m->tick);
        arena_reset(&arena);
    }
}

static void apply_queries(Maker *m) {
    live_rows_begin(m->rows);
    for (size_t i = 0; i < m->look->n_queries; i++) {
        const PromqlQueryInfo *q = &m->look->queries[i];
        JsonWriter w = JSON_WRITER(&m->text);
        buf_reset(&m->key);
        buf_reset(&m->text);
        buf_addf(&m->key, "%llu", (unsigned long long)q->id);
        row_query(&w, q);
        live_rows_set(m->rows, buf_str(&m->key), buf_str(&m->text), m->tick);
    }
}

static void look_deinit(LiveLook *look) {
    rules_snapshot_unref(look->rules);
    vec_free(&look->delivery.list);
    vec_free(&look->targets);
    buf_deinit(&look->summary);
    buf_deinit(&look->summary_now);
    arena_deinit(&look->arena);
}

bool live_apply(LiveTopics *t, LiveLook *look, uint64_t tick) {
    Maker m = {.look = look, .tick = tick, .key = BUF_INIT(0), .text = BUF_INIT(0)};
    bool changed = false;
    for (LiveTopic i = 0; i < LIVE_TOPICS; i++) {
        if (!(look->topics & 1u << i)) {
            continue;
        }
        m.rows = &t->rows[i];
        switch (i) {
        case LIVE_SUMMARY: apply_summary(t, look, tick); break;
        case LIVE_ALERTS: apply_rules(&m, make_alerts); break;
        case LIVE_TARGETS: apply_targets(&m); break;
        case LIVE_RULES: apply_rules(&m, make_rule); break;
        case LIVE_QUERIES: apply_queries(&m); break;
        case LIVE_TOPICS: break;
        }
        changed |= live_rows_end(m.rows, tick);
    }
    buf_deinit(&m.key);
    buf_deinit(&m.text);
    look_deinit(look);
    return changed;
}
