#include "rules/notifier.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "model/duration.h"
#include "rules/template/am_funcs.h"

static const char COMPONENT[] = "notifier";
#define ANSWER_BYTES_MAX (64u << 10)

/* An alert as JSON, in any number of queues. */
typedef struct Encoded {
    unsigned refs;
    size_t n;
    char text[];
} Encoded;

typedef struct Target {
    Notifier *notifier;
    size_t section;
    char *url, *metric_label;
    int64_t timeout_ms;
    const HttpClientConfig *http;
    Encoded **queue; /* ring */
    size_t head, n;
    size_t under_way; /* alerts of the request */
    void *call;
    bool leaving;
    Metric *sent, *errors, *dropped, *length, *capacity, *latency;
    struct Target *next;
} Target;

typedef struct SinkQueue {
    pthread_mutex_t mutex;
    Notifier *notifier; /* NULL: gone */
    unsigned refs;
} SinkQueue;

struct Notifier {
    NotifierOptions o;
    char *user_agent;
    NotifierConfig config;
    NotifierSection *sections;
    Target *targets;
    SinkQueue *sink;
    bool stopped;
    void (*done)(void *arg);
    void *done_arg;
};

static void encoded_unref(Encoded *e) {
    if (e && --e->refs == 0) {
        mem_free(e);
    }
}

/* ---- targets */

static void target_metrics(Target *t) {
    const char *l = t->metric_label;
    static const double QUANTILES[] = {0.5, 0.9, 0.99};
    t->sent =
        metric_counter("prometheus_notifications_sent_total", "Total number of alerts sent.", l);
    t->errors = metric_counter("prometheus_notifications_errors_total",
                               "Total number of sent alerts affected by errors.", l);
    t->dropped = metric_counter("prometheus_notifications_dropped_total",
                                "Total number of alerts dropped due to errors when sending to "
                                "Alertmanager.",
                                l);
    t->length = metric_gauge("prometheus_notifications_queue_length",
                             "The number of alert notifications in the queue.", l);
    t->capacity = metric_gauge("prometheus_notifications_queue_capacity",
                               "The capacity of the alert notifications queue.", l);
    t->latency =
        metric_summary("prometheus_notifications_latency_seconds",
                       "Latency quantiles for sending alert notifications.", l, QUANTILES, 3);
    metric_set(t->capacity, (double)t->notifier->o.queue_capacity);
}

static size_t target_count(const Notifier *n) {
    size_t count = 0;
    for (const Target *t = n->targets; t; t = t->next) {
        count += !t->leaving;
    }
    return count;
}

static void discovered(const Notifier *n) {
    metric_set(metric_gauge("prometheus_notifications_alertmanagers_discovered",
                            "The number of alertmanagers discovered and active.", NULL),
               (double)target_count(n));
}

static void target_free(Target *t) {
    metric_add(t->dropped, (double)(t->n + t->under_way));
    if (t->call) {
        t->notifier->o.transport.cancel(t->call);
    }
    for (size_t i = 0; i < t->n; i++) {
        encoded_unref(t->queue[(t->head + i) % t->notifier->o.queue_capacity]);
    }
    bool shared = false; /* the same URL in another section has the same series */
    for (const Target *o = t->notifier->targets; o; o = o->next) {
        shared |= o != t && strcmp(o->url, t->url) == 0;
    }
    Metric *own[] = {t->sent, t->errors, t->dropped, t->length, t->capacity, t->latency};
    for (size_t i = 0; !shared && i < ARRAY_LEN(own); i++) {
        metric_remove(own[i]);
    }
    mem_free(t->queue);
    mem_free(t->url);
    mem_free(t->metric_label);
    mem_free(t);
}

static void target_remove(Target *t) {
    Notifier *n = t->notifier;
    Target **at = &n->targets;
    while (*at != t) {
        at = &(*at)->next;
    }
    *at = t->next;
    target_free(t);
}

