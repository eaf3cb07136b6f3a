/* What writer (journal.c) and reader (journal_replay.c) of the journal share. Not for others. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "base/vec.h"
#include "tsdb/journal/journal.h"

#define JOURNAL_COMPONENT "journal"
#define JOURNAL_PATH_MAX 4096

typedef struct Segment {
    uint64_t number, size;
    int64_t max_time; /* INT64_MIN: no samples */
} Segment;

typedef struct JournalCommit JournalCommit;

struct Journal {
    char *dir;
    uint64_t segment_bytes;
    int64_t sync_interval_ms;

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t written;
    VEC(Segment) closed; /* rising numbers */
    bool has_checkpoint;
    uint64_t checkpoint, checkpoint_bytes; /* segments up to that number are in it */

    int64_t base;      /* for the next header */
    int64_t told_base; /* by the current segment's */

    Segment current;
    int fd;                  /* of the current segment; -1 before journal_start() */
    atomic_bool must_rotate; /* its end is not what `current.size` says, or it cannot be synced:
                                the writer's and the sync thread's */
    JournalCommit *first, **last; /* waiting to be written */
    bool writing;                 /* a thread is writing for all; what follows is its */
    JournalEncoder encoder;
    Buf out;

    bool full_disk_logged;
    int64_t failed_ns; /* when a write was refused last */

    atomic_bool held;
    bool dirty, stopping;
    VEC(int) to_sync; /* earlier segments, to be synced and closed by the syncing thread */
    int wake_fd, stop_fd;
    pthread_t thread;
    bool thread_runs;

    Metric *fsync_seconds, *writes_failed, *truncations, *truncations_failed, *corruptions,
        *segment_current, *storage_bytes, *page_flushes, *checkpoints, *checkpoints_failed;
};

void journal_segment_path(const Journal *j, uint64_t number, char path[JOURNAL_PATH_MAX]);
void journal_checkpoint_path(const Journal *j, uint64_t number, char path[JOURNAL_PATH_MAX]);
