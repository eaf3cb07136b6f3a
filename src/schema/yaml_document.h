/*
 * A YAML document as a tree of nodes with positions; the only user of libyaml. Aliases share the
 * node they name, so that a document costs its own size however often it repeats itself; what it
 * would be when written out is still counted, against a ceiling. Merge keys are resolved here: a
 * mapping's pairs are its own, then those it merged and did not override.
 */
#pragma once

#include "schema/schema.h"

/* Deeper nesting than any configuration has, shallow enough for recursion on a small stack. */
#define YAML_DEPTH_MAX 100
/* Nodes of a document with every alias written out. */
#define YAML_NODES_MAX (UINT64_C(4) << 20)

typedef struct YamlPair {
    const YamlNode *key, *value;
} YamlPair;

struct YamlNode {
    YamlKind kind;
    int line, column;
    bool plain;
    uint16_t height; /* 1 for a scalar */
    uint64_t weight; /* nodes below and including this one, aliases written out */
    union {
        Str scalar;
        struct {
            const YamlNode **items;
            size_t n_items;
        };
        struct {
            YamlPair *pairs;
            size_t n_pairs, n_own; /* the own ones come first, merged ones behind */
        };
    };
};
