/* Series and samples into records. */
#include <string.h>

#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/journal/journal_record.h"

#define SERIES_PAYLOAD_SPLIT (1u << 20)
#define SAMPLES_PER_RECORD 65536
/* zstd's quicker levels: 3 to 5 ns a sample, a tenth larger than with level 3. */
#define ZSTD_LEVEL 1

void journal_encoder_init(JournalEncoder *e) {
    *e = (JournalEncoder){.epoch = 1};
    e->zstd = zstd_codec_new(ZSTD_LEVEL);
    journal_predictors_init(&e->predictors);
}

void journal_encoder_deinit(JournalEncoder *e) {
    zstd_codec_free(e->zstd);
    journal_predictors_deinit(&e->predictors);
    buf_deinit(&e->payload);
    buf_deinit(&e->columns);
    buf_deinit(&e->pairs);
    buf_deinit(&e->series);
    vec_free(&e->last);
    vec_free(&e->numbers);
}

void journal_encoder_reset(JournalEncoder *e, bool tell) {
    e->epoch++;
    e->n_pairs = 0;
    e->tell_reset = tell;
    journal_predictors_reset(&e->predictors);
}

void journal_encoder_put(JournalEncoder *e, Buf *out, JournalType type, Str payload) {
    journal_put_record(out, e->zstd, (uint8_t)type, e->tell_reset, payload);
    e->tell_reset = false;
}

/* ---- series */

static void series_clear(JournalEncoder *e) {
    buf_reset(&e->pairs);
    buf_reset(&e->series);
    e->pairs_told = 0;
    e->next_slot = 0;
    e->last.n = 0;
}

void journal_series_begin(JournalEncoder *e) { series_clear(e); }

static void put_str(Buf *b, Str s) {
    buf_add_uvarint(b, s.n);
    buf_add_str(b, s);
}

uint32_t journal_series_pair(JournalEncoder *e, Label pair) {
    put_str(&e->pairs, pair.name);
    put_str(&e->pairs, pair.value);
    e->pairs_told++;
    return e->n_pairs++;
}

static void series_flush(JournalEncoder *e, Buf *out) {
    buf_reset(&e->payload);
    buf_add_uvarint(&e->payload, e->pairs_told);
    buf_add_uvarint(&e->payload, e->pairs.n);
    buf_add_str(&e->payload, buf_str(&e->pairs));
    buf_add_str(&e->payload, buf_str(&e->series));
    journal_encoder_put(e, out, JOURNAL_SERIES, buf_str(&e->payload));
    series_clear(e);
}

/* Series of a target have most pairs in common with their neighbours, in the same places. */
void journal_series_add(JournalEncoder *e, uint32_t slot, const uint32_t *numbers, size_t n,
                        Buf *out) {
    buf_add_varint(&e->series, (int64_t)slot - (int64_t)e->next_slot);
    buf_add_uvarint(&e->series, n);
    vec_reserve(&e->last, n);
    while (e->last.n < n) {
        e->last.v[e->last.n++] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        buf_add_varint(&e->series, (int64_t)numbers[i] - (int64_t)e->last.v[i]);
        e->last.v[i] = numbers[i];
    }
    e->next_slot = slot + 1;
    if (e->series.n + e->pairs.n >= SERIES_PAYLOAD_SPLIT) {
        series_flush(e, out);
    }
}

void journal_series_end(JournalEncoder *e, Buf *out) {
    if (e->series.n > 0) {
        series_flush(e, out);
    }
}

/* ---- samples */

/* Samples that follow one another as series of one moment, or as moments of one series. */
static size_t run_length(const JournalSample *v, size_t n, bool *ret_same_slot) {
    size_t i = 1;
    *ret_same_slot = n > 1 && v[1].slot == v[0].slot;
    if (*ret_same_slot) {
        while (i < n && v[i].slot == v[0].slot) {
            i++;
        }
    } else {
        while (i < n && v[i].slot == v[i - 1].slot + 1 && v[i].t == v[0].t &&
               !(i + 1 < n && v[i + 1].slot == v[i].slot)) {
            i++;
        }
    }
    return i;
}

