/* /live, /query_live, /notifications, and where alerts stand on their way out, for those who ask
 * once. */
#include <stdio.h>

#include "api/handlers.h"
#include "api/live.h"
#include "api/notifications.h"
#include "api/query_live.h"
#include "api/reply.h"
#include "api/rows.h"

void api_live(HttpExchange *x, void *arg) {
    const Api *api = arg;
    live_add(api->live, x);
}

void api_query_live(HttpExchange *x, void *arg) {
    const Api *api = arg;
    query_live_add(api->query_live, x);
}

void api_notifications(HttpExchange *x, void *arg) {
    const Api *api = arg;
    Reply r;
    reply_begin(&r, x);
    notifications_write(api->notifications, &r.b);
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_notifications_live(HttpExchange *x, void *arg) {
    const Api *api = arg;
    notifications_add(api->notifications, x);
}

void api_alerts_delivery(HttpExchange *x, void *arg) {
    Api *api = arg;
    NotifyStatuses all = {.arena = &x->arena};
    (void)api->hooks->notify_status(api->server, &all);
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_object(&w);
    for (size_t i = 0; i < all.list.n && reply_room(&r); i++) {
        const NotifyStatus *s = &all.list.v[i];
        if (i == 0 || s[-1].fingerprint != s->fingerprint) {
            char hex[17];
            (void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)s->fingerprint);
            if (i) {
                json_end_array(&w);
            }
            json_key(&w, str_of(hex));
            json_begin_array(&w);
        }
        row_notify_status(&w, s);
    }
    if (all.list.n) {
        json_end_array(&w);
    }
    json_end_object(&w);
    reply_end(&r, NULL, 0, NULL, 0);
    vec_free(&all.list);
}
