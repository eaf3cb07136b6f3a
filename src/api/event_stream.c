#include "api/event_stream.h"

bool event_stream_begin(HttpExchange *x) {
    static const HttpHeader headers[] = {{STR("Cache-Control"), STR("no-cache")},
                                         {STR("X-Accel-Buffering"), STR("no")}};
    http_stream_begin(x, &(HttpAnswer){.status = 200,
                                       .content_type = "text/event-stream",
                                       .headers = headers,
                                       .n_headers = ARRAY_LEN(headers),
                                       .no_compress = true});
    if (x->method == HTTP_HEAD) {
        http_stream_end(x);
        return false;
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_addf(&b, "retry: %d\n\n", EVENT_STREAM_RETRY_MS);
    event_stream_send(x, &b);
    return true;
}

void event_stream_send(HttpExchange *x, Buf *b) {
    if (http_stream_write(x, b) == 0) {
        (void)http_stream_flush(x); /* a reader that went away: its owner looks at x->gone */
    }
}
