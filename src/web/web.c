#include "web/web.h"

#include "base/hash.h"
#include "format/compress.h"
#include "web/embedded.h"

#define ASSET_BYTES_MAX ((size_t)16 << 20)

/* Nothing but this server's own files and answers; text of exporters and rules can never become
 * markup or script. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "                   \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

static const EmbeddedAsset *find_asset(Str name) {
    for (size_t i = 0; i < embedded_assets_n; i++) {
        if (str_eqc(name, embedded_assets[i].name)) {
            return &embedded_assets[i];
        }
    }
    return NULL;
}

static Str asset_bytes(const EmbeddedAsset *a) {
    return (Str){a->begin, (size_t)(a->end - a->begin)};
}

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

/* The shell with {title} and {fallback} filled in. */
static void write_document(const WebDocument *d, Buf *b) {
    Str rest = asset_bytes(find_asset(STR("index.html")));
    while (rest.n) {
        size_t at = str_find(rest, '{');
        buf_add_str(b, str_upto(rest, at));
        rest = str_from(rest, at);
        if (str_starts(rest, STR("{title}"))) {
            add_html(b, d->title);
            rest = str_from(rest, strlen("{title}"));
        } else if (str_starts(rest, STR("{fallback}"))) {
            buf_add_str(b, d->fallback);
            rest = str_from(rest, strlen("{fallback}"));
        } else if (rest.n) {
            buf_add_char(b, '{');
            rest = str_from(rest, 1);
        }
    }
}

/* RFC 9110, 13.1.2: a list of tags or *; compared weakly, so that W/ does not count. */
static bool has_etag(const HttpExchange *x, Str tag) {
    Str list = http_header(x, "if-none-match"), one;
    while (str_split_next(&list, ',', &one)) {
        one = str_trim(one);
        if (str_eqc(one, "*") || str_eq(one, tag) ||
            (str_starts(one, STR("W/")) && str_eq(str_from(one, 2), tag))) {
            return true;
        }
    }
    return false;
}

void web_document(HttpExchange *x, const WebDocument *d) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf tag = BUF_INIT(0);
    write_document(d, &b);
    buf_addf(&tag, "\"%016llx\"", (unsigned long long)hash_str(buf_str(&b)));
    const HttpHeader headers[] = {{STR("Content-Security-Policy"), STR(POLICY)},
                                  {STR("X-Content-Type-Options"), STR("nosniff")},
                                  {STR("Referrer-Policy"), STR("no-referrer")},
                                  {STR("Cache-Control"), STR("no-cache")},
                                  {STR("ETag"), buf_str(&tag)}};
    HttpAnswer a = {.status = has_etag(x, buf_str(&tag)) ? 304 : 200,
                    .content_type = "text/html; charset=utf-8",
                    .headers = headers,
                    .n_headers = ARRAY_LEN(headers)};
    http_respond(x, &a, buf_str(&b));
}

/* Whether gzip is in Accept-Encoding and not switched off there. */
static bool takes_gzip(const HttpExchange *x) {
    Str list = http_header(x, "accept-encoding"), one;
    while (str_split_next(&list, ',', &one)) {
        Str name = str_trim(str_upto(one, str_find(one, ';')));
        Str weight = str_trim(str_from(one, MIN(one.n, str_find(one, ';') + 1)));
        if (str_eqc(name, "gzip")) {
            return !str_eqc(weight, "q=0") && !str_eqc(weight, "q=0.0");
        }
    }
    return false;
}

void web_asset(HttpExchange *x) {
    const EmbeddedAsset *asset = find_asset(x->wildcard);
    if (!asset || str_eqc(x->wildcard, "index.html")) {
        http_respond_text(x, 404, "404 page not found");
        return;
    }
    bool packed = takes_gzip(x);
    CLEANUP(buf_deinit) Buf plain = BUF_INIT(0);
    if (!packed && gzip_decode(asset_bytes(asset), ASSET_BYTES_MAX, &plain) < 0) {
        http_respond_text(x, 500, "500 Internal Server Error");
        return;
    }
    const HttpHeader headers[] = {
        {STR("Cache-Control"), STR("public, max-age=31536000, immutable")},
        {STR("X-Content-Type-Options"), STR("nosniff")},
        {STR("Vary"), STR("Accept-Encoding")},
        {STR("Content-Encoding"), STR("gzip")}};
    http_respond(x,
                 &(HttpAnswer){.status = 200,
                               .content_type = asset->content_type,
                               .headers = headers,
                               .n_headers = ARRAY_LEN(headers) - !packed,
                               .no_compress = true},
                 packed ? asset_bytes(asset) : buf_str(&plain));
}
