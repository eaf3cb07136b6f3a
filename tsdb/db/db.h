/* What the files of tsdb/db share; the face is include/tsdb/tsdb.h. */
#pragma once

#include <pthread.h>

#include "base/map.h"
#include "tsdb/block/block_scrub.h"
#include "tsdb/compact/compact.h"
#include "tsdb/db/block_list.h"
#include "tsdb/head/head.h"

typedef struct DbMetrics {
    Metric *blocks_loaded, *blocks_bytes, *lowest, *lowest_seconds, *compactions,
        *compactions_failed, *compactions_triggered, *compaction_seconds, *time_retentions,
        *size_retentions, *tombstone_seconds, *merge_progress, *merge_blocks, *limit_percentage,
        *limit_bytes, *limit_seconds, *reloads, *reloads_failed, *replay_seconds, *clean_start,
        *scrub_bytes, *scrub_blocks, *scrub_failures, *scrub_progress, *scrub_finished;
} DbMetrics;

/* The slow reading of all blocks; of the maintenance only. */
typedef struct DbScrub {
    BlockScrub state;
    bool finished; /* a round, at this time */
    int64_t finished_ns;
} DbScrub;

/* How many series each metric had at a moment; the ring of them reaches back over an hour. */
#define DB_METRIC_COUNTS 14
typedef struct DbMetricCounts {
    int64_t at_ns;
    Arena arena;
    TsdbCount *v;
    size_t n;
} DbMetricCounts;

struct Tsdb {
    Storage base;
    char *dir;
    int64_t range_ms;
    int64_t range_max_option;
    int lock_fd;
    Head *head;
    Journal *journal;
    pthread_rwlock_t view_lock;   /* of `blocks`; held shared while a querier is opened, so that it
                                     sees a time range either in the head or in a block */
    pthread_mutex_t publish_lock; /* who changes `blocks` holds it from the reading of the old list
                                     on. Order: maintain, publish, view */
    BlockList *blocks;
    atomic_size_t bad_blocks; /* that are left out of `blocks` */
    uint64_t reserve_bytes;
    uint64_t segment_bytes; /* of the journal */
    bool reserve_used;      /* it is given up; by maintenance */
    atomic_bool replaying;  /* the head is not there for queriers yet */
    int64_t bound;          /* and its samples are not older */
    unsigned replay_threads;
    atomic_bool stopping;          /* no more maintenance */
    pthread_mutex_t maintain_lock; /* cutting, compaction, retention, snapshots: one at a time */
    TsdbPolicies *policies;        /* guarded by the publish lock; NULL = none */
    U64Map kept;                   /* blocks that were looked into for a policy; maintenance only */
    _Atomic double retention_percentage;
    atomic_uint merge_blocks; /* of the merge under way; 0 = none */
    atomic_uint_fast64_t merge_samples, merged_samples;
    _Atomic int64_t retention_ms;
    atomic_uint_fast64_t retention_bytes;
    DbScrub scrub;
    pthread_mutex_t metric_counts_lock; /* of the next two */
    DbMetricCounts metric_counts[DB_METRIC_COUNTS];
    size_t n_metric_counts;
    DbMetrics metrics;
};

/* "<dir>/<name>"; caller frees. */
char *db_path(const Tsdb *db, const char *name);
BlockList *db_blocks(Tsdb *db); /* a reference */
/* Puts a list in the place of the current one (the publish lock is held); truncate_at != INT64_MIN:
 * and the head gives up what is older, in the same moment for queriers. */
void db_publish(Tsdb *db, BlockList *list, int64_t truncate_at);
/* What is kept how long: of one moment; the policies are a reference. */
typedef struct DbKeeping {
    TsdbPolicies *policies;
    int64_t general_ms, newest;
} DbKeeping;
DbKeeping db_keeping(Tsdb *db, const BlockList *l);
int64_t db_kept_from(void *keeping, Labels l); /* CompactJob.kept_from */
TsdbPolicies *db_policies(Tsdb *db);           /* a reference, or NULL */
/* The next block that a policy wants written anew, and in what resolution; NULL = none. */
typedef struct DbRewrite {
    Block *block;
    int64_t resolution_ms;
} DbRewrite;
DbRewrite db_plan_rewrite(Tsdb *db, const BlockList *l, const DbKeeping *k);
/* As compact_blocks(). */
int db_downsample(Tsdb *db, const BlockEntry *e, int64_t resolution, char id[BLOCK_ID_SIZE]);
int db_open_block(Tsdb *db, const char *id, Block **ret);
/* A block made of the head: what was deleted from the head is deleted from it. Takes b. */
int db_publish_cut(Tsdb *db, Block *b, int64_t truncate_at);
int64_t db_range_floor(const Tsdb *db, int64_t t);
/* Late samples that are older than the last cut go to blocks. */
int db_cut_late(Tsdb *db);
bool db_late_cut_is_due(Tsdb *db); /* although nothing else is cut */
int db_snapshot_late(Tsdb *db, const char *dir);
int db_snapshot_tombstones(Tsdb *db, const char *dir, const char *id);
/* Without the n blocks in `drop`, with `add` unless it is NULL. */
void db_replace(Tsdb *db, Block *const *drop, size_t n, const BlockEntry *add);
/* The merge under way: its share done, 0..1, and how many blocks it takes (0 = there is none). */
void db_progress_begin(Tsdb *db, CompactJob *job);
void db_progress_end(Tsdb *db);
double db_progress(Tsdb *db, unsigned *ret_blocks);
uint64_t db_size_limit(Tsdb *db);
int db_write_head_tombstones(Tsdb *db, const Tombstones *t);
/* Drops what speaks of times that are no longer the head's. */
void db_trim_head_tombstones(Tsdb *db);
/* Remembers how many series each metric has, for their growth. */
void db_explore_remember(Tsdb *db);
void db_explore_deinit(Tsdb *db);
/* Reads a further share of the blocks. 0; what failed is told, its block marked. */
int db_scrub(Tsdb *db);
int db_querier(Storage *s, int64_t mint, int64_t maxt, Querier **ret);
int64_t db_range_max(const Tsdb *db);

/* ---- the journal against blocks and chunk files (db_journal.c); maintenance only */

/* A block was cut: memory and journal of it go. */
int db_trim_journal(Tsdb *db);
/* When the journal has grown long: samples that are in durable files of full chunks leave it, so
 * that a start has little to read. */
int db_shorten_journal(Tsdb *db);

/* ---- disk space kept for maintenance (db_reserve.c) */

/* Takes the space, when there is plenty. */
void db_reserve_fill(Tsdb *db);
/* Gives it up for maintenance; commits are refused meanwhile, they would eat it. False: there was
 * nothing to give. */
bool db_reserve_use(Tsdb *db);
/* Maintenance is done. */
void db_reserve_done(Tsdb *db);
