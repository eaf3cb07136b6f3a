/*
 * Histograms in the head's series, inside of tsdb/head. A series whose open chunk holds histograms
 * has SERIES_HISTOGRAM set and a HistogramWriter in place of the chunk's bytes; HeadSeries.open
 * then only mirrors its times and count, so that whoever looks at times need not know. A series
 * that holds floats pays nothing for it. The series' lock is held for every call.
 */
#pragma once

#include "tsdb/codec/histogram_chunk.h"
#include "tsdb/head/head.h"

/* The open chunk, whatever it holds; borrows the series' bytes. open.n > 0. */
Chunk head_series_open_chunk(const HeadSeries *s);
/* It becomes a full one (if there is one). */
void head_series_spill(Head *h, HeadSeries *s);
/* Frees what the open chunk takes. */
void head_series_drop_open(Head *h, HeadSeries *s);

/* Against what the series holds. An AppendOutcome. */
int head_histogram_check(const HeadSeries *s, const HistogramSample *sample);
/* Adds to the open chunk. An AppendOutcome. */
int head_histogram_add(Head *h, HeadSeries *s, HeadCursor *c, const HistogramSample *sample);
