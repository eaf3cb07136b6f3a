/* /query, /query_range and what belongs to them: evaluation on a query worker, the result streamed
 * as JSON. */
#include "api/handlers.h"
#include "api/params.h"
#include "api/query_json.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/numtext.h"
#include "format/json.h"

#define POINTS_MAX 11000

typedef struct QueryJob {
    Api *api;
    HttpExchange *x;
    PromqlRequest request;
    PromqlOrigin origin;
    uint64_t limit;
    bool stats, per_step, odd_stats;
} QueryJob;

static void add_point(Buf *b, int64_t t, double v) {
    buf_add_char(b, '[');
    time_format_seconds(b, t);
    buf_add_cstr(b, ",\"");
    number_format_json(b, v);
    buf_add_cstr(b, "\"]");
}

/* The time of scalars and strings is a plain number: 1.5, where series have 1.500. */
static void add_lone_time(Buf *b, int64_t t) {
    buf_add_char(b, '[');
    number_format_json(b, (double)t / 1000);
    buf_add_char(b, ',');
}

/* Never with an exponent. */
static void add_scalar(Buf *b, const PromqlSeries *s) {
    add_lone_time(b, s->float_t[0]);
    buf_add_char(b, '"');
    number_format_plain(b, s->floats[0]);
    buf_add_cstr(b, "\"]");
}

static void add_histogram_point(Buf *b, int64_t t, const FloatHistogram *h) {
    buf_add_char(b, '[');
    time_format_seconds(b, t);
    buf_add_char(b, ',');
    reply_histogram(b, h);
    buf_add_char(b, ']');
}

static void add_vector(Reply *r, const PromqlResult *q, size_t n) {
    buf_add_char(&r->b, '[');
    for (size_t i = 0; i < n && reply_room(r); i++) {
        const PromqlSeries *s = &q->series[i];
        buf_add_cstr(&r->b, i ? ",{\"metric\":" : "{\"metric\":");
        reply_labels(&r->b, s->labels);
        if (s->n_histograms) {
            buf_add_cstr(&r->b, ",\"histogram\":");
            add_histogram_point(&r->b, s->histogram_t[0], s->histograms[0]);
        } else {
            buf_add_cstr(&r->b, ",\"value\":");
            add_point(&r->b, s->float_t[0], s->floats[0]);
        }
        buf_add_char(&r->b, '}');
    }
    buf_add_char(&r->b, ']');
}

static void add_floats(Reply *r, const PromqlSeries *s) {
    buf_add_cstr(&r->b, ",\"values\":[");
    for (size_t k = 0; k < s->n_floats && reply_room(r); k++) {
        if (k) {
            buf_add_char(&r->b, ',');
        }
        add_point(&r->b, s->float_t[k], s->floats[k]);
    }
    buf_add_char(&r->b, ']');
}

static void add_histograms(Reply *r, const PromqlSeries *s) {
    buf_add_cstr(&r->b, ",\"histograms\":[");
    for (size_t k = 0; k < s->n_histograms && reply_room(r); k++) {
        if (k) {
            buf_add_char(&r->b, ',');
        }
        add_histogram_point(&r->b, s->histogram_t[k], s->histograms[k]);
    }
    buf_add_char(&r->b, ']');
}

/* A series that changed its kind has both lists. */
static void add_matrix(Reply *r, const PromqlResult *q, size_t n) {
    buf_add_char(&r->b, '[');
    for (size_t i = 0; i < n && reply_room(r); i++) {
        const PromqlSeries *s = &q->series[i];
        buf_add_cstr(&r->b, i ? ",{\"metric\":" : "{\"metric\":");
        reply_labels(&r->b, s->labels);
        if (s->n_floats) {
            add_floats(r, s);
        }
        if (s->n_histograms) {
            add_histograms(r, s);
        }
        buf_add_char(&r->b, '}');
    }
    buf_add_char(&r->b, ']');
}

static void add_float_field(Buf *b, const char *lead, double v) {
    buf_add_cstr(b, lead);
    number_format_json(b, v);
}

static void add_per_step(Buf *b, const PromqlStats *s, const PromqlRequest *q) {
    buf_add_cstr(b, ",\"totalQueryableSamplesPerStep\":[");
    for (size_t i = 0; i < s->n_steps; i++) {
        buf_add_cstr(b, i ? ",[" : "[");
        time_format_seconds(b, q->start_ms + (int64_t)i * q->step_ms);
        buf_addf(b, ",%llu]", (unsigned long long)s->per_step[i]);
    }
    buf_add_char(b, ']');
}

