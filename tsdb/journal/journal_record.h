/*
 * The records of the journal as bytes: what a commit writes and what replay reads. Only encoding
 * and decoding, no files. docs/formats/journal.md is the specification.
 *
 * Records of series and samples refer to what earlier records of the same file said: a label pair
 * is spelled out once, a value is told by how it differs from the series' last. JournalEncoder is
 * that memory on the writing side, JournalDecoder on the reading one; one owner each. Samples cost
 * 10 to 20 ns and about a byte.
 */
#pragma once

#include "base/buf.h"
#include "base/vec.h"
#include "format/compress.h"
#include "model/labels.h"
#include "tsdb/journal/journal_values.h"

#define JOURNAL_RECORD_HEADER 12
#define JOURNAL_PAYLOAD_MAX (64u << 20)
#define JOURNAL_SEGMENT_HEADER 40
#define JOURNAL_SEGMENT_HEADER_1 32 /* of format version 1 */
#define JOURNAL_MAGIC "NTHXJRNL"
#define JOURNAL_VERSION 2

/* Bit 7: a reader that does not know the kind may skip it. ORDER JOURNAL RECORDS (journal.md) */
typedef enum JournalType {
    JOURNAL_SERIES_1 = 1, /* 1 to 4 are of format version 1: only read */
    JOURNAL_SAMPLES_1 = 2,
    JOURNAL_SAMPLES_TIMED_1 = 3,
    JOURNAL_BASE_1 = 4,
    JOURNAL_SAMPLES = 5,     /* floats */
    JOURNAL_SERIES = 6,      /* these slots mean these labels from here on */
    JOURNAL_HISTOGRAMS = 16, /* native histograms of either kind: journal_histogram.h */
    JOURNAL_EXEMPLARS = 17,  /* journal_notes.h */
    JOURNAL_FAMILIES = 18,   /* metadata of metrics: journal_notes.h */
    JOURNAL_LATE = 32,       /* floats that came out of order: journal_late.h */
    JOURNAL_LATE_CUT = 33,   /* late samples up to here that are not written again go to blocks */
    JOURNAL_LATE_DONE = 34,  /* those before the last such mark are in blocks */
} JournalType;
#define JOURNAL_TYPE_OPTIONAL 0x80

/* A sample of the series in a slot of the head. */
typedef struct JournalSample {
    uint32_t slot;
    int64_t t;
    double v;
} JournalSample;

typedef struct SegmentHeader {
    uint64_t number;
    uint64_t previous_size; /* valid bytes of the segment before; what lies behind is void */
    int64_t base;           /* older samples are in blocks; INT64_MIN = not known */
} SegmentHeader;
/* It is known that none are. */
#define JOURNAL_BASE_NONE (INT64_MIN + 1)

/* What a reader is told about the bytes under it. */
typedef enum JournalOutcome {
    JOURNAL_END = 0,
    JOURNAL_RECORD = 1,
    JOURNAL_TORN,         /* the last record is cut off, or only zeros follow */
    JOURNAL_BAD,          /* checksum or structure do not fit */
    JOURNAL_NEWER_FORMAT, /* segment of a later version */
} JournalOutcome;

typedef enum JournalCompression { JOURNAL_PLAIN, JOURNAL_SNAPPY, JOURNAL_ZSTD } JournalCompression;

typedef struct JournalRecord {
    uint8_t type;
    bool more;  /* further records of the same commit follow */
    bool reset; /* what earlier records told about series and values counts no more */
    JournalCompression compression;
    Str payload; /* as stored; see journal_record_payload() */
    size_t end;  /* offset behind the record */
} JournalRecord;

typedef struct JournalReader {
    const uint8_t *p;
    size_t n, at;
} JournalReader;

/* ---- writing */

void journal_put_segment_header(Buf *b, SegmentHeader h);
/* A record of any kind; compressed when zstd is given and it pays. Its checksum is left to
 * journal_seal(). */
void journal_put_record(Buf *b, ZstdCodec *zstd, uint8_t type, bool reset, Str payload);
/* Says which record from start on is the commit's last, and puts the checksums in. May be done
 * again when more records were added. */
void journal_seal(Buf *b, size_t start);

typedef struct JournalEncoder {
    uint32_t epoch;   /* rises with each reset: what was numbered in another one counts no more */
    uint32_t n_pairs; /* label pairs numbered in this epoch */
    bool tell_reset;  /* by the next record */
    JournalPredictors predictors;
    ZstdCodec *zstd;
    Buf payload, columns;
    Buf pairs, series; /* of the record under way */
    uint32_t pairs_told;
    uint32_t next_slot;
    VEC(uint32_t) last;    /* numbers of the series before */
    VEC(uint32_t) numbers; /* working space of the caller's */
} JournalEncoder;