static Target *target_new(Notifier *n, size_t section, Str url) {
    Target *t = NEW(Target);
    t->notifier = n;
    t->section = section;
    t->url = str_dup(url);
    t->metric_label = mem_printf("alertmanager=\"%.*s\"", SA(url));
    t->timeout_ms = n->sections[section].timeout_ms ? n->sections[section].timeout_ms : 10000;
    t->http = n->sections[section].http;
    t->queue = NEW_ARRAY(Encoded *, n->o.queue_capacity);
    target_metrics(t);
    t->next = n->targets;
    n->targets = t;
    return t;
}

/* ---- sending */

static void target_send(Target *t);

static void stop_check(Notifier *n) {
    if (!n->stopped || !n->done) {
        return;
    }
    for (const Target *t = n->targets; t; t = t->next) {
        if (t->n || t->call) {
            return;
        }
    }
    void (*done)(void *) = n->done;
    n->done = NULL;
    done(n->done_arg);
}

static void target_next(Target *t) {
    Notifier *n = t->notifier;
    if (t->n) {
        target_send(t);
        return;
    }
    if (t->leaving) {
        target_remove(t);
    }
    stop_check(n);
}

static void target_answer(void *arg, HttpCallResult *r) {
    Target *t = arg;
    t->call = NULL;
    metric_observe(t->latency, (double)r->duration_ns / 1e9);
    metric_add(t->sent, (double)t->under_way);
    if (r->outcome != HTTP_CALL_OK || r->status / 100 != 2) {
        metric_add(t->errors, (double)t->under_way);
        metric_add(t->dropped, (double)t->under_way);
        CLEANUP(buf_deinit) Buf why = BUF_INIT(1024);
        if (r->outcome == HTTP_CALL_OK) {
            buf_addf(&why, "bad response status %s",
                     r->status_text ? r->status_text : "of the Alertmanager");
        } else {
            buf_add_cstr(&why, r->error ? r->error : "no answer");
        }
        log_error(COMPONENT, "Error sending alerts", L_CSTR("alertmanager", t->url),
                  L_INT("count", t->under_way), L_STR("err", buf_str(&why)));
    }
    t->under_way = 0;
    target_next(t);
}

static void target_send(Target *t) {
    Notifier *n = t->notifier;
    if (t->call) {
        return;
    }
    CLEANUP(buf_deinit) Buf body = BUF_INIT(0);
    buf_add_char(&body, '[');
    for (; t->n && t->under_way < n->o.batch_max; t->under_way++) {
        Encoded *e = t->queue[t->head];
        t->head = (t->head + 1) % n->o.queue_capacity;
        t->n--;
        buf_add_cstr(&body, t->under_way ? "," : "");
        buf_add(&body, e->text, e->n);
        encoded_unref(e);
    }
    buf_add_char(&body, ']');
    metric_set(t->length, (double)t->n);
    const HttpHeader headers[] = {{STR("Content-Type"), STR("application/json")},
                                  {STR("User-Agent"), n->o.user_agent}};
    t->call = n->o.transport.call(n->o.transport.arg,
                                  &(HttpCallRequest){.method = "POST",
                                                     .url = str_of(t->url),
                                                     .headers = headers,
                                                     .n_headers = 2,
                                                     .body = buf_str(&body),
                                                     .timeout_ms = t->timeout_ms,
                                                     .body_bytes_max = ANSWER_BYTES_MAX,
                                                     .config = t->http},
                                  target_answer, t);
}

static void target_queue(Target *t, Encoded *e) {
    size_t cap = t->notifier->o.queue_capacity;
    if (t->n == cap) { /* the oldest gives way */
        encoded_unref(t->queue[t->head]);
        t->head = (t->head + 1) % cap;
        t->n--;
        metric_inc(t->dropped);
    }
    e->refs++;
    t->queue[(t->head + t->n++) % cap] = e;
    metric_set(t->length, (double)t->n);
}

/* ---- alerts to JSON */

