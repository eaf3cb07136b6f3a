/*
 * An address has a ring of alerts waiting and at most one POST under way, of up to batch_size
 * alerts. A full ring drops its oldest; a failed POST drops its batch: the rules send firing alerts
 * again anyway (reference, section 7).
 */
#include "rules/alert_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "format/json.h"
#include "rules/notify/inbox.h"
#include "rules/notify/sent_log.h"

#define CAPACITY_DEFAULT 10000
#define BATCH_DEFAULT 256
#define ANSWER_BYTES_MAX (1u << 20)

static const char COMPONENT[] = "notifier";

/* An alert in its ring: labels as relabelled for this section. */
typedef struct Waiting {
    Arena arena;
    NotifyAlert alert;
    uint64_t fingerprint; /* of the labels before relabelling */
} Waiting;

typedef struct Address {
    AlertClient *client;
    char *url;
    int64_t timeout_ms;
    const HttpClientConfig *http;
    Waiting **ring; /* capacity places; the oldest at `first` */
    size_t first, n;
    void *call;
    VEC(uint64_t) sending; /* fingerprints of the alerts under way */
    SentLog log;
    char *label;
    Metric *queue_length, *sent, *errors, *dropped, *latency;
} Address;

typedef struct Section {
    RelabelConfigs relabel;
    VEC(Address *) addresses;
} Section;

struct AlertClient {
    AlertClientOptions o;
    char *user_agent;
    void *owner;
    RelabelConfigs relabel;
    Labels external_labels;
    VEC(Section) sections;
    SentLog dropped; /* what relabelling keeps from all addresses */
    AlertInbox *inbox;
    void (*stopped)(void *arg); /* until it is called */
    void *stopped_arg;
    bool draining; /* the inbox is closed; ends when all is sent */
    Metric *capacity, *discovered;
};

/* ---- metrics */

static char *label_of(const char *url) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_cstr(&b, "alertmanager=\"");
    for (const char *p = url; *p; p++) {
        if (*p == '"' || *p == '\\') {
            buf_add_char(&b, '\\');
        }
        buf_add_char(&b, *p);
    }
    buf_add_char(&b, '"');
    return str_dup(buf_str(&b));
}

static void address_metrics(Address *a) {
    static const double quantiles[] = {0.5, 0.9, 0.99};
    a->label = label_of(a->url);
    a->queue_length = metric_gauge("prometheus_notifications_queue_length",
                                   "The number of alert notifications in the queue.", a->label);
    a->sent = metric_counter("prometheus_notifications_sent_total", "Total number of alerts sent.",
                             a->label);
    a->errors = metric_counter("prometheus_notifications_errors_total",
                               "Total number of sent alerts affected by errors.", a->label);
    a->dropped = metric_counter("prometheus_notifications_dropped_total",
                                "Total number of alerts dropped due to errors when sending to "
                                "Alertmanager.",
                                a->label);
    a->latency = metric_summary("prometheus_notifications_latency_seconds",
                                "Latency quantiles for sending alert notifications.", a->label,
                                quantiles, ARRAY_LEN(quantiles));
}

/* ---- an address and its ring */

static Address *address_new(AlertClient *c, Str url) {
    Address *a = NEW(Address);
    a->client = c;
    a->url = str_dup(url);
    a->ring = NEW_ARRAY(Waiting *, c->o.queue_capacity);
    address_metrics(a);
    return a;
}

static void waiting_free(Waiting *w) {
    if (w) {
        arena_deinit(&w->arena);
        mem_free(w);
    }
}

static Waiting *ring_take(Address *a) {
    Waiting *w = a->ring[a->first];
    a->first = (a->first + 1) % a->client->o.queue_capacity;
    a->n--;
    return w;
}

static void ring_drop(Address *a, size_t count) {
    for (size_t i = 0; i < count; i++) {
        waiting_free(ring_take(a));
    }
    metric_add(a->dropped, (double)count);
    metric_set(a->queue_length, (double)a->n);
}

static void ring_put(Address *a, Waiting *w) {
    if (a->n == a->client->o.queue_capacity) {
        ring_drop(a, 1);
        log_warn(COMPONENT, "Alert notification queue full, dropping the oldest alert",
                 L_CSTR("alertmanager", a->url));
    }
    a->ring[(a->first + a->n) % a->client->o.queue_capacity] = w;
    a->n++;
    metric_set(a->queue_length, (double)a->n);
}

