/*
 * Records of native histograms (kind 16 of docs/formats/journal.md). A histogram is written whole,
 * but its layout only if it differs from that of the histogram before in the record. Any thread;
 * one owner a reader.
 */
#pragma once

#include "base/arena.h"
#include "tsdb/codec/histogram_chunk.h"
#include "tsdb/journal/journal_record.h"

/* A histogram of the series in a slot of the head. */
typedef struct JournalHistogram {
    uint32_t slot;
    HistogramSample sample;
} JournalHistogram;

/* All histograms of a commit in as many records as needed. */
void journal_put_histograms(JournalEncoder *e, Buf *b, const JournalHistogram *v, size_t n);

typedef struct JournalHistograms {
    const uint8_t *p, *end;
    int64_t base, max_time;
    Arena *arena; /* of the histograms given out */
    Histogram layout;
    bool has_layout;
} JournalHistograms;

/* 0 or -EBADMSG. */
int journal_histograms_init(JournalHistograms *it, Str payload, Arena *arena);
/* 1 and a histogram that passes Prometheus' checks, in the arena; 0 at the end, -EBADMSG. */
int journal_histograms_next(JournalHistograms *it, JournalHistogram *ret);
