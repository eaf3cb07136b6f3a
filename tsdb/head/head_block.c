/*
 * The head's part of a time range as a block. The series' order is found without holding up
 * anybody: symbols and pairs are copied under the index lock (strings stay where they are while
 * this reader is registered), sorted into ranks, and series are compared by the ranks of their
 * pairs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tsdb/block/block_writer.h"
#include "tsdb/head/head_histogram.h"

typedef struct BlockSource {
    Head *head;
    HeadPin pin;
    int64_t mint, maxt; /* closed */
    Ids slots;
    Str *symbols;
    uint32_t *rank; /* of symbols */
    struct {
        uint32_t name, value;
    } * pairs;
    VEC(Label) scratch;
    VEC(uint8_t) open; /* copy of an open chunk */
} BlockSource;

static int symbol_cmp(const void *a, const void *b, void *symbols) {
    const Str *s = symbols;
    return str_cmp(s[*(const uint32_t *)a], s[*(const uint32_t *)b]);
}

static void rank_symbols(BlockSource *b, size_t n) {
    uint32_t *order = NEW_ARRAY(uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, n, sizeof(*order), symbol_cmp, b->symbols);
    for (size_t i = 0; i < n; i++) {
        b->rank[order[i]] = (uint32_t)i;
    }
    mem_free(order);
}

static bool series_overlaps(BlockSource *b, HeadSeries *s) {
    ChunkLogEntry e;
    spin_lock(&s->lock);
    ChunkWriter open = s->open;
    ChunkLogRef ref = s->full;
    spin_unlock(&s->lock);
    if (open.n > 0 && open.min_time <= b->maxt && open.t >= b->mint) {
        return true;
    }
    for (; chunk_log_entry(b->head->chunks, ref, &e) && e.max_time >= b->mint; ref = e.previous) {
        if (e.min_time <= b->maxt) {
            return true;
        }
    }
    return false;
}

static void copy_index(BlockSource *b) {
    Head *h = b->head;
    pthread_rwlock_rdlock(&h->index_lock);
    const HeadIndex *x = &h->index;
    size_t n_symbols = x->symbols.n, n_pairs = x->pairs.n;
    b->symbols = NEW_ARRAY(Str, n_symbols + 1);
    b->rank = NEW_ARRAY(uint32_t, n_symbols + 1);
    b->pairs = mem_calloc(n_pairs + 1, sizeof(*b->pairs));
    for (size_t i = 0; i < n_symbols; i++) {
        b->symbols[i] = x->symbols.v[i].refs ? head_symbol(x, (uint32_t)i) : STR_NULL;
    }
    for (size_t i = 0; i < n_pairs; i++) {
        b->pairs[i].name = x->pairs.v[i].name;
        b->pairs[i].value = x->pairs.v[i].value;
    }
    uint32_t n = atomic_load(&h->next_slot);
    for (uint32_t i = 0; i < n; i++) {
        HeadSeries *s = head_series(h, i);
        if (s) {
            vec_push(&b->slots, i);
        }
    }
    pthread_rwlock_unlock(&h->index_lock);
    rank_symbols(b, n_symbols);
}

static void drop_empty_series(BlockSource *b) {
    size_t n = 0;
    for (size_t i = 0; i < b->slots.n; i++) {
        if (series_overlaps(b, head_series_any(b->head, b->slots.v[i]))) {
            b->slots.v[n++] = b->slots.v[i];
        }
    }
    b->slots.n = n;
}

static int rank_order(uint32_t a, uint32_t b) { return (a > b) - (a < b); }

static int slot_cmp(const void *pa, const void *pb, void *arg) {
    BlockSource *b = arg;
    const HeadLabels *x = head_series_any(b->head, *(const uint32_t *)pa)->labels;
    const HeadLabels *y = head_series_any(b->head, *(const uint32_t *)pb)->labels;
    for (uint32_t i = 0; i < x->n && i < y->n; i++) {
        uint32_t p = x->pair[i], q = y->pair[i];
        if (p != q) {
            int c = rank_order(b->rank[b->pairs[p].name], b->rank[b->pairs[q].name]);
            return c ? c : rank_order(b->rank[b->pairs[p].value], b->rank[b->pairs[q].value]);
        }
    }
    return rank_order(x->n, y->n);
}

static Labels labels_of(BlockSource *b, uint32_t slot) {
    const HeadLabels *l = head_series_any(b->head, slot)->labels;
    vec_reserve(&b->scratch, l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        b->scratch.v[i] =
            (Label){b->symbols[b->pairs[l->pair[i]].name], b->symbols[b->pairs[l->pair[i]].value]};
    }
    return (Labels){b->scratch.v, l->n};
}

