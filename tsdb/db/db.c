/*
 * The folder:
 *     lock        held while open; empty after a clean end
 *     format      "narthex-tsdb 1\n"
 *     journal/    docs/formats/journal.md
 *     head_chunks/  full chunks of the head, docs/formats/head_chunks.md
 *     <ULID>/     blocks, docs/formats/block.md
 *     reserve     disk space for cleaning up when there is no other (db_reserve.c)
 *     snapshots/
 */
#include "tsdb/db/db.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/merge.h"
#include "tsdb/head/head_late.h"

#define RANGE_DEFAULT_MS (2 * HOUR_MS)
#define RANGE_MAX_CEILING_MS (31 * DAY_MS)
#define SEGMENT_BYTES_DEFAULT (UINT64_C(128) << 20)
#define FORMAT_NAME "narthex-tsdb "
#define FORMAT_VERSION 1

static atomic_int replay_first, replay_last, replay_current;

char *db_path(const Tsdb *db, const char *name) { return mem_printf("%s/%s", db->dir, name); }

/* ---- the folder */

static int lock_folder(Tsdb *db, bool *ret_clean, Problem *problem) {
    char *path = db_path(db, "lock");
    int r = file_open(path, O_RDWR | O_CREAT, 0666, &db->lock_fd);
    uint64_t size = 0;
    if (r == 0 && flock(db->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        r = -errno;
        problem_set(problem, 0, 0, "lock DB directory: %s is held by another process", path);
    } else if (r < 0) {
        problem_set(problem, 0, 0, "lock DB directory: %s: %s", path, strerror(-r));
    }
    mem_free(path);
    if (r < 0) {
        return err_trace(r);
    }
    r = file_size(db->lock_fd, &size);
    *ret_clean = r == 0 && size == 0;
    char pid[32];
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    (void)!file_pwrite(db->lock_fd, pid, (size_t)n, 0); /* only tells of the way it ended */
    return 0;
}

static int check_format(Tsdb *db, Problem *problem) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    char *path = db_path(db, "format");
    int version = 0;
    int r = 0;
    if (!file_exists(path)) {
        buf_addf(&b, FORMAT_NAME "%d\n", FORMAT_VERSION);
        r = file_write_durable(path, b.p, b.n, 0666);
    } else {
        r = file_read_whole(path, 4000, &b);
        const char *text = buf_cstr(&b);
        if (r == 0 &&
            (!text || sscanf(text, FORMAT_NAME "%d", &version) != 1 || version > FORMAT_VERSION)) {
            problem_set(problem, 0, 0,
                        "%s: the database is of format %d, this version reads up to %d", path,
                        version, FORMAT_VERSION);
            mem_free(path);
            return -ENOTSUP;
        }
    }
    if (r < 0) {
        problem_set(problem, 0, 0, "%s: %s", path, strerror(-r));
    }
    mem_free(path);
    return r < 0 ? err_trace(r) : 0;
}

/* ---- replay */

static void show_progress(void *arg, uint64_t first, uint64_t last, uint64_t current) {
    (void)arg;
    atomic_store(&replay_first, (int)first);
    atomic_store(&replay_last, (int)last);
    atomic_store(&replay_current, (int)current);
}

void tsdb_replay_progress(int *ret_min, int *ret_max, int *ret_current) {
    *ret_min = atomic_load(&replay_first);
    *ret_max = atomic_load(&replay_last);
    *ret_current = atomic_load(&replay_current);
}

static int replay(Tsdb *db, Problem *problem) {
    int64_t start = clock_mono_ns();
    unsigned cores = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    HeadReplay *how = head_replay_begin(db->head, db->replay_threads ? db->replay_threads : cores);
    JournalReplay ops = {how, head_replay_record, head_replay_begin_file, show_progress};
    int r = journal_replay(db->journal, &ops, problem);
    int e = head_replay_end(how);
    double seconds = (double)(clock_mono_ns() - start) / 1e9;
    metric_set(db->metrics.replay_seconds, seconds);
    if (r == 0 && e < 0) {
        log_error("tsdb", "Journal: a record of samples did not decode, its rest is lost",
                  L_ERR(e));
    }
    TsdbStats st;
    tsdb_stats(db, &st);
    log_info("tsdb", "Journal replay completed", L_INT("series", st.head_series),
             L_INT("samples", st.samples_appended), L_FLOAT("seconds", seconds));
    return r < 0 ? err_trace(r) : 0;
}

