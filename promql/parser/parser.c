/*
 * A Pratt parser (V. Pratt, "Top Down Operator Precedence", 1973) over the lexer's tokens. The
 * grammar, the places of errors and their wording are Prometheus'.
 */
#include "promql/parser/parser.h"

#include <stdarg.h>
#include <stdio.h>

_Static_assert((int)TOK_LUNLESS - (int)TOK_ADD == (int)OP_UNLESS, "ORDER OPERATORS");
_Static_assert((int)TOK_LIMIT_RATIO - (int)TOK_SUM == (int)AGG_LIMIT_RATIO, "ORDER AGGREGATES");

/* ---- tokens and errors ---- */

const Token *peek_token(Parser *p) {
    if (p->failed) {
        p->token.kind = TOK_ERROR;
        return &p->token;
    }
    if (p->have_token)
        return &p->token;
    lexer_next(&p->lexer, &p->token);
    p->have_token = true;
    switch (p->token.kind) {
    case TOK_ERROR: parse_fail(p, p->token.at, "%s", p->lexer.error); break;
    case TOK_RIGHT_BRACE:
    case TOK_RIGHT_PAREN:
    case TOK_RIGHT_BRACKET:
    case TOK_DURATION:
    case TOK_NUMBER: p->last_closing = p->lexer.pos; break;
    default: break;
    }
    return &p->token;
}

Token take_token(Parser *p) {
    Token t = *peek_token(p);
    p->have_token = false;
    return t;
}

bool take_if(Parser *p, TokenKind kind, Token *ret) {
    if (peek_kind(p) != kind)
        return false;
    *ret = take_token(p);
    return true;
}

void *parse_fail(Parser *p, uint32_t at, const char *fmt, ...) {
    char text[sizeof(p->problem->text)];
    int line = 0, column = 0;
    if (p->failed)
        return NULL;
    p->failed = true;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (p->lexer.text.n)
        promql_position(p->lexer.text, at, &line, &column);
    problem_set(p->problem, line, column, "%s", text);
    return NULL;
}

void *parse_unexpected(Parser *p, const char *context, const char *expected) {
    char token[400];
    const Token *t = peek_token(p);
    if (p->failed)
        return NULL;
    token_describe(t, token, sizeof(token));
    return parse_fail(p, t->at, "unexpected %s%s%s%s%s", token, context ? " in " : "",
                      context ? context : "", expected ? ", expected " : "",
                      expected ? expected : "");
}

void *parse_unexpected_here(Parser *p) {
    return parse_unexpected(p, p->aggregates ? "aggregation" : NULL, NULL);
}

/* ---- memory ---- */

static void *too_large(Parser *p) {
    return parse_fail(p, p->token.at, "the query needs more than %zu bytes to be parsed",
                      p->arena->max);
}

void *parse_alloc(Parser *p, size_t size) {
    void *m = arena_zalloc(p->arena, size);
    return m ? m : too_large(p);
}

void *parse_grow(Parser *p, void *array, size_t n, size_t *cap, size_t size) {
    if (n < *cap)
        return array;
    size_t want = *cap ? *cap * 2 : 4;
    char *grown = arena_calloc(p->arena, want, size);
    if (!grown)
        return too_large(p);
    if (n)
        memcpy(grown, array, n * size);
    *cap = want;
    return grown;
}

Node *parse_node(Parser *p, NodeKind kind, uint32_t start, uint32_t end) {
    Node *n = parse_alloc(p, sizeof(*n));
    if (!n)
        return NULL;
    n->kind = kind;
    n->start = start;
    n->end = end;
    n->depth = 1;
    return n;
}

static void *too_deep(Parser *p, uint32_t at) {
    return parse_fail(p, at, "the query is nested more than %d levels deep", AST_DEPTH_MAX);
}

Node *parse_adopt(Parser *p, Node *parent, const Node *child) {
    if (child->depth >= AST_DEPTH_MAX)
        return too_deep(p, child->end);
    parent->depth = MAX(parent->depth, child->depth + 1);
    return parent;
}

