/*
 * Old blocks in few rows: for each series and window of time the smallest, largest and last value,
 * sum, number, and by how much a counter grew. Such a block is an ordinary one whose series carry
 * one more label, named by a NUL so that it sorts before all others, that says which of the six
 * columns it is. Native histograms have no columns: they are taken over as they are, without that
 * label. docs/formats/block.md, "Downsampled blocks".
 *
 * A window [k r, (k + 1) r) is a sample at its last millisecond in each column, if there was any
 * sample in it. Stale markers count as nothing; where one comes last the column `last` has it. The
 * increase is a counter's: what it grew since the sample before, resets known, within the block.
 */
#pragma once

#include "storage/storage.h"
#include "tsdb/block/block_writer.h"

#define DOWNSAMPLE_LABEL                                                                           \
    (Str) { "\0", 1 }

/* In the order of their names, which is the order in the block. */
typedef enum DownsampleColumn {
    COLUMN_COUNT,
    COLUMN_INCREASE,
    COLUMN_LAST,
    COLUMN_MAX,
    COLUMN_MIN,
    COLUMN_SUM,
    COLUMNS
} DownsampleColumn;
Str downsample_column_name(DownsampleColumn c);

/* Of a series of a downsampled block; COLUMNS = it has none. */
DownsampleColumn downsample_column_of(Labels l);
/* Two parts of one window. */
double downsample_join(DownsampleColumn c, double x, double y);
/* Without the label of the column. */
Labels downsample_plain_labels(Labels l);

/* Writes all series of q, which reads a block of resolution `from_ms` (0 = raw), into w. The caller
 * finishes w. No window ends behind `last`, the block's last millisecond. */
int downsample_write(Querier *q, int64_t from_ms, int64_t to_ms, int64_t last, BlockWriter *w,
                     atomic_uint_fast64_t *progress);

/*
 * A downsampled block as if it were raw. The function that will be applied chooses the column: min,
 * max, sum and count for theirs over time, `last` for plain selectors, and for rate() and its kin a
 * line through the counter's values, with a peak in a window where it was reset. Between windows
 * the samples lie as densely as the range asks for, so that a range shorter than a window gets the
 * window's value. Takes q.
 */
Querier *downsample_querier_new(Querier *q, int64_t resolution_ms, int64_t mint, int64_t maxt);
