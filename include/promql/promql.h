/*
 * The query engine: text in, values out, inside limits. One engine a process; queries run on the
 * threads that call promql_exec() (the caller's pool bounds how many). Results live in their own
 * memory until freed.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "model/labels.h"
#include "model/sample.h"
#include "storage/storage.h"

typedef struct PromqlEngine PromqlEngine;

typedef struct PromqlOptions {
    int64_t lookback_ms;      /* 0 = 5 min */
    int64_t timeout_ms;       /* 0 = 2 min */
    uint64_t samples_max;     /* 0 = 50,000,000 */
    uint64_t query_bytes_max; /* memory of one query; 0 = 4 GiB */
    unsigned threads; /* that evaluate at a time, before queries get no helpers; 0 = one a query */
    uint64_t split_work_min;  /* samples that are worth a helper; 0 = 40,000 */
    int64_t subquery_step_ms; /* default step of subqueries (evaluation_interval); 0 = 1 min; may
                                 change on reload */
    bool experimental_functions, duration_expr, delayed_name_removal, fill_modifiers,
        extended_selectors, per_step_stats, type_and_unit_labels, start_timestamps;
} PromqlOptions;

PromqlEngine *promql_engine_new(const PromqlOptions *o);
void promql_engine_free(PromqlEngine *e);
void promql_engine_set_subquery_step(PromqlEngine *e, int64_t step_ms); /* any thread */

typedef struct PromqlRequest {
    Str query;
    int64_t start_ms, end_ms;
    int64_t step_ms;           /* 0 = instant query at start_ms (== end_ms) */
    int64_t lookback_ms;       /* 0 = engine's */
    int64_t timeout_ms;        /* 0 = engine's; can only lower it */
    const atomic_bool *cancel; /* may be NULL */
    int64_t queued_ns;         /* clock_mono_ns() when it was asked; 0 = just now */
    bool per_step_stats;
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
} PromqlStats;

typedef enum PromqlOutcome {
    PROMQL_OK = 0,
    PROMQL_BAD_DATA,  /* does not parse or type-check */
    PROMQL_EXECUTION, /* engine error: matching, limits, storage of the query */
    PROMQL_TIMEOUT,
    PROMQL_CANCELED,
    PROMQL_INTERNAL, /* storage failed */
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
    Arena arena; /* owns all of the above */
} PromqlResult;

/* Never fails otherwise than through outcome and error. Caller frees. Any thread. */
PromqlResult *promql_exec(PromqlEngine *e, Storage *s, const PromqlRequest *r);
void promql_result_free(PromqlResult *r);

/* Parses and type-checks only. 0, or -EINVAL with position and text (without the "parse error"
 * lead). */
int promql_check(const PromqlEngine *e, Str query, PromqlType *ret_type, Problem *problem);
/* The same, telling whether the query selects any series at all. */
int promql_selects(const PromqlEngine *e, Str query, bool *ret, Problem *problem);
/* A problem of these functions as users see it: "1:5: parse error: ...". */
void promql_problem_print(const Problem *problem, Buf *out);
/* A metric selector such as match[] takes: name{a="b"}. Matchers in the arena; the caller calls
 * matcher_deinit() on each. */
int promql_parse_selector(Str text, Arena *a, Matcher **ret, size_t *ret_n, Problem *problem);
/* The upper end of the bucket with this index on the positive side; of index - 1: the lower end. */
double promql_histogram_bound(const FloatHistogram *h, int64_t at);
/* The query pretty-printed as Prometheus' format_query does. */
int promql_format(const PromqlEngine *e, Str query, Buf *out, Problem *problem);
