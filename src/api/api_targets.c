/* /targets, /targets/metadata, /metadata, /scrape_pools: what scraping knows; on the loop thread, from memory. */
#include "api/handlers.h"
#include "api/params.h"
#include "api/reply.h"
#include "base/map.h"
#include "base/numtext.h"
#include "format/json.h"
#include "model/duration.h"

static void add_text(JsonWriter *w, const char *key, Str value) {
    json_key(w, str_of(key));
    json_add_str(w, value);
}

static void add_labels(JsonWriter *w, const char *key, Labels l) {
    json_key(w, str_of(key));
    json_begin_object(w);
    for (size_t i = 0; i < l.n; i++) {
        json_label_key(w, l.v[i].name);
        json_add_label(w, l.v[i].value);
    }
    json_end_object(w);
}

static void add_time(JsonWriter *w, const char *key, int64_t ms) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
    if (ms) {
        time_format_rfc3339(&text, ms);
    } else {
        buf_add_cstr(&text, "0001-01-01T00:00:00Z");
    }
    add_text(w, key, buf_str(&text));
}

static void add_target(JsonWriter *w, const TargetInfo *t) {
    json_begin_object(w);
    add_labels(w, "discoveredLabels", t->discovered);
    add_labels(w, "labels", t->labels);
    add_text(w, "scrapePool", t->pool);
    add_text(w, "scrapeUrl", t->url);
    add_text(w, "globalUrl", t->global_url);
    add_text(w, "lastError", t->last_error);
    add_time(w, "lastScrape", t->last_scrape_ms);
    json_key(w, STR("lastScrapeDuration"));
    json_add_double(w, t->last_duration_s);
    add_text(w, "health", str_of(target_health_text(t->health)));
    add_text(w, "scrapeInterval", t->interval);
    add_text(w, "scrapeTimeout", t->timeout);
    json_end_object(w);
}

static void add_active(Reply *r, JsonWriter *w, Api *api, Str pool) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    TargetInfo *v;
    size_t n = scrape_manager_active(api->scrape, pool, &arena, &v);
    for (size_t i = 0; i < n && reply_room(r); i++) {
        add_target(w, &v[i]);
    }
}

static void add_dropped(Reply *r, JsonWriter *w, Api *api, Str pool) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    DroppedTargetInfo *v;
    size_t n = scrape_manager_dropped(api->scrape, pool, &arena, &v);
    for (size_t i = 0; i < n && reply_room(r); i++) {
        json_begin_object(w);
        add_labels(w, "discoveredLabels", v[i].discovered);
        add_text(w, "scrapePool", v[i].pool);
        json_end_object(w);
    }
}

static void add_dropped_counts(JsonWriter *w, Api *api, Str pool) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    Str *pools;
    size_t n = scrape_manager_pools(api->scrape, &arena, &pools);
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        if (!pool.n || str_eq(pool, pools[i])) {
            json_key(w, pools[i]);
            json_add_uint(w, scrape_manager_dropped_count(api->scrape, pools[i]));
        }
    }
    json_end_object(w);
}

