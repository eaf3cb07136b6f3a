/* The page at "/": what runs here, in plain HTML without scripts, with links to what it says. */
#include "api/handlers.h"
#include "base/clock.h"
#include "base/version.h"
#include "model/duration.h"

static void add_html(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<': buf_add_cstr(b, "&lt;"); break;
        case '>': buf_add_cstr(b, "&gt;"); break;
        case '&': buf_add_cstr(b, "&amp;"); break;
        case '"': buf_add_cstr(b, "&quot;"); break;
        default: buf_add_char(b, s.p[i]);
        }
    }
}

/* System fonts, both colour schemes, one column on a phone; the policy below allows nothing else.
 */
static const char STYLE[] =
    ":root{color-scheme:light dark}body{font:16px/1.5 "
    "system-ui,sans-serif;max-width:44rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem;margin-bottom:0}p{margin:.25rem 0 "
    "1rem}table{border-collapse:collapse;"
    "width:100%;margin-bottom:1.5rem}td,th{text-align:left;padding:.3rem .6rem .3rem "
    "0;border-bottom:1px solid "
    "#8884;font-variant-numeric:tabular-nums}td:last-child{text-align:right}.bad{color:#c02020;"
    "font-weight:600}"
    "@media(prefers-color-scheme:dark){.bad{color:#ff8080}}a{color:inherit}code{font-size:.9em}";

static void add_row(Buf *b, const char *name, const char *link, Str value, bool bad) {
    buf_addf(b, "<tr><td><a href=\"%s\">%s</a></td><td%s>", link, name,
             bad ? " class=\"bad\"" : "");
    add_html(b, value);
    buf_add_cstr(b, "</td></tr>\n");
}

typedef struct RuleSummary {
    size_t groups, rules, failing, pending, firing;
} RuleSummary;

static void count_rules(RuleManager *m, RuleSummary *ret) {
    RulesSnapshot *s = rule_manager_snapshot(m);
    *ret = (RuleSummary){.groups = s->n_groups};
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            const RuleInfo *rule = &s->groups[g]->rules[i];
            ret->rules++;
            ret->failing += rule->health == RULE_ERR;
            for (size_t k = 0; k < rule->n_alerts; k++) {
                ret->firing += rule->alerts[k].state == ALERT_FIRING;
                ret->pending += rule->alerts[k].state == ALERT_PENDING;
            }
        }
    }
    rules_snapshot_unref(s);
}

typedef struct TargetSummary {
    size_t up, down;
} TargetSummary;

static int count_target(void *arg, const TargetView *t) {
    TargetSummary *sum = arg;
    sum->up += t->health == TARGET_UP;
    sum->down += t->health == TARGET_DOWN;
    return 0;
}

static void add_numbers(Buf *b, Api *api) {
    TargetSummary targets = {0};
    RuleSummary rules;
    ApiRuntime runtime = {0};
    scrape_manager_each_active(api->scrape, STR_NULL, count_target, &targets);
    count_rules(api->rules, &rules);
    api->hooks->runtime(api->server, &runtime);
    CLEANUP(buf_deinit) Buf t = BUF_INIT(0);
    buf_add_cstr(b, "<table>\n");
    buf_addf(&t, "%zu up, %zu down", targets.up, targets.down);
    add_row(b, "Targets", "api/v1/targets", buf_str(&t), targets.down > 0);
    buf_reset(&t);
    buf_addf(&t, "%zu firing, %zu pending", rules.firing, rules.pending);
    add_row(b, "Alerts", "api/v1/alerts", buf_str(&t), rules.firing > 0);
    buf_reset(&t);
    buf_addf(&t, "%zu in %zu groups, %zu failing", rules.rules, rules.groups, rules.failing);
    add_row(b, "Rules", "api/v1/rules", buf_str(&t), rules.failing > 0);
    if (api->tsdb) {
        TsdbStats s;
        tsdb_stats(api->tsdb, &s);
        buf_reset(&t);
        buf_addf(&t, "%llu in memory, %llu blocks of ", (unsigned long long)s.head_series,
                 (unsigned long long)s.blocks);
        size_format(&t, s.blocks_bytes);
        add_row(b, "Series", "api/v1/status/tsdb", buf_str(&t), false);
    }
    buf_reset(&t);
    duration_format(&t, (clock_wall_ms() - runtime.start_ms) / SECOND_MS * SECOND_MS);
    add_row(b, "Running for", "api/v1/status/runtimeinfo", buf_str(&t), false);
    add_row(b, "Last reload", "api/v1/status/config",
            runtime.reload_ok ? STR("successful")
                              : STR("failed: the old configuration is in force"),
            !runtime.reload_ok);
    buf_add_cstr(b, "</table>\n");
}

/* Links in alerts point to /graph?g0.expr=...: they lead to the result of the expression. */
void api_graph(HttpExchange *x, void *arg) {
    CLEANUP(buf_deinit) Buf to = BUF_INIT(0);
    Str expr = http_param(x, "g0.expr");
    buf_add_cstr(&to, expr.n ? "api/v1/query?query=" : "./");
    url_query_escape(expr, &to);
    HttpHeader location = {STR("Location"), buf_str(&to)};
    http_respond(x, &(HttpAnswer){.status = 302, .headers = &location, .n_headers = 1}, STR(""));
}

void api_home(HttpExchange *x, void *arg) {
    Api *api = arg;
    const HttpHeader headers[] = {
        {STR("Content-Security-Policy"),
         STR("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'")},
        {STR("Cache-Control"), STR("no-cache")}};
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_addf(
        &b,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"><title>");
    add_html(&b, api->page_title);
    buf_addf(&b, "</title><style>%s</style></head>\n<body>\n<h1>", STYLE);
    add_html(&b, api->page_title);
    buf_addf(&b, "</h1>\n<p>Narthex %s, speaks the API of Prometheus %s</p>\n", VERSION_NARTHEX,
             VERSION_PROMETHEUS);
    add_numbers(&b, api);
    buf_add_cstr(&b,
                 "<p>Ask it with <code>nartool query instant</code>, or point a Grafana Prometheus "
                 "datasource at this address. More: <a href=\"metrics\">metrics</a>, "
                 "<a href=\"api/v1/status/flags\">flags</a>, "
                 "<a href=\"api/v1/status/buildinfo\">build</a>, "
                 "<a href=\"api/v1/query?query=up\">up</a>, "
                 "<a href=\"-/healthy\">healthy</a>, <a href=\"-/ready\">ready</a>.</p>\n"
                 "</body></html>\n");
    http_respond(x,
                 &(HttpAnswer){.status = 200,
                               .content_type = "text/html; charset=utf-8",
                               .headers = headers,
                               .n_headers = ARRAY_LEN(headers)},
                 buf_str(&b));
}
