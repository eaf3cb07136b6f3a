/* Reading: the columns that a function needs, and samples made of them. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "storage/merge.h"
#include "tsdb/policy/downsample.h"

#define RUN_SAMPLES 2048
#define POINTS_MAX 3600 /* between two windows */
#define LOOKBACK_DEFAULT_MS INT64_C(300000)
#define RANGE_PARTS 32 /* points in a range of a counter */

typedef enum Shape {
    SHAPE_HOLD,    /* the value of before until the next */
    SHAPE_FLAT,    /* one value for the window */
    SHAPE_SPREAD,  /* count samples that sum up to the sum */
    SHAPE_LINE,    /* straight from value to value */
    SHAPE_COUNTER, /* the same, up to a peak and from 0 where it was reset */
} Shape;

typedef struct Reading {
    DownsampleColumn a, b; /* b = COLUMNS: none */
    Shape shape;
    int64_t period; /* of points, at most */
} Reading;

/* ---- which */

static Reading reading_of(const SelectHints *h) {
    int64_t range = h->range_ms, fine = MAX(range / RANGE_PARTS, INT64_C(1000));
    int64_t lookback = h->lookback_ms ? h->lookback_ms : LOOKBACK_DEFAULT_MS;
    switch (select_hints_reading(h)) {
    case READ_COUNTER: return (Reading){COLUMN_LAST, COLUMN_INCREASE, SHAPE_COUNTER, fine};
    case READ_LINE: return (Reading){COLUMN_LAST, COLUMNS, SHAPE_LINE, fine};
    case READ_MIN: return (Reading){COLUMN_MIN, COLUMNS, SHAPE_FLAT, range};
    case READ_MAX: return (Reading){COLUMN_MAX, COLUMNS, SHAPE_FLAT, range};
    case READ_SUM: return (Reading){COLUMN_SUM, COLUMN_COUNT, SHAPE_SPREAD, range};
    case READ_LAST: break;
    }
    return (Reading){COLUMN_LAST, COLUMNS, SHAPE_HOLD, range > 0 ? range : lookback};
}

/* ---- points of a window */

typedef struct Points {
    Reading how;
    int64_t resolution;
    bool has_before;
    int64_t t_before, t; /* last milliseconds of the window before and of this one */
    double before, a, b;
    uint32_t at, n;     /* points given, and all; the last lies at t */
    double start, peak; /* of a counter */
    bool reset;
} Points;

static uint32_t points_for(int64_t resolution, int64_t period) {
    int64_t n = (resolution + period - 1) / period;
    return (uint32_t)MIN(MAX(n, INT64_C(1)), (int64_t)POINTS_MAX);
}

static void begin_counter(Points *p) {
    bool ends = is_stale_nan(p->a);
    double last = ends ? (p->has_before ? p->before : 0) + p->b : p->a;
    p->start = p->has_before ? p->before : fmax(last - p->b, 0);
    double grown = last - p->start;
    p->reset = last < p->start || p->b > grown + 1e-9 * fabs(last);
    p->peak = fmax(p->b - last + p->start, p->start);
    p->n = points_for(p->resolution, p->how.period);
    p->n = p->reset ? MAX(p->n, 2u) : p->n;
    p->at = p->has_before ? 1 : 0; /* else the start is a point of its own */
    p->a = last;
}

static bool is_nothing(const Points *p) {
    if (p->how.shape == SHAPE_SPREAD) {
        return !(p->b >= 1);
    }
    if (p->how.shape == SHAPE_COUNTER) {
        return is_stale_nan(p->a) && !(p->b > 0);
    }
    return p->how.shape != SHAPE_HOLD && is_stale_nan(p->a);
}

/* a and b are the columns of the window that ends at t. */
static void points_begin(Points *p, int64_t t, double a, double b) {
    p->t = t;
    p->a = a;
    p->b = b;
    p->at = 1;
    if (is_nothing(p)) {
        p->n = 0;
        return;
    }
    switch (p->how.shape) {
    case SHAPE_SPREAD: p->n = (uint32_t)MIN(b, (double)p->resolution); break;
    case SHAPE_COUNTER: begin_counter(p); break;
    case SHAPE_LINE:
        p->n = p->has_before ? points_for(p->resolution, p->how.period) : 1;
        p->start = p->before;
        break;
    case SHAPE_HOLD:
        p->has_before = p->has_before && p->t_before == t - p->resolution;
        p->n = is_stale_nan(a) && !p->has_before ? 1 : points_for(p->resolution, p->how.period);
        break;
    case SHAPE_FLAT: p->n = points_for(p->resolution, p->how.period); break;
    }
}

static void points_end(Points *p) {
    bool stale = is_stale_nan(p->a);
    if (p->how.shape == SHAPE_COUNTER && p->n == 0) {
        return;
    }
    p->has_before = !stale;
    p->before = p->a;
    p->t_before = p->t;
}

static double counter_value(const Points *p, uint32_t i) {
    if (i == p->n) {
        return p->a;
    }
    if (!p->reset) {
        return p->start + (p->a - p->start) * ((double)i / p->n);
    }
    uint32_t half = p->n / 2;
    if (i <= half) {
        return p->start + (p->peak - p->start) * ((double)i / half);
    }
    return p->a * ((double)(i - half) / (p->n - half));
}

