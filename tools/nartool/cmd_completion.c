/* completion, man: files for the shell and for man, generated from commands.def. */
#include <stdio.h>

#include "base/vec.h"
#include "base/version.h"
#include "nartool/cli.h"

/* The words of a command but the last n. */
static Str words_before(const CliRow *c, size_t n) {
    Str s = str_of(c->words);
    while (n-- && s.n) {
        while (s.n && s.p[s.n - 1] != ' ') {
            s.n--;
        }
        s = str_trim(s);
    }
    return s;
}

typedef VEC(Str) Strs;

static void strs_add(Strs *v, Str s) {
    for (size_t i = 0; i < v->n; i++) {
        if (str_eq(v->v[i], s)) {
            return;
        }
    }
    vec_push(v, s);
}

/* Everything that begins a command: "", "query", "query instant", "tsdb import", ... */
static void all_paths(Strs *ret) {
    for (size_t i = 0; i < cli_n_rows; i++) {
        for (size_t n = 4; cli_rows[i].words && n-- > 0;) {
            strs_add(ret, words_before(&cli_rows[i], n));
        }
    }
}

/* The words that go on after a path. */
static void next_words(Str path, Strs *ret) {
    for (size_t i = 0; i < cli_n_rows; i++) {
        Str s = str_of(cli_rows[i].words ? cli_rows[i].words : "");
        if (s.n > path.n && str_starts(s, path) && (!path.n || s.p[path.n] == ' ')) {
            Str rest = str_from(s, path.n ? path.n + 1 : 0);
            strs_add(ret, str_upto(rest, str_find(rest, ' ')));
        }
    }
}

static const CliRow *command_at(Str path) {
    for (size_t i = 0; i < cli_n_rows; i++) {
        if (cli_rows[i].words && str_eqc(path, cli_rows[i].words)) {
            return &cli_rows[i];
        }
    }
    return NULL;
}

/* ---- bash */

static void bash_words(Str path) {
    Strs next = {0};
    next_words(path, &next);
    for (size_t i = 0; i < next.n; i++) {
        printf("%s%.*s", i ? " " : "", SA(next.v[i]));
    }
    const CliRow *c = command_at(path);
    for (const CliRow *f = c ? c + 1 : cli_rows; cli_is_flag(f); f++) {
        printf(" --%s%s", f->flag, f->value ? "=" : "");
    }
    vec_free(&next);
}

static void bash_choices(void) {
    for (size_t i = 0; i < cli_n_rows; i++) {
        if (cli_rows[i].flag && cli_is_choice(&cli_rows[i])) {
            Str rest = str_of(cli_rows[i].value), one;
            printf("        --%s) words=\"", cli_rows[i].flag);
            for (bool first = true; str_split_next(&rest, '|', &one); first = false) {
                printf("%s%.*s", first ? "" : " ", SA(one));
            }
            printf("\" ;;\n");
        }
    }
}

static void print_bash(void) {
    Strs paths = {0};
    all_paths(&paths);
    printf("# bash completion of nartool; made by `nartool completion bash`\n"
           "_nartool() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= words=\n"
           "    local i\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case \"$path ${COMP_WORDS[i]}\" in\n");
    for (size_t i = 0; i < paths.n; i++) {
        if (paths.v[i].n) {
            printf("        ' %.*s') ;&\n", SA(paths.v[i]));
        }
    }
    printf("        ' ') path=\"$path ${COMP_WORDS[i]}\" ;;\n        esac\n    done\n"
           "    if [[ $cur == = ]]; then cur=; fi\n"
           "    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
           "    case \"$prev\" in\n");
    bash_choices();
    printf("        *) case \"$path\" in\n");
    for (size_t i = 0; i < paths.n; i++) {
        printf("            '%s%.*s') words='", paths.v[i].n ? " " : "", SA(paths.v[i]));
        bash_words(paths.v[i]);
        printf("' ;;\n");
    }
    printf("            esac ;;\n    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
           "    if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi\n"
           "}\n"
           "complete -o default -F _nartool nartool\n");
    vec_free(&paths);
}

/* ---- zsh */

/* Text inside '...' and [...] of zsh's _arguments. */
static void print_zsh_help(const char *s) {
    for (; *s; s++) {
        if (*s == '\'') {
            printf("'\\''");
        } else if (strchr("[]:\\", *s)) {
            printf("\\%c", *s);
        } else {
            putchar(*s);
        }
    }
}

