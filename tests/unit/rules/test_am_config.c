/* alertmanager.yml: the verdicts, the tree of routes, matchers. */
#include "rules/am_config.h"
#include "rules/notify/matcher_text.h"
#include "support/test.h"

static int parse(const char *text, AmConfig **c, Problem *p) {
    *p = (Problem){0};
    *c = NULL;
    return am_config_parse(str_of(text), STR("/etc/am.yml"), c, p);
}

#define RECEIVERS "receivers:\n- name: a\n- name: b\n  webhook_configs:\n  - url: http://x/\n"

static const struct {
    const char *text, *problem;
    int line;
} BAD[] = {
    {RECEIVERS, "no route provided in config", 0},
    {"route: {}\n" RECEIVERS, "root route must specify a default receiver", 1},
    {"route: {receiver: a, match: {x: y}}\n" RECEIVERS, "root route must not have any matchers", 1},
    {"route: {receiver: c}\n" RECEIVERS, "undefined receiver \"c\" used in route", 1},
    {"route: {receiver: a, group_by: [x, x]}\n" RECEIVERS, "duplicated label \"x\" in group_by", 1},
    {"route: {receiver: a, group_by: ['...', x]}\n" RECEIVERS,
     "cannot have wildcard group_by (`...`) and other labels at the same time", 1},
    {"route: {receiver: a, repeat_interval: 0s}\n" RECEIVERS, "repeat_interval cannot be zero", 1},
    {"route: {receiver: a}\n" RECEIVERS "- name: a\n",
     "notification config name \"a\" is not unique", 7},
    {"route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - send_resolved: true\n",
     "one of url or url_file must be configured", 5},
    {"route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - {to: x, from: y}\n",
     "no global SMTP smarthost set", 5},
    {"route: {receiver: a}\nreceivers:\n- name: a\n  email_config: []\n",
     "unknown key \"email_config\" in receiver; did you mean \"email_configs\"?", 4},
};

TEST (each_mistake_is_named) {
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        Problem p;
        AmConfig *c;
        CHECK(parse(BAD[i].text, &c, &p) < 0);
        CHECK_CSTR(p.text, BAD[i].problem);
        CHECK_INT(p.line, BAD[i].line);
    }
}

TEST (routes_inherit_and_have_keys) {
    Problem p;
    AmConfig *c;
    CHECK_INT(parse("route:\n  receiver: a\n  group_by: [y, x]\n  labels: {k: v}\n  routes:\n"
                    "  - match_re: {job: 'x|y'}\n    matchers: ['sev=\"hi\"', 'foo!~\"a.*\"']\n"
                    "    group_by: ['...']\n    repeat_interval: 1h\n    continue: true\n"
                    "    routes: [{receiver: b, group_by: []}]\n"
                    "  - matchers: [sev=hi]\n    receiver: b\n" RECEIVERS,
                    &c, &p),
              0);
    const AmRoute *r = &c->route->routes[0];
    CHECK_STR(r->key, STR("{}/{foo!~\"a.*\",job=~\"^(?:x|y)$\",sev=\"hi\"}"));
    CHECK(r->group_by_all && r->routes[0].n_group_by == 0 && !r->routes[0].group_by_all);
    CHECK_INT(r->routes[0].repeat_interval_ms, 3600000);
    CHECK_STR(labels_get(r->routes[0].labels, STR("k")), STR("v"));
    CHECK_STR(c->route->group_by[0], STR("x"));
    CHECK_STR(r->routes[0].receiver, STR("b"));
    am_config_free(c);
}

static void collect(void *arg, const AmRoute *r) {
    Buf *b = arg;
    buf_addf(b, "%.*s ", SA(r->key));
}

TEST (the_first_matching_child_wins_unless_it_continues) {
    Problem p;
    AmConfig *c;
    CHECK_INT(parse("route:\n  receiver: a\n  routes:\n"
                    "  - {match: {x: '1'}, continue: true}\n  - {match: {y: '1'}}\n"
                    "  - {match: {z: ''}}\n" RECEIVERS,
                    &c, &p),
              0);
    static const Label L[] = {{STR("x"), STR("1")}, {STR("y"), STR("1")}};
    static const Label Z[] = {{STR("z"), STR("1")}};
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    am_route_match(c->route, (Labels){L, 2}, collect, &b);
    CHECK_STR(buf_str(&b), STR("{}/{x=\"1\"} {}/{y=\"1\"} "));
    buf_reset(&b);
    am_route_match(c->route, (Labels){L, 1}, collect, &b);
    CHECK_STR(buf_str(&b), STR("{}/{x=\"1\"} {}/{z=\"\"} "));
    buf_reset(&b);
    am_route_match(c->route, (Labels){Z, 1}, collect, &b);
    CHECK_STR(buf_str(&b), STR("{} "));
    am_config_free(c);
}

static const struct {
    const char *in, *out;
} MATCHERS[] = {
    {"foo=bar", "{foo=\"bar\"}"},
    {"{foo=\"bar\", a!~\"x.*\",}", "{foo=\"bar\",a!~\"x.*\"}"},
    {" \"my name\" = \"v\\\"q\" ", "{\"my name\"=\"v\\\"q\"}"},
    {"foo=", "{foo=\"\"}"},
    {"foo=\"a,b\"", "{foo=\"a,b\"}"},
    {"foo=bar baz", "{foo=\"bar baz\"}"},
    {"{}", "{}"},
    {"foo", NULL},
    {"foo==x\"", NULL},
    {"foo=~\"(\"", NULL},
    {"={x}", NULL},
};

TEST (matchers_are_read_in_both_grammars) {
    for (size_t i = 0; i < sizeof(MATCHERS) / sizeof(MATCHERS[0]); i++) {
        Arena a = ARENA_INIT(0);
        MatcherList l = {0};
        Problem p = {0};
        int r = matcher_text_parse(str_of(MATCHERS[i].in), &a, &l, &p);
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        if (MATCHERS[i].out) {
            CHECK_INT(r, 0);
            matcher_list_format(&l, &b);
            CHECK_STR(buf_str(&b), str_of(MATCHERS[i].out));
        } else {
            CHECK(r < 0 && p.text[0]);
        }
        matcher_list_deinit(&l);
        arena_deinit(&a);
    }
}
