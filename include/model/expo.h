/*
 * Reading pages of samples: Prometheus' text format 0.0.4 and 1.0.0, OpenMetrics 0.0.1 and 1.0.0,
 * and delimited protobuf messages (MetricFamily), with what Prometheus' parsers accept and refuse
 * (compared with Prometheus 3.5 page by page; one difference is wanted: blanks before a name are
 * not made part of the name). A pull parser over a body that is all in memory and stays the
 * caller's; every Str it gives points into that body, and nothing is allocated. Of protobuf, what
 * it gives is the parser's until the next call: each sample comes with the text that OpenMetrics
 * would have for it. One thread at a time a parser.
 *
 * Exporters print the same lines in the same order each time, so a caller that scrapes again should
 * remember ExpoParser.text of each sample and offer it to expo_next_expect(): one memcmp over
 * comments, name and labels, then only the number is read. Labels are not looked at before
 * expo_series_labels() asks for them. Sources: "Exposition formats" in Prometheus' documentation;
 * the OpenMetrics 1.0 specification.
 */
#pragma once

#include "base/err.h"
#include "model/labels.h"
#include "model/sample.h"

typedef enum ExpoFormat { EXPO_TEXT, EXPO_OPENMETRICS, EXPO_PROTO } ExpoFormat;

typedef enum ExpoEntry {
    EXPO_END = 0,
    EXPO_SAMPLE, /* series, value, t, exemplar */
    EXPO_TYPE,   /* family, type */
    EXPO_HELP,   /* family, help: still escaped */
    EXPO_UNIT,   /* family, unit; OpenMetrics only */
    EXPO_COMMENT /* any other line that begins with # */
} ExpoEntry;

typedef struct ExpoExemplar {
    Label *labels; /* as on the page */
    size_t n_labels;
    double value;
    int64_t t;
    bool has_t;
} ExpoExemplar;

typedef struct ExpoParser {
    ExpoFormat format;
    bool native, classic; /* protobuf: native histograms are wanted; classic buckets beside them */
    const char *at, *end, *body;
    const char *lead; /* behind the sample line before: where `text` of the next one begins */

    /* The entry read last. */
    Str series;   /* name and labels as on the line */
    Str text;     /* the lines between the sample before and this one, and the series behind */
    double value; /* NaN is always NORMAL_NAN_BITS */
    int64_t t;    /* milliseconds, if has_t */
    Str exemplar; /* "{...} value [time]", checked; STR_NULL when there is none */
    Str family;   /* without quotes, still escaped */
    Str help, unit;
    MetricType type; /* by the newest TYPE line; holds for all samples behind it */
    bool has_t;
    bool typed; /* there was a TYPE line */

    /* Protobuf only, where there are only samples. */
    const Histogram *h; /* the sample is a native histogram, this or */
    const FloatHistogram *fh;
    int64_t st; /* start (created) timestamp; 0 = none */
    const ExpoExemplar *exemplars;
    size_t n_exemplars;
    struct ExpoProto *proto;

    Problem problem; /* line, column and text after an error; of protobuf only a text */
} ExpoParser;

/* The body must stay unchanged while the parser is in use. */
void expo_init(ExpoParser *p, ExpoFormat format, Str body);
/* Needed for EXPO_PROTO only, fine for all. */
void expo_deinit(ExpoParser *p);
/* An ExpoEntry, or -EBADMSG and p->problem: the rest of the page cannot be read. */
int expo_next(ExpoParser *p);
/*
 * What a caller remembers of a sample: a copy of p->text, how many bytes of it come before the
 * series, and the type in force.
 */
typedef struct ExpoExpected {
    Str text;
    uint32_t lead;
    MetricType type;
    bool typed;
} ExpoExpected;
/*
 * expo_next() for a page like one read before. When the text from here on is as expected, all of it
 * is taken, metadata too, and the answer is EXPO_SAMPLE with *ret_hit true; else expo_next()
 * decides. Only useful directly behind a sample or at the start.
 */
int expo_next_expect(ExpoParser *p, const ExpoExpected *expected, bool *ret_hit);

/*
 * The labels of a series as the parser gave it, name included, in the order of the line and with
 * empty values and duplicates kept: labels_from_pairs() makes a label set of them. `type` is that
 * of the parser when it gave the series: bounds (le) of histograms and quantiles of summaries are
 * written as OpenMetrics does ("1" becomes "1.0"). Strings without escapes point into series, the
 * others into the arena. False for a series no parser gave, or when the arena is full.
 */
bool expo_series_labels(ExpoFormat format, MetricType type, Str series, Arena *a, Label **ret,
                        size_t *ret_n);

bool expo_exemplar(Str exemplar, Arena *a, ExpoExemplar *ret);
/* Undoes \\ \n, and \" where quotes are escaped (all but HELP of the text format). */
Str expo_unescape(Str s, bool quotes, Arena *a);

/* ---- writing, format 0.0.4 */

/* In quotes, with \\ before quotes, backslashes and ends of lines. */
void expo_write_quoted(Buf *b, Str s);
void expo_write_type(Buf *b, Str family, MetricType type);
/* name{label="value",...} value [time]; t NULL = no time. */
void expo_write_sample(Buf *b, Labels labels, double value, const int64_t *t);
