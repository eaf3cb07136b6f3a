/*
 * A record:
 *     0  u32  length of the payload as stored
 *     4  u8   type
 *     5  u8   flags: 1 snappy, 2 further records of this commit follow
 *     6  u16  zero
 *     8  u32  CRC32C of bytes 0..7 and the payload
 *    12       payload
 */
#include "tsdb/journal/journal_record.h"

#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/varint.h"
#include "format/compress.h"
#include "model/sample.h"

#define FLAG_SNAPPY 1
#define FLAG_MORE 2
#define COMPRESS_MIN 256 /* below this the attempt costs more than it gives */
#define SERIES_PAYLOAD_SPLIT (1u << 20)
#define SAMPLES_PER_RECORD 65536

static void store_u32(char *p, uint32_t v) { memcpy(p, &v, 4); }

static uint32_t load_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static uint64_t load_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* ---- writing */

void journal_put_segment_header(Buf *b, SegmentHeader h) {
    size_t start = b->n;
    buf_add(b, JOURNAL_MAGIC, 8);
    buf_add_u32(b, JOURNAL_VERSION);
    buf_add_u64(b, h.number);
    buf_add_u64(b, h.previous_size);
    buf_add_u32(b, crc32c(0, b->p + start, 28));
}

static void seal_crc(char *rec) {
    uint32_t crc = crc32c(0, rec, 8);
    store_u32(rec + 8, crc32c(crc, rec + JOURNAL_RECORD_HEADER, load_u32((uint8_t *)rec)));
}

/* The checksum is left to journal_seal(), which knows the last flags. */
void journal_put_record(Buf *b, JournalType type, Str payload) {
    size_t start = b->n;
    char *h = buf_reserve(b, JOURNAL_RECORD_HEADER + payload.n);
    if (!h) {
        return;
    }
    b->n += JOURNAL_RECORD_HEADER;
    uint8_t flags = FLAG_MORE;
    if (payload.n < COMPRESS_MIN || snappy_encode(payload, b) != 0 ||
        b->n - start - JOURNAL_RECORD_HEADER > payload.n - payload.n / 8) {
        b->n = start + JOURNAL_RECORD_HEADER;
        buf_add_str(b, payload);
    } else {
        flags |= FLAG_SNAPPY;
    }
    h = b->p + start;
    memset(h, 0, JOURNAL_RECORD_HEADER);
    store_u32(h, (uint32_t)(b->n - start - JOURNAL_RECORD_HEADER));
    h[4] = (char)type;
    h[5] = (char)flags;
}

void journal_seal(Buf *b, size_t start) {
    for (size_t at = start; at + JOURNAL_RECORD_HEADER <= b->n;) {
        char *rec = b->p + at;
        at += JOURNAL_RECORD_HEADER + load_u32((uint8_t *)rec);
        if (at >= b->n) {
            rec[5] = (char)(rec[5] & ~FLAG_MORE);
        }
        seal_crc(rec);
    }
}

void journal_put_base(Buf *b, int64_t mint) {
    uint8_t payload[UVARINT_BYTES_MAX];
    size_t n = uvarint_put(payload, zigzag_encode(mint));
    journal_put_record(b, JOURNAL_BASE, str_n((char *)payload, n));
}

void journal_series_begin(JournalSeriesWriter *w, Buf *out) {
    *w = (JournalSeriesWriter){.out = out};
}

void journal_series_add(JournalSeriesWriter *w, uint32_t slot, Labels labels) {
    buf_add_uvarint(&w->payload, slot);
    buf_add_uvarint(&w->payload, labels.n);
    for (size_t i = 0; i < labels.n; i++) {
        buf_add_uvarint(&w->payload, labels.v[i].name.n);
        buf_add_str(&w->payload, labels.v[i].name);
        buf_add_uvarint(&w->payload, labels.v[i].value.n);
        buf_add_str(&w->payload, labels.v[i].value);
    }
    if (w->payload.n >= SERIES_PAYLOAD_SPLIT) {
        journal_put_record(w->out, JOURNAL_SERIES, buf_str(&w->payload));
        buf_reset(&w->payload);
    }
}

void journal_series_end(JournalSeriesWriter *w) {
    if (w->payload.n > 0) {
        journal_put_record(w->out, JOURNAL_SERIES, buf_str(&w->payload));
    }
    buf_deinit(&w->payload);
}

