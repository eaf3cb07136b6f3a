/* test rules: rule tests with promtool's words, exit codes and JUnit report. */
#include <glob.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/regex.h"
#include "model/duration.h"
#include "nartool/nartool.h"
#include "nartool/rule_test.h"

#define RUNS_MAX 32

typedef struct TestOptions {
    Str junit;
    Regex *runs[RUNS_MAX]; /* names of groups to run; none: all */
    size_t n_runs;
    bool ignore_unknown, diff, debug;
} TestOptions;

/* One file's report: its groups, each with what failed. */
typedef struct Suite {
    Buf junit;
    size_t tests, failures, errors;
} Suite;

/* ---- report */

static void xml_text(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        switch (c) {
        case '<': buf_add_cstr(b, "&lt;"); break;
        case '>': buf_add_cstr(b, "&gt;"); break;
        case '&': buf_add_cstr(b, "&amp;"); break;
        case '"': buf_add_cstr(b, "&#34;"); break;
        case '\n': buf_add_cstr(b, "&#xA;"); break;
        case '\t': buf_add_cstr(b, "&#x9;"); break;
        default:
            if (c < ' ') {
                buf_add_cstr(b, "\xef\xbf\xbd"); /* XML has no place for it */
            } else {
                buf_add_char(b, (char)c);
            }
        }
    }
}

static void junit_case(Suite *s, Str name, const Failures *f) {
    s->tests++;
    s->failures += f->list.n;
    buf_add_cstr(&s->junit, "<testcase name=\"");
    xml_text(&s->junit, name);
    buf_add_cstr(&s->junit, "\">");
    for (size_t i = 0; i < f->list.n; i++) {
        buf_add_cstr(&s->junit, "<failure>");
        xml_text(&s->junit, f->list.v[i]);
        buf_add_cstr(&s->junit, "</failure>");
    }
    buf_add_cstr(&s->junit, "</testcase>");
}

static void junit_suite(Buf *out, const char *path, const Suite *s) {
    buf_add_cstr(out, "<testsuite name=\"");
    xml_text(out, str_of(path));
    buf_addf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\" timestamp=\"",
             s->tests, s->failures, s->errors);
    time_format_rfc3339(out, clock_wall_ms());
    buf_add_cstr(out, "\">");
    buf_add_str(out, buf_str(&s->junit));
    buf_add_cstr(out, "</testsuite>");
}

static int junit_write(Str path, const Buf *suites) {
    CLEANUP(buf_deinit) Buf all = BUF_INIT(0);
    buf_add_cstr(&all, "<testsuites>");
    buf_add_str(&all, buf_str(suites));
    buf_add_cstr(&all, "</testsuites>");
    CLEANUP(mem_freep) char *name = str_dup(path);
    int r = file_write_durable(name, all.p, all.n, 0644);
    return r < 0 ? fail("--junit: %s: %s", name, strerror(-r)) : EXIT_OK;
}

/* ---- rule files */

typedef struct RuleFiles {
    VEC(RuleFile *) list;
} RuleFiles;

static void rule_files_deinit(RuleFiles *f) {
    for (size_t i = 0; i < f->list.n; i++) {
        rule_file_unref(f->list.v[i]);
    }
    vec_free(&f->list);
}

static int load_rule_file(const char *path, const PromqlEngine *engine, const TestOptions *o,
                          RuleFiles *ret, Problem *problem) {
    RuleFile *f = NULL;
    int r = (o->ignore_unknown ? rule_file_load_known : rule_file_load)(path, engine, &f, problem);
    if (r == 0) {
        vec_push(&ret->list, f);
    }
    return r;
}

/* Patterns count from the folder of the test file. */
static int load_rule_files(const RuleTestFile *t, const char *path, const PromqlEngine *engine,
                           const TestOptions *o, RuleFiles *ret, Problem *problem) {
    const char *slash = strrchr(path, '/');
    int r = 0;
    for (size_t i = 0; i < t->rule_files.n && r == 0; i++) {
        Str name = t->rule_files.v[i];
        bool absolute = name.n && name.p[0] == '/';
        CLEANUP(buf_deinit) Buf pattern = BUF_INIT(0);
        buf_addf(&pattern, "%.*s%.*s", absolute || !slash ? 0 : (int)(slash - path + 1), path,
                 SA(name));
        glob_t found = {0};
        if (glob(buf_cstr(&pattern), 0, NULL, &found) != 0) {
            fprintf(stderr, "  WARNING: no file match pattern %s\n", buf_cstr(&pattern));
        }
        for (size_t k = 0; k < found.gl_pathc && r == 0; k++) {
            r = load_rule_file(found.gl_pathv[k], engine, o, ret, problem);
        }
        globfree(&found);
    }
    return r;
}

