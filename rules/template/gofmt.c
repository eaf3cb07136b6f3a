/*
 * The formatting of Go's package fmt over template values. A directive is
 * %[flags][width][.precision]verb with '*' and argument indexes [n]; what does not fit is shown in
 * place as %!verb(type=value).
 */
#include "rules/template/gofmt.h"

#include <math.h>
#include <stdio.h>

#include "base/gotext.h"
#include "base/numtext.h"
#include "base/utf8.h"
#include "rules/template/gotime.h"

#define WIDTH_MAX 1000000
#define DEPTH_MAX 50

typedef struct Directive {
    bool plus, minus, sharp, space, zero;
    bool has_width, has_precision;
    int width, precision;
    uint32_t verb;
} Directive;

static void print_value(Buf *out, const Directive *d, TmplValue v, int depth);

static void pad(Buf *out, const Directive *d, Str s, bool zero) {
    size_t width = d->has_width ? (size_t)d->width : 0;
    size_t have = width ? utf8_count(s) : 0;
    size_t fill = width > have ? width - have : 0;
    if (d->minus) {
        buf_add_str(out, s);
    }
    bool sign = zero && !d->minus && s.n && (s.p[0] == '-' || s.p[0] == '+' || s.p[0] == ' ');
    if (sign) {
        buf_add_char(out, s.p[0]);
        s = str_from(s, 1);
    }
    for (size_t i = 0; i < fill; i++) {
        buf_add_char(out, zero && !d->minus ? '0' : ' ');
    }
    if (!d->minus) {
        buf_add_str(out, s);
    }
}

static void print_bad(Buf *out, uint32_t verb, TmplValue v) {
    char utf8[4];
    buf_add_cstr(out, "%!");
    buf_add(out, utf8, utf8_encode(verb, utf8));
    buf_add_char(out, '(');
    if (v.kind == TMPL_NIL) {
        buf_add_cstr(out, "<nil>");
    } else {
        buf_addf(out, "%s=", tmpl_type_name(v));
        gofmt_value(out, v);
    }
    buf_add_char(out, ')');
}

/* %+q: everything beyond ASCII escaped. */
static void quote_ascii(Buf *out, Str s) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(out->max ? out->max : TMPL_BYTES_MAX);
    go_quote(&b, s);
    for (size_t at = 0, n; at < b.n; at += n) {
        uint32_t c = utf8_decode(str_n(b.p + at, b.n - at), &n);
        if (c < 0x80) {
            buf_add_char(out, (char)c);
        } else {
            buf_addf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        }
    }
}

/* 'x', from the form in double quotes. */
static void quote_rune(Buf *out, uint32_t rune) {
    char utf8[4];
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    go_quote(&b, str_n(utf8, utf8_encode(rune, utf8)));
    Str inner = str_n(b.p + 1, b.n - 2);
    buf_add_char(out, '\'');
    if (rune == '\'') {
        buf_add_cstr(out, "\\'");
    } else {
        buf_add_str(out, rune == '"' ? STR("\"") : inner);
    }
    buf_add_char(out, '\'');
}

/* ---- numbers */

static void add_sign(Buf *b, const Directive *d) {
    if (d->plus) {
        buf_add_char(b, '+');
    } else if (d->space) {
        buf_add_char(b, ' ');
    }
}

static void add_digits(Buf *b, uint64_t u, unsigned base, bool upper, int min) {
    char tmp[80];
    int n = 0;
    do {
        tmp[n++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
        u /= base;
    } while (u);
    for (; n < min && min <= 1000000; min--) {
        buf_add_char(b, '0');
    }
    while (n) {
        buf_add_char(b, tmp[--n]);
    }
}

static void print_int_base(Buf *out, const Directive *d, int64_t i, unsigned base) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(out->max ? out->max : TMPL_BYTES_MAX);
    bool upper = d->verb == 'X';
    if (i < 0) {
        buf_add_char(&b, '-');
    } else {
        add_sign(&b, d);
    }
    if (d->sharp && base == 16) {
        buf_add_cstr(&b, upper ? "0X" : "0x");
    } else if ((d->sharp && base == 8) || d->verb == 'O') {
        buf_add_cstr(&b, d->verb == 'O' ? "0o" : "0");
    } else if (d->sharp && base == 2) {
        buf_add_cstr(&b, "0b");
    }
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    if (!(d->has_precision && d->precision == 0 && u == 0)) {
        add_digits(&b, u, base, upper, d->has_precision ? d->precision : 0);
    }
    pad(out, d, buf_str(&b), d->zero && !d->has_precision);
}