/* ---- life */

static void make_metrics(DbMetrics *m) {
    *m = (DbMetrics){
        .blocks_loaded = metric_gauge("prometheus_tsdb_blocks_loaded",
                                      "Number of currently loaded data blocks", NULL),
        .blocks_bytes = metric_gauge(
            "prometheus_tsdb_storage_blocks_bytes",
            "The number of bytes that are currently used for local storage by all blocks.", NULL),
        .lowest = metric_gauge("prometheus_tsdb_lowest_timestamp",
                               "Lowest timestamp value stored in the database.", NULL),
        .lowest_seconds = metric_gauge("prometheus_tsdb_lowest_timestamp_seconds",
                                       "Lowest timestamp value stored in the database.", NULL),
        .compactions = metric_counter(
            "prometheus_tsdb_compactions_total",
            "Total number of compactions that were executed for the partition.", NULL),
        .compactions_failed =
            metric_counter("prometheus_tsdb_compactions_failed_total",
                           "Total number of compactions that failed for the partition.", NULL),
        .compactions_triggered =
            metric_counter("prometheus_tsdb_compactions_triggered_total",
                           "Total number of triggered compactions for the partition.", NULL),
        .compaction_seconds = metric_summary("prometheus_tsdb_compaction_duration_seconds",
                                             "Duration of compaction runs", NULL, NULL, 0),
        .time_retentions = metric_counter("prometheus_tsdb_time_retentions_total",
                                          "The number of times that blocks were deleted because "
                                          "the maximum time limit was exceeded.",
                                          NULL),
        .size_retentions = metric_counter("prometheus_tsdb_size_retentions_total",
                                          "The number of times that blocks were deleted because "
                                          "the maximum number of bytes was exceeded.",
                                          NULL),
        .tombstone_seconds = metric_summary(
            "prometheus_tsdb_tombstone_cleanup_seconds",
            "The time taken to recompact blocks to remove tombstones.", NULL, NULL, 0),
        .scrub_bytes =
            metric_counter("narthex_tsdb_scrub_bytes_total",
                           "Bytes of blocks read only to see that they are whole.", NULL),
        .scrub_blocks = metric_counter("narthex_tsdb_scrub_blocks_total",
                                       "Blocks that were read so to their end.", NULL),
        .scrub_failures = metric_counter("narthex_tsdb_scrub_failures_total",
                                         "Blocks that were found damaged so.", NULL),
        .scrub_progress =
            metric_gauge("narthex_tsdb_scrub_progress_ratio",
                         "Share of the bytes of blocks that this round has read.", NULL),
        .scrub_finished = metric_gauge("narthex_tsdb_scrub_finished_timestamp_seconds",
                                       "When a round over all blocks last came to its end.", NULL),
        .merge_progress = metric_gauge("narthex_tsdb_compaction_progress_ratio",
                                       "Share of the compaction under way that is done.", NULL),
        .merge_blocks =
            metric_gauge("narthex_tsdb_compaction_blocks",
                         "Blocks that the compaction under way takes, 0 when none is.", NULL),
        .limit_bytes = metric_gauge(
            "prometheus_tsdb_retention_limit_bytes",
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
            NULL),
        .limit_percentage = metric_gauge(
            "prometheus_tsdb_retention_limit_percentage",
            "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 "
            "means disabled",
            NULL),
        .limit_seconds = metric_gauge("prometheus_tsdb_retention_limit_seconds",
                                      "How long to retain samples in storage.", NULL),
        .reloads =
            metric_counter("prometheus_tsdb_reloads_total",
                           "Number of times the database reloaded block data from disk.", NULL),
        .reloads_failed = metric_counter(
            "prometheus_tsdb_reloads_failures_total",
            "Number of times the database failed to reloadBlocks block data from disk.", NULL),
        .replay_seconds = metric_gauge("prometheus_tsdb_data_replay_duration_seconds",
                                       "Time taken to replay the data on disk.", NULL),
        .clean_start = metric_gauge("prometheus_tsdb_clean_start",
                                    "-1: lockfile is disabled. 0: a lockfile from a previous "
                                    "execution was replaced. 1: lockfile creation was clean",
                                    NULL),
    };
}