static void json_labels(Buf *b, const char *key, Labels l) {
    buf_addf(b, "\"%s\":{", key);
    for (size_t i = 0; i < l.n; i++) {
        buf_add_cstr(b, i ? "," : "");
        am_json_string(b, l.v[i].name);
        buf_add_char(b, ':');
        am_json_string(b, l.v[i].value);
    }
    buf_add_char(b, '}');
}

static void json_time(Buf *b, int64_t ms) {
    int64_t whole = ms - ms % 1000;
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64);
    time_format_rfc3339(&text, whole);
    buf_addf(b, "\"%.*s.%03dZ\"", (int)text.n - 1, text.p, (int)(ms % 1000));
}

static Encoded *encode(const NotifyAlert *a, Labels l) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    buf_add_char(&b, '{');
    json_labels(&b, "annotations", a->annotations);
    buf_add_cstr(&b, ",\"endsAt\":");
    json_time(&b, a->ends_at_ms);
    buf_add_cstr(&b, ",\"startsAt\":");
    json_time(&b, a->starts_at_ms);
    buf_add_cstr(&b, ",\"generatorURL\":");
    am_json_string(&b, a->generator_url);
    buf_add_char(&b, ',');
    json_labels(&b, "labels", l);
    buf_add_char(&b, '}');
    Encoded *e = mem_alloc(sizeof(*e) + b.n);
    *e = (Encoded){.refs = 1, .n = b.n};
    memcpy(e->text, b.p, b.n);
    return e;
}

static void put_section(Notifier *n, size_t section, const NotifyAlert *a, Labels l, Arena *arena) {
    const NotifierSection *s = &n->sections[section];
    LabelsBuilder b = {0};
    labels_builder_reset(&b, l);
    if (relabel_apply(s->alert_relabel, s->n_alert_relabel, &b, arena)) {
        Encoded *e = encode(a, labels_builder_view(&b));
        for (Target *t = n->targets; t; t = t->next) {
            if (t->section == section && !t->leaving) {
                target_queue(t, e);
            }
        }
        encoded_unref(e);
    }
    labels_builder_deinit(&b);
}

static void put_alert(Notifier *n, const NotifyAlert *a, Arena *arena) {
    LabelsBuilder b = {0};
    labels_builder_reset(&b, a->labels);
    for (size_t i = 0; i < n->config.external_labels.n; i++) {
        Label l = n->config.external_labels.v[i];
        if (!labels_builder_get(&b, l.name).n) {
            labels_builder_set(&b, l.name, l.value);
        }
    }
    if (relabel_apply(n->config.alert_relabel, n->config.n_alert_relabel, &b, arena)) {
        for (size_t s = 0; s < n->config.n_sections; s++) {
            put_section(n, s, a, labels_builder_view(&b), arena);
        }
    }
    labels_builder_deinit(&b);
}

void notifier_put(Notifier *n, const AlertBatch *batch) {
    if (n->stopped) {
        return;
    }
    Arena arena = ARENA_INIT(0);
    for (size_t i = 0; i < batch->n; i++) {
        put_alert(n, &batch->v[i], &arena);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    for (Target *t = n->targets; t; t = t->next) {
        if (t->n) {
            target_send(t);
        }
    }
}

/* ---- batches from other threads */

typedef struct Put {
    SinkQueue *queue;
    AlertBatch *batch;
} Put;

static void sink_unref(SinkQueue *q) {
    pthread_mutex_lock(&q->mutex);
    bool last = --q->refs == 0;
    pthread_mutex_unlock(&q->mutex);
    if (last) {
        pthread_mutex_destroy(&q->mutex);
        mem_free(q);
    }
}

static void put_posted(void *arg) {
    Put *p = arg;
    if (p->queue->notifier) {
        notifier_put(p->queue->notifier, p->batch);
    }
    alert_batch_unref(p->batch);
    sink_unref(p->queue);
    mem_free(p);
}

static void sink_send(void *arg, AlertBatch *batch) {
    Notifier *n = arg;
    Put *p = NEW(Put);
    *p = (Put){n->sink, alert_batch_ref(batch)};
    pthread_mutex_lock(&n->sink->mutex);
    n->sink->refs++;
    pthread_mutex_unlock(&n->sink->mutex);
    loop_post(n->o.loop, put_posted, p);
}

AlertSink notifier_sink(Notifier *n) { return (AlertSink){sink_send, n}; }

/* ---- configuration */

static void target_leave(Target *t) {
    t->leaving = true;
    if (t->notifier->o.drop_on_stop || (!t->n && !t->call)) {
        target_remove(t);
    }
}

static bool wanted(const Target *t, const Str *urls, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (str_eqc(urls[i], t->url)) {
            return true;
        }
    }
    return false;
}

