#include "schema/relabel_schema.h"

#include <stddef.h>

/* A rule as it is written. */
typedef struct RelabelKeys {
    SchemaStrs source_labels;
    Str separator, regex, target_label, replacement, action;
    uint64_t modulus;
    bool separator_set, regex_set, target_set, replacement_set, action_set, modulus_set;
} RelabelKeys;

static const SchemaField relabel_fields[] = {
    {"source_labels", SCHEMA_STRS, offsetof(RelabelKeys, source_labels)},
    {"separator", SCHEMA_STR, offsetof(RelabelKeys, separator),
     .set_offset = offsetof(RelabelKeys, separator_set)},
    {"regex", SCHEMA_STR, offsetof(RelabelKeys, regex),
     .set_offset = offsetof(RelabelKeys, regex_set)},
    {"modulus", SCHEMA_UINT, offsetof(RelabelKeys, modulus),
     .set_offset = offsetof(RelabelKeys, modulus_set)},
    {"target_label", SCHEMA_STR, offsetof(RelabelKeys, target_label),
     .set_offset = offsetof(RelabelKeys, target_set)},
    {"replacement", SCHEMA_STR, offsetof(RelabelKeys, replacement),
     .set_offset = offsetof(RelabelKeys, replacement_set)},
    {"action", SCHEMA_STR, offsetof(RelabelKeys, action),
     .set_offset = offsetof(RelabelKeys, action_set)},
};
static const Schema relabel_schema = {"relabel_config", sizeof(RelabelKeys), relabel_fields,
                                      ARRAY_LEN(relabel_fields)};

void relabel_owner_deinit(RelabelOwner *o) {
    for (size_t i = 0; i < o->v.n; i++) {
        relabel_config_deinit(o->v.v[i]);
        mem_free(o->v.v[i]);
    }
    vec_free(&o->v);
}

/* A key set to null counts as given and empty, except for the action; one that repeats its default
 * counts as not given, so that what we print loads again. */
static unsigned fill(const RelabelKeys *k, RelabelConfig *c) {
    unsigned set = 0;
    set |= k->separator_set && !str_eqc(k->separator, ";") ? RELABEL_SET_SEPARATOR : 0;
    set |= k->regex_set && !str_eqc(k->regex, "(.*)") ? RELABEL_SET_REGEX : 0;
    set |= k->replacement_set && !str_eqc(k->replacement, "$1") ? RELABEL_SET_REPLACEMENT : 0;
    set |= k->action.n ? RELABEL_SET_ACTION : 0;
    set |= k->target_set ? RELABEL_SET_TARGET : 0;
    set |= k->modulus_set ? RELABEL_SET_MODULUS : 0;
    set |= k->source_labels.set ? RELABEL_SET_SOURCE : 0;
    c->source_labels = k->source_labels.v;
    c->n_source_labels = k->source_labels.n;
    c->separator = k->separator;
    c->regex_text = k->regex.p ? k->regex : STR("");
    c->modulus = k->modulus;
    c->target_label = k->target_label;
    c->replacement = k->replacement;
    return set;
}

static const YamlNode *key_named_in(const YamlNode *node, const char *text) {
    for (size_t i = 0; i < ARRAY_LEN(relabel_fields); i++) {
        const YamlNode *value = yaml_node_find(node, relabel_fields[i].key);
        if (value && strstr(text, relabel_fields[i].key))
            return value;
    }
    return node;
}

static int compile(SchemaContext *cx, const YamlNode *node, RelabelConfig *c, unsigned set) {
    Problem why = {0};
    if (relabel_config_init(c, set, &why) == 0)
        return 0;
    return schema_problem(cx, key_named_in(node, why.text), "relabel_config: %s", why.text);
}

