#include "config/config.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "config/config_schema.h"

/* Far above any configuration that works, small enough to refuse a wrong file at once. */
#define FILE_BYTES_MAX (64u << 20)
#define ARENA_BYTES_MAX ((size_t)2 << 30)

Config *config_ref(Config *c) {
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void config_unref(Config *c) {
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    relabel_owner_deinit(&c->relabels);
    arena_deinit(&c->arena);
    mem_free(c);
}

void *config_ref_owner(void *config) { return config_ref(config); }

void config_unref_owner(void *config) { config_unref(config); }

static Str folder_of(Str path) {
    size_t n = path.n;
    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return n > 1 ? str_upto(path, n - 1) : str_upto(path, n);
}

/* ---- names of files */

static Str resolve_in(Config *c, Str dir, Str path) {
    if (!path.n || path.p[0] == '/' || !dir.n)
        return path;
    return arena_printf(&c->arena, "%.*s%s%.*s", SA(dir), str_ends(dir, STR("/")) ? "" : "/",
                        SA(path));
}

static Str resolve(Config *c, Str path) { return resolve_in(c, c->dir, path); }

static void resolve_list(Config *c, SchemaStrs *list) {
    for (size_t i = 0; i < list->n; i++)
        ((Str *)list->v)[i] = resolve(c, list->v[i]); /* ours until the load is over */
}

static void resolve_http(Config *c, Str dir, HttpClientOptions *h) {
    HttpClientConfig *k = &h->config;
    Str *const paths[] = {
        &k->basic_username_file, &k->basic_password_file, &k->authorization_credentials_file,
        &k->tls.ca_file,         &k->tls.cert_file,       &k->tls.key_file,
        &h->tls.ca_file,         &h->tls.cert_file,       &h->tls.key_file};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        *paths[i] = resolve_in(c, dir, *paths[i]);
    if (h->basic_auth) {
        h->basic_auth->username_file = resolve_in(c, dir, h->basic_auth->username_file);
        h->basic_auth->password_file = resolve_in(c, dir, h->basic_auth->password_file);
    }
    if (h->authorization)
        h->authorization->credentials_file = resolve_in(c, dir, h->authorization->credentials_file);
}

static void resolve_sd(Config *c, Str dir, SdConfigs *sd) {
    SdHttpConfig *http = sd->of[SD_HTTP].v;
    for (size_t i = 0; i < sd->of[SD_HTTP].n; i++)
        resolve_http(c, dir, &http[i].http);
    sd_configs_resolve_paths(sd, &c->arena, dir);
}

/* Relative to the file the job stands in. */
static void resolve_scrape(Config *c, ScrapeConfig *s) {
    Str dir = folder_of(s->file);
    s->settings.failure_log_file = resolve_in(c, dir, s->settings.failure_log_file);
    resolve_http(c, dir, &s->http);
    resolve_sd(c, dir, &s->sd);
}

static void resolve_paths(Config *c) {
    ConfigRoot *r = &c->root;
    resolve_list(c, &r->rule_files);
    resolve_list(c, &r->scrape_config_files);
    r->global.query_log_file = resolve(c, r->global.query_log_file);
    r->global.scrape.failure_log_file = resolve(c, r->global.scrape.failure_log_file);
    AlertmanagerConfig *am = r->alerting.alertmanagers.v;
    for (size_t i = 0; i < r->alerting.alertmanagers.n; i++) {
        resolve_http(c, c->dir, &am[i].http);
        resolve_sd(c, c->dir, &am[i].sd);
        (void)snprintf(am[i].key, sizeof(am[i].key), "config-%u", (unsigned)i % 1000000);
    }
    RemoteWriteConfig *rw = r->remote_write.v;
    for (size_t i = 0; i < r->remote_write.n; i++)
        resolve_http(c, c->dir, &rw[i].http);
    RemoteReadConfig *rr = r->remote_read.v;
    for (size_t i = 0; i < r->remote_read.n; i++)
        resolve_http(c, c->dir, &rr[i].http);
}

/* Adds what a pattern matches, in order of names. */
static int expand_pattern(Arena *a, Str pattern, Str **v, size_t *n) {
    char *cstr = arena_cstr(a, pattern);
    glob_t found = {0};
    int r = cstr ? glob(cstr, GLOB_NOSORT, NULL, &found) : GLOB_NOSPACE;
    if (r != 0 && r != GLOB_NOMATCH) {
        globfree(&found);
        return err_trace(r == GLOB_NOSPACE ? -ENOMEM : -EIO);
    }
    Str *grown = ARENA_ARRAY(a, Str, *n + found.gl_pathc + 1);
    if (grown && *n)
        memcpy(grown, *v, *n * sizeof(Str));
    for (size_t i = 0; grown && i < found.gl_pathc; i++)
        grown[*n + i] = arena_str(a, str_of(found.gl_pathv[i]));
    if (grown)
        qsort(grown + *n, found.gl_pathc, sizeof(Str), str_qsort_cmp);
    *n += grown ? found.gl_pathc : 0;
    globfree(&found);
    *v = grown;
    return grown ? 0 : err_trace(-ENOMEM);
}

static int expand_patterns(const SchemaStrs *patterns, Arena *a, SchemaStrs *ret) {
    Str *v = NULL;
    size_t n = 0;
    for (size_t i = 0; i < patterns->n; i++) {
        int r = expand_pattern(a, patterns->v[i], &v, &n);
        if (r < 0)
            return r;
    }
    *ret = (SchemaStrs){v, n, patterns->set};
    return 0;
}

int config_rule_files(const Config *c, Arena *a, SchemaStrs *ret) {
    return expand_patterns(&c->root.rule_files, a, ret);
}

int config_scrape_files(const Config *c, Arena *a, SchemaStrs *ret) {
    return expand_patterns(&c->root.scrape_config_files, a, ret);
}

/* ---- external labels */

static bool is_name_char(char ch) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_';
}

