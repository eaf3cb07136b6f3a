#include "scrape/scrape_job.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "format/compress.h"
#include "scrape/scrape_metrics.h"

/* A page may not become larger than this even when no limit is configured. */
#define BODY_BYTES_MAX (UINT64_C(1) << 30)

#define FAIL(job, ...) (snprintf((job)->error, sizeof((job)->error), __VA_ARGS__), -EINVAL)

/* ---- report series */

typedef struct Report {
    const char *name;
    double value;
    bool extra;
} Report;

static size_t collect_reports(const ScrapeJob *job, const PageCounts *c, Report ret[REPORTS_MAX]) {
    const ScrapeSettings *s = &job->rules->config->settings;
    bool failed = job->error[0] != '\0';
    const Report all[REPORTS_MAX] = {
        {"up", failed ? 0 : 1, false},
        {"scrape_duration_seconds", job->duration_s, false},
        {"scrape_samples_scraped", (double)c->total, false},
        {"scrape_samples_post_metric_relabeling", (double)c->added, false},
        {"scrape_series_added", (double)c->series_added, false},
        {"scrape_timeout_seconds", (double)job->target->spec.timeout_ms / 1000.0, true},
        {"scrape_sample_limit", (double)s->sample_limit, true},
        {"scrape_body_size_bytes", job->body.failed ? -1 : (double)job->body.n, true},
    };
    size_t n = 0;
    for (size_t i = 0; i < REPORTS_MAX; i++) {
        if (!all[i].extra || s->extra_metrics || job->extra_metrics)
            ret[n++] = all[i];
    }
    return n;
}

static int append_report(ScrapeJob *job, Appender *a, size_t i, const char *name, double value) {
    SeriesRef *ref = &job->target->reports[i];
    if (job->ending && !*ref)
        return 0;
    int r = *ref ? a->ops->append(a, ref, LABELS_EMPTY, job->t, value, 0) : APPEND_UNKNOWN_REF;
    if (r == APPEND_UNKNOWN_REF) {
        LabelsBuilder b = {0};
        labels_builder_reset(&b, job->target->spec.labels);
        labels_builder_set(&b, LABEL_NAME, str_of(name));
        *ref = 0;
        r = a->ops->append(a, ref, labels_builder_view(&b), job->t, value, 0);
        labels_builder_deinit(&b);
    }
    return r < 0 ? err_trace(r) : 0; /* an old clock makes them out of order: nothing to do */
}

static int append_reports(ScrapeJob *job, Appender *a, const PageCounts *c) {
    Report reports[REPORTS_MAX];
    size_t n = collect_reports(job, c, reports);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = append_report(job, a, i, reports[i].name, job->ending ? stale_nan() : reports[i].value);
    return r;
}

/* ---- the page */

static int decode_body(ScrapeJob *job) {
    uint64_t limit = job->rules->config->settings.body_size_limit;
    Buf out = BUF_INIT(0);
    if (job->encoding[0]) {
        int r = content_decode(str_of(job->encoding), buf_str(&job->body),
                               limit ? limit - 1 : BODY_BYTES_MAX, &out);
        if (r == 0) {
            buf_deinit(&job->body);
            job->body = out;
        } else {
            buf_deinit(&out);
        }
        if (r == -EFBIG) {
            job->body.failed = true;
            metric_inc(scrape_metrics()->body_size);
            return FAIL(job, "body size limit exceeded");
        }
        if (r == -ENOTSUP)
            return FAIL(job, "unsupported Content-Encoding \"%.60s\"", job->encoding);
        if (r < 0)
            return FAIL(job, "the body does not decode as %.60s", job->encoding);
    }
    if (limit && job->body.n >= limit) {
        job->body.failed = true;
        metric_inc(scrape_metrics()->body_size);
        return FAIL(job, "body size limit exceeded");
    }
    return 0;
}

static ExpoFormat format_of(ScrapeProtocol p) {
    bool om = p == SCRAPE_OPENMETRICS_0_0_1 || p == SCRAPE_OPENMETRICS_1_0_0;
    if (p == SCRAPE_PROTO)
        return EXPO_PROTO;
    return om ? EXPO_OPENMETRICS : EXPO_TEXT;
}

/* By the media type alone; its parameters do not matter. */
static int choose_format(ScrapeJob *job, ExpoFormat *ret) {
    Str type = str_of(job->content_type);
    type = str_trim(str_upto(type, str_find(type, ';')));
    ScrapeProtocol fallback = job->rules->config->fallback;
    if (str_eq_nocase(type, STR("text/plain"))) {
        *ret = EXPO_TEXT;
    } else if (str_eq_nocase(type, STR("application/openmetrics-text"))) {
        *ret = EXPO_OPENMETRICS;
    } else if (str_eq_nocase(type, STR("application/vnd.google.protobuf"))) {
        *ret = EXPO_PROTO;
    } else if (fallback != SCRAPE_PROTOCOLS) {
        *ret = format_of(fallback);
    } else if (!type.n) {
        return FAIL(job, "non-compliant scrape target sending blank Content-Type and no "
                         "fallback_scrape_protocol specified for target");
    } else {
        return FAIL(job,
                    "received unsupported Content-Type \"%.200s\" and no fallback_scrape_protocol "
                    "specified for target",
                    job->content_type);
    }
    return 0;
}

