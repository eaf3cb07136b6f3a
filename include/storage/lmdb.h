/*
 * The one wrapper of LMDB. An environment is one file, in one of three modes:
 *
 *   immutable  finished before (a block): read-only, no locks, no change ever; any number of
 *              processes;
 *   build      how such a file is made, once, mostly by appending in key order;
 *   durable    a small read-write database (state of alerts, silences): every commit is fsynced.
 *              "<path>-lock" lies beside it. Open it once a process; readers see the last commit.
 *
 * Keys and values are bytes; keys 1..LMDB_KEY_MAX. Values borrowed from a read live as long as its
 * transaction; those of an immutable environment as long as the environment.
 *
 * Threads: an environment is for any thread; a transaction and its cursors for one at a time (a
 * writing one: the thread that began it). One writing transaction at a time: the second waits.
 *
 * 0 or a negative errno: -EBADMSG = the file is damaged, -ENOSPC also when the map is full.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define LMDB_KEY_MAX 511
#define LMDB_PAGE_BYTES 4096
#define LMDB_PAGE_HEADER 16 /* what a page takes for itself, before a value on pages of its own */

/* Documented outcome of reads and deletes. */
enum { LMDB_NOT_FOUND = 1 };

typedef enum LmdbMode {
    LMDB_IMMUTABLE, /* the file exists and is complete */
    LMDB_BUILD,     /* a new file, written in large transactions; lmdb_sync() at the end */
    LMDB_DURABLE,   /* made if missing */
} LmdbMode;

typedef struct LmdbOptions {
    const char *path; /* the file */
    LmdbMode mode;
    size_t size_max;     /* of the file; 0 = 1 GiB (durable), no limit (build) */
    unsigned tables_max; /* named tables; 0 = 16 */
} LmdbOptions;

typedef struct LmdbEnv LmdbEnv;
typedef struct LmdbTxn LmdbTxn;
typedef struct LmdbCursor LmdbCursor;
typedef unsigned LmdbTable;

int lmdb_open(const LmdbOptions *o, LmdbEnv **ret);
void lmdb_close(LmdbEnv *e); /* NULL is fine; transactions must have ended */
int lmdb_sync(LmdbEnv *e);
/* Where a finished file with tables is mapped: for who guards it (base/map_guard.h). */
int lmdb_map(LmdbTxn *t, const void **ret, size_t *ret_size);
/* Bytes of the file up to its last used page. */
int lmdb_used_bytes(LmdbEnv *e, uint64_t *ret);

int lmdb_begin(LmdbEnv *e, bool write, LmdbTxn **ret);
int lmdb_commit(LmdbTxn *t); /* ends it in any case */
void lmdb_abort(LmdbTxn *t); /* NULL is fine */

/* A named table, good for the life of the environment once this transaction has committed (a
 * reading one too). LMDB_NOT_FOUND when it is not there and make is false. */
int lmdb_table(LmdbTxn *t, const char *name, bool make, LmdbTable *ret);
int lmdb_count(LmdbTxn *t, LmdbTable table, uint64_t *ret);
int lmdb_get(LmdbTxn *t, LmdbTable table, Str key, Str *ret_value);
int lmdb_put(LmdbTxn *t, LmdbTable table, Str key, Str value);
/* key is greater than all in the table: fills pages whole. -EINVAL if it is not. */
int lmdb_append(LmdbTxn *t, LmdbTable table, Str key, Str value);
/* As lmdb_append(), but the caller writes the value's size bytes into *ret before the next call. */
int lmdb_append_reserve(LmdbTxn *t, LmdbTable table, Str key, size_t size, void **ret);
int lmdb_del(LmdbTxn *t, LmdbTable table, Str key);
int lmdb_clear(LmdbTxn *t, LmdbTable table);

int lmdb_cursor(LmdbTxn *t, LmdbTable table, LmdbCursor **ret);
void lmdb_cursor_free(LmdbCursor *c); /* before its transaction ends */
/* The first at or after key (empty: the very first), then the following ones; LMDB_NOT_FOUND at the
 * end. */
int lmdb_cursor_seek(LmdbCursor *c, Str key, Str *ret_key, Str *ret_value);
int lmdb_cursor_next(LmdbCursor *c, Str *ret_key, Str *ret_value);