static void set_gauges(void *arg) {
    Tsdb *db = arg;
    TsdbStats st;
    tsdb_stats(db, &st);
    metric_set(db->metrics.blocks_loaded, (double)st.blocks);
    metric_set(db->metrics.blocks_bytes, (double)st.blocks_bytes);
    metric_set(db->metrics.lowest, (double)st.lowest_time);
    metric_set(db->metrics.lowest_seconds, (double)(st.lowest_time / 1000));
    metric_set(db->metrics.merge_progress, st.compaction_progress);
    metric_set(db->metrics.merge_blocks, st.compaction_blocks);
    metric_set(db->metrics.limit_bytes, (double)db_size_limit(db));
    metric_set(db->metrics.limit_percentage, atomic_load(&db->retention_percentage));
    metric_set(db->metrics.limit_seconds, (double)(atomic_load(&db->retention_ms) / 1000));
}

static int storage_open_appender(Storage *s, Appender **ret) {
    return head_appender(((Tsdb *)s)->head, ret);
}

static int storage_exemplars(Storage *s, const Selector *lists, size_t n, int64_t mint,
                             int64_t maxt, Arena *a, SeriesExemplarsVec *ret) {
    return exemplars_select(((Tsdb *)s)->head->exemplars, lists, n, mint, maxt, a, ret);
}

static const StorageOps storage_ops = {db_querier, storage_open_appender, storage_exemplars};

/*
 * Up to where samples are in blocks and not the head's. The journal knows: what blocks there are
 * does not tell, since one that was put there by somebody else may reach into the head's time. Only
 * a journal that says nothing (there is none, or of an earlier version) leaves it to the blocks.
 */
static int64_t find_bound(const Tsdb *db) {
    int64_t bound = journal_base(db->journal);
    if (bound != INT64_MIN) {
        return bound == JOURNAL_BASE_NONE ? INT64_MIN : bound;
    }
    for (size_t i = 0; i < db->blocks->n; i++) {
        bound = MAX(bound, block_meta(db->blocks->v[i].block)->max_time);
    }
    return bound;
}

static int open_blocks(Tsdb *db, Problem *problem) {
    char *path = db_path(db, TOMBSTONES_FILE_HEAD);
    Tombstones *head;
    size_t bad = 0;
    int r = tombstones_read(path, &head);
    if (r < 0) {
        problem_set(problem, 0, 0,
                    "%s: %s; without it deleted samples of the last hours would come back. Remove "
                    "it to accept that",
                    path, r == -EBADMSG ? "damaged" : strerror(-r));
    } else {
        r = block_list_open(db->dir, head, &db->blocks, &bad);
    }
    atomic_init(&db->bad_blocks, bad);
    mem_free(path);
    return r < 0 ? err_trace(r) : 0;
}

/* Blocks first: what they hold need not be taken from the journal. */
static int open_parts(Tsdb *db, const TsdbOptions *o, Problem *problem) {
    char *chunk_dir = db_path(db, "head_chunks"), *journal_dir = db_path(db, "journal");
    int r = open_blocks(db, problem);
    if (r == 0) {
        r = head_open(&(HeadOptions){.chunk_dir = chunk_dir, .range_ms = db->range_ms}, &db->head);
    }
    if (r == 0) {
        exemplars_resize(db->head->exemplars, o->exemplars_max);
        r = journal_open(&(JournalOptions){.dir = journal_dir,
                                           .segment_bytes = o->journal_segment_bytes,
                                           .sync_interval_ms = o->sync_interval_ms},
                         &db->journal, problem);
    }
    if (r == 0) {
        db->bound = find_bound(db);
        head_set_min_valid(db->head, db->bound);
        journal_set_base(db->journal, MAX(db->bound, JOURNAL_BASE_NONE));
    }
    mem_free(chunk_dir);
    mem_free(journal_dir);
    return r < 0 ? err_trace(r) : 0;
}

