/*
 * Samples into and out of a database folder without a server: blocks of Prometheus' format both
 * ways, and back-filling from any source. What is written appears as whole blocks by renames; an
 * interrupted run leaves nothing half, and can be run again. Blocking; any thread, but one transfer
 * into a folder at a time. A server that runs sees new blocks when it starts again.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "storage/storage.h"
#include "tsdb/tsdb.h"

typedef struct Transfer {
    void (*progress)(void *arg, uint64_t done, uint64_t total); /* in series; may be NULL */
    void *arg;
    const atomic_bool *cancel; /* stop soon with -ECANCELED; may be NULL */
} Transfer;

typedef enum TransferOutcome {
    TRANSFER_DONE = 0,
    TRANSFER_EMPTY = 1, /* no sample in the range: no block */
    TRANSFER_KNOWN,     /* the folder has this block already */
} TransferOutcome;

typedef struct TransferReport {
    char id[27]; /* of the block that was made */
    int64_t min_time, max_time;
    uint64_t series, samples, bytes;
} TransferReport;

/*
 * Reads one block of Prometheus (the folder with meta.json) and writes a block of ours into dir;
 * what its tombstones take away is left out. A block is known by its origin: taken twice is
 * TRANSFER_KNOWN, unless it was merged with others meanwhile. Negative and a Problem otherwise.
 */
int tsdb_import_prometheus(const char *block, const char *dir, const Transfer *t,
                           TransferReport *ret, Problem *problem);
/* What is in a storage of [min_time, max_time) and matches, as a block of Prometheus in dir. */
int tsdb_export_prometheus(Storage *s, const Matcher *m, size_t n, int64_t min_time,
                           int64_t max_time, const char *dir, const Transfer *t,
                           TransferReport *ret, Problem *problem);

/*
 * Back-filling: samples in any order, gathered in memory (24 bytes each), then one block. Of equal
 * times of a series the first stays; *ret of finish counts what it kept.
 */
typedef struct TsdbBackfill TsdbBackfill;
/* The block's range is [min_time, max_time); other samples are passed over. */
TsdbBackfill *tsdb_backfill_new(int64_t min_time, int64_t max_time);
void tsdb_backfill_free(TsdbBackfill *b);
void tsdb_backfill_add(TsdbBackfill *b, Labels labels, int64_t t, double v);
uint64_t tsdb_backfill_count(const TsdbBackfill *b);
/* A TransferOutcome, or negative. */
int tsdb_backfill_write(TsdbBackfill *b, const char *dir, TransferReport *ret);

/* ---- looking at a folder; nothing is locked or changed */

/* Blocks of ours in a folder, by time; one that does not open is a Problem of its own, told to
 * `bad`. Caller frees nothing: the arena has them. */
int tsdb_folder_blocks(const char *dir, Arena *a, TsdbBlockInfo **ret, size_t *ret_n,
                       void (*bad)(void *arg, const Problem *p), void *arg);
/* Whether this folder is a block of Prometheus, or holds some: their paths, by name. */
int tsdb_folder_prometheus(const char *dir, Arena *a, StrVec *ret);
/* Reads every byte of a block of ours and holds it against its checksums. -EBADMSG and a Problem.
 */
int tsdb_folder_verify(const char *dir, const char *id, const atomic_bool *cancel,
                       Problem *problem);

typedef struct TsdbChurn {
    Str name;
    double uncovered; /* series x share of the block's time in which they had no samples */
} TsdbChurn;
typedef struct TsdbAnalysis {
    TsdbBlockInfo block;
    uint64_t label_names, label_pairs, entries; /* entries: label pairs of all series */
    TsdbCardinality cardinality;
    TsdbChurn *pairs, *names; /* most churning first */
    size_t n_pairs, n_names;
} TsdbAnalysis;
int tsdb_folder_analyze(const char *dir, const char *id, size_t limit, Arena *a, TsdbAnalysis *ret,
                        Problem *problem);
