/* What configuration files may say, and what they hear when they are wrong. */
#include "schema/schema.h"

#include <stddef.h>

#include "support/test.h"

typedef struct Inner {
    int64_t port;
    Str name;
    bool name_set;
} Inner;

typedef struct Common {
    Str user;
    Str password;
    bool follow;
} Common;

typedef struct Outer {
    Str job_name;
    int64_t interval_ms;
    uint64_t limit;
    uint64_t bytes;
    double fraction;
    bool honor, honor_set;
    SchemaStrs files;
    Labels labels;
    Inner inner;
    Inner *maybe;
    SchemaList list;
    Common common;
} Outer;

static int inner_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const Inner *in = object;
    return in->port < 65536 ? 0
                            : schema_problem(cx, yaml_node_find(node, "port"),
                                             "key \"port\": expected at most 65535");
}
static void inner_defaults(void *object) { ((Inner *)object)->port = 80; }
static const SchemaField inner_fields[] = {
    {"port", SCHEMA_INT, offsetof(Inner, port)},
    {"name", SCHEMA_STR, offsetof(Inner, name), SCHEMA_NOT_EMPTY,
     .set_offset = offsetof(Inner, name_set)},
};
static const Schema inner_schema = {"inner_config", sizeof(Inner), inner_fields, 2,
                                    inner_defaults, inner_check};
static void common_defaults(void *object) { ((Common *)object)->follow = true; }
static const SchemaField common_fields[] = {
    {"user", SCHEMA_STR, offsetof(Common, user)},
    {"password", SCHEMA_SECRET, offsetof(Common, password)},
    {"follow", SCHEMA_BOOL, offsetof(Common, follow), SCHEMA_PRINT},
};
static const Schema common_schema = {"common", sizeof(Common), common_fields, 3, common_defaults};
static const SchemaField outer_fields[] = {
    {"job_name", SCHEMA_STR, offsetof(Outer, job_name), SCHEMA_REQUIRED},
    {"scrape_interval", SCHEMA_DURATION, offsetof(Outer, interval_ms)},
    {"limit", SCHEMA_UINT, offsetof(Outer, limit)},
    {"bytes", SCHEMA_SIZE, offsetof(Outer, bytes)},
    {"fraction", SCHEMA_FLOAT, offsetof(Outer, fraction)},
    {"honor", SCHEMA_BOOL, offsetof(Outer, honor), .set_offset = offsetof(Outer, honor_set)},
    {"files", SCHEMA_STRS, offsetof(Outer, files)},
    {"labels", SCHEMA_LABELS, offsetof(Outer, labels)},
    {"inner", SCHEMA_STRUCT, offsetof(Outer, inner), .sub = &inner_schema},
    {"maybe", SCHEMA_OPTIONAL, offsetof(Outer, maybe), .sub = &inner_schema},
    {"list", SCHEMA_LIST, offsetof(Outer, list), .sub = &inner_schema},
    {NULL, SCHEMA_STRUCT, offsetof(Outer, common), SCHEMA_INLINE, .sub = &common_schema},
};
static const Schema outer_schema = {"global", sizeof(Outer), outer_fields, 12};

static Arena arena;
static Problem problem;

static int load(const char *text, Outer *ret) {
    problem = (Problem){0};
    return schema_load(&outer_schema, str_of(text), STR("p.yml"), &arena, NULL, ret, &problem);
}

static bool refused(const char *text, const char *position_and_text) {
    Outer o;
    char shown[1500];
    if (load(text, &o) == 0)
        return false;
    problem_format(&problem, shown, sizeof(shown));
    if (strncmp(shown, position_and_text, strlen(position_and_text)) == 0)
        return true;
    fprintf(stderr, "# got %s\n", shown);
    return false;
}