static void print_int(Buf *out, const Directive *d, TmplValue v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64);
    char utf8[4];
    switch (d->verb) {
    case 'v':
    case 'd': print_int_base(out, d, v.i, 10); return;
    case 'b': print_int_base(out, d, v.i, 2); return;
    case 'o':
    case 'O': print_int_base(out, d, v.i, 8); return;
    case 'x':
    case 'X': print_int_base(out, d, v.i, 16); return;
    case 'c': pad(out, d, str_n(utf8, utf8_encode((uint32_t)v.i, utf8)), false); return;
    case 'q': quote_rune(&b, (uint32_t)v.i); break;
    case 'U': buf_addf(&b, "U+%04X", (unsigned)v.i); break;
    default: print_bad(out, d->verb, v); return;
    }
    pad(out, d, buf_str(&b), false);
}

static void float_digits(Buf *b, const Directive *d, double f) {
    bool general = d->verb == 'v' || d->verb == 'g' || d->verb == 'G';
    if (general && !d->has_precision) {
        number_format_g(b, f);
        return;
    }
    char format[] = {'%', '.', '*', 'f', 0};
    format[3] = d->verb == 'v' ? 'g' : d->verb == 'F' ? 'f' : (char)d->verb;
    char tmp[1600];
    int n = snprintf(tmp, sizeof(tmp), format, MIN(d->has_precision ? d->precision : 6, 1200), f);
    buf_add(b, tmp, (size_t)MAX(n, 0));
}

static void print_float(Buf *out, const Directive *d, TmplValue v) {
    if (d->verb > 127 || d->verb == 0 || !strchr("veEfFgG", (int)d->verb)) {
        print_bad(out, d->verb, v);
        return;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    if (isnan(v.f)) {
        add_sign(&b, d);
        buf_add_cstr(&b, "NaN");
    } else if (isinf(v.f)) {
        buf_add_cstr(&b, v.f < 0 ? "-Inf" : d->space && !d->plus ? " Inf" : "+Inf");
    } else {
        if (!signbit(v.f)) {
            add_sign(&b, d);
        }
        float_digits(&b, d, v.f);
    }
    if (d->verb == 'G' && !d->has_precision) {
        for (size_t i = 0; i < b.n; i++) {
            b.p[i] = b.p[i] == 'e' ? 'E' : b.p[i];
        }
    }
    pad(out, d, buf_str(&b), d->zero && isfinite(v.f));
}

/* ---- strings */

static Str cut_runes(const Directive *d, Str s) {
    size_t at = 0, n;
    for (int i = 0; d->has_precision && i < d->precision && at < s.n; i++) {
        (void)utf8_decode(str_from(s, at), &n);
        at += n;
    }
    return d->has_precision ? str_upto(s, at) : s;
}

static void hex_bytes(Buf *b, const Directive *d, Str s) {
    if (d->has_precision) {
        s = str_upto(s, MIN(s.n, (size_t)d->precision));
    }
    for (size_t i = 0; i < s.n; i++) {
        if (i && d->space) {
            buf_add_char(b, ' ');
        }
        if (d->sharp && (i == 0 || d->space)) {
            buf_add_cstr(b, d->verb == 'x' ? "0x" : "0X");
        }
        buf_addf(b, d->verb == 'x' ? "%02x" : "%02X", (unsigned char)s.p[i]);
    }
}

static void print_string(Buf *out, const Directive *d, TmplValue v, Str s) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(out->max ? out->max : TMPL_BYTES_MAX);
    switch (d->verb) {
    case 'v':
        if (!d->sharp) {
            pad(out, d, cut_runes(d, s), d->zero);
            return;
        }
        go_quote(&b, s);
        break;
    case 's': pad(out, d, cut_runes(d, s), d->zero); return;
    case 'x':
    case 'X': hex_bytes(&b, d, s); break;
    case 'q':
        if (d->plus) {
            quote_ascii(&b, cut_runes(d, s));
        } else {
            go_quote(&b, cut_runes(d, s));
        }
        break;
    default: print_bad(out, d->verb, v); return;
    }
    pad(out, d, buf_str(&b), false);
    out->failed |= b.failed;
}

/* ---- composites */

