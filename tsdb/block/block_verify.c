/* A whole block against its checksums, its index and its counts. */
#include "base/mem.h"
#include "tsdb/block/block_index.h"
#include "tsdb/codec/histogram_chunk.h"
#include "tsdb/index/postings_pack.h"

static const char *const table_names[TABLE_COUNT] = BLOCK_TABLES;

static bool is_cancelled(const atomic_bool *cancel) { return cancel && atomic_load(cancel); }

static int verify_table(Block *b, LmdbTxn *txn, int table, const atomic_bool *cancel) {
    LmdbCursor *c;
    Str key, value, payload;
    int r = lmdb_cursor(txn, b->tables[table], &c);
    if (r < 0) {
        return r;
    }
    r = lmdb_cursor_seek(c, STR_NULL, &key, &value);
    while (r == 0) {
        r = is_cancelled(cancel) ? -ECANCELED : block_checked_value(b, table, key, value, &payload);
        if (r == 0) {
            r = lmdb_cursor_next(c, &key, &value);
        }
    }
    lmdb_cursor_free(c);
    return r == LMDB_NOT_FOUND ? 0 : r;
}

typedef struct Totals {
    uint64_t samples, chunks, pairs; /* pairs: of all series together */
    int64_t t[CHUNK_SAMPLES_MAX];    /* scratch */
    double v[CHUNK_SAMPLES_MAX];
    HistogramSamples histograms;
} Totals;

static int decode_chunk(const Chunk *c, Totals *t) {
    return chunk_encoding_kind(c->encoding) == SAMPLE_FLOAT
               ? chunk_decode(c, t->t, t->v)
               : histogram_chunk_decode(c, &t->histograms);
}

static int verify_series(BlockCursor *c, const BlockSeries *s, Totals *t) {
    for (uint32_t i = 0; i < s->n; i++) {
        Chunk chunk;
        int r = block_cursor_chunk(c, i, &chunk);
        if (r == 0) {
            r = decode_chunk(&chunk, t);
        }
        if (r < 0) {
            return r;
        }
        t->samples += chunk.n;
    }
    t->chunks += s->n;
    t->pairs += s->labels.n;
    return 0;
}

static int verify_all_series(Block *b, const atomic_bool *cancel, Totals *ret, Problem *p) {
    BlockCursor *c = block_cursor_new(b);
    BlockSeries s;
    int r;
    while ((r = block_cursor_next(c, &s)) > 0) {
        r = is_cancelled(cancel) ? -ECANCELED : verify_series(c, &s, ret);
        if (r < 0) {
            (void)problem_set(p, 0, 0, "series %u of block %s does not read", s.id, b->meta.id);
            break;
        }
    }
    block_cursor_free(c);
    return r;
}

/* Each list decodes, and together they name every pair of every series. */
static int verify_postings(Block *b, LmdbTxn *txn, uint64_t pairs) {
    LmdbCursor *c;
    Str key, value;
    Ids ids = {0};
    uint64_t lists = 0, sum = 0;
    int r = lmdb_cursor(txn, b->tables[TABLE_POSTINGS], &c);
    if (r < 0) {
        return r;
    }
    r = lmdb_cursor_seek(c, STR_NULL, &key, &value);
    while (r == 0) {
        ids.n = 0;
        r = postings_unpack(str_from(value, VALUE_CRC_BYTES), (uint32_t)b->meta.series, &ids);
        sum += ids.n;
        lists++;
        if (r == 0) {
            r = lmdb_cursor_next(c, &key, &value);
        }
    }
    lmdb_cursor_free(c);
    vec_free(&ids);
    return r != LMDB_NOT_FOUND ? r : lists == b->meta.pairs && sum == pairs ? 0 : -EBADMSG;
}

static int verify_content(Block *b, LmdbTxn *txn, const atomic_bool *cancel, Problem *p) {
    Totals *t = NEW(Totals);
    int r = verify_all_series(b, cancel, t, p);
    if (r == 0 && (t->samples != b->meta.samples || t->chunks != b->meta.chunks)) {
        (void)problem_set(p, 0, 0, "block %s has not as many samples as it states", b->meta.id);
        r = -EBADMSG;
    } else if (r == 0) {
        r = verify_postings(b, txn, t->pairs);
        if (r < 0) {
            (void)problem_set(p, 0, 0, "the postings of block %s do not fit its series",
                              b->meta.id);
        }
    }
    histogram_samples_deinit(&t->histograms);
    mem_free(t);
    return r;
}

static int verify(Block *b, LmdbTxn *txn, const atomic_bool *cancel, Problem *p) {
    for (int i = 0; i < TABLE_COUNT; i++) {
        int r = verify_table(b, txn, i, cancel);
        if (r < 0) {
            (void)problem_set(p, 0, 0, "a value in table %s of block %s has a wrong checksum",
                              table_names[i], b->meta.id);
            return r;
        }
    }
    return verify_content(b, txn, cancel, p);
}

int block_verify(Block *b, const atomic_bool *cancel, Problem *problem) {
    LmdbTxn *txn;
    int r = lmdb_begin(b->env, false, &txn);
    if (r < 0) {
        return r;
    }
    r = verify(b, txn, cancel, problem);
    lmdb_abort(txn);
    r = r < 0 ? r : block_check_map(b);
    if (r == -EBADMSG) {
        atomic_store(&b->bad, true);
    }
    return r;
}
