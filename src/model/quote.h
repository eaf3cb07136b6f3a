/* Label values as Go's strconv.Quote() writes them. */
#pragma once

#include "base/buf.h"

void label_quote(Buf *b, Str s);
