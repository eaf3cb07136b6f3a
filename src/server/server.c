/*
 * Start: listen (answers 503) -> open the database on a background worker -> scraping, rules,
 * delivery -> ready. Reload: read and check all files on a background worker -> apply to each part
 * on the loop thread. Stop: no new scrapes and evaluations -> deliver what is queued -> end
 * requests -> workers -> database.
 */
#include "server/server.h"

#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "api/api.h"
#include "api/live.h"
#include "api/notifications.h"
#include "api/query_live.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/version.h"
#include "model/duration.h"
#include "server/delivery.h"
#include "server/feature_flags.h"
#include "server/flags.h"
#include "server/loaded.h"
#include "server/process_metrics.h"
#include "server/query_watch.h"
#include "server/web_guard.h"

#define RETENTION_DEFAULT_MS (30 * DAY_MS)
#define MAINTAIN_INTERVAL_MS MINUTE_MS
#define RESERVE_BYTES (UINT64_C(64) << 20) /* of disk, for cleaning up when it is full */
#define STOP_PATIENCE_MS (30 * SECOND_MS)
#define QUERY_PATIENCE_MS (5 * SECOND_MS)

typedef struct ReloadWaiter {
    void (*done)(void *arg, const ApiReloadResult *r);
    void *arg;
} ReloadWaiter;

struct Server {
    Loop *loop;
    HttpClient *client;
    HttpServer *http;
    WebGuard *guard; /* NULL: no --web.config.file */
    WorkPool *ingest, *queries, *background;
    QueryWatch query_watch;
    PromqlEngine *engine;
    Tsdb *tsdb;
    Discovery *discovery; /* of scrape targets */
    ScrapeManager *scrape;
    RuleManager *rules;
    Delivery *delivery;
    RemoteReceiver *receiver;
    Loaded loaded;
    Api api;
    VEC(ApiFlag) flags;
    char *external_url;
    Str route_prefix;
    int64_t start_ms, last_config_ms;
    bool reload_ok, reloading, opening, maintaining, stopping;
    VEC(ReloadWaiter) waiters;      /* of the reload under way */
    VEC(ReloadWaiter) next_waiters; /* asked for meanwhile: another one follows */
    LoopTimer maintain_timer, watch_timer;
    Config
        *watch_config; /* that the job reads the names of files from: a reload may come between */
    uint64_t watch_sum, watch_known; /* checksums of the files: just read, and the one before */
    Metric *reload_gauge, *reload_time_gauge, *ready_gauge;
    Buf retention_text;
    int exit_code;
    Problem open_problem;
    /* Results of background jobs, read by their done functions. */
    int open_result, reload_result;
    Loaded reloaded;
    Problem reload_problem;
};

/* ---- addresses
 * -------------------------------------------------------------------------------------------- */

/* --web.external-url, or http://<host>:<port>/ as Prometheus derives it. Without a trailing slash.
 */
static char *derive_external_url(void) {
    Str given = flag_str("web.external-url");
    char host[HOST_NAME_MAX + 1] = "localhost";
    while (given.n && given.p[given.n - 1] == '/') {
        given.n--;
    }
    if (given.n) {
        bool scheme = str_find_str(given, STR("://")) < given.n;
        return mem_printf("%s%.*s", scheme ? "" : "http://", SA(given));
    }
    gethostname(host, sizeof(host) - 1);
    Str address = flag("web.listen-address")->list[0];
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':') {
        colon--;
    }
    return mem_printf("http://%s:%.*s", host, SA(str_from(address, colon)));
}

static Str derive_route_prefix(const char *external_url) {
    Str given = flag_str("web.route-prefix");
    UrlParts parts;
    Problem p = {0};
    if (!given.n && url_parse(str_of(external_url), &parts, &p) == 0) {
        given = parts.path;
    }
    return given.n ? given : STR("/");
}

/* ---- retention
 * --------------------------------------------------------------------------------------------- */

