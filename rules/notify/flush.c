/*
 * One flush of a group. Each integration of the receiver is a delivery: is it due (notification
 * log), then try until it succeeds, is refused, or the flush's time is over, then log it.
 *
 *   due? --no--> through (as success)
 *     | yes
 *   call --2xx--> log, through         4xx: through, as failure
 *     | 5xx, no answer
 *   wait 0.5 s, 0.75 s, 1.1 s ... (half of it random, at most 60 s), call again
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "rules/notify/dispatch.h"

#define BODY_BYTES_MAX (64u << 20)
#define URL_FILE_BYTES_MAX (64u << 10)
#define ANSWER_BYTES_MAX (64u << 10)
#define BACKOFF_FIRST_MS 500.0
#define BACKOFF_MAX_MS 60000.0

static const char COMPONENT[] = "dispatcher";

typedef struct UrlRead UrlRead;

typedef struct Delivery {
    Flush *flush;
    const AmWebhook *hook;
    Str log_key;
    LoopTimer timer;
    void *call;
    UrlRead *reading;
    AmData data;
    Str url;
    Buf body;
    double backoff_ms;
    unsigned attempts;
    int status;          /* of the last attempt's answer; 0: none came */
    const char *failure; /* the label `reason` of a failure */
    bool through;
} Delivery;

/* url_file, read on the background pool before each attempt. */
struct UrlRead {
    Delivery *delivery; /* NULL: cancelled */
    char *path;
    Buf text;
    int result;
};

struct Flush {
    Group *group;
    StoredAlerts alerts, resolved;
    uint64_t *firing_hashes, *resolved_hashes; /* sorted */
    size_t n_firing, n_resolved;
    int64_t now_ms, deadline_ms;
    Delivery *deliveries;
    size_t n, left;
    bool failed, starting;
    Arena arena;
};

static void reading_cancel(Delivery *d) {
    if (d->reading) {
        d->reading->delivery = NULL;
        d->reading = NULL;
    }
}

static void flush_free(Flush *f) {
    for (size_t i = 0; i < f->n; i++) {
        reading_cancel(&f->deliveries[i]);
        loop_timer_stop(&f->deliveries[i].timer);
        buf_deinit(&f->deliveries[i].body);
    }
    for (size_t i = 0; i < f->alerts.n; i++) {
        stored_alert_unref(f->alerts.v[i]);
    }
    vec_free(&f->alerts);
    vec_free(&f->resolved);
    mem_free(f->firing_hashes);
    mem_free(f->resolved_hashes);
    mem_free(f->deliveries);
    arena_deinit(&f->arena);
    mem_free(f);
}

static void flush_finish(Flush *f) {
    Group *g = f->group;
    g->flush = NULL;
    group_flush_done(g, !f->failed, f->resolved.v, f->resolved.n);
    flush_free(f);
}

static GroupTrouble *trouble_of(const Delivery *d) {
    const Flush *f = d->flush;
    return &f->group->trouble[d - f->deliveries];
}

/* For those who ask how the group's notifications fare. retry_at_ms == 0: not before the next
 * flush.
 */
static void note_trouble(const Delivery *d, const char *why, int64_t retry_at_ms) {
    GroupTrouble *t = trouble_of(d);
    mem_free(t->error);
    *t = (GroupTrouble){.attempts = MAX(d->attempts, 1u),
                        .failed_at_ms = clock_wall_ms(),
                        .retry_at_ms = retry_at_ms,
                        .error =
                            d->status ? mem_printf("HTTP %d", d->status) : str_dup(str_of(why))};
}

static void delivery_through(Delivery *d, bool ok) {
    Flush *f = d->flush;
    if (ok) {
        mem_free(trouble_of(d)->error);
        *trouble_of(d) = (GroupTrouble){0};
    }
    d->through = true;
    loop_timer_stop(&d->timer);
    f->failed |= !ok;
    f->left--;
    if (!f->left && !f->starting) {
        flush_finish(f);
    }
}

static Metric *counter(const char *name, const char *help) {
    return metric_counter(name, help, "integration=\"webhook\"");
}

static void delivery_log(Delivery *d) {
    Flush *f = d->flush;
    Dispatcher *dp = f->group->dispatcher;
    int64_t now = clock_wall_ms();
    int64_t keep = MIN(2 * f->group->route->repeat_interval_ms, dp->o.retention_ms);
    nflog_put(&dp->log, d->log_key, now, now + keep, f->firing_hashes, f->n_firing,
              f->resolved_hashes, f->n_resolved);
}

