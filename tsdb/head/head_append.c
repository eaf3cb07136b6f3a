/*
 * A sample's way into a series: head_sample_add(), used by commits and by replay; and the appender,
 * which collects samples, journals them and then applies them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "tsdb/head/head_histogram.h"
#include "tsdb/head/head_late.h"
#include "tsdb/journal/journal_histogram.h"
#include "tsdb/journal/journal_late.h"
#include "tsdb/journal/journal_notes.h"

#define REPLAY_ROOM 24

/* ---- one sample */

/* While replaying more samples come at once, and memory for what commits hold is not needed yet. */
static void data_grow(Head *h, HeadSeries *s, uint32_t size) {
    uint32_t cap;
    uint8_t *data = byte_pool_get(h->pool, h->journal ? size : size + REPLAY_ROOM, &cap);
    if (s->data) {
        memcpy(data, s->data, MIN(s->cap, cap));
        byte_pool_put(h->pool, s->data, s->cap);
    }
    s->data = data;
    s->cap = (uint16_t)cap;
}

/* Near the end of its bytes a chunk is appended to in a scratch copy of its tail, so that the bytes
 * grow only when the sample needs them and not for the largest sample there could be. */
static void append_grow(Head *h, HeadSeries *s, int64_t t, double v) {
    uint32_t size = chunk_writer_size(&s->open);
    if (size + CHUNK_APPEND_ROOM <= s->cap) {
        chunk_append(&s->open, s->data, t, v);
        return;
    }
    uint8_t scratch[8 + 2 * CHUNK_APPEND_ROOM];
    uint32_t from = size > 0 ? (size - 1) & ~7u : 0;
    if (size > 0) {
        memcpy(scratch, s->data + from, size - from);
    }
    s->open.bits -= from * 8;
    chunk_append(&s->open, scratch, t, v);
    s->open.bits += from * 8;
    uint32_t now = chunk_writer_size(&s->open);
    if (now > s->cap) {
        data_grow(h, s, now);
    }
    memcpy(s->data + from, scratch, now - from);
}

static bool holds_histograms(const HeadSeries *s) {
    return UNLIKELY(atomic_load_explicit(&s->flags, memory_order_relaxed) & SERIES_HISTOGRAM);
}

/*
 * Two appenders may have taken samples of one series and commit the later one first; the earlier
 * one is acknowledged too, so it goes between. Rare: the chunk is written anew.
 */
static int series_insert(Head *h, HeadSeries *s, int64_t t, double v) {
    if (t < s->open.min_time || s->open.n >= CHUNK_OPEN_SAMPLES_MAX * 2 || holds_histograms(s)) {
        return APPEND_OUT_OF_ORDER;
    }
    int64_t times[CHUNK_OPEN_SAMPLES_MAX * 2];
    double values[CHUNK_OPEN_SAMPLES_MAX * 2];
    uint32_t n = s->open.n, at = 0;
    Chunk c = chunk_writer_view(&s->open, s->data);
    if (chunk_decode(&c, times, values) < 0) {
        return APPEND_OUT_OF_ORDER;
    }
    while (times[at] < t) {
        at++;
    }
    if (times[at] == t) {
        return double_bits(values[at]) == double_bits(v) ? APPEND_OK : APPEND_DUPLICATE;
    }
    s->open = (ChunkWriter){0};
    for (uint32_t i = 0; i <= n; i++) {
        if (i == at) {
            append_grow(h, s, t, v);
        }
        if (i < n) {
            append_grow(h, s, times[i], values[i]);
        }
    }
    return APPEND_OK;
}

static int64_t range_start_of(int64_t t, int64_t range) {
    int64_t q = t / range;
    return (q - (t % range < 0)) * range;
}

void head_cursor_begin(Head *h, HeadCursor *c, int64_t t) {
    if (!c->any || t < c->range_start || t - c->range_start >= h->range_ms) {
        c->range_start = range_start_of(t, h->range_ms);
    }
    if (!c->any) {
        c->min = c->max = t;
        c->any = true;
    }
}

