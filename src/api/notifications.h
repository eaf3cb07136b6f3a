/*
 * What the server has to say to whoever looks at it, as Prometheus' pages show it in a banner: the
 * last reload failed, it is starting, it is stopping. A text is active or it is not; streams hear
 * of each change. Loop thread only.
 */
#pragma once

#include "net/http_server.h"

typedef struct Notifications Notifications;

typedef enum Notification {
    NOTIFICATION_RELOAD_FAILED,
    NOTIFICATION_STARTING,
    NOTIFICATION_STOPPING,
    NOTIFICATION_COUNT
} Notification;

Notifications *notifications_new(Loop *loop, size_t streams_max);
void notifications_set(Notifications *n, Notification what, bool active);
/* An array of those that are active, the oldest first. */
void notifications_write(const Notifications *n, Buf *b);
/* Takes a GET of /api/v1/notifications/live; 204 when there are too many already, which tells an
 * EventSource to stay away. */
void notifications_add(Notifications *n, HttpExchange *x);
/* Ends all streams. */
void notifications_stop(Notifications *n);
void notifications_free(Notifications *n);