/* What the configuration says wins over the flags; 30 days when nobody says anything. */
static void find_retention(const Server *s, int64_t *ret_ms, uint64_t *ret_bytes) {
    const ConfigRetention *c = &s->loaded.config->root.storage.tsdb.retention;
    const Flag *time = flag("storage.tsdb.retention.time"),
               *size = flag("storage.tsdb.retention.size");
    *ret_ms = c->time_set ? c->time_ms : time->number;
    *ret_bytes = c->size_set ? c->size_bytes : size->size;
    bool time_given = c->time_set || time->given;
    bool size_given = *ret_bytes > 0 || c->percentage > 0;
    if (!time_given && !size_given) {
        *ret_ms = RETENTION_DEFAULT_MS;
    }
}

static void describe_retention(Server *s, int64_t ms, uint64_t bytes, double percentage) {
    buf_reset(&s->retention_text);
    if (ms) {
        duration_format(&s->retention_text, ms);
    }
    if (percentage > 0) {
        buf_addf(&s->retention_text, "%s%g%%", ms ? " or " : "", percentage);
    } else if (bytes) {
        buf_add_cstr(&s->retention_text, ms ? " or " : "");
        size_format(&s->retention_text, bytes);
    }
}

static void apply_retention(Server *s) {
    int64_t ms;
    uint64_t bytes;
    find_retention(s, &ms, &bytes);
    double percentage = s->loaded.config->root.storage.tsdb.retention.percentage;
    describe_retention(s, ms, bytes, percentage);
    tsdb_set_retention(s->tsdb, ms, bytes);
    tsdb_set_retention_percentage(s->tsdb, percentage);
    tsdb_set_policies(s->tsdb, s->loaded.policies);
}

/* Nothing is stored without the feature, as in Prometheus. */
static size_t exemplars_max(const Server *s) {
    int64_t max = s->loaded.config->root.storage.exemplars.max_exemplars;
    return feature_on(FEATURE_EXEMPLARS) && max > 0 ? (size_t)max : 0;
}

/* ---- applying a configuration
 * ------------------------------------------------------------------------------ */

/* What tells this server from its replicas: they scrape the same targets at other moments. */
static uint64_t offset_seed(const Config *c) {
    char host[HOST_NAME_MAX + 1] = "";
    gethostname(host, sizeof(host) - 1);
    return hash_str(str_of(host)) ^ labels_hash(c->root.global.external_labels);
}

static void apply_scraping(Server *s) {
    const Config *c = s->loaded.config;
    scrape_manager_apply(s->scrape, c->scrape, c->n_scrape, s->loaded.config, offset_seed(c));
    DiscoverySet *sets = NEW_ARRAY(DiscoverySet, c->n_scrape);
    for (size_t i = 0; i < c->n_scrape; i++) {
        sets[i] = (DiscoverySet){.name = c->scrape[i]->job_name, .configs = &c->scrape[i]->sd};
    }
    discovery_apply(s->discovery, sets, c->n_scrape);
    mem_free(sets);
}

/* Everything was checked when it was read: nothing here refuses. */
static void apply_all(Server *s, Loaded *l) {
    delivery_apply(s->delivery, l->config, &l->dispatch);
    Loaded old = s->loaded;
    s->loaded = *l;
    *l = (Loaded){0};
    const ConfigRoot *root = &s->loaded.config->root;
    for (size_t i = 0; i < s->loaded.config->n_unsupported; i++) {
        log_warn("config", "Not in this version",
                 L_STR("section", s->loaded.config->unsupported[i]));
    }
    apply_retention(s);
    tsdb_set_exemplars_max(s->tsdb, exemplars_max(s));
    tsdb_set_out_of_order_window(s->tsdb, root->storage.tsdb.out_of_order_window_ms);
    promql_engine_set_subquery_step(s->engine, root->global.evaluation_interval_ms);
    query_log_apply(s->engine, root->global.query_log_file);
    apply_scraping(s);
    rule_manager_update(s->rules, &(RuleManagerConfig){
                                      .files = s->loaded.rules,
                                      .n_files = s->loaded.n_rules,
                                      .evaluation_interval_ms = root->global.evaluation_interval_ms,
                                      .query_offset_ms = root->global.rule_query_offset_ms,
                                      .external_labels = root->global.external_labels,
                                  });
    if (old.config != s->loaded.config) {
        loaded_release(&old);
    }
}

static void note_reload(Server *s, bool ok) {
    s->reload_ok = ok;
    metric_set(s->reload_gauge, ok);
    if (ok) {
        s->last_config_ms = clock_wall_ms();
        metric_set(s->reload_time_gauge, (double)s->last_config_ms / 1000);
    }
    if (s->api.notifications) {
        notifications_set(s->api.notifications, NOTIFICATION_RELOAD_FAILED, !ok);
    }
}

