/*
 * A record:
 *     0  u32  length of the payload as stored
 *     4  u8   type
 *     5  u8   flags: 1 snappy, 2 further records of this commit follow, 4 what earlier records of
 *             the segment told about series and values counts no more, 8 zstd
 *     6  u16  zero
 *     8  u32  CRC32C of bytes 0..7 and the payload
 *    12       payload
 */
#include "tsdb/journal/journal_record.h"

#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "format/compress.h"

#define FLAG_SNAPPY 1
#define FLAG_MORE 2
#define FLAG_RESET 4
#define FLAG_ZSTD 8
#define COMPRESS_MIN 64 /* below this the attempt costs more than it gives */

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
    buf_add_u64(b, (uint64_t)h.base);
    buf_add_u32(b, crc32c(0, b->p + start, JOURNAL_SEGMENT_HEADER - 4));
}

static void seal_crc(char *rec) {
    uint32_t crc = crc32c(0, rec, 8);
    store_u32(rec + 8, crc32c(crc, rec + JOURNAL_RECORD_HEADER, load_u32((uint8_t *)rec)));
}

void journal_put_record(Buf *b, ZstdCodec *zstd, uint8_t type, bool reset, Str payload) {
    size_t start = b->n;
    char *h = buf_reserve(b, JOURNAL_RECORD_HEADER + payload.n);
    if (!h) {
        return;
    }
    b->n += JOURNAL_RECORD_HEADER;
    uint8_t flags = FLAG_MORE | (reset ? FLAG_RESET : 0);
    if (!zstd || payload.n < COMPRESS_MIN || zstd_codec_encode(zstd, payload, b) != 0 ||
        b->n - start - JOURNAL_RECORD_HEADER > payload.n - payload.n / 16) {
        b->n = start + JOURNAL_RECORD_HEADER;
        buf_add_str(b, payload);
    } else {
        flags |= FLAG_ZSTD;
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
        rec[5] = (char)(at >= b->n ? rec[5] & ~FLAG_MORE : rec[5] | FLAG_MORE);
        seal_crc(rec);
    }
}

/* ---- reading */

int journal_reader_init(JournalReader *r, const void *data, size_t size, SegmentHeader *ret) {
    *r = (JournalReader){.p = data, .n = size};
    if (size < JOURNAL_SEGMENT_HEADER_1) {
        return JOURNAL_TORN;
    }
    if (memcmp(r->p, JOURNAL_MAGIC, 8) != 0) {
        return JOURNAL_BAD;
    }
    uint32_t version = load_u32(r->p + 8);
    size_t n = version == 1 ? JOURNAL_SEGMENT_HEADER_1 : JOURNAL_SEGMENT_HEADER;
    if (size < n) {
        return JOURNAL_TORN;
    }
    bool good = crc32c(0, r->p, n - 4) == load_u32(r->p + n - 4);
    if (!good || version == 0) {
        return JOURNAL_BAD;
    }
    if (version > JOURNAL_VERSION) {
        return JOURNAL_NEWER_FORMAT;
    }
    *ret = (SegmentHeader){load_u64(r->p + 12), load_u64(r->p + 20),
                           version == 1 ? INT64_MIN : (int64_t)load_u64(r->p + 28)};
    r->at = n;
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
        .reset = h[5] & FLAG_RESET,
        .compression = h[5] & FLAG_ZSTD     ? JOURNAL_ZSTD
                       : h[5] & FLAG_SNAPPY ? JOURNAL_SNAPPY
                                            : JOURNAL_PLAIN,
        .payload = str_n((const char *)h + JOURNAL_RECORD_HEADER, length),
        .end = r->at,
    };
    return JOURNAL_RECORD;
}

int journal_record_payload(const JournalRecord *rec, ZstdCodec *zstd, Buf *scratch, Str *ret) {
    if (rec->compression == JOURNAL_PLAIN) {
        *ret = rec->payload;
        return 0;
    }
    buf_reset(scratch);
    int r = rec->compression == JOURNAL_ZSTD
                ? zstd_codec_decode(zstd, rec->payload, JOURNAL_PAYLOAD_MAX * 2u, scratch)
                : snappy_decode(rec->payload, JOURNAL_PAYLOAD_MAX * 2u, scratch);
    if (r != 0) {
        return -EBADMSG;
    }
    *ret = buf_str(scratch);
    return 0;
}

const char *journal_type_name(uint8_t type) {
    static const char *const names[] = {
        [JOURNAL_SERIES_1] = "series",
        [JOURNAL_SAMPLES_1] = "samples",
        [JOURNAL_SAMPLES_TIMED_1] = "timed samples",
        [JOURNAL_BASE_1] = "checkpoint base",
        [JOURNAL_SAMPLES] = "samples",
        [JOURNAL_SERIES] = "series",
        [JOURNAL_HISTOGRAMS] = "histograms",
        [JOURNAL_EXEMPLARS] = "exemplars",
        [JOURNAL_FAMILIES] = "metadata",
        [JOURNAL_LATE] = "late samples",
        [JOURNAL_LATE_CUT] = "cut of late samples",
        [JOURNAL_LATE_DONE] = "end of a cut of late samples",
    };
    return type < ARRAY_LEN(names) ? names[type] : NULL;
}
