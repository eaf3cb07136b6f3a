/* /features: what this server can and has switched on, by part and name, as Prometheus tells it. */
#include <stdlib.h>

#include "api/handlers.h"
#include "api/reply.h"
#include "base/vec.h"
#include "format/json.h"

typedef struct Entry {
    Str part, name;
    bool on;
} Entry;

typedef struct Entries {
    VEC(Entry) list;
} Entries;

static void add(void *arg, const char *part, const char *name, bool on) {
    Entries *e = arg;
    vec_push(&e->list, (Entry){str_of(part), str_of(name), on});
}

static void add_api(Entries *e, const Api *api) {
    add(e, "api", "lifecycle", api->lifecycle);
    add(e, "api", "admin", api->admin);
    add(e, "api", "remote_write_receiver", api->receiver != NULL);
    add(e, "api", "otlp_write_receiver", false);
    add(e, "api", "search", false);
    static const char *const always[] = {"label_values_match", "query_warnings",
                                         "query_stats",        "time_range_series",
                                         "time_range_labels",  "exclude_alerts"};
    for (size_t i = 0; i < ARRAY_LEN(always); i++) {
        add(e, "api", always[i], true);
    }
}

static void add_parts(Entries *e) {
    add(e, "prometheus", "server_mode", true);
    add(e, "prometheus", "agent_mode", false);
    add(e, "rules", "query_offset", true);
    add(e, "rules", "keep_firing_for", true);
    add(e, "rules", "concurrent_rule_eval", false);
    add(e, "tsdb", "native_histograms", true);
    const char *name;
    for (size_t i = 0; (name = rule_template_function(i)); i++) {
        add(e, "templating_functions", name, true);
    }
}

/* The mechanisms that run here; their names are the keys without what all of them end with. */
static void add_discovery(Entries *e, Arena *a) {
    static const struct {
        Str key;
        bool runs;
    } all[] = {
#define SD(id, key_, schema, provider) {STR(key_), #provider[0] == '&'},
#include "discovery/sd_mechanisms.def"
#undef SD
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        Str name = all[i].key, tail = STR("_sd_configs"), plain = STR("_configs");
        name = str_upto(name, name.n - (str_ends(name, tail) ? tail.n : plain.n));
        if (all[i].runs) {
            add(e, "service_discovery_providers", arena_cstr(a, name), true);
        }
    }
}

static int entry_cmp(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    int r = str_cmp(x->part, y->part);
    return r ? r : str_cmp(x->name, y->name);
}

static void write_entries(Buf *b, const Entries *e) {
    JsonWriter w = JSON_WRITER(b);
    json_begin_object(&w);
    for (size_t i = 0; i < e->list.n; i++) {
        const Entry *x = &e->list.v[i];
        if (i == 0 || !str_eq(x[-1].part, x->part)) {
            if (i) {
                json_end_object(&w);
            }
            json_key(&w, x->part);
            json_begin_object(&w);
        }
        json_key(&w, x->name);
        json_add_bool(&w, x->on);
    }
    json_end_object(&w);
    json_end_object(&w);
}

void api_features(HttpExchange *x, void *arg) {
    Api *api = arg;
    Entries e = {0};
    add_api(&e, api);
    add_parts(&e);
    add_discovery(&e, &x->arena);
    promql_features(api->engine, add, &e);
    qsort(e.list.v, e.list.n, sizeof(Entry), entry_cmp);
    Reply r;
    reply_begin(&r, x);
    write_entries(&r.b, &e);
    reply_end(&r, NULL, 0, NULL, 0);
    vec_free(&e.list);
}
