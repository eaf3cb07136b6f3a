#include "scrape/scrape_manager.h"

#include <stdlib.h>

#include "base/mem.h"
#include "scrape/scrape_manager_private.h"
#include "scrape/scrape_metrics.h"

ScrapeManager *scrape_manager_new(const ScrapeManagerOptions *options) {
    ScrapeManager *m = NEW(ScrapeManager);
    m->options = *options;
    if (!m->options.call) {
        m->options.call = http_call;
        m->options.cancel = http_call_cancel;
    }
    m->user_agent =
        options->user_agent.n ? str_dup(options->user_agent) : mem_strdup("Prometheus/3.14.0");
    (void)scrape_metrics(); /* made before workers count in them */
    return m;
}

/* One entry a protocol with falling weight, as Prometheus sends it. */
static char *accept_header(const ScrapeConfig *c) {
    static const char proto[] = "application/vnd.google.protobuf;"
                                "proto=io.prometheus.client.MetricFamily;encoding=delimited";
    static const char *const types[SCRAPE_PROTOCOLS] = {
        [SCRAPE_PROTO] = proto,
        [SCRAPE_TEXT_0_0_4] = "text/plain;version=0.0.4",
        [SCRAPE_TEXT_1_0_0] = "text/plain;version=1.0.0",
        [SCRAPE_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
        [SCRAPE_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
    };
    Buf b = BUF_INIT(0);
    size_t n = c->n_protocols;
    for (size_t i = 0; i < c->n_protocols; i++) {
        ScrapeProtocol p = c->protocols[i];
        buf_add_cstr(&b, types[p]);
        if (p == SCRAPE_TEXT_1_0_0 || p == SCRAPE_OPENMETRICS_1_0_0)
            buf_addf(&b, ";escaping=%.*s", SA(c->settings.escaping_scheme));
        buf_addf(&b, ";q=0.%zu,", 1 + n--);
    }
    buf_add_cstr(&b, "*/*;q=0.1");
    char *s = str_dup(buf_str(&b));
    buf_deinit(&b);
    return s;
}

static PoolRules *rules_new(ScrapeManager *m, const ScrapeConfig *c, void *owner) {
    PoolRules *r = NEW(PoolRules);
    atomic_init(&r->refs, 1);
    r->config = c;
    r->accept = accept_header(c);
    r->generation = ++m->generations;
    if (m->options.owner_ref && owner) {
        r->owner = m->options.owner_ref(owner);
        r->owner_unref = m->options.owner_unref;
    }
    return r;
}

static ScrapePool *find_pool(ScrapeManager *m, Str name) {
    for (size_t i = 0; i < m->pools.n; i++) {
        if (str_eqc(name, m->pools.v[i]->name))
            return m->pools.v[i];
    }
    return NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(ScrapePool *const *)a)->name, (*(ScrapePool *const *)b)->name);
}

void scrape_manager_apply(ScrapeManager *m, const ScrapeConfig *const *jobs, size_t n, void *owner,
                          uint64_t seed) {
    m->seed = seed;
    for (size_t i = 0; i < m->pools.n; i++)
        m->pools.v[i]->wanted = false;
    for (size_t i = 0; i < n; i++) {
        PoolRules *rules = rules_new(m, jobs[i], owner);
        ScrapePool *p = find_pool(m, jobs[i]->job_name);
        if (p) {
            scrape_pool_set_rules(p, rules, scrape_config_eq(p->rules->config, jobs[i]));
        } else {
            p = scrape_pool_new(m, rules);
            vec_push(&m->pools, p);
        }
        p->wanted = true;
        pool_rules_unref(rules);
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->pools.n; i++) {
        if (m->pools.v[i]->wanted)
            m->pools.v[kept++] = m->pools.v[i];
        else
            scrape_pool_free(m->pools.v[i]);
    }
    m->pools.n = kept;
    if (kept)
        qsort(m->pools.v, kept, sizeof(ScrapePool *), by_name);
}

void scrape_manager_on_groups(void *manager, Str job, TargetGroup *const *groups, size_t n) {
    ScrapePool *p = find_pool(manager, job);
    if (p)
        scrape_pool_sync(p, groups, n);
}

void scrape_manager_stop(ScrapeManager *m) {
    m->stopped = true;
    for (size_t i = 0; i < m->pools.n; i++)
        scrape_pool_free(m->pools.v[i]);
    m->pools.n = 0;
    for (size_t i = 0; i < m->ending.n; i++)
        scrape_target_discard(m->ending.v[i]);
    m->ending.n = 0;
}

void scrape_manager_free(ScrapeManager *m) {
    if (!m)
        return;
    if (!m->stopped)
        scrape_manager_stop(m);
    vec_free(&m->pools);
    vec_free(&m->ending);
    mem_free(m->user_agent);
    mem_free(m);
}
