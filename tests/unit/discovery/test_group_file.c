/* Files of target groups, right and wrong, in both formats. */
#include "base/file.h"
#include "discovery/sd_group_file.h"
#include "support/test.h"

static Arena arena;

static int parse(const char *path, const char *text, SchemaList *ret) {
    Problem p = {0};
    return sd_group_file_parse(str_of(path), str_of(text), &arena, ret, &p);
}

TEST (both_formats_give_the_same_groups) {
    SchemaList j, y;
    CHECK_INT(parse("a.json",
                    "[{\"targets\": [\"h:1\", \"h:2\"], \"labels\": {\"z\": \"1\", \"a\": \"2\"}}, "
                    "{\"targets\": [\"u\"]}]",
                    &j),
              0);
    CHECK_INT(
        parse("a.yml", "- targets: ['h:1', 'h:2']\n  labels: {z: 1, a: 2}\n- targets: [u]\n", &y),
        0);
    CHECK_INT(j.n, 2);
    CHECK_INT(y.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const SdStaticConfig *a = (const SdStaticConfig *)j.v + i;
        const SdStaticConfig *b = (const SdStaticConfig *)y.v + i;
        CHECK_INT(a->targets.n, b->targets.n);
        CHECK_STR(a->targets.v[0], b->targets.v[0]);
        CHECK(labels_eq(a->labels, b->labels));
    }
}

TEST (wrong_files_are_refused_as_a_whole) {
    static const char *const json[] = {
        "[{\"targets\": [\"a\"]}, null]",
        "{}",
        "[1]",
        "[{\"targets\": \"a\"}]",
        "[{\"targets\": [1]}]",
        "[{\"targets\": [], \"extra\": 1}]",
        "[{\"labels\": {\"a\": 1}}]",
        "[{\"targets\": [\"a\"]}",
    };
    static const char *const yaml[] = {"- targets: [a]\n- null\n", "a: b\n",
                                       "- targets: [a]\n  extra: 1\n", "- targets: {a: b}\n"};
    SchemaList list;
    for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++)
        CHECK(parse("a.json", json[i], &list) < 0);
    for (size_t i = 0; i < sizeof(yaml) / sizeof(yaml[0]); i++)
        CHECK(parse("a.yml", yaml[i], &list) < 0);
}

TEST (the_conformance_files_get_the_right_verdict) {
    static const struct {
        const char *name;
        int groups; /* -1: refused */
    } files[] = {{"valid.json", 2},       {"valid.yml", 2},         {"valid2.yml", 3},
                 {"valid3.yml", 2},       {"invalid_nil.json", -1}, {"invalid_nil.yml", -1},
                 {"http_sd.good.json", 1}};
    const char *root = getenv("NARTHEX_CONFORMANCE");
    for (size_t i = 0; root && *root && i < sizeof(files) / sizeof(files[0]); i++) {
        char path[900];
        Problem p = {0};
        SchemaList list;
        Buf text = BUF_INIT(1 << 20);
        (void)snprintf(path, sizeof(path), "%s/discovery/%s", root, files[i].name);
        CHECK_INT(file_read_whole(path, 1 << 20, &text), 0);
        int r = sd_group_file_parse(str_of(path), buf_str(&text), &arena, &list, &p);
        bool ok = files[i].groups < 0 ? r < 0 : r == 0 && (int)list.n == files[i].groups;
        if (!ok)
            test_fail(__FILE__, __LINE__, "%s: %s", files[i].name, p.text);
        buf_deinit(&text);
    }
}
