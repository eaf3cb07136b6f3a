/*
 * The head: recent samples in memory. Series live in slabs, their open chunks in place, full chunks
 * in mapped files (chunk_log.h). Any thread, but head_write_block(), head_truncate() and
 * head_collect() by one at a time.
 *
 * Threads. The index lock guards series_index, slots and slabs' counts; the commit lock is held
 * shared while a commit is journalled and applied, alone by truncation, so that after a new bound
 * is set no older sample is on its way; a series' spin lock guards its chunk. Order: commit, index,
 * series. Readers copy the open chunk under the spin lock and hold nothing while they decode.
 *
 * Rounds. A counter goes up at each collection. Queriers and appenders are registered with the
 * round in which they began; what was removed in round r is freed when all registered ones began
 * later.
 *
 * Isolation: a reader sees committed samples only, of a commit all or none (head_isolation.h).
 *
 * A commit is kept whole or fails: -ESTALE when a block was cut over its samples, because it began
 * seconds before the cut.
 */
#pragma once

#include <pthread.h>

#include "base/metrics.h"
#include "storage/storage.h"
#include "tsdb/head/head_isolation.h"
#include "tsdb/head/head_series.h"
#include "tsdb/journal/journal.h"
#include "tsdb/notes/exemplars.h"
#include "tsdb/notes/families.h"
#include "tsdb/tsdb.h"

typedef struct HeadOptions {
    const char *chunk_dir; /* for full chunks */
    int64_t range_ms;      /* chunks do not cross multiples of it */
} HeadOptions;

typedef struct HeadPin {
    struct HeadPin *next, *prev;
    uint64_t round;
    uint32_t view; /* commits up to this one are visible */
    bool appender;
} HeadPin;

/* The full chunks of a slot that an earlier process has left, until replay meets their series. */
typedef struct HeadRecovered {
    ChunkLogRef ref; /* newest; 0 = none */
    int64_t min_time, max_time;
    uint64_t samples;
    uint32_t hash, chunks;
    bool float_counts;
} HeadRecovered;

typedef struct HeadMetrics HeadMetrics;
typedef struct HeadAppender HeadAppender;
typedef struct LateStore LateStore; /* head_late.h */

typedef struct Head {
    int64_t range_ms;
    BytePool *pool;
    ChunkLog *chunks;
    Journal *journal; /* NULL while replaying */

    _Atomic(HeadSlab *) *slabs; /* SLABS_MAX entries of address space */
    pthread_rwlock_t index_lock;
    HeadIndex index;
    atomic_uint next_slot;
    VEC(uint32_t) free_slots; /* given out again before new ones: from free_at on, rising */
    size_t free_at;
    uint32_t life; /* of the series made now; rises when slots become free */
    atomic_size_t n_series;

    pthread_rwlock_t commit_lock;
    _Atomic int64_t min_time, max_time; /* of the samples; TIME_MAX_MS, TIME_MIN_MS when empty */
    _Atomic int64_t min_valid;          /* older samples are in blocks: INT64_MIN = none */
    _Atomic int64_t min_append;         /* what new transactions keep to; min_valid follows it */
    _Atomic int64_t truncated_at;       /* and queriers do not look for them here */
    uint64_t truncate_round;            /* queriers of this round or before may */

    pthread_mutex_t pin_lock;
    HeadPin *pins;
    HeadAppender *kept; /* ended ones, for the next */
    unsigned n_kept;
    atomic_uint_fast64_t round;
    VEC(struct HeadGrave {
        uint32_t slot;
        uint64_t round; /* in which it left */
    })
    graves;
    VEC(struct HeadSlabGrave {
        HeadSlab *slab;
        uint64_t round;
    })
    slab_graves;
    HeadIsolation isolation;
    VEC(HeadRecovered) recovered; /* by slot; only while replaying */
    atomic_uint_fast64_t samples, chunks_created, chunks_removed;
    _Atomic int64_t late_window;   /* how far behind max_time samples may come; 0 = in order only */
    pthread_mutex_t late_lock;     /* of these two */
    LateStore *late, *late_frozen; /* NULL = none */
    HeadMetrics *metrics;
    Exemplars *exemplars;
    Families *families;
} Head;

