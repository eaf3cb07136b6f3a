/*
 * Digits come from std::to_chars (shortest that round-trips) and std::from_chars; the layouts
 * around them (where the point goes, when an exponent is written) are Go's strconv.
 */
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

extern "C" {
#include "base/numtext.h"
}

namespace {

/* Go's math.NaN(): the quiet NaN with the lowest payload bit set. */
constexpr uint64_t NAN_BITS = 0x7ff8000000000001u;
constexpr uint64_t EXACT_MANTISSA_MAX = uint64_t{1} << 53;
constexpr double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                             1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int POWER_MAX = 22;
/* Exponents are cut off here: far outside of double's range, far inside of int's. */
constexpr int64_t EXPONENT_MAX = 100000000;

double nan_canonical() {
    double v;
    std::memcpy(&v, &NAN_BITS, sizeof(v));
    return v;
}

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

bool equals_nocase(const char *p, size_t n, const char *lower) {
    for (size_t i = 0; i < n; i++) {
        if (!lower[i] || (p[i] | 0x20) != lower[i]) {
            return false;
        }
    }
    return lower[n] == '\0';
}

/* Inf and NaN; only an infinity may carry a sign. */
bool parse_special(Str s, double *ret) {
    bool sign = s.n && (s.p[0] == '+' || s.p[0] == '-');
    const char *p = s.p + sign;
    size_t n = s.n - sign;
    if (equals_nocase(p, n, "inf") || equals_nocase(p, n, "infinity")) {
        *ret = sign && s.p[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (!sign && equals_nocase(p, n, "nan")) {
        *ret = nan_canonical();
        return true;
    }
    return false;
}

/* What one walk over a decimal number finds out. */
struct Decimal {
    uint64_t mantissa; /* of the first 19 significant digits */
    int64_t exponent;  /* value = mantissa * 10^exponent, if all digits fitted */
    int64_t magnitude; /* decimal exponent of the leading digit; for what overflows */
    bool cut;          /* more than 19 significant digits */
};

inline const char *scan_digits(const char *p, const char *end, Decimal *d, int *significant) {
    for (; p < end && is_digit(*p); p++) {
        if (*significant < 19) {
            d->mantissa = d->mantissa * 10 + static_cast<uint64_t>(*p - '0');
            *significant += d->mantissa != 0;
        } else {
            d->cut = true;
            d->exponent++;
            ++*significant;
        }
    }
    return p;
}

bool scan_exponent(const char *p, const char *end, int64_t *ret) {
    bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    if (p == end) {
        return false;
    }
    int64_t e = 0;
    for (; p < end && is_digit(*p); p++) {
        e = e < EXPONENT_MAX ? e * 10 + (*p - '0') : e;
    }
    *ret = negative ? -e : e;
    return p == end;
}

/* digits [. digits] [e [sign] digits], all of p..end. */
inline bool scan_decimal(const char *p, const char *end, Decimal *d) {
    *d = {};
    int significant = 0;
    const char *start = p;
    p = scan_digits(p, end, d, &significant);
    size_t digits = static_cast<size_t>(p - start);
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = scan_digits(p, end, d, &significant);
        digits += static_cast<size_t>(p - fraction);
        /* Dropped digits raised the exponent by one each, which this takes back. */
        d->exponent -= p - fraction;
    }
    if (!digits) {
        return false;
    }
    if (p < end) {
        int64_t e;
        if ((*p | 0x20) != 'e' || !scan_exponent(p + 1, end, &e)) {
            return false;
        }
        d->exponent += e;
    }
    int kept = significant < 19 ? significant : 19;
    d->magnitude = d->exponent + kept - 1;
    return true;
}

/* The general way, for numbers whose product would not be exact. */
bool parse_slow(const char *p, const char *end, const Decimal &d, double *ret) {
    auto r = std::from_chars(p, end, *ret);
    if (r.ec == std::errc::result_out_of_range) {
        bool over = d.mantissa != 0 && d.magnitude > 0;
        *ret = over ? HUGE_VAL : 0.0;
        return !over;
    }
    if (r.ec != std::errc() || r.ptr != end) {
        return false;
    }
    return !std::isinf(*ret);
}

/* ---- layouts ---- */

/* Shortest digits of a finite number: d1 d2 ... dn with the point behind the first, times
 * 10^exponent. */
struct Digits {
    char text[24];
    int n;
    int exponent;
    bool negative;
};

Digits shortest_digits(double v) {
    Digits d;
    d.negative = std::signbit(v);
    char t[32];
    auto r = std::to_chars(t, t + sizeof(t), std::fabs(v), std::chars_format::scientific);
    const char *p = t;
    d.n = 0;
    for (; p < r.ptr && *p != 'e'; p++) {
        if (*p != '.') {
            d.text[d.n++] = *p;
        }
    }
    int e = 0;
    bool minus = p[1] == '-';
    for (p += 2; p < r.ptr; p++) {
        e = e * 10 + (*p - '0');
    }
    d.exponent = minus ? -e : e;
    return d;
}

void add_zeros(Buf *b, int n) {
    static const char zeros[] = "00000000000000000000000000000000";
    for (; n > 0; n -= 32) {
        buf_add(b, zeros, static_cast<size_t>(n < 32 ? n : 32));
    }
}

void add_plain(Buf *b, const Digits &d) {
    if (d.negative) {
        buf_add_char(b, '-');
    }
    if (d.exponent < 0) {
        buf_add(b, "0.", 2);
        add_zeros(b, -d.exponent - 1);
        buf_add(b, d.text, static_cast<size_t>(d.n));
        return;
    }
    int whole = d.exponent + 1;
    if (d.n <= whole) {
        buf_add(b, d.text, static_cast<size_t>(d.n));
        add_zeros(b, whole - d.n);
        return;
    }
    buf_add(b, d.text, static_cast<size_t>(whole));
    buf_add_char(b, '.');
    buf_add(b, d.text + whole, static_cast<size_t>(d.n - whole));
}

void add_exponent(Buf *b, const Digits &d) {
    if (d.negative) {
        buf_add_char(b, '-');
    }
    buf_add_char(b, d.text[0]);
    if (d.n > 1) {
        buf_add_char(b, '.');
        buf_add(b, d.text + 1, static_cast<size_t>(d.n - 1));
    }
    buf_addf(b, "e%c%02d", d.exponent < 0 ? '-' : '+', std::abs(d.exponent));
}

bool add_special(Buf *b, double v) {
    if (std::isnan(v)) {
        buf_add(b, "NaN", 3);
    } else if (std::isinf(v)) {
        buf_add(b, v > 0 ? "+Inf" : "-Inf", 4);
    } else {
        return false;
    }
    return true;
}

/* Integers up to 2^53 are most of what is printed, and their shortest digits are all of them. */
bool add_small_integer(Buf *b, double v, double limit) {
    if (!(std::fabs(v) < limit)) {
        return false;
    }
    int64_t i = static_cast<int64_t>(v);
    if (static_cast<double>(i) != v || (i == 0 && std::signbit(v))) {
        return false;
    }
    char t[24];
    auto r = std::to_chars(t, t + sizeof(t), i);
    buf_add(b, t, static_cast<size_t>(r.ptr - t));
    return true;
}

/* Go takes 6 for the precision of %g when it prints the shortest digits. */
constexpr int G_EXPONENT_MIN = 6;
constexpr double PLAIN_INTEGER_LIMIT = 9007199254740992.0; /* 2^53 */

} // namespace

extern "C" {

bool number_parse(Str s, double *ret) {
    const char *p = s.p, *end = s.p + s.n;
    bool negative = false;
    if (p < end && (*p == '-' || *p == '+')) {
        negative = *p++ == '-';
    }
    Decimal d;
    if (!scan_decimal(p, end, &d)) {
        return parse_special(s, ret);
    }
    double v;
    bool ok = true;
    /* Both factors are exact doubles, so one rounding gives the right result (Clinger 1990). */
    if (!d.cut && d.mantissa <= EXACT_MANTISSA_MAX && d.exponent >= -POWER_MAX &&
        d.exponent <= POWER_MAX) {
        v = static_cast<double>(d.mantissa);
        v = d.exponent < 0 ? v / POWERS[-d.exponent] : v * POWERS[d.exponent];
    } else if (d.mantissa == 0) {
        v = 0;
    } else {
        v = 0;
        ok = parse_slow(p, end, d, &v);
    }
    *ret = negative ? -v : v;
    return ok;
}

} // extern "C"

namespace {

/* Go's rule: an underscore stands between two digits, or between a base prefix and a digit. */
bool underscores_ok(Str s) {
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    char last = '^';
    bool hex = false;
    if (s.n - i >= 2 && s.p[i] == '0' && std::strchr("box", s.p[i + 1] | 0x20)) {
        hex = (s.p[i + 1] | 0x20) == 'x';
        last = '0';
        i += 2;
    }
    for (; i < s.n; i++) {
        char c = s.p[i];
        if (is_digit(c) || (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f')) {
            last = '0';
        } else if (c == '_') {
            if (last != '0') {
                return false;
            }
            last = '_';
        } else {
            if (last == '_') {
                return false;
            }
            last = '!';
        }
    }
    return last != '_';
}

/* 0x digits [. digits] p exponent: the exponent is not optional in Go. */
bool hex_syntax_ok(const std::string &t) {
    size_t i = t.size() && (t[0] == '-' || t[0] == '+');
    i += 2;
    size_t digits = 0, points = 0;
    for (; i < t.size() && (std::isxdigit(static_cast<unsigned char>(t[i])) || t[i] == '.'); i++) {
        points += t[i] == '.';
        digits += t[i] != '.';
    }
    if (!digits || points > 1 || i >= t.size() || (t[i] | 0x20) != 'p') {
        return false;
    }
    int64_t e;
    return scan_exponent(t.data() + i + 1, t.data() + t.size(), &e);
}

bool is_hex(Str s) {
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    return s.n >= i + 2 && s.p[i] == '0' && (s.p[i + 1] | 0x20) == 'x';
}

} // namespace

extern "C" {

bool number_parse_go(Str s, double *ret) {
    bool underscore = s.n && std::memchr(s.p, '_', s.n);
    if (!underscore && !is_hex(s)) {
        return number_parse(s, ret);
    }
    if (underscore && !underscores_ok(s)) {
        return false;
    }
    std::string t;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            t.push_back(s.p[i]);
        }
    }
    if (!is_hex(s)) {
        return number_parse(Str{t.data(), t.size()}, ret);
    }
    if (!hex_syntax_ok(t)) {
        return false;
    }
    *ret = std::strtod(t.c_str(), nullptr);
    return !std::isinf(*ret);
}

bool int_parse(Str s, int64_t *ret) {
    if (s.n && s.p[0] == '+') {
        s.p++, s.n--;
        if (s.n && s.p[0] == '-') {
            return false;
        }
    }
    int64_t v;
    auto r = std::from_chars(s.p, s.p + s.n, v);
    if (r.ec != std::errc() || r.ptr != s.p + s.n) {
        return false;
    }
    *ret = v;
    return true;
}

bool uint_parse(Str s, uint64_t *ret) {
    uint64_t v;
    auto r = std::from_chars(s.p, s.p + s.n, v);
    if (r.ec != std::errc() || r.ptr != s.p + s.n) {
        return false;
    }
    *ret = v;
    return true;
}

void number_format_plain(Buf *b, double v) {
    if (!add_special(b, v) && !add_small_integer(b, v, PLAIN_INTEGER_LIMIT)) {
        add_plain(b, shortest_digits(v));
    }
}

void number_format_json(Buf *b, double v) {
    if (add_special(b, v) || add_small_integer(b, v, PLAIN_INTEGER_LIMIT)) {
        return;
    }
    double a = std::fabs(v);
    Digits d = shortest_digits(v);
    if (a != 0 && (a < 1e-6 || a >= 1e21)) {
        add_exponent(b, d);
    } else {
        add_plain(b, d);
    }
}

void number_format_g(Buf *b, double v) {
    if (add_special(b, v)) {
        return;
    }
    Digits d = shortest_digits(v);
    if (d.exponent < -4 || d.exponent >= G_EXPONENT_MIN) {
        add_exponent(b, d);
    } else {
        add_plain(b, d);
    }
}

void number_format_e(Buf *b, double v) {
    if (!add_special(b, v)) {
        add_exponent(b, shortest_digits(v));
    }
}

void number_format_precision(Buf *b, double v, int precision) {
    if (add_special(b, v)) {
        return;
    }
    char t[512];
    int p = precision < 1 ? 1 : precision > 400 ? 400 : precision;
    auto r = std::to_chars(t, t + sizeof(t), v, std::chars_format::general, p);
    buf_add(b, t, static_cast<size_t>(r.ptr - t));
}

void time_format_seconds(Buf *b, int64_t ms) {
    uint64_t u = static_cast<uint64_t>(ms);
    if (ms < 0) {
        buf_add_char(b, '-');
        u = 0 - u;
    }
    char t[32];
    auto r = std::to_chars(t, t + sizeof(t), u / 1000);
    unsigned fraction = static_cast<unsigned>(u % 1000);
    if (fraction) {
        *r.ptr++ = '.';
        *r.ptr++ = static_cast<char>('0' + fraction / 100);
        *r.ptr++ = static_cast<char>('0' + fraction / 10 % 10);
        *r.ptr++ = static_cast<char>('0' + fraction % 10);
    }
    buf_add(b, t, static_cast<size_t>(r.ptr - t));
}

} // extern "C"
