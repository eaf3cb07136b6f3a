/* Native histograms over windows, for the kernels of fn_rate.c and fn_over_time.c. */
#pragma once

#include "promql/engine/native.h"
#include "promql/engine/range_window.h"

void annotate_mixed_buckets(Eval *ev, const Node *at, Labels l);
/* operation: addition, subtraction, aggregation. */
void annotate_notes(Eval *ev, const Node *at, const NativeNotes *n, const char *operation);

/* wanted: counter, gauge. */
void annotate_wrong_kind(Eval *ev, const RangeInput *in, const char *wanted);
int native_set(const RangeInput *in, Column *out, size_t step, const Native *n);

int native_sum_window(Eval *ev, const RangeInput *in, Column *out, size_t step, bool mean);
/* The increase of a window of two histograms or more: 1 and *ret, or 0 when there is none. */
int native_increase(Eval *ev, const RangeInput *in, size_t step, bool counter, Native *ret);
/* Adds the window's first histogram: its counter began with nothing inside the window. 1 or 0. */
int native_add_first(Eval *ev, const RangeInput *in, size_t step, Native *n);
int native_rate_result(const RangeInput *in, Column *out, size_t step, Native *n, double factor);
/* native_extended.c: anchored and smoothed windows, smoothed instant selectors. */
int native_extended_rate(Eval *ev, const RangeInput *in, Column *out, size_t step);
int native_smoothed_at(Eval *ev, const RangeInput *in, Column *out, size_t step);
/* irate and idelta when the last two samples are histograms. */
int native_last_two(Eval *ev, const RangeInput *in, Column *out, size_t step);
/* Resets or changes among floats [f, fend) and histograms [h, hend). */
int native_count_events(const RangeInput *in, uint32_t f, uint32_t fend, uint32_t h, uint32_t hend,
                        double *ret);