int tsdb_replay(Tsdb *db, Problem *problem) {
    Problem own = {0};
    int r = head_recover_chunks(db->head);
    if (r == 0) {
        r = replay(db, problem ? problem : &own);
    }
    if (r == 0) {
        r = journal_start(db->journal);
    }
    if (r == 0) {
        head_set_journal(db->head, db->journal);
        atomic_store(&db->replaying, false);
        db_reserve_fill(db);
    } else if (problem && !problem->text[0]) {
        problem_set(problem, 0, 0, "data folder %s: %s", db->dir, strerror(-r));
    }
    return r < 0 ? err_trace(r) : 0;
}

static int open_folder(Tsdb *db, const TsdbOptions *o, Problem *problem) {
    int r = file_make_folder(db->dir);
    bool clean = true;
    if (r < 0) {
        problem_set(problem, 0, 0, "data folder %s: %s", db->dir, strerror(-r));
    }
    if (r == 0 && !o->no_lockfile) {
        r = lock_folder(db, &clean, problem);
    }
    metric_set(db->metrics.clean_start, o->no_lockfile ? -1 : clean);
    return r < 0 ? r : check_format(db, problem);
}

int tsdb_open(const TsdbOptions *o, Tsdb **ret, Problem *problem) {
    Problem own = {0};
    problem = problem ? problem : &own;
    Tsdb *db = NEW(Tsdb);
    db->base.ops = &storage_ops;
    db->dir = mem_strdup(o->dir);
    db->range_ms = o->block_range_ms ? o->block_range_ms : RANGE_DEFAULT_MS;
    db->range_max_option = o->block_range_max_ms;
    db->lock_fd = -1;
    db->replay_threads = o->replay_threads;
    db->reserve_bytes = o->reserve_bytes;
    db->segment_bytes = o->journal_segment_bytes ? o->journal_segment_bytes : SEGMENT_BYTES_DEFAULT;
    atomic_init(&db->replaying, true);
    atomic_init(&db->retention_ms, o->retention_ms);
    atomic_init(&db->retention_bytes, o->retention_bytes);
    pthread_rwlock_init(&db->view_lock, NULL);
    pthread_mutex_init(&db->publish_lock, NULL);
    pthread_mutex_init(&db->maintain_lock, NULL);
    pthread_mutex_init(&db->metric_counts_lock, NULL);
    make_metrics(&db->metrics);
    int r = open_folder(db, o, problem);
    if (r == 0) {
        r = open_parts(db, o, problem);
    }
    if (r == 0) {
        tsdb_set_out_of_order_window(db, o->out_of_order_window_ms);
    }
    if (r == 0 && !o->replay_later) {
        r = tsdb_replay(db, problem);
    }
    if (r < 0) {
        if (!problem->text[0]) {
            problem_set(problem, 0, 0, "data folder %s: %s", db->dir, strerror(-r));
        }
        tsdb_close(db);
        return err_trace(r);
    }
    metrics_on_gather(set_gauges, db);
    *ret = db;
    return 0;
}

void tsdb_close(Tsdb *db) {
    if (!db) {
        return;
    }
    metrics_off_gather(set_gauges, db);
    journal_close(db->journal);
    head_free(db->head);
    block_list_unref(db->blocks);
    if (db->lock_fd >= 0) {
        (void)!file_truncate(db->lock_fd, 0); /* else the next start says it was not clean */
        file_close(db->lock_fd);
    }
    pthread_rwlock_destroy(&db->view_lock);
    pthread_mutex_destroy(&db->publish_lock);
    pthread_mutex_destroy(&db->maintain_lock);
    tsdb_policies_unref(db->policies);
    u64_map_deinit(&db->kept);
    db_explore_deinit(db);
    mem_free(db->dir);
    mem_free(db);
}

Storage *tsdb_storage(Tsdb *db) { return &db->base; }

void tsdb_set_out_of_order_window(Tsdb *db, int64_t window_ms) {
    atomic_store(&db->head->late_window, window_ms);
}

void tsdb_set_retention(Tsdb *db, int64_t retention_ms, uint64_t retention_bytes) {
    atomic_store(&db->retention_ms, retention_ms);
    atomic_store(&db->retention_bytes, retention_bytes);
}

