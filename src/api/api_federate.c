/* /federate: the newest sample of each selected series within the lookback, in the text format. */
#include <stdlib.h>

#include "api/handlers.h"
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
    Arena arena;
    VEC(Newest) found;
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
    SelectHints hints = {.mint = mint, .maxt = maxt, .sorted = true, .cancel = &job->x->gone};
    SeriesSet *set;
    int r = querier_select(q, m->v, m->n, &hints, w, &set);
    if (r < 0) {
        return r;
    }
    Series s;
    SampleIter *it = NULL;
    while ((r = series_set_next(set, &s)) > 0) {
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

/* A quoted name stands first inside the braces: {"http.status",code="200"}. */
static void add_pair(Buf *b, Str name, Str value, bool *first) {
    buf_add_char(b, *first ? '{' : ',');
    *first = false;
    if (label_name_valid_legacy(name)) {
        buf_add_str(b, name);
    } else {
        buf_add_char(b, '"');
        add_value_text(b, name);
        buf_add_char(b, '"');
    }
    buf_add_cstr(b, "=\"");
    add_value_text(b, value);
    buf_add_char(b, '"');
}

static void add_sample(Buf *b, const Newest *n, Labels external) {
    bool first = true, legacy = metric_name_valid_legacy(n->name);
    if (legacy) {
        buf_add_str(b, n->name);
    } else {
        buf_add_cstr(b, "{\"");
        add_value_text(b, n->name);
        buf_add_char(b, '"');
        first = false;
    }
    for (size_t i = 0; i < n->labels.n; i++) {
        if (!str_eq(n->labels.v[i].name, LABEL_NAME)) {
            add_pair(b, n->labels.v[i].name, n->labels.v[i].value, &first);
        }
    }
    for (size_t i = 0; i < external.n; i++) {
        if (!labels_has(n->labels, external.v[i].name)) {
            add_pair(b, external.v[i].name, external.v[i].value, &first);
        }
    }
    /* An empty instance lets a scraper with honor_labels drop its own. */
    if (!labels_has(n->labels, LABEL_INSTANCE) && !labels_has(external, LABEL_INSTANCE)) {
        add_pair(b, LABEL_INSTANCE, STR(""), &first);
    }
    buf_add_cstr(b, first ? " " : "} ");
    number_format_g(b, n->v);
    buf_addf(b, " %lld\n", (long long)n->t);
}

static void answer(FederateJob *job) {
    static const HttpAnswer text = {
        .status = 200,
        .content_type = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"};
    if (job->found.n) {
        qsort(job->found.v, job->found.n, sizeof(Newest), newest_cmp);
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    http_stream_begin(job->x, &text);
    int r = 0;
    for (size_t i = 0; i < job->found.n && r == 0; i++) {
        const Newest *n = &job->found.v[i], *before = i ? n - 1 : NULL;
        if (n->name.n == 0 || (before && newest_cmp(before, n) == 0)) {
            continue;
        }
        if (!before || !str_eq(before->name, n->name)) {
            buf_add_cstr(&b, "# TYPE ");
            if (metric_name_valid_legacy(n->name)) {
                buf_add_str(&b, n->name);
            } else {
                buf_add_char(&b, '"');
                add_value_text(&b, n->name);
                buf_add_char(&b, '"');
            }
            buf_add_cstr(&b, " untyped\n");
        }
        add_sample(&b, n, job->external);
        if (b.n > (64u << 10)) {
            r = http_stream_write(job->x, &b);
        }
    }
    if (r == 0) {
        r = http_stream_write(job->x, &b);
    }
    if (r < 0) {
        log_debug("web", "Federation client has gone", L_STR("client", job->x->peer));
    }
    http_stream_end(job->x);
}

static void run_job(void *arg) {
    FederateJob *job = arg;
    FederateJob mine = *job; /* the exchange's arena goes with the answer */
    int64_t now = clock_wall_ms(), mint = now - mine.api->lookback_ms + 1;
    Warnings w = {.arena = &mine.arena};
    Querier *q = NULL;
    int r = storage_querier(mine.api->storage, mint, now, &q);
    for (size_t i = 0; i < mine.sets.n && r == 0; i++) {
        r = collect(&mine, q, &mine.sets.sets[i], mint, now, &w);
    }
    matcher_sets_deinit(&mine.sets);
    if (r < 0) {
        metric_inc(metric_counter("prometheus_web_federation_errors_total",
                                  "Total number of errors that occurred while sending federation "
                                  "responses.",
                                  NULL));
        http_respond_text(mine.x, 500, "%s",
                          mine.arena.failed ? "federation answer too large" : strerror(-r));
    } else {
        answer(&mine);
    }
    querier_close(q);
    warnings_free(&w);
    vec_free(&mine.found);
    arena_deinit(&mine.arena);
}

void api_federate(HttpExchange *x, void *arg) {
    Api *api = arg;
    FederateJob *job = ARENA_NEW(&x->arena, FederateJob);
    job->api = api;
    job->x = x;
    job->arena = ARENA_INIT(FEDERATE_BYTES_MAX);
    job->external = labels_copy(&x->arena, api->hooks->external_labels(api->server));
    if (param_matchers(x, "match[]", &job->sets)) {
        work_submit(api->queries, run_job, NULL, job);
    }
}
