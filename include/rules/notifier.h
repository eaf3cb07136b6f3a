/*
 * Sends alerts to outside Alertmanagers, as `alerting:` of prometheus.yml says (reference, section
 * 7). Each Alertmanager has a queue and one request under way; a request that fails is not
 * repeated, the next resend of the rules is the recovery.
 *
 * Loop thread only, except send() of notifier_sink(), for any thread. Costs: the queued alerts as
 * JSON, shared by the Alertmanagers of a section.
 */
#pragma once

#include "model/relabel.h"
#include "rules/alert.h"
#include "rules/notify_transport.h"

typedef struct Notifier Notifier;

typedef struct NotifierOptions {
    Loop *loop;
    NotifyTransport transport;
    size_t queue_capacity; /* alerts an Alertmanager; 0 = 10000 */
    size_t batch_max;      /* alerts a request; 0 = 256 */
    bool drop_on_stop;     /* else queues are sent to their end */
    Str user_agent;        /* Prometheus/<version>; copied */
} NotifierOptions;

/* One element of alerting.alertmanagers. */
typedef struct NotifierSection {
    int64_t timeout_ms; /* 0 = 10 s */
    const HttpClientConfig *http;
    const RelabelConfig *const *alert_relabel;
    size_t n_alert_relabel;
} NotifierSection;

typedef struct NotifierConfig {
    Labels external_labels;
    const RelabelConfig *const *alert_relabel;
    size_t n_alert_relabel;
    const NotifierSection *sections;
    size_t n_sections;
} NotifierConfig;

Notifier *notifier_new(const NotifierOptions *o);
/* Borrowed until the next call or notifier_free(), except the list of sections, which is copied.
 * Targets of sections that are no more are removed. */
void notifier_configure(Notifier *n, const NotifierConfig *c);
/* The URLs (http://host:9093/api/v2/alerts) a section has now; new ones start with an empty queue,
 * those that are gone send what they have (or drop it) and end. */
void notifier_set_targets(Notifier *n, size_t section, const Str *urls, size_t n_urls);
AlertSink notifier_sink(Notifier *n);
void notifier_put(Notifier *n, const AlertBatch *b);
/* Calls fn for each Alertmanager alerts are sent to. */
void notifier_each_target(const Notifier *n, void (*fn)(void *arg, Str url), void *arg);
/* No alerts are taken any more; done(arg) when every queue is empty (perhaps at once). */
void notifier_stop(Notifier *n, void (*done)(void *arg), void *arg);
/* Cancels what is under way; what is queued is counted as dropped. */
void notifier_free(Notifier *n);
