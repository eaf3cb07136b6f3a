#include "schema/schema_value.h"

#include <math.h>
#include <stdlib.h>

#include "base/numtext.h"
#include "model/duration.h"

const char *schema_kind_text(SchemaKind kind) {
    switch (kind) {
    case SCHEMA_BOOL: return "true or false";
    case SCHEMA_INT: return "a whole number";
    case SCHEMA_UINT: return "a whole number that is not negative";
    case SCHEMA_FLOAT: return "a number";
    case SCHEMA_STR:
    case SCHEMA_SECRET: return "a string";
    case SCHEMA_DURATION: return "a duration such as 30s or 1h30m";
    case SCHEMA_SIZE: return "a size such as 512MB";
    case SCHEMA_STRS: return "a list of strings";
    case SCHEMA_LABELS: return "a mapping of names to values";
    case SCHEMA_LIST: return "a list";
    case SCHEMA_STRUCT:
    case SCHEMA_OPTIONAL: return "a mapping";
    case SCHEMA_CUSTOM: break;
    }
    return "another value";
}

size_t schema_value_size(SchemaKind kind) {
    switch (kind) {
    case SCHEMA_BOOL: return sizeof(bool);
    case SCHEMA_STR:
    case SCHEMA_SECRET: return sizeof(Str);
    case SCHEMA_STRS: return sizeof(SchemaStrs);
    case SCHEMA_LABELS: return sizeof(Labels);
    default: return sizeof(uint64_t);
    }
}

static const char *node_text(const YamlNode *node) {
    switch (yaml_node_kind(node)) {
    case YAML_SEQUENCE: return "a list";
    case YAML_MAPPING: return "a mapping";
    case YAML_SCALAR: break;
    }
    return NULL;
}

static int wrong_type(SchemaContext *cx, const SchemaField *f, const char *owner,
                      const YamlNode *node) {
    const char *got = node_text(node);
    if (got)
        return schema_problem(cx, node, "key \"%s\" in %s: expected %s, got %s", f->key, owner,
                              schema_kind_text(f->kind), got);
    Str s = yaml_node_scalar(node);
    return schema_problem(cx, node, "key \"%s\" in %s: expected %s, got \"%.*s\"%s", f->key, owner,
                          schema_kind_text(f->kind), (int)MIN(s.n, (size_t)80), s.p ? s.p : "",
                          yaml_node_is_plain(node) ? "" : " in quotes");
}

/* The truth words of YAML 1.1, which Prometheus' library reads. */
static bool bool_parse(Str s, bool *ret) {
    static const char *const yes[] = {"true", "yes", "on", "y"};
    static const char *const no[] = {"false", "no", "off", "n"};
    bool shape = s.n && (s.p[0] >= 'a' || s.n == 1 || (s.p[1] >= 'a') == (s.p[s.n - 1] >= 'a'));
    for (size_t i = 0; shape && i < ARRAY_LEN(yes); i++) {
        if (str_eq_nocase(s, str_of(yes[i])) || str_eq_nocase(s, str_of(no[i]))) {
            *ret = str_eq_nocase(s, str_of(yes[i]));
            return true;
        }
    }
    return false;
}

/* Decimal, 0x, 0b, 0o and leading-zero octal, underscores between digits; or a float without
 * fraction. */
static bool whole_parse(Str s, bool *ret_negative, uint64_t *ret) {
    char text[72];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '_')
            continue;
        if (n + 1 >= sizeof(text))
            return false;
        text[n++] = s.p[i];
    }
    text[n] = '\0';
    const char *p = text;
    *ret_negative = *p == '-';
    p += *p == '-' || *p == '+';
    if (*p < '0' || *p > '9')
        return false;
    int base = p[0] != '0' ? 10 : p[1] == 'x' ? 16 : p[1] == 'b' ? 2 : p[1] == 'o' ? 8 : 0;
    char *end;
    errno = 0;
    *ret = strtoull(p + (base == 2 || base == 8 ? 2 : 0), &end, base);
    if (*end == '\0')
        return errno == 0;
    double v;
    if (!number_parse(str_of(p), &v) || v != floor(v) || v < 0 || v >= 0x1p63)
        return false;
    *ret = (uint64_t)v;
    return true;
}

