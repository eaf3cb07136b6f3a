#include "api/query_live.h"

#include "api/event_stream.h"
#include "api/params.h"
#include "api/query_json.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/numtext.h"
#include "format/json.h"

/* How soon the place of a reader that went away is found to be free. */
#define LOOK_MS 1000

typedef struct LiveQuery {
    QueryLive *owner;
    HttpExchange *x;
    int64_t step_ms, due_ms;
    LoopTimer timer;
    int64_t spoke_ns;
    bool running;
    /* The worker's while running. */
    PromqlRequest request;
    PromqlOrigin origin;
    Buf event;
} LiveQuery;

struct QueryLive {
    Api *api;
    VEC(LiveQuery *) streams;
    bool stopped;
    Metric *gauge;
};

/* ---- a stream */

static void stream_end(LiveQuery *s) {
    QueryLive *q = s->owner;
    for (size_t i = 0; i < q->streams.n; i++) {
        if (q->streams.v[i] == s) {
            q->streams.v[i] = q->streams.v[--q->streams.n];
            break;
        }
    }
    metric_set(q->gauge, (double)q->streams.n);
    loop_timer_stop(&s->timer);
    buf_deinit(&s->event);
    HttpExchange *x = s->x;
    mem_free(s);
    http_stream_end(x);
}

static void add_error(Buf *b, const char *type, Str text) {
    buf_reset(b);
    buf_addf(b, "event: error\ndata: {\"errorType\":\"%s\",\"error\":", type);
    json_quote(b, text);
    buf_add_cstr(b, "}\n\n");
}

static void add_sample(Buf *b, const PromqlResult *r, int64_t time_ms) {
    Reply reply = {.b = *b};
    buf_add_cstr(&reply.b, "event: sample\ndata: {");
    query_json_result(&reply, r, r->n_series);
    buf_add_cstr(&reply.b, ",\"time\":");
    time_format_seconds(&reply.b, time_ms);
    reply_annotations(&reply.b, "warnings", "warning", r->warnings, r->n_warnings);
    reply_annotations(&reply.b, "infos", "info", r->infos, r->n_infos);
    buf_add_cstr(&reply.b, "}\n\n");
    *b = reply.b;
}

static void run(void *arg) {
    LiveQuery *s = arg;
    const Api *api = s->owner->api;
    PromqlResult *r = promql_exec(api->engine, api->storage, &s->request);
    if (r->outcome == PROMQL_OK) {
        add_sample(&s->event, r, s->request.start_ms);
    } else {
        add_error(&s->event, query_json_error_type(r->outcome), str_of(r->error));
    }
    if (s->event.failed) {
        add_error(&s->event, "execution", STR("the result is larger than 8 MiB"));
    }
    promql_result_free(r);
}

static void rearm(LiveQuery *s) {
    int64_t now = clock_wall_ms();
    if (s->due_ms <= now) {
        s->due_ms += ((now - s->due_ms) / s->step_ms + 1) * s->step_ms;
    }
    loop_timer_at(&s->timer, MIN(s->due_ms, now + LOOK_MS));
}

static void done(void *arg) {
    LiveQuery *s = arg;
    s->running = false;
    if (s->owner->stopped || atomic_load(&s->x->gone)) {
        stream_end(s);
        return;
    }
    s->spoke_ns = clock_mono_ns();
    event_stream_send(s->x, &s->event);
    buf_deinit(&s->event);
    rearm(s);
}

static void heartbeat(LiveQuery *s) {
    int64_t now = clock_mono_ns();
    if (now - s->spoke_ns >= EVENT_STREAM_HEARTBEAT_MS * 1000000LL) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        buf_add_cstr(&b, ":\n\n");
        s->spoke_ns = now;
        event_stream_send(s->x, &b);
    }
}

