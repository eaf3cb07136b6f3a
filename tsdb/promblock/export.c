/* What a storage holds, as blocks of Prometheus. */
#include "base/vec.h"
#include "tsdb/promblock/prom_block_writer.h"
#include "tsdb/transfer.h"

#define PROGRESS_SERIES 1024

typedef struct Export {
    SeriesSet *set;
    VEC(Series) series;
    PromBlockWriter *to;
    const Transfer *transfer;
    TransferReport *report;
    Problem *problem;
    int64_t min_time, max_time;
} Export;

static int export_histograms(Export *e, const SampleRun *run, uint32_t from, uint32_t to) {
    int r = 0;
    for (uint32_t i = from; i < to && r == 0; i++) {
        bool floats = run->kind == SAMPLE_FLOAT_HISTOGRAM;
        r = prom_block_writer_histogram(e->to,
                                        &(HistogramSample){.t = run->t[i],
                                                           .h = floats ? NULL : run->h[i],
                                                           .fh = floats ? run->fh[i] : NULL});
    }
    return r;
}

/* A run of samples without those outside the range: the seam keeps to it within a chunk only. */
static int export_run(Export *e, const SampleRun *run, uint64_t *ret_n) {
    uint32_t from = 0, to = run->n;
    while (from < to && run->t[from] < e->min_time) {
        from++;
    }
    while (to > from && run->t[to - 1] >= e->max_time) {
        to--;
    }
    *ret_n += to - from;
    return run->kind == SAMPLE_FLOAT
               ? prom_block_writer_samples(e->to, run->t + from, run->f + from, to - from)
               : export_histograms(e, run, from, to);
}

static int export_series(Export *e, const Series *s, SampleIter **it) {
    SampleRun run;
    uint64_t n = 0;
    int r = prom_block_writer_series(e->to, s->labels);
    *it = series_set_iter(e->set, s, *it);
    while (r == 0 && (r = sample_iter_next(*it, &run)) > 0) {
        r = export_run(e, &run, &n);
    }
    e->report->samples += n;
    e->report->series += n > 0;
    return r;
}

static int export_all(Export *e) {
    const Transfer *t = e->transfer;
    SampleIter *it = NULL;
    Series s;
    int r;
    while ((r = series_set_next(e->set, &s)) > 0) {
        vec_push(&e->series, s);
        prom_block_writer_symbols(e->to, s.labels);
    }
    for (size_t i = 0; i < e->series.n && r == 0; i++) {
        r = t && t->cancel && atomic_load(t->cancel) ? -ECANCELED
                                                     : export_series(e, &e->series.v[i], &it);
        if (t && t->progress && (i % PROGRESS_SERIES == 0 || i + 1 == e->series.n)) {
            t->progress(t->arg, i + 1, e->series.n);
        }
    }
    sample_iter_free(it);
    return r;
}

static int export_set(Export *e, const char *dir) {
    int r = prom_block_writer_new(dir, e->min_time, e->max_time, &e->to);
    if (r == 0) {
        r = export_all(e);
    }
    if (r == 0) {
        r = prom_block_writer_finish(e->to, e->report->id, &e->report->bytes);
    }
    prom_block_writer_free(e->to);
    vec_free(&e->series);
    return r;
}

int tsdb_export_prometheus(Storage *s, const Matcher *m, size_t n, int64_t min_time,
                           int64_t max_time, const char *dir, const Transfer *t,
                           TransferReport *ret, Problem *problem) {
    *ret = (TransferReport){.min_time = min_time, .max_time = max_time};
    Export e = {.transfer = t,
                .report = ret,
                .problem = problem,
                .min_time = min_time,
                .max_time = max_time};
    Querier *q;
    int r = storage_querier(s, min_time, max_time - 1, &q);
    if (r < 0) {
        return err_trace(r);
    }
    SelectHints hints = {
        .mint = min_time, .maxt = max_time - 1, .sorted = true, .cancel = t ? t->cancel : NULL};
    r = querier_select(q, m, n, &hints, NULL, &e.set);
    if (r == 0) {
        r = export_set(&e, dir);
        series_set_free(e.set);
    }
    querier_close(q);
    if (r < 0 && r != -ECANCELED && !problem->text[0]) {
        problem_set(problem, 0, 0, "%s: %s", dir, strerror(-r));
    }
    return r;
}
