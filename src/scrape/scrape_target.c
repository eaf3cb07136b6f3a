#include "scrape/scrape_target.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/numtext.h"
#include "scrape/scrape_job.h"
#include "scrape/scrape_manager_private.h"
#include "scrape/scrape_metrics.h"

/* A scrape this little off its tick carries the tick's time, so that timestamps compress. */
#define ALIGN_MS_MAX 2

static void fetch(ScrapeTarget *t);
static void on_due(void *arg);

PoolRules *pool_rules_ref(PoolRules *r) {
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void pool_rules_unref(PoolRules *r) {
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (r->owner_unref)
        r->owner_unref(r->owner);
    mem_free(r->accept);
    mem_free(r);
}

ScrapeTarget *scrape_target_new(ScrapePool *pool, PoolRules *rules, TargetSpec *spec) {
    ScrapeTarget *t = NEW(ScrapeTarget);
    ScrapeManager *m = pool->manager;
    t->manager = m;
    t->pool = pool;
    t->rules = pool_rules_ref(rules);
    t->spec = *spec;
    *spec = (TargetSpec){0};
    pthread_mutex_init(&t->lock, NULL);
    loop_timer_init(&t->timer, m->options.loop, on_due, t);
    t->interval_metric = scrape_interval_metric(t->spec.interval_text);
    return t;
}

void scrape_target_free(ScrapeTarget *t) {
    loop_timer_stop(&t->timer);
    target_spec_deinit(&t->spec);
    scrape_cache_deinit(&t->cache);
    pthread_mutex_destroy(&t->lock);
    mem_free(t->last_error);
    pool_rules_unref(t->rules);
    mem_free(t);
}

void scrape_target_start(ScrapeTarget *t) {
    t->due_ms = target_next_tick(&t->spec, t->manager->seed, clock_wall_ms());
    loop_timer_at(&t->timer, t->due_ms);
}

void scrape_target_set_rules(ScrapeTarget *t, PoolRules *rules, TargetSpec *spec) {
    pool_rules_unref(t->rules);
    t->rules = pool_rules_ref(rules);
    /* Labels are those the target has already, since they are its identity; what was discovered
     * may be told in other words. The job of a worker may look at the old ones: keep them then. */
    if (!t->busy) {
        target_spec_deinit(&t->spec);
        t->spec = *spec;
        *spec = (TargetSpec){0};
    }
}

/* ---- after a scrape */

/* The tick behind the last one; those missed meanwhile are left out but for the newest. */
static void schedule(ScrapeTarget *t) {
    int64_t now = clock_wall_ms(), interval = t->spec.interval_ms;
    t->due_ms += interval;
    if (t->due_ms <= now - interval || t->due_ms > now + interval)
        t->due_ms = target_next_tick(&t->spec, t->manager->seed, now) -
                    (t->due_ms <= now - interval ? interval : 0);
    loop_timer_at(&t->timer, t->due_ms);
}

static void set_health(ScrapeTarget *t, const char *error, double duration_s) {
    mem_free(t->last_error);
    t->last_error = error[0] ? mem_strdup(error) : NULL;
    t->health = error[0] ? TARGET_DOWN : TARGET_UP;
    t->last_scrape_ms = t->scrape_ms;
    t->last_duration_s = duration_s;
    if (error[0])
        log_debug("scrape manager", "Scrape failed", L_STR("target", t->spec.url),
                  L_CSTR("err", error));
}

static void tell_leads(ScrapeTarget *t, size_t leads, size_t bytes) {
    metric_add(t->pool->m_entries, (double)leads - (double)t->told_leads);
    metric_add(t->pool->m_bytes, (double)bytes - (double)t->told_lead_bytes);
    t->told_leads = leads;
    t->told_lead_bytes = bytes;
}

static void remove_ending(ScrapeTarget *t) {
    ScrapeManager *m = t->manager;
    for (size_t i = 0; i < m->ending.n; i++) {
        if (m->ending.v[i] == t)
            m->ending.v[i] = m->ending.v[--m->ending.n];
    }
}

static void job_done(void *arg) {
    ScrapeJob *job = arg;
    ScrapeTarget *t = job->target;
    bool last = job->ending;
    t->busy = false;
    if (!last && !t->discarded)
        set_health(t, job->error, job->duration_s);
    if (t->pool)
        tell_leads(t, t->cache.n_leads, t->cache.lead_bytes);
    scrape_job_free(job);
    if (t->discarded) {
        scrape_target_free(t);
    } else if (last) {
        remove_ending(t);
        scrape_target_free(t);
    } else if (!t->ending) {
        schedule(t);
    }
}

static void submit(ScrapeTarget *t, ScrapeJob *job) {
    job->target = t;
    job->rules = pool_rules_ref(t->rules);
    job->storage = t->manager->options.storage;
    job->extra_metrics = t->manager->options.extra_metrics;
    job->start_as_zero = t->manager->options.start_as_zero;
    job->t = job->ending ? t->ended_ms : t->scrape_ms;
    job->started_ns = t->started_ns;
    t->busy = true;
    work_submit(t->manager->options.pool, scrape_job_run, job_done, job);
}

/* ---- the call */

static void describe_failure(const ScrapeTarget *t, const HttpCallResult *r, ScrapeJob *job) {
    if (r->outcome == HTTP_CALL_TOO_LARGE) {
        metric_inc(scrape_metrics()->body_size);
        job->body.failed = true;
        (void)snprintf(job->error, sizeof(job->error), "body size limit exceeded");
    } else if (r->outcome == HTTP_CALL_TIMEOUT) {
        (void)snprintf(job->error, sizeof(job->error), "Get \"%.*s\": context deadline exceeded",
                       SA(t->spec.url));
    } else if (r->outcome != HTTP_CALL_OK) {
        (void)snprintf(job->error, sizeof(job->error), "%s",
                       r->error && r->error[0] ? r->error : "the request failed");
    } else if (r->status != 200) {
        (void)snprintf(job->error, sizeof(job->error), "server returned HTTP status %s",
                       r->status_text ? r->status_text : "");
    }
}

static void on_answer(void *arg, HttpCallResult *r) {
    ScrapeTarget *t = arg;
    ScrapeJob *job = NEW(ScrapeJob);
    t->call = NULL;
    describe_failure(t, r, job);
    if (!job->error[0] && r->body) {
        job->body = *r->body;
        *r->body = (Buf){0};
    }
    job->encoding = str_dup(r->content_encoding);
    job->content_type = str_dup(r->content_type);
    submit(t, job);
}

static void fetch(ScrapeTarget *t) {
    const ScrapeConfig *c = t->rules->config;
    ScrapeManager *m = t->manager;
    Buf timeout = BUF_INIT(0);
    number_format_plain(&timeout, (double)t->spec.timeout_ms / 1000.0);
    const HttpHeader headers[] = {
        {STR("Accept"), str_of(t->rules->accept)},
        {STR("Accept-Encoding"), c->enable_compression ? STR("gzip") : STR("identity")},
        {STR("User-Agent"), str_of(m->user_agent)},
        {STR("X-Prometheus-Scrape-Timeout-Seconds"), buf_str(&timeout)},
    };
    const HttpCallRequest request = {
        .method = "GET",
        .url = t->spec.url,
        .unix_socket = t->spec.unix_socket,
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .timeout_ms = t->spec.timeout_ms,
        .body_bytes_max = c->settings.body_size_limit,
        .config = &c->http.config,
    };
    t->call = m->options.call(m->options.client, &request, on_answer, t);
    buf_deinit(&timeout);
}

static void force_failure(ScrapeTarget *t) {
    ScrapeJob *job = NEW(ScrapeJob);
    (void)snprintf(job->error, sizeof(job->error), "%s", t->forced_error);
    job->encoding = mem_strdup("");
    job->content_type = mem_strdup("");
    submit(t, job);
}

static int64_t aligned_ms(const ScrapeTarget *t, int64_t now) {
    int64_t tolerance = MIN(t->spec.interval_ms / 100, ALIGN_MS_MAX);
    int64_t off = now - t->due_ms;
    return off <= tolerance && off >= -tolerance ? t->due_ms : now;
}

static void mark_series_stale(ScrapeTarget *t) {
    ScrapeJob *job = NEW(ScrapeJob);
    job->ending = true;
    job->encoding = mem_strdup("");
    job->content_type = mem_strdup("");
    submit(t, job);
}

static void on_due(void *arg) {
    ScrapeTarget *t = arg;
    int64_t now = clock_wall_ms();
    if (t->ending && t->busy) {
        loop_timer_after(&t->timer, t->spec.interval_ms);
        return;
    }
    if (t->ending) {
        mark_series_stale(t);
        return;
    }
    t->started_ns = clock_mono_ns();
    t->scrape_ms = aligned_ms(t, now);
    if (t->last_started_ms)
        metric_observe(t->interval_metric, (double)(now - t->last_started_ms) / 1000.0);
    t->last_started_ms = now;
    if (t->forced_error)
        force_failure(t);
    else
        fetch(t);
}

/* ---- its end */

static void stop_work(ScrapeTarget *t) {
    loop_timer_stop(&t->timer);
    if (t->call)
        t->manager->options.cancel(t->call);
    t->call = NULL;
}

/*
 * The markers come after two more ticks and a tenth of the interval and carry the time of the first
 * of those ticks: had the target come back meanwhile under the same labels, its newer samples make
 * the markers late, and they are refused.
 */
void scrape_target_end(ScrapeTarget *t) {
    int64_t interval = t->spec.interval_ms;
    stop_work(t);
    t->forced_error = NULL;
    tell_leads(t, 0, 0);
    t->pool = NULL;
    t->ending = true;
    t->ended_ms = target_next_tick(&t->spec, t->manager->seed, clock_wall_ms());
    vec_push(&t->manager->ending, t);
    loop_timer_at(&t->timer, t->ended_ms + interval + interval / 10);
}

void scrape_target_discard(ScrapeTarget *t) {
    stop_work(t);
    t->pool = NULL;
    t->discarded = true;
    if (!t->busy)
        scrape_target_free(t);
}
