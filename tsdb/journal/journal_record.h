/*
 * The records of the journal as bytes: what a commit writes and what replay reads. Only encoding
 * and decoding, no files. docs/formats/journal.md is the specification. No state is shared: any
 * thread. Samples cost about one byte for the series and as many for the value as it needs.
 */
#pragma once

#include "base/buf.h"
#include "model/labels.h"

#define JOURNAL_RECORD_HEADER 12
#define JOURNAL_PAYLOAD_MAX (64u << 20)
#define JOURNAL_SEGMENT_HEADER 32
#define JOURNAL_MAGIC "NTHXJRNL"
#define JOURNAL_VERSION 1

/* Bit 7: a reader that does not know the kind may skip it. ORDER JOURNAL RECORDS (journal.md) */
typedef enum JournalType {
    JOURNAL_SERIES = 1,        /* these slots mean these labels from here on */
    JOURNAL_SAMPLES = 2,       /* floats that share one time */
    JOURNAL_SAMPLES_TIMED = 3, /* floats with times of their own */
    JOURNAL_BASE = 4,          /* first of a checkpoint: samples before this time are in blocks */
    JOURNAL_HISTOGRAMS = 16,   /* native histograms of either kind: journal_histogram.h */
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
} SegmentHeader;

/* What a reader is told about the bytes under it. */
typedef enum JournalOutcome {
    JOURNAL_END = 0,
    JOURNAL_RECORD = 1,
    JOURNAL_TORN,         /* the last record is cut off, or only zeros follow */
    JOURNAL_BAD,          /* checksum or structure do not fit */
    JOURNAL_NEWER_FORMAT, /* segment of a later version */
} JournalOutcome;

typedef struct JournalRecord {
    uint8_t type;
    bool more;       /* further records of the same commit follow */
    bool compressed; /* payload is snappy; see journal_record_payload() */
    Str payload;
    size_t end; /* offset behind the record */
} JournalRecord;

typedef struct JournalReader {
    const uint8_t *p;
    size_t n, at;
} JournalReader;

/* ---- writing */

void journal_put_segment_header(Buf *b, SegmentHeader h);
/* Series are gathered into one record: begin, add any number, end. */
typedef struct JournalSeriesWriter {
    Buf *out;
    Buf payload;
} JournalSeriesWriter;
void journal_series_begin(JournalSeriesWriter *w, Buf *out);
void journal_series_add(JournalSeriesWriter *w, uint32_t slot, Labels labels);
void journal_series_end(JournalSeriesWriter *w);
/* All samples of a commit in as many records as needed; `scratch` is only working space. */
void journal_put_samples(Buf *b, Buf *scratch, const JournalSample *v, size_t n);
void journal_put_base(Buf *b, int64_t mint);
/* One record of any type, still without its checksum. */
void journal_put_record(Buf *b, JournalType type, Str payload);
/* Says which record from start on is the commit's last, and puts the checksums in. */
void journal_seal(Buf *b, size_t start);

/* ---- reading */

/* JOURNAL_RECORD (the reader stands behind the header), JOURNAL_TORN, JOURNAL_BAD,
 * JOURNAL_NEWER_FORMAT. */
int journal_reader_init(JournalReader *r, const void *data, size_t size, SegmentHeader *ret);
/* JOURNAL_RECORD, JOURNAL_END, JOURNAL_TORN, JOURNAL_BAD. Where it stood is r->at. */
int journal_reader_next(JournalReader *r, JournalRecord *ret);
/* The plain payload, in `scratch` when it was compressed. 0 or -EBADMSG. */
int journal_record_payload(const JournalRecord *rec, Buf *scratch, Str *ret);

typedef struct JournalSamples {
    const uint8_t *refs, *refs_end, *times, *times_end, *values, *values_end;
    uint64_t left, run;
    uint32_t slot;
    int64_t t, max_time; /* of the next sample's predecessor; of all */
    bool timed;
} JournalSamples;
/* 0 or -EBADMSG. */
int journal_samples_init(JournalSamples *it, uint8_t type, Str payload);
/* 1 and a sample, 0 at the end, -EBADMSG. */
int journal_samples_next(JournalSamples *it, JournalSample *ret);

typedef struct JournalSeries {
    const uint8_t *p, *end;
    Label *labels; /* grown as needed */
    size_t cap;
} JournalSeries;
void journal_series_init(JournalSeries *it, Str payload);
void journal_series_deinit(JournalSeries *it);
/* 1, a slot and its labels (pointing into the payload), 0 at the end, -EBADMSG. */
int journal_series_next(JournalSeries *it, uint32_t *ret_slot, Labels *ret);

int journal_base_decode(Str payload, int64_t *ret_mint);
/* "series", "samples", ... for messages; NULL for a kind this program does not know. */
const char *journal_type_name(uint8_t type);