int64_t db_range_max(const Tsdb *db) {
    int64_t max = db->range_max_option, retention = atomic_load(&db->retention_ms);
    if (max == 0) {
        max = retention ? MIN(RANGE_MAX_CEILING_MS, retention / 10) : RANGE_MAX_CEILING_MS;
    }
    return MAX(max, db->range_ms);
}

/* ---- views */

BlockList *db_blocks(Tsdb *db) {
    pthread_rwlock_rdlock(&db->view_lock);
    BlockList *l = block_list_ref(db->blocks);
    pthread_rwlock_unlock(&db->view_lock);
    return l;
}

void db_publish(Tsdb *db, BlockList *list, int64_t truncate_at) {
    pthread_rwlock_wrlock(&db->view_lock);
    BlockList *old = db->blocks;
    db->blocks = list;
    if (truncate_at != INT64_MIN) {
        head_truncate(db->head, truncate_at);
    }
    pthread_rwlock_unlock(&db->view_lock);
    block_list_unref(old);
    metric_inc(db->metrics.reloads);
}

void db_replace(Tsdb *db, Block *const *drop, size_t n, const BlockEntry *add) {
    pthread_mutex_lock(&db->publish_lock);
    db_publish(db, block_list_change(db->blocks, drop, n, add), INT64_MIN);
    pthread_mutex_unlock(&db->publish_lock);
}

/* A querier over parts of which some are missing: it says so in every answer. */
typedef struct PartialQuerier {
    Querier base;
    Querier *inner;
    size_t missing;
    bool replaying;
} PartialQuerier;

static void warn_missing(const PartialQuerier *q, Warnings *w) {
    if (w && q->replaying) {
        warnings_add(w, "the server is starting: the newest samples are still being read from the "
                        "journal and are missing in this answer");
    }
    if (w && q->missing > 0) {
        warnings_add(
            w, "%zu damaged block(s) of the database are left out, the answer may lack samples",
            q->missing);
    }
}

static int partial_select(Querier *base, const Matcher *m, size_t n, const SelectHints *hints,
                          Warnings *w, SeriesSet **ret) {
    PartialQuerier *q = (PartialQuerier *)base;
    warn_missing(q, w);
    return q->inner->ops->select(q->inner, m, n, hints, w, ret);
}

static int partial_label_names(Querier *base, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                               Warnings *w, StrVec *ret) {
    PartialQuerier *q = (PartialQuerier *)base;
    warn_missing(q, w);
    return q->inner->ops->label_names(q->inner, m, n, limit, a, w, ret);
}

static int partial_label_values(Querier *base, Str name, const Matcher *m, size_t n, uint64_t limit,
                                Arena *a, Warnings *w, StrVec *ret) {
    PartialQuerier *q = (PartialQuerier *)base;
    warn_missing(q, w);
    return q->inner->ops->label_values(q->inner, name, m, n, limit, a, w, ret);
}

static void partial_close(Querier *base) {
    PartialQuerier *q = (PartialQuerier *)base;
    querier_close(q->inner);
    mem_free(q);
}

static const QuerierOps partial_ops = {partial_select, partial_label_names, partial_label_values,
                                       partial_close};

static Querier *partial_querier_new(Querier *inner, size_t missing, bool replaying) {
    PartialQuerier *q = NEW(PartialQuerier);
    *q = (PartialQuerier){{&partial_ops}, inner, missing, replaying};
    return &q->base;
}

typedef VEC(Querier *) Queriers;

static int open_queriers(Tsdb *db, int64_t mint, int64_t maxt, bool head, Queriers *parts) {
    Querier *q;
    int r = head ? head_querier(db->head, mint, maxt, &q) : 0;
    if (head && r == 0) {
        vec_push(parts, tombstone_querier_new(q, tombstones_ref(db->blocks->head)));
    }
    for (size_t i = 0; r == 0 && i < db->blocks->n; i++) {
        const BlockMeta *m = block_meta(db->blocks->v[i].block);
        if (m->min_time <= maxt && m->max_time > mint) {
            r = block_entry_querier(&db->blocks->v[i], mint, maxt, &q);
            if (r == 0) {
                vec_push(parts, q);
            }
        }
    }
    if (head && r == 0) {
        r = head_late_querier(db->head, mint, maxt, &q); /* last: what came in order wins */
        if (r == 0 && q) {
            vec_push(parts, tombstone_querier_new(q, tombstones_ref(db->blocks->head)));
        }
    }
    return r;
}

