/*
 * Writes a block in Prometheus' own format (prom_block.h), which Prometheus, promtool and Thanos
 * open. Order of calls as for our own blocks (tsdb/block/block_writer.h): symbols of all series,
 * then each series in label order with its samples in rising time, then finish. The folder appears
 * under its name by one rename after fsync. Memory: the symbols, and 12 bytes a label pair of each
 * series. One thread.
 */
#pragma once

#include "model/labels.h"
#include "tsdb/block/block_id.h"
#include "tsdb/codec/histogram_chunk.h"

typedef struct PromBlockWriter PromBlockWriter;

enum { PROM_BLOCK_EMPTY = 1 };

/* The block's range is [min_time, max_time); dir exists. */
int prom_block_writer_new(const char *dir, int64_t min_time, int64_t max_time,
                          PromBlockWriter **ret);
/* Removes what was written unless it was finished. NULL is fine. */
void prom_block_writer_free(PromBlockWriter *w);

void prom_block_writer_symbols(PromBlockWriter *w, Labels l);
/* -EINVAL when it is not greater than the one before. A series without samples is left out. */
int prom_block_writer_series(PromBlockWriter *w, Labels l);
/* Any number, rising over all calls of a series, inside the range, else -EINVAL. */
int prom_block_writer_samples(PromBlockWriter *w, const int64_t *t, const double *v, size_t n);
/* Floats and histograms of both kinds may follow each other. */
int prom_block_writer_histogram(PromBlockWriter *w, const HistogramSample *s);
/* PROM_BLOCK_EMPTY: no sample, no block. Bytes of index and chunks to *ret_bytes unless NULL. */
int prom_block_writer_finish(PromBlockWriter *w, char ret_id[BLOCK_ID_SIZE], uint64_t *ret_bytes);
