#include "promql/parser/ast.h"
#include "support/test.h"

static const PromqlOptions everything = {.duration_expr = true,
                                         .experimental_functions = true,
                                         .fill_modifiers = true,
                                         .extended_selectors = true};

static void print_text(Str query, bool pretty, Buf *out) {
    Arena a = ARENA_INIT(0);
    Problem p = {0};
    Node *n;
    if (promql_parse(&everything, query, &a, &n, &p) < 0)
        test_fail(__FILE__, __LINE__, "%.*s: %s", SA(query), p.text);
    if (pretty)
        promql_print_pretty(n, out);
    else
        promql_print(n, out);
    ast_free_matchers(n);
    arena_deinit(&a);
}

/* Printed as `want`, which prints as itself. */
static void check_print(const char *query, const char *want) {
    Buf once = BUF_INIT(0), twice = BUF_INIT(0);
    print_text(str_of(query), false, &once);
    CHECK_STR(buf_str(&once), str_of(want));
    print_text(buf_str(&once), false, &twice);
    CHECK_STR(buf_str(&twice), buf_str(&once));
    buf_deinit(&once);
    buf_deinit(&twice);
}

TEST (selectors_are_printed_in_one_form) {
    check_print("up{ z = \"1\" , a!='2',}", "up{a!=\"2\",z=\"1\"}");
    check_print("{\"up\", \"a.b\"=~\"c\"}", "{\"a.b\"=~\"c\",__name__=\"up\"}");
    check_print("{__name__=\"up\"}", "{__name__=\"up\"}");
    check_print("up[90m] @ 1.5 offset -1d", "up[1h30m] @ 1.500 offset -1d");
    check_print("up offset 1h @ end()", "up @ end() offset 1h");
    check_print("up[300]", "up[5m]");
    check_print("up[5m:] @ start()", "up[5m:] @ start()");
    check_print("up [ 1h : 5m ] offset 2w", "up[1h:5m] offset 2w");
    check_print("rate(up[5m] smoothed @ 3 offset 1m)", "rate(up[5m] smoothed @ 3.000 offset 1m)");
    check_print("up{a=\"\\n\\\"\"}", "up{a=\"\\n\\\"\"}");
}

TEST (duration_expressions_are_kept) {
    check_print("up[5m+1m]", "up[5m + 1m]");
    check_print("up[(step()*2):max_of(1m,-step())] offset -(1h)",
                "up[(step() * 2):max_of(1m, -step())] offset -(1h)");
    check_print("up[+step()^2]", "up[step() ^ 2]");
}

TEST (operators_and_their_modifiers) {
    check_print("a+b", "a + b");
    check_print("-a^-b", "-a ^ -b");
    check_print("a>bool ignoring()b", "a > bool b");
    check_print("a/on(z,y)group_right(x,)b", "a / on (z, y) group_right (x) b");
    check_print("a/ignoring(\"x.y\")group_left b", "a / ignoring (\"x.y\") group_left () b");
    check_print("a and on() b", "a and on () b");
    check_print("a + fill_right(1) fill_left(1) b", "a + fill (1) b");
    check_print("a </ 5 >/ 6", "a </ 5 >/ 6");
    check_print("1e100 + -0x10 + 5m",
                "1" /* and a hundred zeros */
                "0000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                "000000000000000000 + -16 + 5m");
    check_print("-Inf + NaN", "-Inf + NaN");
}

TEST (aggregations_and_calls) {
    check_print("sum(a)by(c,b)", "sum by (c, b) (a)");
    check_print("SUM without() (a)", "sum without () (a)");
    check_print("sum by() (a)", "sum(a)");
    check_print("topk(3,a)", "topk(3, a)");
    check_print("count_values by (\"x y\") ('v', a)", "count_values by (\"x y\") (\"v\", a)");
    check_print("label_join(a,\"b\",`,`,'c')", "label_join(a, \"b\", \",\", \"c\")");
    check_print("((time( )))", "((time()))");
}

TEST (long_lines_are_broken) {
    Buf b = BUF_INIT(0);
    print_text(
        STR("sum by (job, instance) (rate(http_requests_total{job=\"api\",code=~\"5..\"}[5m])) / "
            "on (job) group_left () -clamp_min(sum by (job) "
            "(rate(http_requests_total{job=\"api\",handler=\"/api/v1/query_range\"}[5m])), 0.001)"),
        true, &b);
    CHECK_STR(
        buf_str(&b),
        STR("  sum by (job, instance) (rate(http_requests_total{code=~\"5..\",job=\"api\"}[5m]))\n"
            "/ on (job) group_left ()\n"
            "  -clamp_min(\n"
            "    sum by (job) "
            "(rate(http_requests_total{handler=\"/api/v1/query_range\",job=\"api\"}[5m])),\n"
            "    0.001\n"
            "  )"));
    buf_deinit(&b);
}