static void address_free(Address *a) {
    if (a->call) {
        a->client->o.transport.cancel(a->call);
    }
    ring_drop(a, a->n);
    Metric *metrics[] = {a->queue_length, a->sent, a->errors, a->dropped, a->latency};
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        metric_remove(metrics[i]);
    }
    vec_free(&a->sending);
    sent_log_deinit(&a->log);
    mem_free(a->ring);
    mem_free(a->label);
    mem_free(a->url);
    mem_free(a);
}

/* ---- posting */

/* 2026-01-02T03:04:05.678Z, always with milliseconds. */
static void add_time(JsonWriter *w, Str key, int64_t ms) {
    char text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(ms % 1000));
    json_key(w, key);
    json_add_str(w, str_n(text, n));
}

static void add_labels(JsonWriter *w, Str key, Labels l) {
    json_key(w, key);
    json_begin_object(w);
    for (size_t i = 0; i < l.n; i++) {
        json_key(w, l.v[i].name);
        json_add_str(w, l.v[i].value);
    }
    json_end_object(w);
}

static void add_alert(JsonWriter *w, const NotifyAlert *a) {
    json_begin_object(w);
    add_labels(w, STR("annotations"), a->annotations);
    add_time(w, STR("endsAt"), a->ends_at_ms);
    add_time(w, STR("startsAt"), a->starts_at_ms);
    json_key(w, STR("generatorURL"));
    json_add_str(w, a->generator_url);
    add_labels(w, STR("labels"), a->labels);
    json_end_object(w);
}

static void post_next(Address *a);
static void end_when_sent(AlertClient *c);

static void note_answers(Address *a, const HttpCallResult *r, bool ok) {
    char status[32];
    const char *error = r->error ? r->error : "no answer";
    if (r->outcome == HTTP_CALL_OK) {
        (void)snprintf(status, sizeof(status), "HTTP %d", r->status);
        error = status;
    }
    for (size_t i = 0; i < a->sending.n; i++) {
        sent_log_answer(&a->log, a->sending.v[i], clock_wall_ms(), ok ? NULL : error);
    }
}

static void posted(void *arg, HttpCallResult *r) {
    Address *a = arg;
    bool ok = r->outcome == HTTP_CALL_OK && r->status / 100 == 2;
    a->call = NULL;
    metric_observe(a->latency, (double)r->duration_ns / 1e9);
    metric_add(a->sent, (double)a->sending.n);
    if (!ok) {
        metric_add(a->errors, (double)a->sending.n);
        metric_add(a->dropped, (double)a->sending.n);
        log_error(COMPONENT, "Error sending alerts", L_CSTR("alertmanager", a->url),
                  L_INT("count", a->sending.n),
                  L_CSTR("err", r->outcome == HTTP_CALL_OK ? r->status_text : r->error));
    }
    note_answers(a, r, ok);
    a->sending.n = 0;
    post_next(a);
    end_when_sent(a->client);
}

static void post_next(Address *a) {
    const AlertClientOptions *o = &a->client->o;
    if (a->call || a->n == 0) {
        return;
    }
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    JsonWriter w = JSON_WRITER(&body);
    json_begin_array(&w);
    a->sending.n = 0;
    while (a->n && a->sending.n < o->batch_size) {
        Waiting *next = ring_take(a);
        add_alert(&w, &next->alert);
        vec_push(&a->sending, next->fingerprint);
        waiting_free(next);
    }
    json_end_array(&w);
    metric_set(a->queue_length, (double)a->n);
    HttpHeader headers[] = {{STR("Content-Type"), STR("application/json")},
                            {STR("User-Agent"), str_of(a->client->user_agent)}};
    HttpCallRequest request = {.method = "POST",
                               .url = str_of(a->url),
                               .headers = headers,
                               .n_headers = ARRAY_LEN(headers),
                               .body = buf_str(&body),
                               .timeout_ms = a->timeout_ms,
                               .body_bytes_max = ANSWER_BYTES_MAX,
                               .config = a->http};
    a->call = o->transport.call(o->transport.arg, &request, posted, a);
}

/* ---- alerts in */

/* External labels fill what is absent or empty; then the rules that may change or drop the alert.
 */
