/* Label sets, their builder, and matchers. */
#include "base/compiler.h"
#include "base/mem.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "support/test.h"

static const Label abc[] = {
    {STR("__name__"), STR("up")}, {STR("b"), STR("2")}, {STR("c"), STR("3")}};
static const Labels up = {abc, 3};

TEST (hash_is_xxh64_with_separators) {
    /* XXH64("__name__\xffup\xff" "b\xff" "2\xff" "c\xff" "3\xff") */
    CHECK(labels_hash(up) == UINT64_C(0x5ffcb9343f78f109));
    CHECK(labels_hash(LABELS_EMPTY) == UINT64_C(0xEF46DB3751D8E999));
}

TEST (hash_of_a_long_set_equals_that_of_a_short_buffer) {
    char *big = mem_alloc(5000);
    memset(big, 'x', 5000);
    Label a[] = {{STR("a"), {big, 5000}}};
    Label b[] = {{STR("a"), {big, 4999}}};
    CHECK(labels_hash((Labels){a, 1}) != labels_hash((Labels){b, 1}));
    CHECK(labels_hash((Labels){a, 1}) == labels_hash((Labels){a, 1}));
    mem_free(big);
}

TEST (fingerprint_of_nothing_is_the_fnv_offset) {
    CHECK(labels_fingerprint(LABELS_EMPTY) == UINT64_C(14695981039346656037));
    Label a[] = {{STR("a"), STR("b")}};
    /* FNV-1a 64 of 61 ff 62 ff. */
    uint64_t h = UINT64_C(14695981039346656037);
    const unsigned char bytes[] = {'a', 0xff, 'b', 0xff};
    for (size_t i = 0; i < sizeof(bytes); i++) {
        h = (h ^ bytes[i]) * UINT64_C(1099511628211);
    }
    CHECK(labels_fingerprint((Labels){a, 1}) == h);
}

TEST (order_is_by_name_then_value_and_a_prefix_first) {
    Label a[] = {{STR("a"), STR("1")}};
    Label ab[] = {{STR("a"), STR("1")}, {STR("b"), STR("1")}};
    Label a2[] = {{STR("a"), STR("2")}};
    CHECK(labels_cmp((Labels){a, 1}, (Labels){ab, 2}) < 0);
    CHECK(labels_cmp((Labels){ab, 2}, (Labels){a2, 1}) < 0);
    CHECK(labels_cmp((Labels){a, 1}, (Labels){a, 1}) == 0);
    CHECK(labels_eq((Labels){a, 1}, (Labels){a, 1}));
    CHECK(!labels_eq((Labels){a, 1}, (Labels){a2, 1}));
}

TEST (keep_and_drop_choose_by_name) {
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(0);
    Str names[] = {STR("b"), STR("nope")};
    Labels kept = labels_keep(&a, up, names, 2);
    CHECK(kept.n == 1);
    CHECK_STR(kept.v[0].name, STR("b"));
    Labels rest = labels_drop(&a, up, names, 2);
    CHECK(rest.n == 1);
    CHECK_STR(rest.v[0].name, STR("c"));
}

TEST (copy_stands_on_its_own_and_refuses_at_the_ceiling) {
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(0);
    char value[] = "v";
    Label l[] = {{STR("a"), {value, 1}}};
    Labels copy = labels_copy(&a, (Labels){l, 1});
    value[0] = 'x';
    CHECK_STR(copy.v[0].value, STR("v"));
    CLEANUP(arena_deinit) Arena tiny = ARENA_INIT(8);
    CHECK(labels_copy(&tiny, up).n == 0);
    CHECK(tiny.failed);
}

static void check_format(Labels l, Str want, Str want_metric) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    labels_format(l, &b);
    CHECK_STR(buf_str(&b), want);
    buf_reset(&b);
    labels_format_metric(l, &b);
    CHECK_STR(buf_str(&b), want_metric);
}