TEST (every_kind_is_bound) {
    Outer o;
    CHECK_INT(load("job_name: x\nscrape_interval: 1m30s\nlimit: 0x10\nbytes: 2KB\nfraction: 0.25\n"
                   "honor: yes\nfiles: [a, 'b', 3]\nlabels: {z: 1, a: ''}\ninner: {port: 1_0}\n"
                   "maybe: {name: q}\nlist:\n- port: 1\n- name: two\nuser: me\n",
                   &o),
              0);
    CHECK_STR(o.job_name, STR("x"));
    CHECK_INT(o.interval_ms, 90000);
    CHECK_INT(o.limit, 16);
    CHECK_INT(o.bytes, 2048);
    CHECK(o.fraction == 0.25 && o.honor && o.honor_set);
    CHECK_INT(o.files.n, 3);
    CHECK_STR(o.files.v[2], STR("3"));
    CHECK_INT(o.labels.n, 2);
    CHECK_STR(o.labels.v[0].name, STR("a"));
    CHECK_INT(o.inner.port, 10);
    CHECK(o.maybe && o.maybe->port == 80 && o.maybe->name_set);
    CHECK_INT(o.list.n, 2);
    CHECK_INT(((Inner *)o.list.v)[1].port, 80);
    CHECK_STR(o.common.user, STR("me"));
    CHECK(o.common.follow);
}

TEST (null_gives_the_zero_value_and_absence_the_default) {
    Outer o;
    CHECK_INT(load("job_name: a\ninner:\nmaybe: ~\nfollow:\nfiles:\nlist: null\n", &o), 0);
    CHECK_INT(o.inner.port, 80);
    CHECK(!o.maybe && !o.common.follow && o.files.set && !o.files.n && o.list.set && !o.list.n);
    CHECK(!o.honor_set);
}

TEST (anchors_and_merge_keys_work) {
    Outer o;
    CHECK_INT(load("job_name: a\ninner: &i {port: 1, name: x}\nmaybe:\n  <<: *i\n  name: y\n"
                   "list: [*i, {<<: [{port: 7}, *i]}]\n",
                   &o),
              0);
    CHECK_INT(o.maybe->port, 1);
    CHECK_STR(o.maybe->name, STR("y"));
    CHECK_INT(((Inner *)o.list.v)[1].port, 7);
    CHECK_STR(((Inner *)o.list.v)[1].name, STR("x"));
}

TEST (mistakes_name_file_line_key_and_what_was_expected) {
    CHECK(refused("job_name: a\nscrape_intervall: 3s\n",
                  "p.yml:2:1: unknown key \"scrape_intervall\" in global; did you mean "
                  "\"scrape_interval\"?"));
    CHECK(refused("job_name: a\nuserr: 3s\n", "p.yml:2:1: unknown key \"userr\" in global; did you "
                                              "mean \"user\"?"));
    CHECK(refused("job_name: a\nzzzzzz: 3s\n", "p.yml:2:1: unknown key \"zzzzzz\" in global"));
    CHECK(refused("job_name: a\njob_name: b\n",
                  "p.yml:2:1: key \"job_name\" is given twice (first in line 1)"));
    CHECK(refused("limit: 3\n", "p.yml:1:1: missing key \"job_name\" in global"));
    CHECK(refused("job_name:\n", "p.yml:1:10: key \"job_name\" in global is empty"));
    CHECK(refused("job_name: a\nhonor: \"true\"\n",
                  "p.yml:2:8: key \"honor\" in global: expected true or false, got \"true\" in "
                  "quotes"));
    CHECK(refused("job_name: a\nlimit: -1\n",
                  "p.yml:2:8: key \"limit\" in global: expected a whole "
                  "number that is not negative, got \"-1\""));
    CHECK(refused("job_name: a\nscrape_interval: [1s]\n",
                  "p.yml:2:18: key \"scrape_interval\" in global: expected a duration such as 30s "
                  "or 1h30m, got a list"));
    CHECK(refused("job_name: a\nscrape_interval: 1.5s\n",
                  "p.yml:2:18: key \"scrape_interval\" in global: expected a duration such as 30s "
                  "or 1h30m: "));
    CHECK(refused("job_name: a\nfiles: {a: b}\n",
                  "p.yml:2:8: key \"files\" in global: expected a list of strings, got a mapping"));
    CHECK(refused("job_name: a\ninner: 3\n",
                  "p.yml:2:8: key \"inner\" in global: expected a mapping, got a single value"));
    CHECK(refused("job_name: a\ninner: {port: 70000}\n",
                  "p.yml:2:15: key \"port\": expected at most 65535"));
    CHECK(refused("job_name: a\ninner: {name: ''}\n",
                  "p.yml:2:15: key \"name\" in inner_config: expected a string, got nothing"));
    CHECK(refused("job_name: a\nlist:\n  -\n",
                  "p.yml:3:4: empty or null section in the list of inner_config"));
    CHECK(refused("job_name: a\nlabels: {!!binary \"/w==\": x}\n",
                  "p.yml:2:10: key \"labels\" in global: \"\xff\" is not a valid label name"));
    CHECK(refused("- a\n", "p.yml:1:1: global: expected a mapping, got a list"));
    CHECK(refused("job_name: [a\n", "p.yml:"));
    CHECK(refused("job_name: *x\n", "p.yml:1:11: unknown anchor \"x\""));
    CHECK(refused("inner: &x {<<: *x}\n", "p.yml:1:16: anchor \"x\" contains itself"));
}

