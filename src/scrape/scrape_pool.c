/*
 * The targets of one job: discovery's groups through the job's rules, compared with what runs.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "scrape/scrape_manager_private.h"
#include "scrape/scrape_metrics.h"

static Metric *job_metric(Metric *(*make)(const char *, const char *, const char *),
                          const char *name, const char *help, const char *job) {
    Buf labels = BUF_INIT(0);
    buf_add_cstr(&labels, "scrape_job=\"");
    for (const char *c = job; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_add_char(&labels, '\\');
        buf_add_char(&labels, *c);
    }
    buf_add_char(&labels, '"');
    Metric *m = make(name, help, buf_cstr(&labels));
    buf_deinit(&labels);
    return m;
}

static Metric *plain_summary(const char *name, const char *help, const char *labels) {
    return metric_summary(name, help, labels, NULL, 0);
}

static void make_metrics(ScrapePool *p) {
    p->m_targets = job_metric(metric_gauge, "prometheus_target_scrape_pool_targets",
                              "Current number of targets in this scrape pool.", p->name);
    p->m_limit = job_metric(metric_gauge, "prometheus_target_scrape_pool_target_limit",
                            "Maximum number of targets allowed in this scrape pool.", p->name);
    p->m_sync = job_metric(metric_counter, "prometheus_target_scrape_pool_sync_total",
                           "Total number of syncs that were executed on a scrape pool.", p->name);
    p->m_sync_failed = job_metric(metric_counter, "prometheus_target_sync_failed_total",
                                  "Total number of target sync failures.", p->name);
    p->m_entries = job_metric(metric_gauge, "prometheus_target_metadata_cache_entries",
                              "Total number of metric metadata entries in the cache", p->name);
    p->m_bytes =
        job_metric(metric_gauge, "prometheus_target_metadata_cache_bytes",
                   "The number of bytes that are currently used for storing metric metadata in "
                   "the cache",
                   p->name);
    p->m_sync_length = job_metric(plain_summary, "prometheus_target_sync_length_seconds",
                                  "Actual interval to sync the scrape pool.", p->name);
}

ScrapePool *scrape_pool_new(ScrapeManager *m, PoolRules *rules) {
    ScrapePool *p = NEW(ScrapePool);
    p->manager = m;
    p->rules = pool_rules_ref(rules);
    p->name = str_dup(rules->config->job_name);
    make_metrics(p);
    metric_inc(scrape_metrics()->pools);
    metric_set(p->m_limit, (double)rules->config->settings.target_limit);
    return p;
}

static void dropped_clear(ScrapePool *p) {
    for (size_t i = 0; i < p->dropped.n; i++)
        arena_deinit(&p->dropped.v[i].arena);
    p->dropped.n = 0;
    p->n_dropped = 0;
}

/* Prometheus keeps all of them unless keep_dropped_targets says otherwise. */
static void dropped_add(ScrapePool *p, TargetSpec *spec) {
    uint64_t keep = p->rules->config->settings.keep_dropped_targets;
    p->n_dropped++;
    if (keep && p->dropped.n >= keep) {
        target_spec_deinit(spec);
        return;
    }
    vec_push(&p->dropped, (DroppedTarget){spec->arena, spec->discovered});
}

static ScrapeTarget *find(const U64Map *known, uint64_t hash) {
    uint64_t at;
    return u64_map_get(known, hash, &at) ? (ScrapeTarget *)(uintptr_t)at : NULL;
}

static void sync_target(ScrapePool *p, U64Map *known, const TargetGroup *g, Labels own,
                        bool rules_changed) {
    TargetSpec spec;
    Problem problem = {0};
    TargetOutcome outcome = target_spec_init(&spec, p->rules->config, g, own, &problem);
    if (outcome == TARGET_DROPPED) {
        dropped_add(p, &spec);
        return;
    }
    if (outcome == TARGET_INVALID) {
        metric_inc(p->m_sync_failed);
        log_error("scrape manager", "Creating target failed", L_CSTR("scrape_pool", p->name),
                  L_STR("source", g->source), L_CSTR("err", problem.text));
        target_spec_deinit(&spec);
        return;
    }
    ScrapeTarget *t = find(known, spec.hash);
    if (!t) {
        t = scrape_target_new(p, p->rules, &spec);
        u64_map_put(known, t->spec.hash, (uintptr_t)t);
        vec_push(&p->targets, t);
        scrape_target_start(t);
    } else if (rules_changed && !t->wanted) {
        scrape_target_set_rules(t, p->rules, &spec);
    }
    target_spec_deinit(&spec);
    t->wanted = true;
}

