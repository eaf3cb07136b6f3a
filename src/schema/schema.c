/*
 * The binder. A schema's inline parts share their parent's mapping: the fields of all of them are
 * walked together, each with the address of the struct it lies in.
 */
#include "schema/schema.h"

#include <stdio.h>

#include "base/vec.h"
#include "schema/schema_value.h"

int schema_problem(SchemaContext *cx, const YamlNode *node, const char *fmt, ...) {
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    problem_set(cx->problem, node ? yaml_node_line(node) : 0, node ? yaml_node_column(node) : 0,
                "%s", text);
    problem_set_file(cx->problem, cx->file);
    return -EINVAL;
}

typedef VEC(Str) SchemaNames;

static bool is_inline(const SchemaField *f) {
    return f->kind == SCHEMA_STRUCT && f->flags & SCHEMA_INLINE;
}

static void set_defaults(const Schema *s, void *object) {
    for (size_t i = 0; i < s->n; i++) {
        const SchemaField *f = &s->fields[i];
        if (f->kind == SCHEMA_STRUCT && !(f->flags & (SCHEMA_CHECKED | SCHEMA_IGNORED)))
            set_defaults(f->sub, (char *)object + f->offset);
    }
    if (s->defaults)
        s->defaults(object);
}

/* The field of a key, also of inline parts; *object becomes the struct it is in. */
static const SchemaField *find_field(const Schema *s, Str key, void **object) {
    for (size_t i = 0; i < s->n; i++) {
        const SchemaField *f = &s->fields[i];
        if (is_inline(f)) {
            void *part = (char *)*object + f->offset;
            const SchemaField *inner = find_field(f->sub, key, &part);
            if (inner) {
                *object = part;
                return inner;
            }
        } else if (str_eqc(key, f->key)) {
            return f;
        }
    }
    return NULL;
}

static void collect_names(const Schema *s, SchemaNames *names) {
    for (size_t i = 0; i < s->n; i++) {
        if (is_inline(&s->fields[i]))
            collect_names(s->fields[i].sub, names);
        else
            vec_push(names, str_of(s->fields[i].key));
    }
}

static int unknown_key(SchemaContext *cx, const Schema *s, const YamlNode *key) {
    SchemaNames names = {0};
    collect_names(s, &names);
    Str name = yaml_node_scalar(key);
    Str near = str_nearest(name, names.v, names.n);
    vec_free(&names);
    if (near.p)
        return schema_problem(cx, key, "unknown key \"%.*s\" in %s; did you mean \"%.*s\"?",
                              SA(name), s->name, SA(near));
    return schema_problem(cx, key, "unknown key \"%.*s\" in %s", SA(name), s->name);
}

static int expect(SchemaContext *cx, const SchemaField *f, const char *owner, const YamlNode *node,
                  YamlKind kind) {
    if (yaml_node_kind(node) == kind)
        return 0;
    const char *got = yaml_node_kind(node) == YAML_SCALAR     ? "a single value"
                      : yaml_node_kind(node) == YAML_SEQUENCE ? "a list"
                                                              : "a mapping";
    return schema_problem(cx, node, "key \"%s\" in %s: expected %s, got %s", f->key, owner,
                          schema_kind_text(f->kind), got);
}

static int load_list(SchemaContext *cx, const Schema *item, const YamlNode *node, SchemaList *dst) {
    size_t n = yaml_node_count(node);
    char *v = arena_calloc(cx->arena, n ? n : 1, item->size);
    if (!v)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        const YamlNode *at = yaml_node_item(node, i);
        if (yaml_node_is_null(at))
            return schema_problem(cx, at, "empty or null section in the list of %s", item->name);
        int r = schema_load_node(cx, item, at, v + i * item->size);
        if (r < 0)
            return r;
    }
    *dst = (SchemaList){v, n, true};
    return 0;
}

static int load_struct(SchemaContext *cx, const SchemaField *f, const char *owner,
                       const YamlNode *node, void *dst) {
    if (yaml_node_is_null(node))
        return 0;
    int r = expect(cx, f, owner, node, YAML_MAPPING);
    return r < 0 ? r : schema_load_node(cx, f->sub, node, dst);
}

static int load_optional(SchemaContext *cx, const SchemaField *f, const char *owner,
                         const YamlNode *node, void **dst) {
    *dst = NULL;
    if (yaml_node_is_null(node))
        return 0;
    void *object = arena_zalloc(cx->arena, f->sub->size);
    if (!object)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    int r = load_struct(cx, f, owner, node, object);
    if (r == 0)
        *dst = object;
    return r;
}

static int check_not_empty(SchemaContext *cx, const SchemaField *f, const char *owner,
                           const YamlNode *node) {
    bool empty = yaml_node_is_null(node) ||
                 (yaml_node_kind(node) == YAML_SCALAR ? yaml_node_scalar(node).n == 0
                                                      : yaml_node_count(node) == 0);
    if (empty && f->flags & SCHEMA_NOT_EMPTY)
        return schema_problem(cx, node, "key \"%s\" in %s: expected %s, got nothing", f->key, owner,
                              schema_kind_text(f->kind));
    return 0;
}

