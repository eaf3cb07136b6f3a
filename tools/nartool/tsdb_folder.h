/* What the tsdb commands share: the folder's name, flags of time and selection, tables of blocks.
 */
#pragma once

#include <stdatomic.h>

#include "nartool/nartool.h"
#include "nartool/progress.h"
#include "tsdb/transfer.h"

/* Set by SIGINT: a transfer stops and leaves nothing half. */
extern atomic_bool interrupted;
void watch_interrupt(void);

typedef struct Selection {
    int64_t min_time, max_time; /* closed */
    TsdbSelector *sets;
    size_t n_sets;
    Arena arena;
} Selection;

/* --min-time, --max-time (ms, or as the query commands take times), --match... False: told. */
bool take_selection(Args *a, Selection *ret);
void selection_deinit(Selection *s);
/* --name=TIME in milliseconds since 1970, as RFC3339, or relative: -30d. */
bool take_time_ms(Args *a, const char *name, int64_t otherwise, int64_t *ret);
/* --name=DURATION. */
bool take_duration(Args *a, const char *name, int64_t otherwise, int64_t *ret);

/* The multiple of range_ms at or before t, which blocks begin at. */
int64_t range_start(int64_t t, int64_t range_ms);

/* The database of a stopped server or a snapshot; NULL and told. */
Tsdb *open_database(const char *dir);
/* Problems of blocks that do not open, to standard error. */
void tell_bad_block(void *count, const Problem *p);
/* A heading, then a row for each block; `readable`: times and sizes for people. */
void print_block_head(bool readable);
void print_block(const TsdbBlockInfo *b, bool readable);
void print_report(const TransferReport *r, bool readable);