static void print_zsh_value(const CliRow *f) {
    if (!f->value) {
        return;
    }
    printf(":value:");
    if (cli_is_choice(f)) {
        Str rest = str_of(f->value), one;
        printf("(");
        while (str_split_next(&rest, '|', &one)) {
            printf("%.*s ", SA(one));
        }
        printf(")");
    } else if (str_starts(str_of(f->value), STR("FILE"))) {
        printf("_files");
    } else if (str_starts(str_of(f->value), STR("FOLDER"))) {
        printf("_files -/");
    }
}

static void print_zsh_command(const CliRow *c) {
    printf("    '%s')\n        _arguments", c->words);
    for (const CliRow *f = c + 1; cli_is_flag(f); f++) {
        printf(" \\\n            '--%s%s[", f->flag, f->value ? "=" : "");
        print_zsh_help(f->help);
        printf("]");
        print_zsh_value(f);
        printf("'");
    }
    printf(" \\\n            '*:argument:_files' ;;\n");
}

static void print_zsh_words(Str path) {
    Strs next = {0};
    next_words(path, &next);
    if (next.n) {
        printf("    '%.*s')\n        compadd", SA(path));
        for (size_t i = 0; i < next.n; i++) {
            printf(" %.*s", SA(next.v[i]));
        }
        printf(" ;;\n");
    }
    vec_free(&next);
}

static void print_zsh(void) {
    Strs paths = {0};
    all_paths(&paths);
    printf("#compdef nartool\n# zsh completion of nartool; made by `nartool completion zsh`\n"
           "_nartool() {\n    local at=\"\" i\n"
           "    for ((i = 2; i < CURRENT; i++)); do\n        case \"${at:+$at }${words[i]}\" in\n");
    for (size_t i = 0; i < paths.n; i++) {
        if (paths.v[i].n) {
            printf("        '%.*s') at=\"${at:+$at }${words[i]}\" ;;\n", SA(paths.v[i]));
        }
    }
    printf("        esac\n    done\n    case \"$at\" in\n");
    for (size_t i = 0; i < paths.n; i++) {
        const CliRow *c = command_at(paths.v[i]);
        c ? print_zsh_command(c) : print_zsh_words(paths.v[i]);
    }
    printf("    esac\n}\n_nartool \"$@\"\n");
    vec_free(&paths);
}

/* ---- fish */

static void print_fish_quoted(const char *s) {
    putchar('\'');
    for (; *s; s++) {
        printf(strchr("'\\", *s) ? "\\%c" : "%c", *s);
    }
    putchar('\'');
}

static void print_fish_flag(const CliRow *c, const CliRow *f) {
    printf("complete -c nartool -n '__nartool_at \"%s\"' -l %s", c->words, f->flag);
    if (f->letter) {
        printf(" -s %c", f->letter);
    }
    if (f->value && cli_is_choice(f)) {
        Str rest = str_of(f->value), one;
        printf(" -x -a '");
        while (str_split_next(&rest, '|', &one)) {
            printf("%.*s ", SA(one));
        }
        printf("'");
    } else if (f->value) {
        bool file = str_starts(str_of(f->value), STR("FILE")) ||
                    str_starts(str_of(f->value), STR("FOLDER"));
        printf(file ? " -r" : " -x");
    }
    printf(" -d ");
    print_fish_quoted(f->help);
    printf("\n");
}

static void print_fish(void) {
    Strs paths = {0};
    all_paths(&paths);
    printf("# fish completion of nartool; made by `nartool completion fish`\n"
           "function __nartool_at\n"
           "    set -l words (string match -v -- '-*' (commandline -opc))[2..-1]\n"
           "    set -l n (count (string split -n ' ' -- $argv[1]))\n"
           "    test $n -eq 0; and test (count $words) -eq 0; and return 0\n"
           "    test $n -gt 0; and test \"$words[1..$n]\" = \"$argv[1]\"\n"
           "end\n");
    for (size_t i = 0; i < paths.n; i++) {
        Strs next = {0};
        next_words(paths.v[i], &next);
        for (size_t k = 0; k < next.n; k++) {
            printf("complete -c nartool -f -n '__nartool_at \"%.*s\"' -a %.*s\n", SA(paths.v[i]),
                   SA(next.v[k]));
        }
        vec_free(&next);
        const CliRow *c = command_at(paths.v[i]);
        for (const CliRow *f = c ? c + 1 : NULL; f && cli_is_flag(f); f++) {
            print_fish_flag(c, f);
        }
    }
    vec_free(&paths);
}

