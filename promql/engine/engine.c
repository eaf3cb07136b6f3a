/*
 * A query from text to answer: parse, plan, open what it reads, evaluate, copy the answer into
 * memory of its own.
 */
#include "promql/engine/crew.h"
#include "promql/engine/eval.h"
#include "promql/engine/profile.h"
#include "promql/engine/query.h"
#include "promql/engine/share.h"

#include "base/clock.h"
#include "base/mem.h"

#define LOOKBACK_MS_DEFAULT (5 * MINUTE_MS)
#define TIMEOUT_MS_DEFAULT (2 * MINUTE_MS)
#define SAMPLES_MAX_DEFAULT UINT64_C(50000000)
#define QUERY_BYTES_DEFAULT ((uint64_t)4 << 30)
#define SUBQUERY_STEP_MS_DEFAULT MINUTE_MS
/* Waking a helper costs about as much as some ten thousand samples. */
#define SPLIT_WORK_MIN_DEFAULT 40000
#define STEPS_MAX ((int64_t)1 << 31)

struct PromqlEngine {
    PromqlOptions o; /* immutable but for: */
    _Atomic int64_t subquery_step_ms;
    Crew crew;
    QueryList queries;
};

PromqlEngine *promql_engine_new(const PromqlOptions *o) {
    PromqlEngine *e = NEW(PromqlEngine);
    if (o)
        e->o = *o;
    if (!e->o.lookback_ms)
        e->o.lookback_ms = LOOKBACK_MS_DEFAULT;
    if (!e->o.timeout_ms)
        e->o.timeout_ms = TIMEOUT_MS_DEFAULT;
    if (!e->o.samples_max)
        e->o.samples_max = SAMPLES_MAX_DEFAULT;
    if (!e->o.query_bytes_max)
        e->o.query_bytes_max = QUERY_BYTES_DEFAULT;
    if (!e->o.split_work_min)
        e->o.split_work_min = SPLIT_WORK_MIN_DEFAULT;
    promql_engine_set_subquery_step(e, e->o.subquery_step_ms);
    crew_init(&e->crew, e->o.threads);
    query_list_init(&e->queries, e->o.total_bytes_max);
    return e;
}

void promql_engine_free(PromqlEngine *e) {
    if (!e)
        return;
    crew_deinit(&e->crew);
    query_list_deinit(&e->queries);
    mem_free(e);
}

void promql_engine_set_subquery_step(PromqlEngine *e, int64_t step_ms) {
    atomic_store(&e->subquery_step_ms, step_ms > 0 ? step_ms : SUBQUERY_STEP_MS_DEFAULT);
}

const PromqlOptions *promql_engine_options(const PromqlEngine *e) { return &e->o; }

/* An answer and what it holds of the memory that all queries share. */
typedef struct Answer {
    PromqlResult result;
    QueryList *list;
    uint64_t granted;
} Answer;

typedef struct Run {
    Eval ev;
    PromqlResult *result;
    const PromqlRequest *request;
    Arena tree;
    Node *root;
    StatsFrame stats;
    Budget bytes;
    PromqlQuery *entry;
} Run;

static double seconds_since(int64_t t) { return (double)(clock_mono_ns() - t) / 1e9; }

/* ---- answers: copied out of the query's memory */

static Labels answer_labels(Run *q, Labels l) {
    Arena *a = &q->result->arena;
    Label *v = ARENA_ARRAY(a, Label, l.n + 1);
    if (!v)
        return LABELS_EMPTY;
    for (size_t i = 0; i < l.n; i++)
        v[i] = (Label){arena_str(a, l.v[i].name), arena_str(a, l.v[i].value)};
    return (Labels){v, l.n};
}

/* Histograms go through a scope, so the answer's arena takes its place. */
static const FloatHistogram *answer_histogram(Run *q, const FloatHistogram *h) {
    Arena *a = &q->result->arena;
    FloatHistogram *c = arena_dup(a, h, sizeof(*h));
    if (!c)
        return NULL;
    c->positive_spans = arena_dup(a, h->positive_spans, h->n_positive_spans * sizeof(BucketSpan));
    c->negative_spans = arena_dup(a, h->negative_spans, h->n_negative_spans * sizeof(BucketSpan));
    c->positive = arena_dup(a, h->positive, h->n_positive * sizeof(double));
    c->negative = arena_dup(a, h->negative, h->n_negative * sizeof(double));
    c->custom_values = arena_dup(a, h->custom_values, h->n_custom * sizeof(double));
    return c;
}

