/* Late samples to blocks of their own, a block a range. They overlap with others of their time:
 * compaction merges these next. */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/block/block_writer.h"
#include "tsdb/db/db.h"
#include "tsdb/head/head_late.h"

/* So many of them are cut although the head is not; some hundred MB. */
#define LATE_SAMPLES_MAX 20000000u

typedef VEC(Series) SeriesVec;

static int list_series(SeriesSet *set, SeriesVec *ret) {
    Series s;
    int r;
    while ((r = series_set_next(set, &s)) > 0) {
        vec_push(ret, s);
    }
    return r;
}

static int write_series(BlockWriter *w, SeriesSet *set, const Series *s, SampleIter **it) {
    SampleRun run;
    int r = block_writer_series(w, s->labels);
    *it = series_set_iter(set, s, *it);
    while (r == 0 && (r = sample_iter_next(*it, &run)) > 0) {
        r = block_writer_samples(w, run.t, run.f, run.n);
    }
    return r;
}

static int write_set(BlockWriter *w, SeriesSet *set, const SeriesVec *all) {
    SampleIter *it = NULL;
    int r = 0;
    for (size_t i = 0; i < all->n; i++) {
        block_writer_symbols(w, all->v[i].labels);
    }
    for (size_t i = 0; r == 0 && i < all->n; i++) {
        r = write_series(w, set, &all->v[i], &it);
    }
    sample_iter_free(it);
    return r;
}

/* The samples of [from, to) of a querier as a block in dir. BLOCK_EMPTY when there is none. */
static int write_range(Tsdb *db, Querier *q, const char *dir, int64_t from, int64_t to, char *id) {
    SelectHints hints = {.mint = from, .maxt = to - 1, .sorted = true};
    SeriesVec all = {0};
    SeriesSet *set;
    BlockWriter *w = NULL;
    int r = querier_select(q, NULL, 0, &hints, NULL, &set);
    if (r < 0) {
        return err_trace(r);
    }
    r = list_series(set, &all);
    if (r == 0 && all.n == 0) {
        r = BLOCK_EMPTY;
    }
    if (r == 0) {
        r = block_writer_new(
            &(BlockWriterOptions){
                .dir = dir, .min_time = from, .max_time = to, .level = 1, .cancel = &db->stopping},
            &w);
    }
    if (r == 0) {
        r = write_set(w, set, &all);
    }
    if (r == 0) {
        r = block_writer_finish(w, id);
    }
    block_writer_free(w);
    vec_free(&all);
    series_set_free(set);
    return r < 0 ? err_trace(r) : r;
}

/* Called with each block that was made. */
typedef int (*BlockMadeFn)(Tsdb *db, const char *dir, const char *id);

static int write_ranges(Tsdb *db, Querier *q, const char *dir, int64_t min, int64_t end,
                        BlockMadeFn made) {
    char id[BLOCK_ID_SIZE];
    int r = 0;
    for (int64_t from = db_range_floor(db, min); r >= 0 && from < end; from += db->range_ms) {
        r = write_range(db, q, dir, from, MIN(from + db->range_ms, end), id);
        if (r == 0) {
            r = made(db, dir, id);
        }
    }
    return MIN(r, 0);
}

static int publish_late(Tsdb *db, const char *dir, const char *id) {
    (void)dir;
    Block *b;
    int r = db_open_block(db, id, &b);
    if (r < 0) {
        return r;
    }
    log_info("tsdb", "write block of out-of-order samples completed", L_CSTR("ulid", id),
             L_INT("mint", block_meta(b)->min_time), L_INT("maxt", block_meta(b)->max_time),
             L_INT("series", block_meta(b)->series), L_INT("samples", block_meta(b)->samples));
    return db_publish_cut(db, b, INT64_MIN);
}

static int write_frozen(Tsdb *db, int64_t min, int64_t bound) {
    Querier *q;
    int r = head_late_frozen_querier(db->head, &q);
    if (r == 0 && q) {
        r = write_ranges(db, q, db->dir, min, bound, publish_late);
        querier_close(q);
    }
    return r;
}

bool db_late_cut_is_due(Tsdb *db) { return head_late_samples(db->head) > LATE_SAMPLES_MAX; }

int db_cut_late(Tsdb *db) {
    int64_t min, max, bound = atomic_load(&db->head->truncated_at);
    head_late_range(db->head, &min, &max);
    if (min > max || min >= bound) {
        return 0;
    }
    int r = head_late_freeze(db->head, bound);
    if (r < 0) {
        return err_trace(r);
    }
    r = write_frozen(db, min, bound);
    if (r < 0) {
        head_late_unfreeze(db->head);
        return err_trace(r);
    }
    return head_late_drop(db->head);
}

int db_snapshot_late(Tsdb *db, const char *dir) {
    int64_t min, max;
    Querier *q;
    head_late_range(db->head, &min, &max);
    int r = head_late_querier(db->head, min, max, &q);
    if (r == 0 && q) {
        r = write_ranges(db, q, dir, min, max + 1, db_snapshot_tombstones);
        querier_close(q);
    }
    return r;
}
