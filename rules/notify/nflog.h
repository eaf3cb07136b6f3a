/*
 * The notification log: what was last sent for a group to one integration (reference, section 8.9).
 * In memory, and in the table "nflog" of state.mdb where there is one. Loop thread only.
 */
#pragma once

#include "base/map.h"
#include "storage/lmdb.h"

typedef struct NflogEntry {
    int64_t at_ms, expires_ms;
    uint64_t *firing, *resolved; /* hashes of alerts, sorted */
    size_t n_firing, n_resolved;
    char *key;
} NflogEntry;

typedef struct Nflog {
    StrMap entries;
    LmdbEnv *env;
    LmdbTable table;
} Nflog;

/* env may be NULL. Entries that expired before now are dropped. */
int nflog_open(Nflog *l, LmdbEnv *env, int64_t now_ms);
void nflog_close(Nflog *l);
const NflogEntry *nflog_get(const Nflog *l, Str key);
/* Copies the (sorted) hashes; durable when it returns 0. */
int nflog_put(Nflog *l, Str key, int64_t at_ms, int64_t expires_ms, const uint64_t *firing,
              size_t n_firing, const uint64_t *resolved, size_t n_resolved);
/* Drops what expired. */
void nflog_clean(Nflog *l, int64_t now_ms);

/* Why a notification is due; NULL: it is not. */
const char *nflog_reason(const NflogEntry *e, const uint64_t *firing, size_t n_firing,
                         const uint64_t *resolved, size_t n_resolved, bool send_resolved,
                         int64_t now_ms, int64_t repeat_ms);