/* The value of $name, ${name} or $$ at s (behind the dollar); *ret_used: bytes it took. */
static Str variable_at(Arena *a, Str s, Str label, size_t *ret_used) {
    bool braced = s.n && s.p[0] == '{';
    size_t n = 0;
    Str in = braced ? str_from(s, 1) : s;
    while (n < in.n && is_name_char(in.p[n]))
        n++;
    if (braced && (n == in.n || in.p[n] != '}')) {
        *ret_used = 1;
        return STR("");
    }
    if (!n) {
        *ret_used = s.n && s.p[0] == '$';
        return STR("$");
    }
    *ret_used = n + (braced ? 2 : 0);
    const char *value = getenv(arena_cstr(a, str_upto(in, n)));
    if (!value || !*value)
        log_warn("config", "Empty environment variable", L_STR("name", str_upto(in, n)),
                 L_STR("external_label", label));
    return str_of(value ? value : "");
}

static void expand_external_labels(Config *c) {
    Labels *l = &c->root.global.external_labels;
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        Label *label = (Label *)&l->v[i]; /* ours until the load is over */
        Buf out = BUF_INIT(0);
        for (size_t at = 0; at < label->value.n; at++) {
            size_t used = 0;
            if (label->value.p[at] == '$')
                buf_add_str(&out, variable_at(&c->arena, str_from(label->value, at + 1),
                                              label->name, &used));
            else
                buf_add_char(&out, label->value.p[at]);
            at += used;
        }
        Label expanded = {label->name, arena_str(&c->arena, buf_str(&out))};
        buf_deinit(&out);
        if (expanded.value.n)
            ((Label *)l->v)[kept++] = expanded;
    }
    l->n = kept;
}

/* ---- jobs */

static int add_jobs(SchemaContext *cx, Config *c, SchemaList *list, StrMap *names) {
    const ScrapeConfig **all =
        arena_calloc(&c->arena, c->n_scrape + list->n + 1, sizeof(const ScrapeConfig *));
    if (!all)
        return problem_set(cx->problem, 0, 0, "the configuration is too large");
    if (c->n_scrape)
        memcpy(all, c->scrape, c->n_scrape * sizeof(*all));
    c->scrape = all;
    for (size_t i = 0; i < list->n; i++) {
        ScrapeConfig *s = (ScrapeConfig *)list->v + i;
        bool fresh;
        cx->file = s->file;
        *str_map_put(names, s->job_name, &fresh) = s;
        if (!fresh)
            return schema_problem(
                cx, yaml_node_find(s->node, "job_name"),
                "key \"job_name\" in scrape_config: found multiple scrape configs "
                "with job name \"%.*s\"",
                SA(s->job_name));
        resolve_scrape(c, s); /* before it inherits names that are resolved already */
        int r = scrape_config_resolve(cx, s, &c->root.global.scrape);
        if (r < 0)
            return r;
        all[c->n_scrape++] = s;
    }
    return 0;
}