/* After each part of the answer: its bytes count like those of the evaluation. */
static int answer_full(Run *q) {
    if (q->result->arena.failed)
        return eval_bytes_exceeded(&q->ev);
    return eval_bytes_beside(&q->ev, q->result->arena.used);
}

typedef struct AnswerSink {
    Sink sink;
    Run *run;
    VEC(PromqlSeries) list;
    bool instant;
} AnswerSink;

static int fill_points(Run *q, PromqlSeries *s, const Column *c) {
    Arena *a = &q->result->arena;
    size_t n = column_count(c), nh = 0;
    if (c->h)
        for (size_t i = 0; i < c->n; i++)
            nh += c->kind[i] == CELL_HISTOGRAM;
    int64_t *t = ARENA_ARRAY(a, int64_t, n - nh + 1), *ht = ARENA_ARRAY(a, int64_t, nh + 1);
    double *v = ARENA_ARRAY(a, double, n - nh + 1);
    const FloatHistogram **h = ARENA_ARRAY(a, const FloatHistogram *, nh + 1);
    if (!t || !ht || !v || !h)
        return answer_full(q);
    s->float_t = t;
    s->floats = v;
    s->histogram_t = ht;
    s->histograms = h;
    for (size_t i = 0; i < c->n; i++) {
        int64_t at = grid_time(&q->ev.grid, i);
        if (c->kind[i] == CELL_FLOAT) {
            t[s->n_floats] = at;
            v[s->n_floats++] = c->v[i];
        } else if (c->kind[i] == CELL_HISTOGRAM) {
            ht[s->n_histograms] = at;
            h[s->n_histograms++] = answer_histogram(q, c->h[i]);
        }
    }
    return answer_full(q);
}

static int answer_push(Sink *sink, Column *c) {
    AnswerSink *k = (AnswerSink *)sink;
    Run *q = k->run;
    PromqlSeries s = {0};
    s.labels = answer_labels(q, c->labels);
    int r = fill_points(q, &s, c);
    vec_push(&k->list, s);
    return r;
}

/* With delayed removal names go here, which may bring series together. */
typedef struct CleanupSink {
    Collector all;
    Run *run;
} CleanupSink;

static int cleanup_push(Sink *sink, Column *c) {
    CleanupSink *k = (CleanupSink *)sink;
    if (c->drop_name && labels_drop_metadata(&k->run->ev.scope, c->labels, &c->labels) < 0)
        return -EINVAL;
    c->drop_name = false;
    Column *copy = column_copy(k->all.scope, c);
    if (!copy)
        return -EINVAL;
    vec_push(&k->all.columns, copy);
    return 0;
}

static int eval_root_vector(Run *q, Sink *out) {
    Eval *ev = &q->ev;
    if (!ev->o->delayed_name_removal)
        return eval_vector_whole(ev, q->root, &ev->grid, out);
    Scope scope;
    scope_init(&scope, ev);
    CleanupSink k = {.run = q};
    collector_init(&k.all, &scope);
    k.all.sink.push = cleanup_push;
    int r = eval_vector(ev, q->root, &ev->grid, &k.all.sink);
    if (r == 0)
        r = columns_merge(ev, &scope, k.all.columns.v, &k.all.columns.n);
    for (size_t i = 0; i < k.all.columns.n && r == 0; i++)
        r = out->push(out, k.all.columns.v[i]);
    collector_deinit(&k.all);
    scope_deinit(&scope);
    return r;
}

static int series_cmp(const void *a, const void *b) {
    return labels_cmp(((const PromqlSeries *)a)->labels, ((const PromqlSeries *)b)->labels);
}

static void set_series(Run *q, PromqlSeries *v, size_t n, bool sort) {
    int64_t t0 = clock_mono_ns();
    if (n)
        q->result->series = arena_dup(&q->result->arena, v, n * sizeof(*v));
    q->result->n_series = q->result->series ? n : 0;
    if (sort && q->result->n_series)
        qsort((void *)q->result->series, n, sizeof(*v), series_cmp);
    q->result->stats.result_sort_s = seconds_since(t0);
}

