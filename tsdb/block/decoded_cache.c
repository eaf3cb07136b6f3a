/* A map from key to entry and a list by time of use. */
#include "tsdb/block/decoded_cache.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"

struct DecodedCache {
    pthread_mutex_t lock;
    U64Map map; /* key and kind -> Decoded * */
    Decoded *newest, *oldest;
    size_t bytes;
};

DecodedCache *decoded_cache_new(void) {
    DecodedCache *c = NEW(DecodedCache);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

Decoded *decoded_new(DecodedKind kind, uint64_t key, uint32_t n) {
    Decoded *d = mem_alloc(sizeof(*d) + n * sizeof(int64_t));
    *d = (Decoded){.kind = kind, .key = key, .n = n};
    d->t = (int64_t *)(d + 1);
    atomic_init(&d->refs, 1);
    return d;
}

void decoded_release(Decoded *d) {
    if (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(d);
    }
}

static uint64_t map_key(DecodedKind kind, uint64_t key) {
    return kind == DECODED_VALUES ? key : key | UINT64_C(1) << 63;
}

static size_t bytes_of(const Decoded *d) { return sizeof(*d) + d->n * sizeof(int64_t); }

static void unlink_entry(DecodedCache *c, Decoded *d) {
    *(d->newer ? &d->newer->older : &c->newest) = d->older;
    *(d->older ? &d->older->newer : &c->oldest) = d->newer;
    d->newer = d->older = NULL;
}

static void link_newest(DecodedCache *c, Decoded *d) {
    d->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = d;
    c->newest = d;
}

static void drop(DecodedCache *c, Decoded *d) {
    unlink_entry(c, d);
    u64_map_del(&c->map, map_key(d->kind, d->key));
    c->bytes -= bytes_of(d);
    decoded_release(d);
}

void decoded_cache_free(DecodedCache *c) {
    if (!c) {
        return;
    }
    while (c->oldest) {
        drop(c, c->oldest);
    }
    u64_map_deinit(&c->map);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static Decoded *find(DecodedCache *c, DecodedKind kind, uint64_t key) {
    uint64_t found;
    return u64_map_get(&c->map, map_key(kind, key), &found) ? (Decoded *)(uintptr_t)found : NULL;
}

Decoded *decoded_cache_get(DecodedCache *c, DecodedKind kind, uint64_t key, int64_t low,
                           int64_t high) {
    pthread_mutex_lock(&c->lock);
    Decoded *d = find(c, kind, key);
    if (d && d->low <= low && high <= d->high) {
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
        unlink_entry(c, d);
        link_newest(c, d);
    } else {
        d = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    return d;
}

void decoded_cache_put(DecodedCache *c, Decoded *d) {
    pthread_mutex_lock(&c->lock);
    Decoded *old = find(c, d->kind, d->key);
    if (old) {
        drop(c, old);
    }
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    link_newest(c, d);
    u64_map_put(&c->map, map_key(d->kind, d->key), (uintptr_t)d);
    c->bytes += bytes_of(d);
    while (c->bytes > DECODED_BYTES_MAX && c->oldest != d) {
        drop(c, c->oldest);
    }
    pthread_mutex_unlock(&c->lock);
}