static double point_value(const Points *p, uint32_t i) {
    switch (p->how.shape) {
    case SHAPE_HOLD: return i < p->n && p->has_before ? p->before : p->a;
    case SHAPE_FLAT: return p->a;
    case SHAPE_SPREAD: return p->a / p->b;
    case SHAPE_LINE: return i == p->n ? p->a : p->start + (p->a - p->start) * ((double)i / p->n);
    case SHAPE_COUNTER: return counter_value(p, i);
    }
    return p->a;
}

static int64_t point_time(const Points *p, uint32_t i) {
    int64_t into = (int64_t)((double)p->resolution / p->n * i);
    return i == p->n ? p->t : p->t - p->resolution + MAX(into, 1);
}

/* ---- the iterator */

typedef struct ColumnIter {
    SampleIter *it;
    SampleRun run;
    uint32_t at;
} ColumnIter;

typedef struct DownsampleIter {
    SampleIter base;
    ColumnIter in[2];
    bool two;
    int64_t mint, maxt;
    Points points;
    int64_t t[RUN_SAMPLES];
    double v[RUN_SAMPLES];
} DownsampleIter;

/* 1 and the next value of a column. */
static int column_next(ColumnIter *c, int64_t *t, double *v) {
    if (c->at == c->run.n) {
        int r = sample_iter_next(c->it, &c->run);
        c->at = 0;
        if (r <= 0) {
            c->run.n = 0;
            return r;
        }
    }
    *t = c->run.t[c->at];
    *v = c->run.f[c->at++];
    return 1;
}

static int next_window(DownsampleIter *it) {
    int64_t t, t2;
    double a, b = 0;
    points_end(&it->points);
    int r = column_next(&it->in[0], &t, &a);
    if (r > 0 && it->two) {
        r = column_next(&it->in[1], &t2, &b);
        r = r > 0 && t2 != t ? err_trace(-EBADMSG) : r; /* a block has all columns or none */
    }
    if (r > 0) {
        points_begin(&it->points, t, a, b);
    }
    return r;
}

static int iter_next(SampleIter *base, SampleRun *ret) {
    DownsampleIter *it = CONTAINER_OF(base, DownsampleIter, base);
    Points *p = &it->points;
    uint32_t n = 0;
    while (n < RUN_SAMPLES) {
        if (p->n == 0 || p->at > p->n) {
            int r = next_window(it);
            if (r < 0) {
                return r;
            }
            if (r == 0) {
                break;
            }
            continue;
        }
        int64_t t = point_time(p, p->at);
        if (t >= it->mint && t <= it->maxt) {
            it->t[n] = t;
            it->v[n++] = point_value(p, p->at);
        }
        p->at++;
    }
    *ret = (SampleRun){.kind = SAMPLE_FLOAT, .n = n, .t = it->t, .f = it->v};
    return n > 0;
}

static void iter_seek(SampleIter *base, int64_t t) {
    DownsampleIter *it = CONTAINER_OF(base, DownsampleIter, base);
    it->mint = MAX(it->mint, t);
}

static void iter_free(SampleIter *base) {
    DownsampleIter *it = CONTAINER_OF(base, DownsampleIter, base);
    sample_iter_free(it->in[0].it);
    sample_iter_free(it->in[1].it);
    mem_free(it);
}

static const SampleIterOps iter_ops = {iter_next, iter_seek, iter_free};

/* ---- series */

typedef struct DownsampleSet {
    SeriesSet base;
    SeriesSet *in[2];
    Reading how;
    int64_t resolution, mint, maxt;
    VEC(uint64_t) handles[2]; /* of the columns, by our handle */
    VEC(Labels) labels;       /* with the column's label */
} DownsampleSet;

static int set_next(SeriesSet *base, Series *ret) {
    DownsampleSet *s = CONTAINER_OF(base, DownsampleSet, base);
    Series a, b;
    int r = series_set_next(s->in[0], &a);
    if (r > 0 && s->in[1]) {
        r = series_set_next(s->in[1], &b);
        bool same = r > 0 &&
                    labels_eq(downsample_plain_labels(a.labels), downsample_plain_labels(b.labels));
        r = r > 0 && !same ? err_trace(-EBADMSG) : r; /* a block has all columns or none */
    }
    if (r <= 0) {
        return r;
    }
    *ret = (Series){downsample_plain_labels(a.labels), s->labels.n};
    vec_push(&s->labels, a.labels);
    vec_push(&s->handles[0], a.handle);
    vec_push(&s->handles[1], s->in[1] ? b.handle : 0);
    vec_push(&s->labels, s->in[1] ? b.labels : a.labels);
    return 1;
}