/* Against the newest full chunk, when there is no open one: after a start. */
static int check_full(Head *h, const HeadSeries *s, int64_t t, double v) {
    int64_t last = atomic_load_explicit(&s->last, memory_order_relaxed);
    if (t != last) {
        return t > last ? APPEND_OK : APPEND_OUT_OF_ORDER;
    }
    int64_t times[CHUNK_OPEN_SAMPLES_MAX * 2];
    double values[CHUNK_OPEN_SAMPLES_MAX * 2];
    Chunk c;
    bool same = chunk_log_get(h->chunks, s->full, &c) == 0 && c.n <= ARRAY_LEN(times) &&
                chunk_encoding_kind(c.encoding) == SAMPLE_FLOAT &&
                chunk_decode(&c, times, values) == 0 &&
                double_bits(values[c.n - 1]) == double_bits(v);
    return same ? APPEND_OK : APPEND_DUPLICATE;
}

int head_sample_add(Head *h, HeadSeries *s, HeadCursor *c, int64_t t, double v) {
    head_cursor_begin(h, c, t);
    int r = APPEND_OK;
    if (UNLIKELY(s->open.n == 0 && t <= atomic_load_explicit(&s->last, memory_order_relaxed))) {
        r = check_full(h, s, t, v);
        c->refused += r != APPEND_OK;
        return r;
    }
    if (s->open.n > 0 && t <= s->open.t) {
        if (t == s->open.t) {
            bool same = s->open.v == double_bits(v) && !holds_histograms(s);
            r = same ? APPEND_OK : APPEND_DUPLICATE;
            c->refused += r != APPEND_OK;
            return r;
        }
        r = series_insert(h, s, t, v);
    } else {
        if (s->open.n > 0 && (s->open.min_time < c->range_start || holds_histograms(s) ||
                              chunk_writer_full(&s->open, 0))) {
            head_series_spill(h, s);
        }
        if (s->open.n == 0) {
            atomic_fetch_add_explicit(&h->chunks_created, 1, memory_order_relaxed);
        }
        head_isolation_mark(&h->isolation, s, c->commit);
        append_grow(h, s, t, v);
        atomic_store_explicit(&s->last, t, memory_order_relaxed);
    }
    c->added += r == APPEND_OK;
    c->refused += r != APPEND_OK;
    c->min = MIN(c->min, t);
    c->max = MAX(c->max, t);
    return r;
}

void head_cursor_end(Head *h, HeadCursor *c) {
    if (c->any) {
        head_lower(&h->min_time, c->min);
        head_raise(&h->max_time, c->max);
    }
    atomic_fetch_add(&h->samples, c->added + c->histograms);
    if (h->journal) { /* replay is no appending */
        if (c->histograms + c->histograms_refused > 0) {
            metric_add(h->metrics->histograms_appended, (double)c->histograms);
            metric_add(h->metrics->histograms_out_of_order, (double)c->histograms_refused);
        }
        metric_add(h->metrics->appended, (double)c->added);
        metric_add(h->metrics->out_of_order, (double)c->refused);
    }
    *c = (HeadCursor){0};
}

/* ---- the appender */

/* Floats are journalled and applied before histograms, unless a series has both: then the
 * transaction has parts, each of which ends at these counts; the last one ends with all. */
typedef struct AppenderPart {
    size_t samples, histograms;
} AppenderPart;

struct HeadAppender {
    Appender base;
    Head *head;
    HeadPin pin;
    int64_t min_valid, min_late; /* bounds of what comes in order, and out of order */
    int64_t max_time;            /* the head's at the beginning */
    bool bound_known;
    VEC(JournalSample) samples, late;
    VEC(JournalHistogram) histograms;
    VEC(JournalExemplar) exemplars;
    VEC(JournalFamily) families;
    Arena copies; /* of histograms, exemplars, metadata */
    VEC(AppenderPart) parts;
    VEC(uint32_t) unlogged; /* slots whose labels the journal does not know yet */
    uint64_t out_of_order, out_of_bound, too_old;
    HeadAppender *next; /* among those kept */
};

