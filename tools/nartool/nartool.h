/* The command line tool: a row a command in commands.def, a file a family of commands. Exit codes
 * are promtool's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* what was asked did not succeed */
    EXIT_USAGE = 2,
    EXIT_LINT = 3, /* correct, but lint found something and --lint-fatal was given */
};

#define ARGS_MAX 256

/* A command's words: flags taken out by args_flag(), the rest in order. */
typedef struct Args {
    const char *command; /* "query instant", for messages */
    Str v[ARGS_MAX];
    size_t n;
} Args;

/* "--name=value" or "--name value" is removed and its value given; STR_NULL when absent. Repeats:
 * call again. */
Str args_flag(Args *a, const char *name);
/* "--name" without a value is removed. */
bool args_switch(Args *a, const char *name);
/* After all flags were taken: complains about what is left of them and about the number of words.
 */
bool args_expect(const Args *a, size_t least, size_t most, const char *usage);

/* "error: ..." on stderr; returns EXIT_FAILED. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* An engine with every feature on, for checking files. The caller frees it. */
struct PromqlEngine *engine_for_checks(void);
/* Whether to draw for a person: standard output is a terminal. */
bool output_is_terminal(void);

#define COMMAND(words, run, usage, help) int run(Args *args);
#include "nartool/commands.def"
#undef COMMAND