static SampleIter *set_iter(SeriesSet *base, const Series *series, SampleIter *reuse) {
    DownsampleSet *s = CONTAINER_OF(base, DownsampleSet, base);
    DownsampleIter *it = reuse ? CONTAINER_OF(reuse, DownsampleIter, base) : NEW(DownsampleIter);
    size_t i = series->handle / 2;
    it->base.ops = &iter_ops;
    it->two = s->in[1] != NULL;
    it->mint = s->mint;
    it->maxt = s->maxt;
    it->points = (Points){.how = s->how, .resolution = s->resolution, .a = stale_nan()};
    for (int k = 0; k < 1 + it->two; k++) {
        Series x = {s->labels.v[2 * i + (size_t)k], s->handles[k].v[i]};
        it->in[k].it = series_set_iter(s->in[k], &x, it->in[k].it);
        it->in[k].run.n = it->in[k].at = 0;
    }
    return &it->base;
}

static void set_free(SeriesSet *base) {
    DownsampleSet *s = CONTAINER_OF(base, DownsampleSet, base);
    for (int k = 0; k < 2; k++) {
        series_set_free(s->in[k]);
        vec_free(&s->handles[k]);
    }
    vec_free(&s->labels);
    mem_free(s);
}

static const SeriesSetOps set_ops = {set_next, set_iter, set_free};

/* ---- the queriers: of the columns, and of the series that have none */

typedef struct DownsampleQuerier {
    Querier base;
    Querier *inner;
    int64_t resolution, mint, maxt;
    bool plain; /* series without columns */
} DownsampleQuerier;

/* The matchers and one for the column. */
static int select_column(DownsampleQuerier *q, const Matcher *m, size_t n, const SelectHints *hints,
                         Str column, Warnings *w, SeriesSet **ret) {
    Matcher *v = NEW_ARRAY(Matcher, n + 1);
    SelectHints h = *hints;
    if (n > 0) {
        memcpy(v, m, n * sizeof(*m));
    }
    int r = matcher_init(&v[n], MATCH_EQ, DOWNSAMPLE_LABEL, column, NULL);
    if (column.n > 0) { /* windows before and behind are needed too */
        h.mint = h.mint < INT64_MIN + 3 * q->resolution ? h.mint : h.mint - 2 * q->resolution;
        h.maxt = h.maxt > INT64_MAX - 3 * q->resolution ? h.maxt : h.maxt + q->resolution;
    }
    r = r < 0 ? r : querier_select(q->inner, v, n + 1, &h, w, ret);
    mem_free(v);
    return r;
}

static int select_series(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                         Warnings *w, SeriesSet **ret) {
    DownsampleQuerier *q = CONTAINER_OF(base, DownsampleQuerier, base);
    SelectHints h = hints ? *hints : (SelectHints){.mint = INT64_MIN, .maxt = INT64_MAX};
    h.mint = MAX(h.mint, q->mint);
    h.maxt = MIN(h.maxt, q->maxt);
    if (q->plain) {
        return select_column(q, m, n, &h, STR(""), w, ret);
    }
    DownsampleSet *s = NEW(DownsampleSet);
    *s = (DownsampleSet){.base.ops = &set_ops,
                         .how = reading_of(&h),
                         .resolution = q->resolution,
                         .mint = h.mint,
                         .maxt = h.maxt};
    h.sorted = true;
    int r = select_column(q, m, n, &h, downsample_column_name(s->how.a), w, &s->in[0]);
    if (r == 0 && s->how.b != COLUMNS) {
        r = select_column(q, m, n, &h, downsample_column_name(s->how.b), w, &s->in[1]);
    }
    if (r < 0) {
        set_free(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

static int label_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                       Warnings *w, StrVec *ret) {
    DownsampleQuerier *q = CONTAINER_OF(base, DownsampleQuerier, base);
    if (q->plain) {
        return 0; /* the other one tells of all series */
    }
    int r = q->inner->ops->label_names(q->inner, m, n, limit ? limit + 1 : 0, a, w, ret);
    if (ret->n > 0 && str_eq(ret->v[0], DOWNSAMPLE_LABEL)) {
        memmove(ret->v, ret->v + 1, (ret->n - 1) * sizeof(*ret->v));
        ret->n--;
    }
    return r;
}

static int label_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                        Arena *a, Warnings *w, StrVec *ret) {
    DownsampleQuerier *q = CONTAINER_OF(base, DownsampleQuerier, base);
    if (q->plain || str_eq(name, DOWNSAMPLE_LABEL)) {
        return 0;
    }
    return q->inner->ops->label_values(q->inner, name, m, n, limit, a, w, ret);
}

static void querier_end(Querier *base) {
    DownsampleQuerier *q = CONTAINER_OF(base, DownsampleQuerier, base);
    if (!q->plain) {
        querier_close(q->inner);
    }
    mem_free(q);
}

static const QuerierOps querier_ops = {select_series, label_names, label_values, querier_end};

Querier *downsample_querier_new(Querier *inner, int64_t resolution, int64_t mint, int64_t maxt) {
    DownsampleQuerier *columns = NEW(DownsampleQuerier), *plain = NEW(DownsampleQuerier);
    *columns = (DownsampleQuerier){{&querier_ops}, inner, resolution, mint, maxt, false};
    *plain = (DownsampleQuerier){{&querier_ops}, inner, resolution, mint, maxt, true};
    Querier *both[] = {&columns->base, &plain->base};
    return merge_querier_new(both, 2);
}