/*
 * A value: an integer of at most 55 bits as uvarint(zigzag << 1); else a byte (n << 1) | 1 and the
 * n upper bytes of the float, the lower ones being zero (decimal fractions are rarely so lucky,
 * halves and quarters are); n = 0 is the stale marker.
 */
static size_t value_put(uint8_t *dst, double v) {
    uint64_t bits = double_bits(v);
    if (v >= -18014398509481984.0 && v <= 18014398509481984.0) {
        int64_t i = (int64_t)v;
        if (double_bits((double)i) == bits) {
            return uvarint_put(dst, zigzag_encode(i) << 1);
        }
    }
    if (bits == STALE_NAN_BITS) {
        dst[0] = 1;
        return 1;
    }
    unsigned zeros = bits ? (unsigned)__builtin_ctzll(bits) / 8 : 7;
    unsigned n = 8 - zeros;
    dst[0] = (uint8_t)(n << 1 | 1);
    uint64_t top = bits >> (8 * zeros);
    memcpy(dst + 1, &top, 8);
    return 1 + n;
}

static bool value_get(const uint8_t **p, const uint8_t *end, double *ret) {
    if (*p >= end) {
        return false;
    }
    if (**p & 1) {
        unsigned n = **p >> 1;
        if (n > 8 || (size_t)(end - *p) < 1 + n) {
            return false;
        }
        uint64_t bits = 0;
        memcpy(&bits, *p + 1, n);
        *p += 1 + n;
        *ret = n ? double_of_bits(bits << (8 * (8 - n))) : stale_nan();
        return true;
    }
    uint64_t u;
    if (!uvarint_get(p, end, &u)) {
        return false;
    }
    *ret = (double)zigzag_decode(u >> 1);
    return true;
}

/* Runs of neighbouring slots: zigzag gap to the slot behind the last one, length - 1. */
static size_t put_slot_runs(uint8_t *dst, const JournalSample *v, size_t n) {
    uint8_t *p = dst;
    int64_t next = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && v[end].slot == v[end - 1].slot + 1) {
            end++;
        }
        p += uvarint_put(p, zigzag_encode((int64_t)v[i].slot - next));
        p += uvarint_put(p, end - i - 1);
        next = (int64_t)v[end - 1].slot + 1;
        i = end;
    }
    return (size_t)(p - dst);
}

static size_t put_slot_deltas(uint8_t *dst, const JournalSample *v, size_t n) {
    uint8_t *p = dst;
    int64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        p += uvarint_put(p, zigzag_encode((int64_t)v[i].slot - last));
        last = v[i].slot;
    }
    return (size_t)(p - dst);
}

static void put_values(Buf *b, const JournalSample *v, size_t n) {
    char *dst = buf_reserve(b, n * 10 + 16);
    if (dst) {
        uint8_t *p = (uint8_t *)dst;
        for (size_t i = 0; i < n; i++) {
            p += value_put(p, v[i].v);
        }
        b->n += (size_t)((char *)p - dst);
    }
}

/* A column behind its length. */
static void put_column(Buf *b, const uint8_t *column, size_t n) {
    buf_add_uvarint(b, n);
    buf_add(b, column, n);
}

static bool same_time(const JournalSample *v, size_t n) {
    int64_t differs = 0;
    for (size_t i = 1; i < n; i++) {
        differs |= v[i].t ^ v[0].t;
    }
    return differs == 0;
}

static void put_times(Buf *b, uint8_t *column, const JournalSample *v, size_t n) {
    uint8_t *p = column;
    int64_t last = v[0].t, max = last;
    for (size_t i = 0; i < n; i++) {
        p += uvarint_put(p, zigzag_encode((int64_t)((uint64_t)v[i].t - (uint64_t)last)));
        last = v[i].t;
        max = MAX(max, last);
    }
    buf_add_uvarint(b, (uint64_t)max - (uint64_t)v[0].t);
    put_column(b, column, (size_t)(p - column));
}

