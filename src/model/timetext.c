/* Points in time as text: RFC 3339 and float seconds. */
#include <math.h>

#include "base/clock.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "model/sample.h"

/* What clients send for "all of time": Go's smallest and largest time, formatted. */
#define TEXT_MIN STR("-292273086-05-16T16:47:06Z")
#define TEXT_MAX STR("+292277025-08-18T07:12:54.999999999Z")

/* Days since 1970-01-01 in the proleptic Gregorian calendar, and back. Years begin in March here so
 * that the leap day is the last one. Source: H. Hinnant, chrono-Compatible Low-Level Date
 * Algorithms. */
static int64_t days_of_date(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int64_t *year, unsigned *month, unsigned *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    *month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

/* n digits at *s. */
static bool take_digits(Str *s, size_t n, unsigned *ret) {
    unsigned v = 0;
    if (s->n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(s->p[i] - '0');
    }
    *s = str_from(*s, n);
    *ret = v;
    return true;
}

static bool take_char(Str *s, char c) {
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = str_from(*s, 1);
    return true;
}

/* ".678" or ",678" as milliseconds, cut off. */
static bool take_fraction(Str *s, unsigned *ret_ms) {
    *ret_ms = 0;
    if (!take_char(s, '.') && !take_char(s, ',')) {
        return true;
    }
    unsigned scale = 100;
    size_t n = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        *ret_ms += (unsigned)(s->p[n] - '0') * scale;
        scale /= 10;
    }
    *s = str_from(*s, n);
    return n > 0;
}

static bool take_zone(Str *s, int64_t *ret_ms) {
    unsigned hours, minutes;
    *ret_ms = 0;
    if (take_char(s, 'Z')) {
        return true;
    }
    bool minus = s->n > 0 && s->p[0] == '-';
    if (!minus && !(s->n > 0 && s->p[0] == '+')) {
        return false;
    }
    *s = str_from(*s, 1);
    if (!take_digits(s, 2, &hours) || !take_char(s, ':') || !take_digits(s, 2, &minutes) ||
        hours > 24 || minutes > 59) {
        return false;
    }
    *ret_ms = (minus ? -1 : 1) * (hours * HOUR_MS + minutes * MINUTE_MS);
    return true;
}

static unsigned days_in(unsigned year, unsigned month) {
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool parse_rfc3339(Str s, int64_t *ret_ms) {
    unsigned year, month, day, hour, minute, second, ms;
    int64_t zone;
    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &day) || !take_char(&s, 'T') ||
        !take_digits(&s, 2, &hour) || !take_char(&s, ':') || !take_digits(&s, 2, &minute) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &second) || !take_fraction(&s, &ms) ||
        !take_zone(&s, &zone) || s.n > 0) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || second > 59) {
        return false;
    }
    *ret_ms = days_of_date(year, month, day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS +
              second * SECOND_MS + ms - zone;
    return true;
}

int time_parse(Str s, int64_t *ret_ms, Problem *problem) {
    double seconds;
    if (number_parse_go(s, &seconds) && isfinite(seconds)) {
        double whole, part = modf(seconds, &whole);
        double ms = whole * 1000 + round(part * 1000);
        if (ms < (double)TIME_MIN_MS || ms > (double)TIME_MAX_MS) {
            return problem_set(problem, 0, 0, "timestamp out of range: \"%.*s\"", SA(s));
        }
        *ret_ms = (int64_t)ms;
        return 0;
    }
    if (parse_rfc3339(s, ret_ms)) {
        return 0;
    }
    if (str_eq(s, TEXT_MIN) || str_eq(s, TEXT_MAX)) {
        *ret_ms = str_eq(s, TEXT_MIN) ? TIME_MIN_MS : TIME_MAX_MS;
        return 0;
    }
    return problem_set(problem, 0, 0, "cannot parse \"%.*s\" to a valid timestamp", SA(s));
}

void time_format_rfc3339(Buf *b, int64_t ms) {
    int64_t days = ms / DAY_MS, rest = ms % DAY_MS, year;
    unsigned month, day;
    if (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    date_of_days(days, &year, &month, &day);
    unsigned fraction = (unsigned)(rest % SECOND_MS);
    unsigned second = (unsigned)(rest / SECOND_MS);
    buf_addf(b, "%s%04lld-%02u-%02uT%02u:%02u:%02u", year < 0 ? "-" : "",
             (long long)(year < 0 ? -year : year), month, day, second / 3600, second / 60 % 60,
             second % 60);
    if (fraction) {
        int digits = fraction % 100 == 0 ? 1 : fraction % 10 == 0 ? 2 : 3;
        buf_addf(b, ".%0*u", digits, digits == 3 ? fraction : fraction / (digits == 2 ? 10 : 100));
    }
    buf_add_char(b, 'Z');
}
