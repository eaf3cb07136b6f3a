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
    ":root{color-scheme:light dark;--line:#8884;--bad:#b3261e;--soft:#666}"
    "@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--soft:#aaa}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2.5rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1rem;margin:2rem 0 .25rem}"
    "p{margin:.25rem 0 1.25rem}.soft{color:var(--soft)}"
    "table{border-collapse:collapse;width:100%}"
    "td{padding:.4rem 0;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}"
    "td+td{text-align:right;padding-left:1rem}"
    ".bad{color:var(--bad);font-weight:600}ul{margin:0;padding:0;list-style:none}"
    "li{padding:.4rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}"
    "li span{display:block;color:var(--soft);font-size:.9rem}"
    "a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.2em}"
    "pre{font:.875rem/1.6 ui-monospace,monospace;border:1px solid var(--line);"
    "border-radius:.4rem;padding:.6rem .8rem;overflow-x:auto;margin:.5rem 0 1.25rem}"
    "nav a{margin-right:1rem;display:inline-block}";

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

static void add_storage(Buf *t, const TsdbStats *s) {
    buf_addf(t, "%llu in memory", (unsigned long long)s->head_series);
    if (s->blocks) {
        buf_addf(t, ", %llu block%s of ", (unsigned long long)s->blocks, s->blocks == 1 ? "" : "s");
        size_format(t, s->blocks_bytes);
    }
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
        add_storage(&t, &s);
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

/* ---- what is wrong, with its reason: at most TROUBLES_MAX lines a kind */

#define TROUBLES_MAX 10

typedef struct Troubles {
    Buf *b;
    const char *title;
    size_t n;
} Troubles;

static void add_trouble(Troubles *t, Str what, Str why) {
    if (t->n++ >= TROUBLES_MAX) {
        return;
    }
    if (t->n == 1) {
        buf_addf(t->b, "<h2>%s</h2>\n<ul>\n", t->title);
    }
    buf_add_cstr(t->b, "<li>");
    add_html(t->b, what);
    buf_add_cstr(t->b, " <span>");
    add_html(t->b, why);
    buf_add_cstr(t->b, "</span></li>\n");
}

static void end_troubles(Troubles *t) {
    if (t->n > TROUBLES_MAX) {
        buf_addf(t->b, "<li class=\"soft\">and %zu more</li>\n", t->n - TROUBLES_MAX);
    }
    if (t->n) {
        buf_add_cstr(t->b, "</ul>\n");
    }
}

static int add_down_target(void *arg, const TargetView *t) {
    if (t->health == TARGET_DOWN) {
        add_trouble(arg, t->url, t->last_error);
    }
    return 0;
}

static void add_firing(Troubles *t, const RuleInfo *rule) {
    for (size_t i = 0; i < rule->n_alerts; i++) {
        if (rule->alerts[i].state == ALERT_FIRING) {
            CLEANUP(buf_deinit) Buf labels = BUF_INIT(0);
            labels_format(rule->alerts[i].labels, &labels);
            add_trouble(t, rule->name, buf_str(&labels));
        }
    }
}

static void add_failing(Troubles *t, const RuleInfo *rule) {
    if (rule->health == RULE_ERR) {
        add_trouble(t, rule->name, rule->last_error);
    }
}

static void each_rule(const RulesSnapshot *s, void (*fn)(Troubles *t, const RuleInfo *rule),
                      Troubles *t) {
    for (size_t g = 0; g < s->n_groups; g++) {
        for (size_t i = 0; i < s->groups[g]->n_rules; i++) {
            fn(t, &s->groups[g]->rules[i]);
        }
    }
    end_troubles(t);
}

static void add_troubles(Buf *b, Api *api) {
    Troubles firing = {b, "Firing", 0}, down = {b, "Down", 0}, failing = {b, "Rules that fail", 0};
    RulesSnapshot *s = rule_manager_snapshot(api->rules);
    each_rule(s, add_firing, &firing);
    scrape_manager_each_active(api->scrape, STR_NULL, add_down_target, &down);
    end_troubles(&down);
    each_rule(s, add_failing, &failing);
    rules_snapshot_unref(s);
}

/* A command that can be copied: with the address that the reader's browser used. */
static void add_next_steps(Buf *b, const HttpExchange *x) {
    Str host = http_header(x, "host");
    buf_add_cstr(b, "<h2>Ask it</h2>\n<pre>nartool query instant http://");
    add_html(b, host.n ? host : STR("localhost:9090"));
    buf_add_cstr(b, " 'up'</pre>\n"
                    "<p>or point a Grafana data source of type Prometheus at this address.</p>\n"
                    "<nav><a href=\"api/v1/query?query=up\">query</a> "
                    "<a href=\"metrics\">metrics</a> "
                    "<a href=\"api/v1/status/config\">config</a> "
                    "<a href=\"api/v1/status/flags\">flags</a> "
                    "<a href=\"api/v1/status/buildinfo\">build</a> "
                    "<a href=\"-/healthy\">healthy</a> "
                    "<a href=\"-/ready\">ready</a></nav>\n");
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
    buf_addf(&b, "</h1>\n<p class=\"soft\">Narthex %s, speaks the API of Prometheus %s</p>\n",
             VERSION_NARTHEX, VERSION_PROMETHEUS);
    add_numbers(&b, api);
    add_troubles(&b, api);
    add_next_steps(&b, x);
    buf_add_cstr(&b, "</body></html>\n");
    http_respond(x,
                 &(HttpAnswer){.status = 200,
                               .content_type = "text/html; charset=utf-8",
                               .headers = headers,
                               .n_headers = ARRAY_LEN(headers)},
                 buf_str(&b));
}
