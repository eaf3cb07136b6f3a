/*
 * Every file of the conformance folder gets Prometheus' verdict. A refusal must name the file and
 * say something; the good ones must print as YAML that loads again.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "support/test.h"

/* Refused by Prometheus too although their names do not end in .bad.yml. */
static bool must_fail(Str name) {
    return str_ends(name, STR(".bad.yml")) || str_ends(name, STR(".incompatible.yml")) ||
           str_eqc(name, "config_with_deprecated_am_api_config.yml");
}

static bool prints_and_loads_again(const Config *c, const char *name) {
    Buf b = BUF_INIT(0);
    Problem p = {0};
    Config *again = NULL;
    char shown[1500];
    config_write_yaml(c, &b);
    int r = config_load(buf_str(&b), STR("printed.yml"), 0, &again, &p);
    if (r < 0)
        printf("# %s printed: %s\n%.*s\n", name, problem_format(&p, shown, sizeof(shown)), (int)b.n,
               b.p);
    config_unref(again);
    buf_deinit(&b);
    return r == 0;
}

static bool check_file(const char *dir, const char *name) {
    char path[1024], shown[1500];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    Config *c = NULL;
    Problem p = {0};
    int r = config_load_file(path, 0, &c, &p);
    bool bad = must_fail(str_of(name)), ok = bad == (r < 0);
    if (!ok)
        printf("# %s: want %s, got %s\n", name, bad ? "refusal" : "success",
               problem_format(&p, shown, sizeof(shown)));
    if (ok && bad && getenv("SHOW"))
        printf("# %s\n", problem_format(&p, shown, sizeof(shown)));
    if (ok && bad)
        ok = p.text[0] && p.file[0];
    if (ok && !bad)
        ok = prints_and_loads_again(c, name);
    config_unref(c);
    return ok;
}

TEST (every_file_gets_the_right_verdict) {
    const char *root = getenv("NARTHEX_CONFORMANCE");
    if (!root || !*root)
        return;
    char dir[900];
    (void)snprintf(dir, sizeof(dir), "%s/config", root);
    DIR *d = opendir(dir);
    CHECK(d != NULL);
    unsetenv("TEST");
    size_t failed = 0, n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (str_ends(str_of(e->d_name), STR(".yml"))) {
            n++;
            failed += !check_file(dir, e->d_name);
        }
    }
    closedir(d);
    CHECK(n > 100);
    CHECK_INT(failed, 0);
}