void journal_encoder_init(JournalEncoder *e);
void journal_encoder_deinit(JournalEncoder *e);
/* A new file begins; with `tell`, a new beginning within a file: what was encoded last was not
 * written. */
void journal_encoder_reset(JournalEncoder *e, bool tell);

/* Series are gathered into records: begin, for each series number its pairs and add, end. A pair's
 * number is good for the encoder's epoch; the caller remembers it. */
void journal_series_begin(JournalEncoder *e);
uint32_t journal_series_pair(JournalEncoder *e, Label pair);
void journal_series_add(JournalEncoder *e, uint32_t slot, const uint32_t *numbers, size_t n,
                        Buf *out);
void journal_series_end(JournalEncoder *e, Buf *out);
/* A record of another kind. */
void journal_encoder_put(JournalEncoder *e, Buf *out, JournalType type, Str payload);
/* In as many records as needed. */
void journal_put_samples(JournalEncoder *e, Buf *out, const JournalSample *v, size_t n);

/* ---- reading */

/* JOURNAL_RECORD (the reader stands behind the header), JOURNAL_TORN, JOURNAL_BAD,
 * JOURNAL_NEWER_FORMAT. */
int journal_reader_init(JournalReader *r, const void *data, size_t size, SegmentHeader *ret);
/* JOURNAL_RECORD, JOURNAL_END, JOURNAL_TORN, JOURNAL_BAD. Where it stood is r->at. */
int journal_reader_next(JournalReader *r, JournalRecord *ret);
/* The plain payload, in `scratch` when it was compressed. 0 or -EBADMSG. */
int journal_record_payload(const JournalRecord *rec, ZstdCodec *zstd, Buf *scratch, Str *ret);
/* "series", "samples", ... for messages; NULL for a kind this program does not know. */
const char *journal_type_name(uint8_t type);

/* Where samples lie, without their values. */
typedef struct JournalSamples {
    const uint8_t *runs, *runs_end, *times, *times_end, *values, *values_end;
    uint64_t left, run;
    uint32_t slot, next; /* next: behind the run */
    bool same_slot;
    int64_t t, delta, max_time;
} JournalSamples;
/* 0 or -EBADMSG. */
int journal_samples_init(JournalSamples *it, Str payload);
/* 1 and a sample's slot and time, 0 at the end, -EBADMSG. Its value is to be taken or passed over
 * at it->values (journal_values.h) before the next. */
int journal_samples_next(JournalSamples *it, uint32_t *ret_slot, int64_t *ret_t);
/* Lowest and highest slot. 0 or -EBADMSG. */
int journal_samples_slots(Str payload, uint32_t *ret_min, uint32_t *ret_max);

typedef struct JournalSeries {
    const uint8_t *pairs, *pairs_end, *p, *end;
    uint64_t pairs_left;
    uint32_t next_slot;
    VEC(uint32_t) last;
} JournalSeries;
int journal_series_init(JournalSeries *it, Str payload);
void journal_series_deinit(JournalSeries *it);
/* 1 and the pair with the next number, 0 when all were given, -EBADMSG. All before any series. */
int journal_series_next_pair(JournalSeries *it, Label *ret);
/* 1, a slot and the numbers of its pairs (the iterator's), 0 at the end, -EBADMSG. */
int journal_series_next(JournalSeries *it, uint32_t *ret_slot, const uint32_t **ret, size_t *ret_n);

/* ---- reading format version 1 (journal_v1.c) */

typedef struct JournalSamples1 {
    const uint8_t *refs, *refs_end, *times, *times_end, *values, *values_end;
    uint64_t left, run;
    uint32_t slot;
    int64_t t, max_time; /* of the next sample's predecessor; of all */
    bool timed;
} JournalSamples1;
/* 0 or -EBADMSG. */
int journal_samples_1_init(JournalSamples1 *it, uint8_t type, Str payload);
/* 1 and a sample, 0 at the end, -EBADMSG. */
int journal_samples_1_next(JournalSamples1 *it, JournalSample *ret);

typedef struct JournalSeries1 {
    const uint8_t *p, *end;
    Label *labels; /* grown as needed */
    size_t cap;
} JournalSeries1;
void journal_series_1_init(JournalSeries1 *it, Str payload);
void journal_series_1_deinit(JournalSeries1 *it);
/* 1, a slot and its labels (pointing into the payload), 0 at the end, -EBADMSG. */
int journal_series_1_next(JournalSeries1 *it, uint32_t *ret_slot, Labels *ret);
int journal_base_decode(Str payload, int64_t *ret_mint);
