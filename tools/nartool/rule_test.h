/*
 * Runs the groups of a rule test file: input series become samples step by step, the rules are
 * evaluated over them, and what fires and what expressions give is held against what the file
 * expects. One thread.
 */
#pragma once

#include "base/vec.h"
#include "nartool/rule_test_file.h"
#include "rules/rule_run.h"

typedef struct RuleTest {
    const RuleTestFile *file;
    PromqlEngine *engine;
    RuleFile *const *rules;
    size_t n_rules;
    bool diff;  /* expected and got alerts as lines that differ */
    bool debug; /* prints what is in the storage at the end */
} RuleTest;

typedef struct Failures {
    VEC(Str) list; /* in the arena */
    Arena *arena;
} Failures;

/* A failure of each expectation that does not hold. */
void rule_test_run(const RuleTest *t, const TestGroup *group, Failures *ret);
