/* The command line tool: commands and their flags are rows of commands.def, a file a family of
 * commands. Exit codes are promtool's, and some more where a script asks for them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* what was asked did not succeed */
    EXIT_USAGE = 2,  /* promtool has 1 for this, and so have we under its name */
    EXIT_LINT = 3,   /* correct, but lint found something and --lint-fatal was given */
    EXIT_EMPTY = 4,  /* --fail-empty */
    EXIT_FOUND = 5,  /* --fail-if */
};

#define ARGS_MAX 256

typedef struct ArgFlag {
    Str name, value; /* without dashes; STR_NULL for a switch that is on, "no" for one off */
} ArgFlag;

/* A command's words and flags, checked against commands.def. */
typedef struct Args {
    const char *command; /* "query instant", for messages */
    Str v[ARGS_MAX];
    size_t n;
    ArgFlag flags[ARGS_MAX];
    size_t n_flags;
    bool as_promtool;
} Args;

/* "--name": takes the value of the first one; STR_NULL when absent. Repeats: call again. */
Str args_flag(Args *a, const char *name);
/* Whether the switch is on. */
bool args_switch(Args *a, const char *name);

/* "error: ..." on stderr; returns EXIT_FAILED. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* An engine with every feature on, for checking files. The caller frees it. */
struct PromqlEngine *engine_for_checks(void);
/* Whether to draw for a person: standard output is a terminal. */
bool output_is_terminal(void);

#define COMMAND(words, run, arguments, help) int run(Args *args);
#define FLAG(name, letter, value, help)
#include "nartool/commands.def"
#undef COMMAND
#undef FLAG
