#include "schema/yaml_document.h"

#include <yaml.h>

#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"
#include "base/vec.h"

typedef struct Reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    Arena *arena;
    Problem *problem;
    StrMap anchors; /* name -> YamlNode; NULL while the anchored node is being read */
    uint64_t nodes; /* with aliases written out */
} Reader;

static YamlNode *read_node(Reader *r, int depth);

static YamlNode *refuse(Reader *r, yaml_mark_t at, const char *text) {
    problem_set(r->problem, (int)at.line + 1, (int)at.column + 1, "%s", text);
    return NULL;
}

static YamlNode *no_memory(Reader *r) {
    return refuse(r, r->event.start_mark, "the file needs more memory than it may take");
}

/* Reads the next event into r->event. */
static bool next_event(Reader *r) {
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        yaml_mark_t at = r->parser.problem_mark;
        const char *what = r->parser.problem ? r->parser.problem : "not readable as YAML";
        problem_set(r->problem, (int)at.line + 1, (int)at.column + 1, "yaml: %s%s%s", what,
                    r->parser.context ? " " : "", r->parser.context ? r->parser.context : "");
        return false;
    }
    r->has_event = true;
    return true;
}

static YamlNode *node_new(Reader *r, YamlKind kind) {
    YamlNode *n = ARENA_NEW(r->arena, YamlNode);
    if (!n)
        return no_memory(r);
    n->kind = kind;
    n->line = (int)r->event.start_mark.line + 1;
    n->column = (int)r->event.start_mark.column + 1;
    n->height = 1;
    n->weight = 1;
    return n;
}

static Str anchor_name(Reader *r, const yaml_char_t *name) {
    return name ? arena_str(r->arena, str_of((const char *)name)) : STR_NULL;
}

static void anchor_set(Reader *r, Str name, YamlNode *n) {
    if (name.p)
        *str_map_put(&r->anchors, name, NULL) = n;
}

/* Counts a child into its parent; false when the document passes a ceiling. */
static bool node_adopt(Reader *r, YamlNode *parent, const YamlNode *child, int depth) {
    parent->weight += child->weight;
    parent->height = MAX(parent->height, (uint16_t)(child->height + 1));
    if (depth + child->height > YAML_DEPTH_MAX) {
        refuse(r, (yaml_mark_t){0, (size_t)child->line - 1, (size_t)child->column - 1},
               "nested too deep");
        return false;
    }
    return true;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* !!binary: base64 with line breaks and padding. */
static bool binary_decode(Str s, char *dst, size_t *ret_n) {
    uint32_t bits = 0;
    size_t n = 0, digits = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        if (s.p[i] == '\n' || s.p[i] == ' ' || s.p[i] == '\t')
            continue;
        int d = base64_digit(s.p[i]);
        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        if (++digits % 4 != 1)
            dst[n++] = (char)(bits >> (6 - (digits - 1) % 4 * 2));
    }
    *ret_n = n;
    return digits % 4 != 1;
}

static YamlNode *read_scalar(Reader *r) {
    YamlNode *n = node_new(r, YAML_SCALAR);
    if (!n)
        return NULL;
    Str value = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    n->plain = r->event.data.scalar.plain_implicit;
    n->scalar = arena_str(r->arena, value);
    if (!n->scalar.p)
        return no_memory(r);
    const char *tag = (const char *)r->event.data.scalar.tag;
    if (tag && strcmp(tag, "tag:yaml.org,2002:binary") == 0) {
        char *dst = arena_alloc_bytes(r->arena, value.n + 1);
        if (!dst)
            return no_memory(r);
        if (!binary_decode(value, dst, &n->scalar.n))
            return refuse(r, r->event.start_mark, "!!binary value is not base64");
        n->scalar.p = dst;
    }
    anchor_set(r, anchor_name(r, r->event.data.scalar.anchor), n);
    return n;
}

static YamlNode *read_alias(Reader *r) {
    Str name = str_of((const char *)r->event.data.alias.anchor);
    yaml_mark_t at = r->event.start_mark;
    bool known = false;
    YamlNode *n = str_map_get(&r->anchors, name);
    for (size_t i = 0; !n && i < r->anchors.cap; i++)
        known |= r->anchors.slots[i].key.p && str_eq(r->anchors.slots[i].key, name);
    if (!n) {
        problem_set(r->problem, (int)at.line + 1, (int)at.column + 1,
                    known ? "anchor \"%.*s\" contains itself" : "unknown anchor \"%.*s\"",
                    SA(name));
        return NULL;
    }
    r->nodes += n->weight;
    if (r->nodes > YAML_NODES_MAX)
        return refuse(r, at, "aliases make the document too large");
    return n;
}

static YamlNode *read_sequence(Reader *r, int depth) {
    YamlNode *n = node_new(r, YAML_SEQUENCE);
    if (!n)
        return NULL;
    Str anchor = anchor_name(r, r->event.data.sequence_start.anchor);
    anchor_set(r, anchor, NULL);
    VEC(const YamlNode *) items = {0};
    bool ok = next_event(r);
    while (ok && r->event.type != YAML_SEQUENCE_END_EVENT) {
        const YamlNode *item = read_node(r, depth + 1);
        ok = item && node_adopt(r, n, item, depth);
        if (ok) {
            vec_push(&items, item);
            ok = next_event(r);
        }
    }
    if (ok) {
        n->n_items = items.n;
        n->items = arena_dup(r->arena, items.v, items.n * sizeof(*items.v));
        ok = n->items || !items.n || no_memory(r);
    }
    vec_free(&items);
    anchor_set(r, anchor, n);
    return ok ? n : NULL;
}

