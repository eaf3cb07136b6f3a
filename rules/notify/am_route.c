/* Routes of alertmanager.yml: their keys and matchers, and the tree with what is inherited. */
#include <stdlib.h>
#include <string.h>

#include "rules/notify/am_read.h"

#define ROUTE_DEPTH_MAX 100

/* ---- matchers */

static void keep_regexes(SchemaContext *cx, const MatcherList *list, size_t from) {
    for (size_t i = from; i < list->n; i++) {
        vec_push(&loaded(cx)->regexes, list->v[i].re);
    }
}

int am_read_matchers(SchemaContext *cx, const YamlNode *n, void *field) {
    MatcherList *list = field;
    if (yaml_node_kind(n) == YAML_SCALAR && !yaml_node_is_null(n)) {
        return schema_problem(cx, n, "matchers must be a list of strings");
    }
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        const YamlNode *item = yaml_node_item(n, i);
        Problem p = {0};
        size_t had = list->n;
        int r = matcher_text_parse(yaml_node_scalar(item), cx->arena, list, &p);
        keep_regexes(cx, list, had);
        if (r < 0) {
            return schema_problem(cx, item, "%s", p.text);
        }
    }
    return 0;
}

static int read_match(SchemaContext *cx, const YamlNode *n, MatcherList *list, bool regex) {
    if (yaml_node_is_null(n)) {
        return 0;
    }
    if (yaml_node_kind(n) != YAML_MAPPING) {
        return schema_problem(cx, n, "expected a mapping of label names to values");
    }
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        const YamlNode *key = yaml_node_key(n, i), *value = yaml_node_value(n, i);
        Str name = yaml_node_scalar(key);
        if (!label_name_valid_utf8(name)) {
            return schema_problem(cx, key, "invalid label name \"%.*s\"", SA(name));
        }
        if (regex && yaml_node_is_null(value)) {
            return schema_problem(cx, value, "invalid regexp value for \"%.*s\"", SA(name));
        }
        Str text = yaml_node_scalar(value);
        if (regex) {
            text = arena_printf(cx->arena, "^(?:%.*s)$", SA(text));
        }
        Problem p = {0};
        if (matcher_list_add(list, cx->arena, regex ? MATCH_RE : MATCH_EQ, name, text, &p) < 0) {
            return schema_problem(cx, value, "%s", p.text);
        }
        keep_regexes(cx, list, list->n - 1);
    }
    return 0;
}

int am_read_match_eq(SchemaContext *cx, const YamlNode *n, void *field) {
    return read_match(cx, n, field, false);
}

int am_read_match_re(SchemaContext *cx, const YamlNode *n, void *field) {
    return read_match(cx, n, field, true);
}

/* ---- routes */

static int check_group_by(SchemaContext *cx, const YamlNode *n, const RouteYaml *r) {
    bool all = false;
    for (size_t i = 0; i < r->group_by.n; i++) {
        Str l = r->group_by.v[i];
        all |= str_eqc(l, "...");
        if (!str_eqc(l, "...") && !label_name_valid_utf8(l)) {
            return schema_problem(cx, n, "invalid label name \"%.*s\" in group_by list", SA(l));
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq(l, r->group_by.v[k])) {
                return schema_problem(cx, n, "duplicated label \"%.*s\" in group_by", SA(l));
            }
        }
    }
    if (all && r->group_by.n > 1) {
        return schema_problem(cx, n,
                              "cannot have wildcard group_by (`...`) and other labels at the same "
                              "time");
    }
    return 0;
}

static int check_route(SchemaContext *cx, const YamlNode *n, void *object) {
    RouteYaml *r = object;
    r->node = n;
    matcher_list_sort(&r->matchers);
    if (r->has_interval && !r->group_interval) {
        return schema_problem(cx, n, "group_interval cannot be zero");
    }
    if (r->has_repeat && !r->repeat_interval) {
        return schema_problem(cx, n, "repeat_interval cannot be zero");
    }
    return check_group_by(cx, n, r);
}

#define R(k, kd, member)                                                                           \
    { .key = k, .kind = kd, .offset = offsetof(RouteYaml, member) }
#define R_SET(k, member, set)                                                                      \
    {                                                                                              \
        .key = k, .kind = SCHEMA_DURATION, .offset = offsetof(RouteYaml, member),                  \
        .set_offset = offsetof(RouteYaml, set)                                                     \
    }
#define R_FN(k, fn)                                                                                \
    { .key = k, .kind = SCHEMA_CUSTOM, .offset = offsetof(RouteYaml, matchers), .custom = fn }
static const SchemaField ROUTE_FIELDS[] = {
    R("receiver", SCHEMA_STR, receiver),
    R("group_by", SCHEMA_STRS, group_by),
    R_SET("group_wait", group_wait, has_wait),
    R_SET("group_interval", group_interval, has_interval),
    R_SET("repeat_interval", repeat_interval, has_repeat),
    R("continue", SCHEMA_BOOL, continue_matching),
    R_FN("matchers", am_read_matchers),
    R_FN("match", am_read_match_eq),
    R_FN("match_re", am_read_match_re),
    R("mute_time_intervals", SCHEMA_STRS, mute),
    R("active_time_intervals", SCHEMA_STRS, active),
    R("labels", SCHEMA_LABELS, labels),
    {.key = "routes",
     .kind = SCHEMA_LIST,
     .offset = offsetof(RouteYaml, routes),
     .sub = &am_route_schema},
};
const Schema am_route_schema = {.name = "route",
                                .size = sizeof(RouteYaml),
                                .fields = ROUTE_FIELDS,
                                .n = ARRAY_LEN(ROUTE_FIELDS),
                                .check = check_route};

