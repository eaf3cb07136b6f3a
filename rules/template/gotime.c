#include "rules/template/gotime.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const DAYS[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* ---- calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms") */

int64_t gotime_days(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

typedef struct Civil {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday;
} Civil;

static Civil civil_of(const TmplTime *t) {
    int64_t local = t->sec + t->offset;
    int64_t days = local / 86400, rest = local % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    Civil c = {.day = (int)(doy - (153 * mp + 2) / 5 + 1),
               .month = (int)(mp < 10 ? mp + 3 : mp - 9)};
    c.year = yoe + era * 400 + (c.month <= 2);
    c.hour = (int)(rest / 3600);
    c.minute = (int)(rest / 60 % 60);
    c.second = (int)(rest % 60);
    c.weekday = (int)(((days % 7) + 11) % 7);
    c.yearday = (int)(days - gotime_days(c.year, 1, 1) + 1);
    return c;
}

TmplTime gotime_of_ms(int64_t ms) {
    int64_t sec = ms / 1000, rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
        sec--;
    }
    return (TmplTime){.sec = sec, .nsec = (int32_t)rest * 1000000, .zone = STR("UTC")};
}

TmplTime gotime_zero(void) { return (TmplTime){.sec = TMPL_TIME_ZERO_SEC, .zone = STR("UTC")}; }

/* ---- layouts */

typedef enum Piece {
    P_NONE,
    P_MONTH_LONG,
    P_MONTH_SHORT,
    P_MONTH_02,
    P_MONTH,
    P_WEEKDAY_LONG,
    P_WEEKDAY_SHORT,
    P_DAY,
    P_DAY_SPACE,
    P_DAY_02,
    P_YEARDAY_SPACE,
    P_YEARDAY_002,
    P_HOUR,
    P_HOUR12,
    P_HOUR12_02,
    P_MINUTE,
    P_MINUTE_02,
    P_SECOND,
    P_SECOND_02,
    P_YEAR,
    P_YEAR_02,
    P_PM,
    P_PM_LOWER,
    P_ZONE,
    P_OFFSET,
} Piece;

/* Longer ones first where one begins another. */
static const struct {
    const char *text;
    Piece piece;
} PIECES[] = {
    {"January", P_MONTH_LONG},
    {"Jan", P_MONTH_SHORT},
    {"Monday", P_WEEKDAY_LONG},
    {"Mon", P_WEEKDAY_SHORT},
    {"MST", P_ZONE},
    {"002", P_YEARDAY_002},
    {"01", P_MONTH_02},
    {"02", P_DAY_02},
    {"03", P_HOUR12_02},
    {"04", P_MINUTE_02},
    {"05", P_SECOND_02},
    {"06", P_YEAR_02},
    {"15", P_HOUR},
    {"1", P_MONTH},
    {"2006", P_YEAR},
    {"2", P_DAY},
    {"__2", P_YEARDAY_SPACE},
    {"_2", P_DAY_SPACE},
    {"3", P_HOUR12},
    {"4", P_MINUTE},
    {"5", P_SECOND},
    {"PM", P_PM},
    {"pm", P_PM_LOWER},
    {"-07:00:00", P_OFFSET},
    {"-07:00", P_OFFSET},
    {"-070000", P_OFFSET},
    {"-0700", P_OFFSET},
    {"-07", P_OFFSET},
    {"Z07:00:00", P_OFFSET},
    {"Z07:00", P_OFFSET},
    {"Z070000", P_OFFSET},
    {"Z0700", P_OFFSET},
    {"Z07", P_OFFSET},
};

static void format_offset(Buf *b, const TmplTime *t, Str form) {
    if (form.p[0] == 'Z' && t->offset == 0) {
        buf_add_char(b, 'Z');
        return;
    }
    int off = abs(t->offset);
    bool colon = str_find(form, ':') < form.n;
    size_t digits = form.n - 1 - (colon ? (form.n > 6 ? 2 : 1) : 0);
    buf_addf(b, "%c%02d", t->offset < 0 ? '-' : '+', off / 3600);
    if (digits >= 4) {
        buf_addf(b, "%s%02d", colon ? ":" : "", off / 60 % 60);
    }
    if (digits >= 6) {
        buf_addf(b, "%s%02d", colon ? ":" : "", off % 60);
    }
}

