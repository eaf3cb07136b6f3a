/* What is to be done now and then: head to blocks, blocks to larger blocks, old blocks away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "tsdb/block/block_writer.h"
#include "tsdb/compact/compact.h"
#include "tsdb/db/db.h"

int db_open_block(Tsdb *db, const char *id, Block **ret) {
    Problem problem = {0};
    char *path = db_path(db, id);
    int r = block_open(path, ret, &problem);
    if (r < 0) {
        log_error("tsdb", "A new block cannot be read", L_CSTR("block", id),
                  L_CSTR("reason", problem.text), L_ERR(r));
        metric_inc(db->metrics.reloads_failed);
    }
    mem_free(path);
    return r;
}

/* ---- head to block */

int64_t db_range_floor(const Tsdb *db, int64_t t) {
    int64_t q = t / db->range_ms;
    return (q - (t % db->range_ms < 0)) * db->range_ms;
}

/* More than one and a half ranges: so that late samples of the last half hour still find the head.
 */
static bool cut_is_due(const Tsdb *db, int64_t min) {
    int64_t max = atomic_load(&db->head->max_time);
    return max > min && (uint64_t)max - (uint64_t)min > (uint64_t)db->range_ms / 2 * 3;
}

static int write_tombstones(const BlockEntry *e) {
    char *path = block_tombstones_path(e->block);
    int r = tombstones_write(path, e->tombstones);
    mem_free(path);
    return r;
}

int db_publish_cut(Tsdb *db, Block *b, int64_t to) {
    const BlockMeta *m = block_meta(b);
    pthread_mutex_lock(&db->publish_lock);
    BlockEntry e = {b, tombstones_clip(db->blocks->head, m->min_time, m->max_time - 1)};
    int r = write_tombstones(&e);
    if (r == 0) {
        db_publish(db, block_list_change(db->blocks, NULL, 0, &e), to);
    }
    pthread_mutex_unlock(&db->publish_lock);
    if (r < 0) {
        (void)block_delete(
            block_path(b)); /* else it overlaps with the next try, which is no harm */
        block_unref(b);
        tombstones_unref(e.tombstones);
    }
    return r;
}

static int cut_one(Tsdb *db, int64_t oldest) {
    Head *h = db->head;
    char id[BLOCK_ID_SIZE];
    int64_t from = db_range_floor(db, oldest), to = from + db->range_ms;
    from = MAX(from, atomic_load(&h->truncated_at));
    head_raise_min_valid(h, to);
    int r = head_write_block(h, db->dir, from, to, &db->stopping, id);
    if (r < 0) {
        return err_trace(r);
    }
    if (r == BLOCK_EMPTY) {
        pthread_mutex_lock(&db->publish_lock);
        db_publish(db, block_list_ref(db->blocks), to);
        pthread_mutex_unlock(&db->publish_lock);
        return 0;
    }
    Block *b;
    r = db_open_block(db, id, &b);
    if (r < 0) {
        return err_trace(r);
    }
    log_info("tsdb", "write block completed", L_CSTR("ulid", id), L_INT("mint", from),
             L_INT("maxt", to), L_INT("series", block_meta(b)->series),
             L_INT("samples", block_meta(b)->samples), L_INT("bytes", block_meta(b)->bytes));
    r = db_publish_cut(db, b, to);
    return r < 0 ? err_trace(r) : 0;
}

static int cut_head(Tsdb *db) {
    bool cut = false;
    int r = 0;
    /* The head's own lower bound first; the walk over all series only when that speaks for it. */
    while (r == 0 && cut_is_due(db, atomic_load(&db->head->min_time))) {
        int64_t start = clock_mono_ns(), oldest = head_oldest_time(db->head);
        if (!cut_is_due(db, oldest)) {
            break;
        }
        metric_inc(db->metrics.compactions_triggered);
        r = cut_one(db, oldest);
        if (r == -ECANCELED) {
            return r;
        }
        metric_observe(db->metrics.compaction_seconds, (double)(clock_mono_ns() - start) / 1e9);
        metric_inc(r < 0 ? db->metrics.compactions_failed : db->metrics.compactions);
        cut |= r == 0;
    }
    if (r < 0) {
        log_error("tsdb", "Writing a block from the head failed; its samples stay in the head",
                  L_ERR(r));
    }
    int e = cut || db_late_cut_is_due(db) ? db_cut_late(db) : 0;
    if (e < 0 && e != -ECANCELED) {
        log_error("tsdb", "Writing out-of-order samples failed; they stay in the head", L_ERR(e));
    }
    if (!cut || e < 0) {
        (void)head_collect(db->head); /* what an open querier held back last time */
        int shortened = r == 0 && e == 0 ? db_shorten_journal(db) : 0;
        return r < 0 ? r : e < 0 ? e : shortened;
    }
    e = db_trim_journal(db); /* the late samples of these segments are in blocks too */
    if (e < 0) {
        log_error("tsdb", "Shortening the journal failed; it is tried again", L_ERR(e));
    }
    return r < 0 ? r : e;
}

