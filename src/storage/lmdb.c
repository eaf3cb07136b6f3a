/* LMDB 0.9 behind storage/lmdb.h: modes become flags, its error numbers become ours. */
#include "storage/lmdb.h"

#include <lmdb.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/mem.h"

/* A disk with less room is full: pages are written by the megabyte. */
#define FULL_DISK_BYTES (1u << 20)
#define TABLES_DEFAULT 16
#define DURABLE_BYTES_DEFAULT ((size_t)1 << 30)
/* The map of a file being built starts so large and is doubled between transactions. Asking for
 * much address space at once fails under limits and under ThreadSanitizer. */
#define BUILD_BYTES_START ((size_t)256 << 20)

struct LmdbEnv {
    MDB_env *env;
    size_t growing; /* bytes of a map that grows; 0 = it does not */
};

struct LmdbTxn {
    MDB_txn *txn;
};

struct LmdbCursor {
    MDB_cursor *cursor;
};

static int error_of(int rc) {
    switch (rc) {
    case MDB_SUCCESS: return 0;
    case MDB_NOTFOUND: return LMDB_NOT_FOUND;
    case MDB_MAP_FULL: return -ENOSPC;
    case MDB_KEYEXIST: /* of an append: the key is not behind all others */
    case MDB_BAD_VALSIZE: return -EINVAL;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: return -EBADMSG;
    case MDB_TXN_FULL:
    case MDB_DBS_FULL: return -E2BIG;
    default: return rc > 0 ? -rc : -EIO;
    }
}

/*
 * LMDB ends the program where a page makes no sense. A finished file's pages were checked when it
 * was opened, but one that can no longer be read becomes zeros (base/map_guard.h): reading goes
 * back from there and says that the file is damaged. LMDB holds nothing while it reads that would
 * be left behind.
 */
static _Thread_local jmp_buf *reading;

/* The value of `call`, MDB_CORRUPTED when LMDB gave up. */
#define READING(call)                                                                              \
    ({                                                                                             \
        jmp_buf back_;                                                                             \
        volatile int rc_ = MDB_CORRUPTED;                                                          \
        if (setjmp(back_) == 0) {                                                                  \
            reading = &back_;                                                                      \
            rc_ = (call);                                                                          \
        }                                                                                          \
        reading = NULL;                                                                            \
        rc_;                                                                                       \
    })

static void on_assert(MDB_env *env, const char *text) {
    (void)env;
    (void)text;
    if (reading) {
        longjmp(*reading, 1);
    }
}

static MDB_val val_of(Str s) { return (MDB_val){s.n, (void *)(uintptr_t)s.p}; }
static Str str_of_val(MDB_val v) { return (Str){v.mv_data, v.mv_size}; }
static bool key_is_good(Str key) { return key.n > 0 && key.n <= LMDB_KEY_MAX; }

static unsigned flags_of(LmdbMode mode) {
    switch (mode) {
    case LMDB_IMMUTABLE: return MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS;
    case LMDB_BUILD: return MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK;
    case LMDB_DURABLE: break;
    }
    return MDB_NOSUBDIR | MDB_NOTLS;
}

/* How large a map to ask for; of a finished file exactly its own size. */
static int map_bytes(const LmdbOptions *o, size_t *ret) {
    if (o->mode == LMDB_IMMUTABLE) {
        struct stat st;
        if (stat(o->path, &st) < 0) {
            return -errno;
        }
        *ret = ((size_t)st.st_size + LMDB_PAGE_BYTES - 1) / LMDB_PAGE_BYTES * LMDB_PAGE_BYTES;
        return *ret ? 0 : -EBADMSG;
    }
    size_t normal = o->mode == LMDB_BUILD ? BUILD_BYTES_START : DURABLE_BYTES_DEFAULT;
    *ret = o->size_max ? o->size_max : normal;
    return 0;
}

static int env_setup(MDB_env *env, const LmdbOptions *o, size_t bytes) {
    int rc = mdb_env_set_mapsize(env, bytes);
    if (rc == 0) {
        rc = mdb_env_set_maxdbs(env, o->tables_max ? o->tables_max : TABLES_DEFAULT);
    }
    if (rc == 0) {
        rc = mdb_env_open(env, o->path, flags_of(o->mode), 0644);
    }
    int r = error_of(rc);
    return r > 0 ? -EBADMSG : r;
}