/* Ended appenders are kept with their buffers, as many as work at a time on a common machine; one
 * that has grown beyond a usual scrape is not. */
#define KEPT_MAX 8
#define KEPT_BYTES_MAX (1u << 20)
#define SAMPLE_BYTES 8 /* in the journal: more than one takes, most often */
/* Of what one transaction has beside floats. */
#define COPIES_BYTES_MAX ((size_t)1 << 29)

/* Prometheus' bound: half a range behind the newest sample, and never into the blocks. Fixed when
 * the transaction begins; in an empty head its first sample counts as the newest. */
static bool in_bounds(HeadAppender *a, int64_t t) {
    if (!a->bound_known) {
        int64_t max = atomic_load(&a->head->max_time);
        if (max == TIME_MIN_MS) {
            max = t;
        }
        int64_t bound = MAX(atomic_load(&a->head->min_valid), atomic_load(&a->head->min_append));
        a->min_valid = MAX(bound, max - a->head->range_ms / 2);
        int64_t window = atomic_load(&a->head->late_window);
        a->min_late = window > 0 ? max - window : INT64_MAX;
        a->max_time = max;
        a->bound_known = true;
    }
    return t >= a->min_valid;
}

/* Holds the series in the head until this appender ends. False: it has left. */
static bool series_touch(HeadAppender *a, HeadSeries *s) {
    if (LIKELY(atomic_load_explicit(&s->touched, memory_order_relaxed) >= (unsigned)a->pin.round)) {
        return true;
    }
    spin_lock(&s->lock);
    bool here = !(atomic_load(&s->flags) & SERIES_GONE);
    if (here) {
        atomic_store(&s->touched, (unsigned)atomic_load(&a->head->round));
    }
    spin_unlock(&s->lock);
    return here;
}

/* A record of the journal has a ceiling, and one series must fit in a record: what the journal
 * cannot read back must not be taken. */
#define LABELS_BYTES_MAX (16u << 20)
static_assert(LABELS_BYTES_MAX < JOURNAL_PAYLOAD_MAX / 2, "a series fits in a journal record");

static size_t labels_bytes(Labels l) {
    size_t sum = 0;
    for (size_t i = 0; i < l.n; i++) {
        sum += l.v[i].name.n + l.v[i].value.n;
    }
    return sum;
}

static int resolve(HeadAppender *a, SeriesRef *ref, Labels labels, HeadSeries **ret) {
    Head *h = a->head;
    if (*ref) {
        HeadSeries *s = head_series_of_ref(h, *ref);
        if (!s || !series_touch(a, s)) {
            metric_inc(h->metrics->not_found);
            return APPEND_UNKNOWN_REF;
        }
        *ret = s;
        return APPEND_OK;
    }
    if (labels.n == 0 || labels_bytes(labels) > LABELS_BYTES_MAX) {
        return APPEND_INVALID;
    }
    uint32_t slot;
    bool made;
    do {
        *ret = head_series_get(h, labels, &slot, &made);
        if (!*ret) {
            return err_trace(-EOVERFLOW); /* 2^32 series at once */
        }
    } while (!series_touch(a, *ret));
    *ref = head_series_ref(*ret);
    return APPEND_OK;
}

/* Against what is committed. */
static int check_order(Head *h, HeadSeries *s, int64_t t, double v) {
    int64_t last = atomic_load_explicit(&s->last, memory_order_relaxed);
    if (LIKELY(t > last)) {
        return APPEND_OK;
    }
    spin_lock(&s->lock);
    int r = s->open.n == 0                ? check_full(h, s, t, v)
            : t > s->open.t               ? APPEND_OK
            : t < s->open.t               ? APPEND_OUT_OF_ORDER
            : holds_histograms(s)         ? APPEND_DUPLICATE
            : s->open.v == double_bits(v) ? APPEND_OK
                                          : APPEND_DUPLICATE;
    spin_unlock(&s->lock);
    return r;
}

