#include "tsdb/head/head_index.h"

#include "base/hash.h"

void head_index_init(HeadIndex *x, BytePool *pool) { *x = (HeadIndex){.pool = pool}; }

static void symbol_drop_bytes(HeadIndex *x, HeadSymbol *s) {
    if (s->p) {
        byte_pool_put(x->pool, s->p, byte_pool_cap(s->n ? s->n : 1));
        s->p = NULL;
    }
}

void head_index_deinit(HeadIndex *x) {
    for (size_t i = 0; i < x->symbols.n; i++) {
        symbol_drop_bytes(x, &x->symbols.v[i]);
    }
    for (size_t i = 0; i < x->pairs.n; i++) {
        postings_deinit(&x->pairs.v[i].postings);
    }
    for (size_t i = 0; i < x->names.n; i++) {
        vec_free(&x->names.v[i].pairs);
    }
    vec_free(&x->symbols);
    vec_free(&x->pairs);
    vec_free(&x->names);
    id_table_deinit(&x->symbol_table);
    id_table_deinit(&x->pair_table);
    id_table_deinit(&x->series_table);
    u64_map_deinit(&x->name_of_symbol);
    *x = (HeadIndex){0};
}

/* ---- symbols */

static bool symbol_find(const HeadIndex *x, Str s, uint32_t hash, uint32_t *ret) {
    const IdTable *t = &x->symbol_table;
    for (uint32_t at = id_table_start(t, hash); id_table_next(t, hash, &at, ret);) {
        if (str_eq(head_symbol(x, *ret), s)) {
            return true;
        }
    }
    return false;
}

static uint32_t symbol_ref(HeadIndex *x, Str s) {
    uint32_t id, hash = (uint32_t)hash_str(s);
    if (symbol_find(x, s, hash, &id)) {
        x->symbols.v[id].refs++;
        return id;
    }
    if (x->free_symbol) {
        id = x->free_symbol - 1;
        x->free_symbol = x->symbols.v[id].next_free;
    } else {
        id = (uint32_t)x->symbols.n;
        vec_push(&x->symbols, (HeadSymbol){0});
    }
    uint32_t cap;
    char *p = byte_pool_get(x->pool, s.n ? s.n : 1, &cap);
    memcpy(p, s.p, s.n);
    x->symbols.v[id] = (HeadSymbol){.p = p, .n = (uint32_t)s.n, .refs = 1, .hash = hash};
    id_table_add(&x->symbol_table, hash, id);
    return id;
}

static void symbol_unref(HeadIndex *x, uint32_t id) {
    HeadSymbol *s = &x->symbols.v[id];
    if (--s->refs > 0) {
        return;
    }
    id_table_del(&x->symbol_table, s->hash, id);
    symbol_drop_bytes(x, s);
    s->next_free = x->free_symbol;
    x->free_symbol = id + 1;
}

/* ---- pairs and names */