static int read_text(Config *c, Str path, Str *ret, Problem *problem) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(FILE_BYTES_MAX);
    const char *cstr = arena_cstr(&c->arena, path);
    int r = cstr ? file_read_whole(cstr, FILE_BYTES_MAX, &b) : -ENOMEM;
    if (r < 0) {
        problem_set_file(problem, path);
        problem_set(problem, 0, 0, "cannot read the file: %s", strerror(-r));
        return r;
    }
    *ret = arena_str(&c->arena, buf_str(&b));
    return 0;
}

static int load_scrape_files(SchemaContext *cx, Config *c, StrMap *names) {
    SchemaStrs files;
    if (config_scrape_files(c, &c->arena, &files) < 0)
        return problem_set(cx->problem, 0, 0, "scrape_config_files: a folder cannot be listed");
    for (size_t i = 0; i < files.n; i++) {
        Str text;
        SchemaList list;
        int r = read_text(c, files.v[i], &text, cx->problem);
        if (r == 0)
            r = schema_load(&config_scrape_file_schema, text, files.v[i], &c->arena, cx->user,
                            &list, cx->problem);
        if (r == 0)
            r = add_jobs(cx, c, &list, names);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_jobs(SchemaContext *cx, Config *c) {
    StrMap names = {0};
    int r = add_jobs(cx, c, &c->root.scrape_configs, &names);
    if (r == 0)
        r = load_scrape_files(cx, c, &names);
    str_map_deinit(&names);
    return r;
}

/* ---- names of remote ends */

static Str unique_name(Arena *a, const Schema *schema, const void *object) {
    Buf b = BUF_INIT(0);
    schema_write(schema, object, &b, 0);
    Str name = arena_printf(a, "%06x", (unsigned)(hash_str(buf_str(&b)) & 0xffffff));
    buf_deinit(&b);
    return name;
}

static int check_names(Config *c, const char *section, Str *const *names, size_t n,
                       Problem *problem) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (str_eq(*names[i], *names[k])) {
                problem_set_file(problem, c->file);
                return problem_set(problem, 0, 0,
                                   "key \"name\" in %s: found multiple configurations with name "
                                   "\"%.*s\"; each needs a name of its own",
                                   section, SA(*names[i]));
            }
        }
    }
    return 0;
}

static int name_remotes(Config *c, Problem *problem) {
    RemoteWriteConfig *w = c->root.remote_write.v;
    RemoteReadConfig *rd = c->root.remote_read.v;
    size_t nw = c->root.remote_write.n, nr = c->root.remote_read.n;
    Str **names = ARENA_ARRAY(&c->arena, Str *, MAX(nw, nr) + 1);
    if (!names)
        return problem_set(problem, 0, 0, "the configuration is too large");
    for (size_t i = 0; i < nw; i++) {
        if (!w[i].name.n)
            w[i].name = unique_name(&c->arena, &remote_write_schema, &w[i]);
        names[i] = &w[i].name;
    }
    int r = check_names(c, "remote_write", names, nw, problem);
    if (r < 0)
        return r;
    for (size_t i = 0; i < nr; i++) {
        if (!rd[i].name.n)
            rd[i].name = unique_name(&c->arena, &remote_read_schema, &rd[i]);
        names[i] = &rd[i].name;
    }
    return check_names(c, "remote_read", names, nr, problem);
}

/* ---- what does nothing yet */

typedef VEC(Str) SentenceList;

#define SAY(list, c, ...) vec_push((list), arena_printf(&(c)->arena, __VA_ARGS__))

static void say_http(Config *c, SentenceList *list, const char *kind, Str name,
                     const HttpClientOptions *h) {
    if (h->oauth2)
        SAY(list, c, "oauth2 of %s \"%.*s\": requests are sent without it", kind, SA(name));
    if (h->header_files)
        SAY(list, c, "http_headers of %s \"%.*s\": values in files are not sent", kind, SA(name));
    if (h->connect_headers_node)
        SAY(list, c, "proxy_connect_header of %s \"%.*s\" is not sent", kind, SA(name));
}

