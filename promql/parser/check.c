/*
 * Types and rules of the whole tree, children first, in Prometheus' order: the first broken rule is
 * the one reported. Depth of the recursion: AST_DEPTH_MAX.
 */
#include <stdio.h>

#include "promql/parser/parser.h"

static bool check(Parser *p, Node *n, bool allow_empty_matchers);

static bool is_comparison(BinaryOp op) { return op >= OP_EQ && op <= OP_GE; }
static bool is_set_operator(BinaryOp op) { return op >= OP_AND; }
static bool is_value(const Node *n) { return n->type == PROMQL_SCALAR || n->type == PROMQL_VECTOR; }

static bool expect_type(Parser *p, Node *n, PromqlType want, const char *where,
                        bool allow_empty_matchers) {
    if (!check(p, n, allow_empty_matchers))
        return false;
    if (n->type == want)
        return true;
    return parse_fail(p, n->start, "expected type %s in %s, got %s", promql_type_text(want), where,
                      promql_type_text(n->type));
}

/* ---- selectors ---- */

static bool check_name_once(Parser *p, const Node *n) {
    char first[300], second[300];
    for (size_t i = 0; i + 1 < n->vector.n_matchers; i++) {
        const Matcher *m = &n->vector.matchers[i];
        if (str_eq(m->name, LABEL_NAME))
            return parse_fail(p, n->start, "metric name must not be set twice: %s or %s",
                              promql_quote(n->vector.name, first, sizeof(first)),
                              promql_quote(m->value, second, sizeof(second)));
    }
    return true;
}

/* Everything there is, by a slip of the pen, must not be selected. */
static bool check_selective(Parser *p, const Node *n) {
    for (size_t i = 0; i < n->vector.n_matchers; i++) {
        if (!matcher_matches(&n->vector.matchers[i], STR("")))
            return true;
    }
    return parse_fail(p, n->start, "vector selector must contain at least one non-empty matcher");
}

static bool check_vector(Parser *p, Node *n, bool allow_empty_matchers) {
    n->type = PROMQL_VECTOR;
    if (n->vector.name.n)
        return check_name_once(p, n);
    return allow_empty_matchers || check_selective(p, n);
}

static bool check_subquery(Parser *p, Node *n) {
    static const char *const texts[] = {"none", "scalar", "vector", "matrix", "string"};
    n->type = PROMQL_MATRIX;
    if (!check(p, n->subquery.expr, false))
        return false;
    if (n->subquery.expr->type == PROMQL_VECTOR)
        return true;
    return parse_fail(p, n->start, "subquery is only allowed on instant vector, got %s instead",
                      texts[n->subquery.expr->type]);
}

/* ---- operators ---- */

static bool check_unary(Parser *p, Node *n) {
    if (!check(p, n->unary.expr, false))
        return false;
    n->type = n->unary.expr->type;
    if (is_value(n))
        return true;
    return parse_fail(p, n->start,
                      "unary expression only allowed on expressions of type scalar or instant "
                      "vector, got \"%s\"",
                      promql_type_text(n->type));
}

static bool check_labels_apart(Parser *p, const Node *n) {
    char quoted[300];
    const VectorMatching *m = n->binary.matching;
    for (size_t i = 0; m->on && i < m->n_labels; i++) {
        for (size_t k = 0; k < m->n_include; k++) {
            if (str_eq(m->labels_written[i], m->include[k]))
                return parse_fail(p, n->binary.op_start,
                                  "label %s must not occur in ON and GROUP clause at once",
                                  promql_quote(m->include[k], quoted, sizeof(quoted)));
        }
    }
    return true;
}

static bool check_modifiers(Parser *p, const Node *n) {
    BinaryOp op = n->binary.op;
    if (n->binary.return_bool && !is_comparison(op))
        return parse_fail(p, n->binary.op_start,
                          "bool modifier can only be used on comparison operators");
    if (is_comparison(op) && !n->binary.return_bool && n->binary.lhs->type == PROMQL_SCALAR &&
        n->binary.rhs->type == PROMQL_SCALAR)
        return parse_fail(p, n->binary.op_start,
                          "comparisons between scalars must use BOOL modifier");
    if (!check_labels_apart(p, n))
        return false;
    const Node *wrong = !is_value(n->binary.lhs)   ? n->binary.lhs
                        : !is_value(n->binary.rhs) ? n->binary.rhs
                                                   : NULL;
    if (wrong)
        return parse_fail(p, wrong->start,
                          "binary expression must contain only scalar and instant vector types");
    return true;
}

static bool check_scalar_side(Parser *p, Node *n) {
    const VectorMatching *m = n->binary.matching;
    if (m->n_labels)
        return parse_fail(p, n->start, "vector matching only allowed between instant vectors");
    if (m->has_fill_lhs || m->has_fill_rhs)
        return parse_fail(p, n->start,
                          "filling in missing series only allowed between instant vectors");
    n->binary.matching = NULL;
    if (is_set_operator(n->binary.op))
        return parse_fail(p, n->start,
                          "set operator \"%s\" not allowed in binary scalar expression",
                          binary_op_text(n->binary.op));
    return true;
}

static bool check_set_operator(Parser *p, Node *n) {
    VectorMatching *m = n->binary.matching;
    if (m->card != CARD_ONE_TO_ONE)
        return parse_fail(p, n->start, "no grouping allowed for \"%s\" operation",
                          binary_op_text(n->binary.op));
    m->card = CARD_MANY_TO_MANY;
    if (m->has_fill_lhs || m->has_fill_rhs)
        return parse_fail(p, n->start, "filling in missing series not allowed for set operators");
    return true;
}

