#include <string.h>

#include "net/http_server.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool url_decode(Str s, bool plus_is_space, Arena *a, Str *ret) {
    char *out = arena_alloc_bytes(a, s.n + 1);
    if (!out) {
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret = (Str){out, n};
    return true;
}

static bool is_unreserved(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("-_.~", c));
}

static void escape(Str s, const char *also_plain, bool space_is_plus, Buf *out) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_unreserved(c) || (c && strchr(also_plain, c))) {
            buf_add_char(out, c);
        } else if (c == ' ' && space_is_plus) {
            buf_add_char(out, '+');
        } else {
            char t[3] = {'%', digits[(unsigned char)c >> 4], digits[c & 15]};
            buf_add(out, t, 3);
        }
    }
}

void url_query_escape(Str s, Buf *out) { escape(s, "", true, out); }

void url_path_escape(Str s, Buf *out) { escape(s, "$&+:=@", false, out); }

static bool is_scheme(Str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool later = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && !(later && i > 0)) {
            return false;
        }
    }
    return s.n > 0;
}

static int parse_host(Str url, Str authority, UrlParts *u, Problem *problem) {
    Str host = authority;
    for (size_t i = authority.n; i > 0; i--) {
        if (authority.p[i - 1] == '@') {
            u->user = str_upto(authority, i - 1);
            host = str_from(authority, i);
            break;
        }
    }
    Str rest;
    if (host.n && host.p[0] == '[') {
        size_t close = str_find(host, ']');
        if (close == host.n) {
            return problem_set(problem, 0, 0, "parse \"%.*s\": missing ']' in host", SA(url));
        }
        u->host = (Str){host.p + 1, close - 1};
        rest = str_from(host, close + 1);
    } else {
        u->host = str_upto(host, str_find(host, ':'));
        rest = str_from(host, u->host.n);
    }
    for (size_t i = 0; i < u->host.n; i++) {
        if (strchr(" \"<>\\^`{|}", u->host.p[i])) {
            return problem_set(problem, 0, 0,
                               "parse \"%.*s\": invalid character \"%c\" in host name", SA(url),
                               u->host.p[i]);
        }
    }
    bool ok = rest.n == 0 || rest.p[0] == ':';
    for (size_t i = 1; i < rest.n; i++) {
        ok = ok && rest.p[i] >= '0' && rest.p[i] <= '9';
    }
    if (!ok) {
        return problem_set(problem, 0, 0, "parse \"%.*s\": invalid port \"%.*s\" after host",
                           SA(url), SA(rest));
    }
    u->port = rest.n ? str_from(rest, 1) : STR("");
    return 0;
}

int url_parse(Str url, UrlParts *ret, Problem *problem) {
    UrlParts u = {.scheme = STR(""), .user = STR(""), .host = STR(""), .port = STR("")};
    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] < 0x20 || url.p[i] == 0x7f) {
            return problem_set(problem, 0, 0,
                               "parse \"%.*s\": net/url: invalid control character in URL",
                               SA(url));
        }
    }
    size_t hash = str_find(url, '#');
    u.fragment = hash < url.n ? str_from(url, hash + 1) : STR("");
    Str rest = str_upto(url, hash);
    size_t question = str_find(rest, '?');
    u.query = question < rest.n ? str_from(rest, question + 1) : STR("");
    rest = str_upto(rest, question);
    size_t colon = str_find(rest, ':');
    if (colon == 0) {
        return problem_set(problem, 0, 0, "parse \"%.*s\": missing protocol scheme", SA(url));
    }
    if (colon < rest.n && is_scheme(str_upto(rest, colon))) {
        u.scheme = str_upto(rest, colon);
        rest = str_from(rest, colon + 1);
    }
    if (str_starts(rest, STR("//"))) {
        rest = str_from(rest, 2);
        Str authority = str_upto(rest, str_find(rest, '/'));
        rest = str_from(rest, authority.n);
        int r = parse_host(url, authority, &u, problem);
        if (r < 0) {
            return r;
        }
    }
    u.path = rest;
    *ret = u;
    return 0;
}