static void look(void *arg) {
    LiveQuery *s = arg;
    int64_t now = clock_wall_ms();
    if (atomic_load(&s->x->gone)) {
        stream_end(s);
    } else if (now < s->due_ms || event_stream_slow(s->x)) {
        heartbeat(s);
        rearm(s);
    } else {
        s->event = BUF_INIT(QUERY_LIVE_RESULT_MAX);
        s->request.start_ms = s->request.end_ms = now;
        s->running = true;
        work_submit(s->owner->api->queries, run, done, s);
    }
}

/* ---- requests */

static Str address_of(const HttpExchange *x) {
    size_t colon = x->peer.n;
    while (colon && x->peer.p[colon - 1] != ':') {
        colon--;
    }
    return str_upto(x->peer, colon);
}

static bool refuse(const QueryLive *q, HttpExchange *x) {
    size_t same = 0;
    for (size_t i = 0; i < q->streams.n; i++) {
        same += str_eq(address_of(q->streams.v[i]->x), address_of(x));
    }
    if (q->stopped) {
        reply_error(x, API_BUSY, "the server is stopping");
    } else if (q->streams.n >= QUERY_LIVE_STREAMS_MAX) {
        reply_error(x, API_BUSY, "too many live queries: %d are open", QUERY_LIVE_STREAMS_MAX);
    } else if (same >= QUERY_LIVE_CLIENT_MAX) {
        reply_error(x, API_BUSY, "too many live queries: this address has %d open",
                    QUERY_LIVE_CLIENT_MAX);
    } else {
        return false;
    }
    return true;
}

static bool read_params(const Api *api, HttpExchange *x, int64_t *ret_step, int64_t *ret_lookback) {
    Problem p = {0};
    PromqlType type;
    const char *lookback = http_param(x, "lookback").n ? "lookback" : "lookback_delta";
    if (!param_duration(x, "step", QUERY_LIVE_STEP_MIN_MS, ret_step) ||
        !param_duration(x, lookback, 0, ret_lookback)) {
        return false;
    }
    if (*ret_step < QUERY_LIVE_STEP_MIN_MS || *ret_step > QUERY_LIVE_STEP_MAX_MS) {
        reply_error(x, API_BAD_DATA, "invalid parameter \"step\": from 1s to 1h is possible");
        return false;
    }
    if (promql_check(api->engine, http_param(x, "query"), &type, &p) < 0) {
        reply_parse_error(x, "query", &p);
        return false;
    }
    return true;
}

void query_live_add(QueryLive *q, HttpExchange *x) {
    int64_t step, lookback;
    if (!read_params(q->api, x, &step, &lookback) || refuse(q, x) || !event_stream_begin(x)) {
        return;
    }
    LiveQuery *s = NEW(LiveQuery);
    *s = (LiveQuery){.owner = q,
                     .x = x,
                     .step_ms = step,
                     .due_ms = clock_wall_ms(),
                     .spoke_ns = clock_mono_ns(),
                     .origin = api_origin(PROMQL_SOURCE_LIVE, x)};
    s->request = (PromqlRequest){.query = http_param(x, "query"),
                                 .lookback_ms = MAX(lookback, 0),
                                 .cancel = &x->gone,
                                 .origin = &s->origin};
    loop_timer_init(&s->timer, q->api->loop, look, s);
    vec_push(&q->streams, s);
    metric_set(q->gauge, (double)q->streams.n);
    loop_timer_at(&s->timer, s->due_ms);
}

/* ---- life */

QueryLive *query_live_new(Api *api) {
    QueryLive *q = NEW(QueryLive);
    q->api = api;
    q->gauge = metric_gauge("narthex_live_queries", "Live queries that are open.", NULL);
    return q;
}

void query_live_stop(QueryLive *q) {
    q->stopped = true;
    for (size_t i = q->streams.n; i > 0; i--) {
        LiveQuery *s = q->streams.v[i - 1];
        if (s->running) {
            atomic_store(&s->x->gone, true); /* ends the query; done() ends the stream */
        } else {
            stream_end(s);
        }
    }
}

void query_live_free(QueryLive *q) {
    if (q) {
        query_live_stop(q);
        vec_free(&q->streams);
        mem_free(q);
    }
}
