/*
 * A series of the head: 104 bytes, in slabs by slot. A slot is given out again when its series has
 * left and nobody can be looking at it any more. A SeriesRef is 1 + the slot + the slot's life <<
 * 32: a life begins with each series, and lives rise, so that a ref whose series has left finds
 * nothing. A slab goes when all of its series have left, and is made anew when a slot of it is
 * given out.
 *
 * Fields are guarded by the series' own lock except: labels, hash, slot and life, immutable while
 * the series is in reach; last, flags and touched, which appenders read without it.
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
    uint32_t life;   /* of the slot: part of the ref, as slots are given out again */
    uint32_t commit; /* the last that added; see head_isolation.h */
    int64_t before;  /* time of the newest sample before it */
} HeadSeries;

_Static_assert(sizeof(HeadSeries) <= 104, "memory a series");

typedef struct HeadSlab {
    uint32_t used, gone; /* guarded by the index lock */
    HeadSeries series[SLAB_SERIES];
} HeadSlab;
