/* All series of a block in order, with their chunks: what compaction reads. */
#include "base/mem.h"
#include "tsdb/block/block_index.h"

typedef struct Place {
    uint32_t bundle, offset;
} Place;

struct BlockCursor {
    Block *block;
    uint32_t next;
    Arena arena;
    VEC(Chunk) chunks;
    VEC(Place) places;
};

BlockCursor *block_cursor_new(Block *b) {
    BlockCursor *c = NEW(BlockCursor);
    c->block = b;
    return c;
}

void block_cursor_free(BlockCursor *c) {
    if (c) {
        arena_deinit(&c->arena);
        vec_free(&c->chunks);
        vec_free(&c->places);
        mem_free(c);
    }
}

static int read_chunks(BlockCursor *c, SeriesRecord *rec) {
    ChunkScan scan;
    int r = series_record_chunks(rec, &scan);
    c->chunks.n = c->places.n = 0;
    while (r >= 0) {
        Chunk chunk;
        Place at;
        r = chunk_scan_next(&scan, &chunk, &at.bundle, &at.offset);
        if (r <= 0) {
            break;
        }
        vec_push(&c->chunks, chunk);
        vec_push(&c->places, at);
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
    return block_chunk_data(c->block, c->places.v[i].bundle, c->places.v[i].offset, ret);
}
