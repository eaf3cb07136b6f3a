/*
 * Runs test scripts through the query engine, as TAP.
 *     run_promql [-t N] FILE...        one point an eval; -t: every query is split over N threads
 *     run_promql [-t N] -l LIST DIR    LIST has lines "file evals"; one point a file of DIR, which
 * must have so many evals and pass them all; other *.test of DIR are only counted
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/vec.h"
#include "promql/testscript.h"

typedef struct Run {
    PromqlEngine *engine;
    bool each; /* a point for each eval */
    int points, failures;
    size_t evals, passed; /* of the current file */
} Run;

static unsigned threads;

static PromqlEngine *engine_new(void) {
    PromqlOptions o = {.threads = threads,
                       .split_work_min = threads ? 1 : 0,
                       .experimental_functions = true,
                       .duration_expr = true,
                       .delayed_name_removal = true,
                       .fill_modifiers = true,
                       .extended_selectors = true,
                       .start_timestamps = true};
    return promql_engine_new(&o);
}

static void print_point(Run *run, bool ok, const char *text) {
    run->points++;
    run->failures += !ok;
    printf("%s %d - %s\n", ok ? "ok" : "not ok", run->points, text);
}

/* A description ends at a line end, and # would begin a directive. */
static char *point_name(const ScriptEval *e) {
    const char *slash = strrchr(e->file, '/');
    char *name = mem_printf("%s:%d %.*s", slash ? slash + 1 : e->file, e->line, SA(e->query));
    for (char *p = name; *p; p++)
        *p = *p == '#' || *p == '\n' ? ' ' : *p;
    return name;
}

static void on_eval(void *user, const ScriptEval *e) {
    Run *run = user;
    run->evals++;
    run->passed += !e->failure;
    char *name = point_name(e);
    if (run->each)
        print_point(run, !e->failure, name);
    if (e->failure)
        printf("# %s: %s\n", name, e->failure);
    mem_free(name);
    fflush(stdout);
}

static bool read_file(const char *path, Buf *out) {
    FILE *f = fopen(path, "rb");
    char block[65536];
    size_t n;
    if (!f)
        return false;
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        buf_add(out, block, n);
    fclose(f);
    return true;
}

/* false: the script could not be read to its end. */
static bool run_file(Run *run, const char *path) {
    Problem problem = {0};
    char text[1600];
    CLEANUP(buf_deinit) Buf script = BUF_INIT(0);
    run->evals = run->passed = 0;
    if (!read_file(path, &script)) {
        printf("# %s: cannot be read\n", path);
        return false;
    }
    int r = script_run(run->engine, path, buf_str(&script), on_eval, run, &problem);
    if (r < 0)
        printf("# %s\n",
               r == -EINVAL ? problem_format(&problem, text, sizeof(text)) : strerror(-r));
    return r == 0;
}

/* ---- a list of files ---- */

typedef struct Entry {
    char *name;
    size_t evals;
} Entry;
typedef VEC(Entry) EntryVec;

static bool read_list(const char *path, EntryVec *list) {
    char name[256];
    size_t evals;
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    while (fscanf(f, "%255s %zu", name, &evals) == 2)
        vec_push(list, (Entry){mem_strdup(name), evals});
    fclose(f);
    return true;
}

static void run_listed(Run *run, const char *dir, const Entry *e) {
    char *path = mem_printf("%s/%s", dir, e->name);
    bool whole = run_file(run, path);
    char *text = mem_printf("%s: %zu of %zu evals pass, %zu must", e->name, run->passed, run->evals,
                            e->evals);
    print_point(run, whole && run->passed == run->evals && run->evals == e->evals, text);
    mem_free(text);
    mem_free(path);
}

static bool is_listed(const EntryVec *list, const char *name) {
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->v[i].name, name) == 0)
            return true;
    }
    return false;
}

static void run_unlisted(Run *run, const char *dir, const EntryVec *list) {
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (str_ends(str_of(name), STR(".test")) && !is_listed(list, name)) {
            char *path = mem_printf("%s/%s", dir, name);
            bool whole = run_file(run, path);
            printf("# not listed: %s: %zu of %zu evals pass%s\n", name, run->passed, run->evals,
                   whole ? "" : ", stopped early");
            mem_free(path);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

static void run_list(Run *run, const char *list_path, const char *dir) {
    EntryVec list = {0};
    if (!read_list(list_path, &list))
        print_point(run, false, "the list of files can be read");
    for (size_t i = 0; i < list.n; i++)
        run_listed(run, dir, &list.v[i]);
    run_unlisted(run, dir, &list);
    for (size_t i = 0; i < list.n; i++)
        mem_free(list.v[i].name);
    vec_free(&list);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        threads = (unsigned)atoi(argv[2]);
        argc -= 2;
        argv += 2;
    }
    bool listed = argc == 4 && strcmp(argv[1], "-l") == 0;
    Run run = {.engine = engine_new(), .each = !listed};
    if (listed)
        run_list(&run, argv[2], argv[3]);
    for (int i = 1; i < argc && !listed; i++) {
        if (!run_file(&run, argv[i]))
            print_point(&run, false, argv[i]);
    }
    printf("1..%d\n", run.points);
    promql_engine_free(run.engine);
    return run.failures ? 1 : 0;
}
