/*
 * Binds YAML to structs: one table row a key gives its type, place, default, check and
 * documentation. Unknown keys (with the nearest known one), duplicate keys, wrong types and failed
 * checks are Problems with file, line and column. Merge keys (<<) and anchors work. Everything read
 * lives in the given arena (lifetime: the configuration).
 */
#pragma once

#include "base/arena.h"
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
    SCHEMA_LABELS,   /* Labels: map of scalars, sorted */
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
};

typedef struct SchemaContext {
    Arena *arena;
    Str file; /* for messages */
    Problem *problem;
    void *user; /* the caller's, for custom functions */
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
};

struct Schema {
    const char *name; /* for messages: "scrape_config" */
    size_t size;
    const SchemaField *fields;
    size_t n;
    void (*defaults)(void *object);
    /* After all keys; may refer to node for positions. 0 or problem_set(...). */
    int (*check)(SchemaContext *cx, const YamlNode *node, void *object);
};

/* Parses text whose root is a mapping (an empty document is an empty mapping) into *object
 * (schema->size bytes). */
int schema_load(const Schema *schema, Str text, Str file, Arena *arena, void *user, void *object,
                Problem *problem);

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
int schema_load_node(SchemaContext *cx, const Schema *schema, const YamlNode *node, void *object);
/* problem_set with the node's position; -EINVAL. */
int schema_problem(SchemaContext *cx, const YamlNode *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