/* ---- the tree of routes, with what is inherited */

static int check_names(SchemaContext *cx, const RouteYaml *y, const SchemaStrs *names) {
    LoadedConfig *c = loaded(cx);
    for (size_t i = 0; i < names->n; i++) {
        bool found = false;
        for (size_t k = 0; k < c->intervals.n; k++) {
            found |= str_eq(c->intervals.v[k], names->v[i]);
        }
        if (!found) {
            return schema_problem(cx, y->node, "undefined time interval \"%.*s\" used in route",
                                  SA(names->v[i]));
        }
    }
    if (names->n) {
        vec_push(&c->unsupported, arena_printf(cx->arena, "time intervals of the route in line %d",
                                               yaml_node_line(y->node)));
    }
    return 0;
}

static void route_group_by(Arena *a, AmRoute *r, const SchemaStrs *names) {
    Str *v = ARENA_ARRAY(a, Str, names->n + 1);
    r->group_by_all = names->n == 1 && str_eqc(names->v[0], "...");
    r->n_group_by = r->group_by_all ? 0 : names->n;
    if (r->n_group_by) {
        memcpy(v, names->v, names->n * sizeof(Str));
        qsort(v, names->n, sizeof(Str), str_qsort_cmp);
    }
    r->group_by = v;
}

static Labels route_labels(Arena *a, const AmRoute *parent, Labels own) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, parent ? parent->labels : LABELS_EMPTY);
    for (size_t i = 0; i < own.n; i++) {
        labels_builder_set(&b, own.v[i].name, own.v[i].value);
    }
    Labels l = labels_copy(a, labels_builder_view(&b));
    labels_builder_deinit(&b);
    return l;
}

static void route_fill(Arena *a, const RouteYaml *y, const AmRoute *parent, AmRoute *r) {
    *r = parent ? *parent
                : (AmRoute){.group_wait_ms = 30000,
                            .group_interval_ms = 300000,
                            .repeat_interval_ms = 4 * 3600000};
    r->parent = parent;
    r->receiver = y->receiver.n ? y->receiver : r->receiver;
    r->continue_matching = y->continue_matching;
    r->line = yaml_node_line(y->node);
    if (y->group_by.set) {
        route_group_by(a, r, &y->group_by);
    }
    r->group_wait_ms = y->has_wait ? y->group_wait : r->group_wait_ms;
    r->group_interval_ms = y->has_interval ? y->group_interval : r->group_interval_ms;
    r->repeat_interval_ms = y->has_repeat ? y->repeat_interval : r->repeat_interval_ms;
    r->matchers = y->matchers.v;
    r->n_matchers = y->matchers.n;
    r->labels = route_labels(a, parent, y->labels);
    CLEANUP(buf_deinit) Buf key = BUF_INIT(0);
    if (parent) {
        buf_addf(&key, "%.*s/", SA(parent->key));
    }
    matcher_list_format(&y->matchers, &key);
    r->key = arena_str(a, buf_str(&key));
}

static int route_build(SchemaContext *cx, const RouteYaml *y, const AmRoute *parent, AmRoute *r,
                       int depth) {
    if (depth > ROUTE_DEPTH_MAX) {
        return schema_problem(cx, y->node, "routes are nested too deeply");
    }
    route_fill(cx->arena, y, parent, r);
    if (!am_config_receiver(&loaded(cx)->config, r->receiver)) {
        return schema_problem(cx, y->node, "undefined receiver \"%.*s\" used in route",
                              SA(r->receiver));
    }
    int e = check_names(cx, y, &y->mute);
    e = e < 0 ? e : check_names(cx, y, &y->active);
    const RouteYaml *sub = y->routes.v;
    r->routes = ARENA_ARRAY(cx->arena, AmRoute, y->routes.n + 1);
    r->n_routes = y->routes.n;
    for (size_t i = 0; e == 0 && i < y->routes.n; i++) {
        e = route_build(cx, &sub[i], r, &r->routes[i], depth + 1);
    }
    return e;
}

static int check_root(SchemaContext *cx, const RouteYaml *y) {
    if (!y->receiver.n) {
        return schema_problem(cx, y->node, "root route must specify a default receiver");
    }
    if (y->matchers.n) {
        return schema_problem(cx, y->node, "root route must not have any matchers");
    }
    if (y->mute.n || y->active.n) {
        return schema_problem(cx, y->node, "root route must not have any %s time intervals",
                              y->mute.n ? "mute" : "active");
    }
    if (y->continue_matching) {
        return schema_problem(cx, y->node, "cannot have continue in root route");
    }
    return 0;
}

int am_routes_build(SchemaContext *cx, const RouteYaml *root) {
    int r = check_root(cx, root);
    AmRoute *tree = ARENA_NEW(cx->arena, AmRoute);
    loaded(cx)->config.route = tree;
    return r < 0 ? r : route_build(cx, root, NULL, tree, 0);
}

void am_route_match(const AmRoute *r, Labels l, void (*fn)(void *arg, const AmRoute *r),
                    void *arg) {
    if (!matchers_match(r->matchers, r->n_matchers, l)) {
        return;
    }
    bool any = false;
    for (size_t i = 0; i < r->n_routes; i++) {
        const AmRoute *sub = &r->routes[i];
        if (matchers_match(sub->matchers, sub->n_matchers, l)) {
            am_route_match(sub, l, fn, arg);
            any = true;
            if (!sub->continue_matching) {
                break;
            }
        }
    }
    if (!any) {
        fn(arg, r);
    }
}
