#include "promql/engine/slow_queries.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

Str query_text_cut(Str text) {
    if (text.n <= QUERY_TEXT_MAX)
        return text;
    size_t n = QUERY_TEXT_MAX;
    while (n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return str_upto(text, n);
}

static void slow_free(SlowQuery *q) {
    mem_free(q->text);
    mem_free(q->last_error);
}

void slow_queries_deinit(SlowQueries *s) {
    for (size_t i = 0; i < s->n; i++)
        slow_free(&s->v[i]);
    s->n = 0;
}

static SlowQuery *find(SlowQueries *s, uint64_t hash, const SlowQueryRun *run) {
    for (size_t i = 0; i < s->n; i++) {
        SlowQuery *q = &s->v[i];
        if (q->hash == hash && q->source == run->source &&
            str_eqc(query_text_cut(run->text), q->text))
            return q;
    }
    return NULL;
}

/* A free place, or that of the query with the least time. */
static SlowQuery *make_room(SlowQueries *s) {
    if (s->n < SLOW_QUERIES_KEPT)
        return &s->v[s->n++];
    SlowQuery *least = &s->v[0];
    for (size_t i = 1; i < s->n; i++)
        if (s->v[i].total_s < least->total_s)
            least = &s->v[i];
    slow_free(least);
    return least;
}

void slow_queries_add(SlowQueries *s, const SlowQueryRun *run) {
    uint64_t hash = hash_str(run->text) + run->source;
    SlowQuery *q = find(s, hash, run);
    if (!q) {
        q = make_room(s);
        *q = (SlowQuery){
            .hash = hash, .text = str_dup(query_text_cut(run->text)), .source = run->source};
    }
    q->count++;
    q->samples += run->samples;
    q->total_s += run->seconds;
    q->max_s = MAX(q->max_s, run->seconds);
    q->last_start_ms = run->start_ms;
    if (run->error) {
        mem_free(q->last_error);
        q->last_error = mem_strdup(run->error);
    }
}

static int worse_first(const void *a, const void *b) {
    const SlowQuery *const *x = a, *const *y = b;
    return ((*x)->total_s < (*y)->total_s) - ((*x)->total_s > (*y)->total_s);
}

size_t slow_queries_list(const SlowQueries *s, Arena *a, size_t max, PromqlSlowQuery **ret) {
    const SlowQuery *order[SLOW_QUERIES_KEPT];
    for (size_t i = 0; i < s->n; i++)
        order[i] = &s->v[i];
    if (s->n)
        qsort(order, s->n, sizeof(*order), worse_first);
    size_t n = MIN(max, s->n);
    PromqlSlowQuery *v = ARENA_ARRAY(a, PromqlSlowQuery, n + 1);
    for (size_t i = 0; v && i < n; i++) {
        const SlowQuery *q = order[i];
        v[i] = (PromqlSlowQuery){.query = arena_str(a, str_of(q->text)),
                                 .last_error = arena_str(a, str_of(q->last_error)),
                                 .source = q->source,
                                 .count = q->count,
                                 .samples = q->samples,
                                 .total_s = q->total_s,
                                 .max_s = q->max_s,
                                 .last_start_ms = q->last_start_ms};
    }
    *ret = v;
    return v ? n : 0;
}