static void delivery_failed(Delivery *d, const char *why) {
    CLEANUP(mem_freep)
    char *labels =
        mem_printf("integration=\"webhook\",reason=\"%s\"", d->failure ? d->failure : "other");
    metric_inc(metric_counter("alertmanager_notifications_failed_total",
                              "The total number of failed notifications.", labels));
    log_error(COMPONENT, "Notify for alerts failed",
              L_STR("receiver", d->flush->group->receiver->name), L_CSTR("integration", "webhook"),
              L_INT("num_alerts", d->flush->alerts.n), L_INT("attempts", d->attempts),
              L_CSTR("err", why));
    note_trouble(d, why, 0);
    delivery_through(d, false);
}

static void delivery_attempt(Delivery *d);

static void delivery_retry(void *arg) { delivery_attempt(arg); }

static void delivery_timeout(void *arg) {
    Delivery *d = arg;
    Dispatcher *dp = d->flush->group->dispatcher;
    if (d->call) {
        dp->o.transport.cancel(d->call);
        d->call = NULL;
    }
    reading_cancel(d);
    d->failure = "contextDeadlineExceeded";
    d->status = 0;
    delivery_failed(d, "context deadline exceeded");
}

static void delivery_again(Delivery *d, const char *why) {
    Dispatcher *dp = d->flush->group->dispatcher;
    d->backoff_ms = d->backoff_ms ? MIN(d->backoff_ms * 1.5, BACKOFF_MAX_MS) : BACKOFF_FIRST_MS;
    int64_t wait = (int64_t)(d->backoff_ms * (0.5 + rng_double(&dp->rng)));
    if (clock_wall_ms() + wait >= d->flush->deadline_ms) {
        delivery_failed(d, why);
        return;
    }
    log_warn(COMPONENT, "Notify attempt failed, will retry later",
             L_STR("receiver", d->flush->group->receiver->name), L_INT("attempts", d->attempts),
             L_CSTR("err", why));
    note_trouble(d, why, clock_wall_ms() + wait);
    loop_timer_init(&d->timer, dp->o.loop, delivery_retry, d);
    loop_timer_after(&d->timer, wait);
}

static void note_answer(Delivery *d, const HttpCallResult *r) {
    static const double bounds[] = {1, 5, 10, 15, 20};
    int kind = r->outcome == HTTP_CALL_OK ? r->status / 100 : 0;
    metric_observe(metric_histogram("alertmanager_notification_latency_seconds",
                                    "The latency of notifications in seconds.",
                                    "integration=\"webhook\"", bounds, ARRAY_LEN(bounds)),
                   (double)r->duration_ns / 1e9);
    d->failure = kind == 4 ? "clientError" : kind == 5 ? "serverError" : "other";
    if (kind != 2) {
        metric_inc(counter("alertmanager_notification_requests_failed_total",
                           "The total number of failed notification requests."));
    }
}

static void delivery_answer(void *arg, HttpCallResult *r) {
    Delivery *d = arg;
    d->call = NULL;
    d->status = r->outcome == HTTP_CALL_OK ? r->status : 0;
    loop_timer_stop(&d->timer);
    note_answer(d, r);
    if (r->outcome != HTTP_CALL_OK) {
        delivery_again(d, r->error ? r->error : "no answer");
        return;
    }
    if (r->status / 100 == 2) {
        delivery_log(d);
        delivery_through(d, true);
        return;
    }
    CLEANUP(buf_deinit) Buf why = BUF_INIT(4096);
    buf_addf(&why, "unexpected status code %d", r->status);
    if (r->body && r->body->n) {
        buf_addf(&why, ": %.*s", (int)MIN(r->body->n, (size_t)1024), r->body->p);
    }
    if (r->status / 100 == 5) {
        delivery_again(d, buf_cstr(&why));
    } else {
        delivery_failed(d, buf_cstr(&why));
    }
}

