#include "schema/yaml_document.h"

YamlKind yaml_node_kind(const YamlNode *n) { return n->kind; }

int yaml_node_line(const YamlNode *n) { return n->line; }

int yaml_node_column(const YamlNode *n) { return n->column; }

bool yaml_node_is_null(const YamlNode *n) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (n->kind != YAML_SCALAR || !n->plain)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eqc(n->scalar, words[i]))
            return true;
    }
    return false;
}

Str yaml_node_scalar(const YamlNode *n) {
    return n->kind != YAML_SCALAR || yaml_node_is_null(n) ? STR_NULL : n->scalar;
}

bool yaml_node_is_plain(const YamlNode *n) { return n->kind == YAML_SCALAR && n->plain; }

size_t yaml_node_count(const YamlNode *n) {
    return n->kind == YAML_SEQUENCE ? n->n_items : n->kind == YAML_MAPPING ? n->n_pairs : 0;
}

const YamlNode *yaml_node_item(const YamlNode *n, size_t i) { return n->items[i]; }

const YamlNode *yaml_node_key(const YamlNode *n, size_t i) { return n->pairs[i].key; }

const YamlNode *yaml_node_value(const YamlNode *n, size_t i) { return n->pairs[i].value; }

const YamlNode *yaml_node_find(const YamlNode *n, const char *key) {
    for (size_t i = 0; n->kind == YAML_MAPPING && i < n->n_pairs; i++) {
        if (str_eqc(n->pairs[i].key->scalar, key))
            return n->pairs[i].value;
    }
    return NULL;
}