/* ---- calls and aggregations ---- */

typedef struct Arguments {
    Node **v;
    size_t n, cap;
} Arguments;

static bool starts_expr(TokenKind k) {
    switch (k) {
    case TOK_IDENTIFIER:
    case TOK_METRIC_IDENTIFIER:
    case TOK_NUMBER:
    case TOK_DURATION:
    case TOK_STRING:
    case TOK_LEFT_PAREN:
    case TOK_LEFT_BRACE:
    case TOK_ADD:
    case TOK_SUB:
    case TOK_LAND:
    case TOK_LOR:
    case TOK_LUNLESS:
    case TOK_BY:
    case TOK_WITHOUT:
    case TOK_OFFSET:
    case TOK_ANCHORED:
    case TOK_SMOOTHED:
    case TOK_FILL:
    case TOK_FILL_LEFT:
    case TOK_FILL_RIGHT: return true;
    default: return token_is_aggregate(k) || (k >= TOK_START && k <= TOK_MIN_OF);
    }
}

static bool parse_arguments(Parser *p, Arguments *args) {
    Token t;
    if (!take_if(p, TOK_LEFT_PAREN, &t))
        return parse_unexpected_here(p);
    if (take_if(p, TOK_RIGHT_PAREN, &t))
        return true;
    for (;;) {
        args->v = parse_grow(p, args->v, args->n, &args->cap, sizeof(Node *));
        Node *arg = args->v ? parse_expr(p, 1) : NULL;
        if (!arg)
            return false;
        args->v[args->n++] = arg;
        if (take_if(p, TOK_RIGHT_PAREN, &t))
            return true;
        if (!take_if(p, TOK_COMMA, &t))
            return parse_unexpected_here(p);
        if (!starts_expr(peek_kind(p)))
            return parse_fail(p, t.at, "trailing commas not allowed in function call args");
    }
}

static Node *parse_call(Parser *p, const Token *name) {
    char quoted[300];
    Arguments args = {0};
    if (!parse_arguments(p, &args))
        return NULL;
    const PromqlFunction *f = promql_function_find(name->text);
    if (!f)
        return parse_fail(p, name->at, "unknown function with name %s",
                          promql_quote(name->text, quoted, sizeof(quoted)));
    if (f->experimental && !p->options->experimental_functions)
        return parse_fail(p, name->at, "function \"%s\" is not enabled", f->name);
    Node *n = parse_node(p, NODE_CALL, name->at, p->last_closing);
    for (size_t i = 0; n && i < args.n; i++)
        n = parse_adopt(p, n, args.v[i]);
    if (!n)
        return NULL;
    n->call.function = f;
    n->call.args = args.v;
    n->call.n_args = args.n;
    return n;
}

static bool parse_grouping(Parser *p, Node *n) {
    n->aggregate.without = take_token(p).kind == TOK_WITHOUT;
    n->aggregate.has_grouping = true;
    if (!parse_label_list(p, &n->aggregate.grouping, &n->aggregate.n_grouping))
        return false;
    n->aggregate.grouping_written =
        written_order(p, n->aggregate.grouping, n->aggregate.n_grouping);
    return !p->failed;
}

static bool takes_parameter(AggregateOp op) { return op >= AGG_TOPK; }

static Node *make_aggregate(Parser *p, Node *n, const Arguments *args) {
    AggregateOp op = n->aggregate.op;
    size_t want = takes_parameter(op) ? 2 : 1;
    if (args->n == 0)
        return parse_fail(p, n->start, "no arguments for aggregate expression provided");
    if (op >= AGG_LIMITK && !p->options->experimental_functions)
        return parse_fail(p, n->start,
                          "%s() is experimental and must be enabled with "
                          "--enable-feature=promql-experimental-functions",
                          aggregate_op_text(op));
    if (args->n != want)
        return parse_fail(p, n->start,
                          "wrong number of arguments for aggregate expression provided, expected "
                          "%zu, got %zu",
                          want, args->n);
    n->aggregate.expr = args->v[want - 1];
    n->aggregate.param = want == 2 ? args->v[0] : NULL;
    for (size_t i = 0; n && i < args->n; i++)
        n = parse_adopt(p, n, args->v[i]);
    return n;
}