static void format_zone(Buf *b, const TmplTime *t) {
    if (t->zone.n) {
        buf_add_str(b, t->zone);
    } else {
        format_offset(b, t, t->offset % 3600 ? STR("-0700") : STR("-07"));
    }
}

static void format_piece(Buf *b, const TmplTime *t, const Civil *c, Piece piece, Str form) {
    int hour12 = c->hour % 12 ? c->hour % 12 : 12;
    switch (piece) {
    case P_NONE: break;
    case P_MONTH_LONG: buf_add_cstr(b, MONTHS[c->month - 1]); break;
    case P_MONTH_SHORT: buf_addf(b, "%.3s", MONTHS[c->month - 1]); break;
    case P_MONTH_02: buf_addf(b, "%02d", c->month); break;
    case P_MONTH: buf_addf(b, "%d", c->month); break;
    case P_WEEKDAY_LONG: buf_add_cstr(b, DAYS[c->weekday]); break;
    case P_WEEKDAY_SHORT: buf_addf(b, "%.3s", DAYS[c->weekday]); break;
    case P_DAY: buf_addf(b, "%d", c->day); break;
    case P_DAY_SPACE: buf_addf(b, "%2d", c->day); break;
    case P_DAY_02: buf_addf(b, "%02d", c->day); break;
    case P_YEARDAY_SPACE: buf_addf(b, "%3d", c->yearday); break;
    case P_YEARDAY_002: buf_addf(b, "%03d", c->yearday); break;
    case P_HOUR: buf_addf(b, "%02d", c->hour); break;
    case P_HOUR12: buf_addf(b, "%d", hour12); break;
    case P_HOUR12_02: buf_addf(b, "%02d", hour12); break;
    case P_MINUTE: buf_addf(b, "%d", c->minute); break;
    case P_MINUTE_02: buf_addf(b, "%02d", c->minute); break;
    case P_SECOND: buf_addf(b, "%d", c->second); break;
    case P_SECOND_02: buf_addf(b, "%02d", c->second); break;
    case P_YEAR: buf_addf(b, "%04lld", (long long)c->year); break;
    case P_YEAR_02: buf_addf(b, "%02d", (int)(c->year % 100)); break;
    case P_PM: buf_add_cstr(b, c->hour >= 12 ? "PM" : "AM"); break;
    case P_PM_LOWER: buf_add_cstr(b, c->hour >= 12 ? "pm" : "am"); break;
    case P_ZONE: format_zone(b, t); break;
    case P_OFFSET: format_offset(b, t, form); break;
    }
}

/* .000 and .999 (or with a comma) behind seconds: that many digits, for 9 without trailing zeros.
 * The length of the form, or 0. */
static size_t fraction_form(Str s, size_t at) {
    if ((s.p[at] != '.' && s.p[at] != ',') || at + 1 >= s.n) {
        return 0;
    }
    char digit = s.p[at + 1];
    size_t n = 0;
    while (at + 1 + n < s.n && s.p[at + 1 + n] == digit) {
        n++;
    }
    bool ends = at + 1 + n >= s.n || s.p[at + 1 + n] < '0' || s.p[at + 1 + n] > '9';
    return (digit == '0' || digit == '9') && ends ? n + 1 : 0;
}

static void format_fraction(Buf *b, const TmplTime *t, Str form) {
    char digits[16];
    snprintf(digits, sizeof(digits), "%09d", t->nsec);
    size_t n = MIN(form.n - 1, 9);
    if (form.p[1] == '9') {
        while (n && digits[n - 1] == '0') {
            n--;
        }
        if (!n) {
            return;
        }
    }
    buf_add_char(b, form.p[0]);
    buf_add(b, digits, n);
}

