#include "rules/notify/time_interval.h"

#include "base/numtext.h"
#include "rules/template/gotime.h"

static const char *const WEEKDAYS[] = {"sunday",   "monday", "tuesday", "wednesday",
                                       "thursday", "friday", "saturday"};
static const char *const MONTHS[] = {"january",   "february", "march",    "april",
                                     "may",       "june",     "july",     "august",
                                     "september", "october",  "november", "december"};

typedef struct RangeKind {
    const char *what;
    const char *const *names; /* of first, first + 1, ... */
    size_t n_names;
    int64_t first, min, max;
    bool negative; /* counts from the end too */
} RangeKind;

static bool range_value(const RangeKind *k, Str s, int64_t *ret) {
    for (size_t i = 0; i < k->n_names; i++) {
        if (str_eq_nocase(s, str_of(k->names[i]))) {
            *ret = k->first + (int64_t)i;
            return true;
        }
    }
    return (k->n_names == 0 || k->first == 1) && int_parse(s, ret);
}

static bool in_bounds(const RangeKind *k, int64_t v) {
    return (v >= k->min && v <= k->max) || (k->negative && v <= -k->min && v >= -k->max);
}

static int check_range(SchemaContext *cx, const YamlNode *n, const RangeKind *k) {
    Str s = yaml_node_scalar(n), from = str_upto(s, str_find(s, ':'));
    Str to = from.n < s.n ? str_from(s, from.n + 1) : from;
    int64_t a, b;
    if (!range_value(k, from, &a) || !range_value(k, to, &b)) {
        return schema_problem(cx, n, "\"%.*s\" is not a valid %s or range of them", SA(s), k->what);
    }
    if (!in_bounds(k, a) || !in_bounds(k, b)) {
        return schema_problem(cx, n, "%.*s is not a valid %s: out of range", SA(s), k->what);
    }
    if (a < 0 && b > 0) {
        return schema_problem(cx, n, "end day must be negative if start day is negative");
    }
    if ((a < 0) == (b < 0) && a > b) {
        return schema_problem(cx, n, "start %s cannot be after end %s", k->what, k->what);
    }
    return 0;
}

static int check_ranges(SchemaContext *cx, const YamlNode *n, const RangeKind *k) {
    if (!yaml_node_is_null(n) && yaml_node_kind(n) != YAML_SEQUENCE) {
        return schema_problem(cx, n, "expected a list of %ss", k->what);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < yaml_node_count(n); i++) {
        r = check_range(cx, yaml_node_item(n, i), k);
    }
    return r;
}

#define RANGE_CHECK(name, ...)                                                                     \
    static int check_##name(SchemaContext *cx, const YamlNode *n, void *field) {                   \
        return check_ranges(cx, n, &(const RangeKind){__VA_ARGS__});                               \
    }
RANGE_CHECK(weekdays, "weekday", WEEKDAYS, 7, 0, 0, 6, false)
RANGE_CHECK(days, "day of the month", NULL, 0, 0, 1, 31, true)
RANGE_CHECK(months, "month", MONTHS, 12, 1, 1, 12, false)
RANGE_CHECK(years, "year", NULL, 0, 0, 0, 9999, false)

/* HH:MM to minutes; 24:00 is the end of the day. */
static bool minutes_of(Str s, int64_t *ret) {
    int64_t h, m;
    if (s.n != 5 || s.p[2] != ':' || !int_parse(str_upto(s, 2), &h) ||
        !int_parse(str_from(s, 3), &m)) {
        return false;
    }
    *ret = h * 60 + m;
    return h >= 0 && m >= 0 && m < 60 && *ret <= 24 * 60;
}

typedef struct TimeRange {
    Str start, end;
} TimeRange;

static int check_time_range(SchemaContext *cx, const YamlNode *n, void *object) {
    const TimeRange *t = object;
    int64_t a, b;
    if (!t->start.n || !t->end.n) {
        return schema_problem(cx, n, "both start and end times must be provided");
    }
    if (!minutes_of(t->start, &a) || !minutes_of(t->end, &b)) {
        return schema_problem(cx, n, "couldn't parse timestamp %.*s, invalid format",
                              SA(minutes_of(t->start, &a) ? t->end : t->start));
    }
    return a < b ? 0 : schema_problem(cx, n, "start time cannot be equal or greater than end time");
}

static const SchemaField TIME_FIELDS[] = {
    {.key = "start_time", .kind = SCHEMA_STR, .offset = offsetof(TimeRange, start)},
    {.key = "end_time", .kind = SCHEMA_STR, .offset = offsetof(TimeRange, end)},
};
static const Schema TIME_SCHEMA = {.name = "time range",
                                   .size = sizeof(TimeRange),
                                   .fields = TIME_FIELDS,
                                   .n = ARRAY_LEN(TIME_FIELDS),
                                   .check = check_time_range};

static int check_location(SchemaContext *cx, const YamlNode *n, void *field) {
    TmplTime t = gotime_zero(), in;
    if (!gotime_in_zone(&t, yaml_node_scalar(n), cx->arena, &in)) {
        return schema_problem(cx, n, "unknown time zone %.*s", SA(yaml_node_scalar(n)));
    }
    return 0;
}

typedef struct IntervalYaml {
    Str name;
    SchemaList times, intervals;
} IntervalYaml;

#define FN(k, fn)                                                                                  \
    { .key = k, .kind = SCHEMA_CUSTOM, .custom = fn }
static const SchemaField INTERVAL_FIELDS[] = {
    {.key = "times",
     .kind = SCHEMA_LIST,
     .offset = offsetof(IntervalYaml, times),
     .sub = &TIME_SCHEMA},
    FN("weekdays", check_weekdays),
    FN("days_of_month", check_days),
    FN("months", check_months),
    FN("years", check_years),
    FN("location", check_location),
};
static const Schema INTERVAL_SCHEMA = {.name = "time interval",
                                       .size = sizeof(IntervalYaml),
                                       .fields = INTERVAL_FIELDS,
                                       .n = ARRAY_LEN(INTERVAL_FIELDS)};

static const SchemaField NAMED_FIELDS[] = {
    {.key = "name", .kind = SCHEMA_STR, .offset = offsetof(IntervalYaml, name)},
    {.key = "time_intervals",
     .kind = SCHEMA_LIST,
     .offset = offsetof(IntervalYaml, intervals),
     .sub = &INTERVAL_SCHEMA},
};
static const Schema NAMED_SCHEMA = {.name = "time_interval",
                                    .size = sizeof(IntervalYaml),
                                    .fields = NAMED_FIELDS,
                                    .n = ARRAY_LEN(NAMED_FIELDS)};

int time_interval_check(SchemaContext *cx, const YamlNode *node, Str *ret_name) {
    IntervalYaml y = {0};
    int r = schema_load_node(cx, &NAMED_SCHEMA, node, &y);
    if (r == 0 && !y.name.n) {
        r = schema_problem(cx, node, "missing name in time interval");
    }
    *ret_name = y.name;
    return r;
}
