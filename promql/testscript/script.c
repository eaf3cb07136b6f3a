/* Reads a script command by command and runs each at once. */
#include "promql/testscript/script.h"

#include <stdarg.h>
#include <stdio.h>

int script_fail(Script *s, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    problem_set(s->problem, (int)s->at + 1, 0, "%s", text);
    problem_set_file(s->problem, str_of(s->file));
    return -EINVAL;
}

Str script_word(Str *rest) {
    size_t n = 0, next;
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    Str word = str_upto(*rest, n);
    for (next = n; next < rest->n && (rest->p[next] == ' ' || rest->p[next] == '\t'); next++) {
    }
    *rest = str_from(*rest, next);
    return word;
}

static void split_lines(Script *s, Str text) {
    Str line;
    while (str_split_next(&text, '\n', &line)) {
        line = str_trim(line);
        if (str_starts(line, STR("#")))
            line = STR("");
        vec_push(&s->lines, line);
    }
}

static int run_command(Script *s) {
    Str line = s->lines.v[s->at];
    Str word = script_word(&line);
    if (str_eq_nocase(word, STR("clear"))) {
        mem_storage_free(s->storage);
        s->storage = mem_storage_new();
        return 0;
    }
    if (str_starts(word, STR("load")))
        return script_load(s);
    if (str_starts(word, STR("eval")))
        return script_eval(s);
    return script_fail(s, "unknown command \"%.*s\"", SA(word));
}

int script_run(PromqlEngine *e, const char *file, Str text, ScriptReport report, void *user,
               Problem *problem) {
    Script s = {.engine = e,
                .storage = mem_storage_new(),
                .file = file,
                .report = report,
                .user = user,
                .problem = problem};
    int r = 0;
    split_lines(&s, text);
    for (s.at = 0; r == 0 && s.at < s.lines.n; s.at++) {
        if (s.lines.v[s.at].n)
            r = run_command(&s);
    }
    vec_free(&s.lines);
    mem_storage_free(s.storage);
    return r;
}
