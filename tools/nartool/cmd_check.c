/* check config|rules|web-config: the same loaders as the server's, with promtool's words and exit
 * codes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "config/config.h"
#include "config/web_config.h"
#include "nartool/check_files.h"
#include "nartool/nartool.h"
#include "rules/rule_file.h"

#define STDIN_BYTES_MAX (64u << 20)

typedef struct Lint {
    bool duplicates, fatal, syntax_only;
} Lint;

static bool take_lint(Args *a, Lint *ret) {
    Str text = args_flag(a, "--lint");
    *ret = (Lint){.duplicates = true};
    ret->fatal = args_switch(a, "--lint-fatal");
    ret->syntax_only = args_switch(a, "--syntax-only");
    if (!text.p || str_eqc(text, "all") || str_eqc(text, "duplicate-rules")) {
        return true;
    }
    if (str_eqc(text, "none")) {
        ret->duplicates = false;
        return true;
    }
    fail("--lint: expected all, duplicate-rules or none, got \"%.*s\"", SA(text));
    return false;
}

PromqlEngine *engine_for_checks(void) {
    return promql_engine_new(&(PromqlOptions){.experimental_functions = true,
                                              .duration_expr = true,
                                              .fill_modifiers = true,
                                              .extended_selectors = true});
}

typedef struct RuleKey {
    Str name;
    Labels labels;
} RuleKey;

static int rule_key_cmp(const void *a, const void *b) {
    const RuleKey *x = a, *y = b;
    int r = str_cmp(x->name, y->name);
    return r ? r : labels_cmp(x->labels, y->labels);
}

/* Rules of one name with the same labels: most likely a copy that was forgotten. */
static size_t print_duplicates(const RuleKey *keys, size_t n) {
    size_t found = 0;
    for (size_t i = 1; i < n; i++) {
        bool same = rule_key_cmp(&keys[i], &keys[i - 1]) == 0;
        if (!same || (i > 1 && rule_key_cmp(&keys[i - 1], &keys[i - 2]) == 0)) {
            continue;
        }
        CLEANUP(buf_deinit) Buf labels = BUF_INIT(0);
        labels_format(keys[i].labels, &labels);
        if (found++ == 0) {
            printf("  duplicate rule(s) found.\n");
        }
        printf("  Metric: %.*s\n  Label(s): %.*s\n", SA(keys[i].name), SA(buf_str(&labels)));
    }
    if (found) {
        printf("  Might cause inconsistency while recording expressions\n");
    }
    return found;
}

static size_t count_rules(const RuleFile *f) {
    size_t n = 0;
    for (size_t g = 0; g < f->n_groups; g++) {
        n += f->groups[g].n_rules;
    }
    return n;
}

static size_t lint_file(const RuleFile *f) {
    size_t n = 0;
    RuleKey *keys = NEW_ARRAY(RuleKey, count_rules(f));
    for (size_t g = 0; g < f->n_groups; g++) {
        for (size_t i = 0; i < f->groups[g].n_rules; i++) {
            const RuleDef *rule = &f->groups[g].rules[i];
            keys[n++] = (RuleKey){rule->record.n ? rule->record : rule->alert, rule->labels};
        }
    }
    if (n) {
        qsort(keys, n, sizeof(*keys), rule_key_cmp);
    }
    size_t found = print_duplicates(keys, n);
    mem_free(keys);
    return found;
}

/* The worse of two exit codes: a failure beats a finding of lint. */
static int worse(int a, int b) {
    if (a == EXIT_FAILED || b == EXIT_FAILED) {
        return EXIT_FAILED;
    }
    return a > b ? a : b;
}

static int report_rules(const char *name, int r, RuleFile *f, const Problem *p, const Lint *lint) {
    char text[2048];
    printf("Checking %s\n", name);
    if (r < 0) {
        fflush(stdout);
        fprintf(stderr, "  FAILED:\n%s\n\n", problem_format(p, text, sizeof(text)));
        return EXIT_FAILED;
    }
    size_t duplicates = lint->duplicates ? lint_file(f) : 0;
    printf("  SUCCESS: %zu rules found\n\n", count_rules(f));
    rule_file_unref(f);
    return duplicates && lint->fatal ? EXIT_LINT : EXIT_OK;
}

