#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rules/notify/dispatch.h"

static const char COMPONENT[] = "dispatcher";

/* ---- state: a record an alert, written when it begins, ends or goes */

static Str state_key(const StoredAlert *a, char dst[8]) {
    memcpy(dst, &a->hash, 8);
    return str_n(dst, 8);
}

static void state_add(const Dispatcher *d, const StoredAlert *a) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(16u << 20);
    char key[8];
    stored_alert_encode(a, &b);
    if (b.failed) {
        log_error(COMPONENT, "State of an alert cannot be stored", L_ERR(-EFBIG));
        return;
    }
    state_put(d->o.state, STATE_ALERTS, state_key(a, key), buf_str(&b));
}

static void state_remove(const Dispatcher *d, const StoredAlert *a) {
    char key[8];
    state_del(d->o.state, STATE_ALERTS, state_key(a, key));
}

static void take_alert(Dispatcher *d, StoredAlert *a, bool store);

/* What fired when the last process ended fires until it is heard of again or its time is over. */
static void take_state(Dispatcher *d, int64_t now) {
    StoredAlerts found = d->o.state->alerts;
    d->o.state->alerts = (StoredAlerts){0};
    for (size_t i = 0; i < found.n; i++) {
        StoredAlert *a = found.v[i];
        if (!stored_alert_resolved(a, a->updated_at_ms)) {
            a->ends_at_ms = MAX(a->ends_at_ms, now + d->config->resolve_timeout_ms);
        }
        take_alert(d, a, false);
    }
    vec_free(&found);
}

/* ---- groups */

static void group_arm(Group *g, int64_t at_ms) {
    g->due_ms = at_ms;
    loop_timer_at(&g->timer, at_ms);
}

static void group_free(Group *g) {
    loop_timer_stop(&g->timer);
    for (size_t i = 0; i < g->receiver->n_webhooks; i++) {
        mem_free(g->trouble[i].error);
    }
    mem_free(g->trouble);
    if (g->flush) {
        flush_cancel(g->flush);
    }
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&g->alerts, &i));) {
        stored_alert_unref(e->value);
    }
    str_map_deinit(&g->alerts);
    arena_deinit(&g->arena);
    mem_free(g);
}

static void group_flush(Group *g) {
    g->flushed = true;
    if (g->alerts.n) {
        (void)flush_start(g, clock_wall_ms());
    }
}

static void group_due(void *arg) {
    Group *g = arg;
    group_arm(g, clock_wall_ms() + g->route->group_interval_ms);
    if (g->flush) {
        g->again = true;
        return;
    }
    group_flush(g);
}

void group_flush_done(Group *g, bool ok, StoredAlert *const *resolved, size_t n) {
    for (size_t i = 0; ok && i < n; i++) {
        StoredAlert *now = str_map_get(&g->alerts, resolved[i]->key);
        if (now == resolved[i]) { /* not updated meanwhile */
            (void)str_map_del(&g->alerts, now->key);
            stored_alert_unref(now);
        }
    }
    if (g->again) {
        g->again = false;
        group_arm(g, clock_wall_ms());
    }
}

static Labels group_labels(const AmRoute *r, Labels l, Arena *a) {
    return r->group_by_all ? labels_copy(a, l)
                           : labels_copy(a, labels_keep(a, l, r->group_by, r->n_group_by));
}

static Group *group_of(Dispatcher *d, const AmRoute *r, Labels l) {
    Arena scratch = ARENA_INIT(0);
    Labels by = group_labels(r, l, &scratch);
    CLEANUP(buf_deinit) Buf text = BUF_INIT(0), key = BUF_INIT(0);
    labels_format(by, &text);
    buf_addf(&key, "%p:%.*s", (const void *)r, SA(buf_str(&text)));
    Group *g = str_map_get(&d->groups, buf_str(&key));
    if (!g) {
        g = NEW(Group);
        g->dispatcher = d;
        g->route = r;
        g->receiver = am_config_receiver(d->config, r->receiver);
        g->trouble = NEW_ARRAY(GroupTrouble, g->receiver->n_webhooks + 1);
        g->labels = labels_copy(&g->arena, by);
        g->key = arena_printf(&g->arena, "%.*s:%.*s", SA(r->key), SA(buf_str(&text)));
        g->map_key = arena_str(&g->arena, buf_str(&key));
        *str_map_put(&d->groups, g->map_key, NULL) = g;
        loop_timer_init(&g->timer, d->o.loop, group_due, g);
        group_arm(g, clock_wall_ms() + r->group_wait_ms);
    }
    arena_deinit(&scratch);
    return g;
}

static void group_insert(Group *g, StoredAlert *a) {
    StoredAlert *old = str_map_del(&g->alerts, a->key);
    stored_alert_unref(old);
    *str_map_put(&g->alerts, a->key, NULL) = stored_alert_ref(a);
    int64_t now = clock_wall_ms();
    if (!g->flushed && a->starts_at_ms + g->route->group_wait_ms < now) {
        group_arm(g, now);
    }
}

typedef struct Insert {
    Dispatcher *d;
    StoredAlert *a;
} Insert;

static void insert_into(void *arg, const AmRoute *r) {
    Insert *i = arg;
    group_insert(group_of(i->d, r, i->a->labels), i->a);
}

/* ---- intake */

