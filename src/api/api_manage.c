/* Life of the process: /-/healthy, /-/ready, /-/reload, /-/quit, /metrics, the admin calls. */
#include "api/handlers.h"
#include "api/negotiate.h"
#include "api/params.h"
#include "api/reply.h"
#include "base/metrics.h"
#include "format/json.h"

#define NAMES_MAX 1000

static const char PLAIN[] = "text/plain; charset=utf-8";

/* The texts are Prometheus': health checks of load balancers look for them. */
void api_healthy(HttpExchange *x, void *arg) {
    http_respond(x, &(HttpAnswer){.status = 200, .content_type = PLAIN},
                 STR("Prometheus Server is Healthy.\n"));
}

/* While the database is not open api_before() has answered. */
void api_ready(HttpExchange *x, void *arg) {
    http_respond(x, &(HttpAnswer){.status = 200, .content_type = PLAIN},
                 STR("Prometheus Server is Ready.\n"));
}

static bool lifecycle_on(const Api *api, HttpExchange *x) {
    if (!api->lifecycle) {
        http_respond(x, &(HttpAnswer){.status = 403, .content_type = PLAIN},
                     STR("Lifecycle API is not enabled."));
    }
    return api->lifecycle;
}

/* GET: Prometheus says in words what it wants. */
void api_only_post(HttpExchange *x, void *arg) {
    http_respond(x, &(HttpAnswer){.status = 405, .content_type = PLAIN},
                 STR("Only POST or PUT requests allowed"));
}

static void reloaded(void *arg, const ApiReloadResult *r) {
    HttpExchange *x = arg;
    if (r->ok) {
        http_respond(x, &(HttpAnswer){.status = 200}, STR_NULL);
    } else {
        http_respond_text(x, 500, "failed to reload config: %s", r->error);
    }
}

void api_reload(HttpExchange *x, void *arg) {
    Api *api = arg;
    if (lifecycle_on(api, x)) {
        api->hooks->reload(api->server, reloaded, x);
    }
}

void api_quit(HttpExchange *x, void *arg) {
    Api *api = arg;
    if (lifecycle_on(api, x)) {
        http_respond(x, &(HttpAnswer){.status = 200, .content_type = PLAIN},
                     STR("Requesting termination... Goodbye!"));
        api->hooks->quit(api->server);
    }
}

void api_metrics(HttpExchange *x, void *arg) {
    Str names[NAMES_MAX], name;
    size_t n = 0;
    for (size_t at = 0; n < NAMES_MAX && http_param_next(x, "name[]", &at, &name);) {
        names[n++] = name;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    metric_inc(metric_counter("promhttp_metric_handler_requests_total",
                              "Total number of scrapes by HTTP status code.", "code=\"200\""));
    metrics_write(&b, n ? names : NULL, n);
    http_respond(x,
                 &(HttpAnswer){.status = 200,
                               .content_type = escaping_content_type(
                                   escaping_accepted(http_header(x, "accept")))},
                 buf_str(&b));
}

static bool admin_on(const Api *api, HttpExchange *x) {
    if (!api->admin) {
        reply_error(x, API_UNAVAILABLE, "admin APIs disabled");
    }
    return api->admin;
}

typedef struct DeleteJob {
    Api *api;
    HttpExchange *x;
    int64_t start, end;
    MatcherSets sets;
} DeleteJob;

static void run_delete(void *arg) {
    DeleteJob *job = arg;
    TsdbSelector *sets = NEW_ARRAY(TsdbSelector, job->sets.n);
    for (size_t i = 0; i < job->sets.n; i++) {
        sets[i] = (TsdbSelector){job->sets.sets[i].v, job->sets.sets[i].n};
    }
    int r = tsdb_delete(job->api->tsdb, sets, job->sets.n, job->start, job->end);
    mem_free(sets);
    matcher_sets_deinit(&job->sets);
    if (r < 0) {
        reply_error(job->x, API_INTERNAL, "deleting series: %s", strerror(-r));
    } else {
        reply_no_content(job->x);
    }
}

void api_delete_series(HttpExchange *x, void *arg) {
    Api *api = arg;
    if (!admin_on(api, x)) {
        return;
    }
    DeleteJob *job = ARENA_NEW(&x->arena, DeleteJob);
    *job = (DeleteJob){.api = api, .x = x};
    if (http_param(x, "match[]").p == NULL) {
        reply_error(x, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (param_time(x, "start", TIME_MIN_MS, &job->start) &&
        param_time(x, "end", TIME_MAX_MS, &job->end) && param_matchers(x, "match[]", &job->sets)) {
        work_submit(api->queries, run_delete, NULL, job);
    }
}

typedef struct CleanJob {
    Api *api;
    HttpExchange *x;
} CleanJob;

static void run_clean(void *arg) {
    CleanJob *job = arg;
    int r = tsdb_clean_tombstones(job->api->tsdb);
    if (r < 0) {
        reply_error(job->x, API_INTERNAL, "cleaning tombstones: %s", strerror(-r));
    } else {
        reply_no_content(job->x);
    }
}

void api_clean_tombstones(HttpExchange *x, void *arg) {
    Api *api = arg;
    if (admin_on(api, x)) {
        CleanJob *job = ARENA_NEW(&x->arena, CleanJob);
        *job = (CleanJob){api, x};
        work_submit(api->queries, run_clean, NULL, job);
    }
}

typedef struct SnapshotJob {
    Api *api;
    HttpExchange *x;
    bool skip_head;
} SnapshotJob;

static void run_snapshot(void *arg) {
    SnapshotJob *job = arg;
    char name[64];
    int err = tsdb_snapshot(job->api->tsdb, job->skip_head, name);
    if (err < 0) {
        reply_error(job->x, API_INTERNAL, "create snapshot: %s", strerror(-err));
        return;
    }
    Reply r;
    reply_begin(&r, job->x);
    buf_addf(&r.b, "{\"name\":\"%s\"}", name);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_snapshot(HttpExchange *x, void *arg) {
    Api *api = arg;
    bool skip_head;
    if (!admin_on(api, x)) {
        return;
    }
    if (!param_bool(x, "skip_head", &skip_head)) {
        return;
    }
    SnapshotJob *job = ARENA_NEW(&x->arena, SnapshotJob);
    *job = (SnapshotJob){api, x, skip_head};
    work_submit(api->queries, run_snapshot, NULL, job);
}

void api_alertmanagers(HttpExchange *x, void *arg) {
    Api *api = arg;
    ApiAlertmanagers a = {0};
    api->hooks->alertmanagers(api->server, &x->arena, &a);
    const struct {
        const char *key;
        const Str *v;
        size_t n;
    } lists[] = {{"{\"activeAlertmanagers\":[", a.active, a.n_active},
                 {",\"droppedAlertmanagers\":[", a.dropped, a.n_dropped}};
    Reply r;
    reply_begin(&r, x);
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        buf_add_cstr(&r.b, lists[k].key);
        for (size_t i = 0; i < lists[k].n; i++) {
            buf_add_cstr(&r.b, i ? ",{\"url\":" : "{\"url\":");
            json_quote(&r.b, lists[k].v[i]);
            buf_add_char(&r.b, '}');
        }
        buf_add_char(&r.b, ']');
    }
    buf_add_char(&r.b, '}');
    reply_end(&r, NULL, 0, NULL, 0);
}