static int answer_vector(Run *q) {
    AnswerSink k = {.sink = {answer_push}, .run = q, .instant = q->ev.instant};
    int r = eval_root_vector(q, &k.sink);
    q->result->type = q->ev.instant ? PROMQL_VECTOR : PROMQL_MATRIX;
    if (r == 0)
        set_series(q, k.list.v, k.list.n, !q->ev.instant);
    vec_free(&k.list);
    return r < 0 ? r : answer_full(q);
}

static int answer_scalar(Run *q) {
    Eval *ev = &q->ev;
    Arena *a = &q->result->arena;
    size_t n = ev->grid.n;
    double *v = ARENA_ARRAY(a, double, n);
    int64_t *t = ARENA_ARRAY(a, int64_t, n);
    if (!v || !t)
        return answer_full(q);
    int r = eval_scalar(ev, q->root, &ev->grid, v);
    for (size_t i = 0; i < n; i++)
        t[i] = grid_time(&ev->grid, i);
    PromqlSeries s = {.n_floats = n, .floats = v, .float_t = t};
    q->result->type = ev->instant ? PROMQL_SCALAR : PROMQL_MATRIX;
    if (r == 0)
        set_series(q, &s, 1, false);
    return r < 0 ? r : answer_full(q);
}

static int answer_matrix(Run *q) {
    PromqlSeries *v;
    size_t n;
    Arena *a = &q->result->arena;
    int r = eval_matrix(&q->ev, q->root, &q->ev.scope, &v, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        PromqlSeries *s = &v[i];
        s->labels = answer_labels(q, s->labels);
        s->float_t = arena_dup(a, s->float_t, s->n_floats * sizeof(int64_t));
        s->floats = arena_dup(a, s->floats, s->n_floats * sizeof(double));
        s->histogram_t = arena_dup(a, s->histogram_t, s->n_histograms * sizeof(int64_t));
        const FloatHistogram **h = ARENA_ARRAY(a, const FloatHistogram *, s->n_histograms + 1);
        for (size_t k = 0; h && k < s->n_histograms; k++)
            h[k] = answer_histogram(q, s->histograms[k]);
        s->histograms = h;
    }
    q->result->type = PROMQL_MATRIX;
    set_series(q, v, n, true);
    return answer_full(q);
}

static int answer(Run *q) {
    switch (q->root->type) {
    case PROMQL_VECTOR: return answer_vector(q);
    case PROMQL_SCALAR: return answer_scalar(q);
    case PROMQL_MATRIX: return answer_matrix(q);
    case PROMQL_STRING:
        q->result->type = PROMQL_STRING;
        q->result->string = arena_str(&q->result->arena, node_string(q->root));
        return 0;
    default: return eval_fail(&q->ev, PROMQL_INTERNAL, "query without a type");
    }
}

/* ---- the way there */

static int parse_query(Run *q) {
    Problem problem = {0};
    if (promql_parse(q->ev.o, q->request->query, &q->tree, &q->root, &problem) == 0)
        return 0;
    return problem.line ? eval_fail(&q->ev, PROMQL_BAD_DATA, "%d:%d: parse error: %s", problem.line,
                                    problem.column, problem.text)
                        : eval_fail(&q->ev, PROMQL_BAD_DATA, "unknown position: parse error: %s",
                                    problem.text);
}

static int check_type(Run *q) {
    PromqlType t = q->root->type;
    if (q->ev.instant || t == PROMQL_VECTOR || t == PROMQL_SCALAR)
        return 0;
    return eval_fail(&q->ev, PROMQL_BAD_DATA,
                     "invalid expression type %s%s%s for range query, must be Scalar or instant "
                     "Vector",
                     "\"", promql_type_text(t), "\"");
}