static int check_rule_file(const char *path, const PromqlEngine *engine, const Lint *lint) {
    RuleFile *f = NULL;
    Problem p = {0};
    int r = rule_file_load(path, engine, &f, &p);
    return report_rules(path, r, f, &p, lint);
}

static int check_standard_input(const PromqlEngine *engine, const Lint *lint) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(STDIN_BYTES_MAX);
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof(part), stdin)) > 0) {
        buf_add(&text, part, n);
    }
    if (text.failed) {
        return fail("standard input is larger than %u MiB", STDIN_BYTES_MAX >> 20);
    }
    RuleFile *f = NULL;
    Problem p = {0};
    int r = rule_file_parse(buf_str(&text), STR("standard input"), engine, &f, &p);
    return report_rules("standard input", r, f, &p, lint);
}

int cmd_check_rules(Args *a) {
    Lint lint;
    if (!take_lint(a, &lint)) {
        return EXIT_USAGE;
    }
    PromqlEngine *engine = engine_for_checks();
    int worst = a->n ? EXIT_OK : check_standard_input(engine, &lint);
    for (size_t i = 0; i < a->n; i++) {
        worst = worse(worst, check_rule_file(a->v[i].p, engine, &lint));
    }
    promql_engine_free(engine);
    return worst;
}

static int check_rules_of(const Config *c, const PromqlEngine *engine, const Lint *lint) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    SchemaStrs files;
    int r = config_rule_files(c, &arena, &files);
    if (r < 0) {
        return fail("listing rule files: %s", strerror(-r));
    }
    if (files.n) {
        printf("  SUCCESS: %zu rule files found\n", files.n);
    }
    printf(" SUCCESS: %.*s is valid prometheus config file syntax\n\n", SA(c->file));
    int worst = EXIT_OK;
    for (size_t i = 0; i < files.n; i++) {
        CLEANUP(mem_freep) char *path = str_dup(files.v[i]);
        worst = worse(worst, check_rule_file(path, engine, lint));
    }
    return worst;
}

static int check_config_file(const char *path, const PromqlEngine *engine, const Lint *lint) {
    Config *c = NULL;
    Problem p = {0};
    char text[2048];
    printf("Checking %s\n", path);
    if (config_load_file(path, 0, &c, &p) < 0) {
        fflush(stdout);
        fprintf(stderr, "  FAILED: %s\n\n", problem_format(&p, text, sizeof(text)));
        return EXIT_FAILED;
    }
    if (!lint->syntax_only && check_files(c, &p) < 0) {
        fflush(stdout);
        fprintf(stderr, "  FAILED: %s\n\n", p.text);
        config_unref(c);
        return EXIT_FAILED;
    }
    int worst = EXIT_OK;
    if (lint->syntax_only) {
        printf(" SUCCESS: %s is valid prometheus config file syntax\n\n", path);
    } else {
        worst = check_rules_of(c, engine, lint);
    }
    for (size_t i = 0; i < c->n_unsupported; i++) {
        printf("  NOTE: %.*s\n", SA(c->unsupported[i]));
    }
    config_unref(c);
    return worst;
}

int cmd_check_config(Args *a) {
    Lint lint;
    if (!take_lint(a, &lint)) {
        return EXIT_USAGE;
    }
    PromqlEngine *engine = engine_for_checks();
    int worst = EXIT_OK;
    for (size_t i = 0; i < a->n; i++) {
        worst = worse(worst, check_config_file(a->v[i].p, engine, &lint));
    }
    promql_engine_free(engine);
    return worst;
}

/* promtool says all of it on standard error. */
static int check_web_config_file(const char *path) {
    WebConfig *c = NULL;
    Problem p = {0};
    char text[2048];
    if (web_config_load(path, &c, &p) < 0) {
        fprintf(stderr, "%s FAILED: %s\n", path, problem_format(&p, text, sizeof(text)));
        return EXIT_FAILED;
    }
    fprintf(stderr, "%s SUCCESS\n", path);
    web_config_free(c);
    return EXIT_OK;
}

int cmd_check_web_config(Args *a) {
    for (size_t i = 0; i < a->n; i++) {
        if (!file_exists(a->v[i].p)) {
            return fail("path '%s' does not exist", a->v[i].p);
        }
    }
    int worst = EXIT_OK;
    for (size_t i = 0; i < a->n; i++) {
        worst = worse(worst, check_web_config_file(a->v[i].p));
    }
    return worst;
}
