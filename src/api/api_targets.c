/* /targets, /targets/metadata, /metadata, /scrape_pools: what scraping knows; on the loop thread,
 * from memory. */
#include <unistd.h>

#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/params.h"
#include "api/reply.h"
#include "api/rows.h"
#include "base/map.h"
#include "base/numtext.h"
#include "format/json.h"
#include "model/duration.h"

/* A walk over targets or pools while an answer is being written. */
typedef struct Walk {
    Reply *r;
    JsonWriter *w;
} Walk;

/* localhost means another machine to whoever reads the answer: the host's name stands for it. */
static Str global_url(Arena *a, Str url) {
    static const char *const local[] = {"://localhost", "://127.0.0.1", "://[::1]"};
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        size_t at = str_find_str(url, str_of(local[i])), end = at + strlen(local[i]);
        bool whole = end <= url.n && (end == url.n || url.p[end] == ':' || url.p[end] == '/');
        char host[256] = "";
        if (at < url.n && whole && gethostname(host, sizeof(host) - 1) == 0) {
            return arena_printf(a, "%.*s://%s%.*s", (int)at, url.p, host, SA(str_from(url, end)));
        }
    }
    return url;
}

void row_target(JsonWriter *w, const TargetView *t, Arena *a) {
    json_field_labels(w, "labels", t->labels);
    json_field_text(w, "scrapePool", t->pool);
    json_field_text(w, "scrapeUrl", t->url);
    json_field_text(w, "globalUrl", global_url(a, t->url));
    json_field_text(w, "lastError", t->last_error);
    json_field_time(w, "lastScrape", t->last_scrape_ms);
    json_key(w, STR("lastScrapeDuration"));
    json_add_double(w, t->last_duration_s);
    json_field_text(w, "health", str_of(target_health_text(t->health)));
    json_field_text(w, "scrapeInterval", t->interval);
    json_field_text(w, "scrapeTimeout", t->timeout);
}

static int add_target(void *arg, const TargetView *t) {
    const Walk *k = arg;
    json_begin_object(k->w);
    json_field_labels(k->w, "discoveredLabels", t->discovered);
    row_target(k->w, t, &k->r->x->arena);
    json_end_object(k->w);
    return reply_room(k->r) ? 0 : -ECANCELED;
}

static int add_dropped(void *arg, const TargetView *t) {
    const Walk *k = arg;
    json_begin_object(k->w);
    json_field_labels(k->w, "discoveredLabels", t->discovered);
    json_field_text(k->w, "scrapePool", t->pool);
    json_end_object(k->w);
    return reply_room(k->r) ? 0 : -ECANCELED;
}

static int add_dropped_count(void *arg, const PoolView *p) {
    const Walk *k = arg;
    json_key(k->w, p->name);
    json_add_uint(k->w, p->dropped);
    return 0;
}

