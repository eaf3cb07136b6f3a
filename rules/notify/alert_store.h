/* Alerts as the dispatcher holds them. Counted; loop thread only. */
#pragma once

#include "base/vec.h"
#include "rules/alert.h"

typedef struct StoredAlert {
    Labels labels, annotations;
    Str generator_url;
    int64_t starts_at_ms, ends_at_ms, updated_at_ms;
    uint64_t hash, fingerprint;
    Str key; /* of the label set */
    Arena arena;
    unsigned refs;
} StoredAlert;

typedef VEC(StoredAlert *) StoredAlerts;

StoredAlert *stored_alert_new(const NotifyAlert *a, int64_t now_ms);
StoredAlert *stored_alert_ref(StoredAlert *a);
void stored_alert_unref(StoredAlert *a);
static inline bool stored_alert_resolved(const StoredAlert *a, int64_t now_ms) {
    return a->ends_at_ms <= now_ms;
}
/* Takes what has to be kept of the alert that a newer one replaces. */
void stored_alert_merge(StoredAlert *fresh, const StoredAlert *old);
/* Alertmanager's order in a notification: job, instance, then labels. */
int stored_alert_cmp(const void *a, const void *b);

/* For the state file. decode: NULL when the bytes are not one. */
void stored_alert_encode(const StoredAlert *a, Buf *b);
StoredAlert *stored_alert_decode(Str bytes);