/* Head and blocks of one moment. While the journal is read, an answer that would be of the head
 * alone is refused: it would be wrong without looking so. */
int db_querier(Storage *s, int64_t mint, int64_t maxt, Querier **ret) {
    Tsdb *db = (Tsdb *)s;
    Queriers parts = {0};
    bool replaying = atomic_load(&db->replaying), partial = replaying && maxt >= db->bound;
    pthread_rwlock_rdlock(&db->view_lock);
    int r = open_queriers(db, mint, maxt, !replaying, &parts);
    pthread_rwlock_unlock(&db->view_lock);
    if (r == 0 && partial && (parts.n == 0 || mint >= db->bound)) {
        r = -EAGAIN;
    }
    if (r == 0) {
        size_t missing = atomic_load(&db->bad_blocks);
        Querier *q = parts.n == 1 ? parts.v[0] : merge_querier_new(parts.v, parts.n);
        *ret = missing > 0 || partial ? partial_querier_new(q, missing, partial) : q;
    } else {
        for (size_t i = 0; i < parts.n; i++) {
            querier_close(parts.v[i]);
        }
    }
    vec_free(&parts);
    return r == -EAGAIN ? r : r < 0 ? err_trace(r) : 0;
}

/* ---- telling about it */

void tsdb_stats(Tsdb *db, TsdbStats *ret) {
    BlockList *l = db_blocks(db);
    Head *h = db->head;
    *ret = (TsdbStats){
        .head_series = atomic_load(&h->n_series),
        .head_chunks = head_chunk_count(h),
        .blocks = l->n,
        .blocks_bytes = block_list_bytes(l),
        .journal_bytes = journal_bytes(db->journal),
        .samples_appended = atomic_load(&h->samples),
        .head_min_time = atomic_load(&h->min_time),
        .head_max_time = atomic_load(&h->max_time),
    };
    pthread_rwlock_rdlock(&h->index_lock);
    ret->head_label_pairs = h->index.n_pairs;
    pthread_rwlock_unlock(&h->index_lock);
    ret->compaction_progress = db_progress(db, &ret->compaction_blocks);
    ret->lowest_time = ret->head_min_time;
    if (l->n > 0) {
        ret->lowest_time = MIN(ret->lowest_time, block_meta(l->v[0].block)->min_time);
    }
    block_list_unref(l);
}

void tsdb_set_exemplars_max(Tsdb *db, size_t max) { exemplars_resize(db->head->exemplars, max); }

int tsdb_metadata(Tsdb *db, Str metric, Arena *a, TsdbFamily **ret, size_t *ret_n) {
    Family *v;
    int r = families_list(db->head->families, metric, a, &v, ret_n);
    *ret = r == 0 ? ARENA_ARRAY(a, TsdbFamily, *ret_n) : NULL;
    for (size_t i = 0; *ret && i < *ret_n; i++) {
        (*ret)[i] = (TsdbFamily){v[i].name, v[i].metadata};
    }
    return *ret ? 0 : -ENOMEM;
}

int tsdb_cardinality(Tsdb *db, size_t limit, Arena *a, TsdbCardinality *ret) {
    return head_cardinality(db->head, limit, a, ret);
}

size_t tsdb_blocks(Tsdb *db, Arena *a, TsdbBlockInfo **ret) {
    BlockList *l = db_blocks(db);
    size_t n = l->n;
    *ret = ARENA_ARRAY(a, TsdbBlockInfo, n ? n : 1);
    for (size_t i = 0; *ret && i < n; i++) {
        block_info(l->v[i].block, &(*ret)[i]);
        (*ret)[i].tombstones = tombstones_series(l->v[i].tombstones);
    }
    block_list_unref(l);
    return *ret ? n : 0;
}
