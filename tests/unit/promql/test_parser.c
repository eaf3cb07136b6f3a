#include "promql/parser/ast.h"
#include "support/test.h"

static const PromqlOptions plain = {.duration_expr = true};
static const PromqlOptions everything = {.duration_expr = true,
                                         .experimental_functions = true,
                                         .fill_modifiers = true,
                                         .extended_selectors = true};

/* "ok", or line:column: text. */
static void parse_text(const PromqlOptions *o, Str query, char *dst, size_t size) {
    Arena a = ARENA_INIT(0);
    Problem p = {0};
    Node *n;
    if (promql_parse(o, query, &a, &n, &p) == 0)
        snprintf(dst, size, "ok");
    else if (p.line)
        snprintf(dst, size, "%d:%d: %s", p.line, p.column, p.text);
    else
        snprintf(dst, size, "unknown position: %s", p.text);
    ast_free_matchers(n);
    arena_deinit(&a);
}

static void check_parse(const PromqlOptions *o, const char *query, const char *want) {
    char got[1200];
    parse_text(o, str_of(query), got, sizeof(got));
    if (strcmp(got, want) != 0)
        test_fail(__FILE__, __LINE__, "%s\n#  got: %s\n# want: %s", query, got, want);
}

static const struct {
    const char *query, *problem;
} broken[] = {
    {"up +", "1:5: unexpected end of input"},
    {".", "1:1: unexpected character: '.'"},
    {"7.8.", "1:1: bad number or duration syntax: \"7.8.\""},
    {"1..2", "1:1: bad number or duration syntax: \"1..\""},
    {"0xyz", "1:1: bad number or duration syntax: \"0xyz\""},
    {"(up", "1:4: unclosed left parenthesis"},
    {"up)", "1:4: unexpected right parenthesis ')'"},
    {"up}", "1:3: unexpected character: '}'"},
    {"up]", "1:3: unexpected right bracket ']'"},
    {"$up", "1:1: unexpected character: '$'"},
    {"up !~ 3", "1:4: unexpected character after '!': '~'"},
    {"up =~ 3", "1:4: unexpected character after '=': '~'"},
    {"\"open", "1:1: unterminated quoted string"},
    {"'line break\\", "1:1: escape sequence not terminated"},
    {"`raw", "1:1: unterminated raw string"},
    {"\"\\q\"", "1:1: unknown escape sequence U+0071 'q'"},
    {"\"\\xg0\"", "1:1: illegal character U+0067 'g' in escape sequence"},
    {"\"\\u12\"", "1:1: illegal character U+0022 '\"' in escape sequence"},
    {"\"\\ud800\"", "1:1: escape sequence is an invalid Unicode code point"},
    {"up{", "1:4: unexpected end of input inside braces"},
    {"up{instance}", "1:12: unexpected \"}\" in label matching, expected label matching operator"},
    {"up{instance=}", "1:13: unexpected \"}\" in label matching, expected string"},
    {"up{instance=\"a\" job=\"b\"}",
     "1:17: unexpected identifier \"job\" in label matching, expected \",\" or \"}\""},
    {"up{,}", "1:4: unexpected \",\" in label matching, expected identifier or \"}\""},
    {"up{1=\"a\"}", "1:4: unexpected character inside braces: '1'"},
    {"up{a=\"b\"} c", "1:11: unexpected identifier \"c\""},
    {"up{a=~\"*x\"}", "1:4: error parsing regexp: missing argument to repetition operator: `*`"},
    {"{}", "1:1: vector selector must contain at least one non-empty matcher"},
    {"{job=~\".*\"}", "1:1: vector selector must contain at least one non-empty matcher"},
    {"{job!=\"x\"}", "1:1: vector selector must contain at least one non-empty matcher"},
    {"up{__name__=\"down\"}", "1:1: metric name must not be set twice: \"up\" or \"down\""},
    {"{__name__=\"x\", __name__=\"y\"} + up{__name__=~\"z\"}",
     "1:32: metric name must not be set twice: \"up\" or \"z\""},
    {"up[", "1:4: unexpected end of input in duration expression"},
    {"up[]", "1:4: unexpected \"]\" in subquery or range selector, expected number, duration, "
             "step(), or range()"},
    {"up[5]x", "1:6: unexpected identifier \"x\""},
    {"up[5m", "1:6: unclosed left bracket"},
    {"up[5q]", "1:4: bad number or duration syntax: \"5\""},
    {"up[1h1d]", "1:4: not a valid duration string: \"1h1d\""},
    {"up[0s]", "1:4: duration must be greater than 0"},
    {"up[-5m]", "1:4: duration must be greater than 0"},
    {"up[5m:", "1:7: unclosed left bracket"},
    {"up[5m:]]", "1:8: unexpected right bracket ']'"},
    {"up[5m 5m]", "1:7: unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\""},
    {"up[5m:0s]", "1:7: duration must be greater than 0"},
    {"up[:5m]", "1:5: unexpected colon before duration in duration expression"},
    {"up[\"5m\"]", "1:4: unexpected character in duration expression: '\"'"},
    {"up[5m][5m]", "1:7: ranges only allowed for vector selectors"},
    {"up offset",
     "1:10: unexpected end of input in offset, expected number, duration, step(), or range()"},
    {"up offset x",
     "1:11: unexpected identifier \"x\" in offset, expected number, duration, step(), or range()"},
    {"up offset 5m offset 5m", "1:1: offset may not be set multiple times"},
    {"up offset 5m[5m]", "1:13: no offset modifiers allowed before range"},
    {"up @ 5[5m]", "1:7: no @ modifiers allowed before range"},
    {"up @", "1:5: unexpected end of input in @, expected timestamp"},
    {"up @ start", "1:11: unexpected end of input in @, expected timestamp"},
    {"up @ 5 @ 6", "1:1: @ <timestamp> may not be set multiple times"},
    {"up @ NaN", "1:1: timestamp out of bounds for @ modifier: NaN"},
    {"(up) offset 5m", "1:1: offset modifier must be preceded by an instant vector selector or "
                       "range vector selector or a subquery"},
    {"rate(up[5m]) offset 5m", "1:1: offset modifier must be preceded by an instant vector "
                               "selector or range vector selector or a subquery"},
    {"rate(up[5m]) @ 7", "1:1: @ modifier must be preceded by an instant vector selector or range "
                         "vector selector or a subquery"},
    {"(up + up)[5m]", "1:10: ranges only allowed for vector selectors"},
    {"up[5m/0]", "1:6: division by zero"},
    {"up offset (5m%0)", "1:14: modulo by zero"},
    {"up offset 1e30", "1:11: duration out of range"},
    {"sum up", "1:5: unexpected identifier \"up\""},
    {"sum(up down)", "1:8: unexpected identifier \"down\" in aggregation"},
    {"sum()", "1:1: no arguments for aggregate expression provided"},
    {"sum(up) by job", "1:12: unexpected identifier \"job\" in grouping opts, expected \"(\""},
    {"sum(up) by (job", "1:16: unclosed left parenthesis"},
    {"sum(up) by (job,,)", "1:17: unexpected \",\" in grouping opts, expected label"},
    {"sum by (without) (up)", "1:9: unexpected <without> in grouping opts, expected label"},
    {"sum by (\"\") (up)", "1:9: invalid label name for grouping: \"\""},
    {"sum by (job) (up) by (job)", "1:19: unexpected <by>"},
    {"sum(up, up)",
     "1:1: wrong number of arguments for aggregate expression provided, expected 1, got 2"},
    {"topk(up)",
     "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1"},
    {"topk(up, up)", "1:6: expected type scalar in aggregation parameter, got instant vector"},
    {"count_values(1, up)", "1:14: expected type string in aggregation parameter, got scalar"},
    {"quantile(\"a\", up)", "1:10: expected type scalar in aggregation parameter, got string"},
    {"sum(1)", "1:5: expected type instant vector in aggregation expression, got scalar"},
    {"sum(up[5m])",
     "1:5: expected type instant vector in aggregation expression, got range vector"},
    {"rate(up)",
     "1:6: expected type range vector in call to function \"rate\", got instant vector"},
    {"rate(up[5m],)", "1:12: trailing commas not allowed in function call args"},
    {"rate(up[5m] 3)", "1:13: unexpected number \"3\""},
    {"rate()", "1:1: expected 1 argument(s) in call to \"rate\", got 0"},
    {"abs(up, up)", "1:1: expected 1 argument(s) in call to \"abs\", got 2"},
    {"day_of_month(up, up)",
     "1:1: expected at most 1 argument(s) in call to \"day_of_month\", got 2"},
    {"label_join(up)", "1:1: expected at least 3 argument(s) in call to \"label_join\", got 1"},
    {"label_replace(up, \"a\", \"b\", \"c\")",
     "1:1: expected 5 argument(s) in call to \"label_replace\", got 4"},
    {"absentt(up)", "1:1: unknown function with name \"absentt\""},
    {"time(1)", "1:1: expected 0 argument(s) in call to \"time\", got 1"},
    {"clamp(up, up, 1)",
     "1:11: expected type scalar in call to function \"clamp\", got instant vector"},
    {"up + bool down", "1:4: bool modifier can only be used on comparison operators"},
    {"1 == 1", "1:3: comparisons between scalars must use BOOL modifier"},
    {"1 and 2", "1:1: set operator \"and\" not allowed in binary scalar expression"},
    {"up and 2", "1:1: set operator \"and\" not allowed in binary scalar expression"},
    {"up unless on(a) group_left() down", "1:1: no grouping allowed for \"unless\" operation"},
    {"up + on(a) group_left(a) down",
     "1:4: label \"a\" must not occur in ON and GROUP clause at once"},
    {"up + group_left(a) down", "1:6: unexpected <group_left>"},
    {"up * on(a) 5", "1:1: vector matching only allowed between instant vectors"},
    {"up + on a down", "1:9: unexpected identifier \"a\" in grouping opts, expected \"(\""},
    {"up + ignoring(a) on(b) down", "1:18: unexpected <on>"},
    {"up[5m] + 1", "1:1: binary expression must contain only scalar and instant vector types"},
    {"1 + \"a\"", "1:5: binary expression must contain only scalar and instant vector types"},
    {"-\"a\"", "1:1: unary expression only allowed on expressions of type scalar or instant "
               "vector, got \"string\""},
    {"-up[5m]", "1:1: unary expression only allowed on expressions of type scalar or instant "
                "vector, got \"range vector\""},
    {"*up", "1:1: unexpected <op:*>"},
    {"up atan2", "1:9: unexpected end of input"},
    {"1 atan2 atan2 2", "1:9: unexpected <op:atan2>"},
    {"on", "1:1: unexpected <on>"},
    {"bool + 1", "1:1: unexpected <bool>"},
    {"foo:bar(1)", "1:8: unexpected \"(\""},
    {"avg(avg)by(avg", "1:15: unclosed left parenthesis"},
    {"max_over_time(rate(up)[5m:])",
     "1:20: expected type range vector in call to function \"rate\", got instant vector"},
    {"max_over_time(up[5m][5m:])",
     "1:15: subquery is only allowed on instant vector, got matrix instead"},
    {"", "unknown position: no expression found in input"},
    {"# nothing\n", "1:1: no expression found in input"},
    {"up +\n  down {", "2:9: unexpected end of input inside braces"},
    {"up\n+ on(\n)\n(1", "4:3: unclosed left parenthesis"},
};

