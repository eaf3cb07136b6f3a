/*
 * What a scraper of /federate and /metrics accepts: how names outside the classic alphabet are
 * written for it. Prometheus 3 asks for escaping=allow-utf-8; who does not ask gets underscores.
 */
#pragma once

#include "base/buf.h"

typedef enum Escaping {
    ESCAPE_UNDERSCORES, /* every other byte becomes _ */
    ESCAPE_DOTS,        /* _ becomes __, a dot _dot_, anything else __ */
    ESCAPE_VALUES,      /* U__ in front, _ becomes __, anything else _HEX_ */
    ESCAPE_NONE,
} Escaping;

/* From an Accept header: the escaping of its text/plain entry of the highest weight. */
Escaping escaping_accepted(Str accept);
/* "text/plain; version=0.0.4; charset=utf-8; escaping=..." */
const char *escaping_content_type(Escaping e);
void escaping_write(Escaping e, Str name, Buf *out);
