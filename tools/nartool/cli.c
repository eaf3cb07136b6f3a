#include "nartool/cli.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/version.h"
#include "nartool/server_context.h"

#define FAMILY_WORDS_MAX 4

const CliRow cli_rows[] = {
#define COMMAND(words_, run_, arguments_, help_)                                                   \
    {.words = words_, .run = run_, .arguments = arguments_, .help = help_},
#define FLAG(name_, letter_, value_, help_)                                                        \
    {.flag = name_, .letter = letter_, .value = value_, .help = help_},
#include "nartool/commands.def"
#undef COMMAND
#undef FLAG
};

const size_t cli_n_rows = ARRAY_LEN(cli_rows);

bool cli_is_flag(const CliRow *row) { return row < cli_rows + cli_n_rows && row->flag; }

bool cli_is_choice(const CliRow *flag) {
    return flag->value && (flag->value[0] < 'A' || flag->value[0] > 'Z');
}

static bool is_repeatable(const CliRow *flag) {
    return flag->value && str_ends(str_of(flag->value), STR("..."));
}

void cli_count_words(const CliRow *command, size_t *ret_least, size_t *ret_most) {
    Str rest = str_of(command->arguments), word;
    *ret_least = *ret_most = 0;
    while (str_split_next(&rest, ' ', &word)) {
        bool more = str_find_str(word, STR("...")) < word.n;
        *ret_least += word.n && word.p[0] != '[';
        *ret_most = more ? ARGS_MAX : *ret_most + (word.n > 0);
    }
}

const CliRow *cli_find(const Str *words, size_t n, size_t *ret_words, bool *ret_family) {
    *ret_family = false;
    for (size_t i = 0; i < cli_n_rows; i++) {
        Str rest = str_of(cli_rows[i].words ? cli_rows[i].words : ""), word;
        size_t at = 0;
        bool same = rest.n > 0;
        while (same && at < n && str_split_next(&rest, ' ', &word)) {
            same = str_eq(word, words[at++]);
        }
        if (same && !rest.n && at > 0) {
            *ret_words = at;
            return &cli_rows[i];
        }
        *ret_family |= same && at > 0;
    }
    return NULL;
}

/* ---- taking flags, for commands */

static bool take(Args *a, const char *name, Str *ret) {
    for (size_t i = 0; i < a->n_flags; i++) {
        if (str_eqc(a->flags[i].name, name + 2)) {
            *ret = a->flags[i].value;
            a->n_flags--;
            memmove(&a->flags[i], &a->flags[i + 1], (a->n_flags - i) * sizeof(ArgFlag));
            return true;
        }
    }
    return false;
}

Str args_flag(Args *a, const char *name) {
    Str value;
    return take(a, name, &value) ? value : STR_NULL;
}

bool args_switch(Args *a, const char *name) {
    Str value;
    return take(a, name, &value) && !value.p;
}

/* ---- parsing */

typedef struct Cli {
    int argc;
    char **argv;
    bool as_promtool;
    const char *tool;
    const CliRow *command;
    Args args;
} Cli;

static int usage_error(const Cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int usage_error(const Cli *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, c->as_promtool ? "promtool: error: " : "error: ");
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    if (c->as_promtool) {
        fprintf(stderr, ", try --help\n");
        return EXIT_FAILED;
    }
    fprintf(stderr, "\n");
    if (c->command) {
        fprintf(stderr, "usage: nartool %s [FLAGS] %s\n", c->command->words, c->command->arguments);
    }
    return EXIT_USAGE;
}

/* A word as it may be a flag: "--name=value", "-o", "-ovalue". */
typedef struct Word {
    Str name, value; /* value only when it is in the same word */
    bool is_letter, off;
} Word;

static Word word_split(Str s) {
    Word w = {.is_letter = s.p[1] != '-'};
    if (w.is_letter) {
        w.name = str_n(s.p + 1, 1);
        w.value = s.n > 2 ? str_from(s, s.p[2] == '=' ? 3 : 2) : STR_NULL;
        return w;
    }
    Str body = str_from(s, 2);
    size_t at = str_find(body, '=');
    w.name = str_upto(body, at);
    w.value = at < body.n ? str_from(body, at + 1) : STR_NULL;
    return w;
}

static bool is_named(const CliRow *f, Word *w) {
    if (w->is_letter) {
        /* A switch has nothing behind its letter: -rate(x) is an expression. */
        return f->letter && w->name.p[0] == f->letter && (f->value || !w->value.p);
    }
    if (str_eqc(w->name, f->flag)) {
        return true;
    }
    w->off = !f->value && str_starts(w->name, STR("no-")) && str_eqc(str_from(w->name, 3), f->flag);
    return w->off;
}

