/* load[_with_nhcb] STEP and its series; NAME{..}@st lines give the next series' start times. */
#include <math.h>
#include <stdlib.h>

#include "base/numtext.h"
#include "model/duration.h"
#include "promql/testscript/script.h"

typedef struct LoadedSeries {
    SeriesDesc desc;
    SeriesDesc starts; /* offsets to each sample in ms, in `value`; n == 0: none */
} LoadedSeries;

typedef struct Load {
    int64_t step_ms;
    VEC(LoadedSeries) series;
    Arena arena;
} Load;

/* ---- start times ---- */

/* A duration with a sign, up to the first letter that is none of its own. */
static int take_offset(Cursor *c, int64_t *ret) {
    bool minus = cursor_take(c, "-");
    if (!minus)
        cursor_take(c, "+");
    size_t begin = c->at;
    while (c->at < c->text.n && strchr("0123456789smhdwy", c->text.p[c->at]))
        c->at++;
    if (duration_parse(str_n(c->text.p + begin, c->at - begin), ret, NULL) < 0)
        return cursor_fail(c, "expected a duration");
    *ret = minus ? -*ret : *ret;
    return 0;
}

/* _, _x3, -1m, -1mx3, -1m+30sx3: the values it stands for go to dst (room for *n). */
static int take_start_item(Cursor *c, SeriesValue *dst, size_t room, size_t *ret_n) {
    int64_t offset = 0, step = 0;
    double repeat = 0;
    bool omitted = cursor_take(c, "_");
    int r = omitted ? 0 : take_offset(c, &offset);
    if (r == 0 && !omitted && c->at < c->text.n && strchr("+-", c->text.p[c->at]))
        r = take_offset(c, &step);
    if (r == 0 && cursor_take(c, "x"))
        r = cursor_number(c, &repeat);
    else if (r == 0 && omitted)
        repeat = 1;
    if (r < 0)
        return r;
    size_t n = (size_t)repeat + (omitted ? 0 : 1);
    if (repeat < 0 || n > room)
        return cursor_fail(c, "more start times than values");
    for (size_t i = 0; i < n; i++, offset += step)
        dst[i] = (SeriesValue){.omitted = omitted, .value = (double)offset};
    *ret_n = n;
    return 0;
}

static int parse_starts(Script *s, Str text, size_t want, Arena *a, SeriesDesc *ret) {
    Problem problem = {0};
    Cursor c = {.text = text, .problem = &problem};
    size_t n = 0;
    ret->values = ARENA_ARRAY(a, SeriesValue, want + 1);
    for (cursor_spaces(&c); c.at < text.n; cursor_spaces(&c)) {
        if (take_start_item(&c, ret->values + ret->n, want - ret->n, &n) < 0)
            return script_fail(s, "start times: %s", problem.text);
        ret->n += n;
    }
    if (ret->n != want)
        return script_fail(s, "%zu start times for %zu values", ret->n, want);
    return 0;
}

/* ---- classic histograms as native ones with custom buckets ---- */

typedef struct ClassicBucket {
    double le, count;
} ClassicBucket;

typedef struct Classic {
    Labels labels;
    int64_t t;
    bool has_count, has_sum;
    double count, sum;
    VEC(ClassicBucket) buckets;
} Classic;

typedef VEC(Classic) ClassicVec;

/* The same bound may be written in several ways; the first one counts. */
static void add_bucket(Classic *c, double le, double count) {
    for (size_t i = 0; i < c->buckets.n; i++) {
        if (c->buckets.v[i].le == le)
            return;
    }
    vec_push(&c->buckets, (ClassicBucket){le, count});
}

static Classic *classic_at(ClassicVec *all, Labels l, int64_t t) {
    for (size_t i = 0; i < all->n; i++) {
        if (all->v[i].t == t && labels_eq(all->v[i].labels, l))
            return &all->v[i];
    }
    vec_push(all, (Classic){.labels = l, .t = t});
    return &all->v[all->n - 1];
}

static void collect_classic(Load *load, const LoadedSeries *series, ClassicVec *all) {
    Str name = labels_get(series->desc.labels, LABEL_NAME), suffix = {0};
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    double le = 0;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (str_ends(name, str_of(suffixes[i])))
            suffix = str_of(suffixes[i]);
    }
    if (!suffix.n)
        return;
    bool bucket = suffix.p[1] == 'b';
    if (bucket && (!number_parse(labels_get(series->desc.labels, LABEL_BUCKET), &le) || isnan(le)))
        return;
    LabelsBuilder b = {0};
    labels_builder_reset(&b, series->desc.labels);
    labels_builder_set(&b, LABEL_NAME, str_upto(name, name.n - suffix.n));
    labels_builder_del(&b, LABEL_BUCKET);
    Labels base = labels_copy(&load->arena, labels_builder_view(&b));
    labels_builder_deinit(&b);
    for (size_t i = 0; i < series->desc.n; i++) {
        const SeriesValue *v = &series->desc.values[i];
        if (v->omitted || v->histogram)
            continue;
        Classic *c = classic_at(all, base, (int64_t)i * load->step_ms);
        if (bucket)
            add_bucket(c, le, v->value);
        else if (suffix.p[1] == 'c')
            c->has_count = true, c->count = v->value;
        else
            c->has_sum = true, c->sum = v->value;
    }
}

static int bucket_cmp(const void *a, const void *b) {
    double x = ((const ClassicBucket *)a)->le, y = ((const ClassicBucket *)b)->le;
    return (x > y) - (x < y);
}

