/* The lines of OpenMetrics. Exactly one space between tokens; the page ends with "# EOF". */
#include <math.h>

#include "base/utf8.h"
#include "model/expo_scan.h"

#define NO_EOF "the page does not end with # EOF"

static int om_type(ExpoParser *p, Str text) {
    static const struct {
        Str text;
        MetricType type;
    } types[] = {
        {STR("counter"), METRIC_COUNTER},     {STR("gauge"), METRIC_GAUGE},
        {STR("histogram"), METRIC_HISTOGRAM}, {STR("gaugehistogram"), METRIC_GAUGE_HISTOGRAM},
        {STR("summary"), METRIC_SUMMARY},     {STR("info"), METRIC_INFO},
        {STR("stateset"), METRIC_STATESET},   {STR("unknown"), METRIC_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq(text, types[i].text)) {
            p->type = types[i].type;
            p->typed = true;
            return EXPO_TYPE;
        }
    }
    return expo_bad(
        p, text.p,
        "expected counter, gauge, histogram, gaugehistogram, summary, info, stateset or "
        "unknown, got \"%.*s\"",
        (int)MIN(text.n, (size_t)100), text.p);
}

static int om_help(ExpoParser *p, Str text) {
    if (!utf8_valid(text)) {
        return expo_bad(p, text.p, "expected a help text in valid UTF-8");
    }
    p->help = text;
    return EXPO_HELP;
}

/* The unit must be the last word of the family's name: foo_seconds. */
static int om_unit(ExpoParser *p, Str text) {
    Str name = p->family;
    bool ok = text.n == 0 ||
              (str_ends(name, text) && name.n > text.n && name.p[name.n - text.n - 1] == '_');
    if (!ok) {
        return expo_bad(p, text.p, "unit \"%.*s\" is not a suffix of metric \"%.*s\"",
                        (int)MIN(text.n, (size_t)100), text.p, (int)MIN(name.n, (size_t)200),
                        name.p);
    }
    p->unit = text;
    return EXPO_UNIT;
}

/* `at` is behind "# HELP " and the like. */
static int om_meta(ExpoParser *p, const char *at, ExpoEntry kind) {
    const char *start = at;
    bool quoted = at < p->end && *at == '"';
    at = quoted ? expo_string_end(at, p->end, false) : expo_metric_name_end(at, p->end);
    if (!at || at == start) {
        return expo_wanted(p, start, "a metric name after HELP, TYPE or UNIT");
    }
    p->family = (Str){start + quoted, (size_t)(at - start) - 2 * quoted};
    const char *end = memchr(at, '\n', (size_t)(p->end - at));
    if (at == p->end || *at != ' ' || !end) {
        return expo_wanted(p, end ? at : p->end, "a space and a text after the metric name");
    }
    Str text = {at + 1, (size_t)(end - at) - 1};
    int r = kind == EXPO_TYPE   ? om_type(p, text)
            : kind == EXPO_HELP ? om_help(p, text)
                                : om_unit(p, text);
    if (r >= 0) {
        p->at = end + 1;
    }
    return r;
}

static int om_eof(ExpoParser *p, const char *at) {
    if (at < p->end && *at == '\n') {
        at++;
    }
    /* A zero byte counts as the end, as in the text format. */
    if (at < p->end && *at != '\0') {
        return expo_wanted(p, at, "nothing after # EOF");
    }
    p->at = p->end;
    return EXPO_END;
}

static int om_hash(ExpoParser *p) {
    Str rest = {p->at, (size_t)(p->end - p->at)};
    if (str_starts(rest, STR("# HELP "))) {
        return om_meta(p, rest.p + 7, EXPO_HELP);
    }
    if (str_starts(rest, STR("# TYPE "))) {
        return om_meta(p, rest.p + 7, EXPO_TYPE);
    }
    if (str_starts(rest, STR("# UNIT "))) {
        return om_meta(p, rest.p + 7, EXPO_UNIT);
    }
    if (str_starts(rest, STR("# EOF"))) {
        return om_eof(p, rest.p + 5);
    }
    return expo_wanted(p, MIN(p->at + 2, p->end), "HELP, TYPE, UNIT or EOF after \"# \"");
}

int expo_om_entry(ExpoParser *p) {
    const char *at = p->at;
    if (at == p->end) {
        return expo_bad(p, at, NO_EOF);
    }
    if (*at == '#') {
        return om_hash(p);
    }
    if (*at != '{' && *at != ':' && !expo_is_letter(*at)) {
        return expo_wanted(p, at, "a metric name, \"{\" or \"# \" at the start of the line");
    }
    int r = expo_scan_series(p);
    return r < 0 ? r : EXPO_SAMPLE;
}

