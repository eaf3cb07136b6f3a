/* /federate: the newest sample of each selected series within the lookback, in the text format. */
#include <stdlib.h>

#include "api/handlers.h"
#include "api/negotiate.h"
#include "api/params.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/numtext.h"

#define FEDERATE_BYTES_MAX (UINT64_C(1) << 30)

typedef struct Newest {
    Labels labels;
    Str name;
    int64_t t;
    double v;
} Newest;

typedef struct FederateJob {
    Api *api;
    HttpExchange *x;
    MatcherSets sets;
    Labels external;
    Escaping escaping;
    Arena arena;
    VEC(Newest) found;
    PromqlRequest request; /* as the list of queries shows it */
    PromqlOrigin origin;
} FederateJob;

static int newest_sample(SampleIter *it, int64_t maxt, Newest *ret, bool *ret_any) {
    SampleRun run;
    int r;
    *ret_any = false;
    while ((r = sample_iter_next(it, &run)) > 0) {
        for (uint32_t i = 0; run.kind == SAMPLE_FLOAT && i < run.n && run.t[i] <= maxt; i++) {
            ret->t = run.t[i];
            ret->v = run.f[i];
            *ret_any = true;
        }
    }
    return r;
}

static int collect(FederateJob *job, Querier *q, const struct MatcherSet *m, int64_t mint,
                   int64_t maxt, Warnings *w) {
    PromqlQuery *entry = job->request.entry;
    SelectHints hints = {
        .mint = mint, .maxt = maxt, .sorted = true, .cancel = promql_query_stop(entry)};
    SeriesSet *set;
    if (m->n == 0) {
        return 0; /* {} selects nothing here, as in Prometheus */
    }
    int r = querier_select(q, m->v, m->n, &hints, w, &set);
    if (r < 0) {
        return r;
    }
    Series s;
    SampleIter *it = NULL;
    while ((r = series_set_next(set, &s)) > 0) {
        if (promql_query_look(entry, job->arena.used, job->found.n)) {
            r = -ECANCELED;
            break;
        }
        Newest n = {0};
        bool any;
        it = series_set_iter(set, &s, it);
        sample_iter_seek(it, mint);
        if ((r = newest_sample(it, maxt, &n, &any)) < 0) {
            break;
        }
        if (!any || n.t < mint || is_stale_nan(n.v)) {
            continue;
        }
        n.labels = labels_copy(&job->arena, s.labels);
        n.name = labels_get(n.labels, LABEL_NAME);
        if (job->arena.failed) {
            r = -ENOMEM;
            break;
        }
        vec_push(&job->found, n);
    }
    sample_iter_free(it);
    series_set_free(set);
    return r;
}

static int newest_cmp(const void *a, const void *b) {
    const Newest *x = a, *y = b;
    int r = str_cmp(x->name, y->name);
    return r ? r : labels_cmp(x->labels, y->labels);
}

static void add_value_text(Buf *b, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '\\': buf_add_cstr(b, "\\\\"); break;
        case '"': buf_add_cstr(b, "\\\""); break;
        case '\n': buf_add_cstr(b, "\\n"); break;
        default: buf_add_char(b, s.p[i]);
        }
    }
}

/* Names are written as the scraper accepts them; one that still needs quotes gets them. */
static void add_name(Buf *b, Str name) {
    if (label_name_valid_legacy(name) || metric_name_valid_legacy(name)) {
        buf_add_str(b, name);
    } else {
        buf_add_char(b, '"');
        add_value_text(b, name);
        buf_add_char(b, '"');
    }
}

static void add_pair(const FederateJob *job, Buf *b, const Label *l, bool *first) {
    CLEANUP(buf_deinit) Buf name = BUF_INIT(0);
    escaping_write(job->escaping, l->name, &name);
    buf_add_char(b, *first ? '{' : ',');
    *first = false;
    add_name(b, buf_str(&name));
    buf_add_cstr(b, "=\"");
    add_value_text(b, l->value);
    buf_add_char(b, '"');
}

/* The series' own labels, then what the external labels add; without an instance there is an empty
 * one, which lets a scraper with honor_labels drop its own. */
static void add_sample(const FederateJob *job, Buf *b, const Newest *n, Str name) {
    bool first = true, quoted = !metric_name_valid_legacy(name);
    if (quoted) {
        buf_add_char(b, '{'); /* {"http.status",code="200"} */
        first = false;
    }
    add_name(b, name);
    for (size_t i = 0; i < n->labels.n; i++) {
        if (!str_eq(n->labels.v[i].name, LABEL_NAME)) {
            add_pair(job, b, &n->labels.v[i], &first);
        }
    }
    for (size_t i = 0; i < job->external.n; i++) {
        if (!labels_has(n->labels, job->external.v[i].name)) {
            add_pair(job, b, &job->external.v[i], &first);
        }
    }
    buf_add_cstr(b, first ? " " : "} ");
    number_format_g(b, n->v);
    buf_addf(b, " %lld\n", (long long)n->t);
}

static void add_type(Buf *b, Str name) {
    buf_add_cstr(b, "# TYPE ");
    add_name(b, name);
    buf_add_cstr(b, " untyped\n");
}

