/*
 * A series of the head: 88 bytes, in slabs by slot. A SeriesRef is the slot + 1. Slots are given
 * out rising and not again until 2^32 were, so that a ref whose series has left finds nothing; a
 * slab goes when all of its series have left.
 *
 * Fields are guarded by the series' own lock except: labels and hash, immutable while the series is
 * in reach; last, flags and touched, which appenders read without it.
 */
#pragma once

#include <stdatomic.h>

#include "tsdb/codec/histogram_chunk.h"
#include "tsdb/head/chunk_log.h"
#include "tsdb/head/head_index.h"
#include "tsdb/head/spin.h"

#define SLAB_SERIES 256
#define SLABS_MAX (1u << 24)

enum {
    SERIES_LIVE = 1,          /* slot in use */
    SERIES_GONE = 2,          /* left the index; memory stays for older readers */
    SERIES_LOGGED = 4,        /* the journal knows its labels */
    SERIES_HISTOGRAM = 8,     /* the open chunk is `histograms`: head_histogram.h */
    SERIES_FLOAT_COUNTS = 16, /* and its last histogram had float counts */
    SERIES_LATE = 32,         /* has late samples (head_late.h): stays */
};

typedef struct HeadSeries {
    Spin lock;
    atomic_uchar flags;
    uint16_t cap;         /* of data */
    atomic_uint touched;  /* round (see Head) in which an appender last asked for it */
    _Atomic int64_t last; /* time of the newest sample; INT64_MIN = none */
    ChunkWriter open;
    union {
        uint8_t *data; /* of the open chunk */
        HistogramWriter *histograms;
    };
    ChunkLogRef full; /* newest full chunk */
    HeadLabels *labels;
    uint32_t hash, slot;
} HeadSeries;

_Static_assert(sizeof(HeadSeries) <= 88, "memory a series");

typedef struct HeadSlab {
    uint32_t used, gone; /* guarded by the index lock */
    HeadSeries series[SLAB_SERIES];
} HeadSlab;