static const CliRow *flag_among(const CliRow *first, Word *w) {
    for (const CliRow *f = first; cli_is_flag(f); f++) {
        if (is_named(f, w)) {
            return f;
        }
    }
    return NULL;
}

/* Before the command is known, only whether the next word is the flag's value matters; flags of one
 * name are the same kind in all commands. */
static const CliRow *flag_anywhere(Word *w) {
    for (size_t i = 0; i < cli_n_rows; i++) {
        if (cli_rows[i].flag && is_named(&cli_rows[i], w)) {
            return &cli_rows[i];
        }
    }
    return NULL;
}

static bool is_flag_word(const char *s) { return s[0] == '-' && s[1] != '\0'; }

/* The words before "--" that may name the command. */
static size_t first_words(const Cli *c, Str *words, size_t max) {
    size_t n = 0;
    for (int i = 1; i < c->argc && n < max && strcmp(c->argv[i], "--") != 0; i++) {
        if (!is_flag_word(c->argv[i])) {
            words[n++] = str_of(c->argv[i]);
            continue;
        }
        Word w = word_split(str_of(c->argv[i]));
        const CliRow *f = flag_anywhere(&w);
        i += f && f->value && !w.value.p;
    }
    return n;
}

static bool choice_fits(const CliRow *f, Str value) {
    Str rest = str_of(f->value), one;
    while (str_split_next(&rest, '|', &one)) {
        if (str_eq(one, value)) {
            return true;
        }
    }
    return false;
}

static int check_flag(const Cli *c, const CliRow *f, Str value) {
    for (size_t i = 0; !is_repeatable(f) && i < c->args.n_flags; i++) {
        if (str_eqc(c->args.flags[i].name, f->flag)) {
            return usage_error(c, "flag '%s' cannot be repeated", f->flag);
        }
    }
    if (cli_is_choice(f) && !choice_fits(f, value)) {
        return usage_error(c, "--%s: expected one of %s, got \"%.*s\"", f->flag, f->value,
                           SA(value));
    }
    return EXIT_OK;
}

static int unknown_flag(const Cli *c, const Word *w) {
    if (c->as_promtool) {
        return usage_error(c, "unknown %s flag '%s%.*s'", w->is_letter ? "short" : "long",
                           w->is_letter ? "-" : "--", SA(w->name));
    }
    Str names[64];
    size_t n = 0;
    for (const CliRow *f = c->command + 1; cli_is_flag(f) && n < ARRAY_LEN(names); f++) {
        names[n++] = str_of(f->flag);
    }
    Str near = w->is_letter ? STR_NULL : str_nearest(w->name, names, n);
    return usage_error(c, "unknown flag \"%s%.*s\"%s%.*s%s", w->is_letter ? "-" : "--", SA(w->name),
                       near.n ? "; did you mean --" : "", SA(near), near.n ? "?" : "");
}

static int add_flag(Cli *c, int *at) {
    Word w = word_split(str_of(c->argv[*at]));
    const CliRow *f = flag_among(c->command + 1, &w);
    f = f ? f : flag_among(cli_rows, &w);
    if (!f) {
        return unknown_flag(c, &w);
    }
    if (f->value && !w.value.p) {
        if (*at + 1 == c->argc) {
            return usage_error(c, "expected argument for flag '--%s'", f->flag);
        }
        w.value = str_of(c->argv[++*at]);
    }
    if (!f->value && w.value.p) {
        return usage_error(c, "unexpected \"%.*s\": --%s takes no value", SA(w.value), f->flag);
    }
    int code = check_flag(c, f, w.value);
    c->args.flags[c->args.n_flags++] = (ArgFlag){str_of(f->flag), f->value ? w.value
                                                                  : w.off  ? STR("no")
                                                                           : STR_NULL};
    return code;
}

/* An expression may begin with a minus. */
static bool is_expression(const Cli *c, const char *s) {
    Word w = word_split(str_of(s));
    return w.is_letter && strstr(c->command->arguments, "EXPR") &&
           !flag_among(c->command + 1, &w) && !flag_among(cli_rows, &w);
}