typedef struct Columns {
    uint8_t *runs, *times;
    int64_t t, delta; /* of the last sample */
    uint32_t next;    /* slot behind the last run */
} Columns;

static void put_run(Columns *c, const JournalSample *v, size_t n, bool same_slot) {
    bool later = v[0].t != c->t;
    c->runs += uvarint_put(c->runs, (n - 1) << 2 | (same_slot ? 2 : 0) | (later ? 1 : 0));
    c->runs += uvarint_put(c->runs, zigzag_encode((int64_t)v[0].slot - (int64_t)c->next));
    if (later) {
        c->runs +=
            uvarint_put(c->runs, zigzag_encode((int64_t)((uint64_t)v[0].t - (uint64_t)c->t)));
    }
    for (size_t i = 1; same_slot && i < n; i++) {
        int64_t delta = (int64_t)((uint64_t)v[i].t - (uint64_t)v[i - 1].t);
        uint64_t change = zigzag_encode((int64_t)((uint64_t)delta - (uint64_t)c->delta));
        c->times += uvarint_put(c->times, change);
        c->delta = delta;
    }
    c->t = v[n - 1].t;
    c->next = v[n - 1].slot + 1;
}

static int64_t newest_of(const JournalSample *v, size_t n) {
    int64_t max = v[0].t;
    for (size_t i = 1; i < n; i++) {
        max = MAX(max, v[i].t);
    }
    return max;
}

static void put_values(JournalEncoder *e, Buf *b, const JournalSample *v, size_t n) {
    char *dst = buf_reserve(b, n * JOURNAL_VALUE_BYTES_MAX + 8);
    if (!dst) {
        return;
    }
    uint8_t *p = (uint8_t *)dst;
    for (size_t i = 0; i < n; i++) {
        if (i + 4 < n) {
            __builtin_prefetch(journal_predictor(&e->predictors, v[i + 4].slot), 1);
        }
        p += journal_value_put(p, journal_predictor(&e->predictors, v[i].slot), v[i].v);
    }
    b->n += (size_t)((char *)p - dst);
}

static void put_column(Buf *b, const uint8_t *from, const uint8_t *to) {
    buf_add_uvarint(b, (size_t)(to - from));
    buf_add(b, from, (size_t)(to - from));
}

static void put_samples_record(JournalEncoder *e, Buf *out, const JournalSample *v, size_t n) {
    buf_reset(&e->columns);
    /* A run is at most three numbers, and a time one. */
    uint8_t *room = (uint8_t *)buf_reserve(&e->columns, n * 4 * UVARINT_BYTES_MAX);
    if (!room) {
        return;
    }
    uint8_t *times = room + n * 3 * UVARINT_BYTES_MAX;
    Columns c = {.runs = room, .times = times, .t = v[0].t};
    for (size_t at = 0; at < n;) {
        bool same_slot;
        size_t length = run_length(v + at, n - at, &same_slot);
        put_run(&c, v + at, length, same_slot);
        at += length;
    }
    Buf *b = &e->payload;
    buf_reset(b);
    buf_add_varint(b, v[0].t);
    buf_add_uvarint(b, n);
    buf_add_uvarint(b, (uint64_t)newest_of(v, n) - (uint64_t)v[0].t);
    put_column(b, room, c.runs);
    put_column(b, times, c.times);
    put_values(e, b, v, n);
    journal_encoder_put(e, out, JOURNAL_SAMPLES, buf_str(b));
}

void journal_put_samples(JournalEncoder *e, Buf *out, const JournalSample *v, size_t n) {
    for (size_t at = 0; at < n; at += SAMPLES_PER_RECORD) {
        put_samples_record(e, out, v + at, MIN(n - at, (size_t)SAMPLES_PER_RECORD));
    }
}
