/*
 * Objects back to YAML, in the form Prometheus prints its own configuration: two spaces a level,
 * list dashes in the column of their key, scalars quoted only when they have to be.
 */
#include <ctype.h>

#include "base/numtext.h"
#include "model/duration.h"
#include "schema/schema.h"

void schema_write_indent(Buf *b, int indent) {
    for (int i = 0; i < indent; i++)
        buf_add_char(b, ' ');
}

/* Would the bare text be read back as something else than this string? */
static bool needs_quotes(Str s) {
    static const char *const words[] = {"null", "true", "false", "yes",  "no", "on", "off", "y",
                                        "n",    "~",    ".inf",  ".nan", "-",  "=",  "<<"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(s, str_of(words[i])))
            return true;
    }
    if (!s.n || strchr("!&*-?[]{},#|>@`\"'%:=", s.p[0]) || s.p[0] == ' ' || s.p[s.n - 1] == ' ' ||
        s.p[s.n - 1] == ':') {
        bool word = s.n > 1 && s.p[0] == '-' && isalpha((unsigned char)s.p[1]);
        if (!word)
            return true;
    }
    return str_find_str(s, STR(": ")) < s.n || str_find_str(s, STR(" #")) < s.n;
}

/* Digits, signs, dots, colons and underscores alone might be read as a number or a time. */
static bool looks_like_number(Str s) {
    double v;
    bool digits = true;
    for (size_t i = 0; i < s.n; i++)
        digits &= (s.p[i] >= '0' && s.p[i] <= '9') || strchr("._:+-", s.p[i]) != NULL;
    return (digits && s.n) || number_parse(s, &v) || str_starts(s, STR("0x")) ||
           str_starts(s, STR("0b")) || str_starts(s, STR("0o"));
}

static void write_escaped(Buf *b, Str s) {
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_addf(b, "\\%c", c);
        else if (c == '\n')
            buf_add_cstr(b, "\\n");
        else if (c == '\t')
            buf_add_cstr(b, "\\t");
        else if (c < 0x20 || c == 0x7f)
            buf_addf(b, "\\x%02x", c);
        else
            buf_add_char(b, (char)c);
    }
    buf_add_char(b, '"');
}