/* ---- blocks to blocks */

/* What was deleted from the parts since the list `seen`, while they were merged. */
static Tombstones *deleted_since(const Tsdb *db, const BlockList *seen, Block *const *parts,
                                 size_t n) {
    Tombstones *all = NULL;
    for (size_t i = 0; i < n; i++) {
        const BlockEntry *now = block_list_find(db->blocks, parts[i]);
        if (now->tombstones != block_list_find(seen, parts[i])->tombstones) {
            Tombstones *more = tombstones_union(all, now->tombstones);
            tombstones_unref(all);
            all = more;
        }
    }
    return all;
}

/* `made` (taken; NULL = nothing is left) comes for the parts, whose files go. */
static int replace_parts(Tsdb *db, const BlockList *seen, Block *const *parts, size_t n,
                         Block *made) {
    pthread_mutex_lock(&db->publish_lock);
    BlockEntry e = {made, made ? deleted_since(db, seen, parts, n) : NULL};
    int r = e.tombstones ? write_tombstones(&e) : 0;
    if (r == 0) {
        db_publish(db, block_list_change(db->blocks, parts, n, made ? &e : NULL), INT64_MIN);
    }
    pthread_mutex_unlock(&db->publish_lock);
    if (r < 0) {
        (void)block_delete(block_path(made)); /* else it is seen as their child at the next start */
        block_unref(made);
        tombstones_unref(e.tombstones);
        return err_trace(r);
    }
    for (size_t i = 0; i < n; i++) {
        (void)block_delete(block_path(parts[i])); /* else at the next start, by the parents */
    }
    return 0;
}

/* As they are, or one block in a coarser resolution. */
static int write_merged(Tsdb *db, const BlockList *seen, CompactJob *job, int64_t resolution,
                        char id[BLOCK_ID_SIZE]) {
    DbKeeping k = db_keeping(db, seen);
    const BlockEntry *first = block_list_find(seen, job->v[0].block);
    int r;
    db_progress_begin(db, job);
    if (resolution > block_meta(first->block)->resolution_ms) {
        r = db_downsample(db, first, resolution, id);
    } else {
        job->kept_from = k.policies && k.policies->n_keep > 0 ? db_kept_from : NULL;
        job->arg = &k;
        r = compact_blocks(job, id);
    }
    db_progress_end(db);
    tsdb_policies_unref(k.policies);
    return r;
}

/* `seen` holds references to all parts. */
static int merge_blocks(Tsdb *db, const BlockList *seen, Block *const *parts, size_t n,
                        int64_t resolution) {
    char id[BLOCK_ID_SIZE];
    Block *made = NULL;
    CompactSource *sources = NEW_ARRAY(CompactSource, n + 1);
    for (size_t i = 0; i < n; i++) {
        sources[i] = (CompactSource){parts[i], block_list_find(seen, parts[i])->tombstones};
    }
    CompactJob job = {.dir = db->dir, .v = sources, .n = n, .cancel = &db->stopping};
    int r = write_merged(db, seen, &job, resolution, id);
    mem_free(sources);
    if (r < 0) {
        return err_trace(r);
    }
    if (r != BLOCK_EMPTY) {
        r = db_open_block(db, id, &made);
        if (r < 0) {
            return err_trace(r);
        }
        log_info("tsdb", "compact blocks", L_CSTR("ulid", id), L_INT("count", n),
                 L_INT("mint", block_meta(made)->min_time),
                 L_INT("maxt", block_meta(made)->max_time), L_INT("bytes", block_meta(made)->bytes),
                 L_INT("resolution", block_meta(made)->resolution_ms));
    }
    return replace_parts(db, seen, parts, n, made);
}

