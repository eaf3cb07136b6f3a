/* tsdb dump|dump-openmetrics|export: samples of a stopped server's folder or of a snapshot. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/numtext.h"
#include "format/json.h"
#include "model/expo.h"
#include "nartool/tsdb_folder.h"
#include "promql/testscript/histogram_desc.h"

#define FLUSH_BYTES (1u << 20)

typedef enum DumpForm { DUMP_PROM, DUMP_SERIES, DUMP_OPENMETRICS } DumpForm;

typedef struct Dump {
    const Selection *selection;
    DumpForm form;
    Buf out;
} Dump;

static void flush(Dump *d, bool all) {
    if (d->out.n >= FLUSH_BYTES || all) {
        fwrite(d->out.p, 1, d->out.n, stdout);
        buf_reset(&d->out);
    }
}

static void add_series_json(Dump *d, Labels l) {
    JsonWriter w = JSON_WRITER(&d->out);
    json_begin_object(&w);
    for (size_t i = 0; i < l.n; i++) {
        json_label_key(&w, l.v[i].name);
        json_add_label(&w, l.v[i].value);
    }
    json_end_object(&w);
    buf_add_char(&d->out, '\n');
}

/* OpenMetrics counts in seconds and has no place for stale markers and native histograms. */
static void add_openmetrics(Dump *d, Labels l, int64_t t, double v) {
    if (is_stale_nan(v)) {
        return;
    }
    size_t at = d->out.n;
    expo_write_sample(&d->out, l, v, NULL);
    d->out.n -= d->out.n > at; /* the end of the line */
    buf_addf(&d->out, " %s%lld.%03lld\n", t < 0 ? "-" : "", (long long)llabs(t) / 1000,
             (long long)llabs(t) % 1000);
}

/* Buckets of integer histograms are differences to the bucket before. */
static const double *absolute(Arena *a, const int64_t *deltas, uint32_t n) {
    double *v = ARENA_ARRAY(a, double, n + 1);
    int64_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        count += deltas[i];
        v[i] = (double)count;
    }
    return v;
}

static FloatHistogram as_float(Arena *a, const Histogram *h) {
    return (FloatHistogram){.reset_hint = h->reset_hint,
                            .schema = h->schema,
                            .zero_threshold = h->zero_threshold,
                            .sum = h->sum,
                            .zero_count = (double)h->zero_count,
                            .count = (double)h->count,
                            .n_positive_spans = h->n_positive_spans,
                            .n_negative_spans = h->n_negative_spans,
                            .n_positive = h->n_positive,
                            .n_negative = h->n_negative,
                            .n_custom = h->n_custom,
                            .positive_spans = h->positive_spans,
                            .negative_spans = h->negative_spans,
                            .positive = absolute(a, h->positive, h->n_positive),
                            .negative = absolute(a, h->negative, h->n_negative),
                            .custom_values = h->custom_values};
}

static void add_histogram(Dump *d, const SampleRun *run, uint32_t i) {
    if (run->kind == SAMPLE_FLOAT_HISTOGRAM) {
        histogram_desc_print(run->fh[i], &d->out);
        return;
    }
    Arena arena = ARENA_INIT(0);
    FloatHistogram h = as_float(&arena, run->h[i]);
    histogram_desc_print(&h, &d->out);
    arena_deinit(&arena);
}

static void add_prom(Dump *d, Labels l, const SampleRun *run, uint32_t i) {
    labels_format(l, &d->out);
    buf_add_char(&d->out, ' ');
    if (run->kind == SAMPLE_FLOAT) {
        number_format_g(&d->out, run->f[i]);
    } else {
        add_histogram(d, run, i);
    }
    buf_addf(&d->out, " %lld\n", (long long)run->t[i]);
}

static void add_run(Dump *d, Labels l, const SampleRun *run) {
    for (uint32_t i = 0; i < run->n; i++) {
        if (run->t[i] < d->selection->min_time || run->t[i] > d->selection->max_time) {
            continue;
        }
        if (d->form == DUMP_PROM) {
            add_prom(d, l, run, i);
        } else if (run->kind == SAMPLE_FLOAT) {
            add_openmetrics(d, l, run->t[i], run->f[i]);
        }
        flush(d, false);
    }
}

static int dump_set(Dump *d, SeriesSet *set) {
    SampleIter *it = NULL;
    Series s;
    SampleRun run;
    int r;
    while ((r = series_set_next(set, &s)) > 0 && !atomic_load(&interrupted)) {
        if (d->form == DUMP_SERIES) {
            add_series_json(d, s.labels);
            flush(d, false);
            continue;
        }
        it = series_set_iter(set, &s, it);
        while ((r = sample_iter_next(it, &run)) > 0) {
            add_run(d, s.labels, &run);
        }
        if (r < 0) {
            break;
        }
    }
    sample_iter_free(it);
    return r;
}

