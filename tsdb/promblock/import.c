/* Blocks of Prometheus and gathered samples, as blocks of ours. */
#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_folder.h"
#include "tsdb/block/block_writer.h"
#include "tsdb/promblock/prom_block.h"
#include "tsdb/promblock/prom_histogram.h"
#include "tsdb/promblock/prom_xor.h"
#include "tsdb/transfer.h"

#define PROGRESS_SERIES 1024

static bool cancelled(const Transfer *t) { return t && t->cancel && atomic_load(t->cancel); }

static void tell(const Transfer *t, uint64_t done, uint64_t total) {
    if (t && t->progress) {
        t->progress(t->arg, done, total);
    }
}

/* ---- one block of Prometheus */

typedef struct Import {
    PromBlock *from;
    BlockWriter *to;
    const Transfer *transfer;
    TransferReport *report;
    Problem *problem;
    int64_t t[PROM_CHUNK_SAMPLES_MAX];
    double v[PROM_CHUNK_SAMPLES_MAX];
    HistogramSamples histograms;
} Import;

static bool is_deleted(const PromSeries *s, int64_t t) {
    for (size_t i = 0; i < s->n_deleted; i++) {
        if (t >= s->deleted[i].min_time && t <= s->deleted[i].max_time) {
            return true;
        }
    }
    return false;
}

/* Not what tombstones take away, nor what lies outside the block's range: as a query sees it. */
static bool is_visible(const Import *im, const PromSeries *s, int64_t t) {
    const PromBlockMeta *m = prom_block_meta(im->from);
    return t >= m->min_time && t < m->max_time && !is_deleted(s, t);
}

static int import_floats(Import *im, const PromSeries *s, const PromChunk *c, uint64_t *ret_n) {
    int n = prom_xor_count(c->data, c->size);
    int r = n < 0 ? n : prom_xor_decode(c->data, c->size, im->t, im->v);
    size_t kept = 0;
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < n; i++) {
        if (is_visible(im, s, im->t[i])) {
            im->t[kept] = im->t[i];
            im->v[kept++] = im->v[i];
        }
    }
    *ret_n += kept;
    return block_writer_samples(im->to, im->t, im->v, kept);
}

static int import_histograms(Import *im, const PromSeries *s, const PromChunk *c, uint64_t *ret_n) {
    HistogramSamples *h = &im->histograms;
    int r = prom_histogram_decode(c->data, c->size, c->encoding == PROM_FLOAT_HISTOGRAM, h);
    for (uint32_t i = 0; i < h->n && r == 0; i++) {
        HistogramSample x = histogram_samples_at(h, i);
        if (!is_visible(im, s, x.t)) {
            continue;
        }
        bool valid = histogram_sample_is_stale(&x) ? true
                     : x.h                         ? histogram_validate(x.h, im->problem)
                                                   : float_histogram_validate(x.fh, im->problem);
        r = valid && histogram_chunk_holds(&x) ? block_writer_histogram(im->to, &x) : -EBADMSG;
        *ret_n += 1;
    }
    return r;
}

static int import_chunk(Import *im, const PromSeries *s, size_t i, uint64_t *ret_n) {
    PromChunk c;
    int r = prom_block_chunk(im->from, s->chunks[i].ref, &c, im->problem);
    if (r < 0) {
        return r;
    }
    switch (c.encoding) {
    case PROM_XOR: r = import_floats(im, s, &c, ret_n); break;
    case PROM_HISTOGRAM:
    case PROM_FLOAT_HISTOGRAM: r = import_histograms(im, s, &c, ret_n); break;
    default:
        return problem_set(im->problem, 0, 0, "a chunk of the unknown encoding %u", c.encoding);
    }
    if (r == -EBADMSG && !im->problem->text[0]) {
        problem_set(im->problem, 0, 0, "a chunk does not decode");
    } else if (r == -EINVAL) {
        problem_set(im->problem, 0, 0, "chunks of a series overlap: compact the block first");
    }
    return r;
}