static int read_page(ScrapeJob *job, ScrapePage *page) {
    ExpoFormat format;
    if (job->error[0])
        return -EINVAL;
    int r = decode_body(job);
    if (r == 0)
        r = choose_format(job, &format);
    if (r < 0)
        return r;
    r = scrape_page_read(page, format, buf_str(&job->body));
    if (r < 0 && page->error[0])
        return FAIL(job, "%s", page->error);
    return r < 0 ? FAIL(job, "the storage refused the page: %s", strerror(-r)) : 0;
}

static void count_dropped(const ScrapeJob *job, Metric *m, uint64_t n, const char *msg) {
    if (!n)
        return;
    metric_add(m, (double)n);
    log_warn("scrape manager", msg, L_STR("scrape_pool", job->rules->config->job_name),
             L_STR("target", job->target->spec.url), L_INT("num_dropped", n));
}

static void count(const ScrapeJob *job, const PageCounts *c) {
    const ScrapeMetrics *m = scrape_metrics();
    count_dropped(job, m->duplicate, c->duplicate,
                  "Error on ingesting samples with different value but same timestamp");
    count_dropped(job, m->out_of_order, c->out_of_order, "Error on ingesting out-of-order samples");
    count_dropped(job, m->out_of_bounds, c->out_of_bounds,
                  "Error on ingesting samples that are too old or are too far into the future");
    count_dropped(job, m->exemplar_out_of_order, c->exemplar_out_of_order,
                  "Error on ingesting out-of-order exemplars");
    if (c->over_sample_limit)
        metric_inc(m->sample_limit);
    if (c->over_bucket_limit)
        metric_inc(m->bucket_limit);
    if (c->over_label_limit)
        metric_inc(m->label_limits);
}

/* A scrape that failed leaves nothing of its page: only stale markers and what is reported. */
static int append_failure(ScrapeJob *job, ScrapePage *page) {
    Appender *a;
    int r = storage_appender(job->storage, &a);
    if (r < 0)
        return err_trace(r);
    r = scrape_page_end_series(page, a, job->t);
    if (r == 0)
        r = append_reports(job, a, &page->counts);
    if (r < 0) {
        appender_rollback(a);
        return r;
    }
    page->cache->tracked = false;
    return appender_commit(a);
}

static int append_success(ScrapeJob *job, ScrapePage *page) {
    int r = append_reports(job, page->appender, &page->counts);
    if (r < 0) {
        appender_rollback(page->appender);
        return r;
    }
    r = appender_commit(page->appender);
    if (r == 0)
        scrape_page_commit(page);
    return r;
}

/* Storage that fails does so for every scrape of every target: one line a minute says enough. */
static void log_commit_failure(const ScrapeJob *job, int r) {
    static LogPause pause;
    if (log_pause_over(&pause))
        log_error("scrape manager", "Scrape commit failed", L_ERR(r),
                  L_STR("target", job->target->spec.url));
}

static void run_scrape(ScrapeJob *job, ScrapePage *page) {
    int r = storage_appender(job->storage, &page->appender);
    if (r < 0) {
        (void)FAIL(job, "the storage takes nothing: %s", strerror(-r));
        return;
    }
    if (read_page(job, page) == 0) {
        job->duration_s = (double)(clock_mono_ns() - job->started_ns) / 1e9;
        r = append_success(job, page);
        if (r == 0)
            return;
        (void)FAIL(job, "the storage refused the page: %s", strerror(-r));
    } else {
        appender_rollback(page->appender);
    }
    job->duration_s = (double)(clock_mono_ns() - job->started_ns) / 1e9;
    r = append_failure(job, page);
    if (r < 0)
        log_commit_failure(job, r);
}

void scrape_job_run(void *arg) {
    ScrapeJob *job = arg;
    ScrapePage page = {
        .config = job->rules->config,
        .target = job->target->spec.labels,
        .cache = &job->target->cache,
        .t = job->t,
        .start_as_zero = job->start_as_zero,
    };
    ScrapeCache *cache = &job->target->cache;
    pthread_mutex_lock(&job->target->lock);
    if (cache->generation != job->rules->generation)
        cache->invalid = true;
    cache->generation = job->rules->generation;
    if (job->ending)
        (void)append_failure(job, &page); /* logged where the storage failed */
    else
        run_scrape(job, &page);
    count(job, &page.counts);
    scrape_page_deinit(&page);
    pthread_mutex_unlock(&job->target->lock);
}

void scrape_job_free(ScrapeJob *job) {
    buf_deinit(&job->body);
    mem_free(job->encoding);
    mem_free(job->content_type);
    pool_rules_unref(job->rules);
    mem_free(job);
}
