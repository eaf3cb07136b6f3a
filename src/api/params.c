#include "api/params.h"

#include <math.h>

#include "api/reply.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "model/sample.h"
#include "promql/promql.h"

#define SETS_MAX 1000

/* The texts of Go's smallest and largest time, which clients send for "everything". */
static const Str TIME_MIN_TEXT = {"-292273086-05-16T16:47:06Z", 26};
static const Str TIME_MAX_TEXT = {"+292277025-08-18T07:12:54.999999999Z", 36};

static int64_t seconds_to_ms(double s) {
    double ms = round(s * 1000);
    if (ms <= (double)TIME_MIN_MS) {
        return TIME_MIN_MS;
    }
    return ms >= (double)TIME_MAX_MS ? TIME_MAX_MS : (int64_t)ms;
}

bool param_time(HttpExchange *x, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    Str text = http_param(x, name);
    double seconds;
    Problem p = {0};
    if (text.n == 0) {
        *ret_ms = fallback_ms;
        return true;
    }
    if (str_eq(text, TIME_MIN_TEXT) || str_eq(text, TIME_MAX_TEXT)) {
        *ret_ms = text.p[0] == '-' ? TIME_MIN_MS : TIME_MAX_MS;
        return true;
    }
    if (number_parse_go(text, &seconds) && !isnan(seconds)) {
        *ret_ms = seconds_to_ms(seconds);
        return true;
    }
    if (time_parse(text, ret_ms, &p) == 0) {
        return true;
    }
    reply_error(x, API_BAD_DATA,
                "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp", name,
                SA(text));
    return false;
}

bool param_duration(HttpExchange *x, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    Str text = http_param(x, name);
    double seconds;
    Problem p = {0};
    if (text.n == 0 && fallback_ms >= 0) {
        *ret_ms = fallback_ms;
        return true;
    }
    if (number_parse_go(text, &seconds)) {
        double ms = seconds * 1000;
        if (!isnan(ms) && fabs(ms) < 9.2e12) {
            *ret_ms = (int64_t)ms;
            return true;
        }
        reply_error(x, API_BAD_DATA,
                    "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration. It "
                    "overflows int64",
                    name, SA(text));
        return false;
    }
    if (duration_parse(text, ret_ms, &p) == 0) {
        return true;
    }
    reply_error(x, API_BAD_DATA,
                "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration", name,
                SA(text));
    return false;
}

bool param_limit(HttpExchange *x, const char *name, uint64_t *ret) {
    Str text = http_param(x, name);
    int64_t n = 0;
    if (text.n && !int_parse(text, &n)) {
        reply_error(x, API_BAD_DATA,
                    "invalid parameter \"%s\": cannot parse \"%.*s\" to a whole number", name,
                    SA(text));
        return false;
    }
    if (n < 0) {
        reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": limit must be non-negative", name);
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

static bool has_matcher_that_needs_a_value(const struct MatcherSet *set) {
    for (size_t i = 0; i < set->n; i++) {
        if (!matcher_matches(&set->v[i], STR(""))) {
            return true;
        }
    }
    return false;
}

bool param_matchers(HttpExchange *x, const char *name, MatcherSets *ret) {
    *ret = (MatcherSets){0};
    size_t at = 0, n = 0;
    Str text;
    while (http_param_next(x, name, &at, &text)) {
        n++;
    }
    if (n > SETS_MAX) {
        reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": at most %d selectors are allowed",
                    name, SETS_MAX);
        return false;
    }
    ret->sets = ARENA_ARRAY(&ret->arena, struct MatcherSet, n);
    for (at = 0; ret->n < n && http_param_next(x, name, &at, &text);) {
        Problem p = {0};
        struct MatcherSet *set = &ret->sets[ret->n];
        if (promql_parse_selector(text, &ret->arena, &set->v, &set->n, &p) < 0) {
            reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": %d:%d: parse error: %s", name,
                        p.line, p.column, p.text);
            matcher_sets_deinit(ret);
            return false;
        }
        ret->n++;
        if (!has_matcher_that_needs_a_value(set)) {
            reply_error(x, API_BAD_DATA,
                        "invalid parameter \"%s\": match[] must contain at least one non-empty "
                        "matcher",
                        name);
            matcher_sets_deinit(ret);
            return false;
        }
    }
    return true;
}

void matcher_sets_deinit(MatcherSets *m) {
    for (size_t i = 0; i < m->n; i++) {
        for (size_t k = 0; k < m->sets[i].n; k++) {
            matcher_deinit(&m->sets[i].v[k]);
        }
    }
    m->n = 0;
    arena_deinit(&m->arena);
}