/* ---- reload
 * ------------------------------------------------------------------------------------------------
 */

static void read_files(void *arg) {
    Server *s = arg;
    s->reload_problem = (Problem){0};
    s->reload_result = loaded_read(s->engine, &s->reloaded, &s->reload_problem);
}

static void files_read(void *arg);

static void start_reload(Server *s) {
    s->reloading = true;
    work_submit(s->background, read_files, files_read, s);
}

static void files_read(void *arg) {
    Server *s = arg;
    char text[2048] = "";
    bool ok = s->reload_result == 0 && !s->stopping;
    if (ok) {
        apply_all(s, &s->reloaded);
    }
    loaded_release(&s->reloaded);
    if (ok) {
        log_info(NULL, "Completed loading of configuration file",
                 L_STR("filename", flag_str("config.file")));
    } else {
        problem_format(&s->reload_problem, text, sizeof(text));
        log_error(NULL, "Error reloading config, the old one stays in force", L_CSTR("err", text));
    }
    note_reload(s, ok);
    ApiReloadResult result = {.ok = ok, .error = text};
    size_t n = s->waiters.n;
    for (size_t i = 0; i < n; i++) {
        s->waiters.v[i].done(s->waiters.v[i].arg, &result);
    }
    s->waiters.n = 0;
    s->reloading = false;
    if (s->next_waiters.n) {
        for (size_t i = 0; i < s->next_waiters.n; i++) {
            vec_push(&s->waiters, s->next_waiters.v[i]);
        }
        s->next_waiters.n = 0;
        start_reload(s);
    }
}

static void ignore_result(void *arg, const ApiReloadResult *r) { (void)arg, (void)r; }

static void reload(void *arg, void (*done)(void *, const ApiReloadResult *), void *done_arg) {
    Server *s = arg;
    ReloadWaiter w = {done, done_arg};
    if (!s->api.ready) {
        done(done_arg, &(ApiReloadResult){.error = "the server is still starting"});
    } else if (s->reloading) {
        vec_push(&s->next_waiters, w);
    } else {
        vec_push(&s->waiters, w);
        start_reload(s);
    }
}

static void on_hangup(void *arg) { reload(arg, ignore_result, NULL); }

/* ---- watching the files (--config.auto-reload)
 * -------------------------------------------------------------- */

static void sum_files(void *arg) {
    Server *s = arg;
    s->watch_sum = loaded_checksum(s->watch_config);
}

static void files_summed(void *arg);

static void watch_files(void *arg) {
    Server *s = arg;
    if (!s->stopping) {
        s->watch_config = config_ref(s->loaded.config);
        work_submit(s->background, sum_files, files_summed, s);
    }
}

static void files_summed(void *arg) {
    Server *s = arg;
    config_unref(s->watch_config);
    s->watch_config = NULL;
    if (s->stopping) {
        return;
    }
    if (s->watch_known && s->watch_sum != s->watch_known) {
        reload(s, ignore_result, NULL);
    }
    s->watch_known = s->watch_sum;
    loop_timer_after(&s->watch_timer, MAX(flag_int("config.auto-reload-interval"), SECOND_MS));
}

/* ---- maintenance of the database
 * ---------------------------------------------------------------------------- */

static void maintain(void *arg) {
    Server *s = arg;
    int r = tsdb_maintain(s->tsdb);
    if (r < 0) {
        log_error("tsdb", "Maintenance failed, it is tried again", L_ERR(r));
    }
    /* Holes that a reload, a large query or the first pages of many targets left in the heap. */
    (void)malloc_trim(0);
}

static void maintained(void *arg) {
    Server *s = arg;
    s->maintaining = false;
    if (!s->stopping) {
        loop_timer_after(&s->maintain_timer, MAINTAIN_INTERVAL_MS);
    }
}

static void start_maintenance(void *arg) {
    Server *s = arg;
    if (!s->maintaining && !s->stopping) {
        s->maintaining = true;
        work_submit(s->background, maintain, maintained, s);
    }
}

/* ---- stop
 * ---------------------------------------------------------------------------------------------------
 */

