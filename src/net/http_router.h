/*
 * From a request's target to its route and parameters. Routes are tried in the order of their
 * table. No state; any thread.
 */
#pragma once

#include "net/http_server.h"

#define HTTP_PARAMS_MAX 65536

typedef enum HttpRouteResult {
    HTTP_ROUTE_FOUND = 0,
    HTTP_ROUTE_NONE = 404,
    HTTP_ROUTE_METHOD = 405, /* the path is known, the method is not: see *ret_allowed */
} HttpRouteResult;

typedef struct HttpMatch {
    const HttpRoute *route;
    Str wildcard; /* as sent: not decoded */
    unsigned allowed;
} HttpMatch;

/* raw_path: behind the prefix, as sent; path: the same decoded. */
HttpRouteResult http_route_find(const HttpRoute *routes, size_t n, HttpMethod method, Str raw_path,
                                Str path, HttpMatch *ret);
/* The path without doubled or trailing slashes, when that differs; else STR_NULL. */
Str http_path_clean(Str path, Arena *a);
/* Cuts the external URL's prefix off; false when the path lies outside of it. */
bool http_route_strip_prefix(Str prefix, Str *path);
HttpMethod http_method_of(Str name);
/* "GET, OPTIONS, POST": the methods' names in order. */
void http_methods_write(unsigned methods, Buf *out);

/* name=value&..., decoded into the arena; broken pairs are left out as Go does. Adds to the array
 * behind what is there; false: more than HTTP_PARAMS_MAX, or the arena refused. */
typedef struct HttpParamList {
    HttpParam *v;
    size_t n, cap;
} HttpParamList;
bool http_params_parse(Str text, Arena *a, HttpParamList *list);