int head_open(const HeadOptions *o, Head **ret);
/* Every querier and appender must have been ended. NULL is fine. */
void head_free(Head *h);
/* Samples are journalled from here on. */
void head_set_journal(Head *h, Journal *j);
/* Older samples are refused (they are in blocks). Only before the first append. */
void head_set_min_valid(Head *h, int64_t t);

int head_querier(Head *h, int64_t mint, int64_t maxt, Querier **ret);
int head_appender(Head *h, Appender **ret);

/* ---- order (head_sort.c) */

/* Series by labels, ids and labels alike; the index lock is held. */
void head_sort_series(Head *h, uint32_t *ids, Labels *labels, size_t n);

/* ---- replay (head_replay.c) */

/* Finds the full chunks that an earlier process has left: what they hold replay passes over. After
 * head_set_min_valid(). */
int head_recover_chunks(Head *h);
typedef struct HeadReplay HeadReplay;
HeadReplay *head_replay_begin(Head *h, unsigned threads);
/* As in JournalReplay. */
void head_replay_begin_file(void *replay);
int head_replay_record(void *replay, const JournalRecord *rec, int64_t *max_time);
/* Waits until all is in the head. -EBADMSG when a worker met bytes that do not decode. */
int head_replay_end(HeadReplay *r);

/* ---- towards blocks (head_block.c, head_gc.c) */

/* The samples in [mint, maxt) as a block; BLOCK_EMPTY when there are none. */
int head_write_block(Head *h, const char *dir, int64_t mint, int64_t maxt,
                     const atomic_bool *cancel, char ret_id[27]);
/* Of the oldest sample that is not in a block; walks all series. INT64_MAX when there is none. */
int64_t head_oldest_time(Head *h);
/* Time of the newest sample of a series given by a querier of this head that is still open. */
int64_t head_series_end(Head *h, uint64_t handle);
/* What is older is not the head's any more; INT64_MIN = nothing was taken from it yet. */
int64_t head_lower_bound(Head *h);
/* From now on samples before mint are refused. Waits for transactions that began before it (some
 * seconds at most: a longer one that has samples of that time fails at its commit); then none is on
 * its way. */
void head_raise_min_valid(Head *h, int64_t mint);
/* Samples before mint are no longer the head's: they are in a block that queriers opened from now
 * on read. Memory goes with head_collect(). */
void head_truncate(Head *h, int64_t mint);
/* Drops series without samples since min_valid and files of old chunks, as far as no older querier
 * is open: else false, call again later. */
bool head_collect(Head *h);
/* The postings of live series that match; the index lock is held. */
int head_select_ids(Head *h, const Matcher *m, size_t n, const atomic_bool *cancel, Ids *ret);
/* Open chunks that began before `before` become full ones. Where the oldest of the others begins;
 * INT64_MAX when there is none. */
int64_t head_spill(Head *h, int64_t before);
/* Those that are journalled are applied. */
void head_wait_for_commits(Head *h);
/* Begins a new round. Whenever maintenance runs. */
void head_next_round(Head *h);
/* JournalFillFn: all series, a part at each call. */
typedef struct HeadCheckpoint {
    Head *head;
    uint32_t slot;
    VEC(uint32_t) numbers; /* by pair, + 1 */
    bool noted;            /* exemplars and metadata, behind the series */
} HeadCheckpoint;
bool head_checkpoint_fill(void *checkpoint, JournalEncoder *e, Buf *out);
void head_checkpoint_deinit(HeadCheckpoint *c);

int head_explore(Head *h, const TsdbSelector *sets, size_t n, size_t limit, Arena *a,
                 TsdbExplored *ret);
int head_cardinality(Head *h, size_t limit, Arena *a, TsdbCardinality *ret);
uint64_t head_chunk_count(Head *h);

/* ---- inside tsdb/head */

