/*
 * The journal: what was acknowledged and is not in a block yet, as numbered append-only segment
 * files in one folder, and a checkpoint that holds the series of the segments before it.
 * docs/formats/journal.md is the specification.
 *
 * A commit has been handed to the system when journal_commit() returns: killing the process loses
 * nothing. A thread of the journal's own calls fdatasync at most sync_interval apart: a power loss
 * loses no more than that. Commits of several threads are written by one of them in one go.
 *
 * Order: journal_open(), journal_replay(), journal_start(), then commits from any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "tsdb/journal/journal_record.h"

typedef struct Journal Journal;

typedef struct JournalOptions {
    const char *dir;          /* made if missing */
    uint64_t segment_bytes;   /* 0 = 128 MiB */
    int64_t sync_interval_ms; /* 0 = 1000 */
} JournalOptions;

/* Looks at what is there; changes nothing but makes the folder. */
int journal_open(const JournalOptions *o, Journal **ret, Problem *problem);
/* Samples before it are in blocks, as the headers of the files say. INT64_MIN: they say nothing
 * (there are none, or of format version 1). */
int64_t journal_base(const Journal *j);
/* Instead of that; only before journal_start(). */
void journal_set_base(Journal *j, int64_t base);

typedef struct JournalReplay {
    void *arg;
    /*
     * Called in order for each record of complete commits, on the caller's thread. *max_time is to
     * be raised to the newest time in the record. -EBADMSG: the payload does not decode; replay
     * ends there as for a bad checksum. Other negatives stop replay.
     */
    int (*record)(void *arg, const JournalRecord *rec, int64_t *max_time);
    /* Another file begins. What records of the one before told about series and values counts no
     * more. */
    void (*begin)(void *arg);
    void (*progress)(void *arg, uint64_t first, uint64_t last, uint64_t current); /* may be NULL */
} JournalReplay;
/*
 * Reads checkpoint and segments. A cut-off end of the last segment is normal. Any other damage ends
 * replay: what follows is set aside as *.bad-<n>, logged, and 0 is returned. A format of a later
 * version or a required record of an unknown kind is -ENOTSUP with a Problem, and nothing is
 * touched.
 */
int journal_replay(Journal *j, const JournalReplay *how, Problem *problem);
/* Begins a new segment and the syncing thread. */
int journal_start(Journal *j);
/* Syncs, ends the thread and closes. NULL is fine. */
void journal_close(Journal *j);

/* What a commit writes. The caller's, and used until journal_commit() returns. */
typedef struct JournalBatch {
    /* Encodes its records; called by whichever thread writes, in the order of the file, holding no
     * lock of the journal's. */
    void (*put)(void *arg, JournalEncoder *e, Buf *out);
    void *arg;
    size_t size;      /* about how many bytes */
    int64_t max_time; /* of the samples */
} JournalBatch;

/* On failure nothing of the batch is there. */
int journal_commit(Journal *j, const JournalBatch *b);

/* Appends records (a megabyte or so) to out; false when there are no more. */
typedef bool (*JournalFillFn)(void *arg, JournalEncoder *e, Buf *out);
/* Samples before base are in blocks: begins a new segment, which tells so. *ret_last: the number of
 * the one before it. */
int journal_cut(Journal *j, int64_t base, uint64_t *ret_last);
/*
 * Samples before floor are needed from here no more. If there are segments up to `last` with only
 * such, writes what fill() gives (all live series) as checkpoint, and removes those segments.
 */
int journal_trim(Journal *j, uint64_t last, int64_t floor, JournalFillFn fill, void *arg);
/* Of the segments. */
uint64_t journal_segments_bytes(Journal *j);

/* While true, commits are refused with -ENOSPC: somebody else needs the space of the disk. */
void journal_hold(Journal *j, bool hold);
uint64_t journal_bytes(Journal *j);
/* Numbers of the oldest segment and the one being written. */
void journal_segments(Journal *j, uint64_t *ret_first, uint64_t *ret_last);
