/*
 * What was deleted and not yet taken out of blocks and head: for a series, intervals of time. A set
 * of them is immutable and counted, so that a query works with the one of its beginning; a change
 * makes a new set. Any thread.
 *
 * Series are known by 128 bits of their labels and not by a number of the head or of a block: so a
 * set stays right when the series moves (to a block at a cut, to a larger one by compaction, to
 * another slot at replay). Lookup is a binary search, memory 24 bytes a series and 16 an interval.
 *
 * On disk it is one file with a checksum, replaced as a whole: <block>/tombstones beside a block's
 * data, head_tombstones in the folder of the database. docs/formats/tombstones.md.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "storage/storage.h"

#define TOMBSTONES_FILE "tombstones"
#define TOMBSTONES_FILE_HEAD "head_tombstones"

typedef struct SeriesKey {
    uint64_t a, b; /* labels_hash(), labels_fingerprint() */
} SeriesKey;

typedef struct TimeInterval {
    int64_t mint, maxt; /* closed */
} TimeInterval;

typedef struct Tombstone {
    SeriesKey key;
    TimeInterval interval;
} Tombstone;
typedef VEC(Tombstone) TombstoneVec;

typedef struct Tombstones Tombstones; /* NULL is the empty set */

SeriesKey series_key(Labels l);

Tombstones *tombstones_ref(Tombstones *t);
void tombstones_unref(Tombstones *t);
/* t and n more, as a new set: sorted, touching intervals joined. */
Tombstones *tombstones_add(const Tombstones *t, const Tombstone *v, size_t n);
Tombstones *tombstones_union(const Tombstones *x, const Tombstones *y);
/* Only what reaches into [mint, maxt], cut to it; NULL when nothing does. */
Tombstones *tombstones_clip(const Tombstones *t, int64_t mint, int64_t maxt);

/* The intervals of a series, rising; *ret_n 0 when there are none. */
const TimeInterval *tombstones_find(const Tombstones *t, SeriesKey key, size_t *ret_n);
size_t tombstones_series(const Tombstones *t); /* how many series have any */

/* A whole file's content. Decoding: 0, -EBADMSG, or -EPROTONOSUPPORT for a later version. */
void tombstones_encode(const Tombstones *t, Buf *b);
int tombstones_decode(Str bytes, Tombstones **ret);
/* An empty set removes the file; a missing file is an empty set. Blocking. */
int tombstones_write(const char *path, const Tombstones *t);
int tombstones_read(const char *path, Tombstones **ret);

/* ---- at work */

/* Passes over what is deleted, a run at a time. */
typedef struct TombstoneFilter {
    const TimeInterval *v;
    size_t n, at;
} TombstoneFilter;
/* The next stretch of times that stays: from *from on, which moves behind it; false at the end. t
 * rises from call to call. */
bool tombstone_filter_next(TombstoneFilter *f, const int64_t *t, uint32_t n, uint32_t *from,
                           uint32_t *ret_first, uint32_t *ret_n);

/*
 * A querier that leaves out what is deleted: samples, and series of which nothing is left. Names
 * and values of labels come from the index as they are, as in Prometheus. Takes the querier and a
 * reference; with an empty set it is the querier itself.
 */
Querier *tombstone_querier_new(Querier *inner, Tombstones *t);
