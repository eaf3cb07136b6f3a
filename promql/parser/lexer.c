#include "promql/parser/lexer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/gotext.h"
#include "base/utf8.h"

/* What next_rune() gives behind the last byte. */
#define END_OF_TEXT (-1)

typedef struct Word {
    const char *text;
    TokenKind kind;
} Word;

static const Word words[] = {
    {"by", TOK_BY},
    {"on", TOK_ON},
    {"or", TOK_LOR},
    {"and", TOK_LAND},
    {"avg", TOK_AVG},
    {"end", TOK_END},
    {"inf", TOK_NUMBER},
    {"max", TOK_MAX},
    {"min", TOK_MIN},
    {"nan", TOK_NUMBER},
    {"sum", TOK_SUM},
    {"bool", TOK_BOOL},
    {"fill", TOK_FILL},
    {"step", TOK_STEP},
    {"topk", TOK_TOPK},
    {"atan2", TOK_ATAN2},
    {"count", TOK_COUNT},
    {"group", TOK_GROUP},
    {"range", TOK_RANGE},
    {"start", TOK_START},
    {"limitk", TOK_LIMITK},
    {"max_of", TOK_MAX_OF},
    {"min_of", TOK_MIN_OF},
    {"offset", TOK_OFFSET},
    {"stddev", TOK_STDDEV},
    {"stdvar", TOK_STDVAR},
    {"unless", TOK_LUNLESS},
    {"bottomk", TOK_BOTTOMK},
    {"without", TOK_WITHOUT},
    {"anchored", TOK_ANCHORED},
    {"ignoring", TOK_IGNORING},
    {"quantile", TOK_QUANTILE},
    {"smoothed", TOK_SMOOTHED},
    {"fill_left", TOK_FILL_LEFT},
    {"fill_right", TOK_FILL_RIGHT},
    {"group_left", TOK_GROUP_LEFT},
    {"group_right", TOK_GROUP_RIGHT},
    {"limit_ratio", TOK_LIMIT_RATIO},
    {"count_values", TOK_COUNT_VALUES},
};
/* words_of_length[n]: index of the first word with n letters. */
static const uint8_t words_of_length[] = {0, 0, 0, 3, 11, 15, 20, 27, 29, 33, 34, 36, 38, 39};

