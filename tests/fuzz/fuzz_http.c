/* Any bytes as requests on one connection, in pieces as the first byte says; targets and bodies as
 * parameters; the whole as a URL. Whole and piecewise reading must agree. */
#include <assert.h>
#include <stddef.h>

#include "net/http_parser.h"
#include "net/http_router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_request(HttpParser *p) {
    const HttpRequestHead *h = http_parser_head(p);
    Arena a = ARENA_INIT(1 << 20);
    HttpParamList params = {0};
    (void)http_params_parse(h->target, &a, &params);
    (void)http_params_parse(buf_str(http_parser_body_buf(p)), &a, &params);
    Str decoded;
    (void)url_decode(h->target, false, &a, &decoded);
    arena_deinit(&a);
}

/* The end state and how many requests came before it. */
static int read_all(HttpParser *p, const char *data, size_t n, size_t step, int *ret_requests) {
    size_t at = 0;
    int requests = 0, r = HTTP_PARSE_MORE;
    http_parser_reset(p);
    while (at < n) {
        size_t used, k = n - at < step ? n - at : step;
        r = http_parser_feed(p, data + at, k, &used);
        assert(used <= k);
        at += used;
        if (r == HTTP_PARSE_HEAD) {
            http_parser_body_max(p, 1000);
            r = http_parser_feed(p, data + at, k - used, &used);
            at += used;
        }
        if (r == HTTP_PARSE_DONE) {
            use_request(p);
            http_parser_reset(p);
            requests++;
        } else if (r >= 400) {
            break;
        }
    }
    *ret_requests = requests;
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    HttpParser *p = http_parser_new(4096);
    int whole, pieces;
    int a = read_all(p, text, size - 1, SIZE_MAX, &whole);
    int b = read_all(p, text, size - 1, data[0] ? data[0] : 1, &pieces);
    assert(whole == pieces && a == b);
    http_parser_free(p);
    UrlParts u;
    (void)url_parse(str_n(text, size - 1), &u, NULL);
    return 0;
}