/* ---- running */

static bool is_wanted(const TestOptions *o, Str name) {
    for (size_t i = 0; i < o->n_runs; i++) {
        if (regex_match(o->runs[i], name)) {
            return true;
        }
    }
    return o->n_runs == 0;
}

static size_t run_groups(const RuleTest *t, const TestOptions *o, Suite *suite, Buf *told) {
    const TestGroup *groups = t->file->tests.v;
    size_t failed = 0;
    for (size_t i = 0; i < t->file->tests.n; i++) {
        if (!is_wanted(o, groups[i].name)) {
            continue;
        }
        Arena arena = ARENA_INIT(0);
        Failures f = {.arena = &arena};
        rule_test_run(t, &groups[i], &f);
        for (size_t k = 0; k < f.list.n; k++) {
            buf_addf(told, "%.*s\n", SA(f.list.v[k]));
        }
        failed += f.list.n;
        junit_case(suite, groups[i].name, &f);
        vec_free(&f.list);
        arena_deinit(&arena);
    }
    return failed;
}

static int file_result(bool passed, Buf *told) {
    fflush(stdout);
    if (passed) {
        printf("  SUCCESS\n\n");
        return EXIT_OK;
    }
    fprintf(stderr, "  FAILED:\n%s\n", buf_cstr(told));
    return EXIT_FAILED;
}

static int test_file(const char *path, PromqlEngine *engine, const TestOptions *o, Buf *suites) {
    printf("Unit Testing:  %s\n", path);
    RuleTestFile file;
    RuleFiles rules = {0};
    Problem p = {0};
    Suite suite = {0};
    CLEANUP(buf_deinit) Buf told = BUF_INIT(0);
    int r = rule_test_file_load(path, o->ignore_unknown, &file, &p);
    if (r == 0) {
        r = load_rule_files(&file, path, engine, o, &rules, &p);
    }
    size_t failed = 0;
    if (r == 0) {
        RuleTest t = {.file = &file,
                      .engine = engine,
                      .rules = rules.list.v,
                      .n_rules = rules.list.n,
                      .diff = o->diff,
                      .debug = o->debug};
        failed = run_groups(&t, o, &suite, &told);
    } else {
        char text[2048];
        buf_add_cstr(&told, problem_format(&p, text, sizeof(text)));
        buf_add_char(&told, '\n');
        suite.errors++;
    }
    int code = file_result(r == 0 && failed == 0, &told);
    junit_suite(suites, path, &suite);
    buf_deinit(&suite.junit);
    rule_files_deinit(&rules);
    rule_test_file_deinit(&file);
    return code;
}

/* ---- the command */

static bool take_options(Args *a, TestOptions *ret) {
    *ret = (TestOptions){.junit = args_flag(a, "--junit")};
    ret->ignore_unknown = args_switch(a, "--ignore-unknown-fields");
    ret->diff = args_switch(a, "--diff");
    ret->debug = args_switch(a, "--debug");
    for (Str name; (name = args_flag(a, "--run")).p;) {
        Problem p = {0};
        if (ret->n_runs == RUNS_MAX) {
            fail("--run: more than %d", RUNS_MAX);
            return false;
        }
        Regex *re = regex_new(name, REGEX_PARTIAL, &p);
        if (!re) {
            fail("--run: \"%.*s\": %s", SA(name), p.text);
            return false;
        }
        ret->runs[ret->n_runs++] = re;
    }
    return true;
}

static int test_files(const Args *a, const TestOptions *o) {
    PromqlEngine *engine = engine_for_checks();
    CLEANUP(buf_deinit) Buf suites = BUF_INIT(0);
    int worst = EXIT_OK;
    for (size_t i = 0; i < a->n; i++) {
        int code = test_file(a->v[i].p, engine, o, &suites);
        worst = code ? code : worst;
    }
    if (o->junit.n) {
        int code = junit_write(o->junit, &suites);
        worst = code ? code : worst;
    }
    promql_engine_free(engine);
    return worst;
}

int cmd_test_rules(Args *a) {
    TestOptions o;
    bool fine = take_options(a, &o);
    int code = fine ? EXIT_OK : EXIT_USAGE;
    for (size_t i = 0; fine && i < a->n; i++) {
        if (!file_exists(a->v[i].p)) {
            code = fail("path '%s' does not exist", a->v[i].p);
            fine = false;
        }
    }
    if (fine) {
        code = test_files(a, &o);
    }
    for (size_t i = 0; i < o.n_runs; i++) {
        regex_free(o.runs[i]);
    }
    return code;
}
