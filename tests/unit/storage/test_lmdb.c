/* The LMDB wrapper: what is committed stays, outcomes are ours, a finished file reads without
 * locks. */
#include <errno.h>

#include "storage/lmdb.h"
#include "support/test.h"

static LmdbEnv *open_env(const char *name, LmdbMode mode, int want) {
    char path[512];
    LmdbEnv *e = NULL;
    snprintf(path, sizeof(path), "%s/%s", test_tmpdir(), name);
    CHECK_INT(lmdb_open(&(LmdbOptions){.path = path, .mode = mode, .size_max = 1 << 24}, &e), want);
    return e;
}

static void put(LmdbEnv *e, Str key, Str value) {
    LmdbTxn *t;
    LmdbTable table;
    CHECK_INT(lmdb_begin(e, true, &t), 0);
    CHECK_INT(lmdb_table(t, "things", true, &table), 0);
    CHECK_INT(lmdb_put(t, table, key, value), 0);
    CHECK_INT(lmdb_commit(t), 0);
}

TEST (durable_values_survive_a_reopening_and_aborted_ones_do_not) {
    LmdbEnv *e = open_env("state.mdb", LMDB_DURABLE, 0);
    LmdbTxn *t;
    LmdbTable table;
    Str v;
    CHECK_INT(lmdb_begin(e, false, &t), 0);
    CHECK_INT(lmdb_table(t, "things", false, &table), LMDB_NOT_FOUND);
    lmdb_abort(t);
    put(e, STR("a"), STR("1"));
    put(e, STR("b"), STR("2"));
    CHECK_INT(lmdb_begin(e, true, &t), 0);
    CHECK_INT(lmdb_table(t, "things", false, &table), 0);
    CHECK_INT(lmdb_del(t, table, STR("a")), 0);
    CHECK_INT(lmdb_del(t, table, STR("a")), LMDB_NOT_FOUND);
    lmdb_abort(t);
    lmdb_close(e);
    e = open_env("state.mdb", LMDB_DURABLE, 0);
    CHECK_INT(lmdb_begin(e, false, &t), 0);
    CHECK_INT(lmdb_table(t, "things", false, &table), 0);
    CHECK_INT(lmdb_get(t, table, STR("a"), &v), 0);
    CHECK_STR(v, STR("1"));
    CHECK_INT(lmdb_get(t, table, STR("c"), &v), LMDB_NOT_FOUND);
    CHECK_INT(lmdb_get(t, table, STR(""), &v), LMDB_NOT_FOUND);
    uint64_t n;
    CHECK_INT(lmdb_count(t, table, &n), 0);
    CHECK_INT(n, 2);
    lmdb_abort(t);
    lmdb_close(e);
}

TEST (a_cursor_goes_on_from_where_it_was_put) {
    LmdbEnv *e = open_env("state.mdb", LMDB_DURABLE, 0);
    put(e, STR("aa"), STR("1"));
    put(e, STR("ac"), STR("2"));
    put(e, STR("b"), STR("3"));
    LmdbTxn *t;
    LmdbTable table;
    LmdbCursor *c;
    Str k, v;
    CHECK_INT(lmdb_begin(e, false, &t), 0);
    CHECK_INT(lmdb_table(t, "things", false, &table), 0);
    CHECK_INT(lmdb_cursor(t, table, &c), 0);
    CHECK_INT(lmdb_cursor_seek(c, STR("ab"), &k, &v), 0);
    CHECK_STR(k, STR("ac"));
    CHECK_INT(lmdb_cursor_next(c, &k, &v), 0);
    CHECK_STR(v, STR("3"));
    CHECK_INT(lmdb_cursor_next(c, &k, &v), LMDB_NOT_FOUND);
    CHECK_INT(lmdb_cursor_seek(c, STR_NULL, &k, &v), 0);
    CHECK_STR(k, STR("aa"));
    CHECK_INT(lmdb_cursor_seek(c, STR("c"), &k, &v), LMDB_NOT_FOUND);
    lmdb_cursor_free(c);
    lmdb_abort(t);
    lmdb_close(e);
}

TEST (a_writer_sees_its_own_changes_and_a_reader_the_last_commit) {
    LmdbEnv *e = open_env("state.mdb", LMDB_DURABLE, 0);
    put(e, STR("a"), STR("old"));
    LmdbTxn *reader, *writer;
    LmdbTable table;
    Str v;
    CHECK_INT(lmdb_begin(e, true, &writer), 0);
    CHECK_INT(lmdb_table(writer, "things", false, &table), 0);
    CHECK_INT(lmdb_put(writer, table, STR("a"), STR("new")), 0);
    CHECK_INT(lmdb_begin(e, false, &reader), 0);
    CHECK_INT(lmdb_get(reader, table, STR("a"), &v), 0);
    CHECK_STR(v, STR("old"));
    CHECK_INT(lmdb_get(writer, table, STR("a"), &v), 0);
    CHECK_STR(v, STR("new"));
    CHECK_INT(lmdb_clear(writer, table), 0);
    CHECK_INT(lmdb_commit(writer), 0);
    CHECK_INT(lmdb_get(reader, table, STR("a"), &v), 0);
    lmdb_abort(reader);
    CHECK_INT(lmdb_begin(e, false, &reader), 0);
    CHECK_INT(lmdb_get(reader, table, STR("a"), &v), LMDB_NOT_FOUND);
    lmdb_abort(reader);
    lmdb_close(e);
}

