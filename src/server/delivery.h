/*
 * Alerts on their way out of the process: to the Alertmanagers of `alerting:` (found by discovery,
 * relabelled), and to the dispatcher of alertmanager.yml in this process; to both when both are
 * configured. Loop thread only.
 */
#pragma once

#include "api/api.h"
#include "config/config.h"
#include "rules/am_config.h"

typedef struct Delivery Delivery;

typedef struct DeliveryOptions {
    Loop *loop;
    HttpClient *client;
    WorkPool *background;
    Str external_url;
} DeliveryOptions;

Delivery *delivery_new(const DeliveryOptions *o);
/* With an alertmanager.yml, once, before delivery_start(): opens the state that survives restarts,
 * in the database's folder. Blocks, so on a worker. */
int delivery_open(Delivery *d, Str data_dir, Problem *problem);
/* With an alertmanager.yml, starts the dispatcher, which takes *config (and sets it NULL). */
void delivery_start(Delivery *d, AmConfig **config);
/* A new configuration; takes *dispatch when there is one (and sets it NULL). */
void delivery_apply(Delivery *d, Config *config, AmConfig **dispatch);
/* Where rules send; any thread may call it. */
AlertSink delivery_sink(Delivery *d);
/* Addresses for /api/v1/alertmanagers. */
void delivery_list(const Delivery *d, Arena *a, ApiAlertmanagers *ret);
/* Where each alert stands; sorted. False: no Alertmanager is known and none is in this process. */
bool delivery_status(const Delivery *d, NotifyStatuses *ret);
/* After the rules have stopped: sends what is queued, writes the state, then done(arg). */
void delivery_stop(Delivery *d, void (*done)(void *arg), void *arg);
void delivery_free(Delivery *d);
