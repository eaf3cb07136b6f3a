#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "rules/notify/dispatch.h"

static const char COMPONENT[] = "dispatcher";

/* ---- state file: table "alerts", one record an alert, written when it begins, ends or goes */

static Str state_key(const StoredAlert *a, char dst[8]) {
    memcpy(dst, &a->hash, 8);
    return str_n(dst, 8);
}

static void state_change(Dispatcher *d, const StoredAlert *a, bool put) {
    LmdbTxn *t;
    char key[8];
    if (!d->o.state) {
        return;
    }
    int r = lmdb_begin(d->o.state, true, &t);
    if (r == 0) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(16u << 20);
        if (put) {
            stored_alert_encode(a, &b);
            r = b.failed ? -EFBIG : lmdb_put(t, d->table, state_key(a, key), buf_str(&b));
        } else {
            r = lmdb_del(t, d->table, state_key(a, key));
        }
        if (r < 0) {
            lmdb_abort(t);
        } else {
            r = lmdb_commit(t);
        }
    }
    if (r < 0) {
        log_error(COMPONENT, "State of alerts cannot be stored", L_ERR(r));
    }
}

static void take_alert(Dispatcher *d, StoredAlert *a, bool store);

/* What fired when the last process ended fires until it is heard of again or its time is over. */
static int state_load(Dispatcher *d, int64_t now) {
    LmdbTxn *t;
    int r = lmdb_begin(d->o.state, true, &t);
    if (r < 0) {
        return r;
    }
    LmdbCursor *c = NULL;
    StoredAlerts found = {0};
    r = lmdb_table(t, "alerts", true, &d->table);
    r = r < 0 ? r : lmdb_cursor(t, d->table, &c);
    Str k, v;
    for (int n = r < 0 ? r : lmdb_cursor_seek(c, STR(""), &k, &v); n == 0;
         n = lmdb_cursor_next(c, &k, &v)) {
        StoredAlert *a = stored_alert_decode(v);
        if (a) {
            vec_push(&found, a);
        }
    }
    lmdb_cursor_free(c);
    r = r < 0 ? (lmdb_abort(t), r) : lmdb_commit(t);
    for (size_t i = 0; i < found.n; i++) {
        StoredAlert *a = found.v[i];
        if (!stored_alert_resolved(a, a->updated_at_ms)) {
            a->ends_at_ms = MAX(a->ends_at_ms, now + d->config->resolve_timeout_ms);
        }
        take_alert(d, a, false);
    }
    vec_free(&found);
    return r;
}

/* ---- groups */

static void group_free(Group *g) {
    loop_timer_stop(&g->timer);
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
    loop_timer_after(&g->timer, g->route->group_interval_ms);
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
        loop_timer_at(&g->timer, clock_wall_ms());
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
        g->labels = labels_copy(&g->arena, by);
        g->key = arena_printf(&g->arena, "%.*s:%.*s", SA(r->key), SA(buf_str(&text)));
        g->map_key = arena_str(&g->arena, buf_str(&key));
        *str_map_put(&d->groups, g->map_key, NULL) = g;
        loop_timer_init(&g->timer, d->o.loop, group_due, g);
        loop_timer_after(&g->timer, r->group_wait_ms);
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
        loop_timer_at(&g->timer, now);
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
    if (store && (!old || was != is)) {
        state_change(d, a, true);
    }
    am_route_match(d->config->route, a->labels, insert_into, &(Insert){d, a});
    stored_alert_unref(old);
}

void dispatcher_put(Dispatcher *d, const AlertBatch *b) {
    int64_t now = clock_wall_ms();
    metric_add(metric_counter("alertmanager_alerts_received_total",
                              "The total number of received alerts.", NULL),
               (double)b->n);
    for (size_t i = 0; i < b->n; i++) {
        take_alert(d, stored_alert_new(&b->v[i], now), true);
    }
}

/*
 * Batches from other threads wait in a list of their own, which outlives the dispatcher until the
 * last posted call has run.
 */
typedef struct PutQueue {
    pthread_mutex_t mutex;
    Dispatcher *dispatcher; /* NULL: gone */
    unsigned refs;
} PutQueue;

typedef struct Put {
    PutQueue *queue;
    AlertBatch *batch;
} Put;

static void queue_unref(PutQueue *q) {
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
    if (p->queue->dispatcher) {
        dispatcher_put(p->queue->dispatcher, p->batch);
    }
    alert_batch_unref(p->batch);
    queue_unref(p->queue);
    mem_free(p);
}

static void sink_send(void *arg, AlertBatch *batch) {
    Dispatcher *d = arg;
    Put *p = NEW(Put);
    *p = (Put){d->queue, alert_batch_ref(batch)};
    pthread_mutex_lock(&d->queue->mutex);
    d->queue->refs++;
    pthread_mutex_unlock(&d->queue->mutex);
    loop_post(d->o.loop, put_posted, p);
}

AlertSink dispatcher_sink(Dispatcher *d) { return (AlertSink){sink_send, d}; }

/* ---- maintenance: empty groups, alerts that ended and are in no group, old log entries */

static bool drop_one_group(Dispatcher *d) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->groups, &i));) {
        Group *g = e->value;
        if (!g->alerts.n && !g->flush) {
            (void)str_map_del(&d->groups, g->map_key);
            group_free(g);
            return true;
        }
    }
    return false;
}

