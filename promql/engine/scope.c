#include "promql/engine/eval.h"

#include "base/clock.h"
#include "base/mem.h"

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

static int bytes_exceeded(Eval *ev) {
    return eval_fail(ev, PROMQL_EXECUTION,
                     "query needs more than %llu bytes of memory: its byte budget is exceeded "
                     "(--query.max-memory-per-query raises it)",
                     (unsigned long long)ev->bytes->max);
}

void *scope_alloc(Scope *s, size_t n, size_t size) {
    Eval *ev = s->ev;
    size_t total, before = s->arena.used;
    uint64_t used = budget_used(ev->bytes),
             left = ev->bytes->max > used ? ev->bytes->max - used : 0;
    /* A ceiling of 0 would mean none. */
    s->arena.max = before + left + !(before + left);
    void *p = __builtin_mul_overflow(n, size, &total) ? NULL : arena_alloc(&s->arena, total);
    budget_count(ev->bytes, before, s->arena.used);
    if (!p)
        (void)bytes_exceeded(ev); /* the caller passes NULL on as failure */
    return p;
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
    if (ev->cancel && atomic_load_explicit(ev->cancel, memory_order_relaxed))
        return eval_fail(ev, PROMQL_CANCELED, "query was canceled in expression evaluation");
    if (clock_mono_ns() >= ev->deadline_ns)
        return eval_fail(ev, PROMQL_TIMEOUT, "query timed out in expression evaluation");
    return 0;
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