static void take_alert(Dispatcher *d, StoredAlert *a, bool store) {
    StoredAlert *old = str_map_get(&d->alerts, a->key);
    if (old) {
        stored_alert_merge(a, old);
    }
    bool was = old && !stored_alert_resolved(old, old->updated_at_ms);
    bool is = !stored_alert_resolved(a, a->updated_at_ms);
    (void)str_map_del(&d->alerts, a->key);
    *str_map_put(&d->alerts, a->key, NULL) = a;
    if (store && d->o.state && (!old || was != is)) {
        state_add(d, a);
    }
    am_route_match(d->config->route, a->labels, insert_into, &(Insert){d, a});
    stored_alert_unref(old);
}

void dispatcher_put(Dispatcher *d, const AlertBatch *b) {
    if (d->stopped) {
        return;
    }
    int64_t now = clock_wall_ms();
    metric_add(metric_counter("alertmanager_alerts_received_total",
                              "The total number of received alerts.", NULL),
               (double)b->n);
    for (size_t i = 0; i < b->n; i++) {
        take_alert(d, stored_alert_new(&b->v[i], now), true);
    }
}

static void take_batch(void *arg, AlertBatch *b) { dispatcher_put(arg, b); }

static void sink_send(void *arg, AlertBatch *batch) {
    const Dispatcher *d = arg;
    alert_inbox_send(d->inbox, batch);
}

AlertSink dispatcher_sink(Dispatcher *d) { return (AlertSink){sink_send, d}; }

/* ---- maintenance: empty groups, alerts that ended and are in no group, old log entries */

static void drop_empty_groups(Dispatcher *d) {
    VEC(Group *) empty = {0};
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->groups, &i));) {
        Group *g = e->value;
        if (!g->alerts.n && !g->flush) {
            vec_push(&empty, g);
        }
    }
    for (size_t i = 0; i < empty.n; i++) {
        (void)str_map_del(&d->groups, empty.v[i]->map_key);
        group_free(empty.v[i]);
    }
    vec_free(&empty);
}

static void drop_ended_alerts(Dispatcher *d, int64_t now) {
    StoredAlerts ended = {0};
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->alerts, &i));) {
        StoredAlert *a = e->value;
        if (stored_alert_resolved(a, now) && a->refs == 1) {
            vec_push(&ended, a);
        }
    }
    for (size_t i = 0; i < ended.n; i++) {
        state_remove(d, ended.v[i]);
        (void)str_map_del(&d->alerts, ended.v[i]->key);
        stored_alert_unref(ended.v[i]);
    }
    vec_free(&ended);
}

static void maintain(void *arg) {
    Dispatcher *d = arg;
    int64_t now = clock_wall_ms();
    drop_empty_groups(d);
    drop_ended_alerts(d, now);
    nflog_clean(&d->log, now);
    metric_set(metric_gauge("alertmanager_dispatcher_aggregation_groups",
                            "Number of active aggregation groups", NULL),
               (double)d->groups.n);
    metric_set(metric_gauge("alertmanager_alerts", "How many alerts by state.", "state=\"active\""),
               (double)d->alerts.n);
    loop_timer_after(&d->maintenance, MAINTENANCE_MS);
}

size_t dispatcher_group_count(const Dispatcher *d) { return d->groups.n; }

/* ---- configuration */

static void drop_groups(Dispatcher *d) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->groups, &i));) {
        group_free(e->value);
    }
    str_map_deinit(&d->groups);
    d->groups = (StrMap){0};
}

void dispatcher_reload(Dispatcher *d, AmConfig *config) {
    drop_groups(d); /* they point into the old configuration */
    am_config_free(d->config);
    d->config = config;
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->alerts, &i));) {
        StoredAlert *a = e->value;
        am_route_match(d->config->route, a->labels, insert_into, &(Insert){d, a});
    }
}

/* ---- life */

Dispatcher *dispatcher_new(const DispatcherOptions *o, AmConfig *config) {
    Dispatcher *d = NEW(Dispatcher);
    d->o = *o;
    d->config = config;
    d->external_url = str_dup(o->external_url);
    d->user_agent = str_dup(o->user_agent.n ? o->user_agent : STR("Alertmanager/0.34.0"));
    d->o.external_url = str_of(d->external_url);
    d->o.user_agent = str_of(d->user_agent);
    d->o.retention_ms = o->retention_ms ? o->retention_ms : 120 * HOUR_MS;
    rng_init(&d->rng, loop_is_virtual(o->loop) ? 1 : random_u64());
    d->inbox = alert_inbox_new(o->loop, take_batch, d);
    nflog_init(&d->log, o->state);
    if (o->state) {
        state_start(o->state, o->loop, o->background);
        take_state(d, clock_wall_ms());
    }
    loop_timer_init(&d->maintenance, o->loop, maintain, d);
    loop_timer_at(&d->maintenance, clock_wall_ms());
    return d;
}

void dispatcher_stop(Dispatcher *d, void (*done)(void *arg), void *arg) {
    alert_inbox_close(d->inbox);
    loop_timer_stop(&d->maintenance);
    drop_groups(d);
    d->stopped = true;
    if (d->o.state) {
        state_close(d->o.state, done, arg);
    } else {
        loop_post(d->o.loop, done, arg);
    }
}

void dispatcher_free(Dispatcher *d) {
    if (!d) {
        return;
    }
    alert_inbox_free(d->inbox);
    loop_timer_stop(&d->maintenance);
    drop_groups(d);
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->alerts, &i));) {
        stored_alert_unref(e->value);
    }
    str_map_deinit(&d->alerts);
    nflog_deinit(&d->log);
    dispatcher_state_free(d->o.state);
    am_config_free(d->config);
    mem_free(d->external_url);
    mem_free(d->user_agent);
    mem_free(d);
}