static bool drop_one_alert(Dispatcher *d, int64_t now) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->alerts, &i));) {
        StoredAlert *a = e->value;
        if (stored_alert_resolved(a, now) && a->refs == 1) {
            state_change(d, a, false);
            (void)str_map_del(&d->alerts, a->key);
            stored_alert_unref(a);
            return true;
        }
    }
    return false;
}

static void maintain(void *arg) {
    Dispatcher *d = arg;
    int64_t now = clock_wall_ms();
    while (drop_one_group(d)) {
    }
    while (drop_one_alert(d, now)) {
    }
    nflog_clean(&d->log, now);
    metric_set(metric_gauge("alertmanager_dispatcher_aggregation_groups",
                            "Number of active aggregation groups", NULL),
               (double)d->groups.n);
    loop_timer_after(&d->maintenance, MAINTENANCE_MS);
}

size_t dispatcher_group_count(const Dispatcher *d) { return d->groups.n; }

/* ---- configuration */

static int parse_templates(const AmConfig *c, Template *t, Problem *problem) {
    for (size_t i = 0; i < c->n_templates; i++) {
        char *pattern = str_dup(c->templates[i]);
        glob_t found = {0};
        int r = glob(pattern, 0, NULL, &found) == 0 ? 0 : 1;
        mem_free(pattern);
        for (size_t k = 0; r == 0 && k < found.gl_pathc; k++) {
            CLEANUP(buf_deinit) Buf b = BUF_INIT(8u << 20);
            const char *path = found.gl_pathv[k], *slash = strrchr(path, '/');
            problem_set_file(problem, str_of(path));
            r = file_read_whole(path, 8u << 20, &b);
            r = r < 0 ? problem_set(problem, 0, 0, "cannot be read: %s", strerror(-r))
                      : template_parse(t, str_of(slash ? slash + 1 : path), buf_str(&b), problem);
        }
        globfree(&found);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int use_config(Dispatcher *d, AmConfig *c, Problem *problem) {
    Template *t = template_new(&AM_FUNCS, 1, NULL);
    int r = parse_templates(c, t, problem);
    if (r < 0) {
        template_free(t);
        return r;
    }
    template_free(d->templates);
    am_config_free(d->config);
    d->templates = t;
    d->config = c;
    return 0;
}

static void drop_groups(Dispatcher *d) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->groups, &i));) {
        group_free(e->value);
    }
    str_map_deinit(&d->groups);
    d->groups = (StrMap){0};
}

int dispatcher_reload(Dispatcher *d, AmConfig *config, Problem *problem) {
    Template *probe = template_new(&AM_FUNCS, 1, NULL);
    int r = parse_templates(config, probe, problem);
    template_free(probe);
    if (r < 0) {
        return r;
    }
    drop_groups(d); /* they point into the old configuration */
    r = use_config(d, config, problem);
    StrMapEntry *e;
    for (size_t i = 0; r == 0 && (e = str_map_next(&d->alerts, &i));) {
        StoredAlert *a = e->value;
        am_route_match(d->config->route, a->labels, insert_into, &(Insert){d, a});
    }
    return r;
}

/* ---- life */

int dispatcher_new(const DispatcherOptions *o, AmConfig *config, Dispatcher **ret,
                   Problem *problem) {
    Dispatcher *d = NEW(Dispatcher);
    d->o = *o;
    d->external_url = str_dup(o->external_url);
    d->user_agent = str_dup(o->user_agent.n ? o->user_agent : STR("Alertmanager/0.34.0"));
    d->o.external_url = str_of(d->external_url);
    d->o.user_agent = str_of(d->user_agent);
    d->o.retention_ms = o->retention_ms ? o->retention_ms : 120 * HOUR_MS;
    rng_init(&d->rng, loop_is_virtual(o->loop) ? 1 : random_u64());
    d->queue = NEW(PutQueue);
    *d->queue = (PutQueue){.dispatcher = d, .refs = 1};
    pthread_mutex_init(&d->queue->mutex, NULL);
    int64_t now = clock_wall_ms();
    int r = use_config(d, config, problem);
    if (r == 0) {
        r = nflog_open(&d->log, o->state, now);
        r = r < 0 || !o->state ? r : state_load(d, now);
        if (r < 0) {
            d->config = NULL; /* stays the caller's */
            r = problem_set(problem, 0, 0, "state of alerts cannot be read: %s", strerror(-r));
        }
    }
    if (r < 0) {
        dispatcher_free(d);
        return r;
    }
    loop_timer_init(&d->maintenance, o->loop, maintain, d);
    loop_timer_after(&d->maintenance, MAINTENANCE_MS);
    *ret = d;
    return 0;
}

void dispatcher_free(Dispatcher *d) {
    if (!d) {
        return;
    }
    loop_timer_stop(&d->maintenance);
    drop_groups(d);
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&d->alerts, &i));) {
        stored_alert_unref(e->value);
    }
    str_map_deinit(&d->alerts);
    nflog_close(&d->log);
    d->queue->dispatcher = NULL;
    queue_unref(d->queue);
    template_free(d->templates);
    am_config_free(d->config);
    mem_free(d->external_url);
    mem_free(d->user_agent);
    mem_free(d);
}
