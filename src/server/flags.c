#include "server/flags.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/numtext.h"
#include "model/duration.h"

#define HIDDEN FLAG_HIDDEN
#define NOOP FLAG_NOOP
#define AGENT FLAG_AGENT
#define SERVER FLAG_SERVER
#define OURS FLAG_OURS

static Flag table[] = {
#define FLAG(name_, kind_, fallback_, notes_, help_)                                               \
    {.name = name_, .kind = FLAG_##kind_, .fallback = fallback_, .notes = (notes_), .help = help_},
#include "server/flags.def"
#undef FLAG
};

static Flag *find(Str name) {
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (str_eqc(name, table[i].name)) {
            return &table[i];
        }
    }
    return NULL;
}

const Flag *flag(const char *name) {
    const Flag *f = find(str_of(name));
    if (!f) {
        fprintf(stderr, "no such flag in flags.def: %s\n", name);
        abort();
    }
    return f;
}

const Flag *flags_all(size_t *ret_n) {
    *ret_n = ARRAY_LEN(table);
    return table;
}

static bool choose(Str value, const char *const *names, size_t n, int64_t *ret) {
    for (size_t i = 0; i < n; i++) {
        if (str_eqc(value, names[i])) {
            *ret = (int64_t)i;
            return true;
        }
    }
    return false;
}

static int wrong(Problem *p, const Flag *f, Str value, const char *expected) {
    return problem_set(p, 0, 0, "flag --%s: expected %s, got \"%.*s\"", f->name, expected,
                       SA(value));
}

/* Lists of repeatable flags; they live as long as the process, or until the next flags_parse(). */
static Arena memory;

/* One more value for a repeatable flag; the text shows all of them. */
static void add_to_list(Flag *f, Str value) {
    size_t n = f->n_list;
    Str *list = ARENA_ARRAY(&memory, Str, n + 1);
    for (size_t i = 0; i < n; i++) {
        list[i] = f->list[i];
    }
    list[n] = value;
    f->text = n ? arena_printf(&memory, "%.*s,%.*s", SA(f->text), SA(value)) : value;
    f->list = list;
    f->n_list = n + 1;
}

static int set_value(Flag *f, Str value, Problem *p) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const formats[] = {"logfmt", "json"};
    Problem detail = {0};
    if (f->kind == FLAG_STRS) {
        add_to_list(f, value);
        return 0;
    }
    f->text = value;
    switch (f->kind) {
    case FLAG_BOOL:
        if (!str_eqc(value, "true") && !str_eqc(value, "false")) {
            return wrong(p, f, value, "true or false");
        }
        f->number = str_eqc(value, "true");
        break;
    case FLAG_STR:
    case FLAG_STRS: break;
    case FLAG_DURATION:
        if (value.n && duration_parse(value, &f->number, &detail) < 0) {
            return wrong(p, f, value, "a duration such as 15s or 2h");
        }
        break;
    case FLAG_SIZE:
        if (value.n && size_parse(value, &f->size, &detail) < 0) {
            return wrong(p, f, value, "a size such as 512MB");
        }
        break;
    case FLAG_INT:
        if (!int_parse(value, &f->number) || f->number < 0) {
            return wrong(p, f, value, "a whole number, not negative");
        }
        break;
    case FLAG_FLOAT:
        if (!number_parse(value, &f->real)) {
            return wrong(p, f, value, "a number");
        }
        break;
    case FLAG_LEVEL:
        if (!choose(value, levels, ARRAY_LEN(levels), &f->number)) {
            return wrong(p, f, value, "debug, info, warn or error");
        }
        break;
    case FLAG_FORMAT:
        if (!choose(value, formats, ARRAY_LEN(formats), &f->number)) {
            return wrong(p, f, value, "logfmt or json");
        }
        break;
    }
    return 0;
}

static void set_defaults(void) {
    arena_reset(&memory);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        Flag *f = &table[i];
        f->given = false;
        f->list = NULL;
        f->n_list = 0;
        if (f->kind == FLAG_STRS && !f->fallback[0]) {
            f->text = STR("");
            continue;
        }
        (void)set_value(f, str_of(f->fallback), NULL); /* defaults are ours: they parse */
    }
}

static int unknown(Str name, Problem *p) {
    Str names[ARRAY_LEN(table)];
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        names[i] = str_of(table[i].name);
    }
    Str near = str_nearest(name, names, ARRAY_LEN(table));
    if (near.p) {
        return problem_set(p, 0, 0, "unknown long flag '--%.*s', did you mean '--%.*s'?", SA(name),
                           SA(near));
    }
    return problem_set(p, 0, 0, "unknown long flag '--%.*s', see --help", SA(name));
}

