/* Numbers of Prometheus' block format (tsdb/docs/format/ of that project): all big-endian. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define PROM_INDEX_MAGIC 0xBAAAD700u
#define PROM_INDEX_VERSION 2
#define PROM_INDEX_TOC_SIZE (6 * 8 + 4)
#define PROM_SERIES_ALIGN 16
#define PROM_CHUNKS_MAGIC 0x85BD40DDu
#define PROM_CHUNKS_VERSION 1
#define PROM_CHUNKS_HEADER 8
#define PROM_SEGMENT_BYTES (512u << 20)
#define PROM_TOMBSTONES_MAGIC 0x0130BA30u
#define PROM_TOMBSTONES_VERSION 1
#define PROM_META_VERSION 1

static inline uint32_t prom_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return be32toh(v);
}
static inline uint64_t prom_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return be64toh(v);
}
static inline void prom_add_u32(Buf *b, uint32_t v) {
    v = htobe32(v);
    buf_add(b, &v, 4);
}
static inline void prom_add_u64(Buf *b, uint64_t v) {
    v = htobe64(v);
    buf_add(b, &v, 8);
}
