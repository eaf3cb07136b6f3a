#include "base/gotext.h"

#include "base/utf8.h"

static const char escape_letters[] = "abfnrtv\\";
static const char escape_bytes[] = "\a\b\f\n\r\t\v\\";

static void quote_rune(Buf *b, uint32_t rune) {
    const char *known = rune && rune < 0x80 ? strchr(escape_bytes, (int)rune) : NULL;
    if (known) {
        buf_add_char(b, '\\');
        buf_add_char(b, escape_letters[known - escape_bytes]);
    } else if (rune == '"') {
        buf_add(b, "\\\"", 2);
    } else if (rune < 0x20 || rune == 0x7f) {
        buf_addf(b, "\\x%02x", rune);
    } else if (rune_is_print(rune)) {
        char t[4];
        buf_add(b, t, utf8_encode(rune, t));
    } else {
        buf_addf(b, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
    }
}

static inline bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

void go_quote(Buf *b, Str s) {
    buf_add_char(b, '"');
    while (s.n) {
        size_t n = 0;
        while (n < s.n && is_plain(s.p[n])) {
            n++;
        }
        buf_add(b, s.p, n);
        s = str_from(s, n);
        if (!s.n) {
            break;
        }
        uint32_t rune = utf8_decode(s, &n);
        if (rune == UTF8_ERROR && n == 1) {
            buf_addf(b, "\\x%02x", (unsigned char)s.p[0]);
        } else {
            quote_rune(b, rune);
        }
        s = str_from(s, n);
    }
    buf_add_char(b, '"');
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `digits` digits of base 8 or 16 at *s. */
static bool take_digits(Str *s, size_t digits, uint32_t base, uint32_t *ret) {
    if (s->n < digits) {
        return false;
    }
    uint32_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        int d = hex_value(s->p[i]);
        if (d < 0 || (uint32_t)d >= base) {
            return false;
        }
        v = v * base + (uint32_t)d;
    }
    *s = str_from(*s, digits);
    *ret = v;
    return true;
}

/* What follows a backslash. */
static bool unescape_one(Str *s, char quote, Buf *out) {
    if (!s->n) {
        return false;
    }
    char c = s->p[0];
    uint32_t v;
    const char *known = c ? strchr(escape_letters, c) : NULL;
    if (known || c == quote) {
        buf_add_char(out, known ? escape_bytes[known - escape_letters] : quote);
        *s = str_from(*s, 1);
        return true;
    }
    if (c >= '0' && c <= '7') {
        if (!take_digits(s, 3, 8, &v) || v > 255) {
            return false;
        }
        buf_add_char(out, (char)v);
        return true;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    *s = str_from(*s, 1);
    if (!digits || !take_digits(s, digits, 16, &v) || v > 0x10ffff) {
        return false;
    }
    if (c == 'x') {
        buf_add_char(out, (char)v);
    } else {
        char t[4];
        buf_add(out, t, utf8_encode(v, t));
    }
    return true;
}

bool go_unescape(Str inner, char quote, Buf *out) {
    if (quote == '`') {
        buf_add_str(out, inner);
        return str_find(inner, '`') == inner.n;
    }
    while (inner.n) {
        char c = inner.p[0];
        if (c == quote || c == '\n') {
            return false;
        }
        inner = str_from(inner, 1);
        if (c != '\\') {
            buf_add_char(out, c);
        } else if (!unescape_one(&inner, quote, out)) {
            return false;
        }
    }
    return true;
}

bool go_unquote(Str literal, Buf *out) {
    if (literal.n < 2 || literal.p[0] != literal.p[literal.n - 1] ||
        !memchr("\"'`", literal.p[0], 3)) {
        return false;
    }
    return go_unescape((Str){literal.p + 1, literal.n - 2}, literal.p[0], out);
}
