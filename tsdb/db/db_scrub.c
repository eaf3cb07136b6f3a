/*
 * The slow reading of all blocks, block by block from the oldest, a share each minute, so that all
 * of them are read once a week. What turns out damaged is set aside by the maintenance that
 * follows.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tsdb/db/db.h"

#define WEEK_MINUTES (7 * 24 * 60)
/* Less is not worth the call; more would be felt by who reads at the same time. */
#define SCRUB_BYTES_MIN (4u << 20)
#define SCRUB_BYTES_MAX (256u << 20)
#define REST_NS (24 * 3600 * INT64_C(1000000000))

static uint64_t budget_of(const BlockList *l) {
    uint64_t share = block_list_bytes(l) / WEEK_MINUTES;
    return MIN(MAX(share, (uint64_t)SCRUB_BYTES_MIN), (uint64_t)SCRUB_BYTES_MAX);
}

/* The block under way; when it has gone the first one. */
static size_t position_of(const BlockList *l, const char *id) {
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(block_meta(l->v[i].block)->id, id) == 0) {
            return i;
        }
    }
    return 0;
}

static void next_block(Tsdb *db, const BlockList *l, size_t at) {
    DbScrub *s = &db->scrub;
    metric_inc(db->metrics.scrub_blocks);
    memset(&s->state, 0, sizeof(s->state));
    if (at + 1 < l->n) {
        memcpy(s->state.id, block_meta(l->v[at + 1].block)->id, sizeof(s->state.id));
        return;
    }
    s->finished = true;
    s->finished_ns = clock_mono_ns();
    metric_set(db->metrics.scrub_finished, (double)clock_wall_ms() / 1000);
    log_info("tsdb", "All blocks were read and found whole", L_INT("blocks", l->n),
             L_INT("bytes", block_list_bytes(l)));
}

static double done_of(const BlockList *l, size_t at) {
    uint64_t before = 0, all = block_list_bytes(l);
    for (size_t i = 0; i < at; i++) {
        before += block_meta(l->v[i].block)->bytes;
    }
    return all ? (double)before / (double)all : 1;
}

/* A small database is read to its end in a minute: the next round is the next day's. */
static bool is_resting(const DbScrub *s) {
    return s->finished && clock_mono_ns() - s->finished_ns < REST_NS;
}

int db_scrub(Tsdb *db) {
    if (is_resting(&db->scrub)) {
        return 0;
    }
    db->scrub.finished = false;
    BlockList *l = db_blocks(db);
    uint64_t start = budget_of(l), budget = start;
    int r = 0;
    while (l->n > 0 && budget > 0 && r >= 0 && !db->scrub.finished) {
        size_t at = position_of(l, db->scrub.state.id);
        r = block_scrub(l->v[at].block, &db->scrub.state, &budget, &db->stopping);
        if (r == SCRUB_DONE) {
            next_block(db, l, at);
        } else if (r == -EBADMSG) {
            metric_inc(db->metrics.scrub_failures);
        }
        metric_set(db->metrics.scrub_progress, db->scrub.finished ? 1 : done_of(l, at));
    }
    metric_add(db->metrics.scrub_bytes, (double)(start - budget));
    block_list_unref(l);
    return r == SCRUB_DONE ? 0 : r;
}
