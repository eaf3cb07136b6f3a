/*
 * Deletion: what is to be left out is written down, beside each block and for the head, and from
 * then on no querier sees it. Compaction and tsdb_clean_tombstones() take it out of the blocks.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/db/db.h"
#include "tsdb/head/head_late.h"

typedef struct Deletion {
    const TsdbSelector *sets;
    size_t n;
    int64_t mint, maxt;
} Deletion;

/* Newest time of a series: of a block its last, of the head that of the series as it stands. */
typedef int64_t (*SeriesEndFn)(void *arg, const Series *s);

static int64_t block_end(void *arg, const Series *s) {
    (void)s;
    return block_meta(arg)->max_time - 1;
}

/* What comes after it is not deleted. */
static int64_t head_end(void *arg, const Series *s) { return head_series_end(arg, s->handle); }

static int collect_set(const Deletion *d, const TsdbSelector *sel, Querier *q, SeriesEndFn end,
                       void *arg, TombstoneVec *ret) {
    SelectHints hints = {.mint = d->mint, .maxt = d->maxt, .series_only = true};
    SeriesSet *set;
    Series s;
    int r = querier_select(q, sel->v, sel->n, &hints, NULL, &set);
    if (r < 0) {
        return r;
    }
    while ((r = series_set_next(set, &s)) > 0) {
        TimeInterval gone = {d->mint, MIN(d->maxt, end(arg, &s))};
        vec_push(ret, (Tombstone){series_key(s.labels), gone});
    }
    series_set_free(set);
    return r;
}

/* The set of a part, with what this deletion adds. Takes the querier. */
static int collect(const Deletion *d, Querier *q, SeriesEndFn end, void *arg,
                   const Tombstones *have, Tombstones **ret) {
    TombstoneVec found = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < d->n; i++) {
        r = collect_set(d, &d->sets[i], q, end, arg, &found);
    }
    *ret = tombstones_add(have, found.v, found.n);
    vec_free(&found);
    querier_close(q);
    return r;
}

static int delete_from_block(const Deletion *d, const BlockEntry *e, Tombstones **ret) {
    const BlockMeta *m = block_meta(e->block);
    if (m->min_time > d->maxt || m->max_time <= d->mint) {
        *ret = tombstones_ref(e->tombstones);
        return 0;
    }
    Querier *q;
    int r = block_entry_columns(e, d->mint, d->maxt, &q);
    if (r == 0) {
        r = collect(d, q, block_end, e->block, e->tombstones, ret);
    }
    if (r == 0 && tombstones_series(*ret) > 0) {
        char *path = block_tombstones_path(e->block);
        r = tombstones_write(path, *ret);
        mem_free(path);
    }
    return r;
}

int db_write_head_tombstones(Tsdb *db, const Tombstones *t) {
    char *path = db_path(db, TOMBSTONES_FILE_HEAD);
    int r = tombstones_write(path, t);
    mem_free(path);
    return r;
}

static int delete_from_head(Tsdb *db, const Deletion *d, Tombstones **ret) {
    Querier *q;
    int r = head_querier(db->head, d->mint, d->maxt, &q);
    if (r == 0) {
        r = collect(d, q, head_end, db->head, db->blocks->head, ret);
    }
    r = r < 0 ? r : head_late_querier(db->head, d->mint, d->maxt, &q);
    if (r == 0 && q) {
        Tombstones *first = *ret;
        r = collect(d, q, head_end, db->head, first, ret);
        tombstones_unref(first);
    }
    return r < 0 ? r : db_write_head_tombstones(db, *ret);
}

/* The publish lock is held. Files first: what was written is deleted after a crash too. */
static int delete_locked(Tsdb *db, const Deletion *d) {
    BlockList *l = db->blocks;
    Tombstones **parts = NEW_ARRAY(Tombstones *, l->n + 1), *head = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < l->n; i++) {
        r = delete_from_block(d, &l->v[i], &parts[i]);
    }
    if (r == 0) {
        r = delete_from_head(db, d, &head);
    }
    if (r == 0) {
        db_publish(db, block_list_delete(l, parts, head), INT64_MIN);
    } else {
        tombstones_unref(head);
        for (size_t i = 0; i < l->n; i++) {
            tombstones_unref(parts[i]);
        }
    }
    mem_free(parts);
    return r;
}

int tsdb_delete(Tsdb *db, const TsdbSelector *sets, size_t n, int64_t mint, int64_t maxt) {
    Deletion d = {sets, n, mint, maxt};
    if (mint > maxt) {
        return 0;
    }
    if (atomic_load(&db->replaying)) {
        return -EAGAIN; /* what the head holds is not known yet */
    }
    pthread_mutex_lock(&db->publish_lock);
    int r = delete_locked(db, &d);
    pthread_mutex_unlock(&db->publish_lock);
    return r < 0 ? err_trace(r) : 0;
}

void db_trim_head_tombstones(Tsdb *db) {
    pthread_mutex_lock(&db->publish_lock);
    Tombstones *have = db->blocks->head;
    int64_t from = head_lower_bound(db->head);
    Tombstones *left = have && from > INT64_MIN ? tombstones_clip(have, from, INT64_MAX) : NULL;
    if (have && from > INT64_MIN && tombstones_series(left) < tombstones_series(have) &&
        db_write_head_tombstones(db, left) == 0) {
        db_publish(db, block_list_delete_head(db->blocks, left), INT64_MIN);
    } else {
        tombstones_unref(left);
    }
    pthread_mutex_unlock(&db->publish_lock);
}