typedef VEC(YamlPair) PairVec;

/* Adds the pairs of a merged mapping whose keys are not there yet. */
static void merge_pairs(PairVec *pairs, StrMap *keys, const YamlNode *from) {
    for (size_t i = 0; i < from->n_pairs; i++) {
        bool fresh;
        void **at = str_map_put(keys, from->pairs[i].key->scalar, &fresh);
        if (fresh) {
            *at = (void *)from->pairs[i].key;
            vec_push(pairs, from->pairs[i]);
        }
    }
}

static bool merge_value(Reader *r, PairVec *pairs, StrMap *keys, const YamlNode *value) {
    const YamlNode *bad = NULL;
    if (value->kind == YAML_MAPPING) {
        merge_pairs(pairs, keys, value);
    } else if (value->kind == YAML_SEQUENCE) {
        for (size_t i = 0; i < value->n_items && !bad; i++) {
            if (value->items[i]->kind == YAML_MAPPING)
                merge_pairs(pairs, keys, value->items[i]);
            else
                bad = value->items[i];
        }
    } else {
        bad = value;
    }
    if (bad)
        problem_set(r->problem, bad->line, bad->column,
                    "\"<<\" needs a mapping or a list of mappings to merge");
    return !bad;
}

static bool read_pair(Reader *r, YamlNode *n, PairVec *pairs, StrMap *keys,
                      const YamlNode **ret_merge, int depth) {
    yaml_mark_t at = r->event.start_mark;
    const YamlNode *key = read_node(r, depth + 1);
    if (!key || !node_adopt(r, n, key, depth) || !next_event(r))
        return false;
    if (key->kind != YAML_SCALAR)
        return refuse(r, at, "a key must be a plain word or a string") != NULL;
    const YamlNode *value = read_node(r, depth + 1);
    if (!value || !node_adopt(r, n, value, depth) || !next_event(r))
        return false;
    bool fresh;
    void **seen = str_map_put(keys, key->scalar, &fresh);
    if (!fresh) {
        problem_set(r->problem, key->line, key->column,
                    "key \"%.*s\" is given twice (first in line %d)", SA(key->scalar),
                    ((const YamlNode *)*seen)->line);
        return false;
    }
    *seen = (void *)key;
    if (key->plain && str_eqc(key->scalar, "<<"))
        *ret_merge = value;
    else
        vec_push(pairs, (YamlPair){key, value});
    return true;
}

static YamlNode *read_mapping(Reader *r, int depth) {
    YamlNode *n = node_new(r, YAML_MAPPING);
    if (!n)
        return NULL;
    Str anchor = anchor_name(r, r->event.data.mapping_start.anchor);
    anchor_set(r, anchor, NULL);
    PairVec pairs = {0};
    StrMap keys = {0};
    const YamlNode *merge = NULL;
    bool ok = next_event(r);
    while (ok && r->event.type != YAML_MAPPING_END_EVENT)
        ok = read_pair(r, n, &pairs, &keys, &merge, depth);
    n->n_own = pairs.n;
    if (ok && merge)
        ok = merge_value(r, &pairs, &keys, merge);
    if (ok) {
        n->n_pairs = pairs.n;
        n->pairs = arena_dup(r->arena, pairs.v, pairs.n * sizeof(*pairs.v));
        ok = n->pairs || !pairs.n || no_memory(r);
    }
    vec_free(&pairs);
    str_map_deinit(&keys);
    anchor_set(r, anchor, n);
    return ok ? n : NULL;
}

/* The node that begins with r->event; its last event stays in r->event. */
static YamlNode *read_node(Reader *r, int depth) {
    if (depth > YAML_DEPTH_MAX)
        return refuse(r, r->event.start_mark, "nested too deep");
    if (++r->nodes > YAML_NODES_MAX)
        return refuse(r, r->event.start_mark, "too many values in one document");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT: return read_scalar(r);
    case YAML_ALIAS_EVENT: return read_alias(r);
    case YAML_SEQUENCE_START_EVENT: return read_sequence(r, depth);
    case YAML_MAPPING_START_EVENT: return read_mapping(r, depth);
    default: return refuse(r, r->event.start_mark, "a value is missing here");
    }
}

static void warn_of_further_documents(Reader *r, Str file) {
    Problem ignored = {0};
    r->problem = &ignored;
    if (next_event(r) && next_event(r) && r->event.type == YAML_DOCUMENT_START_EVENT)
        log_warn("config", "Only the first YAML document of the file is read", L_STR("file", file),
                 L_INT("next_document_line", r->event.start_mark.line + 1));
}

static int read_document(Reader *r, Str file, const YamlNode **ret) {
    const YamlNode *root = NULL;
    if (!next_event(r) || !next_event(r)) /* the stream's start, then the document's or the end */
        return -EINVAL;
    if (r->event.type == YAML_DOCUMENT_START_EVENT) {
        if (!next_event(r))
            return -EINVAL;
        root = read_node(r, 1);
        if (!root)
            return -EINVAL;
        warn_of_further_documents(r, file);
    }
    *ret = root && yaml_node_is_null(root) ? NULL : root;
    return 0;
}

int yaml_parse(Str text, Str file, Arena *arena, const YamlNode **ret, Problem *problem) {
    Reader r = {.arena = arena, .problem = problem};
    problem_set_file(problem, file);
    if (!yaml_parser_initialize(&r.parser))
        return err_trace(-ENOMEM);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int err = read_document(&r, file, ret);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    str_map_deinit(&r.anchors);
    return err;
}
