/*
 * Metrics about ourselves, in Prometheus' names. One process-wide registry. A Metric is one series,
 * updated without a lock from any thread; it lives as long as the process unless metric_remove()d.
 * Asking again for the same name and labels gives the same Metric.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

typedef struct Metric Metric;

/* labels: the text between the braces, `handler="/x",code="200"`, or NULL. Names and help are kept
 * as given (static). */
Metric *metric_counter(const char *name, const char *help, const char *labels);
Metric *metric_gauge(const char *name, const char *help, const char *labels);
/* A summary with quantiles over the last 10 minutes (quantiles may be none), and a histogram with
 * fixed upper bounds. */
Metric *metric_summary(const char *name, const char *help, const char *labels,
                       const double *quantiles, size_t n);
Metric *metric_histogram(const char *name, const char *help, const char *labels,
                         const double *bounds, size_t n);
void metric_remove(Metric *m);

void metric_add(Metric *m, double by);
static inline void metric_inc(Metric *m) { metric_add(m, 1); }
void metric_set(Metric *m, double value);
double metric_get(const Metric *m);
void metric_observe(Metric *m, double value); /* summary, histogram */

/* fn runs at the start of each gathering, to set gauges whose value is only known when asked. */
void metrics_on_gather(void (*fn)(void *arg), void *arg);
void metrics_off_gather(void (*fn)(void *arg), void *arg);
/* Text format 0.0.4 of everything, families sorted by name; only the family of `only` if that is
 * not NULL. */
void metrics_write(Buf *b, const Str *only, size_t n_only);