void schema_write_scalar(Buf *b, Str s) {
    bool control = false;
    for (size_t i = 0; i < s.n; i++)
        control |= (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f;
    if (control || looks_like_number(s))
        write_escaped(b, s);
    else if (!needs_quotes(s))
        buf_add_str(b, s);
    else if (str_find(s, '\'') < s.n || s.n < 6)
        write_escaped(b, s);
    else
        buf_addf(b, "'%.*s'", SA(s));
}

void schema_write_pair(Buf *b, const char *key, Str value, int indent) {
    schema_write_indent(b, indent);
    buf_addf(b, "%s: ", key);
    schema_write_scalar(b, value);
    buf_add_char(b, '\n');
}

static void write_key(Buf *b, const char *key, int indent) {
    schema_write_indent(b, indent);
    buf_addf(b, "%s:", key);
}

static void write_line(Buf *b, const char *key, Buf *value, int indent) {
    write_key(b, key, indent);
    buf_addf(b, " %.*s\n", (int)value->n, value->p ? value->p : "");
    buf_deinit(value);
}

/* Turns the indent of what was written from `start` on into a list item's dash. */
static void item_dash(Buf *b, size_t start, int indent) {
    if (b->n == start) {
        schema_write_indent(b, indent);
        buf_add_cstr(b, "- {}\n");
    } else if (!b->failed) {
        b->p[start + (size_t)indent] = '-';
    }
}

static void write_strs(Buf *b, const SchemaField *f, const SchemaStrs *v, int indent) {
    if (!v->n) {
        if (f->flags & SCHEMA_PRINT) {
            write_key(b, f->key, indent);
            buf_add_cstr(b, " []\n");
        }
        return;
    }
    write_key(b, f->key, indent);
    buf_add_char(b, '\n');
    for (size_t i = 0; i < v->n; i++) {
        schema_write_indent(b, indent);
        buf_add_cstr(b, "- ");
        schema_write_scalar(b, v->v[i]);
        buf_add_char(b, '\n');
    }
}

static void write_labels(Buf *b, const char *key, Labels l, int indent) {
    if (!l.n)
        return;
    write_key(b, key, indent);
    buf_add_char(b, '\n');
    for (size_t i = 0; i < l.n; i++) {
        schema_write_indent(b, indent + 2);
        schema_write_scalar(b, l.v[i].name);
        buf_add_cstr(b, ": ");
        schema_write_scalar(b, l.v[i].value);
        buf_add_char(b, '\n');
    }
}

static void write_part(Buf *b, const char *key, const Schema *s, const void *object, int indent) {
    size_t before = b->n;
    write_key(b, key, indent);
    buf_add_char(b, '\n');
    size_t start = b->n;
    schema_write(s, object, b, indent + 2);
    if (b->n == start)
        b->n = before;
}

static void write_list(Buf *b, const SchemaField *f, const SchemaList *list, int indent) {
    if (!list->n)
        return;
    write_key(b, f->key, indent);
    buf_add_char(b, '\n');
    for (size_t i = 0; i < list->n; i++) {
        size_t start = b->n;
        schema_write(f->sub, (const char *)list->v + i * f->sub->size, b, indent + 2);
        item_dash(b, start, indent);
    }
}

static void write_number(Buf *b, const SchemaField *f, const void *at, int indent) {
    Buf v = BUF_INIT(0);
    switch (f->kind) {
    case SCHEMA_BOOL: buf_add_cstr(&v, *(const bool *)at ? "true" : "false"); break;
    case SCHEMA_INT: buf_addf(&v, "%lld", (long long)*(const int64_t *)at); break;
    case SCHEMA_UINT: buf_addf(&v, "%llu", (unsigned long long)*(const uint64_t *)at); break;
    case SCHEMA_DURATION: duration_format(&v, *(const int64_t *)at); break;
    case SCHEMA_SIZE: size_format(&v, *(const uint64_t *)at); break;
    default: number_format_g(&v, *(const double *)at); break;
    }
    write_line(b, f->key, &v, indent);
}

static bool is_zero(const SchemaField *f, const void *at) {
    static const char zero[sizeof(uint64_t)];
    return f->kind == SCHEMA_BOOL ? !*(const bool *)at : memcmp(at, zero, sizeof(zero)) == 0;
}

static void write_field(Buf *b, const SchemaField *f, const void *at, int indent) {
    switch (f->kind) {
    case SCHEMA_STR:
    case SCHEMA_SECRET:
        if (((const Str *)at)->n || f->flags & SCHEMA_PRINT)
            schema_write_pair(
                b, f->key, f->kind == SCHEMA_SECRET ? STR("<secret>") : *(const Str *)at, indent);
        break;
    case SCHEMA_STRS: write_strs(b, f, at, indent); break;
    case SCHEMA_LABELS: write_labels(b, f->key, *(const Labels *)at, indent); break;
    case SCHEMA_STRUCT: write_part(b, f->key, f->sub, at, indent); break;
    case SCHEMA_OPTIONAL:
        if (*(void *const *)at)
            write_part(b, f->key, f->sub, *(void *const *)at, indent);
        break;
    case SCHEMA_LIST: write_list(b, f, at, indent); break;
    case SCHEMA_CUSTOM:
        if (f->write)
            f->write(b, f->key, at, indent);
        break;
    default:
        if (f->flags & SCHEMA_PRINT || !is_zero(f, at))
            write_number(b, f, at, indent);
    }
}

void schema_write(const Schema *schema, const void *object, Buf *b, int indent) {
    if (schema->write) {
        schema->write(schema, object, b, indent);
        return;
    }
    for (size_t i = 0; i < schema->n; i++) {
        const SchemaField *f = &schema->fields[i];
        const void *at = (const char *)object + f->offset;
        if (f->flags & (SCHEMA_NO_PRINT | SCHEMA_CHECKED | SCHEMA_IGNORED))
            continue;
        if (f->kind == SCHEMA_STRUCT && f->flags & SCHEMA_INLINE)
            schema_write(f->sub, at, b, indent);
        else
            write_field(b, f, at, indent);
    }
}

static const SchemaField *field_of(const Schema *s, Str key) {
    for (size_t i = 0; s && i < s->n; i++) {
        const SchemaField *f = &s->fields[i];
        if (f->kind == SCHEMA_STRUCT && f->flags & SCHEMA_INLINE) {
            const SchemaField *inner = field_of(f->sub, key);
            if (inner)
                return inner;
        } else if (str_eqc(key, f->key)) {
            return f;
        }
    }
    return NULL;
}

static void write_node_value(const Schema *s, bool secret, const YamlNode *n, Buf *b, int indent);

static void write_node_pair(const Schema *s, bool secret, const YamlNode *map, size_t i, Buf *b,
                            int indent) {
    Str key = yaml_node_scalar(yaml_node_key(map, i));
    const SchemaField *f = field_of(s, key);
    schema_write_indent(b, indent);
    schema_write_scalar(b, key);
    buf_add_char(b, ':');
    write_node_value(f ? f->sub : NULL, secret || (f && f->kind == SCHEMA_SECRET),
                     yaml_node_value(map, i), b, indent);
}

/* The value behind `key:` or `-`: on the same line, or as a block below it. */
static void write_node_value(const Schema *s, bool secret, const YamlNode *n, Buf *b, int indent) {
    if (yaml_node_kind(n) == YAML_SCALAR) {
        buf_add_char(b, ' ');
        if (secret && yaml_node_scalar(n).n)
            buf_add_cstr(b, "<secret>");
        else if (yaml_node_is_null(n))
            buf_add_cstr(b, "null");
        else if (yaml_node_is_plain(n))
            buf_add_str(b, yaml_node_scalar(n));
        else
            schema_write_scalar(b, yaml_node_scalar(n));
        buf_add_char(b, '\n');
        return;
    }
    bool list = yaml_node_kind(n) == YAML_SEQUENCE;
    buf_add_cstr(b, yaml_node_count(n) ? "\n" : list ? " []\n" : " {}\n");
    for (size_t i = 0; i < yaml_node_count(n); i++) {
        if (!list) {
            write_node_pair(s, secret, n, i, b, indent + 2);
            continue;
        }
        const YamlNode *item = yaml_node_item(n, i);
        size_t start = b->n;
        if (yaml_node_kind(item) == YAML_MAPPING) {
            for (size_t k = 0; k < yaml_node_count(item); k++)
                write_node_pair(s, secret, item, k, b, indent + 2);
            item_dash(b, start, indent);
        } else {
            schema_write_indent(b, indent);
            buf_add_char(b, '-');
            write_node_value(NULL, secret, item, b, indent + 2);
        }
    }
}

void schema_write_node(const Schema *schema, const YamlNode *node, Buf *b, int indent) {
    for (size_t i = 0; yaml_node_kind(node) == YAML_MAPPING && i < yaml_node_count(node); i++)
        write_node_pair(schema, false, node, i, b, indent);
}
