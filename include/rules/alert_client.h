/*
 * Alerts to other Alertmanagers (reference, section 7): each address of each section of `alerting:`
 * has its own queue and at most one POST under way. Nothing is retried; the rules' resend is the
 * recovery. Loop thread only; alert_client_send() may be called from any thread.
 */
#pragma once

#include "discovery/alertmanager_config.h"
#include "loop/loop.h"
#include "rules/alert.h"
#include "rules/notify_status.h"
#include "rules/notify_transport.h"

typedef struct AlertClient AlertClient;

typedef struct AlertClientOptions {
    Loop *loop;
    NotifyTransport transport;
    size_t queue_capacity, batch_size; /* 0 = 10000, 256 */
    bool drain_on_stop;
    Str user_agent; /* copied */
    /* What the configuration lives in: held while it is used. */
    void *(*owner_ref)(void *owner);
    void (*owner_unref)(void *owner);
} AlertClientOptions;

/* One section of alerting.alertmanagers with the addresses discovery gave it. */
typedef struct AlertClientSet {
    const AlertmanagerConfig *config;
    const Str *urls; /* "http://host:9093/api/v2/alerts", without duplicates */
    size_t n;
} AlertClientSet;

typedef struct AlertClientConfig {
    const AlertClientSet *sets;
    size_t n_sets;
    RelabelConfigs relabel; /* alerting.alert_relabel_configs */
    Labels external_labels;
    void *owner;
} AlertClientConfig;

AlertClient *alert_client_new(const AlertClientOptions *o);
/* From now on these addresses; queues of addresses that stay are kept, those of others are dropped
 * and counted. Copies addresses; refers to the rest under `owner`. */
void alert_client_apply(AlertClient *c, const AlertClientConfig *config);
/* Borrows the batch. Any thread, until alert_client_free(); what comes through after
 * alert_client_stop() is dropped. */
void alert_client_send(void *client, AlertBatch *batch);
/* Where each firing alert stands at each address; unrouted at "alertmanager" what relabelling
 * keeps from all of them. */
void alert_client_status(const AlertClient *c, NotifyStatuses *ret);
/* Takes what was sent before, sends what is queued (with drain_on_stop; else drops it), then
 * done(arg). */
void alert_client_stop(AlertClient *c, void (*done)(void *arg), void *arg);
/* Before alert_client_stop(), or after it is done. */
void alert_client_free(AlertClient *c);
