/*
 * What the parsers of the two line formats share: character classes, strings, label lists, numbers
 * and errors. Internal to src/model.
 */
#pragma once

#include "model/expo.h"

typedef enum PairKind { PAIR_LABEL, PAIR_METRIC, PAIR_END, PAIR_BAD } PairKind;

/* Walks what stands between braces; starts behind the opening one. */
typedef struct PairScan {
    const char *at, *end;
    bool strict;        /* OpenMetrics: no blanks, commas needed */
    bool exemplar;      /* no metric name inside, no line break in names */
    const char *wanted; /* after PAIR_BAD: what should stand at `at` */
} PairScan;

/* PAIR_LABEL: name and value without quotes, still escaped. PAIR_METRIC: a quoted metric name in
 * `name`. PAIR_END: `at` is behind the closing brace. */
PairKind pair_next(PairScan *s, Str *name, Str *value);

static inline bool expo_is_letter(char c) {
    return (unsigned char)((c | 0x20) - 'a') < 26 || c == '_';
}
static inline bool expo_is_digit(char c) { return (unsigned char)(c - '0') < 10; }
static inline const char *expo_skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return at;
}
/* Behind a metric name at `at`, or `at` when there is none. */
const char *expo_metric_name_end(const char *at, const char *end);
/* Behind the closing quote of the string that opens at `at`, NULL if it is not closed. */
const char *expo_string_end(const char *at, const char *end, bool one_line);

/*
 * The number at `at`, when it is a plain decimal that a double holds exactly enough and that ends
 * before a blank or the end of the line: returns where, else NULL and the slow way must be gone.
 */
const char *expo_short_number(const char *at, const char *end, double *ret);
/* What Prometheus takes for a number: no hex, no underscores. NaN is made the ordinary one. */
bool expo_number(Str s, double *ret);

/* -EBADMSG; sets p->problem with the position of `at` and what stands there. */
int expo_wanted(ExpoParser *p, const char *at, const char *wanted);
int expo_bad(ExpoParser *p, const char *at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Name and labels at p->at become p->series; p->at moves behind them. */
int expo_scan_series(ExpoParser *p);
/* Value, time and exemplar behind the series, and the end of the line. */
int expo_text_rest(ExpoParser *p);
int expo_om_rest(ExpoParser *p);
/* The next entry of each format; p->at is at the start of a line. */
int expo_text_entry(ExpoParser *p);
int expo_om_entry(ExpoParser *p);
/* A sample at once. */
int expo_proto_entry(ExpoParser *p);
void expo_proto_begin(ExpoParser *p);
void expo_proto_end(ExpoParser *p);
