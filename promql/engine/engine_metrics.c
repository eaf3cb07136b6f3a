#include "promql/engine/engine_metrics.h"

#include <pthread.h>

#include "base/metrics.h"

typedef enum Slice { SLICE_QUEUE, SLICE_PREPARE, SLICE_INNER_EVAL, SLICE_SORT, SLICES } Slice;

static struct {
    Metric *running, *samples, *log_enabled, *log_failures, *duration[SLICES];
} metrics;

static void make(void) {
    static const char *const slices[] = {[SLICE_QUEUE] = "slice=\"queue_time\"",
                                         [SLICE_PREPARE] = "slice=\"prepare_time\"",
                                         [SLICE_INNER_EVAL] = "slice=\"inner_eval\"",
                                         [SLICE_SORT] = "slice=\"result_sort\""};
    static const double quantiles[] = {0.5, 0.9, 0.99};
    metrics.running =
        metric_gauge("prometheus_engine_queries",
                     "The current number of queries being executed or waiting.", NULL);
    metrics.samples = metric_counter("prometheus_engine_query_samples_total",
                                     "The total number of samples loaded by all queries.", NULL);
    metrics.log_enabled =
        metric_gauge("prometheus_engine_query_log_enabled", "State of the query log.", NULL);
    metrics.log_failures = metric_counter("prometheus_engine_query_log_failures_total",
                                          "The number of query log failures.", NULL);
    for (int i = 0; i < SLICES; i++) {
        metrics.duration[i] =
            metric_summary("prometheus_engine_query_duration_seconds", "Query timings.", slices[i],
                           quantiles, ARRAY_LEN(quantiles));
    }
}

static void make_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make);
}

void engine_metrics_begin(void) {
    make_once();
    metric_inc(metrics.running);
}

void engine_metrics_end(const PromqlStats *s) {
    metric_add(metrics.running, -1);
    metric_add(metrics.samples, (double)s->total_samples);
    metric_observe(metrics.duration[SLICE_QUEUE], s->queue_s);
    metric_observe(metrics.duration[SLICE_PREPARE], s->preparation_s);
    metric_observe(metrics.duration[SLICE_INNER_EVAL], s->inner_eval_s);
    metric_observe(metrics.duration[SLICE_SORT], s->result_sort_s);
}

void engine_metrics_log_enabled(bool on) {
    make_once();
    metric_set(metrics.log_enabled, on);
}

void engine_metrics_log_failed(void) {
    make_once();
    metric_inc(metrics.log_failures);
}