/* What [^ \n]+ matches behind a space. */
static Str word(const ExpoParser *p, const char *at) {
    const char *start = at;
    while (at < p->end && *at != ' ' && *at != '\n') {
        at++;
    }
    return (Str){start, (size_t)(at - start)};
}

static int om_number(ExpoParser *p, const char **at, const char *wanted, double *ret) {
    if (*at == p->end || **at != ' ') {
        return expo_wanted(p, *at, wanted);
    }
    const char *start = *at + 1, *next = expo_short_number(start, p->end, ret);
    if (UNLIKELY(!next)) {
        Str text = word(p, start);
        if (text.n == 0 || !expo_number(text, ret)) {
            return expo_wanted(p, start, wanted);
        }
        next = start + text.n;
    }
    *at = next;
    return 0;
}

/* Seconds to milliseconds, cut off; what 64 bits do not hold becomes the smallest number, which no
 * storage takes. */
static int64_t seconds_to_ms(double seconds) {
    double ms = seconds * 1000;
    return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

static int om_time(ExpoParser *p, const char **at, const char *wanted, int64_t *ret) {
    const char *start = *at;
    double seconds;
    int r = om_number(p, at, wanted, &seconds);
    if (r < 0) {
        return r;
    }
    if (!isfinite(seconds)) {
        return expo_wanted(p, start + 1, "a finite timestamp");
    }
    *ret = seconds_to_ms(seconds);
    return 0;
}

/* `at` is at the opening brace. */
static int om_exemplar(ExpoParser *p, const char **at) {
    PairScan s = {.at = *at + 1, .end = p->end, .strict = true, .exemplar = true};
    Str name, value;
    PairKind kind;
    double number;
    int64_t t;
    while ((kind = pair_next(&s, &name, &value)) == PAIR_LABEL) {
    }
    if (kind != PAIR_END) {
        return expo_wanted(p, s.at, s.wanted);
    }
    const char *start = *at;
    *at = s.at;
    int r = om_number(p, at, "a space and a number after the exemplar's labels", &number);
    if (r == 0 && *at < p->end && **at != '\n') {
        r = om_time(p, at, "a timestamp in seconds after the exemplar's value", &t);
    }
    p->exemplar = (Str){start, (size_t)(*at - start)};
    return r;
}

static bool exemplar_starts(const ExpoParser *p, const char *at) {
    return p->end - at >= 4 && memcmp(at, " # {", 4) == 0;
}

int expo_om_rest(ExpoParser *p) {
    const char *at = p->at;
    p->has_t = false;
    p->exemplar = STR_NULL;
    int r = om_number(p, &at, "a space and a number after the metric", &p->value);
    if (r < 0) {
        return r;
    }
    if (LIKELY(at < p->end && *at == '\n')) {
        p->at = at + 1;
        return 0;
    }
    if (at < p->end && !exemplar_starts(p, at)) {
        r = om_time(p, &at, "a timestamp in seconds, an exemplar or the end of the line", &p->t);
        p->has_t = r == 0;
    }
    if (r == 0 && exemplar_starts(p, at)) {
        at += 3;
        r = om_exemplar(p, &at);
    }
    if (r < 0) {
        return r;
    }
    if (at == p->end) {
        return expo_bad(p, at, NO_EOF);
    }
    if (*at != '\n') {
        return expo_wanted(p, at, "the end of the line");
    }
    p->at = at + 1;
    return 0;
}

bool expo_exemplar(Str exemplar, Arena *a, ExpoExemplar *ret) {
    /* Checked when it was read: the same walk again cannot fail, but for memory. */
    PairScan s = {
        .at = exemplar.p + 1, .end = exemplar.p + exemplar.n, .strict = true, .exemplar = true};
    Str name, value;
    size_t n = 0;
    if (exemplar.n == 0) {
        return false;
    }
    for (PairScan count = s; pair_next(&count, &name, &value) == PAIR_LABEL;) {
        n++;
    }
    Label *labels = arena_calloc(a, n + 1, sizeof(*labels));
    for (size_t i = 0; labels && i < n; i++) {
        (void)pair_next(&s, &name, &value);
        labels[i].name = expo_unescape(name, true, a);
        labels[i].value = expo_unescape(value, true, a);
    }
    if (a->failed || pair_next(&s, &name, &value) != PAIR_END) {
        return false;
    }
    *ret = (ExpoExemplar){.labels = labels, .n_labels = n};
    Str rest = {s.at, (size_t)(s.end - s.at)}, part;
    double seconds;
    if (!str_split_next(&rest, ' ', &part) || !str_split_next(&rest, ' ', &part) ||
        !expo_number(part, &ret->value)) {
        return false;
    }
    ret->has_t = rest.p != NULL;
    if (ret->has_t && !expo_number(rest, &seconds)) {
        return false;
    }
    ret->t = ret->has_t ? seconds_to_ms(seconds) : 0;
    return true;
}