static void print_list(Buf *out, const Directive *d, TmplValue v, int depth) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < v.list.n && !out->failed; i++) {
        if (i) {
            buf_add_char(out, ' ');
        }
        print_value(out, d, v.list.v[i], depth + 1);
    }
    buf_add_char(out, ']');
}

static void print_map(Buf *out, const Directive *d, TmplValue v, int depth) {
    buf_add_cstr(out, "map[");
    for (size_t i = 0; i < v.map.n && !out->failed; i++) {
        if (i) {
            buf_add_char(out, ' ');
        }
        print_value(out, d, tmpl_string(v.map.v[i].key), depth + 1);
        buf_add_char(out, ':');
        print_value(out, d, v.map.v[i].value, depth + 1);
    }
    buf_add_char(out, ']');
}

static void print_object(Buf *out, const Directive *d, TmplValue v, int depth) {
    buf_add_cstr(out, v.type->pointer && depth == 0 ? "&{" : "{");
    bool first = true;
    for (size_t i = 0; i < v.type->n; i++) {
        const TmplMember *m = &v.type->members[i];
        TmplValue field;
        if (m->sig || m->fn(NULL, &v, 1, &field) < 0) {
            continue;
        }
        if (!first) {
            buf_add_char(out, ' ');
        }
        first = false;
        print_value(out, d, field, depth + 1);
    }
    buf_add_char(out, '}');
}

static void print_bool(Buf *out, const Directive *d, TmplValue v) {
    if (d->verb == 't' || d->verb == 'v') {
        pad(out, d, v.b ? STR("true") : STR("false"), d->zero);
    } else {
        print_bad(out, d->verb, v);
    }
}

/* Times and durations print through their String() method where a string will do. */
static void print_stringer(Buf *out, const Directive *d, TmplValue v) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    if (v.kind == TMPL_DURATION && (d->verb == 'd' || d->verb == 'b' || d->verb == 'o')) {
        print_int(out, d, v);
        return;
    }
    if (v.kind == TMPL_DURATION) {
        goduration_format(&b, v.i);
    } else {
        gotime_string(&b, v.time);
    }
    print_string(out, d, v, buf_str(&b));
}

static void print_value(Buf *out, const Directive *d, TmplValue v, int depth) {
    if (depth > DEPTH_MAX) {
        out->failed = true;
        return;
    }
    if (v.type && v.type->string && (d->verb == 'v' || d->verb == 's' || d->verb == 'q')) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(TMPL_BYTES_MAX);
        v.type->string(&b, &v);
        print_string(out, d, v, buf_str(&b));
        return;
    }
    switch (v.kind) {
    case TMPL_NIL:
        if (d->verb == 'v') {
            pad(out, d, STR("<nil>"), false);
        } else {
            print_bad(out, d->verb, v);
        }
        break;
    case TMPL_BOOL: print_bool(out, d, v); break;
    case TMPL_INT: print_int(out, d, v); break;
    case TMPL_FLOAT: print_float(out, d, v); break;
    case TMPL_STRING: print_string(out, d, v, v.s); break;
    case TMPL_LIST: print_list(out, d, v, depth); break;
    case TMPL_MAP: print_map(out, d, v, depth); break;
    case TMPL_OBJECT: print_object(out, d, v, depth); break;
    case TMPL_TIME:
    case TMPL_DURATION: print_stringer(out, d, v); break;
    }
}

void gofmt_value(Buf *out, TmplValue v) { print_value(out, &(Directive){.verb = 'v'}, v, 0); }

void gofmt_print(Buf *out, const TmplValue *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i && v[i].kind != TMPL_STRING && v[i - 1].kind != TMPL_STRING) {
            buf_add_char(out, ' ');
        }
        gofmt_value(out, v[i]);
    }
}

void gofmt_println(Buf *out, const TmplValue *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i) {
            buf_add_char(out, ' ');
        }
        gofmt_value(out, v[i]);
    }
    buf_add_char(out, '\n');
}

/* ---- directives */

typedef struct Printer {
    Buf *out;
    Str rest;
    const TmplValue *v;
    size_t n, at;
    bool reordered, bad_index;
} Printer;

static bool take_char(Printer *p, char c) {
    if (p->rest.n && p->rest.p[0] == c) {
        p->rest = str_from(p->rest, 1);
        return true;
    }
    return false;
}