void gotime_format(Buf *b, const TmplTime *t, Str layout) {
    Civil c = civil_of(t);
    for (size_t at = 0; at < layout.n;) {
        Str rest = str_from(layout, at);
        size_t fraction = fraction_form(layout, at);
        if (fraction) {
            format_fraction(b, t, str_upto(rest, fraction));
            at += fraction;
            continue;
        }
        size_t i = 0;
        while (i < ARRAY_LEN(PIECES) && !str_starts(rest, str_of(PIECES[i].text))) {
            i++;
        }
        /* "Month" is not the weekday "Mon" followed by "th", "Janet" not a month. */
        bool word = i < ARRAY_LEN(PIECES) && (PIECES[i].piece == P_MONTH_SHORT) && rest.n > 3 &&
                    rest.p[3] >= 'a' && rest.p[3] <= 'z';
        if (i == ARRAY_LEN(PIECES) || word) {
            buf_add_char(b, layout.p[at++]);
            continue;
        }
        Str form = str_upto(rest, strlen(PIECES[i].text));
        format_piece(b, t, &c, PIECES[i].piece, form);
        at += form.n;
    }
}

void gotime_string(Buf *b, const TmplTime *t) {
    gotime_format(b, t, STR("2006-01-02 15:04:05.999999999 -0700 MST"));
}

void gotime_rfc3339(Buf *b, const TmplTime *t) {
    gotime_format(b, t, STR("2006-01-02T15:04:05.999999999Z07:00"));
}

/* ---- durations */

static void add_fraction(Buf *b, uint64_t v, uint64_t unit, const char *suffix) {
    char digits[24];
    buf_addf(b, "%llu", (unsigned long long)(v / unit));
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)(unit + v % unit));
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    if (n > 1) {
        buf_addf(b, ".%.*s", n - 1, digits + 1);
    }
    buf_add_cstr(b, suffix);
}

void goduration_format(Buf *b, int64_t ns) {
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (u == 0) {
        buf_add_cstr(b, "0s");
        return;
    }
    buf_add_cstr(b, ns < 0 ? "-" : "");
    if (u < 1000) {
        buf_addf(b, "%lluns", (unsigned long long)u);
    } else if (u < 1000000) {
        add_fraction(b, u, 1000, "µs");
    } else if (u < 1000000000) {
        add_fraction(b, u, 1000000, "ms");
    } else {
        uint64_t hours = u / UINT64_C(3600000000000), minutes = u / UINT64_C(60000000000) % 60;
        if (hours) {
            buf_addf(b, "%lluh", (unsigned long long)hours);
        }
        if (hours || minutes) {
            buf_addf(b, "%llum", (unsigned long long)minutes);
        }
        add_fraction(b, u % UINT64_C(60000000000), 1000000000, "s");
    }
}

/* ---- zones: TZif files (RFC 8536) */

