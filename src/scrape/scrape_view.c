/* What scraping knows, for the API. */
#include "scrape/scrape_manager_private.h"

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

const ScrapeConfig *scrape_manager_config(const ScrapeManager *m, Str pool) {
    for (size_t i = 0; i < m->pools.n; i++) {
        if (str_eqc(pool, m->pools.v[i]->name))
            return m->pools.v[i]->rules->config;
    }
    return NULL;
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
    /* The texts of protobuf pages are like those of OpenMetrics. */
    format = format == EXPO_PROTO ? EXPO_OPENMETRICS : format;
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
