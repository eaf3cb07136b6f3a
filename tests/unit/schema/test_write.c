/* Configurations printed back. */
#include <stddef.h>

#include "schema/schema.h"
#include "support/test.h"

typedef struct Part {
    Str name, password;
    int64_t interval_ms;
    bool on;
    SchemaStrs files;
    Labels labels;
} Part;
static const SchemaField part_fields[] = {
    {"name", SCHEMA_STR, offsetof(Part, name)},
    {"password", SCHEMA_SECRET, offsetof(Part, password)},
    {"interval", SCHEMA_DURATION, offsetof(Part, interval_ms), SCHEMA_PRINT},
    {"on", SCHEMA_BOOL, offsetof(Part, on), SCHEMA_PRINT},
    {"files", SCHEMA_STRS, offsetof(Part, files)},
    {"labels", SCHEMA_LABELS, offsetof(Part, labels)},
};
static const Schema part_schema = {"part", sizeof(Part), part_fields, 6};
typedef struct Whole {
    Part global;
    SchemaList parts;
} Whole;
static const SchemaField whole_fields[] = {
    {"global", SCHEMA_STRUCT, offsetof(Whole, global), .sub = &part_schema},
    {"parts", SCHEMA_LIST, offsetof(Whole, parts), .sub = &part_schema},
};
static const Schema whole_schema = {"whole", sizeof(Whole), whole_fields, 2};

TEST (objects_print_with_defaults_and_masked_secrets_and_load_again) {
    Arena a = ARENA_INIT(0);
    Problem p = {0};
    Whole w, again;
    Str text = STR("parts: [{name: 'a: b', password: hush, files: [x, '1', '', \"l\\n\"]},"
                   " {interval: 90s, on: true, labels: {b: 'yes', a: x y}}]\n");
    CHECK_INT(schema_load(&whole_schema, text, STR("f"), &a, NULL, &w, &p), 0);
    Buf b = BUF_INIT(0), second = BUF_INIT(0);
    schema_write(&whole_schema, &w, &b, 0);
    CHECK_STR(buf_str(&b), STR("global:\n  interval: 0s\n  on: false\nparts:\n- name: \"a: b\"\n"
                               "  password: <secret>\n  interval: 0s\n  on: false\n  files:\n"
                               "  - x\n  - \"1\"\n  - \"\"\n  - \"l\\n\"\n"
                               "- interval: 1m30s\n  on: true\n  labels:\n    a: x y\n"
                               "    b: \"yes\"\n"));
    CHECK_INT(schema_load(&whole_schema, buf_str(&b), STR("f"), &a, NULL, &again, &p), 0);
    schema_write(&whole_schema, &again, &second, 0);
    CHECK_STR(buf_str(&second), buf_str(&b));
    buf_deinit(&b);
    buf_deinit(&second);
    arena_deinit(&a);
}

TEST (nodes_print_as_written_with_masked_secrets) {
    Arena a = ARENA_INIT(0);
    Problem p = {0};
    const YamlNode *root;
    CHECK_INT(yaml_parse(STR("name: x\npassword: hush\nfiles: [a, b]\nmore: {a: [], b: {c: 1}}\n"),
                         STR("f"), &a, &root, &p),
              0);
    Buf b = BUF_INIT(0);
    schema_write_node(&part_schema, root, &b, 2);
    CHECK_STR(buf_str(&b), STR("  name: x\n  password: <secret>\n  files:\n  - a\n  - b\n"
                               "  more:\n    a: []\n    b:\n      c: 1\n"));
    buf_deinit(&b);
    arena_deinit(&a);
}
