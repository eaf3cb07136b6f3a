/*
 * The query engine: text in, values out, inside limits. One engine a process; queries run on the
 * threads that call promql_exec() (the caller's pool bounds how many). Results live in their own
 * memory until freed, and before the engine is.
 *
 * The engine knows every query under way, those that wait for a worker too: it lists them, ends
 * them, remembers the slow ones and writes the query log.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "model/labels.h"
#include "model/sample.h"
#include "storage/storage.h"

typedef struct PromqlEngine PromqlEngine;
typedef struct PromqlQuery PromqlQuery;

typedef struct PromqlOptions {
    int64_t lookback_ms;      /* 0 = 5 min */
    int64_t timeout_ms;       /* 0 = 2 min */
    uint64_t samples_max;     /* 0 = 50,000,000 */
    uint64_t query_bytes_max; /* memory of one query; 0 = 4 GiB */
    unsigned threads; /* that evaluate at a time, before queries get no helpers; 0 = one a query */
    uint64_t split_work_min;  /* samples that are worth a helper; 0 = 40,000 */
    uint64_t total_bytes_max; /* memory of all queries together, answers included; 0 = no limit */
    int64_t subquery_step_ms; /* default step of subqueries (evaluation_interval); 0 = 1 min; may
                                 change on reload */
    bool experimental_functions, duration_expr, delayed_name_removal, fill_modifiers,
        extended_selectors, per_step_stats, type_and_unit_labels, start_timestamps;
} PromqlOptions;

PromqlEngine *promql_engine_new(const PromqlOptions *o);
void promql_engine_free(PromqlEngine *e);
void promql_engine_set_subquery_step(PromqlEngine *e, int64_t step_ms); /* any thread */

typedef enum PromqlSource {
    PROMQL_SOURCE_API,
    PROMQL_SOURCE_RULE,
    PROMQL_SOURCE_FEDERATE,
    PROMQL_SOURCE_LIVE,
} PromqlSource;
const char *promql_source_text(PromqlSource s); /* "api", "rule", "federate", "live" */

/* Who asks, for lists and the query log. */
typedef struct PromqlOrigin {
    PromqlSource source;
    Str client;       /* "127.0.0.1:5000" */
    Str method, path; /* of the HTTP request */
    Str rule_file, rule_group;
} PromqlOrigin;

typedef struct PromqlRequest {
    Str query;
    int64_t start_ms, end_ms;
    int64_t step_ms;           /* 0 = instant query at start_ms (== end_ms) */
    int64_t lookback_ms;       /* 0 = engine's */
    int64_t timeout_ms;        /* 0 = engine's; can only lower it */
    const atomic_bool *cancel; /* set by another thread: the answer is not wanted any more. May be
                                  NULL */
    bool per_step_stats;
    bool explain;               /* measures every node: the result then has a plan */
    const PromqlOrigin *origin; /* NULL: the API, of nobody known */
    /* From promql_query_enter(), begun; promql_exec() ends it. NULL: it is asked and begins now. */
    PromqlQuery *entry;
} PromqlRequest;

typedef enum PromqlType {
    PROMQL_NONE,
    PROMQL_SCALAR,
    PROMQL_VECTOR,
    PROMQL_MATRIX,
    PROMQL_STRING
} PromqlType;
const char *
promql_type_text(PromqlType t); /* "none", "scalar", "instant vector", "range vector", "string" */

/* A series of an answer. A vector's or scalar's series has one point. */
typedef struct PromqlSeries {
    Labels labels;
    size_t n_floats;
    const int64_t *float_t;
    const double *floats;
    size_t n_histograms;
    const int64_t *histogram_t;
    const FloatHistogram *const *histograms;
} PromqlSeries;

typedef struct PromqlStats {
    double eval_total_s, result_sort_s, preparation_s, inner_eval_s, queue_s, exec_total_s;
    uint64_t total_samples, peak_samples, samples_read;
    const uint64_t *per_step; /* NULL unless asked for */
    size_t n_steps;
    uint64_t peak_bytes; /* of memory, the answer included */
} PromqlStats;

/* A node of an executed query and what it cost: EXPLAIN. */
typedef struct PromqlPlanNode {
    const char *op; /* selector, aggregation, binary, unary, call, subquery, number, string */
    Str label;      /* "sum by (job)", "rate", "http_requests_total[5m]" */
    Str expr;       /* its text: bytes [start, end) of the query */
    uint32_t start, end;
    uint64_t series;  /* it gave on, or selected */
    uint64_t samples; /* it read itself */
    double time_ms;   /* with all below it */
    double self_ms;
    const Str *notes;
    size_t n_notes;
    const struct PromqlPlanNode *const *children;
    size_t n_children;
} PromqlPlanNode;

typedef enum PromqlOutcome {
    PROMQL_OK = 0,
    PROMQL_BAD_DATA,  /* does not parse or type-check */
    PROMQL_EXECUTION, /* engine error: matching, limits, storage of the query */
    PROMQL_TIMEOUT,
    PROMQL_CANCELED,
    PROMQL_INTERNAL,    /* storage failed */
    PROMQL_UNAVAILABLE, /* not yet: the storage is still being opened */
} PromqlOutcome;

