/* Writing: a pass over all series for each column, so that they come in the block's order. */
#include "tsdb/policy/downsample.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static const char *const COLUMN_NAMES[COLUMNS] = {"count", "increase", "last", "max", "min", "sum"};

Str downsample_column_name(DownsampleColumn c) { return str_of(COLUMN_NAMES[c]); }

DownsampleColumn downsample_column_of(Labels l) {
    int c = 0;
    bool column = l.n > 0 && str_eq(l.v[0].name, DOWNSAMPLE_LABEL);
    while (column && c < COLUMNS && !str_eqc(l.v[0].value, COLUMN_NAMES[c])) {
        c++;
    }
    return column ? (DownsampleColumn)c : COLUMNS;
}

double downsample_join(DownsampleColumn c, double x, double y) {
    switch (c) {
    case COLUMN_COUNT:
    case COLUMN_INCREASE:
    case COLUMN_SUM: return x + y;
    case COLUMN_MAX: return is_stale_nan(x) || y > x ? y : x;
    case COLUMN_MIN: return is_stale_nan(x) || y < x ? y : x;
    case COLUMN_LAST:
    case COLUMNS: break;
    }
    return x;
}

Labels downsample_plain_labels(Labels l) {
    bool column = l.n > 0 && str_eq(l.v[0].name, DOWNSAMPLE_LABEL);
    return column ? (Labels){l.v + 1, l.n - 1} : l;
}

/* ---- a window */

typedef struct Window {
    DownsampleColumn column;
    int64_t resolution, end; /* last millisecond */
    int64_t last;            /* of the block */
    bool raw;                /* what comes in are samples, not a finer column */
    bool open;
    double sum, rest; /* Neumaier's summation, as PromQL sums */
    double value;     /* min, max, last */
    uint64_t count;
    double before; /* the sample before, not stale */
    bool has_before;
} Window;

static void add_to_sum(Window *w, double v) {
    double t = w->sum + v;
    if (isinf(t)) {
        w->rest = 0;
    } else if (fabs(w->sum) >= fabs(v)) {
        w->rest += (w->sum - t) + v;
    } else {
        w->rest += (v - t) + w->sum;
    }
    w->sum = t;
}

static void add_increase(Window *w, double v) {
    if (!w->raw) {
        add_to_sum(w, v);
        return;
    }
    if (w->has_before) {
        add_to_sum(w, v < w->before ? v : v - w->before);
    }
    w->before = v;
    w->has_before = true;
}

static void window_add(Window *w, double v) {
    bool stale = is_stale_nan(v), first = w->count == 0;
    if (w->column == COLUMN_LAST) {
        w->value = v;
        return;
    }
    if (stale) {
        return;
    }
    w->count++;
    switch (w->column) {
    case COLUMN_COUNT: add_to_sum(w, w->raw ? 1 : v); break;
    case COLUMN_INCREASE: add_increase(w, v); break;
    case COLUMN_MAX: w->value = first || v > w->value || isnan(w->value) ? v : w->value; break;
    case COLUMN_MIN: w->value = first || v < w->value || isnan(w->value) ? v : w->value; break;
    default: add_to_sum(w, v); break;
    }
}

static double window_value(const Window *w) {
    bool is_sum =
        w->column == COLUMN_COUNT || w->column == COLUMN_INCREASE || w->column == COLUMN_SUM;
    if (is_sum) {
        return w->sum + w->rest;
    }
    return w->count == 0 && w->column != COLUMN_LAST ? stale_nan() : w->value;
}

static int window_close(Window *w, BlockWriter *out) {
    if (!w->open) {
        return 0;
    }
    double v = window_value(w);
    w->open = false;
    w->sum = w->rest = 0;
    w->count = 0;
    return block_writer_samples(out, &w->end, &v, 1);
}

static int64_t window_end(int64_t t, int64_t resolution) {
    int64_t q = t / resolution - (t % resolution < 0);
    return (q + 1) * resolution - 1;
}

/* ---- a series */

static int write_column(Window *w, SampleIter *it, BlockWriter *out,
                        atomic_uint_fast64_t *progress) {
    SampleRun run;
    int r;
    while ((r = sample_iter_next(it, &run)) > 0) {
        for (uint32_t i = 0; r >= 0 && run.kind == SAMPLE_FLOAT && i < run.n; i++) {
            if (w->open && run.t[i] > w->end) {
                r = window_close(w, out);
            }
            if (!w->open) {
                w->end = MIN(window_end(run.t[i], w->resolution), w->last);
                w->open = true;
            }
            window_add(w, run.f[i]);
        }
        if (r < 0) {
            return r;
        }
        if (progress) {
            /* Each sample passes once a column. */
            atomic_fetch_add_explicit(progress, run.n / COLUMNS, memory_order_relaxed);
        }
    }
    return r < 0 ? r : window_close(w, out);
}