TEST (broken_queries_are_explained_with_their_place) {
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        check_parse(&plain, broken[i].query, broken[i].problem);
}

TEST (what_is_experimental_needs_its_option) {
    check_parse(&plain, "limitk(2, up)",
                "1:1: limitk() is experimental and must be enabled with "
                "--enable-feature=promql-experimental-functions");
    check_parse(&plain, "1 + mad_over_time(up[5m])",
                "1:5: function \"mad_over_time\" is not enabled");
    check_parse(&plain, "up + fill(0) down",
                "1:1: binop fill modifiers are experimental and not enabled");
    check_parse(&plain, "rate(up[5m] smoothed)",
                "1:6: smoothed modifier is experimental and not enabled");
    check_parse(&(PromqlOptions){0}, "up[5m+1m]",
                "1:4: experimental duration expression is not enabled");
    check_parse(&everything,
                "limitk(2, up) + fill_left(1) fill_right(-1) mad_over_time(up[step()+1m])", "ok");
    check_parse(&everything, "rate(up[5m] anchored smoothed)",
                "1:6: anchored and smoothed modifiers cannot be used together");
    check_parse(&everything, "up[5m:1m] anchored",
                "1:1: anchored modifier is not supported for subqueries");
    check_parse(&everything, "1 + on(a) fill(0) 2",
                "1:1: vector matching only allowed between instant vectors");
    check_parse(&everything, "up + fill(0) 2",
                "1:1: filling in missing series only allowed between instant vectors");
    check_parse(&everything, "up or fill(0) down",
                "1:1: filling in missing series not allowed for set operators");
    check_parse(&everything, "info(up, down{a=\"b\"})",
                "1:10: expected label selectors only, got vector selector instead");
    check_parse(&everything, "info(up, {a=\"b\"} + 1)", "1:10: expected label selectors only");
    check_parse(&everything, "info(up, {a=~\".*\"})", "ok");
}