int lmdb_open(const LmdbOptions *o, LmdbEnv **ret) {
    MDB_env *env;
    size_t bytes = 0;
    int r = map_bytes(o, &bytes);
    if (r == 0) {
        r = error_of(mdb_env_create(&env));
    }
    if (r < 0) {
        return err_trace(r);
    }
    r = env_setup(env, o, bytes);
    if (r < 0) {
        mdb_env_close(env);
        return err_trace(r);
    }
    *ret = NEW(LmdbEnv);
    (*ret)->env = env;
    if (o->mode == LMDB_IMMUTABLE) {
        (void)mdb_env_set_assert(env, on_assert);
    }
    (*ret)->growing = o->mode == LMDB_BUILD && !o->size_max ? bytes : 0;
    return 0;
}

void lmdb_close(LmdbEnv *e) {
    if (e) {
        mdb_env_close(e->env);
        mem_free(e);
    }
}

/* LMDB tells of a write that the disk took only a part of as EIO. When there is no room left, that
 * is why. */
static int tell_full_disk(MDB_env *env, int r) {
    mdb_filehandle_t fd;
    struct statvfs st;
    if (r != -EIO || mdb_env_get_fd(env, &fd) != 0 || fstatvfs(fd, &st) < 0) {
        return r;
    }
    return (uint64_t)st.f_bavail * st.f_frsize < FULL_DISK_BYTES ? -ENOSPC : r;
}

int lmdb_sync(LmdbEnv *e) { return error_of(mdb_env_sync(e->env, 1)); }

int lmdb_used_bytes(LmdbEnv *e, uint64_t *ret) {
    MDB_envinfo info;
    int r = error_of(mdb_env_info(e->env, &info));
    if (r == 0) {
        *ret = ((uint64_t)info.me_last_pgno + 1) * LMDB_PAGE_BYTES;
    }
    return r;
}

/* Doubles the map once half of it is used; there must be no transaction. */
static int grow(LmdbEnv *e) {
    uint64_t used;
    int r = lmdb_used_bytes(e, &used);
    if (r == 0 && used > e->growing / 2) {
        r = error_of(mdb_env_set_mapsize(e->env, e->growing * 2));
        e->growing *= r == 0 ? 2 : 1;
    }
    return r;
}

int lmdb_begin(LmdbEnv *e, bool write, LmdbTxn **ret) {
    MDB_txn *txn;
    int r = e->growing && write ? grow(e) : 0;
    if (r) {
        return err_trace(r);
    }
    r = error_of(READING(mdb_txn_begin(e->env, NULL, write ? 0 : MDB_RDONLY, &txn)));
    if (r) {
        return err_trace(r);
    }
    *ret = NEW(LmdbTxn);
    (*ret)->txn = txn;
    return 0;
}

int lmdb_commit(LmdbTxn *t) {
    MDB_env *env = mdb_txn_env(t->txn);
    int r = tell_full_disk(env, error_of(mdb_txn_commit(t->txn)));
    mem_free(t);
    return r ? err_trace(r) : 0;
}

void lmdb_abort(LmdbTxn *t) {
    if (t) {
        mdb_txn_abort(t->txn);
        mem_free(t);
    }
}

int lmdb_table(LmdbTxn *t, const char *name, bool make, LmdbTable *ret) {
    MDB_dbi dbi;
    int r = error_of(READING(mdb_dbi_open(t->txn, name, make ? MDB_CREATE : 0, &dbi)));
    if (r == 0) {
        *ret = dbi;
    }
    return r;
}

int lmdb_count(LmdbTxn *t, LmdbTable table, uint64_t *ret) {
    MDB_stat st;
    int r = error_of(READING(mdb_stat(t->txn, table, &st)));
    if (r == 0) {
        *ret = st.ms_entries;
    }
    return r;
}

int lmdb_get(LmdbTxn *t, LmdbTable table, Str key, Str *ret_value) {
    if (!key_is_good(key)) {
        return LMDB_NOT_FOUND;
    }
    MDB_val k = val_of(key), v;
    int r = error_of(READING(mdb_get(t->txn, table, &k, &v)));
    if (r == 0) {
        *ret_value = str_of_val(v);
    }
    return r;
}

