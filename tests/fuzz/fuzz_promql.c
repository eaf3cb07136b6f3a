/* Any text: the parser refuses it or gives a tree whose printed form it takes again and prints the
 * same. */
#include <stdlib.h>

#include "promql/parser/ast.h"

static const PromqlOptions everything = {.duration_expr = true,
                                         .experimental_functions = true,
                                         .fill_modifiers = true,
                                         .extended_selectors = true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse_and_print(Str query, bool pretty, Buf *out) {
    Arena a = ARENA_INIT(16 << 20);
    Problem p = {0};
    Node *n;
    bool r = promql_parse(&everything, query, &a, &n, &p) == 0;
    if (r && pretty)
        promql_print_pretty(n, out);
    else if (r)
        promql_print(n, out);
    ast_free_matchers(n);
    arena_deinit(&a);
    return r;
}

static void parse_as_selector(Str text) {
    Arena a = ARENA_INIT(16 << 20);
    Matcher *m;
    size_t n;
    Problem p = {0};
    if (promql_parse_selector(text, &a, &m, &n, &p) == 0) {
        for (size_t i = 0; i < n; i++)
            matcher_deinit(&m[i]);
    }
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Str query = str_n((const char *)data, size);
    Buf once = BUF_INIT(16 << 20), twice = BUF_INIT(16 << 20), pretty = BUF_INIT(16 << 20);
    parse_as_selector(query);
    /* As in Prometheus, durations under a millisecond print as 0s, which is refused, and the sign
     * of +Inf is read back as an operator. */
    if (parse_and_print(query, false, &once) && parse_and_print(buf_str(&once), false, &twice) &&
        str_find_str(buf_str(&once), STR("+Inf")) == once.n) {
        if (!str_eq(buf_str(&once), buf_str(&twice)))
            abort();
    }
    parse_and_print(query, true, &pretty);
    buf_deinit(&once);
    buf_deinit(&twice);
    buf_deinit(&pretty);
    return 0;
}