TEST (words_of_the_language_are_names_too) {
    static const char *const metrics[] = {
        "sum",  "avg",       "count_values", "limitk",   "by",     "without", "offset",
        "and",  "or",        "unless",       "start",    "end",    "step",    "range",
        "fill", "fill_left", "anchored",     "smoothed", "max_of", "min_of"};
    char query[200];
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        snprintf(query, sizeof(query), "%s{%s=\"x\"}[5m] offset 1m", metrics[i], metrics[i]);
        check_parse(&plain, query, "ok");
        if (strcmp(metrics[i], "without") != 0) {
            snprintf(query, sizeof(query), "sum by (%s, on, bool, ignoring, atan2) (%s)",
                     metrics[i], metrics[i]);
            check_parse(&plain, query, "ok");
        }
    }
    check_parse(&plain, "bool{a=\"b\"}", "1:1: unexpected <bool>");
    check_parse(&plain, "atan2", "1:1: unexpected <op:atan2>");
}

static double number_of(const char *query) {
    Arena a = ARENA_INIT(0);
    Node *n;
    CHECK_INT(promql_parse(&plain, str_of(query), &a, &n, NULL), 0);
    CHECK_INT(n->kind, NODE_NUMBER);
    CHECK_INT(n->type, PROMQL_SCALAR);
    double v = n->number.value;
    arena_deinit(&a);
    return v;
}

