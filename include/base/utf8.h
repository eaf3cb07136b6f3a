/* UTF-8 as Go's unicode/utf8 sees it (no surrogates, no overlong forms, at most U+10FFFF). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define UTF8_ERROR 0xFFFDu

bool utf8_valid(Str s);
/* The code point at the start of s and its length; for a bad byte UTF8_ERROR and length 1; s must
 * not be empty. */
uint32_t utf8_decode(Str s, size_t *ret_size);
/* At most 4 bytes; a value that is no code point is written as U+FFFD. */
size_t utf8_encode(uint32_t rune, char dst[4]);
/* Number of code points (a bad byte counts as one). */
size_t utf8_count(Str s);