static int import_series(Import *im, const PromSeries *s) {
    uint64_t n = 0;
    int r = block_writer_series(im->to, s->labels);
    if (r == -EINVAL) {
        return problem_set(im->problem, 0, 0, "the series are not in the order of their labels");
    }
    for (size_t i = 0; i < s->n && r == 0; i++) {
        r = import_chunk(im, s, i, &n);
    }
    im->report->samples += n;
    im->report->series += n > 0;
    return r;
}

static int import_all(Import *im) {
    uint64_t total = prom_block_meta(im->from)->series, done = 0;
    PromSeries s;
    for (size_t i = 0; i < prom_block_symbols(im->from); i++) {
        Str symbol;
        (void)prom_block_symbol(im->from, i, &symbol);
        block_writer_symbol(im->to, symbol);
    }
    int r;
    while ((r = prom_block_next(im->from, &s, im->problem)) > 0) {
        if (cancelled(im->transfer)) {
            return -ECANCELED;
        }
        r = import_series(im, &s);
        if (r < 0) {
            return r;
        }
        if (++done % PROGRESS_SERIES == 0) {
            tell(im->transfer, done, total);
        }
    }
    tell(im->transfer, done, total);
    return r;
}

typedef struct Origin {
    const char *dir, *id;
} Origin;

static int is_from(void *arg, const char *name) {
    const Origin *o = arg;
    Problem p = {0};
    Block *b;
    if (!block_id_valid(name)) {
        return 0;
    }
    CLEANUP(mem_freep) char *path = block_folder_path(o->dir, name, "");
    if (block_open(path, &b, &p) < 0) {
        return 0;
    }
    const BlockMeta *m = block_meta(b);
    int found = 0;
    for (size_t i = 0; i < m->n_parents && !found; i++) {
        found = strcmp(m->parents[i], o->id) == 0;
    }
    block_unref(b);
    return found;
}

static void report_size(const char *dir, TransferReport *ret) {
    CLEANUP(mem_freep) char *path = block_folder_path(dir, ret->id, "");
    Block *b;
    Problem p = {0};
    if (block_open(path, &b, &p) == 0) {
        ret->bytes = block_meta(b)->bytes;
        block_unref(b);
    }
}

static int import_open(PromBlock *from, const char *dir, const Transfer *t, TransferReport *ret,
                       Problem *problem) {
    const PromBlockMeta *m = prom_block_meta(from);
    char parent[1][BLOCK_ID_SIZE];
    memcpy(parent[0], m->id, sizeof(parent[0]));
    *ret = (TransferReport){.min_time = m->min_time, .max_time = m->max_time};
    Origin origin = {dir, m->id};
    if (file_each_name(dir, is_from, &origin) > 0) {
        return TRANSFER_KNOWN;
    }
    Import *im = NEW(Import);
    *im = (Import){.from = from, .transfer = t, .report = ret, .problem = problem};
    int r = block_writer_new(&(BlockWriterOptions){.dir = dir,
                                                   .min_time = m->min_time,
                                                   .max_time = m->max_time,
                                                   .level = m->level,
                                                   .parents = parent,
                                                   .n_parents = 1,
                                                   .cancel = t ? t->cancel : NULL},
                             &im->to);
    if (r == 0) {
        r = import_all(im);
    }
    if (r == 0) {
        r = block_writer_finish(im->to, ret->id) == BLOCK_EMPTY ? TRANSFER_EMPTY : 0;
    }
    block_writer_free(im->to);
    histogram_samples_deinit(&im->histograms);
    mem_free(im);
    return r;
}

int tsdb_import_prometheus(const char *block, const char *dir, const Transfer *t,
                           TransferReport *ret, Problem *problem) {
    PromBlock *from;
    int r = prom_block_open(block, &from, problem);
    if (r < 0) {
        return r;
    }
    r = import_open(from, dir, t, ret, problem);
    prom_block_close(from);
    if (r < 0 && r != -ECANCELED && !problem->text[0]) {
        problem_set(problem, 0, 0, "%s: %s", dir, strerror(-r));
    }
    if (r < 0 && !problem->file[0]) {
        problem_set_file(problem, str_of(block));
    }
    if (r == TRANSFER_DONE) {
        report_size(dir, ret);
    }
    return r;
}

/* ---- back-filling */

