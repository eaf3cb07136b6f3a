/* Native histograms over windows, for the kernels of fn_rate.c and fn_over_time.c. */
#pragma once

#include "promql/engine/native.h"
#include "promql/engine/range_window.h"

void annotate_mixed_buckets(Eval *ev, const Node *at, Labels l);
/* operation: addition, subtraction, aggregation. */
void annotate_notes(Eval *ev, const Node *at, const NativeNotes *n, const char *operation);

int native_sum_window(Eval *ev, const RangeInput *in, Column *out, size_t step, bool mean);
/* The increase of a window of two histograms or more: 1 and *ret, or 0 when there is none. */
int native_increase(Eval *ev, const RangeInput *in, size_t step, bool counter, Native *ret);
int native_rate_result(const RangeInput *in, Column *out, size_t step, Native *n, double factor);
/* irate and idelta when the last two samples are histograms. */
int native_last_two(Eval *ev, const RangeInput *in, Column *out, size_t step);
/* Resets or changes among floats [f, fend) and histograms [h, hend). */
int native_count_events(const RangeInput *in, uint32_t f, uint32_t fend, uint32_t h, uint32_t hend,
                        double *ret);
