/* name{a="b"} 1 2+3x4 _x3 stale {{...}}+{{...}}x5 */
#include <math.h>
#include <stdlib.h>

#include "base/gotext.h"
#include "base/numtext.h"
#include "promql/testscript/histogram_desc.h"

/* How many values one item may stand for. */
enum { REPEAT_MAX = 1000000 };

int cursor_fail(Cursor *c, const char *what) {
    if (c->problem && !c->problem->text[0]) {
        problem_set(c->problem, 1, (int)c->at + 1, "%s at \"%.*s\"", what,
                    (int)MIN(c->text.n - c->at, 30), c->text.p + c->at);
    }
    return -EINVAL;
}

bool cursor_take(Cursor *c, const char *word) {
    Str w = str_of(word);
    if (!str_starts(str_from(c->text, c->at), w))
        return false;
    c->at += w.n;
    return true;
}

void cursor_spaces(Cursor *c) {
    while (c->at < c->text.n && strchr(" \t\r\n", c->text.p[c->at]))
        c->at++;
}

static bool is_word_char(char c) {
    return c == '_' || c == ':' || (c >= '0' && c <= '9') ||
           ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool number_char(Str s, size_t i) {
    char c = s.p[i];
    if ((c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '_')
        return true;
    return (c == '+' || c == '-') && i > 0 && (s.p[i - 1] | 0x20) == 'e';
}

int cursor_number(Cursor *c, double *ret) {
    size_t at = c->at;
    bool minus = false;
    int64_t whole;
    if (at < c->text.n && (c->text.p[at] == '-' || c->text.p[at] == '+'))
        minus = c->text.p[at++] == '-';
    Str rest = str_from(c->text, at);
    size_t n = 0;
    if (rest.n >= 3 && (str_eq_nocase(str_upto(rest, 3), STR("inf")) ||
                        str_eq_nocase(str_upto(rest, 3), STR("nan"))))
        n = 3;
    while (n < rest.n && !(n == 3 && (rest.p[0] | 0x20) > '9') && number_char(rest, n))
        n++;
    if (int_parse(str_upto(rest, n), &whole) && n < 16)
        *ret = (double)whole;
    else if (n == 0 || !number_parse_go(str_upto(rest, n), ret))
        return cursor_fail(c, "expected a number");
    if (minus)
        *ret = -*ret;
    c->at = at + n;
    return 0;
}

/* ---- labels ---- */

static Str take_word(Cursor *c) {
    size_t begin = c->at;
    while (c->at < c->text.n && is_word_char(c->text.p[c->at]))
        c->at++;
    return str_n(c->text.p + begin, c->at - begin);
}

static int take_quoted(Cursor *c, Arena *a, Str *ret) {
    size_t begin = c->at;
    if (c->at >= c->text.n || !strchr("\"'`", c->text.p[c->at]))
        return cursor_fail(c, "expected a string");
    char quote = c->text.p[c->at++];
    for (; c->at < c->text.n && c->text.p[c->at] != quote; c->at++) {
        if (c->text.p[c->at] == '\\' && quote != '`')
            c->at++;
    }
    if (c->at >= c->text.n)
        return cursor_fail(c, "unterminated string");
    c->at++;
    CLEANUP(buf_deinit) Buf plain = BUF_INIT(c->text.n);
    if (!go_unquote(str_n(c->text.p + begin, c->at - begin), &plain))
        return cursor_fail(c, "bad string");
    *ret = arena_str(a, buf_str(&plain));
    return 0;
}

/* a="b", "c.d"="e", or "metric name" alone */
static int take_label(Cursor *c, Arena *a, Label *ret) {
    bool quoted = c->at < c->text.n && strchr("\"'`", c->text.p[c->at]);
    if (quoted) {
        if (take_quoted(c, a, &ret->name) < 0)
            return -EINVAL;
    } else {
        ret->name = take_word(c);
        if (!ret->name.n)
            return cursor_fail(c, "expected a label");
    }
    cursor_spaces(c);
    if (!cursor_take(c, "=")) {
        if (!quoted)
            return cursor_fail(c, "expected =");
        *ret = (Label){LABEL_NAME, ret->name};
        return 0;
    }
    cursor_spaces(c);
    return take_quoted(c, a, &ret->value);
}

static int take_labels(Cursor *c, Arena *a, Labels *ret) {
    size_t n = 0, cap = 2;
    for (size_t i = c->at; i < c->text.n; i++)
        cap += c->text.p[i] == ',';
    Label *v = ARENA_ARRAY(a, Label, cap);
    Str name = take_word(c), duplicate;
    if (!v)
        return cursor_fail(c, "too many labels");
    if (name.n)
        v[n++] = (Label){LABEL_NAME, name};
    if (cursor_take(c, "{")) {
        cursor_spaces(c);
        while (!cursor_take(c, "}")) {
            if (n >= cap || take_label(c, a, &v[n++]) < 0)
                return cursor_fail(c, "bad labels");
            cursor_spaces(c);
            if (!cursor_take(c, ",") && (c->at >= c->text.n || c->text.p[c->at] != '}'))
                return cursor_fail(c, "expected , or }");
            cursor_spaces(c);
        }
    }
    if (!labels_from_pairs(v, n, ret, &duplicate))
        return cursor_fail(c, "a label stands twice");
    return 0;
}

/* ---- values ---- */

typedef struct Values {
    Arena *arena;
    SeriesValue *v;
    size_t n, cap;
} Values;

static int add_value(Cursor *c, Values *out, SeriesValue v) {
    if (out->n == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 16;
        SeriesValue *grown = ARENA_ARRAY(out->arena, SeriesValue, cap);
        if (!grown || cap > 4 * REPEAT_MAX)
            return cursor_fail(c, "too many values");
        if (out->n)
            memcpy(grown, out->v, out->n * sizeof(v));
        out->v = grown;
        out->cap = cap;
    }
    out->v[out->n++] = v;
    return 0;
}

/* x10 */
static int take_repeat(Cursor *c, size_t *ret) {
    size_t n = 0, digits = 0;
    for (; c->at < c->text.n && c->text.p[c->at] >= '0' && c->text.p[c->at] <= '9';
         c->at++, digits++)
        n = n > REPEAT_MAX ? n : n * 10 + (size_t)(c->text.p[c->at] - '0');
    if (digits == 0 || n > REPEAT_MAX)
        return cursor_fail(c, "bad number of repetitions");
    *ret = n;
    return 0;
}

static int take_omitted(Cursor *c, Values *out) {
    size_t n = 1;
    int r = cursor_take(c, "x") ? take_repeat(c, &n) : 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_value(c, out, (SeriesValue){.omitted = true});
    return r;
}

/* One histogram, repeated, or growing by another one. */
static int take_histogram(Cursor *c, Values *out) {
    SeriesValue v = {0}, step = {0};
    size_t n = 0;
    int r = histogram_desc_parse(c, out->arena, &v.histogram, &v.hint_set);
    bool minus = false, grows = false;
    if (r == 0 && (cursor_take(c, "+") || (minus = cursor_take(c, "-")))) {
        grows = true;
        r = histogram_desc_parse(c, out->arena, &step.histogram, &step.hint_set);
        v.hint_set = step.hint_set;
        if (r == 0 && (c->at >= c->text.n || c->text.p[c->at] != 'x'))
            return cursor_fail(c, "expected x and a number of repetitions");
    }
    if (r == 0 && cursor_take(c, "x"))
        r = take_repeat(c, &n);
    for (size_t i = 0; r == 0 && i <= n; i++) {
        r = add_value(c, out, v);
        if (r == 0 && grows && i < n)
            r = histogram_desc_add(c, out->arena, &v.histogram, step.histogram, minus ? -1 : 1);
    }
    return r;
}

static int take_float(Cursor *c, Values *out) {
    double v, step = 0;
    size_t n = 0;
    int r = 0;
    if (cursor_take(c, "stale"))
        v = stale_nan();
    else if ((r = cursor_number(c, &v)) < 0)
        return r;
    bool steps = c->at < c->text.n && (c->text.p[c->at] == '+' || c->text.p[c->at] == '-');
    if (steps)
        r = cursor_number(c, &step);
    if (r == 0 && cursor_take(c, "x"))
        r = take_repeat(c, &n);
    else if (r == 0 && steps)
        r = cursor_fail(c, "expected x and a number of repetitions");
    for (size_t i = 0; r == 0 && i <= n; i++) {
        r = add_value(c, out, (SeriesValue){.value = v});
        v = steps ? v + step : v;
    }
    return r;
}

static int take_values(Cursor *c, Values *out) {
    int r = 0;
    while (r == 0) {
        size_t before = c->at;
        cursor_spaces(c);
        if (c->at == c->text.n)
            return 0;
        if (c->at == before)
            return cursor_fail(c, "expected a space");
        if (str_starts(str_from(c->text, c->at), STR("{{")))
            r = take_histogram(c, out);
        else
            r = cursor_take(c, "_") ? take_omitted(c, out) : take_float(c, out);
    }
    return r;
}

int series_desc_parse(Str text, Arena *a, SeriesDesc *ret, Problem *problem) {
    Problem unused = {0};
    Cursor c = {.text = text, .problem = problem ? problem : &unused};
    Values values = {.arena = a};
    cursor_spaces(&c);
    int r = take_labels(&c, a, &ret->labels);
    if (r == 0)
        r = take_values(&c, &values);
    ret->values = values.v;
    ret->n = values.n;
    return r;
}
