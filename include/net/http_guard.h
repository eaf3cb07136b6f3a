/*
 * What stands before the routes of the HTTP server: a rate limit, headers for every answer, and
 * users with bcrypt passwords (HTTP Basic, RFC 7617). Plugs into HttpServerOptions.admit.
 *
 * Checking a password costs a tenth of a second by design: it happens on the pool, and the pairs
 * that were right are remembered, as keyed hashes, in a small table. A name that is not known costs
 * the same as one that is. http_guard_admit() and http_guard_apply() belong to the loop thread.
 */
#pragma once

#include "loop/loop.h"
#include "net/http_server.h"

typedef struct HttpGuard HttpGuard;

typedef struct HttpUser {
    Str name, hash; /* "$2y$10$..." */
} HttpUser;

typedef struct HttpGuardConfig {
    const HttpHeader *headers;
    size_t n_headers;
    const HttpUser *users; /* none: everybody may */
    size_t n_users;
    int64_t rate_interval_ns; /* a request each; 0 = no limit */
    int64_t rate_burst;       /* how many may come at once */
} HttpGuardConfig;

/* One thread in the pool is enough: it bounds what guessing passwords can cost this machine. */
HttpGuard *http_guard_new(Loop *l, WorkPool *pool);
/* From the next request on; copies. The rate limit keeps its count if it is the same as before. */
void http_guard_apply(HttpGuard *g, const HttpGuardConfig *c);
/* After the pool has been freed. */
void http_guard_free(HttpGuard *g);
/* For HttpServerOptions.admit, with the guard as its argument. */
bool http_guard_admit(HttpExchange *x, void *guard);
/* How often a password was really checked. */
uint64_t http_guard_checks(const HttpGuard *g);

/* ---- bcrypt; any thread */

/* Whether this is a bcrypt hash, by the rules of Go's x/crypto/bcrypt; the Problem says why not. */
int bcrypt_check(Str hash, Problem *problem);
/* Takes as long as the hash's cost says. */
bool bcrypt_verify(Str hash, Str password);
