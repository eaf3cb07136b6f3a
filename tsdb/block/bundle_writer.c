/* Chunks of neighbouring series are laid one behind the other into bundles that fill whole pages.
 */
#include "tsdb/block/bundle_writer.h"

#include <assert.h>
#include <endian.h>

#include "base/err.h"

/* LMDB keeps what was not committed in memory. */
#define COMMIT_BYTES (8 << 20)

static const char *const table_names[TABLE_COUNT] = BLOCK_TABLES;

static void bundle_begin(BundleWriter *w) {
    value_begin(&w->bundle);
    buf_add_char(&w->bundle, BUNDLE_PLAIN);
}

static int open_tables(BundleWriter *w) {
    int r = lmdb_begin(w->env, true, &w->txn);
    for (int i = 0; i < TABLE_COUNT && r == 0; i++) {
        r = lmdb_table(w->txn, table_names[i], true, &w->tables[i]);
    }
    return r;
}

int bundle_writer_init(BundleWriter *w, const char *file) {
    *w = (BundleWriter){.bundle = BUF_INIT(0)};
    bundle_begin(w);
    int r = lmdb_open(&(LmdbOptions){.path = file, .mode = LMDB_BUILD}, &w->env);
    if (r == 0) {
        r = open_tables(w);
    }
    return r;
}

void bundle_writer_deinit(BundleWriter *w) {
    lmdb_abort(w->txn);
    w->txn = NULL;
    lmdb_close(w->env);
    w->env = NULL;
    buf_deinit(&w->bundle);
}

static int commit(BundleWriter *w, bool more) {
    LmdbTxn *t = steal(&w->txn);
    int r = lmdb_commit(t);
    w->pending = 0;
    if (r == 0 && more) {
        r = lmdb_begin(w->env, true, &w->txn);
    }
    return r;
}

int bundle_writer_value(BundleWriter *w, int table, Str key, Buf *value) {
    assert(value->n >= VALUE_CRC_BYTES);
    uint32_t crc = block_value_crc(key, value->p + VALUE_CRC_BYTES, value->n - VALUE_CRC_BYTES);
    crc = htole32(crc);
    memcpy(value->p, &crc, sizeof(crc));
    int r = lmdb_append(w->txn, w->tables[table], key, buf_str(value));
    w->pending += value->n;
    if (r == 0 && w->pending >= COMMIT_BYTES) {
        r = commit(w, true);
    }
    return r;
}

static int flush_bundle(BundleWriter *w) {
    if (w->bundle.n == BUNDLE_HEADER) {
        return 0;
    }
    char key[4];
    int r = bundle_writer_value(w, TABLE_CHUNKS, block_number_key(w->number, key), &w->bundle);
    w->number++;
    bundle_begin(w);
    return r;
}

/* Bytes that the bundle, closed now, would leave unused in its last page. */
static size_t slack_of(const BundleWriter *w) {
    return (LMDB_PAGE_BYTES - (w->bundle.n + LMDB_PAGE_HEADER) % LMDB_PAGE_BYTES) % LMDB_PAGE_BYTES;
}

int bundle_writer_chunk(BundleWriter *w, const Chunk *c, ChunkPlace *ret) {
    bool full = w->bundle.n + c->size > BUNDLE_BYTES_MAX;
    bool fits_well =
        w->bundle.n >= BUNDLE_CLOSE_MIN && slack_of(w) * BUNDLE_CLOSE_SHARE <= w->bundle.n;
    int r = full || fits_well ? flush_bundle(w) : 0;
    if (r < 0) {
        return r;
    }
    *ret = (ChunkPlace){w->number, (uint32_t)(w->bundle.n - BUNDLE_HEADER)};
    buf_add(&w->bundle, c->data, c->size);
    return 0;
}

int bundle_writer_finish(BundleWriter *w, uint64_t *ret_bytes) {
    int r = flush_bundle(w);
    if (r == 0) {
        r = commit(w, false);
    }
    if (r == 0) {
        r = lmdb_sync(w->env);
    }
    if (r == 0) {
        r = lmdb_used_bytes(w->env, ret_bytes);
    }
    lmdb_close(w->env);
    w->env = NULL;
    return r < 0 ? err_trace(r) : 0;
}