void api_targets(HttpExchange *x, void *arg) {
    Api *api = arg;
    Str state = http_param(x, "state"), pool = http_param(x, "scrapePool");
    bool any = state.n == 0 || str_eq_nocase(state, STR("any"));
    bool active = any || str_eq_nocase(state, STR("active"));
    bool dropped = any || str_eq_nocase(state, STR("dropped"));
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_key(&w, STR("activeTargets"));
    json_begin_array(&w);
    if (active) {
        add_active(&r, &w, api, pool);
    }
    json_end_array(&w);
    json_key(&w, STR("droppedTargets"));
    json_begin_array(&w);
    if (dropped) {
        add_dropped(&r, &w, api, pool);
    }
    json_end_array(&w);
    json_key(&w, STR("droppedTargetCounts"));
    if (dropped) {
        add_dropped_counts(&w, api, pool);
    } else {
        json_add_null(&w);
    }
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_scrape_pools(HttpExchange *x, void *arg) {
    Api *api = arg;
    Str *pools;
    size_t n = scrape_manager_pools(api->scrape, &x->arena, &pools);
    Reply r;
    reply_begin(&r, x);
    buf_add_cstr(&r.b, "{\"scrapePools\":");
    reply_strings(&r, pools, n);
    buf_add_char(&r.b, '}');
    reply_end(&r, NULL, 0, NULL, 0);
}

static void add_metadata(JsonWriter *w, const Metadata *m) {
    add_text(w, "type", str_of(metric_type_text(m->type)));
    add_text(w, "help", m->help);
    add_text(w, "unit", m->unit);
}

static void reply_targets_metadata(HttpExchange *x, Api *api, const MatcherSets *sets, uint64_t limit) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    Str metric = http_param(x, "metric");
    TargetMetadata *v;
    uint64_t given = 0;
    size_t n = scrape_manager_metadata(api->scrape, metric.n ? metric : STR_NULL, &arena, &v);
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_array(&w);
    for (size_t i = 0; i < n && (!limit || given < limit) && reply_room(&r); i++) {
        if (sets->n && !matchers_match(sets->sets[0].v, sets->sets[0].n, v[i].target)) {
            continue;
        }
        given++;
        json_begin_object(&w);
        add_labels(&w, "target", v[i].target);
        if (!metric.n) {
            add_text(&w, "metric", v[i].metric);
        }
        add_metadata(&w, &v[i].metadata);
        json_end_object(&w);
    }
    json_end_array(&w);
    if (given == 0) {
        buf_deinit(&r.b);
        reply_error(x, API_NOT_FOUND, "specified metadata not found");
    } else {
        reply_end(&r, NULL, 0, NULL, 0);
    }
}

void api_targets_metadata(HttpExchange *x, void *arg) {
    MatcherSets sets;
    uint64_t limit;
    if (param_limit(x, "limit", &limit) && param_matchers(x, "match_target", &sets)) {
        reply_targets_metadata(x, arg, &sets, limit);
        matcher_sets_deinit(&sets);
    }
}

/* The distinct metadata of one metric, over all targets. */
typedef struct MetricEntry {
    Str name;
    VEC(Metadata) v;
} MetricEntry;

static bool metadata_eq(const Metadata *a, const Metadata *b) {
    return a->type == b->type && str_eq(a->unit, b->unit) && str_eq(a->help, b->help);
}

static void entry_add(MetricEntry *e, const Metadata *m, uint64_t limit) {
    for (size_t i = 0; i < e->v.n; i++) {
        if (metadata_eq(&e->v.v[i], m)) {
            return;
        }
    }
    if (!limit || e->v.n < limit) {
        vec_push(&e->v, *m);
    }
}

void api_metadata(HttpExchange *x, void *arg) {
    Api *api = arg;
    Str metric = http_param(x, "metric");
    uint64_t limit, limit_per_metric;
    if (!param_limit(x, "limit", &limit) || !param_limit(x, "limit_per_metric", &limit_per_metric)) {
        return;
    }
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    TargetMetadata *v;
    size_t n = scrape_manager_metadata(api->scrape, metric.n ? metric : STR_NULL, &arena, &v);
    StrMap by_name = {0};
    VEC(MetricEntry *) order = {0};
    for (size_t i = 0; i < n; i++) {
        bool fresh;
        void **at = str_map_put(&by_name, v[i].metric, &fresh);
        if (fresh) {
            MetricEntry *e = ARENA_NEW(&arena, MetricEntry);
            e->name = v[i].metric;
            *at = e;
            vec_push(&order, e);
        }
        entry_add(*at, &v[i].metadata, limit_per_metric);
    }
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    for (size_t i = 0; i < order.n && (!limit || i < limit) && reply_room(&r); i++) {
        json_label_key(&w, order.v[i]->name);
        json_begin_array(&w);
        for (size_t k = 0; k < order.v[i]->v.n; k++) {
            json_begin_object(&w);
            add_metadata(&w, &order.v[i]->v.v[k]);
            json_end_object(&w);
        }
        json_end_array(&w);
    }
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
    for (size_t i = 0; i < order.n; i++) {
        vec_free(&order.v[i]->v);
    }
    vec_free(&order);
    str_map_deinit(&by_name);
}