static int evaluate(Run *q) {
    int64_t t0 = clock_mono_ns();
    PromqlStats *s = &q->result->stats;
    int r = parse_query(q);
    if (r < 0 || (r = check_type(q)) < 0 || (r = plan_tree(&q->ev, &q->tree, &q->root)) < 0 ||
        (r = selections_open(&q->ev, q->root)) < 0)
        return r;
    q->ev.shares = shares_find(&q->ev, q->root);
    s->preparation_s = seconds_since(t0);
    if (q->request->explain)
        q->ev.profile = profile_new(q->root);
    t0 = clock_mono_ns();
    r = answer(q);
    s->inner_eval_s = seconds_since(t0);
    if (r == 0 && q->ev.profile)
        q->result->plan =
            profile_plan(q->ev.profile, q->root, q->request->query, &q->result->arena);
    return r < 0 ? r : answer_full(q);
}

static void init_times(Run *q, const PromqlEngine *e) {
    const PromqlRequest *r = q->request;
    Eval *ev = &q->ev;
    ev->instant = r->step_ms <= 0;
    ev->end_ms = ev->instant ? r->start_ms : r->end_ms;
    ev->grid = (Grid){r->start_ms, ev->instant ? 1 : r->step_ms, 1};
    if (!ev->instant)
        ev->grid.n =
            r->end_ms < r->start_ms ? 0 : (size_t)((r->end_ms - r->start_ms) / r->step_ms) + 1;
    ev->lookback_ms = r->lookback_ms ? r->lookback_ms : e->o.lookback_ms;
    ev->subquery_step_ms = atomic_load(&((PromqlEngine *)e)->subquery_step_ms);
}

static int init_stats(Run *q) {
    size_t n = q->ev.grid.n;
    PromqlStats *s = &q->result->stats;
    q->ev.stats = &q->stats;
    if (!q->request->per_step_stats || !q->ev.o->per_step_stats)
        return 0;
    q->stats.per_step = ARENA_ARRAY(&q->result->arena, uint64_t, n + 1);
    s->per_step = q->stats.per_step;
    s->n_steps = n;
    return answer_full(q);
}

static void finish_annotations(Run *q) {
    PromqlResult *res = q->result;
    const Annotations *a = &q->ev.annotations;
    const StrVec *storage = &q->ev.warnings.list;
    Str *warnings = ARENA_ARRAY(&res->arena, Str, a->list.n + storage->n + 1);
    Str *infos = ARENA_ARRAY(&res->arena, Str, a->list.n + 1);
    if (!warnings || !infos)
        return;
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    for (size_t i = 0; i < storage->n; i++)
        warnings[res->n_warnings++] = arena_str(&res->arena, storage->v[i]);
    for (size_t i = 0; i < a->list.n; i++) {
        buf_reset(&b);
        annotation_format(a->list.v[i], q->request->query, &b);
        Str text = arena_str(&res->arena, buf_str(&b));
        if (a->list.v[i]->kind == ANNOTATION_WARNING)
            warnings[res->n_warnings++] = text;
        else
            infos[res->n_infos++] = text;
    }
    res->warnings = warnings;
    res->infos = infos;
}

static void finish(Run *q, int r, int64_t started) {
    Eval *ev = &q->ev;
    PromqlResult *res = q->result;
    res->arena.max = 0; /* texts are small and must come through */
    res->arena.failed = false;
    if (r < 0) {
        res->outcome = ev->error ? ev->outcome : PROMQL_INTERNAL;
        res->error = arena_cstr(&res->arena, str_of(ev->error ? ev->error : "unexpected failure"));
        res->series = NULL;
        res->n_series = 0;
        res->type = PROMQL_NONE;
    }
    finish_annotations(q);
    res->stats.total_samples = q->stats.total;
    res->stats.samples_read = q->stats.read;
    res->stats.peak_samples = ev->samples_peak;
    res->stats.peak_bytes = atomic_load(&q->bytes.peak);
    res->stats.eval_total_s = res->stats.exec_total_s = seconds_since(started);
}

static void init_run(Run *q, PromqlEngine *e, Storage *s) {
    const PromqlRequest *r = q->request;
    Eval *ev = &q->ev;
    q->result->time_ms = r->start_ms;
    q->result->arena = ARENA_INIT(e->o.query_bytes_max);
    ev->o = &e->o;
    ev->query = r->query;
    ev->storage = s;
    ev->entry = q->entry;
    ev->cancel = &q->entry->stop;
    q->bytes.max = e->o.query_bytes_max;
    ev->bytes = &q->bytes;
    ev->crew = &e->crew;
    ev->samples_max = e->o.samples_max;
    ev->warnings.arena = &ev->warnings_arena;
    scope_init(&ev->scope, ev);
    q->tree = ARENA_INIT(e->o.query_bytes_max);
    init_times(q, e);
}

