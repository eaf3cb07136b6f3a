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
static const Str TIME_MAX_TEXT = {"292277025-08-18T07:12:54.999999999Z", 35};

/* The fraction is rounded by itself: 1795250440.0005 has less than half a millisecond as a double.
 */
static int64_t seconds_to_ms(double s) {
    double whole, fraction = round(modf(s, &whole) * 1000);
    if (whole <= (double)(TIME_MIN_MS / 1000)) {
        return TIME_MIN_MS;
    }
    if (whole >= (double)(TIME_MAX_MS / 1000)) {
        return TIME_MAX_MS;
    }
    return (int64_t)whole * 1000 + (int64_t)fraction;
}

static bool parse_time(Str text, int64_t *ret_ms) {
    double seconds;
    Problem p = {0};
    if (str_eq(text, TIME_MIN_TEXT) || str_eq(text, TIME_MAX_TEXT)) {
        *ret_ms = text.p[0] == '-' ? TIME_MIN_MS : TIME_MAX_MS;
        return true;
    }
    if (number_parse_go(text, &seconds) && !isnan(seconds)) {
        *ret_ms = seconds_to_ms(seconds);
        return true;
    }
    return time_parse(text, ret_ms, &p) == 0;
}

bool param_time(HttpExchange *x, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    Str text = http_param(x, name);
    *ret_ms = fallback_ms;
    if (text.n == 0 || parse_time(text, ret_ms)) {
        return true;
    }
    reply_error(x, API_BAD_DATA,
                "invalid parameter \"%s\": invalid time value for '%s': cannot parse \"%.*s\" to a "
                "valid timestamp",
                name, name, SA(text));
    return false;
}

bool param_time_required(HttpExchange *x, const char *name, int64_t *ret_ms) {
    Str text = http_param(x, name);
    if (text.n && parse_time(text, ret_ms)) {
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
        double ms = isnan(seconds) ? -1 : seconds * 1000;
        if (fabs(ms) < 9.2e12) {
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

static bool param_int(HttpExchange *x, const char *name, int64_t *ret) {
    Str text = http_param(x, name);
    *ret = 0;
    if (text.n == 0 || int_parse(text, ret)) {
        return true;
    }
    reply_error(x, API_BAD_DATA,
                "invalid parameter \"%s\": cannot parse \"%.*s\" to a whole number", name,
                SA(text));
    return false;
}

bool param_limit(HttpExchange *x, const char *name, uint64_t *ret) {
    int64_t n;
    if (!param_int(x, name, &n)) {
        return false;
    }
    if (n < 0) {
        reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": limit must be non-negative", name);
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

bool param_lax_limit(HttpExchange *x, const char *name, uint64_t *ret) {
    int64_t n;
    bool ok = param_int(x, name, &n);
    *ret = n > 0 ? (uint64_t)n : 0;
    return ok;
}

static bool is_one_of(Str s, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (str_eqc(s, list[i])) {
            return true;
        }
    }
    return false;
}

bool param_bool(HttpExchange *x, const char *name, bool *ret) {
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"", "0", "f", "F", "FALSE", "false", "False"};
    Str s = http_param(x, name);
    *ret = is_one_of(s, yes, ARRAY_LEN(yes));
    if (*ret || is_one_of(s, no, ARRAY_LEN(no))) {
        return true;
    }
    reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": expected true or false, got \"%.*s\"",
                name, SA(s));
    return false;
}

static bool has_matcher_that_needs_a_value(const struct MatcherSet *set) {
    for (size_t i = 0; i < set->n; i++) {
        if (!matcher_matches(&set->v[i], STR(""))) {
            return true;
        }
    }
    return false;
}

bool matcher_sets_add(MatcherSets *m, Str text, Problem *problem) {
    if ((m->n & (m->n - 1)) == 0) { /* full at every power of two, and when empty */
        struct MatcherSet *larger = ARENA_ARRAY(&m->arena, struct MatcherSet, MAX(1, 2 * m->n));
        if (m->n) {
            memcpy(larger, m->sets, m->n * sizeof(*larger));
        }
        m->sets = larger;
    }
    struct MatcherSet *set = &m->sets[m->n];
    if (promql_parse_selector(text, &m->arena, &set->v, &set->n, problem) < 0) {
        return false;
    }
    m->n++;
    return true;
}

/* The text of what is wrong with a selector into `why`, or nothing. */
static void add_selector(MatcherSets *sets, Str text, Buf *why) {
    Problem p = {0};
    if (!matcher_sets_add(sets, text, &p)) {
        promql_problem_print(&p, why);
    } else if (!has_matcher_that_needs_a_value(&sets->sets[sets->n - 1])) {
        buf_add_cstr(why, "match[] must contain at least one non-empty matcher");
    }
}

bool param_matchers(HttpExchange *x, const char *name, MatcherSets *ret) {
    CLEANUP(buf_deinit) Buf why = BUF_INIT(64 << 10);
    *ret = (MatcherSets){0};
    Str text;
    for (size_t at = 0; why.n == 0 && http_param_next(x, name, &at, &text);) {
        if (ret->n == SETS_MAX) {
            buf_addf(&why, "at most %d selectors are allowed", SETS_MAX);
        } else {
            add_selector(ret, text, &why);
        }
    }
    if (why.n == 0) {
        return true;
    }
    reply_error(x, API_BAD_DATA, "invalid parameter \"%s\": %.*s", name, SA(buf_str(&why)));
    matcher_sets_deinit(ret);
    return false;
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
