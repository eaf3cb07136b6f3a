#include "base/mem.h"
#include "net/http_router.h"
#include "support/test.h"

static void check_url(const char *url, const char *want) {
    UrlParts u;
    Problem p = {0};
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    if (url_parse(str_of(url), &u, &p) < 0) {
        buf_add_cstr(&b, p.text);
    } else {
        buf_addf(&b, "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s", SA(u.scheme), SA(u.user), SA(u.host),
                 SA(u.port), SA(u.path), SA(u.query), SA(u.fragment));
    }
    CHECK_STR(buf_str(&b), str_of(want));
}

TEST (urls_come_apart) {
    check_url("http://u:p@h.x:90/a/b?c=d&e#f", "http|u:p|h.x|90|/a/b|c=d&e|f");
    check_url("https://[::1]:9090", "https||::1|9090|||");
    check_url("/only/path?x", "||||/only/path|x|");
    check_url("//h/p", "||h||/p||");
    check_url("mailto:x@y", "mailto||||x@y||");
    check_url("http://[::1", "parse \"http://[::1\": missing ']' in host");
    check_url("http://h:9x/", "parse \"http://h:9x/\": invalid port \":9x\" after host");
    check_url("http://a b/", "parse \"http://a b/\": invalid character \" \" in host name");
    check_url(":x", "parse \":x\": missing protocol scheme");
    check_url("http://h/\x01",
              "parse \"http://h/\x01\": net/url: invalid control character in URL");
}

static void check_decoded(const char *s, bool plus, const char *want) {
    Arena a = ARENA_INIT(0);
    Str got;
    bool ok = url_decode(str_of(s), plus, &a, &got);
    CHECK(ok == (want != NULL));
    if (want) {
        CHECK_STR(got, str_of(want));
    }
    arena_deinit(&a);
}

TEST (escapes_are_undone_once) {
    check_decoded("a%20b+c%2520", false, "a b+c%20");
    check_decoded("a%20b+c", true, "a b c");
    check_decoded("%e4%B8%96", false, "世");
    check_decoded("%", false, NULL);
    check_decoded("%4", false, NULL);
    check_decoded("%4g", false, NULL);
    check_decoded("a%", false, NULL);
    check_decoded("", false, "");
}

TEST (escaping_is_that_of_go) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    url_query_escape(STR("a b/ü~_-.+&"), &b);
    buf_add_char(&b, ' ');
    url_path_escape(STR("a b/ü~$&+:=@,;"), &b);
    CHECK_STR(buf_str(&b), STR("a+b%2F%C3%BC~_-.%2B%26 a%20b%2F%C3%BC~$&+:=@%2C%3B"));
}

TEST (params_keep_order_and_repeats_and_skip_broken_pairs) {
    Arena a = ARENA_INIT(0);
    HttpParamList l = {0};
    CHECK(http_params_parse(STR("match[]=a&x=%zz&match%5B%5D=b+c&&flag&y;z=1&k=v=w"), &a, &l));
    CHECK_INT(l.n, 4);
    CHECK_STR(l.v[0].name, STR("match[]"));
    CHECK_STR(l.v[1].name, STR("match[]"));
    CHECK_STR(l.v[1].value, STR("b c"));
    CHECK_STR(l.v[2].name, STR("flag"));
    CHECK_STR(l.v[3].value, STR("v=w"));
    CLEANUP(buf_deinit) Buf many = BUF_INIT(0);
    for (int i = 0; i < HTTP_PARAMS_MAX + 1; i++) {
        buf_add_cstr(&many, "a&");
    }
    l = (HttpParamList){0};
    CHECK(!http_params_parse(buf_str(&many), &a, &l));
    arena_deinit(&a);
}

static void check_route(HttpMethod method, const char *path, int want, const char *wildcard) {
    static const HttpRoute routes[] = {
        {.methods = HTTP_GET | HTTP_POST, .pattern = "/api/v1/query"},
        {.methods = HTTP_GET, .pattern = "/api/v1/label/:name/values"},
        {.methods = HTTP_DELETE, .pattern = "/silence/:id"},
        {.methods = HTTP_GET, .pattern = "/static/*rest"},
        {.methods = HTTP_PUT, .pattern = "/api/v1/query"},
    };
    HttpMatch m;
    int r = http_route_find(routes, ARRAY_LEN(routes), method, str_of(path), str_of(path), &m);
    CHECK_INT(r == HTTP_ROUTE_FOUND ? m.route - routes : -r, want);
    if (r == HTTP_ROUTE_FOUND) {
        CHECK_STR(m.wildcard, str_of(wildcard));
    }
}

TEST (routes_with_one_wildcard) {
    check_route(HTTP_GET, "/api/v1/query", 0, "");
    check_route(HTTP_HEAD, "/api/v1/query", 0, "");
    check_route(HTTP_PUT, "/api/v1/query", 4, "");
    check_route(HTTP_DELETE, "/api/v1/query", -405, "");
    check_route(HTTP_GET, "/api/v1/query/", -404, "");
    check_route(HTTP_GET, "/api/v1/label/job%2F/values", 1, "job%2F");
    check_route(HTTP_GET, "/api/v1/label//values", -404, "");
    check_route(HTTP_GET, "/api/v1/label/a/b/values", -404, "");
    check_route(HTTP_GET, "/api/v1/label/a/value", -404, "");
    check_route(HTTP_DELETE, "/silence/12", 2, "12");
    check_route(HTTP_GET, "/static/", 3, "");
    check_route(HTTP_GET, "/static/a/b.js", 3, "a/b.js");
    check_route(HTTP_GET, "/static", -404, "");
}

TEST (slashes_too_many_are_cleaned_away) {
    CLEANUP(arena_deinit) Arena a = ARENA_INIT(1 << 20);
    CHECK_STR(http_path_clean(STR("//api///v1/query"), &a), STR("/api/v1/query"));
    CHECK_STR(http_path_clean(STR("/metrics//"), &a), STR("/metrics"));
    CHECK_STR(http_path_clean(STR("//"), &a), STR("/"));
    CHECK(!http_path_clean(STR("/"), &a).p);
    CHECK(!http_path_clean(STR("/api/v1/query"), &a).p);
}

TEST (route_prefix_is_cut_off) {
    Str p = STR("/prom/graph");
    CHECK(http_route_strip_prefix(STR("/prom/"), &p) && str_eqc(p, "/graph"));
    p = STR("/prom");
    CHECK(http_route_strip_prefix(STR("/prom"), &p) && str_eqc(p, "/"));
    p = STR("/prometheus");
    CHECK(!http_route_strip_prefix(STR("/prom"), &p));
    p = STR("/x");
    CHECK(http_route_strip_prefix(STR("/"), &p) && str_eqc(p, "/x"));
}
