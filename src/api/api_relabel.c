/* /targets/relabel_steps and /scrape_pools/config: what a job's configuration does to a target. */
#include <errno.h>

#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/reply.h"

/* The configuration of the pool that is asked for; false: answered. */
static bool find_pool(const Api *api, HttpExchange *x, const ScrapeConfig **ret) {
    Str pool = http_param(x, "scrapePool");
    if (!pool.n) {
        reply_error(x, API_BAD_DATA, "no scrapePool parameter provided");
        return false;
    }
    *ret = scrape_manager_config(api->scrape, pool);
    if (!*ret) {
        reply_error(x, API_BAD_DATA,
                    "error retrieving scrape config: scrape pool \"%.*s\" not found", SA(pool));
    }
    return *ret;
}

void api_scrape_pool_config(HttpExchange *x, void *arg) {
    const ScrapeConfig *config;
    if (!find_pool(arg, x, &config)) {
        return;
    }
    CLEANUP(buf_deinit) Buf yaml = BUF_INIT(0);
    schema_write(&scrape_config_schema, config, &yaml, 0);
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_field_text(&w, "yaml", buf_str(&yaml));
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

/* The labels of a JSON object of strings, which go to the arena. */
static int read_labels(Str text, LabelsBuilder *b, Arena *a, Problem *problem) {
    CLEANUP(json_freep) Json *root = json_parse(text, problem);
    if (!root) {
        return -EINVAL;
    }
    bool ok = json_kind(root) == JSON_KIND_OBJECT;
    const Json *value;
    Str name;
    for (void *at = NULL; ok && (value = json_next_member(root, &at, &name));) {
        ok = json_kind(value) == JSON_KIND_STRING;
        if (ok) {
            labels_builder_set(b, arena_str(a, name), arena_str(a, json_to_str(value)));
        }
    }
    return ok ? 0 : problem_set(problem, 0, 0, "an object of strings is needed");
}

static void field_if(JsonWriter *w, const char *key, Str value) {
    if (value.n) {
        json_field_text(w, key, value);
    }
}

static void add_rule(JsonWriter *w, const RelabelConfig *c) {
    json_key(w, STR("rule"));
    json_begin_object(w);
    if (c->n_source_labels) {
        json_key(w, STR("source_labels"));
        json_begin_array(w);
        for (size_t i = 0; i < c->n_source_labels; i++) {
            json_add_str(w, c->source_labels[i]);
        }
        json_end_array(w);
    }
    field_if(w, "separator", c->separator);
    field_if(w, "regex", c->regex_text);
    if (c->modulus) {
        json_key(w, STR("modulus"));
        json_add_uint(w, c->modulus);
    }
    field_if(w, "target_label", c->target_label);
    field_if(w, "replacement", c->replacement);
    json_field_text(w, "action", str_of(relabel_action_text(c->action)));
    json_end_object(w);
}

/* Each rule works on what those before it left; nothing is left of a target once it is dropped. */
static void add_steps(JsonWriter *w, const RelabelConfigs *rules, LabelsBuilder *b, Arena *a) {
    bool keep = true;
    json_begin_array(w);
    for (size_t i = 0; i < rules->n; i++) {
        keep = keep && relabel_apply(&rules->v[i], 1, b, a);
        json_begin_object(w);
        add_rule(w, rules->v[i]);
        json_field_labels(w, "output", keep ? labels_builder_view(b) : (Labels){0});
        json_key(w, STR("keep"));
        json_add_bool(w, keep);
        json_end_object(w);
    }
    json_end_array(w);
}

static void reply_steps(HttpExchange *x, const ScrapeConfig *config, LabelsBuilder *b) {
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    json_key(&w, STR("steps"));
    add_steps(&w, &config->relabel, b, &x->arena);
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_relabel_steps(HttpExchange *x, void *arg) {
    const ScrapeConfig *config;
    Problem p = {0};
    LabelsBuilder b = {0};
    Str labels = http_param(x, "labels");
    labels_builder_reset(&b, (Labels){0});
    if (!http_param(x, "scrapePool").n) {
        reply_error(x, API_BAD_DATA, "no scrapePool parameter provided");
    } else if (!labels.n) {
        reply_error(x, API_BAD_DATA, "no labels parameter provided");
    } else if (read_labels(labels, &b, &x->arena, &p) < 0) {
        reply_error(x, API_BAD_DATA, "error parsing labels: %s", p.text);
    } else if (find_pool(arg, x, &config)) {
        reply_steps(x, config, &b);
    }
    labels_builder_deinit(&b);
}
