#include "scrape/scrape_cache.h"

#include "base/hash.h"
#include "base/mem.h"

/* Line texts have 32-bit places. */
#define TEXT_BYTES_MAX UINT32_MAX

void scrape_cache_deinit(ScrapeCache *c) {
    mem_free(c->text);
    mem_free(c->lines);
    *c = (ScrapeCache){0};
}

static Str series_text(const ScrapeCache *c, size_t i) {
    return str_from(scrape_cache_text(c, i), c->lines[i].lead);
}

/* The type changes a series only where bounds are written in another way. */
static MetricType labels_type(MetricType type) {
    bool matters =
        type == METRIC_HISTOGRAM || type == METRIC_GAUGE_HISTOGRAM || type == METRIC_SUMMARY;
    return matters ? type : METRIC_UNKNOWN;
}

static uint64_t series_hash(Str series, MetricType type) {
    return hash_str(series) * 31 + (uint64_t)labels_type(type);
}

static void index_lines(ScrapeEdit *e) {
    size_t cap = 16;
    while (cap < e->old->n * 2)
        cap *= 2;
    e->mask = cap - 1;
    e->slots = NEW_ARRAY(uint32_t, cap);
    for (size_t i = 0; i < e->old->n; i++) {
        const CacheLine *l = &e->old->lines[i];
        if (l->odd)
            continue;
        size_t at = series_hash(series_text(e->old, i), (MetricType)l->type) & e->mask;
        while (e->slots[at])
            at = (at + 1) & e->mask;
        e->slots[at] = (uint32_t)i + 1;
    }
}

void scrape_edit_begin(ScrapeEdit *e, const ScrapeCache *old, size_t n_same) {
    *e = (ScrapeEdit){.old = old, .text = BUF_INIT(TEXT_BYTES_MAX)};
    e->seen = NEW_ARRAY(uint8_t, old->n / 8 + 1);
    if (!old->invalid)
        index_lines(e);
    for (size_t i = 0; i < n_same; i++) {
        CacheLine *l = scrape_edit_keep(e, i);
        if (l->ref && !l->duplicate)
            u64_map_put(&e->refs, l->ref, 1);
    }
}

void scrape_edit_deinit(ScrapeEdit *e) {
    mem_free(e->slots);
    mem_free(e->seen);
    u64_map_deinit(&e->refs);
    vec_free(&e->lines);
    buf_deinit(&e->text);
    *e = (ScrapeEdit){0};
}

size_t scrape_edit_find(const ScrapeEdit *e, Str series, MetricType type) {
    size_t at = series_hash(series, type) & e->mask;
    for (; e->slots && e->slots[at]; at = (at + 1) & e->mask) {
        size_t i = e->slots[at] - 1;
        if (labels_type((MetricType)e->old->lines[i].type) == labels_type(type) &&
            str_eq(series_text(e->old, i), series))
            return i;
    }
    return e->old->n;
}

static CacheLine *push_line(ScrapeEdit *e, CacheLine line, Str text) {
    buf_add_str(&e->text, text);
    line.end = (uint32_t)e->text.n;
    line.odd |= e->text.failed;
    vec_push(&e->lines, line);
    return &e->lines.v[e->lines.n - 1];
}

CacheLine *scrape_edit_keep(ScrapeEdit *e, size_t i) {
    e->seen[i / 8] |= (uint8_t)(1u << i % 8);
    return push_line(e, e->old->lines[i], scrape_cache_text(e->old, i));
}

CacheLine *scrape_edit_add(ScrapeEdit *e, const ExpoParser *p) {
    size_t lead = (size_t)(p->series.p - p->text.p);
    CacheLine line = {.type = (uint32_t)p->type, .typed = p->typed};
    if (lead > CACHE_LEAD_MAX) {
        line.odd = true;
        return push_line(e, line, STR(""));
    }
    line.lead = (uint32_t)lead;
    return push_line(e, line, p->text);
}

CacheLine *scrape_edit_move(ScrapeEdit *e, size_t i, const ExpoParser *p) {
    const CacheLine *was = &e->old->lines[i];
    e->seen[i / 8] |= (uint8_t)(1u << i % 8);
    CacheLine *l = scrape_edit_add(e, p);
    l->ref = was->ref;
    l->skip = was->skip;
    return l;
}

bool scrape_edit_lacks(const ScrapeEdit *e, size_t i) {
    uint64_t ignored;
    return !(e->seen[i / 8] & 1u << i % 8) &&
           !u64_map_get(&e->refs, e->old->lines[i].ref, &ignored);
}

bool scrape_edit_repeats(ScrapeEdit *e, SeriesRef ref) {
    uint64_t ignored;
    if (u64_map_get(&e->refs, ref, &ignored))
        return true;
    u64_map_put(&e->refs, ref, 1);
    return false;
}

void scrape_edit_commit(ScrapeEdit *e, ScrapeCache *c) {
    ScrapeCache was = *c;
    scrape_cache_deinit(c);
    c->format = was.format;
    c->generation = was.generation;
    for (size_t i = 0; i < e->lines.n; i++) {
        c->n_leads += e->lines.v[i].lead > 0;
        c->lead_bytes += e->lines.v[i].lead;
    }
    c->n_text = e->text.n;
    c->text = mem_dup(e->text.p ? e->text.p : "", e->text.n ? e->text.n : 1);
    c->n = e->lines.n;
    c->lines = e->lines.n ? mem_dup(e->lines.v, e->lines.n * sizeof(CacheLine)) : NULL;
    e->old = c;
}