static uint64_t be(const uint8_t *p, int n) {
    uint64_t v = 0;
    for (int i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

typedef struct TzHeader {
    uint32_t isut, isstd, leap, times, types, chars;
} TzHeader;

static bool tz_header(const uint8_t *p, size_t n, TzHeader *h) {
    if (n < 44 || memcmp(p, "TZif", 4) != 0) {
        return false;
    }
    *h = (TzHeader){(uint32_t)be(p + 20, 4), (uint32_t)be(p + 24, 4), (uint32_t)be(p + 28, 4),
                    (uint32_t)be(p + 32, 4), (uint32_t)be(p + 36, 4), (uint32_t)be(p + 40, 4)};
    return h->times < 100000 && h->types < 256 && h->types > 0 && h->chars < 10000 &&
           h->leap < 1000 && h->isut < 256 && h->isstd < 256;
}

static size_t tz_size(const TzHeader *h, size_t time) {
    return h->times * (time + 1) + h->types * 6 + h->chars + h->leap * (time + 4) + h->isstd +
           h->isut;
}

/* The second, 64-bit part; the rule for times behind its last transition is not used: such a time
 * gets the last known offset. */
static bool tz_lookup(const uint8_t *p, size_t n, int64_t sec, TmplTime *t, Arena *arena) {
    TzHeader h;
    if (!tz_header(p, n, &h) || p[4] < '2' || 44 + tz_size(&h, 4) > n) {
        return false;
    }
    n -= 44 + tz_size(&h, 4);
    p += 44 + tz_size(&h, 4);
    if (!tz_header(p, n, &h) || 44 + tz_size(&h, 8) > n) {
        return false;
    }
    const uint8_t *times = p + 44, *index = times + h.times * 8, *types = index + h.times;
    const char *chars = (const char *)types + h.types * 6;
    uint32_t i = 0;
    while (i < h.times && (int64_t)be(times + i * 8, 8) <= sec) {
        i++;
    }
    uint32_t type = i ? index[i - 1] : 0;
    if (type >= h.types || types[type * 6 + 5] >= h.chars) {
        return false;
    }
    const char *name = chars + types[type * 6 + 5];
    size_t len = strnlen(name, h.chars - types[type * 6 + 5]);
    t->offset = (int32_t)be(types + type * 6, 4);
    t->zone = arena_str(arena, str_n(name, len));
    return true;
}

bool gotime_in_zone(const TmplTime *t, Str name, Arena *arena, TmplTime *ret) {
    *ret = *t;
    if (!name.n || str_eqc(name, "UTC")) {
        ret->offset = 0;
        ret->zone = STR("UTC");
        return true;
    }
    bool local = str_eqc(name, "Local");
    if (name.p[0] == '/' || str_find_str(name, STR("..")) < name.n || name.n > 100) {
        return false;
    }
    char path[160];
    snprintf(path, sizeof(path), local ? "/etc/localtime" : "/usr/share/zoneinfo/%.*s", SA(name));
    CLEANUP(buf_deinit) Buf b = BUF_INIT(1u << 20);
    return file_read_whole(path, 1u << 20, &b) == 0 &&
           tz_lookup((const uint8_t *)b.p, b.n, t->sec, ret, arena);
}

/* ---- methods */

static int time_ret(TmplRun *run, TmplTime t, TmplValue *ret) {
    TmplTime *p = arena_dup(tmpl_arena(run), &t, sizeof(t));
    if (!p) {
        return tmpl_fail(run, "template needs too much memory");
    }
    *ret = tmpl_time(p);
    return 0;
}

static int time_method_format(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    gotime_format(&b, a[0].time, a[1].s);
    return tmpl_take(run, &b, ret);
}

static int time_method_string(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(TMPL_BYTES_MAX);
    gotime_string(&b, a[0].time);
    return tmpl_take(run, &b, ret);
}

static int ret_int64(int64_t i, TmplValue *ret) {
    *ret = (TmplValue){.kind = TMPL_INT, .type = &TMPL_TYPE_INT64, .i = i};
    return 0;
}

static int time_method_unix(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return ret_int64(a[0].time->sec, ret);
}

static int time_method_unix_milli(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return ret_int64(a[0].time->sec * 1000 + a[0].time->nsec / 1000000, ret);
}

static int time_method_utc(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplTime t = *a[0].time;
    t.offset = 0;
    t.zone = STR("UTC");
    return time_ret(run, t, ret);
}

static int time_method_local(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplTime t;
    if (!gotime_in_zone(a[0].time, STR("Local"), tmpl_arena(run), &t)) {
        return time_method_utc(run, a, n, ret);
    }
    return time_ret(run, t, ret);
}

static int time_method_is_zero(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(a[0].time->sec == TMPL_TIME_ZERO_SEC && a[0].time->nsec == 0);
    return 0;
}

static int64_t saturate(__int128 v) {
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

static __int128 time_ns(const TmplTime *t) { return (__int128)t->sec * 1000000000 + t->nsec; }

static int time_method_sub(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_duration(saturate(time_ns(a[0].time) - time_ns(a[1].time)));
    return 0;
}

static int time_method_add(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    TmplTime t = *a[0].time;
    __int128 ns = time_ns(&t) + a[1].i;
    int32_t rest = (int32_t)(ns % 1000000000);
    t.sec = (int64_t)(ns / 1000000000) - (rest < 0);
    t.nsec = rest < 0 ? rest + 1000000000 : rest;
    return time_ret(run, t, ret);
}

static int time_method_before(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(time_ns(a[0].time) < time_ns(a[1].time));
    return 0;
}

static int time_method_after(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(time_ns(a[0].time) > time_ns(a[1].time));
    return 0;
}

static int time_method_equal(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_bool(time_ns(a[0].time) == time_ns(a[1].time));
    return 0;
}

#define CIVIL_METHOD(name, field)                                                                  \
    static int time_method_##name(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {    \
        *ret = tmpl_int(civil_of(a[0].time).field);                                                \
        return 0;                                                                                  \
    }
CIVIL_METHOD(year, year)
CIVIL_METHOD(day, day)
CIVIL_METHOD(hour, hour)
CIVIL_METHOD(minute, minute)
CIVIL_METHOD(second, second)
CIVIL_METHOD(year_day, yearday)

static int time_method_month(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(str_of(MONTHS[civil_of(a[0].time).month - 1]));
    return 0;
}

static int time_method_weekday(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    *ret = tmpl_string(str_of(DAYS[civil_of(a[0].time).weekday]));
    return 0;
}

static const TmplMember TIME_MEMBERS[] = {
    {"Add", "d", time_method_add},
    {"After", "t", time_method_after},
    {"Before", "t", time_method_before},
    {"Day", "", time_method_day},
    {"Equal", "t", time_method_equal},
    {"Format", "s", time_method_format},
    {"Hour", "", time_method_hour},
    {"IsZero", "", time_method_is_zero},
    {"Local", "", time_method_local},
    {"Minute", "", time_method_minute},
    {"Month", "", time_method_month},
    {"Second", "", time_method_second},
    {"String", "", time_method_string},
    {"Sub", "t", time_method_sub},
    {"UTC", "", time_method_utc},
    {"Unix", "", time_method_unix},
    {"UnixMilli", "", time_method_unix_milli},
    {"Weekday", "", time_method_weekday},
    {"Year", "", time_method_year},
    {"YearDay", "", time_method_year_day},
};
const TmplType GOTIME_TYPE = {
    .name = "time.Time", .members = TIME_MEMBERS, .n = ARRAY_LEN(TIME_MEMBERS)};

#define DURATION_FLOAT(name, unit)                                                                 \
    static int duration_##name(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {       \
        *ret = tmpl_float((double)(a[0].i / (unit)) + (double)(a[0].i % (unit)) / (double)(unit)); \
        return 0;                                                                                  \
    }
DURATION_FLOAT(seconds, INT64_C(1000000000))
DURATION_FLOAT(minutes, INT64_C(60000000000))
DURATION_FLOAT(hours, INT64_C(3600000000000))

static int duration_milliseconds(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    return ret_int64(a[0].i / 1000000, ret);
}

static int duration_string(TmplRun *run, const TmplValue *a, size_t n, TmplValue *ret) {
    Buf b = BUF_INIT(256);
    goduration_format(&b, a[0].i);
    return tmpl_take(run, &b, ret);
}

static const TmplMember DURATION_MEMBERS[] = {
    {"Hours", "", duration_hours},     {"Milliseconds", "", duration_milliseconds},
    {"Minutes", "", duration_minutes}, {"Seconds", "", duration_seconds},
    {"String", "", duration_string},
};
const TmplType GODURATION_TYPE = {
    .name = "time.Duration", .members = DURATION_MEMBERS, .n = ARRAY_LEN(DURATION_MEMBERS)};