static void add_stats(Buf *b, const QueryJob *job, const PromqlStats *s) {
    add_float_field(b, ",\"stats\":{\"timings\":{\"evalTotalTime\":", s->eval_total_s);
    add_float_field(b, ",\"resultSortTime\":", s->result_sort_s);
    add_float_field(b, ",\"queryPreparationTime\":", s->preparation_s);
    add_float_field(b, ",\"innerEvalTime\":", s->inner_eval_s);
    add_float_field(b, ",\"execQueueTime\":", s->queue_s);
    add_float_field(b, ",\"execTotalTime\":", s->exec_total_s);
    buf_addf(b, "},\"samples\":{\"totalQueryableSamples\":%llu",
             (unsigned long long)s->total_samples);
    if (job->per_step && s->per_step) {
        add_per_step(b, s, &job->request);
    }
    buf_addf(b, ",\"samplesRead\":%llu,\"peakSamples\":%llu}}", (unsigned long long)s->samples_read,
             (unsigned long long)s->peak_samples);
}

const char *query_json_type(PromqlType t) {
    static const char *const types[] = {[PROMQL_NONE] = "none",
                                        [PROMQL_SCALAR] = "scalar",
                                        [PROMQL_VECTOR] = "vector",
                                        [PROMQL_MATRIX] = "matrix",
                                        [PROMQL_STRING] = "string"};
    return types[t];
}

void query_json_result(Reply *r, const PromqlResult *q, size_t n) {
    buf_addf(&r->b, "\"resultType\":\"%s\",\"result\":", query_json_type(q->type));
    switch (q->type) {
    case PROMQL_SCALAR: add_scalar(&r->b, &q->series[0]); break;
    case PROMQL_STRING:
        add_lone_time(&r->b, q->time_ms);
        json_quote(&r->b, q->string);
        buf_add_char(&r->b, ']');
        break;
    case PROMQL_VECTOR: add_vector(r, q, n); break;
    case PROMQL_MATRIX: add_matrix(r, q, n); break;
    case PROMQL_NONE: buf_add_cstr(&r->b, "[]"); break;
    }
}

static void add_result(Reply *r, const QueryJob *job, const PromqlResult *q, size_t n) {
    buf_add_char(&r->b, '{');
    query_json_result(r, q, n);
    if (job->stats) {
        add_stats(&r->b, job, &q->stats);
    }
    buf_add_char(&r->b, '}');
}

static ApiErrorType error_type(PromqlOutcome outcome) {
    static const ApiErrorType types[] = {
        [PROMQL_BAD_DATA] = API_BAD_DATA, [PROMQL_EXECUTION] = API_EXECUTION,
        [PROMQL_TIMEOUT] = API_TIMEOUT,   [PROMQL_CANCELED] = API_CANCELED,
        [PROMQL_INTERNAL] = API_INTERNAL, [PROMQL_UNAVAILABLE] = API_BUSY};
    return types[outcome];
}

const char *query_json_error_type(PromqlOutcome o) { return api_error_name(error_type(o)); }

void query_reply_error(HttpExchange *x, PromqlOutcome outcome, const char *error) {
    bool parse = outcome == PROMQL_BAD_DATA;
    reply_error(x, error_type(outcome), "%s%s", parse ? "invalid parameter \"query\": " : "",
                error);
}

/* The warnings of the engine, and those of this layer. */
static StrVec all_warnings(HttpExchange *x, const QueryJob *job, const PromqlResult *q, bool cut) {
    StrVec w = {0};
    for (size_t i = 0; i < q->n_warnings; i++) {
        vec_push(&w, q->warnings[i]);
    }
    if (cut) {
        vec_push(&w, STR("results truncated due to limit"));
    }
    if (job->odd_stats) {
        vec_push(&w, STR("invalid value of the stats parameter: use \"true\" or \"all\""));
    }
    return w;
}

static void run_query(void *entry) {
    QueryJob *job = promql_query_begin(entry);
    if (!job) {
        return;
    }
    HttpExchange *x = job->x;
    PromqlResult *q = promql_exec(job->api->engine, job->api->storage, &job->request);
    if (q->outcome != PROMQL_OK) {
        query_reply_error(x, q->outcome, q->error);
        promql_result_free(q);
        return;
    }
    size_t n = q->n_series;
    bool cut =
        job->limit && (q->type == PROMQL_VECTOR || q->type == PROMQL_MATRIX) && n > job->limit;
    if (cut) {
        n = (size_t)job->limit;
    }
    StrVec warnings = all_warnings(x, job, q, cut);
    Reply r;
    reply_begin(&r, x);
    add_result(&r, job, q, n);
    reply_end(&r, warnings.v, warnings.n, q->infos, q->n_infos);
    vec_free(&warnings);
    promql_result_free(q);
}

