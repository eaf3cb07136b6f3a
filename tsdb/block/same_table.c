/* Open addressing over a few slots; the first free one, else the first is given up. */
#include "tsdb/block/same_table.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"

#define SLOTS_FIRST 1024
#define SLOTS_MAX (1u << 20)
#define PROBES 8

typedef struct SameSlot {
    SameKey key; /* all zero: free */
    SamePlace place;
} SameSlot;

void same_table_init(SameTable *t) {
    *t = (SameTable){.cap = SLOTS_FIRST, .seed = random_u64()};
    t->slots = NEW_ARRAY(SameSlot, t->cap);
}

void same_table_deinit(SameTable *t) {
    mem_free(t->slots);
    t->slots = NULL;
}

SameKey same_table_key(const SameTable *t, const double *v, uint32_t n) {
    SameKey k;
    hash_xxh3_128(v, n * sizeof(*v), t->seed, &k.low, &k.high);
    return k;
}

static SameSlot *slot_at(const SameTable *t, SameKey key, unsigned probe) {
    return &t->slots[(key.low + probe) & (t->cap - 1)];
}

static bool is_free(const SameSlot *s) { return s->key.low == 0 && s->key.high == 0; }

const SamePlace *same_table_find(const SameTable *t, SameKey key) {
    for (unsigned i = 0; i < PROBES; i++) {
        const SameSlot *s = slot_at(t, key, i);
        if (s->key.low == key.low && s->key.high == key.high && !is_free(s)) {
            return &s->place;
        }
    }
    return NULL;
}

static void put(SameTable *t, const SameSlot *slot) {
    SameSlot *at = slot_at(t, slot->key, 0);
    for (unsigned i = 0; i < PROBES; i++) {
        if (is_free(slot_at(t, slot->key, i))) {
            at = slot_at(t, slot->key, i);
            break;
        }
    }
    t->n += is_free(at);
    *at = *slot;
}

static void grow(SameTable *t) {
    SameTable old = *t;
    t->cap *= 2;
    t->n = 0;
    t->slots = NEW_ARRAY(SameSlot, t->cap);
    for (size_t i = 0; i < old.cap; i++) {
        if (!is_free(&old.slots[i])) {
            put(t, &old.slots[i]);
        }
    }
    mem_free(old.slots);
}

void same_table_add(SameTable *t, SameKey key, SamePlace place) {
    if (t->n * 2 >= t->cap && t->cap < SLOTS_MAX) {
        grow(t);
    }
    put(t, &(SameSlot){key, place});
}