static int dump_all(Dump *d, Storage *s) {
    const Selection *sel = d->selection;
    SelectHints hints = {.mint = sel->min_time,
                         .maxt = sel->max_time,
                         .sorted = true,
                         .series_only = d->form == DUMP_SERIES,
                         .cancel = &interrupted};
    int r = 0;
    for (size_t i = 0; i < sel->n_sets && r >= 0; i++) {
        Querier *q;
        SeriesSet *set;
        r = storage_querier(s, sel->min_time, sel->max_time, &q);
        if (r < 0) {
            break;
        }
        r = querier_select(q, sel->sets[i].v, sel->sets[i].n, &hints, NULL, &set);
        if (r == 0) {
            r = dump_set(d, set);
            series_set_free(set);
        }
        querier_close(q);
    }
    if (r >= 0 && d->form == DUMP_OPENMETRICS) {
        buf_add_cstr(&d->out, "# EOF\n");
    }
    flush(d, true);
    return r;
}

static int dump(Args *a, DumpForm form) {
    Selection sel;
    bool fine = take_selection(a, &sel);
    int code = EXIT_USAGE;
    if (fine) {
        const char *dir = a->n ? a->v[0].p : "data";
        Tsdb *db = open_database(dir);
        code = EXIT_FAILED;
        if (db) {
            watch_interrupt();
            Dump d = {.selection = &sel, .form = form};
            int r = dump_all(&d, tsdb_storage(db));
            code = r < 0 ? fail("%s: %s", dir, strerror(-r)) : EXIT_OK;
            buf_deinit(&d.out);
            tsdb_close(db);
        }
    }
    selection_deinit(&sel);
    return code;
}

int cmd_tsdb_dump(Args *a) {
    bool json = str_eqc(args_flag(a, "--format"), "seriesjson");
    return dump(a, json ? DUMP_SERIES : DUMP_PROM);
}

int cmd_tsdb_dump_openmetrics(Args *a) { return dump(a, DUMP_OPENMETRICS); }

/* ---- export */

typedef struct Span {
    int64_t min_time, max_time; /* closed */
} Span;

/* What the database holds at all. */
static Span span_of(Tsdb *db, const Selection *sel) {
    TsdbStats st;
    tsdb_stats(db, &st);
    Arena arena = ARENA_INIT(0);
    TsdbBlockInfo *blocks;
    size_t n = tsdb_blocks(db, &arena, &blocks);
    Span s = {st.head_min_time, st.head_max_time};
    for (size_t i = 0; i < n; i++) {
        s.min_time = MIN(s.min_time, blocks[i].min_time);
        s.max_time = MAX(s.max_time, blocks[i].max_time - 1);
    }
    arena_deinit(&arena);
    return (Span){MAX(s.min_time, sel->min_time), MIN(s.max_time, sel->max_time)};
}

static int export_blocks(Tsdb *db, const Selection *sel, int64_t range, const char *out,
                         bool readable) {
    Span span = span_of(db, sel);
    for (int64_t t = range_start(span.min_time, range);
         span.min_time <= span.max_time && t <= span.max_time; t += range) {
        Problem p = {0};
        Progress progress = {.what = "exporting"};
        Transfer how = {progress_show, &progress, &interrupted};
        TransferReport report;
        int64_t from = MAX(t, span.min_time), to = MIN(t + range, span.max_time + 1);
        int r = tsdb_export_prometheus(tsdb_storage(db), sel->sets[0].v, sel->sets[0].n, from, to,
                                       out, &how, &report, &p);
        progress_end(&progress);
        if (r == -ECANCELED) {
            return fail("interrupted; the blocks listed above are complete");
        }
        if (r < 0) {
            return fail("%s", p.text);
        }
        if (r == TRANSFER_DONE) {
            print_report(&report, readable);
            fflush(stdout);
        }
    }
    return EXIT_OK;
}

/* promtool takes a folder for a database when there is a folder for its log too. */
static int make_output(const char *dir) {
    CLEANUP(mem_freep) char *log = mem_printf("%s/wal", dir);
    return file_make_folder(log);
}

static int export_to(Args *a, const Selection *sel, int64_t range, bool readable) {
    if (sel->n_sets > 1) {
        return fail("--match: one selector at most");
    }
    Tsdb *db = open_database(a->v[0].p);
    if (!db) {
        return EXIT_FAILED;
    }
    watch_interrupt();
    int r = make_output(a->v[1].p);
    int code = r < 0 ? fail("%s: %s", a->v[1].p, strerror(-r))
                     : export_blocks(db, sel, range, a->v[1].p, readable);
    tsdb_close(db);
    return code;
}

int cmd_tsdb_export(Args *a) {
    Selection sel;
    int64_t range;
    bool readable = args_switch(a, "--human-readable");
    bool fine =
        take_selection(a, &sel) && take_duration(a, "--block-duration", 2 * 3600 * 1000, &range);
    int code = fine ? export_to(a, &sel, range, readable) : EXIT_USAGE;
    selection_deinit(&sel);
    return code;
}
