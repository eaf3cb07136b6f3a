#include "model/duration.h"

#include <math.h>

#include "base/clock.h"
#include "base/numtext.h"

#define YEAR_MS (365 * DAY_MS)
#define WEEK_MS (7 * DAY_MS)
/* Prometheus keeps durations as nanoseconds in 64 bits. */
#define DURATION_MS_MAX (INT64_MAX / 1000000)

static const struct {
    const char *text;
    int64_t ms;
    bool only_exact; /* 90d reads better than 12w6d */
} units[] = {
    {"y", YEAR_MS, true},    {"w", WEEK_MS, true},    {"d", DAY_MS, false}, {"h", HOUR_MS, false},
    {"m", MINUTE_MS, false}, {"s", SECOND_MS, false}, {"ms", 1, false},
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The unit s begins with, or -1. */
static int unit_at(Str s) {
    if (str_starts(s, STR("ms"))) {
        return (int)ARRAY_LEN(units) - 1;
    }
    for (int i = 0; i < (int)ARRAY_LEN(units) - 1; i++) {
        if (s.n && s.p[0] == units[i].text[0]) {
            return i;
        }
    }
    return -1;
}

static int not_a_duration(Problem *problem, Str s) {
    return problem_set(problem, 0, 0, "not a valid duration string: \"%.*s\"", SA(s));
}

int duration_parse(Str s, int64_t *ret_ms, Problem *problem) {
    if (s.n == 0) {
        return problem_set(problem, 0, 0, "empty duration string");
    }
    if (str_eqc(s, "0")) {
        *ret_ms = 0;
        return 0;
    }
    int64_t total = 0;
    int last = -1;
    for (Str rest = s; rest.n > 0;) {
        size_t digits = 0;
        int64_t number = 0, part = 0;
        bool big = false;
        for (; digits < rest.n && is_digit(rest.p[digits]); digits++) {
            big |= __builtin_mul_overflow(number, 10, &number);
            big |= __builtin_add_overflow(number, rest.p[digits] - '0', &number);
        }
        Str tail = str_from(rest, digits);
        int unit = unit_at(tail);
        if (digits == 0 || unit <= last) {
            return not_a_duration(problem, s);
        }
        big |= __builtin_mul_overflow(number, units[unit].ms, &part);
        big |= __builtin_add_overflow(total, part, &total);
        if (big || total > DURATION_MS_MAX) {
            return problem_set(problem, 0, 0, "duration out of range: \"%.*s\"", SA(s));
        }
        last = unit;
        rest = str_from(tail, strlen(units[unit].text));
    }
    *ret_ms = total;
    return 0;
}

void duration_format(Buf *b, int64_t ms) {
    if (ms == 0) {
        buf_add_cstr(b, "0s");
        return;
    }
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0) {
        buf_add_char(b, '-');
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t unit = (uint64_t)units[i].ms;
        if (rest < unit || (units[i].only_exact && rest % unit != 0)) {
            continue;
        }
        buf_addf(b, "%llu%s", (unsigned long long)(rest / unit), units[i].text);
        rest %= unit;
    }
}

static const char size_prefixes[] = "BKMGTPE";

/* B, or K M G T P E with B or iB behind: the power of 1024; -1: no such unit. */
static int size_unit(Str unit) {
    if (str_eqc(unit, "B")) {
        return 0;
    }
    const char *at = unit.n ? strchr(size_prefixes + 1, unit.p[0]) : NULL;
    bool ok = at && *at && (str_eqc(str_from(unit, 1), "B") || str_eqc(str_from(unit, 1), "iB"));
    return ok ? (int)(at - size_prefixes) : -1;
}

int size_parse(Str s, uint64_t *ret_bytes, Problem *problem) {
    double total = 0;
    if (str_eqc(s, "0")) {
        *ret_bytes = 0;
        return 0;
    }
    for (Str rest = s; rest.n > 0 || s.n == 0;) {
        size_t digits = 0, letters;
        while (digits < rest.n && (is_digit(rest.p[digits]) || rest.p[digits] == '.')) {
            digits++;
        }
        for (letters = digits; letters < rest.n; letters++) {
            if (is_digit(rest.p[letters]) || rest.p[letters] == '.') {
                break;
            }
        }
        double number = 0;
        int unit = size_unit((Str){rest.p + digits, letters - digits});
        if (digits == 0 || !number_parse(str_upto(rest, digits), &number)) {
            return problem_set(problem, 0, 0,
                               "not a valid size: \"%.*s\", expected a number and a "
                               "unit, for example 512MB",
                               SA(s));
        }
        if (unit < 0) {
            return problem_set(problem, 0, 0,
                               "unknown unit in size \"%.*s\", expected one of B, KB, "
                               "MB, GB, TB, PB, EB (powers of 1024)",
                               SA(s));
        }
        total += ldexp(number, 10 * unit);
        rest = str_from(rest, letters);
    }
    if (total >= 0x1p63) {
        return problem_set(problem, 0, 0, "size out of range: \"%.*s\"", SA(s));
    }
    *ret_bytes = (uint64_t)total;
    return 0;
}

void size_format(Buf *b, uint64_t bytes) {
    if (bytes == 0) {
        buf_add_cstr(b, "0B");
    }
    for (int i = (int)sizeof(size_prefixes) - 2; i >= 0; i--) {
        unsigned long long part = (bytes >> (10 * i)) & (i == 6 ? 0xfu : 0x3ffu);
        if (part && i == 0) {
            buf_addf(b, "%lluB", part);
        } else if (part) {
            buf_addf(b, "%llu%ciB", part, size_prefixes[i]);
        }
    }
}
