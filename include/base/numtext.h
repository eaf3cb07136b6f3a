/*
 * Numbers to text and back, by C++17 to_chars/from_chars (shortest digits that round-trip, no
 * locale). Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * Go's strconv.ParseFloat(s, 64) for decimal text: Inf, +Inf, infinity, NaN in any case (NaN is the
 * canonical 0x7ff8000000000001), exponents; no surrounding space. A magnitude out of range gives
 * ±Inf and false. number_parse_go also takes what only Go's full syntax has: hex floats and
 * underscores between digits.
 */
bool number_parse(Str s, double *ret);
bool number_parse_go(Str s, double *ret);
bool int_parse(Str s, int64_t *ret);
bool uint_parse(Str s, uint64_t *ret);

/* FormatFloat(f, 'f', -1, 64): plain decimals, "NaN", "+Inf", "-Inf". */
void number_format_plain(Buf *b, double v);
/* The JSON API's form: plain, but exponent form when abs < 1e-6 or >= 1e21 (and not 0). */
void number_format_json(Buf *b, double v);
/* FormatFloat(f, 'g', -1, 64), which is also fmt's %v: exponent form when the decimal exponent is
 * < -4 or >= 6 (1e+06, but 123456). */
void number_format_g(Buf *b, double v);
/* FormatFloat(f, 'e', -1, 64): 1e+00. */
void number_format_e(Buf *b, double v);
/* C's / Go's %.{precision}g. */
void number_format_precision(Buf *b, double v, int precision);
/* Milliseconds as seconds: whole, or with three fraction digits (1.500). */
void time_format_seconds(Buf *b, int64_t ms);
