/* The text form of native histograms in test scripts, and the cursor its readers share. */
#pragma once

#include "promql/testscript.h"

typedef struct Cursor {
    Str text;
    size_t at;
    Problem *problem; /* never NULL */
} Cursor;

/* Records the first failure with its column; returns -EINVAL. */
int cursor_fail(Cursor *c, const char *what);
bool cursor_take(Cursor *c, const char *word);
void cursor_spaces(Cursor *c);
int cursor_number(Cursor *c, double *ret);

/* {{schema:1 sum:3 count:22 buckets:[5 10 7]}} */
int histogram_desc_parse(Cursor *c, Arena *a, const FloatHistogram **ret, bool *ret_hint_set);
/* *h = *h + sign * step, a new histogram; both as the parser makes them: one span a side. */
int histogram_desc_add(Cursor *c, Arena *a, const FloatHistogram **h, const FloatHistogram *step,
                       int sign);
void histogram_desc_print(const FloatHistogram *h, Buf *out);
