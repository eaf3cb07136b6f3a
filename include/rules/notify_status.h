/*
 * Where the notifications of an alert stand, as far as this process knows: one entry for each
 * integration of each route it takes in the dispatcher, and for each Alertmanager it is sent to.
 * Collected when somebody asks; strings live in the arena that was given.
 */
#pragma once

#include "base/arena.h"
#include "base/vec.h"

typedef enum NotifyState {
    NOTIFY_WAITING,  /* for group_wait or group_interval, or in the queue: next_at_ms if known */
    NOTIFY_SENT,     /* at_ms; again at next_at_ms if it still fires then */
    NOTIFY_RETRYING, /* the last attempt failed at at_ms, the next comes at next_at_ms */
    NOTIFY_FAILED,   /* given up at at_ms; the group's next flush (next_at_ms) tries anew */
    NOTIFY_UNROUTED, /* goes nowhere: last_error says why */
} NotifyState;
const char *notify_state_text(NotifyState s);

typedef struct NotifyStatus {
    uint64_t fingerprint; /* of the alert's labels */
    Str receiver, route;  /* empty for an Alertmanager */
    Str integration;      /* "webhook[0]", "alertmanager http://host:9093/api/v2/alerts" */
    NotifyState state;
    int64_t at_ms, next_at_ms; /* 0 = not known */
    int64_t sent_at_ms;        /* the last that arrived; 0 = none */
    unsigned attempts;         /* of the notification under way, or that failed */
    Str last_error;            /* "HTTP 503"; empty: none */
} NotifyStatus;

typedef struct NotifyStatuses {
    Arena *arena; /* of the strings */
    VEC(NotifyStatus) list;
} NotifyStatuses;

/* By fingerprint, then receiver, route and integration. */
void notify_statuses_sort(NotifyStatuses *s);
/* The entries of one alert in a sorted list. */
const NotifyStatus *notify_statuses_find(const NotifyStatuses *s, uint64_t fingerprint,
                                         size_t *ret_n);
