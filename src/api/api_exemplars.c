/* /query_exemplars: the exemplars of the series that a query selects, on a query worker. */
#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/params.h"
#include "api/reply.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 30)

typedef struct ExemplarJob {
    Api *api;
    HttpExchange *x;
    int64_t start, end;
} ExemplarJob;

static void add_exemplar(JsonWriter *w, const Exemplar *e) {
    json_begin_object(w);
    json_field_labels(w, "labels", e->labels);
    json_key(w, STR("value"));
    json_add_sample_value(w, e->value);
    json_key(w, STR("timestamp"));
    json_add_time(w, e->t);
    json_end_object(w);
}

static void answer(HttpExchange *x, const SeriesExemplarsVec *rows) {
    Reply r;
    reply_begin(&r, x);
    JsonWriter w = JSON_WRITER(&r.b);
    json_begin_array(&w);
    for (size_t i = 0; i < rows->n && reply_room(&r); i++) {
        json_begin_object(&w);
        json_field_labels(&w, "seriesLabels", rows->v[i].labels);
        json_key(&w, STR("exemplars"));
        json_begin_array(&w);
        for (size_t k = 0; k < rows->v[i].n; k++) {
            add_exemplar(&w, &rows->v[i].v[k]);
        }
        json_end_array(&w);
        json_end_object(&w);
    }
    json_end_array(&w);
    reply_end(&r, NULL, 0, NULL, 0);
}

/* A query that selects nothing gets 204, as in Prometheus. */
static void select_exemplars(void *arg, const Selector *lists, size_t n) {
    ExemplarJob *job = arg;
    Storage *s = job->api->storage;
    Arena arena = ARENA_INIT(ANSWER_BYTES_MAX);
    SeriesExemplarsVec rows = {0};
    int r = 0;
    if (n == 0) {
        reply_no_content(job->x);
        return;
    }
    if (s->ops->exemplars) {
        r = s->ops->exemplars(s, lists, n, job->start, job->end, &arena, &rows);
    }
    if (r < 0) {
        reply_error(job->x, API_EXECUTION, "reading exemplars: %s", strerror(-r));
    } else {
        answer(job->x, &rows);
    }
    vec_free(&rows);
    arena_deinit(&arena);
}

static void run_exemplars(void *arg) {
    ExemplarJob *job = arg;
    Problem p = {0};
    HttpExchange *x = job->x;
    if (promql_with_selectors(job->api->engine, http_param(x, "query"), select_exemplars, job, &p) <
        0) {
        reply_parse_error(x, "query", &p);
    }
}

void api_query_exemplars(HttpExchange *x, void *arg) {
    ExemplarJob *job = ARENA_NEW(&x->arena, ExemplarJob);
    *job = (ExemplarJob){.api = arg, .x = x};
    if (!param_time(x, "start", TIME_MIN_MS, &job->start) ||
        !param_time(x, "end", TIME_MAX_MS, &job->end)) {
        return;
    }
    if (job->end < job->start) {
        reply_error(x, API_BAD_DATA,
                    "invalid parameter \"end\": end timestamp must not be before start timestamp");
        return;
    }
    work_submit(job->api->queries, run_exemplars, NULL, job);
}