/* The live series of a slot; NULL when it has left. */
static inline HeadSeries *head_series(Head *h, uint64_t slot) {
    if (slot >= atomic_load_explicit(&h->next_slot, memory_order_acquire)) {
        return NULL;
    }
    HeadSlab *slab = atomic_load_explicit(&h->slabs[slot / SLAB_SERIES], memory_order_acquire);
    HeadSeries *s = slab ? &slab->series[slot % SLAB_SERIES] : NULL;
    return s && (atomic_load_explicit(&s->flags, memory_order_acquire) &
                 (SERIES_LIVE | SERIES_GONE)) == SERIES_LIVE
               ? s
               : NULL;
}
/* Of a ref. */
static inline HeadSeries *head_series_of_ref(Head *h, SeriesRef ref) {
    HeadSeries *s = head_series(h, (uint32_t)(ref - 1));
    return s && s->life == (ref - 1) >> 32 ? s : NULL;
}
static inline SeriesRef head_series_ref(const HeadSeries *s) {
    return ((SeriesRef)s->life << 32 | s->slot) + 1;
}
/* Also of one that has left but that an older reader may still hold. */
static inline HeadSeries *head_series_any(Head *h, uint64_t slot) {
    return &atomic_load(&h->slabs[slot / SLAB_SERIES])->series[slot % SLAB_SERIES];
}

void head_pin(Head *h, HeadPin *p, bool appender);
void head_unpin(Head *h, HeadPin *p);
HeadCommit head_begin_commit(Head *h);
void head_drop_appenders(Head *h);
/* May be given to another series. The index lock is held for writing; h->life is raised first. */
void head_free_slot(Head *h, uint32_t slot);
/* By labels, made if it is not there; *ret_new tells. */
HeadSeries *head_series_get(Head *h, Labels l, uint32_t *ret_slot, bool *ret_new);
/* By labels; false: the head has no such series. */
bool head_series_find(Head *h, Labels l, uint32_t *ret_slot);
/* Of a series that cannot leave meanwhile; the list is the caller's, the strings the index's. */
typedef VEC(Label) HeadLabelVec;
Labels head_series_labels(Head *h, uint32_t slot, HeadLabelVec *scratch);

/* ---- replay of series: one thread, but workers may be adding samples to others */

/* The series of a slot, made when the slot is free. NULL: the slot or the labels are somebody
 * else's, and head_series_replace() is called when no worker is under way. */
HeadSeries *head_series_put(Head *h, uint32_t slot, const uint32_t *pair, size_t n);
/* Whoever has the slot has left the head, and what it still has is in blocks. Who has the labels
 * under another slot left and came again: its samples go along. */
HeadSeries *head_series_replace(Head *h, uint32_t slot, const uint32_t *pair, size_t n);

/* Gives a series that replay has made its full chunks. */
void head_series_recover(Head *h, HeadSeries *s);

/* Tells a series to the journal; the index lock is held. */
void head_put_series(Head *h, JournalEncoder *e, uint32_t slot, Buf *out);

/* What head_sample_add() needs to know from sample to sample. */
typedef struct HeadCursor {
    int64_t range_start; /* of the last time seen */
    bool any;
    int64_t min, max;
    uint64_t added, refused, histograms, histograms_refused;
    HeadCommit commit; /* zeros while replaying */
} HeadCursor;
/* Moves the cursor to a sample's range. */
void head_cursor_begin(Head *h, HeadCursor *c, int64_t t);
/* Adds to the open chunk; the series' lock is held. An AppendOutcome. */
int head_sample_add(Head *h, HeadSeries *s, HeadCursor *c, int64_t t, double v);
/* Tells the head what a cursor has seen. */
void head_cursor_end(Head *h, HeadCursor *c);
void head_raise(_Atomic int64_t *max, int64_t t);
void head_lower(_Atomic int64_t *min, int64_t t);

struct HeadMetrics {
    Metric *series, *chunks, *created, *removed, *not_found, *appended, *appenders, *min_time,
        *min_time_seconds, *max_time, *max_time_seconds, *truncations, *gc_seconds, *out_of_order,
        *histograms_appended, *histograms_out_of_order, *out_of_bound, *chunks_created,
        *chunks_removed, *chunk_bytes, *active_appenders, *late_appended, *too_old, *late_delta;
};
