/*
 * Prometheus' PromQL test language: scripts of `load`, `clear` and `eval` commands, run against a
 * storage in memory. Also the notation of series in them and in rule tests:
 *     name{a="b"} 1 2+3x4 _ stale {{schema:1 sum:3 count:22 buckets:[5 10 7]}}
 * Source: promqltest/README.md of Prometheus and its page on unit testing rules. One thread a run.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/labels.h"
#include "model/sample.h"
#include "promql/promql.h"

typedef struct SeriesValue {
    bool omitted;                    /* _ */
    bool hint_set;                   /* the histogram names its counter_reset_hint */
    double value;                    /* a stale marker for `stale` */
    const FloatHistogram *histogram; /* NULL: a float */
} SeriesValue;

typedef struct SeriesDesc {
    Labels labels;
    SeriesValue *values;
    size_t n;
} SeriesDesc;

/* Everything in the arena. 0, or -EINVAL and where in the text. */
int series_desc_parse(Str text, Arena *a, SeriesDesc *ret, Problem *problem);

typedef struct ScriptEval {
    const char *file;
    int line;
    Str query;
    const char *failure; /* NULL: as the script expects */
} ScriptEval;
typedef void (*ScriptReport)(void *user, const ScriptEval *e);

/*
 * Runs every eval, each instant one also as a range query and with @ on its selectors, and reports
 * it. 0; -EINVAL and a Problem for a script that cannot be read; other negatives: the storage.
 * Engine: made with every feature on.
 */
int script_run(PromqlEngine *e, const char *file, Str text, ScriptReport report, void *user,
               Problem *problem);
