/*
 * Server-sent events over an HTTP exchange (HTML Living Standard, section 9.2): the answer's head,
 * and what all streams of events share. Loop thread only, so nothing here ever waits for a reader;
 * event_stream_slow() says when one should be let alone for a while.
 */
#pragma once

#include "net/http_server.h"

#define EVENT_STREAM_RETRY_MS 2000
#define EVENT_STREAM_HEARTBEAT_MS 15000
/* What a reader may leave unread before it counts as slow. */
#define EVENT_STREAM_UNSENT_MAX ((uint64_t)256 << 10)

/* Begins the answer, which is neither compressed nor kept by proxies. A HEAD request is answered
 * whole: false, and the exchange is over. */
bool event_stream_begin(HttpExchange *x);
/* Sends what is in b now (and empties it). */
void event_stream_send(HttpExchange *x, Buf *b);
static inline bool event_stream_slow(HttpExchange *x) {
    return http_stream_unsent(x) > EVENT_STREAM_UNSENT_MAX;
}