static int put_flags(LmdbTxn *t, LmdbTable table, Str key, MDB_val *value, unsigned flags) {
    if (!key_is_good(key)) {
        return err_trace(-EINVAL);
    }
    MDB_val k = val_of(key);
    int r = tell_full_disk(mdb_txn_env(t->txn), error_of(mdb_put(t->txn, table, &k, value, flags)));
    return r ? err_trace(r) : 0;
}

int lmdb_put(LmdbTxn *t, LmdbTable table, Str key, Str value) {
    MDB_val v = val_of(value);
    return put_flags(t, table, key, &v, 0);
}

int lmdb_append(LmdbTxn *t, LmdbTable table, Str key, Str value) {
    MDB_val v = val_of(value);
    return put_flags(t, table, key, &v, MDB_APPEND);
}

int lmdb_append_reserve(LmdbTxn *t, LmdbTable table, Str key, size_t size, void **ret) {
    MDB_val v = {size, NULL};
    int r = put_flags(t, table, key, &v, MDB_APPEND | MDB_RESERVE);
    if (r == 0) {
        *ret = v.mv_data;
    }
    return r;
}

int lmdb_del(LmdbTxn *t, LmdbTable table, Str key) {
    if (!key_is_good(key)) {
        return LMDB_NOT_FOUND;
    }
    MDB_val k = val_of(key);
    return error_of(mdb_del(t->txn, table, &k, NULL));
}

int lmdb_clear(LmdbTxn *t, LmdbTable table) { return error_of(mdb_drop(t->txn, table, 0)); }

int lmdb_cursor(LmdbTxn *t, LmdbTable table, LmdbCursor **ret) {
    MDB_cursor *cursor;
    MDB_stat st; /* looks at the same page, and leaves nothing behind if that is no good */
    int r = error_of(READING(mdb_stat(t->txn, table, &st)));
    if (r == 0) {
        r = error_of(READING(mdb_cursor_open(t->txn, table, &cursor)));
    }
    if (r) {
        return err_trace(r);
    }
    *ret = NEW(LmdbCursor);
    (*ret)->cursor = cursor;
    return 0;
}

void lmdb_cursor_free(LmdbCursor *c) {
    if (c) {
        mdb_cursor_close(c->cursor);
        mem_free(c);
    }
}

/* LMDB does not tell, but each page begins with its number: found by the page that the list of
 * tables lies in. */
int lmdb_map(LmdbTxn *t, const void **ret, size_t *ret_size) {
    MDB_dbi tables;
    MDB_cursor *c;
    MDB_val k, v;
    MDB_envinfo info;
    int rc = mdb_env_info(mdb_txn_env(t->txn), &info);
    rc = rc ? rc : READING(mdb_dbi_open(t->txn, NULL, 0, &tables));
    rc = rc ? rc : READING(mdb_cursor_open(t->txn, tables, &c));
    if (rc == 0) {
        rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
        mdb_cursor_close(c);
    }
    if (rc == 0) {
        uint64_t number;
        uintptr_t page = (uintptr_t)v.mv_data / LMDB_PAGE_BYTES * LMDB_PAGE_BYTES;
        memcpy(&number, (const void *)page, sizeof(number));
        *ret = (const void *)(page - (uintptr_t)number * LMDB_PAGE_BYTES);
        *ret_size = info.me_mapsize;
    }
    return error_of(rc);
}

static int cursor_get(LmdbCursor *c, MDB_val k, MDB_cursor_op op, Str *ret_key, Str *ret_value) {
    MDB_val v;
    int r = error_of(READING(mdb_cursor_get(c->cursor, &k, &v, op)));
    if (r == 0) {
        *ret_key = str_of_val(k);
        *ret_value = str_of_val(v);
    }
    return r;
}

int lmdb_cursor_seek(LmdbCursor *c, Str key, Str *ret_key, Str *ret_value) {
    return cursor_get(c, val_of(key), key.n ? MDB_SET_RANGE : MDB_FIRST, ret_key, ret_value);
}

int lmdb_cursor_next(LmdbCursor *c, Str *ret_key, Str *ret_value) {
    return cursor_get(c, (MDB_val){0, NULL}, MDB_NEXT, ret_key, ret_value);
}
