/* Any bytes as a YAML document, bound to a schema and printed: no crash, no endless work. */
#include <stddef.h>

#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Item {
    Str name, secret;
    int64_t number, duration_ms;
    uint64_t size;
    double fraction;
    bool flag;
    SchemaStrs list;
    Labels labels;
    SchemaList items;
} Item;

static const Schema item_schema;
static const SchemaField item_fields[] = {
    {"name", SCHEMA_STR, offsetof(Item, name)},
    {"secret", SCHEMA_SECRET, offsetof(Item, secret)},
    {"number", SCHEMA_INT, offsetof(Item, number)},
    {"duration", SCHEMA_DURATION, offsetof(Item, duration_ms)},
    {"size", SCHEMA_SIZE, offsetof(Item, size)},
    {"fraction", SCHEMA_FLOAT, offsetof(Item, fraction)},
    {"flag", SCHEMA_BOOL, offsetof(Item, flag), SCHEMA_PRINT},
    {"list", SCHEMA_STRS, offsetof(Item, list)},
    {"labels", SCHEMA_LABELS, offsetof(Item, labels)},
    {"items", SCHEMA_LIST, offsetof(Item, items), .sub = &item_schema},
};
static const Schema item_schema = {"item", sizeof(Item), item_fields, ARRAY_LEN(item_fields)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = ARENA_INIT(32 << 20);
    Str text = {(const char *)data, size};
    Problem p = {0};
    Item item;
    const YamlNode *root = NULL;
    Buf b = BUF_INIT(8 << 20);
    if (schema_load(&item_schema, text, STR("fuzz"), &a, NULL, &item, &p) == 0)
        schema_write(&item_schema, &item, &b, 0);
    if (yaml_parse(text, STR("fuzz"), &a, &root, &p) == 0 && root)
        schema_write_node(&item_schema, root, &b, 0);
    buf_deinit(&b);
    arena_deinit(&a);
    return 0;
}