static void delivery_call(Delivery *d) {
    Flush *f = d->flush;
    Dispatcher *dp = f->group->dispatcher;
    const HttpHeader headers[] = {{STR("Content-Type"), STR("application/json")},
                                  {STR("User-Agent"), dp->o.user_agent}};
    int64_t left = f->deadline_ms - clock_wall_ms();
    int64_t timeout = d->hook->timeout_ms ? MIN(d->hook->timeout_ms, left) : left;
    d->call = dp->o.transport.call(dp->o.transport.arg,
                                   &(HttpCallRequest){.method = "POST",
                                                      .url = d->url,
                                                      .headers = headers,
                                                      .n_headers = 2,
                                                      .body = buf_str(&d->body),
                                                      .timeout_ms = MAX(timeout, 1),
                                                      .body_bytes_max = ANSWER_BYTES_MAX,
                                                      .config = d->hook->http},
                                   delivery_answer, d);
}

static void delivery_failed_str(Delivery *d, Str why) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(65536);
    buf_add_str(&b, why);
    delivery_failed(d, buf_cstr(&b));
}

static void delivery_call_url(Delivery *d, Str url_template) {
    CLEANUP(buf_deinit) Buf url = BUF_INIT(1u << 20);
    const Template *t = d->flush->group->dispatcher->config->templates;
    Str error = STR("");
    if (am_data_expand(&d->data, t, url_template, &url, &error) < 0) {
        delivery_failed_str(d, error);
        return;
    }
    d->url = arena_str(&d->flush->arena, str_trim(buf_str(&url)));
    delivery_call(d);
}

static void url_read_run(void *arg) {
    UrlRead *u = arg;
    u->result = file_read_whole(u->path, URL_FILE_BYTES_MAX, &u->text);
}

static void url_read_done(void *arg) {
    UrlRead *u = arg;
    Delivery *d = u->delivery;
    if (d) {
        d->reading = NULL;
        if (u->result < 0) {
            delivery_failed_str(
                d, arena_printf(&d->flush->arena, "read url_file: %s", strerror(-u->result)));
        } else {
            delivery_call_url(d, str_trim(buf_str(&u->text)));
        }
    }
    buf_deinit(&u->text);
    mem_free(u->path);
    mem_free(u);
}

static void delivery_attempt(Delivery *d) {
    Dispatcher *dp = d->flush->group->dispatcher;
    d->attempts++;
    d->status = 0;
    metric_inc(counter("alertmanager_notification_requests_total",
                       "The total number of attempted notification requests."));
    loop_timer_init(&d->timer, dp->o.loop, delivery_timeout, d);
    loop_timer_at(&d->timer, d->flush->deadline_ms);
    if (!d->hook->url_file.n) {
        delivery_call_url(d, d->hook->url);
        return;
    }
    UrlRead *u = d->reading = NEW(UrlRead);
    u->delivery = d;
    u->path = str_dup(d->hook->url_file);
    u->text = BUF_INIT(URL_FILE_BYTES_MAX);
    work_submit(dp->o.background, url_read_run, url_read_done, u);
}

/* ---- what is sent */

/* Go's regexp.QuoteMeta: receivers are regular expressions to those who filter by them. */
static Str quote_meta(Arena *a, Str s) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (size_t i = 0; i < s.n; i++) {
        if (strchr("\\.+*?()|[]{}^$", s.p[i]) && s.p[i]) {
            buf_add_char(&b, '\\');
        }
        buf_add_char(&b, s.p[i]);
    }
    return arena_str(a, buf_str(&b));
}

static void expand_route_labels(const Flush *f, AmData *d) {
    Labels from = f->group->route->labels;
    Label *v = ARENA_ARRAY(d->arena, Label, from.n + 1);
    for (size_t i = 0; i < from.n; i++) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(1u << 20);
        Str error;
        if (am_data_expand(d, f->group->dispatcher->config->templates, from.v[i].value, &b,
                           &error) < 0) {
            log_warn(COMPONENT, "Template of a route label fails", L_STR("err", error));
            buf_reset(&b);
        }
        v[i] = (Label){from.v[i].name, arena_str(d->arena, buf_str(&b))};
    }
    d->route_labels = (Labels){v, from.n};
}

