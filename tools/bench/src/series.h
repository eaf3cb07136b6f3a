/*
 * The series that rwload sends: one layout, the same for every host, with the
 * few characters of the label set that differ from host to host patched in.
 */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include "model.h"

#include <stddef.h>
#include <stdint.h>

enum patch_kind { PATCH_HOST, PATCH_DC, PATCH_ENV, PATCH_GENERATION };

#define HOST_DIGITS 5
#define GENERATION_DIGITS 5
#define MAX_PATCHES 4

struct patch {
    enum patch_kind kind;
    uint16_t at;
};

/* Histogram buckets are sums of the counters up to and including their own. */
enum summing { SUM_NONE, SUM_FIRST, SUM_NEXT, SUM_TOTAL };

struct series {
    unsigned char *labels; /* encoded as the label fields of a TimeSeries message */
    uint16_t labels_length;
    uint8_t patch_count;
    uint8_t unscaled; /* as fast on a busy host as on an idle one */
    struct patch patches[MAX_PATCHES];
    enum summing summing;
    struct model model;
};

struct layout {
    struct series *series;
    size_t count, capacity;
};

/* A machine with its node_exporter, and a web application on it. */
void layout_hosts(struct layout *l, size_t series_per_host);

/* Nothing but many series: 50 to a metric name, some with a pod that changes. */
void layout_flat(struct layout *l, size_t series_per_host, int churn);

/* Writes the label set of one series on one host; returns its length. */
size_t write_labels(unsigned char *out, const struct series *s, unsigned host, unsigned generation);

/*
 * Values at first_age_ms, first_age_ms + step_ms, ... `sums` has room for
 * `count` values and must survive from the first to the last bucket of a
 * histogram.
 */
void series_values(const struct series *s, size_t index, unsigned host, int64_t epoch_ms,
                   int64_t first_age_ms, int64_t step_ms, size_t count, int64_t *sums,
                   double *values);

#endif