static void put_samples_record(Buf *b, Buf *scratch, const JournalSample *v, size_t n) {
    bool timed = !same_time(v, n);
    buf_reset(scratch);
    /* The columns are made behind the payload's own room, so that nothing is allocated anew. */
    size_t payload_max = n * 30 + 64;
    char *base = buf_reserve(scratch, payload_max + n * 12 + 16);
    if (!base) {
        return;
    }
    uint8_t *column = (uint8_t *)base + payload_max;
    buf_add_varint(scratch, v[0].t);
    buf_add_uvarint(scratch, n);
    if (timed) {
        put_column(scratch, column, put_slot_deltas(column, v, n));
        put_times(scratch, column, v, n);
    } else {
        put_column(scratch, column, put_slot_runs(column, v, n));
    }
    put_values(scratch, v, n);
    journal_put_record(b, timed ? JOURNAL_SAMPLES_TIMED : JOURNAL_SAMPLES, buf_str(scratch));
}

void journal_put_samples(Buf *b, Buf *scratch, const JournalSample *v, size_t n) {
    for (size_t at = 0; at < n; at += SAMPLES_PER_RECORD) {
        put_samples_record(b, scratch, v + at, MIN(n - at, (size_t)SAMPLES_PER_RECORD));
    }
}

/* ---- reading */

int journal_reader_init(JournalReader *r, const void *data, size_t size, SegmentHeader *ret) {
    *r = (JournalReader){.p = data, .n = size};
    if (size < JOURNAL_SEGMENT_HEADER) {
        return JOURNAL_TORN;
    }
    if (memcmp(r->p, JOURNAL_MAGIC, 8) != 0) {
        return JOURNAL_BAD;
    }
    if (crc32c(0, r->p, 28) != load_u32(r->p + 28)) {
        return JOURNAL_BAD;
    }
    if (load_u32(r->p + 8) != JOURNAL_VERSION) {
        return JOURNAL_NEWER_FORMAT;
    }
    *ret = (SegmentHeader){load_u64(r->p + 12), load_u64(r->p + 20)};
    r->at = JOURNAL_SEGMENT_HEADER;
    return JOURNAL_RECORD;
}

static bool all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (p[i]) {
            return false;
        }
    }
    return true;
}

/* Data that reach the end of the file are what an interrupted write leaves. */
static int refuse(const JournalReader *r, bool reaches_end) {
    size_t left = r->n - r->at;
    return reaches_end || all_zero(r->p + r->at, left) ? JOURNAL_TORN : JOURNAL_BAD;
}

int journal_reader_next(JournalReader *r, JournalRecord *ret) {
    size_t left = r->n - r->at;
    const uint8_t *h = r->p + r->at;
    if (left == 0) {
        return JOURNAL_END;
    }
    if (left < JOURNAL_RECORD_HEADER) {
        return JOURNAL_TORN;
    }
    uint32_t length = load_u32(h);
    if (length == 0 || length > JOURNAL_PAYLOAD_MAX) {
        return refuse(r, false);
    }
    if (left - JOURNAL_RECORD_HEADER < length) {
        return refuse(r, true);
    }
    uint32_t crc = crc32c(crc32c(0, h, 8), h + JOURNAL_RECORD_HEADER, length);
    if (crc != load_u32(h + 8) || h[6] || h[7]) {
        return refuse(r, left - JOURNAL_RECORD_HEADER == length);
    }
    r->at += JOURNAL_RECORD_HEADER + length;
    *ret = (JournalRecord){
        .type = h[4],
        .more = h[5] & FLAG_MORE,
        .compressed = h[5] & FLAG_SNAPPY,
        .payload = str_n((const char *)h + JOURNAL_RECORD_HEADER, length),
        .end = r->at,
    };
    return JOURNAL_RECORD;
}

int journal_record_payload(const JournalRecord *rec, Buf *scratch, Str *ret) {
    if (!rec->compressed) {
        *ret = rec->payload;
        return 0;
    }
    buf_reset(scratch);
    if (snappy_decode(rec->payload, JOURNAL_PAYLOAD_MAX * 2u, scratch) != 0) {
        return -EBADMSG;
    }
    *ret = buf_str(scratch);
    return 0;
}

static bool take_column(const uint8_t **p, const uint8_t *end, const uint8_t **from,
                        const uint8_t **to) {
    uint64_t n;
    if (!uvarint_get(p, end, &n) || n > (uint64_t)(end - *p)) {
        return false;
    }
    *from = *p;
    *to = *p += n;
    return true;
}

