/* What the parts of the script runner share. */
#pragma once

#include "promql/testscript/histogram_desc.h"
#include "storage/mem_storage.h"

typedef enum ExpectKind {
    EXPECT_ORDERED,
    EXPECT_FAIL,
    EXPECT_WARN,
    EXPECT_NO_WARN,
    EXPECT_INFO,
    EXPECT_NO_INFO,
    EXPECT_KINDS
} ExpectKind;

/* A text that must come (message), or a pattern, or anything (neither). */
typedef struct Expectation {
    ExpectKind kind;
    Str message;
    Regex *pattern;
} Expectation;

typedef struct ExpectedSeries {
    size_t position; /* from 1 */
    SeriesDesc desc;
} ExpectedSeries;

typedef struct EvalCommand {
    int line;
    Str query;
    bool range;
    int64_t start_ms, end_ms, step_ms;
    bool must_warn, must_inform; /* eval_warn, eval_info */
    bool range_vector;           /* expect range vector */
    bool has_scalar, has_string;
    double scalar;
    Str string;
    VEC(Expectation) expect;
    VEC(ExpectedSeries) series;
} EvalCommand;

typedef struct Script {
    PromqlEngine *engine;
    Storage *storage;
    const char *file;
    VEC(Str) lines; /* trimmed; comments are empty */
    size_t at;      /* the line being read */
    ScriptReport report;
    void *user;
    Problem *problem;
} Script;

/* -EINVAL with the line being read. */
int script_fail(Script *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* s->at is the command's line, then its last one. */
int script_load(Script *s);
int script_eval(Script *s);
/* Cuts the first word and the spaces behind it off. */
Str script_word(Str *rest);

/* Whether an expression gives what the command expects: else a text, which the caller frees. */
char *eval_run(Script *s, const EvalCommand *c);
char *eval_compare(const EvalCommand *c, const PromqlResult *r);
char *eval_compare_vector(const EvalCommand *c, const PromqlResult *r, int64_t at_ms);
bool eval_expects(const EvalCommand *c, ExpectKind kind);
bool matrix_sorted(const PromqlResult *r);

bool almost_equal(double a, double b);
bool histogram_matches(const SeriesValue *want, const FloatHistogram *got);