static int write_histograms(SampleIter *it, BlockWriter *out) {
    SampleRun run;
    int r;
    while ((r = sample_iter_next(it, &run)) > 0) {
        for (uint32_t i = 0; r >= 0 && run.kind != SAMPLE_FLOAT && i < run.n; i++) {
            bool whole = run.kind == SAMPLE_HISTOGRAM;
            HistogramSample s = {.t = run.t[i],
                                 .st = run.st ? run.st[i] : 0,
                                 .h = whole ? run.h[i] : NULL,
                                 .fh = whole ? NULL : run.fh[i]};
            r = block_writer_histogram(out, &s);
        }
        if (r < 0) {
            return r;
        }
    }
    return r;
}

/* ---- all series */

typedef struct Pass {
    Querier *q;
    BlockWriter *out;
    int64_t from_ms, to_ms, last;
    atomic_uint_fast64_t *progress;
    VEC(Label) labels;
    SampleIter *it;
} Pass;

/* Those of a column; of a raw block all; column COLUMNS: those without one. */
static int select_column(Pass *p, DownsampleColumn column, SeriesSet **ret) {
    SelectHints hints = {.mint = INT64_MIN, .maxt = INT64_MAX, .sorted = true};
    Matcher m;
    Str value = column < COLUMNS && p->from_ms ? downsample_column_name(column) : STR("");
    int r = matcher_init(&m, MATCH_EQ, DOWNSAMPLE_LABEL, value, NULL);
    r = r < 0 ? r : querier_select(p->q, &m, 1, &hints, NULL, ret);
    return r;
}

static Labels column_labels(Pass *p, DownsampleColumn column, Labels plain) {
    p->labels.n = 0;
    if (column < COLUMNS) {
        vec_push(&p->labels, (Label){DOWNSAMPLE_LABEL, downsample_column_name(column)});
    }
    for (size_t i = 0; i < plain.n; i++) {
        vec_push(&p->labels, plain.v[i]);
    }
    return (Labels){p->labels.v, p->labels.n};
}

static int write_series(Pass *p, DownsampleColumn column, SeriesSet *set, const Series *s) {
    Labels l = column_labels(p, column, downsample_plain_labels(s->labels));
    int r = block_writer_series(p->out, l);
    if (r < 0) {
        return r;
    }
    p->it = series_set_iter(set, s, p->it);
    if (column == COLUMNS) {
        return write_histograms(p->it, p->out);
    }
    Window w = {.column = column, .resolution = p->to_ms, .last = p->last, .raw = p->from_ms == 0};
    return write_column(&w, p->it, p->out, p->progress);
}

static void put_symbols(Pass *p, const Series *s) {
    block_writer_symbols(p->out, downsample_plain_labels(s->labels));
}

/* Symbols when `column` is negative, else samples. */
static int pass(Pass *p, int column, bool symbols) {
    SeriesSet *set;
    Series s;
    int r = select_column(p, (DownsampleColumn)column, &set);
    if (r < 0) {
        return r;
    }
    while (r >= 0 && (r = series_set_next(set, &s)) > 0) {
        if (symbols) {
            put_symbols(p, &s);
        } else {
            r = write_series(p, (DownsampleColumn)column, set, &s);
        }
    }
    sample_iter_free(p->it);
    p->it = NULL;
    series_set_free(set);
    return r;
}

int downsample_write(Querier *q, int64_t from_ms, int64_t to_ms, int64_t last, BlockWriter *w,
                     atomic_uint_fast64_t *progress) {
    Pass p = {
        .q = q, .out = w, .from_ms = from_ms, .to_ms = to_ms, .last = last, .progress = progress};
    block_writer_symbol(w, DOWNSAMPLE_LABEL);
    for (int c = 0; c < COLUMNS; c++) {
        block_writer_symbol(w, downsample_column_name((DownsampleColumn)c));
    }
    int r = pass(&p, COLUMN_LAST, true);
    r = r < 0 ? r : pass(&p, COLUMNS, true);
    for (int c = 0; r >= 0 && c <= COLUMNS; c++) {
        r = pass(&p, c, false);
    }
    vec_free(&p.labels);
    return MIN(r, 0);
}