static void http_stopped(void *arg) {
    Server *s = arg;
    promql_engine_stop(s->engine);
    loop_stop(s->loop);
}

static void delivery_stopped(void *arg) {
    Server *s = arg;
    query_watch_end(&s->query_watch, QUERY_PATIENCE_MS);
    http_server_stop(s->http, STOP_PATIENCE_MS, http_stopped, s);
}

static void stop(void *arg) {
    Server *s = arg;
    if (s->stopping) {
        return;
    }
    s->stopping = s->api.stopping = true;
    log_info(NULL, "Stopping");
    metric_set(s->ready_gauge, 0);
    loop_timer_stop(&s->maintain_timer);
    loop_timer_stop(&s->watch_timer);
    web_guard_stop(s->guard);
    live_stop(s->api.live);
    query_live_stop(s->api.query_live);
    notifications_set(s->api.notifications, NOTIFICATION_STOPPING, true);
    notifications_stop(s->api.notifications);
    if (s->api.tsdb) { /* else it is still being opened, or never was */
        tsdb_stop_maintenance(s->tsdb);
    }
    if (s->rules) {
        rule_manager_stop(s->rules);
    }
    if (s->discovery) {
        discovery_free(s->discovery);
        s->discovery = NULL;
    }
    if (s->scrape) {
        scrape_manager_stop(s->scrape);
    }
    delivery_stop(s->delivery, delivery_stopped, s);
}

static void on_terminate(void *arg) { stop(arg); }

/* Quit answers first, then ends. */
static void quit(void *arg) {
    Server *s = arg;
    loop_post(s->loop, stop, s);
}

/* ---- what the API asks
 * -------------------------------------------------------------------------------------- */

static void fill_runtime(void *arg, ApiRuntime *ret) {
    Server *s = arg;
    *ret = (ApiRuntime){.start_ms = s->start_ms,
                        .last_config_ms = s->last_config_ms,
                        .reload_ok = s->reload_ok,
                        .retention = buf_str(&s->retention_text)};
    if (!getcwd(ret->cwd, sizeof(ret->cwd))) {
        ret->cwd[0] = '\0';
    }
    gethostname(ret->hostname, sizeof(ret->hostname) - 1);
}

static void write_config(void *arg, Buf *out) {
    Server *s = arg;
    config_write_yaml(s->loaded.config, out);
}

static Labels external_labels(void *arg) {
    Server *s = arg;
    return s->loaded.config->root.global.external_labels;
}

static void list_alertmanagers(void *arg, Arena *a, ApiAlertmanagers *ret) {
    Server *s = arg;
    delivery_list(s->delivery, a, ret);
}

static bool notify_status(void *arg, NotifyStatuses *ret) {
    const Server *s = arg;
    return delivery_status(s->delivery, ret);
}

static const ApiHooks api_hooks = {.runtime = fill_runtime,
                                   .config_yaml = write_config,
                                   .external_labels = external_labels,
                                   .reload = reload,
                                   .quit = quit,
                                   .alertmanagers = list_alertmanagers,
                                   .notify_status = notify_status};

static int64_t query_concurrency(void) { return MAX(flag_int("query.max-concurrency"), 1); }

static void fill_flags(Server *s) {
    size_t n;
    const Flag *all = flags_all(&n);
    for (size_t i = 0; i < n; i++) {
        ApiFlag f = {str_of(all[i].name), all[i].text};
        vec_push(&s->flags, f);
    }
}

static void setup_api(Server *s) {
    fill_flags(s);
    s->api = (Api){.loop = s->loop,
                   .write_versions = s->api.write_versions,
                   .queries = s->queries,
                   .ingest = s->ingest,
                   .engine = s->engine,
                   .lookback_ms = flag_int("query.lookback-delta"),
                   .queries_max = query_concurrency(),
                   .flags = s->flags.v,
                   .n_flags = s->flags.n,
                   .lifecycle = flag_bool("web.enable-lifecycle"),
                   .admin = flag_bool("web.enable-admin-api"),
                   .page_title = flag_str("web.page-title"),
                   .hooks = &api_hooks,
                   .server = s};
    s->api.live = live_new(&s->api);
    s->api.query_live = query_live_new(&s->api);
    s->api.notifications =
        notifications_new(s->loop, (size_t)flag_int("web.max-notifications-subscribers"));
    notifications_set(s->api.notifications, NOTIFICATION_STARTING, true);
}