TEST (a_built_file_reads_as_an_immutable_one) {
    LmdbEnv *e = open_env("built.mdb", LMDB_BUILD, 0);
    LmdbTxn *t;
    LmdbTable table;
    CHECK_INT(lmdb_begin(e, true, &t), 0);
    CHECK_INT(lmdb_table(t, "things", true, &table), 0);
    CHECK_INT(lmdb_append(t, table, STR("a"), STR("1")), 0);
    void *room;
    CHECK_INT(lmdb_append_reserve(t, table, STR("b"), 3, &room), 0);
    memcpy(room, "xyz", 3);
    CHECK_INT(lmdb_append(t, table, STR("ab"), STR("late")), -EINVAL);
    char long_key[LMDB_KEY_MAX + 1];
    memset(long_key, 'z', sizeof(long_key));
    CHECK_INT(lmdb_append(t, table, str_n(long_key, sizeof(long_key)), STR("")), -EINVAL);
    CHECK_INT(lmdb_append(t, table, str_n(long_key, LMDB_KEY_MAX), STR("")), 0);
    CHECK_INT(lmdb_commit(t), 0);
    CHECK_INT(lmdb_sync(e), 0);
    uint64_t bytes;
    CHECK_INT(lmdb_used_bytes(e, &bytes), 0);
    CHECK(bytes > 0 && bytes % LMDB_PAGE_BYTES == 0);
    lmdb_close(e);
    e = open_env("built.mdb", LMDB_IMMUTABLE, 0);
    Str v;
    CHECK_INT(lmdb_begin(e, false, &t), 0);
    CHECK_INT(lmdb_table(t, "things", false, &table), 0);
    CHECK_INT(lmdb_commit(t), 0);
    CHECK_INT(lmdb_begin(e, false, &t), 0);
    CHECK_INT(lmdb_get(t, table, STR("b"), &v), 0);
    lmdb_abort(t);
    CHECK_STR(v, STR("xyz")); /* good for as long as the environment */
    lmdb_close(e);
}

TEST (the_map_of_a_file_being_built_grows) {
    char path[512];
    LmdbEnv *e;
    LmdbTxn *t;
    LmdbTable table;
    static char value[1 << 24];
    snprintf(path, sizeof(path), "%s/large.mdb", test_tmpdir());
    CHECK_INT(lmdb_open(&(LmdbOptions){.path = path, .mode = LMDB_BUILD}, &e), 0);
    for (char k = 'a'; k <= 't'; k++) { /* 320 MiB; the first map is 256 MiB */
        CHECK_INT(lmdb_begin(e, true, &t), 0);
        CHECK_INT(lmdb_table(t, "things", true, &table), 0);
        CHECK_INT(lmdb_append(t, table, str_n(&k, 1), str_n(value, sizeof(value))), 0);
        CHECK_INT(lmdb_commit(t), 0);
    }
    lmdb_close(e);
    CHECK_INT(remove(path), 0);
}

TEST (files_that_are_no_databases_are_refused) {
    char path[512], noise[8192];
    open_env("absent.mdb", LMDB_IMMUTABLE, -ENOENT);
    snprintf(path, sizeof(path), "%s/noise.mdb", test_tmpdir());
    memset(noise, 7, sizeof(noise));
    FILE *f = fopen(path, "wb");
    CHECK(fwrite(noise, sizeof(noise), 1, f) == 1 && fclose(f) == 0);
    open_env("noise.mdb", LMDB_IMMUTABLE, -EBADMSG);
}

TEST (a_full_map_is_no_space) {
    LmdbEnv *e = open_env("state.mdb", LMDB_DURABLE, 0);
    LmdbTxn *t;
    LmdbTable table;
    static char value[1 << 20];
    CHECK_INT(lmdb_begin(e, true, &t), 0);
    CHECK_INT(lmdb_table(t, "things", true, &table), 0);
    int r = 0;
    for (char k = 'a'; r == 0 && k <= 'z'; k++) {
        r = lmdb_put(t, table, str_n(&k, 1), str_n(value, sizeof(value)));
    }
    CHECK_INT(r, -ENOSPC);
    lmdb_abort(t);
    put(e, STR("a"), STR("still works"));
    lmdb_close(e);
}