/* Within one transaction Prometheus takes such a sample and drops it at commit without a word. */
static bool repeats_pending(const HeadAppender *a, uint32_t slot, int64_t t) {
    const JournalSample *last = a->samples.n ? &a->samples.v[a->samples.n - 1] : NULL;
    return last && last->slot == slot && t <= last->t;
}

static void note_unlogged(HeadAppender *a, const HeadSeries *s, uint32_t slot) {
    if (UNLIKELY(!(atomic_load_explicit(&s->flags, memory_order_acquire) & SERIES_LOGGED))) {
        vec_push(&a->unlogged, slot);
    }
}

/* Whether a sample of this kind may be of another one than the samples before of its series. */
static bool kind_may_change(const HeadSeries *s, bool histogram) {
    return UNLIKELY(holds_histograms(s) != histogram ||
                    atomic_load_explicit(&s->last, memory_order_relaxed) == INT64_MIN);
}

static AppenderPart parts_end(const HeadAppender *a) {
    return a->parts.n ? a->parts.v[a->parts.n - 1] : (AppenderPart){0};
}

static void begin_part(HeadAppender *a) {
    vec_push(&a->parts, (AppenderPart){a->samples.n, a->histograms.n});
}

/* A histogram of this slot waits in the part at hand. */
static bool histogram_waits(const HeadAppender *a, uint32_t slot) {
    for (size_t i = a->histograms.n; i > parts_end(a).histograms; i--) {
        if (a->histograms.v[i - 1].slot == slot) {
            return true;
        }
    }
    return false;
}

static bool float_waits(const HeadAppender *a, uint32_t slot) {
    for (size_t i = a->samples.n; i > parts_end(a).samples; i--) {
        if (a->samples.v[i - 1].slot == slot) {
            return true;
        }
    }
    return false;
}

static int histogram_push(HeadAppender *a, uint32_t slot, const HistogramSample *s) {
    HistogramSample copy = *s;
    copy.h = s->h ? histogram_arena_dup(&a->copies, s->h) : NULL;
    copy.fh = s->fh ? float_histogram_arena_dup(&a->copies, s->fh) : NULL;
    if (a->copies.failed) {
        return err_trace(-ENOMEM);
    }
    vec_push(&a->histograms, (JournalHistogram){slot, copy});
    return APPEND_OK;
}

/* The series is known; the time is in bounds. */
static int add_histogram(HeadAppender *a, HeadSeries *series, uint32_t slot,
                         const HistogramSample *s) {
    spin_lock(&series->lock);
    int r = head_histogram_check(series, s);
    spin_unlock(&series->lock);
    if (r != APPEND_OK) {
        a->out_of_order += r == APPEND_OUT_OF_ORDER;
        return r;
    }
    const JournalHistogram *last = a->histograms.n ? &a->histograms.v[a->histograms.n - 1] : NULL;
    if (last && last->slot == slot && s->t <= last->sample.t) {
        a->out_of_order++; /* as repeats_pending() */
        return APPEND_OK;
    }
    if (kind_may_change(series, true) && float_waits(a, slot)) {
        begin_part(a);
    }
    note_unlogged(a, series, slot);
    return histogram_push(a, slot, s);
}

/* A series that ends gets a float as its marker, whatever it was: the marker takes its kind. */
static int add_stale_histogram(HeadAppender *a, HeadSeries *series, uint32_t slot, int64_t t) {
    Histogram h = {.sum = stale_nan()};
    FloatHistogram fh = {.sum = stale_nan()};
    bool is_float = atomic_load(&series->flags) & SERIES_FLOAT_COUNTS;
    return add_histogram(
        a, series, slot,
        &(HistogramSample){.t = t, .h = is_float ? NULL : &h, .fh = is_float ? &fh : NULL});
}

static int appender_add_histogram(Appender *base, SeriesRef *ref, Labels labels, int64_t t,
                                  const Histogram *h, const FloatHistogram *fh, int64_t st) {
    HeadAppender *a = (HeadAppender *)base;
    HistogramSample s = {t, st, h, fh};
    if (!(h ? histogram_validate(h, NULL) : float_histogram_validate(fh, NULL)) ||
        !histogram_chunk_holds(&s)) {
        return APPEND_INVALID;
    }
    if (UNLIKELY(!in_bounds(a, t))) {
        a->out_of_bound++;
        return APPEND_OUT_OF_BOUNDS;
    }
    HeadSeries *series;
    int r = resolve(a, ref, labels, &series);
    return r != APPEND_OK ? r : add_histogram(a, series, (uint32_t)(*ref - 1), &s);
}

