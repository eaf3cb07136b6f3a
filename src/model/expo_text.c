/* The lines of Prometheus' text format. Blanks (spaces and tabs) may stand between all tokens. */
#include "base/numtext.h"
#include "base/utf8.h"
#include "model/expo_scan.h"

static const char *line_end(const ExpoParser *p, const char *at) {
    const char *end = memchr(at, '\n', (size_t)(p->end - at));
    return end ? end : p->end;
}

/* Behind the line break; the last line may go without one. */
static void end_line(ExpoParser *p, const char *at) { p->at = at < p->end ? at + 1 : at; }

static int text_type(ExpoParser *p, Str text) {
    static const struct {
        Str text;
        MetricType type;
    } types[] = {
        {STR("counter"), METRIC_COUNTER},     {STR("gauge"), METRIC_GAUGE},
        {STR("histogram"), METRIC_HISTOGRAM}, {STR("summary"), METRIC_SUMMARY},
        {STR("untyped"), METRIC_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq(text, types[i].text)) {
            p->type = types[i].type;
            p->typed = true;
            return EXPO_TYPE;
        }
    }
    return expo_bad(p, text.p,
                    "expected counter, gauge, histogram, summary or untyped, got \"%.*s\"",
                    (int)MIN(text.n, (size_t)100), text.p);
}

/* Everything behind the one character that follows the name; blanks alone are no text. */
static Str meta_text(const char *at, const char *end) {
    if (expo_skip_blanks(at, end) == end || end - at < 2) {
        return (Str){end, 0};
    }
    return (Str){at + 1, (size_t)(end - at) - 1};
}

/* `at` is behind "# HELP " or "# TYPE ". */
static int text_meta(ExpoParser *p, const char *at, bool help) {
    at = expo_skip_blanks(at, p->end);
    const char *start = at;
    bool quoted = at < p->end && *at == '"';
    at = quoted ? expo_string_end(at, p->end, false) : expo_metric_name_end(at, p->end);
    if (!at || at == start) {
        return expo_wanted(p, start,
                           help ? "a metric name after HELP" : "a metric name after TYPE");
    }
    p->family = (Str){start + quoted, (size_t)(at - start) - 2 * quoted};
    const char *end = line_end(p, at);
    Str text = meta_text(at, end);
    if (!help) {
        int r = text_type(p, text);
        if (r < 0) {
            return r;
        }
    } else if (!utf8_valid(text)) {
        return expo_bad(p, text.p, "expected a help text in valid UTF-8");
    } else {
        p->help = text;
    }
    end_line(p, end);
    return help ? EXPO_HELP : EXPO_TYPE;
}

static int text_hash(ExpoParser *p, const char *at) {
    const char *word = expo_skip_blanks(at + 1, p->end);
    Str rest = {word, (size_t)(p->end - word)};
    if (word > at + 1 && rest.n > 4 && (rest.p[4] == ' ' || rest.p[4] == '\t')) {
        if (str_starts(rest, STR("HELP"))) {
            return text_meta(p, word + 4, true);
        }
        if (str_starts(rest, STR("TYPE"))) {
            return text_meta(p, word + 4, false);
        }
    }
    const char *end = line_end(p, at);
    /* Nor does it read on behind a zero byte in a comment without a blank. */
    if (word == at + 1 && memchr(at, '\0', (size_t)(end - at))) {
        p->at = p->end;
        return EXPO_END;
    }
    end_line(p, end);
    return EXPO_COMMENT;
}

int expo_text_entry(ExpoParser *p) {
    const char *at = expo_skip_blanks(p->at, p->end);
    while (at < p->end && *at == '\n') {
        at = expo_skip_blanks(at + 1, p->end);
    }
    /* Prometheus takes a zero byte where a line should start for the end of the page. */
    if (at == p->end || *at == '\0') {
        p->at = p->end;
        return EXPO_END;
    }
    if (*at == '#') {
        return text_hash(p, at);
    }
    if (*at != '{' && *at != ':' && !expo_is_letter(*at)) {
        return expo_wanted(p, at, "a metric name, \"{\" or \"#\" at the start of the line");
    }
    p->at = at;
    int r = expo_scan_series(p);
    return r < 0 ? r : EXPO_SAMPLE;
}

/* What [^{ \t\n]+ matches. */
static const char *value_end(const char *at, const char *end) {
    while (at < end && *at != '{' && *at != ' ' && *at != '\t' && *at != '\n') {
        at++;
    }
    return at;
}

static int text_time(ExpoParser *p, const char *at) {
    const char *start = at;
    int64_t t = 0;
    bool big = false;
    for (; at < p->end && expo_is_digit(*at); at++) {
        big |= __builtin_mul_overflow(t, 10, &t) ||
               __builtin_add_overflow(t, (int64_t)(*at - '0'), &t);
    }
    if (at == start) {
        return expo_wanted(p, at, "a timestamp (milliseconds, digits only) or the end of the line");
    }
    if (big) {
        return expo_bad(p, start, "the timestamp %.*s is out of range",
                        (int)MIN(at - start, (ptrdiff_t)40), start);
    }
    at = expo_skip_blanks(at, p->end);
    if (at < p->end && *at != '\n') {
        return expo_wanted(p, at, "the end of the line after the timestamp");
    }
    p->t = t;
    p->has_t = true;
    end_line(p, at);
    return 0;
}

int expo_text_rest(ExpoParser *p) {
    const char *at = expo_skip_blanks(p->at, p->end);
    const char *next = expo_short_number(at, p->end, &p->value);
    p->has_t = false;
    if (UNLIKELY(!next)) {
        next = value_end(at, p->end);
        if (next == at) {
            return expo_wanted(p, at, "a value after the metric");
        }
        if (!expo_number((Str){at, (size_t)(next - at)}, &p->value)) {
            return expo_wanted(p, at, "a number as the value of the metric");
        }
    }
    if (LIKELY(next < p->end && *next == '\n')) {
        p->at = next + 1;
        return 0;
    }
    at = expo_skip_blanks(next, p->end);
    if (at == p->end || *at == '\n') {
        end_line(p, at);
        return 0;
    }
    return text_time(p, at);
}