static bool at_grouping(Parser *p) { return peek_kind(p) == TOK_BY || peek_kind(p) == TOK_WITHOUT; }

/* sum by (a) (x) and sum(x) by (a) */
static Node *parse_aggregate(Parser *p, const Token *op) {
    Arguments args = {0};
    Node *n = parse_node(p, NODE_AGGREGATE, op->at, 0);
    if (!n)
        return NULL;
    n->aggregate.op = (AggregateOp)(op->kind - TOK_SUM);
    p->aggregates++;
    if (at_grouping(p) && !parse_grouping(p, n))
        return NULL;
    if (!parse_arguments(p, &args))
        return NULL;
    n->end = p->last_closing;
    if (!n->aggregate.has_grouping && at_grouping(p)) {
        if (!parse_grouping(p, n))
            return NULL;
        n->end = p->last_closing;
    }
    p->aggregates--;
    return make_aggregate(p, n, &args);
}

/* ---- operands ---- */

static Node *parse_number_node(Parser *p) {
    Token t = take_token(p);
    Node *n = parse_node(p, NODE_NUMBER, t.at, t.at + (uint32_t)t.text.n);
    if (!n || !parse_number_text(p, &t, &n->number.value))
        return NULL;
    n->number.duration_text = t.kind == TOK_DURATION;
    return n;
}

static Node *parse_string_node(Parser *p) {
    Token t = take_token(p);
    Node *n = parse_node(p, NODE_STRING, t.at, t.at + (uint32_t)t.text.n);
    return n && parse_string_text(p, &t, &n->string.value) ? n : NULL;
}

static Node *parse_paren_node(Parser *p) {
    Token open = take_token(p), close;
    Node *expr = parse_expr(p, 1);
    if (!expr)
        return NULL;
    if (!take_if(p, TOK_RIGHT_PAREN, &close))
        return parse_unexpected_here(p);
    Node *n = parse_node(p, NODE_PAREN, open.at, close.at + 1);
    if (!n)
        return NULL;
    n->paren.expr = expr;
    return parse_adopt(p, n, expr);
}

/* Words are metrics unless what follows makes them more. */
static Node *parse_word_node(Parser *p) {
    Token t = take_token(p);
    TokenKind next = peek_kind(p);
    if (token_is_aggregate(t.kind) &&
        (next == TOK_LEFT_PAREN || next == TOK_BY || next == TOK_WITHOUT))
        return parse_aggregate(p, &t);
    if (next == TOK_LEFT_PAREN &&
        (t.kind == TOK_IDENTIFIER || (t.kind >= TOK_START && t.kind <= TOK_MIN_OF)))
        return parse_call(p, &t);
    return p->failed ? NULL : parse_selector(p, &t);
}

static Node *parse_operand(Parser *p) {
    switch (peek_kind(p)) {
    case TOK_NUMBER:
    case TOK_DURATION: return parse_number_node(p);
    case TOK_STRING: return parse_string_node(p);
    case TOK_LEFT_PAREN: return parse_paren_node(p);
    case TOK_LEFT_BRACE: return parse_selector(p, NULL);
    default: break;
    }
    return starts_expr(peek_kind(p)) ? parse_word_node(p) : parse_unexpected_here(p);
}

/* ---- operators ---- */

enum { PRECEDENCE_UNARY = 5, PRECEDENCE_POW = 6 };

static int precedence(TokenKind k) {
    switch (k) {
    case TOK_LOR: return 1;
    case TOK_LAND:
    case TOK_LUNLESS: return 2;
    case TOK_EQLC:
    case TOK_NEQ:
    case TOK_LSS:
    case TOK_LTE:
    case TOK_GTR:
    case TOK_GTE:
    case TOK_TRIM_UPPER:
    case TOK_TRIM_LOWER: return 3;
    case TOK_ADD:
    case TOK_SUB: return 4;
    case TOK_MUL:
    case TOK_DIV:
    case TOK_MOD:
    case TOK_ATAN2: return 5;
    case TOK_POW: return PRECEDENCE_POW;
    default: return 0;
    }
}