static bool takes_late(const HeadAppender *a) { return a->min_late < INT64_MAX; }

/* Prometheus' rule: up to the window behind the newest sample of all, whatever the series holds. */
static int add_late(HeadAppender *a, const HeadSeries *s, uint32_t slot, int64_t t, double v) {
    metric_observe(a->head->metrics->late_delta, (double)(a->max_time - t) / 1000);
    if (t < a->min_late) {
        a->too_old++;
        return APPEND_TOO_OLD;
    }
    note_unlogged(a, s, slot);
    vec_push(&a->late, (JournalSample){.slot = slot, .t = t, .v = v});
    return APPEND_OK;
}

static int appender_add(Appender *base, SeriesRef *ref, Labels labels, int64_t t, double v,
                        int64_t st) {
    (void)st; /* this head keeps no start timestamps */
    HeadAppender *a = (HeadAppender *)base;
    bool in_order = in_bounds(a, t);
    if (UNLIKELY(!in_order && !takes_late(a))) {
        a->out_of_bound++;
        return APPEND_OUT_OF_BOUNDS;
    }
    HeadSeries *s;
    int r = resolve(a, ref, labels, &s);
    if (r != APPEND_OK) {
        return r;
    }
    uint32_t slot = (uint32_t)(*ref - 1);
    if (in_order && holds_histograms(s) && is_stale_nan(v)) {
        return add_stale_histogram(a, s, slot, t);
    }
    r = in_order ? check_order(a->head, s, t, v) : APPEND_OUT_OF_ORDER;
    if (UNLIKELY(r == APPEND_OUT_OF_ORDER && takes_late(a))) {
        return add_late(a, s, slot, t, v);
    }
    if (r != APPEND_OK) {
        a->out_of_order += r == APPEND_OUT_OF_ORDER;
        return r;
    }
    if (repeats_pending(a, slot, t)) {
        if (takes_late(a) && t < a->samples.v[a->samples.n - 1].t) {
            return add_late(a, s, slot, t, v);
        }
        a->out_of_order++;
        return APPEND_OK;
    }
    if (kind_may_change(s, false) && histogram_waits(a, slot)) {
        begin_part(a);
    }
    note_unlogged(a, s, slot);
    vec_push(&a->samples, (JournalSample){.slot = slot, .t = t, .v = v});
    return APPEND_OK;
}

/* Without labels that are empty. */
static Labels exemplar_labels(HeadAppender *a, Labels l) {
    Label *v = ARENA_ARRAY(&a->copies, Label, l.n);
    size_t n = 0;
    for (size_t i = 0; v && i < l.n; i++) {
        if (l.v[i].value.n > 0) {
            v[n++] =
                (Label){arena_str(&a->copies, l.v[i].name), arena_str(&a->copies, l.v[i].value)};
        }
    }
    return (Labels){v, n};
}

static int appender_add_exemplar(Appender *base, SeriesRef ref, const Exemplar *e) {
    HeadAppender *a = (HeadAppender *)base;
    Head *h = a->head;
    if (!exemplars_enabled(h->exemplars)) {
        return APPEND_OK; /* as Prometheus without its feature */
    }
    HeadSeries *s = ref ? head_series_of_ref(h, ref) : NULL;
    if (!s || !series_touch(a, s)) {
        return APPEND_UNKNOWN_REF;
    }
    uint32_t slot = (uint32_t)(ref - 1);
    JournalExemplar x = {slot, *e};
    HeadLabelVec scratch = {0};
    x.exemplar.labels = exemplar_labels(a, e->labels);
    int r = a->copies.failed
                ? err_trace(-ENOMEM)
                : exemplars_check(h->exemplars, head_series_labels(h, slot, &scratch), &x.exemplar);
    vec_free(&scratch);
    if (r == APPEND_OK) {
        note_unlogged(a, s, slot);
        vec_push(&a->exemplars, x);
    }
    return r == APPEND_DUPLICATE ? APPEND_OK : r;
}