static void end_unwanted(ScrapePool *p) {
    size_t kept = 0;
    for (size_t i = 0; i < p->targets.n; i++) {
        if (p->targets.v[i]->wanted)
            p->targets.v[kept++] = p->targets.v[i];
        else
            scrape_target_end(p->targets.v[i]);
    }
    p->targets.n = kept;
}

static void check_limit(ScrapePool *p) {
    uint64_t limit = p->rules->config->settings.target_limit;
    bool over = limit && p->targets.n > limit;
    char *old = p->forced_error;
    p->forced_error = over ? mem_printf("target_limit exceeded (number of targets: %zu, limit: "
                                        "%llu)",
                                        p->targets.n, (unsigned long long)limit)
                           : NULL;
    for (size_t i = 0; i < p->targets.n; i++)
        p->targets.v[i]->forced_error = p->forced_error;
    mem_free(old);
    if (over)
        metric_inc(scrape_metrics()->target_limit);
}

static int by_url(const void *a, const void *b) {
    const ScrapeTarget *x = *(ScrapeTarget *const *)a, *y = *(ScrapeTarget *const *)b;
    int r = labels_cmp(x->spec.labels, y->spec.labels);
    return r ? r : str_cmp(x->spec.url, y->spec.url);
}

static void sync_groups(ScrapePool *p, bool rules_changed) {
    U64Map known = {0};
    int64_t started = clock_mono_ns();
    dropped_clear(p);
    for (size_t i = 0; i < p->targets.n; i++) {
        p->targets.v[i]->wanted = false;
        u64_map_put(&known, p->targets.v[i]->spec.hash, (uintptr_t)p->targets.v[i]);
    }
    for (size_t i = 0; i < p->groups.n; i++) {
        const TargetGroup *g = p->groups.v[i];
        for (size_t k = 0; k < g->n; k++)
            sync_target(p, &known, g, g->targets[k], rules_changed);
    }
    u64_map_deinit(&known);
    end_unwanted(p);
    if (p->targets.n)
        qsort(p->targets.v, p->targets.n, sizeof(ScrapeTarget *), by_url);
    check_limit(p);
    metric_set(p->m_targets, (double)p->targets.n);
    metric_inc(p->m_sync);
    metric_observe(p->m_sync_length, (double)(clock_mono_ns() - started) / 1e9);
}

void scrape_pool_sync(ScrapePool *p, TargetGroup *const *groups, size_t n) {
    for (size_t i = 0; i < n; i++)
        target_group_ref(groups[i]);
    for (size_t i = 0; i < p->groups.n; i++)
        target_group_unref(p->groups.v[i]);
    p->groups.n = 0;
    for (size_t i = 0; i < n; i++)
        vec_push(&p->groups, groups[i]);
    sync_groups(p, false);
}

/* same: nothing changed but the memory the rules live in. */
void scrape_pool_set_rules(ScrapePool *p, PoolRules *rules, bool same) {
    if (same)
        rules->generation = p->rules->generation;
    pool_rules_unref(p->rules);
    p->rules = pool_rules_ref(rules);
    if (same) {
        for (size_t i = 0; i < p->targets.n; i++) {
            pool_rules_unref(p->targets.v[i]->rules);
            p->targets.v[i]->rules = pool_rules_ref(rules);
        }
        return;
    }
    metric_inc(scrape_metrics()->reloads);
    metric_set(p->m_limit, (double)rules->config->settings.target_limit);
    sync_groups(p, true);
}

void scrape_pool_free(ScrapePool *p) {
    for (size_t i = 0; i < p->targets.n; i++) {
        p->targets.v[i]->forced_error = NULL;
        if (p->manager->stopped)
            scrape_target_discard(p->targets.v[i]);
        else
            scrape_target_end(p->targets.v[i]);
    }
    vec_free(&p->targets);
    dropped_clear(p);
    vec_free(&p->dropped);
    for (size_t i = 0; i < p->groups.n; i++)
        target_group_unref(p->groups.v[i]);
    vec_free(&p->groups);
    Metric *const own[] = {p->m_targets, p->m_limit, p->m_sync,       p->m_sync_failed,
                           p->m_entries, p->m_bytes, p->m_sync_length};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        metric_remove(own[i]);
    pool_rules_unref(p->rules);
    mem_free(p->forced_error);
    mem_free(p->name);
    mem_free(p);
}
