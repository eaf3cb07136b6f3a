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

bool ast_selects(const Node *n) {
    if (!n)
        return false;
    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: return false;
    case NODE_VECTOR_SELECTOR:
    case NODE_MATRIX_SELECTOR: return true;
    case NODE_SUBQUERY: return ast_selects(n->subquery.expr);
    case NODE_PAREN: return ast_selects(n->paren.expr);
    case NODE_STEP_INVARIANT: return ast_selects(n->invariant.expr);
    case NODE_UNARY: return ast_selects(n->unary.expr);
    case NODE_BINARY: return ast_selects(n->binary.lhs) || ast_selects(n->binary.rhs);
    case NODE_AGGREGATE: return ast_selects(n->aggregate.expr) || ast_selects(n->aggregate.param);
    case NODE_CALL:
        for (size_t i = 0; i < n->call.n_args; i++) {
            if (ast_selects(n->call.args[i]))
                return true;
        }
    }
    return false;
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
