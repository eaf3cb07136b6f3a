/*
 * Lexer. Outside of {{ }} everything is text; "{{- " and " -}}" trim the white space of the text
 * beside them. Inside, spaces are tokens because they separate arguments: .A .B is two fields,
 * .A.B one chain.
 */
#include "rules/template/lexer.h"

#include "base/utf8.h"

typedef struct Lexer {
    Str text;
    size_t pos, start;
    uint32_t line, start_line;
    int parens;
    bool action, done;
    Arena *arena;
    Tokens *out;
} Lexer;

static const struct {
    const char *word;
    TokenKind kind;
} KEYWORDS[] = {{".", TOKEN_DOT},
                {"block", TOKEN_BLOCK},
                {"break", TOKEN_BREAK},
                {"continue", TOKEN_CONTINUE},
                {"define", TOKEN_DEFINE},
                {"else", TOKEN_ELSE},
                {"end", TOKEN_END},
                {"if", TOKEN_IF},
                {"range", TOKEN_RANGE},
                {"nil", TOKEN_NIL},
                {"template", TOKEN_TEMPLATE},
                {"with", TOKEN_WITH}};

static bool is_space(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

/* Letters beyond ASCII are taken as such: a template function or field may be named in any script.
 */
static bool is_alnum(int c) {
    return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static int at(const Lexer *l, size_t i) { return i < l->text.n ? (unsigned char)l->text.p[i] : -1; }

static bool looking_at(const Lexer *l, size_t i, const char *s) {
    return i <= l->text.n && str_starts(str_from(l->text, i), str_of(s));
}

static void skip(Lexer *l) {
    for (size_t i = l->start; i < l->pos; i++) {
        l->line += l->text.p[i] == '\n';
    }
    l->start = l->pos;
    l->start_line = l->line;
}

static void emit(Lexer *l, TokenKind kind) {
    vec_push(l->out, (Token){.kind = kind,
                             .pos = (uint32_t)l->start,
                             .line = l->start_line,
                             .text = str_n(l->text.p + l->start, l->pos - l->start)});
    skip(l);
}

static void PRINTF_LIKE(2, 3) lex_error(Lexer *l, const char *fmt, ...) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    vec_push(l->out, (Token){.kind = TOKEN_ERROR,
                             .pos = (uint32_t)l->start,
                             .line = l->start_line,
                             .text = arena_str(l->arena, buf_str(&b))});
    l->done = true;
}

/* U+0041 'A', as Go's %#U shows a character. */
static void lex_bad_character(Lexer *l, const char *what) {
    size_t n = 1;
    uint32_t c = l->pos < l->text.n ? utf8_decode(str_from(l->text, l->pos), &n) : 0;
    if (c < 0x20 || c == 0x7f) {
        lex_error(l, "%s U+%04X", what, c);
    } else {
        lex_error(l, "%s U+%04X '%.*s'", what, c, (int)n, l->text.p + l->pos);
    }
}

/* The length of the right delimiter at i, with its trim mark; 0 when there is none. */
static size_t right_delim(const Lexer *l, size_t i, bool *ret_trim) {
    *ret_trim = is_space(at(l, i)) && at(l, i + 1) == '-' && looking_at(l, i + 2, "}}");
    if (*ret_trim) {
        return 4;
    }
    return looking_at(l, i, "}}") ? 2 : 0;
}

static void end_action(Lexer *l, size_t delim, bool trim, bool token) {
    if (trim) {
        l->pos += 2;
        skip(l);
        delim -= 2;
    }
    l->pos += delim;
    if (token) {
        emit(l, TOKEN_RIGHT_DELIM);
    } else {
        skip(l);
    }
    if (trim) {
        while (is_space(at(l, l->pos))) {
            l->pos++;
        }
        skip(l);
    }
    l->action = false;
}

static void lex_comment(Lexer *l) {
    size_t end = str_find_str(str_from(l->text, l->pos), STR("*/"));
    if (l->pos + end >= l->text.n) {
        lex_error(l, "unclosed comment");
        return;
    }
    l->pos += end + 2;
    bool trim;
    size_t delim = right_delim(l, l->pos, &trim);
    if (!delim) {
        lex_error(l, "comment ends before closing delimiter");
        return;
    }
    skip(l);
    end_action(l, delim, trim, false);
}

static void lex_text(Lexer *l) {
    size_t found = l->pos + str_find_str(str_from(l->text, l->pos), STR("{{"));
    bool delim = found < l->text.n;
    size_t end = found;
    bool trim = delim && at(l, found + 2) == '-' && is_space(at(l, found + 3));
    while (trim && end > l->start && is_space(at(l, end - 1))) {
        end--;
    }
    l->pos = end;
    if (l->pos > l->start) {
        emit(l, TOKEN_TEXT);
    }
    l->pos = found;
    skip(l);
    if (!delim) {
        emit(l, TOKEN_EOF);
        l->done = true;
        return;
    }
    l->action = true;
    l->parens = 0;
    if (looking_at(l, found + 2 + (trim ? 2 : 0), "/*")) {
        l->pos = found + 2 + (trim ? 2 : 0);
        lex_comment(l);
        return;
    }
    l->pos = found + 2;
    emit(l, TOKEN_LEFT_DELIM);
    if (trim) {
        l->pos += 2;
        skip(l);
    }
}

static void lex_space(Lexer *l) {
    bool trim;
    while (is_space(at(l, l->pos))) {
        if (right_delim(l, l->pos, &trim) && trim) {
            break;
        }
        l->pos++;
    }
    if (l->pos > l->start) {
        emit(l, TOKEN_SPACE);
    }
}

static bool at_terminator(const Lexer *l) {
    int c = at(l, l->pos);
    return c < 0 || is_space(c) || strchr(".,|:)(", c) || looking_at(l, l->pos, "}}");
}

static void lex_word(Lexer *l, TokenKind kind) {
    while (is_alnum(at(l, l->pos))) {
        l->pos++;
    }
    if (!at_terminator(l)) {
        lex_bad_character(l, "bad character");
        return;
    }
    Str word = str_n(l->text.p + l->start, l->pos - l->start);
    if (kind == TOKEN_IDENTIFIER) {
        for (size_t i = 0; i < ARRAY_LEN(KEYWORDS); i++) {
            if (str_eqc(word, KEYWORDS[i].word)) {
                kind = KEYWORDS[i].kind;
            }
        }
        if (str_eqc(word, "true") || str_eqc(word, "false")) {
            kind = TOKEN_BOOL;
        }
    }
    emit(l, kind);
}

static void lex_field_or_variable(Lexer *l, TokenKind kind) {
    l->pos++;
    if (at_terminator(l)) {
        emit(l, kind == TOKEN_VARIABLE ? TOKEN_VARIABLE : TOKEN_DOT);
        return;
    }
    lex_word(l, kind);
}

/* A run up to the closing quote; a backslash takes the next character along. */
static void lex_quote(Lexer *l, char quote, TokenKind kind, const char *unterminated) {
    bool raw = quote == '`';
    for (l->pos++; at(l, l->pos) != quote; l->pos++) {
        if (!raw && at(l, l->pos) == '\\' && at(l, l->pos + 1) >= 0 && at(l, l->pos + 1) != '\n') {
            l->pos++;
        } else if (at(l, l->pos) < 0 || (!raw && at(l, l->pos) == '\n')) {
            lex_error(l, "%s", unterminated);
            return;
        }
    }
    l->pos++;
    emit(l, kind);
}

static void accept_run(Lexer *l, const char *set) {
    while (at(l, l->pos) > 0 && strchr(set, at(l, l->pos))) {
        l->pos++;
    }
}

static bool accept(Lexer *l, const char *set) {
    if (at(l, l->pos) > 0 && strchr(set, at(l, l->pos))) {
        l->pos++;
        return true;
    }
    return false;
}

static void lex_number(Lexer *l) {
    accept(l, "+-");
    const char *digits = "0123456789_";
    bool hex = false;
    if (accept(l, "0")) {
        if (accept(l, "xX")) {
            digits = "0123456789abcdefABCDEF_";
            hex = true;
        } else if (accept(l, "oO")) {
            digits = "01234567_";
        } else if (accept(l, "bB")) {
            digits = "01_";
        }
    }
    accept_run(l, digits);
    if (accept(l, ".")) {
        accept_run(l, digits);
    }
    if (accept(l, hex ? "pP" : "eE")) {
        accept(l, "+-");
        accept_run(l, "0123456789_");
    }
    accept(l, "i");
    if (is_alnum(at(l, l->pos))) {
        l->pos++;
        lex_error(l, "bad number syntax: \"%.*s\"", (int)(l->pos - l->start), l->text.p + l->start);
        return;
    }
    emit(l, TOKEN_NUMBER);
}

static void lex_char(Lexer *l, TokenKind kind) {
    l->pos++;
    emit(l, kind);
}

static void lex_paren(Lexer *l, int c) {
    l->parens += c == '(' ? 1 : -1;
    if (l->parens < 0) {
        lex_error(l, "unexpected right paren");
        return;
    }
    lex_char(l, c == '(' ? TOKEN_LEFT_PAREN : TOKEN_RIGHT_PAREN);
}

static void lex_other(Lexer *l, int c) {
    if (is_alnum(c)) {
        lex_word(l, TOKEN_IDENTIFIER);
    } else if (c > 0x20 && c < 0x7f) {
        lex_char(l, TOKEN_CHAR);
    } else {
        lex_bad_character(l, "unrecognized character in action:");
    }
}

static void lex_declare(Lexer *l) {
    if (at(l, l->pos + 1) != '=') {
        lex_error(l, "expected :=");
        return;
    }
    l->pos++;
    lex_char(l, TOKEN_DECLARE);
}

static void lex_action(Lexer *l) {
    bool trim;
    size_t delim = right_delim(l, l->pos, &trim);
    if (delim) {
        if (l->parens) {
            lex_error(l, "unclosed left paren");
        } else {
            end_action(l, delim, trim, true);
        }
        return;
    }
    int c = at(l, l->pos);
    switch (c) {
    case -1: lex_error(l, "unclosed action"); break;
    case ' ':
    case '\t':
    case '\r':
    case '\n': lex_space(l); break;
    case '=': lex_char(l, TOKEN_ASSIGN); break;
    case ':': lex_declare(l); break;
    case '|': lex_char(l, TOKEN_PIPE); break;
    case '"': lex_quote(l, '"', TOKEN_STRING, "unterminated quoted string"); break;
    case '`': lex_quote(l, '`', TOKEN_RAW_STRING, "unterminated raw quoted string"); break;
    case '\'': lex_quote(l, '\'', TOKEN_CHAR_CONSTANT, "unterminated character constant"); break;
    case '$': lex_field_or_variable(l, TOKEN_VARIABLE); break;
    case '(':
    case ')': lex_paren(l, c); break;
    case '.':
        if (!is_digit(at(l, l->pos + 1))) {
            lex_field_or_variable(l, TOKEN_FIELD);
            break;
        }
        lex_number(l);
        break;
    default:
        if (c == '+' || c == '-' || is_digit(c)) {
            lex_number(l);
        } else {
            lex_other(l, c);
        }
    }
}

void lex_template(Str text, Arena *arena, Tokens *ret) {
    Lexer l = {.text = text, .line = 1, .start_line = 1, .arena = arena, .out = ret};
    while (!l.done) {
        if (l.action) {
            lex_action(&l);
        } else {
            lex_text(&l);
        }
    }
}
