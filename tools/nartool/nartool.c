#include "nartool/nartool.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"

typedef struct Command {
    const char *words;
    int (*run)(Args *);
    const char *usage, *help;
} Command;

static const Command commands[] = {
#define COMMAND(words_, run_, usage_, help_) {words_, run_, usage_, help_},
#include "nartool/commands.def"
#undef COMMAND
};

int fail(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "error: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    return EXIT_FAILED;
}

bool output_is_terminal(void) { return isatty(STDOUT_FILENO); }

static void args_remove(Args *a, size_t at, size_t count) {
    memmove(&a->v[at], &a->v[at + count], (a->n - at - count) * sizeof(Str));
    a->n -= count;
}

Str args_flag(Args *a, const char *name) {
    Str flag = str_of(name);
    for (size_t i = 0; i < a->n; i++) {
        Str arg = a->v[i];
        if (str_eq(arg, flag) && i + 1 < a->n) {
            Str value = a->v[i + 1];
            args_remove(a, i, 2);
            return value;
        }
        if (arg.n > flag.n && str_starts(arg, flag) && arg.p[flag.n] == '=') {
            args_remove(a, i, 1);
            return str_from(arg, flag.n + 1);
        }
    }
    return STR_NULL;
}

bool args_switch(Args *a, const char *name) {
    for (size_t i = 0; i < a->n; i++) {
        if (str_eqc(a->v[i], name)) {
            args_remove(a, i, 1);
            return true;
        }
    }
    return false;
}

/* An expression may begin with a minus, but not where there are too many words. */
static const Str *stray_flag(const Args *a, size_t least, size_t most) {
    for (size_t i = 0; i < a->n && (least <= 1 || a->n > most); i++) {
        if (a->v[i].n > 1 && a->v[i].p[0] == '-') {
            return &a->v[i];
        }
    }
    return NULL;
}

bool args_expect(const Args *a, size_t least, size_t most, const char *usage) {
    const Str *flag = stray_flag(a, least, most);
    if (!flag && a->n >= least && a->n <= most) {
        return true;
    }
    if (flag) {
        fprintf(stderr, "error: unknown flag \"%.*s\", or one without its value\n", SA(*flag));
    } else {
        fprintf(stderr, "error: too %s arguments\n", a->n < least ? "few" : "many");
    }
    fprintf(stderr, "usage: nartool %s %s\n", a->command, usage);
    return false;
}

static void print_help(FILE *out) {
    fprintf(out,
            "usage: nartool COMMAND [FLAGS] [ARGUMENTS]\n\nTooling for Narthex and other servers "
            "of Prometheus' API.\n\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        fprintf(out, "  %s %s\n      %s\n", commands[i].words, commands[i].usage, commands[i].help);
    }
    fprintf(out,
            "\nFORMAT is table (on a terminal), tsv (in a pipe) or json. TIME is unix seconds, "
            "RFC3339, or relative to now: -1h.\n"
            "Exit codes: 0 success, 1 failure, 2 usage, 3 lint.\n");
}

/* The command whose words begin argv; *ret_used says how many words it took. */
static const Command *find_command(int argc, char **argv, int *ret_used) {
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        Str rest = str_of(commands[i].words), word;
        int at = 1;
        bool same = true;
        while (same && str_split_next(&rest, ' ', &word)) {
            same = at < argc && str_eqc(word, argv[at]);
            at++;
        }
        if (same) {
            *ret_used = at;
            return &commands[i];
        }
    }
    return NULL;
}

static int no_command(int argc, char **argv) {
    if (argc > 1) {
        bool family = argc > 2 && argv[2][0] != '-';
        fprintf(stderr, "error: there is no command \"%s%s%s\"\n\n", argv[1], family ? " " : "",
                family ? argv[2] : "");
    }
    print_help(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (argc > 1 && str_eqc(STR("--version"), argv[1])) {
        printf("nartool, version %s\n", VERSION_NARTHEX);
        return EXIT_OK;
    }
    if (argc > 1 && (str_eqc(STR("--help"), argv[1]) || str_eqc(STR("-h"), argv[1]))) {
        print_help(stdout);
        return EXIT_OK;
    }
    int used;
    const Command *c = find_command(argc, argv, &used);
    if (!c) {
        return no_command(argc, argv);
    }
    if (used < argc && (str_eqc(STR("--help"), argv[used]) || str_eqc(STR("-h"), argv[used]))) {
        printf("usage: nartool %s %s\n\n%s\n", c->words, c->usage, c->help);
        return EXIT_OK;
    }
    Args args = {.command = c->words};
    for (int i = used; i < argc; i++) {
        if (args.n == ARGS_MAX) {
            fprintf(stderr, "more than %d arguments\n", ARGS_MAX);
            return EXIT_USAGE;
        }
        args.v[args.n++] = str_of(argv[i]);
    }
    return c->run(&args);
}
