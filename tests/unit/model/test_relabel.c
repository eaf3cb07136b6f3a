/* The eleven actions on {a="foo", b="bar", c="baz"}, and what a configuration may say. */
#include "base/compiler.h"
#include "model/relabel.h"
#include "support/test.h"

static const Label abc[] = {{STR("a"), STR("foo")}, {STR("b"), STR("bar")}, {STR("c"), STR("baz")}};

#define GIVEN(given, ...) (RelabelConfig){__VA_ARGS__, .utf8_names = true}, (given)
#define SOURCES(...)                                                                               \
    .source_labels = (const Str[]){__VA_ARGS__},                                                   \
    .n_source_labels = sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)

/* want is NULL when the item is to be dropped. */
static void check_apply(RelabelConfig c, unsigned set, const char *want) {
    Problem p = {0};
    CHECK_INT(relabel_config_init(&c, set, &p), 0);
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(0);
    LabelsBuilder b = {0};
    labels_builder_reset(&b, (Labels){abc, 3});
    const RelabelConfig *list[] = {&c};
    bool kept = relabel_apply(list, 1, &b, &a);
    CHECK(kept == (want != NULL));
    if (kept) {
        CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
        labels_format(labels_builder_view(&b), &text);
        CHECK_STR(buf_str(&text), str_of(want));
    }
    labels_builder_deinit(&b);
    relabel_config_deinit(&c);
}

enum {
    ACT = RELABEL_SET_ACTION,
    RE = RELABEL_SET_REGEX,
    REPL = RELABEL_SET_REPLACEMENT,
    SEP = RELABEL_SET_SEPARATOR,
    SRC = RELABEL_SET_SOURCE
};

TEST (replace_expands_groups_into_target_and_value) {
    check_apply(GIVEN(0, SOURCES(STR("a")), .target_label = STR("d")),
                "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"foo\"}");
    check_apply(GIVEN(RE | REPL, SOURCES(STR("a"), STR("b")), .regex_text = STR("f(.*);(.*)r"),
                      .target_label = STR("a"), .replacement = STR("b${1}${2}m")),
                "{a=\"boobam\", b=\"bar\", c=\"baz\"}");
    check_apply(GIVEN(RE | REPL, SOURCES(STR("a")), .regex_text = STR("f(.*)"),
                      .target_label = STR("x_$1"), .replacement = STR("$0!")),
                "{a=\"foo\", b=\"bar\", c=\"baz\", x_oo=\"foo!\"}");
}

TEST (replace_without_a_match_changes_nothing) {
    check_apply(GIVEN(RE, SOURCES(STR("a")), .regex_text = STR("o"), .target_label = STR("b")),
                "{a=\"foo\", b=\"bar\", c=\"baz\"}");
}

TEST (replace_with_an_empty_result_deletes_the_target) {
    check_apply(GIVEN(RE | REPL, SOURCES(STR("a")), .regex_text = STR("(f).*"),
                      .target_label = STR("a"), .replacement = STR("")),
                "{b=\"bar\", c=\"baz\"}");
}

TEST (replace_of_nothing_sets_a_plain_value) {
    check_apply(GIVEN(REPL, .target_label = STR("d"), .replacement = STR("x")),
                "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"x\"}");
}

TEST (a_missing_source_counts_as_empty) {
    check_apply(
        GIVEN(SEP, SOURCES(STR("nope"), STR("c")), .separator = STR("-"), .target_label = STR("d")),
        "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"-baz\"}");
}

TEST (keep_and_drop_match_the_whole_value) {
    check_apply(
        GIVEN(ACT | RE, .action = RELABEL_KEEP, SOURCES(STR("a")), .regex_text = STR("fo.")),
        "{a=\"foo\", b=\"bar\", c=\"baz\"}");
    check_apply(GIVEN(ACT | RE, .action = RELABEL_KEEP, SOURCES(STR("a")), .regex_text = STR("f")),
                NULL);
    check_apply(GIVEN(ACT | RE, .action = RELABEL_DROP, SOURCES(STR("a"), STR("b")),
                      .regex_text = STR("foo;bar")),
                NULL);
}

TEST (keepequal_and_dropequal_compare_two_labels) {
    check_apply(
        GIVEN(ACT, .action = RELABEL_KEEPEQUAL, SOURCES(STR("a")), .target_label = STR("b")), NULL);
    check_apply(
        GIVEN(ACT, .action = RELABEL_DROPEQUAL, SOURCES(STR("a")), .target_label = STR("b")),
        "{a=\"foo\", b=\"bar\", c=\"baz\"}");
    check_apply(
        GIVEN(ACT, .action = RELABEL_DROPEQUAL, SOURCES(STR("x")), .target_label = STR("y")), NULL);
}

