#include "model/quote.h"

#include "base/utf8.h"

static bool add_escape(Buf *b, unsigned char c) {
    static const char letters[] = "abtnvfr"; /* \a is 7 */
    if (c == '"' || c == '\\') {
        buf_addf(b, "\\%c", c);
    } else if (c >= 7 && c <= 13) {
        buf_addf(b, "\\%c", letters[c - 7]);
    } else if (c < 0x20 || c == 0x7f) {
        buf_addf(b, "\\x%02x", c);
    } else {
        return false;
    }
    return true;
}

void label_quote(Buf *b, Str s) {
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = 1;
        if (c < 0x80) {
            if (!add_escape(b, c)) {
                buf_add_char(b, (char)c);
            }
        } else if (utf8_decode(str_from(s, i), &n) == UTF8_ERROR && n == 1) {
            buf_addf(b, "\\x%02x", c);
        } else {
            buf_add(b, s.p + i, n);
        }
        i += n;
    }
    buf_add_char(b, '"');
}
