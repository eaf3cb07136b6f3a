#include "discovery/discovery.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "discovery/sd_provider.h"

typedef struct Set Set;

/* A running provider and where its groups go. */
typedef struct Source {
    Set *set;
    const SdProvider *provider;
    SdRun *run;
    SdMechanism mechanism;
    size_t index;
    bool told; /* gave its first groups */
} Source;

typedef struct Group {
    char *key; /* mechanism/index/source */
    TargetGroup *group;
} Group;

struct Set {
    Discovery *owner;
    char *name;
    Buf text; /* its configuration as printed: to see whether it changed */
    Source **sources;
    size_t n_sources;
    VEC(Group) groups;
    StrMap by_key; /* -> place in groups + 1 */
    LoopTimer timer;
    int64_t sent_ms;
    Metric *targets;
    bool wanted;
};

struct Discovery {
    DiscoveryOptions options;
    char *labels; /* name="..." */
    VEC(Set *) sets;
    Metric *received, *sent, *delayed;
};

static int by_key(const void *a, const void *b) {
    return strcmp(((const Group *)a)->key, ((const Group *)b)->key);
}

static void reindex(Set *s) {
    str_map_clear(&s->by_key);
    for (size_t i = 0; i < s->groups.n; i++)
        *str_map_put(&s->by_key, str_of(s->groups.v[i].key), NULL) = (void *)(uintptr_t)(i + 1);
}

static void send(void *arg) {
    Set *s = arg;
    size_t kept = 0, targets = 0;
    for (size_t i = 0; i < s->groups.n; i++) {
        Group g = s->groups.v[i];
        if (g.group->n) {
            targets += g.group->n;
            s->groups.v[kept++] = g;
        } else {
            target_group_unref(g.group);
            mem_free(g.key);
        }
    }
    s->groups.n = kept;
    if (kept)
        qsort(s->groups.v, kept, sizeof(Group), by_key);
    reindex(s);
    s->sent_ms = clock_wall_ms();
    metric_set(s->targets, (double)targets);
    metric_inc(s->owner->sent);
    TargetGroup **list = NEW_ARRAY(TargetGroup *, kept + 1);
    for (size_t i = 0; i < kept; i++)
        list[i] = s->groups.v[i].group;
    s->owner->options.on_groups(s->owner->options.arg, str_of(s->name), list, kept);
    mem_free(list);
}

static void send_later(Set *s, bool first) {
    int64_t now = clock_wall_ms();
    int64_t throttle =
        s->owner->options.throttle_ms ? s->owner->options.throttle_ms : 5 * SECOND_MS;
    int64_t due = first || !s->sent_ms ? now : MAX(now, s->sent_ms + throttle);
    if (due > now)
        metric_inc(s->owner->delayed);
    if (!s->timer.slot || s->timer.due_ms > due)
        loop_timer_at(&s->timer, due);
}

static void on_update(void *arg, TargetGroup *group) {
    Source *source = arg;
    Set *s = source->set;
    char *key = mem_printf("%s/%zu/%.*s", sd_mechanism_key(source->mechanism), source->index,
                           SA(group->source));
    metric_inc(s->owner->received);
    uintptr_t at = (uintptr_t)str_map_get(&s->by_key, str_of(key));
    if (at) {
        target_group_unref(s->groups.v[at - 1].group);
        s->groups.v[at - 1].group = group;
        mem_free(key);
    } else {
        vec_push(&s->groups, (Group){key, group});
        *str_map_put(&s->by_key, str_of(key), NULL) = (void *)(uintptr_t)s->groups.n;
    }
    send_later(s, !source->told);
}

static void mark_told(void *arg) {
    Set *s = arg;
    for (size_t i = 0; i < s->n_sources; i++)
        s->sources[i]->told = s->sources[i]->told || s->groups.n > 0;
    send(s);
}

static void start_sources(Set *s, const SdConfigs *configs) {
    size_t n = 0;
    for (unsigned m = 0; m < SD_COUNT; m++)
        n += sd_mechanism_provider((SdMechanism)m) ? configs->of[m].n : 0;
    s->sources = NEW_ARRAY(Source *, n + 1);
    for (unsigned m = 0; m < SD_COUNT; m++) {
        const SdProvider *provider = sd_mechanism_provider((SdMechanism)m);
        size_t size = sd_mechanism_schema((SdMechanism)m)->size;
        if (m == SD_HTTP && !s->owner->options.client && configs->of[m].n) {
            log_warn("discovery manager", "No HTTP client to find targets with",
                     L_CSTR("config", s->name));
            continue;
        }
        for (size_t i = 0; provider && i < configs->of[m].n; i++) {
            Source *source = NEW(Source);
            *source =
                (Source){.set = s, .provider = provider, .mechanism = (SdMechanism)m, .index = i};
            s->sources[s->n_sources++] = source;
            SdEnv env = {.loop = s->owner->options.loop,
                         .pool = s->owner->options.pool,
                         .client = s->owner->options.client,
                         .call = s->owner->options.call,
                         .cancel = s->owner->options.cancel,
                         .update = on_update,
                         .arg = source};
            source->run = provider->start(&env, (const char *)configs->of[m].v + i * size, i);
        }
    }
}

