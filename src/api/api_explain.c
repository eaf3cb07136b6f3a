/* /query_explain: a query is executed and measured; the answer is what its nodes cost. */
#include "api/handlers.h"
#include "api/json_fields.h"
#include "api/params.h"
#include "api/query_json.h"
#include "api/reply.h"
#include "base/clock.h"

typedef struct ExplainJob {
    Api *api;
    HttpExchange *x;
    PromqlRequest request;
    PromqlOrigin origin;
} ExplainJob;

static void field_uint(JsonWriter *w, const char *key, uint64_t v) {
    json_key(w, str_of(key));
    json_add_uint(w, v);
}

static void field_ms(JsonWriter *w, const char *key, double ms) {
    json_key(w, str_of(key));
    json_add_double(w, ms);
}

static void add_node(JsonWriter *w, const PromqlPlanNode *n) {
    json_begin_object(w);
    json_field_text(w, "op", str_of(n->op));
    json_field_text(w, "label", n->label);
    json_field_text(w, "expr", n->expr);
    field_uint(w, "start", n->start);
    field_uint(w, "end", n->end);
    field_uint(w, "series", n->series);
    field_uint(w, "samples", n->samples);
    field_ms(w, "timeMs", n->time_ms);
    field_ms(w, "selfMs", n->self_ms);
    json_key(w, STR("notes"));
    json_begin_array(w);
    for (size_t i = 0; i < n->n_notes; i++) {
        json_add_str(w, n->notes[i]);
    }
    json_end_array(w);
    json_key(w, STR("children"));
    json_begin_array(w);
    for (size_t i = 0; i < n->n_children; i++) {
        add_node(w, n->children[i]);
    }
    json_end_array(w);
    json_end_object(w);
}

static void add_totals(JsonWriter *w, const PromqlResult *q, const PromqlRequest *r) {
    uint64_t steps = r->step_ms ? (uint64_t)((r->end_ms - r->start_ms) / r->step_ms) + 1 : 1;
    json_key(w, STR("totals"));
    json_begin_object(w);
    field_uint(w, "series", q->n_series);
    field_uint(w, "samples", q->stats.samples_read);
    field_uint(w, "steps", steps);
    field_uint(w, "peakBytes", q->stats.peak_bytes);
    field_ms(w, "timeMs", q->stats.exec_total_s * 1000);
    field_ms(w, "planMs", q->stats.preparation_s * 1000);
    json_end_object(w);
}

static void add_explained(Buf *b, const ExplainJob *job, const PromqlResult *q) {
    JsonWriter w = JSON_WRITER(b);
    Problem p = {0};
    CLEANUP(buf_deinit) Buf text = BUF_INIT(16 << 20);
    if (promql_format(job->api->engine, job->request.query, &text, &p) < 0) {
        buf_reset(&text);
        buf_add_str(&text, job->request.query);
    }
    json_begin_object(&w);
    json_field_text(&w, "query", buf_str(&text));
    json_field_text(&w, "resultType", str_of(query_json_type(q->type)));
    add_totals(&w, q, &job->request);
    json_key(&w, STR("plan"));
    add_node(&w, q->plan);
    json_end_object(&w);
}

static void run_explain(void *entry) {
    ExplainJob *job = promql_query_begin(entry);
    if (!job) {
        return;
    }
    PromqlResult *q = promql_exec(job->api->engine, job->api->storage, &job->request);
    if (q->outcome != PROMQL_OK) {
        query_reply_error(job->x, q->outcome, q->error);
    } else {
        Reply r;
        reply_begin(&r, job->x);
        add_explained(&r.b, job, q);
        reply_end(&r, q->warnings, q->n_warnings, q->infos, q->n_infos);
    }
    promql_result_free(q);
}

static void explain_refused(void *arg, PromqlOutcome outcome, const char *error) {
    query_reply_error(((ExplainJob *)arg)->x, outcome, error);
}

/* A range with start, else an instant. */
void api_query_explain(HttpExchange *x, void *arg) {
    Api *api = arg;
    ExplainJob *job = ARENA_NEW(&x->arena, ExplainJob);
    PromqlRequest *q = &job->request;
    bool is_range = http_param(x, "start").n > 0;
    job->api = api;
    job->x = x;
    job->origin = api_origin(PROMQL_SOURCE_API, x);
    *q = (PromqlRequest){.query = http_param(x, "query"),
                         .cancel = &x->gone,
                         .origin = &job->origin,
                         .explain = true};
    if (is_range ? !query_range_params(x, q)
                 : !param_time(x, "time", clock_wall_ms(), &q->start_ms)) {
        return;
    }
    if (!is_range) {
        q->end_ms = q->start_ms;
    }
    if (query_option_params(x, q)) {
        q->entry = promql_query_enter(api->engine, q, explain_refused, job);
        work_submit(api->queries, run_explain, NULL, q->entry);
    }
}
