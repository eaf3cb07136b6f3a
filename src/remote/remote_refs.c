#include "remote/remote_refs.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"

/*
 * Sets of four entries. A full set overwrites its entries in turn; a shard that is three quarters
 * full doubles until it has ENTRIES_MAX, 24 MiB over all shards.
 */
#define SHARDS 16
#define WAYS 4
#define ENTRIES_FIRST 256
#define ENTRIES_MAX 65536

typedef struct Entry {
    RemoteKey key;
    SeriesRef ref; /* 0: free */
} Entry;

typedef struct Shard {
    pthread_mutex_t mutex; /* guards all below */
    Entry *entries;
    size_t cap, n;
    unsigned turn;
} Shard;

struct RemoteRefs {
    Shard shards[SHARDS];
};

RemoteRefs *remote_refs_new(void) {
    RemoteRefs *r = NEW(RemoteRefs);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&r->shards[i].mutex, NULL);
    }
    return r;
}

void remote_refs_free(RemoteRefs *r) {
    for (size_t i = 0; r && i < SHARDS; i++) {
        pthread_mutex_destroy(&r->shards[i].mutex);
        mem_free(r->shards[i].entries);
    }
    mem_free(r);
}

RemoteKey remote_refs_key(Str labels) {
    return (RemoteKey){hash_xxh3(labels.p, labels.n), hash_xxh64(labels.p, labels.n)};
}

static Entry *set_of(const Shard *s, RemoteKey key) {
    return &s->entries[(key.a >> 8) % (s->cap / WAYS) * WAYS];
}

/* Where key is; else NULL and a free entry of its set, if there is one. */
static Entry *find(const Shard *s, RemoteKey key, Entry **ret_free) {
    Entry *set = set_of(s, key);
    *ret_free = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].ref && set[i].key.a == key.a && set[i].key.b == key.b) {
            return &set[i];
        }
        if (!set[i].ref) {
            *ret_free = &set[i];
        }
    }
    return NULL;
}

SeriesRef remote_refs_get(RemoteRefs *r, RemoteKey key) {
    Shard *s = &r->shards[key.a % SHARDS];
    Entry *unused;
    pthread_mutex_lock(&s->mutex);
    Entry *e = s->cap ? find(s, key, &unused) : NULL;
    SeriesRef ref = e ? e->ref : 0;
    pthread_mutex_unlock(&s->mutex);
    return ref;
}

static void put(Shard *s, RemoteKey key, SeriesRef ref) {
    Entry *empty, *e = find(s, key, &empty);
    if (!e) {
        e = empty ? empty : &set_of(s, key)[s->turn++ % WAYS];
        s->n += empty != NULL;
    }
    *e = (Entry){key, ref};
}

static void grow(Shard *s) {
    Shard bigger = {.cap = s->cap ? s->cap * 2 : ENTRIES_FIRST};
    bigger.entries = NEW_ARRAY(Entry, bigger.cap);
    for (size_t i = 0; i < s->cap; i++) {
        if (s->entries[i].ref) {
            put(&bigger, s->entries[i].key, s->entries[i].ref);
        }
    }
    mem_free(s->entries);
    s->entries = bigger.entries;
    s->cap = bigger.cap;
    s->n = bigger.n;
}

void remote_refs_put(RemoteRefs *r, RemoteKey key, SeriesRef ref) {
    Shard *s = &r->shards[key.a % SHARDS];
    pthread_mutex_lock(&s->mutex);
    if (s->cap < ENTRIES_MAX && (s->n + 1) * 4 > s->cap * 3) {
        grow(s);
    }
    put(s, key, ref);
    pthread_mutex_unlock(&s->mutex);
}
