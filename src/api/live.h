/*
 * The event stream of the pages: /api/v1/live. Once a second, while anybody listens, one look at
 * the server is compared with the last one, and each stream gets what is new to it; streams that
 * stand at the same tick share the text. Nothing is computed for nobody.
 *
 *   loop thread:  look (snapshots)            hand the texts to the streams
 *   own worker:          \-> rows, differences -/
 *
 * An event's id is <epoch>-<tick>: the epoch is this process, the tick the state that its reader
 * has once all events up to it have come. So of several events sent together only the last carries
 * the new tick, the others the old one, and a reader that comes back with Last-Event-ID gets the
 * difference to what it surely has, or everything.
 *
 * A reader that leaves more than EVENT_STREAM_UNSENT_MAX unread is let alone until it has caught
 * up; then it gets the difference to where it stood, or everything. All on the loop thread.
 */
#pragma once

#include "api/api.h"

typedef struct Live Live;

#define LIVE_STREAMS_MAX 256

/* Costs nothing until the first stream. */
Live *live_new(Api *api);
/* Ends all streams, refuses new ones. */
void live_stop(Live *l);
void live_free(Live *l);
/* Takes a GET of /api/v1/live. */
void live_add(Live *l, HttpExchange *x);