static int load_field(SchemaContext *cx, const SchemaField *f, const char *owner,
                      const YamlNode *node, void *object) {
    char *dst = (char *)object + f->offset;
    if (f->set_offset)
        *(bool *)((char *)object + f->set_offset) = true;
    if (f->flags & SCHEMA_IGNORED)
        return 0;
    int r = check_not_empty(cx, f, owner, node);
    if (r < 0)
        return r;
    max_align_t scratch[4];
    if (f->flags & SCHEMA_CHECKED) {
        bool part = f->kind == SCHEMA_STRUCT;
        dst = part ? arena_zalloc(cx->arena, f->sub->size) : (char *)scratch;
        if (!dst)
            return schema_problem(cx, node, "the file needs more memory than it may take");
    }
    switch (f->kind) {
    case SCHEMA_STRUCT: return load_struct(cx, f, owner, node, dst);
    case SCHEMA_OPTIONAL: return load_optional(cx, f, owner, node, (void **)dst);
    case SCHEMA_LIST:
        *(SchemaList *)dst = (SchemaList){.set = true};
        if (yaml_node_is_null(node))
            return 0;
        r = expect(cx, f, owner, node, YAML_SEQUENCE);
        return r < 0 ? r : load_list(cx, f->sub, node, (SchemaList *)dst);
    case SCHEMA_CUSTOM: return f->custom(cx, node, dst);
    default: return schema_value_load(cx, f, owner, node, dst);
    }
}

int schema_load_value(SchemaContext *cx, const SchemaField *field, const YamlNode *node,
                      void *object) {
    return load_field(cx, field, "its section", node, object);
}

/* Missing keys, then the checks, inner parts first. */
static int check_object(SchemaContext *cx, const Schema *s, const char *owner, const YamlNode *node,
                        void *object) {
    for (size_t i = 0; i < s->n; i++) {
        const SchemaField *f = &s->fields[i];
        if (is_inline(f)) {
            int r = check_object(cx, f->sub, owner, node, (char *)object + f->offset);
            if (r < 0)
                return r;
        } else if (f->flags & SCHEMA_REQUIRED) {
            const YamlNode *value = yaml_node_find(node, f->key);
            if (!value)
                return schema_problem(cx, node, "missing key \"%s\" in %s", f->key, owner);
            if (yaml_node_is_null(value))
                return schema_problem(cx, value, "key \"%s\" in %s is empty", f->key, owner);
        }
    }
    return s->check ? s->check(cx, node, object) : 0;
}

int schema_load_node(SchemaContext *cx, const Schema *schema, const YamlNode *node, void *object) {
    memset(object, 0, schema->size);
    set_defaults(schema, object);
    if (yaml_node_kind(node) != YAML_MAPPING)
        return schema_problem(cx, node, "%s: expected a mapping, got %s", schema->name,
                              yaml_node_kind(node) == YAML_SEQUENCE ? "a list" : "a single value");
    for (size_t i = 0; i < yaml_node_count(node); i++) {
        void *part = object;
        const SchemaField *f = find_field(schema, yaml_node_scalar(yaml_node_key(node, i)), &part);
        if (!f && cx->ignore_unknown)
            continue;
        if (!f)
            return unknown_key(cx, schema, yaml_node_key(node, i));
        int r = load_field(cx, f, schema->name, yaml_node_value(node, i), part);
        if (r < 0)
            return r;
    }
    return check_object(cx, schema, schema->name, node, object);
}

static int load_mapping(SchemaContext *cx, const Schema *schema, Str text, void *object) {
    const YamlNode *root;
    int r = yaml_parse(text, cx->file, cx->arena, &root, cx->problem);
    if (r < 0)
        return r;
    if (!root && yaml_parse(STR("{}"), cx->file, cx->arena, &root, cx->problem) < 0)
        return -EINVAL;
    return schema_load_node(cx, schema, root, object);
}

int schema_load(const Schema *schema, Str text, Str file, Arena *arena, void *user, void *object,
                Problem *problem) {
    SchemaContext cx = {.arena = arena, .file = file, .problem = problem, .user = user};
    return load_mapping(&cx, schema, text, object);
}

int schema_load_known(const Schema *schema, Str text, Str file, Arena *arena, void *user,
                      void *object, Problem *problem) {
    SchemaContext cx = {
        .arena = arena, .file = file, .problem = problem, .user = user, .ignore_unknown = true};
    return load_mapping(&cx, schema, text, object);
}

int schema_load_list(const Schema *item, Str text, Str file, Arena *arena, void *user,
                     SchemaList *ret, Problem *problem) {
    SchemaContext cx = {.arena = arena, .file = file, .problem = problem, .user = user};
    const YamlNode *root;
    int r = yaml_parse(text, file, arena, &root, problem);
    if (r < 0)
        return r;
    *ret = (SchemaList){0};
    if (!root)
        return 0;
    if (yaml_node_kind(root) != YAML_SEQUENCE)
        return schema_problem(&cx, root, "expected a list of %s, got %s", item->name,
                              yaml_node_kind(root) == YAML_MAPPING ? "a mapping"
                                                                   : "a single value");
    return load_list(&cx, item, root, ret);
}
