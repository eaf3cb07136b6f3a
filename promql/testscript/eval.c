/* eval instant at T QUERY / eval range from T to T step D QUERY, and what must come out. */
#include "base/gotext.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "promql/testscript/script.h"

static const char *const expect_words[] = {"ordered", "fail", "warn", "no_warn", "info", "no_info"};

static void eval_deinit(EvalCommand *c) {
    for (size_t i = 0; i < c->expect.n; i++)
        regex_free(c->expect.v[i].pattern);
    vec_free(&c->expect);
    vec_free(&c->series);
}

/* ---- the first line ---- */

static int take_time(Script *s, Str *rest, const char *before, int64_t *ret) {
    Str word = script_word(rest);
    if (!str_eqc(word, before))
        return script_fail(s, "expected \"%s\" instead of \"%.*s\"", before, SA(word));
    word = script_word(rest);
    if (duration_parse(word, ret, NULL) < 0)
        return script_fail(s, "\"%.*s\" is no duration", SA(word));
    return 0;
}

static int read_head(Script *s, EvalCommand *c) {
    Str rest = s->lines.v[s->at], command = script_word(&rest), kind = script_word(&rest);
    c->line = (int)s->at + 1;
    c->range = str_eqc(kind, "range");
    if (str_eqc(command, "eval_ordered"))
        vec_push(&c->expect, (Expectation){.kind = EXPECT_ORDERED});
    else if (str_eqc(command, "eval_fail"))
        vec_push(&c->expect, (Expectation){.kind = EXPECT_FAIL});
    else if (str_eqc(command, "eval_warn"))
        c->must_warn = true;
    else if (str_eqc(command, "eval_info"))
        c->must_inform = true;
    else if (!str_eqc(command, "eval"))
        return script_fail(s, "unknown command \"%.*s\"", SA(command));
    int r = 0;
    if (c->range) {
        if ((r = take_time(s, &rest, "from", &c->start_ms)) == 0 &&
            (r = take_time(s, &rest, "to", &c->end_ms)) == 0)
            r = take_time(s, &rest, "step", &c->step_ms);
    } else if (str_eqc(kind, "instant")) {
        r = take_time(s, &rest, "at", &c->start_ms);
        c->end_ms = c->start_ms;
    } else {
        r = script_fail(s, "expected \"instant\" or \"range\" instead of \"%.*s\"", SA(kind));
    }
    c->query = rest;
    return r;
}

/* ---- expectations ---- */

static int add_expectation(Script *s, EvalCommand *c, ExpectKind kind, bool pattern, Str text) {
    Problem problem = {0};
    Expectation e = {.kind = kind};
    if (pattern && !(e.pattern = regex_new(text, REGEX_PARTIAL, &problem)))
        return script_fail(s, "%s", problem.text);
    if (!pattern)
        e.message = text;
    vec_push(&c->expect, e);
    return 0;
}

/* expect KIND [msg: TEXT | regex: PATTERN] */
static int read_expect(Script *s, EvalCommand *c, Str rest) {
    Str word = script_word(&rest);
    size_t kind = 0;
    while (kind < EXPECT_KINDS && !str_eqc(word, expect_words[kind]))
        kind++;
    if (kind == EXPECT_KINDS)
        return script_fail(s, "\"%.*s\" cannot be expected", SA(word));
    if (!rest.n)
        return add_expectation(s, c, (ExpectKind)kind, false, STR_NULL);
    bool pattern = str_starts(rest, STR("regex:"));
    if (!pattern && !str_starts(rest, STR("msg:")))
        return script_fail(s, "expected \"msg:\" or \"regex:\"");
    return add_expectation(s, c, (ExpectKind)kind, pattern,
                           str_trim(str_from(rest, pattern ? 6 : 4)));
}

static int read_range_vector(Script *s, EvalCommand *c, Str rest) {
    int r;
    if ((r = take_time(s, &rest, "from", &c->start_ms)) == 0 &&
        (r = take_time(s, &rest, "to", &c->end_ms)) == 0)
        r = take_time(s, &rest, "step", &c->step_ms);
    c->range_vector = true;
    return r;
}

static int read_string(Script *s, EvalCommand *c, Str rest, Arena *a) {
    CLEANUP(buf_deinit) Buf plain = BUF_INIT(rest.n + 1);
    if (!go_unquote(rest, &plain))
        return script_fail(s, "expected a string in quotes");
    c->has_string = true;
    c->string = arena_str(a, buf_str(&plain));
    return 0;
}

static int read_series(Script *s, EvalCommand *c, size_t position, Str line, Arena *a) {
    Problem problem = {0};
    ExpectedSeries e = {.position = position};
    if (series_desc_parse(line, a, &e.desc, &problem) < 0)
        return script_fail(s, "column %d: %s", problem.column, problem.text);
    if (!e.desc.n || (e.desc.n > 1 && !c->range && !c->range_vector))
        return script_fail(s, "an instant query gives one value");
    vec_push(&c->series, e);
    return 0;
}

/* 1 when this line ends the command. */
static int read_line(Script *s, EvalCommand *c, size_t *position, Arena *a) {
    Str line = s->lines.v[s->at], rest = line;
    bool fails = eval_expects(c, EXPECT_FAIL);
    if (fails && str_starts(line, STR("expected_fail_message"))) {
        int r = add_expectation(s, c, EXPECT_FAIL, false, str_trim(str_from(line, 21)));
        return r < 0 ? r : 1;
    }
    if (fails && str_starts(line, STR("expected_fail_regexp"))) {
        int r = add_expectation(s, c, EXPECT_FAIL, true, str_trim(str_from(line, 20)));
        return r < 0 ? r : 1;
    }
    if (str_starts(line, STR("expect range vector ")))
        return read_range_vector(s, c, str_trim(str_from(line, 20)));
    if (str_starts(line, STR("expect string ")))
        return read_string(s, c, str_trim(str_from(line, 14)), a);
    if (str_eqc(script_word(&rest), "expect"))
        return read_expect(s, c, rest);
    if (number_parse_go(line, &c->scalar)) {
        c->has_scalar = true;
        return 1;
    }
    return read_series(s, c, ++*position, line, a);
}

int script_eval(Script *s) {
    EvalCommand c = {0};
    Arena a = ARENA_INIT(0);
    size_t position = 0;
    int r = read_head(s, &c);
    while (r == 0 && s->at + 1 < s->lines.n && s->lines.v[s->at + 1].n) {
        s->at++;
        r = read_line(s, &c, &position, &a);
    }
    if (r >= 0) {
        char *failure = eval_run(s, &c);
        s->report(s->user, &(ScriptEval){s->file, c.line, c.query, failure});
        mem_free(failure);
        r = 0;
    }
    eval_deinit(&c);
    arena_deinit(&a);
    return r;
}
