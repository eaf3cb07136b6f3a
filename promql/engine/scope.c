#include "promql/engine/eval.h"
#include "promql/engine/query.h"

#include "base/mem.h"

/* Asks before it allocates; smaller ones may be counted after. */
#define SCOPE_BIG (UINT64_C(1) << 20)

void scope_init(Scope *s, Eval *ev) { *s = (Scope){.ev = ev}; }

void scope_deinit(Scope *s) {
    if (!s->ev)
        return;
    budget_count(s->ev->bytes, s->arena.used, 0);
    s->arena.max = 0;
    arena_deinit(&s->arena);
}

void scope_reset(Scope *s) {
    uint64_t before = s->arena.used;
    arena_reset(&s->arena);
    budget_count(s->ev->bytes, before, s->arena.used);
}

int eval_bytes_exceeded(Eval *ev) {
    return eval_fail(ev, PROMQL_EXECUTION,
                     "query needs more than %llu bytes of memory: its byte budget is exceeded "
                     "(--query.max-memory-per-query raises it)",
                     (unsigned long long)ev->bytes->max);
}

/* The query holds `bytes` from now on, of its own budget and of that of all queries. */
static int bytes_take(Eval *ev, uint64_t bytes) {
    if (LIKELY(bytes <= atomic_load_explicit(&ev->bytes->granted, memory_order_relaxed)))
        return 0;
    if (bytes > ev->bytes->max)
        return eval_bytes_exceeded(ev);
    if (!query_grow(ev->entry, bytes))
        return eval_fail(ev, PROMQL_EXECUTION,
                         "all queries together need more than %llu bytes of memory: the byte "
                         "budget of all queries is exceeded (--query.max-memory-total raises it)",
                         (unsigned long long)ev->entry->list->bytes_max);
    atomic_store_explicit(&ev->bytes->granted, bytes, memory_order_relaxed);
    return 0;
}

int eval_bytes_beside(Eval *ev, uint64_t bytes) {
    budget_count(ev->bytes, ev->bytes_beside, bytes);
    ev->bytes_beside = bytes;
    return bytes_take(ev, budget_used(ev->bytes));
}

void *scope_alloc(Scope *s, size_t n, size_t size) {
    Eval *ev = s->ev;
    size_t total, before = s->arena.used;
    uint64_t held = budget_used(ev->bytes), max = ev->bytes->max;
    uint64_t left = max > held ? max - held : 0;
    /* A ceiling of 0 would mean none. */
    s->arena.max = before + left + !(before + left);
    if (__builtin_mul_overflow(n, size, &total) ||
        (total > SCOPE_BIG && bytes_take(ev, held + total) < 0)) {
        (void)eval_bytes_exceeded(ev); /* the caller passes NULL on as failure */
        return NULL;
    }
    void *p = arena_alloc(&s->arena, total);
    budget_count(ev->bytes, before, s->arena.used);
    if (!p)
        (void)eval_bytes_exceeded(ev);
    return p && bytes_take(ev, budget_used(ev->bytes)) == 0 ? p : NULL;
}

void *scope_zalloc(Scope *s, size_t n, size_t size) {
    void *p = scope_alloc(s, n, size);
    return p ? memset(p, 0, n * size) : NULL;
}

Str scope_str(Scope *s, Str text) {
    char *p = scope_alloc(s, text.n + 1, 1);
    if (!p)
        return STR_NULL;
    if (text.n)
        memcpy(p, text.p, text.n);
    p[text.n] = 0;
    return (Str){p, text.n};
}

int eval_fail(Eval *ev, PromqlOutcome outcome, const char *fmt, ...) {
    if (ev->error) /* the first cause counts */
        return -EINVAL;
    CLEANUP(buf_deinit) Buf b = BUF_INIT((size_t)1 << 20);
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    ev->outcome = outcome;
    ev->error = str_dup(buf_str(&b));
    return -EINVAL;
}

int eval_check(Eval *ev) {
    switch (ev->is_lane ? query_reason_to_end(ev->entry)
                        : query_look(ev->entry, budget_used(ev->bytes), ev->stats->read)) {
    case PROMQL_OK: return 0;
    case PROMQL_TIMEOUT:
        return eval_fail(ev, PROMQL_TIMEOUT, "query timed out in expression evaluation");
    default:
        return eval_fail(ev, PROMQL_CANCELED, "%s",
                         atomic_load(&ev->entry->killed)
                             ? QUERY_KILLED
                             : "query was canceled in expression evaluation");
    }
}

int eval_tick(Eval *ev, uint64_t work) {
    ev->work += work;
    if (LIKELY(ev->work < TICK_WORK))
        return 0;
    ev->work = 0;
    return eval_check(ev);
}

int eval_samples_add(Eval *ev, uint64_t n) {
    ev->samples_current += n;
    ev->samples_peak = MAX(ev->samples_peak, ev->samples_current);
    if (ev->samples_current > ev->samples_max)
        return eval_fail(
            ev, PROMQL_EXECUTION,
            "query processing would load too many samples into memory in query execution");
    return 0;
}