static bool prepare_labels(const AlertClient *c, LabelsBuilder *b, Arena *a) {
    for (size_t i = 0; i < c->external_labels.n; i++) {
        const Label *l = &c->external_labels.v[i];
        if (labels_builder_get(b, l->name).n == 0) {
            labels_builder_set(b, l->name, l->value);
        }
    }
    return relabel_apply(c->relabel.v, c->relabel.n, b, a);
}

static Waiting *waiting_new(const NotifyAlert *alert, uint64_t fingerprint, Labels labels) {
    Waiting *w = NEW(Waiting);
    w->fingerprint = fingerprint;
    w->alert = (NotifyAlert){.labels = labels_copy(&w->arena, labels),
                             .annotations = labels_copy(&w->arena, alert->annotations),
                             .starts_at_ms = alert->starts_at_ms,
                             .ends_at_ms = alert->ends_at_ms,
                             .generator_url = arena_str(&w->arena, alert->generator_url)};
    return w;
}

/* Into the rings of the section's addresses; how many there are. */
static size_t queue_in_section(Section *section, const NotifyAlert *alert, Labels common,
                               Arena *arena) {
    LabelsBuilder own = {0};
    size_t n = 0;
    labels_builder_reset(&own, common);
    if (relabel_apply(section->relabel.v, section->relabel.n, &own, arena)) {
        uint64_t fingerprint = labels_fingerprint(alert->labels);
        for (; n < section->addresses.n; n++) {
            Address *a = section->addresses.v[n];
            ring_put(a, waiting_new(alert, fingerprint, labels_builder_view(&own)));
            (void)sent_log_put(&a->log, fingerprint, clock_wall_ms(), alert->ends_at_ms);
        }
    }
    labels_builder_deinit(&own);
    return n;
}

static size_t address_count(const AlertClient *c) {
    size_t n = 0;
    for (size_t s = 0; s < c->sections.n; s++) {
        n += c->sections.v[s].addresses.n;
    }
    return n;
}

static void note_dropped(AlertClient *c, const NotifyAlert *alert, bool dropped) {
    int64_t now = clock_wall_ms();
    if (dropped || c->dropped.list.n) {
        SentAlert *a = sent_log_put(&c->dropped, labels_fingerprint(alert->labels), now,
                                    dropped ? alert->ends_at_ms : now);
        a->state = NOTIFY_UNROUTED;
        (void)snprintf(a->error, sizeof(a->error), "dropped by alert_relabel_configs");
    }
}

static void queue_alert(AlertClient *c, const NotifyAlert *alert) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    LabelsBuilder common = {0};
    size_t queued = 0;
    labels_builder_reset(&common, alert->labels);
    if (prepare_labels(c, &common, &arena)) {
        for (size_t s = 0; s < c->sections.n; s++) {
            queued +=
                queue_in_section(&c->sections.v[s], alert, labels_builder_view(&common), &arena);
        }
    }
    note_dropped(c, alert, queued == 0 && address_count(c) > 0);
    labels_builder_deinit(&common);
}

void alert_client_status(const AlertClient *c, NotifyStatuses *ret) {
    int64_t now = clock_wall_ms();
    for (size_t s = 0; s < c->sections.n; s++) {
        for (size_t i = 0; i < c->sections.v[s].addresses.n; i++) {
            const Address *a = c->sections.v[s].addresses.v[i];
            sent_log_status(&a->log, arena_printf(ret->arena, "alertmanager %s", a->url), now, ret);
        }
    }
    sent_log_status(&c->dropped, STR("alertmanager"), now, ret);
}

static void take_batch(void *arg, AlertBatch *batch) {
    AlertClient *c = arg;
    for (size_t i = 0; i < batch->n; i++) {
        queue_alert(c, &batch->v[i]);
    }
    for (size_t s = 0; s < c->sections.n; s++) {
        for (size_t i = 0; i < c->sections.v[s].addresses.n; i++) {
            post_next(c->sections.v[s].addresses.v[i]);
        }
    }
}

void alert_client_send(void *client, AlertBatch *batch) {
    const AlertClient *c = client;
    alert_inbox_send(c->inbox, batch);
}

/* ---- life */

