/* check config|rules|web-config: the same loaders as the server's, with promtool's words and exit
 * codes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "config/config.h"
#include "config/web_config.h"
#include "model/duration.h"
#include "nartool/check_files.h"
#include "nartool/nartool.h"
#include "nartool/query.h"
#include "nartool/standard_input.h"
#include "rules/rule_file.h"

#define LOOKBACK_MS (5 * 60 * 1000)

typedef struct Lint {
    bool duplicates, long_intervals, fatal, syntax_only, ignore_unknown, agent;
    int64_t lookback_ms;
} Lint;

/* One word of --lint; false when there is no such check. */
static bool add_check(Lint *lint, Str word) {
    bool all = str_eqc(word, "all"), none = str_eqc(word, "none");
    bool duplicates = str_eqc(word, "duplicate-rules");
    bool intervals = str_eqc(word, "too-long-scrape-interval");
    lint->duplicates |= all || duplicates;
    lint->long_intervals |= all || intervals;
    return all || none || duplicates || intervals;
}

static bool take_lint(Args *a, Lint *ret) {
    Str text = args_flag(a, "--lint"), word;
    *ret = (Lint){.duplicates = !text.p,
                  .fatal = args_switch(a, "--lint-fatal"),
                  .syntax_only = args_switch(a, "--syntax-only"),
                  .ignore_unknown = args_switch(a, "--ignore-unknown-fields"),
                  .agent = args_switch(a, "--agent")};
    while (str_split_next(&text, ',', &word)) {
        if (add_check(ret, str_trim(word))) {
            continue;
        }
        if (!a->as_promtool) {
            fail("--lint: expected all, duplicate-rules, too-long-scrape-interval or none, got "
                 "\"%.*s\"",
                 SA(word));
            return false;
        }
        fprintf(stderr, "WARNING: unknown lint option: \"%.*s\"\n", SA(word));
    }
    bool fine = query_take_step(a, "--query.lookback-delta", &ret->lookback_ms);
    ret->lookback_ms = ret->lookback_ms ? ret->lookback_ms : LOOKBACK_MS;
    return fine;
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
    int r = (lint->ignore_unknown ? rule_file_load_known : rule_file_load)(path, engine, &f, &p);
    return report_rules(path, r, f, &p, lint);
}

static int check_standard_input(const PromqlEngine *engine, const Lint *lint) {
    CLEANUP(buf_deinit) Buf text = {0};
    int code = read_standard_input(&text);
    if (code) {
        return code;
    }
    RuleFile *f = NULL;
    Problem p = {0};
    int r = (lint->ignore_unknown ? rule_file_parse_known : rule_file_parse)(
        buf_str(&text), STR("standard input"), engine, &f, &p);
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

/* Between two scrapes so far apart a series has no value. */
static int lint_intervals(const Config *c, const Lint *lint) {
    for (size_t i = 0; i < c->n_scrape; i++) {
        if (c->scrape[i]->settings.interval_ms >= lint->lookback_ms) {
            CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
            duration_format(&text, c->scrape[i]->settings.interval_ms);
            fflush(stdout);
            fprintf(stderr,
                    "  FAILED: too long scrape interval found, data point will be marked as stale "
                    "- job: %.*s, interval: %.*s\n",
                    SA(c->scrape[i]->job_name), SA(buf_str(&text)));
            return lint->fatal ? EXIT_LINT : EXIT_OK;
        }
    }
    return EXIT_OK;
}

static int check_config_file(const char *path, const PromqlEngine *engine, const Lint *lint) {
    Config *c = NULL;
    Problem p = {0};
    char text[2048];
    printf("Checking %s\n", path);
    if (config_load_file(path, lint->agent ? CONFIG_AGENT : 0, &c, &p) < 0) {
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
    if (lint->long_intervals) {
        worst = worse(worst, lint_intervals(c, lint));
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
