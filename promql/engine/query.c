#include "promql/engine/query.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "promql/engine/engine_metrics.h"

/* The shared budget is taken in pieces of this size. */
#define GRANT_BYTES (UINT64_C(1) << 20)
#define TIMEOUT_MS_MAX (100 * 365 * DAY_MS)

void query_list_init(QueryList *l, uint64_t bytes_max) {
    *l = (QueryList){.bytes_max = bytes_max};
    pthread_mutex_init(&l->mutex, NULL);
    query_log_init(&l->log);
}

void query_list_deinit(QueryList *l) {
    query_log_deinit(&l->log);
    slow_queries_deinit(&l->slow);
    pthread_mutex_destroy(&l->mutex);
}

/* ---- entries */

static void list_append(QueryList *l, PromqlQuery *q) {
    q->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = q;
    l->last = q;
}

static void list_remove(QueryList *l, PromqlQuery *q) {
    *(q->prev ? &q->prev->next : &l->first) = q->next;
    *(q->next ? &q->next->prev : &l->last) = q->prev;
    q->prev = q->next = NULL;
}

static void call_watcher(QueryList *l) {
    if (l->on_busy && !atomic_exchange(&l->busy, true))
        l->on_busy(l->on_busy_arg);
}

PromqlQuery *query_enter(QueryList *l, const PromqlRequest *r, int64_t timeout_ms,
                         PromqlRefusedFn refused, void *arg) {
    PromqlQuery *q = NEW(PromqlQuery);
    q->list = l;
    q->request = r;
    q->refused = refused;
    q->arg = arg;
    q->asked_ms = clock_wall_ms();
    q->asked_ns = clock_mono_ns();
    q->deadline_ns = q->asked_ns + MIN(timeout_ms, TIMEOUT_MS_MAX) * 1000000;
    engine_metrics_begin();
    pthread_mutex_lock(&l->mutex);
    q->id = ++l->last_id;
    list_append(l, q);
    l->queued++;
    pthread_mutex_unlock(&l->mutex);
    call_watcher(l);
    return q;
}

bool query_begin(PromqlQuery *q) {
    QueryList *l = q->list;
    pthread_mutex_lock(&l->mutex);
    bool may = q->state == QUERY_QUEUED;
    if (may) {
        q->state = QUERY_RUNNING;
        q->started_ns = clock_mono_ns();
        l->queued--;
        l->running++;
    }
    pthread_mutex_unlock(&l->mutex);
    if (!may)
        mem_free(q);
    return may;
}

static PromqlSource source_of(const PromqlRequest *r) {
    return r->origin ? r->origin->source : PROMQL_SOURCE_API;
}

/* The list's mutex is held. */
static void remember(QueryList *l, const PromqlQuery *q, const PromqlResult *res) {
    slow_queries_add(&l->slow, &(SlowQueryRun){.text = q->request->query,
                                               .source = source_of(q->request),
                                               .start_ms = q->asked_ms,
                                               .seconds = res->stats.exec_total_s,
                                               .samples = atomic_load(&q->samples),
                                               .error = res->error});
}

uint64_t query_leave(PromqlQuery *q, const PromqlResult *res) {
    QueryList *l = q->list;
    engine_metrics_end(&res->stats);
    if (res->outcome != PROMQL_BAD_DATA) /* such a query never was one, as in Prometheus */
        query_log_add(&l->log, q->request, res);
    pthread_mutex_lock(&l->mutex);
    list_remove(l, q);
    l->running--;
    remember(l, q, res);
    pthread_mutex_unlock(&l->mutex);
    uint64_t granted = atomic_load(&q->granted);
    mem_free(q);
    return granted;
}

/* ---- while it runs */

PromqlOutcome query_reason_to_end(const PromqlQuery *q) {
    const atomic_bool *gone = q->request->cancel;
    if (atomic_load_explicit(&q->killed, memory_order_relaxed) ||
        atomic_load_explicit(&q->list->stopping, memory_order_relaxed) ||
        (gone && atomic_load_explicit(gone, memory_order_relaxed)))
        return PROMQL_CANCELED;
    return clock_mono_ns() >= q->deadline_ns ? PROMQL_TIMEOUT : PROMQL_OK;
}

PromqlOutcome query_look(PromqlQuery *q, uint64_t bytes, uint64_t samples) {
    atomic_store_explicit(&q->bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&q->samples, samples, memory_order_relaxed);
    return query_reason_to_end(q);
}

bool query_grow(PromqlQuery *q, uint64_t bytes) {
    QueryList *l = q->list;
    uint64_t have = atomic_load_explicit(&q->granted, memory_order_relaxed);
    if (bytes <= have || !l->bytes_max)
        return true;
    uint64_t more = (bytes - have + GRANT_BYTES - 1) / GRANT_BYTES * GRANT_BYTES;
    if (atomic_fetch_add(&l->bytes, more) + more > l->bytes_max) {
        atomic_fetch_sub(&l->bytes, more);
        return false;
    }
    atomic_fetch_add(&q->granted, more);
    return true;
}

void query_give_back(QueryList *l, uint64_t bytes) { atomic_fetch_sub(&l->bytes, bytes); }

const atomic_bool *promql_query_stop(const PromqlQuery *q) { return &q->stop; }

