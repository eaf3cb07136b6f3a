/*
 * The HTTP interface: one row a route in routes.def, a handler a function. Handlers start on the
 * loop thread; what reads samples goes on on a query worker and answers from there. The Api object
 * is the server's; it names the parts that handlers ask, which must outlive the HTTP server.
 */
#pragma once

#include "loop/loop.h"
#include "net/http_server.h"
#include "promql/promql.h"
#include "remote/remote_write.h"
#include "rules/notify_status.h"
#include "rules/rule_manager.h"
#include "scrape/scrape_manager.h"
#include "tsdb/tsdb.h"

typedef struct ApiFlag {
    Str name, value;
} ApiFlag;

/* What status pages show of the process; filled by the server when asked. */
typedef struct ApiRuntime {
    int64_t start_ms, last_config_ms;
    bool reload_ok;
    Str retention; /* "30d or 1GiB" */
    char cwd[1024], hostname[256];
} ApiRuntime;

typedef struct ApiReloadResult {
    bool ok;
    const char *error; /* when not ok */
} ApiReloadResult;

typedef struct ApiAlertmanagers {
    const Str *active, *dropped;
    size_t n_active, n_dropped;
} ApiAlertmanagers;

/* The server's side. All on the loop thread; `server` is its first argument. */
typedef struct ApiHooks {
    void (*runtime)(void *server, ApiRuntime *ret);
    void (*config_yaml)(void *server, Buf *out);
    /* The current external_labels; valid until the next reload. */
    Labels (*external_labels)(void *server);
    /* done(arg, result) on the loop thread once the result is known. */
    void (*reload)(void *server, void (*done)(void *arg, const ApiReloadResult *r), void *arg);
    void (*quit)(void *server);
    void (*alertmanagers)(void *server, Arena *a, ApiAlertmanagers *ret);
    /* Sorted, the strings in ret->arena. False: there is nowhere that alerts could go to. */
    bool (*notify_status)(void *server, NotifyStatuses *ret);
} ApiHooks;

typedef struct Api {
    Loop *loop;
    WorkPool *queries, *ingest;
    PromqlEngine *engine;
    int64_t lookback_ms;
    int64_t queries_max; /* --query.max-concurrency: threads of `queries` */
    Tsdb *tsdb;          /* NULL until the database is open */
    Storage *storage;    /* its storage; NULL until then */
    ScrapeManager *scrape;
    RuleManager *rules;
    const ApiFlag *flags;
    size_t n_flags;
    RemoteReceiver *receiver; /* NULL: remote write is not accepted */
    unsigned write_versions;  /* bits of RemoteWriteVersion */
    bool lifecycle, admin;
    bool ready, stopping;
    Str page_title;
    struct Live *live; /* event streams */
    struct QueryLive *query_live;
    struct Notifications *notifications;
    const ApiHooks *hooks;
    void *server;
} Api;

/* The route table, for HttpServerOptions; `arg` of the handlers is the Api. */
const HttpRoute *api_routes(size_t *ret_n);
/* HttpServerOptions.before: 503 for what needs the database while it is not there. */
bool api_before(HttpExchange *x, void *api);
/* Who asks a query; the texts are the exchange's. */
PromqlOrigin api_origin(PromqlSource source, const HttpExchange *x);