AlertClient *alert_client_new(const AlertClientOptions *o) {
    AlertClient *c = NEW(AlertClient);
    c->o = *o;
    c->o.queue_capacity = o->queue_capacity ? o->queue_capacity : CAPACITY_DEFAULT;
    c->o.batch_size = o->batch_size ? o->batch_size : BATCH_DEFAULT;
    c->user_agent = str_dup(o->user_agent);
    c->inbox = alert_inbox_new(o->loop, take_batch, c);
    c->capacity = metric_gauge("prometheus_notifications_queue_capacity",
                               "The capacity of the alert notifications queue.", NULL);
    c->discovered = metric_gauge("prometheus_notifications_alertmanagers_discovered",
                                 "The number of alertmanagers discovered and active.", NULL);
    metric_set(c->capacity, (double)c->o.queue_capacity);
    return c;
}

/* The address of the old sections with that URL, taken out of them. */
static Address *take_address(Section *old, size_t n, Str url) {
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < old[s].addresses.n; i++) {
            Address *a = old[s].addresses.v[i];
            if (a && str_eqc(url, a->url)) {
                old[s].addresses.v[i] = NULL;
                return a;
            }
        }
    }
    return NULL;
}

static void free_sections(Section *v, size_t n) {
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < v[s].addresses.n; i++) {
            if (v[s].addresses.v[i]) {
                address_free(v[s].addresses.v[i]);
            }
        }
        vec_free(&v[s].addresses);
    }
    mem_free(v);
}

void alert_client_apply(AlertClient *c, const AlertClientConfig *config) {
    Section *old = c->sections.v;
    size_t n_old = c->sections.n, count = 0;
    void *old_owner = c->owner;
    c->owner = config->owner && c->o.owner_ref ? c->o.owner_ref(config->owner) : config->owner;
    c->relabel = config->relabel;
    c->external_labels = config->external_labels;
    c->sections.v = NULL;
    c->sections.n = c->sections.cap = 0;
    for (size_t s = 0; s < config->n_sets; s++) {
        const AlertClientSet *set = &config->sets[s];
        Section section = {.relabel = set->config->alert_relabel};
        for (size_t i = 0; i < set->n; i++) {
            Address *a = take_address(old, n_old, set->urls[i]);
            a = a ? a : address_new(c, set->urls[i]);
            a->timeout_ms = set->config->timeout_ms;
            a->http = &set->config->http.config;
            vec_push(&section.addresses, a);
            count++;
        }
        vec_push(&c->sections, section);
    }
    free_sections(old, n_old);
    metric_set(c->discovered, (double)count);
    if (old_owner && c->o.owner_unref) {
        c->o.owner_unref(old_owner);
    }
    end_when_sent(c);
}

static bool all_sent(const AlertClient *c) {
    for (size_t s = 0; s < c->sections.n; s++) {
        for (size_t i = 0; i < c->sections.v[s].addresses.n; i++) {
            const Address *a = c->sections.v[s].addresses.v[i];
            if (a->n || a->call) {
                return false;
            }
        }
    }
    return true;
}

static void end_when_sent(AlertClient *c) {
    if (c->draining && c->stopped && all_sent(c)) {
        void (*done)(void *arg) = c->stopped;
        c->stopped = NULL;
        loop_post(c->o.loop, done, c->stopped_arg);
    }
}

/* Runs behind the batches that were posted before the client was stopped. */
static void begin_drain(void *arg) {
    AlertClient *c = arg;
    alert_inbox_close(c->inbox);
    c->draining = true;
    end_when_sent(c);
}

void alert_client_stop(AlertClient *c, void (*done)(void *arg), void *arg) {
    c->stopped = done;
    c->stopped_arg = arg;
    if (!c->o.drain_on_stop) {
        alert_inbox_close(c->inbox);
        free_sections(c->sections.v, c->sections.n);
        c->sections.v = NULL;
        c->sections.n = c->sections.cap = 0;
    }
    loop_post(c->o.loop, begin_drain, c);
}

void alert_client_free(AlertClient *c) {
    if (!c) {
        return;
    }
    alert_inbox_free(c->inbox);
    free_sections(c->sections.v, c->sections.n);
    sent_log_deinit(&c->dropped);
    if (c->owner && c->o.owner_unref) {
        c->o.owner_unref(c->owner);
    }
    mem_free(c->user_agent);
    mem_free(c);
}
