/*
 * The seam between those who have samples (tsdb, merges, test storages) and those who want them
 * (PromQL, API, rules, scraping, remote write). Objects are a pointer to a table of functions;
 * implementations embed them first.
 *
 * Times are milliseconds, ranges closed on both ends. 0 is success, negative errno a failure,
 * positive a documented outcome.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/vec.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"

/* A series in one storage; 0 = not known yet. Stays valid until the series leaves the head (then
 * appends say so). */
typedef uint64_t SeriesRef;

typedef VEC(Str) StrVec;

/* ---- reading
 * ------------------------------------------------------------------------------------------------
 */

/* Consecutive samples of one kind, oldest first, times strictly rising. Arrays are the iterator's:
 * valid until its next call. */
typedef struct SampleRun {
    SampleKind kind;
    uint32_t n;
    const int64_t *t;
    const int64_t *st; /* start timestamps, 0 = none; NULL when no sample of the run has one */
    union {
        const double *f;
        const Histogram *const *h;
        const FloatHistogram *const *fh;
    };
} SampleRun;

/* n samples of a run, from `first` on. */
static inline void sample_run_slice(const SampleRun *run, uint32_t first, uint32_t n,
                                    SampleRun *ret) {
    *ret = *run;
    ret->n = n;
    ret->t += first;
    ret->st = run->st ? run->st + first : NULL;
    switch (run->kind) {
    case SAMPLE_FLOAT: ret->f += first; break;
    case SAMPLE_HISTOGRAM: ret->h += first; break;
    case SAMPLE_FLOAT_HISTOGRAM: ret->fh += first; break;
    case SAMPLE_NONE: break;
    }
}

typedef struct SampleIter SampleIter;
typedef struct SampleIterOps {
    /* 1 and a run (never empty); 0 at the end; negative: -EBADMSG, -ECANCELED ... Runs are as long
     * as a chunk at most. */
    int (*next)(SampleIter *it, SampleRun *ret);
    /* Optional hint: samples before t are not wanted any more; whole chunks before t may be
     * skipped. May be NULL. */
    void (*seek)(SampleIter *it, int64_t t);
    void (*free)(SampleIter *it);
} SampleIterOps;
struct SampleIter {
    const SampleIterOps *ops;
};

typedef struct Series {
    Labels labels;   /* lives as long as the set */
    uint64_t handle; /* the set's own */
} Series;

/*
 * The answer to a selection. next() is called by one thread; the series it gave stay good until the
 * set is freed, and iter() may be called for them by any thread (each iterator is then used by
 * one).
 */
typedef struct SeriesSet SeriesSet;
typedef struct SeriesSetOps {
    /* 1 and a series, 0 at the end, negative error. */
    int (*next)(SeriesSet *set, Series *ret);
    /* `reuse` may be an iterator this set made before: it is recycled. Never NULL. */
    SampleIter *(*iter)(SeriesSet *set, const Series *series, SampleIter *reuse);
    void (*free)(SeriesSet *set);
} SeriesSetOps;
struct SeriesSet {
    const SeriesSetOps *ops;
};

/* What the caller will do with a selection. Only hints, but mint and maxt are kept to within a
 * chunk. */
typedef struct SelectHints {
    int64_t mint, maxt;
    int64_t step_ms, range_ms;
    int64_t lookback_ms; /* of an instant selector; 0 = not said */
    Str func;            /* function or aggregation around the selector */
    const Str *grouping; /* labels of the aggregation */
    size_t n_grouping;
    bool by;
    bool sorted;               /* series must come in label order; else any order */
    bool series_only;          /* no samples will be asked for */
    uint64_t limit;            /* 0 = none */
    const atomic_bool *cancel; /* set by another thread: stop soon with -ECANCELED; may be NULL */
} SelectHints;

/* What of the samples the function around a selector looks at: all that a storage which keeps old
 * samples in a coarser form has to know. Selections that read alike may be shared. */
typedef enum SampleReading {
    READ_LAST,    /* values as they are; all that is not named below */
    READ_LINE,    /* how a gauge moves */
    READ_COUNTER, /* how a counter grows */
    READ_MIN,
    READ_MAX,
    READ_SUM, /* sum, average, number */
} SampleReading;
SampleReading select_hints_reading(const SelectHints *h);

/* Things worth telling the user that did not stop the answer (a block set aside, a limit that cut).
 * Text in the arena. */
