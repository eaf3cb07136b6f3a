#include "scrape/scrape_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

/* Samples further ahead of the scrape than this are refused. */
#define AHEAD_MAX_MS (10 * MINUTE_MS)

enum { LINE_OK = 0, LINE_DROPPED = 1 };

static int refuse(ScrapePage *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(ScrapePage *p, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->error, sizeof(p->error), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* ---- the labels of a series */

/* The target's labels win; what they displace is kept under exported_ names. */
static void displace(ScrapePage *p) {
    LabelsBuilder *b = &p->builder;
    for (size_t i = 0; i < p->target.n; i++) {
        Str name = p->target.v[i].name, old = labels_builder_get(b, name);
        labels_builder_set(b, name, p->target.v[i].value);
        if (!old.n)
            continue;
        Str exported = arena_printf(&p->scratch, "exported_%.*s", SA(name));
        while (labels_builder_get(b, exported).n || labels_has(p->target, exported))
            exported = arena_printf(&p->scratch, "exported_%.*s", SA(exported));
        labels_builder_set(b, exported, old);
    }
}

/* The page's labels win, empty ones included: those take the target's label away. */
static void honor(ScrapePage *p, const Label *raw, size_t n) {
    for (size_t i = 0; i < p->target.n; i++) {
        bool there = false;
        for (size_t k = 0; k < n && !there; k++)
            there = str_eq(raw[k].name, p->target.v[i].name);
        if (!there)
            labels_builder_set(&p->builder, p->target.v[i].name, p->target.v[i].value);
    }
}

static int check_limits(ScrapePage *p, Labels l) {
    const ScrapeSettings *s = &p->config->settings;
    Str metric = labels_get(l, LABEL_NAME);
    const char *broken = NULL;
    if (s->label_limit && l.n > s->label_limit) {
        p->counts.over_label_limit = true;
        return refuse(p, "label_limit exceeded (metric: %.50s, number of labels: %zu, limit: %llu)",
                      arena_cstr(&p->scratch, metric), l.n, (unsigned long long)s->label_limit);
    }
    for (size_t i = 0; i < l.n && !broken; i++) {
        if (s->label_name_length_limit && l.v[i].name.n > s->label_name_length_limit)
            broken = "label_name_length_limit";
        else if (s->label_value_length_limit && l.v[i].value.n > s->label_value_length_limit)
            broken = "label_value_length_limit";
        if (broken) {
            p->counts.over_label_limit = true;
            return refuse(p, "%s exceeded (metric: %.50s, label name: %.50s, length: %zu)", broken,
                          arena_cstr(&p->scratch, metric), arena_cstr(&p->scratch, l.v[i].name),
                          MAX(l.v[i].name.n, l.v[i].value.n));
        }
    }
    return 0;
}

static int check_names(ScrapePage *p, Labels l) {
    Str metric = labels_get(l, LABEL_NAME);
    if (!metric.n)
        return refuse(p, "missing metric name (__name__ label)");
    if (!scrape_settings_legacy_names(&p->config->settings))
        return 0;
    bool ok = metric_name_valid_legacy(metric);
    for (size_t i = 0; i < l.n && ok; i++)
        ok = label_name_valid_legacy(l.v[i].name);
    return ok ? 0
              : refuse(p, "invalid metric name or label names: %.300s",
                       arena_cstr(&p->scratch, metric));
}

/* LINE_OK and the labels, in the scratch arena; LINE_DROPPED; or a refusal. */
static int series_labels(ScrapePage *p, Str series, MetricType type, Labels *ret) {
    Label *raw;
    size_t n;
    Labels scraped;
    Str duplicate;
    arena_reset(&p->scratch);
    if (!expo_series_labels(p->parser.format, type, series, &p->scratch, &raw, &n))
        return refuse(p, "series %.300s: its labels cannot be read",
                      arena_cstr(&p->scratch, series));
    Label *kept = arena_dup(&p->scratch, raw, n * sizeof(Label));
    if (n && !kept)
        return refuse(p, "too many labels in one series");
    if (!labels_from_pairs(raw, n, &scraped, &duplicate))
        return refuse(p, "label name \"%.200s\" is not unique: invalid sample",
                      arena_cstr(&p->scratch, duplicate));
    labels_builder_reset(&p->builder, scraped);
    if (p->config->honor_labels)
        honor(p, kept, n);
    else
        displace(p);
    const RelabelConfigs *rules = &p->config->metric_relabel;
    if (rules->n && !relabel_apply(rules->v, rules->n, &p->builder, &p->scratch))
        return LINE_DROPPED;
    *ret = labels_builder_view(&p->builder);
    if (!ret->n)
        return LINE_DROPPED;
    int r = check_names(p, *ret);
    return r < 0 ? r : check_limits(p, *ret);
}

/* ---- appending */

static int count_outcome(ScrapePage *p, int outcome, Labels l) {
    switch (outcome) {
    case APPEND_OK: return 0;
    case APPEND_OUT_OF_ORDER: p->counts.out_of_order++; return 0;
    case APPEND_DUPLICATE: p->counts.duplicate++; return 0;
    case APPEND_TOO_OLD:
    case APPEND_OUT_OF_BOUNDS: p->counts.out_of_bounds++; return 0;
    default:
        if (outcome < 0)
            return err_trace(outcome);
        return refuse(p, "%s: %.300s", append_outcome_text((AppendOutcome)outcome),
                      arena_cstr(&p->scratch, labels_get(l, LABEL_NAME)));
    }
}

/* What the job's limits make of a histogram: fewer, wider buckets. False: too many still. */
static bool fit_buckets(ScrapePage *p, const Histogram **h, const FloatHistogram **fh) {
    uint64_t limit = p->config->histogram_bucket_limit;
    int32_t max = histogram_schema_for(p->config->histogram_min_bucket_factor);
    bool by_factor = p->config->histogram_min_bucket_factor > 0;
    arena_reset(&p->reduced);
    for (;;) {
        int32_t schema = *h ? (*h)->schema : (*fh)->schema;
        uint64_t n = *h ? (uint64_t)(*h)->n_positive + (*h)->n_negative
                        : (uint64_t)(*fh)->n_positive + (*fh)->n_negative;
        bool custom = schema == HISTOGRAM_SCHEMA_CUSTOM, many = limit && n > limit;
        if (!many && (custom || !by_factor || schema <= max))
            return true;
        if (custom || schema <= HISTOGRAM_SCHEMA_MIN || schema > HISTOGRAM_SCHEMA_MAX)
            return !many; /* a schema out of range is refused when it is appended */
        int32_t lower = !many || (by_factor && schema > max) ? max : schema - 1;
        if (*h)
            *h = histogram_reduce(&p->reduced, *h, lower);
        else
            *fh = float_histogram_reduce(&p->reduced, *fh, lower);
        if (!*h && !*fh)
            return false;
    }
}

static int append_histogram(ScrapePage *p, SeriesRef *ref, Labels labels, int64_t t) {
    const Histogram *h = p->parser.h;
    const FloatHistogram *fh = p->parser.fh;
    Appender *a = p->appender;
    Problem why = {0};
    if (!a->ops->append_histogram)
        return APPEND_UNSUPPORTED;
    if (!(h ? histogram_validate(h, &why) : float_histogram_validate(fh, &why)))
        return refuse(p, "%s", why.text);
    if (!fit_buckets(p, &h, &fh)) {
        p->counts.over_bucket_limit = true;
        return refuse(p, "histogram bucket limit exceeded");
    }
    return a->ops->append_histogram(a, ref, labels, t, h, fh, p->parser.st);
}

/* The sample the parser stands at, of any kind. */
static int append_sample(ScrapePage *p, SeriesRef *ref, Labels labels, int64_t t) {
    const ExpoParser *x = &p->parser;
    bool native = x->h || x->fh;
    if (UNLIKELY(x->st && p->start_as_zero)) {
        int r = appender_append_zero(p->appender, ref, labels, t, x->st, x->h, x->fh);
        if (r != APPEND_OK)
            return r;
        labels = *ref ? LABELS_EMPTY : labels;
    }
    if (UNLIKELY(native))
        return append_histogram(p, ref, labels, t);
    return p->appender->ops->append(p->appender, ref, labels, t, x->value, x->st);
}

static void append_exemplars(ScrapePage *p, SeriesRef ref, int64_t t) {
    for (size_t i = 0; p->appender->ops->append_exemplar && i < p->parser.n_exemplars; i++) {
        const ExpoExemplar *e = &p->parser.exemplars[i];
        Exemplar out = {.value = e->value, .t = e->has_t ? e->t : t, .has_t = e->has_t};
        Str duplicate;
        if (!labels_from_pairs(e->labels, e->n_labels, &out.labels, &duplicate))
            continue;
        int r = p->appender->ops->append_exemplar(p->appender, ref, &out);
        p->counts.exemplar_out_of_order += r == APPEND_OUT_OF_ORDER || r == APPEND_TOO_OLD;
    }
}

static void append_exemplar(ScrapePage *p, SeriesRef ref, int64_t t) {
    if (p->parser.n_exemplars) {
        append_exemplars(p, ref, t);
        return;
    }
    ExpoExemplar e;
    Exemplar out = {
        .t = t}; /* has_t stays false: the same one again is the same whenever it comes */
    Str duplicate;
    if (!p->appender->ops->append_exemplar)
        return;
    arena_reset(&p->scratch);
    if (!expo_exemplar(p->parser.exemplar, &p->scratch, &e) ||
        !labels_from_pairs(e.labels, e.n_labels, &out.labels, &duplicate))
        return;
    out.value = e.value;
    out.has_t = e.has_t;
    if (e.has_t)
        out.t = e.t;
    int r = p->appender->ops->append_exemplar(p->appender, ref, &out);
    p->counts.exemplar_out_of_order += r == APPEND_OUT_OF_ORDER || r == APPEND_TOO_OLD;
}

static bool own_time(const ScrapePage *p) { return p->parser.has_t && p->config->honor_timestamps; }

/* True when the sample may be appended; counts it otherwise. */
static bool admit(ScrapePage *p, int64_t t) {
    uint64_t limit = p->config->settings.sample_limit;
    if (own_time(p) && t > p->t + AHEAD_MAX_MS) {
        p->counts.out_of_bounds++;
        return false;
    }
    if (limit && ++p->appended > limit)
        p->counts.over_sample_limit = true;
    return !p->counts.over_sample_limit;
}

/* The head dropped the series this line went to: it is found or made again by its labels. */
static int append_again(ScrapePage *p, CacheLine *l, int64_t t) {
    Labels labels = LABELS_EMPTY;
    int r = series_labels(p, p->parser.series, p->parser.type, &labels);
    if (r != LINE_OK)
        return r < 0 ? r : 0;
    l->ref = 0;
    r = append_sample(p, &l->ref, labels, t);
    return count_outcome(p, r, labels);
}

/* A sample of a line whose series is known. */
static int append_known(ScrapePage *p, CacheLine *l) {
    p->counts.total++;
    if (l->skip)
        return 0;
    p->counts.added++;
    bool own = own_time(p);
    int64_t t = own ? p->parser.t : p->t;
    l->untracked = own && !p->config->track_timestamps_staleness;
    if (UNLIKELY(l->duplicate && !own)) {
        p->counts.duplicate++;
        return 0;
    }
    if ((own || p->config->settings.sample_limit) && !admit(p, t))
        return 0;
    SeriesRef ref = l->ref;
    int r = append_sample(p, &ref, LABELS_EMPTY, t);
    if (UNLIKELY(r != APPEND_OK)) {
        r = r == APPEND_UNKNOWN_REF ? append_again(p, l, t) : count_outcome(p, r, LABELS_EMPTY);
        if (r < 0)
            return r;
    }
    if (UNLIKELY(p->parser.exemplar.p || p->parser.n_exemplars) && l->ref)
        append_exemplar(p, l->ref, t);
    return 0;
}

/* The series of the same labels that an earlier line of this page went to; 0 when none did. */
static SeriesRef seen_before(const ScrapePage *p, uint64_t hash) {
    uint64_t ref;
    return u64_map_get(&p->fresh, hash, &ref) ? ref : 0;
}

static int append_labels(ScrapePage *p, CacheLine *l, Labels labels, uint64_t hash, int64_t t) {
    SeriesRef ref = 0;
    int r = append_sample(p, &ref, labels, t);
    l->ref = ref;
    bool taken = r == APPEND_OK;
    u64_map_put(&p->fresh, hash, ref);
    r = count_outcome(p, r, labels);
    if (r < 0)
        return r;
    /* Another text of a series that is on the page: only the first is kept from now on. */
    if (ref && scrape_edit_repeats(&p->edit, ref))
        l->duplicate = true;
    else
        p->counts.series_added += taken;
    if ((p->parser.exemplar.p || p->parser.n_exemplars) && ref && taken)
        append_exemplar(p, ref, t);
    return 0;
}

/* A sample of a line not seen before. */
static int append_fresh(ScrapePage *p, CacheLine *l) {
    Labels labels = LABELS_EMPTY;
    p->counts.total++;
    int r = series_labels(p, p->parser.series, p->parser.type, &labels);
    if (r != LINE_OK) {
        l->skip = true;
        return r < 0 ? r : 0;
    }
    p->counts.added++;
    bool own = own_time(p);
    int64_t t = own ? p->parser.t : p->t;
    l->untracked = own && !p->config->track_timestamps_staleness;
    uint64_t hash = labels_hash(labels);
    l->ref = seen_before(p, hash);
    if (l->ref && !own) {
        l->duplicate = true;
        p->counts.duplicate++;
        return 0;
    }
    if (!admit(p, t)) {
        l->odd = true;
        return 0;
    }
    return append_labels(p, l, labels, hash, t);
}

/* ---- reading */

static int bad_line(ScrapePage *p) {
    const Problem *why = &p->parser.problem;
    return why->line ? refuse(p, "line %d: %s", why->line, why->text) : refuse(p, "%s", why->text);
}

static int read_moved(ScrapePage *p, size_t i, bool hit) {
    CacheLine *l = hit ? scrape_edit_keep(&p->edit, i) : scrape_edit_move(&p->edit, i, &p->parser);
    l->duplicate = l->ref && scrape_edit_repeats(&p->edit, l->ref);
    return append_known(p, l);
}

/* From the first line on that is not as before. `entry` was read already. */
static int read_edited(ScrapePage *p, size_t n_same, int entry) {
    const ScrapeCache *old = p->cache;
    size_t cursor = n_same;
    bool hit = false;
    scrape_edit_begin(&p->edit, old, n_same);
    p->editing = true;
    while (entry != EXPO_END) {
        if (entry < 0)
            return bad_line(p);
        bool sample = entry == EXPO_SAMPLE;
        if (sample) {
            size_t i = hit ? cursor : scrape_edit_find(&p->edit, p->parser.series, p->parser.type);
            int r = i < old->n ? read_moved(p, i, hit)
                               : append_fresh(p, scrape_edit_add(&p->edit, &p->parser));
            if (r < 0)
                return r;
            cursor = i < old->n ? i + 1 : cursor;
        }
        hit = false;
        if (sample && cursor < old->n && !old->invalid && !old->lines[cursor].odd) {
            ExpoExpected expected = scrape_cache_expected(old, cursor);
            entry = expo_next_expect(&p->parser, &expected, &hit);
        } else {
            entry = expo_next(&p->parser);
        }
    }
    return 0;
}

/* The lines that are where they were; then the rest, if the page goes on or ended early. */
static int read_lines(ScrapePage *p) {
    ScrapeCache *c = p->cache;
    size_t i = 0;
    int entry = EXPO_SAMPLE;
    for (; i < c->n && !c->invalid && !c->lines[i].odd; i++) {
        ExpoExpected expected = scrape_cache_expected(c, i);
        bool hit = false;
        entry = expo_next_expect(&p->parser, &expected, &hit);
        if (!hit)
            return read_edited(p, i, entry);
        int r = append_known(p, &c->lines[i]);
        if (r < 0)
            return r;
    }
    entry = expo_next(&p->parser);
    /* Comments behind the last sample belong to no line and may come and go. */
    while (i == c->n && c->n && entry > EXPO_SAMPLE)
        entry = expo_next(&p->parser);
    return entry == EXPO_END && i == c->n && !c->invalid ? 0 : read_edited(p, i, entry);
}

static bool wants_marker(const CacheLine *l) {
    return l->ref && !l->skip && !l->duplicate && !l->untracked;
}

static int mark_stale(Appender *a, SeriesRef ref, int64_t t) {
    int r = a->ops->append(a, &ref, LABELS_EMPTY, t, stale_nan(), 0);
    return r < 0 ? err_trace(r) : 0; /* other outcomes: the series has newer samples or is gone */
}

static int mark_gone(ScrapePage *p) {
    const ScrapeCache *old = p->cache;
    for (size_t i = 0; p->editing && old->tracked && i < old->n; i++) {
        if (!wants_marker(&old->lines[i]) || !scrape_edit_lacks(&p->edit, i))
            continue;
        int r = mark_stale(p->appender, old->lines[i].ref, p->t);
        if (r < 0)
            return r;
    }
    return 0;
}

int scrape_page_read(ScrapePage *p, ExpoFormat format, Str body) {
    expo_init(&p->parser, format, body);
    p->parser.native = p->config->settings.native_histograms;
    p->parser.classic = p->config->settings.classic_histograms;
    if (p->cache->format != format)
        p->cache->invalid = true;
    p->cache->format = format;
    int r = read_lines(p);
    if (r == 0 && p->counts.over_sample_limit)
        r = refuse(p, "sample limit exceeded");
    return r < 0 ? r : mark_gone(p);
}

void scrape_page_commit(ScrapePage *p) {
    if (p->editing)
        scrape_edit_commit(&p->edit, p->cache);
    p->cache->tracked = true;
    p->cache->invalid = false;
}

int scrape_page_end_series(ScrapePage *p, Appender *a, int64_t t) {
    ScrapeCache *c = p->cache;
    for (size_t i = 0; c->tracked && i < c->n; i++) {
        int r = wants_marker(&c->lines[i]) ? mark_stale(a, c->lines[i].ref, t) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

void scrape_page_deinit(ScrapePage *p) {
    scrape_edit_deinit(&p->edit);
    u64_map_deinit(&p->fresh);
    expo_deinit(&p->parser);
    arena_deinit(&p->scratch);
    arena_deinit(&p->reduced);
    labels_builder_deinit(&p->builder);
}
