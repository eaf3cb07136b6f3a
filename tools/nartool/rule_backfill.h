/*
 * Recording rules over a time that has gone by: a server is asked for range queries of their
 * expressions, block by block, and the answers become blocks. As promtool's create-blocks-from
 * rules: only recording rules, only floats.
 */
#pragma once

#include "nartool/tsdb_folder.h"

typedef struct RuleBackfill {
    Str url;
    const char *dir;
    int64_t start_ms, end_ms; /* INT64_MIN: three hours ago, so that no block reaches into a head */
    int64_t step_ms;          /* of groups without an interval */
    bool readable, quiet;
} RuleBackfill;

/* The words of a are rule files. An exit code; what is wrong is told. */
int rule_backfill_run(RuleBackfill *b, const Args *a);
