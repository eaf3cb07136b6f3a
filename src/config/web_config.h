/*
 * The file of --web.config.file (reference 2.166 to 2.172): TLS, headers, users, a rate limit. One
 * load reads and checks everything it names, certificates included; the result is immutable. Names
 * of files are relative to the file's folder. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "net/http_guard.h"
#include "schema/schema.h"

typedef struct WebConfig {
    Arena arena;
    HttpTls *tls; /* NULL: plain HTTP */
    HttpGuardConfig guard;
    SchemaStrs files;      /* the file itself and those it names */
    bool sans_unused;      /* client_allowed_sans with a client_auth_type that asks for nothing */
    bool versions_crossed; /* min_version above max_version: every handshake fails */
} WebConfig;

int web_config_load(const char *path, WebConfig **ret, Problem *problem);
void web_config_free(WebConfig *c);
/* Of the contents of files: what tells that they have changed. */
uint64_t web_config_checksum(const SchemaStrs *files);
