#include "server/web_guard.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/web_config.h"

#define LOOK_INTERVAL_MS SECOND_MS

struct WebGuard {
    Loop *loop;
    WorkPool *background, *passwords;
    char *path;
    HttpServer *server;
    HttpGuard *guard;
    WebConfig *config; /* in force */
    LoopTimer timer;
    bool stopping;
    uint64_t applied, seen; /* checksums */
    bool failed;
    char last_failure[1400]; /* logged already */
    /* Of the look under way. */
    uint64_t found;
    WebConfig *loaded;
    Problem problem;
};

/* Also after a failure: what the file names now may be other files than those we know of. */
static void look(void *arg) {
    WebGuard *g = arg;
    g->problem = (Problem){0};
    g->loaded = NULL;
    g->found = web_config_checksum(&g->config->files);
    bool settled = g->found == g->seen;
    if (settled && (g->found != g->applied || g->failed) &&
        web_config_load(g->path, &g->loaded, &g->problem) < 0) {
        g->loaded = NULL;
    }
}

static void warn_about(const WebConfig *c) {
    if (c->sans_unused) {
        log_warn("web", "client_allowed_sans is without effect: client_auth_type asks for no "
                        "certificate");
    }
    if (c->versions_crossed) {
        log_warn("web", "min_version is above max_version: no client can connect");
    }
}

static void note_failure(WebGuard *g) {
    char text[sizeof(g->last_failure)];
    problem_format(&g->problem, text, sizeof(text));
    if (strcmp(text, g->last_failure) != 0) {
        log_error("web", "Error reloading the web configuration, the old one stays in force",
                  L_CSTR("err", text));
        memcpy(g->last_failure, text, sizeof(text));
    }
    g->failed = true;
}

static void apply(WebGuard *g) {
    if ((g->loaded->tls != NULL) != (g->config->tls != NULL)) {
        problem_set(&g->problem, 0, 0, "turning TLS on or off takes a restart");
        problem_set_file(&g->problem, str_of(g->path));
        note_failure(g);
        web_config_free(g->loaded);
        g->loaded = NULL;
        return;
    }
    web_config_free(g->config);
    g->config = g->loaded;
    g->loaded = NULL;
    http_server_set_tls(g->server, g->config->tls);
    http_guard_apply(g->guard, &g->config->guard);
    warn_about(g->config);
    log_info("web", "Completed loading of web configuration file", L_CSTR("filename", g->path));
    g->failed = false;
    g->last_failure[0] = '\0';
}

static void looked(void *arg) {
    WebGuard *g = arg;
    bool tried = g->found == g->seen && (g->found != g->applied || g->failed);
    if (g->stopping) {
        web_config_free(g->loaded);
        g->loaded = NULL;
        return;
    }
    g->seen = g->found;
    if (g->loaded) {
        apply(g);
        g->applied = g->found; /* where other files are named now, the next look sums up those */
    } else if (tried) {
        note_failure(g);
        g->applied = g->found;
    }
    loop_timer_after(&g->timer, LOOK_INTERVAL_MS);
}

static void start_look(void *arg) {
    WebGuard *g = arg;
    work_submit(g->background, look, looked, g);
}

int web_guard_new(Loop *l, WorkPool *background, const char *path, WebGuard **ret, Problem *p) {
    WebConfig *c = NULL;
    int r = web_config_load(path, &c, p);
    if (r < 0) {
        return r;
    }
    WebGuard *g = NEW(WebGuard);
    g->loop = l;
    g->background = background;
    g->path = mem_strdup(path);
    g->config = c;
    g->applied = g->seen = web_config_checksum(&c->files);
    loop_timer_init(&g->timer, l, start_look, g);
    if ((r = work_pool_new(l, "password", 1, &g->passwords)) < 0) {
        web_guard_free(g);
        return problem_set(p, 0, 0, "starting threads: %s", strerror(-r));
    }
    g->guard = http_guard_new(l, g->passwords);
    http_guard_apply(g->guard, &c->guard);
    warn_about(c);
    *ret = g;
    return 0;
}

void web_guard_options(WebGuard *g, HttpServerOptions *o) {
    o->tls = g->config->tls;
    o->admit = http_guard_admit;
    o->admit_arg = g->guard;
    log_info("web", g->config->tls ? "TLS is enabled." : "TLS is disabled.",
             L_CSTR("http", "HTTP/1.1"), L_INT("users", g->config->guard.n_users));
}

void web_guard_watch(WebGuard *g, HttpServer *s) {
    g->server = s;
    loop_timer_after(&g->timer, LOOK_INTERVAL_MS);
}

void web_guard_stop(WebGuard *g) {
    if (g) {
        g->stopping = true;
        loop_timer_stop(&g->timer);
    }
}

void web_guard_join(WebGuard *g) {
    if (g && g->passwords) {
        work_pool_free(g->passwords);
        g->passwords = NULL;
    }
}

void web_guard_free(WebGuard *g) {
    if (g) {
        web_guard_stop(g);
        web_guard_join(g);
        http_guard_free(g->guard);
        web_config_free(g->config);
        mem_free(g->path);
        mem_free(g);
    }
}
