/*
 * Where the head puts full chunks: append-only files in a folder, written and read through a shared
 * mapping, so that memory holds them only as long as the system finds room. They outlive the
 * process: chunk_log_recover() finds again what they hold, so that the journal is only read for
 * what is behind. When the disk has no room a file's place is taken by anonymous memory.
 *
 * Chunks of a series form a list from the newest back, linked in the files. Chunks are immutable
 * once put. Any thread; chunk_log_trim() only when no reader older than the trim is left.
 * docs/formats/head_chunks.md draws the files.
 */
#pragma once

#include "base/err.h"
#include "tsdb/codec/chunk.h"

typedef struct ChunkLog ChunkLog;

/* Which chunk; 0 = none. */
typedef uint64_t ChunkLogRef;

/* Makes the folder if need be. Files of an earlier process stay as they are; none of their chunks
 * is known before chunk_log_recover(). */
int chunk_log_open(const char *dir, ChunkLog **ret);
void chunk_log_close(ChunkLog *l);

/* Whose a chunk is: the series' slot and its labels' hash, as slots are given out again. */
typedef struct ChunkLogOwner {
    uint32_t slot, hash;
} ChunkLogOwner;

typedef struct ChunkLogFound {
    ChunkLogRef ref, previous;
    bool first; /* nothing that is still there comes before it */
    ChunkLogOwner owner;
    int64_t min_time, max_time;
    uint16_t n;
    uint8_t encoding;
} ChunkLogFound;
/*
 * Calls found() for each chunk of an earlier process whose checksum fits, each series' in order.
 * Only before the first put. A file that cannot be read is left out and a warning logged.
 */
int chunk_log_recover(ChunkLog *l, void (*found)(void *arg, const ChunkLogFound *f), void *arg);
/* What is put is on disk afterwards. False: some of it is not, or is in memory only. */
bool chunk_log_sync(ChunkLog *l);

ChunkLogRef chunk_log_put(ChunkLog *l, ChunkLogOwner owner, ChunkLogRef previous, const Chunk *c);
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