static void appender_add_family(Appender *base, Str family, const Metadata *m) {
    HeadAppender *a = (HeadAppender *)base;
    if (family.n == 0 || family.n > FAMILY_TEXT_MAX ||
        families_same(a->head->families, family, m)) {
        return;
    }
    JournalFamily f = {arena_str(&a->copies, family),
                       {m->type, arena_str(&a->copies, m->unit), arena_str(&a->copies, m->help)}};
    if (!a->copies.failed) {
        vec_push(&a->families, f);
    }
}

/* A block was cut over samples that this transaction has taken long ago: they have no place any
 * more, and what append() has accepted is kept as a whole or refused as a whole. */
static int check_bound(HeadAppender *a) {
    int64_t min = atomic_load(&a->head->min_valid);
    uint64_t late = 0;
    for (size_t i = 0; min > a->min_valid && i < a->samples.n; i++) {
        late += a->samples.v[i].t < min;
    }
    for (size_t i = 0; min > a->min_valid && i < a->histograms.n; i++) {
        late += a->histograms.v[i].sample.t < min;
    }
    a->out_of_bound += late;
    return late ? err_trace(-ESTALE) : 0;
}

static int slot_cmp(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void head_put_series(Head *h, JournalEncoder *e, uint32_t slot, Buf *out) {
    HeadIndex *x = &h->index;
    const HeadLabels *l = head_series_any(h, slot)->labels;
    vec_reserve(&e->numbers, l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        HeadPair *p = &x->pairs.v[l->pair[i]];
        if (p->journal_epoch != e->epoch) {
            p->journal_number = journal_series_pair(e, head_pair(x, l->pair[i]));
            p->journal_epoch = e->epoch;
        }
        e->numbers.v[i] = p->journal_number;
    }
    journal_series_add(e, slot, e->numbers.v, l->n, out);
}

/* A series that another transaction made but has not journalled yet is journalled by this one too:
 * twice is fine, never is not. Called by the journal's only writer: what it notes at the pairs
 * nobody else looks at. */
static void put_series(HeadAppender *a, JournalEncoder *e, Buf *out) {
    Head *h = a->head;
    qsort(a->unlogged.v, a->unlogged.n, sizeof(*a->unlogged.v), slot_cmp);
    journal_series_begin(e);
    pthread_rwlock_rdlock(&h->index_lock);
    for (size_t i = 0; i < a->unlogged.n; i++) {
        if (i == 0 || a->unlogged.v[i] != a->unlogged.v[i - 1]) {
            head_put_series(h, e, a->unlogged.v[i], out);
        }
    }
    pthread_rwlock_unlock(&h->index_lock);
    journal_series_end(e, out);
}

/* Late samples count as of now: the journal keeps them until a cut after this moment, which takes
 * them along. */
static int64_t newest_of(const HeadAppender *a) {
    int64_t max = a->late.n > 0 ? atomic_load(&a->head->max_time) : INT64_MIN;
    for (size_t i = 0; i < a->samples.n; i++) {
        max = MAX(max, a->samples.v[i].t);
    }
    for (size_t i = 0; i < a->histograms.n; i++) {
        max = MAX(max, a->histograms.v[i].sample.t);
    }
    return max;
}

/* Where part i ends. */
static AppenderPart part_at(const HeadAppender *a, size_t i) {
    return i < a->parts.n ? a->parts.v[i] : (AppenderPart){a->samples.n, a->histograms.n};
}

/* JournalBatch.put */
static void put_records(void *arg, JournalEncoder *e, Buf *out) {
    HeadAppender *a = arg;
    AppenderPart from = {0};
    if (a->unlogged.n > 0) {
        put_series(a, e, out);
    }
    for (size_t i = 0; i <= a->parts.n; i++) {
        AppenderPart to = part_at(a, i);
        journal_put_samples(e, out, a->samples.v + from.samples, to.samples - from.samples);
        journal_put_histograms(e, out, a->histograms.v + from.histograms,
                               to.histograms - from.histograms);
        from = to;
    }
    journal_put_late(e, out, a->late.v, a->late.n);
    journal_put_exemplars(e, out, a->exemplars.v, a->exemplars.n);
    journal_put_families(e, out, a->families.v, a->families.n);
}

static int write_journal(HeadAppender *a) {
    if (!a->head->journal) {
        return 0;
    }
    JournalBatch b = {.put = put_records,
                      .arg = a,
                      .size = (a->samples.n + a->late.n * 2) * SAMPLE_BYTES + a->copies.used,
                      .max_time = newest_of(a)};
    int r = journal_commit(a->head->journal, &b);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < a->unlogged.n; i++) {
        HeadSeries *s = head_series_any(a->head, a->unlogged.v[i]);
        atomic_fetch_or_explicit(&s->flags, SERIES_LOGGED, memory_order_release);
    }
    return 0;
}