static bool int_load(Str s, int64_t *ret) {
    bool negative;
    uint64_t v;
    if (!whole_parse(s, &negative, &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool uint_load(Str s, uint64_t *ret) {
    bool negative;
    return whole_parse(s, &negative, ret) && !(negative && *ret);
}

static bool float_load(Str s, double *ret) {
    if (s.n > 1 && (s.p[0] == '.' || s.p[1] == '.') &&
        (str_ends(s, STR(".inf")) || str_ends(s, STR(".Inf")) || str_ends(s, STR(".INF")))) {
        *ret = s.p[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (str_eq_nocase(s, STR(".nan"))) {
        *ret = NAN;
        return true;
    }
    int64_t whole;
    if (s.n &&
        ((s.p[0] >= '0' && s.p[0] <= '9') || s.p[0] == '-' || s.p[0] == '+' || s.p[0] == '.')) {
        if (number_parse(s, ret))
            return true;
        if (int_load(s, &whole)) {
            *ret = (double)whole;
            return true;
        }
    }
    return false;
}

static int unit_load(SchemaContext *cx, const SchemaField *f, const char *owner,
                     const YamlNode *node, void *dst) {
    Str s = yaml_node_scalar(node);
    Problem why = {0};
    int r = f->kind == SCHEMA_DURATION ? duration_parse(s, dst, &why) : size_parse(s, dst, &why);
    if (r == 0)
        return 0;
    return schema_problem(cx, node, "key \"%s\" in %s: expected %s: %s", f->key, owner,
                          schema_kind_text(f->kind), why.text);
}

static int scalar_load(SchemaContext *cx, const SchemaField *f, const char *owner,
                       const YamlNode *node, void *dst) {
    if (yaml_node_is_null(node)) {
        memset(dst, 0, schema_value_size(f->kind));
        return 0;
    }
    if (yaml_node_kind(node) != YAML_SCALAR)
        return wrong_type(cx, f, owner, node);
    Str s = yaml_node_scalar(node);
    bool ok = false, plain = yaml_node_is_plain(node);
    switch (f->kind) {
    case SCHEMA_STR:
    case SCHEMA_SECRET: *(Str *)dst = s; return 0;
    case SCHEMA_DURATION:
    case SCHEMA_SIZE: return unit_load(cx, f, owner, node, dst);
    case SCHEMA_BOOL: ok = plain && bool_parse(s, dst); break;
    case SCHEMA_INT: ok = plain && int_load(s, dst); break;
    case SCHEMA_UINT: ok = plain && uint_load(s, dst); break;
    default: ok = plain && float_load(s, dst); break;
    }
    return ok ? 0 : wrong_type(cx, f, owner, node);
}

static int strs_load(SchemaContext *cx, const SchemaField *f, const char *owner,
                     const YamlNode *node, SchemaStrs *dst) {
    *dst = (SchemaStrs){.set = true};
    if (yaml_node_is_null(node))
        return 0;
    /* A lone string stands for a list of one, as in Prometheus' YAML library. */
    bool lone = yaml_node_kind(node) == YAML_SCALAR;
    if (yaml_node_kind(node) == YAML_MAPPING)
        return wrong_type(cx, f, owner, node);
    size_t n = lone ? 1 : yaml_node_count(node);
    Str *v = ARENA_ARRAY(cx->arena, Str, n ? n : 1);
    if (!v)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        const YamlNode *item = lone ? node : yaml_node_item(node, i);
        if (yaml_node_kind(item) != YAML_SCALAR)
            return wrong_type(cx, f, owner, item);
        v[i] = yaml_node_is_null(item) ? STR("") : yaml_node_scalar(item);
    }
    dst->v = v;
    dst->n = n;
    return 0;
}

static int label_by_name(const void *a, const void *b) {
    return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

static int labels_load(SchemaContext *cx, const SchemaField *f, const char *owner,
                       const YamlNode *node, Labels *dst) {
    *dst = LABELS_EMPTY;
    if (yaml_node_is_null(node))
        return 0;
    if (yaml_node_kind(node) != YAML_MAPPING)
        return wrong_type(cx, f, owner, node);
    size_t n = yaml_node_count(node);
    Label *v = ARENA_ARRAY(cx->arena, Label, n ? n : 1);
    if (!v)
        return schema_problem(cx, node, "the file needs more memory than it may take");
    for (size_t i = 0; i < n; i++) {
        const YamlNode *value = yaml_node_value(node, i);
        v[i].name = yaml_node_scalar(yaml_node_key(node, i));
        if (!label_name_valid_utf8(v[i].name))
            return schema_problem(cx, yaml_node_key(node, i),
                                  "key \"%s\" in %s: \"%.*s\" is not a valid label name", f->key,
                                  owner, SA(v[i].name));
        if (yaml_node_kind(value) != YAML_SCALAR)
            return schema_problem(cx, value, "key \"%.*s\" in %s: expected a string, got %s",
                                  SA(v[i].name), f->key, node_text(value));
        v[i].value = yaml_node_is_null(value) ? STR("") : yaml_node_scalar(value);
    }
    qsort(v, n, sizeof(*v), label_by_name);
    *dst = (Labels){v, n};
    return 0;
}

int schema_value_load(SchemaContext *cx, const SchemaField *f, const char *owner,
                      const YamlNode *node, void *dst) {
    switch (f->kind) {
    case SCHEMA_STRS: return strs_load(cx, f, owner, node, dst);
    case SCHEMA_LABELS: return labels_load(cx, f, owner, node, dst);
    default: return scalar_load(cx, f, owner, node, dst);
    }
}