TEST (text_forms_quote_what_is_not_classic) {
    check_format(up, STR("{__name__=\"up\", b=\"2\", c=\"3\"}"), STR("up{b=\"2\", c=\"3\"}"));
    check_format(LABELS_EMPTY, STR("{}"), STR("{}"));
    Label only[] = {{STR("__name__"), STR("a:b")}};
    check_format((Labels){only, 1}, STR("{__name__=\"a:b\"}"), STR("a:b"));
    Label odd[] = {{STR("__name__"), STR("a.b")}, {STR("x.y"), STR("q\"")}};
    check_format((Labels){odd, 2}, STR("{__name__=\"a.b\", \"x.y\"=\"q\\\"\"}"),
                 STR("{\"a.b\", \"x.y\"=\"q\\\"\"}"));
    Label no_name[] = {{STR("a"), STR("1")}};
    check_format((Labels){no_name, 1}, STR("{a=\"1\"}"), STR("{a=\"1\"}"));
}

TEST (names_are_checked_by_both_schemes) {
    CHECK(label_name_valid_legacy(STR("_a1")) && !label_name_valid_legacy(STR("1a")));
    CHECK(!label_name_valid_legacy(STR("a:b")) && metric_name_valid_legacy(STR("a:b")));
    CHECK(!label_name_valid_legacy(STR("")) && !label_name_valid_utf8(STR("")));
    CHECK(label_name_valid_utf8(STR("a b.c")) && !label_name_valid_utf8(STR("\xff")));
}

TEST (builder_keeps_names_sorted_and_drops_empty_values) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, up);
    labels_builder_set(&b, STR("bb"), STR("x"));
    labels_builder_set(&b, STR("a"), STR("y"));
    labels_builder_set(&b, STR("c"), STR(""));
    labels_builder_set(&b, STR("b"), STR("changed"));
    labels_builder_del(&b, STR("not there"));
    CHECK_STR(labels_builder_get(&b, STR("b")), STR("changed"));
    CHECK(labels_builder_get(&b, STR("c")).p == NULL);
    Buf text = BUF_INIT(0);
    labels_format(labels_builder_view(&b), &text);
    CHECK_STR(buf_str(&text), STR("{__name__=\"up\", a=\"y\", b=\"changed\", bb=\"x\"}"));
    buf_deinit(&text);
    labels_builder_deinit(&b);
}

TEST (pairs_are_sorted_and_duplicates_named) {
    Label v[] = {{STR("z"), STR("1")}, {STR("e"), STR("")}, {STR("a"), STR("2")}};
    Labels l;
    Str duplicate = STR_NULL;
    CHECK(labels_from_pairs(v, 3, &l, &duplicate));
    CHECK(l.n == 2);
    CHECK_STR(l.v[0].name, STR("a"));
    Label twice[] = {{STR("z"), STR("1")}, {STR("a"), STR("2")}, {STR("z"), STR("1")}};
    CHECK(!labels_from_pairs(twice, 3, &l, &duplicate));
    CHECK_STR(duplicate, STR("z"));
}

TEST (matchers_take_a_missing_label_as_empty) {
    Matcher m[4];
    CHECK_INT(matcher_init(&m[0], MATCH_EQ, STR("b"), STR("2"), NULL), 0);
    CHECK_INT(matcher_init(&m[1], MATCH_NE, STR("nope"), STR("x"), NULL), 0);
    CHECK_INT(matcher_init(&m[2], MATCH_RE, STR("c"), STR("3|4"), NULL), 0);
    CHECK_INT(matcher_init(&m[3], MATCH_NRE, STR("__name__"), STR("down.*"), NULL), 0);
    CHECK(matchers_match(m, 4, up));
    Matcher empty;
    CHECK_INT(matcher_init(&empty, MATCH_EQ, STR("nope"), STR(""), NULL), 0);
    CHECK(matchers_match(&empty, 1, up));
    Buf b = BUF_INIT(0);
    matcher_format(&m[2], &b);
    CHECK_STR(buf_str(&b), STR("c=~\"3|4\""));
    buf_deinit(&b);
    for (size_t i = 0; i < 4; i++) {
        matcher_deinit(&m[i]);
    }
}

TEST (a_bad_regex_is_a_problem) {
    Matcher m;
    Problem p = {0};
    CHECK_INT(matcher_init(&m, MATCH_RE, STR("a"), STR("("), &p), -EINVAL);
    CHECK(p.text[0]);
}
