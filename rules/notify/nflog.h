/*
 * The notification log: what was last sent for a group to one integration (reference, section 8.9).
 * In memory, and in the table "nflog" of state.mdb where there is one. Loop thread only, except
 * decoding.
 */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "rules/dispatcher.h"

typedef struct NflogEntry {
    int64_t at_ms, expires_ms;
    uint64_t *firing, *resolved; /* hashes of alerts, sorted */
    size_t n_firing, n_resolved;
    char *key;
} NflogEntry;

typedef VEC(NflogEntry *) NflogEntries;

typedef struct Nflog {
    StrMap entries;
    DispatcherState *state;
} Nflog;

/* Takes what the state (may be NULL) held. */
void nflog_init(Nflog *l, DispatcherState *state);
void nflog_deinit(Nflog *l);
const NflogEntry *nflog_get(const Nflog *l, Str key);
/* Copies the (sorted) hashes. */
void nflog_put(Nflog *l, Str key, int64_t at_ms, int64_t expires_ms, const uint64_t *firing,
               size_t n_firing, const uint64_t *resolved, size_t n_resolved);
/* Drops what expired. */
void nflog_clean(Nflog *l, int64_t now_ms);

/* The value of a record of state.mdb; NULL when the bytes are not one. */
NflogEntry *nflog_entry_decode(Str bytes);
void nflog_entry_free(NflogEntry *e);

/* Why a notification is due; NULL: it is not. */
const char *nflog_reason(const NflogEntry *e, const uint64_t *firing, size_t n_firing,
                         const uint64_t *resolved, size_t n_resolved, bool send_resolved,
                         int64_t now_ms, int64_t repeat_ms);
