/*
 * Which series the encoded bytes of a label list stand for. A bounded cache: an entry that is gone
 * only costs the decoding of the labels. Keys are two independent 64-bit hashes (XXH3 and XXH64) of
 * the bytes instead of the bytes, 24 bytes an entry: a false match needs both to collide. Any
 * thread; a mutex for each sixteenth of the entries.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "storage/storage.h"

typedef struct RemoteRefs RemoteRefs;

typedef struct RemoteKey {
    uint64_t a, b;
} RemoteKey;

RemoteRefs *remote_refs_new(void);
void remote_refs_free(RemoteRefs *r);
RemoteKey remote_refs_key(Str labels);
/* 0 when not known. */
SeriesRef remote_refs_get(RemoteRefs *r, RemoteKey key);
void remote_refs_put(RemoteRefs *r, RemoteKey key, SeriesRef ref);