/* Where the next sample will be written. Without the lock: a wrong guess costs nothing. */
__attribute__((no_sanitize("thread"))) static void prefetch_end(const HeadSeries *s) {
    __builtin_prefetch((const void *)((uintptr_t)s->data + s->open.bits / 8), 1);
}

/* Series of a transaction lie all over memory: ask for them some steps ahead. */
static void apply_samples(Head *h, HeadCursor *c, const JournalSample *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i + 8 < n) {
            __builtin_prefetch(head_series_any(h, v[i + 8].slot), 1);
        }
        if (i + 4 < n) {
            const HeadSeries *ahead = head_series_any(h, v[i + 4].slot);
            __builtin_prefetch((const char *)ahead + 64, 1);
        }
        if (i + 2 < n) {
            prefetch_end(head_series_any(h, v[i + 2].slot));
        }
        HeadSeries *s = head_series_any(h, v[i].slot);
        spin_lock(&s->lock);
        (void)head_sample_add(h, s, c, v[i].t, v[i].v); /* the cursor counts */
        spin_unlock(&s->lock);
    }
}

static void apply_histograms(Head *h, HeadCursor *c, const JournalHistogram *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        HeadSeries *s = head_series_any(h, v[i].slot);
        spin_lock(&s->lock);
        (void)head_histogram_add(h, s, c, &v[i].sample); /* the cursor counts */
        spin_unlock(&s->lock);
    }
}

static void apply_notes(HeadAppender *a) {
    HeadLabelVec scratch = {0};
    for (size_t i = 0; i < a->exemplars.n; i++) {
        const JournalExemplar *x = &a->exemplars.v[i];
        /* What has become a duplicate or late meanwhile is left out, and counted there. */
        (void)exemplars_add(a->head->exemplars, head_series_labels(a->head, x->slot, &scratch),
                            &x->exemplar);
    }
    for (size_t i = 0; i < a->families.n; i++) {
        families_put(a->head->families, a->families.v[i].name, &a->families.v[i].metadata);
    }
    vec_free(&scratch);
}

static HeadCommit apply(HeadAppender *a) {
    HeadCursor c = {.commit = head_begin_commit(a->head)};
    HeadCommit commit = c.commit;
    AppenderPart from = {0};
    for (size_t i = 0; i <= a->parts.n; i++) {
        AppenderPart to = part_at(a, i);
        apply_samples(a->head, &c, a->samples.v + from.samples, to.samples - from.samples);
        apply_histograms(a->head, &c, a->histograms.v + from.histograms,
                         to.histograms - from.histograms);
        from = to;
    }
    head_cursor_end(a->head, &c);
    if (UNLIKELY(a->exemplars.n + a->families.n > 0)) {
        apply_notes(a);
    }
    if (UNLIKELY(a->late.n > 0)) {
        size_t added = head_late_add(a->head, a->late.v, a->late.n);
        metric_add(a->head->metrics->late_appended, (double)added);
    }
    return commit;
}

