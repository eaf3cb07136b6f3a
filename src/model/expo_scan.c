#include "model/expo_scan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/gotext.h"
#include "base/numtext.h"
#include "base/utf8.h"

/* ---- strings and names */

const char *expo_metric_name_end(const char *at, const char *end) {
    const char *start = at;
    while (at < end && (expo_is_letter(*at) || *at == ':' || (at > start && expo_is_digit(*at)))) {
        at++;
    }
    return at;
}

static const char *label_name_end(const char *at, const char *end) {
    const char *start = at;
    while (at < end && (expo_is_letter(*at) || (at > start && expo_is_digit(*at)))) {
        at++;
    }
    return at;
}

const char *expo_string_end(const char *at, const char *end, bool one_line) {
    for (at++; at < end; at++) {
        if (*at == '"') {
            return at + 1;
        }
        if (*at == '\n' && one_line) {
            return NULL;
        }
        if (*at == '\\' && (++at == end || *at == '\n')) {
            return NULL;
        }
    }
    return NULL;
}

static bool text_valid(Str s) {
    size_t i = 0;
    for (uint64_t word; i + 8 <= s.n; i += 8) {
        memcpy(&word, s.p + i, 8);
        if (word & UINT64_C(0x8080808080808080)) {
            return utf8_valid(s);
        }
    }
    for (; i < s.n; i++) {
        if (s.p[i] & 0x80) {
            return utf8_valid(s);
        }
    }
    return true;
}

static PairKind bad(PairScan *s, const char *at, const char *wanted) {
    s->at = at;
    s->wanted = wanted;
    return PAIR_BAD;
}

static const char *skip(const PairScan *s, const char *at) {
    return s->strict ? at : expo_skip_blanks(at, s->end);
}

/* The text between the quotes of a string that ends before `end`. */
static Str inside(const char *start, const char *end) {
    return (Str){start + 1, (size_t)(end - start) - 2};
}

PairKind pair_next(PairScan *s, Str *name, Str *value) {
    const char *at = skip(s, s->at), *start = at;
    if (at < s->end && *at == '}') {
        s->at = at + 1;
        return PAIR_END;
    }
    bool quoted = at < s->end && *at == '"';
    at = quoted ? expo_string_end(at, s->end, s->exemplar) : label_name_end(at, s->end);
    if (!at) {
        return bad(s, start, "a label name that ends with a quote");
    }
    if (at == start) {
        return bad(s, at, "a label name or \"}\"");
    }
    *name = quoted ? inside(start, at) : (Str){start, (size_t)(at - start)};
    at = skip(s, at);
    if (quoted && !s->exemplar && at < s->end && (*at == ',' || *at == '}')) {
        s->at = at + (*at == ',');
        return PAIR_METRIC;
    }
    if (at == s->end || *at != '=') {
        return bad(s, at, "\"=\" after the label name");
    }
    start = at = skip(s, at + 1);
    if (at == s->end || *at != '"') {
        return bad(s, at, "a quoted label value after \"=\"");
    }
    at = expo_string_end(start, s->end, s->strict);
    if (!at) {
        return bad(s, start, "a label value that ends with a quote");
    }
    *value = inside(start, at);
    if (!text_valid(*value)) {
        return bad(s, start, "a label value in valid UTF-8");
    }
    at = skip(s, at);
    if (at < s->end && *at == ',') {
        at++;
    } else if (s->strict && (at == s->end || *at != '}')) {
        return bad(s, at, "\",\" or \"}\" after the label value");
    }
    s->at = at;
    return PAIR_LABEL;
}

/* ---- numbers */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* e+07 and the like behind a mantissa. */
static const char *short_exponent(const char *at, const char *end, int *ret) {
    bool minus = at < end && *at == '-';
    int exponent = 0;
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    const char *digits = at;
    for (; at < end && expo_is_digit(*at); at++) {
        if (at - digits >= 3) {
            return NULL;
        }
        exponent = exponent * 10 + (*at - '0');
    }
    *ret = minus ? -exponent : exponent;
    return at > digits ? at : NULL;
}

/*
 * A mantissa below 2^53 and a power of ten up to 22 are both exact doubles, so that one
 * multiplication or division rounds once, which is the correct result. Source: W. D. Clinger, "How
 * to Read Floating Point Numbers Accurately", 1990.
 */