/* A sign binds like *, so -2^2 is -(2^2); in front of a number it becomes part of it. */
static Node *parse_unary(Parser *p) {
    Token sign = take_token(p);
    Node *expr = parse_expr(p, PRECEDENCE_UNARY + 1);
    if (!expr)
        return NULL;
    if (expr->kind == NODE_NUMBER) {
        if (sign.kind == TOK_SUB)
            expr->number.value = -expr->number.value;
        expr->start = sign.at;
        return expr;
    }
    Node *n = parse_node(p, NODE_UNARY, sign.at, expr->end);
    if (!n)
        return NULL;
    n->unary.minus = sign.kind == TOK_SUB;
    n->unary.expr = expr;
    return parse_adopt(p, n, expr);
}

static bool parse_matching(Parser *p, VectorMatching *m) {
    Token t = take_token(p);
    m->on = t.kind == TOK_ON;
    if (!parse_label_list(p, &m->labels, &m->n_labels))
        return false;
    m->labels_written = written_order(p, m->labels, m->n_labels);
    if (peek_kind(p) != TOK_GROUP_LEFT && peek_kind(p) != TOK_GROUP_RIGHT)
        return !p->failed;
    t = take_token(p);
    m->card = t.kind == TOK_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
    return peek_kind(p) != TOK_LEFT_PAREN || parse_label_list(p, &m->include, &m->n_include);
}

/* (-5): behind fill, fill_left and fill_right */
static bool parse_fill_value(Parser *p, double *ret) {
    Token t;
    bool minus = false;
    if (!take_if(p, TOK_LEFT_PAREN, &t))
        return parse_unexpected_here(p);
    if (take_if(p, TOK_ADD, &t) || take_if(p, TOK_SUB, &t))
        minus = t.kind == TOK_SUB;
    if (peek_kind(p) != TOK_NUMBER && peek_kind(p) != TOK_DURATION)
        return parse_unexpected_here(p);
    t = take_token(p);
    if (!parse_number_text(p, &t, ret))
        return false;
    *ret = minus ? -*ret : *ret;
    return take_if(p, TOK_RIGHT_PAREN, &t) || parse_unexpected_here(p);
}

/* fill(x), or each side once in either order. */
static bool parse_fill(Parser *p, VectorMatching *m) {
    TokenKind first = peek_kind(p);
    double v;
    for (TokenKind k = first; k == TOK_FILL || k == TOK_FILL_LEFT || k == TOK_FILL_RIGHT;) {
        take_token(p);
        if (!parse_fill_value(p, &v))
            return false;
        if (k != TOK_FILL_RIGHT)
            m->has_fill_lhs = true, m->fill_lhs = v;
        if (k != TOK_FILL_LEFT)
            m->has_fill_rhs = true, m->fill_rhs = v;
        if (m->has_fill_lhs && m->has_fill_rhs)
            break;
        k = peek_kind(p);
        if (k == first || k == TOK_FILL)
            break;
    }
    return !p->failed;
}

static bool parse_operator_modifiers(Parser *p, Node *n) {
    Token t;
    VectorMatching *m = n->binary.matching = parse_alloc(p, sizeof(*m));
    if (!m)
        return false;
    n->binary.return_bool = take_if(p, TOK_BOOL, &t);
    TokenKind k = peek_kind(p);
    if ((k == TOK_ON || k == TOK_IGNORING) && !parse_matching(p, m))
        return false;
    return parse_fill(p, m);
}

