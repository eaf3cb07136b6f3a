/*
 * Pages of delimited io.prometheus.client.MetricFamily messages, read behind ExpoParser. Each
 * sample gets a text as OpenMetrics would have it (comments of its family, name, labels), so that
 * whoever remembers series by their text need not know that there was none. Internal to src/model.
 */
#pragma once

#include "base/vec.h"
#include "format/protowire.h"
#include "model/expo.h"

/* One sample of a metric. */
typedef struct ProtoRow {
    const char *suffix; /* behind the family's name */
    const char *label;  /* le, quantile, or NULL */
    double bound;       /* its value */
    double value;       /* unless native */
    bool native;
    uint32_t exemplar, n_exemplars; /* which of the metric's */
} ProtoRow;

typedef struct ProtoHistogram {
    bool is_float;
    double count, sum, zero_count_float, zero_threshold;
    uint64_t count_int, zero_count_int;
    int32_t schema;
    VEC(BucketSpan) positive_spans;
    VEC(BucketSpan) negative_spans;
    VEC(int64_t) positive;
    VEC(int64_t) negative;
    VEC(double) positive_counts;
    VEC(double) negative_counts;
    Histogram h; /* filled when native, or */
    FloatHistogram fh;
} ProtoHistogram;

struct ExpoProto {
    ProtoReader body;
    /* The family at hand. */
    ProtoReader metrics;
    Str name, help, unit;
    MetricType type;
    bool in_family;
    /* The metric at hand. */
    VEC(ProtoRow) rows;
    size_t at;
    VEC(ExpoExemplar) exemplars;
    ProtoHistogram histogram;
    int64_t t, st;
    Buf lead, labels, text;
    Arena arena; /* of the metric */
};

/* Rows of a histogram. False: the message does not decode. */
bool expo_proto_histogram(const ExpoParser *p, struct ExpoProto *s, Str message);
bool expo_proto_exemplar(struct ExpoProto *s, Str message);
bool expo_proto_time(Str message, int64_t *ret_ms);
void expo_proto_histogram_deinit(ProtoHistogram *h);