typedef struct PromqlResult {
    PromqlOutcome outcome;
    const char *error; /* for outcomes other than OK; Prometheus' text ("1:5: parse error: ...") */
    PromqlType type;
    /* VECTOR: evaluation order (sort and topk survive); MATRIX: sorted by labels; SCALAR: series[0]
     * without labels */
    const PromqlSeries *series;
    size_t n_series;
    Str string;
    int64_t time_ms; /* of an instant query */
    const Str *warnings,
        *infos; /* complete texts with position, each once; the API caps them at 10 */
    size_t n_warnings, n_infos;
    PromqlStats stats;
    const PromqlPlanNode *plan; /* when asked for and evaluated */
    Arena arena;                /* owns all of the above */
} PromqlResult;

/* Never fails otherwise than through outcome and error. Caller frees. Any thread. */
PromqlResult *promql_exec(PromqlEngine *e, Storage *s, const PromqlRequest *r);
void promql_result_free(PromqlResult *r);

/* ---- queries under way. Any thread. */

/*
 * A query that has to wait for its turn is entered when it is asked: its timeout runs from then on.
 * When it is its turn, promql_query_begin() gives back `arg`; or NULL when it was refused meanwhile
 * (killed, too late, not wanted any more): then refused(arg) is called instead, once, by
 * promql_engine_watch(), and the entry is gone. Who runs it passes it to promql_exec(), or calls
 * promql_query_end() himself. The request must live until either has happened.
 */
typedef void (*PromqlRefusedFn)(void *arg, PromqlOutcome outcome, const char *error);
PromqlQuery *promql_query_enter(PromqlEngine *e, const PromqlRequest *r, PromqlRefusedFn refused,
                                void *arg);
void *promql_query_begin(PromqlQuery *q) NODISCARD;
/* Set when the query should end: killed, not wanted any more, or out of time. */
const atomic_bool *promql_query_stop(const PromqlQuery *q);
/* PROMQL_OK, or why it should end. Notes its progress for lists. */
PromqlOutcome promql_query_look(PromqlQuery *q, uint64_t bytes, uint64_t samples);
void promql_query_end(PromqlQuery *q, const char *error);

/* Refuses and stops what has to be, wherever it waits or reads. To be called every few ms while
 * promql_engine_busy(); on_busy(arg) is called, from any thread, when that begins. */
void promql_engine_watch(PromqlEngine *e);
/* Every query under way and every later one ends as cancelled. Any thread. */
void promql_engine_stop(PromqlEngine *e);
bool promql_engine_busy(PromqlEngine *e);
void promql_engine_on_busy(PromqlEngine *e, void (*on_busy)(void *arg), void *arg);

typedef struct PromqlQueryInfo {
    uint64_t id;
    Str query, client; /* the text may be cut */
    PromqlSource source;
    bool running;
    int64_t start_ms; /* when it was asked */
    double seconds;   /* since then */
    uint64_t samples, bytes;
    int64_t range_start_ms, range_end_ms, step_ms;
} PromqlQueryInfo;
/* The oldest first. False when the arena is full. */
bool promql_engine_queries(PromqlEngine *e, Arena *a, PromqlQueryInfo **ret, size_t *ret_n);
/* False when there is no such query. */
bool promql_engine_kill(PromqlEngine *e, uint64_t id);

typedef struct PromqlSlowQuery {
    Str query, last_error;
    PromqlSource source;
    uint64_t count, samples;
    double total_s, max_s;
    int64_t last_start_ms;
} PromqlSlowQuery;
/* What took the most time since the engine was made, at most `max`, the worst first. */
size_t promql_engine_slow_queries(PromqlEngine *e, Arena *a, size_t max, PromqlSlowQuery **ret);
/* query_log_file: appends to it from now on (opened anew, so that a moved file is left); an empty
 * path ends the log. -EINVAL and a Problem when it cannot be opened. */
int promql_engine_set_log(PromqlEngine *e, Str path, Problem *problem);

/* Parses and type-checks only. 0, or -EINVAL with position and text (without the "parse error"
 * lead). */
int promql_check(const PromqlEngine *e, Str query, PromqlType *ret_type, Problem *problem);
/* The same; then fn gets the query's selectors, in the order of the text, for as long as it runs.
 */
int promql_with_selectors(const PromqlEngine *e, Str query,
                          void (*fn)(void *arg, const Selector *v, size_t n), void *arg,
                          Problem *problem);
/* A problem of these functions as users see it: "1:5: parse error: ...". */
void promql_problem_print(const Problem *problem, Buf *out);
/* Tells every keyword, operator and function, and whether this engine has it switched on. */
typedef void (*PromqlFeatureFn)(void *arg, const char *part, const char *name, bool on);
void promql_features(const PromqlEngine *e, PromqlFeatureFn each, void *arg);
/* A metric selector such as match[] takes: name{a="b"}. Matchers in the arena; the caller calls
 * matcher_deinit() on each. */
int promql_parse_selector(Str text, Arena *a, Matcher **ret, size_t *ret_n, Problem *problem);
/* The upper end of the bucket with this index on the positive side; of index - 1: the lower end. */
double promql_histogram_bound(const FloatHistogram *h, int64_t at);
/* The query pretty-printed as Prometheus' format_query does. */
int promql_format(const PromqlEngine *e, Str query, Buf *out, Problem *problem);
/* Its tree as Prometheus' parse_query gives it: one JSON object. */
int promql_parse_json(const PromqlEngine *e, Str query, Buf *out, Problem *problem);
