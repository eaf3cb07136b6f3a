/*
 * Prometheus durations and sizes. "1h30m": integers with units y w d h m s ms, in this order, each
 * at most once, or "0". Kept in milliseconds. Sizes: 512MB, 1GiB ... powers of 1024.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Also accepts Go's "1m0s". Never negative. */
int duration_parse(Str s, int64_t *ret_ms, Problem *problem);
/* 0s, 1d, 1h30m, 250ms: years and weeks only when they divide exactly. */
void duration_format(Buf *b, int64_t ms);
int size_parse(Str s, uint64_t *ret_bytes, Problem *problem);
void size_format(Buf *b, uint64_t bytes);
/* RFC3339 with optional fraction, or float unix seconds; the API's time parameter. */
int time_parse(Str s, int64_t *ret_ms, Problem *problem);
/* 2026-01-02T03:04:05.678Z; nanosecond form of Go's RFC3339Nano without trailing zeros. */
void time_format_rfc3339(Buf *b, int64_t ms);