/* Ended while it waited for a worker; then no worker looks at it. */
static void query_refused(void *arg, PromqlOutcome outcome, const char *error) {
    query_reply_error(((QueryJob *)arg)->x, outcome, error);
}

static QueryJob *query_job(Api *api, HttpExchange *x) {
    QueryJob *job = ARENA_NEW(&x->arena, QueryJob);
    Str stats = http_param(x, "stats");
    job->api = api;
    job->x = x;
    job->request.query = http_param(x, "query");
    job->request.cancel = &x->gone;
    job->request.origin = &job->origin;
    job->origin = api_origin(PROMQL_SOURCE_API, x);
    job->stats = stats.n > 0;
    job->per_step = job->request.per_step_stats = str_eqc(stats, "all");
    job->odd_stats = job->stats && !job->per_step && !str_eqc(stats, "true");
    return job;
}

bool query_option_params(HttpExchange *x, PromqlRequest *q) {
    if (!param_duration(x, "timeout", 0, &q->timeout_ms) ||
        !param_duration(x, "lookback_delta", 0, &q->lookback_ms)) {
        return false;
    }
    if (q->timeout_ms <= 0 && http_param(x, "timeout").n) {
        reply_error(x, API_TIMEOUT, "query timed out in query execution");
        return false;
    }
    q->lookback_ms = MAX(q->lookback_ms, 0); /* the engine's */
    return true;
}

/* What both forms of a query share; then it is a worker's. */
static void submit(QueryJob *job) {
    PromqlRequest *q = &job->request;
    if (!query_option_params(job->x, q)) {
        return;
    }
    q->entry = promql_query_enter(job->api->engine, q, query_refused, job);
    work_submit(job->api->queries, run_query, NULL, q->entry);
}

void api_query(HttpExchange *x, void *arg) {
    QueryJob *job = query_job(arg, x);
    int64_t time;
    if (param_limit(x, "limit", &job->limit) && param_time(x, "time", clock_wall_ms(), &time)) {
        job->request.start_ms = job->request.end_ms = time;
        submit(job);
    }
}

bool query_range_params(HttpExchange *x, PromqlRequest *q) {
    if (!param_time_required(x, "start", &q->start_ms) ||
        !param_time_required(x, "end", &q->end_ms)) {
        return false;
    }
    if (q->end_ms < q->start_ms) {
        reply_error(x, API_BAD_DATA,
                    "invalid parameter \"end\": end timestamp must not be before start time");
        return false;
    }
    if (!param_duration(x, "step", -1, &q->step_ms)) {
        return false;
    }
    if (q->step_ms <= 0) {
        reply_error(x, API_BAD_DATA,
                    "invalid parameter \"step\": zero or negative query resolution step widths are "
                    "not accepted. Try a positive integer");
    } else if ((uint64_t)(q->end_ms - q->start_ms) / (uint64_t)q->step_ms > POINTS_MAX) {
        reply_error(x, API_BAD_DATA,
                    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                    "the query resolution (?step=XX)");
    } else {
        return true;
    }
    return false;
}

void api_query_range(HttpExchange *x, void *arg) {
    QueryJob *job = query_job(arg, x);
    if (param_limit(x, "limit", &job->limit) && query_range_params(x, &job->request)) {
        submit(job);
    }
}

void api_format_query(HttpExchange *x, void *arg) {
    Api *api = arg;
    Problem p = {0};
    CLEANUP(buf_deinit) Buf text = BUF_INIT(16 << 20);
    if (promql_format(api->engine, http_param(x, "query"), &text, &p) < 0) {
        reply_parse_error(x, "query", &p);
        return;
    }
    Reply r;
    reply_begin(&r, x);
    json_quote(&r.b, buf_str(&text));
    reply_end(&r, NULL, 0, NULL, 0);
}

void api_parse_query(HttpExchange *x, void *arg) {
    Api *api = arg;
    Problem p = {0};
    CLEANUP(buf_deinit) Buf text = BUF_INIT(64 << 20);
    if (promql_parse_json(api->engine, http_param(x, "query"), &text, &p) < 0) {
        reply_parse_error(x, "query", &p);
        return;
    }
    Reply r;
    reply_begin(&r, x);
    buf_add_str(&r.b, buf_str(&text));
    reply_end(&r, NULL, 0, NULL, 0);
}
