/* What callers without an interest in trees ask of the parser. */
#include "promql/parser/ast.h"

enum { PARSE_BYTES_MAX = 256 << 20 };

int promql_check(const PromqlEngine *e, Str query, PromqlType *ret_type, Problem *problem) {
    Arena a = ARENA_INIT(PARSE_BYTES_MAX);
    Node *n;
    int r = promql_parse(promql_engine_options(e), query, &a, &n, problem);
    if (r == 0 && ret_type)
        *ret_type = n->type;
    ast_free_matchers(n);
    arena_deinit(&a);
    return r;
}

int promql_with_selectors(const PromqlEngine *e, Str query,
                          void (*fn)(void *arg, const Selector *v, size_t n), void *arg,
                          Problem *problem) {
    Arena a = ARENA_INIT(PARSE_BYTES_MAX);
    Node *n;
    Selectors lists = {0};
    int r = promql_parse(promql_engine_options(e), query, &a, &n, problem);
    if (r == 0) {
        ast_selectors(n, &lists);
        fn(arg, lists.v, lists.n);
    }
    vec_free(&lists);
    ast_free_matchers(n);
    arena_deinit(&a);
    return r;
}

/* The tree printed in some way. */
static int print_query(const PromqlEngine *e, Str query, void (*print)(const Node *n, Buf *out),
                       Buf *out, Problem *problem) {
    Arena a = ARENA_INIT(PARSE_BYTES_MAX);
    Node *n;
    int r = promql_parse(promql_engine_options(e), query, &a, &n, problem);
    if (r == 0) {
        print(n, out);
        if (out->failed)
            r = problem_set(problem, 0, 0, "the answer is too long");
    }
    ast_free_matchers(n);
    arena_deinit(&a);
    return r;
}

int promql_format(const PromqlEngine *e, Str query, Buf *out, Problem *problem) {
    return print_query(e, query, promql_print_pretty, out, problem);
}

int promql_parse_json(const PromqlEngine *e, Str query, Buf *out, Problem *problem) {
    return print_query(e, query, promql_print_json, out, problem);
}
