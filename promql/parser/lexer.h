/*
 * Text to tokens. Which characters make a token depends on where one is: inside braces words are
 * label names, inside brackets a colon separates range and step and only durations may stand. The
 * lexer follows Prometheus' states so that it refuses the same texts at the same places. Tokens
 * borrow the text. Cost: linear, no memory. One thread.
 */
#pragma once

#include "base/str.h"

typedef enum TokenKind {
    TOK_EOF,
    TOK_ERROR, /* Lexer.error says why */
    TOK_IDENTIFIER,
    TOK_METRIC_IDENTIFIER, /* with a colon */
    TOK_NUMBER,
    TOK_DURATION,
    TOK_STRING, /* with its quotes */
    TOK_COMMA,
    TOK_COLON,
    TOK_EQL, /* = */
    TOK_EQL_REGEX,
    TOK_NEQ_REGEX,
    TOK_LEFT_BRACE,
    TOK_RIGHT_BRACE,
    TOK_LEFT_BRACKET,
    TOK_RIGHT_BRACKET,
    TOK_LEFT_PAREN,
    TOK_RIGHT_PAREN,
    /* operators: ORDER OPERATORS */
    TOK_ADD,
    TOK_SUB,
    TOK_MUL,
    TOK_DIV,
    TOK_MOD,
    TOK_POW,
    TOK_ATAN2,
    TOK_EQLC,
    TOK_NEQ,
    TOK_LSS,
    TOK_LTE,
    TOK_GTR,
    TOK_GTE,
    TOK_TRIM_UPPER,
    TOK_TRIM_LOWER,
    TOK_LAND,
    TOK_LOR,
    TOK_LUNLESS,
    TOK_AT,
    /* aggregations: ORDER AGGREGATES */
    TOK_SUM,
    TOK_AVG,
    TOK_MIN,
    TOK_MAX,
    TOK_COUNT,
    TOK_GROUP,
    TOK_STDDEV,
    TOK_STDVAR,
    TOK_TOPK,
    TOK_BOTTOMK,
    TOK_QUANTILE,
    TOK_COUNT_VALUES,
    TOK_LIMITK,
    TOK_LIMIT_RATIO,
    /* keywords */
    TOK_BOOL,
    TOK_BY,
    TOK_GROUP_LEFT,
    TOK_GROUP_RIGHT,
    TOK_FILL,
    TOK_FILL_LEFT,
    TOK_FILL_RIGHT,
    TOK_IGNORING,
    TOK_OFFSET,
    TOK_SMOOTHED,
    TOK_ANCHORED,
    TOK_ON,
    TOK_WITHOUT,
    /* words that stand for a time */
    TOK_START,
    TOK_END,
    TOK_STEP,
    TOK_RANGE,
    TOK_MAX_OF,
    TOK_MIN_OF,
} TokenKind;

typedef struct Token {
    TokenKind kind;
    uint32_t at;
    Str text;
} Token;

typedef struct Lexer {
    Str text;
    uint32_t pos, start; /* start: of the token being read, and of an error */
    uint32_t last;       /* where the newest token starts */
    int paren_depth;
    bool in_duration; /* behind [ and before the first number: only durations */
    bool brace_open, bracket_open, got_colon, got_duration;
    char error[256];
} Lexer;

void lexer_init(Lexer *l, Str text);
/* TOK_ERROR and TOK_EOF are the last ones. Comments are skipped. */
void lexer_next(Lexer *l, Token *ret);

static inline bool token_is_operator(TokenKind k) { return k >= TOK_ADD && k <= TOK_AT; }
static inline bool token_is_aggregate(TokenKind k) { return k >= TOK_SUM && k <= TOK_LIMIT_RATIO; }
static inline bool token_is_keyword(TokenKind k) { return k >= TOK_BOOL && k <= TOK_WITHOUT; }
/* How messages name a token: <op:+>, identifier "foo", end of input. */
void token_describe(const Token *t, char *dst, size_t size);