int journal_samples_init(JournalSamples *it, uint8_t type, Str payload) {
    *it = (JournalSamples){.timed = type == JOURNAL_SAMPLES_TIMED};
    const uint8_t *p = (const uint8_t *)payload.p, *end = p + payload.n;
    uint64_t later = 0;
    if (!varint_get(&p, end, &it->t) || !uvarint_get(&p, end, &it->left) ||
        !take_column(&p, end, &it->refs, &it->refs_end) ||
        (it->timed &&
         (!uvarint_get(&p, end, &later) || !take_column(&p, end, &it->times, &it->times_end)))) {
        return -EBADMSG;
    }
    it->max_time = (int64_t)((uint64_t)it->t + later);
    it->values = p;
    it->values_end = end;
    return 0;
}

/* slot: the one this sample is of; in runs, `run` more follow it directly. */
static bool next_slot(JournalSamples *it) {
    int64_t gap;
    if (it->run > 0) {
        it->run--;
        it->slot++;
        return true;
    }
    if (!varint_get(&it->refs, it->refs_end, &gap)) {
        return false;
    }
    it->slot = (uint32_t)((int64_t)it->slot + gap);
    return it->timed || uvarint_get(&it->refs, it->refs_end, &it->run);
}

int journal_samples_next(JournalSamples *it, JournalSample *ret) {
    if (it->left == 0) {
        return 0;
    }
    if (!next_slot(it) || !value_get(&it->values, it->values_end, &ret->v)) {
        return -EBADMSG;
    }
    ret->slot = it->slot;
    if (it->timed) {
        int64_t delta;
        if (!varint_get(&it->times, it->times_end, &delta)) {
            return -EBADMSG;
        }
        it->t = (int64_t)((uint64_t)it->t + (uint64_t)delta);
    } else if (it->run == 0) {
        it->slot++; /* gaps count from the slot behind the run */
    }
    ret->t = it->t;
    it->left--;
    return 1;
}

void journal_series_init(JournalSeries *it, Str payload) {
    it->p = (const uint8_t *)payload.p;
    it->end = it->p + payload.n;
}

void journal_series_deinit(JournalSeries *it) {
    mem_free(it->labels);
    *it = (JournalSeries){0};
}

static bool take_str(JournalSeries *it, Str *ret) {
    const uint8_t *from, *to;
    if (!take_column(&it->p, it->end, &from, &to)) {
        return false;
    }
    *ret = str_n((const char *)from, (size_t)(to - from));
    return true;
}

int journal_series_next(JournalSeries *it, uint32_t *ret_slot, Labels *ret) {
    uint64_t slot, n;
    if (it->p == it->end) {
        return 0;
    }
    if (!uvarint_get(&it->p, it->end, &slot) || slot > UINT32_MAX ||
        !uvarint_get(&it->p, it->end, &n) || n > (uint64_t)(it->end - it->p) / 2) {
        return -EBADMSG;
    }
    if (it->cap < n) {
        it->cap = n;
        it->labels = mem_recalloc(it->labels, it->cap, sizeof(*it->labels));
    }
    for (size_t i = 0; i < n; i++) {
        if (!take_str(it, &it->labels[i].name) || !take_str(it, &it->labels[i].value) ||
            (i > 0 && str_cmp(it->labels[i - 1].name, it->labels[i].name) >= 0)) {
            return -EBADMSG;
        }
    }
    *ret_slot = (uint32_t)slot;
    *ret = (Labels){it->labels, n};
    return 1;
}

int journal_base_decode(Str payload, int64_t *ret_mint) {
    const uint8_t *p = (const uint8_t *)payload.p;
    return varint_get(&p, p + payload.n, ret_mint) ? 0 : -EBADMSG;
}

const char *journal_type_name(uint8_t type) {
    static const char *const names[] = {
        [JOURNAL_SERIES] = "series",
        [JOURNAL_SAMPLES] = "samples",
        [JOURNAL_SAMPLES_TIMED] = "timed samples",
        [JOURNAL_BASE] = "checkpoint base",
        [JOURNAL_HISTOGRAMS] = "histograms",
    };
    return type < ARRAY_LEN(names) ? names[type] : NULL;
}
