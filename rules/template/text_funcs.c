#include "rules/template/text_funcs.h"

#include <math.h>

#include "base/numtext.h"
#include "base/regex.h"
#include "base/utf8.h"

void text_html_escape(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case 0: buf_add_cstr(b, "\xef\xbf\xbd"); break;
        case '"': buf_add_cstr(b, "&#34;"); break;
        case '\'': buf_add_cstr(b, "&#39;"); break;
        case '&': buf_add_cstr(b, "&amp;"); break;
        case '<': buf_add_cstr(b, "&lt;"); break;
        case '>': buf_add_cstr(b, "&gt;"); break;
        default: buf_add_char(b, s.p[i]);
        }
    }
}

void text_js_escape(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\\' || c == '\'' || c == '"') {
            buf_addf(b, "\\%c", c);
        } else if (c < ' ' || c == '<' || c == '>' || c == '&' || c == '=') {
            buf_addf(b, "\\u%04X", c);
        } else {
            buf_add_char(b, (char)c);
        }
    }
}

static bool is_word_byte(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void text_query_escape(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_word_byte(c) || c == '-' || c == '_' || c == '.' || c == '~') {
            buf_add_char(b, (char)c);
        } else if (c == ' ') {
            buf_add_char(b, '+');
        } else {
            buf_addf(b, "%%%02X", c);
        }
    }
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool text_query_unescape(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            buf_add_char(b, s.p[i] == '+' ? ' ' : s.p[i]);
            continue;
        }
        int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int lo = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
        if (hi < 0 || lo < 0) {
            return false;
        }
        buf_add_char(b, (char)(hi * 16 + lo));
        i += 2;
    }
    return true;
}

/* Simple case pairs of the scripts whose upper and lower letters lie at a fixed distance. */
static uint32_t rune_upper(uint32_t c) {
    if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7) ||
        (c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2) || (c >= 0x430 && c <= 0x44f)) {
        return c - 32;
    }
    if (c >= 0x450 && c <= 0x45f) {
        return c - 80;
    }
    return c == 0xff ? 0x178 : c >= 0x100 && c <= 0x137 && (c & 1) ? c - 1 : c;
}

static uint32_t rune_lower(uint32_t c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) ||
        (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) || (c >= 0x410 && c <= 0x42f)) {
        return c + 32;
    }
    if (c >= 0x400 && c <= 0x40f) {
        return c + 80;
    }
    return c >= 0x100 && c <= 0x136 && !(c & 1) ? c + 1 : c;
}

static bool rune_is_letter(uint32_t c) {
    return c > 0x7f ? c != 0xa0 && c != 0x2019 && c != 0x3000 && !(c >= 0x2000 && c <= 0x206f)
                    : is_word_byte((unsigned char)c) || c == '_';
}

static void map_runes(Buf *b, Str s, uint32_t (*fn)(uint32_t)) {
    for (size_t n; s.n; s = str_from(s, n)) {
        char utf8[4];
        uint32_t c = utf8_decode(s, &n);
        buf_add(b, utf8, utf8_encode(fn(c), utf8));
    }
}

void text_upper(Buf *b, Str s) { map_runes(b, s, rune_upper); }

void text_lower(Buf *b, Str s) { map_runes(b, s, rune_lower); }

void text_title(Buf *b, Str s, bool lower) {
    bool inside = false;
    for (size_t n; s.n; s = str_from(s, n)) {
        char utf8[4];
        uint32_t c = utf8_decode(s, &n);
        bool letter = rune_is_letter(c) || (inside && lower && c == '\'');
        uint32_t as = !letter ? c : !inside ? rune_upper(c) : lower ? rune_lower(c) : c;
        buf_add(b, utf8, utf8_encode(as, utf8));
        inside = letter;
    }
}

void text_humanize_duration(Buf *b, double v) {
    if (!isfinite(v)) {
        buf_add_cstr(b, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf");
        return;
    }
    if (v == 0) {
        buf_addf(b, "%.4gs", v);
        return;
    }
    if (fabs(v) < 1) {
        const char *p = "", *const small[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
        for (size_t i = 0; i < ARRAY_LEN(small) && fabs(v) < 1; i++) {
            p = small[i];
            v *= 1000;
        }
        buf_addf(b, "%.4g%ss", v, p);
        return;
    }
    const char *sign = v < 0 ? "-" : "";
    v = fabs(v);
    /* Go's conversion of what an int64 cannot hold gives the smallest one. */
    int64_t d = v < 0x1p63 ? (int64_t)v : INT64_MIN;
    int64_t seconds = d % 60, minutes = d / 60 % 60, hours = d / 3600 % 24, days = d / 86400;
    if (days) {
        buf_addf(b, "%s%lldd %lldh %lldm %llds", sign, (long long)days, (long long)hours,
                 (long long)minutes, (long long)seconds);
    } else if (hours) {
        buf_addf(b, "%s%lldh %lldm %llds", sign, (long long)hours, (long long)minutes,
                 (long long)seconds);
    } else if (minutes) {
        buf_addf(b, "%s%lldm %llds", sign, (long long)minutes, (long long)seconds);
    } else {
        buf_addf(b, "%s%.4gs", sign, v);
    }
}

int text_to_float(TmplRun *run, TmplValue v, double *ret) {
    switch (v.kind) {
    case TMPL_FLOAT: *ret = v.f; return 0;
    case TMPL_INT: *ret = (double)v.i; return 0;
    case TMPL_DURATION: *ret = (double)v.i / 1e9; return 0;
    case TMPL_STRING:
        if (!number_parse_go(v.s, ret)) {
            return tmpl_fail(run, "strconv.ParseFloat: parsing \"%.*s\": %s", SA(v.s),
                             isinf(*ret) && v.s.n ? "value out of range" : "invalid syntax");
        }
        return 0;
    default: return tmpl_fail(run, "can't convert %s to float", tmpl_type_name(v));
    }
}

/* ---- as template functions */

int fn_to_upper(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    text_upper(&b, a[0].s);
    return tmpl_take(run, &b, ret);
}

int fn_to_lower(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    text_lower(&b, a[0].s);
    return tmpl_take(run, &b, ret);
}

static Regex *compile(TmplRun *run, Str pattern) {
    Problem p = {0};
    Regex *re = regex_new(pattern, REGEX_PARTIAL, &p);
    if (!re) {
        (void)tmpl_fail(run, "%s", p.text);
    }
    return re;
}

int fn_match(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Regex *re = compile(run, a[0].s);
    if (!re) {
        return -EINVAL;
    }
    *ret = tmpl_bool(regex_match(re, a[1].s));
    regex_free(re);
    return 0;
}

int fn_re_replace_all(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Regex *re = compile(run, a[0].s);
    if (!re) {
        return -EINVAL;
    }
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    regex_replace_all(re, a[2].s, a[1].s, &b);
    regex_free(re);
    return tmpl_take(run, &b, ret);
}

int fn_humanize_duration(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    double v;
    if (text_to_float(run, a[0], &v) < 0) {
        return -EINVAL;
    }
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    text_humanize_duration(&b, v);
    return tmpl_take(run, &b, ret);
}

int fn_same(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = a[0];
    return 0;
}