TEST (hashmod_uses_the_last_eight_bytes_of_md5) {
    /* md5("foo") = acbd18db4cc2f85cedef654fccc4a4d8; edef654fccc4a4d8 mod 1000 */
    check_apply(GIVEN(ACT, .action = RELABEL_HASHMOD, SOURCES(STR("a")), .modulus = 1000,
                      .target_label = STR("d")),
                "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"696\"}");
}

TEST (labelmap_copies_under_the_expanded_name) {
    check_apply(GIVEN(ACT | RE | REPL, .action = RELABEL_LABELMAP, .regex_text = STR("(a|c)"),
                      .replacement = STR("x_${1}")),
                "{a=\"foo\", b=\"bar\", c=\"baz\", x_a=\"foo\", x_c=\"baz\"}");
}

TEST (labeldrop_and_labelkeep_look_at_names) {
    check_apply(GIVEN(ACT | RE, .action = RELABEL_LABELDROP, .regex_text = STR("a|b")),
                "{c=\"baz\"}");
    check_apply(GIVEN(ACT | RE, .action = RELABEL_LABELKEEP, .regex_text = STR("a|b")),
                "{a=\"foo\", b=\"bar\"}");
}

TEST (cases_are_mapped_beyond_ascii) {
    check_apply(GIVEN(ACT, .action = RELABEL_UPPERCASE, SOURCES(STR("a"), STR("b")),
                      .target_label = STR("a")),
                "{a=\"FOO;BAR\", b=\"bar\", c=\"baz\"}");
    RelabelConfig c = {.action = RELABEL_LOWERCASE, SOURCES(STR("a")), .target_label = STR("a")};
    CHECK_INT(relabel_config_init(&c, ACT, NULL), 0);
    Label l[] = {{STR("a"), STR("\xc3\x84X\xff")}};
    Arena a = ARENA_INIT(0);
    LabelsBuilder b = {0};
    labels_builder_reset(&b, (Labels){l, 1});
    const RelabelConfig *list[] = {&c};
    CHECK(relabel_apply(list, 1, &b, &a));
    CHECK_STR(labels_builder_get(&b, STR("a")), STR("\xc3\xa4x\xef\xbf\xbd"));
    labels_builder_deinit(&b);
    arena_deinit(&a);
    relabel_config_deinit(&c);
}

static void check_refused(RelabelConfig c, unsigned set, const char *want) {
    Problem p = {0};
    CHECK_INT(relabel_config_init(&c, set, &p), -EINVAL);
    CHECK_CSTR(p.text, want);
}

#define LEGACY(given, ...) (RelabelConfig){__VA_ARGS__}, (given)

TEST (configurations_that_cannot_work_are_refused) {
    check_refused(GIVEN(ACT, .action = RELABEL_HASHMOD, .target_label = STR("a")),
                  "relabel configuration for hashmod requires non-zero modulus");
    check_refused(GIVEN(0, .target_label = STR("")),
                  "relabel configuration for replace action requires 'target_label' value");
    check_refused(LEGACY(0, .target_label = STR("a-b")),
                  "\"a-b\" is invalid 'target_label' for replace action");
    check_refused(LEGACY(0, .target_label = STR("${a}-b")),
                  "\"${a}-b\" is invalid 'target_label' for replace action");
    check_refused(LEGACY(ACT | REPL, .action = RELABEL_LABELMAP, .replacement = STR("1$1")),
                  "\"1$1\" is invalid 'replacement' for labelmap action");
    check_refused(GIVEN(ACT | REPL, .action = RELABEL_LOWERCASE, .target_label = STR("a"),
                        .replacement = STR("x")),
                  "'replacement' can not be set for lowercase action");
    check_refused(GIVEN(ACT | RE, .action = RELABEL_KEEPEQUAL, .target_label = STR("a"),
                        .regex_text = STR("(.*)")),
                  "keepequal action requires only 'source_labels' and `target_label`, and no other "
                  "fields");
    check_refused(GIVEN(ACT | SRC, .action = RELABEL_LABELDROP),
                  "labeldrop action requires only 'regex', and no other fields");
    Problem p = {0};
    RelabelConfig c = {.regex_text = STR("("), .target_label = STR("a")};
    CHECK_INT(relabel_config_init(&c, RE, &p), -EINVAL);
    CHECK(p.text[0]);
}

TEST (templates_of_classic_names_are_accepted) {
    RelabelConfig c = {.target_label = STR("${a}_$b9")};
    CHECK_INT(relabel_config_init(&c, 0, NULL), 0);
    relabel_config_deinit(&c);
    RelabelAction a;
    CHECK(relabel_action_parse(STR("LabelMap"), &a) && a == RELABEL_LABELMAP);
    CHECK(!relabel_action_parse(STR(""), &a));
}
