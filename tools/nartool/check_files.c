#include "nartool/check_files.h"

#include <glob.h>
#include <unistd.h>

#include "base/mem.h"

static int missing(Problem *p, Str path, const char *what) {
    problem_set(p, 0, 0, "error checking %s \"%.*s\": no such file or directory", what, SA(path));
    return -ENOENT;
}

/* Without a text of its own a setting may name a file, which must be there. */
static int check_file(Str path, const char *what, Problem *p) {
    CLEANUP(mem_freep) char *cstr = str_dup(path);
    return path.n == 0 || access(cstr, F_OK) == 0 ? 0 : missing(p, path, what);
}

static int check_http(const HttpClientOptions *http, Problem *p) {
    const struct {
        Str path;
        const char *what;
    } files[] = {
        {http->authorization ? http->authorization->credentials_file : STR_NULL,
         "authorization credentials or bearer token file"},
        {http->bearer_token_file, "authorization credentials or bearer token file"},
        {http->basic_auth ? http->basic_auth->password_file : STR_NULL, "password file"},
        {http->tls.ca_file, "CA file"},
        {http->tls.cert_file, "client cert file"},
        {http->tls.key_file, "client key file"},
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(files) && r == 0; i++) {
        r = check_file(files[i].path, files[i].what, p);
    }
    return r;
}

/* A pattern may match nothing; a plain name must be there. */
static int check_rule_pattern(Str pattern, Problem *p) {
    CLEANUP(mem_freep) char *cstr = str_dup(pattern);
    glob_t found = {0};
    bool any = glob(cstr, GLOB_NOSORT, NULL, &found) == 0;
    globfree(&found);
    if (any || str_find(pattern, '*') < pattern.n) {
        return 0;
    }
    problem_set(p, 0, 0, "\"%s\" does not point to an existing file", cstr);
    return -ENOENT;
}

int check_files(const Config *c, Problem *problem) {
    int r = 0;
    for (size_t i = 0; i < c->root.rule_files.n && r == 0; i++) {
        r = check_rule_pattern(c->root.rule_files.v[i], problem);
    }
    for (size_t i = 0; i < c->n_scrape && r == 0; i++) {
        r = check_http(&c->scrape[i]->http, problem);
    }
    return r;
}
