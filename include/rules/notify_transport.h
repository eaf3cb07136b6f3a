/*
 * How notifications leave: one HTTP request at a time each, answered once. The real one stands on
 * the HTTP client; tests put a fake in its place. Loop thread only.
 */
#pragma once

#include "net/http_client.h"

typedef struct NotifyTransport {
    /* done(done_arg) runs once, later, unless the call is cancelled. The result is as
     * http_call()'s. */
    void *(*call)(void *arg, const HttpCallRequest *r, void (*done)(void *arg, HttpCallResult *r),
                  void *done_arg);
    void (*cancel)(void *call);
    void *arg;
} NotifyTransport;

NotifyTransport notify_transport_http(HttpClient *c);
