/* Telling what is wrong with an expression: the place, and the nearest names. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"
#include "nartool/api_client.h"
#include "nartool/query.h"
#include "nartool/screen.h"

#define PEEK_MS 500
#define SHOWN_MAX 160

const Str *query_words(size_t *ret_n) {
    static const Str words[] = {
#define FUNCTION(id, name, type, variadic, experimental, args) {name, sizeof(name) - 1},
#include "promql/functions.def"
#undef FUNCTION
        {"and", sizeof("and") - 1},
        {"atan2", sizeof("atan2") - 1},
        {"avg", sizeof("avg") - 1},
        {"bool", sizeof("bool") - 1},
        {"bottomk", sizeof("bottomk") - 1},
        {"by", sizeof("by") - 1},
        {"count", sizeof("count") - 1},
        {"count_values", sizeof("count_values") - 1},
        {"end", sizeof("end") - 1},
        {"group", sizeof("group") - 1},
        {"group_left", sizeof("group_left") - 1},
        {"group_right", sizeof("group_right") - 1},
        {"ignoring", sizeof("ignoring") - 1},
        {"inf", sizeof("inf") - 1},
        {"limit_ratio", sizeof("limit_ratio") - 1},
        {"limitk", sizeof("limitk") - 1},
        {"max", sizeof("max") - 1},
        {"min", sizeof("min") - 1},
        {"nan", sizeof("nan") - 1},
        {"offset", sizeof("offset") - 1},
        {"on", sizeof("on") - 1},
        {"or", sizeof("or") - 1},
        {"quantile", sizeof("quantile") - 1},
        {"start", sizeof("start") - 1},
        {"stddev", sizeof("stddev") - 1},
        {"stdvar", sizeof("stdvar") - 1},
        {"sum", sizeof("sum") - 1},
        {"topk", sizeof("topk") - 1},
        {"unless", sizeof("unless") - 1},
        {"without", sizeof("without") - 1},
    };
    *ret_n = ARRAY_LEN(words);
    return words;
}

static bool is_word(Str s) {
    size_t n;
    const Str *words = query_words(&n);
    for (size_t i = 0; i < n; i++) {
        if (str_eq_nocase(words[i], s)) {
            return true;
        }
    }
    return false;
}

/* "3:5: parse error" somewhere in the text; false when there is no position. */
static bool find_position(Str text, int *ret_line, int *ret_column) {
    Str mark = STR(": parse error");
    size_t at = str_find_str(text, mark), from = at;
    if (at == text.n) {
        return false;
    }
    while (from > 0 && (isdigit((unsigned char)text.p[from - 1]) || text.p[from - 1] == ':')) {
        from--;
    }
    return sscanf(text.p + from, "%d:%d:", ret_line, ret_column) == 2 && *ret_column > 0;
}

static Str line_of(Str expr, int line) {
    Str part = STR_NULL;
    for (int i = 0; i < line && str_split_next(&expr, '\n', &part); i++) {
    }
    return part;
}

static void print_caret(Str expr, int line, int column) {
    Str text = line_of(expr, line);
    size_t at = MIN((size_t)column - 1, text.n), from = at > SHOWN_MAX / 2 ? at - SHOWN_MAX / 2 : 0;
    Str shown = str_upto(str_from(text, from), MIN(text.n - from, (size_t)SHOWN_MAX));
    fprintf(stderr, "  ");
    size_t column_shown = 0;
    for (size_t i = 0; i < shown.n; i++) {
        unsigned char c = (unsigned char)shown.p[i];
        fputc(c < 0x20 || c == 0x7f ? ' ' : c, stderr);
        /* Bytes that go on a UTF-8 character take no column. */
        column_shown += i < at - from && (c & 0xc0) != 0x80;
    }
    fprintf(stderr, "\n  %*s^\n", (int)column_shown, "");
}

