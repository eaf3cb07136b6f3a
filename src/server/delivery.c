#include "server/delivery.h"

#include "base/log.h"
#include "base/version.h"
#include "rules/alert_client.h"
#include "rules/dispatcher.h"
#include "server/flags.h"

static const char COMPONENT[] = "notifier";

/* One section of alerting.alertmanagers: what discovery found for it. */
typedef struct Section {
    const AlertmanagerConfig *config;
    VEC(char *) active, dropped; /* addresses after relabelling */
} Section;

struct Delivery {
    DeliveryOptions o;
    NotifyTransport transport;
    Discovery *discovery;
    AlertClient *client;
    DispatcherState *state; /* opened, not yet the dispatcher's */
    Dispatcher *dispatcher; /* NULL without alertmanager.yml */
    Config *config;         /* counted */
    unsigned stopping;      /* parts that have not ended yet */
    void (*stopped)(void *arg);
    void *stopped_arg;
    VEC(Section) sections;
};

/* ---- from target groups to addresses */

static void clear_addresses(Section *s) {
    for (size_t i = 0; i < s->active.n; i++) {
        mem_free(s->active.v[i]);
    }
    for (size_t i = 0; i < s->dropped.n; i++) {
        mem_free(s->dropped.v[i]);
    }
    vec_free(&s->active);
    vec_free(&s->dropped);
}

/* scheme://address/prefix/api/v2/alerts of the labels as they stand. */
static char *address_of(const LabelsBuilder *b) {
    Str path = labels_builder_get(b, STR("__alerts_path__"));
    return mem_printf("%.*s://%.*s%.*s", SA(labels_builder_get(b, STR("__scheme__"))),
                      SA(labels_builder_get(b, STR("__address__"))), SA(path));
}

static bool listed(char *const *v, size_t n, const char *address) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i], address) == 0) {
            return true;
        }
    }
    return false;
}

static void add_target(Section *s, const TargetGroup *g, Labels target) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    LabelsBuilder b = {0};
    Str prefix = s->config->path_prefix;
    while (prefix.n && prefix.p[prefix.n - 1] == '/') {
        prefix.n--;
    }
    labels_builder_reset(&b, g->labels);
    for (size_t i = 0; i < target.n; i++) {
        labels_builder_set(&b, target.v[i].name, target.v[i].value);
    }
    labels_builder_set(&b, STR("__scheme__"), s->config->scheme);
    labels_builder_set(&b, STR("__alerts_path__"),
                       arena_printf(&arena, "%s%.*s/api/v2/alerts",
                                    prefix.n && prefix.p[0] != '/' ? "/" : "", SA(prefix)));
    char *before = address_of(&b);
    if (!relabel_apply(s->config->relabel.v, s->config->relabel.n, &b, &arena)) {
        vec_push(&s->dropped, before);
    } else {
        char *after = address_of(&b);
        mem_free(before);
        if (listed(s->active.v, s->active.n, after)) {
            mem_free(after);
        } else {
            vec_push(&s->active, after);
        }
    }
    labels_builder_deinit(&b);
}

static void apply_client(Delivery *d) {
    const ConfigRoot *root = &d->config->root;
    AlertClientSet *sets = NEW_ARRAY(AlertClientSet, d->sections.n);
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    for (size_t i = 0; i < d->sections.n; i++) {
        const Section *s = &d->sections.v[i];
        Str *urls = ARENA_ARRAY(&arena, Str, s->active.n);
        for (size_t k = 0; k < s->active.n; k++) {
            urls[k] = str_of(s->active.v[k]);
        }
        sets[i] = (AlertClientSet){s->config, urls, s->active.n};
    }
    alert_client_apply(d->client,
                       &(AlertClientConfig){.sets = sets,
                                            .n_sets = d->sections.n,
                                            .relabel = root->alerting.relabel,
                                            .external_labels = root->global.external_labels});
    mem_free(sets);
}

static void on_groups(void *arg, Str set, TargetGroup *const *groups, size_t n) {
    Delivery *d = arg;
    for (size_t i = 0; i < d->sections.n; i++) {
        Section *s = &d->sections.v[i];
        if (!str_eqc(set, s->config->key)) {
            continue;
        }
        clear_addresses(s);
        for (size_t g = 0; g < n; g++) {
            for (size_t t = 0; t < groups[g]->n; t++) {
                add_target(s, groups[g], groups[g]->targets[t]);
            }
        }
    }
    apply_client(d);
}

/* ---- life */

Delivery *delivery_new(const DeliveryOptions *o) {
    Delivery *d = NEW(Delivery);
    d->o = *o;
    d->transport = notify_transport_http(o->client);
    d->client = alert_client_new(&(AlertClientOptions){
        .loop = o->loop,
        .transport = d->transport,
        .queue_capacity = (size_t)flag_int("alertmanager.notification-queue-capacity"),
        .batch_size = (size_t)flag_int("alertmanager.notification-batch-size"),
        .drain_on_stop = flag_bool("alertmanager.drain-notification-queue-on-shutdown"),
        .user_agent = STR(VERSION_USER_AGENT),
        .owner_ref = config_ref_owner,
        .owner_unref = config_unref_owner,
    });
    d->discovery = discovery_new(&(DiscoveryOptions){.loop = o->loop,
                                                     .pool = o->background,
                                                     .name = "notify",
                                                     .on_groups = on_groups,
                                                     .client = o->client,
                                                     .arg = d});
    return d;
}

