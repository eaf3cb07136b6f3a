/*
 * The evaluator inside: what its files share. A query is evaluated by one thread; where series are
 * read, helpers may join it (split.h), each with an Eval of its own. Every operator
 * yields one series at a time as a Column over all steps of a Grid and pushes it into the Sink of
 * whoever asked, so nothing is held that an operator does not need to hold. Memory comes from
 * Scopes, arenas that draw on the one byte budget of the query. Functions return 0, or -EINVAL
 * after eval_fail() has noted outcome and text.
 */
#pragma once

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/numtext.h"
#include "base/vec.h"
#include "promql/engine/annotations.h"
#include "promql/parser/ast.h"

typedef struct Eval Eval;

/* Evaluation times: start, start + step, ... n of them. */
typedef struct Grid {
    int64_t start, step;
    size_t n;
} Grid;
static inline int64_t grid_time(const Grid *g, size_t i) { return g->start + (int64_t)i * g->step; }

/* ---- memory and limits */

/* Bytes of a query, which its threads count together: of scopes and of the answer. */
typedef struct Budget {
    _Atomic uint64_t used;
    _Atomic uint64_t peak;
    _Atomic uint64_t granted; /* of the budget of all queries, at least */
    uint64_t max;
} Budget;
static inline uint64_t budget_used(const Budget *b) {
    return atomic_load_explicit(&b->used, memory_order_relaxed);
}
static inline void budget_count(Budget *b, uint64_t before, uint64_t now) {
    if (now == before)
        return;
    uint64_t used =
        atomic_fetch_add_explicit(&b->used, now - before, memory_order_relaxed) + now - before;
    if (used >
        atomic_load_explicit(&b->peak, memory_order_relaxed)) /* about, with several threads */
        atomic_store_explicit(&b->peak, used, memory_order_relaxed);
}

/* An arena that draws on the query's byte budget. NULL results have already failed the query. */
typedef struct Scope {
    Arena arena;
    Eval *ev;
} Scope;
void scope_init(Scope *s, Eval *ev);
void scope_deinit(Scope *s);
/* Drops what was allocated, keeps a block. */
void scope_reset(Scope *s);
void *scope_alloc(Scope *s, size_t n, size_t size) NODISCARD;
void *scope_zalloc(Scope *s, size_t n, size_t size) NODISCARD;
Str scope_str(Scope *s, Str text);
#define SCOPE_NEW(s, T) ((T *)scope_zalloc((s), 1, sizeof(T)))
#define SCOPE_ARRAY(s, T, n) ((T *)scope_alloc((s), (n), sizeof(T)))
#define SCOPE_ZARRAY(s, T, n) ((T *)scope_zalloc((s), (n), sizeof(T)))

