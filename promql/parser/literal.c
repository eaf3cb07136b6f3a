#include <math.h>

#include "base/gotext.h"
#include "base/numtext.h"
#include "promql/parser/parser.h"

/* ---- numbers ---- */

/* Go's ParseInt(s, 0, 64) on what the lexer calls a number: 0x.., leading-zero octal, decimal, with
 * underscores between digits. false: not an integer, or too large. */
static bool integer_parse(Str s, double *ret) {
    unsigned base = 10;
    size_t i = 0;
    uint64_t v = 0;
    bool digit_before = false;
    if (s.n > 1 && s.p[0] == '0') {
        base = (s.p[1] | 0x20) == 'x' ? 16 : 8;
        i = base == 16 ? 2 : 1;
        digit_before = true;
    }
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '_') {
            if (!digit_before)
                return false;
            digit_before = false;
            continue;
        }
        unsigned d = c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10;
        if (c < '0' || d >= base || v > ((uint64_t)INT64_MAX - d) / base)
            return false;
        v = v * base + d;
        digit_before = true;
    }
    *ret = (double)v;
    return digit_before;
}

static bool parse_number(Parser *p, const Token *t, double *ret) {
    if (integer_parse(t->text, ret) || number_parse_go(t->text, ret))
        return true;
    parse_fail(p, t->at, "error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s",
               SA(t->text), isinf(*ret) ? "value out of range" : "invalid syntax");
    return false;
}

/* ---- durations ---- */

typedef struct Unit {
    const char *text;
    int64_t ms;
} Unit;

static const Unit units[] = {
    {"y", INT64_C(365) * 86400000},
    {"w", INT64_C(7) * 86400000},
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

/* Units must get smaller from left to right. */
static bool parse_duration(Parser *p, const Token *t, int64_t *ret_ms) {
    const int64_t max_ms = INT64_MAX / 1000000;
    Str s = t->text;
    size_t i = 0, next_unit = 0;
    int64_t total = 0;
    while (i < s.n) {
        int64_t v = 0;
        for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            v = v > max_ms ? v : v * 10 + (s.p[i] - '0');
        size_t begin = i;
        while (i < s.n && (s.p[i] < '0' || s.p[i] > '9'))
            i++;
        Str unit = str_n(s.p + begin, i - begin);
        size_t u = 0;
        while (u < ARRAY_LEN(units) && !str_eqc(unit, units[u].text))
            u++;
        if (u == ARRAY_LEN(units))
            return parse_fail(p, t->at, "unknown unit \"%.*s\" in duration \"%.*s\"", SA(unit),
                              SA(s));
        if (u < next_unit)
            return parse_fail(p, t->at, "not a valid duration string: \"%.*s\"", SA(s));
        next_unit = u + 1;
        if (v > (max_ms - total) / units[u].ms)
            return parse_fail(p, t->at, "duration out of range");
        total += v * units[u].ms;
    }
    *ret_ms = total;
    return true;
}

bool parse_number_text(Parser *p, const Token *t, double *ret) {
    int64_t ms = 0;
    if (t->kind == TOK_NUMBER)
        return parse_number(p, t, ret);
    if (!parse_duration(p, t, &ms))
        return false;
    *ret = (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
    return true;
}

/* By way of nanoseconds, rounded, as Prometheus does; parts of a millisecond are cut. */
int64_t seconds_to_ms(double seconds) {
    double ns = round(seconds * 1e9);
    if (ns >= 9223372036854775807.0)
        return INT64_MAX / 1000000;
    if (ns <= -9223372036854775808.0)
        return INT64_MIN / 1000000;
    return (int64_t)ns / 1000000;
}

/* ---- strings ---- */

bool parse_string_text(Parser *p, const Token *t, Str *ret) {
    *ret = str_n(t->text.p + 1, t->text.n - 2);
    if (t->text.p[0] == '`' || str_find(*ret, '\\') == ret->n)
        return true;
    CLEANUP(buf_deinit) Buf plain = BUF_INIT(t->text.n);
    char quoted[300];
    if (!go_unescape(*ret, t->text.p[0], &plain))
        return parse_fail(p, t->at, "error unquoting string %s: invalid syntax",
                          promql_quote(t->text, quoted, sizeof(quoted)));
    char *copy = parse_alloc(p, plain.n + 1);
    if (!copy)
        return false;
    memcpy(copy, plain.p, plain.n);
    *ret = str_n(copy, plain.n);
    return true;
}
