#include <ctype.h>

#include "net/http_call.h"

/* Go words system errors in lower case. */
Str http_errno_words(HttpCall *c, long e) {
    Str s = arena_str(&c->arena, str_of(strerror((int)e)));
    for (size_t i = 0; i < s.n; i++) {
        ((char *)s.p)[i] = (char)tolower((unsigned char)s.p[i]);
    }
    return s;
}

/* The URL without its password, as Go shows it. */
static Str shown_url(HttpCall *c) {
    size_t start = str_find_str(c->url, STR("://"));
    start = start < c->url.n ? start + 3 : 0;
    Str rest = str_from(c->url, start);
    Str authority = str_upto(rest, str_find(rest, '/'));
    size_t at = str_find(authority, '@'), colon = str_find(str_upto(authority, at), ':');
    if (at == authority.n || colon == at) {
        return c->url;
    }
    return arena_printf(&c->arena, "%.*s:***%.*s", (int)(start + colon), c->url.p,
                        SA(str_from(c->url, start + at)));
}

static Str host_of(HttpCall *c, bool with_port) {
    size_t start = str_find_str(c->url, STR("://"));
    Str rest = str_from(c->url, start < c->url.n ? start + 3 : 0);
    rest = str_upto(rest, str_find(rest, '/'));
    size_t at = str_find(rest, '@');
    rest = at < rest.n ? str_from(rest, at + 1) : rest;
    if (with_port || (rest.n && rest.p[0] == '[')) {
        return rest;
    }
    return str_upto(rest, str_find(rest, ':'));
}

static Str connect_words(HttpCall *c) {
    char *ip = NULL;
    long port = 0, e = 0;
    curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &e);
    Str why = e ? http_errno_words(c, e) : str_of(c->curl_error);
    if (ip && *ip && port) {
        bool six = strchr(ip, ':');
        return arena_printf(&c->arena, "dial tcp %s%s%s:%ld: connect: %.*s", six ? "[" : "", ip,
                            six ? "]" : "", port, SA(why));
    }
    return arena_printf(&c->arena, "dial tcp %.*s: connect: %.*s", SA(host_of(c, true)), SA(why));
}

static Str read_words(HttpCall *c, const char *verb) {
    long e = 0;
    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &e);
    if (e) {
        return arena_printf(&c->arena, "%s tcp %.*s: %s: %.*s", verb, SA(host_of(c, true)), verb,
                            SA(http_errno_words(c, e)));
    }
    return str_of(c->curl_error[0] ? c->curl_error : "EOF");
}

static Str cause(HttpCall *c, CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return STR("context deadline exceeded");
    case CURLE_COULDNT_CONNECT: return connect_words(c);
    case CURLE_COULDNT_RESOLVE_HOST:
        return arena_printf(&c->arena, "dial tcp: lookup %.*s: no such host",
                            SA(host_of(c, false)));
    case CURLE_GOT_NOTHING: return STR("EOF");
    case CURLE_PARTIAL_FILE: return STR("unexpected EOF");
    case CURLE_RECV_ERROR: return read_words(c, "read");
    case CURLE_SEND_ERROR: return read_words(c, "write");
    case CURLE_TOO_MANY_REDIRECTS:
        return arena_printf(&c->arena, "stopped after %d redirects", HTTP_REDIRECTS_MAX);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return arena_printf(&c->arena, "unsupported protocol scheme \"%.*s\"",
                            SA(str_upto(c->url, str_find_str(c->url, STR("://")))));
    case CURLE_PEER_FAILED_VERIFICATION:
        return arena_printf(&c->arena, "tls: failed to verify certificate: x509: %s",
                            c->curl_error);
    default: return str_of(c->curl_error[0] ? c->curl_error : curl_easy_strerror(code));
    }
}

const char *http_call_error(HttpCall *c, CURLcode code) {
    char verb[sizeof(c->method)];
    for (size_t i = 0; i < sizeof(verb); i++) {
        verb[i] = (char)(i ? tolower((unsigned char)c->method[i]) : c->method[i]);
    }
    Str why = c->setup_error ? str_of(c->setup_error) : cause(c, code);
    Str all = arena_printf(&c->arena, "%s \"%.*s\": %.*s", verb, SA(shown_url(c)), SA(why));
    return all.p;
}
