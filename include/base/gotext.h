/*
 * Strings in Go's source form, as labels, PromQL and templates write and read them. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Adds s as strconv.Quote does, quotes included: \a \b \f \n \r \t \v \\ \", \x.. for bytes that
 * are no UTF-8 and control characters, \u.... and \U........ for what cannot be printed. */
void go_quote(Buf *b, Str s);
/*
 * The text of a literal given with its quotes: "..." and '...' (any length) with Go's escapes,
 * `...` raw. false when it is none: unknown escape, bad quote, line break inside. Adds to out; what
 * was added by then stays there on failure.
 */
bool go_unquote(Str literal, Buf *out);
/* The same for the part between the quotes, which were `quote`. */
bool go_unescape(Str inner, char quote, Buf *out);

/* Unicode classes: Go's unicode.IsPrint, and IsLetter || IsDigit || '_'. */
bool rune_is_print(uint32_t rune);
bool rune_is_word(uint32_t rune);