/* Of a word that is only begun the shortest it may become. */
static Str nearest_word(Str s, const Str *words, size_t n) {
    Str found = STR_NULL;
    for (size_t i = 0; i < n && s.n > 2; i++) {
        if (str_starts(words[i], s) && (!found.p || words[i].n < found.n)) {
            found = words[i];
        }
    }
    return found.p ? found : str_nearest(s, words, n);
}

/* A name in quotes behind these words. */
static void suggest_function(Str text) {
    Str lead = STR("unknown function with name \"");
    size_t at = str_find_str(text, lead), n;
    if (at < text.n) {
        Str name = str_from(text, at + lead.n);
        const Str *words = query_words(&n);
        Str near = nearest_word(str_upto(name, str_find(name, '"')), words, n);
        if (near.n) {
            fprintf(stderr, "did you mean %.*s?\n", SA(near));
        }
    }
}

int query_tell_error(Str expr, const char *text) {
    int line, column;
    fail("%s", text);
    if (find_position(str_of(text), &line, &column)) {
        print_caret(expr, line, column);
        suggest_function(str_of(text));
    }
    return EXIT_FAILED;
}

/* ---- names that the server does not have */

static bool name_begins(char c) { return isalpha((unsigned char)c) || c == '_' || c == ':'; }
static bool name_goes_on(char c) { return name_begins(c) || isdigit((unsigned char)c); }

static Str skip_quoted(Str s) {
    size_t i = 1;
    while (i < s.n && s.p[i] != s.p[0]) {
        i += s.p[i] == '\\' && s.p[0] != '`' ? 2 : 1;
    }
    return str_from(s, MIN(i + 1, s.n));
}

static size_t word_length(Str s) {
    size_t n = 1;
    while (n < s.n && name_goes_on(s.p[n])) {
        n++;
    }
    return n;
}

static bool is_grouping(Str word) {
    static const char *const words[] = {"by",       "without",    "on",
                                        "ignoring", "group_left", "group_right"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(word, str_of(words[i]))) {
            return true;
        }
    }
    return false;
}

typedef struct MetricScan {
    Str rest;
    int depth;     /* of braces and brackets */
    bool grouping; /* in front of or inside the parentheses of by(...) and its like */
} MetricScan;

/* The next metric name of an expression: a word that is no function or keyword and stands outside
 * of label lists. */
static bool next_metric(MetricScan *s, Str *ret) {
    while (s->rest.n) {
        char c = s->rest.p[0];
        if (c == '"' || c == '\'' || c == '`') {
            s->rest = skip_quoted(s->rest);
            continue;
        }
        bool name = name_begins(c);
        size_t n = name || isdigit((unsigned char)c) ? word_length(s->rest) : 1;
        Str word = str_upto(s->rest, n);
        s->rest = str_from(s->rest, n);
        s->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        s->grouping = (s->grouping && c != ')') || (name && is_grouping(word));
        if (name && s->depth == 0 && !s->grouping && !is_word(word)) {
            *ret = word;
            return true;
        }
    }
    return false;
}

static bool is_among(const Json *names, Str s) {
    for (size_t i = 0; i < json_count(names); i++) {
        if (str_eq(json_to_str(json_item(names, i)), s)) {
            return true;
        }
    }
    return false;
}

static void tell_if_unknown(const Json *names, Str metric) {
    if (is_among(names, metric)) {
        return;
    }
    VEC(Str) all = {0};
    for (size_t i = 0; i < json_count(names); i++) {
        vec_push(&all, json_to_str(json_item(names, i)));
    }
    Str near = str_nearest(metric, all.v, all.n);
    fprintf(stderr, "there is no metric %.*s%s%.*s%s\n", SA(metric),
            near.n ? "; did you mean " : "", SA(near), near.n ? "?" : "");
    vec_free(&all);
}

void query_tell_unknown_metrics(Str server, Str expr) {
    const Json *names;
    Json *root = api_peek(server, "/api/v1/label/__name__/values", STR_NULL, PEEK_MS, &names);
    MetricScan scan = {.rest = expr};
    Str metric;
    while (root && next_metric(&scan, &metric)) {
        tell_if_unknown(names, metric);
    }
    json_free(root);
}
