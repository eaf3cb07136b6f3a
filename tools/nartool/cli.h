/*
 * The command line by commands.def: finding the command, parsing and checking its words and flags,
 * --help, and what is generated for the shell. Flags are kingpin's, as promtool's are:
 * --name=value,
 * --name value, --[no-]switch, -o value, anywhere on the line; behind "--" all are words.
 */
#pragma once

#include <stdio.h>

#include "nartool/nartool.h"

/* A command or a flag of the command above it. */
typedef struct CliRow {
    const char *words; /* of a command; NULL: a flag */
    int (*run)(Args *);
    const char *arguments;
    const char *flag, *value;
    char letter;
    const char *help;
} CliRow;

extern const CliRow cli_rows[];
extern const size_t cli_n_rows;

/* for (row = command + 1; cli_is_flag(row); row++): the flags of a command; of all commands, from
 * cli_rows on. */
bool cli_is_flag(const CliRow *row);
/* "FILE..." and "[FILE...]" say how many words a command takes. */
void cli_count_words(const CliRow *command, size_t *ret_least, size_t *ret_most);
/* All flags whose value is a choice have "|" or are one word in lower case. */
bool cli_is_choice(const CliRow *flag);
/* The command of these words, or NULL; *ret_words says how many name it, *ret_family that they
 * begin some commands. */
const CliRow *cli_find(const Str *words, size_t n, size_t *ret_words, bool *ret_family);

/* The whole command line to the exit code. */
int cli_run(int argc, char **argv, bool as_promtool);

void cli_print_help(FILE *out, const char *tool);
/* Of one command with its flags, or of all whose words begin so. */
void cli_print_command_help(FILE *out, const char *tool, const CliRow *command);
void cli_print_family_help(FILE *out, const char *tool, const Str *words, size_t n);
