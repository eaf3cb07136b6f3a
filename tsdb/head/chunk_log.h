/*
 * Where the head puts full chunks: append-only files in a folder, written and read through a shared
 * mapping, so that memory holds them only as long as the system finds room. The files are no record
 * of anything: the journal brings their content back, and opening removes what an earlier process
 * left. When the disk has no room a file's place is taken by anonymous memory.
 *
 * Chunks of a series form a list from the newest back, linked in the files. Chunks are immutable
 * once put. Any thread; chunk_log_trim() only when no reader older than the trim is left.
 */
#pragma once

#include "base/err.h"
#include "tsdb/codec/chunk.h"

typedef struct ChunkLog ChunkLog;

/* Which chunk; 0 = none. */
typedef uint64_t ChunkLogRef;

int chunk_log_open(const char *dir, ChunkLog **ret);
/* Removes the files. */
void chunk_log_close(ChunkLog *l);

ChunkLogRef chunk_log_put(ChunkLog *l, ChunkLogRef previous, const Chunk *c);
/* Times only, without looking at the data. False: ref is 0 or was trimmed. */
typedef struct ChunkLogEntry {
    ChunkLogRef previous;
    int64_t min_time, max_time;
} ChunkLogEntry;
bool chunk_log_entry(const ChunkLog *l, ChunkLogRef ref, ChunkLogEntry *ret);
/* With data, in the mapping; -EBADMSG when the checksum does not fit. */
int chunk_log_get(const ChunkLog *l, ChunkLogRef ref, Chunk *ret);

/* Removes files whose chunks all end before mint. */
void chunk_log_trim(ChunkLog *l, int64_t mint);
uint64_t chunk_log_bytes(const ChunkLog *l);
uint64_t chunk_log_chunks(const ChunkLog *l);