static Target *target_find(const Notifier *n, size_t section, Str url) {
    for (Target *t = n->targets; t; t = t->next) {
        if (t->section == section && !t->leaving && str_eqc(url, t->url)) {
            return t;
        }
    }
    return NULL;
}

void notifier_set_targets(Notifier *n, size_t section, const Str *urls, size_t n_urls) {
    for (Target *t = n->targets, *next; t; t = next) {
        next = t->next;
        if (t->section == section && !t->leaving && !wanted(t, urls, n_urls)) {
            target_leave(t);
        }
    }
    for (size_t i = 0; section < n->config.n_sections && i < n_urls; i++) {
        if (!target_find(n, section, urls[i])) {
            (void)target_new(n, section, urls[i]);
        }
    }
    discovered(n);
}

void notifier_configure(Notifier *n, const NotifierConfig *c) {
    mem_free(n->sections);
    n->config = *c;
    n->sections = NEW_ARRAY(NotifierSection, c->n_sections + 1);
    for (size_t i = 0; i < c->n_sections; i++) {
        n->sections[i] = c->sections[i];
    }
    n->config.sections = n->sections;
    for (Target *t = n->targets, *next; t; t = next) {
        next = t->next;
        if (t->section >= c->n_sections) {
            t->http = NULL; /* of the old configuration */
            if (!t->leaving) {
                target_leave(t);
            }
        } else {
            const NotifierSection *s = &n->sections[t->section];
            t->timeout_ms = s->timeout_ms ? s->timeout_ms : 10000;
            t->http = s->http;
        }
    }
    discovered(n);
}

void notifier_each_target(const Notifier *n, void (*fn)(void *arg, Str url), void *arg) {
    for (const Target *t = n->targets; t; t = t->next) {
        if (!t->leaving) {
            fn(arg, str_of(t->url));
        }
    }
}

/* ---- life */

Notifier *notifier_new(const NotifierOptions *o) {
    Notifier *n = NEW(Notifier);
    n->o = *o;
    n->o.queue_capacity = o->queue_capacity ? o->queue_capacity : 10000;
    n->o.batch_max = o->batch_max ? o->batch_max : 256;
    n->user_agent = str_dup(o->user_agent);
    n->o.user_agent = str_of(n->user_agent);
    n->sections = NEW_ARRAY(NotifierSection, 1);
    n->sink = NEW(SinkQueue);
    *n->sink = (SinkQueue){.notifier = n, .refs = 1};
    pthread_mutex_init(&n->sink->mutex, NULL);
    return n;
}

void notifier_stop(Notifier *n, void (*done)(void *arg), void *arg) {
    n->stopped = true;
    n->done = done;
    n->done_arg = arg;
    for (Target *t = n->targets, *next; n->o.drop_on_stop && t; t = next) {
        next = t->next;
        target_remove(t);
    }
    stop_check(n);
}

void notifier_free(Notifier *n) {
    if (!n) {
        return;
    }
    n->stopped = true;
    while (n->targets) {
        target_remove(n->targets);
    }
    n->sink->notifier = NULL;
    sink_unref(n->sink);
    mem_free(n->sections);
    mem_free(n->user_agent);
    mem_free(n);
}