static void say_sd(Config *c, SentenceList *list, const char *kind, Str name, const SdConfigs *sd) {
    for (unsigned m = 0; m < SD_COUNT; m++) {
        if (sd->of[m].n && !sd_mechanism_supported((SdMechanism)m))
            SAY(list, c, "%s of %s \"%.*s\": targets of this mechanism are not discovered yet",
                sd_mechanism_key((SdMechanism)m), kind, SA(name));
    }
}

static void find_unsupported(Config *c) {
    SentenceList list = {0};
    for (size_t i = 0; i < c->n_scrape; i++) {
        const ScrapeConfig *s = c->scrape[i];
        say_sd(c, &list, "job", s->job_name, &s->sd);
        say_http(c, &list, "job", s->job_name, &s->http);
        if (s->settings.convert_to_nhcb)
            SAY(&list, c,
                "convert_classic_histograms_to_nhcb of job \"%.*s\": classic histograms stay as "
                "they are",
                SA(s->job_name));
        if (s->settings.failure_log_file.n)
            SAY(&list, c, "scrape_failure_log_file of job \"%.*s\" is not written",
                SA(s->job_name));
    }
    const AlertmanagerConfig *am = c->root.alerting.alertmanagers.v;
    for (size_t i = 0; i < c->root.alerting.alertmanagers.n; i++) {
        say_sd(c, &list, "alertmanager", str_of(am[i].key), &am[i].sd);
        say_http(c, &list, "alertmanager", str_of(am[i].key), &am[i].http);
        if (am[i].sigv4)
            SAY(&list, c, "sigv4 of alertmanager \"%s\": requests are not signed", am[i].key);
    }
    if (c->root.remote_write.n)
        SAY(&list, c, "remote_write: samples are not sent on yet");
    if (c->root.remote_read.n)
        SAY(&list, c, "remote_read: queries read local storage only");
    if (c->root.tracing)
        SAY(&list, c, "tracing: no spans are sent");
    c->unsupported = arena_dup(&c->arena, list.v, list.n * sizeof(Str));
    c->n_unsupported = c->unsupported ? list.n : 0;
    vec_free(&list);
}

/* ---- loading */

static int check_agent(Config *c, Problem *problem) {
    const char *key = c->root.alerting.alertmanagers.n || c->root.alerting.relabel.n ? "alerting"
                      : c->root.rule_files.n                                         ? "rule_files"
                      : c->root.remote_read.n                                        ? "remote_read"
                                                                                     : NULL;
    if (!key)
        return 0;
    problem_set_file(problem, c->file);
    return problem_set(problem, 0, 0, "field %s is not allowed in agent mode", key);
}

static int load_into(Config *c, Str text, unsigned flags, Problem *problem) {
    SchemaContext cx = {
        .arena = &c->arena, .file = c->file, .problem = problem, .user = &c->relabels};
    int r = schema_load(&config_schema, text, c->file, &c->arena, &c->relabels, &c->root, problem);
    if (r < 0)
        return r;
    resolve_paths(c);
    expand_external_labels(c);
    r = load_jobs(&cx, c);
    if (r == 0)
        r = name_remotes(c, problem);
    if (r == 0 && flags & CONFIG_AGENT)
        r = check_agent(c, problem);
    if (r == 0)
        find_unsupported(c);
    return r;
}

int config_load(Str text, Str file, unsigned flags, Config **ret, Problem *problem) {
    Config *c = NEW(Config);
    atomic_init(&c->refs, 1);
    c->arena = ARENA_INIT(ARENA_BYTES_MAX);
    c->file = arena_str(&c->arena, file);
    c->dir = folder_of(c->file);
    int r = load_into(c, text, flags, problem);
    if (r < 0) {
        config_unref(c);
        return r;
    }
    *ret = c;
    return 0;
}

int config_load_file(const char *path, unsigned flags, Config **ret, Problem *problem) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(FILE_BYTES_MAX);
    int r = file_read_whole(path, FILE_BYTES_MAX, &b);
    if (r < 0) {
        problem_set_file(problem, str_of(path));
        problem_set(problem, 0, 0, "cannot read the file: %s", strerror(-r));
        return r;
    }
    return config_load(buf_str(&b), str_of(path), flags, ret, problem);
}

void config_write_yaml(const Config *c, Buf *b) { schema_write(&config_schema, &c->root, b, 0); }
