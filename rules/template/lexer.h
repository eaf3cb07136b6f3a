/* Template text to tokens, all at once; the last one is TOKEN_EOF or TOKEN_ERROR. */
#pragma once

#include "base/vec.h"
#include "rules/template/value.h"

typedef enum TokenKind {
    TOKEN_ERROR,
    TOKEN_BOOL,
    TOKEN_CHAR, /* a printable character with no meaning of its own, such as ',' */
    TOKEN_CHAR_CONSTANT,
    TOKEN_ASSIGN,
    TOKEN_DECLARE,
    TOKEN_EOF,
    TOKEN_FIELD,
    TOKEN_IDENTIFIER,
    TOKEN_LEFT_DELIM,
    TOKEN_LEFT_PAREN,
    TOKEN_NUMBER,
    TOKEN_PIPE,
    TOKEN_RAW_STRING,
    TOKEN_RIGHT_DELIM,
    TOKEN_RIGHT_PAREN,
    TOKEN_SPACE,
    TOKEN_STRING,
    TOKEN_TEXT,
    TOKEN_VARIABLE,
    TOKEN_KEYWORD, /* only keywords come after */
    TOKEN_BLOCK,
    TOKEN_BREAK,
    TOKEN_CONTINUE,
    TOKEN_DOT,
    TOKEN_DEFINE,
    TOKEN_ELSE,
    TOKEN_END,
    TOKEN_IF,
    TOKEN_NIL,
    TOKEN_RANGE,
    TOKEN_TEMPLATE,
    TOKEN_WITH,
} TokenKind;

typedef struct Token {
    TokenKind kind;
    uint32_t pos;
    uint32_t line; /* where it starts, from 1 */
    Str text;      /* TOKEN_ERROR: the message, in the arena */
} Token;

typedef VEC(Token) Tokens;

/* Caller frees the vector. */
void lex_template(Str text, Arena *arena, Tokens *ret);
