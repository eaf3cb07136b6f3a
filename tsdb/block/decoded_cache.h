/*
 * What was decoded of a block and will be needed again soon: columns of times, which all series of
 * a target share, and values of chunks that others are differences to. One cache belongs to one
 * reader of a block (a querier, a cursor); its ceiling is in bytes, the one used longest ago goes
 * first. Any thread; entries do not change once they are in the cache, and live while somebody
 * holds them.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Serves 8192 samples of 64 chunks or columns. */
#define DECODED_BYTES_MAX (4u << 20)

typedef enum DecodedKind { DECODED_TIMES, DECODED_VALUES } DecodedKind;

typedef struct Decoded {
    atomic_uint refs;
    DecodedKind kind;
    uint64_t key;      /* column; or where the chunk lies: bundle << 32 | offset */
    int64_t low, high; /* what was asked for: times; or positions in the chunk, high exclusive */
    uint32_t first, n; /* what it holds: positions in the column or chunk */
    struct Decoded *newer, *older;
    union {
        int64_t *t;
        double *v;
    };
} Decoded;

typedef struct DecodedCache DecodedCache;

DecodedCache *decoded_cache_new(void);
void decoded_cache_free(DecodedCache *c);
/* An entry with room for n numbers, not in the cache yet; the caller's to fill and to release. */
Decoded *decoded_new(DecodedKind kind, uint64_t key, uint32_t n);
void decoded_release(Decoded *d); /* NULL is fine */
/* An entry that covers low..high, held for the caller; NULL: there is none. */
Decoded *decoded_cache_get(DecodedCache *c, DecodedKind kind, uint64_t key, int64_t low,
                           int64_t high);
/* Puts d there, instead of one with the same key; the caller keeps its own hold. */
void decoded_cache_put(DecodedCache *c, Decoded *d);
