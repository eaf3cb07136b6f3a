#include "nartool/cli.h"

#define HELP_COLUMN 26
#define HELP_WIDTH 100

/* Words from a column on, broken at the width. */
static void print_wrapped(FILE *out, size_t at, const char *text) {
    Str rest = str_of(text), word;
    bool first = true;
    for (; at < HELP_COLUMN; at++) {
        fputc(' ', out);
    }
    while (str_split_next(&rest, ' ', &word)) {
        if (!first && at + 1 + word.n > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        } else if (!first) {
            at += (size_t)fprintf(out, " ");
        }
        at += (size_t)fprintf(out, "%.*s", SA(word));
        first = false;
    }
    fputc('\n', out);
}

static void print_flag(FILE *out, const CliRow *f) {
    int n = f->letter ? fprintf(out, "  -%c, ", f->letter) : fprintf(out, "      ");
    n += fprintf(out, f->value ? "--%s=%s" : "--%s", f->flag, f->value);
    if (n >= HELP_COLUMN - 1) {
        fputc('\n', out);
        n = 0;
    }
    print_wrapped(out, (size_t)n, f->help);
}

static void print_flags(FILE *out, const CliRow *first) {
    for (const CliRow *f = first; cli_is_flag(f); f++) {
        print_flag(out, f);
    }
}

static void print_notes(FILE *out, const char *tool) {
    fprintf(
        out,
        "\nTIME is unix seconds, RFC3339, or relative to now: -1h. A SERVER may be left out where "
        "a context or\nNARTOOL_URL names one (see `man nartool`).\n");
    if (str_eqc(STR("promtool"), tool)) {
        fprintf(out, "Exit codes: 0 success, 1 failure or usage, 3 lint.\n");
    } else {
        fprintf(out, "Exit codes: 0 success, 1 failure, 2 usage, 3 lint, 4 nothing found "
                     "(--fail-empty), 5 --fail-if holds.\n");
    }
}

static void print_command_line(FILE *out, const CliRow *c) {
    bool flags = cli_is_flag(c + 1);
    fprintf(out, "%s%s%s%s", c->words, flags ? " [FLAGS]" : "", c->arguments[0] ? " " : "",
            c->arguments);
}

static void print_usage(FILE *out, const char *tool) {
    fprintf(out, "usage: %s COMMAND [FLAGS] [ARGUMENTS]\n\n", tool);
    fprintf(out,
            "Tooling for Narthex and other servers of Prometheus' API. `%s COMMAND --help` tells "
            "what it takes.\n\n",
            tool);
}

static bool is_of_family(const CliRow *c, const Str *words, size_t n) {
    Str rest = str_of(c->words ? c->words : ""), word;
    bool same = rest.n > 0;
    for (size_t i = 0; i < n && same; i++) {
        same = str_split_next(&rest, ' ', &word) && str_eq(word, words[i]);
    }
    return same;
}

void cli_print_family_help(FILE *out, const char *tool, const Str *words, size_t n) {
    print_usage(out, tool);
    for (size_t i = 0; i < cli_n_rows; i++) {
        if (is_of_family(&cli_rows[i], words, n)) {
            fprintf(out, "  ");
            print_command_line(out, &cli_rows[i]);
            fprintf(out, "\n      %s\n", cli_rows[i].help);
        }
    }
    fprintf(out, "\n");
    print_flags(out, cli_rows);
    print_notes(out, tool);
}

void cli_print_help(FILE *out, const char *tool) { cli_print_family_help(out, tool, NULL, 0); }

void cli_print_command_help(FILE *out, const char *tool, const CliRow *c) {
    fprintf(out, "usage: %s ", tool);
    print_command_line(out, c);
    fprintf(out, "\n\n%s\n%s", c->help, cli_is_flag(c + 1) ? "\n" : "");
    print_flags(out, c + 1);
}