/* ---- start
 * --------------------------------------------------------------------------------------------------
 */

static void open_database(void *arg) {
    Server *s = arg;
    int64_t retention_ms;
    uint64_t retention_bytes;
    find_retention(s, &retention_ms, &retention_bytes);
    TsdbOptions o = {.dir = flag_str("storage.tsdb.path").p,
                     .no_lockfile = flag_bool("storage.tsdb.no-lockfile"),
                     .retention_ms = retention_ms,
                     .retention_bytes = retention_bytes,
                     .block_range_ms = flag_int("storage.tsdb.min-block-duration"),
                     .out_of_order_window_ms =
                         s->loaded.config->root.storage.tsdb.out_of_order_window_ms,
                     .sync_interval_ms = flag_int("storage.tsdb.journal-sync-interval"),
                     .block_range_max_ms = flag_int("storage.tsdb.max-block-duration"),
                     .exemplars_max = exemplars_max(s),
                     .journal_segment_bytes = flag("storage.tsdb.wal-segment-size")->size,
                     .reserve_bytes = RESERVE_BYTES,
                     .replay_later = true};
    s->open_result = tsdb_open(&o, &s->tsdb, &s->open_problem);
}

static void replay_journal(void *arg) {
    Server *s = arg;
    s->open_result = tsdb_replay(s->tsdb, &s->open_problem);
    if (s->open_result == 0 && s->loaded.dispatch) {
        s->open_result =
            delivery_open(s->delivery, flag_str("storage.tsdb.path"), &s->open_problem);
    }
}

/* The messages of --web.remote-write-receiver.accepted-protobuf-messages. */
static int read_write_versions(unsigned *ret, Problem *p) {
    const Flag *f = flag("web.remote-write-receiver.accepted-protobuf-messages");
    for (size_t i = 0; i < f->n_list; i++) {
        Str rest = f->list[i], name;
        while (str_split_next(&rest, ',', &name)) {
            if (str_eqc(name, "prometheus.WriteRequest")) {
                *ret |= 1u << REMOTE_WRITE_1;
            } else if (str_eqc(name, "io.prometheus.write.v2.Request")) {
                *ret |= 1u << REMOTE_WRITE_2;
            } else {
                return problem_set(
                    p, 0, 0,
                    "unknown type for remote write protobuf message %.*s, supported: "
                    "prometheus.WriteRequest, io.prometheus.write.v2.Request",
                    SA(name));
            }
        }
    }
    return 0;
}

static void start_parts(Server *s) {
    Storage *storage = tsdb_storage(s->tsdb);
    s->scrape = scrape_manager_new(&(ScrapeManagerOptions){
        .loop = s->loop,
        .client = s->client,
        .pool = s->ingest,
        .storage = storage,
        .call = http_call,
        .cancel = http_call_cancel,
        .user_agent = STR(VERSION_USER_AGENT),
        .extra_metrics = feature_on(FEATURE_EXTRA_SCRAPE_METRICS),
        .start_as_zero = feature_on(FEATURE_CREATED_TIMESTAMP),
        .owner_ref = config_ref_owner,
        .owner_unref = config_unref_owner,
    });
    s->discovery = discovery_new(&(DiscoveryOptions){.loop = s->loop,
                                                     .pool = s->background,
                                                     .name = "scrape",
                                                     .on_groups = scrape_manager_on_groups,
                                                     .client = s->client,
                                                     .arg = s->scrape});
    s->rules = rule_manager_new(&(RuleManagerOptions){
        .loop = s->loop,
        .pool = s->queries,
        .engine = s->engine,
        .storage = storage,
        .sink = delivery_sink(s->delivery),
        .resend_delay_ms = flag_int("rules.alert.resend-delay"),
        .outage_tolerance_ms = flag_int("rules.alert.for-outage-tolerance"),
        .for_grace_period_ms = flag_int("rules.alert.for-grace-period"),
        .external_url = str_of(s->external_url),
    });
    s->api.tsdb = s->tsdb;
    s->api.storage = storage;
    s->api.scrape = s->scrape;
    s->api.rules = s->rules;
    if (flag_bool("web.enable-remote-write-receiver")) {
        s->receiver = remote_receiver_new(&(RemoteReceiverOptions){
            .storage = storage, .start_as_zero = feature_on(FEATURE_CREATED_TIMESTAMP)});
        s->api.receiver = s->receiver;
    }
}

