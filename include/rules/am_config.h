/*
 * alertmanager.yml: the complete configuration of Alertmanager, checked as it checks it (reference,
 * sections 8.2 to 8.6, 8.12). What this version acts on is kept; what it does not do yet (receivers
 * other than webhook, inhibition, time intervals) is checked and listed in `unsupported`, for one
 * warning each. Immutable once loaded; one owner.
 */
#pragma once

#include "base/err.h"
#include "model/matcher.h"
#include "net/http_client.h"

typedef struct AmRoute AmRoute;
struct AmRoute {
    const AmRoute *parent;
    Str receiver;
    const Str *group_by; /* sorted */
    size_t n_group_by;
    bool group_by_all; /* '...' */
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    const Matcher *matchers;
    size_t n_matchers;
    bool continue_matching;
    Labels labels; /* of this route and those above it */
    AmRoute *routes;
    size_t n_routes;
    Str key; /* {}/{a="b"} */
    int line;
};

typedef struct AmWebhook {
    bool send_resolved;
    Str url, url_file; /* url is a template */
    uint64_t max_alerts;
    int64_t timeout_ms; /* 0 = none but the flush's */
    const HttpClientConfig *http;
} AmWebhook;

typedef struct AmReceiver {
    Str name;
    const AmWebhook *webhooks;
    size_t n_webhooks;
    size_t n_others; /* integrations of other kinds */
} AmReceiver;

typedef struct AmConfig {
    Str path, text;
    AmRoute *route;
    const AmReceiver *receivers;
    size_t n_receivers;
    int64_t resolve_timeout_ms;
    const struct Template *templates; /* of the files under `templates`, parsed */
    const Str *unsupported;           /* "receiver \"team\": email_configs" */
    size_t n_unsupported;
} AmConfig;

/* Reads the template files too: blocks, so on a worker. 0 or a Problem. */
int am_config_parse(Str text, Str path, AmConfig **ret, Problem *problem);
int am_config_load(const char *path, AmConfig **ret, Problem *problem);
void am_config_free(AmConfig *c);
const AmReceiver *am_config_receiver(const AmConfig *c, Str name);
/* Calls fn for each route an alert with these labels goes to, in order. */
void am_route_match(const AmRoute *root, Labels l, void (*fn)(void *arg, const AmRoute *r),
                    void *arg);
