/*
 * Unit tests: TEST(name) { ... } registers itself; test_main.c runs each in a process of its own,
 * so that one crash does not hide the rest, and prints TAP. A failed check prints its values and
 * ends the test.
 */
#pragma once

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

typedef struct TestCase {
    const char *name, *file;
    int line;
    void (*run)(void);
    struct TestCase *next;
} TestCase;

void test_register(TestCase *c);
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A folder that exists for this test only and is removed after it. */
const char *test_tmpdir(void);
/* The path of a file in testdata/. */
const char *test_data(const char *name);

#define TEST(test_name)                                                                            \
    static void test_run_##test_name(void);                                                        \
    __attribute__((constructor)) static void test_reg_##test_name(void) {                          \
        static TestCase c = {#test_name, __FILE__, __LINE__, test_run_##test_name, NULL};          \
        test_register(&c);                                                                         \
    }                                                                                              \
    static void test_run_##test_name(void)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            test_fail(__FILE__, __LINE__, "%s", #cond);                                            \
    } while (0)

#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        int64_t g_ = (int64_t)(got), w_ = (int64_t)(want);                                         \
        if (g_ != w_)                                                                              \
            test_fail(__FILE__, __LINE__, "%s: got %" PRId64 ", want %" PRId64, #got, g_, w_);     \
    } while (0)

/* Bit for bit. */
#define CHECK_DOUBLE(got, want)                                                                    \
    do {                                                                                           \
        double g_ = (got), w_ = (want);                                                            \
        if (memcmp(&g_, &w_, sizeof(g_)) != 0)                                                     \
            test_fail(__FILE__, __LINE__, "%s: got %.17g, want %.17g", #got, g_, w_);              \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        Str g_ = (got), w_ = (want);                                                               \
        if (!str_eq(g_, w_))                                                                       \
            test_fail(__FILE__, __LINE__, "%s:\n#  got: %.*s\n# want: %.*s", #got, SA(g_),         \
                      SA(w_));                                                                     \
    } while (0)

#define CHECK_CSTR(got, want) CHECK_STR(str_of(got), str_of(want))
