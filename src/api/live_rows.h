/*
 * One topic of the event stream as a table: a key and the JSON text of its row, each with the
 * number of the tick at which it last changed, and the keys that went away with the tick at which
 * they did. So the difference to any earlier tick can be written without keeping events: what
 * changed behind it, what went behind it. Deletions have a ceiling; a reader from before the oldest
 * one kept gets everything again.
 *
 *   tick            1      2      3      4
 *   row "a"         v1            v2             changed = 3
 *   row "b"         v1     v1                    gone: ("b", 3)
 *   row "c"                v1                    changed = 2
 *   since 2:  {"set":{"a":v2},"del":["b"]}       since 0:  {"full":{"a":v2,"c":v1}}
 *
 * One thread at a time. A walk costs a look-up a row, writing a look at each row.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"

typedef struct LiveGone {
    Str key; /* owned */
    uint64_t tick;
} LiveGone;

typedef struct LiveRows {
    StrMap rows;        /* key -> row */
    VEC(LiveGone) gone; /* by tick */
    uint64_t since_min; /* differences to ticks before it cannot be told any more */
    uint64_t walk;      /* number of the current or last walk */
    bool known;         /* has been filled at least once */
    bool changed;       /* in the current walk */
    bool whole;         /* only one row, with an empty key, always written as {"full":row} */
} LiveRows;

void live_rows_deinit(LiveRows *r);

/* A walk: begin, then for each row that there is mark or set, then end, which drops the others. */
void live_rows_begin(LiveRows *r);
typedef enum LiveMark {
    LIVE_SAME,    /* known with this stamp: done */
    LIVE_CHANGED, /* its text has to be set */
    LIVE_TWICE,   /* marked before in this walk */
} LiveMark;
/* `stamp`: a hash of what the text is made of, so that rows without change need no text. */
LiveMark live_rows_mark(LiveRows *r, Str key, uint64_t stamp);
/* Copies both. An equal text is no change. */
void live_rows_set(LiveRows *r, Str key, Str text, uint64_t tick);
/* Whether anything changed. */
bool live_rows_end(LiveRows *r, uint64_t tick);

/* Adds {"full":..} (since == 0, or too long ago) or {"set":..,"del":..}; false: nothing to tell. */
bool live_rows_write(const LiveRows *r, uint64_t since, Buf *b);
