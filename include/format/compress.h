/* The door to the compression libraries. Any thread. */
#pragma once

#include "base/buf.h"

/* Appends the snappy block form (no framing) of src to dst. 0 or -ENOMEM at dst's ceiling. */
int compress_snappy(Str src, Buf *dst);
/* Appends what a snappy block holds. -EBADMSG for bytes that are none, -ENOMEM at dst's ceiling;
 * the stated length is held against that ceiling before anything is allocated. */
int decompress_snappy(Str src, Buf *dst);