TEST (an_empty_document_is_an_empty_mapping) {
    static const Schema empty = {"empty", sizeof(Inner), inner_fields, 2, inner_defaults};
    Inner in;
    CHECK_INT(schema_load(&empty, STR(""), STR("f"), &arena, NULL, &in, &problem), 0);
    CHECK_INT(
        schema_load(&empty, STR("# only a comment\n---\n"), STR("f"), &arena, NULL, &in, &problem),
        0);
    CHECK_INT(in.port, 80);
}

TEST (nesting_and_alias_expansion_have_ceilings) {
    Buf b = BUF_INIT(0);
    const YamlNode *root;
    for (int i = 0; i < 5000; i++)
        buf_add_char(&b, '[');
    CHECK(yaml_parse(buf_str(&b), STR("f"), &arena, &root, &problem) < 0);
    buf_reset(&b);
    buf_add_cstr(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++) {
        buf_addf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_addf(&b, "%s*a%d", k ? "," : "", i - 1);
        buf_add_cstr(&b, "]\n");
    }
    CHECK(yaml_parse(buf_str(&b), STR("f"), &arena, &root, &problem) < 0);
    CHECK_CSTR(problem.text, "aliases make the document too large");
    buf_deinit(&b);
}

TEST (an_arena_with_a_ceiling_refuses_a_large_file) {
    Arena small = ARENA_INIT(64 << 10);
    Buf b = BUF_INIT(0);
    const YamlNode *root;
    for (int i = 0; i < 5000; i++)
        buf_addf(&b, "- item number %d\n", i);
    CHECK(yaml_parse(buf_str(&b), STR("f"), &small, &root, &problem) < 0);
    arena_deinit(&small);
    buf_deinit(&b);
}

TEST (a_list_document_is_bound_item_by_item) {
    SchemaList list;
    CHECK_INT(schema_load_list(&inner_schema, STR("- {port: 5}\n- name: x\n"), STR("f"), &arena,
                               NULL, &list, &problem),
              0);
    CHECK_INT(list.n, 2);
    CHECK(schema_load_list(&inner_schema, STR("port: 5\n"), STR("f"), &arena, NULL, &list,
                           &problem) < 0);
}

TEST (every_prefix_of_a_document_is_answered) {
    static const char text[] = "job_name: 'a b'\ninner: &x {port: 1}\nlist: [*x, {<<: *x}]\n"
                               "labels: {!!binary \"YWJj\": \"d\\u00e9\"}\n";
    for (size_t n = 0; n < sizeof(text); n++) {
        Outer o;
        char cut[sizeof(text)];
        memcpy(cut, text, n);
        cut[n] = '\0';
        (void)load(cut, &o);
    }
    CHECK(true);
}
