/*
 * The numbers of the block's file, for its writer and its reader; docs/formats/block.md tells what
 * they mean and is changed with them.
 */
#pragma once

#include <endian.h>

#include "base/crc32c.h"
#include "base/str.h"

#define BLOCK_FORMAT_VERSION 1
#define BLOCK_FILE "block.mdb"
#define BLOCK_TMP_CREATION ".tmp-for-creation"
#define BLOCK_TMP_DELETION ".tmp-for-deletion"

#define BLOCK_TABLES                                                                               \
    { "meta", "symbols", "series", "postings", "chunks", "stats", "tombstones", "times" }
enum {
    TABLE_META,
    TABLE_SYMBOLS,
    TABLE_SERIES,
    TABLE_POSTINGS,
    TABLE_CHUNKS,
    TABLE_STATS,
    TABLE_TOMBSTONES,
    TABLE_TIMES,
    TABLE_COUNT
};

/* Every value begins with the CRC32C of its key and of what follows. */
#define VALUE_CRC_BYTES 4

static inline uint32_t block_value_crc(Str key, const void *payload, size_t size) {
    return crc32c(crc32c(0, key.p, key.n), payload, size);
}

/* Numbered values have their number as key, big-endian so that LMDB's order is the number's. */
static inline Str block_number_key(uint32_t number, char buf[4]) {
    uint32_t be = htobe32(number);
    memcpy(buf, &be, sizeof(be));
    return (Str){buf, sizeof(be)};
}
static inline Str block_pair_key(uint32_t name, uint32_t value, char buf[8]) {
    block_number_key(name, buf);
    block_number_key(value, buf + 4);
    return (Str){buf, 8};
}
static inline uint32_t block_read_be32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}
static inline uint32_t block_read_le32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

/* Strings a value of the table symbols, records a value of the table series; an offset for each
 * SERIES_STRIDE-th record. */
#define SYMBOLS_PER_PAGE 1024
#define SERIES_PER_PAGE 256
#define SERIES_STRIDE 16
/* Form of the series records. In form 2 the labels of all but the first of a stride may be told by
 * what differs from the first's. Form 1 has no key !records. */
#define RECORDS_FORM 2
#define RECORD_SHARED_LABELS_MAX 64
/* Columns of times a value of the table times. */
#define TIMES_PER_PAGE 64

/*
 * Bundles fill whole LMDB pages. From BUNDLE_CLOSE_MIN on one is closed as soon as what it leaves
 * unused in its last page is at most a hundredth of it, and at the latest at BUNDLE_BYTES_MAX. With
 * chunks of usual size that comes soon; longer ones need a few tries more.
 */
#define BUNDLE_CLOSE_MIN (12 * 4096)
#define BUNDLE_CLOSE_SHARE 100
#define BUNDLE_BYTES_MAX (64 * 4096 - 16)
/* First byte of a bundle: how the rest is kept. */
#define BUNDLE_PLAIN 0
#define BUNDLE_HEADER (VALUE_CRC_BYTES + 1)

/* A chunk's byte in the series record: its encoding, whether its times are a column of the table
 * times, and whether it is the first of a new bundle. */
#define CHUNK_ENCODING 0x3f
#define CHUNK_SHARED_TIMES 0x40
#define CHUNK_NEXT_BUNDLE 0x80

/* How many links a reader follows from a chunk to the one whose values it needs. */
#define LINKS_MAX 8

/* Meta keys that begin so must be understood, others may be skipped. */
#define META_REQUIRED '!'
#define META_BLOCK STR("!block")
#define META_ENCODINGS STR("!encodings")
#define META_RECORDS STR("!records")
#define META_PARENTS STR("parents")
#define META_RESOLUTION STR("!resolution") /* ms, u64; of a downsampled block */

#define STATS_LABELS STR("labels")
#define STATS_METRICS STR("metrics")
#define STATS_PAIRS STR("pairs")
#define STATS_TOP 1000
