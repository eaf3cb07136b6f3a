/* What scraping knows, for the API: copies in the caller's arena. */
#include "scrape/scrape_manager_private.h"

const char *target_health_text(TargetHealth h) {
    return h == TARGET_UP ? "up" : h == TARGET_DOWN ? "down" : "unknown";
}

static bool wanted(const ScrapePool *p, Str pool) { return !pool.n || str_eqc(pool, p->name); }

/* Others cannot reach localhost: they are told this machine's name. */
static Str global_url(const ScrapeManager *m, Str url, Arena *a) {
    static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t host = str_find_str(url, STR("://")) + 3;
    for (size_t i = 0; m->host[0] && host < url.n && i < ARRAY_LEN(local); i++) {
        Str rest = str_from(url, host), name = str_of(local[i]);
        if (str_starts(rest, name) && (rest.n == name.n || strchr(":/?", rest.p[name.n]) != NULL))
            return arena_printf(a, "%.*s%s%.*s", (int)host, url.p, m->host,
                                SA(str_from(rest, name.n)));
    }
    return arena_str(a, url);
}

static TargetInfo info_of(const ScrapePool *p, const ScrapeTarget *t, Arena *a) {
    return (TargetInfo){
        .pool = arena_str(a, str_of(p->name)),
        .discovered = labels_copy(a, t->spec.discovered),
        .labels = labels_copy(a, t->spec.labels),
        .url = arena_str(a, t->spec.url),
        .global_url = global_url(p->manager, t->spec.url, a),
        .last_error = arena_str(a, str_of(t->last_error ? t->last_error : "")),
        .health = t->health,
        .last_scrape_ms = t->last_scrape_ms,
        .last_duration_s = t->last_duration_s,
        .interval = arena_str(a, t->spec.interval_text),
        .timeout = arena_str(a, labels_get(t->spec.all, STR("__scrape_timeout__"))),
    };
}

size_t scrape_manager_active(ScrapeManager *m, Str pool, Arena *a, TargetInfo **ret) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < m->pools.n; i++)
        n += wanted(m->pools.v[i], pool) ? m->pools.v[i]->targets.n : 0;
    *ret = ARENA_ARRAY(a, TargetInfo, n + 1);
    for (size_t i = 0; *ret && i < m->pools.n; i++) {
        const ScrapePool *p = m->pools.v[i];
        for (size_t k = 0; wanted(p, pool) && k < p->targets.n; k++)
            (*ret)[at++] = info_of(p, p->targets.v[k], a);
    }
    return at;
}

size_t scrape_manager_dropped(ScrapeManager *m, Str pool, Arena *a, DroppedTargetInfo **ret) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < m->pools.n; i++)
        n += wanted(m->pools.v[i], pool) ? m->pools.v[i]->dropped.n : 0;
    *ret = ARENA_ARRAY(a, DroppedTargetInfo, n + 1);
    for (size_t i = 0; *ret && i < m->pools.n; i++) {
        const ScrapePool *p = m->pools.v[i];
        for (size_t k = 0; wanted(p, pool) && k < p->dropped.n; k++)
            (*ret)[at++] = (DroppedTargetInfo){arena_str(a, str_of(p->name)),
                                               labels_copy(a, p->dropped.v[k].discovered)};
    }
    return at;
}

size_t scrape_manager_dropped_count(ScrapeManager *m, Str pool) {
    size_t n = 0;
    for (size_t i = 0; i < m->pools.n; i++)
        n += wanted(m->pools.v[i], pool) ? m->pools.v[i]->n_dropped : 0;
    return n;
}

size_t scrape_manager_pools(ScrapeManager *m, Arena *a, Str **ret) {
    *ret = ARENA_ARRAY(a, Str, m->pools.n + 1);
    for (size_t i = 0; *ret && i < m->pools.n; i++)
        (*ret)[i] = arena_str(a, str_of(m->pools.v[i]->name));
    return *ret ? m->pools.n : 0;
}

void scrape_manager_summary(ScrapeManager *m, ScrapeSummary *ret) {
    *ret = (ScrapeSummary){0};
    for (size_t i = 0; i < m->pools.n; i++) {
        const ScrapePool *p = m->pools.v[i];
        for (size_t k = 0; k < p->targets.n; k++) {
            TargetHealth h = p->targets.v[k]->health;
            ret->up += h == TARGET_UP;
            ret->down += h == TARGET_DOWN;
            ret->unknown += h == TARGET_UNKNOWN;
        }
    }
}

/* ---- metadata */

typedef struct MetadataList {
    VEC(TargetMetadata) v;
    Arena *arena;
    Labels target;
    Str only;
} MetadataList;

static void metadata_add(MetadataList *list, Str family, const Metadata *m) {
    if (!family.p || (list->only.n && !str_eq(list->only, family)))
        return;
    TargetMetadata item = {
        list->target,
        arena_str(list->arena, family),
        {m->type, arena_str(list->arena, m->unit), arena_str(list->arena, m->help)}};
    vec_push(&list->v, item);
}

/* A family's TYPE, HELP and UNIT lines stand together in the text above its first sample. */
static void lead_metadata(MetadataList *list, Str lead, ExpoFormat format) {
    ExpoParser p;
    Metadata meta = {0};
    Str family = STR_NULL;
    int entry;
    expo_init(&p, format, lead);
    while ((entry = expo_next(&p)) > EXPO_END) {
        if (entry == EXPO_COMMENT || entry == EXPO_SAMPLE)
            continue;
        if (family.p && !str_eq(family, p.family)) {
            metadata_add(list, family, &meta);
            meta = (Metadata){0};
        }
        family = p.family;
        if (entry == EXPO_TYPE)
            meta.type = p.type;
        else if (entry == EXPO_HELP)
            meta.help = expo_unescape(p.help, format == EXPO_OPENMETRICS, list->arena);
        else
            meta.unit = p.unit;
    }
    metadata_add(list, family, &meta);
}

static void target_metadata(MetadataList *list, ScrapeTarget *t) {
    list->target = labels_copy(list->arena, t->spec.labels);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->cache.n; i++) {
        Str lead = str_upto(scrape_cache_text(&t->cache, i), t->cache.lines[i].lead);
        if (lead.n)
            lead_metadata(list, lead, t->cache.format);
    }
    pthread_mutex_unlock(&t->lock);
}

size_t scrape_manager_metadata(ScrapeManager *m, Str metric, Arena *a, TargetMetadata **ret) {
    MetadataList list = {.arena = a, .only = metric};
    for (size_t i = 0; i < m->pools.n; i++) {
        for (size_t k = 0; k < m->pools.v[i]->targets.n; k++)
            target_metadata(&list, m->pools.v[i]->targets.v[k]);
    }
    *ret = ARENA_ARRAY(a, TargetMetadata, list.v.n + 1);
    size_t n = *ret ? list.v.n : 0;
    if (n)
        memcpy(*ret, list.v.v, n * sizeof(TargetMetadata));
    vec_free(&list.v);
    return n;
}
