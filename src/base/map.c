#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#define CAP_FIRST 16

void str_map_deinit(StrMap *m) {
    mem_free(m->slots);
    *m = (StrMap){0};
}

void str_map_clear(StrMap *m) {
    if (m->slots) {
        memset(m->slots, 0, m->cap * sizeof(*m->slots));
    }
    m->n = 0;
}

/* The slot that holds key, or the free one where it belongs. */
static StrMapEntry *str_slot(const StrMap *m, Str key, uint64_t hash) {
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        StrMapEntry *e = &m->slots[i];
        if (!e->key.p || (e->hash == hash && str_eq(e->key, key))) {
            return e;
        }
    }
}

static void str_grow(StrMap *m) {
    StrMap bigger = {.cap = m->cap ? m->cap * 2 : CAP_FIRST, .n = m->n};
    bigger.slots = NEW_ARRAY(StrMapEntry, bigger.cap);
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].key.p) {
            *str_slot(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
        }
    }
    mem_free(m->slots);
    *m = bigger;
}

void *str_map_get(const StrMap *m, Str key) {
    return m->n ? str_slot(m, key, hash_str(key))->value : NULL;
}

void **str_map_put(StrMap *m, Str key, bool *ret_new) {
    if ((m->n + 1) * 4 > m->cap * 3) {
        str_grow(m);
    }
    uint64_t hash = hash_str(key);
    StrMapEntry *e = str_slot(m, key, hash);
    bool fresh = !e->key.p;
    if (fresh) {
        *e = (StrMapEntry){.key = {key.p ? key.p : "", key.n}, .hash = hash};
        m->n++;
    }
    if (ret_new) {
        *ret_new = fresh;
    }
    return &e->value;
}

void *str_map_del(StrMap *m, Str key) {
    if (!m->n) {
        return NULL;
    }
    StrMapEntry *e = str_slot(m, key, hash_str(key));
    if (!e->key.p) {
        return NULL;
    }
    void *value = e->value;
    size_t mask = m->cap - 1, hole = (size_t)(e - m->slots);
    /* Entries behind the hole move up unless their home lies between hole and them. */
    for (size_t i = (hole + 1) & mask; m->slots[i].key.p; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (StrMapEntry){0};
    m->n--;
    return value;
}

StrMapEntry *str_map_next(const StrMap *m, size_t *at) {
    while (*at < m->cap) {
        StrMapEntry *e = &m->slots[(*at)++];
        if (e->key.p) {
            return e;
        }
    }
    return NULL;
}

typedef struct U64Slot {
    uint64_t key, value;
    bool used;
} U64Slot;

void u64_map_deinit(U64Map *m) {
    mem_free(m->slots);
    *m = (U64Map){0};
}

static size_t u64_home(const U64Map *m, uint64_t key) {
    uint64_t h = key * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h ^ (h >> 32)) & (m->cap - 1);
}

static U64Slot *u64_slot(const U64Map *m, uint64_t key) {
    for (size_t i = u64_home(m, key);; i = (i + 1) & (m->cap - 1)) {
        if (!m->slots[i].used || m->slots[i].key == key) {
            return &m->slots[i];
        }
    }
}

static void u64_grow(U64Map *m) {
    U64Map bigger = {.cap = m->cap ? m->cap * 2 : CAP_FIRST, .n = m->n};
    bigger.slots = NEW_ARRAY(U64Slot, bigger.cap);
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].used) {
            *u64_slot(&bigger, m->slots[i].key) = m->slots[i];
        }
    }
    mem_free(m->slots);
    *m = bigger;
}

bool u64_map_get(const U64Map *m, uint64_t key, uint64_t *ret_value) {
    const U64Slot *s = m->n ? u64_slot(m, key) : NULL;
    if (!s || !s->used) {
        return false;
    }
    *ret_value = s->value;
    return true;
}

void u64_map_put(U64Map *m, uint64_t key, uint64_t value) {
    if ((m->n + 1) * 4 > m->cap * 3) {
        u64_grow(m);
    }
    U64Slot *s = u64_slot(m, key);
    m->n += !s->used;
    *s = (U64Slot){key, value, true};
}

bool u64_map_del(U64Map *m, uint64_t key) {
    U64Slot *s = m->n ? u64_slot(m, key) : NULL;
    if (!s || !s->used) {
        return false;
    }
    size_t mask = m->cap - 1, hole = (size_t)(s - m->slots);
    for (size_t i = (hole + 1) & mask; m->slots[i].used; i = (i + 1) & mask) {
        size_t home = u64_home(m, m->slots[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].used = false;
    m->n--;
    return true;
}

bool u64_map_next(const U64Map *m, size_t *at, uint64_t *ret_key, uint64_t *ret_value) {
    while (*at < m->cap) {
        const U64Slot *s = &m->slots[(*at)++];
        if (s->used) {
            *ret_key = s->key;
            *ret_value = s->value;
            return true;
        }
    }
    return false;
}
