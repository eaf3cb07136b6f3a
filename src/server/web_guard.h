/*
 * --web.config.file at work: loads it at the start, gives the HTTP server its TLS and guard, and
 * looks once a second, on the background pool, whether the file or a certificate has changed. A
 * new content is taken when it has been the same for two looks, so that a file that is being
 * written is not taken for half of it; one that is wrong leaves the old in force and is logged
 * once. Turning TLS on or off takes a restart. Loop thread.
 */
#pragma once

#include "base/err.h"
#include "net/http_guard.h"

typedef struct WebGuard WebGuard;

int web_guard_new(Loop *l, WorkPool *background, const char *path, WebGuard **ret, Problem *p);
/* Into the options of a server that is to be made. */
void web_guard_options(WebGuard *g, HttpServerOptions *o);
/* Begins to look for changes, for this server. */
void web_guard_watch(WebGuard *g, HttpServer *s);
/* Looks no more. */
void web_guard_stop(WebGuard *g);
/* Waits for passwords that are being checked; the server must still be there. */
void web_guard_join(WebGuard *g);
/* After the server and the background pool have been freed. */
void web_guard_free(WebGuard *g);