static int write_samples(const FederateJob *job) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    CLEANUP(buf_deinit) Buf name = BUF_INIT(0);
    int r = 0;
    for (size_t i = 0; i < job->found.n && r == 0; i++) {
        const Newest *n = &job->found.v[i], *before = i ? n - 1 : NULL;
        if (n->name.n == 0 || (before && newest_cmp(before, n) == 0)) {
            continue;
        }
        if (!before || !str_eq(before->name, n->name)) {
            buf_reset(&name);
            escaping_write(job->escaping, n->name, &name);
            add_type(&b, buf_str(&name));
        }
        add_sample(job, &b, n, buf_str(&name));
        if (b.n > (64u << 10)) {
            r = http_stream_write(job->x, &b);
        }
    }
    return r == 0 ? http_stream_write(job->x, &b) : r;
}

static void answer(FederateJob *job) {
    const HttpAnswer text = {.status = 200, .content_type = escaping_content_type(job->escaping)};
    if (job->found.n) {
        qsort(job->found.v, job->found.n, sizeof(Newest), newest_cmp);
    }
    http_stream_begin(job->x, &text);
    if (write_samples(job) < 0) {
        log_debug("web", "Federation client has gone", L_STR("client", job->x->peer));
    }
    http_stream_end(job->x);
}

static void answer_error(const FederateJob *job, int r) {
    metric_inc(metric_counter("prometheus_web_federation_errors_total",
                              "Total number of errors that occurred while sending federation "
                              "responses.",
                              NULL));
    http_respond_text(job->x, r == -ECANCELED ? 503 : 500, "%s",
                      job->arena.failed ? "federation answer too large"
                      : r == -ECANCELED ? "query was canceled or timed out"
                                        : strerror(-r));
}

static int collect_all(FederateJob *job) {
    int64_t now = clock_wall_ms(), mint = now - job->api->lookback_ms + 1;
    Warnings w = {.arena = &job->arena};
    Querier *q = NULL;
    int r = storage_querier(job->api->storage, mint, now, &q);
    for (size_t i = 0; i < job->sets.n && r == 0; i++) {
        r = collect(job, q, &job->sets.sets[i], mint, now, &w);
    }
    querier_close(q);
    warnings_free(&w);
    return r;
}

static void run_job(void *entry) {
    FederateJob *job = promql_query_begin(entry);
    if (!job) {
        return;
    }
    int r = collect_all(job);
    FederateJob mine = *job; /* the exchange's arena goes with the answer */
    promql_query_end(entry, r < 0 ? strerror(-r) : NULL);
    matcher_sets_deinit(&mine.sets);
    if (r < 0) {
        answer_error(&mine, r);
    } else {
        answer(&mine);
    }
    vec_free(&mine.found);
    arena_deinit(&mine.arena);
}

/* Ended while it waited for a worker. */
static void refused(void *arg, PromqlOutcome outcome, const char *error) {
    FederateJob *job = arg;
    matcher_sets_deinit(&job->sets);
    arena_deinit(&job->arena);
    http_respond_text(job->x, outcome == PROMQL_CANCELED ? 499 : 503, "%s", error);
}

/* The configured ones and, unless it is among them, an empty instance; in order. */
static Labels external_of(const Api *api, Arena *a) {
    Labels l = api->hooks->external_labels(api->server);
    Label *v = ARENA_ARRAY(a, Label, l.n + 1);
    size_t n = 0;
    bool instance = labels_has(l, LABEL_INSTANCE);
    for (size_t i = 0; i < l.n; i++) {
        if (!instance && str_cmp(LABEL_INSTANCE, l.v[i].name) < 0) {
            v[n++] = (Label){LABEL_INSTANCE, STR("")};
            instance = true;
        }
        v[n++] = (Label){arena_str(a, l.v[i].name), arena_str(a, l.v[i].value)};
    }
    if (!instance) {
        v[n++] = (Label){LABEL_INSTANCE, STR("")};
    }
    return (Labels){.v = v, .n = n};
}

/* False: has answered in plain text, as a scraper shows it to people. */
static bool read_selectors(HttpExchange *x, MatcherSets *sets) {
    Str text;
    Problem p = {0};
    for (size_t at = 0; http_param_next(x, "match[]", &at, &text);) {
        if (!matcher_sets_add(sets, text, &p)) {
            CLEANUP(buf_deinit) Buf why = BUF_INIT(64 << 10);
            promql_problem_print(&p, &why);
            http_respond_text(x, 400, "%.*s", SA(buf_str(&why)));
            matcher_sets_deinit(sets);
            return false;
        }
    }
    return true;
}

/* What lists show as the query: the selectors, as one would join them. */
static Str selectors_text(HttpExchange *x) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(64 << 10);
    Str text;
    for (size_t at = 0; http_param_next(x, "match[]", &at, &text);) {
        buf_add_cstr(&b, b.n ? " or " : "");
        buf_add_str(&b, text);
    }
    return arena_str(&x->arena, buf_str(&b));
}

void api_federate(HttpExchange *x, void *arg) {
    Api *api = arg;
    FederateJob *job = ARENA_NEW(&x->arena, FederateJob);
    job->api = api;
    job->x = x;
    job->arena = ARENA_INIT(FEDERATE_BYTES_MAX);
    job->external = external_of(api, &x->arena);
    job->escaping = escaping_accepted(http_header(x, "accept"));
    if (!read_selectors(x, &job->sets)) {
        return;
    }
    int64_t now = clock_wall_ms();
    job->origin = api_origin(PROMQL_SOURCE_FEDERATE, x);
    job->request = (PromqlRequest){.query = selectors_text(x),
                                   .start_ms = now,
                                   .end_ms = now,
                                   .cancel = &x->gone,
                                   .origin = &job->origin};
    job->request.entry = promql_query_enter(api->engine, &job->request, refused, job);
    work_submit(api->queries, run_job, NULL, job->request.entry);
}