static bool is_space(int32_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(int32_t c) { return c >= '0' && c <= '9'; }
static bool is_alpha(int32_t c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_alnum(int32_t c) { return is_alpha(c) || is_digit(c); }

void lexer_init(Lexer *l, Str text) { *l = (Lexer){.text = text}; }

static int32_t peek_rune(const Lexer *l, size_t *ret_size) {
    if (l->pos >= l->text.n) {
        *ret_size = 0;
        return END_OF_TEXT;
    }
    unsigned char c = (unsigned char)l->text.p[l->pos];
    if (c < 0x80) {
        *ret_size = 1;
        return c;
    }
    return (int32_t)utf8_decode(str_from(l->text, l->pos), ret_size);
}

static int32_t next_rune(Lexer *l) {
    size_t size;
    int32_t r = peek_rune(l, &size);
    l->pos += (uint32_t)size;
    return r;
}

static int32_t peek(const Lexer *l) {
    size_t size;
    return peek_rune(l, &size);
}

static bool accept(Lexer *l, const char *set) {
    if (l->pos >= l->text.n || !l->text.p[l->pos] || !strchr(set, l->text.p[l->pos]))
        return false;
    l->pos++;
    return true;
}

static bool looks_at(const Lexer *l, const char *set) {
    return l->pos < l->text.n && l->text.p[l->pos] && strchr(set, l->text.p[l->pos]);
}

static void emit(Lexer *l, Token *t, TokenKind kind) {
    *t = (Token){kind, l->start, {l->text.p + l->start, l->pos - l->start}};
    l->start = l->pos;
    l->last = t->at;
}

static void fail(Lexer *l, Token *t, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail(Lexer *l, Token *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->error, sizeof(l->error), fmt, ap);
    va_end(ap);
    *t = (Token){TOK_ERROR, l->start, {l->text.p + l->start, l->pos - l->start}};
    l->last = l->start;
}

/* A rune as Go's %q shows it. */
static const char *quote_rune(int32_t r, char dst[16]) {
    static const char controls[] = "abtnvfr";
    if (r == '\'' || r == '\\')
        snprintf(dst, 16, "'\\%c'", r);
    else if (r >= 7 && r <= 13)
        snprintf(dst, 16, "'\\%c'", controls[r - 7]);
    else if (r >= 0 && (r < 0x20 || r == 0x7f))
        snprintf(dst, 16, "'\\x%02x'", (unsigned)r);
    else {
        char utf8[4];
        size_t n = utf8_encode(r < 0 ? UTF8_ERROR : (uint32_t)r, utf8);
        snprintf(dst, 16, "'%.*s'", (int)n, utf8);
    }
    return dst;
}

/* A rune as Go's %#U shows it: U+0063 'c'. */
static const char *unicode_rune(int32_t r, char dst[32]) {
    char quoted[16];
    if (r < 0x20 || r == 0x7f)
        snprintf(dst, 32, "U+%04X", (unsigned)r);
    else if (r == '\'' || r == '\\')
        snprintf(dst, 32, "U+%04X '%c'", (unsigned)r, r);
    else
        snprintf(dst, 32, "U+%04X %s", (unsigned)r, quote_rune(r, quoted));
    return dst;
}

static void skip_spaces(Lexer *l) {
    while (l->pos < l->text.n && is_space(l->text.p[l->pos]))
        l->pos++;
    l->start = l->pos;
}

static void skip_comment(Lexer *l) {
    while (l->pos < l->text.n && l->text.p[l->pos] != '\n' && l->text.p[l->pos] != '\r')
        l->pos++;
    l->start = l->pos;
}

/* ---- numbers and durations ---- */

/* The exponent or separator just taken must be followed by something that continues the number. */
static bool continues(Lexer *l, const char *may_not_follow) {
    return !accept(l, may_not_follow) && l->pos < l->text.n;
}

/* Takes what looks like a number: decimal, hexadecimal, with exponent, with separators. Whether it
 * is one is the parser's business. */
static bool scan_number(Lexer *l) {
    uint32_t begin = l->pos;
    const char *digits = "0123456789", *inside = "0123456789._eE";
    bool dot = false, exponent = false;
    if (accept(l, "0") && accept(l, "xX")) {
        accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        inside = "0123456789abcdefABCDEF._";
    }
    accept(l, ".");
    accept(l, digits);
    while (looks_at(l, inside)) {
        if ((dot && accept(l, ".")) || (exponent && accept(l, "eE")))
            return false;
        if (accept(l, ".")) {
            dot = true;
            if (accept(l, "_.") || digits[10])
                return false;
        } else if (accept(l, "eE")) {
            exponent = true;
            accept(l, "+-");
            if (!continues(l, "._eE"))
                return false;
        } else if (accept(l, "_")) {
            if (!continues(l, "._eE"))
                return false;
        } else {
            while (accept(l, digits)) {
            }
        }
    }
    return l->pos != begin && !is_alnum(peek(l));
}

/* Behind a number that turned out to have a unit: the rest of 1h30m. */
static bool scan_duration_rest(Lexer *l) {
    if (!accept(l, "smhdwy"))
        return false;
    accept(l, "s");
    while (accept(l, "0123456789")) {
        while (accept(l, "0123456789")) {
        }
        if (!accept(l, "smhdw"))
            return false;
        accept(l, "s");
    }
    uint32_t end = l->pos;
    if (is_alnum(next_rune(l)))
        return false;
    l->pos = end;
    return true;
}

static void read_number(Lexer *l, Token *t) {
    if (scan_number(l)) {
        emit(l, t, TOK_NUMBER);
    } else if (scan_duration_rest(l)) {
        emit(l, t, TOK_DURATION);
    } else {
        fail(l, t, "bad number or duration syntax: \"%.*s\"", (int)(l->pos - l->start),
             l->text.p + l->start);
    }
}

/* Inside brackets only the words of duration expressions may stand; one letter is taken already. */
static bool read_duration_word(Lexer *l, Token *t) {
    static const TokenKind kinds[] = {TOK_STEP, TOK_RANGE, TOK_MAX_OF, TOK_MIN_OF};
    static const Str names[] = {{"step", 4}, {"range", 5}, {"max_of", 6}, {"min_of", 6}};
    while (l->pos < l->text.n && is_alpha(l->text.p[l->pos]))
        l->pos++;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_nocase(str_n(l->text.p + l->start, l->pos - l->start), names[i])) {
            emit(l, t, kinds[i]);
            return true;
        }
    }
    return false;
}

