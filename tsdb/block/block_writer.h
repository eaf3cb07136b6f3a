/*
 * Writes one block: a folder <dir>/<id>/ with one LMDB file (docs/formats/block.md). Everything is
 * written into <dir>/<id>.tmp-for-creation/ and becomes visible by one rename, after fsync; a crash
 * leaves at most that folder, which the next start removes.
 *
 * Order of calls: symbols of all series, in any order, repeats allowed; then for each series in
 * label order block_writer_series() and its samples in rising time, as chunks or plain; then
 * finish. Memory: the symbols, packed postings (about a byte or two a label pair of a series), and
 * fixed buffers; samples stream through. One thread at a time.
 *
 *     BlockWriter *w;
 *     r = block_writer_new(&(BlockWriterOptions){.dir = dir, .min_time = t0, .max_time = t1}, &w);
 *     for (each series) block_writer_symbols(w, labels);
 *     for (each series in label order) {
 *         r = block_writer_series(w, labels);
 *         for (each chunk) r = block_writer_chunk(w, &chunk);
 *     }
 *     r = block_writer_finish(w, id);   // r == BLOCK_EMPTY: no samples, no block
 *     block_writer_free(w);             // also the way to give up
 */
#pragma once

#include <stdatomic.h>

#include "model/labels.h"
#include "tsdb/block/block_id.h"
#include "tsdb/codec/histogram_chunk.h"

/* Most of a day at 15 s, so that index and heads of chunks weigh nothing. A narrow query decodes a
 * part only, chunk_decode_range(). */
#define BLOCK_CHUNK_SAMPLES 4096

enum { BLOCK_EMPTY = 1 };

typedef struct BlockWriterOptions {
    const char *dir; /* the folder of all blocks; exists */
    int64_t min_time,
        max_time; /* the block's range, max_time exclusive; samples outside: -ERANGE */
    int level;    /* 1 = cut from the head; a compaction's is one more */
    /* Blocks this one replaces (BLOCK_ID_SIZE each); after a crash between the rename and their
     * deletion the reader of the folder sees by it that they are obsolete. Borrowed until finish.
     */
    const char (*parents)[BLOCK_ID_SIZE];
    size_t n_parents;
    int64_t resolution_ms;     /* of a downsampled block, else 0 */
    uint32_t chunk_samples;    /* samples a chunk, half as many more in the last; 0 =
                                  BLOCK_CHUNK_SAMPLES */
    const atomic_bool *cancel; /* stop soon with -ECANCELED; may be NULL */
} BlockWriterOptions;

typedef struct BlockWriter BlockWriter;

int block_writer_new(const BlockWriterOptions *o, BlockWriter **ret);
/* Removes what was written unless it was finished. NULL is fine. */
void block_writer_free(BlockWriter *w);

void block_writer_symbol(BlockWriter *w, Str s);
void block_writer_symbols(BlockWriter *w, Labels l);
/*
 * Begins the next series; greater than the one before by labels_cmp(), else -EINVAL. A series that
 * gets no samples is left out.
 */
int block_writer_series(BlockWriter *w, Labels l);
/* Times rise within a series, over all calls, else -EINVAL. Chunks are taken apart and written anew
 * without their times, which the block keeps once for all series of a target. -EBADMSG when the
 * chunk does not decode. */
int block_writer_chunk(BlockWriter *w, const Chunk *c);
int block_writer_samples(BlockWriter *w, const int64_t *t, const double *v, size_t n);
/* A histogram; floats and histograms of both kinds may follow each other. Chunks of histograms that
 * come by block_writer_chunk() are taken over as they are. */
int block_writer_histogram(BlockWriter *w, const HistogramSample *s);
/*
 * Syncs and renames; from then on the block is there under ret_id. BLOCK_EMPTY: there was no
 * sample, nothing was made. The writer can only be freed after it.
 */
int block_writer_finish(BlockWriter *w, char ret_id[BLOCK_ID_SIZE]);

/* Removes folders that a crashed writer or deleter left in dir. */
int block_writer_clean(const char *dir);
