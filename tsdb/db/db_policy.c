/* What policies do to blocks: old ones are written anew in a coarser resolution, and without series
 * that are not kept so long. */
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/db/db.h"
#include "tsdb/policy/downsample.h"

void tsdb_set_policies(Tsdb *db, TsdbPolicies *p) {
    pthread_mutex_lock(&db->publish_lock);
    TsdbPolicies *old = db->policies;
    db->policies = tsdb_policies_ref(p);
    pthread_mutex_unlock(&db->publish_lock);
    tsdb_policies_unref(old);
}

TsdbPolicies *db_policies(Tsdb *db) {
    pthread_mutex_lock(&db->publish_lock);
    TsdbPolicies *p = tsdb_policies_ref(db->policies);
    pthread_mutex_unlock(&db->publish_lock);
    return p;
}

/* Ages are counted from the newest block's end, as retention does it: a server that was off for
 * long does not lose everything at its start. */
static int64_t newest_time(const BlockList *l) {
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < l->n; i++) {
        newest = MAX(newest, block_meta(l->v[i].block)->max_time);
    }
    return newest;
}

int64_t db_kept_from(void *arg, Labels l) {
    const DbKeeping *k = arg;
    int64_t keep = tsdb_policies_keep(k->policies, downsample_plain_labels(l), k->general_ms);
    return keep > 0 ? k->newest - keep : INT64_MIN;
}

/* Whether the block has a series of which everything is too old. */
static int has_expired(const DbKeeping *k, const BlockEntry *e) {
    const BlockMeta *meta = block_meta(e->block);
    Matcher any;
    Querier *q;
    SeriesSet *set;
    Series s;
    int r = matcher_init(&any, MATCH_RE, LABEL_NAME, STR(".*"), NULL);
    r = r < 0 ? r : block_entry_columns(e, INT64_MIN, INT64_MAX, &q);
    if (r < 0) {
        matcher_deinit(&any);
        return r;
    }
    SelectHints hints = {.mint = INT64_MIN, .maxt = INT64_MAX, .series_only = true};
    r = querier_select(q, &any, 1, &hints, NULL, &set);
    bool expired = false;
    if (r == 0) {
        while (!expired && (r = series_set_next(set, &s)) > 0) {
            expired = db_kept_from((void *)k, s.labels) >= meta->max_time;
        }
        series_set_free(set);
    }
    querier_close(q);
    matcher_deinit(&any);
    return r < 0 ? r : expired;
}

/* Looked into once as long as nothing else could come of it. */
static bool may_have_expired(Tsdb *db, const DbKeeping *k, const BlockEntry *e) {
    const BlockMeta *m = block_meta(e->block);
    int64_t age = k->newest - m->max_time;
    uint64_t passed = (uint64_t)(uintptr_t)k->policies, seen, block = hash_str(str_of(m->id));
    for (size_t i = 0; i < k->policies->n_keep; i++) {
        int64_t keep = k->policies->keep[i].keep_ms;
        passed = passed * 31 + (keep > 0 && age >= keep);
    }
    passed = passed * 31 + (k->general_ms > 0 && age >= k->general_ms);
    if (u64_map_get(&db->kept, block, &seen) && seen == passed) {
        return false;
    }
    u64_map_put(&db->kept, block, passed);
    return true;
}

DbRewrite db_plan_rewrite(Tsdb *db, const BlockList *l, const DbKeeping *k) {
    for (size_t i = 0; i < l->n && k->policies; i++) {
        const BlockMeta *m = block_meta(l->v[i].block);
        int64_t want = tsdb_policies_resolution(k->policies, k->newest - m->max_time);
        if (want > m->resolution_ms && !block_is_bad(l->v[i].block)) {
            return (DbRewrite){l->v[i].block, want};
        }
        if (k->policies->n_keep > 0 && may_have_expired(db, k, &l->v[i]) &&
            has_expired(k, &l->v[i]) > 0) {
            return (DbRewrite){l->v[i].block, m->resolution_ms};
        }
    }
    return (DbRewrite){0};
}

DbKeeping db_keeping(Tsdb *db, const BlockList *l) {
    return (DbKeeping){db_policies(db), atomic_load(&db->retention_ms), newest_time(l)};
}

/* ---- downsampling */

static int write_downsampled(Tsdb *db, const BlockEntry *e, int64_t resolution, BlockWriter *w) {
    Querier *q;
    int r = block_entry_columns(e, INT64_MIN, INT64_MAX, &q);
    if (r == 0) {
        const BlockMeta *m = block_meta(e->block);
        r = downsample_write(q, m->resolution_ms, resolution, m->max_time - 1, w,
                             &db->merged_samples);
        querier_close(q);
    }
    return r;
}

int db_downsample(Tsdb *db, const BlockEntry *e, int64_t resolution, char id[BLOCK_ID_SIZE]) {
    const BlockMeta *m = block_meta(e->block);
    char parents[1][BLOCK_ID_SIZE];
    memcpy(parents[0], m->id, BLOCK_ID_SIZE);
    BlockWriter *w;
    int r = block_writer_new(&(BlockWriterOptions){.dir = db->dir,
                                                   .min_time = m->min_time,
                                                   .max_time = m->max_time,
                                                   .level = m->level,
                                                   .resolution_ms = resolution,
                                                   .parents = (const char(*)[BLOCK_ID_SIZE])parents,
                                                   .n_parents = 1,
                                                   .cancel = &db->stopping},
                             &w);
    if (r < 0) {
        return err_trace(r);
    }
    r = write_downsampled(db, e, resolution, w);
    if (r == 0 && block_is_bad(e->block)) {
        r = -EBADMSG; /* a page that could not be read was taken for zeros */
    }
    r = r < 0 ? r : block_writer_finish(w, id);
    block_writer_free(w);
    return r < 0 ? err_trace(r) : r;
}