static void log_unsupported(const AmConfig *c) {
    for (size_t i = 0; i < c->n_unsupported; i++) {
        log_warn(COMPONENT, "Not in this version", L_STR("section", c->unsupported[i]));
    }
}

int delivery_open(Delivery *d, Str data_dir, Problem *problem) {
    CLEANUP(mem_freep) char *path = mem_printf("%.*s/state.mdb", SA(data_dir));
    return dispatcher_state_open(path, &d->state, problem);
}

void delivery_start(Delivery *d, AmConfig **config) {
    if (!*config) {
        return;
    }
    log_unsupported(*config);
    d->dispatcher = dispatcher_new(&(DispatcherOptions){.loop = d->o.loop,
                                                        .background = d->o.background,
                                                        .transport = d->transport,
                                                        .state = d->state,
                                                        .external_url = d->o.external_url},
                                   *config);
    d->state = NULL;
    *config = NULL;
}

static void apply_sections(Delivery *d) {
    const SchemaList *list = &d->config->root.alerting.alertmanagers;
    for (size_t i = 0; i < d->sections.n; i++) {
        clear_addresses(&d->sections.v[i]);
    }
    d->sections.n = 0;
    DiscoverySet *sets = NEW_ARRAY(DiscoverySet, list->n);
    for (size_t i = 0; i < list->n; i++) {
        const AlertmanagerConfig *c = &((const AlertmanagerConfig *)list->v)[i];
        Section s = {.config = c};
        vec_push(&d->sections, s);
        sets[i] = (DiscoverySet){.name = str_of(c->key), .configs = &c->sd};
    }
    apply_client(d);
    discovery_apply(d->discovery, sets, list->n);
    mem_free(sets);
}

void delivery_apply(Delivery *d, Config *config, AmConfig **dispatch) {
    if (*dispatch && d->dispatcher) {
        log_unsupported(*dispatch);
        dispatcher_reload(d->dispatcher, *dispatch);
        *dispatch = NULL;
    }
    Config *old = d->config;
    d->config = config_ref(config);
    apply_sections(d);
    config_unref(old);
}

static void send_to_all(void *arg, AlertBatch *batch) {
    Delivery *d = arg;
    alert_client_send(d->client, batch);
    if (d->dispatcher) {
        AlertSink sink = dispatcher_sink(d->dispatcher);
        sink.send(sink.arg, batch);
    }
}

AlertSink delivery_sink(Delivery *d) { return (AlertSink){send_to_all, d}; }

void delivery_list(const Delivery *d, Arena *a, ApiAlertmanagers *ret) {
    size_t active = 0, dropped = 0;
    for (size_t i = 0; i < d->sections.n; i++) {
        active += d->sections.v[i].active.n;
        dropped += d->sections.v[i].dropped.n;
    }
    Str *v = ARENA_ARRAY(a, Str, active), *w = ARENA_ARRAY(a, Str, dropped);
    *ret = (ApiAlertmanagers){.active = v, .dropped = w};
    for (size_t i = 0; i < d->sections.n; i++) {
        const Section *s = &d->sections.v[i];
        for (size_t k = 0; k < s->active.n; k++) {
            v[ret->n_active++] = str_of(s->active.v[k]);
        }
        for (size_t k = 0; k < s->dropped.n; k++) {
            w[ret->n_dropped++] = str_of(s->dropped.v[k]);
        }
    }
}

bool delivery_status(const Delivery *d, NotifyStatuses *ret) {
    bool somewhere = d->dispatcher;
    for (size_t i = 0; i < d->sections.n; i++) {
        somewhere |= d->sections.v[i].active.n > 0;
    }
    if (d->dispatcher) {
        dispatcher_status(d->dispatcher, ret);
    }
    alert_client_status(d->client, ret);
    notify_statuses_sort(ret);
    return somewhere;
}

static void part_stopped(void *arg) {
    Delivery *d = arg;
    if (--d->stopping == 0) {
        d->stopped(d->stopped_arg);
    }
}

void delivery_stop(Delivery *d, void (*done)(void *arg), void *arg) {
    discovery_free(d->discovery);
    d->discovery = NULL;
    d->stopped = done;
    d->stopped_arg = arg;
    d->stopping = d->dispatcher ? 2 : 1;
    if (d->dispatcher) {
        dispatcher_stop(d->dispatcher, part_stopped, d);
    }
    alert_client_stop(d->client, part_stopped, d);
}

void delivery_free(Delivery *d) {
    if (!d) {
        return;
    }
    discovery_free(d->discovery);
    dispatcher_free(d->dispatcher);
    dispatcher_state_free(d->state);
    alert_client_free(d->client);
    for (size_t i = 0; i < d->sections.n; i++) {
        clear_addresses(&d->sections.v[i]);
    }
    vec_free(&d->sections);
    config_unref(d->config);
    mem_free(d);
}