static bool take_int(Printer *p, int *ret) {
    size_t n = 0;
    int64_t v = 0;
    while (n < p->rest.n && p->rest.p[n] >= '0' && p->rest.p[n] <= '9') {
        v = v * 10 + (p->rest.p[n++] - '0');
        v = MIN(v, WIDTH_MAX + 1);
    }
    p->rest = str_from(p->rest, n);
    *ret = (int)v;
    return n > 0 && v <= WIDTH_MAX;
}

static bool take_index(Printer *p) {
    if (!take_char(p, '[')) {
        return false;
    }
    int i;
    bool ok = take_int(p, &i) && take_char(p, ']') && i >= 1 && (size_t)i <= p->n;
    if (ok) {
        p->at = (size_t)i - 1;
    }
    p->reordered = true;
    p->bad_index |= !ok;
    return true;
}

static bool take_star(Printer *p, int *ret, const char *bad) {
    bool ok = p->at < p->n && p->v[p->at].kind == TMPL_INT && p->v[p->at].i >= -WIDTH_MAX &&
              p->v[p->at].i <= WIDTH_MAX;
    *ret = ok ? (int)p->v[p->at].i : 0;
    p->at += p->at < p->n;
    if (!ok) {
        buf_add_cstr(p->out, bad);
    }
    return ok;
}

static void take_flags(Printer *p, Directive *d) {
    for (;;) {
        if (take_char(p, '#')) {
            d->sharp = true;
        } else if (take_char(p, '0')) {
            d->zero = true;
        } else if (take_char(p, '+')) {
            d->plus = true;
        } else if (take_char(p, '-')) {
            d->minus = true;
        } else if (take_char(p, ' ')) {
            d->space = true;
        } else {
            return;
        }
    }
}

static void take_sizes(Printer *p, Directive *d) {
    (void)take_index(p);
    if (take_char(p, '*')) {
        d->has_width = take_star(p, &d->width, "%!(BADWIDTH)");
        if (d->has_width && d->width < 0) {
            d->width = -d->width;
            d->minus = true;
        }
    } else {
        d->has_width = take_int(p, &d->width);
    }
    if (take_char(p, '.')) {
        (void)take_index(p);
        if (take_char(p, '*')) {
            d->has_precision = take_star(p, &d->precision, "%!(BADPREC)") && d->precision >= 0;
        } else {
            (void)take_int(p, &d->precision);
            d->has_precision = true;
        }
    }
    (void)take_index(p);
}

static void print_verb(Printer *p, Directive *d) {
    char utf8[4];
    Str verb = str_n(utf8, utf8_encode(d->verb, utf8));
    if (d->verb == '%') {
        buf_add_char(p->out, '%');
    } else if (p->bad_index) {
        buf_addf(p->out, "%%!%.*s(BADINDEX)", SA(verb));
    } else if (p->at >= p->n) {
        buf_addf(p->out, "%%!%.*s(MISSING)", SA(verb));
    } else if (d->verb == 'T') {
        pad(p->out, d, str_of(tmpl_type_name(p->v[p->at++])), false);
    } else {
        print_value(p->out, d, p->v[p->at++], 0);
    }
}

static void print_extra(Printer *p) {
    buf_add_cstr(p->out, "%!(EXTRA ");
    for (size_t i = p->at; i < p->n; i++) {
        buf_add_cstr(p->out, i > p->at ? ", " : "");
        if (p->v[i].kind == TMPL_NIL) {
            buf_add_cstr(p->out, "<nil>");
            continue;
        }
        buf_addf(p->out, "%s=", tmpl_type_name(p->v[i]));
        gofmt_value(p->out, p->v[i]);
    }
    buf_add_char(p->out, ')');
}

void gofmt_printf(Buf *out, Str format, const TmplValue *v, size_t n) {
    Printer p = {.out = out, .rest = format, .v = v, .n = n};
    while (p.rest.n && !out->failed) {
        size_t text = str_find(p.rest, '%');
        buf_add_str(out, str_upto(p.rest, text));
        p.rest = str_from(p.rest, text);
        if (!take_char(&p, '%')) {
            break;
        }
        Directive d = {0};
        p.bad_index = false;
        take_flags(&p, &d);
        take_sizes(&p, &d);
        if (!p.rest.n) {
            buf_add_cstr(out, "%!(NOVERB)");
            break;
        }
        size_t size;
        d.verb = utf8_decode(p.rest, &size);
        p.rest = str_from(p.rest, size);
        d.plus = d.plus && d.verb != 'v'; /* %+v is about field names */
        print_verb(&p, &d);
    }
    if (!p.reordered && p.at < n) {
        print_extra(&p);
    }
}