static void fail_start(Server *s, const char *msg, const Problem *p) {
    char text[2048];
    log_error(NULL, msg, L_CSTR("err", problem_format(p, text, sizeof(text))));
    s->exit_code = 1;
    stop(s);
}

static void database_opened(void *arg) {
    Server *s = arg;
    s->opening = false;
    if (s->open_result < 0) {
        fail_start(s, "Opening storage failed", &s->open_problem);
        return;
    }
    if (s->stopping) {
        return;
    }
    delivery_start(s->delivery, &s->loaded.dispatch);
    start_parts(s);
    Loaded first = s->loaded;
    apply_all(s, &first);
    note_reload(s, true);
    s->api.ready = true;
    metric_set(s->ready_gauge, 1);
    notifications_set(s->api.notifications, NOTIFICATION_STARTING, false);
    loop_timer_after(&s->maintain_timer, MAINTAIN_INTERVAL_MS);
    if (flag_bool("config.auto-reload") || feature_on(FEATURE_AUTO_RELOAD)) {
        watch_files(s);
    }
    log_info(NULL, "Server is ready to receive web requests.");
}

/* Blocks answer from here on. */
static void blocks_opened(void *arg) {
    Server *s = arg;
    if (s->open_result < 0 || s->stopping) {
        database_opened(s);
        return;
    }
    s->api.storage = tsdb_storage(s->tsdb);
    work_submit(s->background, replay_journal, database_opened, s);
}

static int start_listening(Server *s, Problem *p) {
    size_t n;
    const HttpRoute *routes = api_routes(&n);
    HttpServerOptions o = {.routes = routes,
                           .n_routes = n,
                           .arg = &s->api,
                           .route_prefix = s->route_prefix,
                           .connections_max = (uint64_t)flag_int("web.max-connections"),
                           .bodies_bytes_max = flag("web.max-body-memory")->size,
                           .read_timeout_ms = flag_int("web.read-timeout"),
                           .cors_origin = flag_str("web.cors.origin"),
                           .before = api_before};
    if (s->guard) {
        web_guard_options(s->guard, &o);
    }
    int r = http_server_new(s->loop, &o, &s->http);
    if (r < 0) {
        return problem_set(p, 0, 0, "web server: %s", strerror(-r));
    }
    const Flag *addresses = flag("web.listen-address");
    for (size_t i = 0; i < addresses->n_list; i++) {
        int port;
        if (http_server_listen(s->http, addresses->list[i].p, &port, p) < 0) {
            return -EINVAL;
        }
        log_info("web", "Listening on", L_STR("address", addresses->list[i]), L_INT("port", port));
    }
    if (s->guard) {
        web_guard_watch(s->guard, s->http);
    }
    return 0;
}

static unsigned core_count(void) { return (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L); }

static PromqlEngine *new_engine(void) {
    return promql_engine_new(&(PromqlOptions){
        .threads = core_count(),
        .lookback_ms = flag_int("query.lookback-delta"),
        .timeout_ms = flag_int("query.timeout"),
        .samples_max = (uint64_t)flag_int("query.max-samples"),
        .query_bytes_max = flag("query.max-memory-per-query")->size,
        .total_bytes_max = query_memory_total(flag("query.max-memory-total")->size),
        .experimental_functions = feature_on(FEATURE_EXPERIMENTAL_FUNCTIONS),
        .duration_expr = true,
        .delayed_name_removal = feature_on(FEATURE_DELAYED_NAME_REMOVAL),
        .fill_modifiers = feature_on(FEATURE_FILL_MODIFIERS),
        .extended_selectors = feature_on(FEATURE_EXTENDED_SELECTORS),
        .per_step_stats = feature_on(FEATURE_PER_STEP_STATS),
        .start_timestamps = feature_on(FEATURE_USE_START_TIMESTAMPS),
    });
}

