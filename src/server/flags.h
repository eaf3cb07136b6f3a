/*
 * The command line: Prometheus' flags by their own names plus ours, all in flags.def. Values are
 * kept as text (what /api/v1/status/flags shows) and as what they mean. Process lifetime; immutable
 * after flags_parse().
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    FLAG_HIDDEN = 1,
    FLAG_NOOP = 2,
    FLAG_AGENT = 4,
    FLAG_SERVER = 8,
    FLAG_OURS = 16,
};

typedef enum FlagKind {
    FLAG_BOOL,
    FLAG_STR,
    FLAG_STRS,
    FLAG_DURATION,
    FLAG_SIZE,
    FLAG_INT,
    FLAG_FLOAT,
    FLAG_LEVEL,
    FLAG_FORMAT,
} FlagKind;

typedef struct Flag {
    const char *name;
    FlagKind kind;
    const char *fallback;
    unsigned notes;
    const char *help;
    bool given;
    Str text;        /* as shown: the last value, or all of a repeatable one joined by "," */
    const Str *list; /* FLAG_STRS: each value */
    size_t n_list;
    int64_t number; /* BOOL, DURATION (ms), INT, LEVEL, FORMAT */
    uint64_t size;
    double real;
} Flag;

typedef enum FlagsOutcome {
    FLAGS_OK,
    FLAGS_HELP,    /* -h, --help: print flags_print_help() and end with 0 */
    FLAGS_VERSION, /* --version */
    FLAGS_USAGE,   /* a mistake, in the problem: end with 2 */
    FLAGS_MODE,    /* agent flag in server mode or the reverse: end with 3 */
} FlagsOutcome;

/* argv[0] is skipped. Strings are borrowed from argv. */
FlagsOutcome flags_parse(int argc, char **argv, Problem *problem);
/* A flag by its name; aborts on a name that is not in flags.def. */
const Flag *flag(const char *name);
static inline bool flag_bool(const char *name) { return flag(name)->number != 0; }
static inline int64_t flag_int(const char *name) { return flag(name)->number; }
static inline Str flag_str(const char *name) { return flag(name)->text; }
/* All rows, for status/flags and the log. */
const Flag *flags_all(size_t *ret_n);
void flags_print_help(FILE *out);