static bool starts_duration_word(int32_t r) { return r > 0 && r < 0x80 && strchr("sSrRmM", r); }

/* ---- strings ---- */

static int hex_digit(int32_t r) {
    if (is_digit(r))
        return r - '0';
    if (r >= 'a' && r <= 'f')
        return r - 'a' + 10;
    if (r >= 'A' && r <= 'F')
        return r - 'A' + 10;
    return 16;
}

/* Behind a backslash. */
static bool read_escape(Lexer *l, Token *t, int32_t quote) {
    char text[32];
    int n, base;
    uint32_t max = 0x10FFFF, x = 0;
    int32_t r = next_rune(l);
    if (r == quote || (r > 0 && r < 0x80 && strchr("abfnrtv\\", r)))
        return true;
    if (r >= '0' && r <= '7') {
        n = 3, base = 8, max = 255;
    } else if (r == 'x') {
        n = 2, base = 16, max = 255, r = next_rune(l);
    } else if (r == 'u' || r == 'U') {
        n = r == 'u' ? 4 : 8, base = 16, r = next_rune(l);
    } else if (r == END_OF_TEXT) {
        fail(l, t, "escape sequence not terminated");
        return false;
    } else {
        fail(l, t, "unknown escape sequence %s", unicode_rune(r, text));
        return false;
    }
    for (;; r = next_rune(l)) {
        int d = hex_digit(r);
        if (d >= base) {
            if (r == END_OF_TEXT)
                fail(l, t, "escape sequence not terminated");
            else
                fail(l, t, "illegal character %s in escape sequence", unicode_rune(r, text));
            return false;
        }
        x = x * (uint32_t)base + (uint32_t)d;
        if (--n == 0)
            break;
    }
    if (x > max || (x >= 0xD800 && x < 0xE000)) {
        fail(l, t, "escape sequence is an invalid Unicode code point");
        return false;
    }
    return true;
}

/* Behind the opening quote. */
static void read_string(Lexer *l, Token *t, int32_t quote) {
    for (;;) {
        int32_t r = next_rune(l);
        if (r == quote) {
            emit(l, t, TOK_STRING);
            return;
        }
        if (r == (int32_t)UTF8_ERROR) {
            fail(l, t, "invalid UTF-8 rune");
            return;
        }
        if (r == END_OF_TEXT || (r == '\n' && quote != '`')) {
            fail(l, t, quote == '`' ? "unterminated raw string" : "unterminated quoted string");
            return;
        }
        if (r == '\\' && quote != '`' && !read_escape(l, t, quote))
            return;
    }
}

/* ---- words ---- */

static TokenKind word_kind(Str word) {
    if (word.n >= ARRAY_LEN(words_of_length) - 1)
        return TOK_IDENTIFIER;
    for (size_t i = words_of_length[word.n]; i < words_of_length[word.n + 1]; i++) {
        if ((words[i].text[0] | 0x20) == (word.p[0] | 0x20) &&
            str_eq_nocase(word, str_n(words[i].text, word.n)))
            return words[i].kind;
    }
    return TOK_IDENTIFIER;
}

/* fill( is a modifier, fill a metric. */
static bool parenthesis_follows(const Lexer *l) {
    uint32_t at = l->pos;
    while (at < l->text.n && is_space(l->text.p[at]))
        at++;
    return at < l->text.n && l->text.p[at] == '(';
}

static void read_word(Lexer *l, Token *t) {
    bool colon = false;
    while (l->pos < l->text.n && (is_alnum(l->text.p[l->pos]) || l->text.p[l->pos] == ':'))
        colon |= l->text.p[l->pos++] == ':';
    if (colon) {
        emit(l, t, TOK_METRIC_IDENTIFIER);
        return;
    }
    TokenKind kind = word_kind(str_n(l->text.p + l->start, l->pos - l->start));
    if (kind >= TOK_FILL && kind <= TOK_FILL_RIGHT && !parenthesis_follows(l))
        kind = TOK_IDENTIFIER;
    emit(l, t, kind);
}

/* ---- the three places ---- */