/* A value given by the user replaces the default list. */
static int give(Flag *f, Str value, Problem *p) {
    if (f->kind == FLAG_STRS && !f->given) {
        f->list = NULL;
        f->n_list = 0;
    } else if (f->given && f->kind != FLAG_STRS) {
        return problem_set(p, 0, 0, "flag '%s' cannot be repeated", f->name);
    }
    int r = set_value(f, value, p);
    f->given = true;
    return r;
}

/* "--name=value", "--name value", "--switch", "--no-switch". Advances *i over a value of its own.
 */
static int parse_one(int argc, char **argv, int *i, Problem *p) {
    Str arg = str_from(str_of(argv[*i]), 2);
    size_t eq = str_find(arg, '=');
    Str name = str_upto(arg, eq);
    Flag *f = find(name);
    if (!f && str_starts(name, STR("no-"))) {
        f = find(str_from(name, 3));
        if (f && f->kind == FLAG_BOOL && eq == arg.n) {
            return give(f, STR("false"), p);
        }
        f = NULL;
    }
    if (!f) {
        return unknown(name, p);
    }
    if (eq < arg.n) {
        return give(f, str_from(arg, eq + 1), p);
    }
    if (f->kind == FLAG_BOOL) {
        return give(f, STR("true"), p);
    }
    if (*i + 1 >= argc) {
        return problem_set(p, 0, 0, "expected argument for flag '--%s'", f->name);
    }
    return give(f, str_of(argv[++*i]), p);
}

static FlagsOutcome check_mode(Problem *p) {
    bool agent = flag_bool("agent");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const Flag *f = &table[i];
        if (f->given && (f->notes & (agent ? FLAG_SERVER : FLAG_AGENT))) {
            problem_set(p, 0, 0, "The following flag(s) can not be used in %s mode: [\"--%s\"]",
                        agent ? "agent" : "server", f->name);
            return FLAGS_MODE;
        }
    }
    return FLAGS_OK;
}

FlagsOutcome flags_parse(int argc, char **argv, Problem *p) {
    set_defaults();
    for (int i = 1; i < argc; i++) {
        Str arg = str_of(argv[i]);
        if (str_eqc(arg, "-h") || str_eqc(arg, "--help") || str_eqc(arg, "--help-long")) {
            return FLAGS_HELP;
        }
        if (str_eqc(arg, "--version")) {
            return FLAGS_VERSION;
        }
        if (!str_starts(arg, STR("--"))) {
            problem_set(p, 0, 0, "unexpected argument '%s': flags begin with --", argv[i]);
            return FLAGS_USAGE;
        }
        if (parse_one(argc, argv, &i, p) < 0) {
            return FLAGS_USAGE;
        }
    }
    return check_mode(p);
}

static const char *kind_text(FlagKind k) {
    static const char *const text[] = {
        [FLAG_BOOL] = "",          [FLAG_STR] = "=TEXT",   [FLAG_STRS] = "=TEXT ...",
        [FLAG_DURATION] = "=TIME", [FLAG_SIZE] = "=SIZE",  [FLAG_INT] = "=N",
        [FLAG_FLOAT] = "=X",       [FLAG_LEVEL] = "=info", [FLAG_FORMAT] = "=logfmt"};
    return text[k];
}

/* Help text behind the flag's column, broken between words. */
static void print_wrapped(FILE *out, const char *text) {
    enum { INDENT = 10, WIDTH = 96 };
    Str rest = str_of(text), word;
    size_t column = 0;
    while (str_split_next(&rest, ' ', &word)) {
        if (column == 0 || column + 1 + word.n > WIDTH) {
            fprintf(out, "%s%*s", column ? "\n" : "", INDENT, "");
            column = INDENT;
        } else {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", SA(word));
        column += word.n;
    }
    fputc('\n', out);
}

void flags_print_help(FILE *out) {
    fprintf(out, "usage: narthex [<flags>]\n\nThe Narthex monitoring server\n\n"
                 "Flags:\n      -h, --[no-]help\n          Show this help.\n"
                 "      --version\n          Show the version.\n");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const Flag *f = &table[i];
        if (f->notes & FLAG_HIDDEN) {
            continue;
        }
        fprintf(out, "      --%s%s%s%s\n", f->kind == FLAG_BOOL ? "[no-]" : "", f->name,
                f->fallback[0] && f->kind != FLAG_BOOL ? "=" : kind_text(f->kind),
                f->kind != FLAG_BOOL ? f->fallback : "");
        print_wrapped(out, f->help);
    }
}
