/* Full chunks of an earlier process, from the chunk log to their series. */
#include "base/mem.h"
#include "tsdb/head/head.h"

/*
 * A chunk is taken when the one before it was (or is in blocks, or there was none): behind a gap
 * everything comes from the journal again.
 */
static void note_chunk(void *arg, const ChunkLogFound *f) {
    Head *h = arg;
    if (f->owner.slot >= UINT32_MAX - 1) {
        return;
    }
    vec_reserve(&h->recovered, f->owner.slot + (size_t)1);
    while (h->recovered.n <= f->owner.slot) {
        h->recovered.v[h->recovered.n++] = (HeadRecovered){0};
    }
    HeadRecovered *r = &h->recovered.v[f->owner.slot];
    bool follows = r->ref != 0 && f->previous == r->ref && f->owner.hash == r->hash;
    if (!follows && !f->first) {
        return;
    }
    if (!follows) {
        *r = (HeadRecovered){.hash = f->owner.hash, .min_time = f->min_time};
    }
    r->ref = f->ref;
    r->max_time = f->max_time;
    r->samples += f->n;
    r->chunks++;
    r->float_counts = f->encoding == CHUNK_FLOAT_HISTOGRAM;
}

int head_recover_chunks(Head *h) {
    int r = chunk_log_recover(h->chunks, note_chunk, h);
    return r < 0 ? err_trace(r) : 0;
}

void head_series_recover(Head *h, HeadSeries *s) {
    HeadRecovered *r = s->slot < h->recovered.n ? &h->recovered.v[s->slot] : NULL;
    if (!r || r->ref == 0 || r->hash != s->hash || s->open.n > 0) {
        return;
    }
    s->full = r->ref;
    atomic_store(&s->last, r->max_time);
    if (r->float_counts) {
        atomic_fetch_or(&s->flags, SERIES_FLOAT_COUNTS);
    }
    atomic_fetch_add(&h->samples, r->samples);
    atomic_fetch_add(&h->chunks_created, r->chunks);
    head_lower(&h->min_time, MAX(r->min_time, atomic_load(&h->min_valid)));
    head_raise(&h->max_time, r->max_time);
    r->ref = 0; /* a second description of the series finds it done */
}