static void read_in_braces(Lexer *l, Token *t) {
    char text[16];
    int32_t r = next_rune(l);
    if (r == END_OF_TEXT) {
        fail(l, t, "unexpected end of input inside braces");
    } else if (is_alpha(r)) {
        while (l->pos < l->text.n && is_alnum(l->text.p[l->pos]))
            l->pos++;
        emit(l, t, TOK_IDENTIFIER);
    } else if (r == ',') {
        emit(l, t, TOK_COMMA);
    } else if (r == '"' || r == '\'' || r == '`') {
        read_string(l, t, r);
    } else if (r == '=') {
        emit(l, t, accept(l, "~") ? TOK_EQL_REGEX : TOK_EQL);
    } else if (r == '!') {
        r = next_rune(l);
        if (r == '~')
            emit(l, t, TOK_NEQ_REGEX);
        else if (r == '=')
            emit(l, t, TOK_NEQ);
        else
            fail(l, t, "unexpected character after '!' inside braces: %s", quote_rune(r, text));
    } else if (r == '{') {
        fail(l, t, "unexpected left brace '{'");
    } else if (r == '}') {
        emit(l, t, TOK_RIGHT_BRACE);
        l->brace_open = false;
    } else {
        fail(l, t, "unexpected character inside braces: %s", quote_rune(r, text));
    }
}

static void close_paren(Lexer *l, Token *t) {
    emit(l, t, TOK_RIGHT_PAREN);
    if (--l->paren_depth < 0)
        fail(l, t, "unexpected right parenthesis ')'");
}

static void read_in_duration(Lexer *l, Token *t) {
    char text[16];
    int32_t r = next_rune(l);
    switch (r) {
    case END_OF_TEXT: fail(l, t, "unexpected end of input in duration expression"); return;
    case ']':
        emit(l, t, TOK_RIGHT_BRACKET);
        l->bracket_open = l->got_colon = l->in_duration = false;
        return;
    case ':':
        emit(l, t, TOK_COLON);
        if (!l->got_duration)
            fail(l, t, "unexpected colon before duration in duration expression");
        else if (l->got_colon)
            fail(l, t, "unexpected repeated colon in duration expression");
        l->got_colon = true;
        return;
    case '(':
        emit(l, t, TOK_LEFT_PAREN);
        l->paren_depth++;
        return;
    case ')': close_paren(l, t); return;
    case '+': emit(l, t, TOK_ADD); return;
    case '-': emit(l, t, TOK_SUB); return;
    case '*': emit(l, t, TOK_MUL); return;
    case '/': emit(l, t, TOK_DIV); return;
    case '%': emit(l, t, TOK_MOD); return;
    case '^': emit(l, t, TOK_POW); return;
    case ',': emit(l, t, TOK_COMMA); return;
    default: break;
    }
    if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        l->pos--;
        l->got_duration = true;
        l->in_duration = false;
        read_number(l, t);
    } else if (!starts_duration_word(r) || !read_duration_word(l, t)) {
        fail(l, t, "unexpected character in duration expression: %s", quote_rune(r, text));
    }
}

/* A letter or a colon. Behind the first number in brackets a colon stands alone. */
static void read_letter(Lexer *l, Token *t, int32_t r) {
    char text[16];
    if (!l->bracket_open) {
        l->pos--;
        read_word(l, t);
    } else if (r == ':') {
        if (l->got_colon) {
            fail(l, t, "unexpected colon ':'");
        } else {
            emit(l, t, TOK_COLON);
            l->got_colon = true;
        }
    } else if (!starts_duration_word(r) || !read_duration_word(l, t)) {
        fail(l, t, "unexpected character: %s, expected ':'", quote_rune(r, text));
    }
}

static void open_bracket(Lexer *l, Token *t) {
    if (l->bracket_open) {
        fail(l, t, "unexpected left bracket '['");
        return;
    }
    l->got_colon = false;
    emit(l, t, TOK_LEFT_BRACKET);
    skip_spaces(l);
    l->bracket_open = l->in_duration = true;
}

static void close_bracket(Lexer *l, Token *t) {
    if (!l->bracket_open) {
        fail(l, t, "unexpected right bracket ']'");
        return;
    }
    emit(l, t, TOK_RIGHT_BRACKET);
    l->bracket_open = false;
}

static void read_end(Lexer *l, Token *t) {
    if (l->paren_depth != 0)
        fail(l, t, "unclosed left parenthesis");
    else if (l->bracket_open)
        fail(l, t, "unclosed left bracket");
    else
        emit(l, t, TOK_EOF);
}

