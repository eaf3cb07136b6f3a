/*
 * Binds YAML to structs: one table row a key gives its type, place, default, check and
 * documentation. Unknown keys (with the nearest known one), duplicate keys, wrong types and failed
 * checks are Problems with file, line and column. Merge keys (<<) and anchors work. Everything read
 * lives in the given arena (lifetime: the configuration). Nesting and alias expansion have
 * ceilings. A null value (`key:`) gives the zero value of its kind, as Prometheus' YAML library
 * does; a null struct keeps its defaults. Documents behind the first are not read, as there (a
 * warning is logged). Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "model/labels.h"

typedef struct Schema Schema;
typedef struct SchemaField SchemaField;
/* A YAML node with its position; see schema_node_*(). */
typedef struct YamlNode YamlNode;

typedef enum SchemaKind {
    SCHEMA_BOOL,     /* bool */
    SCHEMA_INT,      /* int64_t */
    SCHEMA_UINT,     /* uint64_t */
    SCHEMA_FLOAT,    /* double */
    SCHEMA_STR,      /* Str; any scalar */
    SCHEMA_SECRET,   /* Str; printed as <secret> */
    SCHEMA_DURATION, /* int64_t ms */
    SCHEMA_SIZE,     /* uint64_t bytes */
    SCHEMA_STRS,     /* SchemaStrs: list of scalars */
    SCHEMA_LABELS,   /* Labels: map of scalars, sorted; empty values are kept */
    SCHEMA_STRUCT,   /* the struct of `sub` in place */
    SCHEMA_OPTIONAL, /* pointer to a struct of `sub`; NULL when absent */
    SCHEMA_LIST,     /* SchemaList of structs of `sub` */
    SCHEMA_CUSTOM,   /* fn does it */
} SchemaKind;

typedef struct SchemaStrs {
    const Str *v;
    size_t n;
    bool set; /* the key was present */
} SchemaStrs;

typedef struct SchemaList {
    void *v; /* n structs, one after the other */
    size_t n;
    bool set;
} SchemaList;

enum {
    SCHEMA_REQUIRED = 1,
    SCHEMA_NOT_EMPTY = 2, /* a given string or list must not be empty */
    SCHEMA_INLINE = 4,    /* SCHEMA_STRUCT whose keys stand in the parent's mapping (key is NULL) */
    SCHEMA_IGNORED = 8,   /* accepted with any value, not read: a key whose feature we do not have;
                             logged by the owner */
    SCHEMA_CHECKED = 16,  /* the value must fit its kind but is not kept (offset is unused): keys of
                             sections that are only validated */
    SCHEMA_PRINT = 32,    /* schema_write() prints the key even when its value is zero */
    SCHEMA_NO_PRINT = 64, /* schema_write() never prints the key */
};

typedef struct SchemaContext {
    Arena *arena;
    Str file; /* for messages */
    Problem *problem;
    void *user;          /* the caller's, for custom functions */
    bool ignore_unknown; /* keys that no table knows are passed over */
} SchemaContext;

struct SchemaField {
    const char *key;
    SchemaKind kind;
    size_t offset;
    unsigned flags;
    const Schema *sub;
    int (*custom)(SchemaContext *cx, const YamlNode *node, void *field); /* SCHEMA_CUSTOM */
    size_t set_offset; /* offset of a bool set when the key was given; 0 = none (never the first
                          member) */
    /* SCHEMA_CUSTOM: how schema_write() prints the field: `key: value` lines at this indent, or
     * nothing. NULL prints nothing. */
    void (*write)(Buf *b, const char *key, const void *field, int indent);
};

struct Schema {
    const char *name; /* for messages: "scrape_config" */
    size_t size;
    const SchemaField *fields;
    size_t n;
    void (*defaults)(void *object);
    /* After all keys; may refer to node for positions. 0 or problem_set(...). */
    int (*check)(SchemaContext *cx, const YamlNode *node, void *object);
    /* Prints an object in its own way instead of field by field; may be NULL. */
    void (*write)(const Schema *schema, const void *object, Buf *b, int indent);
};

/* Parses text whose root is a mapping (an empty document is an empty mapping) into *object
 * (schema->size bytes). */
int schema_load(const Schema *schema, Str text, Str file, Arena *arena, void *user, void *object,
                Problem *problem);

/* The same, passing over keys that no table knows. */
int schema_load_known(const Schema *schema, Str text, Str file, Arena *arena, void *user,
                      void *object, Problem *problem);

/* As schema_load() for text whose root is a list of such mappings (an empty document is an empty
 * list). */
int schema_load_list(const Schema *item, Str text, Str file, Arena *arena, void *user,
                     SchemaList *ret, Problem *problem);

/* Prints an object as YAML with sorted-by-table keys, defaults filled in, zero values left out and
 * secrets as <secret>. */
void schema_write(const Schema *schema, const void *object, Buf *b, int indent);
/* Prints a node as it was written, normalised; keys that the schema knows as secrets are masked. */
void schema_write_node(const Schema *schema, const YamlNode *node, Buf *b, int indent);
/* A scalar, quoted when it has to be. */
void schema_write_scalar(Buf *b, Str s);
/* For write functions: `key: scalar` and the spaces before it. */
void schema_write_indent(Buf *b, int indent);
void schema_write_pair(Buf *b, const char *key, Str value, int indent);

/* Parses a document without binding it; *ret is NULL for an empty one. */
int yaml_parse(Str text, Str file, Arena *arena, const YamlNode **ret, Problem *problem);

/* For custom and check functions. */
typedef enum YamlKind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING } YamlKind;
YamlKind yaml_node_kind(const YamlNode *n);
int yaml_node_line(const YamlNode *n);
int yaml_node_column(const YamlNode *n);
Str yaml_node_scalar(const YamlNode *n); /* STR_NULL for null */
bool yaml_node_is_null(const YamlNode *n);
bool yaml_node_is_plain(const YamlNode *n); /* an unquoted scalar */
size_t yaml_node_count(const YamlNode *n);  /* items, or pairs */
const YamlNode *yaml_node_item(const YamlNode *n, size_t i);
const YamlNode *yaml_node_key(const YamlNode *n, size_t i);
const YamlNode *yaml_node_value(const YamlNode *n, size_t i);
const YamlNode *yaml_node_find(const YamlNode *n, const char *key);
/* Binds one value (of a SCHEMA_CUSTOM, for instance) as a field of this kind would be bound. */
int schema_load_value(SchemaContext *cx, const SchemaField *field, const YamlNode *node,
                      void *object);
int schema_load_node(SchemaContext *cx, const Schema *schema, const YamlNode *node, void *object);
/* problem_set with the node's position; -EINVAL. */
int schema_problem(SchemaContext *cx, const YamlNode *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