/* A block whose bytes turned out not to check is renamed and no longer read; queries say so. True
 * when there was one. */
static bool set_bad_blocks_aside(Tsdb *db) {
    VEC(Block *) bad = {0};
    BlockList *l = db_blocks(db);
    for (size_t i = 0; i < l->n; i++) {
        if (block_is_bad(l->v[i].block)) {
            vec_push(&bad, block_ref(l->v[i].block));
        }
    }
    block_list_unref(l);
    if (bad.n > 0) {
        atomic_fetch_add(&db->bad_blocks, bad.n);
        db_replace(db, bad.v, bad.n, NULL);
    }
    for (size_t i = 0; i < bad.n; i++) {
        char *to = mem_printf("%s.bad", block_path(bad.v[i]));
        int r = file_rename(block_path(bad.v[i]), to);
        log_error("tsdb", "A damaged block is set aside", L_CSTR("block", block_meta(bad.v[i])->id),
                  L_CSTR("folder", r < 0 ? block_path(bad.v[i]) : to));
        mem_free(to);
        block_unref(bad.v[i]);
    }
    bool any = bad.n > 0;
    vec_free(&bad);
    return any;
}

/* The blocks of the next merge, or the one that is to be written anew; how many. */
static size_t plan(Tsdb *db, const BlockList *l, size_t *ret) {
    TsdbPolicies *policies = db_policies(db);
    CompactOptions o = {db->range_ms, db_range_max(db), policies};
    const BlockMeta **metas = block_list_metas(l);
    size_t *deleted = NEW_ARRAY(size_t, l->n + 1);
    size_t n = compact_plan(&o, metas, l->n, ret);
    tsdb_policies_unref(policies);
    for (size_t i = 0; i < l->n; i++) {
        deleted[i] = tombstones_series(l->v[i].tombstones);
    }
    if (n == 0) {
        ret[0] = compact_plan_deleted(metas, deleted, l->n);
        n = ret[0] < l->n;
    }
    mem_free(deleted);
    mem_free(metas);
    return n;
}

static void count_compaction(Tsdb *db, int64_t start, int r) {
    metric_inc(db->metrics.compactions_triggered);
    metric_observe(db->metrics.compaction_seconds, (double)(clock_mono_ns() - start) / 1e9);
    metric_inc(r < 0 ? db->metrics.compactions_failed : db->metrics.compactions);
}

static DbRewrite plan_rewrite(Tsdb *db, const BlockList *l) {
    DbKeeping k = db_keeping(db, l);
    DbRewrite r = db_plan_rewrite(db, l, &k);
    tsdb_policies_unref(k.policies);
    return r;
}

/* The next merge, if there is one: *ret_n of blocks; and what came of it. */
static int compact_once(Tsdb *db, size_t *ret_n) {
    BlockList *l = db_blocks(db);
    size_t *which = NEW_ARRAY(size_t, l->n + 1);
    Block **parts = NEW_ARRAY(Block *, l->n + 1);
    size_t n = plan(db, l, which);
    for (size_t i = 0; i < n; i++) {
        parts[i] = l->v[which[i]].block;
    }
    DbRewrite rewrite = n == 0 ? plan_rewrite(db, l) : (DbRewrite){0};
    if (rewrite.block) {
        parts[n++] = rewrite.block;
    }
    int64_t start = clock_mono_ns();
    int r = n > 0 ? merge_blocks(db, l, parts, n, rewrite.resolution_ms) : 0;
    mem_free(parts);
    mem_free(which);
    block_list_unref(l);
    *ret_n = n;
    if (n > 0 && r != -ECANCELED) {
        count_compaction(db, start, r);
    }
    return r;
}

/* A merge meets every byte of its blocks: one that turns out damaged is set aside, and the others
 * are planned anew. */
static int compact(Tsdb *db) {
    size_t n;
    int r;
    do {
        r = compact_once(db, &n);
        if (r < 0 && r != -ECANCELED) {
            log_error("tsdb", "Compaction failed; the blocks stay as they are", L_ERR(r));
        }
    } while ((r == 0 && n > 0) || (r == -EBADMSG && set_bad_blocks_aside(db)));
    return r;
}

/* ---- retention */