void api_targets(HttpExchange *x, void *arg) {
    Api *api = arg;
    Str state = http_param(x, "state"), pool = http_param(x, "scrapePool");
    pool = pool.n ? pool : STR_NULL;
    bool any = state.n == 0 || str_eq_nocase(state, STR("any"));
    bool active = any || str_eq_nocase(state, STR("active"));
    bool dropped = any || str_eq_nocase(state, STR("dropped"));
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    Walk walk = {&r, &w};
    json_begin_object(&w);
    json_key(&w, STR("activeTargets"));
    json_begin_array(&w);
    if (active) {
        scrape_manager_each_active(api->scrape, pool, add_target, &walk);
    }
    json_end_array(&w);
    json_key(&w, STR("droppedTargets"));
    json_begin_array(&w);
    if (dropped) {
        scrape_manager_each_dropped(api->scrape, pool, add_dropped, &walk);
    }
    json_end_array(&w);
    json_key(&w, STR("droppedTargetCounts"));
    if (dropped) {
        json_begin_object(&w);
        scrape_manager_each_pool(api->scrape, add_dropped_count, &walk);
        json_end_object(&w);
    } else {
        json_add_null(&w);
    }
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

static int add_pool(void *arg, const PoolView *p) {
    const Walk *k = arg;
    json_add_str(k->w, p->name);
    return 0;
}

void api_scrape_pools(HttpExchange *x, void *arg) {
    Api *api = arg;
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    Walk walk = {.r = &r, .w = &w};
    json_begin_object(&w);
    json_key(&w, STR("scrapePools"));
    json_begin_array(&w);
    scrape_manager_each_pool(api->scrape, add_pool, &walk);
    json_end_array(&w);
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

static void add_metadata(JsonWriter *w, const Metadata *m) {
    json_field_text(w, "type", str_of(metric_type_text(m->type)));
    json_field_text(w, "help", m->help);
    json_field_text(w, "unit", m->unit);
}

/* The same keys in the order of /metadata. */
static void add_metric_metadata(JsonWriter *w, const Metadata *m) {
    json_field_text(w, "type", str_of(metric_type_text(m->type)));
    json_field_text(w, "unit", m->unit);
    json_field_text(w, "help", m->help);
}

/* /targets/metadata: every metric of every target that fits. */
typedef struct MetadataWalk {
    Walk walk;
    const MatcherSets *sets;
    Str metric; /* empty = all */
    Labels target;
    uint64_t limit, given;
} MetadataWalk;

static int add_target_metric(void *arg, Str metric, const Metadata *m) {
    MetadataWalk *k = arg;
    JsonWriter *w = k->walk.w;
    if (k->metric.n && !str_eq(k->metric, metric)) {
        return 0;
    }
    if (k->limit && k->given == k->limit) {
        return 1;
    }
    k->given++;
    json_begin_object(w);
    json_field_labels(w, "target", k->target);
    if (!k->metric.n) {
        json_field_text(w, "metric", metric);
    }
    add_metadata(w, m);
    json_end_object(w);
    return reply_room(k->walk.r) ? 0 : -ECANCELED;
}

static int add_target_metadata(void *arg, const TargetView *t) {
    MetadataWalk *k = arg;
    if (k->sets->n && !matchers_match(k->sets->sets[0].v, k->sets->sets[0].n, t->labels)) {
        return 0;
    }
    k->target = t->labels;
    return scrape_manager_metadata(t->target, add_target_metric, k);
}

static void reply_targets_metadata(HttpExchange *x, Api *api, const MatcherSets *sets,
                                   uint64_t limit) {
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    MetadataWalk walk = {.walk = {.r = &r, .w = &w},
                         .sets = sets,
                         .limit = limit,
                         .metric = http_param(x, "metric")};
    json_begin_array(&w);
    scrape_manager_each_active(api->scrape, STR_NULL, add_target_metadata, &walk);
    json_end_array(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_targets_metadata(HttpExchange *x, void *arg) {
    MatcherSets sets = {0};
    uint64_t limit;
    Problem p = {0};
    Str target = http_param(x, "match_target");
    if (!param_lax_limit(x, "limit", &limit)) {
        return;
    }
    if (target.n && !matcher_sets_add(&sets, target, &p)) {
        reply_parse_error(x, "match_target", &p);
    } else {
        reply_targets_metadata(x, arg, &sets, limit);
    }
    matcher_sets_deinit(&sets);
}

/* /metadata: the distinct metadata of each metric over all targets. */
typedef struct MetricEntry {
    Str name;
    VEC(Metadata) v;
} MetricEntry;

typedef struct Merge {
    Arena arena;
    StrMap by_name;
    VEC(MetricEntry *) order;
    Str metric;
    uint64_t limit_per_metric;
} Merge;

static bool metadata_eq(const Metadata *a, const Metadata *b) {
    return a->type == b->type && str_eq(a->unit, b->unit) && str_eq(a->help, b->help);
}

static MetricEntry *merge_entry(Merge *m, Str metric) {
    MetricEntry *e = str_map_get(&m->by_name, metric);
    if (!e) {
        e = ARENA_NEW(&m->arena, MetricEntry);
        e->name = arena_str(&m->arena, metric);
        *str_map_put(&m->by_name, e->name, NULL) = e;
        vec_push(&m->order, e);
    }
    return e;
}

static int merge_metric(void *arg, Str metric, const Metadata *meta) {
    Merge *m = arg;
    if (m->metric.n && !str_eq(m->metric, metric)) {
        return 0;
    }
    MetricEntry *e = merge_entry(m, metric);
    for (size_t i = 0; i < e->v.n; i++) {
        if (metadata_eq(&e->v.v[i], meta)) {
            return 0;
        }
    }
    if (!m->limit_per_metric || e->v.n < m->limit_per_metric) {
        Metadata copy = {meta->type, arena_str(&m->arena, meta->unit),
                         arena_str(&m->arena, meta->help)};
        vec_push(&e->v, copy);
    }
    return 0;
}

static int merge_target(void *arg, const TargetView *t) {
    return scrape_manager_metadata(t->target, merge_metric, arg);
}

/* What senders of remote write have said of metrics that no target has. */
static void merge_sent(Api *api, Merge *m) {
    TsdbFamily *v;
    size_t n, from_targets = m->order.n;
    if (!api->tsdb || tsdb_metadata(api->tsdb, m->metric, &m->arena, &v, &n) < 0) {
        return;
    }
    StrMap scraped = {0};
    for (size_t i = 0; i < from_targets; i++) {
        *str_map_put(&scraped, m->order.v[i]->name, NULL) = m;
    }
    for (size_t i = 0; i < n; i++) {
        if (!str_map_get(&scraped, v[i].metric)) {
            (void)merge_metric(m, v[i].metric, &v[i].metadata);
        }
    }
    str_map_deinit(&scraped);
}

static void merge_deinit(Merge *m) {
    for (size_t i = 0; i < m->order.n; i++) {
        vec_free(&m->order.v[i]->v);
    }
    vec_free(&m->order);
    str_map_deinit(&m->by_name);
    arena_deinit(&m->arena);
}

void api_metadata(HttpExchange *x, void *arg) {
    Api *api = arg;
    Merge m = {.metric = http_param(x, "metric")};
    uint64_t limit;
    if (!param_lax_limit(x, "limit", &limit) ||
        !param_lax_limit(x, "limit_per_metric", &m.limit_per_metric)) {
        return;
    }
    scrape_manager_each_active(api->scrape, STR_NULL, merge_target, &m);
    merge_sent(api, &m);
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    for (size_t i = 0; i < m.order.n && (!limit || i < limit) && reply_room(&r); i++) {
        json_label_key(&w, m.order.v[i]->name);
        json_begin_array(&w);
        for (size_t k = 0; k < m.order.v[i]->v.n; k++) {
            json_begin_object(&w);
            add_metric_metadata(&w, &m.order.v[i]->v.v[k]);
            json_end_object(&w);
        }
        json_end_array(&w);
    }
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
    merge_deinit(&m);
}
