#include "rules/notify_transport.h"

static void *http_transport_call(void *arg, const HttpCallRequest *r,
                                 void (*done)(void *arg, HttpCallResult *r), void *done_arg) {
    return http_call(arg, r, done, done_arg);
}

static void http_transport_cancel(void *call) { http_call_cancel(call); }

NotifyTransport notify_transport_http(HttpClient *c) {
    return (NotifyTransport){http_transport_call, http_transport_cancel, c};
}