static Set *set_new(Discovery *d, const DiscoverySet *from, Buf text) {
    Set *s = NEW(Set);
    s->owner = d;
    s->name = str_dup(from->name);
    s->text = text;
    s->wanted = true;
    Buf labels = BUF_INIT(0);
    buf_addf(&labels, "config=\"%s\",%s", s->name, d->labels);
    s->targets = metric_gauge("prometheus_sd_discovered_targets",
                              "Current number of discovered targets.", buf_cstr(&labels));
    buf_deinit(&labels);
    loop_timer_init(&s->timer, d->options.loop, mark_told, s);
    start_sources(s, from->configs);
    if (!s->n_sources) /* nothing will ever come: say so once */
        send_later(s, true);
    return s;
}

static void set_free(Set *s) {
    for (size_t i = 0; i < s->n_sources; i++) {
        s->sources[i]->provider->stop(s->sources[i]->run);
        mem_free(s->sources[i]);
    }
    mem_free(s->sources);
    loop_timer_stop(&s->timer);
    for (size_t i = 0; i < s->groups.n; i++) {
        target_group_unref(s->groups.v[i].group);
        mem_free(s->groups.v[i].key);
    }
    vec_free(&s->groups);
    str_map_deinit(&s->by_key);
    metric_remove(s->targets);
    buf_deinit(&s->text);
    mem_free(s->name);
    mem_free(s);
}

Discovery *discovery_new(const DiscoveryOptions *options) {
    Discovery *d = NEW(Discovery);
    d->options = *options;
    if (!d->options.call) {
        d->options.call = http_call;
        d->options.cancel = http_call_cancel;
    }
    d->labels = mem_printf("name=\"%s\"", options->name);
    d->received =
        metric_counter("prometheus_sd_received_updates_total",
                       "Total number of update events received from the SD providers.", d->labels);
    d->sent = metric_counter("prometheus_sd_updates_total",
                             "Total number of update events sent to the SD consumers.", d->labels);
    d->delayed = metric_counter("prometheus_sd_updates_delayed_total",
                                "Total number of update events that couldn't be sent immediately.",
                                d->labels);
    metric_set(metric_gauge("prometheus_sd_failed_configs",
                            "Current number of service discovery configurations that failed to "
                            "load.",
                            d->labels),
               0);
    return d;
}

static Set *find_set(Discovery *d, Str name) {
    for (size_t i = 0; i < d->sets.n; i++) {
        if (str_eqc(name, d->sets.v[i]->name))
            return d->sets.v[i];
    }
    return NULL;
}

/* Secrets print masked; a changed one must be seen as well. */
static void add_secrets(Buf *text, const SdConfigs *c) {
    const SdHttpConfig *v = c->of[SD_HTTP].v;
    for (size_t i = 0; i < c->of[SD_HTTP].n; i++) {
        const HttpClientConfig *h = &v[i].http.config;
        buf_add_str(text, h->basic_password);
        buf_add_str(text, h->authorization_credentials);
        buf_add_str(text, h->tls.key);
        for (size_t k = 0; k < h->n_headers; k++)
            buf_add_str(text, h->headers[k].value);
    }
}

static void apply_one(Discovery *d, const DiscoverySet *wanted) {
    Buf text = BUF_INIT(0);
    schema_write(&sd_configs_schema, wanted->configs, &text, 0);
    add_secrets(&text, wanted->configs);
    Set *old = find_set(d, wanted->name);
    if (old && str_eq(buf_str(&old->text), buf_str(&text))) {
        old->wanted = true;
        send_later(old, true); /* the consumer may be a new one */
        buf_deinit(&text);
        return;
    }
    if (!old) {
        vec_push(&d->sets, set_new(d, wanted, text));
        return;
    }
    /* The old one goes first: both would have the same metrics. */
    size_t at = 0;
    while (d->sets.v[at] != old)
        at++;
    set_free(old);
    d->sets.v[at] = set_new(d, wanted, text);
}

void discovery_apply(Discovery *d, const DiscoverySet *sets, size_t n) {
    for (size_t i = 0; i < d->sets.n; i++)
        d->sets.v[i]->wanted = false;
    for (size_t i = 0; i < n; i++)
        apply_one(d, &sets[i]);
    size_t kept = 0;
    for (size_t i = 0; i < d->sets.n; i++) {
        if (d->sets.v[i]->wanted)
            d->sets.v[kept++] = d->sets.v[i];
        else
            set_free(d->sets.v[i]);
    }
    d->sets.n = kept;
}

void discovery_free(Discovery *d) {
    if (!d)
        return;
    for (size_t i = 0; i < d->sets.n; i++)
        set_free(d->sets.v[i]);
    vec_free(&d->sets);
    mem_free(d->labels);
    mem_free(d);
}