static int load_rule(SchemaContext *cx, const YamlNode *node, RelabelConfig **ret, unsigned *set) {
    RelabelOwner *owner = cx->user;
    RelabelKeys k;
    if (yaml_node_is_null(node))
        return schema_problem(cx, node, "empty or null relabel rule");
    int r = schema_load_node(cx, &relabel_schema, node, &k);
    if (r < 0)
        return r;
    RelabelConfig c = {.utf8_names = !owner->legacy_names};
    *set = fill(&k, &c);
    if (k.action.n && !relabel_action_parse(k.action, &c.action))
        return schema_problem(cx, yaml_node_find(node, "action"),
                              "unknown relabel action \"%.*s\"; expected replace, keep, drop, "
                              "keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, "
                              "lowercase or uppercase",
                              SA(k.action));
    RelabelConfig *own = mem_dup(&c, sizeof(c));
    vec_push(&owner->v, own);
    *ret = own;
    return compile(cx, node, own, *set);
}

int relabel_configs_load(SchemaContext *cx, const YamlNode *node, void *field) {
    RelabelConfigs *out = field;
    *out = (RelabelConfigs){.node = node};
    if (yaml_node_is_null(node))
        return 0;
    if (yaml_node_kind(node) != YAML_SEQUENCE)
        return schema_problem(cx, node, "expected a list of relabel rules");
    size_t n = yaml_node_count(node);
    RelabelConfig **v = ARENA_ARRAY(cx->arena, RelabelConfig *, n ? n : 1);
    unsigned *set = ARENA_ARRAY(cx->arena, unsigned, n ? n : 1);
    if (!v || !set)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        int r = load_rule(cx, yaml_node_item(node, i), &v[i], &set[i]);
        if (r < 0)
            return r;
    }
    out->v = (const RelabelConfig *const *)v;
    out->set = set;
    out->n = n;
    return 0;
}

int relabel_configs_use_legacy_names(SchemaContext *cx, RelabelConfigs *configs) {
    for (size_t i = 0; i < configs->n; i++) {
        RelabelConfig *c = (RelabelConfig *)configs->v[i]; /* ours until the load is over */
        RelabelConfig legacy = *c;
        legacy.utf8_names = false;
        legacy.regex = NULL;
        int r = compile(cx, yaml_node_item(configs->node, i), &legacy, configs->set[i]);
        if (r < 0)
            return r;
        relabel_config_deinit(c);
        *c = legacy;
    }
    return 0;
}

static void write_line(Buf *b, bool *first, const char *key, Str value, int indent) {
    schema_write_indent(b, indent);
    buf_addf(b, "%s%s: ", *first ? "- " : "  ", key);
    schema_write_scalar(b, value);
    buf_add_char(b, '\n');
    *first = false;
}

static void write_rule(Buf *b, const RelabelConfig *c, int indent) {
    bool first = true;
    for (size_t i = 0; i < c->n_source_labels; i++) {
        if (i == 0) {
            schema_write_indent(b, indent);
            buf_add_cstr(b, "- source_labels: [");
        }
        schema_write_scalar(b, c->source_labels[i]);
        buf_add_cstr(b, i + 1 < c->n_source_labels ? ", " : "]\n");
        first = false;
    }
    if (c->separator.n)
        write_line(b, &first, "separator", c->separator, indent);
    if (c->regex_text.p)
        write_line(b, &first, "regex", c->regex_text, indent);
    if (c->modulus) {
        schema_write_indent(b, indent);
        buf_addf(b, "%smodulus: %llu\n", first ? "- " : "  ", (unsigned long long)c->modulus);
        first = false;
    }
    if (c->target_label.n)
        write_line(b, &first, "target_label", c->target_label, indent);
    if (c->replacement.n)
        write_line(b, &first, "replacement", c->replacement, indent);
    write_line(b, &first, "action", str_of(relabel_action_text(c->action)), indent);
}

void relabel_configs_write(Buf *b, const char *key, const void *field, int indent) {
    const RelabelConfigs *c = field;
    if (!c->n)
        return;
    schema_write_indent(b, indent);
    buf_addf(b, "%s:\n", key);
    for (size_t i = 0; i < c->n; i++)
        write_rule(b, c->v[i], indent);
}
