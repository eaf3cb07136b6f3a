#include "tsdb/head/head_histogram.h"

#include "base/mem.h"

static bool holds_histograms(const HeadSeries *s) {
    return atomic_load_explicit(&s->flags, memory_order_relaxed) & SERIES_HISTOGRAM;
}

Chunk head_series_open_chunk(const HeadSeries *s) {
    return holds_histograms(s) ? histogram_writer_view(s->histograms)
                               : chunk_writer_view(&s->open, s->data);
}

void head_series_drop_open(Head *h, HeadSeries *s) {
    if (holds_histograms(s)) {
        histogram_writer_free(s->histograms);
        atomic_fetch_and(&s->flags, (unsigned char)~SERIES_HISTOGRAM);
    } else {
        byte_pool_put(h->pool, s->data, s->cap);
    }
    s->open = (ChunkWriter){0};
    s->data = NULL;
    s->cap = 0;
}

void head_series_spill(Head *h, HeadSeries *s) {
    if (s->open.n > 0) {
        Chunk c = head_series_open_chunk(s);
        s->full = chunk_log_put(h->chunks, (ChunkLogOwner){s->slot, s->hash}, s->full, &c);
    }
    head_series_drop_open(h, s);
}

int head_histogram_check(const HeadSeries *s, const HistogramSample *sample) {
    int64_t last = atomic_load_explicit(&s->last, memory_order_relaxed);
    if (sample->t > last) {
        return APPEND_OK;
    }
    if (s->open.n == 0) { /* after a start: `last` is that of a full chunk */
        return sample->t < last ? APPEND_OUT_OF_ORDER : APPEND_DUPLICATE;
    }
    if (sample->t < s->open.t) {
        return APPEND_OUT_OF_ORDER;
    }
    if (!holds_histograms(s)) {
        return APPEND_DUPLICATE;
    }
    HistogramSample newest = histogram_writer_last(s->histograms);
    return histogram_sample_same(&newest, sample) ? APPEND_OK : APPEND_DUPLICATE;
}

/* The open chunk takes histograms afterwards. */
static void make_room(Head *h, HeadSeries *s, const HistogramSample *sample, int64_t range_start) {
    bool keep = holds_histograms(s) && s->open.min_time >= range_start &&
                !histogram_writer_full(s->histograms) &&
                histogram_writer_fits(s->histograms, sample);
    if (s->open.n > 0 && keep) {
        return;
    }
    head_series_spill(h, s);
    s->histograms = histogram_writer_new();
    atomic_fetch_or(&s->flags, SERIES_HISTOGRAM);
    atomic_fetch_add_explicit(&h->chunks_created, 1, memory_order_relaxed);
}

static void add_newest(Head *h, HeadSeries *s, const HistogramSample *sample, int64_t range_start) {
    make_room(h, s, sample, range_start);
    histogram_writer_add(s->histograms, sample);
    unsigned char kind = sample->h ? 0 : SERIES_FLOAT_COUNTS;
    if ((atomic_load(&s->flags) & SERIES_FLOAT_COUNTS) != kind) {
        atomic_fetch_xor(&s->flags, SERIES_FLOAT_COUNTS);
    }
    s->open.min_time = histogram_writer_view(s->histograms).min_time;
    s->open.t = sample->t;
    s->open.n = (uint16_t)histogram_writer_count(s->histograms);
    atomic_store_explicit(&s->last, sample->t, memory_order_relaxed);
}

/* As for floats: two appenders committed in the other order. The chunk is written anew. */
static int insert(Head *h, HeadSeries *s, const HistogramSample *sample, int64_t range_start) {
    if (!holds_histograms(s) || sample->t < s->open.min_time) {
        return APPEND_OUT_OF_ORDER;
    }
    HistogramSamples old = {0};
    Chunk c = histogram_writer_view(s->histograms);
    if (histogram_chunk_decode(&c, &old) < 0) {
        histogram_samples_deinit(&old);
        return APPEND_OUT_OF_ORDER;
    }
    uint32_t at = 0;
    while (old.t[at] < sample->t) {
        at++;
    }
    int r = APPEND_OK;
    if (old.t[at] == sample->t) {
        HistogramSample there = histogram_samples_at(&old, at);
        r = histogram_sample_same(&there, sample) ? APPEND_OK : APPEND_DUPLICATE;
    } else {
        head_series_drop_open(h, s);
        for (uint32_t i = 0; i <= old.n; i++) {
            if (i == at) {
                add_newest(h, s, sample, range_start);
            }
            if (i < old.n) {
                HistogramSample again = histogram_samples_at(&old, i);
                add_newest(h, s, &again, range_start);
            }
        }
    }
    histogram_samples_deinit(&old);
    return r;
}

int head_histogram_add(Head *h, HeadSeries *s, HeadCursor *c, const HistogramSample *sample) {
    head_cursor_begin(h, c, sample->t);
    int r = head_histogram_check(s, sample);
    if (r == APPEND_OUT_OF_ORDER) {
        r = insert(h, s, sample, c->range_start);
    } else if (r == APPEND_OK && (s->open.n == 0 || sample->t > s->open.t)) {
        head_isolation_mark(&h->isolation, s, c->commit);
        add_newest(h, s, sample, c->range_start);
    }
    c->histograms += r == APPEND_OK;
    c->histograms_refused += r != APPEND_OK;
    c->min = MIN(c->min, sample->t);
    c->max = MAX(c->max, sample->t);
    return r;
}
