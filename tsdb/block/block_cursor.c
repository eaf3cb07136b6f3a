/* All series of a block in order, with their chunks: what compaction reads. */
#include "base/mem.h"
#include "tsdb/block/block_index.h"

struct BlockCursor {
    Block *block;
    uint32_t next;
    Arena arena;
    DecodedCache *cache;
    ChunkReader reader;
    VEC(Chunk) chunks;
    VEC(ChunkScanEntry) entries;
};

BlockCursor *block_cursor_new(Block *b) {
    BlockCursor *c = NEW(BlockCursor);
    c->block = b;
    c->cache = decoded_cache_new();
    return c;
}

void block_cursor_free(BlockCursor *c) {
    if (c) {
        arena_deinit(&c->arena);
        chunk_reader_deinit(&c->reader);
        decoded_cache_free(c->cache);
        vec_free(&c->chunks);
        vec_free(&c->entries);
        mem_free(c);
    }
}

static int read_chunks(BlockCursor *c, SeriesRecord *rec) {
    ChunkScan scan;
    int r = series_record_chunks(rec, &scan);
    c->chunks.n = c->entries.n = 0;
    while (r >= 0) {
        ChunkScanEntry e;
        r = chunk_scan_next(&scan, &e);
        if (r <= 0) {
            break;
        }
        vec_push(&c->chunks, e.chunk);
        vec_push(&c->entries, e);
    }
    return r;
}

int block_cursor_next(BlockCursor *c, BlockSeries *ret) {
    if (c->next >= c->block->meta.series) {
        return 0;
    }
    SeriesRecord rec;
    arena_reset(&c->arena);
    int r = block_series_record(c->block, c->next, &rec);
    if (r == 0) {
        r = block_record_labels(&rec, &c->arena, &ret->labels);
    }
    if (r == 0) {
        r = read_chunks(c, &rec);
    }
    if (r < 0) {
        return r;
    }
    ret->id = c->next++;
    ret->n = (uint32_t)c->chunks.n;
    ret->v = c->chunks.v;
    return 1;
}

int block_cursor_chunk(BlockCursor *c, uint32_t i, Chunk *ret) {
    *ret = c->chunks.v[i];
    return block_resolve_chunk(c->block, c->cache, &c->entries.v[i], &c->reader, ret);
}