TEST (numbers_in_every_form) {
    CHECK_DOUBLE(number_of("1_000"), 1000.0);
    CHECK_DOUBLE(number_of("0x1F"), 31.0);
    CHECK_DOUBLE(number_of("017"), 15.0);
    CHECK_DOUBLE(number_of("089"), 89.0);
    CHECK_DOUBLE(number_of(".5e-1"), 0.05);
    CHECK_DOUBLE(number_of("-1e3"), -1000.0);
    CHECK_DOUBLE(number_of("1h30m"), 5400.0);
    CHECK_DOUBLE(number_of("-1m500ms"), -60.5);
    CHECK_DOUBLE(number_of("9223372036854775808"), 9223372036854775808.0);
    CHECK(isinf(number_of("InF")));
    CHECK(isnan(number_of("nAn")));
}

TEST (precedence_and_association) {
    Arena a = ARENA_INIT(0);
    Node *n;
    CHECK_INT(promql_parse(&plain, STR("-a ^ 2 ^ 3 * b + c > d and e or f"), &a, &n, NULL), 0);
    CHECK_INT(n->binary.op, OP_OR);
    n = n->binary.lhs;
    CHECK_INT(n->binary.op, OP_AND);
    n = n->binary.lhs;
    CHECK_INT(n->binary.op, OP_GT);
    n = n->binary.lhs;
    CHECK_INT(n->binary.op, OP_ADD);
    n = n->binary.lhs;
    CHECK_INT(n->binary.op, OP_MUL);
    n = n->binary.lhs;
    CHECK_INT(n->kind, NODE_UNARY);
    n = n->unary.expr;
    CHECK_INT(n->binary.op, OP_POW);
    CHECK_INT(n->binary.lhs->kind, NODE_VECTOR_SELECTOR);
    CHECK_INT(n->binary.rhs->binary.op, OP_POW);
    arena_deinit(&a);
}

