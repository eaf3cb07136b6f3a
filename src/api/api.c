#include "api/api.h"

#include "api/handlers.h"

static const HttpRoute routes[] = {
#define ROUTE(methods_, pattern_, handler_, body_max_)                                             \
    {.methods = (methods_), .pattern = pattern_, .handler = handler_, .body_bytes_max = body_max_},
#include "api/routes.def"
#undef ROUTE
};

const HttpRoute *api_routes(size_t *ret_n) {
    *ret_n = ARRAY_LEN(routes);
    return routes;
}

/* What has an answer while the journal is still being replayed. */
static bool answers_always(Str path) {
    static const char *const paths[] = {"/-/healthy",
                                        "/-/quit",
                                        "/-/reload",
                                        "/metrics",
                                        "/version",
                                        "/api/v1/status/walreplay",
                                        "/api/v1/status/buildinfo",
                                        "/api/v1/status/flags",
                                        "/api/v1/status/config",
                                        "/api/v1/status/runtimeinfo",
                                        "/api/v1/status/summary",
                                        "/api/v1/live",
                                        "/api/v1/notifications",
                                        "/api/v1/notifications/live"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (str_eqc(path, paths[i])) {
            return true;
        }
    }
    return false;
}

/* The pages are: what the server waits for is shown by them. */
static bool is_page(const HttpExchange *x) {
    return x->route && (x->route->handler == api_page || x->route->handler == api_page_graph ||
                        x->route->handler == api_page_asset);
}

/* ---- A page of somebody else's must not end queries or the server in the name of its reader */

static bool changes_state(const HttpExchange *x) {
    return x->method != HTTP_GET &&
           (str_starts(x->path, STR("/-/")) || str_starts(x->path, STR("/api/v1/admin/")) ||
            str_starts(x->path, STR("/api/v1/status/")));
}

/* host:port of http://host:port/path */
static Str host_of(Str url) {
    Str host = str_from(url, MIN(url.n, str_find_str(url, STR("//")) + 2));
    return str_upto(host, str_find(host, '/'));
}

static Str external_host(const Api *api) {
    for (size_t i = 0; i < api->n_flags; i++) {
        if (str_eqc(api->flags[i].name, "web.external-url")) {
            return host_of(api->flags[i].value);
        }
    }
    return STR_NULL;
}

/* Browsers say where a request comes from: with Sec-Fetch-Site over TLS and to this machine itself,
 * else with Origin. Other programs say nothing. */
static bool from_elsewhere(const Api *api, const HttpExchange *x) {
    Str site = http_header(x, "sec-fetch-site"), origin = http_header(x, "origin");
    if (site.n) {
        return !str_eqc(site, "same-origin") && !str_eqc(site, "none");
    }
    if (!origin.n) {
        return false;
    }
    Str host = host_of(origin), external = external_host(api);
    return !str_eq(host, http_header(x, "host")) && !(external.n && str_eq(host, external));
}

/* What blocks alone can answer, before the journal is read. */
static bool asks_blocks(const Api *api, const HttpExchange *x) {
    static const HttpHandler handlers[] = {api_query,  api_query_range,  api_format_query,
                                           api_labels, api_label_values, api_series};
    for (size_t i = 0; api->storage && x->route && i < ARRAY_LEN(handlers); i++) {
        if (x->route->handler == handlers[i]) {
            return true;
        }
    }
    return false;
}

bool api_before(HttpExchange *x, void *arg) {
    const Api *api = arg;
    if (changes_state(x) && from_elsewhere(api, x)) {
        http_respond_text(x, 403, "Only pages of this server may change its state.");
        return false;
    }
    if ((!api->stopping && (api->ready || asks_blocks(api, x))) || answers_always(x->path) ||
        is_page(x)) {
        return true;
    }
    HttpHeader stopping = {STR("X-Prometheus-Stopping"),
                           api->stopping ? STR("true") : STR("false")};
    http_respond(x,
                 &(HttpAnswer){.status = 503,
                               .content_type = "text/plain; charset=utf-8",
                               .headers = &stopping,
                               .n_headers = 1},
                 STR("Service Unavailable\n"));
    return false;
}