static void read_statement(Lexer *l, Token *t) {
    char text[16];
    int32_t r = next_rune(l);
    switch (r) {
    case END_OF_TEXT: read_end(l, t); return;
    case ',': emit(l, t, TOK_COMMA); return;
    case '*': emit(l, t, TOK_MUL); return;
    case '/': emit(l, t, TOK_DIV); return;
    case '%': emit(l, t, TOK_MOD); return;
    case '+': emit(l, t, TOK_ADD); return;
    case '-': emit(l, t, TOK_SUB); return;
    case '^': emit(l, t, TOK_POW); return;
    case '@': emit(l, t, TOK_AT); return;
    case '=':
        if (peek(l) == '~')
            fail(l, t, "unexpected character after '=': '~'");
        else
            emit(l, t, accept(l, "=") ? TOK_EQLC : TOK_EQL);
        return;
    case '!':
        r = next_rune(l);
        if (r == '=')
            emit(l, t, TOK_NEQ);
        else
            fail(l, t, "unexpected character after '!': %s", quote_rune(r, text));
        return;
    case '<':
        emit(l, t, accept(l, "=") ? TOK_LTE : accept(l, "/") ? TOK_TRIM_UPPER : TOK_LSS);
        return;
    case '>':
        emit(l, t, accept(l, "=") ? TOK_GTE : accept(l, "/") ? TOK_TRIM_LOWER : TOK_GTR);
        return;
    case '"':
    case '\'':
    case '`': read_string(l, t, r); return;
    case '(':
        emit(l, t, TOK_LEFT_PAREN);
        l->paren_depth++;
        return;
    case ')': close_paren(l, t); return;
    case '{':
        emit(l, t, TOK_LEFT_BRACE);
        l->brace_open = true;
        return;
    case '[': open_bracket(l, t); return;
    case ']': close_bracket(l, t); return;
    default: break;
    }
    if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        l->pos--;
        read_number(l, t);
    } else if (is_alpha(r) || r == ':') {
        read_letter(l, t, r);
    } else {
        fail(l, t, "unexpected character: %s", quote_rune(r, text));
    }
}

void lexer_next(Lexer *l, Token *ret) {
    for (;;) {
        skip_spaces(l);
        if (l->in_duration || l->pos >= l->text.n || l->text.p[l->pos] != '#')
            break;
        skip_comment(l);
    }
    if (l->in_duration)
        read_in_duration(l, ret);
    else if (l->brace_open)
        read_in_braces(l, ret);
    else
        read_statement(l, ret);
}

static Str first_runes(Str s, size_t n) {
    size_t at = 0, size;
    for (; n && at < s.n; n--, at += size)
        utf8_decode(str_from(s, at), &size);
    return str_upto(s, at);
}

void token_describe(const Token *t, char *dst, size_t size) {
    const char *noun = NULL;
    if (t->kind == TOK_EOF) {
        snprintf(dst, size, "end of input");
        return;
    }
    if (t->kind == TOK_IDENTIFIER)
        noun = "identifier";
    else if (t->kind == TOK_METRIC_IDENTIFIER)
        noun = "metric identifier";
    else if (t->kind == TOK_STRING)
        noun = "string";
    else if (t->kind == TOK_NUMBER)
        noun = "number";
    else if (t->kind == TOK_DURATION)
        noun = "duration";
    if (token_is_keyword(t->kind)) {
        snprintf(dst, size, "<%.*s>", SA(t->text));
    } else if (token_is_operator(t->kind)) {
        snprintf(dst, size, "<op:%.*s>", SA(t->text));
    } else if (token_is_aggregate(t->kind)) {
        snprintf(dst, size, "<aggr:%.*s>", SA(t->text));
    } else {
        /* Words are shown whole. */
        bool cut = t->text.n > 10 && t->kind != TOK_IDENTIFIER && t->kind != TOK_METRIC_IDENTIFIER;
        Buf quoted = BUF_INIT(0);
        go_quote(&quoted, cut ? first_runes(t->text, 10) : t->text);
        snprintf(dst, size, "%s%s%.*s%s", noun ? noun : "", noun ? " " : "", SA(buf_str(&quoted)),
                 cut ? "..." : "");
        buf_deinit(&quoted);
    }
}