static bool check_binary(Parser *p, Node *n) {
    Node *lhs = n->binary.lhs, *rhs = n->binary.rhs;
    if (!check(p, lhs, false) || !check(p, rhs, false) || !check_modifiers(p, n))
        return false;
    bool scalars = lhs->type == PROMQL_SCALAR && rhs->type == PROMQL_SCALAR;
    n->type = scalars ? PROMQL_SCALAR : PROMQL_VECTOR;
    if (lhs->type != PROMQL_VECTOR || rhs->type != PROMQL_VECTOR)
        return check_scalar_side(p, n);
    return !is_set_operator(n->binary.op) || check_set_operator(p, n);
}

/* ---- aggregations and calls ---- */

static bool check_aggregate(Parser *p, Node *n) {
    n->type = PROMQL_VECTOR;
    if (!expect_type(p, n->aggregate.expr, PROMQL_VECTOR, "aggregation expression", false))
        return false;
    if (!n->aggregate.param)
        return true;
    return expect_type(p, n->aggregate.param,
                       n->aggregate.op == AGG_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
                       "aggregation parameter", false);
}

static bool check_count(Parser *p, const Node *n) {
    const PromqlFunction *f = n->call.function;
    size_t got = n->call.n_args, want = strlen(f->args);
    if (f->variadic == 0) {
        if (got != want)
            return parse_fail(p, n->start, "expected %zu argument(s) in call to \"%s\", got %zu",
                              want, f->name, got);
        return true;
    }
    if (got < want - 1)
        return parse_fail(p, n->start,
                          "expected at least %zu argument(s) in call to \"%s\", got %zu", want - 1,
                          f->name, got);
    size_t most = want - 1 + (size_t)f->variadic;
    if (f->variadic > 0 && got > most)
        return parse_fail(p, n->start,
                          "expected at most %zu argument(s) in call to \"%s\", got %zu", most,
                          f->name, got);
    return true;
}

static PromqlType type_of_letter(char c) {
    return c == 'v'   ? PROMQL_VECTOR
           : c == 'm' ? PROMQL_MATRIX
           : c == 's' ? PROMQL_SCALAR
                      : PROMQL_STRING;
}

/* The type by form alone, before the parts are checked. */
static PromqlType type_by_form(const Node *n) {
    switch (n->kind) {
    case NODE_NUMBER: return PROMQL_SCALAR;
    case NODE_STRING: return PROMQL_STRING;
    case NODE_MATRIX_SELECTOR:
    case NODE_SUBQUERY: return PROMQL_MATRIX;
    case NODE_PAREN: return type_by_form(n->paren.expr);
    case NODE_UNARY: return type_by_form(n->unary.expr);
    case NODE_CALL: return n->call.function->returns;
    case NODE_BINARY:
        if (type_by_form(n->binary.lhs) != PROMQL_SCALAR)
            return PROMQL_VECTOR;
        return type_by_form(n->binary.rhs) == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
    default: return PROMQL_VECTOR;
    }
}

/* The second argument of info() looks like a selector but is a set of conditions, which may all
 * match the empty string. */
static bool check_info_selector(Parser *p, const Node *call) {
    Node *arg = call->call.args[1];
    PromqlType type = type_by_form(arg);
    if (type != PROMQL_VECTOR)
        return parse_fail(p, call->start,
                          "expected type instant vector in call to function \"info\", got %s",
                          promql_type_text(type));
    if (arg->kind != NODE_VECTOR_SELECTOR)
        return parse_fail(p, arg->start, "expected label selectors only");
    if (arg->vector.name.n)
        return parse_fail(p, arg->start,
                          "expected label selectors only, got vector selector instead");
    return true;
}

static bool check_call(Parser *p, Node *n) {
    char where[80];
    const PromqlFunction *f = n->call.function;
    n->type = f->returns;
    if (!check_count(p, n))
        return false;
    bool info = f->id == FN_INFO && n->call.n_args > 1;
    if (info && !check_info_selector(p, n))
        return false;
    snprintf(where, sizeof(where), "call to function \"%s\"", f->name);
    for (size_t i = 0; i < n->call.n_args; i++) {
        PromqlType want = type_of_letter(f->args[MIN(i, strlen(f->args) - 1)]);
        if (!expect_type(p, n->call.args[i], want, where, info && i == 1))
            return false;
    }
    return true;
}

static bool check(Parser *p, Node *n, bool allow_empty_matchers) {
    switch (n->kind) {
    case NODE_NUMBER: n->type = PROMQL_SCALAR; return true;
    case NODE_STRING: n->type = PROMQL_STRING; return true;
    case NODE_VECTOR_SELECTOR: return check_vector(p, n, allow_empty_matchers);
    case NODE_MATRIX_SELECTOR: n->type = PROMQL_MATRIX; return check(p, n->matrix.vector, false);
    case NODE_SUBQUERY: return check_subquery(p, n);
    case NODE_PAREN:
        if (!check(p, n->paren.expr, false))
            return false;
        n->type = n->paren.expr->type;
        return true;
    case NODE_UNARY: return check_unary(p, n);
    case NODE_BINARY: return check_binary(p, n);
    case NODE_AGGREGATE: return check_aggregate(p, n);
    case NODE_CALL: return check_call(p, n);
    case NODE_STEP_INVARIANT: break; /* never made by the parser */
    }
    return false;
}

bool check_tree(Parser *p, Node *n) { return check(p, n, false); }
