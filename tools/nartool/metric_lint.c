#include "nartool/metric_lint.h"

#include <ctype.h>
#include <stdlib.h>

typedef struct Lint {
    const MetricFamily *f;
    Arena *arena;
    MetricAdvice *advice;
    Str lower; /* the name in lower case */
} Lint;

static void add(Lint *l, const char *text) {
    vec_push(l->advice, arena_printf(l->arena, "%.*s %s", SA(l->f->name), text));
}

/* ---- units */

static const struct {
    const char *unit, *base;
} units[] = {
    {"amperes", "amperes"},    {"bytes", "bytes"},     {"celsius", "celsius"},
    {"grams", "grams"},        {"joules", "joules"},   {"kelvin", "kelvin"},
    {"meters", "meters"},      {"metres", "metres"},   {"seconds", "seconds"},
    {"volts", "volts"},        {"minutes", "seconds"}, {"hours", "seconds"},
    {"days", "seconds"},       {"weeks", "seconds"},   {"kelvins", "kelvin"},
    {"fahrenheit", "celsius"}, {"rankine", "celsius"}, {"inches", "meters"},
    {"yards", "meters"},       {"miles", "meters"},    {"bits", "bytes"},
    {"calories", "joules"},    {"pounds", "grams"},    {"ounces", "grams"},
};

static const char *const prefixes[] = {"",     "pico",  "nano", "micro", "milli", "centi", "deci",
                                       "deca", "hecto", "kilo", "kibi",  "mega",  "mibi",  "giga",
                                       "gibi", "tera",  "tebi", "peta",  "pebi"};

/* A part of a name that is a unit, with a prefix or not; its base, or NULL. */
static const char *unit_base(Str part) {
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        Str unit = str_of(units[u].unit);
        if (!str_ends(part, unit)) {
            continue;
        }
        for (size_t p = 0; p < ARRAY_LEN(prefixes); p++) {
            if (str_eqc(str_upto(part, part.n - unit.n), prefixes[p])) {
                return units[u].base;
            }
        }
    }
    return NULL;
}

static void lint_units(Lint *l) {
    Str rest = l->f->name, part;
    while (str_split_next(&rest, '_', &part)) {
        const char *base = unit_base(part);
        if (base && !str_eqc(part, base)) {
            vec_push(l->advice,
                     arena_printf(l->arena, "%.*s use base unit \"%s\" instead of \"%.*s\"",
                                  SA(l->f->name), base, SA(part)));
        }
        if (base) {
            return;
        }
    }
}

/* "_word_" inside or "_word" at the end. */
static bool has_part(Str name, const char *word) {
    Str rest = name, part;
    bool first = true;
    while (str_split_next(&rest, '_', &part)) {
        if (!first && str_eqc(part, word)) {
            return true;
        }
        first = false;
    }
    return false;
}

static void lint_abbreviations(Lint *l) {
    static const char *const short_units[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                              "mb", "gb", "tb", "pb", "m",   "h", "d"};
    for (size_t i = 0; i < ARRAY_LEN(short_units); i++) {
        if (has_part(l->lower, short_units[i])) {
            add(l, "metric names should not contain abbreviated units");
            return;
        }
    }
}

/* ---- types */

static void lint_total(Lint *l) {
    bool total = str_ends(l->f->name, STR("_total"));
    bool counter = l->f->typed && l->f->type == METRIC_COUNTER;
    if (counter && !total) {
        add(l, "counter metrics should have \"_total\" suffix");
    }
    if (l->f->typed && !counter && total) {
        add(l, "non-counter metrics should not have \"_total\" suffix");
    }
}

static void lint_reserved(Lint *l) {
    bool histogram = l->f->type == METRIC_HISTOGRAM, summary = l->f->type == METRIC_SUMMARY;
    if (!histogram && str_ends(l->f->name, STR("_bucket"))) {
        add(l, "non-histogram metrics should not have \"_bucket\" suffix");
    }
    if (!histogram && !summary && str_ends(l->f->name, STR("_count"))) {
        add(l, "non-histogram and non-summary metrics should not have \"_count\" suffix");
    }
    if (!histogram && !summary && str_ends(l->f->name, STR("_sum"))) {
        add(l, "non-histogram and non-summary metrics should not have \"_sum\" suffix");
    }
    for (size_t i = 0; i < l->f->metrics.n; i++) {
        if (!histogram && labels_has(l->f->metrics.v[i], STR("le"))) {
            add(l, "non-histogram metrics should not have \"le\" label");
        }
        if (!summary && labels_has(l->f->metrics.v[i], STR("quantile"))) {
            add(l, "non-summary metrics should not have \"quantile\" label");
        }
    }
}

static void lint_type_in_name(Lint *l) {
    const char *type = l->f->type == METRIC_COUNTER     ? "counter"
                       : l->f->type == METRIC_GAUGE     ? "gauge"
                       : l->f->type == METRIC_HISTOGRAM ? "histogram"
                       : l->f->type == METRIC_SUMMARY   ? "summary"
                                                        : NULL;
    if (type && has_part(l->lower, type)) {
        vec_push(l->advice, arena_printf(l->arena, "%.*s metric name should not include type '%s'",
                                         SA(l->f->name), type));
    }
}

/* ---- letters */

static bool is_camel(Str s) {
    for (size_t i = 1; i < s.n; i++) {
        if (islower((unsigned char)s.p[i - 1]) && isupper((unsigned char)s.p[i])) {
            return true;
        }
    }
    return false;
}

static void lint_letters(Lint *l) {
    if (str_find(l->f->name, ':') < l->f->name.n) {
        add(l, "metric names should not contain ':'");
    }
    if (is_camel(l->f->name)) {
        add(l, "metric names should be written in 'snake_case' not 'camelCase'");
    }
    for (size_t i = 0; i < l->f->metrics.n; i++) {
        Labels labels = l->f->metrics.v[i];
        for (size_t k = 0; k < labels.n; k++) {
            if (is_camel(labels.v[k].name)) {
                add(l, "label names should be written in 'snake_case' not 'camelCase'");
            }
        }
    }
}

static int labels_qsort_cmp(const void *a, const void *b) {
    return labels_cmp(*(const Labels *)a, *(const Labels *)b);
}

/* Sorts a copy: the order of the page does not matter here. */
static void lint_unique(Lint *l) {
    size_t n = l->f->metrics.n;
    Labels *sorted = ARENA_ARRAY(l->arena, Labels, n + 1);
    memcpy(sorted, l->f->metrics.v, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), labels_qsort_cmp);
    for (size_t i = 1; i < n; i++) {
        if (labels_eq(sorted[i], sorted[i - 1])) {
            add(l, "metric not unique");
        }
    }
}

static Str lower_case(Arena *a, Str s) {
    char *p = ARENA_ARRAY(a, char, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        p[i] = (char)tolower((unsigned char)s.p[i]);
    }
    return str_n(p, s.n);
}

void metric_lint(const MetricFamily *f, Arena *a, MetricAdvice *ret) {
    Lint l = {f, a, ret, lower_case(a, f->name)};
    if (!f->has_help) {
        add(&l, "no help text");
    }
    lint_units(&l);
    lint_total(&l);
    if (f->typed) {
        lint_reserved(&l);
        lint_type_in_name(&l);
    }
    lint_letters(&l);
    lint_abbreviations(&l);
    if (f->metrics.n) {
        lint_unique(&l);
    }
}
