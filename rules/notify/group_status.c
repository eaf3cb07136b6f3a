/* What the groups of the dispatcher know of each alert's notifications. */
#include "base/clock.h"
#include "rules/notify/dispatch.h"

static bool was_sent(const NflogEntry *e, uint64_t hash) {
    size_t low = 0, high = e ? e->n_firing : 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (e->firing[mid] == hash) {
            return true;
        }
        if (e->firing[mid] < hash) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return false;
}

/* What the route itself asks for, without those above it. */
static Str own_matchers(const AmRoute *r) {
    return str_from(r->key, r->parent ? r->parent->key.n + 1 : 0);
}

/* One webhook of the receiver, for all alerts of the group. */
typedef struct Channel {
    const Group *group;
    const GroupTrouble *trouble;
    const NflogEntry *last;
    Str integration;
} Channel;

static NotifyStatus status_of(const Channel *c, const StoredAlert *a) {
    const Group *g = c->group;
    NotifyStatus s = {.fingerprint = a->fingerprint,
                      .receiver = g->receiver->name,
                      .route = own_matchers(g->route),
                      .integration = c->integration,
                      .last_error = STR("")};
    if (was_sent(c->last, a->hash)) {
        s.state = NOTIFY_SENT;
        s.at_ms = s.sent_at_ms = c->last->at_ms;
        s.next_at_ms = s.at_ms + g->route->repeat_interval_ms;
        s.attempts = 1;
    } else {
        s.state = NOTIFY_WAITING;
        s.at_ms = a->updated_at_ms;
        s.next_at_ms = g->flush ? 0 : g->due_ms;
    }
    if (c->trouble->attempts) {
        s.state = c->trouble->retry_at_ms ? NOTIFY_RETRYING : NOTIFY_FAILED;
        s.at_ms = c->trouble->failed_at_ms;
        s.next_at_ms = c->trouble->retry_at_ms ? c->trouble->retry_at_ms : g->due_ms;
        s.attempts = c->trouble->attempts;
        s.last_error = str_of(c->trouble->error);
    }
    return s;
}

/* Every alert of the group that still fires, through one channel. Strings of the group go to the
 * arena once. */
static void add_channel(const Channel *c, int64_t now, NotifyStatuses *ret) {
    Str receiver = STR_NULL, route = STR_NULL, error = STR_NULL;
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&c->group->alerts, &i));) {
        const StoredAlert *a = e->value;
        if (stored_alert_resolved(a, now)) {
            continue;
        }
        NotifyStatus s = status_of(c, a);
        if (!receiver.p) {
            receiver = arena_str(ret->arena, s.receiver);
            route = arena_str(ret->arena, s.route);
            error = arena_str(ret->arena, s.last_error);
        }
        s.receiver = receiver;
        s.route = route;
        s.last_error = error;
        vec_push(&ret->list, s);
    }
}

/* A receiver that sends nothing: told once for each alert. */
static void add_unrouted(const Group *g, int64_t now, NotifyStatuses *ret) {
    static const GroupTrouble none;
    Channel c = {.group = g, .trouble = &none, .integration = STR("")};
    size_t first = ret->list.n;
    add_channel(&c, now, ret);
    for (size_t i = first; i < ret->list.n; i++) {
        NotifyStatus *s = &ret->list.v[i];
        s->state = NOTIFY_UNROUTED;
        s->at_ms = s->next_at_ms = 0;
        s->last_error = g->receiver->n_others
                            ? STR("the receiver's integrations are not sent by this version")
                            : STR("the receiver has no integration");
    }
}

void dispatcher_status(const Dispatcher *d, NotifyStatuses *ret) {
    int64_t now = clock_wall_ms();
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->groups, &i));) {
        const Group *g = e->value;
        for (size_t k = 0; k < g->receiver->n_webhooks; k++) {
            Str key = flush_log_key(g, k, ret->arena);
            Channel c = {.group = g,
                         .trouble = &g->trouble[k],
                         .last = nflog_get(&d->log, key),
                         .integration = arena_printf(ret->arena, "webhook[%zu]", k)};
            add_channel(&c, now, ret);
        }
        if (!g->receiver->n_webhooks) {
            add_unrouted(g, now, ret);
        }
    }
}
