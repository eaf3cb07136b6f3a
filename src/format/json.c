#include "format/json.h"

#include <math.h>

#include "base/numtext.h"
#include "base/utf8.h"

static void begin_value(JsonWriter *w) {
    if (w->comma) {
        buf_add_char(w->b, ',');
    }
    w->comma = true;
}

static void open_with(JsonWriter *w, char c) {
    begin_value(w);
    buf_add_char(w->b, c);
    w->comma = false;
}

static void close_with(JsonWriter *w, char c) {
    buf_add_char(w->b, c);
    w->comma = true;
}

void json_begin_object(JsonWriter *w) { open_with(w, '{'); }
void json_end_object(JsonWriter *w) { close_with(w, '}'); }
void json_begin_array(JsonWriter *w) { open_with(w, '['); }
void json_end_array(JsonWriter *w) { close_with(w, ']'); }

/* What both escapings share. */
static void escape_byte(Buf *b, unsigned char c) {
    static const char letters[] = "\"\\nrt", bytes[] = "\"\\\n\r\t";
    const char *at = c ? strchr(bytes, c) : NULL;
    if (at) {
        buf_add_char(b, '\\');
        buf_add_char(b, letters[at - bytes]);
    } else {
        buf_addf(b, "\\u%04x", c);
    }
}

void json_quote_label(Buf *b, Str s) {
    buf_add_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (UNLIKELY(c < 0x20 || c == '"' || c == '\\')) {
            buf_add(b, s.p + from, i - from);
            escape_byte(b, c);
            from = i + 1;
        }
    }
    buf_add(b, s.p + from, s.n - from);
    buf_add_char(b, '"');
}

static bool is_html_safe(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* Bytes used of a sequence that starts with a byte of 0x80 or more. */
static size_t add_rune(Buf *b, Str s) {
    size_t n;
    uint32_t rune = utf8_decode(s, &n);
    if (rune == UTF8_ERROR && n == 1) {
        buf_add_cstr(b, "\\ufffd");
    } else if (rune == 0x2028 || rune == 0x2029) {
        buf_addf(b, "\\u%04x", rune);
    } else {
        buf_add(b, s.p, n);
    }
    return n;
}

void json_quote(Buf *b, Str s) {
    buf_add_char(b, '"');
    while (s.n) {
        size_t n = 0;
        while (n < s.n && is_html_safe((unsigned char)s.p[n])) {
            n++;
        }
        buf_add(b, s.p, n);
        s = str_from(s, n);
        if (!s.n) {
            break;
        }
        n = 1;
        if ((unsigned char)s.p[0] >= 0x80) {
            n = add_rune(b, s);
        } else {
            escape_byte(b, (unsigned char)s.p[0]);
        }
        s = str_from(s, n);
    }
    buf_add_char(b, '"');
}

static void end_key(JsonWriter *w) {
    buf_add_char(w->b, ':');
    w->comma = false;
}

void json_key(JsonWriter *w, Str key) {
    json_add_str(w, key);
    end_key(w);
}

void json_label_key(JsonWriter *w, Str key) {
    json_add_label(w, key);
    end_key(w);
}

void json_add_str(JsonWriter *w, Str s) {
    begin_value(w);
    json_quote(w->b, s);
}

void json_add_label(JsonWriter *w, Str s) {
    begin_value(w);
    json_quote_label(w->b, s);
}

void json_add_int(JsonWriter *w, int64_t v) {
    begin_value(w);
    buf_addf(w->b, "%lld", (long long)v);
}

void json_add_uint(JsonWriter *w, uint64_t v) {
    begin_value(w);
    buf_addf(w->b, "%llu", (unsigned long long)v);
}

/* encoding/json drops the zero in front of a one-digit negative exponent: 1e-7, not 1e-07. */
static void shorten_exponent(Buf *b, size_t from) {
    char *t = b->p + from;
    size_t n = b->n - from;
    if (n > 4 && t[n - 4] == 'e' && t[n - 3] == '-' && t[n - 2] == '0') {
        t[n - 2] = t[n - 1];
        b->n--;
    }
}

void json_add_double(JsonWriter *w, double v) {
    if (!isfinite(v)) {
        json_add_null(w);
        return;
    }
    begin_value(w);
    size_t from = w->b->n;
    number_format_json(w->b, v);
    if (!w->b->failed) {
        shorten_exponent(w->b, from);
    }
}

void json_add_sample_value(JsonWriter *w, double v) {
    begin_value(w);
    buf_add_char(w->b, '"');
    number_format_json(w->b, v);
    buf_add_char(w->b, '"');
}

void json_add_time(JsonWriter *w, int64_t ms) {
    begin_value(w);
    time_format_seconds(w->b, ms);
}

void json_add_bool(JsonWriter *w, bool v) { json_add_raw(w, v ? STR("true") : STR("false")); }

void json_add_null(JsonWriter *w) { json_add_raw(w, STR("null")); }

void json_add_raw(JsonWriter *w, Str json) {
    begin_value(w);
    buf_add_str(w->b, json);
}