TEST (places_types_and_modifiers_are_in_the_tree) {
    Str query = STR("sum by (z, a) (rate(up{a=\"b\",c=~\"d.*\"}[5m] @ 7 offset -1m)) / on (x) "
                    "group_left (y) b");
    Arena a = ARENA_INIT(0);
    Node *n;
    CHECK_INT(promql_parse(&plain, query, &a, &n, NULL), 0);
    CHECK_INT(n->kind, NODE_BINARY);
    CHECK_INT(n->type, PROMQL_VECTOR);
    CHECK_STR(str_n(query.p + n->binary.op_start, n->binary.op_end - n->binary.op_start), STR("/"));
    CHECK_INT(n->binary.matching->card, CARD_MANY_TO_ONE);
    CHECK_STR(n->binary.matching->include[0], STR("y"));
    Node *sum = n->binary.lhs;
    CHECK_INT(sum->aggregate.op, AGG_SUM);
    CHECK_STR(sum->aggregate.grouping[0], STR("a"));
    CHECK_STR(sum->aggregate.grouping_written[0], STR("z"));
    Node *rate = sum->aggregate.expr;
    CHECK_INT(rate->call.function->id, FN_RATE);
    CHECK_STR(str_n(query.p + rate->start, rate->end - rate->start),
              STR("rate(up{a=\"b\",c=~\"d.*\"}[5m] @ 7 offset -1m)"));
    Node *m = rate->call.args[0];
    CHECK_INT(m->matrix.range_ms, 300000);
    CHECK_INT(m->matrix.vector->vector.shift.offset_ms, -60000);
    CHECK_INT(m->matrix.vector->vector.shift.at_ms, 7000);
    CHECK_INT(m->matrix.vector->vector.n_matchers, 3);
    CHECK_STR(m->matrix.vector->vector.matchers[2].value, STR("up"));
    ast_free_matchers(n);
    arena_deinit(&a);
}

TEST (an_offset_takes_one_literal_and_parentheses_take_more) {
    Arena a = ARENA_INIT(0);
    Node *n;
    CHECK_INT(promql_parse(&plain, STR("up offset -2^2"), &a, &n, NULL), 0);
    CHECK_INT(n->binary.op, OP_POW);
    CHECK_INT(n->binary.lhs->vector.shift.offset_ms, -2000);
    CHECK_INT(promql_parse(&plain, STR("up offset (1m * 2) "), &a, &n, NULL), 0);
    CHECK_INT(n->vector.shift.offset_expr->kind, DUR_PAREN);
    CHECK_INT(n->vector.shift.offset_expr->lhs->kind, DUR_MUL);
    arena_deinit(&a);
}