static void setup_metrics(Server *s) {
    process_metrics_start(s->start_ms);
    s->reload_gauge =
        metric_gauge("prometheus_config_last_reload_successful",
                     "Whether the last configuration reload attempt was successful.", NULL);
    s->reload_time_gauge =
        metric_gauge("prometheus_config_last_reload_success_timestamp_seconds",
                     "Timestamp of the last successful configuration reload.", NULL);
    s->ready_gauge =
        metric_gauge("prometheus_ready", "Whether the server has started completely.", NULL);
}

/* Threads: two ingest workers keep up with what two cores can parse; queries wait for one another
 * beyond their number. */
static int start_loop(Server *s) {
    unsigned cores = core_count();
    int r = loop_new(&s->loop);
    if (r == 0) {
        r = http_client_new(s->loop, &s->client);
    }
    if (r == 0) {
        r = work_pool_new(s->loop, "ingest", MIN(cores, 8u), &s->ingest);
    }
    if (r == 0) {
        int64_t queries = query_concurrency();
        metric_set(metric_gauge("prometheus_engine_queries_concurrent_max",
                                "The max number of concurrent queries.", NULL),
                   (double)queries);
        r = work_pool_new(s->loop, "query", (unsigned)queries, &s->queries);
        query_watch_start(&s->query_watch, s->loop, s->engine);
    }
    if (r == 0) {
        r = work_pool_new(s->loop, "background", 2, &s->background);
    }
    return r;
}

int server_new(Server **ret, Problem *p) {
    Server *s = NEW(Server);
    s->start_ms = clock_wall_ms();
    s->engine = new_engine();
    int r = loaded_read(s->engine, &s->loaded, p);
    if (r < 0) {
        server_free(s);
        return r;
    }
    s->external_url = derive_external_url();
    s->route_prefix = derive_route_prefix(s->external_url);
    setup_metrics(s);
    note_reload(s, true);
    *ret = s;
    return 0;
}

static int start(Server *s, Problem *p) {
    int r = read_write_versions(&s->api.write_versions, p);
    if (r < 0) {
        return r;
    }
    r = start_loop(s);
    if (r < 0) {
        return problem_set(p, 0, 0, "starting threads: %s", strerror(-r));
    }
    /* Before anything else: without the protection that the file asks for there is no server. */
    Str web = flag_str("web.config.file");
    if (web.n && (r = web_guard_new(s->loop, s->background, web.p, &s->guard, p)) < 0) {
        return r;
    }
    s->delivery = delivery_new(&(DeliveryOptions){.loop = s->loop,
                                                  .client = s->client,
                                                  .background = s->background,
                                                  .external_url = str_of(s->external_url)});
    loop_timer_init(&s->maintain_timer, s->loop, start_maintenance, s);
    loop_timer_init(&s->watch_timer, s->loop, watch_files, s);
    setup_api(s);
    loop_on_signal(s->loop, SIGTERM, on_terminate, s);
    loop_on_signal(s->loop, SIGINT, on_terminate, s);
    loop_on_signal(s->loop, SIGHUP, on_hangup, s);
    return start_listening(s, p);
}

int server_run(Server *s) {
    Problem p = {0};
    char text[2048];
    if (start(s, &p) < 0) {
        log_error(NULL, "Start failed", L_CSTR("err", problem_format(&p, text, sizeof(text))));
        return 1;
    }
    s->opening = true;
    work_submit(s->background, open_database, blocks_opened, s);
    loop_run(s->loop);
    return s->exit_code;
}

void server_free(Server *s) {
    web_guard_stop(s->guard);
    web_guard_join(s->guard);
    live_free(s->api.live);
    work_pool_free(s->ingest);
    work_pool_free(s->queries);
    query_live_free(s->api.query_live);
    notifications_free(s->api.notifications);
    query_watch_stop(&s->query_watch);
    work_pool_free(s->background);
    rule_manager_free(s->rules);
    scrape_manager_free(s->scrape);
    remote_receiver_free(s->receiver);
    delivery_free(s->delivery);
    http_server_free(s->http);
    web_guard_free(s->guard);
    http_client_free(s->client);
    tsdb_close(s->tsdb);
    if (s->loop) {
        loop_free(s->loop);
    }
    loaded_release(&s->loaded);
    promql_engine_free(s->engine);
    buf_deinit(&s->retention_text);
    vec_free(&s->flags);
    vec_free(&s->waiters);
    vec_free(&s->next_waiters);
    mem_free(s->external_url);
    mem_free(s);
}
