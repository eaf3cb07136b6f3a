/*
 * Alerts on their way out of rule evaluation: a counted immutable batch that any number of
 * receivers (the notifier for outside Alertmanagers, the dispatcher in this process) may keep. Any
 * thread.
 */
#pragma once

#include "base/arena.h"
#include "model/labels.h"

typedef struct NotifyAlert {
    Labels labels, annotations;
    int64_t starts_at_ms, ends_at_ms; /* an alert whose end is not after now is resolved */
    Str generator_url;
} NotifyAlert;

typedef struct AlertBatch {
    Arena arena;
    NotifyAlert *v;
    size_t n;
} AlertBatch;

/* Room for n alerts; the caller fills them with copies in the arena before passing it on. */
AlertBatch *alert_batch_new(size_t n);
AlertBatch *alert_batch_ref(AlertBatch *b);
void alert_batch_unref(AlertBatch *b);

/* send() borrows the batch (it takes a reference to keep it) and may be called on any thread. */
typedef struct AlertSink {
    void (*send)(void *arg, AlertBatch *batch);
    void *arg;
} AlertSink;
