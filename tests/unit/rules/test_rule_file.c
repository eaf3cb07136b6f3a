/* Rule files: what is refused, and in which words and place. */
#include "rules/rule_file.h"
#include "support/test.h"

static int parse(const char *text, Problem *p) {
    PromqlEngine *e = promql_engine_new(&(PromqlOptions){0});
    RuleFile *f;
    int r = rule_file_parse(str_of(text), STR("f.yml"), e, &f, p);
    if (r == 0) {
        rule_file_unref(f);
    }
    promql_engine_free(e);
    return r;
}

#define G "groups:\n- name: g\n  rules:\n  - "
static const struct {
    const char *text, *problem;
    int line, column;
} BAD[] = {
    {G "record: a\n    alert: b\n    expr: up\n",
     "group \"g\", rule 1, \"a\": only one of 'record' and 'alert' must be set", 4, 0},
    {G "expr: up\n", "group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set", 4, 0},
    {G "record: a\n", "group \"g\", rule 1, \"a\": field 'expr' must be set in rule", 4, 0},
    {G "record: a\n    expr: 'up +'\n",
     "group \"g\", rule 1, \"a\": could not parse expression: 1:5: parse error: unexpected end of "
     "input",
     5, 11},
    {G "record: a\n    expr: up\n    for: 5m\n",
     "group \"g\", rule 1, \"a\": invalid field 'for' in recording rule", 4, 0},
    {G "record: 'a{b'\n    expr: up\n",
     "group \"g\", rule 1, \"a{b\": braces present in the recording rule name; should it be in "
     "expr?: a{b",
     4, 0},
    {G "alert: a\n    expr: up\n    labels: {__name__: x}\n",
     "group \"g\", rule 1, \"a\": invalid label name: __name__", 4, 0},
    {G "alert: a\n    expr: up\n    annotations: {s: '{{ $label }}'}\n",
     "group \"g\", rule 1, \"a\": annotation \"s\": template: __alert_a:1: undefined variable "
     "\"$label\"",
     4, 0},
    {"groups:\n- name: g\n- name: g\n", "groupname: \"g\" is repeated in the same file", 3, 0},
    {"groups:\n- interval: 5m\n", "Groupname must not be empty", 2, 0},
};

TEST (each_mistake_is_named_with_its_place) {
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        Problem p = {0};
        CHECK(parse(BAD[i].text, &p) < 0);
        CHECK_CSTR(p.text, BAD[i].problem);
        CHECK_INT(p.line, BAD[i].line);
        CHECK_INT(p.column, BAD[i].column);
        CHECK_CSTR(p.file, "f.yml");
    }
}

TEST (unknown_keys_are_refused_with_their_line) {
    Problem p = {0};
    CHECK(parse(G "record: a\n    expr: up\n    exprr: b\n", &p) < 0);
    CHECK_INT(p.line, 6);
    CHECK(strstr(p.text, "exprr"));
}

TEST (an_empty_file_is_fine) {
    Problem p = {0};
    CHECK_INT(parse("", &p), 0);
    CHECK_INT(parse("groups: []\n", &p), 0);
}

TEST (all_mistakes_are_told_each_with_its_place) {
    const char *text =
        "groups:\n- name: g\n  rules:\n  - {record: r, expr: 'sum('}\n"
        "  - {record: ok, expr: '1'}\n"
        "  - {record: 'a{', expr: '1', for: 1m}\n"
        "- name: g\n  rules:\n  - {alert: A, expr: '1', labels: {x: '{{ nope }}'}}\n";
    PromqlEngine *engine = promql_engine_new(&(PromqlOptions){0});
    RuleFile *f;
    Problem p = {0};
    CHECK_INT(rule_file_parse(str_of(text), STR("r.yml"), engine, &f, &p), -EINVAL);
    CHECK_INT(p.line, 4);
    CHECK(strstr(p.text, "could not parse expression"));
    CHECK(strstr(p.text, "\nr.yml:6: group \"g\", rule 3, \"a{\": invalid field 'for'"));
    CHECK(strstr(p.text, "\nr.yml:6: group \"g\", rule 3, \"a{\": braces"));
    CHECK(strstr(p.text, "\nr.yml:7: groupname: \"g\" is repeated"));
    CHECK(strstr(p.text, "\nr.yml:9: group \"g\", rule 1, \"A\": label \"x\""));
    promql_engine_free(engine);
}

TEST (no_more_than_ten_mistakes_are_told) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0);
    buf_add_cstr(&text, "groups:\n- name: g\n  rules:\n");
    for (int i = 0; i < 50; i++) {
        buf_add_cstr(&text, "  - {record: r}\n");
    }
    PromqlEngine *engine = promql_engine_new(&(PromqlOptions){0});
    RuleFile *f;
    Problem p = {0};
    CHECK_INT(rule_file_parse(buf_str(&text), STR("r"), engine, &f, &p), -EINVAL);
    size_t lines = 1;
    for (const char *c = p.text; *c; c++) {
        lines += *c == '\n';
    }
    CHECK_INT(lines, 10);
    promql_engine_free(engine);
}