PromqlOutcome promql_query_look(PromqlQuery *q, uint64_t bytes, uint64_t samples) {
    return query_look(q, bytes, samples);
}

void *promql_query_begin(PromqlQuery *q) {
    void *arg = q->arg;
    return query_begin(q) ? arg : NULL;
}

void promql_query_end(PromqlQuery *q, const char *error) {
    QueryList *l = q->list;
    int64_t now = clock_mono_ns();
    PromqlResult res = {.error = error};
    res.stats.queue_s = (double)(q->started_ns - q->asked_ns) / 1e9;
    res.stats.exec_total_s = res.stats.inner_eval_s = (double)(now - q->started_ns) / 1e9;
    res.stats.total_samples = atomic_load(&q->samples);
    query_give_back(l, query_leave(q, &res));
}

/* ---- from outside */

/* What is known of a refused query once the lock is gone: its entry belongs to who begins it. */
typedef struct Refusal {
    PromqlRefusedFn refused;
    void *arg;
    const PromqlRequest *request;
    PromqlOutcome outcome;
    double queue_s;
    bool killed;
} Refusal;
typedef VEC(Refusal) Refusals;

static Refusal take_out(QueryList *l, PromqlQuery *q, PromqlOutcome why) {
    q->state = QUERY_REFUSED;
    l->queued--;
    list_remove(l, q);
    return (Refusal){.refused = q->refused,
                     .arg = q->arg,
                     .request = q->request,
                     .outcome = why,
                     .queue_s = (double)(clock_mono_ns() - q->asked_ns) / 1e9,
                     .killed = atomic_load(&q->killed)};
}

static void refuse(QueryList *l, const Refusal *f) {
    PromqlResult res = {.outcome = f->outcome};
    res.stats.queue_s = f->queue_s;
    res.error = f->killed                      ? QUERY_KILLED
                : f->outcome == PROMQL_TIMEOUT ? "query timed out in query queue"
                                               : "query was canceled in query queue";
    engine_metrics_end(&res.stats);
    query_log_add(&l->log, f->request, &res);
    f->refused(f->arg, f->outcome, res.error);
}

/* Those that wait and have a reason to end leave the list; those that run are told. */
void query_list_watch(QueryList *l) {
    Refusals out = {0};
    pthread_mutex_lock(&l->mutex);
    for (PromqlQuery *q = l->first, *next; q; q = next) {
        next = q->next;
        PromqlOutcome why = query_reason_to_end(q);
        if (why == PROMQL_OK)
            continue;
        atomic_store_explicit(&q->stop, true, memory_order_relaxed);
        if (q->state == QUERY_QUEUED && q->refused)
            vec_push(&out, take_out(l, q, why));
    }
    pthread_mutex_unlock(&l->mutex);
    for (size_t i = 0; i < out.n; i++)
        refuse(l, &out.v[i]);
    vec_free(&out);
}

/* The flag goes down before the look: an entry made in between raises it again. */
bool query_list_busy(QueryList *l) {
    atomic_store(&l->busy, false);
    pthread_mutex_lock(&l->mutex);
    bool any = l->first != NULL;
    pthread_mutex_unlock(&l->mutex);
    if (any)
        atomic_store(&l->busy, true);
    return any;
}

bool query_list_kill(QueryList *l, uint64_t id) {
    bool found = false;
    pthread_mutex_lock(&l->mutex);
    for (PromqlQuery *q = l->first; q && !found; q = q->next) {
        found = q->id == id;
        if (found) {
            atomic_store(&q->killed, true);
            atomic_store(&q->stop, true);
        }
    }
    pthread_mutex_unlock(&l->mutex);
    return found;
}

static PromqlQueryInfo info_of(const PromqlQuery *q, Arena *a) {
    const PromqlRequest *r = q->request;
    return (PromqlQueryInfo){
        .id = q->id,
        .query = arena_str(a, query_text_cut(r->query)),
        .client = r->origin ? arena_str(a, r->origin->client) : STR_NULL,
        .source = source_of(r),
        .running = q->state == QUERY_RUNNING,
        .start_ms = q->asked_ms,
        .seconds = (double)(clock_mono_ns() - q->asked_ns) / 1e9,
        .samples = atomic_load_explicit(&q->samples, memory_order_relaxed),
        .bytes = atomic_load_explicit(&q->bytes, memory_order_relaxed),
        .range_start_ms = r->start_ms,
        .range_end_ms = r->step_ms > 0 ? r->end_ms : r->start_ms,
        .step_ms = r->step_ms,
    };
}

bool query_list_infos(QueryList *l, Arena *a, PromqlQueryInfo **ret, size_t *ret_n) {
    size_t n = 0;
    pthread_mutex_lock(&l->mutex);
    PromqlQueryInfo *v = ARENA_ARRAY(a, PromqlQueryInfo, l->queued + l->running + 1);
    for (const PromqlQuery *q = l->first; q && v; q = q->next)
        v[n++] = info_of(q, a);
    pthread_mutex_unlock(&l->mutex);
    *ret = v;
    *ret_n = v ? n : 0;
    return !a->failed;
}

size_t query_list_slow(QueryList *l, Arena *a, size_t max, PromqlSlowQuery **ret) {
    pthread_mutex_lock(&l->mutex);
    size_t n = slow_queries_list(&l->slow, a, max, ret);
    pthread_mutex_unlock(&l->mutex);
    return n;
}