int cmd_completion(Args *a) {
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (str_eqc(a->v[0], shells[i].shell)) {
            shells[i].print();
            return EXIT_OK;
        }
    }
    fail("expected bash, zsh or fish, got \"%.*s\"", SA(a->v[0]));
    return EXIT_USAGE;
}

/* ---- man */

static void print_roff(const char *s) {
    for (; *s; s++) {
        if (*s == '-') {
            printf("\\-");
        } else if (*s == '\\') {
            printf("\\e");
        } else {
            putchar(*s);
        }
    }
}

static void print_roff_flag(const CliRow *f) {
    printf(".TP\n");
    if (f->letter) {
        printf("\\fB\\-%c\\fR, ", f->letter);
    }
    printf("\\fB\\-\\-");
    print_roff(f->flag);
    printf("\\fR");
    if (f->value) {
        printf("=\\fI");
        print_roff(f->value);
        printf("\\fR");
    }
    printf("\n");
    print_roff(f->help);
    printf("\n");
}

static void print_roff_command(const CliRow *c) {
    printf(".SS ");
    print_roff(c->words);
    printf(" ");
    print_roff(c->arguments);
    printf("\n");
    print_roff(c->help);
    printf("\n");
    for (const CliRow *f = c + 1; cli_is_flag(f); f++) {
        print_roff_flag(f);
    }
}

static const char man_head[] =
    ".SH NAME\nnartool \\- command line of Narthex and other servers of Prometheus' API\n"
    ".SH SYNOPSIS\n.B nartool\nCOMMAND [FLAGS] [ARGUMENTS]\n.br\n.B promtool\nCOMMAND [FLAGS] "
    "[ARGUMENTS]\n"
    ".SH DESCRIPTION\nAsks servers, checks files and works on databases. Called by the name "
    "promtool, or as\n.BR \"nartool promtool\" ,\nit prints and exits as promtool does.\n.PP\n"
    "Flags may stand anywhere: \\-\\-name=value, \\-\\-name value, \\-\\-switch, "
    "\\-\\-no\\-switch. "
    "Behind \\-\\- all are arguments.\nTIME is unix seconds, RFC3339, or relative to now: "
    "\\-1h.\n";

static const char man_tail[] =
    ".SH CONTEXTS\nA SERVER may be left out when the variable NARTOOL_URL or the file\n"
    ".I ~/.config/nartool/config.yml\nnames one:\n.PP\n.nf\n"
    "    current: prod\n    contexts:\n      \\- name: prod\n"
    "        url: https://metrics.example.org\n        user: me\n"
    "        password_file: /etc/nartool/password\n      \\- name: lab\n"
    "        url: http://lab:9090\n        token_file: /etc/nartool/token\n.fi\n.PP\n"
    "Instead of user, password_file and token_file a context may have basic_auth, authorization, "
    "tls_config, proxy_url and http_headers as in prometheus.yml. They are sent to the context's "
    "own URL, and to another SERVER only with \\-\\-context.\n"
    ".SH ENVIRONMENT\n.TP\nNARTOOL_URL\nThe server to ask when none is named; goes before the "
    "current context.\n.TP\nNO_COLOR\nWhen set and not empty: no colours.\n.TP\nLC_ALL, LC_CTYPE, "
    "LANG\nWithout UTF\\-8 in them plots are drawn with ASCII.\n"
    ".SH EXIT STATUS\n0 success, 1 failure, 2 usage (as promtool: 1), 3 lint found something and "
    "\\-\\-lint\\-fatal was given, 4 nothing was found and \\-\\-fail\\-empty was given, 5 the "
    "expression of \\-\\-fail\\-if has a result.\n";

int cmd_man(Args *a) {
    printf(".TH NARTOOL 1 \"\" \"Narthex %s\"\n%s.SH FLAGS\n", VERSION_NARTHEX, man_head);
    for (const CliRow *f = cli_rows; cli_is_flag(f); f++) {
        print_roff_flag(f);
    }
    printf(".SH COMMANDS\n");
    for (size_t i = 0; i < cli_n_rows; i++) {
        if (cli_rows[i].words) {
            print_roff_command(&cli_rows[i]);
        }
    }
    printf("%s", man_tail);
    return EXIT_OK;
}