static uint32_t pair_hash(uint32_t name, uint32_t value) {
    uint64_t h = ((uint64_t)name << 32 | value) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

static bool pair_find(const HeadIndex *x, uint32_t name, uint32_t value, uint32_t *ret) {
    const IdTable *t = &x->pair_table;
    uint32_t hash = pair_hash(name, value);
    for (uint32_t at = id_table_start(t, hash); id_table_next(t, hash, &at, ret);) {
        if (x->pairs.v[*ret].name == name && x->pairs.v[*ret].value == value) {
            return true;
        }
    }
    return false;
}

static void name_add_pair(HeadIndex *x, uint32_t name, uint32_t pair) {
    uint64_t at;
    if (!u64_map_get(&x->name_of_symbol, name, &at)) {
        at = x->names.n;
        vec_push(&x->names, (HeadName){.symbol = name});
        u64_map_put(&x->name_of_symbol, name, at);
    }
    vec_push(&x->names.v[at].pairs, pair);
}

/* The pair holds its symbols once, however many series have it. */
static uint32_t pair_ref(HeadIndex *x, Label l) {
    uint32_t id, name = symbol_ref(x, l.name), value = symbol_ref(x, l.value);
    if (pair_find(x, name, value, &id)) {
        symbol_unref(x, name);
        symbol_unref(x, value);
        x->pairs.v[id].refs++;
        return id;
    }
    if (x->free_pair) {
        id = x->free_pair - 1;
        x->free_pair = x->pairs.v[id].name;
    } else {
        id = (uint32_t)x->pairs.n;
        vec_push(&x->pairs, (HeadPair){0});
    }
    x->pairs.v[id] = (HeadPair){.name = name, .value = value, .refs = 1};
    id_table_add(&x->pair_table, pair_hash(name, value), id);
    name_add_pair(x, name, id);
    x->n_pairs++;
    return id;
}

/* Its strings go with head_index_tidy(), which takes it out of its name's list first. */
static void pair_unref(HeadIndex *x, uint32_t id) { x->pairs.v[id].refs--; }

static void pair_drop(HeadIndex *x, uint32_t id) {
    HeadPair *p = &x->pairs.v[id];
    id_table_del(&x->pair_table, pair_hash(p->name, p->value), id);
    postings_deinit(&p->postings);
    symbol_unref(x, p->value);
    symbol_unref(x, p->name);
    p->name = x->free_pair;
    x->free_pair = id + 1;
    x->n_pairs--;
}

static void name_drop(HeadIndex *x, size_t at) {
    HeadName *n = &x->names.v[at];
    vec_free(&n->pairs);
    u64_map_del(&x->name_of_symbol, n->symbol);
    *n = x->names.v[--x->names.n];
    if (at < x->names.n) {
        u64_map_put(&x->name_of_symbol, n->symbol, at);
    }
}

void head_index_tidy(HeadIndex *x) {
    for (size_t i = x->names.n; i-- > 0;) {
        HeadName *n = &x->names.v[i];
        size_t kept = 0;
        for (size_t k = 0; k < n->pairs.n; k++) {
            uint32_t id = n->pairs.v[k];
            if (x->pairs.v[id].refs > 0) {
                n->pairs.v[kept++] = id;
            } else {
                pair_drop(x, id);
            }
        }
        n->pairs.n = kept;
        if (kept == 0) {
            name_drop(x, i);
        }
    }
}

const HeadName *head_index_name(const HeadIndex *x, Str name) {
    uint32_t id;
    uint64_t at;
    if (!symbol_find(x, name, (uint32_t)hash_str(name), &id) ||
        !u64_map_get(&x->name_of_symbol, id, &at)) {
        return NULL;
    }
    return &x->names.v[at];
}

bool head_index_pair(const HeadIndex *x, Str name, Str value, uint32_t *ret) {
    uint32_t n, v;
    return symbol_find(x, name, (uint32_t)hash_str(name), &n) &&
           symbol_find(x, value, (uint32_t)hash_str(value), &v) && pair_find(x, n, v, ret);
}

/* ---- series */

bool head_index_same(const HeadIndex *x, const HeadLabels *have, Labels want) {
    if (have->n != want.n) {
        return false;
    }
    /* From the back: the metric's name comes first and tells least. */
    for (size_t i = want.n; i-- > 0;) {
        Label l = head_pair(x, have->pair[i]);
        if (!str_eq(l.value, want.v[i].value) || !str_eq(l.name, want.v[i].name)) {
            return false;
        }
    }
    return true;
}

Labels head_index_labels(const HeadIndex *x, const HeadLabels *have, Label *dst) {
    for (uint32_t i = 0; i < have->n; i++) {
        dst[i] = head_pair(x, have->pair[i]);
    }
    return (Labels){dst, have->n};
}

static size_t labels_size(size_t n) { return sizeof(HeadLabels) + n * sizeof(uint32_t); }

HeadLabels *head_index_add(HeadIndex *x, uint32_t slot, uint32_t hash, Labels l) {
    uint32_t cap;
    HeadLabels *h = byte_pool_get(x->pool, labels_size(l.n), &cap);
    h->n = (uint32_t)l.n;
    for (size_t i = 0; i < l.n; i++) {
        h->pair[i] = pair_ref(x, l.v[i]);
        postings_add(&x->pairs.v[h->pair[i]].postings, slot);
    }
    id_table_add(&x->series_table, hash, slot);
    return h;
}

HeadLabels *head_index_add_pairs(HeadIndex *x, uint32_t slot, uint32_t hash, const uint32_t *pair,
                                 size_t n) {
    uint32_t cap;
    HeadLabels *h = byte_pool_get(x->pool, labels_size(n), &cap);
    h->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        h->pair[i] = pair[i];
        x->pairs.v[pair[i]].refs++;
        postings_add(&x->pairs.v[pair[i]].postings, slot);
    }
    id_table_add(&x->series_table, hash, slot);
    return h;
}

uint32_t head_index_hold_pair(HeadIndex *x, Label l) { return pair_ref(x, l); }

void head_index_let_go(HeadIndex *x, uint32_t pair) { pair_unref(x, pair); }

typedef struct DeadBits {
    uint64_t *bits;
    uint32_t first, last;
} DeadBits;

static bool is_alive(void *arg, uint32_t slot) {
    const DeadBits *d = arg;
    if (slot < d->first || slot > d->last) {
        return true;
    }
    uint32_t i = slot - d->first;
    return !(d->bits[i / 64] >> (i % 64) & 1);
}

void head_index_remove(HeadIndex *x, const HeadDead *dead, size_t n) {
    if (n == 0) {
        return;
    }
    DeadBits d = {.first = dead[0].slot, .last = dead[n - 1].slot};
    d.bits = NEW_ARRAY(uint64_t, (d.last - d.first) / 64 + 1);
    uint64_t *touched = NEW_ARRAY(uint64_t, x->pairs.n / 64 + 1);
    for (size_t i = 0; i < n; i++) {
        uint32_t at = dead[i].slot - d.first;
        d.bits[at / 64] |= UINT64_C(1) << (at % 64);
        id_table_del(&x->series_table, dead[i].hash, dead[i].slot);
        for (uint32_t k = 0; k < dead[i].labels->n; k++) {
            uint32_t pair = dead[i].labels->pair[k];
            touched[pair / 64] |= UINT64_C(1) << (pair % 64);
        }
    }
    for (size_t id = 0; id < x->pairs.n; id++) {
        if (touched[id / 64] >> (id % 64) & 1) {
            postings_filter(&x->pairs.v[id].postings, is_alive, &d);
        }
    }
    mem_free(touched);
    mem_free(d.bits);
}

void head_index_release(HeadIndex *x, HeadLabels *l) {
    for (uint32_t i = 0; i < l->n; i++) {
        pair_unref(x, l->pair[i]);
    }
    byte_pool_put(x->pool, l, byte_pool_cap(labels_size(l->n)));
}
