/*
 * What the parser's files share: one token of lookahead, read only when it is needed, so that the
 * first error found is the one Prometheus' parser reports. After the first error peek() gives
 * TOK_ERROR and everything returns NULL. One query, one thread.
 */
#pragma once

#include "base/vec.h"
#include "promql/parser/ast.h"
#include "promql/parser/lexer.h"

typedef struct Parser {
    Lexer lexer;
    Token token; /* lookahead, when there is one */
    bool have_token, failed;
    uint32_t last_closing; /* end of the newest token that can close an expression */
    int aggregates;        /* aggregations open around this place: messages say so */
    int depth;             /* calls of parse_expr() in each other */
    const PromqlOptions *options;
    Arena *arena;
    Problem *problem;
    VEC(Regex *) regexes; /* of all matchers, to drop them when the parse fails */
} Parser;

const Token *peek_token(Parser *p);
static inline TokenKind peek_kind(Parser *p) { return peek_token(p)->kind; }
Token take_token(Parser *p);
/* Takes the token if it is of this kind. */
bool take_if(Parser *p, TokenKind kind, Token *ret);
/* Records the first error; always returns NULL. */
void *parse_fail(Parser *p, uint32_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "unexpected TOKEN in CONTEXT, expected WHAT"; context and expected may be NULL. */
void *parse_unexpected(Parser *p, const char *context, const char *expected);
/* The same where nothing says more: names the aggregation one is in. */
void *parse_unexpected_here(Parser *p);

void *parse_alloc(Parser *p, size_t size);
/* Room for one more in an array of the arena: the array, moved when it was full. NULL: failed. */
void *parse_grow(Parser *p, void *array, size_t n, size_t *cap, size_t size);
Node *parse_node(Parser *p, NodeKind kind, uint32_t start, uint32_t end);
/* Notes a child's depth. NULL when the tree becomes too deep. */
Node *parse_adopt(Parser *p, Node *parent, const Node *child);

/* literal.c */
bool parse_number_text(Parser *p, const Token *t, double *ret); /* TOK_NUMBER or TOK_DURATION */
bool parse_string_text(Parser *p, const Token *t, Str *ret);
int64_t seconds_to_ms(double seconds);

/* duration_expr.c */
DurExpr *parse_duration_expr(Parser *p, const char *context, const char *expected);
DurExpr *parse_offset_duration(Parser *p);

/* selector.c */
bool parse_label_list(Parser *p, Str **ret, size_t *ret_n);
/* Sorts in place after keeping the written order, which is returned; NULL: failed. */
const Str *written_order(Parser *p, Str *labels, size_t n);
Node *parse_selector(Parser *p, const Token *name); /* name NULL: begins with a brace */
Node *parse_modifiers(Parser *p, Node *n);

Node *parse_expr(Parser *p, int min_precedence);
/* check.c: types and rules of the whole tree. */
bool check_tree(Parser *p, Node *n);
