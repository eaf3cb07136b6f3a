/* The page addresses: all answer with the same document, whose script shows what the address names.
 */
#include "api/handlers.h"
#include "web/web.h"

/* Where scripts do not run, the same facts are one link away, as JSON or text. */
#define FALLBACK                                                                                   \
    "<h1>Narthex</h1><p>These pages need JavaScript. Without it, the same is here as JSON: "       \
    "<a href=\"api/v1/status/summary\">summary</a>, <a href=\"api/v1/alerts\">alerts</a>, "        \
    "<a href=\"api/v1/rules\">rules</a>, <a href=\"api/v1/targets\">targets</a>, "                 \
    "<a href=\"api/v1/status/tsdb\">series</a>, "                                                  \
    "<a href=\"api/v1/status/config\">configuration</a>, "                                         \
    "<a href=\"api/v1/status/flags\">flags</a>, <a href=\"api/v1/status/buildinfo\">build</a>, "   \
    "<a href=\"api/v1/query?query=up\">up</a>; and as text: <a href=\"metrics\">metrics</a>, "     \
    "<a href=\"-/healthy\">healthy</a>, <a href=\"-/ready\">ready</a>. "                           \
    "In a terminal, ask with <code>nartool query instant</code>.</p>"

void api_page(HttpExchange *x, void *arg) {
    const Api *api = arg;
    web_document(x, &(WebDocument){.title = api->page_title, .fallback = STR(FALLBACK)});
}

void api_page_asset(HttpExchange *x, void *arg) { web_asset(x); }

static void lead_to(HttpExchange *x, const char *up, Str page) {
    CLEANUP(buf_deinit) Buf to = BUF_INIT(0);
    buf_addf(&to, "%s%.*s%s%.*s", up, SA(page), x->raw_query.n ? "?" : "", SA(x->raw_query));
    HttpHeader location = {STR("Location"), buf_str(&to)};
    http_respond(x, &(HttpAnswer){.status = 302, .headers = &location, .n_headers = 1}, STR_NULL);
}

/* Links of old: /graph?g0.expr=... leads to the same query under /query. Relative, so that any
 * prefix stays. */
void api_page_graph(HttpExchange *x, void *arg) { lead_to(x, "", STR("query")); }

/* /classic/targets and /new/targets of Prometheus 2, which had two sets of pages for a while. */
void api_page_moved(HttpExchange *x, void *arg) {
    static const char *const pages[] = {"alerts", "rules", "targets", "service-discovery",
                                        "status", "flags", "config",  "tsdb-status",
                                        "query",  "graph"};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (str_eqc(x->wildcard, pages[i])) {
            lead_to(x, "../", str_eqc(x->wildcard, "graph") ? STR("query") : x->wildcard);
            return;
        }
    }
    http_respond_text(x, 404, "404 page not found");
}
