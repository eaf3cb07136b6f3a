/*
 * What a target's page looked like last time. Exporters print the same lines in the same order, so
 * line i is remembered as its text (comments above it, name and labels) and the series it went to:
 * the next time one memcmp recognises it. All texts lie in one block behind each other; a line
 * costs its text and 16 bytes. TYPE, HELP and UNIT lines are part of the texts, so that metadata
 * costs nothing more.
 *
 * A page that differs is read with an edit: the new cache is written while the old one is looked up
 * by text (a table made only then), and takes its place when the transaction is committed.
 * One thread at a time; the owner holds `lock` around all of this.
 */
#pragma once

#include <assert.h>

#include "base/map.h"
#include "base/vec.h"
#include "model/expo.h"
#include "storage/storage.h"

/* Longer comments than this above one sample make its line unrecognisable (it is read in full). */
#define CACHE_LEAD_MAX ((1u << 23) - 1)

typedef struct CacheLine {
    SeriesRef ref; /* 0: dropped by relabelling */
    uint32_t end;  /* of its text in the block; it begins where the line before ends */
    uint32_t lead : 23;
    uint32_t type : 4;
    uint32_t typed : 1;
    uint32_t skip : 1;      /* not appended: relabelling drops it */
    uint32_t duplicate : 1; /* of a line above */
    uint32_t untracked : 1; /* carries its own time: gets no stale marker */
    uint32_t odd : 1;       /* cannot be recognised again */
} CacheLine;

typedef struct ScrapeCache {
    char *text;
    size_t n_text;
    CacheLine *lines;
    size_t n;
    ExpoFormat format;
    bool tracked;        /* the last scrape succeeded: its series get stale markers when they go */
    bool invalid;        /* the rules changed: lines are good for staleness only */
    uint64_t generation; /* of the rules it was made by */
    size_t n_leads, lead_bytes; /* lines with comments above them, and those comments */
} ScrapeCache;
static_assert(sizeof(CacheLine) == 16, "a cached line costs 16 bytes");

void scrape_cache_deinit(ScrapeCache *c);
static inline Str scrape_cache_text(const ScrapeCache *c, size_t i) {
    uint32_t from = i ? c->lines[i - 1].end : 0;
    return (Str){c->text + from, c->lines[i].end - from};
}
static inline ExpoExpected scrape_cache_expected(const ScrapeCache *c, size_t i) {
    const CacheLine *l = &c->lines[i];
    return (ExpoExpected){scrape_cache_text(c, i), l->lead, (MetricType)l->type, l->typed};
}

typedef struct ScrapeEdit {
    const ScrapeCache *old;
    uint32_t *slots; /* hash of series and type -> line + 1 */
    size_t mask;
    uint8_t *seen; /* a bit a line of old */
    U64Map refs;   /* series of this page */
    VEC(CacheLine) lines;
    Buf text;
} ScrapeEdit;

/* The first n_same lines of the page were as before. */
void scrape_edit_begin(ScrapeEdit *e, const ScrapeCache *old, size_t n_same);
void scrape_edit_deinit(ScrapeEdit *e);
/* The line of the old cache that holds this series text under this type; old->n when none does. */
size_t scrape_edit_find(const ScrapeEdit *e, Str series, MetricType type);
/* Takes line i over as it was; the caller may change the result's ref and flags. */
CacheLine *scrape_edit_keep(ScrapeEdit *e, size_t i);
/* Line i of the old cache with the text it has now. */
CacheLine *scrape_edit_move(ScrapeEdit *e, size_t i, const ExpoParser *p);
/* A line as the parser reads it now. */
CacheLine *scrape_edit_add(ScrapeEdit *e, const ExpoParser *p);
/* True when the series is in this page already; else notes it. */
bool scrape_edit_repeats(ScrapeEdit *e, SeriesRef ref);
/* Line i of the old cache is not in the page, nor is its series under another text. */
bool scrape_edit_lacks(const ScrapeEdit *e, size_t i);
/* Makes what was written the cache. */
void scrape_edit_commit(ScrapeEdit *e, ScrapeCache *c);