static void drop_copies(HeadAppender *a) {
    vec_free(&a->histograms);
    vec_free(&a->parts);
    vec_free(&a->exemplars);
    vec_free(&a->families);
    arena_deinit(&a->copies);
}

static void appender_delete(HeadAppender *a) {
    drop_copies(a);
    vec_free(&a->samples);
    vec_free(&a->late);
    vec_free(&a->unlogged);
    mem_free(a);
}

static void appender_keep(HeadAppender *a) {
    Head *h = a->head;
    drop_copies(a);
    size_t bytes = (a->samples.cap + a->late.cap) * sizeof(*a->samples.v) +
                   a->unlogged.cap * sizeof(*a->unlogged.v);
    pthread_mutex_lock(&h->pin_lock);
    bool keep = bytes <= KEPT_BYTES_MAX && h->n_kept < KEPT_MAX;
    if (keep) {
        a->next = h->kept;
        h->kept = a;
        h->n_kept++;
    }
    pthread_mutex_unlock(&h->pin_lock);
    if (!keep) {
        appender_delete(a);
    }
}

/* An appender without samples; its buffers may have room. */
static HeadAppender *appender_take(Head *h) {
    pthread_mutex_lock(&h->pin_lock);
    HeadAppender *a = h->kept;
    if (a) {
        h->kept = a->next;
        h->n_kept--;
    }
    pthread_mutex_unlock(&h->pin_lock);
    if (!a) {
        a = NEW(HeadAppender);
        a->copies = ARENA_INIT(COPIES_BYTES_MAX);
        return a;
    }
    HeadAppender fresh = {.copies = ARENA_INIT(COPIES_BYTES_MAX)};
    fresh.samples.v = a->samples.v;
    fresh.samples.cap = a->samples.cap;
    fresh.late.v = a->late.v;
    fresh.late.cap = a->late.cap;
    fresh.unlogged.v = a->unlogged.v;
    fresh.unlogged.cap = a->unlogged.cap;
    *a = fresh;
    return a;
}

void head_drop_appenders(Head *h) {
    while (h->kept) {
        HeadAppender *next = h->kept->next;
        appender_delete(h->kept);
        h->kept = next;
    }
}

static void appender_over(HeadAppender *a) {
    Head *h = a->head;
    if (a->out_of_order) {
        metric_add(h->metrics->out_of_order, (double)a->out_of_order);
    }
    if (a->out_of_bound) {
        metric_add(h->metrics->out_of_bound, (double)a->out_of_bound);
    }
    if (a->too_old) {
        metric_add(h->metrics->too_old, (double)a->too_old);
    }
    metric_add(h->metrics->active_appenders, -1);
    head_unpin(h, &a->pin);
    appender_keep(a);
}

static int appender_end(Appender *base) {
    HeadAppender *a = (HeadAppender *)base;
    int r = 0;
    if (a->samples.n + a->histograms.n + a->late.n + a->exemplars.n + a->families.n > 0) {
        pthread_rwlock_rdlock(&a->head->commit_lock);
        r = check_bound(a);
        if (r == 0) {
            r = write_journal(a);
        }
        HeadCommit c = {0};
        if (r == 0) {
            c = apply(a);
        }
        pthread_rwlock_unlock(&a->head->commit_lock);
        if (r == 0) {
            head_isolation_end(&a->head->isolation, c);
        }
    }
    appender_over(a);
    return r;
}

static void appender_drop(Appender *base) { appender_over((HeadAppender *)base); }

static const AppenderOps head_appender_ops = {
    .append = appender_add,
    .append_histogram = appender_add_histogram,
    .append_exemplar = appender_add_exemplar,
    .family_metadata = appender_add_family,
    .commit = appender_end,
    .rollback = appender_drop,
};

int head_appender(Head *h, Appender **ret) {
    HeadAppender *a = appender_take(h);
    a->base.ops = &head_appender_ops;
    a->head = h;
    head_pin(h, &a->pin, true);
    metric_inc(h->metrics->appenders);
    metric_add(h->metrics->active_appenders, 1);
    *ret = &a->base;
    return 0;
}