static void drop_blocks(Tsdb *db, RetentionLimits limits, Metric *counter) {
    BlockList *l = db_blocks(db);
    const BlockMeta **metas = block_list_metas(l);
    size_t *which = NEW_ARRAY(size_t, l->n + 1);
    Block **gone = NEW_ARRAY(Block *, l->n + 1);
    size_t n = compact_retention(&limits, metas, l->n, which);
    for (size_t i = 0; i < n; i++) {
        gone[i] = block_ref(l->v[which[i]].block);
    }
    if (n > 0) {
        metric_inc(counter);
        db_replace(db, gone, n, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        log_info("tsdb", "Deleting obsolete block", L_CSTR("block", block_meta(gone[i])->id));
        (void)block_delete(block_path(gone[i])); /* else retention finds it at the next start */
        block_unref(gone[i]);
    }
    mem_free(gone);
    mem_free(which);
    mem_free(metas);
    block_list_unref(l);
}

void tsdb_set_retention_percentage(Tsdb *db, double percentage) {
    atomic_store(&db->retention_percentage, percentage);
}

/* A share of the file system wins over bytes, as in Prometheus. 0 = none. */
uint64_t db_size_limit(Tsdb *db) {
    double percentage = atomic_load(&db->retention_percentage);
    struct statvfs fs;
    if (percentage <= 0 || statvfs(db->dir, &fs) < 0) {
        return atomic_load(&db->retention_bytes);
    }
    return (uint64_t)((double)fs.f_blocks * (double)fs.f_frsize * percentage / 100);
}

static void apply_retention(Tsdb *db) {
    TsdbPolicies *policies = db_policies(db);
    RetentionLimits by_age = {.age_ms =
                                  tsdb_policies_longest(policies, atomic_load(&db->retention_ms))};
    RetentionLimits by_size = {.bytes = db_size_limit(db)};
    tsdb_policies_unref(policies);
    if (by_age.age_ms > 0) {
        drop_blocks(db, by_age, db->metrics.time_retentions);
    }
    if (by_size.bytes > 0) {
        by_size.other_bytes = journal_bytes(db->journal) + chunk_log_bytes(db->head->chunks);
        drop_blocks(db, by_size, db->metrics.size_retentions);
    }
}

static int maintain(Tsdb *db) {
    head_next_round(db->head);
    (void)set_bad_blocks_aside(db); /* it has told which */
    int r = cut_head(db);
    db_trim_head_tombstones(db);
    int e = r == 0 ? compact(db) : 0;
    if (r != -ECANCELED && e != -ECANCELED) {
        apply_retention(db);
        db_explore_remember(db);
        (void)db_scrub(db); /* damage is told, and set aside next time */
    }
    return r < 0 ? r : e;
}

int tsdb_maintain(Tsdb *db) {
    pthread_mutex_lock(&db->maintain_lock);
    int r = atomic_load(&db->stopping) ? 0 : maintain(db);
    if (r == -ENOSPC && db_reserve_use(db)) {
        r = maintain(db);
    }
    db_reserve_done(db);
    pthread_mutex_unlock(&db->maintain_lock);
    return r == -ECANCELED ? 0 : r;
}

/* ---- deleted samples out of the blocks */

static int clean_one(Tsdb *db, const BlockList *l, size_t i) {
    int64_t start = clock_mono_ns();
    Block *b = l->v[i].block;
    int r = merge_blocks(db, l, &b, 1, 0);
    if (r != -ECANCELED) {
        count_compaction(db, start, r);
    }
    return r;
}

static int clean_all(Tsdb *db) {
    BlockList *l = db_blocks(db);
    int64_t start = clock_mono_ns();
    int r = 0;
    for (size_t i = 0; r == 0 && i < l->n; i++) {
        r = tombstones_series(l->v[i].tombstones) > 0 ? clean_one(db, l, i) : 0;
    }
    block_list_unref(l);
    metric_observe(db->metrics.tombstone_seconds, (double)(clock_mono_ns() - start) / 1e9);
    return r;
}

int tsdb_clean_tombstones(Tsdb *db) {
    pthread_mutex_lock(&db->maintain_lock);
    int r = atomic_load(&db->stopping) ? -ECANCELED : clean_all(db);
    pthread_mutex_unlock(&db->maintain_lock);
    return r < 0 ? err_trace(r) : 0;
}

void tsdb_stop_maintenance(Tsdb *db) { atomic_store(&db->stopping, true); }
