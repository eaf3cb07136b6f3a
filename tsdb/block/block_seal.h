/*
 * The seal of a block's file. LMDB 0.9 has no checksums, and it trusts the pages of its trees: a
 * flipped bit in one can send it anywhere. So behind LMDB's last page the block keeps the CRC32C of
 * each page that is not just the bytes of a value (values carry their own), about 0.1 % of the
 * file, and these are checked before LMDB sees the file. docs/formats/block.md, "Seal".
 *
 *     at the end of LMDB's pages:
 *         page number u32, CRC32C of the page u32      for each tree page, rising
 *     and last, 32 bytes:
 *         0   8  "NTXBLOCK"
 *         8   4  format version
 *         12  4  number of tree pages
 *         16  8  where the list begins = size of LMDB's part
 *         24  4  CRC32C of the list
 *         28  4  CRC32C of the 28 bytes before
 *
 * Numbers are little-endian. Both functions read the file and so may block.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Appends the seal to a file that LMDB has closed, and syncs it. tree_bytes: LMDB's part. */
int block_seal_write(const char *file, uint64_t tree_bytes);
/* 0 when the file is whole: right version, right size, every tree page as it was written. Else
 * -EBADMSG (-EPROTONOSUPPORT for another version) or what the system said, and a Problem. */
int block_seal_check(const char *file, uint64_t *ret_bytes, Problem *problem);