const char *expo_short_number(const char *at, const char *end, double *ret) {
    bool minus = at < end && *at == '-';
    at += minus;
    const char *start = at, *point = NULL;
    uint64_t mantissa = 0;
    for (; at < end; at++) {
        if (expo_is_digit(*at)) {
            mantissa = mantissa * 10 + (uint64_t)(*at - '0');
        } else if (*at == '.' && !point) {
            point = at;
        } else {
            break;
        }
    }
    size_t digits = (size_t)(at - start) - (point != NULL);
    int exponent = 0;
    if (digits == 0 || digits > 18 || mantissa > (UINT64_C(1) << 53)) {
        return NULL;
    }
    int fraction = point ? (int)(at - point) - 1 : 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = short_exponent(at + 1, end, &exponent);
        if (!at) {
            return NULL;
        }
    }
    exponent -= fraction;
    if (at == end || (*at != '\n' && *at != ' ') || exponent < -22 || exponent > 22) {
        return NULL;
    }
    double v = (double)mantissa;
    v = exponent < 0 ? v / powers[-exponent] : v * powers[exponent];
    *ret = minus ? -v : v;
    return at;
}

bool expo_number(Str s, double *ret) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == 'p' || s.p[i] == 'P' || s.p[i] == '_') {
            return false;
        }
    }
    if (!number_parse(s, ret)) {
        return false;
    }
    if (isnan(*ret)) {
        *ret = normal_nan();
    }
    return true;
}

/* ---- errors */

/* Lines are counted only when one is wrong. */
static void place(ExpoParser *p, const char *at) {
    const char *line = p->body;
    int number = 1;
    for (const char *s = p->body; s < at && (s = memchr(s, '\n', (size_t)(at - s))); s++) {
        line = s + 1;
        number++;
    }
    p->problem.line = number;
    p->problem.column = (int)(at - line) + 1;
}

int expo_bad(ExpoParser *p, const char *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->problem.text, sizeof(p->problem.text), fmt, ap);
    va_end(ap);
    place(p, at);
    p->at = p->end;
    return -EBADMSG;
}

/* The word at `at`, short enough to show. */
static Str word_at(const ExpoParser *p, const char *at) {
    const char *end = at;
    while (end < p->end && *end != ' ' && *end != '\t' && *end != '\n' && end - at < 40) {
        end++;
    }
    return (Str){at, (size_t)(end - at) + (end == at)};
}

int expo_wanted(ExpoParser *p, const char *at, const char *wanted) {
    if (at >= p->end) {
        return expo_bad(p, p->end, "expected %s, got the end of the page", wanted);
    }
    if (*at == '\n') {
        return expo_bad(p, at, "expected %s, got the end of the line", wanted);
    }
    CLEANUP(buf_deinit) Buf quoted = BUF_INIT(0);
    go_quote(&quoted, word_at(p, at));
    return expo_bad(p, at, "expected %s, got %.*s", wanted, SA(buf_str(&quoted)));
}

/* ---- name and labels */

static int scan_braces(ExpoParser *p, bool named) {
    PairScan s = {.at = p->at + 1, .end = p->end, .strict = p->format == EXPO_OPENMETRICS};
    Str name, value;
    for (;;) {
        switch (pair_next(&s, &name, &value)) {
        case PAIR_LABEL: break;
        case PAIR_METRIC:
            if (named) {
                return expo_bad(p, name.p, "the metric name is already set, got another: \"%.*s\"",
                                SA(name));
            }
            named = true;
            break;
        case PAIR_END:
            p->at = s.at;
            return named ? 0 : expo_bad(p, s.at - 1, "expected a metric name before or inside {}");
        case PAIR_BAD: return expo_wanted(p, s.at, s.wanted);
        }
    }
}

int expo_scan_series(ExpoParser *p) {
    const char *start = p->at;
    const char *at = expo_metric_name_end(start, p->end);
    bool named = at > start;
    const char *next = p->format == EXPO_TEXT ? expo_skip_blanks(at, p->end) : at;
    p->at = at;
    if (next < p->end && *next == '{') {
        p->at = next;
        int r = scan_braces(p, named);
        if (r < 0) {
            return r;
        }
    }
    p->series = (Str){start, (size_t)(p->at - start)};
    p->text = (Str){p->lead, (size_t)(p->at - p->lead)};
    return 0;
}