typedef struct FillSample {
    int64_t t;
    double v;
    uint64_t order; /* of arrival */
} FillSample;

typedef struct FillSeries {
    Labels labels;
    VEC(FillSample) samples;
} FillSeries;

struct TsdbBackfill {
    int64_t min_time, max_time;
    Arena arena;
    StrMap known; /* label set as bytes -> FillSeries */
    VEC(FillSeries *) series;
    uint64_t n;
    Buf key;
};

TsdbBackfill *tsdb_backfill_new(int64_t min_time, int64_t max_time) {
    TsdbBackfill *b = NEW(TsdbBackfill);
    b->min_time = min_time;
    b->max_time = max_time;
    return b;
}

void tsdb_backfill_free(TsdbBackfill *b) {
    if (!b) {
        return;
    }
    for (size_t i = 0; i < b->series.n; i++) {
        vec_free(&b->series.v[i]->samples);
    }
    vec_free(&b->series);
    str_map_deinit(&b->known);
    buf_deinit(&b->key);
    arena_deinit(&b->arena);
    mem_free(b);
}

static FillSeries *fill_series(TsdbBackfill *b, Labels l) {
    buf_reset(&b->key);
    for (size_t i = 0; i < l.n; i++) {
        buf_add_uvarint(&b->key, l.v[i].name.n);
        buf_add_str(&b->key, l.v[i].name);
        buf_add_uvarint(&b->key, l.v[i].value.n);
        buf_add_str(&b->key, l.v[i].value);
    }
    FillSeries *s = str_map_get(&b->known, buf_str(&b->key));
    if (!s) {
        s = ARENA_NEW(&b->arena, FillSeries);
        s->labels = labels_copy(&b->arena, l);
        *str_map_put(&b->known, arena_str(&b->arena, buf_str(&b->key)), NULL) = s;
        vec_push(&b->series, s);
    }
    return s;
}

void tsdb_backfill_add(TsdbBackfill *b, Labels labels, int64_t t, double v) {
    if (t >= b->min_time && t < b->max_time) {
        FillSeries *s = fill_series(b, labels);
        vec_push(&s->samples, (FillSample){t, v, b->n});
        b->n++;
    }
}

uint64_t tsdb_backfill_count(const TsdbBackfill *b) { return b->n; }

static int sample_cmp(const void *a, const void *b) {
    const FillSample *x = a, *y = b;
    if (x->t != y->t) {
        return x->t < y->t ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static int series_cmp(const void *a, const void *b) {
    return labels_cmp((*(FillSeries *const *)a)->labels, (*(FillSeries *const *)b)->labels);
}

static int write_series(BlockWriter *w, FillSeries *s, TransferReport *ret) {
    int r = block_writer_series(w, s->labels);
    qsort(s->samples.v, s->samples.n, sizeof(FillSample), sample_cmp);
    for (size_t i = 0; i < s->samples.n && r == 0; i++) {
        const FillSample *x = &s->samples.v[i];
        if (i == 0 || x->t != x[-1].t) {
            r = block_writer_samples(w, &x->t, &x->v, 1);
            ret->samples++;
        }
    }
    ret->series++;
    return r;
}

int tsdb_backfill_write(TsdbBackfill *b, const char *dir, TransferReport *ret) {
    *ret = (TransferReport){.min_time = b->min_time, .max_time = b->max_time};
    if (b->n == 0) {
        return TRANSFER_EMPTY;
    }
    BlockWriter *w;
    int r = block_writer_new(
        &(BlockWriterOptions){
            .dir = dir, .min_time = b->min_time, .max_time = b->max_time, .level = 1},
        &w);
    if (r < 0) {
        return err_trace(r);
    }
    qsort(b->series.v, b->series.n, sizeof(*b->series.v), series_cmp);
    for (size_t i = 0; i < b->series.n; i++) {
        block_writer_symbols(w, b->series.v[i]->labels);
    }
    for (size_t i = 0; i < b->series.n && r == 0; i++) {
        r = write_series(w, b->series.v[i], ret);
    }
    if (r == 0) {
        r = block_writer_finish(w, ret->id);
    }
    block_writer_free(w);
    if (r == 0) {
        report_size(dir, ret);
    }
    return r;
}
