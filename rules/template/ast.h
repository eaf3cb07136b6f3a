/* The tree of a parsed template. Nodes live in their set's arena and never change. */
#pragma once

#include "rules/template/template.h"

typedef enum NodeKind {
    NODE_TEXT,
    NODE_ACTION,
    NODE_IF,
    NODE_RANGE,
    NODE_WITH,
    NODE_TEMPLATE,
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_LIST,
    NODE_ELSE, /* only while parsing */
    NODE_END,  /* only while parsing */
    NODE_PIPE,
    NODE_COMMAND,
    NODE_FIELD,
    NODE_CHAIN,
    NODE_VARIABLE,
    NODE_IDENTIFIER,
    NODE_DOT,
    NODE_NIL,
    NODE_BOOL,
    NODE_NUMBER,
    NODE_STRING,
} NodeKind;

typedef struct Node Node;

typedef struct Nodes {
    Node **v;
    size_t n, cap;
} Nodes;

struct Node {
    NodeKind kind;
    uint32_t pos; /* byte offset in the template's text */
    bool b;       /* NODE_BOOL; NODE_PIPE: assignment instead of declaration */
    bool is_int, is_float;
    Str text;   /* TEXT, STRING: the value; NUMBER, IDENTIFIER, TEMPLATE, VARIABLE: as written */
    Str quoted; /* STRING: as written */
    int64_t i;
    double f;
    Nodes kids; /* LIST: nodes; PIPE: commands; COMMAND: arguments */
    Nodes decl; /* PIPE: variables */
    Str *names; /* FIELD, VARIABLE (behind the first), CHAIN: names of fields */
    size_t n_names;
    Node *pipe;         /* of actions; CHAIN: the node in front */
    Node *list, *other; /* branches */
    const TmplFunc *fn; /* IDENTIFIER */
};

/* One named template. */
typedef struct Tree {
    Str name;
    Str text; /* all of the source it stands in, for positions */
    Str parse_name;
    Node *root;
} Tree;

struct Template {
    Arena arena;
    const Template *parent;
    const TmplFuncTable *tables;
    size_t n_tables;
    Tree **trees;
    size_t n_trees, cap_trees;
};

const Tree *template_find(const Template *t, Str name);
const TmplFunc *template_function(const Template *t, Str name);
/* The node in source form, as error texts show it. */
void node_format(const Node *n, Buf *out);

extern const TmplFuncTable TMPL_BUILTINS;