int eval_fail(Eval *ev, PromqlOutcome outcome, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Cancelled or out of time? Cheap enough for once a series. */
int eval_check(Eval *ev);
/* Counts work done on the way to the next eval_check(), for loops whose length a query chooses. */
#define TICK_WORK (UINT64_C(1) << 20)
int eval_tick(Eval *ev, uint64_t work);
/* Memory of the query outside of scopes is `bytes` now. */
int eval_bytes_beside(Eval *ev, uint64_t bytes);
int eval_bytes_exceeded(Eval *ev);
/* Counts samples held in memory; released by setting ev->samples_current back. */
int eval_samples_add(Eval *ev, uint64_t n);

/* ---- columns */

enum { CELL_NONE = 0, CELL_FLOAT = 1, CELL_HISTOGRAM = 2 };

/*
 * One series over all steps. kind[i] says what cell i holds; v[i] is any number where it holds no
 * float. Who pushes a column lends it for the call: the receiver may change cells in place and must
 * copy what it keeps. Labels live until the query's end. A node may push several columns with equal
 * labels whose cells do not overlap: parts of one series.
 */
typedef struct Column {
    Labels labels;
    bool drop_name; /* delayed name removal: the name goes at the end of the query */
    size_t n;
    uint8_t *kind;
    double *v;
    const FloatHistogram **h; /* NULL when no cell is a histogram */
} Column;

typedef struct Sink Sink;
struct Sink {
    int (*push)(Sink *s, Column *c);
};

Column *column_new(Scope *s, size_t n); /* no cell set */
/* Cells of `from` (histograms too) with its labels. */
Column *column_copy(Scope *s, const Column *from);
/* Makes room for histogram cells. */
int column_need_histograms(Scope *s, Column *c);
void column_clear(Column *c);
size_t column_count(const Column *c);
bool column_all_float(const Column *c);
/* All cells are floats or absent after it; false if nothing is left. */
void column_drop_histograms(Column *c);
/* In units of samples: floats count 1, histograms by size. */
uint64_t column_weight(const Column *c);
uint64_t histogram_weight(const FloatHistogram *h);
FloatHistogram *scope_histogram(Scope *s, const FloatHistogram *h);
FloatHistogram *scope_histogram_float(Scope *s, const Histogram *h);

/* Keeps copies of what comes. */
typedef struct Collector {
    Sink sink;
    Scope *scope;
    VEC(Column *) columns;
} Collector;
void collector_init(Collector *c, Scope *s);
void collector_deinit(Collector *c);

/* Finds series that would stand twice at one step after their labels were changed. */
typedef struct DupCheck {
    Scope *scope;
    StrMap map;
    Buf key;
} DupCheck;
void dup_check_init(DupCheck *d, Scope *s);
void dup_check_deinit(DupCheck *d);
/* Fails the query with `text` when a column with equal labels (and equal `extra`) had a cell where
 * this one has, or, if strict, at all. */
int dup_check_add(DupCheck *d, const Column *c, uint64_t extra, bool strict, const char *text);
#define SAME_LABELSET "vector cannot contain metrics with the same labelset"

/* ---- labels (label_sets.c) */

bool is_metadata_label(Str name); /* __name__, __type__, __unit__ */
/* Without the metadata labels; shares memory where it can. */
int labels_drop_metadata(Scope *s, Labels l, Labels *ret);
/* Drops the name now or, with delayed removal, marks the column. */
int column_drop_name(Eval *ev, Column *c);
/* Bytes that are equal just when the labels picked are: on = only names, else all but names and the
 * metric's name. names sorted. */
void labels_key(Buf *b, Labels l, const Str *names, size_t n, bool on);
void labels_key_all(Buf *b, Labels l);
/* The labels that key stands for. */
int labels_match(Scope *s, Labels l, const Str *names, size_t n, bool on, Labels *ret);
/* With one label set (or removed when the value is empty). */
int labels_with(Scope *s, Labels l, Str name, Str value, Labels *ret);
Str labels_metric_name(Labels l);

/* ---- selectors (selector.c) */

/* A selection of the storage, shared by all selectors of the query that ask the same. */
typedef struct Selection {
    const Matcher *matchers;
    size_t n_matchers;
    SelectHints hints;
    SeriesSet *set;
    Series *series;
    size_t n;
    unsigned used; /* by how many selectors */
    bool expanded, metadata_varies;
} Selection;

int selections_open(Eval *ev, Node *root);
void selections_close(Eval *ev);
int selection_expand(Eval *ev, Selection *s);
/* Moves a selection made on the way into the query's keeping. */
void selection_keep(Eval *ev, const Selection *s);
/* Times of the samples that series k of a selection has at each step; INT64_MIN = none. */
int sample_times(Eval *ev, const Selection *s, size_t k, const Grid *g, int64_t offset,
                 int64_t *times);
/* When info() looks at info series: a fixed time (INT64_MIN = none) and an offset. False when n has
 * no selector. */
bool info_reference(const Node *n, int64_t *at, int64_t *offset);
int selection_of(Eval *ev, const Node *vector_selector, Selection **ret);
/* Whether all series of a vector carry the same name (or none): then dropping it cannot make two
 * equal. */
bool name_is_pinned(Eval *ev, const Node *n);

/* ---- evaluation */

typedef struct StatsFrame {
    uint64_t total, read;
    uint64_t *per_step; /* NULL when not asked for */
} StatsFrame;

struct Eval {
    const PromqlOptions *o;
    Str query;
    Storage *storage;
    Querier *querier;
    PromqlQuery *entry;        /* in the engine's list: progress, reasons to end, shared budget */
    const atomic_bool *cancel; /* for the storage */
    int64_t lookback_ms, subquery_step_ms;
    Grid grid; /* of the query */
    int64_t end_ms;
    bool instant;

    Scope scope; /* until the query ends */
    Budget *bytes;
    uint64_t bytes_beside; /* of the answer */
    struct Crew *crew;
    bool is_lane; /* of a split query (split.c) */
    uint64_t samples_current, samples_peak, samples_max;
    StatsFrame *stats;
    Annotations annotations;
    Arena warnings_arena;
    Warnings warnings;
    VEC(Selection *) selections;
    VEC(struct SelectorUse {
        const Node *node;
        Selection *selection;
    })
    uses;
    struct Shares *shares;   /* NULL: no part of the query repeats */
    struct Profile *profile; /* NULL unless the query is to be explained */

    int64_t info_mint, info_maxt; /* what info() will read */

    PromqlOutcome outcome;
    char *error;
    int depth;
    uint64_t work; /* since the last check */
};

int eval_vector(Eval *ev, const Node *n, const Grid *g, Sink *out);
/* The same with the parts of a series put together: each label set comes once. */
int eval_vector_whole(Eval *ev, const Node *n, const Grid *g, Sink *out);
int columns_merge(Eval *ev, Scope *s, Column **v, size_t *n);
/* One value a step. */
int eval_scalar(Eval *ev, const Node *n, const Grid *g, double *ret);
/* Scalar values in fresh memory; NULL = failed. */
const double *eval_scalar_column(Eval *ev, Scope *s, const Node *n, const Grid *g);
int subquery_grid(Eval *ev, const Node *n, const Grid *g, Grid *ret);
static inline void stats_add(Eval *ev, size_t step, uint64_t total) {
    ev->stats->total += total;
    if (ev->stats->per_step)
        ev->stats->per_step[step] += total;
}
const Node *node_unwrap(const Node *n); /* without parentheses and step-invariant wrapping */
Str node_string(const Node *n);
void annotate(Eval *ev, AnnotationKind kind, const Node *at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void annotate_quantile(Eval *ev, const Node *at, double phi);
/* name in Go's quotes, for texts */
void buf_add_quoted(Buf *b, Str s);

int plan_tree(Eval *ev, Arena *a, Node **root);

int eval_vector_selector(Eval *ev, const Node *n, const Grid *g, Sink *out);
int eval_aggregate(Eval *ev, const Node *n, const Grid *g, Sink *out);
int eval_binary(Eval *ev, const Node *n, const Grid *g, Sink *out);
void binary_scalars(BinaryOp op, const double *l, const double *r, double *ret, size_t n);
int eval_call(Eval *ev, const Node *n, const Grid *g, Sink *out);
int eval_call_scalar(Eval *ev, const Node *n, const Grid *g, double *ret);
/* Points of a matrix selector or subquery for a query whose result is a range vector. */
int eval_matrix(Eval *ev, const Node *n, Scope *s, PromqlSeries **ret, size_t *ret_n);

/* ---- arithmetic as Go does it */

static inline double go_max(double a, double b) {
    if (isinf(a) && a > 0)
        return a;
    if (isinf(b) && b > 0)
        return b;
    if (isnan(a) || isnan(b))
        return normal_nan();
    if (a == 0 && a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}
static inline double go_min(double a, double b) {
    if (isinf(a) && a < 0)
        return a;
    if (isinf(b) && b < 0)
        return b;
    if (isnan(a) || isnan(b))
        return normal_nan();
    if (a == 0 && a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}
/* Kahan's sum with Neumaier's improvement. */
static inline void kahan_add(double inc, double *sum, double *c) {
    double t = *sum + inc;
    if (isinf(t))
        *c = 0;
    else if (fabs(*sum) >= fabs(inc))
        *c += (*sum - t) + inc;
    else
        *c += (inc - t) + *sum;
    *sum = t;
}
/* The phi-quantile of v, which is reordered. */
double quantile_of(double phi, double *v, size_t n);
