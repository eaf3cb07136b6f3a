/* Alerts and samples of rule tests: compared, and printed as promtool prints them. One thread. */
#pragma once

#include "base/vec.h"
#include "format/json.h"
#include "model/labels.h"
#include "model/sample.h"

typedef struct ListedAlert {
    Labels labels, annotations;
} ListedAlert;

typedef struct AlertList {
    VEC(ListedAlert) list;
} AlertList;

/* Copies both into the arena. */
void alert_list_add(AlertList *l, Arena *a, Labels labels, Labels annotations);
void alert_list_deinit(AlertList *l);
void alert_list_sort(AlertList *l);
bool alert_list_eq(const AlertList *a, const AlertList *b);
void alert_list_print(const AlertList *l, Buf *b);
/* What is only expected with "-", what only came with "+". */
void alert_list_print_diff(const AlertList *want, const AlertList *got, Buf *b);

typedef struct ListedSample {
    Labels labels; /* borrowed, as the histogram */
    double value;
    const FloatHistogram *histogram; /* NULL: a float */
} ListedSample;

typedef struct SampleList {
    VEC(ListedSample) list;
} SampleList;

void sample_list_add(SampleList *l, Labels labels, double value, const FloatHistogram *h);
void sample_list_deinit(SampleList *l);
void sample_list_sort(SampleList *l);
/* Values must be the same, NaN being one; fuzzy: or neighbours. */
bool sample_list_eq(const SampleList *a, const SampleList *b, bool fuzzy);
/* One line, "nil" when empty; or a line each. */
void sample_list_print(const SampleList *l, Buf *b);
void sample_list_print_lines(const SampleList *l, Buf *b);
