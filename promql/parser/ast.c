#include "promql/parser/ast.h"

#include <stdio.h>

#include "base/gotext.h"

static void free_matchers(Matcher *m, size_t n) {
    for (size_t i = 0; i < n; i++)
        matcher_deinit(&m[i]);
}

void ast_free_matchers(Node *n) {
    if (!n)
        return;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: break;
    case NODE_VECTOR_SELECTOR: free_matchers(n->vector.matchers, n->vector.n_matchers); break;
    case NODE_MATRIX_SELECTOR: ast_free_matchers(n->matrix.vector); break;
    case NODE_SUBQUERY: ast_free_matchers(n->subquery.expr); break;
    case NODE_PAREN: ast_free_matchers(n->paren.expr); break;
    case NODE_STEP_INVARIANT: ast_free_matchers(n->invariant.expr); break;
    case NODE_UNARY: ast_free_matchers(n->unary.expr); break;
    case NODE_BINARY:
        ast_free_matchers(n->binary.lhs);
        ast_free_matchers(n->binary.rhs);
        break;
    case NODE_AGGREGATE:
        ast_free_matchers(n->aggregate.expr);
        ast_free_matchers(n->aggregate.param);
        break;
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++)
            ast_free_matchers(n->call.args[i]);
        break;
    }
}

void promql_position(Str text, uint32_t offset, int *ret_line, int *ret_column) {
    size_t line_start = 0;
    *ret_line = 1;
    for (size_t i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            ++*ret_line;
            line_start = i + 1;
        }
    }
    *ret_column = (int)(offset - line_start) + 1;
}

void ast_selectors(const Node *n, Selectors *ret) {
    if (!n)
        return;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: break;
    case NODE_VECTOR_SELECTOR:
        vec_push(ret, (Selector){n->vector.matchers, n->vector.n_matchers});
        break;
    case NODE_MATRIX_SELECTOR: ast_selectors(n->matrix.vector, ret); break;
    case NODE_SUBQUERY: ast_selectors(n->subquery.expr, ret); break;
    case NODE_PAREN: ast_selectors(n->paren.expr, ret); break;
    case NODE_STEP_INVARIANT: ast_selectors(n->invariant.expr, ret); break;
    case NODE_UNARY: ast_selectors(n->unary.expr, ret); break;
    case NODE_BINARY:
        ast_selectors(n->binary.lhs, ret);
        ast_selectors(n->binary.rhs, ret);
        break;
    case NODE_AGGREGATE:
        ast_selectors(n->aggregate.expr, ret);
        ast_selectors(n->aggregate.param, ret);
        break;
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++)
            ast_selectors(n->call.args[i], ret);
        break;
    }
}

void promql_problem_print(const Problem *problem, Buf *out) {
    if (problem->line)
        buf_addf(out, "%d:%d: parse error: %s", problem->line, problem->column, problem->text);
    else
        buf_addf(out, "unknown position: parse error: %s", problem->text);
}

const char *promql_quote(Str s, char *dst, size_t size) {
    Buf quoted = BUF_INIT(0);
    go_quote(&quoted, s);
    snprintf(dst, size, "%.*s", SA(buf_str(&quoted)));
    buf_deinit(&quoted);
    return dst;
}

const char *binary_op_text(BinaryOp op) {
    static const char *const texts[] = {"+", "-",  "*", "/",  "%",  "^",  "atan2", "==", "!=",
                                        "<", "<=", ">", ">=", "</", ">/", "and",   "or", "unless"};
    return texts[op];
}

const char *aggregate_op_text(AggregateOp op) {
    static const char *const texts[] = {
        "sum",    "avg",  "min",     "max",      "count",        "group",  "stddev",
        "stdvar", "topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"};
    return texts[op];
}