static int parse(Cli *c, size_t skip) {
    bool only_words = false;
    for (int i = 1; i < c->argc; i++) {
        const char *s = c->argv[i];
        if (!only_words && strcmp(s, "--") == 0) {
            only_words = true;
        } else if (!only_words && is_flag_word(s) && (skip || !is_expression(c, s))) {
            int code = add_flag(c, &i);
            if (code) {
                return code;
            }
        } else if (skip) {
            skip--;
        } else {
            c->args.v[c->args.n++] = str_of(s);
        }
    }
    return EXIT_OK;
}

/* A server need not be named where a context has one. */
static void add_server(Args *a, const CliRow *command, size_t most) {
    Str server;
    if (str_starts(str_of(command->arguments), STR("SERVER")) && a->n + 1 == most &&
        server_context_url(&server)) {
        memmove(&a->v[1], &a->v[0], a->n * sizeof(Str));
        a->v[0] = server;
        a->n++;
    }
}

static int missing_word(const Cli *c) {
    Str rest = str_of(c->command->arguments), word = STR_NULL;
    for (size_t i = 0; i <= c->args.n; i++) {
        str_split_next(&rest, ' ', &word);
    }
    size_t n = str_find(word, '.');
    return c->as_promtool
               ? usage_error(c, "required argument '%.*s' not provided", SA(str_upto(word, n)))
               : usage_error(c, "too few arguments: %.*s is missing", SA(str_upto(word, n)));
}

static int run_command(Cli *c) {
    Args *a = &c->args;
    size_t least, most;
    cli_count_words(c->command, &least, &most);
    int code = server_context_setup(a);
    if (code) {
        return code;
    }
    add_server(a, c->command, most);
    if (a->n < least) {
        return missing_word(c);
    }
    if (a->n > most) {
        return c->as_promtool ? usage_error(c, "unexpected %.*s", SA(a->v[most]))
                              : usage_error(c, "too many arguments");
    }
    code = c->command->run(a);
    return code == EXIT_USAGE && c->as_promtool ? EXIT_FAILED : code;
}

static int no_command(const Cli *c, const Str *words, size_t n, bool family) {
    if (n == 0 || family) {
        n ? cli_print_family_help(stderr, c->tool, words, n) : cli_print_help(stderr, c->tool);
        return c->as_promtool ? EXIT_FAILED : EXIT_USAGE;
    }
    if (c->as_promtool) {
        return usage_error(c, "expected command but got \"%.*s\"", SA(words[0]));
    }
    fprintf(stderr, "error: there is no command \"%.*s%s%.*s\"\n\n", SA(words[0]), n > 1 ? " " : "",
            SA(n > 1 ? words[1] : STR_NULL));
    cli_print_help(stderr, c->tool);
    return EXIT_USAGE;
}

static bool has_word(const Cli *c, const char *a, const char *b) {
    for (int i = 1; i < c->argc && strcmp(c->argv[i], "--") != 0; i++) {
        if (strcmp(c->argv[i], a) == 0 || strcmp(c->argv[i], b) == 0) {
            return true;
        }
    }
    return false;
}

static int print_help(const Cli *c, const Str *words, size_t n) {
    bool family;
    size_t used;
    const CliRow *command = cli_find(words, n, &used, &family);
    if (command) {
        cli_print_command_help(stdout, c->tool, command);
    } else if (family) {
        cli_print_family_help(stdout, c->tool, words, n);
    } else {
        cli_print_help(stdout, c->tool);
    }
    return EXIT_OK;
}

int cli_run(int argc, char **argv, bool as_promtool) {
    Cli c = {.argc = argc,
             .argv = argv,
             .as_promtool = as_promtool,
             .tool = as_promtool ? "promtool" : "nartool",
             .args = {.as_promtool = as_promtool}};
    if (argc > ARGS_MAX) {
        return usage_error(&c, "more than %d arguments", ARGS_MAX);
    }
    Str words[FAMILY_WORDS_MAX];
    size_t n = first_words(&c, words, FAMILY_WORDS_MAX), used;
    bool family, help = n && str_eqc(words[0], "help");
    if (help || has_word(&c, "--help", "-h") || has_word(&c, "--help-long", "--help-man")) {
        return print_help(&c, words + help, n - help);
    }
    if (has_word(&c, "--version", "--version")) {
        printf("%s, version %s%s\n", c.tool, VERSION_NARTHEX, as_promtool ? " (nartool)" : "");
        return EXIT_OK;
    }
    c.command = cli_find(words, n, &used, &family);
    if (!c.command) {
        return no_command(&c, words, n, family);
    }
    c.args.command = c.command->words;
    int code = parse(&c, used);
    return code ? code : run_command(&c);
}
