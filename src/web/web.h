/*
 * The web pages: one document for every page address, and the assets it loads. The assets are built
 * from src/web/ui by tools/build-ui, kept in src/web/assets and live in the binary gzipped, under
 * names that carry a hash of their content: a browser may keep them for ever, while the document is
 * asked for anew and answered with 304 by its ETag.
 *
 * Any thread. An answer costs a copy of the document or asset; a client without gzip has it
 * unpacked.
 */
#pragma once

#include "net/http_server.h"

typedef struct WebDocument {
    Str title;    /* text */
    Str fallback; /* HTML: shown where scripts do not run */
} WebDocument;

void web_document(HttpExchange *x, const WebDocument *d);
/* The asset that the wildcard of the route names, or 404. */
void web_asset(HttpExchange *x);
