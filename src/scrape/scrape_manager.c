#include "scrape/scrape_manager.h"

#include <stdlib.h>

#include "base/mem.h"
#include "scrape/scrape_manager_private.h"
#include "scrape/scrape_metrics.h"

ScrapeManager *scrape_manager_new(const ScrapeManagerOptions *options) {
    ScrapeManager *m = NEW(ScrapeManager);
    m->options = *options;
    m->user_agent = str_dup(options->user_agent);
    (void)scrape_metrics(); /* made before workers count in them */
    return m;
}

/*
 * One entry a protocol with falling weight, as Prometheus sends it. The protobuf format is left out
 * because nothing here reads it.
 */
static char *accept_header(const ScrapeConfig *c) {
    static const char *const types[SCRAPE_PROTOCOLS] = {
        [SCRAPE_TEXT_0_0_4] = "text/plain;version=0.0.4",
        [SCRAPE_TEXT_1_0_0] = "text/plain;version=1.0.0",
        [SCRAPE_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
        [SCRAPE_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
    };
    Buf b = BUF_INIT(0);
    size_t n = 0;
    for (size_t i = 0; i < c->n_protocols; i++)
        n += types[c->protocols[i]] != NULL;
    for (size_t i = 0; i < c->n_protocols; i++) {
        ScrapeProtocol p = c->protocols[i];
        if (!types[p])
            continue;
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

/* ---- for the API */

const char *target_health_text(TargetHealth h) {
    return h == TARGET_UP ? "up" : h == TARGET_DOWN ? "down" : "unknown";
}

int scrape_manager_each_pool(ScrapeManager *m, int (*fn)(void *arg, const PoolView *p), void *arg) {
    int r = 0;
    for (size_t i = 0; i < m->pools.n && r == 0; i++) {
        const ScrapePool *p = m->pools.v[i];
        r = fn(arg, &(PoolView){str_of(p->name), p->targets.n, p->n_dropped});
    }
    return r;
}

static TargetView view_of(const ScrapePool *p, const ScrapeTarget *t) {
    return (TargetView){
        .pool = str_of(p->name),
        .discovered = t->spec.discovered,
        .labels = t->spec.labels,
        .url = t->spec.url,
        .last_error = str_of(t->last_error ? t->last_error : ""),
        .last_scrape_ms = t->last_scrape_ms,
        .last_duration_s = t->last_duration_s,
        .health = t->health,
        .interval = t->spec.interval_text,
        .timeout = labels_get(t->spec.all, STR("__scrape_timeout__")),
        .target = t,
    };
}

int scrape_manager_each_active(ScrapeManager *m, Str pool,
                               int (*fn)(void *arg, const TargetView *t), void *arg) {
    int r = 0;
    for (size_t i = 0; i < m->pools.n && r == 0; i++) {
        const ScrapePool *p = m->pools.v[i];
        for (size_t k = 0; (!pool.p || str_eqc(pool, p->name)) && k < p->targets.n && r == 0; k++) {
            TargetView v = view_of(p, p->targets.v[k]);
            r = fn(arg, &v);
        }
    }
    return r;
}

int scrape_manager_each_dropped(ScrapeManager *m, Str pool,
                                int (*fn)(void *arg, const TargetView *t), void *arg) {
    int r = 0;
    for (size_t i = 0; i < m->pools.n && r == 0; i++) {
        const ScrapePool *p = m->pools.v[i];
        for (size_t k = 0; (!pool.p || str_eqc(pool, p->name)) && k < p->dropped.n && r == 0; k++)
            r = fn(arg, &(TargetView){.pool = str_of(p->name),
                                      .discovered = p->dropped.v[k].discovered});
    }
    return r;
}

/* A family's TYPE, HELP and UNIT lines stand together in the text above its first sample. */
static int lead_metadata(Str lead, ExpoFormat format, Arena *a,
                         int (*fn)(void *arg, Str metric, const Metadata *meta), void *arg) {
    ExpoParser p;
    Metadata meta = {0};
    Str family = STR_NULL;
    int entry, r = 0;
    expo_init(&p, format, lead);
    while (r == 0 && (entry = expo_next(&p)) > EXPO_END) {
        if (entry == EXPO_COMMENT || entry == EXPO_SAMPLE)
            continue;
        if (family.p && !str_eq(family, p.family)) {
            r = fn(arg, family, &meta);
            meta = (Metadata){0};
        }
        family = p.family;
        if (entry == EXPO_TYPE)
            meta.type = p.type;
        else if (entry == EXPO_HELP)
            meta.help = expo_unescape(p.help, format == EXPO_OPENMETRICS, a);
        else
            meta.unit = p.unit;
    }
    return r == 0 && family.p ? fn(arg, family, &meta) : r;
}

int scrape_manager_metadata(const void *target,
                            int (*fn)(void *arg, Str metric, const Metadata *meta), void *arg) {
    ScrapeTarget *t = (ScrapeTarget *)target;
    Arena a = ARENA_INIT(16 << 20);
    int r = 0;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->cache.n && r == 0; i++) {
        Str lead = str_upto(scrape_cache_text(&t->cache, i), t->cache.lines[i].lead);
        if (lead.n)
            r = lead_metadata(lead, t->cache.format, &a, fn, arg);
        arena_reset(&a);
    }
    pthread_mutex_unlock(&t->lock);
    arena_deinit(&a);
    return r;
}