typedef struct Warnings {
    Arena *arena;
    StrVec list;
} Warnings;
void warnings_add(Warnings *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void warnings_free(Warnings *w) { vec_free(&w->list); }

/* A consistent view of [mint, maxt] at the moment it was opened. One thread at a time; close it
 * after its sets. */
typedef struct Querier Querier;
typedef struct QuerierOps {
    /* Series matching all n matchers. n >= 1. */
    int (*select)(Querier *q, const Matcher *m, size_t n, const SelectHints *hints, Warnings *w,
                  SeriesSet **ret);
    /* Sorted, without duplicates, in the arena; of series that match all matchers (n may be 0).
     * limit 0 = none; when it cuts, a warning. */
    int (*label_names)(Querier *q, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                       Warnings *w, StrVec *ret);
    int (*label_values)(Querier *q, Str name, const Matcher *m, size_t n, uint64_t limit, Arena *a,
                        Warnings *w, StrVec *ret);
    void (*close)(Querier *q);
} QuerierOps;
struct Querier {
    const QuerierOps *ops;
};

/* ---- writing
 * ------------------------------------------------------------------------------------------------
 */

/* Positive outcomes of an append; the sample was not taken, the transaction goes on. */
typedef enum AppendOutcome {
    APPEND_OK = 0,
    APPEND_OUT_OF_ORDER = 1, /* older than the series' newest, no out-of-order window */
    APPEND_TOO_OLD,          /* older than the out-of-order window */
    APPEND_OUT_OF_BOUNDS,    /* older than the head takes */
    APPEND_DUPLICATE,        /* same time, another value */
    APPEND_UNKNOWN_REF, /* the ref's series has left the head: call again with ref 0 and labels */
    APPEND_INVALID,     /* histogram or label set that breaks the rules; see the text function */
    APPEND_UNSUPPORTED, /* this storage does not keep this kind of sample */
} AppendOutcome;
/* Prometheus' words: "out of order sample", ... */
const char *append_outcome_text(AppendOutcome o);

typedef struct Exemplar {
    Labels labels;
    double value;
    int64_t t;
    bool has_t;
} Exemplar;

/* counter, gauge, ... unknown; the API's words. */
const char *metric_type_text(MetricType t);

typedef struct Metadata {
    MetricType type;
    Str unit, help;
} Metadata;

/*
 * A transaction: nothing is visible before commit. commit() returns when what it took is in the
 * journal (so that kill -9 does not lose it); on failure nothing was taken. Either ender frees the
 * appender. One thread at a time; several appenders may be open.
 */
typedef struct Appender Appender;
typedef struct AppenderOps {
    /*
     * *ref 0: the series is found or made by its labels and *ret_ref set. With a ref labels may be
     * LABELS_EMPTY. st 0 = no start timestamp. Returns an AppendOutcome or a negative errno (then
     * roll back).
     */
    int (*append)(Appender *a, SeriesRef *ref, Labels labels, int64_t t, double v, int64_t st);
    /* h or fh, the other NULL. May be NULL in the table: this storage has no histograms. */
    int (*append_histogram)(Appender *a, SeriesRef *ref, Labels labels, int64_t t,
                            const Histogram *h, const FloatHistogram *fh, int64_t st);
    int (*append_exemplar)(Appender *a, SeriesRef ref, const Exemplar *e); /* may be NULL */
    int (*update_metadata)(Appender *a, SeriesRef ref, const Metadata *m); /* may be NULL */
    int (*commit)(Appender *a);
    void (*rollback)(Appender *a);
    /* Of all series of a metric; for senders that tell it without a series. May be NULL. */
    void (*family_metadata)(Appender *a, Str family, const Metadata *m);
} AppenderOps;
struct Appender {
    const AppenderOps *ops;
};

/* ---- a storage
 * ---------------------------------------------------------------------------------------------- */

typedef struct Storage Storage;
/* The exemplars of a series, in the order of time. */
typedef struct SeriesExemplars {
    Labels labels;
    const Exemplar *v;
    size_t n;
} SeriesExemplars;
typedef VEC(SeriesExemplars) SeriesExemplarsVec;

typedef struct StorageOps {
    int (*querier)(Storage *s, int64_t mint, int64_t maxt, Querier **ret); /* any thread */
    int (*appender)(Storage *s, Appender **ret);                           /* any thread */
    /* Exemplars in [mint, maxt] of the series that match one of the lists, by labels; in the arena,
     * whose ceiling gives -ENOMEM. May be NULL: there are none. Any thread. */
    int (*exemplars)(Storage *s, const Selector *lists, size_t n, int64_t mint, int64_t maxt,
                     Arena *a, SeriesExemplarsVec *ret);
} StorageOps;
struct Storage {
    const StorageOps *ops;
};

static inline int storage_querier(Storage *s, int64_t mint, int64_t maxt, Querier **ret) {
    return s->ops->querier(s, mint, maxt, ret);
}
static inline int storage_appender(Storage *s, Appender **ret) { return s->ops->appender(s, ret); }
static inline int querier_select(Querier *q, const Matcher *m, size_t n, const SelectHints *h,
                                 Warnings *w, SeriesSet **ret) {
    return q->ops->select(q, m, n, h, w, ret);
}
static inline void querier_close(Querier *q) {
    if (q)
        q->ops->close(q);
}
static inline int series_set_next(SeriesSet *s, Series *ret) { return s->ops->next(s, ret); }
static inline SampleIter *series_set_iter(SeriesSet *s, const Series *series, SampleIter *reuse) {
    return s->ops->iter(s, series, reuse);
}
static inline void series_set_free(SeriesSet *s) {
    if (s)
        s->ops->free(s);
}
static inline int sample_iter_next(SampleIter *it, SampleRun *ret) {
    return it->ops->next(it, ret);
}
static inline void sample_iter_seek(SampleIter *it, int64_t t) {
    if (it->ops->seek)
        it->ops->seek(it, t);
}
static inline void sample_iter_free(SampleIter *it) {
    if (it)
        it->ops->free(it);
}
static inline int appender_append(Appender *a, SeriesRef *ref, Labels l, int64_t t, double v) {
    return a->ops->append(a, ref, l, t, v, 0);
}
/*
 * Before the sample at t a zero at its start timestamp st, as created-timestamp-zero-ingestion has
 * it: nothing happens when st is not before t, or the series has a sample at or behind st. h or fh
 * for a histogram like the sample's. Outcomes as append(); APPEND_OK also when nothing was done.
 */
int appender_append_zero(Appender *a, SeriesRef *ref, Labels labels, int64_t t, int64_t st,
                         const Histogram *h, const FloatHistogram *fh);
static inline int appender_commit(Appender *a) { return a->ops->commit(a); }
static inline void appender_rollback(Appender *a) {
    if (a)
        a->ops->rollback(a);
}