static Node *parse_binary(Parser *p, Node *lhs, int prec) {
    Token op = take_token(p);
    Node *n = parse_node(p, NODE_BINARY, lhs->start, 0);
    if (!n || !parse_operator_modifiers(p, n))
        return NULL;
    n->binary.op = (BinaryOp)(op.kind - TOK_ADD);
    n->binary.op_start = op.at;
    n->binary.op_end = op.at + (uint32_t)op.text.n;
    n->binary.lhs = lhs;
    n->binary.rhs = parse_expr(p, prec == PRECEDENCE_POW ? prec : prec + 1);
    if (!n->binary.rhs)
        return NULL;
    n->end = n->binary.rhs->end;
    if ((n->binary.matching->has_fill_lhs || n->binary.matching->has_fill_rhs) &&
        !p->options->fill_modifiers)
        return parse_fail(p, n->start, "binop fill modifiers are experimental and not enabled");
    return parse_adopt(p, n, lhs) ? parse_adopt(p, n, n->binary.rhs) : NULL;
}

Node *parse_expr(Parser *p, int min_precedence) {
    TokenKind k = peek_kind(p);
    if (p->depth >= AST_DEPTH_MAX)
        return too_deep(p, p->token.at);
    p->depth++;
    Node *n = k == TOK_ADD || k == TOK_SUB ? parse_unary(p) : parse_modifiers(p, parse_operand(p));
    while (n) {
        int prec = precedence(peek_kind(p));
        if (prec == 0 || prec < min_precedence)
            break;
        n = parse_binary(p, n, prec);
    }
    p->depth--;
    return n;
}

/* ---- entries ---- */

static void parser_init(Parser *p, const PromqlOptions *o, Str text, Arena *a, Problem *problem) {
    *p = (Parser){.options = o, .arena = a, .problem = problem};
    lexer_init(&p->lexer, text);
}

/* Matchers' regexes belong to the tree from here on, or go with the failure. */
static int parser_finish(Parser *p) {
    for (size_t i = 0; p->failed && i < p->regexes.n; i++)
        regex_free(p->regexes.v[i]);
    vec_free(&p->regexes);
    return p->failed ? -EINVAL : 0;
}

int promql_parse(const PromqlOptions *o, Str text, Arena *a, Node **ret, Problem *problem) {
    Parser p;
    Problem unused = {0};
    parser_init(&p, o, text, a, problem ? problem : &unused);
    Node *n = NULL;
    if (text.n >= UINT32_MAX)
        parse_fail(&p, 0, "the query is too long");
    else if (peek_kind(&p) == TOK_EOF)
        parse_fail(&p, 0, "no expression found in input");
    else
        n = parse_expr(&p, 1);
    if (n && peek_kind(&p) != TOK_EOF)
        n = parse_unexpected_here(&p);
    if (n && !p.failed)
        check_tree(&p, n);
    *ret = p.failed ? NULL : n;
    return parser_finish(&p);
}

static bool starts_metric(TokenKind k) {
    return starts_expr(k) && k != TOK_NUMBER && k != TOK_DURATION && k != TOK_STRING &&
           k != TOK_LEFT_PAREN && k != TOK_ADD && k != TOK_SUB;
}

int promql_parse_selector(Str text, Arena *a, Matcher **ret, size_t *ret_n, Problem *problem) {
    static const PromqlOptions plain = {0};
    Parser p;
    Token name;
    Problem unused = {0};
    Node *n = NULL;
    parser_init(&p, &plain, text, a, problem ? problem : &unused);
    TokenKind k = peek_kind(&p);
    if (text.n >= UINT32_MAX) {
        parse_fail(&p, 0, "the selector is too long");
    } else if (!starts_metric(k)) {
        parse_unexpected(&p, NULL, NULL);
    } else if (k == TOK_LEFT_BRACE) {
        n = parse_selector(&p, NULL);
    } else {
        name = take_token(&p);
        n = parse_selector(&p, &name);
    }
    if (n && peek_kind(&p) != TOK_EOF)
        parse_unexpected(&p, NULL, NULL);
    *ret = p.failed ? NULL : n->vector.matchers;
    *ret_n = p.failed ? 0 : n->vector.n_matchers;
    return parser_finish(&p);
}