TEST (every_function_is_found_by_its_name) {
#define FUNCTION(fn, text, ...)                                                                    \
    CHECK(promql_function_find(STR(text)));                                                        \
    CHECK_INT(promql_function_find(STR(text))->id, FN_##fn);
#include "promql/functions.def"
#undef FUNCTION
    CHECK_INT(FN_COUNT, 90);
    CHECK(!promql_function_find(STR("")));
    CHECK(!promql_function_find(STR("rat")));
    CHECK(!promql_function_find(STR("ratex")));
}

static void check_selector(const char *text, size_t matchers, const char *problem) {
    Arena a = ARENA_INIT(0);
    Matcher *m;
    size_t n;
    Problem p = {0};
    int r = promql_parse_selector(str_of(text), &a, &m, &n, &p);
    CHECK_INT(r, problem ? -EINVAL : 0);
    CHECK_INT(n, matchers);
    CHECK_CSTR(p.text, problem ? problem : "");
    for (size_t i = 0; i < n; i++)
        matcher_deinit(&m[i]);
    arena_deinit(&a);
}

TEST (selectors_alone) {
    check_selector("up", 1, NULL);
    check_selector("{job=~\"a|b\",\"x.y\"=\"z\"}", 2, NULL);
    check_selector("{}", 0, NULL);
    check_selector("sum{a=\"b\"}", 2, NULL);
    check_selector("up[5m]", 0, "unexpected \"[\"");
    check_selector("5", 0, "unexpected number \"5\"");
    check_selector("rate(up)", 0, "unexpected \"(\"");
}

TEST (deep_and_long_queries_are_refused_or_read) {
    Buf b = BUF_INIT(0);
    char got[300];
    for (int i = 0; i < 100000; i++)
        buf_add_char(&b, '(');
    parse_text(&plain, buf_str(&b), got, sizeof(got));
    CHECK_CSTR(got, "1:2001: the query is nested more than 2000 levels deep");
    buf_reset(&b);
    for (int i = 0; i < 300000; i++)
        buf_add_cstr(&b, "1+");
    parse_text(&plain, buf_str(&b), got, sizeof(got));
    CHECK(strstr(got, "the query is nested more than 2000 levels deep"));
    buf_reset(&b);
    buf_add_cstr(&b, "up{a=~\"x");
    for (int i = 0; i < 500000; i++)
        buf_add_cstr(&b, "|y");
    buf_add_cstr(&b, "\"}");
    parse_text(&plain, buf_str(&b), got, sizeof(got));
    buf_deinit(&b);
}

/* Each beginning in memory of exactly its size, for the address sanitizer. */
TEST (every_beginning_of_a_query_is_harmless) {
    Str query =
        STR("sum by (a, \"b.c\") (rate({\"x.y\", z=~\"\\\"q|w\"}[5m:1m] @ start() offset -1h)) "
            ">= bool on (a) group_left (`d`) label_replace(up, 'a', \"$1\", \"b\", \"(.*)\") "
            "# end\n or vector(0x1f) * 1e3");
    char got[1200];
    parse_text(&everything, query, got, sizeof(got));
    CHECK_CSTR(got, "ok");
    for (size_t n = 0; n < query.n; n++) {
        char *copy = mem_dup(query.p, n + !n);
        parse_text(&everything, str_n(copy, n), got, sizeof(got));
        mem_free(copy);
    }
}

TEST (memory_has_a_ceiling) {
    Arena a = ARENA_INIT(4096);
    Problem p = {0};
    Node *n;
    Buf b = BUF_INIT(0);
    for (int i = 0; i < 500; i++)
        buf_add_cstr(&b, "up{a=~\"b.*c\"} or ");
    buf_add_cstr(&b, "up");
    CHECK_INT(promql_parse(&plain, buf_str(&b), &a, &n, &p), -EINVAL);
    CHECK(strstr(p.text, "bytes to be parsed"));
    buf_deinit(&b);
    arena_deinit(&a);
}
