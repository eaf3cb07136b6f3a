#include "net/http_router.h"

static const struct {
    const char *name;
    HttpMethod method;
} methods[] = {{"DELETE", HTTP_DELETE},   {"GET", HTTP_GET},   {"HEAD", HTTP_HEAD},
               {"OPTIONS", HTTP_OPTIONS}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT}};

HttpMethod http_method_of(Str name) {
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (str_eqc(name, methods[i].name)) {
            return methods[i].method;
        }
    }
    return HTTP_OTHER;
}

void http_methods_write(unsigned set, Buf *out) {
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (set & methods[i].method) {
            buf_addf(out, "%s%s", any ? ", " : "", methods[i].name);
            any = true;
        }
    }
}

bool http_route_strip_prefix(Str prefix, Str *path) {
    while (prefix.n && prefix.p[prefix.n - 1] == '/') {
        prefix.n--;
    }
    if (!str_starts(*path, prefix)) {
        return false;
    }
    Str rest = str_from(*path, prefix.n);
    if (rest.n && rest.p[0] != '/') {
        return false;
    }
    *path = rest.n ? rest : STR("/");
    return true;
}

Str http_path_clean(Str path, Arena *a) {
    char *clean = arena_alloc_bytes(a, path.n + 1);
    size_t n = 0;
    for (size_t i = 0; clean && i < path.n; i++) {
        if (path.p[i] != '/' || n == 0 || clean[n - 1] != '/') {
            clean[n++] = path.p[i];
        }
    }
    while (n > 1 && clean[n - 1] == '/') {
        n--;
    }
    return n == path.n ? STR_NULL : (Str){clean, n};
}

static bool pattern_matches(Str pattern, Str raw, Str path, Str *ret_wildcard) {
    size_t star = str_find(pattern, '*'), colon = str_find_str(pattern, STR("/:"));
    *ret_wildcard = STR("");
    if (star < pattern.n) {
        *ret_wildcard = str_from(raw, MIN(star, raw.n));
        return str_starts(raw, str_upto(pattern, star));
    }
    if (colon == pattern.n) {
        return str_eq(pattern, path);
    }
    size_t start = colon + 1;
    if (!str_starts(raw, str_upto(pattern, start))) {
        return false;
    }
    Str value = str_from(raw, start), name = str_from(pattern, start);
    value = str_upto(value, str_find(value, '/'));
    name = str_upto(name, str_find(name, '/'));
    *ret_wildcard = value;
    return value.n > 0 && str_eq(str_from(raw, start + value.n), str_from(pattern, start + name.n));
}

HttpRouteResult http_route_find(const HttpRoute *routes, size_t n, HttpMethod method, Str raw_path,
                                Str path, HttpMatch *ret) {
    *ret = (HttpMatch){0};
    for (size_t i = 0; i < n; i++) {
        Str wildcard;
        if (!pattern_matches(str_of(routes[i].pattern), raw_path, path, &wildcard)) {
            continue;
        }
        unsigned served = routes[i].methods | (routes[i].methods & HTTP_GET ? HTTP_HEAD : 0);
        if (served & method) {
            ret->route = &routes[i];
            ret->wildcard = wildcard;
            return HTTP_ROUTE_FOUND;
        }
        ret->allowed |= served;
    }
    return ret->allowed ? HTTP_ROUTE_METHOD : HTTP_ROUTE_NONE;
}

static bool add_param(Arena *a, HttpParamList *list, HttpParam p) {
    if (list->n == HTTP_PARAMS_MAX) {
        return false;
    }
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        HttpParam *v = ARENA_ARRAY(a, HttpParam, cap);
        if (!v) {
            return false;
        }
        if (list->n) {
            memcpy(v, list->v, list->n * sizeof(*v));
        }
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n++] = p;
    return true;
}

bool http_params_parse(Str text, Arena *a, HttpParamList *list) {
    Str pair;
    while (str_split_next(&text, '&', &pair)) {
        if (!pair.n || str_find(pair, ';') < pair.n) {
            continue;
        }
        size_t equals = str_find(pair, '=');
        Str value = equals < pair.n ? str_from(pair, equals + 1) : STR("");
        HttpParam p;
        bool ok = url_decode(str_upto(pair, equals), true, a, &p.name) &&
                  url_decode(value, true, a, &p.value);
        if (a->failed || (ok && !add_param(a, list, p))) {
            return false;
        }
    }
    return true;
}