static void deinit_run(Run *q) {
    Eval *ev = &q->ev;
    selections_close(ev);
    profile_free(ev->profile);
    shares_free(ev->shares);
    scope_deinit(&ev->scope);
    if (q->root)
        ast_free_matchers(q->root);
    arena_deinit(&q->tree);
    annotations_deinit(&ev->annotations);
    warnings_free(&ev->warnings);
    arena_deinit(&ev->warnings_arena);
    mem_free(ev->error);
}

static int64_t timeout_of(const PromqlEngine *e, const PromqlRequest *r) {
    return r->timeout_ms > 0 ? MIN(r->timeout_ms, e->o.timeout_ms) : e->o.timeout_ms;
}

/* Of the shared budget an answer keeps its own bytes; the rest goes back. */
static void keep_granted(Answer *a, uint64_t granted) {
    uint64_t keep = MIN(granted, (uint64_t)a->result.arena.used);
    query_give_back(a->list, granted - keep);
    a->granted = keep;
}

PromqlResult *promql_exec(PromqlEngine *e, Storage *s, const PromqlRequest *r) {
    Answer *a = NEW(Answer);
    a->list = &e->queries;
    Run q = {.request = r, .result = &a->result, .entry = r->entry};
    if (!q.entry) {
        q.entry = query_enter(&e->queries, r, timeout_of(e, r), NULL, NULL);
        (void)query_begin(q.entry); /* without `refused` nobody refuses it */
    }
    int64_t started = q.entry->started_ns;
    a->result.stats.queue_s = (double)(started - q.entry->asked_ns) / 1e9;
    init_run(&q, e, s);
    crew_enter(&e->crew);
    int res = init_stats(&q);
    if (res == 0)
        res = evaluate(&q);
    crew_leave(&e->crew);
    finish(&q, res, started);
    deinit_run(&q);
    keep_granted(a, query_leave(q.entry, &a->result));
    return &a->result;
}

void promql_result_free(PromqlResult *r) {
    if (!r)
        return;
    Answer *a = (Answer *)r;
    query_give_back(a->list, a->granted);
    arena_deinit(&r->arena);
    mem_free(a);
}

/* ---- queries under way: the list's */

PromqlQuery *promql_query_enter(PromqlEngine *e, const PromqlRequest *r, PromqlRefusedFn refused,
                                void *arg) {
    return query_enter(&e->queries, r, timeout_of(e, r), refused, arg);
}

void promql_engine_watch(PromqlEngine *e) { query_list_watch(&e->queries); }

void promql_engine_stop(PromqlEngine *e) {
    atomic_store(&e->queries.stopping, true);
    query_list_watch(&e->queries);
}

bool promql_engine_busy(PromqlEngine *e) { return query_list_busy(&e->queries); }

void promql_engine_on_busy(PromqlEngine *e, void (*on_busy)(void *arg), void *arg) {
    e->queries.on_busy = on_busy;
    e->queries.on_busy_arg = arg;
}

bool promql_engine_queries(PromqlEngine *e, Arena *a, PromqlQueryInfo **ret, size_t *ret_n) {
    return query_list_infos(&e->queries, a, ret, ret_n);
}

bool promql_engine_kill(PromqlEngine *e, uint64_t id) { return query_list_kill(&e->queries, id); }

size_t promql_engine_slow_queries(PromqlEngine *e, Arena *a, size_t max, PromqlSlowQuery **ret) {
    return query_list_slow(&e->queries, a, max, ret);
}

int promql_engine_set_log(PromqlEngine *e, Str path, Problem *problem) {
    return query_log_open(&e->queries.log, path, problem);
}

const char *promql_source_text(PromqlSource s) {
    static const char *const texts[] = {[PROMQL_SOURCE_API] = "api",
                                        [PROMQL_SOURCE_RULE] = "rule",
                                        [PROMQL_SOURCE_FEDERATE] = "federate",
                                        [PROMQL_SOURCE_LIVE] = "live"};
    return texts[s];
}
