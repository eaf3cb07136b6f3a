/*
 * The database in a folder: head (recent samples in memory, journalled) and blocks (immutable LMDB
 * environments). tsdb_storage() is its face to everybody else. Functions are for any thread unless
 * said otherwise.
 */
#pragma once

#include "base/err.h"
#include "loop/loop.h"
#include "storage/storage.h"
#include "tsdb/policies.h"

typedef struct Tsdb Tsdb;

typedef struct TsdbOptions {
    const char *dir; /* made if missing */
    bool no_lockfile;
    int64_t retention_ms;           /* 0 = keep for ever */
    uint64_t retention_bytes;       /* 0 = no limit */
    int64_t block_range_ms;         /* 0 = 2 h */
    int64_t block_range_max_ms;     /* 0 = min(31 d, 10 % of retention) */
    int64_t sync_interval_ms;       /* group commit: fdatasync at most this far apart; 0 = 1000 */
    uint64_t journal_segment_bytes; /* 0 = 128 MiB */
    unsigned replay_threads;        /* 0 = number of cores */
    size_t exemplars_max;           /* kept in memory and the journal; 0 = none */
    uint64_t reserve_bytes;         /* of disk kept for cleaning up when it is full; 0 = none */
    bool replay_later;              /* leave the journal to tsdb_replay() */
    int64_t out_of_order_window_ms; /* 0 = samples are only taken in order */
} TsdbOptions;

/*
 * Opens or makes the database and replays the journal; may take seconds: call it on a worker. A
 * folder that another process holds, or of a newer format version, is refused with a Problem.
 * Progress: tsdb_replay_progress().
 */
int tsdb_open(const TsdbOptions *o, Tsdb **ret, Problem *problem);
/*
 * After an opening with replay_later, once, on a worker. Before it has returned there are queriers
 * only, no appenders and no maintenance: they give what blocks hold, say in a warning that what is
 * newer is missing, and are refused with -EAGAIN when the whole range is newer. On failure the
 * database is to be closed.
 */
int tsdb_replay(Tsdb *db, Problem *problem);
/* Syncs the journal and closes. Every querier and appender must have been ended. */
void tsdb_close(Tsdb *db);
Storage *tsdb_storage(Tsdb *db);

/* Cuts blocks that are due, compacts, applies retention, deletes journal that is no longer needed.
 * Blocking: a background worker calls it every minute; one call at a time. */
int tsdb_maintain(Tsdb *db);
/* Maintenance under way stops soon and changes nothing more (0); later calls do nothing. What was
 * not cut is in the journal. For the end of the process: there is no way back. */
void tsdb_stop_maintenance(Tsdb *db);
/*
 * Samples of matching series in [mint, maxt] are no longer there for queriers opened from now on,
 * also after a crash; what is appended later stays. Their bytes go at compaction or by
 * tsdb_clean_tombstones(), which writes the blocks concerned anew. Both block: on workers. -EAGAIN:
 * the journal is still being read.
 */
typedef struct TsdbSelector {
    const Matcher *v;
    size_t n;
} TsdbSelector;
int tsdb_delete(Tsdb *db, const TsdbSelector *sets, size_t n, int64_t mint, int64_t maxt);
int tsdb_clean_tombstones(Tsdb *db);
/* New limits after a configuration reload. */
/* Retention a selector and downsampling (a reference is taken); NULL = none. */
void tsdb_set_policies(Tsdb *db, TsdbPolicies *p);
/* Blocks may take so many hundredths of the file system; 0 = no limit. */
void tsdb_set_retention_percentage(Tsdb *db, double percentage);
void tsdb_set_out_of_order_window(Tsdb *db, int64_t window_ms);
void tsdb_set_exemplars_max(Tsdb *db, size_t max);
void tsdb_set_retention(Tsdb *db, int64_t retention_ms, uint64_t retention_bytes);
/* Writes everything, the head too unless skip_head, as a database of its own into
 * dir/snapshots/<name> (blocks by hard link); name gets "20260102T030405Z-0123456789abcdef". */
int tsdb_snapshot(Tsdb *db, bool skip_head, char name[64]);

typedef struct TsdbStats {
    uint64_t head_series, head_chunks, head_label_pairs, blocks, blocks_bytes, journal_bytes,
        samples_appended;
    int64_t head_min_time, head_max_time; /* TIME_MAX_MS, TIME_MIN_MS when empty */
    int64_t lowest_time;                  /* of blocks and head */
    unsigned compaction_blocks;           /* of the merge under way; 0 = none */
    double compaction_progress;           /* 0..1 */
} TsdbStats;
void tsdb_stats(Tsdb *db, TsdbStats *ret);
/* Segments first..last of the journal and the one being read: status/walreplay. Before tsdb_open()
 * has returned too. */
void tsdb_replay_progress(int *ret_min, int *ret_max, int *ret_current);

typedef struct TsdbCount {
    Str name;
    uint64_t value;
} TsdbCount;
typedef struct TsdbCardinality { /* each list: largest first, at most `limit` */
    TsdbCount *series_by_metric, *values_by_label, *bytes_by_label,
        *series_by_pair; /* pair as "name=value" */
    size_t n_series_by_metric, n_values_by_label, n_bytes_by_label, n_series_by_pair;
} TsdbCardinality;
/* Of the head. */
int tsdb_cardinality(Tsdb *db, size_t limit, Arena *a, TsdbCardinality *ret);

/* Where series come from: counts of the head's series, each list largest first. */
typedef struct TsdbMetricCount {
    Str name;
    uint64_t series;
    int64_t growth; /* in the last growth_seconds */
} TsdbMetricCount;
typedef struct TsdbLabelCount {
    Str name;
    uint64_t values, series;
} TsdbLabelCount;
typedef struct TsdbPairCount {
    Str name, value;
    uint64_t series;
} TsdbPairCount;
typedef struct TsdbTargetCount {
    Str job, instance; /* empty: the series have no such label */
    uint64_t series;
} TsdbTargetCount;
typedef struct TsdbExplored {
    uint64_t series;
    uint64_t metrics_all, targets_all; /* without the limit */
    double growth_seconds; /* at most about an hour; 0 = growth is not known (yet, or of a
                              selection) */
    TsdbMetricCount *metrics;
    TsdbLabelCount *labels; /* by number of values */
    TsdbPairCount *pairs;
    TsdbTargetCount *targets;
    size_t n_metrics, n_labels, n_pairs, n_targets;
} TsdbExplored;
/* Of all series (n = 0), or of those that one of the sets selects; at most `limit` of each list. */
int tsdb_explore(Tsdb *db, const TsdbSelector *sets, size_t n, size_t limit, Arena *a,
                 TsdbExplored *ret);

/* What senders have said of metrics (scraped ones ask their targets); of one, or of all when metric
 * is empty. In the arena. */
typedef struct TsdbFamily {
    Str metric;
    Metadata metadata;
} TsdbFamily;
int tsdb_metadata(Tsdb *db, Str metric, Arena *a, TsdbFamily **ret, size_t *ret_n);

typedef struct TsdbBlockInfo {
    char id[27];                /* ULID */
    int64_t min_time, max_time; /* max_time exclusive */
    uint64_t samples, series, chunks, bytes;
    uint64_t tombstones; /* series of which something was deleted */
    int level;
    int64_t resolution_ms; /* of a downsampled block, 0 = samples as they came */
} TsdbBlockInfo;
size_t tsdb_blocks(Tsdb *db, Arena *a, TsdbBlockInfo **ret);
