/*
 * What the process tells about its queries, in Prometheus' names. Updated without a lock by every
 * query; process-wide, as all metrics are.
 */
#pragma once

#include "promql/promql.h"

void engine_metrics_begin(void);
/* Once a query, after its statistics are final. */
void engine_metrics_end(const PromqlStats *s);
void engine_metrics_log_enabled(bool on);
void engine_metrics_log_failed(void);
