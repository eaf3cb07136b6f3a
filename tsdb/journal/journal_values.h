/*
 * Values as the journal writes them: by how they differ from what the series had last. Writer and
 * reader keep the same predictor a series, 16 bytes, in tables that begin empty together.
 * docs/formats/journal.md draws the codes.
 *
 * A predictor works on the value as a whole number m, the value being m / 10^digits. The next m is
 * expected to be the last one, or the last one plus the last step, whichever served better of late.
 * Values that are no short decimals are told by their bits XOR the last ones.
 *
 * Encoding costs 5 to 10 ns, decoding 3. Not for several threads, but threads may share a table
 * when their slots are of different pages.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct JournalPredictor {
    int64_t m;     /* whole number, or bits of the value */
    int32_t step;  /* last difference; 0 when it is too large */
    uint8_t mode;  /* 0: nothing known; digits + 1; VALUE_BITS */
    int8_t steady; /* > 0: the step repeats */
} JournalPredictor;
_Static_assert(sizeof(JournalPredictor) == 16, "one a series");

#define JOURNAL_VALUE_BYTES_MAX 12

/* Writes at most JOURNAL_VALUE_BYTES_MAX bytes, but may touch 8 more; returns how many. */
size_t journal_value_put(uint8_t *dst, JournalPredictor *p, double v);
/* False: bytes that are no value here. */
bool journal_value_get(const uint8_t **at, const uint8_t *end, JournalPredictor *p, double *ret);
/* Passes over a value of a series that is somebody else's. */
bool journal_value_skip(const uint8_t **at, const uint8_t *end);

/* Slots of a page are neighbours. */
#define JOURNAL_PAGE_SLOTS 4096
#define JOURNAL_PAGES (UINT32_MAX / JOURNAL_PAGE_SLOTS + 1)

typedef struct JournalPredictors {
    JournalPredictor **pages; /* JOURNAL_PAGES of them, mostly untouched memory */
    atomic_uint n;            /* none behind these */
} JournalPredictors;

void journal_predictors_init(JournalPredictors *t);
void journal_predictors_deinit(JournalPredictors *t);
/* Nothing is known any more. */
void journal_predictors_reset(JournalPredictors *t);
JournalPredictor *journal_predictors_page(JournalPredictors *t, uint32_t page);
static inline JournalPredictor *journal_predictor(JournalPredictors *t, uint32_t slot) {
    JournalPredictor *page = t->pages[slot / JOURNAL_PAGE_SLOTS];
    if (__builtin_expect(!page, 0)) {
        page = journal_predictors_page(t, slot / JOURNAL_PAGE_SLOTS);
    }
    return &page[slot % JOURNAL_PAGE_SLOTS];
}