/* The alerts this integration shows: resolved ones only if it wants them, at most max_alerts. */
static int delivery_build(Delivery *d, const char *reason, Str *ret_error) {
    Flush *f = d->flush;
    StoredAlerts shown = {0};
    for (size_t i = 0; i < f->alerts.n; i++) {
        if (d->hook->send_resolved || !stored_alert_resolved(f->alerts.v[i], f->now_ms)) {
            vec_push(&shown, f->alerts.v[i]);
        }
    }
    uint64_t max = d->hook->max_alerts, truncated = max && shown.n > max ? shown.n - max : 0;
    d->data = (AmData){.arena = &f->arena,
                       .receiver = quote_meta(&f->arena, f->group->receiver->name),
                       .external_url = f->group->dispatcher->o.external_url,
                       .reason = str_of(reason),
                       .group_labels = f->group->labels};
    am_data_fill(&d->data, shown.v, shown.n - (size_t)truncated, f->now_ms);
    expand_route_labels(f, &d->data);
    d->body = BUF_INIT(BODY_BYTES_MAX);
    am_data_payload(&d->data, f->group->key, truncated, &d->body);
    vec_free(&shown);
    if (d->body.failed) {
        *ret_error = STR("notification is too large");
        return -EFBIG;
    }
    return 0;
}

static void delivery_start(Delivery *d) {
    Flush *f = d->flush;
    Dispatcher *dp = f->group->dispatcher;
    const char *reason = nflog_reason(
        nflog_get(&dp->log, d->log_key), f->firing_hashes, f->n_firing, f->resolved_hashes,
        f->n_resolved, d->hook->send_resolved, f->now_ms, f->group->route->repeat_interval_ms);
    if (!reason) {
        delivery_through(d, true);
        return;
    }
    if (!d->hook->send_resolved && !f->n_firing) {
        delivery_log(d);
        delivery_through(d, true);
        return;
    }
    Str error = STR("");
    metric_inc(counter("alertmanager_notifications_total",
                       "The total number of attempted notifications."));
    if (delivery_build(d, reason, &error) < 0) {
        delivery_failed_str(d, error);
        return;
    }
    delivery_attempt(d);
}

/* ---- the flush */

static int u64_cmp(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void collect_alerts(Flush *f) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&f->group->alerts, &i));) {
        vec_push(&f->alerts, stored_alert_ref(e->value));
    }
    qsort(f->alerts.v, f->alerts.n, sizeof(*f->alerts.v), stored_alert_cmp);
    f->firing_hashes = mem_calloc(f->alerts.n, sizeof(uint64_t));
    f->resolved_hashes = mem_calloc(f->alerts.n, sizeof(uint64_t));
    for (size_t i = 0; i < f->alerts.n; i++) {
        StoredAlert *a = f->alerts.v[i];
        if (stored_alert_resolved(a, f->now_ms)) {
            f->resolved_hashes[f->n_resolved++] = a->hash;
            vec_push(&f->resolved, a);
        } else {
            f->firing_hashes[f->n_firing++] = a->hash;
        }
    }
    qsort(f->firing_hashes, f->n_firing, sizeof(uint64_t), u64_cmp);
    qsort(f->resolved_hashes, f->n_resolved, sizeof(uint64_t), u64_cmp);
}

Str flush_log_key(const Group *g, size_t webhook, Arena *a) {
    return arena_printf(a, "%.*s:%.*s/webhook/%zu", SA(g->key), SA(g->receiver->name), webhook);
}

Flush *flush_start(Group *g, int64_t now_ms) {
    Flush *f = NEW(Flush);
    f->group = g;
    f->now_ms = now_ms;
    f->deadline_ms = now_ms + MAX(g->route->group_interval_ms, FLUSH_TIMEOUT_MIN_MS);
    collect_alerts(f);
    f->n = f->left = g->receiver->n_webhooks;
    f->deliveries = NEW_ARRAY(Delivery, f->n + 1);
    g->flush = f;
    f->starting = true;
    for (size_t i = 0; i < f->n; i++) {
        Delivery *d = &f->deliveries[i];
        d->flush = f;
        d->hook = &g->receiver->webhooks[i];
        d->log_key = flush_log_key(g, i, &f->arena);
        delivery_start(d);
    }
    f->starting = false;
    if (!f->left) {
        flush_finish(f);
        return NULL;
    }
    return f;
}

void flush_cancel(Flush *f) {
    for (size_t i = 0; i < f->n; i++) {
        Delivery *d = &f->deliveries[i];
        if (d->call) {
            f->group->dispatcher->o.transport.cancel(d->call);
        }
    }
    f->group->flush = NULL;
    flush_free(f);
}