static int write_histograms(BlockSource *b, BlockWriter *w, const Chunk *c) {
    HistogramSamples samples = {0};
    int r = histogram_chunk_decode(c, &samples);
    for (uint32_t i = 0; r == 0 && i < samples.n; i++) {
        HistogramSample s = histogram_samples_at(&samples, i);
        r = s.t < b->mint || s.t > b->maxt ? 0 : block_writer_histogram(w, &s);
    }
    histogram_samples_deinit(&samples);
    return r;
}

/* Chunks end at multiples of the range, so that nearly all lie inside; one that was cut for another
 * range is taken apart. */
static int write_chunk(BlockSource *b, BlockWriter *w, const Chunk *c) {
    if (c->min_time >= b->mint && c->max_time <= b->maxt) {
        return block_writer_chunk(w, c);
    }
    if (chunk_encoding_kind(c->encoding) != SAMPLE_FLOAT) {
        return write_histograms(b, w, c);
    }
    int64_t *t = NEW_ARRAY(int64_t, c->n);
    double *v = NEW_ARRAY(double, c->n);
    int r = chunk_decode(c, t, v);
    uint32_t from = 0, to = c->n;
    while (r == 0 && from < to && t[from] < b->mint) {
        from++;
    }
    while (r == 0 && to > from && t[to - 1] > b->maxt) {
        to--;
    }
    if (r == 0 && to > from) {
        r = block_writer_samples(w, t + from, v + from, to - from);
    }
    mem_free(t);
    mem_free(v);
    return r;
}

/* A copy of the open chunk in b->open, as it stands; n = 0: nothing of it is wanted. */
static Chunk copy_open(BlockSource *b, const HeadSeries *s) {
    if (s->open.n == 0 || s->open.min_time > b->maxt || s->open.t < b->mint) {
        return (Chunk){0};
    }
    Chunk c = head_series_open_chunk(s);
    b->open.n = 0;
    vec_reserve(&b->open, c.size);
    memcpy(b->open.v, c.data, c.size);
    c.data = b->open.v;
    return c;
}

static int write_series(BlockSource *b, BlockWriter *w, uint32_t slot) {
    HeadSeries *s = head_series_any(b->head, slot);
    VEC(ChunkLogRef) refs = {0};
    ChunkLogEntry e;
    spin_lock(&s->lock);
    Chunk open = copy_open(b, s);
    ChunkLogRef ref = s->full;
    spin_unlock(&s->lock);
    for (; chunk_log_entry(b->head->chunks, ref, &e) && e.max_time >= b->mint; ref = e.previous) {
        if (e.min_time <= b->maxt) {
            vec_push(&refs, ref);
        }
    }
    int r = block_writer_series(w, labels_of(b, slot));
    while (r == 0 && refs.n > 0) {
        Chunk c;
        r = chunk_log_get(b->head->chunks, refs.v[--refs.n], &c);
        r = r < 0 ? r : write_chunk(b, w, &c);
    }
    vec_free(&refs);
    return r == 0 && open.n > 0 ? write_chunk(b, w, &open) : r;
}

static int write_all(BlockSource *b, BlockWriter *w, char ret_id[27]) {
    for (size_t i = 0; i < b->slots.n; i++) {
        block_writer_symbols(w, labels_of(b, b->slots.v[i]));
    }
    for (size_t i = 0; i < b->slots.n; i++) {
        int r = write_series(b, w, b->slots.v[i]);
        if (r < 0) {
            return err_trace(r);
        }
    }
    return block_writer_finish(w, ret_id);
}

int head_write_block(Head *h, const char *dir, int64_t mint, int64_t maxt,
                     const atomic_bool *cancel, char ret_id[27]) {
    BlockSource b = {.head = h, .mint = mint, .maxt = maxt - 1};
    BlockWriter *w;
    int r = block_writer_new(
        &(BlockWriterOptions){
            .dir = dir, .min_time = mint, .max_time = maxt, .level = 1, .cancel = cancel},
        &w);
    if (r < 0) {
        return err_trace(r);
    }
    head_pin(h, &b.pin, false);
    copy_index(&b);
    drop_empty_series(&b);
    if (b.slots.n > 0) {
        qsort_r(b.slots.v, b.slots.n, sizeof(*b.slots.v), slot_cmp, &b);
    }
    r = write_all(&b, w, ret_id);
    block_writer_free(w);
    head_unpin(h, &b.pin);
    vec_free(&b.slots);
    vec_free(&b.scratch);
    vec_free(&b.open);
    mem_free(b.symbols);
    mem_free(b.rank);
    mem_free(b.pairs);
    return r;
}
