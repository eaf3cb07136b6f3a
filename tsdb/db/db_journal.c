/* What the journal need not hold any more. */
#include "base/log.h"
#include "tsdb/db/db.h"
#include "tsdb/head/head_late.h"

/* The checkpoint that a shorter journal begins with costs some bytes a series. */
#define SERIES_BYTES 100

static int trim(Tsdb *db, uint64_t last, int64_t floor) {
    HeadCheckpoint c = {.head = db->head};
    int r = journal_trim(db->journal, last, floor, head_checkpoint_fill, &c);
    head_checkpoint_deinit(&c);
    return r;
}

/* The journal may go as soon as the blocks are durable; memory only when no querier looks back. */
int db_trim_journal(Tsdb *db) {
    uint64_t last;
    (void)head_collect(db->head); /* else at the next call */
    int64_t mint = atomic_load(&db->head->truncated_at);
    int r = mint == INT64_MIN ? 0 : journal_cut(db->journal, mint, &last);
    return r < 0 || mint == INT64_MIN ? r : trim(db, last, mint);
}

static bool is_long(Tsdb *db) {
    uint64_t series = atomic_load(&db->head->n_series);
    return journal_segments_bytes(db->journal) >= MAX(db->segment_bytes, series * SERIES_BYTES);
}

/*
 * The order counts. All commits of the segments that may go are applied when the open chunks are
 * looked at, and what is not in an open chunk then is in a file that is synced before they go. Late
 * samples are in no such file.
 */
int db_shorten_journal(Tsdb *db) {
    Head *h = db->head;
    uint64_t last;
    if (!is_long(db)) {
        return 0;
    }
    int r = journal_cut(db->journal, atomic_load(&h->truncated_at), &last);
    if (r < 0) {
        return r;
    }
    head_wait_for_commits(h);
    int64_t floor = head_spill(h, atomic_load(&h->max_time) - db->range_ms * 3 / 8);
    if (head_late_samples(h) > 0 || !chunk_log_sync(h->chunks)) {
        return 0;
    }
    return trim(db, last, floor);
}