static int append_classic(Appender *app, Arena *a, Classic *c) {
    SeriesRef ref = 0;
    if (!c->buckets.n)
        return 0;
    qsort(c->buckets.v, c->buckets.n, sizeof(*c->buckets.v), bucket_cmp);
    double last = c->buckets.v[c->buckets.n - 1].count;
    if (!isinf(c->buckets.v[c->buckets.n - 1].le))
        vec_push(&c->buckets, (ClassicBucket){INFINITY, c->has_count ? c->count : last});
    size_t n = c->buckets.n;
    double *counts = ARENA_ARRAY(a, double, n), *bounds = ARENA_ARRAY(a, double, n);
    BucketSpan span = {0, (uint32_t)n};
    for (size_t i = 0; i < n; i++) {
        bounds[i] = c->buckets.v[i].le;
        counts[i] = c->buckets.v[i].count - (i ? c->buckets.v[i - 1].count : 0);
    }
    FloatHistogram h = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                        .sum = c->sum,
                        .count = c->has_count ? c->count : c->buckets.v[n - 1].count,
                        .n_positive_spans = 1,
                        .positive_spans = &span,
                        .n_positive = (uint32_t)n,
                        .positive = counts,
                        .n_custom = (uint32_t)n - 1,
                        .custom_values = bounds};
    return app->ops->append_histogram(app, &ref, c->labels, c->t, NULL, &h, 0);
}

static int append_all_classic(Load *load, Appender *app) {
    ClassicVec all = {0};
    int r = 0;
    for (size_t i = 0; i < load->series.n; i++)
        collect_classic(load, &load->series.v[i], &all);
    for (size_t i = 0; i < all.n; i++) {
        if (r == 0)
            r = append_classic(app, &load->arena, &all.v[i]);
        vec_free(&all.v[i].buckets);
    }
    vec_free(&all);
    return r;
}

/* ---- the command ---- */

static int append_series(Appender *app, const Load *load, const LoadedSeries *series) {
    SeriesRef ref = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < series->desc.n; i++) {
        const SeriesValue *v = &series->desc.values[i];
        int64_t t = (int64_t)i * load->step_ms, st = 0;
        if (series->starts.n && !series->starts.values[i].omitted)
            st = t + (int64_t)series->starts.values[i].value;
        if (v->omitted)
            continue;
        if (v->histogram)
            r = app->ops->append_histogram(app, &ref, series->desc.labels, t, NULL, v->histogram,
                                           st);
        else
            r = app->ops->append(app, &ref, series->desc.labels, t, v->value, st);
    }
    return r;
}

static int append_load(Script *s, Load *load, bool with_nhcb) {
    Appender *app;
    int r = storage_appender(s->storage, &app);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < load->series.n; i++)
        r = append_series(app, load, &load->series.v[i]);
    if (r == 0 && with_nhcb)
        r = append_all_classic(load, app);
    if (r != 0) {
        appender_rollback(app);
        return r > 0 ? script_fail(s, "a sample was not taken: %s",
                                   append_outcome_text((AppendOutcome)r))
                     : r;
    }
    return appender_commit(app);
}

/* NAME{..}@st OFFSETS */
static bool is_starts_line(Str line, Str *ret_metric, Str *ret_offsets) {
    *ret_offsets = line;
    *ret_metric = script_word(ret_offsets);
    if (!str_ends(*ret_metric, STR("@st")) || !ret_offsets->n)
        return false;
    ret_metric->n -= 3;
    return true;
}

static int read_series(Script *s, Load *load) {
    Problem problem = {0};
    LoadedSeries series = {0};
    Str metric, offsets;
    bool starts = is_starts_line(s->lines.v[s->at], &metric, &offsets);
    size_t starts_line = s->at;
    if (starts && (s->at + 1 == s->lines.n || !s->lines.v[++s->at].n))
        return script_fail(s, "start times without a series behind them");
    if (series_desc_parse(s->lines.v[s->at], &load->arena, &series.desc, &problem) < 0)
        return script_fail(s, "column %d: %s", problem.column, problem.text);
    if (starts) {
        SeriesDesc named;
        if (series_desc_parse(metric, &load->arena, &named, &problem) < 0 ||
            !labels_eq(named.labels, series.desc.labels))
            return script_fail(s, "line %zu has the start times of another series",
                               starts_line + 1);
        if (parse_starts(s, offsets, series.desc.n, &load->arena, &series.starts) < 0)
            return -EINVAL;
    }
    vec_push(&load->series, series);
    return 0;
}

int script_load(Script *s) {
    Str rest = s->lines.v[s->at], command = script_word(&rest), step = script_word(&rest);
    Load load = {.arena = ARENA_INIT(0)};
    bool with_nhcb = str_eqc(command, "load_with_nhcb");
    int r = 0;
    if ((!with_nhcb && !str_eqc(command, "load")) ||
        duration_parse(step, &load.step_ms, NULL) < 0 || rest.n)
        return script_fail(s, "expected load[_with_nhcb] STEP");
    while (r == 0 && s->at + 1 < s->lines.n && s->lines.v[s->at + 1].n) {
        s->at++;
        r = read_series(s, &load);
    }
    if (r == 0)
        r = append_load(s, &load, with_nhcb);
    vec_free(&load.series);
    arena_deinit(&load.arena);
    return r;
}
